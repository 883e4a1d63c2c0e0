//! The ledger of an MFA device: its book in an encrypted file, under a lock that is taken last and held
//! only to read and write, never over a call or a wait.

use std::time::{Duration, Instant};

use super::book::{Book, Claimed, Now, Pick};
use super::cache::Cache;
use super::envelope::LEDGER;
use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::file::{self, Lock, LockError, Planted};
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
    claimed: Claimed,
}

/// One device's ledger.
#[derive(Debug)]
pub struct Ledger<'a> {
    cache: &'a Cache,
    device: String,
    name: String,
}

impl<'a> Ledger<'a> {
    pub(super) fn new(cache: &'a Cache, device: &str) -> Self {
        let name = cache.keys.name(LEDGER, [device]);
        Self { cache, device: device.to_owned(), name }
    }

    /// Claims the next free step of `period` seconds: the present one if it can be had, else another
    /// that AWS takes now, else the next to come. `now` is the time as AWS's `Date` corrected it.
    ///
    /// Where no ledger can be kept, only what this process itself claimed is avoided.
    ///
    /// # Errors
    /// Class 9 if no step is free, or the six codes of a three-minute window are used up, until too
    /// close to `deadline`: it says when to come again, and nothing is claimed. Busy (8) if the ledger
    /// stays locked.
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
        let now = Now { corrected: now.0, local: self.cache.clock.now().0 };
        let (left, next) = self.book().left(period, now);
        (left, Timestamp(next))
    }

    /// Takes a claim back whose code was surely not sent, because there was no connection: a network
    /// that is down would otherwise use up the codes of when it is up again. Where that does not work,
    /// the step stays spent, which does no harm.
    pub fn give_back(&self, claim: &Claim, deadline: Instant) {
        let Ok(lock) = self.lock(deadline) else { return };
        let mut own = self.cache.claimed.lock().unwrap_or_else(|poison| poison.into_inner());
        own.entry(self.name.clone()).or_default().strike(claim.claimed);
        let mut book = self.book();
        book.strike(claim.claimed);
        self.save(lock.as_ref(), &book);
    }

    /// Marks steps whose codes go elsewhere than to STS, so that nobody else's code is one of them.
    ///
    /// # Errors
    /// Busy (8) if the ledger stays locked.
    pub fn spend(&self, steps: &[u64], now: Timestamp, deadline: Instant) -> Result<()> {
        let lock = self.lock(deadline)?;
        let mut book = self.book();
        let mut own = self.cache.claimed.lock().unwrap_or_else(|poison| poison.into_inner());
        let own = own.entry(self.name.clone()).or_default();
        for step in steps {
            let step = i64::try_from(*step).unwrap_or(i64::MAX);
            let claimed = Claimed { step, at: now.0, local: self.cache.clock.now().0 };
            book.note(claimed);
            own.note(claimed);
        }
        self.save(lock.as_ref(), &book);
        Ok(())
    }

    fn book(&self) -> Book {
        let plain = self.cache.read(LEDGER, &self.name);
        plain.and_then(|plain| Book::decode(&plain)).unwrap_or_default()
    }

    fn save(&self, lock: Option<&Lock>, book: &Book) {
        if lock.is_some()
            && let Err(error) = self.cache.write(LEDGER, &self.name, &book.encode())
        {
            self.cache.unusable(&error);
        }
    }

    fn take(&self, period: u64, now: Timestamp, deadline: Instant, pick: Pick) -> Result<Claim> {
        let period = i64::try_from(period).unwrap_or(i64::MAX);
        let now = Now { corrected: now.0, local: self.cache.clock.now().0 };
        let lock = self.lock(deadline)?;
        let mut book = self.book();
        // Ours count also where the file is lost or could not be written.
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
        own.note(claimed);
        own.keep_latest(OWN);
        self.save(lock.as_ref(), &book);
        Ok(Claim { step: claimed.step.unsigned_abs(), wait, claimed })
    }

    /// The ledger's lock; none where there is no place for one.
    fn lock(&self, deadline: Instant) -> Result<Option<Lock>> {
        let Some(path) = self.cache.path(LEDGER, &self.name) else { return Ok(None) };
        let wait = deadline.saturating_duration_since(Instant::now());
        let locked = file::make_parents(&path)
            .map_err(LockError::from)
            .and_then(|()| file::lock(&path, wait));
        match locked {
            Ok(lock) => Ok(Some(lock)),
            // Codes that nobody writes down would lock the device.
            Err(LockError::Planted(planted)) => {
                Err(Error::refused(format!("no MFA code is sent: {planted}")).hint(Planted::HINT))
            }
            Err(LockError::Io(error)) => {
                self.cache.unusable(&error);
                Ok(None)
            }
            Err(LockError::Busy { pid }) => {
                let who = pid
                    .map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"));
                Err(Error::busy(format!("{who} holds the ledger of MFA codes and does not let go"))
                    .hint("try again; if that process hangs, end it"))
            }
        }
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

fn number() -> Result<u64> {
    Ok(u64::from_le_bytes(*random::bytes()?))
}

#[cfg(test)]
mod tests;
