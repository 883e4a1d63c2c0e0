//! What `add --stdin` and `import` read: JSON or CSV. What comes of it are access keys, and an error holds
//! none of the text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vault::import::{self, Content};
use vault::secret::Secret;

fuzz_target!(|text: &str| {
    let secret = Secret::new(text.to_owned());
    for items in [import::csv(&secret, Some("p")), import::json(&secret, Some("p"))] {
        for item in items.unwrap_or_default() {
            assert!(matches!(item.content, Content::Key(_)), "{item:?}");
        }
    }
    match import::access_key(&Secret::new(text.to_owned())) {
        Ok(key) => {
            let secret = key.secret_access_key;
            assert!(text.contains(&key.access_key_id) || text.contains('\\'));
            assert!(import::checked(&key.access_key_id, secret.duplicate()).is_ok());
            assert!(secret.expose().bytes().all(|b| b.is_ascii_graphic()));
            assert!(key.access_key_id.bytes().all(|b| b.is_ascii_graphic()));
        }
        Err(error) => assert!(!error.what.contains(char::is_control), "{error:?}"),
    }
});
