//! The name and the encryption of a file of the cache.
//!
//! ```text
//! file = version (1 byte) ‖ nonce (24 random bytes) ‖ XChaCha20-Poly1305 ciphertext with its tag
//! associated data = version, kind, vault id, name; each prefixed by its length (8 bytes, big-endian)
//! name = HMAC-SHA256 of kind and parts, each prefixed by its length; in hexadecimal
//! keys = HKDF-SHA256 of the vault's cache_key without salt; label "vault-cache-names-v1", -contents-, -ledger-
//! ```
//!
//! Without a vault, a key that HKDF-SHA256 derives from the secret of the session takes the place of the
//! vault's cache_key, and the vault id is zeros.

use std::io;

use chacha20poly1305::aead::AeadInPlace;
use chacha20poly1305::{KeyInit, Tag, XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::secret::Secret;

/// The format version that is written, and the only one that is read.
const VERSION: u8 = 1;
const NONCE: usize = 24;
const TAG: usize = 16;

/// The kind of a ledger file; session files have that of [`super::SessionKind`].
pub(super) const LEDGER: &str = "ledger";
/// The kind of a login file.
pub(super) const LOGIN: &str = "login";
/// The kind of a lock without a file: to run a program that returns an MFA code.
pub(super) const PROGRAM: &str = "turn";

/// The keys for the names and contents of one vault's cache.
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
        let labels = ["vault-cache-names-v1", "vault-cache-contents-v1", "vault-cache-ledger-v1"];
        Self::derive(vault_id, cache_key, labels)
    }

    /// The keys for what one vault's hosts share in a store.
    pub(super) fn of_fleet(vault_id: &[u8; 16], cache_key: &[u8; 32]) -> Self {
        let labels = ["vault-fleet-names-v1", "vault-fleet-contents-v1", "vault-fleet-ledger-v1"];
        Self::derive(vault_id, cache_key, labels)
    }

    fn derive(vault_id: &[u8; 16], cache_key: &[u8; 32], labels: [&str; 3]) -> Self {
        let source = Hkdf::new(None, cache_key);
        let [names, contents, ledger] = labels.map(|label| expand(&source, label));
        Self { names, contents, ledger, vault_id: *vault_id }
    }

    /// The file name for these parts: 64 hexadecimal digits.
    pub(super) fn name(&self, kind: &str, parts: impl IntoIterator<Item: AsRef<str>>) -> String {
        // HMAC pads a short key with zeros to its block size. A padded key has the right length.
        let mut block = Zeroizing::new([0; 64]);
        block[..32].copy_from_slice(&*self.names);
        let mut mac = <Hmac<Sha256> as KeyInit>::new((&*block).into());
        let mut add = |part: &str| {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part.as_bytes());
        };
        add(kind);
        parts.into_iter().for_each(|part| add(part.as_ref()));
        mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Encrypts the content of the file with this name.
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
                &self.associated_data(kind, name),
                &mut file[1 + NONCE..],
            )
            .map_err(|_| io::ErrorKind::InvalidInput)?;
        file.extend_from_slice(&tag);
        Ok(file)
    }

    /// Decrypts a file in place; `None` if it is damaged, or a file of another kind or name.
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
            .decrypt_in_place_detached(&nonce, &self.associated_data(kind, name), body, &tag)
            .ok()?;
        file.truncate(end);
        file.drain(..1 + NONCE);
        Some(file)
    }

    fn cipher(&self, kind: &str) -> XChaCha20Poly1305 {
        let key = if kind == LEDGER { &self.ledger } else { &self.contents };
        XChaCha20Poly1305::new((&**key).into())
    }

    fn associated_data(&self, kind: &str, name: &str) -> Vec<u8> {
        let mut associated_data = Vec::with_capacity(160);
        for part in [&[VERSION][..], kind.as_bytes(), &self.vault_id, name.as_bytes()] {
            associated_data.extend_from_slice(&(part.len() as u64).to_be_bytes());
            associated_data.extend_from_slice(part);
        }
        associated_data
    }
}

/// The key that replaces a vault's cache key without a vault: a process that has the secret, a token or a
/// secret access key, can make the session anyway.
pub(super) fn key_of_secret(secret: &Secret) -> Zeroizing<[u8; 32]> {
    expand(&Hkdf::new(None, secret.expose().as_bytes()), "vault-cache-of-secret-v1")
}

fn expand(source: &Hkdf<Sha256>, label: &str) -> Zeroizing<[u8; 32]> {
    let mut key = Zeroizing::new([0; 32]);
    source.expand(label.as_bytes(), &mut *key).expect("32 bytes are within HKDF-SHA256's limit");
    key
}

/// True for a name in the form of [`Keys::name`], and not for a lock or a temporary file.
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
    fn a_file_opens_only_under_its_own_kind_and_name() {
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
    fn names_differ_by_their_parts() {
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
    fn each_secret_has_its_own_key() {
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
