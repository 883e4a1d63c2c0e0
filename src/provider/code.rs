//! MFA codes: from the flag, from a seed in the vault, from a program, or from a person.

use std::time::{Duration, Instant};

use super::fleet::{claim_for_all, fleet_is_busy, without_store};
use super::program::MFA;
use super::session::CredentialSession;
use crate::aws::{ServiceError, Sts};
use crate::clock::Timestamp;
use crate::credential::Credentials;
use crate::error::{Error, Reason, Result};
use crate::profile::Mfa;
use crate::secret::Secret;
use crate::session::{Choice, Claim, CodeDecision, Participant, SharedClaims, Timing};
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
                 {serial}, or for a \
                 new device vault mfa enroll PROFILE; or set mfa_process"
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
    /// and, in a fleet, in the book of all hosts. While the store cannot be reached, other hosts do not know
    /// of the claim. `now` is by AWS's clock.
    ///
    /// # Errors
    /// As [`Ledger::claim`](crate::session::Ledger::claim); 9 if the store is required and cannot be
    /// reached. No code may be used then.
    pub fn claim_code(
        &self,
        serial: &str,
        seed: &Seed,
        now: Timestamp,
        deadline: Instant,
    ) -> Result<Claim> {
        let ledger = self.cache.ledger(serial);
        let offset = now.seconds_since(self.clock.now());
        let claim = |book: Option<&mut SharedClaims>| {
            let now = Timestamp(self.clock.now().0.saturating_add(offset));
            ledger.claim(seed.period(), now, deadline, Choice::Nearest, book)
        };
        let in_book = |part: &mut Participant<'_>| {
            claim_for_all(part, &ledger, deadline, |book| claim(Some(book)))
        };
        match self.in_book(serial, in_book)? {
            Recorded::Fleet(claim) => Ok(claim),
            Recorded::ThisHost => claim(None),
            Recorded::ThisHostAlone => {
                let mut claim = claim(None)?;
                claim.recorded = false;
                Ok(claim)
            }
        }
    }

    /// Records steps whose codes are sent to another service than STS, in this host's ledger and, in a fleet,
    /// in the book of all hosts.
    pub fn spend_codes(
        &self,
        serial: &str,
        steps: &[u64],
        now: Timestamp,
        deadline: Instant,
    ) -> Result<()> {
        let ledger = self.cache.ledger(serial);
        let spend = |book: Option<&mut SharedClaims>| ledger.spend(steps, now, deadline, book);
        let in_book = |part: &mut Participant<'_>| {
            part.claim_step(|book| Ok((spend(Some(book))?, Duration::ZERO)), |()| {})
        };
        match self.in_book(serial, in_book)? {
            Recorded::Fleet(()) => Ok(()),
            Recorded::ThisHost | Recorded::ThisHostAlone => spend(None),
        }
    }

    /// Does a step in the device's book that all hosts of the fleet share, if there is a fleet and its store
    /// can be reached.
    ///
    /// # Errors
    /// Those of `step`; 9 if the store is required and cannot be reached; busy (8) if other hosts are faster
    /// each time.
    fn in_book<T>(
        &self,
        serial: &str,
        step: impl FnOnce(&mut Participant<'_>) -> Result<CodeDecision<T>>,
    ) -> Result<Recorded<T>> {
        let Some(fleet) = self.fleet.as_deref() else { return Ok(Recorded::ThisHost) };
        let began = Instant::now();
        let alone = match fleet.store(self.vault()?.payload()) {
            Ok(None) => return Ok(Recorded::ThisHost),
            Ok(Some(shared)) => {
                let keys = (fleet.keys(), fleet.keys().book_name(serial));
                let mut part =
                    Participant::of_book(&*shared.store, keys, (self.clock, Timing::real()))?;
                part.connected(began.elapsed(), shared.silent);
                match step(&mut part)? {
                    CodeDecision::Send(taken) => return Ok(Recorded::Fleet(taken)),
                    CodeDecision::Alone(alone) => alone,
                    CodeDecision::Overtaken => return Err(fleet_is_busy()),
                }
            }
            Err(error) => without_store(error)?,
        };
        self.go_alone(alone)?;
        Ok(Recorded::ThisHostAlone)
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

/// Which hosts know that a code is used.
enum Recorded<T> {
    /// This host, which is in no fleet, or shares nothing.
    ThisHost,
    /// This host, since the store of its fleet cannot be reached.
    ThisHostAlone,
    /// All hosts of the fleet.
    Fleet(T),
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
