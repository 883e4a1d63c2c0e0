//! What this machine remembers of a vault: its fingerprint and the highest generation seen, for the path
//! as it is named and for the real path.
//!
//! Neither path alone is enough. A user who may write a directory of the path can change the real path by a
//! symlink, and any vault is accepted at a path that is used for the first time. And a name that is used
//! for the first time may lead to a file that is known by another name.

mod memory_file;

use std::path::{Component, Path, PathBuf};

use super::pin::Pin;
use super::state_file;
use crate::error::{Class, Error, Result};
use crate::file;
use memory_file::MemoryFile;

pub use memory_file::KnownVault;

/// Names of the process's own descriptors and directories, see proc(5): they lead to another file each time,
/// and no other user can change where they lead.
const OWN: [&str; 3] = ["/proc", "/dev/fd", "/dev/stdin"];

/// What is remembered of one vault, by all of its paths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recalled {
    pub real: Option<KnownVault>,
    /// The stored memory of the name, if that is another path.
    named: Option<KnownVault>,
    /// The memory of the real path that the name last led to, if that is another one.
    last: Option<KnownVault>,
}

impl Recalled {
    /// The updated memory of the name, if that is another path.
    pub fn named(&self) -> Option<KnownVault> {
        let files = self.last.iter().chain(&self.real);
        self.named.clone().map(|named| files.fold(named, KnownVault::follow))
    }

    fn both(&self) -> impl Iterator<Item = KnownVault> {
        self.real.clone().into_iter().chain(self.named())
    }

    /// True if the vault is remembered with this fingerprint and no other.
    pub fn is(&self, pin: Pin) -> bool {
        self.both().next().is_some() && self.other_than(pin).is_none()
    }

    /// Another fingerprint that is remembered for either path.
    pub fn other_than(&self, pin: Pin) -> Option<Pin> {
        self.both().find(|known| !known.is(pin)).map(|known| known.pin)
    }

    /// The highest generation that was seen with this fingerprint, or 0.
    pub fn generation(&self, pin: Pin) -> u64 {
        let own = self.both().filter(|known| known.is(pin));
        own.map(|known| known.generation).max().unwrap_or(0)
    }
}

/// What was remembered of a vault before its file was read.
#[derive(Clone, Debug)]
pub enum Before {
    Known(Box<Recalled>),
    /// A file of the memory is damaged.
    Damaged(Error),
    /// A file of the memory could not be read, and must not be replaced.
    Unreadable(Error),
}

impl Before {
    /// What this memory has now; nothing is remembered without one.
    pub fn of(memory: Option<&Memory>) -> Self {
        match memory.map_or_else(|| Ok(Recalled::default()), Memory::recall) {
            Ok(known) => Self::Known(Box::new(known)),
            Err(error) if error.class == Class::Refused => Self::Damaged(error),
            Err(error) => Self::Unreadable(error),
        }
    }

    /// True if the vault is not remembered.
    pub fn is_nothing(&self) -> bool {
        matches!(self, Self::Known(known) if **known == Recalled::default())
    }
}

/// The stored memory of one vault.
#[derive(Debug)]
pub struct Memory {
    real: MemoryFile,
    /// `None` if the name is the real path.
    named: Option<MemoryFile>,
}

impl Memory {
    /// The memory of the vault at the path `named`, whose real path is `real`.
    pub fn of(state_dir: &Path, named: &Path, real: &Path) -> Self {
        let name = absolute(named).filter(|name| name != real);
        let own = |path: &&PathBuf| !OWN.iter().any(|own| path.starts_with(own));
        let named = name.as_ref().filter(own).map(|name| MemoryFile::of(state_dir, name));
        Self { real: MemoryFile::of(state_dir, real), named }
    }

    /// The file of the real path's memory.
    pub(super) fn file(&self) -> &Path {
        &self.real.file
    }

    /// True if the name is another path than the real one.
    pub fn has_name(&self) -> bool {
        self.named.is_some()
    }

    /// What is remembered.
    /// Errors: refused (6) if a file of the memory is damaged.
    pub fn recall(&self) -> Result<Recalled> {
        let named = self.named.as_ref().map(MemoryFile::read).transpose()?.flatten();
        let last = match named.as_ref().and_then(|named| named.led_to.as_deref()) {
            Some(id) if id != self.real.id() => self.real.other(id).read()?,
            _ => None,
        };
        Ok(Recalled { real: self.real.read()?, named, last })
    }

    /// Remembers this fingerprint and generation in place of the old ones. The file is synced: a memory that
    /// a power cut damaged would lock the user out.
    /// Errors: the reason; the caller reports it and continues without a memory.
    pub fn remember(&self, pin: Pin, generation: u64) -> Result<(), String> {
        let locks = self.lock()?;
        // A damaged memory is replaced.
        let now = self.recall().unwrap_or_default();
        let mut updated = self.updated(&now, pin, generation);
        for known in [&mut updated.real, &mut updated.named].into_iter().flatten() {
            known.next = None;
        }
        self.write(&locks, &updated)
    }

    /// Remembers what was read, with the highest generation, if the memory is still `before`: another process
    /// may have written the vault and updated the memory meanwhile.
    pub fn remember_after(
        &self,
        before: &Recalled,
        pin: Pin,
        generation: u64,
    ) -> Result<(), String> {
        let updated = self.updated(before, pin, generation.max(before.generation(pin)));
        if updated == *before {
            return Ok(());
        }
        let locks = self.lock()?;
        match self.recall() {
            Ok(now) if now != *before => Ok(()),
            _ => self.write(&locks, &updated),
        }
    }

    /// Remembers that the vault is about to get another fingerprint. Otherwise a writer that dies between the
    /// rename of the vault and that of the memory would lock this machine out.
    /// Errors: the reason. Nothing is written if nothing is remembered.
    pub fn announce(&self, next: Pin) -> Result<(), String> {
        if self.recall().is_ok_and(|known| known.both().next().is_none()) {
            return Ok(());
        }
        let locks = self.lock()?;
        let now = self.recall().map_err(|error| error.what)?;
        let about = |known: KnownVault| KnownVault { next: Some(next), ..known };
        let (real, named) = (now.real.clone().map(about), now.named().map(about));
        self.write(&locks, &Recalled { real, named, ..now })
    }

    fn updated(&self, before: &Recalled, pin: Pin, generation: u64) -> Recalled {
        let named = self
            .named
            .as_ref()
            .map(|_| KnownVault::updated(before.named(), pin, generation, Some(&self.real.id())));
        let real = Some(KnownVault::updated(before.real.clone(), pin, generation, None));
        Recalled { real, named, last: before.last.clone() }
    }

    /// Locks in one order, so that no two processes wait for each other: a name may have been a real path
    /// before.
    fn lock(&self) -> Result<Locks, String> {
        let lock = |entry: &MemoryFile| state_file::lock(&entry.file, "writes the pins");
        match &self.named {
            Some(named) if named.file < self.real.file => {
                let named = Some(lock(named)?);
                Ok(Locks { real: lock(&self.real)?, named })
            }
            named => {
                let real = lock(&self.real)?;
                Ok(Locks { real, named: named.as_ref().map(lock).transpose()? })
            }
        }
    }

    /// Writes the entry of the real path first, which other names follow.
    fn write(&self, locks: &Locks, known: &Recalled) -> Result<(), String> {
        if let Some(real) = &known.real {
            self.real.write(&locks.real, real)?;
        }
        match (&self.named, &locks.named, &known.named) {
            (Some(entry), Some(lock), Some(named)) => entry.write(lock, named),
            _ => Ok(()),
        }
    }
}

/// The locks of both entries.
#[derive(Debug)]
struct Locks {
    real: file::Lock,
    named: Option<file::Lock>,
}

/// The absolute form of a path as it was named, by its spelling alone: no symlink is followed, so no user
/// who may write a directory can change it. It is never opened; two names that the kernel distinguishes
/// (`link/../a` and `a`) share a memory.
fn absolute(path: &Path) -> Option<PathBuf> {
    let mut name = PathBuf::new();
    for part in std::path::absolute(path).ok()?.components() {
        if part == Component::ParentDir {
            name.pop();
        } else {
            name.push(part);
        }
    }
    Some(name)
}

#[cfg(test)]
mod tests;
