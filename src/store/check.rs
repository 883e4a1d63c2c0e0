//! Tests whether a store keeps the conditions of its writes: by writes one after the other and by writes at
//! once, since some stores do not lock between the check of a condition and the write.

use std::sync::RwLock;

use super::{Condition, ETag, Read, Store, StoreError, Written};
use crate::clock::Clock;
use crate::error::Error;
use crate::random;

/// The writers of one race.
const WRITERS: usize = 16;
/// The races for each condition.
const ROUNDS: usize = 8;

/// The result of a check.
#[derive(Debug)]
pub struct Report {
    pub findings: Vec<Finding>,
    /// By how many seconds the store's clock is ahead of this one, if its responses have a `Date`.
    pub ahead: Option<i64>,
}

/// The result for one rule.
#[derive(Debug, PartialEq, Eq)]
pub struct Finding {
    pub rule: &'static Rule,
    /// What the store did instead; `None` if it kept the rule.
    pub fault: Option<String>,
}

/// A rule that the store has to keep.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// For programs.
    pub name: &'static str,
    pub text: &'static str,
}

const READ: Rule = Rule { name: "read", text: "a read gives what was written last" };
const CREATE_EXISTING: Rule =
    Rule { name: "create-existing", text: "If-None-Match: * replaces no object" };
const REPLACE_OLD: Rule = Rule { name: "replace-old", text: "If-Match replaces no other version" };
const REPLACE_MISSING: Rule = Rule { name: "replace-missing", text: "If-Match creates no object" };
const CREATE_AT_ONCE: Rule =
    Rule { name: "create-at-once", text: "of many that create one object at once, one does" };
const REPLACE_AT_ONCE: Rule =
    Rule { name: "replace-at-once", text: "of many that replace one version at once, one does" };

impl Report {
    /// True if the store keeps all rules.
    pub fn is_good(&self) -> bool {
        self.findings.iter().all(|finding| finding.fault.is_none())
    }

    fn add(&mut self, rule: &'static Rule, fault: Option<String>) {
        self.findings.push(Finding { rule, fault });
    }
}

/// How a race ended.
enum Race {
    /// One writer won; the new version.
    Won(ETag),
    Fault(String),
}

/// Checks a store. Ten small objects with random names are left there, under `c/`.
pub fn check(store: &dyn Store, clock: Clock) -> Result<Report, StoreError> {
    let failed = |Error { what, hint, .. }: Error| StoreError::Failed { what, hint };
    let run = Run { store, name: format!("c/{}", random::name().map_err(failed)?) };
    let first = store.read(&run.name, None)?;
    let ahead = first.date.map(|date| date.seconds_since(clock.now()));
    let mut report = Report { findings: Vec::new(), ahead };
    run.in_turn(&mut report)?;
    // A store that ignores a condition of a single writer needs no race.
    if report.is_good() {
        run.creates_at_once(&mut report)?;
        run.replaces_at_once(&mut report)?;
    }
    Ok(report)
}

/// One check, with a name that no other has.
struct Run<'a> {
    store: &'a dyn Store,
    name: String,
}

impl Run<'_> {
    /// Writes a text that this run writes only once, so that all versions differ.
    fn write(&self, name: &str, text: &str, on: Condition) -> Result<Written, StoreError> {
        let body = format!("vault fleet check {} {text}", self.name);
        self.store.write(name, body.as_bytes(), on).map(|answer| answer.what)
    }

    fn in_turn(&self, report: &mut Report) -> Result<(), StoreError> {
        let name = &self.name;
        let created = self.must(name, "one", Condition::Absent)?;
        let again = self.write(name, "two", Condition::Absent)?;
        report.add(&CREATE_EXISTING, unless_refused(&again));
        if again != Written::Refused {
            return Ok(());
        }
        let replaced = self.must(name, "three", Condition::Is(&created))?;
        let old = self.write(name, "four", Condition::Is(&created))?;
        report.add(&REPLACE_OLD, unless_refused(&old));
        let missing = format!("{name}-none");
        let missing = self.write(&missing, "five", Condition::Is(&replaced))?;
        report.add(&REPLACE_MISSING, unless_refused(&missing));
        if old == Written::Refused {
            let fault = (!self.is(name, "three")?).then(|| "it gave something else".to_owned());
            report.add(&READ, fault);
        }
        Ok(())
    }

    /// A write whose condition holds.
    fn must(&self, name: &str, text: &str, on: Condition) -> Result<ETag, StoreError> {
        match self.write(name, text, on)? {
            Written::Done(etag) => Ok(etag),
            Written::Refused | Written::Again => Err(StoreError::Failed {
                what: format!("the store refuses a write whose condition holds ({})", of(on)),
                hint: Some("hosts cannot share this store".to_owned()),
            }),
        }
    }

    fn is(&self, name: &str, text: &str) -> Result<bool, StoreError> {
        let body = format!("vault fleet check {} {text}", self.name);
        let read = self.store.read(name, None)?.what;
        Ok(matches!(read, Read::Found(object) if object.body == body.as_bytes()))
    }

    fn creates_at_once(&self, report: &mut Report) -> Result<(), StoreError> {
        let mut fault = None;
        for round in 0..ROUNDS {
            let name = format!("{}-{round}", self.name);
            if let Race::Fault(why) = self.race(&name, Condition::Absent, round)? {
                fault.get_or_insert(why);
            }
        }
        report.add(&CREATE_AT_ONCE, fault);
        Ok(())
    }

    fn replaces_at_once(&self, report: &mut Report) -> Result<(), StoreError> {
        let name = format!("{}-n", self.name);
        let mut version = self.must(&name, "zero", Condition::Absent)?;
        let mut fault = None;
        for round in 0..ROUNDS {
            match self.race(&name, Condition::Is(&version), round)? {
                Race::Won(next) => version = next,
                Race::Fault(why) => {
                    fault = Some(why);
                    break;
                }
            }
        }
        report.add(&REPLACE_AT_ONCE, fault);
        Ok(())
    }

    /// All write at once on one condition.
    fn race(&self, name: &str, on: Condition, round: usize) -> Result<Race, StoreError> {
        let text = |writer: usize| format!("{round}-{writer}");
        // No thread writes before all are started.
        let (gate, text) = (&RwLock::new(()), &text);
        let answers: Vec<Result<Written, StoreError>> = std::thread::scope(|scope| {
            let closed = gate.write();
            let racers: Vec<_> = (0..WRITERS)
                .map_while(|writer| {
                    let race = move || {
                        drop(gate.read());
                        self.write(name, &text(writer), on)
                    };
                    std::thread::Builder::new().spawn_scoped(scope, race).ok()
                })
                .collect();
            drop(closed);
            racers.into_iter().filter_map(|racer| racer.join().ok()).collect()
        });
        let raced = answers.len();
        if raced < 2 {
            let what = "cannot start threads for a race".to_owned();
            return Err(StoreError::Failed { what, hint: None });
        }
        let mut done = Vec::new();
        for (writer, answer) in answers.into_iter().enumerate() {
            match answer {
                Ok(Written::Done(etag)) => done.push((writer, etag)),
                // Ceph fails over some of many at once (500). It may have written.
                Ok(Written::Refused | Written::Again) | Err(StoreError::Unknown(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(match done.as_slice() {
            [] => Race::Won(self.without_winner(name, &text(WRITERS), on)?),
            [(winner, etag)] if self.is(name, &text(*winner))? => Race::Won(etag.clone()),
            [_] => {
                Race::Fault("it told one that it wrote, and has what another one sent".to_owned())
            }
            several => Race::Fault(format!("it told {} of {raced} that they did", several.len())),
        })
    }

    /// The version after a race without a known winner: that of a writer whose response was lost, else one
    /// that is written now, since all writers were refused (409).
    fn without_winner(&self, name: &str, text: &str, on: Condition) -> Result<ETag, StoreError> {
        let old = match on {
            Condition::Absent => None,
            Condition::Is(etag) => Some(etag),
        };
        match self.store.read(name, None)?.what {
            Read::Found(object) if Some(&object.etag) != old => Ok(object.etag),
            _ => self.must(name, text, on),
        }
    }
}

fn unless_refused(written: &Written) -> Option<String> {
    match written {
        Written::Refused => None,
        Written::Done(_) => Some("it did".to_owned()),
        Written::Again => Some("it said that another write was under way".to_owned()),
    }
}

fn of(condition: Condition) -> &'static str {
    match condition {
        Condition::Absent => "If-None-Match",
        Condition::Is(_) => "If-Match",
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Barrier, Mutex};
    use std::thread::{self, ThreadId};
    use std::time::Duration;

    use super::super::testing::MemoryStore;
    use super::super::{Answer, Object};
    use super::*;
    use crate::clock::Timestamp;

    fn faults(store: &dyn Store) -> Vec<(&'static Rule, String)> {
        let report = check(store, Clock::fixed(Timestamp(0))).unwrap();
        let with_fault = |it: Finding| Some((it.rule, it.fault?));
        report.findings.into_iter().filter_map(with_fault).collect()
    }

    #[test]
    fn a_store_that_keeps_the_conditions_passes() {
        let store = MemoryStore::default();
        store.now.store(90, std::sync::atomic::Ordering::SeqCst);
        let report = check(&store, Clock::fixed(Timestamp(0))).unwrap();
        assert!(report.is_good(), "{report:?}");
        assert_eq!((report.findings.len(), report.ahead), (6, Some(90)));
        let log = store.log.lock().unwrap();
        let names = log.iter().map(|line| line.split_once(' ').unwrap().1);
        assert!(names.clone().all(|name| name.starts_with("c/")), "{log:?}");
        let again = MemoryStore::default();
        check(&again, Clock::system()).unwrap();
        assert_ne!(*log, *again.log.lock().unwrap(), "names are random");
    }

    /// Keeps some of the conditions, and checks without a lock: threads that are not the test's meet
    /// between check and write.
    struct Faulty {
        inner: MemoryStore,
        kept: fn(&Condition) -> bool,
        meet: Option<(ThreadId, Barrier)>,
        writes: Mutex<()>,
    }

    fn faulty(kept: fn(&Condition) -> bool) -> Faulty {
        Faulty { inner: MemoryStore::default(), kept, meet: None, writes: Mutex::default() }
    }

    impl Store for Faulty {
        fn read_within(
            &self,
            name: &str,
            known: Option<&ETag>,
            _: Duration,
        ) -> Result<Answer<Read>, StoreError> {
            self.inner.read(name, known)
        }

        fn write_within(
            &self,
            name: &str,
            body: &[u8],
            condition: Condition<'_>,
            _: Duration,
        ) -> Result<Answer<Written>, StoreError> {
            let read = self.inner.read(name, None)?;
            let current = match &read.what {
                Read::Found(Object { etag, .. }) => Some(etag),
                _ => None,
            };
            let holds = match condition {
                Condition::Absent => current.is_none(),
                Condition::Is(etag) => current == Some(etag),
            };
            if let Some((own, barrier)) = &self.meet
                && *own != thread::current().id()
            {
                barrier.wait();
            }
            if !holds && (self.kept)(&condition) {
                return Ok(Answer { what: Written::Refused, date: read.date });
            }
            let _turn = self.writes.lock().unwrap();
            self.inner.remove(name);
            self.inner.write(name, body, Condition::Absent)
        }
    }

    #[test]
    fn a_store_that_ignores_conditions_is_found_out() {
        let did = |rule| (rule, "it did".to_owned());
        let none = faulty(|_| false);
        assert_eq!(faults(&none), [did(&CREATE_EXISTING)]);
        let no_if_match = faulty(|condition| matches!(condition, Condition::Absent));
        assert_eq!(faults(&no_if_match), [did(&REPLACE_OLD), did(&REPLACE_MISSING)]);
    }

    #[test]
    fn a_store_that_checks_without_a_lock_is_found_out_by_a_race() {
        let meet = Some((thread::current().id(), Barrier::new(WRITERS)));
        let store = Faulty { meet, ..faulty(|_| true) };
        let all = format!("it told {WRITERS} of {WRITERS} that they did");
        assert_eq!(faults(&store), [(&CREATE_AT_ONCE, all.clone()), (&REPLACE_AT_ONCE, all)]);
    }

    /// Loses every answer of a race: of some it wrote, of some it did not.
    struct Lossy {
        inner: MemoryStore,
        own: ThreadId,
    }

    impl Store for Lossy {
        fn read_within(
            &self,
            name: &str,
            known: Option<&ETag>,
            _: Duration,
        ) -> Result<Answer<Read>, StoreError> {
            self.inner.read(name, known)
        }

        fn write_within(
            &self,
            name: &str,
            body: &[u8],
            condition: Condition<'_>,
            _: Duration,
        ) -> Result<Answer<Written>, StoreError> {
            if self.own == thread::current().id() {
                return self.inner.write(name, body, condition);
            }
            // Of the rounds with an even number.
            if body.split(|b| *b == b' ').next_back().is_some_and(|text| text[0] % 2 == 0) {
                self.inner.write(name, body, condition)?;
            }
            Err(StoreError::Unknown("HTTP 500".to_owned()))
        }
    }

    #[test]
    fn a_race_whose_answers_are_lost_is_no_fault() {
        let store = Lossy { inner: MemoryStore::default(), own: thread::current().id() };
        assert_eq!(faults(&store), []);
        let log = store.inner.log.lock().unwrap();
        let rounds = |line: &&String| line.starts_with("PUT") && line.ends_with("-3");
        assert_eq!(log.iter().filter(rounds).count(), 1, "an odd round is written once more");
    }

    /// Says yes, and forgets.
    struct Forgetful(MemoryStore);

    impl Store for Forgetful {
        fn read_within(
            &self,
            name: &str,
            known: Option<&ETag>,
            _: Duration,
        ) -> Result<Answer<Read>, StoreError> {
            let read = self.0.read(name, known)?;
            let stale = |object: Object| Object { body: b"stale".to_vec(), ..object };
            let what = match read.what {
                Read::Found(object) => Read::Found(stale(object)),
                what => what,
            };
            Ok(Answer { what, ..read })
        }

        fn write_within(
            &self,
            name: &str,
            body: &[u8],
            condition: Condition<'_>,
            _: Duration,
        ) -> Result<Answer<Written>, StoreError> {
            self.0.write(name, body, condition)
        }
    }

    #[test]
    fn a_store_that_reads_what_was_before_is_found_out() {
        let store = Forgetful(MemoryStore::default());
        assert_eq!(faults(&store), [(&READ, "it gave something else".to_owned())]);
    }

    #[test]
    fn a_store_that_refuses_everything_is_no_store() {
        struct Closed;
        impl Store for Closed {
            fn read_within(
                &self,
                _: &str,
                _: Option<&ETag>,
                _: Duration,
            ) -> Result<Answer<Read>, StoreError> {
                Ok(Answer { what: Read::Missing, date: None })
            }
            fn write_within(
                &self,
                _: &str,
                _: &[u8],
                _: Condition<'_>,
                _: Duration,
            ) -> Result<Answer<Written>, StoreError> {
                Ok(Answer { what: Written::Refused, date: None })
            }
        }
        let error = Error::from(check(&Closed, Clock::system()).unwrap_err());
        assert_eq!(error.what, "the store refuses a write whose condition holds (If-None-Match)");
    }
}
