//! Whether this is the expected vault and its latest version: explicit pins, the least generation that is
//! accepted, and what this machine remembers.

use std::path::Path;
use std::time::{Duration, Instant};

use super::memory::{Before, Memory, Recalled};
use super::payload::Payload;
use super::pin::Pin;
use super::store::Vault;
use super::sync::how_to_mend;
use crate::error::{Error, Result};
use crate::file;
use crate::process::shell_word;
use crate::store::Location;
use crate::waiting::waiting;

/// How long a reader waits for a writer that has changed the vault's fingerprint and not yet the memory.
const WRITER_WAIT: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(10);

impl Vault<'_> {
    /// Remembers this vault in place of another one. The highest generation that was seen of it is kept.
    /// Errors: not saved (7) if it cannot be remembered.
    pub fn accept(&self) -> Result<()> {
        let (pin, here) = (self.payload.pin(), self.payload.generation());
        let known = self.memory.as_ref().and_then(|memory| memory.recall().ok());
        self.accept_as(known.map_or(here, |known| known.generation(pin).max(here)))
    }

    /// Remembers this vault as its latest version, even if it is older.
    /// Errors: not saved (7) if it cannot be remembered.
    pub fn accept_rollback(&self) -> Result<()> {
        self.accept_as(self.payload.generation())
    }

    fn accept_as(&self, generation: u64) -> Result<()> {
        let not_saved = |why: String| {
            Error::not_saved(format!("the fingerprint cannot be remembered: {why}")).hint(
                "name a directory by XDG_STATE_HOME, or give --pin or AWS_VAULT_PIN each time",
            )
        };
        let memory =
            self.memory.as_ref().ok_or_else(|| not_saved("there is no state directory".into()))?;
        memory.remember(self.payload.pin(), generation).map_err(not_saved)
    }

    /// Announces a new fingerprint before the vault is written, so that this machine does not refuse its own
    /// vault.
    /// Errors: not saved (7) if there is a memory that cannot be changed.
    pub(super) fn announce(&self) -> Result<()> {
        let Some(memory) = &self.memory else { return Ok(()) };
        match memory.announce(self.payload.pin()) {
            Err(why) if self.access.pins.is_empty() => Err(Error::not_saved(format!(
                "the vault was not saved: its new fingerprint cannot be remembered: {why}"
            ))
            .hint("name a directory by XDG_STATE_HOME, or pin the vault with --pin")),
            _ => Ok(()),
        }
    }

    /// Remembers what was written, under the same lock.
    pub(super) fn remember_written(&mut self) {
        self.remember_by(Memory::remember);
    }

    /// A failure is not an error: it is reported once, as a warning if the state directory was named.
    fn remember_by(&mut self, remember: impl FnOnce(&Memory, Pin, u64) -> Result<(), String>) {
        let (Some(memory), Some((dir, named))) = (&self.memory, &self.access.state) else {
            return;
        };
        if self.memory_failed {
            return;
        }
        if let Err(why) = remember(memory, self.payload.pin(), self.payload.generation()) {
            let text =
                format!("the vault's fingerprint cannot be remembered in {}: {why}", dir.display());
            self.access.report_state(*named, text);
            self.memory_failed = true;
        }
    }

    /// Checks the fingerprint and the generation.
    pub(super) fn check_pin(&mut self, before: Before) -> Result<()> {
        match self.access.accepts {
            Some(pin) if pin == self.payload.pin() => self.access.pins = vec![pin],
            // What is not the accepted one is at least to be the one that was meant so far.
            Some(_) => return self.check_known(before).map_err(|_| self.not_pinned()),
            None => {}
        }
        self.check_known(before)
    }

    fn check_known(&mut self, before: Before) -> Result<()> {
        let path = self.access.shown();
        let (here, generation) = (self.payload.pin(), self.payload.generation());
        let pinned = !self.access.pins.is_empty();
        if pinned && !self.access.pins.contains(&here) {
            return Err(self.not_pinned());
        }
        // An explicit pin outranks the memory and replaces it, also if that cannot be read.
        let known = match before {
            Before::Known(known) => *known,
            _ if pinned => Recalled::default(),
            Before::Unreadable(error) => return Err(error),
            Before::Damaged(error) => {
                return Err(error.hint(format!(
                    "compare {here} with what vault pin says on another machine; if it is the same: \
                     {} --accept {here}",
                    self.pin_command(),
                )));
            }
        };
        if let Some(other) = known.other_than(here).filter(|_| !pinned) {
            // A writer of this machine may have changed the fingerprint meanwhile.
            if !self.was_rewritten(other) {
                return Err(self.not_remembered(other));
            }
            return self.check_min_generation();
        }
        self.check_min_generation()?;
        // A pin does not tell the age, so this is checked with one as well.
        let seen = known.generation(here);
        if seen > generation {
            self.rolled_back = true;
            self.access.reporter.warn(format!(
                "the vault {path} is older than this machine has seen it (generation {generation}, \
                 seen: {seen})"
            ));
        }
        self.remember_by(|memory, pin, generation| memory.remember_after(&known, pin, generation));
        Ok(())
    }

    pub(super) fn not_pinned(&self) -> Error {
        let (path, here) = (self.access.shown(), self.payload.pin());
        Error::refused(format!("the vault {path} is not the pinned one: its fingerprint is {here}"))
            .hint("if you expect this change, pin the new fingerprint; if not, the file may be forged")
    }

    fn not_remembered(&self, known: Pin) -> Error {
        let (path, here) = (self.access.shown(), self.payload.pin());
        // Shows the target of a symlink, which another user may have planted.
        let leads = match self.memory.as_ref().is_some_and(Memory::has_name) {
            true => format!("; the path leads to {}", self.real.display()),
            false => String::new(),
        };
        Error::refused(format!(
            "the vault {path} is not the one that this machine remembers: its fingerprint is {here}, \
             remembered is {known}{leads}"
        ))
        .hint(format!("if the change is meant: {} --accept {here}", self.pin_command()))
    }

    pub(super) fn refuse_older_copy(&self, why: &str) -> Result<()> {
        if !self.rolled_back {
            return Ok(());
        }
        let shown = self.access.shown();
        Err(Error::refused(format!("{shown} is older than this machine has seen it, {why}")).hint(
            format!(
                "put the newer file back, or take this one: {} --accept-rollback",
                self.pin_command()
            ),
        ))
    }

    fn check_min_generation(&self) -> Result<()> {
        let here = self.payload.generation();
        match self.access.min_generation {
            Some(least) if here < least => Err(Error::refused(format!(
                "the vault {} is too old: its generation is {here}, the required minimum is {least}",
                self.access.shown()
            ))
            .hint(
                "put the newer file back; to accept the older one, lower --min-generation or \
                 AWS_VAULT_MIN_GENERATION",
            )),
            _ => Ok(()),
        }
    }

    /// True if this machine remembers the vault's fingerprint now, where it remembered another one
    /// before the file was read: a writer remembers after its rename, before it unlocks.
    fn was_rewritten(&self, before: Pin) -> bool {
        let (Some(memory), here) = (&self.memory, self.payload.pin()) else { return false };
        let deadline = Instant::now() + WRITER_WAIT;
        let what = || "another process, which writes the vault".to_owned();
        let mut shown = None;
        loop {
            // Before the memory: what unlocks has remembered.
            let writing = file::is_locked(&self.real);
            match memory.recall() {
                Ok(now) if now.is(here) => return true,
                Ok(now) if now.other_than(here).is_some_and(|other| other != before) => {
                    return false;
                }
                _ if !writing || Instant::now() >= deadline => return false,
                _ => {
                    shown.get_or_insert_with(|| waiting(what, Some(deadline)));
                    std::thread::sleep(PAUSE);
                }
            }
        }
    }

    /// What is read again, under the lock, is the same vault and no older: the one that was opened, one
    /// of the pinned, or one that a writer of this machine has made of it.
    pub(super) fn check_successor(&self, successor: &Payload) -> Result<()> {
        let pins = &self.access.pins;
        let known = || self.memory.as_ref().and_then(|memory| memory.recall().ok());
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
            "{} was replaced by another vault or an older copy while this command ran",
            self.access.shown()
        ))
        .hint("if its recipients or passphrase were changed just now, run the command again"))
    }

    /// Checks that the pulled copy is the expected vault, and no older than this machine has seen it.
    pub(super) fn check_pulled(&self, pulled: &Payload, from: &Location) -> Result<()> {
        let (pins, there) = (&self.access.pins, pulled.pin());
        let known = match &self.memory {
            Some(memory) => memory.recall()?,
            None => Recalled::default(),
        };
        let is_meant = match pins.is_empty() {
            true => there == self.payload.pin() || known.is(there),
            false => pins.contains(&there),
        };
        if !is_meant {
            return Err(Error::refused(format!(
                "the vault's copy in {from} has the fingerprint {there}, and the local vault has {}; the \
                 local vault was not changed",
                self.payload.pin()
            ))
            .hint(match pins.is_empty() {
                true => format!("if the change is meant: {} --accept {there}", self.pin_command()),
                false => "if the change is meant, pin the new fingerprint beside the old one".to_owned(),
            }));
        }
        let (here, seen) = (pulled.generation(), known.generation(there));
        let least =
            self.payload.generation().max(seen).max(self.access.min_generation.unwrap_or(0));
        if here >= least {
            return Ok(());
        }
        Err(Error::refused(format!(
            "the vault's copy in {from} is too old: its generation is {here}, the required minimum is {least}"
        ))
        .hint(format!("an older copy was put into the store: {}", how_to_mend(from))))
    }

    /// The beginning of a `vault pin` command for a shell, with the flags that named the vault and its keys.
    pub(super) fn pin_command(&self) -> String {
        let word = |path: &Path| shell_word(&path.display().to_string());
        let mut command = format!("vault --vault {}", self.access.argument());
        for path in &self.access.named.identities {
            command.push_str(&format!(" -i {}", word(path)));
        }
        if let Some(path) = &self.access.named.passphrase_file {
            command.push_str(&format!(" --passphrase-file {}", word(path)));
        }
        format!("{command} pin")
    }
}
