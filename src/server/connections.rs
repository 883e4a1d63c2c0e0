//! The limit of connections, and which ones are closed for a new one: those without the token before those
//! with it, and then those that have been idle longest. So no number of connections keeps other clients out
//! or costs memory. A new connection is not closed at once: a client needs a moment for its first request.
//!
//! Not by a semaphore: with that, a new connection waits until another one ends, and idle ones without the token
//! would keep every client out.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The limit of connections: at most half of the descriptors.
pub(super) fn capacity(open_files: usize) -> usize {
    (open_files / 2).clamp(8, 512)
}

/// No younger connection is closed. While all are younger, new ones wait in the kernel.
const GRACE: Duration = Duration::from_millis(20);
/// One of so many is closed at a time, since the search goes through all.
const SHARE: usize = 16;

/// Set in the mark of a client that sent the token.
const TRUSTED: u64 = 1 << 63;

/// When a connection was last used: the one with the lowest mark is closed first.
#[derive(Debug, Default)]
pub(super) struct Mark(AtomicU64);

/// All connections; `E` closes one.
pub(super) struct Connections<E> {
    capacity: usize,
    ticks: AtomicU64,
    all: Mutex<BTreeMap<u64, Entry<E>>>,
}

struct Entry<E> {
    mark: Arc<Mark>,
    since: Instant,
    end: Option<E>,
}

impl<E> Connections<E> {
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity, ticks: AtomicU64::new(1), all: Mutex::default() }
    }

    /// Adds a connection: its number, its mark, and the connections to close.
    ///
    /// # Errors
    /// The time until there is one that may be closed.
    pub(super) fn add(&self, now: Instant) -> Result<(u64, Arc<Mark>, Vec<E>), Duration> {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let mut evicted = Vec::new();
        if all.len() >= self.capacity {
            let age = |entry: &Entry<E>| now.saturating_duration_since(entry.since);
            let old = all.iter().filter(|(_, entry)| age(entry) >= GRACE);
            let mut old: Vec<(u64, u64)> = old
                .map(|(number, entry)| (entry.mark.0.load(Ordering::Relaxed), *number))
                .collect();
            if old.is_empty() {
                let oldest = all.values().map(age).max().unwrap_or_default();
                return Err(GRACE.saturating_sub(oldest));
            }
            old.sort_unstable();
            for (_, number) in old.iter().take((self.capacity / SHARE).max(1)) {
                evicted.extend(all.remove(number).and_then(|entry| entry.end));
            }
        }
        let number = self.tick();
        let mark = Arc::new(Mark(AtomicU64::new(number)));
        all.insert(number, Entry { mark: Arc::clone(&mark), since: now, end: None });
        Ok((number, mark, evicted))
    }

    pub(super) fn set_end(&self, number: u64, end: E) {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = all.get_mut(&number) {
            entry.end = Some(end);
        }
    }

    pub(super) fn remove(&self, number: u64) {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).remove(&number);
    }

    /// The client has sent the token.
    pub(super) fn trust(&self, mark: &Mark) {
        mark.0.store(self.tick() | TRUSTED, Ordering::Relaxed);
    }

    fn tick(&self) -> u64 {
        self.ticks.fetch_add(1, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Full, and everybody has been there long enough to go.
    fn full(capacity: usize) -> (Connections<u64>, Vec<Arc<Mark>>, Instant) {
        let connections = Connections::new(capacity);
        let start = Instant::now();
        let marks = (0..capacity).map(|_| enter(&connections, start).unwrap().1).collect();
        (connections, marks, start + GRACE)
    }

    fn enter(
        connections: &Connections<u64>,
        now: Instant,
    ) -> Result<(Option<u64>, Arc<Mark>), Duration> {
        let (number, mark, gone) = connections.add(now)?;
        connections.set_end(number, number);
        assert!(gone.len() <= 1);
        Ok((gone.first().copied(), mark))
    }

    #[test]
    fn the_oldest_go_first_and_the_trusted_last() {
        let (connections, marks, mut now) = full(3);
        connections.trust(&marks[0]);
        let mut gone = || {
            now += GRACE;
            enter(&connections, now).unwrap().0.unwrap()
        };
        assert_eq!(gone(), 2);
        assert_eq!(gone(), 3);
        // However many come: who showed the token stays.
        assert!((0..100).all(|_| gone() != 1));
    }

    #[test]
    fn of_the_trusted_the_last_used_stays() {
        let (connections, marks, now) = full(3);
        for at in [0, 1, 2, 0] {
            connections.trust(&marks[at]);
        }
        assert_eq!(enter(&connections, now).unwrap().0, Some(2));
    }

    #[test]
    fn no_connection_is_closed_in_its_first_moment() {
        let (connections, _, old) = full(2);
        let young = old - Duration::from_millis(10);
        assert_eq!(enter(&connections, young).unwrap_err(), Duration::from_millis(10));
        assert_eq!(enter(&connections, old).unwrap().0, Some(1));
        assert_eq!(enter(&connections, old).unwrap().0, Some(2));
        assert_eq!(enter(&connections, old).unwrap_err(), GRACE);
    }

    #[test]
    fn of_many_several_go_at_a_time() {
        let (connections, _, now) = full(64);
        let (_, _, gone) = connections.add(now).unwrap();
        assert_eq!(gone, [1, 2, 3, 4]);
    }

    #[test]
    fn a_closed_connection_makes_room() {
        let (connections, _, now) = full(2);
        connections.remove(1);
        assert_eq!(enter(&connections, now).unwrap().0, None);
        assert_eq!(enter(&connections, now).unwrap().0, Some(2));
    }

    #[test]
    fn the_capacity_leaves_descriptors_for_the_rest() {
        assert_eq!([0, 64, 1024, 1 << 20].map(capacity), [8, 32, 512, 512]);
    }
}
