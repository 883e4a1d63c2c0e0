//! What is in the objects of a fleet, and how they are sealed.
//!
//! ```text
//! s/NAME  1 ‖ nonce (16) ‖ lease in seconds (4) ‖ 1 if a record follows ‖ record     a claim
//!         2 ‖ record                                                                a record
//! l/NAME  3 ‖ length (4) ‖ claims, with the store's time in place of the host's     a device's TOTP claims
//!         4                                                                         closed TOTP claims
//! record = vault generation (8) ‖ when it was made, by the store's clock (8) ‖ as in the cache
//! ```
//!
//! Numbers are big-endian. Zeros follow up to a multiple of 4 KiB, so that a claim and a record look alike.
//! All is sealed as a file of the cache is, with keys of its own.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use zeroize::Zeroizing;

use super::super::SessionKind;
use super::super::envelope::{Keys, LEDGER};
use super::super::record::{self, Record};
use super::super::totp_claims::TotpClaims;
use super::protocol::Nonce;
use crate::clock::Timestamp;
use crate::store::{self, Answer, Read};

const STEP: usize = 4096;
const CLAIM: u8 = 1;
const RECORD: u8 = 2;
const TOTP_CLAIMS: u8 = 3;
const CLOSED: u8 = 4;
/// What the contents of `s/NAME` are sealed as.
const SESSION: &str = "session";

/// The keys for the names and contents of a fleet's objects.
#[derive(Debug)]
pub struct FleetKeys(Keys);

/// An encoded record.
pub(super) type EncodedRecord = Rc<Zeroizing<Vec<u8>>>;

/// What is in `s/NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SessionObject {
    Claim { nonce: Nonce, lease: Duration, old: Option<EncodedRecord> },
    Record(EncodedRecord),
}

/// The claims of a device by all hosts, as they were read from the store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SharedClaims {
    pub(in crate::session) claims: TotpClaims,
    /// The store's time when it was read, in seconds.
    pub(in crate::session) date: i64,
}

/// The state of a session in the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InStore {
    /// The session that hosts use: when it ends, and the generation of the vault that its maker had.
    pub session: Option<(Timestamp, u64)>,
    /// For how long a host has been making one, by the store's clock.
    pub claimed: Option<Duration>,
}

impl SharedClaims {
    /// Records that a code of unknown step is sent now, so that it counts. `now`: by AWS's clock.
    pub fn note_given(&mut self, now: Timestamp) {
        self.claims.share_given(now.0, self.date);
    }

    /// True if every claim in `other` is in this one, too.
    pub(super) fn has_all_of(&self, other: &SharedClaims) -> bool {
        let mut both = self.claims.clone();
        both.add(&other.claims);
        both == self.claims
    }
}

impl FleetKeys {
    /// The keys that are derived from a vault's id and `cache_key`.
    pub fn new(vault_id: &[u8; 16], cache_key: &[u8; 32]) -> Self {
        Self(Keys::of_fleet(vault_id, cache_key))
    }

    /// The object of a session: all hosts that may share it give the same key.
    pub fn session_name(&self, kind: SessionKind, key: &[String]) -> String {
        format!("s/{}", self.0.name(kind.as_str(), key))
    }

    /// What an object says of its session; `None` if it cannot be opened. `now`: this host's time.
    pub fn look(&self, name: &str, answer: Answer<Read>, now: Timestamp) -> Option<InStore> {
        let Read::Found(found) = answer.what else { return Some(InStore::default()) };
        let age = age(&found, answer.date);
        let session = |shared: &EncodedRecord| {
            let (record, generation) = decode(shared, answer.date, now)?;
            Some((record.ends, generation)).filter(|(ends, _)| *ends > now)
        };
        Some(match self.open_object(name, found.body)? {
            SessionObject::Record(shared) => InStore { session: session(&shared), claimed: None },
            SessionObject::Claim { lease, old, .. } => {
                let claimed = Some(age.unwrap_or_default()).filter(|age| *age <= lease);
                InStore { session: old.as_ref().and_then(session), claimed }
            }
        })
    }

    /// The object of a device's TOTP claims.
    pub fn totp_claims_name(&self, device: &str) -> String {
        format!("l/{}", self.0.name(LEDGER, [device]))
    }

    /// Closed TOTP claims, for a vault whose keys are about to be replaced: hosts that read them stop claiming
    /// and publishing.
    pub fn closed_totp_claims(&self, name: &str) -> io::Result<Vec<u8>> {
        self.seal(LEDGER, name, vec![CLOSED])
    }

    pub(super) fn seal_totp_claims(
        &self,
        name: &str,
        shared: &SharedClaims,
    ) -> io::Result<Vec<u8>> {
        let claims = shared.claims.encode();
        let length = u32::try_from(claims.len()).unwrap_or_default().to_be_bytes();
        self.seal(LEDGER, name, [&[TOTP_CLAIMS], &length[..], &claims].concat())
    }

    /// The TOTP claims, or `None` if they are closed.
    pub(super) fn open_totp_claims(
        &self,
        name: &str,
        body: Vec<u8>,
        date: Timestamp,
    ) -> Result<Option<SharedClaims>, Damaged> {
        let plain = self.0.open(LEDGER, name, Zeroizing::new(body)).ok_or(Damaged)?;
        match plain.split_first() {
            Some((&TOTP_CLAIMS, rest)) => {
                let (length, rest) = rest.split_first_chunk::<4>().ok_or(Damaged)?;
                let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| Damaged)?;
                let claims = rest.get(..length).and_then(TotpClaims::decode).ok_or(Damaged)?;
                Ok(Some(SharedClaims { claims, date: date.0 }))
            }
            Some((&CLOSED, _)) => Ok(None),
            _ => Err(Damaged),
        }
    }

    pub(super) fn seal_object(&self, name: &str, object: &SessionObject) -> io::Result<Vec<u8>> {
        let mut plain = Vec::with_capacity(STEP);
        match object {
            SessionObject::Claim { nonce, lease, old } => {
                plain.push(CLAIM);
                plain.extend_from_slice(nonce);
                let lease = u32::try_from(lease.as_secs()).unwrap_or(u32::MAX);
                plain.extend_from_slice(&lease.to_be_bytes());
                plain.push(u8::from(old.is_some()));
                plain.extend_from_slice(old.as_ref().map_or(&[], |old| &old[..]));
            }
            SessionObject::Record(shared) => {
                plain.push(RECORD);
                plain.extend_from_slice(shared);
            }
        }
        self.seal(SESSION, name, plain)
    }

    pub(super) fn open_object(&self, name: &str, body: Vec<u8>) -> Option<SessionObject> {
        let plain = self.0.open(SESSION, name, Zeroizing::new(body))?;
        let (kind, rest) = plain.split_first()?;
        let shared = |bytes: &[u8]| Rc::new(Zeroizing::new(bytes.to_vec()));
        match *kind {
            CLAIM => {
                let (nonce, rest) = rest.split_first_chunk()?;
                let (lease, rest) = rest.split_first_chunk()?;
                let lease = Duration::from_secs(u32::from_be_bytes(*lease).into());
                let (has_old, rest) = rest.split_first()?;
                let old = (*has_old == 1).then(|| shared(rest));
                Some(SessionObject::Claim { nonce: *nonce, lease, old })
            }
            RECORD => Some(SessionObject::Record(shared(rest))),
            _ => None,
        }
    }

    fn seal(&self, kind: &str, name: &str, plain: Vec<u8>) -> io::Result<Vec<u8>> {
        let plain = Zeroizing::new(plain);
        let mut padded = Zeroizing::new(vec![0; plain.len().next_multiple_of(STEP)]);
        padded[..plain.len()].copy_from_slice(&plain);
        self.0.seal(kind, name, &padded)
    }
}

/// The object cannot be opened.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Damaged;

/// The age of an object at this time of the store's.
pub(super) fn age(object: &store::Object, date: Option<Timestamp>) -> Option<Duration> {
    let seconds = date?.seconds_since(object.modified?);
    Some(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
}

/// A record for the store. `made`: when, by the store's clock; `generation`: the vault's.
pub(super) fn encode(record: &Record, made: Timestamp, generation: u64) -> EncodedRecord {
    let record = record.encode();
    let mut bytes = Zeroizing::new(Vec::with_capacity(16 + record.len()));
    bytes.extend_from_slice(&generation.to_be_bytes());
    bytes.extend_from_slice(&made.0.to_be_bytes());
    bytes.extend_from_slice(&record);
    Rc::new(bytes)
}

/// The record, and the generation of its maker's vault. `date`: the store's time, which is `now` on this
/// host, or somewhat later; [`Record::made`] becomes a time of this host, and is not in the future.
pub(super) fn decode(
    shared: &EncodedRecord,
    date: Option<Timestamp>,
    now: Timestamp,
) -> Option<(Record, u64)> {
    let mut bytes = shared.as_slice();
    let generation = record::time(&mut bytes)?.0.cast_unsigned();
    let made = record::time(&mut bytes)?;
    let record = Record::decode(bytes)?;
    let age = date.map_or(0, |date| date.seconds_since(made).max(0));
    Some((Record { made: Timestamp(now.0.saturating_sub(age)), ..record }, generation))
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{NOON, session};
    use super::*;

    fn keys() -> FleetKeys {
        FleetKeys::new(&[1; 16], &[2; 32])
    }

    fn record() -> Record {
        Record {
            profile: "prod".to_owned(),
            credentials: session("token", 3600),
            made: Timestamp(NOON + 7),
            ends: Timestamp(NOON + 3600),
            failed: None,
            length: Some(Duration::from_secs(3600)),
        }
    }

    #[test]
    fn all_objects_are_sealed_in_one_size() {
        let keys = keys();
        let (name, totp_claims_name) =
            (keys.session_name(SessionKind::Session, &[]), keys.totp_claims_name("d"));
        let shared = encode(&record(), Timestamp(NOON), 3);
        let (nonce, lease) = ([7; 16], Duration::from_secs(15));
        let mut claims = SharedClaims::default();
        for at in 0..64 {
            claims.note_given(Timestamp(at));
        }
        let claim = |old| SessionObject::Claim { nonce, lease, old };
        let mut sizes = Vec::new();
        for object in [claim(None), claim(Some(shared.clone())), SessionObject::Record(shared)] {
            let sealed = keys.seal_object(&name, &object).unwrap();
            sizes.push(sealed.len());
            assert_ne!(sealed, keys.seal_object(&name, &object).unwrap(), "an ETag of its own");
            let opened = keys.open_object(&name, sealed).unwrap();
            match (opened, object) {
                (
                    SessionObject::Claim { nonce, lease, old },
                    SessionObject::Claim { nonce: n, lease: l, old: o },
                ) => {
                    assert_eq!((nonce, lease, old.is_some()), (n, l, o.is_some()));
                }
                (SessionObject::Record(shared), SessionObject::Record(_)) => {
                    let taken = decode(&shared, Some(Timestamp(NOON + 60)), Timestamp(NOON + 1000));
                    let (record, generation) = taken.unwrap();
                    assert_eq!((record.made, generation), (Timestamp(NOON + 940), 3));
                    assert_eq!(record.length, Some(Duration::from_secs(3600)));
                    let early = decode(&shared, Some(Timestamp(NOON - 60)), Timestamp(NOON));
                    assert_eq!(early.unwrap().0.made, Timestamp(NOON), "a negative age is none");
                }
                other => panic!("{other:?}"),
            }
        }
        let sealed = keys.seal_totp_claims(&totp_claims_name, &claims).unwrap();
        sizes.push(sealed.len());
        assert_eq!(
            keys.open_totp_claims(&totp_claims_name, sealed, Timestamp(0)),
            Ok(Some(claims))
        );
        let closed = keys.closed_totp_claims(&totp_claims_name).unwrap();
        sizes.push(closed.len());
        assert_eq!(keys.open_totp_claims(&totp_claims_name, closed, Timestamp(0)), Ok(None));
        assert_eq!(sizes, [1 + 24 + 4096 + 16; 5]);
    }

    #[test]
    fn the_contents_of_the_store_are_described() {
        let keys = keys();
        let name = keys.session_name(SessionKind::Session, &[]);
        let shared = encode(&record(), Timestamp(NOON), 3);
        let look = |object: Option<SessionObject>, at: i64| {
            let object = object.map(|object| store::Object {
                body: keys.seal_object(&name, &object).unwrap(),
                etag: store::ETag("\"1\"".to_owned()),
                modified: Some(Timestamp(NOON)),
            });
            let what = object.map_or(Read::Missing, Read::Found);
            let (date, now) = (Some(Timestamp(NOON + at)), Timestamp(NOON + at));
            keys.look(&name, Answer { what, date }, now).unwrap()
        };
        let claim =
            |old| SessionObject::Claim { nonce: [7; 16], lease: Duration::from_secs(15), old };
        let session = Some((Timestamp(NOON + 3600), 3));
        let claimed = Some(Duration::from_secs(5));
        let none = InStore::default();
        for (object, at, expected) in [
            (None, 0, none),
            (Some(SessionObject::Record(shared.clone())), 60, InStore { session, ..none }),
            (Some(SessionObject::Record(shared.clone())), 3600, none),
            (Some(claim(None)), 5, InStore { claimed, ..none }),
            (Some(claim(None)), 16, none),
            (Some(claim(Some(shared.clone()))), 5, InStore { session, claimed }),
        ] {
            assert_eq!(look(object, at), expected, "at {at}");
        }
    }

    #[test]
    fn an_object_opens_only_under_its_own_name_and_vault() {
        let keys = keys();
        let name = keys.session_name(SessionKind::Session, &["a".to_owned()]);
        let object = SessionObject::Record(encode(&record(), Timestamp(NOON), 1));
        let sealed = keys.seal_object(&name, &object).unwrap();
        let other = keys.session_name(SessionKind::Role, &["a".to_owned()]);
        assert_eq!(keys.open_object(&other, sealed.clone()), None);
        assert_eq!(FleetKeys::new(&[1; 16], &[3; 32]).open_object(&name, sealed.clone()), None);
        assert_eq!(keys.open_totp_claims(&name, sealed, Timestamp(0)), Err(Damaged));
        // The local cache of the same vault has other names and keys.
        let local = Keys::new(&[1; 16], &[2; 32]);
        assert_ne!(name, format!("s/{}", local.name("session", ["a"])));
    }
}
