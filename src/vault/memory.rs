//! What this machine remembers of a vault: its fingerprint and the highest generation seen, by the path
//! as it is named and by the real one.
//!
//! Each of the two alone is not enough. Whoever may write a directory on the way to the file chooses the
//! real path, by a link, and at a path that nobody knows any vault would be taken at first use. And a
//! name that is used for the first time may lead to a file that is known by another name.

mod entry;

use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use super::pin::Pin;
use crate::error::{Result, os_text};
use crate::file::{self, LockError};
use entry::Entry;

/// Writing it takes a blink of an eye, and a vault is not kept waiting for its memory.
const LOCK_WAIT: Duration = Duration::from_secs(2);

/// How many fingerprints are remembered that writers of this machine have replaced. A name that was not
/// used for longer is refused.
const FORMER: usize = 16;

/// Names of the process's own descriptors and directories, see proc(5): what they lead to is another
/// file each time, and nobody else can make them lead elsewhere.
const OWN: [&str; 3] = ["/proc", "/dev/fd", "/dev/stdin"];

/// What is remembered of the vault at one path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// The fingerprint that it had.
    pub pin: Pin,
    /// The highest generation that was seen.
    pub generation: u64,
    /// The fingerprint that a writer of this machine was about to give it.
    next: Option<Pin>,
    /// Those that writers of this machine have replaced, the latest last.
    former: Vec<Pin>,
    /// For a name: the entry of the real path that it led to.
    led_to: Option<String>,
}

impl Known {
    /// True if a writer of this machine has given the vault this fingerprint, or was about to.
    pub fn is(&self, pin: Pin) -> bool {
        self.pin == pin || self.next == Some(pin)
    }

    /// What is known of a name, with what writers of this machine have made since of the file that it
    /// leads to, or led to. It follows a fingerprint that was replaced, and nothing else.
    fn follow(mut self, file: &Self) -> Self {
        if self.pin != file.pin {
            if !file.former.contains(&self.pin) {
                return self;
            }
            self.replace(file.pin);
        }
        self.next = file.next.or(self.next);
        self.generation = self.generation.max(file.generation);
        self
    }

    fn replace(&mut self, pin: Pin) {
        self.former.retain(|former| *former != pin);
        self.former.push(std::mem::replace(&mut self.pin, pin));
        self.former.drain(..self.former.len().saturating_sub(FORMER));
        self.next = None;
    }

    /// What is to be remembered of a vault with this fingerprint. One that somebody else gave, and a
    /// person took for the right one, begins anew: no other name follows it.
    fn then(before: Option<Self>, pin: Pin, generation: u64, led_to: Option<&str>) -> Self {
        let fresh = || Self { pin, generation, next: None, former: Vec::new(), led_to: None };
        let mut known = before.filter(|known| known.is(pin)).unwrap_or_else(fresh);
        if known.pin != pin {
            known.replace(pin);
        }
        Self { generation, led_to: led_to.map(str::to_owned), ..known }
    }
}

/// What is remembered of one vault.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recalled {
    /// Of the real path.
    pub real: Option<Known>,
    /// Of the name, where that is another path, as it was written down.
    named: Option<Known>,
    /// Of the real path that the name led to when it was used last, where that is another one.
    last: Option<Known>,
}

impl Recalled {
    /// What is known of the name, where that is another path.
    pub fn named(&self) -> Option<Known> {
        let files = self.last.iter().chain(&self.real);
        self.named.clone().map(|named| files.fold(named, Known::follow))
    }

    fn both(&self) -> impl Iterator<Item = Known> {
        self.real.clone().into_iter().chain(self.named())
    }

    /// True if the vault is known, and not by another fingerprint.
    pub fn is(&self, pin: Pin) -> bool {
        self.both().next().is_some() && self.other_than(pin).is_none()
    }

    /// The fingerprint that is remembered, by either path, in the place of this one.
    pub fn other_than(&self, pin: Pin) -> Option<Pin> {
        self.both().find(|known| !known.is(pin)).map(|known| known.pin)
    }

    /// The highest generation that was seen of the vault with this fingerprint, or 0.
    pub fn generation(&self, pin: Pin) -> u64 {
        let own = self.both().filter(|known| known.is(pin));
        own.map(|known| known.generation).max().unwrap_or(0)
    }
}

/// Where one vault is remembered.
#[derive(Debug)]
pub struct Memory {
    real: Entry,
    /// None where the name is the real path.
    named: Option<Entry>,
}

impl Memory {
    /// The memory of the vault at this path and, links resolved, at that one.
    pub fn of(state_dir: &Path, named: &Path, real: &Path) -> Self {
        let name = absolute(named).filter(|name| name != real);
        let own = |path: &&PathBuf| !OWN.iter().any(|own| path.starts_with(own));
        let named = name.as_ref().filter(own).map(|name| Entry::of(state_dir, name));
        Self { real: Entry::of(state_dir, real), named }
    }

    /// True if the name is another path than the real one.
    pub fn has_name(&self) -> bool {
        self.named.is_some()
    }

    /// What is remembered, if anything.
    ///
    /// # Errors
    /// Refused (6) if something is there that is no memory.
    pub fn recall(&self) -> Result<Recalled> {
        let named = self.named.as_ref().map(Entry::read).transpose()?.flatten();
        let last = match named.as_ref().and_then(|named| named.led_to.as_deref()) {
            Some(id) if id != self.real.id() => self.real.other(id).read()?,
            _ => None,
        };
        Ok(Recalled { real: self.real.read()?, named, last })
    }

    /// Remembers, in place of whatever is remembered. Synced: a memory that a power cut tore would keep
    /// the vault shut.
    ///
    /// # Errors
    /// Why not: the caller goes on without a memory, and says so.
    pub fn remember(&self, pin: Pin, generation: u64) -> Result<(), String> {
        let locks = self.lock()?;
        // What is damaged is replaced.
        let now = self.recall().unwrap_or_default();
        let mut then = self.then(&now, pin, generation);
        for known in [&mut then.real, &mut then.named].into_iter().flatten() {
            known.next = None;
        }
        self.write(&locks, &then)
    }

    /// Remembers what was read, and the highest generation, where still `before` is remembered: somebody
    /// may have written the vault, and remembered it, since that was read.
    ///
    /// # Errors
    /// As [`Memory::remember`].
    pub fn remember_after(
        &self,
        before: &Recalled,
        pin: Pin,
        generation: u64,
    ) -> Result<(), String> {
        let then = self.then(before, pin, generation.max(before.generation(pin)));
        if then == *before {
            return Ok(());
        }
        let locks = self.lock()?;
        match self.recall() {
            Ok(now) if now != *before => Ok(()),
            _ => self.write(&locks, &then),
        }
    }

    /// Remembers that the vault is about to get another fingerprint. A writer that died between the
    /// vault's rename and the memory's would else have shut this machine out.
    ///
    /// # Errors
    /// Why not. Nothing needs to be done where nothing is remembered.
    pub fn announce(&self, next: Pin) -> Result<(), String> {
        if self.recall().is_ok_and(|known| known.both().next().is_none()) {
            return Ok(());
        }
        let locks = self.lock()?;
        let now = self.recall().map_err(|error| error.what)?;
        let about = |known: Known| Known { next: Some(next), ..known };
        let (real, named) = (now.real.clone().map(about), now.named().map(about));
        self.write(&locks, &Recalled { real, named, ..now })
    }

    fn then(&self, before: &Recalled, pin: Pin, generation: u64) -> Recalled {
        let named = self
            .named
            .as_ref()
            .map(|_| Known::then(before.named(), pin, generation, Some(&self.real.id())));
        let real = Some(Known::then(before.real.clone(), pin, generation, None));
        Recalled { real, named, last: before.last.clone() }
    }

    /// One order for all, so that no two wait for each other: what is a name today may have been a real
    /// path before.
    fn lock(&self) -> Result<Locks, String> {
        let lock = |entry: &Entry| {
            file::lock_with_parents(&entry.file, LOCK_WAIT).map_err(|error| match error {
                LockError::Busy { .. } => "another process is writing there".to_owned(),
                LockError::Planted(planted) => planted.to_string(),
                LockError::Io(error) => os_text(&error),
            })
        };
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

    /// The real path's first: other names follow it.
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

/// The path as it was named, from the root, by the spelling alone: no link is followed, so nobody who
/// may write a directory has a say in it. It is never opened; two names that the kernel tells apart
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
