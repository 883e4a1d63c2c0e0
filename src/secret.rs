//! Secrets as a type: no Display, Clone, PartialEq or Serialize, and a Debug that shows nothing.

use secrecy::{ExposeSecret, SecretString};

/// A secret text: a secret access key, session token, passphrase, identity file or MFA code.
///
/// Wiped when dropped. It is not `Clone`, so that each copy is explicit; it is not `PartialEq`, so that
/// no code compares it in variable time.
pub struct Secret(SecretString);

impl Secret {
    /// Takes the text over; its buffer becomes the secret's own (and is shrunk, which may move it:
    /// the freed one is wiped by the allocator).
    pub fn new(text: String) -> Self {
        Self(SecretString::from(text))
    }

    /// Takes bytes that must be UTF-8 over, and wipes them where they are not.
    pub fn from_utf8(bytes: Vec<u8>) -> Option<Self> {
        match String::from_utf8(bytes) {
            Ok(text) => Some(Self::new(text)),
            Err(error) => {
                zeroize::Zeroize::zeroize(&mut error.into_bytes());
                None
            }
        }
    }

    /// The text of a file that some program wrote: UTF-8, or UTF-16 (Windows PowerShell's `>`), which is
    /// recognized by its byte order mark or by a first character of ASCII.
    pub fn from_text(bytes: &[u8]) -> Option<Self> {
        let (order, bytes): (fn([u8; 2]) -> u16, _) = match bytes {
            [0xff, 0xfe, rest @ ..] => (u16::from_le_bytes, rest),
            [0xfe, 0xff, rest @ ..] => (u16::from_be_bytes, rest),
            [1..=0x7f, 0, ..] => (u16::from_le_bytes, bytes),
            [0, 1..=0x7f, ..] => (u16::from_be_bytes, bytes),
            _ => return Self::from_utf8(bytes.to_vec()),
        };
        let (units, []) = bytes.as_chunks() else { return None };
        let mut text = String::with_capacity(bytes.len() * 3 / 2);
        for c in char::decode_utf16(units.iter().copied().map(order)) {
            text.push(c.ok()?);
        }
        Some(Self::new(text))
    }

    /// The text itself, for the one place that needs it.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// A second copy, said aloud.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self::new(self.expose().to_owned())
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.expose().len()
    }

    /// True if there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.expose().is_empty()
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::Secret;

    #[test]
    fn debug_says_nothing() {
        let secret = Secret::new("wJalrXUtnFEMI".to_owned());
        assert_eq!(format!("{secret:?}"), "Secret(…)");
    }

    #[test]
    fn a_text_in_utf_16_is_the_same_text() {
        let of = |bytes: &[u8]| Secret::from_text(bytes).map(|text| text.expose().to_owned());
        let units: Vec<u16> = "\u{feff}Schl\u{fc}ssel \u{1f511}\n".encode_utf16().collect();
        let le: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
        let be: Vec<u8> = units.iter().flat_map(|unit| unit.to_be_bytes()).collect();
        for bytes in [&le[..], &be, &le[2..], &be[2..], "Schl\u{fc}ssel \u{1f511}\n".as_bytes()] {
            assert_eq!(of(bytes).as_deref(), Some("Schl\u{fc}ssel \u{1f511}\n"), "{bytes:?}");
        }
        for bytes in [&le[..le.len() - 1], &[0xff, 0xfe, 0x00, 0xd8], &[0xc3], &[b'a', 0, 0]] {
            assert_eq!(of(bytes), None, "{bytes:?}");
        }
        assert_eq!(of(b""), Some(String::new()));
    }

    #[test]
    fn bytes_that_are_not_text_are_no_secret() {
        assert!(Secret::from_utf8(vec![0xff, 0xfe]).is_none());
        assert_eq!(Secret::from_utf8(b"abc".to_vec()).unwrap().expose(), "abc");
    }
}
