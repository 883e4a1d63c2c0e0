//! The errors of replacing a file.

use std::io;

use crate::error::os_text;

/// Why a file was not replaced, or not durably.
#[derive(Debug, PartialEq, Eq)]
pub enum ReplaceError {
    /// Nothing has changed: what happened, and what to do about it.
    NotSaved(String, Option<&'static str>),
    /// The new file is in place, but fsync(2) of the directory failed, so a power cut may undo it.
    NotDurable(String),
    /// Nothing was tried: all users can rename files in this directory, which is world-writable and has
    /// no sticky bit.
    UnsafeDirectory,
}

pub(super) fn not_saved(what: &str) -> ReplaceError {
    ReplaceError::NotSaved(what.to_owned(), None)
}

pub(super) fn failed(what: &'static str) -> impl Fn(io::Error) -> ReplaceError {
    move |error| ReplaceError::NotSaved(format!("{what}: {}", os_text(&error)), hint(&error))
}

/// What to do about a directory in which nothing can be replaced.
pub(super) fn hint(error: &io::Error) -> Option<&'static str> {
    match error.raw_os_error()? {
        libc::EBUSY | libc::EXDEV => Some("mount the directory, not the file"),
        // The file alone may be mounted so that it can be written; a new one beside it cannot.
        libc::EROFS => {
            Some("the file system of its directory is read-only: mount that one writable")
        }
        libc::EACCES => Some(
            "the directory must be writable: the file is not overwritten but replaced by a new one",
        ),
        _ => None,
    }
}
