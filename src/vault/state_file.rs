//! The small files of the state directory: how they are locked and replaced, and the hashes in their names.

use std::path::Path;
use std::time::Duration;

use sha2::{Digest, Sha256};
use toml::Table;

use crate::file::{self, Existing, Lock, Meta, ReplaceError};

/// The longest wait for a lock. A write takes an instant, and opening a vault must not wait longer.
const LOCK_WAIT: Duration = Duration::from_secs(2);

/// Locks a file; `does` is what its holder does. The error is the reason.
pub(super) fn lock(path: &Path, does: &'static str) -> Result<Lock, String> {
    file::lock_with_parents(path, LOCK_WAIT, does).map_err(|error| error.to_string())
}

/// Replaces a file under its lock, with `meta` of the present one. The error is the reason.
pub(super) fn replace(
    lock: &Lock,
    path: &Path,
    meta: Option<&Meta>,
    content: &Table,
) -> Result<(), String> {
    let existing = meta.map_or(Existing::New { mode: 0o600 }, Existing::Keep);
    match file::replace(lock, path, content.to_string().as_bytes(), existing, &mut |_| true) {
        Ok(()) | Err(ReplaceError::NotDurable(_)) => Ok(()),
        Err(ReplaceError::NotSaved(why, _)) => Err(why),
        Err(ReplaceError::UnsafeDirectory) => Err("all users can replace files there".to_owned()),
    }
}

/// The first half of the SHA-256 of these bytes, in hexadecimal.
pub(super) fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}
