//! MFA codes: from the flag, from a seed in the vault, from a program, or from a person.

use std::cell::Cell;
use std::time::{Duration, Instant};

use super::fleet::{fleet_is_busy, without_store};
use super::program::MFA;
use super::session::CredentialSession;
use crate::aws::{ServiceError, Sts};
use crate::clock::Timestamp;
use crate::credential::Credentials;
use crate::error::{Error, Reason, Result};
use crate::profile::Mfa;
use crate::secret::Secret;
use crate::session::{Choice, Claim, CodeDecision, Ledger, Participant, SharedClaims, Timing};
use crate::totp::Seed;
use crate::waiting::waiting;

impl CredentialSession<'_> {
    /// Where a device's code comes from: the flag, the vault, or a program or person, who is not asked yet.
    pub(super) fn code(&self, mfa: &Mfa, given: Option<&Secret>) -> Result<Code> {
        if let Some(code) = given {
            let error = || Error::usage("--mfa-token: an MFA code is six digits");
            let code = six_digits(code.expose());
            return code.map(Code::Given).ok_or_else(|| error().because(Reason::CommandLine));
        }
        if let Some(seed) = self.seed(&mfa.serial) {
            return Ok(Code::Seed(seed));
        }
        if mfa.process.is_none() && !self.prompt.available() {
            let serial = &mfa.serial;
            return Err(Error::aws(format!("no MFA code is available for {serial}")).hint(format!(
                "give a code with --mfa-token or on a terminal; or store the seed: vault totp add \
                 {serial}, or for a new device vault mfa enroll PROFILE; or set mfa_process"
            )));
        }
        Ok(Code::Asked)
    }

    /// Asks the mfa_process, or a person. Both may take long, so the caller must hold no lock. `refused`:
    /// AWS refused what a person answered before.
    pub(super) fn ask_for_code(
        &self,
        profile: &str,
        mfa: &Mfa,
        within: &[String],
        deadline: Instant,
        refused: bool,
    ) -> Result<Secret> {
        if let Some(command) = &mfa.process {
            let output = self.helper(MFA, profile, command, within, deadline)?;
            let code = six_digits(std::str::from_utf8(&output).unwrap_or_default());
            return code.ok_or_else(|| {
                Error::aws("the mfa_process printed no MFA code, which is six digits")
            });
        }
        let question = format!("Enter MFA code for {}: ", mfa.serial);
        let again = if refused { "AWS refused the MFA code, try again. " } else { "" };
        let mut code = six_digits(&self.prompt.line(&format!("{again}{question}"))?);
        // What was not sent costs the device nothing.
        if code.is_none() && !refused && !self.prompt.is_timed() {
            let question = format!("An MFA code is six digits, try again. {question}");
            code = six_digits(&self.prompt.line(&question)?);
        }
        code.ok_or_else(|| Error::usage("an MFA code is six digits"))
    }

    /// The code of a claimed step, once AWS accepts it.
    pub fn code_of(&self, claim: &Claim, seed: &Seed) -> Secret {
        if !claim.wait.is_zero() {
            pause("the next MFA code", claim.wait);
        }
        seed.code(claim.step)
    }

    /// Claims the next code of a seed for something else than a session that is kept: in this host's ledger
    /// and, in a fleet, in the claims of all hosts. While the store cannot be reached, other hosts do not know
    /// of the claim. `now` is by AWS's clock.
    ///
    /// # Errors
    /// As [`Ledger::claim`]; 9 if the store is required and cannot be reached; busy (8) if other hosts are
    /// faster each time. No code may be used then.
    pub fn claim_code(
        &self,
        serial: &str,
        seed: &Seed,
        now: Timestamp,
        deadline: Instant,
    ) -> Result<Claim> {
        let ledger = self.cache.ledger(serial);
        let time = (seed.period(), now.seconds_since(self.clock.now()));
        self.in_scope(serial, |scope| {
            let claim = self.claim_step(scope, &ledger, time, Choice::Nearest, deadline)?;
            claim.ok_or_else(fleet_is_busy)
        })
    }

    /// Claims a step in this host's ledger and, if the `scope` is a fleet, in the claims of all hosts; `None`
    /// if another host leads now. If the store does not take it, the scope is this host from then on. `time`:
    /// the period, and the seconds by which AWS's clock is ahead.
    pub(super) fn claim_step(
        &self,
        scope: &mut ClaimScope<'_, '_>,
        ledger: &Ledger<'_>,
        (period, offset): (u64, i64),
        choice: Choice,
        deadline: Instant,
    ) -> Result<Option<Claim>> {
        let claim = |shared: Option<&mut SharedClaims>| {
            let now = Timestamp(self.clock.now().0.saturating_add(offset));
            ledger.claim(period, now, deadline, choice, shared)
        };
        if let ClaimScope::Fleet(part) = scope {
            let due = Cell::new(Instant::now());
            let take = |shared: &mut SharedClaims| {
                let claim = claim(Some(shared))?;
                due.set(Instant::now() + claim.wait);
                Ok((claim, claim.wait))
            };
            match part.claim_step(take, |claim| ledger.give_back(&claim, deadline))? {
                CodeDecision::Send(mut claim) => {
                    claim.wait = due.get().saturating_duration_since(Instant::now());
                    claim.recorded = true;
                    return Ok(Some(claim));
                }
                CodeDecision::Overtaken => return Ok(None),
                CodeDecision::Alone(alone) => self.go_alone(alone)?,
            }
            *scope = ClaimScope::HostAlone;
        }
        let mut claim = claim(None)?;
        // The other hosts do not know of it.
        claim.recorded &= !matches!(scope, ClaimScope::HostAlone);
        Ok(Some(claim))
    }

    /// Records steps whose codes are sent to another service than STS, in this host's ledger and, in a fleet,
    /// in the claims of all hosts.
    ///
    /// # Errors
    /// As [`CredentialSession::claim_code`].
    pub fn spend_codes(
        &self,
        serial: &str,
        steps: &[u64],
        now: Timestamp,
        deadline: Instant,
    ) -> Result<()> {
        let ledger = self.cache.ledger(serial);
        let spend = |shared: Option<&mut SharedClaims>| ledger.spend(steps, now, deadline, shared);
        self.in_scope(serial, |scope| {
            if let ClaimScope::Fleet(part) = scope {
                let take = |shared: &mut SharedClaims| Ok((spend(Some(shared))?, Duration::ZERO));
                match part.claim_step(take, |()| {})? {
                    CodeDecision::Send(()) => return Ok(()),
                    CodeDecision::Overtaken => return Err(fleet_is_busy()),
                    CodeDecision::Alone(alone) => self.go_alone(alone)?,
                }
            }
            spend(None)
        })
    }

    /// Claims codes of a device for something else than a session: for all hosts of the fleet, if there is
    /// one and its store can be reached.
    fn in_scope<T>(
        &self,
        serial: &str,
        claim: impl FnOnce(&mut ClaimScope<'_, '_>) -> Result<T>,
    ) -> Result<T> {
        let Some(fleet) = self.fleet.as_deref() else { return claim(&mut ClaimScope::Host) };
        let began = Instant::now();
        let shared = match fleet.store(self.vault()?.payload()) {
            Ok(Some(shared)) => shared,
            Ok(None) => return claim(&mut ClaimScope::Host),
            Err(error) => {
                self.go_alone(without_store(error)?)?;
                return claim(&mut ClaimScope::HostAlone);
            }
        };
        let keys = (fleet.keys(), fleet.keys().totp_claims_name(serial));
        let mut part = Participant::for_code(&*shared.store, keys, (self.clock, Timing::real()))?;
        part.connected(began.elapsed(), shared.silent);
        claim(&mut ClaimScope::Fleet(&mut part))
    }

    /// Checks that AWS accepts the codes of a seed: sends one that no other process sends, for the shortest
    /// session, which is dropped. `now` is by AWS's clock.
    pub fn check_code(
        &self,
        sts: &Sts,
        key: &Credentials,
        (serial, seed): (&str, &Seed),
        now: Timestamp,
        deadline: Instant,
    ) -> Result<CodeCheck> {
        let claim = self.claim_code(serial, seed, now, deadline)?;
        let code = self.code_of(&claim, seed);
        Ok(match sts.session_token(key, SHORT, Some((serial, &code))) {
            Ok(_) => CodeCheck::Accepted,
            Err(error) => CodeCheck::Refused { error, recorded: claim.recorded },
        })
    }

    /// True if the device's codes come from a program or a seed, without a prompt.
    pub(super) fn has_automatic_codes(&self, mfa: &Mfa) -> bool {
        mfa.process.is_some() || self.seed(&mfa.serial).is_some()
    }

    fn seed(&self, serial: &str) -> Option<Seed> {
        self.vault().ok()?.payload().totp(serial)
    }
}

/// Waits for so long, and says on the terminal for what.
pub(super) fn pause(what: &'static str, pause: Duration) {
    let _waiting = waiting(|| what.to_owned(), Some(Instant::now() + pause));
    std::thread::sleep(pause);
}

/// Which hosts know of the codes that are claimed.
pub(super) enum ClaimScope<'p, 'a> {
    /// This host, which is in no fleet, or shares nothing.
    Host,
    /// This host, since the store of its fleet cannot be reached: one code is sent.
    HostAlone,
    /// All hosts of the fleet.
    Fleet(&'p mut Participant<'a>),
}

/// The shortest session that AWS gives.
pub(super) const SHORT: Duration = Duration::from_secs(900);

/// AWS's answer to a code.
#[derive(Debug)]
pub enum CodeCheck {
    /// The code is the device's.
    Accepted,
    /// It is not, or AWS did not say.
    Refused {
        /// AWS's answer, or why there is none.
        error: ServiceError,
        /// False where no other process knows that the code was sent.
        recorded: bool,
    },
}

/// Where codes come from.
pub(super) enum Code {
    /// From the flag.
    Given(Secret),
    /// From a seed, as many as are needed.
    Seed(Seed),
    /// From a program or a person: [`CredentialSession::ask_for_code`].
    Asked,
}

/// The code, if it is one.
fn six_digits(text: &str) -> Option<Secret> {
    let code = text.trim();
    let fits = code.len() == 6 && code.bytes().all(|b| b.is_ascii_digit());
    fits.then(|| Secret::new(code.to_owned()))
}
