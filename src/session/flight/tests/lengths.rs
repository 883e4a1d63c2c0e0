//! Sessions of several lengths that are one session.

use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::super::super::testing::{cache, long, session};
use super::super::*;
use crate::file::testing::Directory;

const HOUR: i64 = 3600;

fn hours(count: i64) -> Duration {
    Duration::from_secs(count.unsigned_abs() * 3600)
}

/// A request for so many hours; `asked`: by a flag or variable.
fn wanted(key: &[String], count: i64, asked: bool) -> Wanted<'_> {
    let wanted = hours(count);
    Wanted {
        profile: "prod",
        kind: SessionKind::Session,
        key,
        length: Some(Length { wanted, least: if asked { wanted } else { Duration::ZERO } }),
        not_before: None,
        min_left: None,
    }
}

/// What is served, and how many hours AWS was asked for if it was asked.
fn obtain(cache: &Cache, wanted: &Wanted<'_>, now: i64) -> (String, Option<u64>) {
    let mut asked = None;
    let made = cache.obtain(wanted, long(), &mut |length| {
        let length = length.expect("a length").as_secs();
        asked = Some(length / 3600);
        let ends = now + i64::try_from(length).expect("hours");
        Ok(Minted::Here(session(&format!("{} h at {now}", length / 3600), ends)))
    });
    let made = made.expect("a session").credentials.session_token.expect("a token");
    (made.expose().to_owned(), asked)
}

#[test]
fn a_session_serves_shorter_requests_and_a_longer_one_replaces_it() {
    let d = Directory::new();
    let key = ["a".to_owned()];
    // When, how many hours are asked for, whether by a flag or variable, what is made, what is served.
    for (now, count, asked, made, served) in [
        (0, 2, true, Some(2), "2 h at 0"),
        (1, 2, true, None, "2 h at 0"),
        (2, 1, true, None, "2 h at 0"),
        (3, 8, false, None, "2 h at 0"),
        (4, 8, true, Some(8), "8 h at 4"),
        (5, 2, true, None, "8 h at 4"),
        (6, 8, true, None, "8 h at 4"),
        // It is due, and renewed for as long as it was.
        (8 * HOUR - 100, 1, true, Some(8), "8 h at 28700"),
        (8 * HOUR - 99, 8, true, None, "8 h at 28700"),
        // It has ended; the next request is for less.
        (20 * HOUR, 1, false, Some(1), "1 h at 72000"),
        // It is due, and longer than it was.
        (21 * HOUR - 100, 8, false, Some(8), "8 h at 75500"),
    ] {
        let given = obtain(&cache(&d.path, now), &wanted(&key, count, asked), now);
        assert_eq!(given, (served.to_owned(), made), "at {now}");
    }
    assert_eq!(cache(&d.path, 21 * HOUR).list().len(), 1);
}

#[test]
fn what_takes_the_place_of_a_longer_one_is_as_long() {
    let key = ["a".to_owned()];
    let all = [
        Wanted { not_before: Some(Timestamp(i64::MAX)), ..wanted(&key, 1, true) },
        Wanted { min_left: Some(hours(20)), ..wanted(&key, 1, false) },
    ];
    for again in all {
        let d = Directory::new();
        obtain(&cache(&d.path, 0), &wanted(&key, 8, true), 0);
        assert_eq!(obtain(&cache(&d.path, 9), &again, 9).1, Some(8), "{again:?}");
        assert_eq!(obtain(&cache(&d.path, 10), &wanted(&key, 8, true), 10).1, None);
    }
}

#[test]
fn a_longer_one_that_cannot_be_made_is_an_error_and_leaves_the_shorter_as_it_was() {
    let d = Directory::new();
    let key = ["a".to_owned()];
    obtain(&cache(&d.path, 0), &wanted(&key, 1, true), 0);
    for failed in [|| MintError::NeedsCode, || MintError::Failed(Error::aws("AWS refused"))] {
        let longer = wanted(&key, 8, true);
        let not_made =
            cache(&d.path, 1).obtain(&longer, long(), &mut |_| Err(failed())).expect_err("none");
        assert_eq!(format!("{not_made:?}"), format!("{:?}", failed()));
        assert_eq!(obtain(&cache(&d.path, 2), &wanted(&key, 1, true), 2).1, None);
    }
    // Nothing failed that was to be renewed: it is due at once.
    let due = HOUR - 10;
    assert_eq!(obtain(&cache(&d.path, due), &wanted(&key, 1, true), due).1, Some(1));
}

#[test]
fn a_session_of_unknown_length_serves_requests_without_a_length() {
    let d = Directory::new();
    let key = ["a".to_owned()];
    let old = Wanted { length: None, ..wanted(&key, 1, true) };
    let made = cache(&d.path, 0).obtain(&old, long(), &mut |length| {
        assert_eq!(length, None);
        Ok(Minted::Here(session("old", 8 * HOUR)))
    });
    made.expect("a session");
    assert_eq!(obtain(&cache(&d.path, 1), &wanted(&key, 8, false), 1), ("old".to_owned(), None));
    assert_eq!(obtain(&cache(&d.path, 2), &wanted(&key, 1, true), 2).1, Some(1));
}

#[test]
fn of_many_that_ask_for_two_lengths_two_make_one_at_most() {
    let d = Directory::new();
    let key = ["a".to_owned()];
    let made = AtomicUsize::new(0);
    let start = Barrier::new(16);
    std::thread::scope(|scope| {
        for number in 0..16 {
            let (key, d, made, start) = (&key, &d, &made, &start);
            scope.spawn(move || {
                start.wait();
                let count = if number % 2 == 0 { 8 } else { 12 };
                let (served, asked) = obtain(&cache(&d.path, 0), &wanted(key, count, true), 0);
                made.fetch_add(usize::from(asked.is_some()), Ordering::SeqCst);
                assert!(count == 8 || served == "12 h at 0", "{served}");
            });
        }
    });
    assert!((1..=2).contains(&made.load(Ordering::SeqCst)), "{made:?}");
    let after = obtain(&cache(&d.path, 0), &wanted(&key, 8, true), 0);
    assert_eq!(after, ("12 h at 0".to_owned(), None));
}
