//! What is known about an open file.

use std::fs::{File, Metadata};
use std::os::unix::fs::{FileTypeExt, MetadataExt};

use super::mount::is_for_secrets;

/// What is known about an open file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meta {
    /// The permission bits, set-id and sticky bits included (`0o7777`).
    pub mode: u32,
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// True where container secrets are mounted 0444: see [`super::mount::is_for_secrets`].
    pub for_secrets: bool,
    /// The length in bytes; 0 for what is no regular file.
    pub len: u64,
    /// Which file, pipe or socket it is: device and inode number. None for anything else, such as
    /// devices and epoll, where one inode stands for many.
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
