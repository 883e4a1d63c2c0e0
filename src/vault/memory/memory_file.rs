//! The memory of one path, and its file in the state directory.

use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::super::state_file;
use crate::error::{Error, Result};
use crate::file;
use crate::vault::Pin;

/// The most bytes of the file: a path of PATH_MAX escaped bytes and some fingerprints.
const LIMIT: u64 = 32 * 1024;

/// The most fingerprints that are remembered after writers of this machine have replaced them. A name that
/// was last used before the oldest is refused.
const FORMER: usize = 16;

/// What is remembered of the vault at one path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownVault {
    pub pin: Pin,
    /// The highest generation that was seen.
    pub generation: u64,
    /// The fingerprint that a writer of this machine announced.
    pub(super) next: Option<Pin>,
    /// The fingerprints that writers of this machine have replaced, the latest last.
    pub(super) former: Vec<Pin>,
    /// For a name: the id of the entry of its real path.
    pub(super) led_to: Option<String>,
}

impl KnownVault {
    /// True if this is the vault's fingerprint or the announced one.
    pub fn is(&self, pin: Pin) -> bool {
        self.pin == pin || self.next == Some(pin)
    }

    /// The memory of a name, updated by what writers of this machine have done to the file that it leads or
    /// led to. It follows only a fingerprint that these have replaced.
    pub(super) fn follow(mut self, file: &Self) -> Self {
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

    /// The new memory of a vault with this fingerprint. A fingerprint from elsewhere, which the user has
    /// accepted, starts a new memory that no other name follows.
    pub(super) fn updated(
        before: Option<Self>,
        pin: Pin,
        generation: u64,
        led_to: Option<&str>,
    ) -> Self {
        let fresh = || Self { pin, generation, next: None, former: Vec::new(), led_to: None };
        let mut known = before.filter(|known| known.is(pin)).unwrap_or_else(fresh);
        if known.pin != pin {
            known.replace(pin);
        }
        Self { generation, led_to: led_to.map(str::to_owned), ..known }
    }
}

/// The file, whose name is a hash of the path.
#[derive(Debug)]
pub(super) struct MemoryFile {
    pub(super) file: PathBuf,
    path: PathBuf,
}

impl MemoryFile {
    /// The entry of this path.
    pub(super) fn of(state_dir: &Path, path: &Path) -> Self {
        use std::os::unix::ffi::OsStrExt;
        let id = state_file::hash(path.as_os_str().as_bytes());
        Self { file: state_dir.join("pins").join(format!("{id}.toml")), path: path.into() }
    }

    /// The name of the file, without its extension.
    pub(super) fn id(&self) -> String {
        self.file.file_stem().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// The entry with another id, for reading only.
    pub(super) fn other(&self, id: &str) -> Self {
        Self { file: self.file.with_file_name(format!("{id}.toml")), path: PathBuf::new() }
    }

    /// Reads the file; `None` if it does not exist.
    /// Errors: refused (6) if the file is damaged: if that counted as missing, a user who can damage it could
    /// replace the vault unnoticed.
    pub(super) fn read(&self) -> Result<Option<KnownVault>> {
        let refused =
            || Error::refused(format!("the remembered pin in {} is damaged", self.file.display()));
        let bytes = match file::read_regular(&self.file, LIMIT) {
            Ok((bytes, _)) => bytes,
            Err(file::ReadError::NotFound) => return Ok(None),
            // A directory that cannot be searched (another user's home in a container) has no memory of
            // this user, and is not an error.
            Err(file::ReadError::Io(_)) if !self.is_reachable() => return Ok(None),
            Err(error @ file::ReadError::Io(_)) => {
                let what = format_args!("the remembered pin in {}", self.file.display());
                return Err(Error::other(error.message(what, LIMIT)));
            }
            Err(_) => return Err(refused()),
        };
        std::str::from_utf8(&bytes).ok().and_then(parse).map(Some).ok_or_else(refused)
    }

    fn is_reachable(&self) -> bool {
        use std::io::ErrorKind::{NotADirectory, PermissionDenied};
        match self.file.symlink_metadata() {
            Ok(_) => true,
            Err(error) => !matches!(error.kind(), NotADirectory | PermissionDenied),
        }
    }

    /// Replaces the file, under its lock.
    pub(super) fn write(&self, lock: &file::Lock, known: &KnownVault) -> Result<(), String> {
        let meta = match file::read_regular(&self.file, LIMIT) {
            Ok((_, meta)) => Some(meta),
            Err(file::ReadError::NotFound) => None,
            Err(error) => return Err(error.text(LIMIT)),
        };
        state_file::replace(lock, &self.file, meta.as_ref(), &self.content(known))
    }

    fn content(&self, known: &KnownVault) -> Table {
        let pin = |pin: &Pin| Value::String(pin.to_string());
        let mut doc = Table::new();
        doc.insert("vault".into(), Value::String(self.path.display().to_string()));
        doc.insert("pin".into(), pin(&known.pin));
        let generation = i64::try_from(known.generation).unwrap_or(i64::MAX);
        doc.insert("generation".into(), Value::Integer(generation));
        if let Some(next) = &known.next {
            doc.insert("next".into(), pin(next));
        }
        if !known.former.is_empty() {
            doc.insert("former".into(), Value::Array(known.former.iter().map(pin).collect()));
        }
        if let Some(id) = &known.led_to {
            doc.insert("led_to".into(), Value::String(id.clone()));
        }
        doc
    }
}

fn parse(text: &str) -> Option<KnownVault> {
    let doc: Table = toml::from_str(text).ok()?;
    let pin = |value: &Value| Pin::parse(value.as_str()?).ok();
    let generation = u64::try_from(doc.get("generation")?.as_integer()?).ok()?;
    let next = match doc.get("next") {
        Some(value) => Some(pin(value)?),
        None => None,
    };
    let former = match doc.get("former") {
        Some(list) => list.as_array()?.iter().map(pin).collect::<Option<Vec<_>>>()?,
        None => Vec::new(),
    };
    // It is used as a file name.
    let is_id = |id: &&str| id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    let led_to = match doc.get("led_to") {
        Some(value) => Some(value.as_str().filter(is_id)?.to_owned()),
        None => None,
    };
    Some(KnownVault { pin: pin(doc.get("pin")?)?, generation, next, former, led_to })
}
