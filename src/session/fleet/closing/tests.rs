//! A store in memory, and another host that writes between two requests.

use std::sync::Mutex;
use std::time::Duration;

use super::super::super::testing::NOON;
use super::*;
use crate::store::testing::MemoryStore;
use crate::store::{Answer, ETag};

const DEVICE: &str = "arn:aws:iam::123456789012:mfa/ci";

fn keys() -> (FleetKeys, FleetKeys) {
    (FleetKeys::new(&[1; 16], &[2; 32]), FleetKeys::new(&[1; 16], &[3; 32]))
}

fn close(store: &dyn Store, keys: (&FleetKeys, &FleetKeys)) -> Result<()> {
    let timing = Timing { sleep: Box::new(|_| {}), ..Timing::real() };
    close_totp_claims(store, keys, DEVICE, &timing)
}

/// Claims of codes that were sent at these times.
fn claims(at: &[i64]) -> SharedClaims {
    let mut shared = SharedClaims { date: NOON, ..SharedClaims::default() };
    at.iter().for_each(|at| shared.note_given(Timestamp(*at)));
    shared
}

fn put(store: &dyn Store, keys: &FleetKeys, shared: &SharedClaims) {
    let name = keys.totp_claims_name(DEVICE);
    let there = read(store, &name).unwrap();
    let body = keys.seal_totp_claims(&name, shared).unwrap();
    assert!(write(store, &name, Ok(body), there.as_ref()).unwrap());
}

/// The device's claims; `None` if they are closed.
fn there(store: &dyn Store, keys: &FleetKeys) -> Option<SharedClaims> {
    let name = keys.totp_claims_name(DEVICE);
    let object = read(store, &name).unwrap().expect("claims");
    keys.open_totp_claims(&name, object.body, Timestamp(NOON)).unwrap()
}

/// The requests so far, to the old claims and to the new ones.
fn asked(store: &MemoryStore, (old, new): (&FleetKeys, &FleetKeys)) -> Vec<String> {
    let (old, new) = (old.totp_claims_name(DEVICE), new.totp_claims_name(DEVICE));
    let mut log = store.log.lock().unwrap();
    log.drain(..).map(|line| line.replace(&old, "old").replace(&new, "new")).collect()
}

#[test]
fn the_claims_go_on_under_the_new_keys_and_the_old_ones_are_closed() {
    let (store, (old, new)) = (MemoryStore::default(), keys());
    put(&store, &old, &claims(&[NOON, NOON + 1]));
    asked(&store, (&old, &new));
    close(&store, (&old, &new)).unwrap();
    let log = asked(&store, (&old, &new));
    assert_eq!(log, ["GET old", "GET new", "PUT new", "PUT old"]);
    assert_eq!(there(&store, &old), None);
    assert_eq!(there(&store, &new), Some(claims(&[NOON, NOON + 1])));
    // Once more, there is nothing to do.
    asked(&store, (&old, &new));
    close(&store, (&old, &new)).unwrap();
    assert_eq!(asked(&store, (&old, &new)), ["GET old"]);
}

#[test]
fn without_old_claims_closed_ones_are_put_there() {
    let (store, (old, new)) = (MemoryStore::default(), keys());
    close(&store, (&old, &new)).unwrap();
    assert_eq!(asked(&store, (&old, &new)), ["GET old", "PUT old"]);
    assert_eq!(there(&store, &old), None);
    // One that cannot be decrypted is replaced.
    let name = old.totp_claims_name(DEVICE);
    store.remove(&name);
    store.write(&name, b"?", Condition::Absent).unwrap();
    close(&store, (&old, &new)).unwrap();
    assert_eq!(there(&store, &old), None);
}

#[test]
fn what_is_under_the_new_keys_already_stays() {
    let (store, (old, new)) = (MemoryStore::default(), keys());
    put(&store, &old, &claims(&[NOON]));
    put(&store, &new, &claims(&[NOON + 7]));
    close(&store, (&old, &new)).unwrap();
    let mut both = claims(&[NOON]);
    both.claims.add(&claims(&[NOON + 7]).claims);
    assert_eq!(there(&store, &new), Some(both));
    // The new keys were drawn anew meanwhile: their claims are closed, and stay so.
    let (store, third) = (MemoryStore::default(), FleetKeys::new(&[1; 16], &[4; 32]));
    close(&store, (&new, &third)).unwrap();
    put(&store, &old, &claims(&[NOON]));
    close(&store, (&old, &new)).unwrap();
    assert_eq!((there(&store, &old), there(&store, &new)), (None, None));
}

/// Why a write fails, and whether it happens all the same.
type Fails = Option<(StoreError, bool)>;

type Before<'a> = Box<dyn FnMut(&MemoryStore) -> Fails + Send + 'a>;

/// A store in which something happens before each write.
struct Busy<'a> {
    store: MemoryStore,
    before: Mutex<Before<'a>>,
}

impl Busy<'_> {
    fn new<'a>(before: impl FnMut(&MemoryStore) -> Fails + Send + 'a) -> Busy<'a> {
        Busy { store: MemoryStore::default(), before: Mutex::new(Box::new(before)) }
    }
}

impl Store for Busy<'_> {
    fn read_within(
        &self,
        name: &str,
        known: Option<&ETag>,
        _: Duration,
    ) -> Result<Answer<Read>, StoreError> {
        self.store.read(name, known)
    }

    fn write_within(
        &self,
        name: &str,
        body: &[u8],
        condition: Condition<'_>,
        _: Duration,
    ) -> Result<Answer<Written>, StoreError> {
        let fails = (self.before.lock().unwrap())(&self.store);
        if let Some((error, false)) = fails {
            return Err(error);
        }
        let written = self.store.write(name, body, condition);
        fails.map_or(written, |(error, _)| Err(error))
    }
}

#[test]
fn a_code_that_is_claimed_meanwhile_goes_on_as_well() {
    let (old, new) = keys();
    let mut writes = 0;
    let busy = Busy::new(|store| {
        writes += 1;
        // When the claims were copied, and the old ones are about to be closed.
        if writes == 2 {
            put(store, &old, &claims(&[NOON, NOON + 5]));
        }
        None
    });
    put(&busy.store, &old, &claims(&[NOON]));
    close(&busy, (&old, &new)).unwrap();
    assert_eq!(there(&busy.store, &old), None);
    assert_eq!(there(&busy.store, &new), Some(claims(&[NOON, NOON + 5])));
}

#[test]
fn an_answer_that_was_lost_is_read_again_and_a_store_that_is_away_is_reported() {
    let (old, new) = keys();
    let mut lost = Some((StoreError::Unknown("lost".to_owned()), true));
    let busy = Busy::new(|_| lost.take());
    close(&busy, (&old, &new)).unwrap();
    assert_eq!(asked(&busy.store, (&old, &new)), ["GET old", "PUT old", "GET old"]);
    assert_eq!(there(&busy.store, &old), None);

    let busy = Busy::new(|_| Some((StoreError::Unknown("HTTP 503".to_owned()), false)));
    let error = close(&busy, (&old, &new));
    assert_eq!(error, Err(Error::aws("HTTP 503")));
    assert_eq!(asked(&busy.store, (&old, &new)), ["GET old", "GET old"]);

    let busy = Busy::new(|_| {
        let hint = Some("see to it".to_owned());
        Some((StoreError::Failed { what: "no".to_owned(), hint }, false))
    });
    let error = close(&busy, (&old, &new));
    assert_eq!(error, Err(Error::aws("no").hint("see to it")));
}

#[test]
fn other_hosts_that_write_all_the_time_end_it() {
    let (old, new) = keys();
    let mut at = NOON;
    let busy = Busy::new(|store| {
        at += 1;
        put(store, &old, &claims(&[at]));
        None
    });
    put(&busy.store, &old, &claims(&[NOON]));
    let error = close(&busy, (&old, &new)).unwrap_err();
    assert_eq!(error, Error::aws("other hosts keep changing the record of MFA codes"));
    assert!(there(&busy.store, &old).is_some());
}
