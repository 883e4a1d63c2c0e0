//! A store in memory, which keeps the conditions.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use super::{Answer, Condition, ETag, Object, Read, Store, StoreError, Written};
use crate::clock::Timestamp;

/// Objects, each with a version that no other ever had, and a clock that the test sets.
#[derive(Debug, Default)]
pub struct MemoryStore {
    objects: Mutex<BTreeMap<String, Object>>,
    versions: AtomicI64,
    /// The store's time, in seconds.
    pub now: AtomicI64,
    /// Every request, in order: `GET name`, `PUT name`.
    pub log: Mutex<Vec<String>>,
}

impl MemoryStore {
    fn answer<T>(&self, what: T) -> Answer<T> {
        Answer { what, date: Some(Timestamp(self.now.load(Ordering::SeqCst))) }
    }

    /// Forgets an object.
    pub fn remove(&self, name: &str) {
        self.objects.lock().unwrap().remove(name);
    }
}

impl Store for MemoryStore {
    fn read_within(
        &self,
        name: &str,
        known: Option<&ETag>,
        _: Duration,
    ) -> Result<Answer<Read>, StoreError> {
        self.log.lock().unwrap().push(format!("GET {name}"));
        Ok(self.answer(match self.objects.lock().unwrap().get(name) {
            None => Read::Missing,
            Some(object) if known == Some(&object.etag) => Read::Unchanged,
            Some(object) => Read::Found(object.clone()),
        }))
    }

    fn write_within(
        &self,
        name: &str,
        body: &[u8],
        condition: Condition<'_>,
        _: Duration,
    ) -> Result<Answer<Written>, StoreError> {
        self.log.lock().unwrap().push(format!("PUT {name}"));
        let mut objects = self.objects.lock().unwrap();
        let holds = match (condition, objects.get(name)) {
            (Condition::Absent, None) => true,
            (Condition::Is(etag), Some(object)) => object.etag == *etag,
            _ => false,
        };
        if !holds {
            return Ok(self.answer(Written::Refused));
        }
        let etag = ETag(format!("\"{}\"", self.versions.fetch_add(1, Ordering::SeqCst)));
        let modified = Some(Timestamp(self.now.load(Ordering::SeqCst)));
        let object = Object { body: body.to_vec(), etag: etag.clone(), modified };
        objects.insert(name.to_owned(), object);
        Ok(self.answer(Written::Done(etag)))
    }
}
