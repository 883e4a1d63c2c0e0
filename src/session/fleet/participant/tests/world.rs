//! A store that misbehaves as configured, and the time that passes there.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use super::super::super::super::testing::NOON;
use super::super::Timing;
use crate::clock::Timestamp;
use crate::store::testing::MemoryStore;
use crate::store::{Answer, Condition, ETag, Read, Store, StoreError, Written};

/// What a store does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is answered after so many milliseconds.
    After(u64),
    /// It is done, and the answer is lost.
    Lost,
    /// It is not done, and the host does not know.
    Never,
    /// It is done only just before the next request but one, and the host does not know.
    Late,
    /// It certainly did nothing.
    Failed,
    /// 409.
    Conflict,
    /// 412.
    Refused,
    /// The condition is ignored.
    Unconditional,
    /// It is not done, and there is no answer before the host's timeout.
    Hangs,
    /// The answer's `Date` is off by so many seconds.
    Skewed(i64),
}

/// A store, the time, and what AWS got.
pub(super) struct World {
    pub store: MemoryStore,
    /// Milliseconds since noon.
    time: AtomicU64,
    /// What happens to which requests, counted from 0; `usize::MAX`: to all.
    fates: Vec<(usize, Fate)>,
    /// What happens to all writes of names that begin so.
    writes: Option<(&'static str, Fate)>,
    count: AtomicUsize,
    late: Mutex<Option<Delayed>>,
    /// The steps whose codes were sent.
    pub sent: Mutex<Vec<u64>>,
}

/// A write that arrives before that request: name, content, and the version that it replaces.
pub(super) type Delayed = (usize, String, Vec<u8>, Option<ETag>);

pub(super) const ALL: usize = usize::MAX;

impl World {
    pub fn new(fates: &[(usize, Fate)]) -> Self {
        let world = Self {
            store: MemoryStore::default(),
            time: AtomicU64::new(0),
            fates: fates.to_vec(),
            writes: None,
            count: AtomicUsize::new(0),
            late: Mutex::default(),
            sent: Mutex::default(),
        };
        world.pass(0);
        world
    }

    /// A store that does this with all writes of names that begin so.
    pub fn of_writes(prefix: &'static str, fate: Fate) -> Self {
        Self { writes: Some((prefix, fate)), ..Self::new(&[]) }
    }

    pub fn pass(&self, milliseconds: u64) {
        let time = self.time.fetch_add(milliseconds, SeqCst) + milliseconds;
        self.store.now.store(NOON + self.seconds().cast_signed(), SeqCst);
        assert!(time < 100_000_000, "it goes on for ever");
    }

    pub fn seconds(&self) -> u64 {
        self.time.load(SeqCst) / 1000
    }

    pub fn milliseconds(&self) -> u64 {
        self.time.load(SeqCst)
    }

    /// Lets a request that hangs, or is answered too late, wait for so long.
    fn hang(&self, within: Duration) -> bool {
        let number = self.count.load(SeqCst);
        let late = |fate: Fate| match fate {
            Fate::Hangs => true,
            Fate::After(time) => Duration::from_millis(time) > within,
            _ => false,
        };
        let hangs =
            self.fates.iter().any(|(at, fate)| (*at == number || *at == ALL) && late(*fate));
        if hangs {
            self.count.fetch_add(1, SeqCst);
            self.pass(u64::try_from(within.as_millis()).unwrap());
        }
        hangs
    }

    /// The next request: what happens to it.
    fn fate(&self) -> Fate {
        let number = self.count.fetch_add(1, SeqCst);
        let fate = self.fates.iter().find(|(at, _)| *at == number || *at == ALL);
        let fate = fate.map_or(Fate::After(20), |(_, fate)| *fate);
        self.pass(if let Fate::After(time) = fate { time } else { 20 });
        let late = self.late.lock().unwrap().take_if(|(at, ..)| *at <= number);
        if let Some((_, name, body, over)) = late {
            let condition = over.as_ref().map_or(Condition::Absent, Condition::Is);
            self.store.write(&name, &body, condition).unwrap();
        }
        fate
    }

    pub fn timing(&self) -> Timing<'_> {
        Timing {
            now: Box::new(|| Duration::from_millis(self.time.load(SeqCst))),
            sleep: Box::new(|time| self.pass(u64::try_from(time.as_millis()).unwrap())),
            random: Box::new(|| u16::MAX / 3),
        }
    }
}

fn failed() -> StoreError {
    StoreError::Failed { what: "no way".to_owned(), hint: Some("mend it".to_owned()) }
}

fn lost() -> StoreError {
    StoreError::Unknown("the answer was lost".to_owned())
}

impl World {
    fn answer_read(&self, name: &str, known: Option<&ETag>) -> Result<Answer<Read>, StoreError> {
        let fate = self.fate();
        let mut answer = self.store.read(name, known)?;
        match fate {
            Fate::Failed => return Err(failed()),
            Fate::Lost | Fate::Never => return Err(lost()),
            Fate::Skewed(by) => answer.date = answer.date.map(|date| Timestamp(date.0 + by)),
            _ => {}
        }
        Ok(answer)
    }

    fn answer_write(
        &self,
        name: &str,
        body: &[u8],
        condition: Condition<'_>,
    ) -> Result<Answer<Written>, StoreError> {
        let (fate, date) = (self.fate(), Some(Timestamp(NOON)));
        let fate =
            self.writes.filter(|(prefix, _)| name.starts_with(prefix)).map_or(fate, |it| it.1);
        let over = match condition {
            Condition::Is(etag) => Some(etag.clone()),
            Condition::Absent => None,
        };
        match fate {
            Fate::Failed => return Err(failed()),
            Fate::Never => return Err(lost()),
            Fate::Conflict => return Ok(Answer { what: Written::Again, date }),
            Fate::Refused => return Ok(Answer { what: Written::Refused, date }),
            Fate::Late => {
                let at = self.count.load(SeqCst) + 1;
                *self.late.lock().unwrap() = Some((at, name.to_owned(), body.to_vec(), over));
                return Err(lost());
            }
            Fate::Unconditional => {
                self.store.remove(name);
                return self.store.write(name, body, Condition::Absent);
            }
            _ => {}
        }
        let mut answer = self.store.write(name, body, condition)?;
        match fate {
            Fate::Lost => return Err(lost()),
            Fate::Skewed(by) => answer.date = answer.date.map(|date| Timestamp(date.0 + by)),
            _ => {}
        }
        Ok(answer)
    }
}

impl Store for World {
    fn read_within(
        &self,
        name: &str,
        known: Option<&ETag>,
        within: Duration,
    ) -> Result<Answer<Read>, StoreError> {
        if self.hang(within) { Err(lost()) } else { self.answer_read(name, known) }
    }

    fn write_within(
        &self,
        name: &str,
        body: &[u8],
        condition: Condition<'_>,
        within: Duration,
    ) -> Result<Answer<Written>, StoreError> {
        if self.hang(within) { Err(lost()) } else { self.answer_write(name, body, condition) }
    }
}
