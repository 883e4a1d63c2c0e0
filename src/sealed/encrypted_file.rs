//! Passphrase-protected identity files, as `age -p` writes them: an age file that contains identities.
//!
//! <https://c2sp.org/age#scrypt-recipient-type>. The header has exactly one stanza, so a few lines check
//! it here before age's parser reads it.

use age::DecryptError;

use super::decrypt::decrypt;
use super::stanza::{PAYLOAD_MIN, canonical_base64};
use crate::error::{Error, Reason, Result};
use crate::os::Blocks;
use crate::secret::Secret;

/// The largest work factor, the binary logarithm of scrypt's N: age(1)'s limit. `age -p` writes 18. scrypt
/// needs N KiB of memory.
const WORK_LIMIT: u8 = 22;
/// Base64 characters of 16 and of 32 bytes.
const SALT_COLUMNS: usize = 22;
const COLUMNS: usize = 43;

/// A passphrase-protected identity file. Nothing in it is secret without the passphrase.
pub(super) struct EncryptedFile {
    file: Vec<u8>,
    work: u8,
}

impl EncryptedFile {
    /// Reads an age file that is encrypted with a passphrase. The error is text that follows the file's
    /// name.
    pub(super) fn parse(file: Vec<u8>) -> Result<Self, String> {
        let mut lines = file.splitn(5, |&b| b == b'\n');
        let (version, stanza) = (lines.next(), lines.next().unwrap_or_default());
        if version != Some(b"age-encryption.org/v1") {
            return Err("is an age file of another version, or damaged".to_owned());
        }
        let Some(arguments) = stanza.strip_prefix(b"-> scrypt ") else {
            return Err(
                "is an age file that is not encrypted with a passphrase; an identity file \
                        holds AGE-SECRET-KEY-1…"
                    .to_owned(),
            );
        };
        let is_base64 = |text: &[u8], columns| text.len() == columns && canonical_base64(text);
        let whole = |line: Option<&[u8]>, mark: &[u8]| {
            line.and_then(|line| line.strip_prefix(mark))
                .is_some_and(|text| is_base64(text, COLUMNS))
        };
        let (salt, work) = arguments.split_at_checked(SALT_COLUMNS).unwrap_or_default();
        let work = match work {
            [b' ', digits @ ..] if digits.len() <= 2 && !digits.starts_with(b"0") => {
                std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok())
            }
            _ => None,
        };
        let sound = is_base64(salt, SALT_COLUMNS)
            && whole(lines.next(), b"")
            && whole(lines.next(), b"--- ");
        let (true, Some(work), Some(PAYLOAD_MIN..)) = (sound, work, lines.next().map(<[u8]>::len))
        else {
            return Err("is an age file that is damaged".to_owned());
        };
        if work > WORK_LIMIT {
            return Err(format!(
                "has a work factor of {work} for its passphrase; age allows {WORK_LIMIT} at most"
            ));
        }
        Ok(Self { file, work })
    }

    /// Decrypts the file; `None` if the passphrase is wrong.
    /// Errors: class 4, naming `label`, if the file is damaged; class 1 if there is not enough memory.
    pub(super) fn open(&self, passphrase: &Secret, label: &str) -> Result<Option<Secret>> {
        // age aborts the process if an allocation fails.
        let kib = 1usize << self.work;
        if Blocks::new(kib).is_none() {
            return Err(Error::other(format!(
                "not enough memory for the passphrase of {label}: it takes {kib} KiB"
            )));
        }
        let mut identity =
            age::scrypt::Identity::new(age::secrecy::SecretString::from(passphrase.expose()));
        identity.set_max_work_factor(WORK_LIMIT);
        let damaged = || {
            Error::locked(format!("{label} is an age file that is damaged"))
                .because(Reason::BadSource)
        };
        match decrypt(&self.file, &identity) {
            Ok(plain) => Secret::from_text(&plain).map(Some).ok_or_else(damaged),
            Err(DecryptError::DecryptionFailed) => Ok(None),
            Err(_) => Err(damaged()),
        }
    }
}
