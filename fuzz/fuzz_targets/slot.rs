//! A passphrase slot's stanza. What is read has one spelling, is within the limits, and is read the
//! same from a header.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vault::sealed::{Slot, scan};

fuzz_target!(|text: &str| {
    let slot = Slot::parse(text);
    let file = format!("age-encryption.org/v1\n{text}--- {}\n{}", "A".repeat(43), "p".repeat(32));
    match slot {
        Ok(slot) => {
            assert_eq!(slot.to_text(), text);
            let cost = slot.cost();
            assert!(cost.memory_kib <= 1 << 20 && cost.passes <= 16 && cost.lanes <= 4);
            assert!((1..=4).contains(&cost.lanes) && cost.memory_kib >= 8 * cost.lanes);
            assert_eq!(scan(file.as_bytes()).map(|scanned| scanned.slots), Ok(vec![slot]));
        }
        Err(_) => {
            // Several stanzas are no slot, but may be a header.
            if let Ok(scanned) = scan(file.as_bytes()) {
                assert!(scanned.slots.is_empty() || scanned.stanzas.len() > 1);
            }
        }
    }
});
