//! Whose lock files count, and who may open ours.

use std::fmt;
use std::fs::{File, Metadata};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, fchown};
use std::path::{Path, PathBuf};

use super::super::directory_of;
use super::super::dress::set_mode;
use crate::os;

/// What another user has put where a lock file belongs, in a directory where everybody may make files.
/// Whose file it is could hold the lock for ever, or put another file in its place.
#[derive(Debug, PartialEq, Eq)]
pub struct Planted {
    /// Where it stands.
    path: PathBuf,
    /// Whose it is.
    uid: u32,
    /// What it is.
    what: What,
}

#[derive(Debug, PartialEq, Eq)]
enum What {
    /// A lock file, a symbolic link and so on, of another user's.
    Theirs(&'static str),
    /// Another name of a file of ours, root's and so on. Who gave it that name may read the file, and
    /// that is enough to lock it.
    HardLink,
}

impl Planted {
    /// What to do about it.
    pub const HINT: &str = "have it removed by its owner, the directory's owner or root, or use a \
                            directory that only you can write";
}

impl fmt::Display for Planted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (path, uid) = (self.path.display(), self.uid);
        match self.what {
            What::Theirs(what) => {
                write!(f, "the {what} {path} belongs to another user (uid {uid})")
            }
            What::HardLink => write!(f, "{path} is a hard link to a file of uid {uid}"),
        }
    }
}

/// Looks at what stands in a lock file's place. In a sticky directory, where who may make files may not
/// remove those of others, it must belong to this user, root, the directory's owner or the owner of the
/// guarded file; or to one of the guarded file's group, if that may write it.
///
/// The group of a file shows that its owner is in that group (chown(2)), but not in a set-group-id
/// directory that everybody can write: there every new file gets the directory's group.
///
/// # Errors
/// The directory cannot be looked at.
pub(super) fn planted(name: &Path, lock: &Metadata, guarded: &Path) -> io::Result<Option<Planted>> {
    let directory = directory_of(name).metadata()?;
    if directory.mode() & 0o1000 == 0 {
        return Ok(None);
    }
    let uid = lock.uid();
    let guarded = guarded.metadata().ok();
    let known = [os::effective_uid(), 0, directory.uid()].contains(&uid)
        || guarded.as_ref().is_some_and(|about| about.uid() == uid);
    let inherited = directory.mode() & 0o2002 == 0o2002;
    let member = guarded
        .is_some_and(|about| about.mode() & 0o020 != 0 && about.gid() == lock.gid() && !inherited);
    let what = match known || member {
        false => What::Theirs(kind(lock)),
        true if lock.is_file() && lock.nlink() > 1 => What::HardLink,
        true => return Ok(None),
    };
    Ok(Some(Planted { path: name.to_owned(), uid, what }))
}

fn kind(about: &Metadata) -> &'static str {
    let kind = about.file_type();
    match () {
        () if kind.is_file() => "lock file",
        () if kind.is_symlink() => "symbolic link",
        () if kind.is_fifo() => "named pipe",
        () if kind.is_dir() => "directory",
        () => "special file",
    }
}

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
    let gid = guard.as_ref().map_or(own.gid(), Metadata::gid);
    let directory = directory_of(name);
    let replaceable = |about: &Metadata| about.mode() & 0o1020 == 0o020;
    let (model, group, writers) = match (guard, directory.metadata()) {
        (Some(about), _) if about.mode() & 0o022 != 0 => {
            (guarded, about.gid(), about.mode() & 0o022)
        }
        (_, Ok(about)) if replaceable(&about) => (directory, about.gid(), 0o020),
        _ => (guarded, gid, 0),
    };
    if own.gid() != group && fchown(file, None, Some(group)).is_err() && writers != 0 {
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

/// True for a lock file that this user may not open, though the guarded file may be written: it was made
/// when the file was its owner's alone. It may be removed, in a directory where this user could replace
/// the guarded file itself. An update is lost by that no more than by any other writer. Whoever held it
/// looks, after making its temporary file and before the rename, whether its lock still [counts]; and
/// whoever took it over removes temporary files before reading. So if the rename is yet to come, then
/// either the former has noticed, or there is nothing left to rename.
///
/// [counts]: super::Lock::counts
pub(super) fn may_take_over(lock: &Metadata, guarded: &Path) -> bool {
    // A process id at most: what else has the lock's name is somebody's file.
    let a_lock = lock.is_file() && lock.nlink() == 1 && lock.len() <= 11;
    let directory = directory_of(guarded);
    let sticky = directory.metadata().map_or(true, |about| about.mode() & 0o1000 != 0);
    a_lock && !sticky && os::may_write(directory).is_ok() && os::may_write_file(guarded).is_ok()
}
