//! One byte more, one less, one bit other, at each place of a small vault, as binary and as text, with a
//! key and with a passphrase.

use std::io::Read;

use vault::error::{Class, Result};
use vault::sealed::{self, Cost, DerivationQueue, Identity, PassphrasePolicy, Slot};
use vault::secret::Secret;

use crate::support::{AGE_KEY, AGE_RECIPIENT, PASSPHRASE};

/// A file, and what opens it.
struct Sealed {
    name: &'static str,
    file: Vec<u8>,
    identities: Vec<Identity>,
    passphrases: Vec<Secret>,
}

impl Sealed {
    fn open(&self, file: &[u8]) -> Result<()> {
        sealed::open(
            &sealed::scan(file)?,
            &self.identities,
            &self.passphrases,
            PassphrasePolicy::default_limits(),
        )
        .map(drop)
    }

    /// The change is noticed, and called what it is.
    #[track_caller]
    /// Refused; but what a change did to the ends of an armored file's lines alone, by age's own reader
    /// of armor, is none.
    fn refused(&self, file: &[u8], change: impl std::fmt::Display) {
        if dearmored(file).is_some_and(|binary| Some(binary) == dearmored(&self.file)) {
            return self
                .open(file)
                .unwrap_or_else(|error| panic!("{}: {change}: {error:?}", self.name));
        }
        let Err(error) = self.open(file) else { panic!("{}: {change} went unnoticed", self.name) };
        let known = matches!(error.class, Class::Damaged | Class::Locked | Class::Refused);
        assert!(known, "{}: {change}: {error:?}", self.name);
    }
}

/// The binary file of an armored one.
fn dearmored(file: &[u8]) -> Option<Vec<u8>> {
    let mut binary = Vec::new();
    let read = age::armor::ArmoredReader::new(file).read_to_end(&mut binary);
    (file.starts_with(b"-----BEGIN") && read.is_ok()).then_some(binary)
}

/// Small vaults, so that every byte can be tried: by key and by passphrase, binary and armored.
fn vaults() -> Vec<Sealed> {
    let secret = |text: &str| Secret::new(text.to_owned());
    let cheap = Cost { memory_kib: 8, passes: 1, lanes: 1 };
    let mut vaults = Vec::new();
    for (name, by_key, armor) in [
        ("key, binary", true, false),
        ("key, armored", true, true),
        ("passphrase, binary", false, false),
        ("passphrase, armored", false, true),
    ] {
        let (mut recipients, mut slots) = (Vec::new(), Vec::new());
        if by_key {
            recipients.push(sealed::parse_recipient(AGE_RECIPIENT).unwrap());
        } else {
            let (slot, public) =
                Slot::create(&secret(PASSPHRASE), cheap, &DerivationQueue::none()).unwrap();
            slots.push((sealed::parse_recipient(&public).unwrap(), slot));
        }
        let file = sealed::seal(b"version = 1\n", &recipients, &slots, armor).unwrap().bytes;
        let (mut identities, mut passphrases) = (Vec::new(), Vec::new());
        if by_key {
            identities = sealed::parse_identities(&secret(AGE_KEY), "the key").unwrap();
        } else {
            passphrases.push(secret(PASSPHRASE));
        }
        let vault = Sealed { name, file, identities, passphrases };
        vault.open(&vault.file).expect("as it was sealed");
        vaults.push(vault);
    }
    vaults
}

#[test]
fn every_inserted_byte_is_noticed() {
    for vault in vaults() {
        let file = &vault.file;
        for at in 0..=file.len() {
            let before = at.checked_sub(1).and_then(|at| file.get(at)).copied();
            let after = file.get(at).copied();
            // The neighbours again, what ends a line or a string, what a text editor leaves, what
            // looks like more of the same, and some bytes like any others.
            let any = (at as u8).wrapping_mul(167).wrapping_add(13);
            let bytes = [0, b'\n', b'\r', b' ', b'A', b'=', b'9', 0x80, 0xff, any];
            for byte in bytes.into_iter().chain(before).chain(after) {
                let mut changed = file.clone();
                changed.insert(at, byte);
                vault.refused(&changed, format_args!("{byte:#04x} before byte {at}"));
            }
        }
    }
}

#[test]
fn every_missing_byte_and_every_cut_is_noticed() {
    for vault in vaults() {
        let file = &vault.file;
        for at in 0..file.len() {
            let mut changed = file.clone();
            changed.remove(at);
            vault.refused(&changed, format_args!("without byte {at}"));
            vault.refused(&file[..at], format_args!("cut to {at} bytes"));
            if at > 0 {
                vault.refused(&file[at..], format_args!("without the first {at} bytes"));
            }
        }
    }
}

#[test]
fn every_flipped_bit_is_noticed_with_a_passphrase_too() {
    for vault in vaults() {
        for bit in 0..vault.file.len() * 8 {
            let mut changed = vault.file.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            vault.refused(&changed, format_args!("bit {bit} flipped"));
        }
    }
}

#[test]
fn every_two_neighbours_that_change_places_are_noticed() {
    for vault in vaults() {
        for at in 1..vault.file.len() {
            let mut changed = vault.file.clone();
            changed.swap(at - 1, at);
            if changed != vault.file {
                vault.refused(&changed, format_args!("bytes {} and {at} swapped", at - 1));
            }
        }
    }
}
