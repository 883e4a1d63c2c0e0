//! What `add --stdin` reads: JSON or CSV. What comes of it is an access key, and an error holds none of
//! the text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vault::import;
use vault::secret::Secret;

fuzz_target!(|text: &str| {
    match import::access_key(&Secret::new(text.to_owned())) {
        Ok(key) => {
            let secret = key.secret_access_key;
            assert!(text.contains(&key.access_key_id) || text.contains('\\'));
            assert!(import::checked(&key.access_key_id, secret.duplicate()).is_ok());
            assert!(secret.expose().bytes().all(|b| b.is_ascii_graphic()));
            assert!(key.access_key_id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'));
        }
        Err(error) => assert!(!error.what.contains(char::is_control), "{error:?}"),
    }
});
