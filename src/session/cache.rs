//! The files of the cache: load, store, list and clear.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use zeroize::Zeroizing;

use super::envelope::{Keys, is_name};
use super::record::Record;
use super::totp_claims::TotpClaims;
use super::{SessionKind, envelope};
use crate::clock::{Clock, Timestamp};
use crate::error::{Error, Result, os_text};
use crate::file::{self, Holder, ReadError};
use crate::reporter::Reporter;
use crate::secret::Secret;

/// The directories of the cache.
const SESSIONS: &str = "sessions";
const LOGINS: &str = "logins";
const LEDGERS: &str = "ledger";
/// The most bytes of a file: more than any session or ledger has.
const FILE_LIMIT: u64 = 64 * 1024;
/// Seconds after its last write when a session file is removed: AWS grants 36 hours at most, and twelve
/// are for clocks that differ.
const SESSION_MAX_AGE: i64 = 48 * 3600;
/// Seconds after its last write when a login file is removed: AWS grants 90 days at most.
const LOGIN_MAX_AGE: i64 = 91 * 24 * 3600;
/// The most names that are checked for old files, so that the cost of saving a session is limited.
const SCAN_LIMIT: usize = 10_000;

/// The cache of one vault: sessions, logins, ledgers and their locks.
#[derive(Debug)]
pub struct Cache {
    dir: Option<PathBuf>,
    /// False without a vault, whose key would encrypt the files: then nothing is written.
    keyed: bool,
    pub(super) keys: Keys,
    pub(super) clock: Clock,
    pub(super) reporter: Reporter,
    /// True once an error of the directory was reported: there is one warning, not one per file.
    warned: AtomicBool,
    /// The claims of this process, by ledger, which count even if nothing can be written.
    pub(super) claimed: Mutex<BTreeMap<String, TotpClaims>>,
}

/// A cached session as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listed {
    /// The profile that it was made for. Other profiles with the same source may use it too.
    pub profile: String,
    /// The call that made it.
    pub kind: SessionKind,
    pub expiration: Timestamp,
}

impl Cache {
    /// The cache of a vault in this directory. Nothing is read or created before its first use. Without a
    /// directory nothing is cached, which is reported once.
    pub fn open(
        dir: Option<PathBuf>,
        vault_id: &[u8; 16],
        cache_key: &[u8; 32],
        clock: Clock,
        reporter: Reporter,
    ) -> Self {
        Self {
            dir,
            keyed: true,
            keys: Keys::new(vault_id, cache_key),
            clock,
            reporter,
            warned: AtomicBool::new(false),
            claimed: Mutex::default(),
        }
    }

    /// A cache without a vault, which writes nothing since there is no key to encrypt with. No warning is
    /// printed. [`Cache::with_secret`] makes one that writes to the directory.
    pub fn without_vault(dir: Option<PathBuf>, clock: Clock, reporter: Reporter) -> Self {
        let cache = Self::open(dir, &[0; 16], &[0; 32], clock, reporter);
        Self { keyed: false, warned: AtomicBool::new(true), ..cache }
    }

    /// Without a vault, a cache in the same directory for sessions that are made from this secret alone. Its
    /// key is derived from the secret, so that only those who can make the same session can read it.
    pub fn with_secret(&self, secret: &Secret) -> Option<Self> {
        let open = || {
            let key = envelope::key_of_secret(secret);
            Self::open(self.dir.clone(), &[0; 16], &key, self.clock, self.reporter)
        };
        (!self.keyed).then(open)
    }

    /// The valid sessions, sorted by profile. Files that cannot be read are left out.
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
    /// Errors: class 7, with their number, if some could not be removed.
    pub fn clear(&self, profile: &str) -> Result<usize> {
        let Some(dir) = self.dir.as_deref() else { return Ok(0) };
        let all = self.all().into_iter().filter(|(_, _, record)| record.profile == profile);
        let folder = dir.join(SESSIONS);
        let results = all.map(|(name, _, _)| std::fs::remove_file(folder.join(name))).collect();
        count_removed(results, dir)
    }

    /// The path of the file with this name; `None` if nothing is to be written.
    pub(super) fn path(&self, kind: &str, name: &str) -> Option<PathBuf> {
        let dir = self.dir.as_deref().filter(|_| self.keyed)?;
        let folder = match kind {
            envelope::LEDGER => LEDGERS,
            envelope::LOGIN => LOGINS,
            _ => SESSIONS,
        };
        Some(dir.join(folder).join(name))
    }

    /// Loads a session: one open, read and decryption. Any error counts as a miss.
    pub(super) fn load(&self, kind: SessionKind, name: &str) -> Option<Record> {
        let plain = self.read(kind.as_str(), name)?;
        Record::decode(&plain).or_else(|| self.damaged())
    }

    /// Stores a session, and removes old ones. An error is reported once.
    pub(super) fn store(&self, kind: SessionKind, name: &str, record: &Record) {
        if let Err(error) = self.write(kind.as_str(), name, &record.encode()) {
            self.unusable(&os_text(&error));
        }
        self.remove_old(SESSIONS, SESSION_MAX_AGE);
    }

    /// Removes old logins.
    pub(super) fn remove_old_logins(&self) {
        self.remove_old(LOGINS, LOGIN_MAX_AGE);
    }

    /// Removes the files, temporary files and locks in a folder, of any vault, that were not written for
    /// `max_age` seconds: a token that is replaced every hour gives its sessions new names each time. Other
    /// files stay, and errors are ignored.
    fn remove_old(&self, folder: &str, max_age: i64) {
        let Some(dir) = &self.dir else { return };
        let Ok(entries) = std::fs::read_dir(dir.join(folder)) else { return };
        let before = self.clock.now().0.saturating_sub(max_age);
        for entry in entries.take(SCAN_LIMIT).flatten() {
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            let old = |about: Metadata| about.is_file() && about.mtime() < before;
            if !entry.metadata().is_ok_and(old) {
                continue;
            }
            if name.strip_suffix(".lock").is_some_and(is_name) {
                file::remove_idle_lock(&entry.path(), before);
            } else if is_name(name) || is_temporary(name) {
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }

    /// The decrypted content of a file; `None` if it is missing, or, which is reported once, damaged or not
    /// readable.
    pub(super) fn read(&self, kind: &str, name: &str) -> Option<Zeroizing<Vec<u8>>> {
        self.try_read(kind, name).unwrap_or_else(|error| {
            self.unusable(&os_text(&error));
            None
        })
    }

    /// As [`Cache::read`], where a missing file and a read error differ.
    pub(super) fn try_read(
        &self,
        kind: &str,
        name: &str,
    ) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
        let Some(path) = self.path(kind, name) else { return Ok(None) };
        match file::read_regular(&path, FILE_LIMIT) {
            Ok((bytes, _)) => Ok(self.keys.open(kind, name, bytes).or_else(|| self.damaged())),
            Err(ReadError::NotFound) => Ok(None),
            Err(ReadError::NotRegular | ReadError::TooLarge) => Ok(self.damaged()),
            Err(ReadError::Io(error)) => Err(error),
        }
    }

    /// Replaces a file by rename, without fsync(2): a file that a power cut damaged is a miss.
    pub(super) fn write(&self, kind: &str, name: &str, plain: &[u8]) -> io::Result<()> {
        let Some(path) = self.path(kind, name) else { return Ok(()) };
        file::replace_quickly(&path, &self.keys.seal(kind, name, plain)?, 0o600)
    }

    /// Reports, once, that the cache cannot be used.
    pub(super) fn unusable(&self, why: &str) {
        let dir = self.dir.as_deref().unwrap_or(Path::new("")).display();
        self.warn_once(&format!("cannot use the cache in {dir}: {why}; continuing without it"));
    }

    /// Reports, once, that there is no cache directory.
    pub(super) fn without_directory(&self) {
        self.warn_once(
            "there is no directory for the cache; continuing without it; name one with --cache-dir",
        );
    }

    fn damaged<T>(&self) -> Option<T> {
        let dir = self.dir.as_deref().unwrap_or(Path::new("")).display();
        self.warn_once(&format!("a file of the cache in {dir} is damaged and is not used"));
        None
    }

    fn warn_once(&self, text: &str) {
        if self.warned.swap(true, Ordering::Relaxed) {
            self.reporter.debug(text);
        } else {
            self.reporter.warn(text);
        }
    }

    /// All sessions that can be decrypted: those of this vault that are not damaged.
    fn all(&self) -> Vec<(String, SessionKind, Record)> {
        let Some(dir) = self.dir.as_deref() else { return Vec::new() };
        let mut all = Vec::new();
        let folder = dir.join(SESSIONS);
        for name in names(&folder).into_iter().filter(|name| is_name(name)) {
            let Ok((bytes, _)) = file::read_regular(&folder.join(&name), FILE_LIMIT) else {
                continue;
            };
            let open = |kind: SessionKind| {
                let plain = self.keys.open(kind.as_str(), &name, bytes.clone())?;
                Some((kind, Record::decode(&plain)?))
            };
            if let Some((kind, record)) = SessionKind::ALL.into_iter().find_map(open) {
                all.push((name, kind, record));
            }
        }
        all
    }
}

/// Removes the sessions and logins of all vaults in the directory, and counts them; no key is needed.
/// Temporary files of writers that died are removed too; locks and ledgers stay.
/// Errors: class 7, with their number, if some could not be removed.
pub fn clear_all(dir: &Path) -> Result<usize> {
    let mut results = Vec::new();
    for folder in [dir.join(SESSIONS), dir.join(LOGINS)] {
        for name in names(&folder) {
            let path = folder.join(&name);
            if is_name(&name) {
                results.push(std::fs::remove_file(path));
            } else if is_temporary(&name) {
                let _ = std::fs::remove_file(path);
            }
        }
    }
    count_removed(results, dir)
}

/// The held locks in the directory, each with what it guards and its holder.
pub fn locks_held(dir: &Path) -> Vec<(&'static str, PathBuf, Holder)> {
    let folders =
        [("a session", SESSIONS), ("a login", LOGINS), ("a ledger of MFA codes", LEDGERS)];
    let mut held = Vec::new();
    for (what, folder) in folders {
        let Ok(entries) = std::fs::read_dir(dir.join(folder)) else { continue };
        for path in entries.take(SCAN_LIMIT).flatten().map(|entry| entry.path()) {
            let is_lock = path.extension().is_some_and(|extension| extension == "lock");
            if is_lock && let Ok(Some(holder)) = file::lock_holder(&path) {
                held.push((what, path, holder));
            }
        }
    }
    held.sort_by(|a, b| a.1.cmp(&b.1));
    held
}

/// Counts the removed files. A file that another process has removed meanwhile is not counted.
fn count_removed(results: Vec<io::Result<()>>, dir: &Path) -> Result<usize> {
    let mut removed = 0;
    let mut errors = Vec::new();
    for result in results {
        match result {
            Ok(()) => removed += 1,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => errors.push(error),
        }
    }
    let Some(error) = errors.last() else { return Ok(removed) };
    let (failed, all, dir) = (errors.len(), errors.len() + removed, dir.display());
    let why = os_text(error);
    Err(Error::not_saved(format!(
        "{failed} of {all} sessions in {dir} could not be removed: {why}"
    )))
}

/// The file names in a folder; none if it cannot be read.
fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect()
}

/// True for the name of a temporary file of `file::replace_quickly`. A live writer has one for an instant,
/// and caches nothing if it is removed.
fn is_temporary(name: &str) -> bool {
    let own = name.strip_prefix('.').and_then(|rest| rest.split_once(".tmp-"));
    own.is_some_and(|(own, _)| is_name(own))
}
