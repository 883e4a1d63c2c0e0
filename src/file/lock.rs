//! The writers' lock: flock(2) on a separate file beside the guarded one.
//!
//! A lock on the vault itself would be on a file that the next rename replaces; 538 of 800 updates were
//! lost that way. So the lock file is never replaced, and a vault's is removed only by a writer that may
//! not open it: see [`may_take_over`].

mod error;
mod owner;

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::make_parents;
use super::temporary::remove_temporaries;
use crate::waiting::waiting;
pub use error::{Holder, LockError, lock_file};
pub use owner::Planted;
use owner::{may_take_over, planted, share, share_again};

/// A lock that is held until it is dropped or the process ends.
#[derive(Debug)]
pub struct Lock {
    file: File,
    /// The lock file's path.
    name: PathBuf,
    /// True if the file holds nothing but our process id.
    holds_pid: bool,
}

/// The threads of this process that wait for a lock.
static WAITING: AtomicUsize = AtomicUsize::new(0);
/// The most of them. Each timeout leaves a thread behind, so a server that retries while a lock is held
/// would collect them; beyond this number, a caller sleeps and tries once.
const WAITING_LIMIT: usize = 64;

/// Takes the exclusive lock on `<path>.lock` within `wait`. A missing lock file is created, open to those
/// who may write the guarded file (mode 0600 if there is none). It holds the process id of the holder,
/// for the messages of others. `does` is what any holder of it does, after "which".
pub fn lock(path: &Path, wait: Duration, does: &'static str) -> Result<Lock, LockError> {
    let deadline = Instant::now() + wait;
    let name = lock_file(path);
    let (mut file, mut taken_over) = open(&name, path)?;
    wait_for(&file, deadline, does)?;
    // A lock file that was removed meanwhile guards nothing.
    while !is_same_file(&file, &name)? {
        let (again, taken) = open(&name, path)?;
        (file, taken_over) = (again, taken_over || taken);
        wait_for(&file, deadline, does)?;
    }
    if taken_over {
        remove_temporaries(path);
    }
    // The process id is for messages only, so a full disk does not stop a writer here. Another file of
    // the name NAME.lock keeps its content: it can be locked as well as an empty one.
    let holds_pid = is_empty_or_pid(&file);
    if holds_pid {
        share_again(&file, &name, path);
        let _ = file.set_len(0);
        let _ = file.write_all_at(format!("{}\n", std::process::id()).as_bytes(), 0);
    }
    Ok(Lock { file, name, holds_pid })
}

/// As [`lock`], after creating the missing directories of `path`.
pub fn lock_with_parents(
    path: &Path,
    wait: Duration,
    does: &'static str,
) -> Result<Lock, LockError> {
    make_parents(path)?;
    lock(path, wait, does)
}

impl Lock {
    /// True if no other writer has taken the lock over: the locked file is still in its place.
    pub(super) fn is_current(&self) -> io::Result<bool> {
        is_same_file(&self.file, &self.name)
    }
}

/// Waits in the kernel's queue, which serves in the order of arrival; a process that polls may never get
/// its turn. flock(2) has no timeout, so a thread waits. At the deadline the thread is left behind; it
/// releases the lock as soon as it gets it.
fn wait_for(file: &File, deadline: Instant, does: &'static str) -> Result<(), LockError> {
    match file.try_lock() {
        Ok(()) => return Ok(()),
        Err(TryLockError::WouldBlock) => {}
        // A signal, on a network file system.
        Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Interrupted => {}
        Err(TryLockError::Error(error)) => return Err(error.into()),
    }
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(LockError::Busy(holder(file)));
    }
    let held = file.try_clone()?;
    let what = move || format!("{}, which {does}", holder(&held));
    let _waiting = waiting(what, Some(deadline));
    if WAITING.load(Ordering::Relaxed) >= WAITING_LIMIT {
        std::thread::sleep(left);
        return file.try_lock().map_err(|_| LockError::Busy(holder(file)));
    }
    let queued = file.try_clone()?;
    let (send, receive) = mpsc::channel();
    std::thread::Builder::new().name("lock".to_owned()).spawn(move || {
        WAITING.fetch_add(1, Ordering::Relaxed);
        let locked = loop {
            match queued.lock() {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                locked => break locked,
            }
        };
        WAITING.fetch_sub(1, Ordering::Relaxed);
        if send.send(locked).is_err() {
            // Explicitly, as in `Lock::drop`.
            let _ = queued.unlock();
        }
    })?;
    match receive.recv_timeout(left) {
        Ok(locked) => Ok(locked?),
        Err(_) => Err(LockError::Busy(holder(file))),
    }
}

/// True if a process that may hold the lock on `path` holds it now. False if that cannot be known.
pub fn is_locked(path: &Path) -> bool {
    lock_holder(&lock_file(path)).is_ok_and(|holder| holder.is_some()) && planted_at(path).is_none()
}

/// Another user's file in the place of the lock file of `path`, if there is one.
pub fn planted_at(path: &Path) -> Option<Planted> {
    let name = lock_file(path);
    let about = name.symlink_metadata().ok()?;
    planted(&name, &about, path).ok().flatten()
}

/// The holder of this lock file's lock, if there is one. Nothing is created and nothing is waited for. A
/// process that tries for the lock at the same instant may find it busy.
pub fn lock_holder(lock_file: &Path) -> io::Result<Option<Holder>> {
    let file = match open_to_read(lock_file) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    // A shared lock, so that two callers do not see each other as holders.
    match file.try_lock_shared() {
        Ok(()) => file.unlock().map(|()| None),
        Err(TryLockError::WouldBlock) => Ok(Some(holder(&file))),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Removes a lock file that was last taken before this time (seconds since 1970), if it holds nothing but
/// a process id and its lock is free: for locks with short-lived names. It is removed under the lock, and
/// a process that has opened it meanwhile notices ([`lock`]). Not for a vault's lock, whose directory may
/// be shared with other users.
pub fn remove_idle_lock(lock_file: &Path, before: i64) {
    let Ok(file) = open_to_read(lock_file) else { return };
    if file.try_lock().is_err() {
        return;
    }
    let idle = file.metadata().is_ok_and(|about| about.is_file() && about.mtime() < before);
    if idle && is_empty_or_pid(&file) && is_same_file(&file, lock_file).unwrap_or(false) {
        let _ = std::fs::remove_file(lock_file);
    }
    let _ = file.unlock();
}

fn open_to_read(lock_file: &Path) -> io::Result<File> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    OpenOptions::new().read(true).custom_flags(flags).open(lock_file)
}

impl Drop for Lock {
    fn drop(&mut self) {
        if self.holds_pid {
            let _ = self.file.set_len(0);
        }
        // Explicitly: a child between fork and exec still has a copy of the descriptor.
        let _ = self.file.unlock();
    }
}

/// Opens the lock file, and creates it first if it is missing: with O_EXCL, then opened without O_CREAT,
/// since in a sticky directory the kernel refuses O_CREAT on another user's file. True if a file that may
/// be locked was replaced.
fn open(name: &Path, guarded: &Path) -> Result<(File, bool), LockError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    let mut taken_over = false;
    loop {
        match options.clone().create_new(true).mode(0o600).open(name) {
            Ok(file) => {
                share(&file, name, guarded);
                return Ok((file, taken_over));
            }
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error.into()),
            Err(_) => {}
        }
        let opened = options.open(name);
        // The opened file is what is checked; a file that cannot be opened is checked by its path.
        let about = match &opened {
            Ok(file) => file.metadata(),
            Err(_) => name.symlink_metadata(),
        };
        let about = match about {
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            about => about?,
        };
        if let Some(planted) = planted(name, &about, guarded)? {
            return Err(LockError::Planted(planted));
        }
        match opened {
            Ok(_) if !about.is_file() => {
                return Err(io::Error::from_raw_os_error(libc::EEXIST).into());
            }
            Ok(file) => return Ok((file, taken_over)),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) if error.kind() != ErrorKind::PermissionDenied => return Err(error.into()),
            Err(_) if may_take_over(&about, guarded) => match std::fs::remove_file(name) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
                _ => taken_over = true,
            },
            Err(error) => return Err(error.into()),
        }
    }
}

fn is_same_file(file: &File, name: &Path) -> io::Result<bool> {
    let held = file.metadata()?;
    match name.symlink_metadata() {
        Ok(there) => Ok((held.dev(), held.ino()) == (there.dev(), there.ino())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// True for a file whose content may be replaced. Not one with another hard link, whatever is in it: in a
/// directory of many users, the other name may be one that matters.
fn is_empty_or_pid(file: &File) -> bool {
    let Ok(about) = file.metadata() else { return false };
    let alone = about.nlink() <= 1;
    alone && (about.len() == 0 || holder(file).pid.is_some())
}

fn holder(file: &File) -> Holder {
    let mut text = [0; 16];
    let length = file.read_at(&mut text, 0).unwrap_or_default();
    let text = std::str::from_utf8(&text[..length]).unwrap_or_default();
    Holder { pid: text.trim_end().parse().ok() }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::super::testing::Directory;
    use super::*;
    use crate::os;

    fn mode(path: &Path) -> u32 {
        path.metadata().unwrap().mode() & 0o7777
    }

    #[test]
    fn a_busy_lock_names_its_holder() {
        let d = Directory::new();
        let vault = d.path.join("vault.age");
        assert!(!is_locked(&vault));
        let held = lock(&vault, Duration::ZERO, "tests").unwrap();
        assert!(is_locked(&vault));
        match lock(&vault, Duration::from_millis(1), "tests") {
            Err(LockError::Busy(holder)) => assert_eq!(holder.pid, Some(std::process::id())),
            other => panic!("{other:?}"),
        }
        let file = d.path.join("vault.age.lock");
        let pid = Some(std::process::id());
        assert_eq!(lock_holder(&file).unwrap(), Some(Holder { pid }));
        assert_eq!(lock_holder(&d.path.join("none.lock")).unwrap(), None);
        // The thread that timed out stays in the queue, and releases the lock as soon as it gets it.
        until_so_many_wait(&file, 1);
        drop(held);
        drop(lock(&vault, Duration::from_secs(45), "tests").unwrap());
        assert_eq!(lock_holder(&file).unwrap(), None);
        assert!(!is_locked(&vault));
        assert_eq!(d.names(), ["vault.age.lock"], "it is never removed");
        assert_eq!(mode(&d.path.join("vault.age.lock")), 0o600);
    }

    #[test]
    fn a_waiting_writer_gets_the_lock_when_it_is_free() {
        let d = Directory::new();
        let vault = d.path.join("vault.age");
        let held = lock(&vault, Duration::ZERO, "tests").unwrap();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| lock(&vault, Duration::from_secs(45), "tests").is_ok());
            drop(held);
            assert!(waiting.join().unwrap());
        });
    }

    /// Waits until so many processes wait for this file, as the kernel lists them.
    fn until_so_many_wait(file: &Path, count: usize) {
        let inode = format!(":{} ", file.metadata().unwrap().ino());
        let deadline = Instant::now() + Duration::from_secs(45);
        let waiting = || {
            let locks = std::fs::read_to_string("/proc/locks").unwrap();
            locks.lines().filter(|line| line.contains("-> ") && line.contains(&inode)).count()
        };
        while waiting() != count {
            assert!(Instant::now() < deadline, "{} wait, not {count}", waiting());
            std::thread::yield_now();
        }
    }

    #[test]
    fn waiting_writers_are_served_in_order() {
        let d = Directory::new();
        let vault = d.path.join("vault.age");
        let held = lock(&vault, Duration::ZERO, "tests").unwrap();
        let served = std::sync::Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            let (vault, served) = (&vault, &served);
            for number in 0..5 {
                scope.spawn(move || {
                    let _lock = lock(vault, Duration::from_secs(45), "tests").unwrap();
                    served.lock().unwrap().push(number);
                });
                until_so_many_wait(&d.path.join("vault.age.lock"), number + 1);
            }
            drop(held);
        });
        assert_eq!(served.into_inner().unwrap(), [0, 1, 2, 3, 4]);
    }

    #[test]
    fn repeated_timeouts_leave_a_limited_number_of_threads() {
        let test = "file::lock::tests::repeated_timeouts_leave_a_limited_number_of_threads";
        if os::testing::role().is_none() {
            // The threads are counted for the whole process.
            return os::testing::passed(&os::testing::again(test, "alone").output().unwrap());
        }
        let d = Directory::new();
        let vault = d.path.join("vault.age");
        let held = lock(&vault, Duration::ZERO, "tests").unwrap();
        for _ in 0..2 * WAITING_LIMIT {
            let busy = lock(&vault, Duration::from_millis(1), "tests");
            assert!(matches!(busy, Err(LockError::Busy { .. })));
        }
        let threads = || std::fs::read_dir("/proc/self/task").unwrap().count();
        // The harness has some of its own; and one that has yet to begin is not counted.
        assert!((WAITING_LIMIT..WAITING_LIMIT + 32).contains(&threads()), "{}", threads());
        drop(held);
        let deadline = Instant::now() + Duration::from_secs(45);
        while threads() > 8 {
            assert!(Instant::now() < deadline, "{} stay", threads());
            std::thread::yield_now();
        }
    }

    #[test]
    fn only_users_who_may_write_the_vault_may_lock_it() {
        let d = Directory::new();
        let vault = d.path.join("vault.age");
        std::fs::write(&vault, "x").unwrap();
        for (guarded, own) in [(0o660, 0o660), (0o644, 0o600), (0o664, 0o660), (0o400, 0o600)] {
            std::fs::set_permissions(&vault, Permissions::from_mode(guarded)).unwrap();
            drop(lock(&vault, Duration::ZERO, "tests").unwrap());
            assert_eq!(mode(&d.path.join("vault.age.lock")), own);
            std::fs::remove_file(d.path.join("vault.age.lock")).unwrap();
        }
    }

    #[test]
    #[ignore = "needs root, to give files away"]
    fn a_lock_file_that_root_creates_belongs_to_the_vaults_owner() {
        let d = Directory::new();
        let vault = d.path.join("vault.age");
        std::fs::write(&vault, "x").unwrap();
        std::os::unix::fs::chown(&vault, Some(4711), Some(4712)).unwrap();
        drop(lock(&vault, Duration::ZERO, "tests").unwrap());
        let made = d.path.join("vault.age.lock").metadata().unwrap();
        assert_eq!((made.uid(), made.gid(), made.mode() & 0o7777), (4711, 4712, 0o600));
    }

    #[test]
    fn a_lock_is_no_symlink_and_no_pipe() {
        let d = Directory::new();
        let vault = d.path.join("vault.age");
        symlink("elsewhere", d.path.join("vault.age.lock")).unwrap();
        assert!(matches!(lock(&vault, Duration::ZERO, "tests"), Err(LockError::Io(_))));
        assert_eq!(d.names(), ["vault.age.lock"]);
        std::fs::create_dir(d.path.join("other.lock")).unwrap();
        assert!(matches!(
            lock(&d.path.join("other"), Duration::ZERO, "tests"),
            Err(LockError::Io(_))
        ));
        let nowhere = lock(&d.path.join("none/vault.age"), Duration::ZERO, "tests");
        assert!(matches!(nowhere, Err(LockError::Io(e)) if e.kind() == ErrorKind::NotFound));
    }

    #[test]
    fn another_file_of_the_locks_name_keeps_its_content() {
        let d = Directory::new();
        let vault = d.path.join("Cargo");
        for (content, after) in [("# ours\n", "# ours\n"), ("4711\n", ""), ("", "")] {
            std::fs::write(d.path.join("Cargo.lock"), content).unwrap();
            let held = lock(&vault, Duration::ZERO, "tests").unwrap();
            assert!(matches!(lock(&vault, Duration::ZERO, "tests"), Err(LockError::Busy { .. })));
            drop(held);
            assert_eq!(std::fs::read_to_string(d.path.join("Cargo.lock")).unwrap(), after);
        }
        std::fs::write(d.path.join("counter"), "4711\n").unwrap();
        std::fs::hard_link(d.path.join("counter"), d.path.join("Other.lock")).unwrap();
        drop(lock(&d.path.join("Other"), Duration::ZERO, "tests").unwrap());
        assert_eq!(std::fs::read_to_string(d.path.join("counter")).unwrap(), "4711\n");
    }

    #[test]
    fn only_an_idle_lock_file_is_removed() {
        let d = Directory::new();
        let (path, file) = (d.path.join("s"), d.path.join("s.lock"));
        let (past, future) = (0, i64::MAX);
        let held = lock(&path, Duration::ZERO, "tests").unwrap();
        remove_idle_lock(&file, future);
        assert!(file.exists(), "it is held");
        // A process that waits for it meanwhile gets the current one.
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| lock(&path, Duration::from_secs(60), "tests").unwrap());
            drop(held);
            drop(waits.join().unwrap());
        });
        remove_idle_lock(&file, past);
        assert!(file.exists(), "it was just taken");
        remove_idle_lock(&file, future);
        assert!(!file.exists());
        std::fs::write(&file, "a diary").unwrap();
        for other in [&file, &d.path] {
            remove_idle_lock(other, future);
            assert!(other.exists(), "it is no lock of ours");
        }
    }
}
