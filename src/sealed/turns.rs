//! Whose turn it is to derive a key from a passphrase.
//!
//! A derivation takes 64 MiB and a core, be it for the vault's own passphrase or for a key's. Of a hundred processes that start together, each would take
//! its 64 MiB at once. So there are never more processes of a user that derive on a host than it has
//! cores for them; the others wait, and are served in the order in which they came. In a directory of
//! that user alone:
//!
//! | file | its lock is held by |
//! | --- | --- |
//! | `N.lock`, from 0 | who derives, one for each core |
//! | `queue.lock` | who is next, and looks for one of them that is free |
//!
//! A lock ends with its holder. Where there is no place for one, nobody waits.

use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::error::{Error, Result, os_text};
use crate::file::{self, Lock, LockError};
use crate::reporter::Reporter;

/// The longest wait.
const WAIT: Duration = Duration::from_secs(45);
/// A wait that is longer than this is said.
const SAID: Duration = Duration::from_secs(2);
/// How often who is next looks for a free core.
const PAUSE: Duration = Duration::from_millis(5);

/// Finds the directory of the locks.
type FindPlace<'a> = dyn Fn() -> Option<PathBuf> + Send + Sync + 'a;

/// Gives the turn to derive a key.
#[derive(Clone)]
pub struct DerivationQueue<'a> {
    place: Option<Arc<FindPlace<'a>>>,
    reporter: Reporter,
    deadline: Option<Instant>,
    longest: Duration,
}

impl std::fmt::Debug for DerivationQueue<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Turns").field("deadline", &self.deadline).finish_non_exhaustive()
    }
}

impl DerivationQueue<'static> {
    /// Waits for nobody.
    pub const fn nobody() -> Self {
        Self {
            place: None,
            reporter: Reporter { quiet: true, debug: false },
            deadline: None,
            longest: WAIT,
        }
    }
}

impl<'a> DerivationQueue<'a> {
    /// `place` finds a directory that nobody but this user can write, and is asked only where a key is
    /// to be derived. A long wait is said on stderr. With a `deadline` a machine waits, which shows or
    /// swallows what is said: then only under `--debug`, and nobody waits beyond it.
    pub fn new(
        place: impl Fn() -> Option<PathBuf> + Send + Sync + 'a,
        reporter: Reporter,
        deadline: Option<Instant>,
    ) -> Self {
        Self { place: Some(Arc::new(place)), reporter, deadline, longest: WAIT }
    }

    /// Waits for the turn, which lasts until the lock is dropped. `None`: there is no place for locks.
    ///
    /// Errors: class 8 after 45 s, or at the deadline.
    pub(super) fn wait(&self) -> Result<Option<Lock>> {
        let Some(place) = self.place.as_ref().and_then(|place| place()) else {
            return Ok(None);
        };
        let without = |why: String| {
            let shown = place.display();
            self.reporter
                .debug(format!("the passphrase is tried without a lock in {shown}: {why}"));
            Ok(None)
        };
        let start = Instant::now();
        let left = self.deadline.map(|end| end.saturating_duration_since(start));
        let longest = left.unwrap_or(WAIT).min(self.longest);
        match self.wait_in(&place.join("passphrase"), longest) {
            Ok(lock) => Ok(Some(lock)),
            Err(LockError::Io(error)) => without(os_text(&error)),
            Err(LockError::Planted(planted)) => without(planted.to_string()),
            Err(LockError::Busy { .. }) => Err(Error::busy(format!(
                "other processes of this user try a passphrase, waited {} s",
                longest.as_secs()
            ))
            .hint("start fewer at a time, or open the vault by a key, or by vault unlock before")),
        }
    }

    fn wait_in(&self, place: &Path, longest: Duration) -> Result<Lock, LockError> {
        let start = Instant::now();
        let queue = place.join("queue");
        file::make_parents(&queue)?;
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        let mut said = false;
        let _next = match file::lock(&queue, SAID.min(longest)) {
            Err(LockError::Busy { .. }) => {
                self.say_that_it_waits();
                said = true;
                file::lock(&queue, longest.saturating_sub(start.elapsed()))?
            }
            locked => locked?,
        };
        loop {
            for core in 0..cores {
                match file::lock(&place.join(core.to_string()), Duration::ZERO) {
                    Err(LockError::Busy { .. }) => {}
                    taken => return taken,
                }
            }
            if start.elapsed() >= longest {
                return Err(LockError::Busy { pid: None });
            }
            if !said && start.elapsed() >= SAID {
                self.say_that_it_waits();
                said = true;
            }
            thread::sleep(PAUSE);
        }
    }

    fn say_that_it_waits(&self) {
        let text = "waiting for other processes of this user that try a passphrase";
        match self.deadline {
            None => self.reporter.note(format!("vault: {text}")),
            Some(_) => self.reporter.debug(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    use super::super::{PassphrasePolicy, open_by_locked_key, parse_identities, parse_recipient, scan, seal};
    use super::*;
    use crate::error::Class;
    use crate::file::testing::Directory;
    use crate::secret::Secret;

    fn cores() -> usize {
        thread::available_parallelism().unwrap().get()
    }

    fn turns(place: &Path) -> DerivationQueue<'_> {
        let turns = DerivationQueue::new(|| Some(place.to_owned()), Reporter::default(), None);
        DerivationQueue { longest: Duration::from_millis(20), ..turns }
    }

    #[test]
    fn as_many_have_their_turn_at_once_as_there_are_cores() {
        let d = Directory::new();
        let turns = DerivationQueue { longest: WAIT, ..turns(&d.path) };
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..4 * cores() {
                scope.spawn(|| {
                    let turn = turns.wait().unwrap();
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
    fn the_wait_has_an_end_and_a_turn_too() {
        let d = Directory::new();
        let turns = turns(&d.path);
        let held: Vec<_> = (0..cores()).map(|_| turns.wait().unwrap().unwrap()).collect();
        assert_eq!(turns.wait().unwrap_err().class, Class::Busy);
        drop(held);
        let queue = file::lock(&d.path.join("passphrase/queue"), Duration::ZERO).unwrap();
        assert_eq!(turns.wait().unwrap_err().class, Class::Busy);
        drop(queue);
        assert!(turns.wait().unwrap().is_some());
    }

    #[test]
    fn nobody_waits_beyond_the_deadline() {
        let d = Directory::new();
        let turns = DerivationQueue { deadline: Some(Instant::now()), longest: WAIT, ..turns(&d.path) };
        let held: Vec<_> = (0..cores()).map(|_| turns.wait().unwrap().unwrap()).collect();
        let error = turns.wait().unwrap_err();
        assert_eq!(error.what, "other processes of this user try a passphrase, waited 0 s");
        drop(held);
        assert!(turns.wait().unwrap().is_some());
    }

    #[test]
    fn the_passphrase_of_a_key_takes_a_turn_too() {
        use age::armor::{ArmoredWriter, Format};

        let d = Directory::new();
        let turns = turns(&d.path);
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
        let terms = PassphrasePolicy { turns: &turns, ..PassphrasePolicy::unasked() };

        let held: Vec<_> = (0..cores()).map(|_| turns.wait().unwrap().unwrap()).collect();
        let error = file[0].decrypt_file(&word, &turns).unwrap_err();
        assert_eq!(error.class, Class::Busy);
        let error = open_by_locked_key(&scanned, &ssh, &word, terms).unwrap_err();
        assert_eq!(error.class, Class::Busy);
        drop(held);
        assert!(file[0].decrypt_file(&word, &turns).unwrap().is_some());
        assert!(open_by_locked_key(&scanned, &ssh, &word, terms).is_ok());
    }

    #[test]
    fn where_there_is_no_place_for_a_lock_nobody_waits() {
        assert!(DerivationQueue::none().wait().unwrap().is_none());
        assert!(DerivationQueue::new(|| None, Reporter::default(), None).wait().unwrap().is_none());
        let d = Directory::new();
        std::fs::write(d.path.join("passphrase"), "a file").unwrap();
        assert!(turns(&d.path).wait().unwrap().is_none());
    }
}
