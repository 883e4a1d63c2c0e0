//! The writers' lock: a file of its own beside the one that is guarded.
//!
//! A lock on the vault itself would be a lock on a file that the next rename replaces; 538 of 800
//! updates were lost that way. So the lock file is never replaced and never removed.

use std::fs::{File, OpenOptions, Permissions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The lock, held until it is dropped, or until the process ends in any way.
#[derive(Debug)]
pub struct Lock {
    file: File,
    /// False if somebody else's content is in the file.
    ours: bool,
}

/// Why there is no lock.
#[derive(Debug)]
pub enum LockError {
    /// Somebody else holds it, and did so until the end of the wait.
    Busy {
        /// The holder, where it could be read: a number of its own pid namespace.
        pid: Option<u32>,
    },
    /// The lock file cannot be made, opened or locked.
    Io(io::Error),
}

impl From<io::Error> for LockError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// Takes the exclusive lock on `<path>.lock`, trying again with short pauses until `wait` is over.
/// The lock file is made if it is missing, as open to its group as the guarded file is (0600 while
/// there is none), and holds the holder's pid for those who wait in vain.
///
/// # Errors
/// [`LockError`].
pub fn lock(path: &Path, wait: Duration) -> Result<Lock, LockError> {
    let deadline = Instant::now() + wait;
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let name = PathBuf::from(name);
    let mut file = open(&name, path)?;
    let mut pause = FIRST_PAUSE;
    loop {
        match file.try_lock() {
            Ok(()) if is_at(&file, &name) => break,
            // Removed by hand meanwhile: the lock would guard nothing.
            Ok(()) => file = open(&name, path)?,
            Err(TryLockError::Error(error)) => return Err(error.into()),
            Err(TryLockError::WouldBlock) => {
                let left = deadline.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return Err(LockError::Busy { pid: holder(&file) });
                }
                std::thread::sleep(pause.min(left));
                pause = (pause * 3 / 2).min(LONGEST_PAUSE);
            }
        }
    }
    // The pid is for people; a full disk must not stop a writer here. Who has called something else
    // NAME.lock keeps it: it locks as well as an empty file.
    let ours = holds_a_pid_at_most(&file);
    if ours {
        let _ = file.set_len(0);
        let _ = file.write_all_at(format!("{}\n", std::process::id()).as_bytes(), 0);
    }
    Ok(Lock { file, ours })
}

impl Drop for Lock {
    fn drop(&mut self) {
        if self.ours {
            let _ = self.file.set_len(0);
        }
        // Said aloud: a child of ours between fork and exec still holds a copy of the descriptor.
        let _ = self.file.unlock();
    }
}

/// Opens the lock file, and makes it first where it is missing. Made exclusively, then opened without
/// O_CREAT: in a sticky directory the kernel refuses O_CREAT on another user's file.
fn open(name: &Path, guarded: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    loop {
        match options.clone().create_new(true).mode(0o600).open(name) {
            Ok(file) => {
                share(&file, guarded);
                return Ok(file);
            }
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
            Err(_) => {}
        }
        match options.open(name) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Ok(file) if !file.metadata()?.is_file() => {
                return Err(io::Error::from_raw_os_error(libc::EEXIST));
            }
            result => return result,
        }
    }
}

/// Whoever may write the guarded file must be able to lock it. If that cannot be had, the lock stays
/// the owner's, and the others are told "permission denied".
fn share(file: &File, guarded: &Path) {
    let Ok(about) = guarded.metadata() else { return };
    let (Ok(own), mode) = (file.metadata(), about.mode() & 0o666 | 0o600) else { return };
    if own.gid() == about.gid() || fchown(file, None, Some(about.gid())).is_ok() {
        let _ = file.set_permissions(Permissions::from_mode(mode));
    }
}

fn is_at(file: &File, name: &Path) -> bool {
    match (file.metadata(), name.symlink_metadata()) {
        (Ok(held), Ok(there)) => (held.dev(), held.ino()) == (there.dev(), there.ino()),
        _ => false,
    }
}

fn holds_a_pid_at_most(file: &File) -> bool {
    file.metadata().is_ok_and(|about| about.len() == 0) || holder(file).is_some()
}

fn holder(file: &File) -> Option<u32> {
    let mut text = [0; 16];
    let length = file.read_at(&mut text, 0).ok()?;
    std::str::from_utf8(text.get(..length)?).ok()?.trim_end().parse().ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::super::testing::Directory;
    use super::*;

    fn mode(path: &Path) -> u32 {
        path.metadata().unwrap().mode() & 0o7777
    }

    #[test]
    fn a_busy_lock_names_its_holder() {
        let d = Directory::new();
        let vault = d.path.join("vault.age");
        let held = lock(&vault, Duration::ZERO).unwrap();
        match lock(&vault, Duration::from_millis(1)) {
            Err(LockError::Busy { pid }) => assert_eq!(pid, Some(std::process::id())),
            other => panic!("{other:?}"),
        }
        drop(held);
        drop(lock(&vault, Duration::ZERO).unwrap());
        assert_eq!(d.names(), ["vault.age.lock"], "it is never removed");
        assert_eq!(mode(&d.path.join("vault.age.lock")), 0o600);
    }

    #[test]
    fn a_waiting_writer_gets_the_lock_when_it_is_free() {
        let d = Directory::new();
        let vault = d.path.join("vault.age");
        let held = lock(&vault, Duration::ZERO).unwrap();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| lock(&vault, Duration::from_secs(45)).is_ok());
            drop(held);
            assert!(waiting.join().unwrap());
        });
    }

    #[test]
    fn a_shared_vault_has_a_shared_lock() {
        let d = Directory::new();
        let vault = d.path.join("vault.age");
        std::fs::write(&vault, "x").unwrap();
        std::fs::set_permissions(&vault, Permissions::from_mode(0o660)).unwrap();
        drop(lock(&vault, Duration::ZERO).unwrap());
        assert_eq!(mode(&d.path.join("vault.age.lock")), 0o660);
    }

    #[test]
    fn a_lock_is_no_symlink_and_no_pipe() {
        let d = Directory::new();
        let vault = d.path.join("vault.age");
        symlink("elsewhere", d.path.join("vault.age.lock")).unwrap();
        assert!(matches!(lock(&vault, Duration::ZERO), Err(LockError::Io(_))));
        assert_eq!(d.names(), ["vault.age.lock"]);
        std::fs::create_dir(d.path.join("other.lock")).unwrap();
        assert!(matches!(lock(&d.path.join("other"), Duration::ZERO), Err(LockError::Io(_))));
        let nowhere = lock(&d.path.join("none/vault.age"), Duration::ZERO);
        assert!(matches!(nowhere, Err(LockError::Io(e)) if e.kind() == ErrorKind::NotFound));
    }

    #[test]
    fn a_file_that_only_happens_to_have_the_locks_name_keeps_its_content() {
        let d = Directory::new();
        let vault = d.path.join("Cargo");
        for (content, after) in [("# ours\n", "# ours\n"), ("4711\n", ""), ("", "")] {
            std::fs::write(d.path.join("Cargo.lock"), content).unwrap();
            let held = lock(&vault, Duration::ZERO).unwrap();
            assert!(matches!(lock(&vault, Duration::ZERO), Err(LockError::Busy { .. })));
            drop(held);
            assert_eq!(std::fs::read_to_string(d.path.join("Cargo.lock")).unwrap(), after);
        }
    }
}
