//! An open vault: what is in it, changing it, and making a new one.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::access::Access;
use super::memory::Memory;
use super::missing::no_vault;
use super::opening::{Unlocked, try_key};
use super::payload::{PassphraseEntry, Payload};
use super::pin::Pin;
use super::state_file::hash;
use super::vault_file::{VaultFile, read};
use crate::error::{Class, Error, Result, os_text};
use crate::file::{self, Existing, Meta, ReplaceError};
use crate::os;
use crate::sealed;
use crate::unlock::{Material, SecretKind};

/// How long a writer waits for another one before it gives up (8).
const LOCK_WAIT: Duration = Duration::from_secs(45);

/// What is wrong with a write to an older copy.
const LASTING: &str = "and a write would make that lasting";

/// The source that opened a vault; no secret.
#[derive(Debug)]
struct OpenedBy {
    label: String,
    sops: bool,
    is_passphrase: bool,
}

impl OpenedBy {
    fn of(key: &Material) -> Self {
        let is_passphrase = matches!(key.kind, SecretKind::Passphrase(_) | SecretKind::Slot(_));
        Self { label: key.label.clone(), sops: key.sops, is_passphrase }
    }
}

/// An open vault.
#[derive(Debug)]
pub struct Vault<'a> {
    pub(super) access: Access<'a>,
    /// The file itself, symlinks resolved.
    pub(super) real: PathBuf,
    /// What remembers it.
    pub(super) memory: Option<Memory>,
    /// Its bytes and modes, as this process read or wrote them last.
    pub(super) file: Vec<u8>,
    pub(super) meta: Meta,
    pub(super) armored: bool,
    pub(super) payload: Payload,
    opened_by: OpenedBy,
    /// What it held, for as long as the vault may yet be written.
    pub(super) key: Option<Material>,
    /// False once something in it was forgotten.
    pub(super) whole: bool,
    /// True if this machine has seen a later generation of it.
    pub(super) rolled_back: bool,
    /// True once remembering has failed.
    pub(super) memory_failed: bool,
    /// True once the user was warned that the fleet's store cannot be reached, and until it is reached again.
    pub(super) warned_store_away: bool,
}

impl<'a> Vault<'a> {
    /// A file that a key has opened. Nothing is checked yet.
    pub(super) fn new(file: VaultFile<'a>, payload: Payload, key: Material) -> Self {
        let VaultFile { access, real, memory, mut bytes, meta, scanned, .. } = file;
        Self {
            access,
            real,
            memory,
            file: std::mem::take(&mut *bytes),
            meta,
            armored: scanned.armored,
            payload,
            opened_by: OpenedBy::of(&key),
            key: Some(key),
            whole: true,
            rolled_back: false,
            memory_failed: false,
            warned_store_away: false,
        }
    }

    /// How it was opened.
    pub fn access(&self) -> &Access<'a> {
        &self.access
    }

    /// What is in it.
    pub fn payload(&self) -> &Payload {
        &self.payload
    }

    /// True if a change was saved on this host only, since the store was away, and has not come there since.
    pub fn is_ahead_of_the_store(&self) -> bool {
        self.warned_store_away
    }

    /// True if the vault is in a store, and the file on this host is a copy.
    pub fn is_remote(&self) -> bool {
        self.access.remote.is_some()
    }

    /// What opened it, as the user knows it: a variable, a flag or a path.
    pub fn opened_by(&self) -> &str {
        &self.opened_by.label
    }

    /// True if sops's variable opened it, so that it is not the child's business.
    pub fn opened_by_sops(&self) -> bool {
        self.opened_by.sops
    }

    /// True if the key of this recipient was among those that opened it; false for a plugin's key, whose
    /// recipient only the plugin knows.
    pub fn opened_with(&self, recipient: &str) -> bool {
        let Some(Material { kind, label, .. }) = &self.key else { return false };
        let (SecretKind::Identity(text) | SecretKind::LockedKey(text, _)) = kind else {
            return false;
        };
        let identities = sealed::parse_identities(text, label).unwrap_or_default();
        let mut recipients = identities.iter().filter_map(sealed::Identity::recipient);
        recipients.any(|known| known.to_string() == recipient)
    }

    /// True if a passphrase opened it, now or when it was unlocked.
    pub fn opened_by_passphrase(&self) -> bool {
        self.opened_by.is_passphrase
    }

    /// Forgets everything in it but these keys and seeds, and what opened it, unless a later copy may have to
    /// be pulled ([`Vault::sync`]) and opened. It cannot be changed after that.
    pub fn keep_only(&mut self, credentials: &BTreeSet<&str>, serials: &BTreeSet<&str>) {
        self.payload.keep_only(credentials, serials);
        self.whole = false;
        if self.payload.fleet().is_none() {
            self.key = None;
        }
    }

    /// Forgets what opened it, for a process that lives long: no later copy is pulled then.
    pub fn forget_key(&mut self) {
        self.key = None;
    }

    /// Checks, before a prompt, that the vault can be locked. The lock is not held during the prompt.
    /// Errors: as [`Vault::change`], as far as it is known before.
    pub fn check_writable(&self) -> Result<()> {
        self.refuse_older_copy(LASTING)?;
        lock(&self.real).map(drop)
    }

    /// Changes the latest content of the vault under the write lock, and saves all of the change or nothing.
    /// In a fleet the latest content is the store's copy; `change` is called again if another host was faster.
    ///
    /// Errors: busy (8), refused (6), not saved (7), saved but not durable (10), and those of `change`, after
    /// which nothing is written. Other (1) after [`Vault::keep_only`]. In a fleet also as [`Vault::sync`]; but
    /// if the store cannot be reached, the vault is saved on this host, with a warning.
    pub fn change<T>(&mut self, mut change: impl FnMut(&mut Payload) -> Result<T>) -> Result<T> {
        if !self.whole {
            return Err(forgotten());
        }
        self.refuse_older_copy(LASTING)?;
        let lock = lock(&self.real)?;
        self.read_again()?;
        match self.shared().transpose() {
            None => self.change_here(&lock, &mut change),
            Some(shared) => self.change_in_fleet(&lock, shared, &mut change),
        }
    }

    /// Changes what was read, and saves it.
    pub(super) fn change_here<T>(
        &mut self,
        lock: &file::Lock,
        change: &mut impl FnMut(&mut Payload) -> Result<T>,
    ) -> Result<T> {
        let before = self.payload.copy();
        let done = self.change_and_save(lock, before.pin(), change);
        if is_saved(&done) {
            self.access.remember_made(&before.passphrases(), &self.payload);
        } else {
            self.payload = before;
        }
        done
    }

    fn change_and_save<T>(
        &mut self,
        lock: &file::Lock,
        before: Pin,
        change: &mut impl FnMut(&mut Payload) -> Result<T>,
    ) -> Result<T> {
        let answer = change(&mut self.payload)?;
        self.payload.next_generation();
        self.payload.add_copy(&hash(&self.file));
        let sealed = seal(&self.payload, self.armored)?;
        if self.payload.pin() != before {
            self.announce()?;
        }
        let saved = save(lock, &self.real, &sealed, Existing::Keep(&self.meta));
        if is_saved(&saved) {
            self.remember_written();
            // It is opened again only if another process writes it.
            self.file = sealed.bytes;
        }
        saved.map(|()| answer)
    }

    /// Reads the file again, and in a fleet the store's copy.
    ///
    /// Errors: as [`Vault::open`] and [`Vault::sync`]; refused (6) if it became another vault or an older one,
    /// or is older than this machine has seen it: then it may be replaced by the newer one.
    pub fn read_back(&mut self) -> Result<&Payload> {
        self.refuse_older_copy("and what it holds may not last")?;
        self.read_again()?;
        self.sync()?;
        Ok(&self.payload)
    }

    /// Reads the file again, and opens it if another process has written it: a plugin's key may need a touch
    /// each time.
    pub(super) fn read_again(&mut self) -> Result<()> {
        let Some(key) = &self.key else {
            return Err(forgotten());
        };
        let (mut file, meta) = read(&self.real, &self.access.path)?;
        if *file == self.file {
            self.meta = meta;
            return Ok(());
        }
        let scanned = sealed::scan(&file)?;
        let opened = os::on_wiped_stack(|| try_key(&scanned, key, &self.access));
        let Unlocked { payload, .. } = opened?;
        self.check_successor(&payload)?;
        self.armored = scanned.armored;
        self.file = std::mem::take(&mut *file);
        self.meta = meta;
        self.payload = payload;
        Ok(())
    }

    /// Modes only warn on reading: age and the pin guard the content.
    pub(super) fn warn_of_modes(&self) {
        if self.meta.mode & 0o002 != 0 {
            self.access.reporter.warn(format!(
                "everybody can write the vault {} (mode {:04o})",
                self.access.path.display(),
                self.meta.mode & 0o7777
            ));
        }
        if let Some(dir) = self.real.parent().filter(|dir| file::is_unsafe_directory(dir)) {
            self.access.reporter.warn(format!(
                "everybody can replace the vault: the directory {} is world-writable without the sticky bit",
                dir.display()
            ));
        }
    }
}

/// The names of the passphrase slots in a vault's header, for which no key is needed.
/// Errors: no vault (3), damaged (5), too large (6).
pub fn slot_names(path: &Path) -> Result<Vec<String>> {
    let real = file::resolve(path).map_err(|error| no_vault(path, &error))?;
    let (file, _) = read(&real, path)?;
    Ok(sealed::scan(&file)?.slot_names())
}

/// Makes a new vault with this payload; directories on the way are made, 0700.
/// Errors: refused (6) over anything that is there already; not saved (7); busy (8); 10.
pub fn create(access: &Access, mut payload: Payload, armor: bool) -> Result<()> {
    let path = &access.path;
    let shown = path.display();
    if let Some(location) = &access.remote {
        return Err(Error::refused(format!("{location} is no file, so no vault is made there"))
            .hint(
                "make it on a host of yours, with vault init, and share it by vault fleet join",
            ));
    }
    let unwritable = |error: std::io::Error| {
        Error::not_saved(format!("cannot make {shown}: {}", os_text(&error)))
    };
    file::make_parents(path).map_err(unwritable)?;
    let real = file::resolve(path).map_err(unwritable)?;
    let lock = lock(&real)?;
    match std::fs::symlink_metadata(&real) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(unwritable(error)),
        Ok(_) => {
            return Err(Error::refused(format!("{shown} is there already; nothing was changed"))
                .hint("add to it with vault add, or name another file with --vault"));
        }
    }
    payload.next_generation();
    let sealed = seal(&payload, armor)?;
    let saved = save(&lock, &real, &sealed, Existing::New { mode: 0o600 });
    if !is_saved(&saved) {
        return saved;
    }
    access.remember_made(&[], &payload);
    if let Some(memory) = access.memory(&real)
        && let Err(why) = memory.remember(payload.pin(), payload.generation())
    {
        access.reporter.debug(format!("the fingerprint cannot be remembered: {why}"));
    }
    saved
}

fn seal(payload: &Payload, armor: bool) -> Result<sealed::Sealed> {
    let unreadable =
        |what: &str| Error::damaged(format!("the vault lists {what} that cannot be read"));
    let mut recipients = Vec::new();
    for entry in payload.recipients() {
        let recipient = sealed::parse_recipient(&entry.recipient);
        recipients.push(recipient.map_err(|_| unreadable("a recipient"))?);
    }
    let mut slots = Vec::new();
    for PassphraseEntry { public, stanza } in payload.passphrases() {
        match (sealed::parse_recipient(&public), sealed::Slot::parse(&stanza)) {
            (Ok(recipient), Ok(slot)) => slots.push((recipient, slot)),
            _ => return Err(unreadable("a passphrase slot")),
        }
    }
    sealed::seal(&payload.to_plaintext(), &recipients, &slots, armor)
}

fn save(lock: &file::Lock, real: &Path, sealed: &sealed::Sealed, existing: Existing) -> Result<()> {
    let mut verify = |bytes: &[u8]| sealed.verify(bytes);
    let replace = || file::replace(lock, real, &sealed.bytes, existing, &mut verify);
    os::on_wiped_stack(replace).map_err(|error| unsaved(real, error))
}

/// Saves what was sealed elsewhere and opened here.
pub(super) fn save_bytes(
    lock: &file::Lock,
    real: &Path,
    bytes: &[u8],
    existing: Existing,
) -> Result<()> {
    file::replace(lock, real, bytes, existing, &mut |_| true).map_err(|error| unsaved(real, error))
}

fn forgotten() -> Error {
    Error::other("the vault is not written: what was in it was forgotten")
}

/// True if it was saved, also if the disk has not confirmed it.
pub fn is_saved<T>(done: &Result<T>) -> bool {
    done.as_ref().err().is_none_or(|error| error.class == Class::NotDurable)
}

fn unsaved(real: &Path, error: ReplaceError) -> Error {
    let shown = real.display();
    match error {
        ReplaceError::NotSaved(why, hint) => {
            let what = format!("the vault {shown} was not saved: {why}");
            Error { hint: hint.map(str::to_owned), ..Error::not_saved(what) }
        }
        ReplaceError::UnsafeDirectory => Error::refused(format!(
            "everybody can write the directory of {shown} (no sticky bit), so nothing is written there"
        ))
        .hint("chmod o-w the directory"),
        ReplaceError::NotDurable(why) => {
            let what =
                format!("the vault {shown} was saved, but the disk has not confirmed it: {why}");
            Error::new(Class::NotDurable, what)
        }
    }
}

pub(super) fn lock(real: &Path) -> Result<file::Lock> {
    file::lock(real, LOCK_WAIT, "writes the vault").map_err(|error| {
        error.into_error(real, "is writing the vault", LOCK_WAIT, "the vault was not saved")
    })
}
