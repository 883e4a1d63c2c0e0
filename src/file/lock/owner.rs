//! The owners of lock files, and the users who may open ours.

use std::fmt;
use std::fs::{File, Metadata};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, fchown};
use std::path::{Path, PathBuf};

use super::super::attributes::set_mode;
use super::super::directory_of;
use crate::error::Error;
use crate::os;

/// Another user's file in the place of a lock file, in a sticky directory. That user could hold the lock
/// without end, or replace the file.
#[derive(Debug, PartialEq, Eq)]
pub struct Planted {
    /// Its path.
    path: PathBuf,
    /// Its owner.
    uid: u32,
    /// Its kind.
    what: What,
}

#[derive(Debug, PartialEq, Eq)]
enum What {
    /// A file of this kind that belongs to another user.
    Theirs(&'static str),
    /// A hard link to a file of ours, of root and so on. The user who made the link may read the file,
    /// which is enough to lock it.
    HardLink,
}

impl Planted {
    /// What to do about it.
    pub const HINT: &str = "have it removed by its owner, the directory's owner or root, or use a \
                            directory that only you can write";

    /// The error of what is not done for its sake.
    pub fn refused(&self, failed: &str) -> Error {
        Error::refused(format!("{failed}: {self}")).hint(Self::HINT)
    }
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

/// Checks the file in a lock file's place. In a sticky directory, where users cannot remove each other's
/// files, it must belong to this user, root, the directory's owner or the guarded file's owner; or to a
/// member of the guarded file's group, if the group may write that file.
///
/// The group of a file shows that its owner is a member (chown(2)), except in a world-writable
/// set-group-id directory, where every new file gets the directory's group.
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

/// Makes the lock file readable only for users who may write the guarded file: read access is enough
/// to lock a file, so a reader of the vault could block every writer. A group that may replace files in
/// the directory can write it in effect. If the permissions cannot be set, the lock file stays its
/// owner's, and the others get "permission denied".
pub(super) fn share(file: &File, name: &Path, guarded: &Path) {
    let (Ok(own), guard) = (file.metadata(), guarded.metadata().ok()) else { return };
    // A lock file that stays root's would lock the owner out.
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

/// As [`share`] for an existing lock file of this user: the permissions of the guarded file may have
/// changed.
pub(super) fn share_again(file: &File, name: &Path, guarded: &Path) {
    let uid = os::effective_uid();
    let ours = |about: io::Result<Metadata>| about.map_or(true, |about| about.uid() == uid);
    if ours(file.metadata()) && ours(guarded.metadata()) {
        share(file, name, guarded);
    }
}

/// True for a lock file that this user may not open although it may write the guarded file: the lock file
/// was created while only its owner could write that. It may be removed in a directory where this user can
/// replace the guarded file itself. No update is lost by that. The former holder checks, after creating its
/// temporary file and before the rename, that its lock is still [current]; and the process that takes over
/// removes temporary files before it reads. So a former holder that has not renamed yet either notices,
/// or has no temporary file left to rename.
///
/// [current]: super::Lock::is_current
pub(super) fn may_take_over(lock: &Metadata, guarded: &Path) -> bool {
    // At most a process id: a longer file of this name is not a lock file.
    let a_lock = lock.is_file() && lock.nlink() == 1 && lock.len() <= 11;
    let directory = directory_of(guarded);
    let sticky = directory.metadata().map_or(true, |about| about.mode() & 0o1000 != 0);
    a_lock && !sticky && os::may_write(directory).is_ok() && os::may_write_file(guarded).is_ok()
}
