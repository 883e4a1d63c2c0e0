//! The ledger of an MFA device: its claims in an encrypted file. Its lock is taken after all others and
//! held only to read and write, never during a call or a wait.
//!
//! A claim that cannot be recorded is an error: on a full disk (ENOSPC, EDQUOT), on a failing one (EIO),
//! without locks (ENOLCK), over a limit (EFBIG), or if a ledger exists and cannot be read or written, every
//! process would send the codes of the others. Only if no ledger exists and its directory or lock cannot be
//! created (EROFS, EACCES, ENOENT and so on) are claims made without one; only this process knows them, and
//! [`Claim::recorded`] is false.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::cache::Cache;
use super::envelope::LEDGER;
use super::fleet::SharedClaims;
use super::totp_claims::{Claimed, Selection, Times, TotpClaims};
use crate::clock::Timestamp;
use crate::error::{Error, Result, os_text};
use crate::file::{self, Lock, LockError};
use crate::random;

/// The time that a call needs after its code is due.
const CALL: Duration = Duration::from_secs(5);
/// The most claims of its own that a process remembers beside the file.
const OWN_CLAIMS: usize = 16;

/// A TOTP step that is reserved for this process, whether its code is sent or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The step whose code may be sent once.
    pub step: u64,
    /// How long to wait before it is sent: AWS accepts the code only then, or limits the number of codes.
    pub wait: Duration,
    /// False without a ledger: another process may send the same code, so few should be sent.
    pub recorded: bool,
    claimed: Claimed,
}

impl Claim {
    /// Removes it from the claims that a fleet's hosts share.
    pub fn remove_from(&self, shared: &mut SharedClaims) {
        shared.claims.remove(self.claimed);
    }
}

/// Which of the free steps is claimed.
#[derive(Clone, Copy, Debug)]
pub enum Choice {
    /// The present one, otherwise another that AWS accepts now, otherwise the next future one.
    Nearest,
    /// A random one that AWS accepts now, otherwise the next future one: hosts without a shared ledger would
    /// all begin with the nearest.
    Random,
    /// One after AWS refused a code, which happens if hosts without a shared ledger send the same ones. It
    /// may be a future step; for the `last` code of this process it always is, if the deadline allows the
    /// wait.
    AfterRefusal { last: bool },
}

impl Choice {
    fn selection(self, deadline: Instant) -> Result<Selection> {
        let random = || random::bytes().map(|bytes| u64::from_le_bytes(*bytes));
        Ok(match self {
            Self::Nearest => Selection::Nearest,
            Self::Random => Selection::Random(random()?),
            Self::AfterRefusal { last } => {
                let left = deadline.saturating_duration_since(Instant::now()).saturating_sub(CALL);
                let reach = i64::try_from(left.as_secs()).unwrap_or(i64::MAX);
                Selection::AfterRefusal { last, reach, random: random()? }
            }
        })
    }
}

/// One device's ledger.
#[derive(Debug)]
pub struct Ledger<'a> {
    cache: &'a Cache,
    device: String,
    name: String,
}

impl Cache {
    /// The ledger of the MFA device with this serial.
    pub fn ledger(&self, device: &str) -> Ledger<'_> {
        let name = self.keys.name(LEDGER, [device]);
        Ledger { cache: self, device: device.to_owned(), name }
    }
}

impl Ledger<'_> {
    /// Claims a free step of `period` seconds. `now` is the time corrected by AWS's `Date`. The claims in
    /// `shared`, those of a fleet's hosts, count too, and this one is added to it.
    ///
    /// Without a ledger, only the claims of this process are avoided.
    /// Errors: class 9, with the time to try again, if no step is free or the six codes of a three-minute
    /// window are used up until shortly before `deadline`; nothing is claimed then. Class 9 if the claim
    /// cannot be recorded. Busy (8) if the ledger stays locked. Class 1 without random numbers.
    pub fn claim(
        &self,
        period: u64,
        now: Timestamp,
        deadline: Instant,
        choice: Choice,
        shared: Option<&mut SharedClaims>,
    ) -> Result<Claim> {
        let selection = choice.selection(deadline)?;
        let period = i64::try_from(period).unwrap_or(i64::MAX);
        let offset = now.seconds_since(self.cache.clock.now());
        let lock = self.lock(deadline)?;
        // The time after the wait for the lock.
        let now = self.now(offset);
        let mut claims = self.recorded_claims(lock.as_ref())?;
        // The claims of this process count even if the file is lost.
        let mut own = self.own_claims();
        let own = own.entry(self.name.clone()).or_default();
        claims.add(own);
        if let Some(shared) = &shared {
            claims.add_shared(&shared.claims, shared.date, period, now);
        }

        let claimed = claims.next(period, now, selection);
        let wait = u64::try_from(claimed.at.saturating_sub(now.corrected.max(0))).unwrap_or(0);
        let wait = Duration::from_secs(wait);
        let left = deadline.saturating_duration_since(Instant::now());
        if !wait.is_zero() && wait + CALL > left {
            return Err(self.used_up(Timestamp(claimed.at)));
        }
        claims.insert(claimed);
        self.save(lock.as_ref(), &claims)?;
        own.insert(claimed);
        own.keep_latest(OWN_CLAIMS);
        if let Some(shared) = shared {
            shared.claims.share(claimed, shared.date, now);
        }
        Ok(Claim { step: claimed.step.unsigned_abs(), wait, recorded: lock.is_some(), claimed })
    }

    /// How many codes may still be sent in the present three minutes, and when the next one. Read without
    /// the lock; nothing is claimed.
    pub fn left(&self, period: u64, now: Timestamp) -> (usize, Timestamp) {
        let period = i64::try_from(period).unwrap_or(i64::MAX);
        let now = self.now(now.seconds_since(self.cache.clock.now()));
        let plain = self.cache.read(LEDGER, &self.name);
        let claims = plain.and_then(|plain| TotpClaims::decode(&plain)).unwrap_or_default();
        let (left, next) = claims.left(period, now);
        (left, Timestamp(next))
    }

    /// True if claims can be recorded; false without a ledger.
    /// Errors: class 9 if the ledger cannot be locked. Busy (8) if it stays locked.
    pub fn can_record(&self, deadline: Instant) -> Result<bool> {
        Ok(self.lock(deadline)?.is_some())
    }

    /// Withdraws a claim whose code was certainly not sent because there was no connection: otherwise an
    /// outage would use up the codes for the time after it. If that fails, the step stays used, which does no
    /// harm.
    pub fn give_back(&self, claim: &Claim, deadline: Instant) {
        let Ok(lock) = self.lock(deadline) else { return };
        let Ok(mut claims) = self.recorded_claims(lock.as_ref()) else { return };
        let mut own = self.own_claims();
        own.entry(self.name.clone()).or_default().remove(claim.claimed);
        claims.remove(claim.claimed);
        let _ = self.save(lock.as_ref(), &claims);
    }

    /// Records steps whose codes are sent to another service than STS, so that no process sends them to STS;
    /// in the claims that a fleet shares as well.
    /// Errors: class 9 if they cannot be recorded; busy (8) if the ledger stays locked.
    pub fn spend(
        &self,
        steps: &[u64],
        now: Timestamp,
        deadline: Instant,
        shared: Option<&mut SharedClaims>,
    ) -> Result<()> {
        let offset = now.seconds_since(self.cache.clock.now());
        let lock = self.lock(deadline)?;
        let mut claims = self.recorded_claims(lock.as_ref())?;
        let now = self.now(offset);
        let steps = steps.iter().map(|step| i64::try_from(*step).unwrap_or(i64::MAX));
        let new: Vec<_> = steps.map(|step| now.claim(step, now.corrected)).collect();
        new.iter().for_each(|claimed| claims.insert(*claimed));
        self.save(lock.as_ref(), &claims)?;
        let mut own = self.own_claims();
        let own = own.entry(self.name.clone()).or_default();
        new.iter().for_each(|claimed| own.insert(*claimed));
        if let Some(shared) = shared {
            new.iter().for_each(|claimed| shared.claims.share(*claimed, shared.date, now));
        }
        Ok(())
    }

    /// The claims of this process, by the name of their ledger.
    fn own_claims(&self) -> MutexGuard<'_, BTreeMap<String, TotpClaims>> {
        self.cache.claimed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The claims in the file. A read error is an error. A damaged file counts as empty: a ledger is replaced
    /// without fsync(2), and after a power cut its claims are old.
    fn recorded_claims(&self, lock: Option<&Lock>) -> Result<TotpClaims> {
        if lock.is_none() {
            return Ok(TotpClaims::default());
        }
        let plain = self.cache.try_read(LEDGER, &self.name);
        let plain = plain.map_err(|error| self.unrecorded(self.path(), &error))?;
        Ok(plain.and_then(|plain| TotpClaims::decode(&plain)).unwrap_or_default())
    }

    fn save(&self, lock: Option<&Lock>, claims: &TotpClaims) -> Result<()> {
        if lock.is_none() {
            return Ok(());
        }
        let saved = self.cache.write(LEDGER, &self.name, &claims.encode());
        saved.map_err(|error| self.unrecorded(self.path(), &error))
    }

    /// The ledger's lock; `None` without a directory for it.
    fn lock(&self, deadline: Instant) -> Result<Option<Lock>> {
        let Some(path) = self.path() else {
            self.cache.without_directory();
            return Ok(None);
        };
        let wait = deadline.saturating_duration_since(Instant::now());
        match file::lock_with_parents(&path, wait, "holds the ledger of MFA codes") {
            Ok(lock) => Ok(Some(lock)),
            // Codes that are not recorded would lock the device.
            Err(LockError::Planted(planted)) => Err(planted.refused("no MFA code is sent")),
            Err(LockError::Io(error)) if is_not_creatable(&path, &error) => {
                self.cache.unusable(&os_text(&error));
                Ok(None)
            }
            Err(LockError::Io(error)) => Err(self.unrecorded(Some(file::lock_file(&path)), &error)),
            Err(LockError::Busy(holder)) => Err(holder
                .busy("is using the ledger of MFA codes", wait)
                .hint("try again; if that process hangs, end it")),
        }
    }

    /// The present time, with AWS's clock `offset` seconds ahead of this host's.
    fn now(&self, offset: i64) -> Times {
        let (local, steady) = (self.cache.clock.now().0, self.cache.clock.steady());
        Times { corrected: local.saturating_add(offset), local, steady }
    }

    fn path(&self) -> Option<PathBuf> {
        self.cache.path(LEDGER, &self.name)
    }

    fn unrecorded(&self, path: Option<PathBuf>, why: &io::Error) -> Error {
        let path = path.unwrap_or_default();
        Error::aws(format!(
            "cannot record the use of an MFA code in {}: {}",
            path.display(),
            os_text(why)
        ))
        .hint(
            "no code was sent; repair that file or its disk, or name another directory with --cache-dir",
        )
    }

    fn used_up(&self, again: Timestamp) -> Error {
        let text = again.to_rfc3339();
        let time = text.get(11..19).unwrap_or(&text);
        Error::aws(format!(
            "all MFA codes of device {} are used up; try again at {time} UTC",
            self.device
        ))
        .hint(
            "to use fewer codes, share one cache directory among all jobs; or give each runner \
             its own device",
        )
    }
}

/// True if neither the ledger nor its lock exists, and none can be created.
fn is_not_creatable(path: &Path, error: &io::Error) -> bool {
    let none = matches!(
        error.kind(),
        ErrorKind::NotFound
            | ErrorKind::NotADirectory
            | ErrorKind::PermissionDenied
            | ErrorKind::ReadOnlyFilesystem
    );
    let is_there = |path: &Path| match path.symlink_metadata() {
        Ok(_) => true,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            false
        }
        // The directory cannot be searched, so there may be one.
        Err(_) => path.parent().is_some_and(|directory| directory.symlink_metadata().is_ok()),
    };
    none && !is_there(path) && !is_there(&file::lock_file(path))
}

#[cfg(test)]
mod tests;
