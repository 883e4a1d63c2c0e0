//! Single flight: one process makes a session, the others wait for it.
//!
//! A cache hit is one open, one read and one decryption, without a lock or a write. On a miss the session's
//! lock is taken, the cache is read again, and the session is made under the lock. If the holder dies, its
//! lock is free and the next process makes the session.
//!
//! No lock is held during a prompt. A call that needs one returns [`MintError::NeedsCode`], all locks are
//! released, and the caller asks and calls again; another process may have made the session by then.

use std::time::{Duration, Instant};

use super::SessionKind;
use super::cache::Cache;
use super::envelope::{LOGIN, PROGRAM};
use super::record::{Freshness, Record};
use crate::clock::Timestamp;
use crate::credential::Credentials;
use crate::error::{Error, Result};
use crate::file::{self, Lock, LockError};

/// The longest wait for another process, of the 50 s that all calls have together.
pub(super) const LOCK_WAIT: Duration = Duration::from_secs(45);

/// A session that is wanted.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The profile, which is stored for `list` and `clear` and is not part of the key.
    pub profile: &'a str,
    pub kind: SessionKind,
    /// All that determines the answer: base key id, roles with their parameters, MFA serial, partition, class
    /// of endpoint, and the duration if `length` is `None`. Different keys are different sessions.
    pub key: &'a [String],
    /// The duration, where sessions of different durations share a key and the longest serves all.
    pub length: Option<Length>,
    /// Sessions that were made before this are not served: with `--refresh`, those from before the process
    /// started; if a role needs a newer MFA session, the one with which it was refused.
    pub not_before: Option<Timestamp>,
    /// `AWS_MIN_TTL`: renew when less than this is left, in place of the refresh rule.
    pub min_left: Option<Duration>,
}

impl Wanted<'_> {
    /// Whether a record can be served.
    pub(super) fn freshness(&self, record: &Record, now: Timestamp) -> Freshness {
        let least = self.length.map_or(Duration::ZERO, |length| length.least);
        match record.freshness(now, self.min_left) {
            Freshness::Expired => Freshness::Expired,
            _ if record.length.unwrap_or_default() < least => Freshness::TooShort,
            _ if self.not_before.is_some_and(|time| record.made < time) => Freshness::TooOld,
            freshness => freshness,
        }
    }

    /// The duration to request: the wanted one, or that of the session to be replaced if it is longer.
    fn requested_length(&self, found: Option<&(Freshness, Record)>) -> Option<Duration> {
        let length = self.length.map(|length| length.wanted);
        match found {
            Some((Freshness::Due | Freshness::TooOld, old)) => length.max(old.length),
            _ => length,
        }
    }
}

/// The duration of a session, from when it is made until it ends.
#[derive(Clone, Copy, Debug)]
pub struct Length {
    /// The duration that is requested for a new session, unless the session that it replaces was longer.
    pub wanted: Duration,
    /// The least requested duration of a session that may be served.
    pub least: Duration,
}

/// A session from the cache or from AWS.
#[derive(Debug)]
pub struct Obtained {
    pub credentials: Credentials,
    /// When it was made, by this host's clock.
    pub made: Timestamp,
}

impl From<Record> for Obtained {
    fn from(record: Record) -> Self {
        Self { credentials: record.credentials, made: record.made }
    }
}

/// A session that is new to this host.
#[derive(Debug)]
pub enum Minted {
    /// AWS has just given it, for the duration that was requested.
    Here(Credentials),
    /// It is one that a fleet shares.
    Shared(Box<Record>),
}

/// Why a session was not made.
#[derive(Debug)]
pub enum MintError {
    /// A prompt is needed first, during which no lock may be held.
    NeedsCode,
    Failed(Error),
    /// AWS refused it to a base of which only the account is known: an old session may be another login's,
    /// so it is removed and not served.
    Refused(Error),
}

impl From<Error> for MintError {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl Cache {
    /// When the session ends that [`Cache::obtain`] would serve without a call, or would serve if the call
    /// for another one failed.
    pub fn until(&self, wanted: &Wanted<'_>) -> Option<Timestamp> {
        let name = self.keys.name(wanted.kind.as_str(), wanted.key);
        match self.find(wanted, &name)? {
            (Freshness::Fresh | Freshness::Due, record) => Some(record.ends),
            _ => None,
        }
    }

    /// True if [`Cache::obtain`] would serve a session without a call.
    pub fn is_fresh(&self, wanted: &Wanted<'_>) -> bool {
        let name = self.keys.name(wanted.kind.as_str(), wanted.key);
        matches!(self.find(wanted, &name), Some((Freshness::Fresh, _)))
    }

    /// Returns a session from the cache, or one that `mint` makes under the session's lock, once for all
    /// processes. `mint` gets the duration to request, if there is one.
    ///
    /// One process renews a session that is still valid, while the others get the old one; if that fails,
    /// the error is reported, and the old session is served for a minute. If nothing can be written, `mint`
    /// is called by every process.
    /// Errors: the error of `mint`, if there is no valid session; busy (8) if another process that makes the
    /// same session does not finish within 45 s or before `deadline`; [`MintError::NeedsCode`] if `mint` returns
    /// it, with the lock released. After [`MintError::Refused`] no old session is served, now or later.
    pub fn obtain(
        &self,
        wanted: &Wanted<'_>,
        deadline: Instant,
        mint: &mut dyn FnMut(Option<Duration>) -> Result<Minted, MintError>,
    ) -> Result<Obtained, MintError> {
        let name = self.keys.name(wanted.kind.as_str(), wanted.key);
        let found = self.find(wanted, &name);
        let mut length = wanted.requested_length(found.as_ref());
        let (mut old, seen) = match found {
            Some((Freshness::Fresh, record)) => return Ok(record.into()),
            Some((Freshness::Due, record)) => {
                let seen = Some(record.credentials.access_key_id.clone());
                (Some(record), seen)
            }
            Some((Freshness::TooOld, record)) => (None, Some(record.credentials.access_key_id)),
            _ => (None, None),
        };
        let wait = match old {
            Some(_) => Duration::ZERO,
            None => LOCK_WAIT.min(deadline.saturating_duration_since(Instant::now())),
        };
        let lock = match self.lock(wanted.kind.as_str(), &name, wait) {
            Ok(lock) => lock,
            Err(busy) => return old.map(Obtained::from).ok_or_else(|| busy.into()),
        };
        if lock.is_some() {
            // Another process may have made, tried to renew or cleared it meanwhile.
            let found = self.find(wanted, &name);
            length = wanted.requested_length(found.as_ref());
            old = match found {
                Some((Freshness::Fresh, record)) => return Ok(record.into()),
                // Made while this process waited, so it is newer than the one that was not served, and AWS
                // grants none that lasts longer. Otherwise every waiting process would ask.
                Some((Freshness::Due | Freshness::TooOld, record))
                    if seen.as_ref() != Some(&record.credentials.access_key_id) =>
                {
                    return Ok(record.into());
                }
                Some((Freshness::Due, record)) => Some(record),
                _ => None,
            };
        }
        match (mint(length), old) {
            (Ok(made), _) => Ok(self.store_new(wanted, &name, made, length, lock.is_some())),
            (Err(MintError::Failed(error)), Some(record)) if record.ends > self.clock.now() => {
                Ok(self.serve_old(wanted, &name, record, &error, lock.is_some()))
            }
            (Err(not_made), _) => {
                if let (MintError::Refused(_), Some(path)) =
                    (&not_made, self.path(wanted.kind.as_str(), &name))
                {
                    let _ = std::fs::remove_file(path);
                }
                Err(not_made)
            }
        }
    }

    /// Serves a valid session whose renewal failed, and records the failure if the session is locked.
    fn serve_old(
        &self,
        wanted: &Wanted<'_>,
        name: &str,
        mut record: Record,
        error: &Error,
        locked: bool,
    ) -> Obtained {
        self.reporter.warn(format!(
            "the session for {} could not be renewed; it is valid until {}: {}",
            wanted.profile,
            record.ends.to_rfc3339(),
            error.what
        ));
        record.failed = Some(self.clock.now());
        if locked {
            self.store(wanted.kind, name, &record);
        }
        record.into()
    }

    /// The lock to run a program that returns an MFA code for the session with this key, so that one of many
    /// processes runs it at a time. `None` if another process holds it for longer than `wait`, or if there is
    /// no directory for locks; the program is run anyway.
    pub fn program_lock(&self, key: &[String], wait: Duration) -> Option<Lock> {
        let name = self.keys.name(PROGRAM, key);
        self.lock(PROGRAM, &name, wait).ok().flatten()
    }

    fn find(&self, wanted: &Wanted<'_>, name: &str) -> Option<(Freshness, Record)> {
        let record = self.load(wanted.kind, name)?;
        Some((wanted.freshness(&record, self.clock.now()), record))
    }

    /// The session's lock; `None` without a directory for locks.
    pub(super) fn lock(&self, kind: &str, name: &str, wait: Duration) -> Result<Option<Lock>> {
        let Some(path) = self.path(kind, name) else {
            self.without_directory();
            return Ok(None);
        };
        let does = match kind {
            LOGIN => "uses the same login",
            PROGRAM => "runs the mfa_process",
            _ => "makes the same session",
        };
        let error = match file::lock_with_parents(&path, wait, does) {
            Ok(lock) => return Ok(Some(lock)),
            Err(LockError::Busy(holder)) => {
                let busy = holder.busy("is making the same session", wait);
                return Err(busy.hint("try again; if that process hangs, end it"));
            }
            Err(error) => error,
        };
        self.unusable(&error.to_string());
        Ok(None)
    }

    /// Stores a new session, if it expires, and returns it.
    fn store_new(
        &self,
        wanted: &Wanted<'_>,
        name: &str,
        minted: Minted,
        length: Option<Duration>,
        locked: bool,
    ) -> Obtained {
        let record = match minted {
            Minted::Here(credentials) => {
                let made = self.clock.now();
                let Some(ends) = credentials.expiration else {
                    return Obtained { credentials, made };
                };
                let profile = wanted.profile.to_owned();
                Record { profile, credentials, made, ends, failed: None, length }
            }
            Minted::Shared(record) => Record { profile: wanted.profile.to_owned(), ..*record },
        };
        if locked {
            self.store(wanted.kind, name, &record);
        }
        record.into()
    }
}

#[cfg(test)]
mod tests;
