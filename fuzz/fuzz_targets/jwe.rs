//! A file of aws-vault's. What is read has its limits; what opens is an item or says why it is none, and
//! nothing of it is shown.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vault::import::aws_vault::content;
use vault::import::jwe::{Fault, Jwe};
use vault::import::{Content, checked};
use vault::secret::Secret;

fuzz_target!(|file: &[u8]| {
    // The item, as if it had been opened.
    if let Content::Key(key) = content("fuzz", file) {
        assert!(checked(&key.access_key_id, key.secret_access_key).is_ok());
    }
    let Ok(jwe) = Jwe::parse(file) else { return };
    assert!((1..=100_000).contains(&jwe.rounds));
    let again = [file.trim_ascii_end(), b"\n"].concat();
    assert_eq!(Jwe::parse(&again).as_ref(), Ok(&jwe));
    // What a try costs is known, and the time better spent.
    if jwe.rounds <= 16 {
        match jwe.open(&Secret::new("fuzz".to_owned())) {
            Ok(plaintext) => drop(content("fuzz", &plaintext)),
            Err(fault) => assert!(matches!(fault, Fault::Passphrase | Fault::Damaged)),
        }
    }
});
