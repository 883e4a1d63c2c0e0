//! The files of the cache: loaded, stored, listed and cleared.

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

/// More than any session or ledger has.
const FILE_LIMIT: u64 = 64 * 1024;
/// A file that was last written so many seconds ago holds nothing live: AWS gives 36 hours at most, and
/// twelve are for clocks.
const OVER: i64 = 48 * 3600;
/// A login that nobody used for so long is over: AWS gives 90 days at most.
const LOGIN_OVER: i64 = 91 * 24 * 3600;
/// So many names are looked at for old files, so that saving a session costs little in any directory.
const LOOKED_AT: usize = 10_000;

/// Where sessions, locks and the ledger lie.
#[derive(Debug)]
pub struct Cache {
    dir: Option<PathBuf>,
    /// False where there is no vault whose key would keep anything: then nothing is written.
    keyed: bool,
    pub(super) keys: Keys,
    pub(super) clock: Clock,
    pub(super) reporter: Reporter,
    /// The first trouble with the place has been said; there is one warning, not one a file.
    said: AtomicBool,
    /// What this process claimed itself, by ledger: it holds also where nothing can be written.
    pub(super) claimed: Mutex<BTreeMap<String, TotpClaims>>,
}

/// A cached session as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listed {
    /// The profile that it was made for. Others with the same source may use it too.
    pub profile: String,
    /// What made it.
    pub kind: SessionKind,
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
        reporter: Reporter,
    ) -> Self {
        Self {
            dir,
            keyed: true,
            keys: Keys::new(vault_id, cache_key),
            clock,
            reporter,
            said: AtomicBool::new(false),
            claimed: Mutex::default(),
        }
    }

    /// A cache of this process alone, for who has no vault: there is no key to keep one with, and so no
    /// word is said about the place. With a secret, [`Cache::with_secret`] is one in that directory.
    pub fn without_vault(dir: Option<PathBuf>, clock: Clock, reporter: Reporter) -> Self {
        let cache = Self::open(dir, &[0; 16], &[0; 32], clock, reporter);
        Self { keyed: false, said: AtomicBool::new(true), ..cache }
    }

    /// Where there is no vault: the same place, for sessions that are made from this secret and nothing
    /// else. Their key is made of it, so that only who could make the very same session reads it.
    pub fn with_secret(&self, secret: &Secret) -> Option<Self> {
        let open = || {
            let key = envelope::key_of_secret(secret);
            Self::open(self.dir.clone(), &[0; 16], &key, self.clock, self.reporter)
        };
        (!self.keyed).then(open)
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
    ///
    /// # Errors
    /// Class 7 if some could not be removed; it says how many.
    pub fn clear(&self, profile: &str) -> Result<usize> {
        let Some(dir) = self.dir.as_deref() else { return Ok(0) };
        let all = self.all().into_iter().filter(|(_, _, record)| record.profile == profile);
        let mut removed = Removed::default();
        for (name, _, _) in all {
            removed.count(std::fs::remove_file(sessions(dir).join(name)));
        }
        removed.result(dir)
    }

    /// Where a session or ledger of this name lies, if there is a place.
    pub(super) fn path(&self, kind: &str, name: &str) -> Option<PathBuf> {
        let dir = self.dir.as_deref().filter(|_| self.keyed)?;
        let folder = match kind {
            envelope::LEDGER => dir.join("ledger"),
            envelope::LOGIN => logins(dir),
            _ => sessions(dir),
        };
        Some(folder.join(name))
    }

    /// One session: an open, a read and a decryption. Whatever is wrong with it is a miss.
    pub(super) fn load(&self, kind: SessionKind, name: &str) -> Option<Record> {
        let plain = self.read(kind.as_str(), name)?;
        Record::decode(&plain).or_else(|| self.damaged())
    }

    /// Keeps a session, and removes old ones. Where it cannot be kept, that is said once.
    pub(super) fn store(&self, kind: SessionKind, name: &str, record: &Record) {
        if let Err(error) = self.write(kind.as_str(), name, &record.encode()) {
            self.unusable(&error);
        }
        if let Some(dir) = &self.dir {
            remove_old(&sessions(dir), self.clock.now(), OVER);
        }
    }

    /// Removes logins that are over, and what writers of some that died left behind.
    pub(super) fn remove_old_logins(&self) {
        if let Some(dir) = &self.dir {
            remove_old(&logins(dir), self.clock.now(), LOGIN_OVER);
        }
    }

    /// The decrypted content of a file; none if it is missing or, which is said once, damaged or out of
    /// reach.
    pub(super) fn read(&self, kind: &str, name: &str) -> Option<Zeroizing<Vec<u8>>> {
        self.try_read(kind, name).unwrap_or_else(|error| {
            self.unusable(&error);
            None
        })
    }

    /// The same where it matters whether there is nothing or it cannot be read.
    ///
    /// # Errors
    /// What the system says.
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
            self.reporter.debug(text);
        } else {
            self.reporter.warn(text);
        }
    }

    /// All sessions that open: of this vault, and whole.
    fn all(&self) -> Vec<(String, SessionKind, Record)> {
        let Some(dir) = self.dir.as_deref() else { return Vec::new() };
        let mut all = Vec::new();
        for name in names(&sessions(dir)).into_iter().filter(|name| is_name(name)) {
            let Ok((bytes, _)) = file::read_regular(&sessions(dir).join(&name), FILE_LIMIT) else {
                continue;
            };
            for kind in SessionKind::ALL {
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

/// Removes every session and login in the directory, whichever vault's it is, and counts them: that takes
/// no key. What writers that died left behind goes too; locks and ledgers stay.
///
/// # Errors
/// Class 7 if some could not be removed; it says how many.
pub fn clear_all(dir: &Path) -> Result<usize> {
    let mut removed = Removed::default();
    for folder in [sessions(dir), logins(dir)] {
        for name in names(&folder) {
            let path = folder.join(&name);
            if is_name(&name) {
                removed.count(std::fs::remove_file(path));
            } else if is_temporary(&name) {
                let _ = std::fs::remove_file(path);
            }
        }
    }
    removed.result(dir)
}

/// The locks in the directory that somebody holds: each with what it guards, and who holds it.
pub fn locks_held(dir: &Path) -> Vec<(&'static str, PathBuf, Holder)> {
    let folders = [
        ("a session", sessions(dir)),
        ("a login", logins(dir)),
        ("a ledger of MFA codes", dir.join("ledger")),
    ];
    let mut held = Vec::new();
    for (what, folder) in folders {
        let Ok(entries) = std::fs::read_dir(folder) else { continue };
        for path in entries.take(LOOKED_AT).flatten().map(|entry| entry.path()) {
            let is_lock = path.extension().is_some_and(|extension| extension == "lock");
            if let Ok(Some(holder)) = if is_lock { file::lock_holder(&path) } else { Ok(None) } {
                held.push((what, path, holder));
            }
        }
    }
    held.sort_by(|a, b| a.1.cmp(&b.1));
    held
}

/// What became of files that were to be removed.
#[derive(Default)]
struct Removed {
    gone: usize,
    left: usize,
    why: Option<io::Error>,
}

impl Removed {
    /// One that another process removed meanwhile is gone, and not by us.
    fn count(&mut self, removed: io::Result<()>) {
        match removed {
            Ok(()) => self.gone += 1,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                self.left += 1;
                self.why = Some(error);
            }
        }
    }

    fn result(self, dir: &Path) -> Result<usize> {
        let Some(why) = self.why else { return Ok(self.gone) };
        let (left, all) = (self.left, self.left + self.gone);
        let dir = dir.display();
        Err(Error::not_saved(format!(
            "{left} of {all} sessions in {dir} could not be removed: {}",
            os_text(&why)
        )))
    }
}

/// Removes from a folder what nobody has written for so many seconds that it is over, whichever vault's
/// it is, what writers that died left behind, and locks that nobody has taken for as long: a token that
/// is replaced every hour gives its sessions new names each time. What is not ours stays. Whatever goes
/// wrong, it was only tidying up.
fn remove_old(folder: &Path, now: Timestamp, over: i64) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    let before = now.0.saturating_sub(over);
    for entry in entries.take(LOOKED_AT).flatten() {
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

fn sessions(dir: &Path) -> PathBuf {
    dir.join("sessions")
}

fn logins(dir: &Path) -> PathBuf {
    dir.join("logins")
}

/// The names in a folder; none if it cannot be read.
fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect()
}

/// The name of a temporary file of `file::replace_quickly`, for one of our names. A writer that is
/// alive has it for the blink of an eye, and would go without caching if it lost it.
fn is_temporary(name: &str) -> bool {
    let own = name.strip_prefix('.').and_then(|rest| rest.split_once(".tmp-"));
    own.is_some_and(|(own, _)| is_name(own))
}
