//! The vault's fingerprint.
//!
//! age does not authenticate the sender: anyone who can write the file and knows the public keys can forge a
//! vault. Its fingerprint can be reproduced only by someone who has opened it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

/// SHA-256("vault-pin-v1" ‖ 16-byte id ‖ 32-byte `auth_key`). Not a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pin([u8; 32]);

impl Pin {
    /// The fingerprint of a vault.
    pub fn of(id: &[u8; 16], auth_key: &[u8; 32]) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"vault-pin-v1");
        hash.update(id);
        hash.update(auth_key);
        Self(hash.finalize().into())
    }

    /// Reads a fingerprint as it is printed.
    /// Errors: usage (2) for anything else.
    pub fn parse(text: &str) -> Result<Self> {
        let bad = || {
            Error::usage("not a vault fingerprint")
                .hint("a fingerprint is SHA256: and 43 characters, as `vault pin` prints it")
        };
        let encoded = text.strip_prefix("SHA256:").ok_or_else(bad)?;
        let bytes = BASE64.decode(encoded).map_err(|_| bad())?;
        bytes.try_into().map(Self).map_err(|_| bad())
    }

    /// Reads a comma-separated list, as `AWS_VAULT_PIN` may hold during a change.
    /// Errors: usage (2) if one is not a fingerprint.
    pub fn parse_list(text: &str) -> Result<Vec<Self>> {
        text.split(',').map(|one| Self::parse(one.trim())).collect()
    }
}

/// As ssh prints fingerprints: `SHA256:` and unpadded base64.
impl std::fmt::Display for Pin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SHA256:{}", BASE64.encode(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_its_documented_hash() {
        // printf 'vault-pin-v1' + 16 bytes 0x01 + 32 bytes 0x02 | sha256sum | xxd -r -p | base64
        let pin = Pin::of(&[1; 16], &[2; 32]);
        assert_eq!(Pin::parse(&pin.to_string()).unwrap(), pin);
        let mut bytes = b"vault-pin-v1".to_vec();
        bytes.extend([1; 16]);
        bytes.extend([2; 32]);
        assert_eq!(pin.to_string(), format!("SHA256:{}", BASE64.encode(Sha256::digest(&bytes))));
    }

    #[test]
    fn a_list_of_pins_is_separated_by_commas() {
        let (a, b) = (Pin([1; 32]), Pin([2; 32]));
        assert_eq!(Pin::parse_list(&format!("{a}, {b}")).unwrap(), [a, b]);
        for bad in ["", "SHA256:", "SHA256:AAAA", "x", &format!("{a},")] {
            assert!(Pin::parse_list(bad).is_err(), "{bad}");
        }
    }
}
