//! Hosts that share a vault by a store in memory.

mod remote;
mod trust;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::retries::WRITING;
use super::*;
use crate::clock::Timestamp;
use crate::credential::Credentials;
use crate::env::Env;
use crate::file::testing::Directory;
use crate::prompt::Prompt;
use crate::reporter::Reporter;
use crate::sealed::DerivationQueue;
use crate::secret::Secret;
use crate::store::testing::MemoryStore;
use crate::store::{Answer, Location, Object, Store};
use crate::unlock::Named;
use crate::vault::{Access, Fleet, Pin, RecipientEntry};

/// What befalls a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    /// No connection.
    Away,
    /// It is done, and the answer is lost.
    AnswerLost,
    /// It is not done, and the host does not know.
    Lost,
    /// 409, once.
    Again,
    /// 412, for good.
    Refused,
}

type Meanwhile = Box<dyn FnOnce() + Send>;

/// A store in memory, with faults of its writes and reads.
#[derive(Default)]
struct Net {
    store: MemoryStore,
    reads: Mutex<Vec<Fault>>,
    writes: Mutex<Vec<Fault>>,
    /// What happens just before the next write.
    meanwhile: Mutex<Option<Meanwhile>>,
}

impl Net {
    fn fault(list: &Mutex<Vec<Fault>>) -> Fault {
        let mut list = list.lock().unwrap();
        match list.len() {
            0 => Fault::None,
            // The last one lasts.
            1 if matches!(list[0], Fault::Away | Fault::Refused) => list[0],
            _ => list.remove(0),
        }
    }

    fn away(&self, is_away: bool) {
        let faults = if is_away { vec![Fault::Away] } else { Vec::new() };
        *self.reads.lock().unwrap() = faults.clone();
        *self.writes.lock().unwrap() = faults;
    }

    fn object(&self) -> Object {
        match self.store.read(OBJECT, None).unwrap().what {
            Read::Found(object) => object,
            other => panic!("{other:?}"),
        }
    }

    /// Puts these bytes there, whatever there is.
    fn force(&self, bytes: &[u8]) {
        self.store.remove(OBJECT);
        self.store.write(OBJECT, bytes, Condition::Absent).unwrap();
    }
}

fn gone() -> StoreError {
    StoreError::Failed { what: "no connection".into(), hint: Some("see to it".into()) }
}

impl Store for Net {
    fn read_within(
        &self,
        name: &str,
        known: Option<&ETag>,
        _: Duration,
    ) -> Result<Answer<Read>, StoreError> {
        match Self::fault(&self.reads) {
            Fault::Away => Err(gone()),
            _ => self.store.read(name, known),
        }
    }

    fn write_within(
        &self,
        name: &str,
        body: &[u8],
        condition: Condition<'_>,
        _: Duration,
    ) -> Result<Answer<Written>, StoreError> {
        let meanwhile = self.meanwhile.lock().unwrap().take();
        if let Some(meanwhile) = meanwhile {
            meanwhile();
        }
        match Self::fault(&self.writes) {
            Fault::Away => Err(gone()),
            Fault::Lost => Err(StoreError::Unknown("timed out".into())),
            Fault::Again => Ok(Answer { what: Written::Again, date: None }),
            Fault::Refused => Ok(Answer { what: Written::Refused, date: None }),
            Fault::AnswerLost => {
                self.store.write(name, body, condition).unwrap();
                Err(StoreError::Unknown("timed out".into()))
            }
            Fault::None => self.store.write(name, body, condition),
        }
    }
}

/// What all hosts have: the key of the vault, and the store.
#[derive(Clone)]
struct Fleets {
    key: Arc<String>,
    net: Arc<Net>,
}

/// One host: a copy of the vault, and what it remembers.
struct Host {
    dir: Directory,
    env: Env,
    fleet: Fleets,
    pins: Vec<Pin>,
    least: Option<u64>,
    remembers: bool,
    remote: Option<Location>,
}

static NO_FLAGS: Named = Named { identities: Vec::new(), passphrase_file: None };

impl Host {
    fn path(&self) -> PathBuf {
        self.dir.path.join("vault.age")
    }

    fn bytes(&self) -> Vec<u8> {
        std::fs::read(self.path()).unwrap()
    }

    fn access(&self) -> Access<'_> {
        let net = Arc::clone(&self.fleet.net);
        let state = self.dir.path.join("state");
        Access {
            path: self.path(),
            by_flag: false,
            by_default: false,
            remote: self.remote.clone(),
            env: &self.env,
            named: &NO_FLAGS,
            identity_file: None,
            pins: self.pins.clone(),
            accepts: None,
            min_generation: self.least,
            state: self.remembers.then_some((state, false)),
            slot_memory: None,
            max_passphrase_memory: sealed::DEFAULT_MAX_MEMORY,
            derivation_queue: DerivationQueue::none(),
            prompt: Prompt::new(true, None),
            reporter: Reporter { quiet: true, debug: false },
            connect: Arc::new(move |by| {
                let location = match by {
                    NamedBy::Vault(payload) => payload.fleet().map(|fleet| fleet.store),
                    NamedBy::Url(location) => Some(location.clone()),
                };
                let store = Arc::clone(&net) as Arc<dyn Store + Send>;
                Ok(location.map(|location| SharedStore { location, store, silent: false }))
            }),
        }
    }

    fn open(&self) -> Vault<'_> {
        Vault::open(&self.access()).unwrap()
    }

    fn sync(&self) -> Result<Synced> {
        self.open().sync()
    }

    fn add(&self, profile: &str) -> Result<()> {
        let secret = Secret::new("secret".to_owned());
        let key = Credentials::long_term(format!("AKIA{profile}"), secret);
        self.open().change(|payload| {
            payload.set_credential(profile, &key, Timestamp(0));
            Ok(())
        })
    }

    /// The profiles that have a key in this host's vault.
    fn names(&self) -> Vec<String> {
        self.open().payload().credential_names().map(str::to_owned).collect()
    }

    /// Another host with a copy of this one's file, which remembers nothing.
    fn copy(&self) -> Self {
        let other = Self::bare(&self.fleet);
        std::fs::copy(self.path(), other.path()).unwrap();
        other
    }

    fn bare(fleet: &Fleets) -> Self {
        Self {
            dir: Directory::new(),
            env: Env::of(&[("AWS_VAULT_AGE_KEY", fleet.key.as_str())]),
            fleet: fleet.clone(),
            pins: Vec::new(),
            least: None,
            remembers: true,
            remote: None,
        }
    }

    /// The first host, with a vault that is in the store.
    fn first() -> Self {
        let (key, recipient) = sealed::generate_identity();
        let fleet = Fleets { key: Arc::new(key.expose().to_owned()), net: Arc::default() };
        let host = Self::bare(&fleet);
        let entry = RecipientEntry { recipient, name: None };
        let mut payload = Payload::new(&[entry], &[]).unwrap();
        payload.set_fleet(&Fleet {
            store: Location::parse("s3://bucket/prefix").unwrap(),
            region: "eu-central-1".to_owned(),
            endpoint: None,
            profile: None,
            required: false,
        });
        crate::vault::create(&host.access(), payload, false).unwrap();
        assert_eq!(host.sync().unwrap(), Synced::Pushed);
        host
    }
}

fn two() -> (Host, Host) {
    let first = Host::first();
    let second = first.copy();
    (first, second)
}

fn requests(host: &Host) -> Vec<String> {
    std::mem::take(&mut *host.fleet.net.store.log.lock().unwrap())
}

#[test]
fn a_change_is_in_the_store_and_the_others_pull_it() {
    let (a, b) = two();
    assert_eq!(b.sync().unwrap(), Synced::Same);
    a.add("one").unwrap();
    assert_eq!(a.bytes(), a.fleet.net.object().body);
    assert_eq!(b.sync().unwrap(), Synced::Pulled);
    assert_eq!((b.names(), b.bytes()), (vec!["one".to_owned()], a.bytes()));
    assert_eq!((a.sync().unwrap(), b.sync().unwrap()), (Synced::Same, Synced::Same));
}

#[test]
fn what_was_synced_is_not_sent_again() {
    let (a, b) = two();
    requests(&a);
    a.add("one").unwrap();
    assert_eq!(requests(&a), ["GET vault.age", "PUT vault.age"]);
    b.sync().unwrap();
    let known = std::fs::read_dir(b.dir.path.join("state/pins")).unwrap();
    let mut names: Vec<_> =
        known.map(|entry| entry.unwrap().path().extension().unwrap().to_owned()).collect();
    names.sort();
    names.dedup();
    assert!(names.contains(&"synced".into()), "{names:?}");
}

#[test]
fn a_change_on_an_old_copy_is_made_to_the_latest() {
    let (a, b) = two();
    a.add("one").unwrap();
    b.add("two").unwrap();
    assert_eq!(b.names(), ["one", "two"]);
    assert_eq!(a.sync().unwrap(), Synced::Pulled);
    assert_eq!(a.bytes(), b.bytes());
}

#[test]
fn a_host_that_remembers_nothing_follows_all_the_same() {
    let (a, mut b) = two();
    b.remembers = false;
    for name in ["one", "two", "three"] {
        a.add(name).unwrap();
    }
    assert_eq!(b.sync().unwrap(), Synced::Pulled);
    b.add("four").unwrap();
    assert_eq!(a.sync().unwrap(), Synced::Pulled);
    assert_eq!(a.names().len(), 4);
}

#[test]
fn two_writers_at_once_lose_nothing() {
    let (a, b) = two();
    let c = a.copy();
    std::thread::scope(|scope| {
        for (host, letter) in [(&a, "a"), (&b, "b"), (&c, "c")] {
            scope.spawn(move || {
                for number in 0..6 {
                    host.add(&format!("{letter}{number}")).unwrap();
                }
            });
        }
    });
    for host in [&a, &b, &c] {
        host.sync().unwrap();
        assert_eq!((host.names().len(), host.bytes()), (18, a.bytes()));
    }
}

#[test]
fn a_host_that_is_overtaken_between_reading_and_writing_changes_anew() {
    let (a, b) = two();
    let fast = b.copy();
    *a.fleet.net.meanwhile.lock().unwrap() = Some(Box::new(move || fast.add("fast").unwrap()));
    b.add("slow").unwrap();
    assert_eq!(b.names(), ["fast", "slow"]);
    a.sync().unwrap();
    assert_eq!(a.bytes(), b.bytes());
}

#[test]
fn a_change_that_does_not_hold_for_what_others_wrote_is_in_neither() {
    let (a, b) = two();
    let fast = b.copy();
    *a.fleet.net.meanwhile.lock().unwrap() = Some(Box::new(move || fast.add("one").unwrap()));
    let error = b
        .open()
        .change(|payload| match payload.credential("one") {
            Some(_) => Err(Error::refused("there is one")),
            None => {
                payload.next_generation();
                Ok(())
            }
        })
        .unwrap_err();
    assert_eq!(error.what, "there is one");
    assert_eq!(b.bytes(), a.fleet.net.object().body);
    assert_eq!((b.names(), b.sync().unwrap()), (vec!["one".to_owned()], Synced::Same));
}

#[test]
fn a_lost_answer_is_looked_after() {
    let (a, b) = two();
    let faults = &a.fleet.net.writes;
    *faults.lock().unwrap() = vec![Fault::AnswerLost];
    a.add("one").unwrap();
    assert_eq!(a.bytes(), a.fleet.net.object().body);
    *faults.lock().unwrap() = vec![Fault::Again, Fault::None];
    a.add("two").unwrap();
    assert_eq!(a.bytes(), a.fleet.net.object().body);
    // What was not done is here, and goes there with the next.
    *faults.lock().unwrap() = vec![Fault::Lost];
    a.add("three").unwrap();
    assert_ne!(a.bytes(), a.fleet.net.object().body);
    a.add("four").unwrap();
    b.sync().unwrap();
    assert_eq!(b.names(), ["four", "one", "three", "two"]);
}

#[test]
fn a_lost_write_that_another_host_overwrote_counts_once() {
    let (a, b) = two();
    struct After(Arc<Net>, Mutex<Option<Meanwhile>>);
    impl Store for After {
        fn read_within(
            &self,
            name: &str,
            known: Option<&ETag>,
            _: Duration,
        ) -> Result<Answer<Read>, StoreError> {
            self.0.read(name, known)
        }
        fn write_within(
            &self,
            name: &str,
            body: &[u8],
            condition: Condition<'_>,
            _: Duration,
        ) -> Result<Answer<Written>, StoreError> {
            self.0.write(name, body, condition)?;
            if let Some(after) = self.1.lock().unwrap().take() {
                after();
            }
            Err(StoreError::Unknown("timed out".into()))
        }
    }
    let after: Meanwhile = Box::new(move || b.add("over").unwrap());
    let store = Arc::new(After(Arc::clone(&a.fleet.net), Mutex::new(Some(after))));
    let mut access = a.access();
    access.connect = Arc::new(move |by| {
        let NamedBy::Vault(payload) = by else { panic!("{by:?}") };
        let location = payload.fleet().unwrap().store;
        Ok(Some(SharedStore {
            location,
            store: Arc::clone(&store) as Arc<dyn Store + Send>,
            silent: false,
        }))
    });
    let mut times = 0;
    let mut vault = Vault::open(&access).unwrap();
    let key = Credentials::long_term("AKIA".into(), Secret::new("secret".to_owned()));
    vault
        .change(|payload| {
            times += 1;
            payload.set_credential("mine", &key, Timestamp(0));
            Ok(())
        })
        .unwrap();
    assert_eq!((times, a.names()), (1, vec!["mine".to_owned(), "over".to_owned()]));
    assert_eq!(a.bytes(), a.fleet.net.object().body);
}

#[test]
fn a_store_that_refuses_to_replace_what_it_has_is_a_store_that_is_away() {
    let (a, b) = two();
    *a.fleet.net.writes.lock().unwrap() = vec![Fault::Refused];
    a.add("one").unwrap();
    assert_eq!((a.names().len(), b.names().len()), (1, 0), "it is saved here");
    requests(&a);
    let error = a.sync().unwrap_err();
    let expected = Error::aws("the store s3://bucket/prefix refuses a valid conditional write")
        .hint("vault fleet check shows which conditional write fails");
    assert_eq!(error, expected);
    let asked = requests(&a);
    assert!(asked.len() < 10, "{asked:?}");
    a.fleet.net.writes.lock().unwrap().clear();
    assert_eq!((a.sync().unwrap(), b.sync().unwrap()), (Synced::Pushed, Synced::Pulled));
}

/// Another host may be writing for a while; then the change is made to what that host wrote.
#[test]
fn a_store_that_says_that_another_host_is_writing_is_asked_for_three_seconds() {
    let (a, b) = two();
    let refusals = |put: PutResult, times: usize| {
        let mut retries = Retries::default();
        (0..times).map(|_| retries.is_refusal(&put, &None)).collect::<Vec<_>>()
    };
    assert_eq!(refusals(PutResult::Overtaken, 4), [false, false, false, true]);
    assert_eq!(refusals(PutResult::Busy, 5), [false; 5]);
    *a.fleet.net.writes.lock().unwrap() = vec![Fault::Again; 6];
    a.add("one").unwrap();
    assert_eq!((b.sync().unwrap(), b.names().len()), (Synced::Pulled, 1));
    let long_ago = Instant::now().checked_sub(WRITING).unwrap();
    let mut retries = Retries { tries: 0, last: Some((None, 0, long_ago)) };
    assert!(retries.is_refusal(&PutResult::Busy, &None));
}

#[test]
fn with_the_store_away_the_change_is_here_and_goes_there_with_the_next_sync() {
    let (a, b) = two();
    a.fleet.net.away(true);
    a.add("one").unwrap();
    a.add("two").unwrap();
    let error = a.sync().unwrap_err();
    assert_eq!(
        (error.class, error.what.as_str(), error.hint.as_deref()),
        (Class::Aws, "the store s3://bucket/prefix: no connection", Some("see to it"))
    );
    a.fleet.net.away(false);
    assert_eq!((a.sync().unwrap(), b.sync().unwrap()), (Synced::Pushed, Synced::Pulled));
    assert_eq!(b.names(), ["one", "two"]);
}

#[test]
fn a_host_with_the_latest_waits_for_no_writer() {
    let (a, _) = two();
    let mut vault = a.open();
    let _lock = super::super::store::lock(&vault.real).unwrap();
    assert_eq!(vault.sync().unwrap(), Synced::Same);
    a.fleet.net.away(true);
    assert_eq!(vault.sync().unwrap_err().class, Class::Aws);
}

#[test]
fn reading_back_wants_the_store() {
    let (a, b) = two();
    b.add("one").unwrap();
    let mut vault = a.open();
    assert!(vault.read_back().unwrap().credential("one").is_some());
    a.fleet.net.away(true);
    assert_eq!(vault.read_back().unwrap_err().class, Class::Aws);
}

#[test]
fn a_host_without_a_fleet_asks_no_store() {
    let a = Host::first();
    a.open().change(|payload| Ok(payload.remove_fleet())).unwrap();
    requests(&a);
    a.add("one").unwrap();
    let mut vault = a.open();
    assert_eq!(vault.sync().unwrap(), Synced::Alone);
    vault.read_back().unwrap();
    assert_eq!(requests(&a), [""; 0]);
    assert!(!a.open().payload().is_made_of(&hash(&a.bytes())));
}
