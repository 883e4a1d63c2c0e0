//! A store that did not answer: for a while no request waits for it long, unless it answers again.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::store::{Answer, Condition, ETag, Read, Store, StoreError, Written};

/// A shorter wait without an answer says nothing about the store.
const MIN_SILENCE: Duration = Duration::from_secs(1);
/// How long no request waits for it long.
const PAUSE: Duration = Duration::from_secs(60);

/// Which store did not answer, and until when that counts.
#[derive(Clone, Debug, Default)]
pub(super) struct Silent(Arc<Mutex<Option<(String, Instant)>>>);

impl Silent {
    /// True if this store did not answer just now.
    pub fn is(&self, id: &str) -> bool {
        self.last().as_ref().is_some_and(|(last, until)| last == id && Instant::now() < *until)
    }

    /// A store whose silence is noted. `id` identifies it; `limit` is how long one of its requests may
    /// take.
    pub fn watched<S>(&self, store: S, id: String, limit: Duration) -> Watched<S> {
        Watched { store, id, limit, silent: self.clone() }
    }

    fn last(&self) -> MutexGuard<'_, Option<(String, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A store whose silence is noted.
pub(super) struct Watched<S> {
    store: S,
    id: String,
    limit: Duration,
    silent: Silent,
}

impl<S> Watched<S> {
    /// Sends a request, which may take so long. A store that answers is silent no more; a refusal and a
    /// failed connection are no silence.
    fn ask<T>(
        &self,
        within: Duration,
        request: impl FnOnce(&S) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let began = Instant::now();
        let answer = request(&self.store);
        let whole = within.min(self.limit).saturating_sub(Duration::from_millis(50));
        let took = began.elapsed();
        let mut last = self.silent.last();
        if answer.is_ok() {
            last.take_if(|(last, _)| *last == self.id);
        } else if took >= whole && took >= MIN_SILENCE {
            *last = Some((self.id.clone(), Instant::now() + PAUSE));
        }
        answer
    }
}

impl<S: Store> Store for Watched<S> {
    fn read_within(
        &self,
        name: &str,
        known: Option<&ETag>,
        within: Duration,
    ) -> Result<Answer<Read>, StoreError> {
        self.ask(within, |store| store.read_within(name, known, within))
    }

    fn write_within(
        &self,
        name: &str,
        body: &[u8],
        condition: Condition<'_>,
        within: Duration,
    ) -> Result<Answer<Written>, StoreError> {
        self.ask(within, |store| store.write_within(name, body, condition, within))
    }
}
