//! Seal and open, by every kind of key.

use std::io::Read;

use super::*;
use crate::error::Class;

#[test]
fn each_recipient_and_each_passphrase_opens_what_was_sealed_for_all() {
    let (ours, recipient) = key();
    let (theirs, other) = key();
    let recipients = [
        recipient,
        other,
        parse_recipient(SSH_ED25519_PUB).unwrap(),
        parse_recipient(SSH_RSA_PUB).unwrap(),
    ];
    let slots = [slot("first"), slot("second")];
    for armor in [false, true] {
        let sealed = seal(PLAINTEXT, &recipients, &slots, armor).unwrap();
        let scanned = scan(&sealed.bytes).unwrap();
        assert_eq!(scanned.armored, armor);
        assert_eq!(
            scanned.stanzas[..8],
            [
                "X25519",
                "X25519",
                "ssh-ed25519",
                "ssh-rsa",
                "X25519",
                slot::KIND,
                "X25519",
                slot::KIND
            ]
        );
        assert_eq!(scanned.slots, [slots[0].1.clone(), slots[1].1.clone()]);

        for keys in [&ours, &theirs, &identities(SSH_ED25519), &identities(SSH_RSA)] {
            let opened = reopen(&sealed.bytes, keys, &[]).unwrap();
            assert_eq!(*opened.plaintext, PLAINTEXT);
        }
        for passphrase in ["first", "second"] {
            let opened = reopen(&sealed.bytes, &[], &["wrong", passphrase]).unwrap();
            assert_eq!(*opened.plaintext, PLAINTEXT);
        }
        let (stranger, _) = key();
        let opened = reopen(&sealed.bytes, &stranger, &["first"]).unwrap();
        assert_eq!(*opened.plaintext, PLAINTEXT);
    }
}

#[test]
fn age_itself_opens_a_vault_by_key_and_by_the_slots_age_key() {
    let (secret_key, recipient) = generate_identity();
    let slots = [slot("a passphrase")];
    let recipient = parse_recipient(&recipient).unwrap();
    let sealed = seal(PLAINTEXT, &[recipient], &slots, false).unwrap();
    let slot_key = slots[0].1.open(&secret("a passphrase")).unwrap().unwrap().to_age_key().unwrap();
    for text in [secret_key, slot_key] {
        let identity: age::x25519::Identity = text.expose().parse().unwrap();
        let mut reader = age::Decryptor::new(&sealed.bytes[..])
            .unwrap()
            .decrypt(std::iter::once(&identity as &dyn age::Identity))
            .unwrap();
        let mut plaintext = Vec::new();
        reader.read_to_end(&mut plaintext).unwrap();
        assert_eq!(plaintext, PLAINTEXT);
    }
}

#[test]
fn a_slots_stanza_is_the_same_in_every_file() {
    let slots = [slot("a passphrase")];
    let text = slots[0].1.to_text();
    let first = seal(PLAINTEXT, &[], &slots, false).unwrap();
    let second = seal(b"", &[], &slots, false).unwrap();
    for sealed in [first, second] {
        let found = sealed.bytes.windows(text.len()).any(|window| window == text.as_bytes());
        assert!(found);
    }
}

#[test]
fn contents_of_every_size_around_a_chunk_come_back() {
    let (keys, recipient) = key();
    for len in [0, 1, 4096, 65535, 65536, 65537, 131_072] {
        let plaintext = vec![7; len];
        let sealed = seal(&plaintext, std::slice::from_ref(&recipient), &[], true).unwrap();
        assert!(sealed.verify(&sealed.bytes));
        assert_eq!(*reopen(&sealed.bytes, &keys, &[]).unwrap().plaintext, plaintext);
    }
}

#[test]
fn verify_accepts_only_a_file_with_the_plaintext() {
    let (_, recipient) = key();
    let recipients = [recipient];
    let sealed = seal(PLAINTEXT, &recipients, &[slot("p")], false).unwrap();
    assert!(sealed.verify(&sealed.bytes));
    let other = seal(PLAINTEXT, &recipients, &[], false).unwrap();
    assert!(!sealed.verify(&other.bytes));
    assert!(!sealed.verify(&[]));
    assert!(!sealed.verify(&sealed.bytes[..sealed.bytes.len() - 1]));
    let mut flipped = sealed.bytes.clone();
    *flipped.last_mut().unwrap() ^= 1;
    assert!(!sealed.verify(&flipped));
}

#[test]
fn the_error_names_the_kind_of_key_that_was_tried() {
    let (_, recipient) = key();
    let (stranger, _) = key();
    let sealed = seal(PLAINTEXT, std::slice::from_ref(&recipient), &[slot("p")], false).unwrap();
    let what = |keys: &[Identity], passphrases: &[&str]| {
        let error = reopen(&sealed.bytes, keys, passphrases).unwrap_err();
        assert_eq!(error.class, Class::Locked);
        error.what
    };
    assert_eq!(what(&stranger, &[]), "no key opens this vault");
    assert_eq!(what(&[], &["wrong"]), "the passphrase does not open this vault");
    assert_eq!(what(&stranger, &["wrong"]), "neither a key nor the passphrase opens this vault");
    assert_eq!(what(&[], &[]), "no key or passphrase was given for this vault");
    // It is for another vault, so the error does not ask for its passphrase.
    assert_eq!(what(&identities(SSH_ENCRYPTED), &[]), "no key opens this vault");

    let sealed = seal(PLAINTEXT, &[recipient], &[], false).unwrap();
    let error = reopen(&sealed.bytes, &[], &["p"]).unwrap_err();
    assert_eq!((error.class, error.what.contains("has no passphrase")), (Class::Locked, true));
}

#[test]
fn a_key_that_cannot_be_used_stops_no_other() {
    let (mut keys, recipient) = key();
    let recipients = [parse_recipient(SSH_ENCRYPTED_PUB).unwrap(), recipient];
    let sealed = seal(PLAINTEXT, &recipients, &[], false).unwrap();
    let mut all = identities(SSH_ENCRYPTED);
    all.append(&mut keys);
    assert!(reopen(&sealed.bytes, &all, &[]).is_ok());
    let slots = [slot("p")];
    let sealed = seal(PLAINTEXT, &recipients, &slots, false).unwrap();
    assert!(reopen(&sealed.bytes, &all[..1], &["p"]).is_ok());
    let error = reopen(&sealed.bytes, &all[..1], &[]).unwrap_err();
    assert_eq!(
        (error.class, &*error.what),
        (
            Class::Locked,
            "no key opens this vault: the ssh key in the key has a passphrase of its own"
        )
    );
    let scanned = scan(&sealed.bytes).unwrap();
    let by = |word: &str| {
        open_by_locked_key(&scanned, &all, &secret(word), PassphrasePolicy::default_limits())
            .map_err(|e| e.class)
    };
    assert_eq!(*by("test").unwrap().plaintext, PLAINTEXT);
    assert_eq!(by("Test").unwrap_err(), Class::Locked);
    assert_eq!(by("").unwrap_err(), Class::Locked);
}

#[test]
fn post_quantum_recipients_stand_alone() {
    let (_, recipient) = key();
    // A key of zeroes for ML-KEM and the generator of P-256: no user's, but well formed.
    let mut bytes = vec![0; 1184];
    bytes.push(4);
    for word in [
        0x6b17d1f2_e12c4247_f8bce6e5_63a440f2_u128,
        0x77037d81_2deb33a0_f4a13945_d898c296,
        0x4fe342e2_fe1a7f9b_8ee7eb4a_7c0f9e16,
        0x2bce3357_6b315ece_cbb64068_37bf51f5,
    ] {
        bytes.extend(word.to_be_bytes());
    }
    let text =
        age_core::primitives::bech32_encode(bech32::Hrp::parse("age1tagpq").unwrap(), &bytes);
    let quantum = parse_recipient(&text).unwrap();
    assert_eq!(quantum.to_string(), text);
    let alone = seal(PLAINTEXT, std::slice::from_ref(&quantum), &[], false).unwrap();
    assert!(alone.verify(&alone.bytes));

    // Coefficients that ML-KEM does not have: refused, or wrapped for no key, but no panic.
    bytes[..1184].fill(0xff);
    let hrp = bech32::Hrp::parse("age1tagpq").unwrap();
    if let Ok(crooked) = parse_recipient(&age_core::primitives::bech32_encode(hrp, &bytes)) {
        let _ = seal(PLAINTEXT, &[crooked], &[], false);
    }

    let refused = [
        seal(PLAINTEXT, &[recipient.clone(), quantum.clone()], &[], false),
        seal(PLAINTEXT, &[quantum.clone(), recipient.clone()], &[], false),
        seal(PLAINTEXT, &[quantum], &[slot("p")], false),
    ];
    for error in refused.map(Result::unwrap_err) {
        assert_eq!(error.class, Class::Refused);
        assert!(error.what.contains("post-quantum recipients cannot be combined with others"));
    }

    let tag = "age1tag1qt8lw0ual6avlwmwatk888yqnmdamm7xfd0wak53ut6elz5c4swx2yqdj4e";
    let tag = parse_recipient(tag).unwrap();
    assert!(seal(PLAINTEXT, &[recipient, tag], &[slot("p")], false).is_ok());
}

#[test]
fn a_writer_keeps_the_readers_limits() {
    let (_, recipient) = key();
    let class = |plaintext: &[u8], recipients: usize, slots: &[(Recipient, Slot)], armor| {
        let recipients = vec![recipient.clone(); recipients];
        seal(plaintext, &recipients, slots, armor).err().map(|error| error.class)
    };
    // age's own random stanza is one of the 32.
    assert_eq!(class(b"", 31, &[], false), None);
    assert_eq!(class(b"", 32, &[], false), Some(Class::Refused));
    assert_eq!(class(b"", 29, &[slot("p")], false), None);
    assert_eq!(class(b"", 30, &[slot("p")], false), Some(Class::Refused));
    assert_eq!(class(b"", 0, &[], false), Some(Class::Usage));

    let large = vec![0; 1_600_000];
    assert_eq!(class(&large, 1, &[], false), None);
    assert_eq!(class(&large, 1, &[], true), Some(Class::Refused));
    assert_eq!(class(&vec![0; FILE_LIMIT as usize], 1, &[], false), Some(Class::Refused));
    assert_eq!(class(&vec![0; FILE_LIMIT as usize + 1], 1, &[], false), Some(Class::Refused));

    // Twenty-eight ssh-rsa stanzas of 4096 bits would be over 16 KiB; ours of 2048 bits are under.
    let rsa = vec![parse_recipient(SSH_RSA_PUB).unwrap(); 31];
    assert!(seal(b"", &rsa, &[], false).is_ok());
}

#[test]
fn a_slots_recipient_is_x25519() {
    let (_, one) = slot("p");
    let ssh = parse_recipient(SSH_ED25519_PUB).unwrap();
    assert_eq!(seal(b"", &[], &[(ssh, one)], false).unwrap_err().class, Class::Usage);
}

#[test]
fn debug_output_has_no_secret() {
    let (text, recipient) = generate_identity();
    let keys = identities(text.expose());
    let slots = [slot("a passphrase")];
    let sealed = seal(PLAINTEXT, &[parse_recipient(&recipient).unwrap()], &slots, false).unwrap();
    let opened = reopen(&sealed.bytes, &keys, &[]).unwrap();
    let slot_key = slots[0].1.open(&secret("a passphrase")).unwrap();
    let scanned = scan(&sealed.bytes).unwrap();
    let shown = format!("{opened:?} {sealed:?} {scanned:?} {keys:?} {slot_key:?}");
    assert!(!shown.contains("wJalr"));
    assert!(!shown.contains(&format!("{:?}", &PLAINTEXT[..4]).replace(['[', ']'], "")));
    assert!(!shown.contains("AGE-SECRET"));
    assert!(shown.len() < 400, "{shown}");
}
