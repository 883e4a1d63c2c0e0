//! One host that shares a session with its fleet: sends the requests of [`Protocol`] to the store, and gives up
//! after a time.

mod decision;

use std::io;
use std::time::Duration;

use super::super::SessionKind;
use super::super::flight::{Minted, Wanted};
use super::super::record::{Freshness, Record};
use super::object::{self, EncodedRecord, FleetKeys, SessionObject, SharedClaims};
use super::protocol::{Action, AloneReason, Event, LEASE, Nonce, Protocol, Seen, WriteResult};
use super::timing::Timing;
use crate::clock::{Clock, Timestamp};
use crate::credential::Credentials;
use crate::error::{Error, Result};
use crate::random;
use crate::store::{Answer, Condition, ETag, Read, Store, StoreError, Written};

pub use decision::{CodeDecision, SessionDecision};

/// The total time that a host waits for an unreachable or slow store, and again to publish a session.
const PATIENCE: Duration = Duration::from_secs(3);
/// A request that is answered within this costs no patience.
const PROMPT: Duration = Duration::from_millis(500);
/// How often a request may fail that certainly did nothing: a connection may fail once.
const FAILURES: u8 = 2;
/// The shortest pauses: before another host's claim is read again, and after a request that failed.
const POLL: Duration = Duration::from_millis(400);
const AGAIN: Duration = Duration::from_millis(200);

/// An event of the protocol with the types of a store.
type StoreEvent = Event<ETag, EncodedRecord, SharedClaims>;

/// Why a request or a wait ends the attempt.
enum Stop {
    Alone(Error),
    Waited(Duration),
}

/// For a code that makes no session of the fleet.
const NO_SESSION: Wanted<'static> = Wanted {
    profile: "",
    kind: SessionKind::Session,
    key: &[],
    length: None,
    not_before: None,
    min_left: None,
};

/// The objects that a session is about.
pub struct Names {
    pub session: String,
    pub totp_claims: String,
}

/// A time of the store's, which was so between the request and its answer. What is read counts from the
/// request: so no session seems to be made later than it was, however late the answer comes, and
/// `--refresh` gets none that was there before.
#[derive(Clone, Copy)]
struct StoreTime {
    date: Timestamp,
    /// When the request was sent, by this host's clock.
    asked: Timestamp,
    /// When the answer came, by the monotonic clock.
    received: Duration,
}

/// One host's part in a session.
pub struct Participant<'a> {
    store: &'a dyn Store,
    keys: &'a FleetKeys,
    names: Names,
    wanted: &'a Wanted<'a>,
    clock: Clock,
    timing: Timing<'a>,
    nonce: Nonce,
    protocol: Protocol<ETag, EncodedRecord>,
    next: Action<ETag, EncodedRecord, SharedClaims>,
    /// Until when another host is waited for.
    until: Duration,
    spent: Duration,
    failures: u8,
    date: Option<StoreTime>,
    generation: u64,
}

impl<'a> Participant<'a> {
    /// Begins. `has_code`: false if the user has to be asked for a code first; `wait`: the longest wait for
    /// another host.
    pub fn new(
        store: &'a dyn Store,
        (keys, names): (&'a FleetKeys, Names),
        wanted: &'a Wanted<'a>,
        (clock, timing): (Clock, Timing<'a>),
        has_code: bool,
        wait: Duration,
    ) -> Result<Self> {
        let nonce = *random::bytes()?;
        Ok(Self {
            store,
            keys,
            names,
            wanted,
            clock,
            until: (timing.now)() + wait,
            timing,
            nonce,
            protocol: Protocol::new(nonce, has_code),
            next: Action::Read,
            spent: Duration::ZERO,
            failures: 0,
            date: None,
            generation: 0,
        })
    }

    /// Begins for a code that makes no session of the fleet's: [`Participant::claim_step`] takes one that no other
    /// host sends. `totp_claims`: the name of the device's.
    pub fn for_code(
        store: &'a dyn Store,
        (keys, totp_claims): (&'a FleetKeys, String),
        time: (Clock, Timing<'a>),
    ) -> Result<Self> {
        let names = Names { session: String::new(), totp_claims };
        let part = Self::new(store, (keys, names), &NO_SESSION, time, true, Duration::ZERO)?;
        let protocol = Protocol::for_code(part.nonce);
        Ok(Self { protocol, next: Action::ReadTotpClaims, ..part })
    }

    /// Goes on until this host has something to do.
    pub fn decide(&mut self) -> SessionDecision {
        loop {
            match &self.next {
                Action::Serve(session) => {
                    return match self.decode(session) {
                        Some((record, _)) => {
                            SessionDecision::Serve(Minted::Shared(Box::new(record)))
                        }
                        None => {
                            SessionDecision::Alone(Error::aws("a session in the store is damaged"))
                        }
                    };
                }
                Action::Ask => return SessionDecision::Ask,
                Action::ReadTotpClaims => {
                    let old = self.protocol.replaced().and_then(|old| self.decode(old));
                    return SessionDecision::Lead(old.and_then(|(old, _)| old.length));
                }
                _ => match self.perform() {
                    Ok(event) => self.on(event),
                    Err(Stop::Alone(alone)) => {
                        self.give_up();
                        return SessionDecision::Alone(alone);
                    }
                    Err(Stop::Waited(wait)) => return SessionDecision::Waited(wait),
                },
            }
        }
    }

    /// Takes a step and notes it in the claims of the device. `take` takes one that is free in these and
    /// adds it there, and says how long to wait for its time; `give_back` gets one that was not noted, so
    /// that its code is free again.
    pub fn claim_step<C>(
        &mut self,
        mut take: impl FnMut(&mut SharedClaims) -> Result<(C, Duration)>,
        mut give_back: impl FnMut(C),
    ) -> Result<CodeDecision<C>> {
        let (mut taken, mut is_noted) = (None, false);
        loop {
            let event = match (&self.next, self.protocol.is_leading()) {
                (_, false) => return Ok(CodeDecision::Overtaken),
                (Action::Send, _) => {
                    return Ok(taken.map_or(CodeDecision::Overtaken, CodeDecision::Send));
                }
                (Action::Take(claims), _) => {
                    let mut claims = claims.clone();
                    let (claim, wait) = take(&mut claims)?;
                    (taken, is_noted) = (Some(claim), false);
                    Event::Taken(claims, wait)
                }
                _ => {
                    let event = match self.perform() {
                        Ok(event) => event,
                        Err(stop) => {
                            // What is noted is this host's, whatever becomes of its claim.
                            if is_noted && let Some(claim) = taken {
                                return Ok(CodeDecision::Send(claim));
                            }
                            let Stop::Alone(alone) = stop else {
                                return Ok(CodeDecision::Overtaken);
                            };
                            self.give_up();
                            return Ok(CodeDecision::Alone(alone));
                        }
                    };
                    if matches!(self.next, Action::WriteTotpClaims { .. }) {
                        use WriteResult::{Again, Done, Refused};
                        match &event {
                            Event::Written(Done(_)) => is_noted = true,
                            Event::Written(Refused | Again) => {
                                taken.take().into_iter().for_each(&mut give_back)
                            }
                            _ => {}
                        }
                    }
                    event
                }
            };
            self.on(event);
        }
    }

    /// Says that AWS did not take the code and may take another.
    pub fn refused(&mut self) {
        self.on(Event::CodeRefused);
    }

    /// Removes a step whose code was certainly not sent from the claims, as far as that can be done at once.
    pub fn unsent(&mut self, remove: impl FnOnce(&mut SharedClaims)) {
        let Ok(Event::TotpClaims(over, mut claims)) = self.read_totp_claims() else { return };
        remove(&mut claims);
        self.next = Action::WriteTotpClaims { over, claims };
        let _ = self.perform();
    }

    /// Lets other hosts lead, as far as that can be done at once: this one makes no session after all, or
    /// none that they get.
    pub fn give_up(&mut self) {
        if let Some(action) = self.protocol.give_up() {
            (self.spent, self.failures) = (self.spent.min(PATIENCE.saturating_sub(PROMPT)), 0);
            self.next = action;
            let _ = self.perform();
        }
    }

    /// Publishes a new session, as far as that can be done at once, or says why not. `generation`: of this
    /// host's vault.
    pub fn made(
        &mut self,
        credentials: Credentials,
        length: Option<Duration>,
        generation: u64,
    ) -> (Minted, Option<Error>) {
        let Some(ends) = credentials.expiration else { return (Minted::Here(credentials), None) };
        let (profile, made) = (self.wanted.profile.to_owned(), self.clock.now());
        let record = Record { profile, credentials, made, ends, failed: None, length };
        let date = self.date.map_or(made, |it| it.date.plus((self.timing.now)() - it.received));
        self.on(Event::Made(object::encode(&record, date, generation)));
        // A session that is made is published even to a slow store: otherwise every host would make one.
        (self.spent, self.failures) = (Duration::ZERO, 0);
        let mut alone = None;
        while alone.is_none() && self.protocol.is_made() {
            match self.perform() {
                Ok(event) => self.on(event),
                Err(Stop::Alone(why)) => alone = Some(why),
                Err(Stop::Waited(_)) => break,
            }
        }
        (Minted::Shared(Box::new(record)), alone)
    }

    /// The highest generation of a vault that a record named; 0 if none was read.
    pub fn seen_generation(&self) -> u64 {
        self.generation
    }

    fn on(&mut self, event: StoreEvent) {
        self.next = self.protocol.on(event, (self.timing.now)());
    }

    /// Does what is next, if it concerns the store or is a wait; to go on alone is an error.
    fn perform(&mut self) -> Result<StoreEvent, Stop> {
        let (session, name) = (self.names.session.clone(), self.names.totp_claims.clone());
        match self.next.clone() {
            Action::Read => {
                let answer = self.read(&session)?;
                Ok(Event::Read(self.seen(answer)))
            }
            Action::ReadTotpClaims => self.read_totp_claims(),
            Action::Claim { over, lease, old } => {
                let claim = SessionObject::Claim { nonce: self.nonce, lease, old };
                self.write(&session, over.as_ref(), self.keys.seal_object(&session, &claim))
            }
            Action::Publish { over, session: shared } => {
                let record = SessionObject::Record(shared);
                self.write(&session, Some(&over), self.keys.seal_object(&session, &record))
            }
            Action::WriteTotpClaims { over, claims } => {
                self.write(&name, over.as_ref(), self.keys.seal_totp_claims(&name, &claims))
            }
            Action::Wait => {
                let (now, pause) = ((self.timing.now)(), self.pause(POLL));
                if now + pause > self.until {
                    return Err(Stop::Waited(now));
                }
                (self.timing.sleep)(pause);
                Ok(Event::Waited)
            }
            Action::GoAlone(why) => Err(Stop::Alone(why.error())),
            _ => Err(Stop::Alone(AloneReason::Refuses.error())),
        }
    }

    /// A random time of one to five times `least`.
    fn pause(&self, least: Duration) -> Duration {
        least + least * 4 * u32::from((self.timing.random)()) / u32::from(u16::MAX)
    }

    fn read_totp_claims(&mut self) -> Result<StoreEvent, Stop> {
        let name = self.names.totp_claims.clone();
        let answer = self.read(&name)?;
        let date = answer.date.unwrap_or_else(|| self.clock.now());
        let Read::Found(object) = answer.what else {
            let claims = SharedClaims { date: date.0, ..SharedClaims::default() };
            return Ok(Event::TotpClaims(None, claims));
        };
        match self.keys.open_totp_claims(&name, object.body, date) {
            Ok(Some(claims)) => Ok(Event::TotpClaims(Some(object.etag), claims)),
            Ok(None) => Ok(Event::Closed),
            Err(object::Damaged) => Err(Stop::Alone(
                Error::aws("the record of MFA codes in the store is damaged").hint(format!(
                    "remove the object {name} under its prefix, three minutes after the last code was sent"
                )),
            )),
        }
    }

    /// What `s/NAME` is to this host.
    fn seen(&mut self, answer: Answer<Read>) -> Seen<ETag, EncodedRecord> {
        let Read::Found(found) = answer.what else { return Seen::Missing };
        let (age, version) = (object::age(&found, answer.date), found.etag);
        let object = self.keys.open_object(&self.names.session, found.body);
        if let Some(SessionObject::Record(session)) = &object
            && let Some(freshness) = self.freshness(session)
        {
            return Seen::Record { version, session: session.clone(), freshness };
        }
        let (nonce, lease, old) = match object {
            Some(SessionObject::Claim { nonce, lease, old }) => (nonce, lease, old),
            // An object of a later version, or a damaged one: as a claim of another host, which ends.
            _ => ([0; 16], LEASE, None),
        };
        let old = old.and_then(|old| self.freshness(&old).map(|freshness| (old, freshness)));
        Seen::Claim { version, nonce, lease, age, old }
    }

    fn freshness(&mut self, session: &EncodedRecord) -> Option<Freshness> {
        let (record, generation) = self.decode(session)?;
        self.generation = self.generation.max(generation);
        Some(self.wanted.freshness(&record, self.clock.now()))
    }

    /// The record, with its times by this host's clock, and the generation of its maker's vault.
    fn decode(&self, session: &EncodedRecord) -> Option<(Record, u64)> {
        match self.date {
            Some(StoreTime { date, asked, .. }) => object::decode(session, Some(date), asked),
            None => object::decode(session, None, self.clock.now()),
        }
    }

    fn read(&mut self, name: &str) -> Result<Answer<Read>, Stop> {
        loop {
            let within = self.patience()?;
            let (began, asked) = ((self.timing.now)(), self.clock.now());
            match self.store.read_within(name, None, within) {
                Ok(answer) => {
                    self.answered(began, asked, answer.date);
                    return Ok(answer);
                }
                Err(error) => self.failed(began, error)?,
            }
        }
    }

    /// Writes once, unless it certainly did not happen.
    fn write(
        &mut self,
        name: &str,
        over: Option<&ETag>,
        sealed: io::Result<Vec<u8>>,
    ) -> Result<StoreEvent, Stop> {
        let body =
            sealed.map_err(|_| Stop::Alone(Error::aws("the system has no randomness to give")))?;
        let condition = over.map_or(Condition::Absent, Condition::Is);
        loop {
            // A record whose answer does not come is looked for, and written once more.
            let most = if self.protocol.is_made() { PATIENCE / 2 } else { PATIENCE };
            let within = self.patience()?.min(most);
            let (began, asked) = ((self.timing.now)(), self.clock.now());
            let written = match self.store.write_within(name, &body, condition, within) {
                Ok(answer) => {
                    self.answered(began, asked, answer.date);
                    match answer.what {
                        Written::Done(version) => WriteResult::Done(version),
                        Written::Refused => WriteResult::Refused,
                        Written::Again => {
                            self.pause_or_stop(
                                (self.timing.now)(),
                                Error::aws("the store is busy"),
                            )?;
                            WriteResult::Again
                        }
                    }
                }
                Err(error @ StoreError::Unknown(_)) => {
                    self.failed(began, error)?;
                    WriteResult::Unknown
                }
                Err(error) => {
                    self.failed(began, error)?;
                    continue;
                }
            };
            return Ok(Event::Written(written));
        }
    }

    /// The most time to spend after a failure. A host with a claim keeps a moment to end it, so that no other
    /// host waits for the lease.
    fn most(&self) -> Duration {
        match self.protocol.is_leading() {
            true => PATIENCE.saturating_sub(PROMPT),
            false => PATIENCE,
        }
    }

    /// How long a request may take.
    fn patience(&self) -> Result<Duration, Stop> {
        let left = PATIENCE.saturating_sub(self.spent);
        match self.most().saturating_sub(self.spent).max(PROMPT.min(left)) {
            Duration::ZERO => Err(Stop::Alone(Error::aws("the store is too slow"))),
            within => Ok(within),
        }
    }

    /// Counts the time to connect to the store. If its last request timed out (`silent`), the next one waits
    /// only briefly.
    pub fn connected(&mut self, took: Duration, silent: bool) {
        self.count(took);
        if silent {
            self.spent = PATIENCE.saturating_sub(PROMPT * 2);
        }
    }

    fn count(&mut self, took: Duration) {
        if took > PROMPT {
            self.spent += took;
        }
    }

    fn answered(&mut self, began: Duration, asked: Timestamp, date: Option<Timestamp>) {
        let received = (self.timing.now)();
        self.date = date.map(|date| StoreTime { date, asked, received }).or(self.date);
        self.count(received - began);
    }

    fn failed(&mut self, began: Duration, error: StoreError) -> Result<(), Stop> {
        if matches!(error, StoreError::Failed { .. }) {
            self.failures += 1;
        }
        self.pause_or_stop(began, error.into())
    }

    /// A pause before the store is asked again, if there is patience for it. `why`: what went wrong since
    /// `began`.
    fn pause_or_stop(&mut self, began: Duration, why: Error) -> Result<(), Stop> {
        let pause = self.pause(AGAIN);
        self.spent += (self.timing.now)() - began + pause;
        if self.spent >= self.most() || self.failures >= FAILURES {
            return Err(Stop::Alone(why));
        }
        (self.timing.sleep)(pause);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
