//! A credentials file: its keys are found, and taken out where they stand plainly. What is taken out is
//! gone, what is not safe stays, and done once, nothing is left to do.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use vault::import::Content;
use vault::import::plaintext::{items, without};
use vault::profile::{Files, Profiles};

fuzz_target!(|text: &str| {
    let path = Path::new("fuzz");
    let found = items(path, text);
    let (same, none, _) = without(path, text, |_, _| false).expect("nothing to take out");
    assert!(same == text && none.is_empty());
    let Ok((after, taken, left)) = without(path, text, |_, _| true) else { return };
    assert!(after.len() <= text.len());
    let remaining = items(path, &after);
    let bare = text.strip_prefix('\u{feff}').unwrap_or(text);
    let profiles = Profiles::parse(&Files::default(), "", bare);
    for item in found.iter().filter(|item| profiles.doubled(&item.profile).is_none()) {
        let still = remaining.iter().any(|other| other.profile == item.profile);
        assert_eq!(still, !taken.contains(&item.profile), "{:?} in {after:?}", item.profile);
        let is_key = matches!(item.content, Content::Key(_));
        assert_eq!(is_key, taken.contains(&item.profile) || left.contains(&item.profile));
    }
    assert_eq!(without(path, &after, |_, _| true), Ok((after.clone(), Vec::new(), left)));
});
