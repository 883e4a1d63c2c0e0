//! Every age vector of C2SP's CCTV, through [`scan`] and [`open`].

use std::collections::BTreeMap;
use std::path::PathBuf;

use sha2::{Digest, Sha256};

use super::inflate::inflate;
use super::*;
use crate::error::Class;

/// What a vault makes of a vector, and why where it is stricter than age.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    /// Opened, and the plaintext has the vector's hash.
    Opened,
    /// Not our key.
    Locked,
    /// Header, MAC or payload is bad, and age says so too.
    Damaged,
    /// age's library opens it, and age(1) does not: white space before the armor.
    OtherArmor,
    /// Over 2 MiB, where age streams.
    TooLarge,
    /// Encrypted by age's own passphrase: never a vault, whatever age says of it.
    Scrypt,
    /// The vector's identity is post-quantum, which age for Rust does not have.
    PostQuantum,
}

struct Vector {
    name: String,
    fields: BTreeMap<String, Vec<String>>,
    file: Vec<u8>,
}

impl Vector {
    fn read(path: &PathBuf) -> Self {
        let bytes = std::fs::read(path).unwrap();
        let end = bytes.windows(2).position(|pair| pair == b"\n\n").unwrap();
        let mut fields: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for line in std::str::from_utf8(&bytes[..end]).unwrap().lines() {
            let (name, value) = line.split_once(": ").unwrap();
            fields.entry(name.to_owned()).or_default().push(value.to_owned());
        }
        let file = bytes[end + 2..].to_vec();
        let file = match fields.get("compressed") {
            Some(kinds) if kinds == &["zlib"] => inflate(&file),
            None => file,
            _ => panic!("unknown compression"),
        };
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        Self { name, fields, file }
    }

    fn field(&self, name: &str) -> &[String] {
        self.fields.get(name).map(Vec::as_slice).unwrap_or_default()
    }

    fn outcome(&self) -> Outcome {
        let name = &self.name;
        let scanned = match scan(&self.file) {
            Ok(scanned) => scanned,
            Err(error) if error.class == Class::Refused => return Outcome::TooLarge,
            Err(error) => {
                assert_eq!(error.class, Class::Damaged, "{name}");
                let armor = error.what.contains("armor");
                let success = self.field("expect") == ["success"];
                return match error.what.contains("passphrase") {
                    true => Outcome::Scrypt,
                    false if armor && success => Outcome::OtherArmor,
                    false => Outcome::Damaged,
                };
            }
        };
        assert_eq!(scanned.armored, self.fields.contains_key("armored"), "{name}");
        let text = secret(&self.field("identity").join("\n"));
        let keys = match parse_identities(&text, name) {
            Ok(keys) => keys,
            Err(_) if text.is_empty() => Vec::new(),
            Err(error) => panic!("{name}: {error:?}"),
        };
        match open(&scanned, &keys, &[], PassphrasePolicy::default_limits()) {
            Ok(opened) => {
                let hash: String =
                    Sha256::digest(&*opened.plaintext).iter().map(|b| format!("{b:02x}")).collect();
                assert_eq!(self.field("payload"), [hash], "{name}");
                Outcome::Opened
            }
            Err(error) => match error.class {
                Class::Locked if error.what.contains("post-quantum") => Outcome::PostQuantum,
                Class::Locked => Outcome::Locked,
                Class::Damaged => Outcome::Damaged,
                class => panic!("{name}: {class:?}"),
            },
        }
    }
}

#[test]
fn every_vector_has_the_expected_outcome() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/cctv-age");
    let mut tally: BTreeMap<Outcome, usize> = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.ends_with("README.md") {
            continue;
        }
        let vector = Vector::read(&path);
        let outcome = vector.outcome();
        let [expect] = vector.field("expect") else { panic!("{}: no expectation", vector.name) };
        let agreed = match outcome {
            Outcome::Opened => expect == "success",
            Outcome::Locked => expect == "no match",
            Outcome::Damaged => expect.ends_with(" failure"),
            Outcome::OtherArmor => vector.name == "armor_whitespace_outside",
            Outcome::TooLarge => vector.file.len() as u64 > FILE_LIMIT,
            Outcome::Scrypt => vector.name.contains("scrypt"),
            Outcome::PostQuantum => vector.name.contains("hybrid"),
        };
        assert!(agreed, "{}: {outcome:?}, but {expect}", vector.name);
        *tally.entry(outcome).or_default() += 1;
    }
    let tally: Vec<(Outcome, usize)> = tally.into_iter().collect();
    // Counted, so that a vector that is skipped, or changes sides, is noticed.
    assert_eq!(
        tally,
        [
            (Outcome::Opened, 15),
            (Outcome::Locked, 5),
            (Outcome::Damaged, 78),
            (Outcome::OtherArmor, 1),
            (Outcome::TooLarge, 3),
            (Outcome::Scrypt, 24),
            (Outcome::PostQuantum, 17),
        ]
    );
}
