//! Temporary files beside the one that they are to replace.
//!
//! Not by the crate tempfile: it would replace only the random name and the removal on drop. What removes the files
//! of killed writers has to know the names, and other files are created by `create_exclusive` too.

use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::directory_of;

/// A file that is removed when this is dropped, unless it is kept.
pub(super) struct Temporary {
    pub path: PathBuf,
    pub file: File,
    pub kept: bool,
}

impl Temporary {
    /// A new file (0600) beside the one of this name.
    pub fn create(directory: &Path, name: &OsStr) -> io::Result<Self> {
        let mut random = [0; 8];
        getrandom::getrandom(&mut random)?;
        let random = u64::from_le_bytes(random);
        let mut own = prefix(name);
        own.push(format!("{}-{random:016x}", std::process::id()));
        Self::at(directory.join(own), 0o600)
    }

    /// A new file at this path.
    pub fn at(path: PathBuf, mode: u32) -> io::Result<Self> {
        let file = create_exclusive(&path, mode)?;
        Ok(Self { path, file, kept: false })
    }
}

/// Creates a file that must not exist yet; a symlink counts as one that does.
pub fn create_exclusive(path: &Path, mode: u32) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(mode).custom_flags(libc::O_NOFOLLOW);
    options.open(path)
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.kept {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// `.NAME.tmp-`, which a PID and a random number follow.
fn prefix(name: &OsStr) -> OsString {
    let mut prefix = OsString::from(".");
    prefix.push(name);
    prefix.push(".tmp-");
    prefix
}

/// Removes the temporary files of killed writers. The caller holds the lock, so none of them is in use.
pub(super) fn remove_temporaries(target: &Path) {
    let Some(prefix) = target.file_name().map(prefix) else { return };
    let Ok(entries) = std::fs::read_dir(directory_of(target)) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let rest = name.as_bytes().strip_prefix(prefix.as_bytes());
        if rest.is_some_and(|r| r.iter().all(|b| b.is_ascii_hexdigit() || *b == b'-')) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}
