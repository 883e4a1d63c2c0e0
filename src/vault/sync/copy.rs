//! What this host last synced: the hash of the vault's file and the store's version of it, in a file
//! beside the vault's memory. If it is lost or damaged, nothing is: the copies tell by themselves.

use std::path::PathBuf;
use std::time::Duration;

use sha2::{Digest, Sha256};
use toml::{Table, Value};

use crate::error::os_text;
use crate::file::{self, Existing, LockError, ReplaceError};
use crate::store::{ETag, Location};
use crate::vault::memory::Memory;

/// The most bytes of the file.
const LIMIT: u64 = 8 * 1024;

/// What whoever holds its lock does.
const DOES: &str = "writes what was synced";
/// The longest wait for its lock.
const LOCK_WAIT: Duration = Duration::from_secs(2);

/// A copy as it was synced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Copy {
    pub hash: String,
    pub version: ETag,
}

/// The first half of a file's SHA-256, in hexadecimal.
pub(super) fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

impl Copy {
    /// What was last synced with this store.
    pub fn recall(memory: Option<&Memory>, location: &Location) -> Option<Self> {
        let (bytes, _) = file::read_regular(&place(memory?), LIMIT).ok()?;
        let doc: Table = toml::from_str(std::str::from_utf8(&bytes).ok()?).ok()?;
        let text = |field: &str| {
            let text = doc.get(field)?.as_str()?;
            (!text.is_empty() && !text.contains(char::is_control)).then(|| text.to_owned())
        };
        let is_it = text("store")? == location.to_string();
        Some(Self { hash: text("hash")?, version: ETag(text("version")?) }).filter(|_| is_it)
    }

    /// Puts it in the place of what was synced before.
    ///
    /// # Errors
    /// The reason.
    pub fn remember(&self, memory: &Memory, location: &Location) -> Result<(), String> {
        if Self::recall(Some(memory), location).as_ref() == Some(self) {
            return Ok(());
        }
        let place = place(memory);
        let lock =
            file::lock_with_parents(&place, LOCK_WAIT, DOES).map_err(|error| match error {
                LockError::Busy { .. } => "another process is writing there".to_owned(),
                LockError::Planted(planted) => planted.to_string(),
                LockError::Io(error) => os_text(&error),
            })?;
        let meta = file::read_regular(&place, LIMIT).ok().map(|(_, meta)| meta);
        let existing = meta.as_ref().map_or(Existing::New { mode: 0o600 }, Existing::Keep);
        let text = self.text(location);
        match file::replace(&lock, &place, text.as_bytes(), existing, &mut |_| true) {
            Ok(()) | Err(ReplaceError::NotDurable(_)) => Ok(()),
            Err(ReplaceError::NotSaved(why, _)) => Err(why),
            Err(ReplaceError::UnsafeDirectory) => {
                Err("all users can replace files there".to_owned())
            }
        }
    }

    fn text(&self, location: &Location) -> String {
        let mut doc = Table::new();
        doc.insert("store".into(), Value::String(location.to_string()));
        doc.insert("hash".into(), Value::String(self.hash.clone()));
        doc.insert("version".into(), Value::String(self.version.0.clone()));
        doc.to_string()
    }
}

fn place(memory: &Memory) -> PathBuf {
    memory.file().with_extension("synced")
}
