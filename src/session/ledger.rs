//! The ledger of an MFA device: its book in an encrypted file, under a lock that is taken last and held
//! only to read and write, never over a call or a wait.
//!
//! A claim that cannot be written down is none: on a full disk (ENOSPC, EDQUOT), on one that fails (EIO),
//! without locks (ENOLCK), over a limit (EFBIG), or where the ledger is there and cannot be read or
//! written, every process would send the codes of all the others. Only where nothing of a ledger is there
//! and its directory or lock cannot be made (EROFS, EACCES, ENOENT and the like) is there no place for
//! one; what is claimed then, only this process knows, and [`Claim::recorded`] says so.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::cache::Cache;
use super::envelope::LEDGER;
use super::totp_claims::{Claimed, Now, Pick, TotpClaims};
use crate::clock::Timestamp;
use crate::error::{Error, Result, os_text};
use crate::file::{self, Holder, Lock, LockError, Planted};
use crate::random;

/// What a call needs after its code is due.
const CALL: Duration = Duration::from_secs(5);
/// What this process remembers of its own claims, beside the file.
const OWN: usize = 16;

/// A step that belongs to this process, whatever becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The step whose code may be sent, once.
    pub step: u64,
    /// How long to wait before it is sent: AWS does not take it earlier, or not so many at a time.
    pub wait: Duration,
    /// False where there is no place for a ledger: other processes may have sent the step's code, or
    /// will, so few are to be sent.
    pub recorded: bool,
    claimed: Claimed,
}

/// One device's ledger.
#[derive(Debug)]
pub struct Ledger<'a> {
    cache: &'a Cache,
    device: String,
    name: String,
}

impl Cache {
    /// The ledger of an MFA device, named by its serial.
    pub fn ledger(&self, device: &str) -> Ledger<'_> {
        let name = self.keys.name(LEDGER, [device]);
        Ledger { cache: self, device: device.to_owned(), name }
    }
}

impl Ledger<'_> {
    /// Claims the next free step of `period` seconds: the present one if it can be had, else another
    /// that AWS takes now, else the next to come. `now` is the time as AWS's `Date` corrected it.
    ///
    /// Where there is no place for a ledger, only what this process itself claimed is avoided.
    ///
    /// # Errors
    /// Class 9 if no step is free, or the six codes of a three-minute window are used up, until too
    /// close to `deadline`: it says when to come again, and nothing is claimed. Class 9 as well if the
    /// claim cannot be written down. Busy (8) if the ledger stays locked.
    pub fn claim(&self, period: u64, now: Timestamp, deadline: Instant) -> Result<Claim> {
        self.take(period, now, deadline, Pick::Nearest)
    }

    /// Claims any free step that AWS takes now, at random, else the next to come: hosts that share no
    /// ledger would all begin with the nearest.
    ///
    /// # Errors
    /// As [`Ledger::claim`]; class 1 where there are no random numbers.
    pub fn claim_random(&self, period: u64, now: Timestamp, deadline: Instant) -> Result<Claim> {
        self.take(period, now, deadline, Pick::Random(number()?))
    }

    /// Claims a step after a code that AWS refused, since hosts that share no ledger are in the way:
    /// perhaps one to come, and surely so for the last code that this process sends, if it can be
    /// waited for.
    ///
    /// # Errors
    /// As [`Ledger::claim_random`].
    pub fn claim_after_refusal(
        &self,
        period: u64,
        now: Timestamp,
        deadline: Instant,
        last: bool,
    ) -> Result<Claim> {
        let left = deadline.saturating_duration_since(Instant::now()).saturating_sub(CALL);
        let reach = i64::try_from(left.as_secs()).unwrap_or(i64::MAX);
        self.take(period, now, deadline, Pick::AfterRefusal { last, reach, random: number()? })
    }

    /// How many codes may still be sent in the present three minutes, and when the next one. Looked at
    /// without the lock, and nothing is claimed.
    pub fn left(&self, period: u64, now: Timestamp) -> (usize, Timestamp) {
        let period = i64::try_from(period).unwrap_or(i64::MAX);
        let now = self.now(now.seconds_since(self.cache.clock.now()));
        let plain = self.cache.read(LEDGER, &self.name);
        let book = plain.and_then(|plain| TotpClaims::decode(&plain)).unwrap_or_default();
        let (left, next) = book.left(period, now);
        (left, Timestamp(next))
    }

    /// True if claims can be written down; false where there is no place for a ledger.
    ///
    /// # Errors
    /// Class 9 if there is a place, and the ledger in it cannot be locked. Busy (8) if it stays locked.
    pub fn can_record(&self, deadline: Instant) -> Result<bool> {
        Ok(self.lock(deadline)?.is_some())
    }

    /// Takes a claim back whose code was surely not sent, because there was no connection: a network
    /// that is down would otherwise use up the codes of when it is up again. Where that does not work,
    /// the step stays spent, which does no harm.
    pub fn give_back(&self, claim: &Claim, deadline: Instant) {
        let Ok(lock) = self.lock(deadline) else { return };
        let Ok(mut book) = self.book(lock.as_ref()) else { return };
        let mut own = self.cache.claimed.lock().unwrap_or_else(|poison| poison.into_inner());
        own.entry(self.name.clone()).or_default().strike(claim.claimed);
        book.strike(claim.claimed);
        let _ = self.save(lock.as_ref(), &book);
    }

    /// Marks steps whose codes go elsewhere than to STS, so that nobody else's code is one of them.
    ///
    /// # Errors
    /// Class 9 if they cannot be written down; busy (8) if the ledger stays locked.
    pub fn spend(&self, steps: &[u64], now: Timestamp, deadline: Instant) -> Result<()> {
        let offset = now.seconds_since(self.cache.clock.now());
        let lock = self.lock(deadline)?;
        let mut book = self.book(lock.as_ref())?;
        let claims = steps.iter().map(|step| {
            let step = i64::try_from(*step).unwrap_or(i64::MAX);
            let Now { corrected, local, steady } = self.now(offset);
            Claimed { step, at: corrected, local, steady }
        });
        let claims: Vec<_> = claims.collect();
        claims.iter().for_each(|claimed| book.note(*claimed));
        self.save(lock.as_ref(), &book)?;
        let mut own = self.cache.claimed.lock().unwrap_or_else(|poison| poison.into_inner());
        let own = own.entry(self.name.clone()).or_default();
        claims.iter().for_each(|claimed| own.note(*claimed));
        Ok(())
    }

    /// What is in the file; under the lock, what cannot be read is not taken for empty. A torn one is:
    /// a ledger is replaced without a sync, and after a power cut its claims are old.
    fn book(&self, lock: Option<&Lock>) -> Result<TotpClaims> {
        if lock.is_none() {
            return Ok(TotpClaims::default());
        }
        let plain = self.cache.try_read(LEDGER, &self.name);
        let plain = plain.map_err(|error| self.unrecorded(self.path(), &error))?;
        Ok(plain.and_then(|plain| TotpClaims::decode(&plain)).unwrap_or_default())
    }

    fn save(&self, lock: Option<&Lock>, book: &TotpClaims) -> Result<()> {
        if lock.is_none() {
            return Ok(());
        }
        let saved = self.cache.write(LEDGER, &self.name, &book.encode());
        saved.map_err(|error| self.unrecorded(self.path(), &error))
    }

    fn take(&self, period: u64, now: Timestamp, deadline: Instant, pick: Pick) -> Result<Claim> {
        let period = i64::try_from(period).unwrap_or(i64::MAX);
        let offset = now.seconds_since(self.cache.clock.now());
        let lock = self.lock(deadline)?;
        // Whoever waited for the lock claims from now on, not from then.
        let now = self.now(offset);
        let mut book = self.book(lock.as_ref())?;
        // Ours count also where the file is lost.
        let mut own = self.cache.claimed.lock().unwrap_or_else(|poison| poison.into_inner());
        let own = own.entry(self.name.clone()).or_default();
        book.add(own);

        let claimed = book.next(period, now, pick);
        let wait = u64::try_from(claimed.at.saturating_sub(now.corrected.max(0))).unwrap_or(0);
        let wait = Duration::from_secs(wait);
        let left = deadline.saturating_duration_since(Instant::now());
        if !wait.is_zero() && wait + CALL > left {
            return Err(self.used_up(Timestamp(claimed.at)));
        }
        book.note(claimed);
        self.save(lock.as_ref(), &book)?;
        own.note(claimed);
        own.keep_latest(OWN);
        Ok(Claim { step: claimed.step.unsigned_abs(), wait, recorded: lock.is_some(), claimed })
    }

    /// The ledger's lock; none where there is no place for one.
    fn lock(&self, deadline: Instant) -> Result<Option<Lock>> {
        let Some(path) = self.path() else {
            self.cache.nowhere();
            return Ok(None);
        };
        let wait = deadline.saturating_duration_since(Instant::now());
        match file::lock_with_parents(&path, wait) {
            Ok(lock) => Ok(Some(lock)),
            // Codes that nobody writes down would lock the device.
            Err(LockError::Planted(planted)) => {
                Err(Error::refused(format!("no MFA code is sent: {planted}")).hint(Planted::HINT))
            }
            Err(LockError::Io(error)) if is_no_place(&path, &error) => {
                self.cache.unusable(&error);
                Ok(None)
            }
            Err(LockError::Io(error)) => Err(self.unrecorded(Some(file::lock_file(&path)), &error)),
            Err(LockError::Busy { pid }) => Err(Error::busy(format!(
                "{} holds the ledger of MFA codes and does not let go",
                Holder { pid }
            ))
            .hint("try again; if that process hangs, end it")),
        }
    }

    /// Now, with AWS's clock so many seconds ahead of ours.
    fn now(&self, offset: i64) -> Now {
        let (local, steady) = (self.cache.clock.now().0, self.cache.clock.steady());
        Now { corrected: local.saturating_add(offset), local, steady }
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
            "no code was used; see to that file and its disk, or name another directory by --cache-dir",
        )
    }

    fn used_up(&self, again: Timestamp) -> Error {
        let text = again.to_rfc3339();
        let time = text.get(11..19).unwrap_or(&text);
        Error::aws(format!(
            "codes used up for this device, {}; try again at {time} UTC",
            self.device
        ))
        .hint(
            "a cache directory that all jobs share, or a device for each runner, needs fewer codes",
        )
    }
}

/// True if no ledger is there, nor its lock, and none can be made: this is no place for one.
fn is_no_place(path: &Path, error: &io::Error) -> bool {
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
        // The directory is closed to us, so there may be one.
        Err(_) => path.parent().is_some_and(|directory| directory.symlink_metadata().is_ok()),
    };
    none && !is_there(path) && !is_there(&file::lock_file(path))
}

fn number() -> Result<u64> {
    Ok(u64::from_le_bytes(*random::bytes()?))
}

#[cfg(test)]
mod tests;
