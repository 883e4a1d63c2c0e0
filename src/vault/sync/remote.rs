//! A vault in a store, named by its URL in the place of a path: `--vault s3://…`. Its copy on this
//! host is used as long as the store's is the same, or out of reach.

use zeroize::Zeroizing;

use super::OBJECT;
use super::synced_copy::SyncedCopy;
use crate::error::{Class, Error, Result, os_text};
use crate::file::{self, Existing, Meta};
use crate::os;
use crate::sealed;
use crate::store::{ETag, Location, Object, Read, Shared};
use crate::vault::access::{Access, NamedBy, SharedStore};
use crate::vault::memory::{Before, Memory};
use crate::vault::state_file::hash;
use crate::vault::store::{Vault, lock, save_bytes};
use crate::vault::vault_file::{VaultFile, read};

impl<'a> VaultFile<'a> {
    /// The vault as it is in the store; `None` if it is in none, if the copy on this host is the same, or if
    /// there is a copy and the store cannot be reached or not to be used.
    /// Errors: refused (6) where nothing says which vault it has to be: the keeper of the store could give
    /// this host any. No vault there and none here (3); damaged (5); the store cannot be reached, and
    /// there is no copy (9).
    pub fn fetch(access: &Access<'a>) -> Result<Option<Self>> {
        let Some(location) = &access.remote else { return Ok(None) };
        file::make_parents(&access.path).map_err(|error| {
            let shown = access.path.display();
            Error::other(format!("no place for a copy of {location}, {shown}: {}", os_text(&error)))
        })?;
        let real = file::resolve(&access.path)
            .map_err(|error| Error::other(format!("cannot reach the copy: {}", os_text(&error))))?;
        let memory = access.memory(&real);
        let before = Before::of(memory.as_ref());
        if access.pins.is_empty() && before.is_nothing() {
            return Err(unknown(location));
        }
        let here = match real.exists() {
            true => Some(read(&real, &access.path)?),
            false => None,
        };
        if here.is_some() && Shared::of(access.env)? == Shared::Off {
            return Ok(None);
        }
        let (object, shared) = match latest(access, location, memory.as_ref(), here.as_ref()) {
            Ok(Some(found)) => found,
            Ok(None) => return Ok(None),
            // An invalid setting is an error, not an unreachable store.
            Err(error) if here.is_some() && error.class != Class::Usage => {
                access.reporter.warn(format!("{}; its copy on this host is used", error.what));
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let bytes = Zeroizing::new(object.body);
        let scanned = match sealed::scan(&bytes) {
            Ok(scanned) => scanned,
            Err(error) => {
                let what = format!("{location}: {}", error.what);
                if here.is_none() {
                    return Err(Error { what, ..error });
                }
                let mend = super::how_to_mend(location);
                access.reporter.warn(format!("the copy on this host is used: {what} ({mend})"));
                return Ok(None);
            }
        };
        let meta = here.map_or_else(new_file, |(_, meta)| meta);
        let (access, fetched) = (access.clone(), Some((shared, object.etag)));
        Ok(Some(Self { access, real, memory, before, bytes, meta, scanned, fetched }))
    }
}

/// The store's copy, unless it is the one that is here.
fn latest(
    access: &Access,
    location: &Location,
    memory: Option<&Memory>,
    here: Option<&(Zeroizing<Vec<u8>>, Meta)>,
) -> Result<Option<(Object, SharedStore)>> {
    let Some(shared) = (access.connect)(NamedBy::Url(location))? else { return Ok(None) };
    let last = SyncedCopy::recall(memory, location);
    let last = here.and_then(|(bytes, _)| last.filter(|last| last.hash == hash(bytes)));
    let answer = shared.store.read(OBJECT, last.as_ref().map(|last| &last.version));
    match answer.map_err(|error| super::away(&shared.location, error))?.what {
        Read::Unchanged => Ok(None),
        Read::Found(object) if here.is_some_and(|(bytes, _)| **bytes == object.body) => Ok(None),
        Read::Found(object) => Ok(Some((object, shared))),
        Read::Missing => Err(Error::not_found(format!("no vault in {location}"))
            .hint("put it there by vault fleet join, on a host that has it")),
    }
}

impl Vault<'_> {
    /// Saves the fetched vault on this host, after it was opened and checked.
    /// Errors: refused (6): it is older than this host has seen it.
    pub(in crate::vault) fn keep_fetched(
        &mut self,
        shared: &SharedStore,
        version: &ETag,
    ) -> Result<()> {
        if self.rolled_back {
            return Err(Error::refused(format!(
                "the vault in {} is older than this machine has seen it",
                shared.location
            ))
            .hint("to restore the latest vault, run vault fleet pull on a host that has it"));
        }
        let kept = lock(&self.real).and_then(|lock| {
            let existing = match self.real.exists() {
                true => Existing::Keep(&self.meta),
                false => Existing::New { mode: 0o600 },
            };
            save_bytes(&lock, &self.real, &self.file, existing)
        });
        match kept {
            Ok(()) => self.remember_synced(shared, version),
            Err(error) if error.class == Class::NotDurable => {}
            Err(error) => self.access.reporter.debug(format!("no copy is kept: {}", error.what)),
        }
        Ok(())
    }
}

/// The name of the copy's file.
pub fn copy_name(location: &Location) -> String {
    format!("{}.age", hash(location.to_string().as_bytes()))
}

fn unknown(location: &Location) -> Error {
    Error::refused(format!(
        "no fingerprint is known for {location}; without one, the store's operator could put any vault \
         there"
    ))
    .hint("give its fingerprint with --pin or AWS_VAULT_PIN; on a host that has the vault, vault \
        pin prints it")
}

fn new_file() -> Meta {
    let (uid, gid) = (os::effective_uid(), 0);
    Meta { mode: 0o600, uid, gid, for_secrets: false, len: 0, object: None }
}
