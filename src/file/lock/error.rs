//! The lock file of a path, who holds it, why it was not taken, and the errors for the user.

use std::fmt;
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::super::replace_error::hint;
use super::owner::Planted;
use crate::error::{Error, os_text};

/// The lock file of a path: `<path>.lock`.
pub fn lock_file(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    PathBuf::from(name)
}

/// The holder of a lock. Displayed as `process PID` or `another process`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its process id in its own pid namespace, if it could be read.
    pub pid: Option<u32>,
}

impl Holder {
    /// The error of a process that has waited for this one.
    pub fn busy(self, does: &str, waited: Duration) -> Error {
        Error::busy(format!("{self} {does}, waited {} s", waited.as_secs()))
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pid {
            Some(pid) => write!(f, "process {pid}"),
            None => f.write_str("another process"),
        }
    }
}

/// Why there is no lock.
#[derive(Debug)]
pub enum LockError {
    /// Another process held it until the end of the wait.
    Busy(Holder),
    /// Another user's file is in the lock file's place. It is not waited for.
    Planted(Planted),
    /// The lock file cannot be created, opened or locked.
    Io(io::Error),
}

impl LockError {
    /// The error of a change that needs the lock of `path`. `does`: what its holder does; `failed`: what was
    /// not done.
    pub fn into_error(self, path: &Path, does: &str, waited: Duration, failed: &str) -> Error {
        match self {
            Self::Busy(holder) => holder.busy(does, waited),
            Self::Planted(planted) => planted.refused(failed),
            Self::Io(error) => {
                let (lock, why) = (lock_file(path), os_text(&error));
                let what = format!("{failed}: cannot lock {}: {why}", lock.display());
                Error { hint: lock_hint(path, &error), ..Error::not_saved(what) }
            }
        }
    }
}

impl From<io::Error> for LockError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl fmt::Display for LockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Busy(holder) => write!(f, "{holder} is writing there"),
            Self::Planted(planted) => planted.fmt(f),
            Self::Io(error) => f.write_str(&os_text(error)),
        }
    }
}

/// What to do about an error of the system. A lock file that may not be opened is for those who may write the
/// guarded file.
fn lock_hint(path: &Path, error: &io::Error) -> Option<String> {
    match lock_file(path).symlink_metadata() {
        Ok(about) if error.kind() == ErrorKind::PermissionDenied => Some(format!(
            "the lock file belongs to uid {}: have that user or root remove it, or make {} writable for you",
            about.uid(),
            path.display()
        )),
        _ => hint(error).map(str::to_owned),
    }
}
