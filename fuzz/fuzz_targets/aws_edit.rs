//! An edit of the AWS config. NULs separate the profile, a key, a value and the file. One edit is one
//! place of the file: every other byte stays, and the parser reads what was meant.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vault::profile::{Files, Profiles, edit};

fuzz_target!(|text: &str| {
    let mut parts = text.splitn(4, '\0');
    let mut part = || parts.next();
    let (Some(name), Some(key), Some(value), Some(before)) = (part(), part(), part(), part()) else {
        return;
    };
    if let Ok(after) = edit::add_profile(before, name, &[(key, value)]) {
        let (removed, added) = difference(before, &after);
        assert!(removed.is_empty(), "{removed:?} went from {before:?} to {after:?}");
        check(name, key, value, &after);
        // A section and its setting, or the setting; done once, nothing is left to do.
        assert!(added.is_empty() || added.contains(value), "{added:?}");
        assert_eq!(edit::add_profile(&after, name, &[(key, value)]).as_ref(), Ok(&after));
    }
    if let Ok(after) = edit::set_profile(before, name, &[(key, value)]) {
        let (removed, _) = difference(before, &after);
        assert!(!removed.contains('\n'), "{removed:?} went from {before:?} to {after:?}");
        check(name, key, value, &after);
        assert_eq!(edit::set_profile(&after, name, &[(key, value)]).as_ref(), Ok(&after));
    }
    if let Ok(after) = edit::add_profile(before, name, &[]) {
        let (removed, _) = difference(before, &after);
        assert!(removed.is_empty(), "{removed:?} went from {before:?} to {after:?}");
    }
});

/// The one place where two texts differ: what stands there before and after.
fn difference<'a>(before: &'a str, after: &'a str) -> (&'a str, &'a str) {
    let shorter = before.len().min(after.len());
    let pairs = before.bytes().zip(after.bytes());
    let mut head = pairs.take_while(|(a, b)| a == b).count();
    while !before.is_char_boundary(head) {
        head -= 1;
    }
    let pairs = before.bytes().rev().zip(after.bytes().rev());
    let mut tail = pairs.take(shorter - head).take_while(|(a, b)| a == b).count();
    while !before.is_char_boundary(before.len() - tail) {
        tail -= 1;
    }
    (&before[head..before.len() - tail], &after[head..after.len() - tail])
}

fn check(name: &str, key: &str, value: &str, after: &str) {
    let text = after.strip_prefix('\u{feff}').unwrap_or(after);
    let parsed = Profiles::parse(&Files::default(), text, "");
    assert_eq!(parsed.get(name, key), Some(value), "{after:?}");
}
