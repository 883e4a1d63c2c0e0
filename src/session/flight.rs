//! Single flight: who makes a session, and who waits for it.
//!
//! A hit is one open, one read and one decryption: no lock, no look round, no write. On a miss the
//! session's lock is taken, the cache is looked at again, and then the session is made under the lock.
//! A holder that dies frees the lock by dying, and the next one makes the session.
//!
//! A person is not waited for under a lock. What needs one says so ([`NotMade::Unasked`]), all locks are
//! let go, and whoever has the answer comes again: by then somebody else may have made the session.

use std::time::{Duration, Instant};

use super::SessionKind;
use super::cache::Cache;
use super::envelope::TURN;
use super::record::{Freshness, Record};
use crate::clock::Timestamp;
use crate::credential::Credentials;
use crate::error::{Error, Result};
use crate::file::{self, Holder, Lock, LockError};

/// The longest wait for another process, out of the 50 s that all calls together have.
pub(super) const LOCK_WAIT: Duration = Duration::from_secs(45);

/// A session that is wanted.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The profile, kept inside for `list` and `clear`; it does not tell sessions apart.
    pub profile: &'a str,
    /// What makes it.
    pub kind: SessionKind,
    /// All that shapes the answer: base key id, roles with their parameters, MFA serial, partition, class
    /// of endpoint, and the duration where `length` is none. Sessions with different keys are different
    /// sessions.
    pub key: &'a [String],
    /// Where sessions of several lengths are one session, the longest of which serves all.
    pub length: Option<Length>,
    /// Sessions made before this do not count: under `--refresh` those from before the process, and
    /// where a role wants a newer MFA code, the one that it was refused over.
    pub not_before: Option<Timestamp>,
    /// `AWS_MIN_TTL`: renew when less than this is left, instead of the refresh rule.
    pub min_left: Option<Duration>,
}

/// How long a session is to be, from when it is made until it ends.
#[derive(Clone, Copy, Debug)]
pub struct Length {
    /// What is asked of AWS, if one has to be made; unless the one whose place it takes was longer.
    pub wanted: Duration,
    /// What is asked of AWS must have been this at least.
    pub least: Duration,
}

/// A session that was had.
#[derive(Debug)]
pub struct Obtained {
    /// Its credentials.
    pub credentials: Credentials,
    /// When it was made, by our clock.
    pub made: Timestamp,
}

impl From<Record> for Obtained {
    fn from(record: Record) -> Self {
        Self { credentials: record.credentials, made: record.made }
    }
}

/// Why a session was not made.
#[derive(Debug)]
pub enum NotMade {
    /// Somebody has to be asked first, which may take long: to be done without a lock.
    Unasked,
    /// This went wrong.
    Failed(Error),
}

impl From<Error> for NotMade {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// What the cache has to say.
enum Cached {
    /// This, without further ado.
    Serve(Obtained),
    /// Something valid that one process should renew.
    Renew(Record),
    /// Something valid that was made before the time from which sessions count.
    Before(Record),
    /// Something valid that is made for others, who want less.
    Short,
    Nothing,
}

impl Cached {
    /// The length to be made: what is asked for, or that of the session whose place it takes.
    fn length(&self, wanted: &Wanted<'_>) -> Option<Duration> {
        let length = wanted.length.map(|length| length.wanted);
        match self {
            Self::Renew(record) | Self::Before(record) => length.max(record.length),
            Self::Serve(_) | Self::Short | Self::Nothing => length,
        }
    }
}

impl Cache {
    /// One session: served from the cache, or made by `mint` under its lock, once for all processes.
    /// `mint` is told the length, where there is one to tell.
    ///
    /// While the old one is valid, one process renews it, and the others get it at once; if that fails,
    /// it is said, and everybody gets the old one for a minute. Where nothing can be written, `mint`
    /// makes a session for each who asks.
    ///
    /// # Errors
    /// `mint`'s, if there is no valid session to serve instead; busy (8) if another process that makes
    /// the same session did not finish within 45 s, or before `deadline`. [`NotMade::Unasked`] if that is
    /// what `mint` says: nothing has failed, and the lock is free again.
    pub fn obtain(
        &self,
        wanted: &Wanted<'_>,
        deadline: Instant,
        mint: &mut dyn FnMut(Option<Duration>) -> Result<Credentials, NotMade>,
    ) -> Result<Obtained, NotMade> {
        let name = self.keys.name(wanted.kind.as_str(), wanted.key.iter().map(String::as_str));
        let found = self.look(wanted, &name);
        let mut length = found.length(wanted);
        let (mut old, seen) = match found {
            Cached::Serve(session) => return Ok(session),
            Cached::Renew(record) => {
                let seen = Some(record.credentials.access_key_id.clone());
                (Some(record), seen)
            }
            Cached::Before(record) => (None, Some(record.credentials.access_key_id)),
            Cached::Short | Cached::Nothing => (None, None),
        };
        let wait = match old {
            Some(_) => Duration::ZERO,
            None => LOCK_WAIT.min(deadline.saturating_duration_since(Instant::now())),
        };
        let lock = match (self.lock(wanted.kind.as_str(), &name, wait), old) {
            (Ok(None), record) => {
                old = record;
                None
            }
            (Ok(Some(lock)), _) => {
                // Made or tried by another process meanwhile, or cleared.
                let found = self.look(wanted, &name);
                length = found.length(wanted);
                old = match found {
                    Cached::Serve(session) => return Ok(session),
                    // Made while this one waited: newer than what it would not have, and AWS gives
                    // none that lasts longer. Those behind in the queue would all ask again.
                    Cached::Renew(record) | Cached::Before(record)
                        if seen.as_ref() != Some(&record.credentials.access_key_id) =>
                    {
                        return Ok(record.into());
                    }
                    Cached::Renew(record) => Some(record),
                    Cached::Before(_) | Cached::Short | Cached::Nothing => None,
                };
                Some(lock)
            }
            (Err(_), Some(record)) => return Ok(record.into()),
            (Err(busy), None) => return Err(busy.into()),
        };
        match (mint(length), old) {
            (Ok(made), _) => Ok(self.keep(wanted, &name, made, length, lock.is_some())),
            (Err(NotMade::Failed(error)), Some(mut record)) if record.ends > self.clock.now() => {
                self.reporter.warn(format!(
                    "the session for {} could not be renewed, it lasts until {}: {}",
                    wanted.profile,
                    record.ends.to_rfc3339(),
                    error.what
                ));
                record.failed = Some(self.clock.now());
                if lock.is_some() {
                    self.store(wanted.kind, &name, &record);
                }
                Ok(record.into())
            }
            (Err(not_made), _) => Err(not_made),
        }
    }

    /// The turn to run a program that gives a code for the session of this key, so that of many
    /// processes that start at once one runs it. None if another process keeps it for longer than
    /// `wait`, or where there is no place for locks: then it is run all the same.
    pub fn turn(&self, key: &[String], wait: Duration) -> Option<Lock> {
        let name = self.keys.name(TURN, key.iter().map(String::as_str));
        self.lock(TURN, &name, wait).ok().flatten()
    }

    fn look(&self, wanted: &Wanted<'_>, name: &str) -> Cached {
        let Some(record) = self.load(wanted.kind, name) else { return Cached::Nothing };
        let before = wanted.not_before.is_some_and(|time| record.made < time);
        match record.freshness(self.clock.now(), wanted.min_left) {
            Freshness::Over => Cached::Nothing,
            _ if wanted.length.is_some_and(|length| record.is_shorter(length.least)) => {
                Cached::Short
            }
            _ if before => Cached::Before(record),
            Freshness::Fresh => Cached::Serve(record.into()),
            Freshness::Due => Cached::Renew(record),
        }
    }

    /// The session's lock; none where there is no place for one.
    pub(super) fn lock(&self, kind: &str, name: &str, wait: Duration) -> Result<Option<Lock>> {
        let Some(path) = self.path(kind, name) else {
            self.nowhere();
            return Ok(None);
        };
        match file::lock_with_parents(&path, wait) {
            Ok(lock) => Ok(Some(lock)),
            Err(LockError::Planted(planted)) => {
                self.unusable(&std::io::Error::other(planted.to_string()));
                Ok(None)
            }
            Err(LockError::Io(error)) => {
                self.unusable(&error);
                Ok(None)
            }
            Err(LockError::Busy { pid }) => Err(Error::busy(format!(
                "{} is making the same session, waited {} s",
                Holder { pid },
                wait.as_secs()
            ))
            .hint("try again; if that process hangs, end it")),
        }
    }

    /// Stores what was made, if it ends; and gives it back.
    fn keep(
        &self,
        wanted: &Wanted<'_>,
        name: &str,
        credentials: Credentials,
        length: Option<Duration>,
        locked: bool,
    ) -> Obtained {
        let made = self.clock.now();
        let Some(ends) = credentials.expiration.filter(|_| locked) else {
            return Obtained { credentials, made };
        };
        let profile = wanted.profile.to_owned();
        let record = Record { profile, credentials, made, ends, failed: None, length };
        self.store(wanted.kind, name, &record);
        record.into()
    }
}

#[cfg(test)]
mod lengths;
#[cfg(test)]
mod tests;
