//! What happens to a host, and what it does next.

use std::time::Duration;

use super::super::super::record::Freshness;

/// What a host writes into its claims, so that it recognizes them: different for every [`Protocol`](super::Protocol).
pub type Nonce = [u8; 16];

/// What `s/NAME` was read as.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Seen<V, S> {
    Missing,
    Claim {
        version: V,
        nonce: Nonce,
        lease: Duration,
        /// How old it is by the store's clock, if the answer says so.
        age: Option<Duration>,
        /// The record that it replaces, which others go on using.
        old: Option<(S, Freshness)>,
    },
    Record {
        version: V,
        session: S,
        freshness: Freshness,
    },
}

/// The result of a write.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum WriteResult<V> {
    /// It happened; the new version.
    Done(V),
    /// The condition did not hold.
    Refused,
    /// The store wants to be asked again.
    Again,
    /// It may have happened, or may yet.
    Unknown,
}

/// What happened. `V`: versions of objects, `S`: sessions, `C`: TOTP claims.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Event<V, S, C> {
    Read(Seen<V, S>),
    /// `l/NAME` was read: its version, and the claims in it.
    TotpClaims(Option<V>, C),
    /// `l/NAME` is closed: the vault has a new key.
    Closed,
    Written(WriteResult<V>),
    Waited,
    /// A step was taken: the claims with it, and how long to wait until its code may be sent.
    Taken(C, Duration),
    /// AWS gave a session.
    Made(S),
    /// AWS gave none, and may take another code.
    CodeRefused,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Action<V, S, C> {
    Read,
    /// Write a claim into `s/NAME` if that still has the version `over`, or if there is none. The claim keeps
    /// the record `old` for the others.
    Claim {
        over: Option<V>,
        lease: Duration,
        old: Option<S>,
    },
    /// Write the record into `s/NAME` if that still has the version `over`, which is the claim's.
    Publish {
        over: V,
        session: S,
    },
    /// Wait for 0.4 to 2 s, at random.
    Wait,
    ReadTotpClaims,
    /// Take a step that is free in these claims and on this host.
    Take(C),
    /// Write the claims with the new step into `l/NAME` if that still has the version `over`, or if there is
    /// none.
    WriteTotpClaims {
        over: Option<V>,
        claims: C,
    },
    /// Send the code of the step that was taken.
    Send,
    /// No host has made the session: ask for a code, then begin again.
    Ask,
    /// Serve this session.
    Serve(S),
    /// Serve the session that was made here.
    Keep,
    /// Make the session without the fleet.
    GoAlone(AloneReason),
}

/// Why a host makes its session without the fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AloneReason {
    /// The vault has a new key, and the device other claims.
    Closed,
    /// The store refuses what it should take.
    Refuses,
    /// The store does not say whether it has written the claims.
    Silent,
}
