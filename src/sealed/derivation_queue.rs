//! The queue of a user's processes that derive a key from a passphrase.
//!
//! A derivation, for a slot or for a passphrase-protected key, needs 64 MiB and a core. A hundred
//! processes that start together would allocate that memory at once. So no more processes of a user
//! derive at a time than the host has cores; the others wait and are served in their order. The queue is
//! a directory that belongs to the user:
//!
//! | file | its lock is held by |
//! | --- | --- |
//! | `N.lock`, from 0 | a process that derives; one file for each core |
//! | `queue.lock` | the next process, which polls for a free `N.lock` |
//!
//! A lock ends with its process. Without such a directory, nothing is waited for.

use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::file::{self, Holder, Lock, LockError};
use crate::reporter::Reporter;
use crate::waiting::waiting;

/// The longest wait.
const WAIT: Duration = Duration::from_secs(45);
/// What holds a lock of the queue.
const DOES: &str = "is before this one in the queue to try a passphrase";
/// How often the next process polls for a free lock.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// Finds the directory of the locks.
type FindDirectory<'a> = dyn Fn() -> Option<PathBuf> + Send + Sync + 'a;

/// The queue for key derivation.
#[derive(Clone)]
pub struct DerivationQueue<'a> {
    directory: Option<Arc<FindDirectory<'a>>>,
    reporter: Reporter,
    deadline: Option<Instant>,
}

impl DerivationQueue<'static> {
    /// No queue: a derivation starts at once.
    pub const fn none() -> Self {
        Self { directory: None, reporter: Reporter { quiet: true, debug: false }, deadline: None }
    }
}

impl<'a> DerivationQueue<'a> {
    /// `directory` finds a directory that only this user can write; it is called only before a derivation.
    /// The wait ends at the `deadline`, if there is one.
    pub fn new(
        directory: impl Fn() -> Option<PathBuf> + Send + Sync + 'a,
        reporter: Reporter,
        deadline: Option<Instant>,
    ) -> Self {
        Self { directory: Some(Arc::new(directory)), reporter, deadline }
    }

    /// Waits for a free core, which is taken until the lock is dropped. `None` without a directory for locks.
    /// Errors: class 8 after 45 s, or at the deadline.
    pub(super) fn wait(&self) -> Result<Option<Lock>> {
        let Some(directory) = self.directory.as_ref().and_then(|find| find()) else {
            return Ok(None);
        };
        let start = Instant::now();
        let left = self.deadline.map(|end| end.saturating_duration_since(start));
        let longest = left.map_or(WAIT, |left| left.min(WAIT));
        let why = match self.wait_in(&directory.join("passphrase"), longest) {
            Ok(lock) => return Ok(Some(lock)),
            Err(LockError::Busy(_)) => {
                let waited = longest.as_secs();
                return Err(Error::busy(format!(
                    "other processes of this user are trying a passphrase, waited {waited} s"
                ))
                .hint("start fewer at a time, use a key, or run vault unlock before"));
            }
            Err(error) => error,
        };
        let shown = directory.display();
        self.reporter.debug(format!("the passphrase is tried without a lock in {shown}: {why}"));
        Ok(None)
    }

    fn wait_in(&self, directory: &Path, longest: Duration) -> Result<Lock, LockError> {
        let start = Instant::now();
        let queue = directory.join("queue");
        file::make_parents(&queue)?;
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        let _next = file::lock(&queue, longest, DOES)?;
        let mut shown = None;
        loop {
            for core in 0..cores {
                match file::lock(&directory.join(core.to_string()), Duration::ZERO, DOES) {
                    Err(LockError::Busy { .. }) => {}
                    taken => return taken,
                }
            }
            if start.elapsed() >= longest {
                return Err(LockError::Busy(Holder { pid: None }));
            }
            let what = || "other processes of this user that try a passphrase".to_owned();
            shown.get_or_insert_with(|| waiting(what, Some(start + longest)));
            thread::sleep(POLL_INTERVAL);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    use super::super::{
        PassphrasePolicy, open_by_locked_key, parse_identities, parse_recipient, scan, seal,
    };
    use super::*;
    use crate::error::Class;
    use crate::file::testing::Directory;
    use crate::secret::Secret;

    fn cores() -> usize {
        thread::available_parallelism().unwrap().get()
    }

    fn queue(dir: &Path) -> DerivationQueue<'_> {
        let soon = Instant::now() + Duration::from_millis(20);
        DerivationQueue::new(|| Some(dir.to_owned()), Reporter::default(), Some(soon))
    }

    #[test]
    fn no_more_derive_at_once_than_there_are_cores() {
        let d = Directory::new();
        let queue = DerivationQueue { deadline: None, ..queue(&d.path) };
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..4 * cores() {
                scope.spawn(|| {
                    let turn = queue.wait().unwrap();
                    most.fetch_max(now.fetch_add(1, SeqCst) + 1, SeqCst);
                    thread::sleep(Duration::from_millis(10));
                    now.fetch_sub(1, SeqCst);
                    assert!(turn.is_some());
                });
            }
        });
        assert!(most.into_inner() <= cores());
    }

    #[test]
    fn the_wait_times_out_and_a_free_core_is_taken() {
        let d = Directory::new();
        let queue = queue(&d.path);
        let held: Vec<_> = (0..cores()).map(|_| queue.wait().unwrap().unwrap()).collect();
        assert_eq!(queue.wait().unwrap_err().class, Class::Busy);
        drop(held);
        let next = file::lock(&d.path.join("passphrase/queue"), Duration::ZERO, DOES).unwrap();
        assert_eq!(queue.wait().unwrap_err().class, Class::Busy);
        drop(next);
        assert!(queue.wait().unwrap().is_some());
    }

    #[test]
    fn the_wait_ends_at_the_deadline() {
        let d = Directory::new();
        let queue = DerivationQueue { deadline: Some(Instant::now()), ..queue(&d.path) };
        let held: Vec<_> = (0..cores()).map(|_| queue.wait().unwrap().unwrap()).collect();
        let error = queue.wait().unwrap_err();
        assert_eq!(error.what, "other processes of this user are trying a passphrase, waited 0 s");
        drop(held);
        assert!(queue.wait().unwrap().is_some());
    }

    #[test]
    fn the_passphrase_of_a_key_is_tried_in_the_queue_too() {
        use age::armor::{ArmoredWriter, Format};

        let d = Directory::new();
        let queue = queue(&d.path);
        let word = Secret::new("test".to_owned());
        let parse = |text: &str| parse_identities(&Secret::new(text.to_owned()), "key").unwrap();

        let mut recipient = age::scrypt::Recipient::new("test".to_owned().into());
        recipient.set_work_factor(4);
        let to = std::iter::once(&recipient as &dyn age::Recipient);
        let mut file = Vec::new();
        let armor = ArmoredWriter::wrap_output(&mut file, Format::AsciiArmor).unwrap();
        let writer = age::Encryptor::with_recipients(to).unwrap().wrap_output(armor).unwrap();
        writer.finish().and_then(ArmoredWriter::finish).unwrap();
        let file = parse(std::str::from_utf8(&file).unwrap());

        let public = include_str!("../../fixtures/ssh/test_ed25519_encrypted.pub");
        let sealed = seal(b"", &[parse_recipient(public).unwrap()], &[], false).unwrap();
        let scanned = scan(&sealed.bytes).unwrap();
        let ssh = parse(include_str!("../../fixtures/ssh/test_ed25519_encrypted"));
        let policy = PassphrasePolicy { queue: &queue, ..PassphrasePolicy::default_limits() };

        let held: Vec<_> = (0..cores()).map(|_| queue.wait().unwrap().unwrap()).collect();
        let error = file[0].decrypt_file(&word, &queue).unwrap_err();
        assert_eq!(error.class, Class::Busy);
        let error = open_by_locked_key(&scanned, &ssh, &word, policy).unwrap_err();
        assert_eq!(error.class, Class::Busy);
        drop(held);
        assert!(file[0].decrypt_file(&word, &queue).unwrap().is_some());
        assert!(open_by_locked_key(&scanned, &ssh, &word, policy).is_ok());
    }

    #[test]
    fn without_a_directory_for_locks_nothing_is_waited_for() {
        assert!(DerivationQueue::none().wait().unwrap().is_none());
        assert!(DerivationQueue::new(|| None, Reporter::default(), None).wait().unwrap().is_none());
        let d = Directory::new();
        std::fs::write(d.path.join("passphrase"), "a file").unwrap();
        assert!(queue(&d.path).wait().unwrap().is_none());
    }
}
