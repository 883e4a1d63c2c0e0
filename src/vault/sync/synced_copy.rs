//! What this host last synced: the hash of the vault's file and the store's version of it, in a file
//! beside the vault's memory. If it is lost or damaged, nothing is: the copies tell by themselves.

use std::path::PathBuf;

use toml::{Table, Value};

use crate::file;
use crate::store::{ETag, Location};
use crate::vault::memory::Memory;
use crate::vault::state_file;

/// The most bytes of the file.
const LIMIT: u64 = 8 * 1024;

/// A copy as it was synced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SyncedCopy {
    pub hash: String,
    pub version: ETag,
}

impl SyncedCopy {
    /// What was last synced with this store.
    pub fn recall(memory: Option<&Memory>, location: &Location) -> Option<Self> {
        let (bytes, _) = file::read_regular(&copy_path(memory?), LIMIT).ok()?;
        let doc: Table = toml::from_str(std::str::from_utf8(&bytes).ok()?).ok()?;
        let text = |field: &str| {
            let text = doc.get(field)?.as_str()?;
            (!text.is_empty() && !text.contains(char::is_control)).then(|| text.to_owned())
        };
        let is_it = text("store")? == location.to_string();
        Some(Self { hash: text("hash")?, version: ETag(text("version")?) }).filter(|_| is_it)
    }

    /// Puts it in the place of what was synced before.
    pub fn remember(&self, memory: &Memory, location: &Location) -> Result<(), String> {
        if Self::recall(Some(memory), location).as_ref() == Some(self) {
            return Ok(());
        }
        let path = copy_path(memory);
        let lock = state_file::lock(&path, "writes what was synced")?;
        let meta = file::read_regular(&path, LIMIT).ok().map(|(_, meta)| meta);
        let mut doc = Table::new();
        doc.insert("store".into(), Value::String(location.to_string()));
        doc.insert("hash".into(), Value::String(self.hash.clone()));
        doc.insert("version".into(), Value::String(self.version.0.clone()));
        state_file::replace(&lock, &path, meta.as_ref(), &doc)
    }
}

fn copy_path(memory: &Memory) -> PathBuf {
    memory.file().with_extension("synced")
}
