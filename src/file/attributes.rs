//! The attributes of a replaced file that the new one keeps: mode, owner, group, access control list.

use std::fs::{File, Permissions};
use std::io::{self, ErrorKind};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::Path;

use super::meta::Meta;
use super::replace_error::{ReplaceError, failed};
use crate::os;

/// The file at the target, whose attributes are kept.
#[derive(Clone, Copy, Debug)]
pub enum Existing<'a> {
    /// None: the new file gets exactly this mode, whatever the umask.
    New {
        /// The permission bits.
        mode: u32,
    },
    /// The file that was read: its mode, group and access control list are kept, and its owner if this
    /// process may change owners. Otherwise the writer becomes the owner, if the group may write the
    /// file.
    Keep(&'a Meta),
}

/// Gives the new file the attributes of the old one, or the mode of a new one.
///
/// The order matters: setting an access control list also sets the group bits of the mode, which are its
/// mask (acl(5)), and changing the owner clears set-id bits, so the mode is set last.
pub(super) fn set_attributes(
    file: &File,
    target: &Path,
    existing: Existing<'_>,
) -> Result<(), ReplaceError> {
    let old = match existing {
        Existing::New { mode } => {
            return set_mode(file, mode).map_err(failed("the mode of the file cannot be set"));
        }
        Existing::Keep(old) => old,
    };
    let list = match os::acl(target) {
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        list => list.map_err(failed("the access control list of the old file cannot be read"))?,
    };
    let group_writes = match &list {
        Some(list) => os::lets_group_write(list),
        None => old.mode & 0o020 != 0,
    };
    keep_owner(file, old, group_writes && os::may_write_file(target).is_ok())?;
    if list.is_some() {
        os::set_acl(file.as_fd(), list.as_deref())
            .map_err(failed("the access control list of the old file cannot be kept"))?;
        return file
            .set_permissions(Permissions::from_mode(old.mode))
            .map_err(failed("the mode of the file cannot be set"));
    }
    set_mode(file, old.mode).map_err(failed("the mode of the file cannot be set"))
}

/// Keeps the group, and the owner if this process may change owners (root). Other writers become the
/// owner if the old file's group may write it, so that the former owner still can.
fn keep_owner(file: &File, old: &Meta, shared: bool) -> Result<(), ReplaceError> {
    let own = file.metadata().map_err(failed("the new file cannot be looked at"))?;
    let uid = (own.uid() != old.uid).then_some(old.uid);
    let gid = (own.gid() != old.gid).then_some(old.gid);
    if uid.is_none() && gid.is_none() {
        return Ok(());
    }
    // EINVAL: the user namespace does not map the owner, so no process in it may set it.
    let is_for_others =
        |error: &io::Error| matches!(error.raw_os_error(), Some(libc::EPERM | libc::EINVAL));
    match fchown(file, uid, gid) {
        Err(error) if is_for_others(&error) && uid.is_some() && shared => fchown(file, None, gid),
        done => done,
    }
    .map_err(failed("owner and group of the old file cannot be kept"))
}

/// Gives a file exactly this mode, without the access control list that it may have from the default list
/// of its directory: that would let others in as soon as the mode has group bits.
pub(super) fn set_mode(file: &File, mode: u32) -> io::Result<()> {
    os::set_acl(file.as_fd(), None)?;
    file.set_permissions(Permissions::from_mode(mode))
}
