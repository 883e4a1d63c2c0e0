//! Who may open a lock file.

use std::fs::{File, Metadata};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, fchown};
use std::path::Path;

use super::super::directory_of;
use super::super::dress::set_mode;
use crate::os;

/// Whoever may write the guarded file must be able to lock it, and nobody else: to lock a file one need
/// only read it, so a reader of the vault could stop every writer. A group that may replace files in the
/// directory may write it too, in effect. If that cannot be had, the lock stays its owner's, and the
/// others are told "permission denied".
pub(super) fn share(file: &File, name: &Path, guarded: &Path) {
    let (Ok(own), guard) = (file.metadata(), guarded.metadata().ok()) else { return };
    // Root's lock would shut the owner out.
    if let Some(about) = guard.as_ref().filter(|about| about.uid() != own.uid()) {
        let _ = fchown(file, Some(about.uid()), None);
    }
    let directory = directory_of(name);
    let replaceable = |about: &Metadata| about.mode() & 0o1020 == 0o020;
    let (model, group, writers) = match (guard, directory.metadata()) {
        (Some(about), _) if about.mode() & 0o022 != 0 => {
            (guarded, about.gid(), about.mode() & 0o022)
        }
        (_, Ok(about)) if replaceable(&about) => (directory, about.gid(), 0o020),
        _ => (guarded, own.gid(), 0),
    };
    if own.gid() != group && fchown(file, None, Some(group)).is_err() {
        return;
    }
    let mode = writers | writers << 1 | 0o600;
    let _ = match os::acl(model) {
        Ok(Some(list)) if writers != 0 => os::set_acl(file.as_fd(), Some(&os::only_writers(list))),
        _ if own.mode() & 0o7777 == mode => Ok(()),
        _ => set_mode(file, mode),
    };
}

/// The same for a lock file that is there, if it is this user's: the guarded file may be shared with
/// others since, or no longer.
pub(super) fn share_again(file: &File, name: &Path, guarded: &Path) {
    let uid = os::effective_uid();
    let ours = |about: io::Result<Metadata>| about.map_or(true, |about| about.uid() == uid);
    if ours(file.metadata()) && ours(guarded.metadata()) {
        share(file, name, guarded);
    }
}
