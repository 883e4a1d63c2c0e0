//! A whole vault file, before any key is tried. What the scan lets pass, age reads too, and the limits
//! hold; each slot in it is spelled in the one way there is.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vault::sealed::{STANZA_LIMIT, Slot, scan};

fuzz_target!(|file: &[u8]| {
    let Ok(scanned) = scan(file) else { return };
    assert!(!scanned.stanzas.is_empty() && scanned.stanzas.len() <= STANZA_LIMIT);
    for slot in &scanned.slots {
        let text = slot.to_text();
        assert_eq!(Slot::parse(&text).as_ref(), Ok(slot));
        assert!(scanned.armored || file.windows(text.len()).any(|w| w == text.as_bytes()));
    }
    let theirs = age::Decryptor::new_buffered(age::armor::ArmoredReader::new(file));
    assert!(theirs.is_ok(), "age reads no such file");
});
