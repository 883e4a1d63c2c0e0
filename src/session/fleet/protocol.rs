//! Which host makes the session of a fleet, and with which code: events in, actions out, without a clock,
//! a request or a random number, so that a test can search all interleavings of several hosts.
//!
//! `s/NAME` holds a claim or a record. A host that finds neither, or a claim whose lease is over, writes a
//! claim of its own under a condition; if that succeeds, it leads. The leader reads the device's claims in
//! `l/NAME`, takes a step, writes them back under a condition, and only then sends the code; then the record
//! replaces its claim. They are what keeps a code from being sent twice; the lease saves codes.

mod events;

use std::time::Duration;

use super::super::record::Freshness;

pub use events::{Action, AloneReason, Event, Nonce, Seen, WriteResult};

/// How long a claim holds.
pub(super) const LEASE: Duration = Duration::from_secs(15);
/// How long a claim holds after the leader's code is due: for the call and the record.
const AFTER_DUE: Duration = Duration::from_secs(10);
/// How often the conditions of a host's claims may fail. Other hosts make them fail a few times; a store
/// that refuses every write does so always.
const TRIES: u8 = 8;
/// How many writes of the claims may stay without an answer. Each spends a step, and the device has six in three
/// minutes, which are those of all hosts.
const DOUBTS: u8 = 2;

/// One host's part in making one session.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Protocol<V, S> {
    nonce: Nonce,
    /// True if there is a code to send, or a seed to make one of.
    has_code: bool,
    /// True once another host was seen to lead: what it publishes is new enough, whatever this host wants.
    waited: bool,
    /// The version of a record that was not served.
    declined: Option<V>,
    /// A version that another host's claim has had, and since when at least.
    watched: Option<(V, Duration)>,
    /// What a claim was to replace that was refused.
    refused: Option<Option<V>>,
    tries: u8,
    doubts: u8,
    state: State<V, S>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum State<V, S> {
    /// The session is read, or a wait for that.
    Looking,
    Claiming {
        over: Option<V>,
        old: Old<S>,
        since: Duration,
    },
    /// The TOTP claims are read.
    Opening(Claim<V, S>),
    /// A step is taken from the TOTP claims of this version.
    Taking(Claim<V, S>, Option<V>),
    /// The TOTP claims are written.
    Noting(Claim<V, S>, Duration),
    /// The claim is written again, to hold until the code is sent.
    Extending {
        claim: Claim<V, S>,
        due: Duration,
        lease: Duration,
        since: Duration,
    },
    /// It is read whether that happened.
    Confirming(Claim<V, S>, Duration),
    Sending(Claim<V, S>),
    Publishing(Claim<V, S>, S),
    /// It is read whether that happened.
    Checking(Claim<V, S>, S),
    Done,
}

/// The session that is to be replaced.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Old<S> {
    /// It is kept in the claim for other hosts.
    session: Option<S>,
    /// It is good enough for this one, too.
    serves: bool,
}

/// This host's claim in the store.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Claim<V, S> {
    /// `None` for a code that makes no session of the fleet's: there is no claim in `s/NAME`.
    version: Option<V>,
    until: Duration,
    old: Old<S>,
}

impl<V: Clone + PartialEq, S: Clone> Protocol<V, S> {
    /// Begins with [`Action::Read`]. `has_code`: false if the user has to be asked for a code first.
    pub fn new(nonce: Nonce, has_code: bool) -> Self {
        Self {
            nonce,
            has_code,
            waited: false,
            declined: None,
            watched: None,
            refused: None,
            tries: 0,
            doubts: 0,
            state: State::Looking,
        }
    }

    /// Begins with [`Action::ReadTotpClaims`], for a code that makes no session of the fleet's: nothing is written
    /// but the claims.
    pub fn for_code(nonce: Nonce) -> Self {
        let old = Old { session: None, serves: false };
        let state = State::Opening(Claim { version: None, until: Duration::MAX, old });
        Self { state, ..Self::new(nonce, true) }
    }

    /// What to do after this event. `now`: the time by a monotonic clock, from any start. Durations of
    /// requests are counted against the lease, so `now` may be late and is never early.
    pub fn on<C>(&mut self, event: Event<V, S, C>, now: Duration) -> Action<V, S, C> {
        match (std::mem::replace(&mut self.state, State::Done), event) {
            (State::Looking, Event::Read(seen)) => self.look(seen, now),
            (State::Looking, Event::Waited) => self.read(State::Looking),
            (State::Claiming { over, old, since }, Event::Written(written)) => {
                self.claimed(over, old, since, written)
            }
            (State::Opening(claim), Event::TotpClaims(version, claims)) => {
                self.state = State::Taking(claim, version);
                Action::Take(claims)
            }
            (State::Opening(claim), Event::Closed) => {
                // For [`Protocol::give_up`].
                self.state = State::Opening(claim);
                Action::GoAlone(AloneReason::Closed)
            }
            (State::Taking(claim, over), Event::Taken(claims, wait)) => {
                self.state = State::Noting(claim, now + wait);
                Action::WriteTotpClaims { over, claims }
            }
            (State::Noting(claim, due), Event::Written(written)) => match written {
                WriteResult::Done(_) => self.send_when_covered(claim, due, now),
                // Whatever became of it, this step is not sent.
                WriteResult::Unknown => self.doubt(claim),
                WriteResult::Refused | WriteResult::Again => self.open(claim),
            },
            (State::Extending { claim, due, lease, since }, Event::Written(written)) => {
                let longer = Claim { until: since + lease, ..claim.clone() };
                self.extended(claim, longer, due, now, written)
            }
            (State::Confirming(claim, due), Event::Read(seen)) => match self.own(&seen, now) {
                Some((version, until)) => self.send_when_covered(
                    Claim { version: Some(version), until, ..claim },
                    due,
                    now,
                ),
                None => {
                    self.waited = true;
                    self.look(seen, now)
                }
            },
            (State::Sending(claim), Event::Made(session)) => self.publish(claim, session),
            (State::Sending(claim), Event::CodeRefused) => self.open(claim),
            (State::Publishing(claim, session), Event::Written(written)) => match written {
                WriteResult::Done(_) | WriteResult::Refused => Action::Keep,
                WriteResult::Again => self.publish(claim, session),
                WriteResult::Unknown => self.read(State::Checking(claim, session)),
            },
            (State::Checking(claim, session), Event::Read(seen)) => match self.own(&seen, now) {
                Some((version, _)) => {
                    self.publish(Claim { version: Some(version), ..claim }, session)
                }
                // It was published, or another host leads now, whose claim is not overwritten.
                None => Action::Keep,
            },
            // Nothing was asked for that could give this.
            _ => Action::GoAlone(AloneReason::Refuses),
        }
    }

    /// The valid session that the leader replaces.
    pub fn replaced(&self) -> Option<&S> {
        match &self.state {
            State::Opening(claim) => claim.old.session.as_ref(),
            _ => None,
        }
    }

    /// True if this host holds a claim, as far as it knows, and its code is not taken yet.
    pub fn is_leading(&self) -> bool {
        matches!(
            self.state,
            State::Opening(_)
                | State::Taking(..)
                | State::Noting(..)
                | State::Extending { .. }
                | State::Confirming(..)
                | State::Sending(_)
        )
    }

    /// True once the code was taken: there is a session, whatever becomes of its record.
    pub fn is_made(&self) -> bool {
        matches!(self.state, State::Publishing(..) | State::Checking(..))
    }

    /// Makes no session after all: a claim that ends at once, if this host leads.
    pub fn give_up<C>(&mut self) -> Option<Action<V, S, C>> {
        match std::mem::replace(&mut self.state, State::Done) {
            State::Opening(claim)
            | State::Taking(claim, _)
            | State::Noting(claim, _)
            | State::Sending(claim) => {
                let (over, old) = (Some(claim.version?), claim.old.session);
                Some(Action::Claim { over, lease: Duration::ZERO, old })
            }
            _ => None,
        }
    }

    fn read<C>(&mut self, state: State<V, S>) -> Action<V, S, C> {
        self.state = state;
        Action::Read
    }

    /// What to do about `s/NAME`.
    fn look<C>(&mut self, seen: Seen<V, S>, now: Duration) -> Action<V, S, C> {
        let own = self.own(&seen, now);
        match seen {
            Seen::Missing => self.claim(None, None, Freshness::Expired, now),
            Seen::Record { version, session, freshness } => {
                let newer = self.waited && self.declined.as_ref() != Some(&version);
                match freshness {
                    Freshness::Fresh => Action::Serve(session),
                    // Made while this host waited, and AWS grants none that lasts longer. Otherwise every
                    // host that waited would make one.
                    Freshness::Due | Freshness::TooOld if newer => Action::Serve(session),
                    _ => {
                        self.declined = Some(version.clone());
                        self.claim(Some(version), Some(session), freshness, now)
                    }
                }
            }
            Seen::Claim { version, lease, age, old, .. } => {
                let (old, freshness) = old
                    .map_or((None, Freshness::Expired), |(old, freshness)| (Some(old), freshness));
                if let Some((version, until)) = own {
                    let (version, old) = (Some(version), Old::new(old, freshness));
                    return self.open(Claim { version, until, old });
                }
                let over = self.watch(&version, now) > lease || age.is_some_and(|age| age > lease);
                match (freshness, old) {
                    (Freshness::Fresh, Some(old)) => Action::Serve(old),
                    (Freshness::Due, Some(old)) if !over => Action::Serve(old),
                    (_, old) if over => self.claim(Some(version), old, freshness, now),
                    _ => self.wait(),
                }
            }
        }
    }

    /// For how long this host has seen this version, at least.
    fn watch(&mut self, version: &V, now: Duration) -> Duration {
        match &self.watched {
            Some((watched, since)) if watched == version => now.saturating_sub(*since),
            _ => {
                self.watched = Some((version.clone(), now));
                Duration::ZERO
            }
        }
    }

    /// The version of this host's own claim, and until when it holds.
    fn own(&self, seen: &Seen<V, S>, now: Duration) -> Option<(V, Duration)> {
        match seen {
            Seen::Claim { version, nonce, lease, age, .. } if *nonce == self.nonce => {
                // Of one whose age is unknown nothing is certain, so it is written again if need be.
                let left = age.map_or(Duration::ZERO, |age| lease.saturating_sub(age));
                Some((version.clone(), now + left))
            }
            _ => None,
        }
    }

    fn claim<C>(
        &mut self,
        over: Option<V>,
        old: Option<S>,
        freshness: Freshness,
        now: Duration,
    ) -> Action<V, S, C> {
        if !self.has_code {
            return Action::Ask;
        }
        let old = Old::new(old, freshness);
        self.state = State::Claiming { over: over.clone(), old: old.clone(), since: now };
        Action::Claim { over, lease: LEASE, old: old.session }
    }

    /// `over`: what the claim was to replace.
    fn claimed<C>(
        &mut self,
        over: Option<V>,
        old: Old<S>,
        since: Duration,
        written: WriteResult<V>,
    ) -> Action<V, S, C> {
        match written {
            WriteResult::Done(version) => {
                self.open(Claim { version: Some(version), until: since + LEASE, old })
            }
            WriteResult::Unknown => self.read(State::Looking),
            WriteResult::Again => self.overtaken(),
            WriteResult::Refused => match old {
                Old { session: Some(session), serves: true } => Action::Serve(session),
                // It was read again since, and was still the same.
                _ if self.refused.as_ref() == Some(&over) => Action::GoAlone(AloneReason::Refuses),
                _ => {
                    self.refused = Some(over);
                    self.wait_for_another()
                }
            },
        }
    }

    /// Another host leads.
    fn wait_for_another<C>(&mut self) -> Action<V, S, C> {
        self.tries += 1;
        if self.tries >= TRIES {
            return Action::GoAlone(AloneReason::Refuses);
        }
        self.wait()
    }

    fn wait<C>(&mut self) -> Action<V, S, C> {
        self.waited = true;
        self.state = State::Looking;
        Action::Wait
    }

    /// Another host took over while this one had not sent its code yet.
    fn overtaken<C>(&mut self) -> Action<V, S, C> {
        self.waited = true;
        self.read(State::Looking)
    }

    fn open<C>(&mut self, claim: Claim<V, S>) -> Action<V, S, C> {
        self.tries += 1;
        self.state = State::Opening(claim);
        match self.tries >= TRIES {
            true => Action::GoAlone(AloneReason::Refuses),
            false => Action::ReadTotpClaims,
        }
    }

    /// It is unknown whether the claims have the step that was taken.
    fn doubt<C>(&mut self, claim: Claim<V, S>) -> Action<V, S, C> {
        self.doubts += 1;
        match self.open(claim) {
            Action::ReadTotpClaims if self.doubts >= DOUBTS => Action::GoAlone(AloneReason::Silent),
            action => action,
        }
    }

    /// Sends the code, if the claim holds until that is done; otherwise writes it again first.
    fn send_when_covered<C>(
        &mut self,
        claim: Claim<V, S>,
        due: Duration,
        now: Duration,
    ) -> Action<V, S, C> {
        let end = due.max(now) + AFTER_DUE;
        if end <= claim.until {
            return self.send(claim);
        }
        let lease = (end - now).max(LEASE);
        let (over, old) = (claim.version.clone(), claim.old.session.clone());
        self.state = State::Extending { claim, due, lease, since: now };
        Action::Claim { over, lease, old }
    }

    /// `claim`: as it was; `longer`: as it is if it was written again.
    fn extended<C>(
        &mut self,
        claim: Claim<V, S>,
        longer: Claim<V, S>,
        due: Duration,
        now: Duration,
        written: WriteResult<V>,
    ) -> Action<V, S, C> {
        match written {
            WriteResult::Done(version) => self.send(Claim { version: Some(version), ..longer }),
            WriteResult::Refused => self.overtaken(),
            WriteResult::Again => self.send_when_covered(claim, due, now),
            WriteResult::Unknown => self.read(State::Confirming(claim, due)),
        }
    }

    fn send<C>(&mut self, claim: Claim<V, S>) -> Action<V, S, C> {
        self.state = State::Sending(claim);
        Action::Send
    }

    fn publish<C>(&mut self, claim: Claim<V, S>, session: S) -> Action<V, S, C> {
        let Some(over) = claim.version.clone() else { return Action::Keep };
        self.state = State::Publishing(claim, session.clone());
        Action::Publish { over, session }
    }
}

impl<S> Old<S> {
    fn new(session: Option<S>, freshness: Freshness) -> Self {
        let session = session.filter(|_| freshness != Freshness::Expired);
        Self { session, serves: freshness == Freshness::Due }
    }
}

#[cfg(test)]
mod tests;
