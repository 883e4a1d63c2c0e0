//! Opening a vault, changing it, and making a new one.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::opening::{no_vault, read, try_key, unlock_with};
use super::payload::Payload;
use super::pin::{Known, Memory, Pin};
use crate::env::Env;
use crate::error::{Class, Error, Result, os_text};
use crate::file::{self, Existing, LockError, Meta, ReplaceError};
use crate::os;
use crate::prompt::Prompt;
use crate::say::Say;
use crate::sealed;
use crate::unlock::{self, Material, Named};

/// How long a writer waits for another one before it gives up (8).
const LOCK_WAIT: Duration = Duration::from_secs(45);

/// All that decides whether and how a vault is opened.
#[derive(Debug)]
pub struct Access<'a> {
    /// The vault's path, as it was named.
    pub path: PathBuf,
    /// The environment, with the unlock variables.
    pub env: &'a Env,
    /// The unlocking flags.
    pub named: &'a Named,
    /// The identity file that may lie around.
    pub identity_file: Option<PathBuf>,
    /// Explicit pins; empty if none was given.
    pub pins: Vec<Pin>,
    /// Where this machine remembers pins and generations, and whether that place was named.
    pub state: Option<(PathBuf, bool)>,
    /// How to ask for a passphrase.
    pub prompt: &'a Prompt,
    /// Where warnings go.
    pub say: Say,
}

/// An open vault.
#[derive(Debug)]
pub struct Vault<'a> {
    access: &'a Access<'a>,
    /// The file itself, symlinks resolved.
    real: PathBuf,
    file: Vec<u8>,
    meta: Meta,
    armored: bool,
    payload: Payload,
    key: Material,
    /// True if this machine has seen a later generation of it.
    rolled_back: bool,
    /// True once remembering has failed.
    no_memory: bool,
}

impl<'a> Vault<'a> {
    /// Reads, unlocks and checks the vault.
    ///
    /// # Errors
    /// No vault (3), nothing that opens it (4), damaged or too new (5), a loose key file or a wrong
    /// pin (6).
    pub fn open(access: &'a Access<'a>) -> Result<Self> {
        let real = file::resolve(&access.path).map_err(|error| no_vault(&access.path, &error))?;
        // Before the file: a writer remembers after its rename, so a file that is read afterwards is as
        // new as what is remembered here, or it was put back.
        let known = match &access.state {
            Some((dir, _)) => Memory::of(dir, &real).recall(),
            None => Ok(None),
        };
        let (file, meta) = read(&real, &access.path)?;
        let scanned = sealed::scan(&file)?;
        let has_slot = !scanned.slots.is_empty();
        let identity_file = access.identity_file.clone();
        let keys = unlock::gather(access.named, access.env, identity_file, has_slot, access.say)?;
        let (plaintext, key) = unlock_with(&scanned, keys, access)?;
        let payload = Payload::parse(&plaintext)?;
        drop(plaintext);
        access.say.debug(format!("{} opened by {}", real.display(), key.label));
        let armored = scanned.armored;
        let mut vault = Self {
            access,
            real,
            file: file.to_vec(),
            meta,
            armored,
            payload,
            key,
            rolled_back: false,
            no_memory: false,
        };
        vault.warn_of_modes();
        vault.check_pin(known)?;
        Ok(vault)
    }

    /// What is in it.
    pub fn payload(&self) -> &Payload {
        &self.payload
    }

    /// The vault's path as it was named.
    pub fn path(&self) -> &Path {
        &self.access.path
    }

    /// True if sops's variable opened it, so that it is not the child's business.
    pub fn opened_by_sops(&self) -> bool {
        self.key.sops
    }

    /// Changes the vault under the write lock: what `change` does is done to the latest content, and
    /// either all of it is saved or nothing.
    ///
    /// # Errors
    /// Busy (8), refused (6), not saved (7), saved without the disk's word for it (10), and whatever
    /// `change` says: then nothing is written.
    pub fn change<T>(&mut self, change: impl FnOnce(&mut Payload) -> Result<T>) -> Result<T> {
        if self.rolled_back {
            return Err(Error::refused(format!(
                "{} is older than this machine has seen it, and a write would make that lasting",
                self.access.path.display()
            ))
            .hint(format!("put the newer file back, or take this one: {}", self.accepting())));
        }
        let _lock = lock(&self.real)?;
        self.read_again()?;
        let answer = change(&mut self.payload)?;
        self.payload.next_generation();
        let sealed = seal(&self.payload, self.armored)?;
        let saved = save(&self.real, &sealed, Existing::Keep(&self.meta));
        if matches!(&saved, Ok(()) | Err(Error { class: Class::NotDurable, .. })) {
            self.remember();
        }
        saved.map(|()| answer)
    }

    /// Takes this vault, as it is, for the one that this machine knows.
    ///
    /// # Errors
    /// [`Class::NotSaved`] if the machine has no place to remember it.
    pub fn accept(&self) -> Result<()> {
        let not_saved = |why: String| {
            Error::not_saved(format!("the fingerprint cannot be remembered: {why}")).hint(
                "name a directory by XDG_STATE_HOME, or give --pin or AWS_VAULT_PIN each time",
            )
        };
        let memory =
            self.memory().ok_or_else(|| not_saved("there is no state directory".into()))?;
        memory.remember(self.known()).map_err(|error| not_saved(os_text(&error)))
    }

    /// Somebody may have written since this was read.
    fn read_again(&mut self) -> Result<()> {
        let (file, meta) = read(&self.real, &self.access.path)?;
        if *file == self.file {
            return Ok(());
        }
        let scanned = sealed::scan(&file)?;
        let opened = try_key(&scanned, &self.key)?;
        let payload = Payload::parse(&opened)?;
        if payload.pin() != self.payload.pin() && !self.access.pins.contains(&payload.pin()) {
            return Err(Error::refused(format!(
                "{} became another vault while this ran",
                self.access.path.display()
            )));
        }
        self.armored = scanned.armored;
        self.file = file.to_vec();
        self.meta = meta;
        self.payload = payload;
        Ok(())
    }

    fn memory(&self) -> Option<Memory> {
        self.access.state.as_ref().map(|(dir, _)| Memory::of(dir, &self.real))
    }

    fn known(&self) -> Known {
        Known { pin: self.payload.pin(), generation: self.payload.generation() }
    }

    /// Remembering is a help, not a duty: a machine without a state directory goes on without, and
    /// says so once, if that directory was named.
    fn remember(&mut self) {
        let (Some(memory), Some((dir, named))) = (self.memory(), &self.access.state) else {
            return;
        };
        if self.no_memory {
            return;
        }
        // Somebody may have written and remembered since this one was read.
        let newer = |known: Known| {
            known.pin == self.payload.pin() && known.generation > self.payload.generation()
        };
        if memory.recall().is_ok_and(|known| known.is_some_and(newer)) {
            return;
        }
        if let Err(error) = memory.remember(self.known()) {
            let text = format!(
                "the vault's fingerprint cannot be remembered in {}: {}",
                dir.display(),
                os_text(&error)
            );
            if *named {
                self.access.say.warn(text)
            } else {
                self.access.say.debug(text)
            }
            self.no_memory = true;
        }
    }

    /// `known` is what this machine remembered before the file was read.
    fn check_pin(&mut self, known: Result<Option<Known>>) -> Result<()> {
        let path = self.access.path.display();
        let here = self.known();
        let pinned = !self.access.pins.is_empty();
        if pinned && !self.access.pins.contains(&here.pin) {
            return Err(Error::refused(format!(
                "the vault {path} is not the pinned one: its fingerprint is {}",
                here.pin
            ))
            .hint("if the change is meant, pin the new fingerprint; if not, this file is forged"));
        }
        // An explicit pin outranks what is remembered, and replaces it, also what cannot be read.
        let known = match known {
            Ok(known) => known.filter(|known| !pinned || known.pin == here.pin),
            Err(_) if pinned => None,
            Err(error) => {
                return Err(error.hint(format!(
                    "compare {} with what vault pin says on another machine; if it is the same: {}",
                    here.pin,
                    self.accepting()
                )));
            }
        };
        match known {
            Some(known) if known.pin != here.pin => {
                return Err(Error::refused(format!(
                    "the vault {path} is not the one that this machine remembers: its fingerprint is {}, \
                     remembered is {}",
                    here.pin, known.pin
                ))
                .hint(format!("if the change is meant: {}", self.accepting())));
            }
            // A pin says nothing of the age, so this holds with one as well.
            Some(known) if known.generation > here.generation => {
                self.rolled_back = true;
                self.access.say.warn(format!(
                    "the vault {path} is older than this machine has seen it (write {} of it, seen was {})",
                    here.generation, known.generation
                ));
            }
            Some(known) if known.generation == here.generation => {}
            Some(_) | None => self.remember(),
        }
        Ok(())
    }

    /// The command that takes this vault for the one that is meant, to be pasted into a shell. What
    /// opened the vault belongs to it where it was named by a flag.
    fn accepting(&self) -> String {
        let mut command = format!("vault --vault {}", shell_word(&self.access.path));
        for path in &self.access.named.identities {
            command.push_str(&format!(" -i {}", shell_word(path)));
        }
        if let Some(path) = &self.access.named.passphrase_file {
            command.push_str(&format!(" --passphrase-file {}", shell_word(path)));
        }
        format!("{command} pin --accept {}", self.payload.pin())
    }

    /// Modes only warn on reading: age and the pin guard the content.
    fn warn_of_modes(&self) {
        if self.meta.mode & 0o002 != 0 {
            self.access.say.warn(format!(
                "everybody can write the vault {} (mode {:04o})",
                self.access.path.display(),
                self.meta.mode & 0o7777
            ));
        }
        if let Some(dir) = self.real.parent().filter(|dir| file::is_unsafe_directory(dir)) {
            self.access.say.warn(format!(
                "everybody can replace the vault: the directory {} is world-writable without the sticky bit",
                dir.display()
            ));
        }
    }
}

/// A path as one word of a shell's command line, quoted where it must be.
fn shell_word(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text;
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// Makes a new vault with this payload; directories on the way are made, 0700.
///
/// # Errors
/// Refused (6) over anything that is there already; not saved (7); busy (8); 10.
pub fn create(access: &Access, mut payload: Payload, armor: bool) -> Result<()> {
    let path = &access.path;
    let shown = path.display();
    let unwritable = |error: std::io::Error| {
        Error::not_saved(format!("cannot make {shown}: {}", os_text(&error)))
    };
    file::make_parents(path).map_err(unwritable)?;
    let real = file::resolve(path).map_err(unwritable)?;
    let _lock = lock(&real)?;
    match std::fs::symlink_metadata(&real) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(unwritable(error)),
        Ok(_) => {
            return Err(Error::refused(format!("{shown} is there already; nothing was changed"))
                .hint("add to it with vault add, or name another file by --vault"));
        }
    }
    payload.next_generation();
    let sealed = seal(&payload, armor)?;
    let saved = save(&real, &sealed, Existing::New { mode: 0o600 });
    if matches!(&saved, Ok(()) | Err(Error { class: Class::NotDurable, .. }))
        && let Some((dir, _)) = &access.state
    {
        let known = Known { pin: payload.pin(), generation: payload.generation() };
        if let Err(error) = Memory::of(dir, &real).remember(known) {
            access.say.debug(format!("the fingerprint cannot be remembered: {}", os_text(&error)));
        }
    }
    saved
}

fn seal(payload: &Payload, armor: bool) -> Result<sealed::Sealed> {
    let unreadable =
        |what: &str| Error::damaged(format!("the vault lists {what} that cannot be read"));
    let recipients = payload
        .recipients()
        .iter()
        .map(|entry| sealed::parse_recipient(&entry.recipient))
        .collect::<Result<Vec<_>>>()
        .map_err(|_| unreadable("a recipient"))?;
    let slots = payload
        .passphrases()
        .iter()
        .map(|entry| {
            Ok((sealed::parse_recipient(&entry.public)?, sealed::Slot::parse(&entry.stanza)?))
        })
        .collect::<Result<Vec<_>>>()
        .map_err(|_| unreadable("a passphrase slot"))?;
    let sealed = sealed::seal(&payload.to_plaintext(), &recipients, &slots, armor);
    os::wipe_stack();
    sealed
}

fn save(real: &Path, sealed: &sealed::Sealed, existing: Existing) -> Result<()> {
    let mut verify = |bytes: &[u8]| sealed.verify(bytes);
    file::replace(real, &sealed.bytes, existing, &mut verify).map_err(|error| match error {
        ReplaceError::NotSaved(why, hint) => {
            let error = Error::not_saved(format!("the vault was not saved: {why}"));
            match hint {
                Some(hint) => error.hint(hint),
                None => error,
            }
        }
        ReplaceError::UnsafeDirectory => Error::refused(format!(
            "everybody can write the directory of {} (no sticky bit), so nothing is written there",
            real.display()
        ))
        .hint("chmod o-w the directory"),
        ReplaceError::NotDurable(why) => Error::new(
            Class::NotDurable,
            format!("the vault was saved, but the disk has not confirmed it: {why}"),
        ),
    })
}

fn lock(real: &Path) -> Result<file::Lock> {
    file::lock(real, LOCK_WAIT).map_err(|error| match error {
        LockError::Busy { pid } => {
            let who =
                pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"));
            Error::busy(format!("{who} is writing the vault, waited {} s", LOCK_WAIT.as_secs()))
        }
        LockError::Io(error) => {
            let saved = Error::not_saved(format!(
                "the vault was not saved: cannot lock {}.lock: {}",
                real.display(),
                os_text(&error)
            ));
            match file::hint(&error) {
                Some(hint) => saved.hint(hint),
                None => saved,
            }
        }
    })
}
