//! Identity files, recipients and recipients files. A recipient that is read is written so that it is
//! read again; of a secret nothing shows in an error.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vault::sealed::{parse_identities, parse_recipient, parse_recipients_file};
use vault::secret::Secret;
use vault::vault::Pin;

fuzz_target!(|text: &str| {
    match parse_identities(&Secret::new(text.to_owned()), "fuzz") {
        Ok(identities) => {
            assert!(!identities.is_empty());
            for identity in &identities {
                if let Some(recipient) = identity.recipient() {
                    assert_eq!(parse_recipient(&recipient.to_string()).as_ref(), Ok(&recipient));
                }
            }
        }
        Err(error) => assert!(error.what.starts_with("fuzz"), "{error:?}"),
    }
    let file = parse_recipients_file(text, &mut |_, _| ());
    for recipient in file.into_iter().flatten().chain(parse_recipient(text)) {
        let shown = recipient.to_string();
        assert!(!shown.contains(char::is_control), "{shown:?}");
        assert_eq!(parse_recipient(&shown).as_ref(), Ok(&recipient));
    }
    if let Ok(pins) = Pin::parse_list(text) {
        for pin in pins {
            assert_eq!(Pin::parse(&pin.to_string()), Ok(pin));
        }
    }
});
