//! The passphrase slot alone.

use super::*;
use crate::error::Class;

/// A slot of this argument line (after the type name) and a body of zeroes.
fn with(arguments: &str) -> std::result::Result<Slot, Error> {
    Slot::parse(&format!("-> {} {arguments}\n{}\n\n", slot::KIND, "A".repeat(64)))
}

const SALT: &str = "AAAAAAAAAAAAAAAAAAAAAA";

#[test]
fn a_slot_opens_by_its_passphrase_alone() {
    let (slot, recipient) =
        Slot::create(&secret("correct horse"), TINY, &DerivationQueue::none()).unwrap();
    let key = slot.open(&secret("correct horse")).unwrap().unwrap();
    assert_eq!(key.recipient().unwrap().to_string(), recipient);
    for wrong in ["", "correct hors", "correct horse ", "Correct horse"] {
        assert!(slot.open(&secret(wrong)).unwrap().is_none());
    }
    assert_eq!(slot.cost(), TINY);
}

#[test]
fn two_slots_of_one_passphrase_share_nothing() {
    let (one, first) = Slot::create(&secret("p"), TINY, &DerivationQueue::none()).unwrap();
    let (two, second) = Slot::create(&secret("p"), TINY, &DerivationQueue::none()).unwrap();
    assert_ne!(first, second);
    assert_ne!(one.to_text(), two.to_text());
}

#[test]
fn a_slots_key_opens_the_file_as_long_as_the_slot_is_there() {
    let (recipient, first) = slot("p");
    let key = first.open(&secret("p")).unwrap().unwrap();
    assert_eq!((key.slot(), key.as_bytes().len()), (&*first.name(), 32));
    assert!(first.to_text().starts_with(&format!("-> {} {} ", slot::KIND, first.name())));
    let kept = SlotKey::from_bytes(key.slot(), key.as_bytes()).unwrap();
    let with = |slot| scan(&seal(PLAINTEXT, &[], &[slot], false).unwrap().bytes).unwrap();
    let file = with((recipient.clone(), first.clone()));
    assert_eq!(open_by_slot_key(&file, &kept).unwrap().plaintext.as_slice(), PLAINTEXT);

    // A new slot of the same passphrase.
    let error = open_by_slot_key(&with(slot("p")), &kept).unwrap_err();
    assert_eq!((error.class, error.what.contains("was changed")), (Class::Locked, true));
    // The slot without a stanza for its key, and another key under the slot's name.
    let orphan = with((key_of_nobody(), first.clone()));
    assert_eq!(open_by_slot_key(&orphan, &kept).unwrap_err().class, Class::Damaged);
    let other = SlotKey::from_bytes(&first.name(), &[7; 32]).unwrap();
    assert_eq!(open_by_slot_key(&file, &other).unwrap_err().class, Class::Damaged);
    for length in [0, 31, 33] {
        assert!(SlotKey::from_bytes(&first.name(), &vec![7; length]).is_none());
    }
}

fn key_of_nobody() -> Recipient {
    key().1
}

#[test]
fn the_text_of_a_slot_is_its_one_spelling() {
    let (_, slot) = slot("p");
    let text = slot.to_text();
    assert_eq!(Slot::parse(&text).unwrap(), slot);
    assert_eq!(text.lines().map(str::len).collect::<Vec<_>>()[1..], [64, 0]);
    for other in [
        text.trim_end().to_owned(),
        text.replace('\n', "\r\n"),
        format!("{text}\n"),
        format!(" {text}"),
        text.replace(" 8 ", " 08 "),
        text.replace(" 8 ", "  8 "),
        text.replace(" 8 ", " +8 "),
        text.replacen('\n', " 1\n", 1),
        text.replacen('\n', "\n\n", 1),
        text.replace("vault-argon2id", "vault-argon2i"),
    ] {
        assert_eq!(Slot::parse(&other).unwrap_err().class, Class::Damaged, "{other:?}");
    }
}

#[test]
fn a_malformed_slot_is_damaged() {
    assert!(with(&format!("{SALT} 8 1 1")).is_ok());
    for bad in [
        "".to_owned(),
        SALT.to_owned(),
        format!("{SALT} 8 1"),
        format!("{SALT} 8 1 1 1"),
        format!("{SALT} 7 1 1"),
        format!("{SALT} 31 1 4"),
        format!("{SALT} 8 0 1"),
        format!("{SALT} 8 1 0"),
        format!("{SALT} 0 1 1"),
        format!("{SALT} -8 1 1"),
        format!("{SALT} 8. 1 1"),
        format!("{SALT} 0x8 1 1"),
        format!("{SALT} \u{661} 1 1"),
        // 15 and 17 bytes, padding, another alphabet, bits that would be dropped.
        "AAAAAAAAAAAAAAAAAAAA 8 1 1".to_owned(),
        "AAAAAAAAAAAAAAAAAAAAAAA 8 1 1".to_owned(),
        format!("{SALT}== 8 1 1"),
        "AAAAAAAAAAAAAAAAAAAA-_ 8 1 1".to_owned(),
        "AAAAAAAAAAAAAAAAAAAAAB 8 1 1".to_owned(),
    ] {
        assert_eq!(with(&bad).unwrap_err().class, Class::Damaged, "{bad:?}");
    }
}

#[test]
fn a_cost_over_the_limits_is_refused_before_any_work() {
    for good in ["1048576 4 4", "65536 16 4", "262144 16 1"] {
        assert!(with(&format!("{SALT} {good}")).is_ok(), "{good}");
    }
    for bad in [
        "1048577 1 1",
        "1048576 5 4",
        "262145 16 1",
        "65536 17 4",
        "65536 3 5",
        "4294967295 4294967295 4294967295",
        "4294967296 1 1",
        "9999999999 1 1",
    ] {
        let bad = format!("{SALT} {bad}");
        let expected = if bad.ends_with("4294967295 4294967295 4294967295") {
            // Not even eight KiB a lane.
            Class::Damaged
        } else {
            Class::Refused
        };
        assert_eq!(with(&bad).unwrap_err().class, expected, "{bad}");
    }
}

#[test]
fn the_costs_of_all_slots_are_counted_together() {
    let quarter = with(&format!("{SALT} 1048576 1 1")).unwrap();
    let file = |slots: usize| {
        let text = quarter.to_text().repeat(slots);
        let mac = "A".repeat(43);
        format!("age-encryption.org/v1\n{text}--- {mac}\n{}", "p".repeat(32)).into_bytes()
    };
    assert_eq!(scan(&file(4)).unwrap().slots.len(), 4);
    assert_eq!(scan(&file(5)).unwrap_err().class, Class::Refused);

    let recipient = slot("p").0;
    let slots = vec![(recipient, quarter.clone()); 5];
    assert_eq!(seal(b"", &[], &slots, false).unwrap_err().class, Class::Refused);
}

#[test]
fn a_new_slot_of_an_impossible_cost_is_refused() {
    let class = |memory_kib, passes, lanes| {
        let cost = Cost { memory_kib, passes, lanes };
        Slot::create(&secret("p"), cost, &DerivationQueue::none()).err().map(|error| error.class)
    };
    assert_eq!(class(8, 1, 1), None);
    assert_eq!(class(8, 1, 2), Some(Class::Usage));
    assert_eq!(class(8, 0, 1), Some(Class::Usage));
    assert_eq!(class(0, 0, 0), Some(Class::Usage));
    assert_eq!(class(1 << 21, 1, 1), Some(Class::Refused));
    assert_eq!(class(64, 17, 1), Some(Class::Refused));
    assert_eq!(
        Slot::create(&secret(""), TINY, &DerivationQueue::none()).unwrap_err().class,
        Class::Usage
    );
}

#[test]
fn the_default_cost_opens_too() {
    let (slot, _) = Slot::create(&secret("p"), Cost::default(), &DerivationQueue::none()).unwrap();
    assert!(slot.to_text().contains(" 65536 3 4\n"));
    assert!(slot.open(&secret("p")).unwrap().is_some());
}

#[test]
fn a_slot_that_opens_without_its_x25519_stanza_is_damage() {
    let (keys, recipient) = key();
    let slots = [slot("p")];
    // The slot's stanza beside another key's X25519 stanza: well formed, and authentic.
    let mixed = [(recipient, slots[0].1.clone())];
    let sealed = seal(PLAINTEXT, &[], &mixed, false).unwrap();
    assert_eq!(reopen(&sealed.bytes, &[], &["p"]).unwrap_err().class, Class::Damaged);
    assert_eq!(reopen(&sealed.bytes, &[], &["q"]).unwrap_err().class, Class::Locked);
    assert!(reopen(&sealed.bytes, &keys, &["p"]).is_ok());
}

#[test]
fn the_argument_line_is_bound_to_the_body() {
    let (_, one) = slot("p");
    let text = one.to_text();
    for (from, to) in [(" 8 1 1\n", " 9 1 1\n"), (" 8 1 1\n", " 8 2 1\n")] {
        let changed = Slot::parse(&text.replace(from, to)).unwrap();
        assert!(changed.open(&secret("p")).unwrap().is_none());
    }
}
