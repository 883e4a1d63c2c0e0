//! MFA codes: the flag's, the vault's seed's, a program's, or a person's.

use std::time::{Duration, Instant};

use super::fleet::{another_host, away, claim_for_all};
use super::program::failed;
use super::session::CredentialSession;
use crate::aws::{ServiceError, Sts};
use crate::clock::Timestamp;
use crate::credential::Credentials;
use crate::error::{Class, Error, Reason, Result};
use crate::profile::Mfa;
use crate::secret::Secret;
use crate::session::{Choice, Claim, CodeDecision, Participant, SharedClaims, Timing};
use crate::totp::Seed;
use crate::waiting::waiting;

impl CredentialSession<'_> {
    /// Where a device's code comes from: the one that was given, the vault, or whoever is asked. Nobody is
    /// asked yet.
    pub(super) fn code(&self, mfa: &Mfa, given: Option<&Secret>) -> Result<Code> {
        if let Some(code) = given {
            let code = six_digits(code.expose(), "--mfa-token: an MFA code is six digits")
                .map_err(|error| error.because(Reason::CommandLine))?;
            return Ok(Code::Given(code));
        }
        if let Some(seed) = self.seed(&mfa.serial) {
            return Ok(Code::Seed(seed));
        }
        if mfa.process.is_none() && !self.prompt.available() {
            let serial = &mfa.serial;
            return Err(Error::aws(format!("no MFA code is available for {serial}")).hint(format!(
                "give it by --mfa-token or on a terminal; or let the vault give it: vault totp add {serial}, for a \
                 new device vault mfa enroll PROFILE; or name an mfa_process"
            )));
        }
        Ok(Code::Asked)
    }

    /// Asks the mfa_process, or a person. Both may take long, so nobody who calls this holds a lock.
    /// `refused`: AWS refused what a person answered before.
    pub(super) fn ask_for_code(
        &self,
        profile: &str,
        mfa: &Mfa,
        within: &[String],
        deadline: Instant,
        refused: bool,
    ) -> Result<Secret> {
        if let Some(command) = &mfa.process {
            self.reporter.debug("running the mfa_process");
            let output = self
                .helper("mfa_process", profile, command, within, deadline)?
                .map_err(|failure| failed("the mfa_process", &failure).into_mfa())?;
            let text = std::str::from_utf8(&output).unwrap_or_default();
            return six_digits(text, "the mfa_process printed no MFA code, which is six digits")
                .map_err(Error::into_mfa);
        }
        let question = format!("Enter MFA code for {}: ", mfa.serial);
        let again = if refused { "AWS refused the MFA code, try again. " } else { "" };
        let code = self.prompt.line(&format!("{again}{question}"))?;
        match six_digits(&code, NO_CODE) {
            // What was not sent costs the device nothing.
            Err(_) if !refused && !self.prompt.is_timed() => {
                let code = self
                    .prompt
                    .line(&format!("An MFA code is six digits, try again. {question}"))?;
                six_digits(&code, NO_CODE)
            }
            code => code,
        }
    }

    /// The code of a claimed step, as soon as AWS takes it.
    pub fn code_of(&self, claim: &Claim, seed: &Seed) -> Secret {
        if !claim.wait.is_zero() {
            let what = || "the next MFA code".to_owned();
            let _waiting = waiting(what, Some(Instant::now() + claim.wait));
            std::thread::sleep(claim.wait);
        }
        seed.code(claim.step)
    }

    /// Claims the next code of a seed for something else than a session that is kept: in this host's ledger
    /// and, in a fleet, in the book of all hosts. With the store away, one that other hosts do not know of.
    /// `now` is by AWS's clock.
    ///
    /// # Errors
    /// As [`Ledger::claim`](crate::session::Ledger::claim); 9 if the store is away and required. No code is
    /// to be used then.
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
            Known::ToAll(claim) => Ok(claim),
            Known::Here => claim(None),
            Known::HereAlone => {
                let mut claim = claim(None)?;
                claim.recorded = false;
                Ok(claim)
            }
        }
    }

    /// Records steps whose codes are sent to another service than STS, in this host's ledger and, in a fleet,
    /// in the book of all hosts.
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
        let spend = |book: Option<&mut SharedClaims>| ledger.spend(steps, now, deadline, book);
        let in_book = |part: &mut Participant<'_>| {
            part.claim_step(|book| Ok((spend(Some(book))?, Duration::ZERO)), |()| {})
        };
        match self.in_book(serial, in_book)? {
            Known::ToAll(()) => Ok(()),
            Known::Here | Known::HereAlone => spend(None),
        }
    }

    /// Takes a step in the device's book that all hosts of the fleet share, if there is a fleet and its store
    /// is not away.
    ///
    /// # Errors
    /// Those of `step`; 9 if the store is away and required; busy (8) if other hosts are faster each time.
    fn in_book<T>(
        &self,
        serial: &str,
        step: impl FnOnce(&mut Participant<'_>) -> Result<CodeDecision<T>>,
    ) -> Result<Known<T>> {
        let Some(fleet) = self.fleet.as_deref() else { return Ok(Known::Here) };
        let began = Instant::now();
        let alone = match fleet.store(self.vault()?.payload()) {
            Ok(None) => return Ok(Known::Here),
            Ok(Some(shared)) => {
                let keys = (fleet.keys(), fleet.keys().book_name(serial));
                let mut part =
                    Participant::of_book(&*shared.store, keys, (self.clock, Timing::real()))?;
                part.connected(began.elapsed(), shared.silent);
                match step(&mut part)? {
                    CodeDecision::Send(taken) => return Ok(Known::ToAll(taken)),
                    CodeDecision::Alone(alone) => alone,
                    CodeDecision::Overtaken => return Err(another_host()),
                }
            }
            Err(error) => away(error)?,
        };
        self.go_alone(alone)?;
        Ok(Known::HereAlone)
    }

    /// Whether AWS takes the codes of a seed: sends one that no other process sends, for the shortest
    /// session, which is thrown away. `now` is by AWS's clock.
    ///
    /// # Errors
    /// As [`CredentialSession::claim_code`]: then none was sent.
    pub fn try_code(
        &self,
        sts: &Sts,
        key: &Credentials,
        (serial, seed): (&str, &Seed),
        now: Timestamp,
        deadline: Instant,
    ) -> Result<Answer> {
        let claim = self.claim_code(serial, seed, now, deadline)?;
        let code = self.code_of(&claim, seed);
        Ok(match sts.session_token(key, SHORT, Some((serial, &code))) {
            Ok(_) => Answer::Taken,
            Err(error) => Answer::Refused { error, recorded: claim.recorded },
        })
    }

    /// True if a code can be had again and again, and nobody is asked.
    pub(super) fn has_codes_without_a_person(&self, mfa: &Mfa) -> bool {
        mfa.process.is_some() || self.seed(&mfa.serial).is_some()
    }

    fn seed(&self, serial: &str) -> Option<Seed> {
        self.vault().ok()?.payload().totp(serial)
    }
}

/// What is said of a person's answer that is no code.
const NO_CODE: &str = "an MFA code is six digits";

/// To whom a code is known that was taken.
enum Known<T> {
    /// This host, which is in no fleet, or keeps out of it.
    Here,
    /// This host, since the store of its fleet is away.
    HereAlone,
    /// All hosts of the fleet.
    ToAll(T),
}

/// The shortest session that AWS gives.
pub(super) const SHORT: Duration = Duration::from_secs(900);

/// What AWS made of a code.
#[derive(Debug)]
pub enum Answer {
    /// It is the device's.
    Taken,
    /// It is not, or AWS could not say.
    Refused {
        /// AWS's answer, or why there is none.
        error: ServiceError,
        /// False where no other process knows that the code was sent.
        recorded: bool,
    },
}

/// Where codes come from.
pub(super) enum Code {
    /// This one was given.
    Given(Secret),
    /// The seed has as many as AWS takes.
    Seed(Seed),
    /// Somebody has to be asked: [`CredentialSession::ask_for_code`].
    Asked,
}

impl Error {
    /// The same failure as one of MFA (9).
    fn into_mfa(self) -> Self {
        Self { class: Class::Aws, ..self }
    }
}

/// The code, or that it is none, in the words given.
fn six_digits(text: &str, otherwise: &str) -> Result<Secret> {
    let code = text.trim();
    if code.len() == 6 && code.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(Secret::new(code.to_owned()));
    }
    Err(Error::usage(otherwise))
}
