//! Files: checked reads, locks, and replacement that never loses the old content.

mod append;
mod attributes;
mod descriptor;
mod lock;
mod meta;
mod mount;
mod read;
mod replace;
mod replace_error;
mod temporary;

use std::fs::{DirBuilder, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

pub use append::{AppendFile, open_to_append};
pub use attributes::Existing;
pub use descriptor::{Descriptor, close_inherited, descriptor};
pub use lock::{
    Holder, Lock, LockError, Planted, is_locked, lock, lock_file, lock_holder, lock_with_parents,
    planted_at, remove_idle_lock,
};
pub use meta::Meta;
pub use mount::is_in_memory;
pub use read::{ReadError, read_fd, read_regular, read_stream};
pub use replace::{create_new, is_unsafe_directory, replace, replace_quickly};
pub use replace_error::ReplaceError;
pub use temporary::create_exclusive;

/// The most symlinks that Linux follows in one path (path_resolution(7)).
const LINKS: usize = 40;

/// Resolves all symlinks once, so that the lock and the temporary file are beside the real file. The
/// file need not exist (a dangling symlink is resolved to its target); its directory must.
///
/// # Errors
/// The system's error, such as a missing directory or a loop of links; `InvalidInput` for a path without
/// a file name.
pub fn resolve(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..LINKS {
        match path.canonicalize() {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            known => return known,
        }
        let name = path.file_name().ok_or(ErrorKind::InvalidInput)?.to_owned();
        let directory = directory_of(&path).canonicalize()?;
        path = match std::fs::read_link(&path) {
            Ok(target) => directory.join(target),
            // Not a symlink, or no such file. Any other error, such as EIO, does not tell.
            Err(error) if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::NotFound) => {
                return Ok(directory.join(name));
            }
            Err(error) => return Err(error),
        };
    }
    Err(io::Error::from_raw_os_error(libc::ELOOP))
}

/// The directory of a path that this user may not search, so that whether the file exists is unknown.
/// `None` for a file that exists and cannot be opened.
pub fn closed_directory(path: &Path) -> Option<&Path> {
    let denied = |path: &Path| {
        path.metadata().is_err_and(|error| error.kind() == ErrorKind::PermissionDenied)
    };
    denied(path).then(|| path.ancestors().skip(1).find(|above| !denied(above)))?
}

/// Makes the missing parent directories of a file with mode 0700, and syncs the directory above each new
/// one: a power cut that loses a directory loses the files in it.
///
/// # Errors
/// The error of mkdir(2) or fsync(2); ENOTDIR, not EEXIST, if a parent is a file.
pub fn make_parents(path: &Path) -> io::Result<()> {
    make_directory(directory_of(path)).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => io::Error::from_raw_os_error(libc::ENOTDIR),
        _ => error,
    })
}

fn make_directory(path: &Path) -> io::Result<()> {
    let make = || match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => match path.metadata() {
            // It exists, or another process has just made it.
            Ok(about) if about.is_dir() => Ok(false),
            Err(unseen) if unseen.kind() != ErrorKind::NotFound => Err(unseen),
            _ => Err(error),
        },
        made => made.map(|()| true),
    };
    let made = match make() {
        Err(error) if error.kind() == ErrorKind::NotFound && directory_of(path) != path => {
            make_directory(directory_of(path))?;
            make()?
        }
        made => made?,
    };
    if made { File::open(directory_of(path))?.sync_all() } else { Ok(()) }
}

/// The directory of a path: its parent, or `.`.
fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) => Path::new("."),
        None => path,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::testing::Directory;
    use super::*;

    #[test]
    fn symlinks_are_resolved_also_to_files_that_do_not_exist() {
        let d = Directory::new();
        let real = d.path.join("real");
        std::fs::create_dir(&real).unwrap();
        symlink(&real, d.path.join("link")).unwrap();
        assert_eq!(resolve(&d.path.join("link/vault.age")).unwrap(), real.join("vault.age"));
        symlink("link/vault.age", d.path.join("dangling")).unwrap();
        assert_eq!(resolve(&d.path.join("dangling")).unwrap(), real.join("vault.age"));
        std::fs::write(real.join("vault.age"), "x").unwrap();
        assert_eq!(resolve(&d.path.join("dangling")).unwrap(), real.join("vault.age"));
        symlink("loop", d.path.join("loop")).unwrap();
        assert!(resolve(&d.path.join("loop")).is_err());
        let missing = resolve(&d.path.join("none/vault.age")).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
        assert!(resolve(&d.path.join("none/..")).is_err());
    }

    #[test]
    fn parents_are_made_with_mode_0700() {
        let d = Directory::new();
        make_parents(&d.path.join("a/b/vault.age")).unwrap();
        for made in ["a", "a/b"] {
            let mode = d.path.join(made).metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o7777, 0o700);
        }
        make_parents(Path::new("vault.age")).unwrap();
        std::fs::write(d.path.join("file"), "").unwrap();
        for path in ["file/vault.age", "file/b/vault.age"] {
            let error = make_parents(&d.path.join(path)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotADirectory);
        }
    }
}

#[cfg(test)]
pub(crate) mod testing {
    use std::path::PathBuf;

    /// A directory of the test's own, removed at its end.
    pub struct Directory {
        pub path: PathBuf,
    }

    impl Directory {
        pub fn new() -> Self {
            let mut random = [0; 8];
            getrandom::getrandom(&mut random).unwrap();
            let name = format!("vault-test-{:016x}", u64::from_le_bytes(random));
            let path = std::env::temp_dir().canonicalize().unwrap().join(name);
            std::fs::create_dir(&path).unwrap();
            Self { path }
        }

        pub fn names(&self) -> Vec<String> {
            let entries = std::fs::read_dir(&self.path).unwrap();
            let mut names: Vec<_> =
                entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
            names.sort();
            names
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}
