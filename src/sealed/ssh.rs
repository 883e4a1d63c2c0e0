//! ssh keys, checked before age parses them.
//!
//! age 0.12 panics on an integer whose bytes are all zero (`while non_zero_bytes[0] == 0`), and a vault's
//! recipients and a host's key files are not always written by ssh-keygen. So the integers of RSA keys
//! are checked first: they must be canonical and positive. RFC 4251, section 5, defines the types,
//! OpenSSH's PROTOCOL.key the private key file. The panic is still in age's repository (str4d/rage, b5b68c4 of
//! 2026-07-14); no report of it was found there.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use sha2::{Digest, Sha256};

use super::identity_text::pem_body;
use super::unsupported::Unsupported;
use crate::error::{Error, Result};
use crate::secret::Secret;

/// The error for a key of another type.
pub(super) const UNSUPPORTED_TYPE: &str = "of ssh keys, age supports only ssh-ed25519 and ssh-rsa";

const RSA: &[u8] = b"ssh-rsa";
const OPENSSH_BEGIN: &str = "-----BEGIN OPENSSH PRIVATE KEY-----\n";
const OPENSSH_END: &str = "-----END OPENSSH PRIVATE KEY-----\n";
/// The most bcrypt rounds for a passphrase: half a minute. ssh-keygen writes 24 or fewer.
const ROUNDS_LIMIT: u32 = 2048;
const PKCS1_BEGIN: &str = "-----BEGIN RSA PRIVATE KEY-----\n";

/// Reads a public key line, `TYPE BASE64 [COMMENT]`. Errors: class 2.
pub(super) fn parse_public(text: &str) -> Result<age::ssh::Recipient> {
    let damaged = || Error::usage("not an ssh public key, or mistyped");
    let mut words = text.split_ascii_whitespace();
    let (kind, base64) = words.next().zip(words.next()).ok_or_else(damaged)?;
    let blob = STANDARD.decode(base64).map_err(|_| damaged())?;
    if !is_valid_public(&blob) {
        return Err(damaged());
    }
    let line = format!("{kind} {base64}");
    use age::ssh::ParseRecipientKeyError as Parse;
    let key: age::ssh::Recipient = line.parse().map_err(|error| match error {
        Parse::RsaModulusTooLarge => Error::usage("the ssh-rsa key has more than 4096 bits"),
        Parse::RsaModulusTooSmall => Error::usage("the ssh-rsa key has less than 2048 bits"),
        Parse::Unsupported(_) => Error::usage(UNSUPPORTED_TYPE),
        _ => damaged(),
    })?;
    // age ignores what follows the key, so its form of the key must equal the input.
    if key.to_string() == line { Ok(key) } else { Err(damaged()) }
}

/// True for a valid public key line that [`parse_public`] refuses for its type, or for the size of an RSA
/// key.
pub(super) fn is_of_another_kind(text: &str) -> bool {
    let mut words = text.split_ascii_whitespace();
    let (Some(kind), Some(base64)) = (words.next(), words.next()) else { return false };
    let Ok(blob) = STANDARD.decode(base64) else { return false };
    let mut wire = Wire(&blob);
    if wire.string() != Some(kind.as_bytes()) || wire.0.is_empty() || parse_public(text).is_ok() {
        return false;
    }
    match kind {
        "ssh-ed25519" => false,
        "ssh-rsa" => wire.positive(2) && wire.0.is_empty(),
        // A certificate has fields that are not strings.
        _ if kind.contains("-cert-") => true,
        _ => {
            while wire.string().is_some() {}
            wire.0.is_empty()
        }
    }
}

/// A private key.
pub(super) enum Private {
    Open(Box<age::ssh::Identity>),
    /// Protected by a passphrase.
    Encrypted(Box<Encrypted>),
    Unsupported(Unsupported),
}

/// Reads a private key in PEM whose lines end with LF.
pub(super) fn parse_private(pem: &str) -> Option<Private> {
    let mut blob = None;
    if let Some(inner) = pem.strip_prefix(OPENSSH_BEGIN) {
        blob = Some(pem_body(inner.strip_suffix(OPENSSH_END)?)?);
    } else if !pem.starts_with(PKCS1_BEGIN) {
        return None;
    }
    let file = match &blob {
        Some(blob) => Some(PrivateFile::parse(blob).filter(PrivateFile::is_valid)?),
        None => None,
    };
    use age::ssh::{Identity, UnsupportedKey};
    let key = Identity::from_buffer(pem.as_bytes(), None).ok()?;
    Some(match key {
        Identity::Unencrypted(_) => Private::Open(Box::new(key)),
        Identity::Encrypted(key) => Encrypted::of(key, &file?)?,
        Identity::Unsupported(UnsupportedKey::EncryptedSsh(_)) => {
            Private::Unsupported(Unsupported::Cipher)
        }
        Identity::Unsupported(_) => Private::Unsupported(Unsupported::SshKind),
    })
}

/// A passphrase-protected private key. Its public key is not encrypted.
pub(super) struct Encrypted {
    key: age::ssh::EncryptedKey,
    recipient: age::ssh::Recipient,
    stanza: String,
}

impl Encrypted {
    fn of(key: age::ssh::EncryptedKey, file: &PrivateFile) -> Option<Private> {
        let public = file.public;
        let kind = std::str::from_utf8(Wire(public).string()?).ok()?;
        if !matches!(kind, "ssh-ed25519" | "ssh-rsa") {
            return Some(Private::Unsupported(Unsupported::SshKind));
        }
        if file.rounds()? > ROUNDS_LIMIT {
            return Some(Private::Unsupported(Unsupported::Rounds));
        }
        let line = format!("{kind} {}", STANDARD.encode(public));
        if is_of_another_kind(&line) {
            return Some(Private::Unsupported(Unsupported::Size));
        }
        let recipient = parse_public(&line).ok()?;
        let tag = STANDARD_NO_PAD.encode(Sha256::digest(public).get(..4)?);
        let stanza = format!("{kind} {tag}");
        Some(Private::Encrypted(Box::new(Self { key, recipient, stanza })))
    }

    /// Its recipient.
    pub(super) fn recipient(&self) -> age::ssh::Recipient {
        self.recipient.clone()
    }

    /// Type and tag of the stanza that it opens.
    pub(super) fn stanza(&self) -> &str {
        &self.stanza
    }

    /// The decrypted key; `None` if the passphrase is wrong.
    pub(super) fn unlock(&self, passphrase: &Secret) -> Option<age::ssh::Identity> {
        let passphrase = age::secrecy::SecretString::from(passphrase.expose());
        self.key.decrypt(passphrase).ok().map(age::ssh::Identity::from)
    }
}

/// The fields of an OpenSSH private key file that are used.
struct PrivateFile<'a> {
    cipher: &'a [u8],
    kdf_options: &'a [u8],
    public: &'a [u8],
    /// Encrypted, unless the cipher is `none`.
    private: &'a [u8],
}

impl<'a> PrivateFile<'a> {
    fn parse(blob: &'a [u8]) -> Option<Self> {
        let mut wire = Wire(blob.strip_prefix(b"openssh-key-v1\0")?);
        let (cipher, _kdf, kdf_options) = (wire.string()?, wire.string()?, wire.string()?);
        let _keys = wire.take(4)?;
        Some(Self { cipher, kdf_options, public: wire.string()?, private: wire.string()? })
    }

    /// Checks the public key, and the six integers of an RSA key that is not encrypted.
    fn is_valid(&self) -> bool {
        let private_is_valid = || {
            let mut private = Wire(self.private);
            let _check = private.take(8)?;
            Some(private.string()? != RSA || private.positive(6))
        };
        is_valid_public(self.public) && (self.cipher != b"none" || private_is_valid() == Some(true))
    }

    /// The number of bcrypt rounds of an encrypted key.
    fn rounds(&self) -> Option<u32> {
        let mut options = Wire(self.kdf_options);
        let _salt = options.string()?;
        Some(u32::from_be_bytes(options.take(4)?.try_into().ok()?))
    }
}

/// A reader of the ssh wire format.
struct Wire<'a>(&'a [u8]);

impl<'a> Wire<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn string(&mut self) -> Option<&'a [u8]> {
        let length = u32::from_be_bytes(self.take(4)?.try_into().ok()?);
        self.take(usize::try_from(length).ok()?)
    }

    /// True if the next `count` fields are positive integers in canonical form.
    fn positive(&mut self, count: usize) -> bool {
        (0..count).all(|_| match self.string() {
            Some([0, second, ..]) => *second >= 0x80,
            Some([first, ..]) => *first != 0 && *first < 0x80,
            _ => false,
        })
    }
}

/// Checks a public key blob: its type, and for RSA the exponent and the modulus.
fn is_valid_public(blob: &[u8]) -> bool {
    let mut wire = Wire(blob);
    match wire.string() {
        Some(RSA) => wire.positive(2),
        Some(_) => true,
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(fields: &[&[u8]]) -> Vec<u8> {
        let mut blob = Vec::new();
        for field in fields {
            blob.extend_from_slice(&u32::try_from(field.len()).unwrap().to_be_bytes());
            blob.extend_from_slice(field);
        }
        blob
    }

    #[test]
    fn an_rsa_key_whose_integers_are_zero_is_refused_and_nothing_panics() {
        for integer in [&[][..], &[0], &[0, 0], &[0, 1], &[0x80]] {
            for fields in [[RSA, integer, &[1, 0, 1]], [RSA, &[1, 0, 1], integer]] {
                let line = format!("ssh-rsa {}", STANDARD.encode(wire(&fields)));
                assert!(parse_public(&line).is_err());
            }
            let mut private = vec![1, 1, 1, 1, 1, 1, 1, 1];
            private.extend(wire(&[RSA, &[3], &[3], integer, &[3], &[3], &[3], b"comment"]));
            let public = wire(&[RSA, &[3], &[3]]);
            let mut blob = b"openssh-key-v1\0".to_vec();
            blob.extend(wire(&[b"none", b"none", b""]));
            blob.extend([0, 0, 0, 1]);
            blob.extend(wire(&[&public, &private]));
            let pem = format!("{OPENSSH_BEGIN}{}\n{OPENSSH_END}", STANDARD.encode(blob));
            assert!(parse_private(&pem).is_none());
        }
    }

    #[test]
    fn an_encrypted_rsa_key_of_another_size_is_not_supported() {
        let with = |bytes: usize| {
            let modulus = [&[0][..], &vec![0xd5; bytes]].concat();
            let public = wire(&[RSA, &[1, 0, 1], &modulus]);
            let options = [&wire(&[&[7; 16]])[..], &[0, 0, 0, 1]].concat();
            let mut blob = b"openssh-key-v1\0".to_vec();
            blob.extend(wire(&[b"aes256-ctr", b"bcrypt", &options]));
            blob.extend([0, 0, 0, 1]);
            blob.extend(wire(&[&public, &[0; 64]]));
            parse_private(&format!("{OPENSSH_BEGIN}{}\n{OPENSSH_END}", STANDARD.encode(blob)))
        };
        for bytes in [256, 384, 512] {
            assert!(matches!(with(bytes), Some(Private::Encrypted(_))), "{bytes}");
        }
        for bytes in [1, 128, 513, 1024] {
            assert!(
                matches!(with(bytes), Some(Private::Unsupported(Unsupported::Size))),
                "{bytes}"
            );
        }
        assert!(with(0).is_none());
    }

    #[test]
    fn an_encrypted_key_with_too_many_rounds_is_not_supported() {
        let pem = include_str!("../../fixtures/ssh/test_ed25519_encrypted");
        let inner = pem.strip_prefix(OPENSSH_BEGIN).unwrap().strip_suffix(OPENSSH_END).unwrap();
        let blob = pem_body(inner).unwrap();
        // After the salt of 16 bytes.
        let options = [0, 0, 0, 24, 0, 0, 0, 16];
        let at = blob.windows(8).position(|window| window == options).unwrap() + 8 + 16;
        let with = |rounds: u32| {
            let mut blob = blob.clone();
            blob[at..at + 4].copy_from_slice(&rounds.to_be_bytes());
            let pem = format!("{OPENSSH_BEGIN}{}\n{OPENSSH_END}", STANDARD.encode(&*blob));
            parse_private(&pem)
        };
        assert!(matches!(with(ROUNDS_LIMIT), Some(Private::Encrypted(_))));
        for rounds in [ROUNDS_LIMIT + 1, u32::MAX] {
            assert!(matches!(with(rounds), Some(Private::Unsupported(Unsupported::Rounds))));
        }
        assert!(with(0).is_none());
    }

    #[test]
    fn no_cut_or_flipped_key_panics() {
        for pem in [
            include_str!("../../fixtures/ssh/test_ed25519"),
            include_str!("../../fixtures/ssh/test_rsa"),
            include_str!("../../fixtures/ssh/test_ed25519_encrypted"),
        ] {
            assert!(matches!(parse_private(pem), Some(Private::Open(_) | Private::Encrypted(_))));
            let inner = pem.strip_prefix(OPENSSH_BEGIN).unwrap().strip_suffix(OPENSSH_END).unwrap();
            let blob = pem_body(inner).unwrap();
            // The structure is in the first bytes; the rest is key material.
            for at in 0..blob.len().min(120) {
                for changed in [blob[at] ^ 1, blob[at] ^ 0x80, 0] {
                    let mut blob = blob.clone();
                    blob[at] = changed;
                    let pem = format!("{OPENSSH_BEGIN}{}\n{OPENSSH_END}", STANDARD.encode(&*blob));
                    let _ = parse_private(&pem);
                }
                let cut = STANDARD.encode(&blob[..at]);
                assert!(parse_private(&format!("{OPENSSH_BEGIN}{cut}\n{OPENSSH_END}")).is_none());
            }
        }
    }
}
