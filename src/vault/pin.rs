//! The vault's fingerprint, and what this machine remembers of it.
//!
//! age authenticates no sender: whoever can write the file and knows the public keys can forge a
//! vault. Only someone who once opened it can reproduce its fingerprint.

use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use sha2::{Digest, Sha256};
use toml::{Table, Value};

use crate::error::{Error, Result, os_text};
use crate::file::{self, Existing, LockError, ReplaceError};

/// A memory is a few lines; bytes.
const LIMIT: u64 = 4096;

/// Writing it takes a blink of an eye, and a vault is not kept waiting for its memory.
const LOCK_WAIT: Duration = Duration::from_secs(2);

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
    ///
    /// # Errors
    /// [`crate::error::Class::Usage`] for anything else.
    pub fn parse(text: &str) -> Result<Self> {
        let bad = || {
            Error::usage("not a vault fingerprint")
                .hint("a fingerprint is SHA256: and 43 characters, as `vault pin` prints it")
        };
        let encoded = text.strip_prefix("SHA256:").ok_or_else(bad)?;
        let bytes = BASE64.decode(encoded).map_err(|_| bad())?;
        bytes.try_into().map(Self).map_err(|_| bad())
    }

    /// Reads several, separated by commas, as `AWS_VAULT_PIN` holds them for the time of a change.
    ///
    /// # Errors
    /// [`crate::error::Class::Usage`] if one is no fingerprint.
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

/// What a machine remembers of one vault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// The fingerprint that it had.
    pub pin: Pin,
    /// The highest generation that was seen.
    pub generation: u64,
    /// The fingerprint that a writer of this machine was about to give it.
    pub next: Option<Pin>,
}

impl Known {
    /// True if a writer of this machine has given the vault this fingerprint, or was about to.
    pub fn is(&self, pin: Pin) -> bool {
        self.pin == pin || self.next == Some(pin)
    }
}

/// The memory of one vault: a file of its own in the state directory, named by a hash of the vault's
/// resolved path.
#[derive(Debug)]
pub struct Memory {
    file: PathBuf,
    vault: PathBuf,
}

impl Memory {
    /// The memory of the vault at this resolved path.
    pub fn of(state_dir: &Path, vault: &Path) -> Self {
        use std::os::unix::ffi::OsStrExt;
        let hash = Sha256::digest(vault.as_os_str().as_bytes());
        let name: String = hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        Self { file: state_dir.join("pins").join(format!("{name}.toml")), vault: vault.into() }
    }

    /// What is remembered, if anything.
    ///
    /// # Errors
    /// [`crate::error::Class::Refused`] if something is there that is no memory: to take it for
    /// "nothing" would let whoever can damage it replace the vault unseen.
    pub fn recall(&self) -> Result<Option<Known>> {
        let refused =
            || Error::refused(format!("the remembered pin in {} is damaged", self.file.display()));
        let bytes = match file::read_regular(&self.file, LIMIT) {
            Ok((bytes, _)) => bytes,
            Err(file::ReadError::NotFound) => return Ok(None),
            // A place that cannot even be looked into (another user's home in a container) holds
            // nothing that was ours, and is no reason to stop.
            Err(file::ReadError::Io(_)) if !self.can_be_looked_at() => return Ok(None),
            Err(file::ReadError::Io(error)) => {
                return Err(Error::other(format!(
                    "cannot read the remembered pin in {}: {}",
                    self.file.display(),
                    os_text(&error)
                )));
            }
            Err(_) => return Err(refused()),
        };
        let read = || {
            let doc: Table = toml::from_str(std::str::from_utf8(&bytes).ok()?).ok()?;
            let generation = u64::try_from(doc.get("generation")?.as_integer()?).ok()?;
            let pin = |value: &Value| Pin::parse(value.as_str()?).ok();
            let next = match doc.get("next") {
                Some(value) => Some(pin(value)?),
                None => None,
            };
            Some(Known { pin: pin(doc.get("pin")?)?, generation, next })
        };
        read().map(Some).ok_or_else(refused)
    }

    fn can_be_looked_at(&self) -> bool {
        use std::io::ErrorKind::{NotADirectory, PermissionDenied};
        match self.file.symlink_metadata() {
            Ok(_) => true,
            Err(error) => !matches!(error.kind(), NotADirectory | PermissionDenied),
        }
    }

    /// Remembers, in place of whatever is remembered. Synced: a memory that a power cut tore would keep
    /// the vault shut.
    ///
    /// # Errors
    /// Why not: the caller goes on without a memory, and says so.
    pub fn remember(&self, known: Known) -> Result<(), String> {
        file::make_parents(&self.file).map_err(|error| os_text(&error))?;
        let _lock = self.lock()?;
        self.replace(known)
    }

    /// The same, where still `before` is remembered: somebody may have written the vault, and remembered
    /// it, since that was read.
    ///
    /// # Errors
    /// As [`Memory::remember`].
    pub fn remember_after(&self, before: Option<Known>, known: Known) -> Result<(), String> {
        file::make_parents(&self.file).map_err(|error| os_text(&error))?;
        let _lock = self.lock()?;
        match self.recall() {
            Ok(now) if now != before => Ok(()),
            _ => self.replace(known),
        }
    }

    /// Remembers that the vault is about to get another fingerprint. A writer that died between the
    /// vault's rename and the memory's would else have shut this machine out.
    ///
    /// # Errors
    /// Why not. Nothing needs to be done where nothing is remembered.
    pub fn announce(&self, next: Pin) -> Result<(), String> {
        if matches!(self.recall(), Ok(None)) {
            return Ok(());
        }
        let _lock = self.lock()?;
        match self.recall() {
            Ok(Some(known)) => self.replace(Known { next: Some(next), ..known }),
            Ok(None) => Ok(()),
            Err(error) => Err(error.what),
        }
    }

    fn lock(&self) -> Result<file::Lock, String> {
        file::lock(&self.file, LOCK_WAIT).map_err(|error| match error {
            LockError::Busy { .. } => "another process is writing there".to_owned(),
            LockError::Io(error) => os_text(&error),
        })
    }

    /// Replaces the file, under its lock.
    fn replace(&self, known: Known) -> Result<(), String> {
        let mut doc = Table::new();
        doc.insert("vault".into(), Value::String(self.vault.display().to_string()));
        doc.insert("pin".into(), Value::String(known.pin.to_string()));
        let generation = i64::try_from(known.generation).unwrap_or(i64::MAX);
        doc.insert("generation".into(), Value::Integer(generation));
        if let Some(next) = known.next {
            doc.insert("next".into(), Value::String(next.to_string()));
        }
        let meta = match file::read_regular(&self.file, LIMIT) {
            Ok((_, meta)) => Some(meta),
            Err(file::ReadError::NotFound) => None,
            Err(file::ReadError::Io(error)) => return Err(os_text(&error)),
            Err(_) => return Err("what is there is no memory".to_owned()),
        };
        let existing = meta.as_ref().map_or(Existing::New { mode: 0o600 }, Existing::Keep);
        match file::replace(&self.file, doc.to_string().as_bytes(), existing, &mut |_| true) {
            Ok(()) | Err(ReplaceError::NotDurable(_)) => Ok(()),
            Err(ReplaceError::NotSaved(why, _)) => Err(why),
            Err(ReplaceError::UnsafeDirectory) => Err("everybody can write there".to_owned()),
        }
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
    fn several_pins_stand_between_commas() {
        let (a, b) = (Pin([1; 32]), Pin([2; 32]));
        assert_eq!(Pin::parse_list(&format!("{a}, {b}")).unwrap(), [a, b]);
        for bad in ["", "SHA256:", "SHA256:AAAA", "x", &format!("{a},")] {
            assert!(Pin::parse_list(bad).is_err(), "{bad}");
        }
    }
}
