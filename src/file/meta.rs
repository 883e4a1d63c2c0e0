//! The metadata of an open file that this program uses.

use std::fs::{File, Metadata};
use std::os::unix::fs::{FileTypeExt, MetadataExt};

use super::mount::is_for_secrets;

/// The metadata of an open file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meta {
    /// The permission bits, set-id and sticky bits included (`0o7777`).
    pub mode: u32,
    /// The owner's user id.
    pub uid: u32,
    /// The group id.
    pub gid: u32,
    /// True on a file system where container secrets are mounted with mode 0444: see
    /// [`super::mount::is_for_secrets`].
    pub for_secrets: bool,
    /// The length in bytes; 0 if it is not a regular file.
    pub len: u64,
    /// Device and inode number of a file, pipe or socket. `None` for anything else, such as devices and
    /// epoll, where one inode is shared by many.
    pub object: Option<(u64, u64)>,
}

pub(super) fn meta_of(file: &File, about: &Metadata) -> Meta {
    Meta {
        mode: about.mode() & 0o7777,
        uid: about.uid(),
        gid: about.gid(),
        for_secrets: is_for_secrets(file, about),
        len: if about.is_file() { about.len() } else { 0 },
        object: object_of(about),
    }
}

/// See [`Meta::object`].
pub(super) fn object_of(about: &Metadata) -> Option<(u64, u64)> {
    let kind = about.file_type();
    let single = kind.is_file() || kind.is_fifo() || kind.is_socket();
    single.then(|| (about.dev(), about.ino()))
}
