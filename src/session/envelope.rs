//! A file of the cache: its name and its encryption.
//!
//! ```text
//! file = version (1 byte) ‖ nonce (24 random bytes) ‖ XChaCha20-Poly1305 ciphertext with its tag
//! associated data = version, kind, vault id, name; each with its length before it (8 bytes, big-endian)
//! name = HMAC-SHA256 of kind and parts, each with its length before it; in hexadecimal
//! keys = HKDF-SHA256 of the vault's cache_key without salt, one label each
//! ```
//!
//! Without a vault, the secret that a session is made from takes the place of the vault's cache_key, by
//! an HKDF-SHA256 of its own, and the vault id is zeros.

use std::io;

use chacha20poly1305::aead::AeadInPlace;
use chacha20poly1305::{KeyInit, Tag, XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::secret::Secret;

/// The format that is written, and the only one that is read.
const VERSION: u8 = 1;
const NONCE: usize = 24;
const TAG: usize = 16;

/// The kind of a ledger's file; sessions have [`super::SessionKind`]'s.
pub(super) const LEDGER: &str = "ledger";
/// The kind of a login's file.
pub(super) const LOGIN: &str = "login";
/// The kind of a lock without a file: whose turn it is to run a program that gives a code.
pub(super) const TURN: &str = "turn";

/// What one vault's cache is encrypted and named with.
pub(super) struct Keys {
    names: Zeroizing<[u8; 32]>,
    contents: Zeroizing<[u8; 32]>,
    ledger: Zeroizing<[u8; 32]>,
    vault_id: [u8; 16],
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys(…)")
    }
}

impl Keys {
    pub(super) fn new(vault_id: &[u8; 16], cache_key: &[u8; 32]) -> Self {
        let source = Hkdf::<Sha256>::new(None, cache_key);
        let derive = |label: &str| {
            let mut key = Zeroizing::new([0; 32]);
            source
                .expand(label.as_bytes(), &mut *key)
                .expect("32 bytes are within HKDF-SHA256's limit");
            key
        };
        Self {
            names: derive("vault-cache-names-v1"),
            contents: derive("vault-cache-contents-v1"),
            ledger: derive("vault-cache-ledger-v1"),
            vault_id: *vault_id,
        }
    }

    /// The name of the file for what these parts describe: 64 hexadecimal digits.
    pub(super) fn name<'a>(
        &self,
        kind: &'a str,
        parts: impl IntoIterator<Item = &'a str>,
    ) -> String {
        // HMAC pads a shorter key to the block with zeros; padded by us, no length can be wrong.
        let mut block = Zeroizing::new([0; 64]);
        block[..32].copy_from_slice(&*self.names);
        let mut mac = <Hmac<Sha256> as KeyInit>::new((&*block).into());
        for part in std::iter::once(kind).chain(parts) {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part.as_bytes());
        }
        mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Encrypts what goes into the file of this name.
    ///
    /// # Errors
    /// No random numbers.
    pub(super) fn seal(&self, kind: &str, name: &str, plain: &[u8]) -> io::Result<Vec<u8>> {
        let mut nonce = [0; NONCE];
        getrandom::getrandom(&mut nonce)?;
        let mut file = Vec::with_capacity(1 + NONCE + plain.len() + TAG);
        file.push(VERSION);
        file.extend_from_slice(&nonce);
        file.extend_from_slice(plain);
        let tag = self
            .cipher(kind)
            .encrypt_in_place_detached(
                XNonce::from_slice(&nonce),
                &self.about(kind, name),
                &mut file[1 + NONCE..],
            )
            .map_err(|_| io::ErrorKind::InvalidInput)?;
        file.extend_from_slice(&tag);
        Ok(file)
    }

    /// Decrypts a file in its own buffer; none if it is damaged, or not what it is taken for.
    pub(super) fn open(
        &self,
        kind: &str,
        name: &str,
        mut file: Zeroizing<Vec<u8>>,
    ) -> Option<Zeroizing<Vec<u8>>> {
        let end = file.len().checked_sub(TAG)?;
        let tag = *Tag::from_slice(file.get(end..)?);
        let nonce = *XNonce::from_slice(file.get(1..1 + NONCE)?);
        if file.first() != Some(&VERSION) {
            return None;
        }
        let body = file.get_mut(1 + NONCE..end)?;
        self.cipher(kind)
            .decrypt_in_place_detached(&nonce, &self.about(kind, name), body, &tag)
            .ok()?;
        file.truncate(end);
        file.drain(..1 + NONCE);
        Some(file)
    }

    fn cipher(&self, kind: &str) -> XChaCha20Poly1305 {
        let key = if kind == LEDGER { &self.ledger } else { &self.contents };
        XChaCha20Poly1305::new((&**key).into())
    }

    fn about(&self, kind: &str, name: &str) -> Vec<u8> {
        let mut about = Vec::with_capacity(160);
        for part in [&[VERSION][..], kind.as_bytes(), &self.vault_id, name.as_bytes()] {
            about.extend_from_slice(&(part.len() as u64).to_be_bytes());
            about.extend_from_slice(part);
        }
        about
    }
}

/// What stands in for a vault's cache key where there is no vault: whoever holds the secret, a token or
/// a secret access key, can have the session made anyway.
pub(super) fn key_of_secret(secret: &Secret) -> Zeroizing<[u8; 32]> {
    let mut key = Zeroizing::new([0; 32]);
    Hkdf::<Sha256>::new(None, secret.expose().as_bytes())
        .expand(b"vault-cache-of-secret-v1", &mut *key)
        .expect("32 bytes are within HKDF-SHA256's limit");
    key
}

/// True for a name that [`Keys::name`] may have given: no lock and no temporary file.
pub(super) fn is_name(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> Keys {
        Keys::new(&[1; 16], &[2; 32])
    }

    fn open(keys: &Keys, kind: &str, name: &str, file: &[u8]) -> Option<Vec<u8>> {
        keys.open(kind, name, Zeroizing::new(file.to_vec())).map(|plain| plain.to_vec())
    }

    #[test]
    fn a_file_opens_only_as_what_it_is() {
        let keys = keys();
        let name = keys.name("role", ["a"]);
        let file = keys.seal("role", &name, b"content").unwrap();
        assert_eq!(open(&keys, "role", &name, &file).unwrap(), b"content");
        assert_ne!(keys.seal("role", &name, b"content").unwrap(), file, "a nonce of its own");
        for kind in ["session", LEDGER] {
            assert!(open(&keys, kind, &name, &file).is_none(), "{kind}");
        }
        assert!(open(&keys, "role", &keys.name("role", ["b"]), &file).is_none());
        for other in [Keys::new(&[9; 16], &[2; 32]), Keys::new(&[1; 16], &[9; 32])] {
            assert!(open(&other, "role", &name, &file).is_none());
        }
    }

    #[test]
    fn every_changed_bit_and_every_cut_is_noticed() {
        let keys = keys();
        let name = keys.name("role", ["a"]);
        let file = keys.seal("role", &name, b"content").unwrap();
        for bit in 0..file.len() * 8 {
            let mut bad = file.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(open(&keys, "role", &name, &bad).is_none(), "bit {bit}");
        }
        for length in 0..file.len() {
            assert!(open(&keys, "role", &name, &file[..length]).is_none(), "{length} bytes");
        }
    }

    #[test]
    fn names_tell_the_parts_apart_and_nothing_else() {
        let keys = keys();
        let names = [
            keys.name("role", ["ab", "c"]),
            keys.name("role", ["a", "bc"]),
            keys.name("role", ["ab", "c", ""]),
            keys.name("session", ["ab", "c"]),
            Keys::new(&[1; 16], &[3; 32]).name("role", ["ab", "c"]),
        ];
        let different: std::collections::BTreeSet<_> = names.iter().collect();
        assert_eq!(different.len(), names.len());
        assert!(names.iter().all(|name| is_name(name)));
        assert!(!is_name(&format!("{}.lock", names[0])));
    }

    #[test]
    fn a_secret_s_key_is_its_own() {
        let key = |secret: &str| *key_of_secret(&Secret::new(secret.to_owned()));
        assert_eq!(key("a token"), key("a token"));
        assert_ne!(key("a token"), key("a tokem"));
        // Not a key that is made of the same bytes as a vault's would be.
        let (text, bytes) = ("k".repeat(32), [b'k'; 32]);
        let name = |key: &[u8; 32]| Keys::new(&[0; 16], key).name("role", ["a"]);
        assert_ne!(name(&key(&text)), name(&bytes));
    }

    #[test]
    fn keys_and_names_are_those_of_the_format() {
        // By hand, with HMAC alone: HKDF is extract (a zero salt) and one block of expand.
        let extract = |key: &[u8], data: &[u8]| {
            let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(key).unwrap();
            mac.update(data);
            mac.finalize().into_bytes().to_vec()
        };
        let source = extract(&[0; 32], &[2; 32]);
        let names = extract(&source, b"vault-cache-names-v1\x01");
        let parts = b"\0\0\0\0\0\0\0\x04role\0\0\0\0\0\0\0\x01a";
        let hex: String = extract(&names, parts).iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(keys().name("role", ["a"]), hex);
    }
}
