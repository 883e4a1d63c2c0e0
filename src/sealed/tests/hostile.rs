//! Modified files: none opens, none panics, none is slow.

use super::*;
use crate::error::Class;

#[test]
fn no_flipped_bit_opens() {
    let (keys, recipient) = key();
    let slots = [slot("p")];
    let sealed = seal(b"secret", &[recipient], &slots, false).unwrap();
    let passphrase = [secret("p")];
    for at in 0..sealed.bytes.len() {
        for bit in 0..8 {
            let mut flipped = sealed.bytes.clone();
            flipped[at] ^= 1 << bit;
            let Ok(scanned) = scan(&flipped) else { continue };
            // A flip in P, M or T may ask for more work than this test has time for.
            let tiny = scanned.slots.iter().all(|slot| slot.cost().memory_kib < 100);
            assert!(
                open(&scanned, &keys, &[], PassphrasePolicy::default_limits()).is_err(),
                "byte {at}, bit {bit}"
            );
            if tiny {
                let error = open(&scanned, &[], &passphrase, PassphrasePolicy::default_limits())
                    .unwrap_err();
                assert!(matches!(error.class, Class::Locked | Class::Damaged));
            }
        }
    }
}

#[test]
fn no_flipped_bit_of_an_armored_file_opens() {
    let (keys, recipient) = key();
    let sealed = seal(b"secret", &[recipient], &[], true).unwrap();
    for at in 0..sealed.bytes.len() {
        for bit in 0..8 {
            let mut flipped = sealed.bytes.clone();
            flipped[at] ^= 1 << bit;
            let error = reopen(&flipped, &keys, &[]).unwrap_err();
            assert!(matches!(error.class, Class::Locked | Class::Damaged | Class::Refused));
        }
    }
}

#[test]
fn no_cut_file_and_no_lengthened_file_opens() {
    let (keys, recipient) = key();
    for armor in [false, true] {
        let slots = [slot("p")];
        let sealed = seal(&[7; 3000], std::slice::from_ref(&recipient), &slots, armor).unwrap();
        // An armored file is whole without its last newline, and with white space after it.
        for len in 0..sealed.bytes.len() - usize::from(armor) {
            let error = reopen(&sealed.bytes[..len], &keys, &["p"]).unwrap_err();
            assert_eq!(error.class, Class::Damaged, "{len}");
        }
        let blank = if armor { &b"-"[..] } else { b"\n" };
        for tail in [&b"\0"[..], blank, b"\n\0", b" x", &[0; 40]] {
            let longer = [&sealed.bytes, tail].concat();
            assert_eq!(reopen(&longer, &keys, &[]).unwrap_err().class, Class::Damaged);
        }
    }
}

#[test]
fn stanzas_cannot_be_moved_between_files() {
    let (keys, recipient) = key();
    let recipients = [recipient];
    let one = seal(b"one", &recipients, &[], false).unwrap().bytes;
    let two = seal(b"two", &recipients, &[], false).unwrap().bytes;
    let mac = |file: &[u8]| file.windows(5).position(|w| w == b"\n--- ").unwrap();
    let (first, second) = (mac(&one), mac(&two));
    let mixed = [&one[..first], &two[second..]].concat();
    assert_eq!(reopen(&mixed, &keys, &[]).unwrap_err().class, Class::Damaged);
    let mixed = [&two[..second], &one[first..]].concat();
    assert_eq!(reopen(&mixed, &keys, &[]).unwrap_err().class, Class::Damaged);
}

#[test]
fn the_slowest_accepted_header_is_opened_quickly() {
    // One stanza of many lines is the slowest for age's parser.
    let (keys, _) = key();
    for stanzas in [
        format!("-> a\n{}\n", format!("{}\n", "A".repeat(64)).repeat(245)),
        format!("-> a{}\n\n", " a".repeat(8000)),
        format!("-> {}\n{}", "a".repeat(490), "\n").repeat(32),
    ] {
        let mac = "A".repeat(43);
        let file = format!("age-encryption.org/v1\n{stanzas}--- {mac}\n{}", "p".repeat(32));
        let scanned = scan(file.as_bytes()).unwrap();
        let started = std::time::Instant::now();
        assert_eq!(
            open(&scanned, &keys, &[], PassphrasePolicy::default_limits()).unwrap_err().class,
            Class::Locked
        );
        assert!(started.elapsed().as_secs() < 5);
    }
}
