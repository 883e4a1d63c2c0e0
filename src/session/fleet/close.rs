//! The end of a device's book, for a vault that has new keys: by the old keys and by the new ones hosts keep
//! two books, and each would take the steps that are in the other.

use super::object::{Book, Damaged, FleetKeys};
use crate::clock::Clock;
use crate::store::{Condition, Read, Store, StoreError, Written};

/// So often a book is read anew that another host has written meanwhile.
const TRIES: u8 = 8;

/// Closes the book of a device by the old keys: whoever has only these sends no code by the fleet any more.
/// The book by the new keys begins with the claims that were in it, unless there is one.
///
/// # Errors
/// The store is away, or other hosts were faster each time.
pub fn close_book(
    store: &dyn Store,
    (old, new): (&FleetKeys, &FleetKeys),
    device: &str,
    clock: Clock,
) -> Result<(), StoreError> {
    let name = old.book_name(device);
    let begin = |book: Option<Book>| {
        let Some(book) = book else { return Ok(()) };
        let name = new.book_name(device);
        let body = new.seal_book(&name, &book).map_err(|_| failed(NO_RANDOMNESS))?;
        store.write(&name, &body, Condition::Absent).map(drop)
    };
    let mut last = None;
    for _ in 0..TRIES {
        let answer = store.read(&name, None)?;
        let date = answer.date.unwrap_or_else(|| clock.now());
        let (over, book) = match answer.what {
            Read::Found(object) => match old.open_book(&name, object.body, date) {
                Ok(Some(book)) => (Some(object.etag), Some(book)),
                // By this host if an answer was lost, or by another one.
                Ok(None) => return begin(last),
                Err(Damaged) => (Some(object.etag), None),
            },
            Read::Missing | Read::Unchanged => (None, None),
        };
        let closed = old.closed_book(&name).map_err(|_| failed(NO_RANDOMNESS))?;
        let on = over.as_ref().map_or(Condition::Absent, Condition::Is);
        match store.write(&name, &closed, on).map(|answer| answer.what) {
            Ok(Written::Done(_)) => return begin(book),
            Ok(Written::Refused | Written::Again) | Err(StoreError::Unknown(_)) => last = book,
            Err(error) => return Err(error),
        }
    }
    Err(failed("other hosts write it all the time"))
}

const NO_RANDOMNESS: &str = "the system has no randomness to give";

fn failed(what: &str) -> StoreError {
    StoreError::Failed { what: what.to_owned(), hint: None }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::clock::Timestamp;
    use crate::store::testing::MemoryStore;
    use crate::store::{Answer, ETag};

    const DEVICE: &str = "arn:aws:iam::123456789012:mfa/me";

    fn keys() -> (FleetKeys, FleetKeys) {
        (FleetKeys::new(&[1; 16], &[2; 32]), FleetKeys::new(&[1; 16], &[3; 32]))
    }

    fn close(store: &dyn Store) -> Result<(), StoreError> {
        let (old, new) = keys();
        close_book(store, (&old, &new), DEVICE, Clock::fixed(Timestamp(0)))
    }

    /// The book as it stands; `None` if it is closed.
    fn book(store: &MemoryStore, keys: &FleetKeys) -> Option<Book> {
        let name = keys.book_name(DEVICE);
        let Read::Found(object) = store.read(&name, None).unwrap().what else { panic!("no book") };
        keys.open_book(&name, object.body, Timestamp(0)).unwrap()
    }

    fn noted(at: i64) -> Book {
        let mut book = Book::default();
        book.note_given(Timestamp(at));
        book
    }

    fn note(store: &MemoryStore, book: &Book, over: Option<&ETag>) -> ETag {
        let (old, _) = keys();
        let name = old.book_name(DEVICE);
        let body = old.seal_book(&name, book).unwrap();
        let on = over.map_or(Condition::Absent, Condition::Is);
        match store.write(&name, &body, on).unwrap().what {
            Written::Done(etag) => etag,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_book_is_closed_and_its_claims_go_over() {
        let (store, (old, new)) = (MemoryStore::default(), keys());
        note(&store, &noted(7), None);
        close(&store).unwrap();
        assert_eq!((book(&store, &old), book(&store, &new)), (None, Some(noted(7))));
        // Once more, by whom it was closed already.
        close(&store).unwrap();
        assert_eq!((book(&store, &old), book(&store, &new)), (None, Some(noted(7))));
    }

    #[test]
    fn a_device_without_a_book_gets_a_closed_one() {
        let (store, (old, new)) = (MemoryStore::default(), keys());
        close(&store).unwrap();
        assert_eq!(book(&store, &old), None);
        let none = store.read(&new.book_name(DEVICE), None).unwrap().what;
        assert!(matches!(none, Read::Missing));
    }

    /// Something happens at the first write.
    struct Meddled<'a> {
        inner: &'a MemoryStore,
        first: AtomicBool,
        lost: bool,
    }

    impl Store for Meddled<'_> {
        fn read(&self, name: &str, known: Option<&ETag>) -> Result<Answer<Read>, StoreError> {
            self.inner.read(name, known)
        }

        fn write(
            &self,
            name: &str,
            body: &[u8],
            on: Condition<'_>,
        ) -> Result<Answer<Written>, StoreError> {
            if !self.first.swap(false, Ordering::SeqCst) {
                return self.inner.write(name, body, on);
            }
            if self.lost {
                self.inner.write(name, body, on)?;
                return Err(StoreError::Unknown("no answer".to_owned()));
            }
            let Condition::Is(etag) = on else { panic!("there is one") };
            note(self.inner, &noted(8), Some(etag));
            self.inner.write(name, body, on)
        }
    }

    #[test]
    fn a_claim_that_comes_between_goes_over_and_so_do_they_if_the_answer_is_lost() {
        for (lost, at) in [(false, 8), (true, 7)] {
            let (inner, (old, new)) = (MemoryStore::default(), keys());
            note(&inner, &noted(7), None);
            close(&Meddled { inner: &inner, first: AtomicBool::new(true), lost }).unwrap();
            assert_eq!((book(&inner, &old), book(&inner, &new)), (None, Some(noted(at))));
        }
    }
}
