//! Secrets as a type: no Display, Clone, PartialEq or Serialize, and a Debug that says nothing.

use secrecy::{ExposeSecret, SecretString};

/// A secret text: a secret access key, session token, passphrase, identity file or MFA code.
///
/// Wiped when dropped. It is not `Clone`, so that a copy is always somebody's decision; it is not
/// `PartialEq`, so that nobody compares it in variable time.
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
    fn bytes_that_are_not_text_are_no_secret() {
        assert!(Secret::from_utf8(vec![0xff, 0xfe]).is_none());
        assert_eq!(Secret::from_utf8(b"abc".to_vec()).unwrap().expose(), "abc");
    }
}
