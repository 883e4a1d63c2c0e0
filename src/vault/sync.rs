//! The vault's copy in the store that the hosts of a fleet share.
//!
//! A change is made to the store's copy, saved on this host, and written to the store if its copy is still the
//! one that was changed; otherwise the change is made again to the new copy. So two writers lose nothing, and a
//! change is in both places or in none; if the store cannot be reached, it is written there with the
//! next change.
//!
//! Each copy lists the copies that it was made of, so the later of two is known from them alone. This host also
//! remembers what it last synced, for copies that list none and for the store's version of it. If neither of
//! two copies was made of the other, none is replaced: each may have a key that the other lacks.

mod remote;
mod retries;
mod synced_copy;

use std::path::{Path, PathBuf};

use super::access::{NamedBy, SharedStore};
use super::opening::{Unlocked, try_key};
use super::payload::{Fleet, Payload};
use super::pin::Pin;
use super::state_file::hash;
use super::store::{Vault, is_saved, lock, save_bytes};
use crate::error::{Class, Error, Result};
use crate::file::{self, Existing};
use crate::os;
use crate::sealed;
use crate::store::{Condition, ETag, Location, Read, Shared, Store, StoreError, Written};
use retries::{PutResult, Retries};
use synced_copy::SyncedCopy;

pub use remote::copy_name;

/// The vault's name in the store.
pub const OBJECT: &str = "vault.age";

/// What a sync has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Synced {
    /// The vault names no store.
    Alone,
    /// Both were the same.
    Same,
    /// The store's copy is here now.
    Pulled,
    /// This one is in the store now.
    Pushed,
}

/// How this host's vault compares with the store's copy.
#[derive(Debug)]
enum Position {
    /// They are the same, of this version; the store's may just have been pulled.
    Same { version: ETag, pulled: bool },
    /// The store has no copy, or an ancestor of this host's.
    Ahead(Option<ETag>),
}

/// Why they were not compared, or why the store's copy is not used.
#[derive(Debug)]
enum SyncError {
    /// The store gives no answer to go by.
    Away(Error),
    /// Neither copy descends from the other.
    Diverged(Vec<u8>),
    /// The store's copy is not accepted.
    Refused(Error),
}

impl Vault<'_> {
    /// Pulls the store's copy if it is later than this one, and pushes this one if it is the later.
    /// Errors: the store cannot be reached (9). Refused (6): both were changed since they were the
    /// same; the store's copy is another vault, or older than this machine has seen it. What opens this one does not open that
    /// one (4); that one is damaged (5). Not saved (7), busy (8), 10.
    pub fn sync(&mut self) -> Result<Synced> {
        if self.keeps_out()? {
            return Ok(Synced::Alone);
        }
        let Some(shared) = self.shared()? else { return Ok(Synced::Alone) };
        if self.is_last(&shared)? {
            return Ok(Synced::Same);
        }
        let lock = lock(&self.real)?;
        self.read_again()?;
        let mut retries = Retries::default();
        loop {
            let position =
                self.fast_forward(&lock, &shared).map_err(|error| self.error_of(error))?;
            let version = match position {
                Position::Same { pulled: true, .. } => return Ok(Synced::Pulled),
                Position::Same { .. } => return Ok(Synced::Same),
                Position::Ahead(version) => version,
            };
            match self.put(&lock, &shared, version.as_ref()) {
                PutResult::Done => return Ok(Synced::Pushed),
                PutResult::Away(error) => return Err(error),
                put if retries.is_refusal(&put, &version) => return Err(refusal(&shared.location)),
                PutResult::Overtaken | PutResult::Busy => retries.pause()?,
            }
        }
    }

    /// Makes sure that a store which is to be joined has no vault, this one, or one that this was made of.
    /// Otherwise its hosts and this one would go apart.
    /// Errors: refused (6); the store gives no answer (9).
    pub fn check_free(&self, store: &dyn Store, location: &Location) -> Result<()> {
        let answer = store.read(OBJECT, None).map_err(|error| away(location, error))?;
        let Read::Found(theirs) = answer.what else { return Ok(()) };
        let there = hash(&theirs.body);
        if there == hash(&self.file) || self.payload.is_made_of(&there) {
            return Ok(());
        }
        let path = self.access.path.display();
        Err(Error::refused(format!(
            "{location} has a vault already, which is not {path}; nothing was changed"
        ))
        .hint(format!(
            "if another host of this vault has joined, copy its file to {path}: then this host shares the \
             store, too; else name another prefix"
        )))
    }

    /// The generation of a copy of this vault, as it was read from the store. Nothing is taken from it.
    /// Errors: as [`Vault::sync`] for a copy that it does not pull.
    pub fn generation_of(&self, copy: &[u8], location: &Location) -> Result<u64> {
        if copy == self.file {
            return Ok(self.payload.generation());
        }
        Ok(self.open_theirs(copy, location)?.0.generation())
    }

    /// Suppresses the warning that the store cannot be reached: [`Vault::sync`] follows with other settings.
    pub fn expect_sync(&mut self) {
        self.warned_store_away = true;
    }

    /// Pulls the store's copy, whose fingerprint was accepted, and remembers it in place of this one's.
    /// Errors: as [`Vault::sync`]; refused (6) if the store's copy has yet another fingerprint.
    pub fn pull_accepted(&mut self, pin: Pin) -> Result<Synced> {
        self.access.pins = vec![pin];
        let done = self.sync()?;
        match self.payload.pin() == pin {
            true => Ok(done),
            false if done == Synced::Alone => Err(self.not_pinned()),
            false => Err(Error::refused(format!(
                "neither the vault {} nor its copy in the store has the fingerprint {pin}",
                self.access.shown()
            ))),
        }
    }

    /// True if the vault is in a store that this host is told not to use (`AWS_VAULT_SHARED=off`).
    fn keeps_out(&self) -> Result<bool> {
        Ok(self.access.remote.is_some() && Shared::of(self.access.env)? == Shared::Off)
    }

    /// The store that the vault names, or is in.
    pub(super) fn shared(&self) -> Result<Option<SharedStore>> {
        if self.keeps_out()? {
            let shown = self.access.shown();
            return Err(Error::refused(format!(
                "AWS_VAULT_SHARED=off, but the vault is in {shown}"
            ))
            .hint("to change it, run the command without AWS_VAULT_SHARED=off"));
        }
        let by = match &self.access.remote {
            Some(location) => NamedBy::Url(location),
            None => NamedBy::Vault(&self.payload),
        };
        match (self.access.connect)(by)? {
            Some(shared) if shared.silent => Err(silent(&shared.location)),
            shared => Ok(shared),
        }
    }

    /// Changes the store's copy and this one. `shared`: the store, or why it cannot be reached.
    /// Errors: as [`Vault::change`] and, but for a store that cannot be reached, [`Vault::sync`].
    pub(super) fn change_in_fleet<T>(
        &mut self,
        lock: &file::Lock,
        shared: Result<SharedStore>,
        change: &mut impl FnMut(&mut Payload) -> Result<T>,
    ) -> Result<T> {
        let shared = match shared {
            Ok(shared) => shared,
            // An invalid setting is an error, not an unreachable store.
            Err(why) if why.class == Class::Usage => return Err(why),
            Err(why) => return self.change_alone(lock, change, why),
        };
        let mut retries = Retries::default();
        loop {
            let version = match self.fast_forward(lock, &shared) {
                Ok(Position::Same { version, .. }) => Some(version),
                Ok(Position::Ahead(version)) => version,
                Err(SyncError::Away(why)) => return self.change_alone(lock, change, why),
                Err(error) => return Err(self.error_of(error)),
            };
            let (bytes, payload) = (self.file.clone(), self.payload.copy());
            let done = self.change_here(lock, change);
            if !is_saved(&done) {
                return done;
            }
            let put = match self.put(lock, &shared, version.as_ref()) {
                put if retries.is_refusal(&put, &version) => {
                    PutResult::Away(refusal(&shared.location))
                }
                put => put,
            };
            match put {
                PutResult::Done => return done,
                PutResult::Away(why) if self.access.remote.is_some() => {
                    self.replace(lock, bytes, payload)?;
                    return Err(why);
                }
                PutResult::Away(why) => {
                    self.warn_of(&why, payload.fleet());
                    return done;
                }
                PutResult::Overtaken | PutResult::Busy => {
                    self.replace(lock, bytes, payload)?;
                    retries.pause()?;
                }
            }
        }
    }

    fn change_alone<T>(
        &mut self,
        lock: &file::Lock,
        change: &mut impl FnMut(&mut Payload) -> Result<T>,
        why: Error,
    ) -> Result<T> {
        // The copy in a cache is no place for the only one.
        if self.access.remote.is_some() {
            return Err(why);
        }
        let before = self.payload.fleet();
        let done = self.change_here(lock, change);
        if is_saved(&done) {
            self.warn_of(&why, before);
        }
        done
    }

    /// Warns once that the store cannot be reached. `before`: its fleet; the change may have left it.
    fn warn_of(&mut self, why: &Error, before: Option<Fleet>) {
        if std::mem::replace(&mut self.warned_store_away, true) {
            return;
        }
        let now = self.payload.fleet();
        let same = before.zip(now.as_ref()).is_some_and(|(before, now)| before.shares_with(now));
        let then = if same {
            "the vault is saved on this host only, and goes to the store with the next change or by vault fleet pull"
        } else if now.is_none() {
            "the vault is saved on this host only, and the other hosts share the store until they have this file"
        } else {
            "the other hosts share that store until they have this file"
        };
        self.access.reporter.warn(format!("{}; {then}", why.what));
    }

    /// True if the store still has what this host last synced, and that is what was read here. It is asked
    /// without the lock: a store that hangs keeps no other process waiting.
    fn is_last(&self, shared: &SharedStore) -> Result<bool> {
        let last = SyncedCopy::recall(self.memory.as_ref(), &shared.location);
        let Some(last) = last.filter(|last| last.hash == hash(&self.file)) else {
            return Ok(false);
        };
        let answer = shared.store.read(OBJECT, Some(&last.version));
        let answer = answer.map_err(|error| away(&shared.location, error))?;
        Ok(matches!(answer.what, Read::Unchanged))
    }

    /// Compares this vault with the store's copy, and takes that one if it is later.
    fn fast_forward(
        &mut self,
        lock: &file::Lock,
        shared: &SharedStore,
    ) -> Result<Position, SyncError> {
        let last = SyncedCopy::recall(self.memory.as_ref(), &shared.location);
        let here = hash(&self.file);
        let same = last.as_ref().filter(|last| last.hash == here);
        let answer = shared.store.read(OBJECT, same.map(|same| &same.version));
        let answer = answer.map_err(|error| SyncError::Away(away(&shared.location, error)))?;
        let theirs = match (answer.what, same) {
            (Read::Unchanged, Some(same)) => {
                return Ok(Position::Same { version: same.version.clone(), pulled: false });
            }
            (Read::Found(theirs), _) => theirs,
            (Read::Missing | Read::Unchanged, _) => return Ok(Position::Ahead(None)),
        };
        let (version, there) = (theirs.etag, hash(&theirs.body));
        if there == here {
            self.remember_synced(shared, &version);
            return Ok(Position::Same { version, pulled: false });
        }
        // An older copy that was put back here is not what was made of the store's.
        let is_last = |hash: &str| last.as_ref().is_some_and(|last| last.hash == hash);
        if self.payload.is_made_of(&there) || is_last(&there) && !self.rolled_back {
            return Ok(Position::Ahead(Some(version)));
        }
        let (payload, armored) =
            self.open_theirs(&theirs.body, &shared.location).map_err(SyncError::Refused)?;
        if !payload.is_made_of(&here) && !is_last(&here) {
            return Err(SyncError::Diverged(theirs.body));
        }
        self.replace(lock, theirs.body, payload).map_err(SyncError::Refused)?;
        (self.armored, self.rolled_back, self.whole) = (armored, false, true);
        self.remember_synced(shared, &version);
        Ok(Position::Same { version, pulled: true })
    }

    /// Opens the store's copy by what opened this vault, and checks that it is the same vault and no older.
    fn open_theirs(&self, bytes: &[u8], location: &Location) -> Result<(Payload, bool)> {
        let of = |error| not_opened(error, location);
        let Some(key) = &self.key else {
            return Err(Error::other("the vault is not pulled: what opened it was forgotten"));
        };
        let scanned = sealed::scan(bytes).map_err(of)?;
        let opened = os::on_wiped_stack(|| try_key(&scanned, key, &self.access)).map_err(of)?;
        let Unlocked { payload, .. } = opened;
        self.check_pulled(&payload, location)?;
        Ok((payload, scanned.armored))
    }

    /// Puts what was opened in the place of what is here.
    fn replace(&mut self, lock: &file::Lock, bytes: Vec<u8>, payload: Payload) -> Result<()> {
        let before = std::mem::replace(&mut self.payload, payload);
        let announced = match self.payload.pin() == before.pin() {
            true => Ok(()),
            false => self.announce(),
        };
        let saved = announced
            .and_then(|()| save_bytes(lock, &self.real, &bytes, Existing::Keep(&self.meta)));
        if !is_saved(&saved) {
            self.payload = before;
            return saved;
        }
        self.file = bytes;
        self.remember_written();
        saved
    }

    /// Writes this vault to the store, in the place of this version.
    fn put(
        &mut self,
        lock: &file::Lock,
        shared: &SharedStore,
        version: Option<&ETag>,
    ) -> PutResult {
        let condition = version.map_or(Condition::Absent, Condition::Is);
        match shared.store.write(OBJECT, &self.file, condition).map(|answer| answer.what) {
            Ok(Written::Done(version)) => {
                self.remember_synced(shared, &version);
                self.warned_store_away = false;
                PutResult::Done
            }
            Ok(Written::Refused) => PutResult::Overtaken,
            Ok(Written::Again) => PutResult::Busy,
            Err(error @ StoreError::Failed { .. }) => {
                PutResult::Away(away(&shared.location, error))
            }
            // It was written, and perhaps changed by another host since, or it was not.
            Err(error @ StoreError::Unknown(_)) => match self.fast_forward(lock, shared) {
                Ok(Position::Same { .. }) => PutResult::Done,
                Ok(Position::Ahead(now)) if now.as_ref() == version => {
                    PutResult::Away(away(&shared.location, error))
                }
                Err(SyncError::Away(why)) => PutResult::Away(why),
                _ => PutResult::Overtaken,
            },
        }
    }

    /// A failure is no error: the copies tell by themselves.
    fn remember_synced(&self, shared: &SharedStore, version: &ETag) {
        let copy = SyncedCopy { hash: hash(&self.file), version: version.clone() };
        if let Some(memory) = &self.memory
            && let Err(why) = copy.remember(memory, &shared.location)
        {
            self.access.reporter.debug(format!("what was synced cannot be remembered: {why}"));
        }
    }

    fn error_of(&self, error: SyncError) -> Error {
        match error {
            SyncError::Away(error) | SyncError::Refused(error) => error,
            SyncError::Diverged(theirs) => self.diverged(&theirs),
        }
    }

    /// The store's copy is kept beside this vault.
    fn diverged(&self, theirs: &[u8]) -> Error {
        let path = self.access.path.display();
        let error = Error::refused(format!(
            "the vault {path} and its copy in the store were both changed since they were the same; \
             nothing was replaced"
        ));
        match file::replace_quickly(&theirs_beside(&self.real), theirs, 0o600) {
            Ok(()) => error.hint(format!(
                "the store's copy is {path}.theirs: rename it to {path} with mv, and repeat \
                 the changes of this host"
            )),
            Err(_) => {
                error.hint(
                    "put the store's copy in the place of this vault, and repeat the changes of this host",
                )
            }
        }
    }
}

/// The error for a copy in the store that is damaged, or that nothing here opens, with what to do.
fn not_opened(error: Error, location: &Location) -> Error {
    let hint = match error.class {
        Class::Damaged => Some(format!(
            "update vault if another host has a later version; else {}",
            how_to_mend(location)
        )),
        Class::Locked => Some(LOCKED.to_owned()),
        _ => error.hint,
    };
    Error { what: format!("the vault's copy in {location}: {}", error.what), hint, ..error }
}

const LOCKED: &str = "another host has removed what opens this vault, or another vault was put \
                      there; with AWS_VAULT_SHARED=off this host continues with its own copy";

/// What to do about a copy in the store that no host takes.
pub(super) fn how_to_mend(location: &Location) -> String {
    format!(
        "remove {location}/{OBJECT}: then vault fleet pull, on the host that has the latest vault, puts \
         that there"
    )
}

/// Where the store's copy is put if neither is made of the other. `vault` is the file itself, no link.
pub fn theirs_beside(vault: &Path) -> PathBuf {
    let mut path = vault.as_os_str().to_owned();
    path.push(".theirs");
    path.into()
}

/// The error for a store whose last request timed out.
fn silent(location: &Location) -> Error {
    Error::aws(format!("the store {location} gave no answer just now"))
}

fn refusal(location: &Location) -> Error {
    Error::aws(format!("the store {location} refuses a valid conditional write"))
        .hint("vault fleet check shows which conditional write fails")
}

/// The store gives no answer to go by.
fn away(location: &Location, error: StoreError) -> Error {
    let error = Error::from(error);
    Error { what: format!("the store {location}: {}", error.what), ..error }
}

#[cfg(test)]
mod tests;
