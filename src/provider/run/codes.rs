//! Codes of a seed: which is sent when, and how many.

use std::time::{Duration, Instant};

use super::super::code::{self, ClaimScope};
use super::{Failed, Run};
use crate::aws::ServiceError;
use crate::credential::Credentials;
use crate::error::{Error, Result};
use crate::profile::{Mfa, Step};
use crate::random;
use crate::session::Choice;
use crate::totp::Seed;

/// Nine verifications in three minutes lock a device, and hosts without a common ledger share that limit:
/// one process sends three codes at most.
const CODES: u32 = 3;

impl Run<'_> {
    /// Sends codes of a seed until one is accepted. Each is claimed before it is sent, so no other process
    /// sends it; a code that got no answer counts as used.
    ///
    /// Without a ledger, or while the fleet's store cannot be reached, one code is sent, since others send
    /// theirs; and one more only if the refusal shows that the clock was wrong.
    pub(super) fn send_with(
        &self,
        step: &Step,
        from: &Credentials,
        (mfa, seed): (&Mfa, &Seed),
        mut scope: ClaimScope<'_, '_>,
    ) -> Result<Credentials, Failed> {
        let ledger = self.cache.ledger(&mfa.serial);
        let mut sent = 0;
        let mut refused = false;
        loop {
            let offset = self.sts()?.clock_offset().unwrap_or(0);
            let deadline = self.deadline.get();
            let (time, choice) = ((seed.period(), offset), choice(refused, sent));
            let claim = self.with.claim_step(&mut scope, &ledger, time, choice, deadline)?;
            let claim = claim.ok_or(Failed::Overtaken)?;
            let digits = self.with.code_of(&claim, seed);
            sent += 1;
            let failure = match self.send(step, from, Some((&mfa.serial, &digits))) {
                Ok(made) => return Ok(made),
                Err(failure) => failure,
            };
            // With the offset known, another code can be right; without, or after an answer that
            // names the device, no code is.
            refused = match &failure {
                ServiceError::MfaInvalid { skew: Some(_) } => true,
                ServiceError::Throttled { .. }
                | ServiceError::Unavailable { .. }
                | ServiceError::Timeout { .. }
                | ServiceError::Unreachable { lost: true, .. } => false,
                ServiceError::Unreachable { lost: false, .. } => {
                    ledger.give_back(&claim, deadline);
                    if let ClaimScope::Fleet(part) = &mut scope {
                        part.unsent(|shared| claim.remove_from(shared));
                    }
                    return Err(failure.into());
                }
                _ => return Err(failure.into()),
            };
            if !claim.recorded && (sent > 1 || !clock_was_off(&failure, offset, seed.period())) {
                return Err(match failure {
                    ServiceError::MfaInvalid { .. } => Failed::Ours(refused_unrecorded(&scope)),
                    failure => failure.into(),
                });
            }
            let pause = if refused { random_pause()? } else { Duration::from_secs(1) };
            if sent >= CODES || Instant::now() + pause >= deadline {
                return Err(match failure {
                    ServiceError::MfaInvalid { .. } => Failed::Ours(refused_again()),
                    failure => failure.into(),
                });
            }
            self.with.reporter.debug("the MFA code was not taken, trying the next one");
            code::pause("another try with an MFA code", pause);
            if let ClaimScope::Fleet(part) = &mut scope {
                part.refused();
            }
        }
    }
}

/// Which step is claimed after so many codes. Hosts that share no ledger would all begin with the present one.
fn choice(refused: bool, sent: u32) -> Choice {
    if refused { Choice::AfterRefusal { last: sent + 1 == CODES } } else { Choice::Random }
}

/// True if AWS refused a code since the clock was off by more than a step. `offset` is what the code was
/// made with.
fn clock_was_off(failure: &ServiceError, offset: i64, period: u64) -> bool {
    let ServiceError::MfaInvalid { skew: Some(skew) } = failure else { return false };
    skew.saturating_sub(offset).unsigned_abs() > period
}

/// This host does not know which codes the others have used.
fn refused_unrecorded(scope: &ClaimScope<'_, '_>) -> Error {
    Error::aws("AWS refused the MFA code of the device's seed").hint(match scope {
        ClaimScope::HostAlone => {
            "another host may have used it while the fleet's store was away: try again in three minutes"
        }
        _ => {
            "another process may have used it: name a cache directory that all jobs share with --cache-dir"
        }
    })
}

/// The clock is known by now, and no other process of this host used the codes.
fn refused_again() -> Error {
    Error::aws("AWS refused the MFA codes of the device's seed").hint(
        "other hosts use this device at the same time: try again in three minutes; or the seed is another device's",
    )
}

/// 1 to 5 s, at random, so that hosts which were refused at the same moment do not try again together.
fn random_pause() -> Result<Duration> {
    let random = u16::from_le_bytes(*random::bytes()?);
    Ok(Duration::from_millis(1000 + u64::from(random) % 4000))
}
