//! A session that costs a code, made once for all hosts of a fleet.

use std::time::{Duration, Instant};

use super::super::code::{ClaimScope, Code};
use super::super::fleet::without_store;
use super::{FRESH, Failed, Run};
use crate::clock::Timestamp;
use crate::credential::Credentials;
use crate::error::Error;
use crate::profile::{Mfa, Step};
use crate::session::{
    CodeDecision, FleetKeys, Minted, Names, Participant, SessionDecision, SharedClaims, Timing,
    Wanted,
};
use crate::store::Store;

/// How long this host waits for another one, of the 50 s that all calls have together.
const WAIT: Duration = Duration::from_secs(45);
/// The time that a call needs after that.
const CALL: Duration = Duration::from_secs(5);

impl Run<'_> {
    /// Makes the session of a step; if it costs a code, once for all hosts of the fleet.
    pub(super) fn call_for_all(
        &self,
        step: Step,
        from: &Credentials,
        wanted: &Wanted<'_>,
    ) -> Result<Minted, Failed> {
        let (Some(fleet), Some(mfa)) = (self.with.fleet.as_deref(), step.mfa()) else {
            return self.call(&step, from, ClaimScope::Host).map(Minted::Here);
        };
        let began = Instant::now();
        let shared = match fleet.store(self.with.vault()?.payload()) {
            Ok(Some(shared)) => shared,
            Ok(None) => return self.call(&step, from, ClaimScope::Host).map(Minted::Here),
            Err(error) => return self.call_alone(&step, from, without_store(error)?),
        };
        let keys = fleet.keys();
        let names = Names {
            session: keys.session_name(wanted.kind, wanted.key),
            totp_claims: keys.totp_claims_name(&mfa.serial),
        };
        let connected = began.elapsed();
        let code = self.code_lifetime(mfa);
        let left = self.deadline.get().saturating_duration_since(Instant::now());
        let wait = WAIT.min(left.saturating_sub(CALL));
        let wait = code.as_ref().map_or(wait, |left| wait.min(left.saturating_sub(CALL)));
        // A run waits once.
        let wait = if self.waited.get().is_zero() { wait } else { Duration::ZERO };
        let time = (self.with.clock, Timing::real());
        let mut part =
            Participant::new(&*shared.store, (keys, names), wanted, time, code.is_ok(), wait)?;
        part.connected(connected, shared.silent);
        let made = loop {
            match part.decide() {
                SessionDecision::Serve(minted) => {
                    self.with.reporter.debug("the fleet has a session");
                    break Ok(minted);
                }
                SessionDecision::Lead(least) => match self.lead(&step, from, &mut part, least) {
                    Err(Failed::Overtaken) => {}
                    made => break made,
                },
                SessionDecision::Ask => break Err(code.err().unwrap_or(Failed::NeedsCode)),
                SessionDecision::Waited(waited) => {
                    self.waited.set(self.waited.get().max(waited));
                    if let Err(failed) = code {
                        break Err(failed);
                    }
                    break self.make_own(&step, from, (&*shared.store, keys), wanted);
                }
                SessionDecision::Alone(alone) => break self.call_alone(&step, from, alone),
            }
        };
        fleet.saw_generation(part.seen_generation());
        made
    }

    /// Makes a session for this host, with a code that the fleet knows of, since another host did not
    /// finish; or takes that host's session after all.
    fn make_own(
        &self,
        step: &Step,
        from: &Credentials,
        (store, keys): (&dyn Store, &FleetKeys),
        wanted: &Wanted<'_>,
    ) -> Result<Minted, Failed> {
        let Some(mfa) = step.mfa() else { return Err(Failed::NeedsCode) };
        self.with.reporter.warn(format!(
            "another host of the fleet has been making the same session for {} s; this one makes its own",
            self.waited.get().as_secs()
        ));
        let time = || (self.with.clock, Timing::real());
        let totp_claims = keys.totp_claims_name(&mfa.serial);
        let mut own = Participant::for_code(store, (keys, totp_claims.clone()), time())?;
        let made = self.call(step, from, ClaimScope::Fleet(&mut own)).map(Minted::Here);
        let Err(failed) = made else { return made };
        let names = Names { session: keys.session_name(wanted.kind, wanted.key), totp_claims };
        let mut again =
            Participant::new(store, (keys, names), wanted, time(), false, Duration::ZERO)?;
        match again.decide() {
            SessionDecision::Serve(minted) => Ok(minted),
            _ => Err(failed),
        }
    }

    /// The object of the session that costs a code, if one does.
    pub(in crate::provider) fn shared_name(&self, keys: &FleetKeys) -> Option<String> {
        let (at, _) = self.device()?;
        let key = self.key(at);
        Some(keys.session_name(self.wanted(at, &key, None).kind, &key))
    }

    /// How long there is a code to send; or why there is none.
    fn code_lifetime(&self, mfa: &Mfa) -> Result<Duration, Failed> {
        match self.with.code(mfa, self.request.mfa_token)? {
            Code::Seed(_) => Ok(WAIT + CALL),
            Code::Given(_) => Ok(FRESH.saturating_sub(self.started.elapsed())),
            Code::Asked => match &*self.asked.borrow() {
                None => Err(Failed::NeedsCode),
                Some(Err(error)) => Err(Failed::Ours(error.clone())),
                Some(Ok(code)) => Ok(FRESH.saturating_sub(code.since.elapsed())),
            },
        }
    }

    /// Makes the session for all, for as long as the one was that it replaces (`least`).
    fn lead(
        &self,
        step: &Step,
        from: &Credentials,
        part: &mut Participant<'_>,
        least: Option<Duration>,
    ) -> Result<Minted, Failed> {
        let mut step = step.clone();
        let mut length = None;
        if let Step::Session { duration, .. } = &mut step {
            *duration = (*duration).max(least.unwrap_or_default());
            length = Some(*duration);
        }
        match self.call(&step, from, ClaimScope::Fleet(part)) {
            Ok(made) => {
                let generation = self.with.vault().map_or(0, |vault| vault.payload().generation());
                let (minted, alone) = part.made(made, length, generation);
                if let (Some(alone), Some(fleet)) = (alone, &self.with.fleet) {
                    fleet.not_shared(alone);
                }
                Ok(minted)
            }
            Err(Failed::Overtaken) => Err(Failed::Overtaken),
            Err(failed) => {
                part.give_up();
                Err(failed)
            }
        }
    }

    /// Makes a session with one code, since the store cannot be used.
    fn call_alone(&self, step: &Step, from: &Credentials, why: Error) -> Result<Minted, Failed> {
        self.with.go_alone(why)?;
        self.call(step, from, ClaimScope::HostAlone).map(Minted::Here)
    }

    /// Tells the fleet that a code of unknown step is sent now. True if another host makes the session by
    /// now, so that the code is not sent.
    pub(super) fn is_overtaken(&self, scope: ClaimScope<'_, '_>) -> Result<bool, Error> {
        let ClaimScope::Fleet(part) = scope else { return Ok(false) };
        let offset = self.sts()?.clock_offset().unwrap_or(0);
        let now = Timestamp(self.with.clock.now().0.saturating_add(offset));
        let note = |shared: &mut SharedClaims| {
            shared.note_given(now);
            Ok(((), Duration::ZERO))
        };
        match part.claim_step(note, |()| {})? {
            CodeDecision::Send(()) => Ok(false),
            CodeDecision::Overtaken => Ok(true),
            CodeDecision::Alone(alone) => self.with.go_alone(alone).map(|()| false),
        }
    }
}

#[cfg(test)]
mod tests;
