//! What a command says of the vault that it needs, and how it may be opened.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::memory::Memory;
use super::payload::Payload;
use super::pin::Pin;
use crate::env::Env;
use crate::error::Result;
use crate::process::shell_word;
use crate::prompt::Prompt;
use crate::reporter::Reporter;
use crate::sealed::DerivationQueue;
use crate::store::{Location, Store};
use crate::unlock::Named;

/// The store that a vault names, within reach.
#[derive(Clone)]
pub struct SharedStore {
    pub location: Location,
    pub store: Arc<dyn Store + Send>,
    /// True if its last request timed out, which was reported: the next one waits only briefly.
    pub silent: bool,
}

impl fmt::Debug for SharedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedStore").field("location", &self.location).finish_non_exhaustive()
    }
}

/// What names a store.
#[derive(Clone, Copy, Debug)]
pub enum NamedBy<'n> {
    /// A vault whose hosts share one, with how it is reached.
    Vault(&'n Payload),
    /// The user, in the place of a vault's path: the host's own credentials reach it.
    Url(&'n Location),
}

/// Connects to a store; `None` where the vault names none, or this host is told not to use it. An error means
/// that the store cannot be reached.
pub type Connect<'a> = Arc<dyn Fn(NamedBy) -> Result<Option<SharedStore>> + Send + Sync + 'a>;

/// All that decides whether and how a vault is opened.
#[derive(Clone)]
pub struct Access<'a> {
    /// The vault's path, as it was named; for one in a store, its copy on this host.
    pub path: PathBuf,
    /// The store that the vault is in, where that was named in the place of a path.
    pub remote: Option<Location>,
    /// True if `--vault` named it: a command that is to mean the same vault has to name it too.
    pub by_flag: bool,
    /// True if nothing named it.
    pub by_default: bool,
    /// The environment, with the unlock variables.
    pub env: &'a Env,
    pub named: &'a Named,
    /// The default identity file, which may be missing.
    pub identity_file: Option<PathBuf>,
    /// Explicit pins; empty if none was given.
    pub pins: Vec<Pin>,
    /// A fingerprint that the user accepts: it outranks the pins and what is remembered.
    pub accepts: Option<Pin>,
    /// The lowest generation that is taken, where one was given.
    pub min_generation: Option<u64>,
    /// Where this machine remembers pins, generations and slots, and whether that place was named.
    pub state: Option<(PathBuf, bool)>,
    /// The same place, to look up slots, also if nothing is remembered.
    pub slot_memory: Option<PathBuf>,
    /// The most memory that a passphrase may cost whose slot is not remembered, in MiB.
    pub max_passphrase_memory: u32,
    /// The queue of processes that try a passphrase.
    pub derivation_queue: DerivationQueue<'a>,
    pub prompt: Prompt,
    pub reporter: Reporter,
    pub connect: Connect<'a>,
}

impl Access<'_> {
    /// The vault, as the user named it.
    pub fn shown(&self) -> String {
        match &self.remote {
            Some(location) => location.to_string(),
            None => self.path.display().to_string(),
        }
    }

    /// True if the user said which vault it must be, by a pin or a generation.
    pub fn is_pinned(&self) -> bool {
        !self.pins.is_empty() || self.min_generation.is_some()
    }

    /// What a command that is advised has to be given to mean the same vault: ` --vault FILE`, or nothing.
    pub fn flag(&self) -> String {
        if self.by_flag { format!(" --vault {}", self.argument()) } else { String::new() }
    }

    /// The argument of `--vault` that names it, for a shell.
    pub(super) fn argument(&self) -> String {
        match &self.remote {
            Some(location) => location.to_string(),
            None => shell_word(&self.path.to_string_lossy()),
        }
    }

    /// What remembers the vault, where this machine has a place for it.
    pub(super) fn memory(&self, real: &Path) -> Option<Memory> {
        self.state.as_ref().map(|(dir, _)| Memory::of(dir, &self.path, real))
    }

    /// Reports that something cannot be remembered: as a warning if the user named the state directory.
    pub(super) fn report_state(&self, named: bool, text: String) {
        if named { self.reporter.warn(text) } else { self.reporter.debug(text) }
    }
}

impl fmt::Debug for Access<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access").field("path", &self.path).finish_non_exhaustive()
    }
}
