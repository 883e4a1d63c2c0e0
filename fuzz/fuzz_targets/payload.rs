//! A decrypted plaintext. What is read can be changed and written, and comes back as it was.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vault::clock::Timestamp;
use vault::credential::Credentials;
use vault::secret::Secret;
use vault::vault::Payload;

fuzz_target!(|plaintext: &[u8]| {
    let Ok(mut payload) = Payload::parse(plaintext) else { return };
    let written = payload.to_plaintext();
    assert_eq!(written.len() % 4096, 0);
    let again = Payload::parse(&written).expect("what was written is read");
    assert_eq!(again.to_plaintext(), written);
    assert_eq!(again.pin(), payload.pin());
    assert_eq!(again.generation(), payload.generation());
    assert_eq!(again.recipients(), payload.recipients());
    assert_eq!(again.passphrases(), payload.passphrases());
    assert_eq!(again.enrolments().collect::<Vec<_>>(), payload.enrolments().collect::<Vec<_>>());
    let names: Vec<String> = payload.credential_names().map(str::to_owned).collect();
    for name in &names {
        let (one, other) = (payload.credential(name), again.credential(name));
        let (one, other) = (one.expect("a key"), other.expect("a key"));
        assert_eq!(one.access_key_id, other.access_key_id);
        assert_eq!(one.secret_access_key.expose(), other.secret_access_key.expose());
    }
    let serials: Vec<String> = payload.totp_serials().map(str::to_owned).collect();
    for serial in &serials {
        let (one, other) = (payload.totp(serial), again.totp(serial));
        assert!(one.expect("a seed").is(&other.expect("a seed")));
    }

    let key = Credentials::long_term("AKIAIOSFODNN7EXAMPLE".into(), Secret::new("x".repeat(40)));
    payload.set_credential("fuzz", &key, Timestamp(0));
    if let Some(name) = names.first().filter(|name| *name != "fuzz") {
        assert!(payload.remove_credential(name));
    }
    payload.next_generation();
    let changed = Payload::parse(&payload.to_plaintext()).expect("what was changed is read");
    assert_eq!(changed.access_key_id("fuzz"), Some("AKIAIOSFODNN7EXAMPLE"));
    assert_eq!(changed.pin(), again.pin());
});
