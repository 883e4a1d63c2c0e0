//! Whether this is the vault that is meant, and the latest of it: explicit pins, the lowest generation
//! that is taken, and what this machine remembers.

use std::path::Path;
use std::time::{Duration, Instant};

use super::payload::Payload;
use super::pin::{Known, Memory};
use super::store::Vault;
use crate::error::{Class, Error, Result};
use crate::file;

/// How long a reader waits for a writer that has put another fingerprint into the file and has yet to
/// remember it.
const WRITER_WAIT: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(10);

impl Vault<'_> {
    /// Takes this vault for the one that this machine knows, whichever that was. The highest generation
    /// that was seen of it stays.
    ///
    /// # Errors
    /// [`crate::error::Class::NotSaved`] if the machine has no place to remember it.
    pub fn accept(&self) -> Result<()> {
        let here = self.known();
        let known = self.memory().and_then(|memory| memory.recall().ok().flatten());
        self.accept_as(
            known.filter(|known| known.pin == here.pin && self.rolled_back).unwrap_or(here),
        )
    }

    /// Takes this vault for the latest of it, however old it is.
    ///
    /// # Errors
    /// [`crate::error::Class::NotSaved`] if the machine has no place to remember it.
    pub fn accept_rollback(&self) -> Result<()> {
        self.accept_as(self.known())
    }

    fn accept_as(&self, known: Known) -> Result<()> {
        let not_saved = |why: String| {
            Error::not_saved(format!("the fingerprint cannot be remembered: {why}")).hint(
                "name a directory by XDG_STATE_HOME, or give --pin or AWS_VAULT_PIN each time",
            )
        };
        let memory =
            self.memory().ok_or_else(|| not_saved("there is no state directory".into()))?;
        memory.remember(known).map_err(not_saved)
    }

    /// Before another fingerprint is given: this machine must not take its own vault for a forged one.
    ///
    /// # Errors
    /// [`Class::NotSaved`] where something is remembered that cannot be replaced.
    pub(super) fn announce(&self) -> Result<()> {
        let Some(memory) = self.memory() else { return Ok(()) };
        match memory.announce(self.payload.pin()) {
            Err(why) if self.access.pins.is_empty() => Err(Error::not_saved(format!(
                "the vault was not saved: its new fingerprint cannot be remembered: {why}"
            ))
            .hint("name a directory by XDG_STATE_HOME, or pin the vault by --pin")),
            _ => Ok(()),
        }
    }

    fn memory(&self) -> Option<Memory> {
        self.access.state.as_ref().map(|(dir, _)| Memory::of(dir, &self.real))
    }

    fn known(&self) -> Known {
        Known { pin: self.payload.pin(), generation: self.payload.generation(), next: None }
    }

    /// Remembers what was read, where this machine still knows what it knew before: somebody may have
    /// written and remembered since.
    fn remember_read(&mut self, before: Option<Known>) {
        self.remember_by(|memory, known| memory.remember_after(before, known));
    }

    /// Remembers what was written, under the lock that it was written under.
    pub(super) fn remember_written(&mut self) {
        self.remember_by(Memory::remember);
    }

    /// Remembering is a help, not a duty: a machine without a state directory goes on without, and
    /// says so once, if that directory was named.
    fn remember_by(&mut self, remember: impl FnOnce(&Memory, Known) -> Result<(), String>) {
        let (Some(memory), Some((dir, named))) = (self.memory(), &self.access.state) else {
            return;
        };
        if self.no_memory {
            return;
        }
        if let Err(why) = remember(&memory, self.known()) {
            let text =
                format!("the vault's fingerprint cannot be remembered in {}: {why}", dir.display());
            if *named {
                self.access.say.warn(text)
            } else {
                self.access.say.debug(text)
            }
            self.no_memory = true;
        }
    }

    /// `before` is what this machine remembered before the file was read.
    pub(super) fn check_pin(&mut self, before: Result<Option<Known>>) -> Result<()> {
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
        let known = match &before {
            Ok(known) => known.filter(|known| !pinned || known.pin == here.pin),
            Err(_) if pinned => None,
            // EIO: what is there is not known, so nothing is to be put in its place.
            Err(error) if error.class != Class::Refused => return Err(error.clone()),
            Err(error) => {
                return Err(error.clone().hint(format!(
                    "compare {} with what vault pin says on another machine; if it is the same: {} --accept {}",
                    here.pin,
                    self.pin_command(),
                    here.pin
                )));
            }
        };
        // A writer of this machine got no further than its rename.
        let announced = known.is_some_and(|known| known.next == Some(here.pin));
        if let Some(known) = known.filter(|known| known.pin != here.pin && !announced) {
            // Unless a writer of this machine has given it that fingerprint since.
            if !self.was_rewritten(known) {
                return Err(Error::refused(format!(
                    "the vault {path} is not the one that this machine remembers: its fingerprint is {}, \
                     remembered is {}",
                    here.pin, known.pin
                ))
                .hint(format!(
                    "if the change is meant: {} --accept {}",
                    self.pin_command(),
                    here.pin
                )));
            }
            return self.check_min_generation();
        }
        self.check_min_generation()?;
        match known {
            // A pin says nothing of the age, so this holds with one as well.
            Some(known) if known.generation > here.generation => {
                self.rolled_back = true;
                self.access.say.warn(format!(
                    "the vault {path} is older than this machine has seen it (write {} of it, seen was {})",
                    here.generation, known.generation
                ));
            }
            Some(known) if known.generation == here.generation && !announced => {}
            Some(_) | None => self.remember_read(before.ok().flatten()),
        }
        Ok(())
    }

    fn check_min_generation(&self) -> Result<()> {
        let here = self.payload.generation();
        match self.access.min_generation {
            Some(least) if here < least => Err(Error::refused(format!(
                "the vault {} is too old: this is write {here} of it, and {least} is the least that \
                 is taken",
                self.access.path.display()
            ))
            .hint(
                "put the newer file back; if the older one is meant, say so by --min-generation or \
                 AWS_VAULT_MIN_GENERATION",
            )),
            _ => Ok(()),
        }
    }

    /// True if this machine remembers the vault's fingerprint now, where it remembered another one
    /// before the file was read: a writer remembers after its rename, before it unlocks.
    fn was_rewritten(&self, before: Known) -> bool {
        let Some(memory) = self.memory() else { return false };
        let deadline = Instant::now() + WRITER_WAIT;
        loop {
            // Before the memory: what unlocks has remembered.
            let writing = file::is_locked(&self.real);
            match memory.recall() {
                Ok(Some(now)) if now.is(self.payload.pin()) => return true,
                Ok(Some(now)) if now.pin != before.pin => return false,
                _ if !writing || Instant::now() >= deadline => return false,
                _ => std::thread::sleep(PAUSE),
            }
        }
    }

    /// What is read again, under the lock, is the same vault and no older: the one that was opened, one
    /// of the pinned, or one that a writer of this machine has made of it.
    pub(super) fn check_successor(&self, successor: &Payload) -> Result<()> {
        let pins = &self.access.pins;
        let known = || self.memory().and_then(|memory| memory.recall().ok().flatten());
        let is_meant = if successor.pin() == self.payload.pin() {
            true
        } else if pins.is_empty() {
            known().is_some_and(|known| known.is(successor.pin()))
        } else {
            pins.contains(&successor.pin())
        };
        if is_meant && successor.generation() >= self.payload.generation() {
            return Ok(());
        }
        Err(Error::refused(format!(
            "{} became another vault, or an older one, while this ran",
            self.access.path.display()
        ))
        .hint("if somebody has changed just now who may open it, do it again"))
    }

    /// The beginning of the command that takes this vault for the one that is meant, to be pasted into a
    /// shell. What opened the vault belongs to it where it was named by a flag.
    pub(super) fn pin_command(&self) -> String {
        let mut command = format!("vault --vault {}", shell_word(&self.access.path));
        for path in &self.access.named.identities {
            command.push_str(&format!(" -i {}", shell_word(path)));
        }
        if let Some(path) = &self.access.named.passphrase_file {
            command.push_str(&format!(" --passphrase-file {}", shell_word(path)));
        }
        format!("{command} pin")
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
