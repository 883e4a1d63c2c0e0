//! The files of the cache: loaded, stored, listed and cleared.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use zeroize::Zeroizing;

use super::book::Book;
use super::envelope::{Keys, is_name};
use super::ledger::Ledger;
use super::record::Record;
use super::{Kind, envelope};
use crate::clock::{Clock, Timestamp};
use crate::error::os_text;
use crate::file::{self, ReadError};
use crate::say::Say;

/// More than any session or ledger has.
const FILE_LIMIT: u64 = 64 * 1024;

/// Where sessions, locks and the ledger lie.
#[derive(Debug)]
pub struct Cache {
    dir: Option<PathBuf>,
    pub(super) keys: Keys,
    pub(super) clock: Clock,
    pub(super) say: Say,
    /// The first trouble with the place has been said; there is one warning, not one a file.
    said: AtomicBool,
    /// What this process claimed itself, by ledger: it holds also where nothing can be written.
    pub(super) claimed: Mutex<BTreeMap<String, Book>>,
}

/// A cached session as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listed {
    /// The profile that it was made for. Others with the same source may use it too.
    pub profile: String,
    /// What made it.
    pub kind: Kind,
    /// When it ends.
    pub expiration: Timestamp,
}

impl Cache {
    /// A cache in this directory, for one vault. Nothing is read or made before it is used. Without a
    /// directory everything works, uncached, which is said once.
    pub fn open(
        dir: Option<PathBuf>,
        vault_id: &[u8; 16],
        cache_key: &[u8; 32],
        clock: Clock,
        say: Say,
    ) -> Self {
        Self {
            dir,
            keys: Keys::new(vault_id, cache_key),
            clock,
            say,
            said: AtomicBool::new(false),
            claimed: Mutex::default(),
        }
    }

    /// A cache of this process alone, for who has no vault: there is no key to keep one with, and so no
    /// place to say a word about.
    pub fn of_this_process(clock: Clock, say: Say) -> Self {
        let cache = Self::open(None, &[0; 16], &[0; 32], clock, say);
        Self { said: AtomicBool::new(true), ..cache }
    }

    /// The sessions that are still valid, by profile. What cannot be read is left out.
    pub fn list(&self) -> Vec<Listed> {
        let now = self.clock.now();
        let mut listed: Vec<Listed> = self
            .all()
            .into_iter()
            .filter(|(_, _, record)| record.ends > now)
            .map(|(_, kind, record)| Listed {
                profile: record.profile,
                kind,
                expiration: record.ends,
            })
            .collect();
        listed.sort();
        listed
    }

    /// Removes the sessions that were made for one profile, and counts them.
    pub fn clear(&self, profile: &str) -> usize {
        let Some(dir) = self.dir.as_deref() else { return 0 };
        let sessions = sessions(dir);
        let all = self.all().into_iter().filter(|(_, _, record)| record.profile == profile);
        all.filter(|(name, _, _)| match std::fs::remove_file(sessions.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                self.unusable(&error);
                false
            }
            removed => removed.is_ok(),
        })
        .count()
    }

    /// The ledger of an MFA device, named by its serial.
    pub fn ledger(&self, device: &str) -> Ledger<'_> {
        Ledger::new(self, device)
    }

    /// Where a session or ledger of this name lies, if there is a place.
    pub(super) fn path(&self, kind: &str, name: &str) -> Option<PathBuf> {
        let dir = self.dir.as_deref()?;
        let folder = if kind == envelope::LEDGER { dir.join("ledger") } else { sessions(dir) };
        Some(folder.join(name))
    }

    /// One session: an open, a read and a decryption. Whatever is wrong with it is a miss.
    pub(super) fn load(&self, kind: Kind, name: &str) -> Option<Record> {
        let plain = self.read(kind.as_str(), name)?;
        Record::decode(&plain).or_else(|| self.damaged())
    }

    /// Keeps a session. Where that fails, it is said once.
    pub(super) fn store(&self, kind: Kind, name: &str, record: &Record) {
        if let Err(error) = self.write(kind.as_str(), name, &record.encode()) {
            self.unusable(&error);
        }
    }

    /// The decrypted content of a file; none if it is missing or, which is said once, damaged.
    pub(super) fn read(&self, kind: &str, name: &str) -> Option<Zeroizing<Vec<u8>>> {
        match file::read_regular(&self.path(kind, name)?, FILE_LIMIT) {
            Ok((bytes, _)) => self.keys.open(kind, name, bytes).or_else(|| self.damaged()),
            Err(ReadError::NotFound) => None,
            Err(ReadError::NotRegular | ReadError::TooLarge) => self.damaged(),
            Err(ReadError::Io(error)) => {
                self.unusable(&error);
                None
            }
        }
    }

    /// Replaces a file by rename and without a sync: after a power cut a torn one is a miss.
    pub(super) fn write(&self, kind: &str, name: &str, plain: &[u8]) -> io::Result<()> {
        let Some(path) = self.path(kind, name) else { return Ok(()) };
        file::replace_quickly(&path, &self.keys.seal(kind, name, plain)?)
    }

    /// Says, once, that it goes on without a cache.
    pub(super) fn unusable(&self, error: &io::Error) {
        let dir = self.dir.as_deref().unwrap_or(Path::new("")).display();
        self.warn_once(&format!(
            "cannot use the cache in {dir}: {}; going on without it",
            os_text(error)
        ));
    }

    /// Says, once, that there is no place to keep anything.
    pub(super) fn nowhere(&self) {
        self.warn_once(
            "there is no place for the cache; going on without it; name one by --cache-dir",
        );
    }

    fn damaged<T>(&self) -> Option<T> {
        let dir = self.dir.as_deref().unwrap_or(Path::new("")).display();
        self.warn_once(&format!("a file of the cache in {dir} is damaged, so it is not used"));
        None
    }

    fn warn_once(&self, text: &str) {
        if self.said.swap(true, Ordering::Relaxed) {
            self.say.debug(text);
        } else {
            self.say.warn(text);
        }
    }

    /// All sessions that open: of this vault, and whole.
    fn all(&self) -> Vec<(String, Kind, Record)> {
        let Some(dir) = self.dir.as_deref() else { return Vec::new() };
        let mut all = Vec::new();
        for name in names(dir).into_iter().filter(|name| is_name(name)) {
            let Ok((bytes, _)) = file::read_regular(&sessions(dir).join(&name), FILE_LIMIT) else {
                continue;
            };
            for kind in Kind::ALL {
                let plain = self.keys.open(kind.as_str(), &name, bytes.clone());
                if let Some(record) = plain.and_then(|plain| Record::decode(&plain)) {
                    all.push((name, kind, record));
                    break;
                }
            }
        }
        all
    }
}

/// Removes every session in the directory, whichever vault's it is, and counts them: that takes no key.
/// What writers that died left behind goes too; locks and ledgers stay.
pub fn clear_all(dir: &Path, say: Say) -> usize {
    let (mut count, mut trouble) = (0, None);
    for name in names(dir).iter().filter(|name| is_name(name) || is_temporary(name)) {
        match std::fs::remove_file(sessions(dir).join(name)) {
            Ok(()) if is_name(name) => count += 1,
            Err(error) if error.kind() != io::ErrorKind::NotFound => trouble = Some(error),
            _ => {}
        }
    }
    if let Some(error) = trouble {
        say.warn(format!(
            "cannot clear all of the cache in {}: {}",
            dir.display(),
            os_text(&error)
        ));
    }
    count
}

fn sessions(dir: &Path) -> PathBuf {
    dir.join("sessions")
}

/// The names in the directory of the sessions; none if it cannot be read.
fn names(dir: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(sessions(dir)) else { return Vec::new() };
    entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect()
}

/// The name of a temporary file of `file::replace_quickly`, for one of our names. A writer that is
/// alive has it for the blink of an eye, and would go without caching if it lost it.
fn is_temporary(name: &str) -> bool {
    let own = name.strip_prefix('.').and_then(|rest| rest.split_once(".tmp-"));
    own.is_some_and(|(own, _)| is_name(own))
}
