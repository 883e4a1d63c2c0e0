//! A vault's file as it was read, before any key is tried.

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::access::{Access, SharedStore};
use super::memory::{Before, Memory};
use super::missing::{missing, no_vault, of_file};
use crate::error::{Class, Error, Result};
use crate::file::{self, Meta, ReadError};
use crate::sealed::{self, Scanned};
use crate::store::ETag;
use crate::unlock::{self, GatheredKeys};

/// The file, and what is known of it.
#[derive(Debug)]
pub(super) struct VaultFile<'a> {
    pub access: Access<'a>,
    /// Symlinks resolved.
    pub real: PathBuf,
    /// What remembers it.
    pub memory: Option<Memory>,
    /// What this machine remembered of it before it was read.
    pub before: Before,
    pub bytes: Zeroizing<Vec<u8>>,
    pub meta: Meta,
    pub scanned: Scanned,
    /// The store that it comes from, and its version there, if it is not on this host yet.
    pub fetched: Option<(SharedStore, ETag)>,
}

impl<'a> VaultFile<'a> {
    /// Reads the file, and what is remembered of it.
    /// Errors: no vault (3), damaged (5), refused (6).
    pub fn read(access: &Access<'a>) -> Result<Self> {
        let real = file::resolve(&access.path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => missing(access),
            _ => no_vault(&access.path, &error),
        })?;
        // Before the file: a writer remembers after its rename, so a file that is read afterwards is as
        // new as what is remembered here, or it was put back.
        let memory = access.memory(&real);
        let before = Before::of(memory.as_ref());
        let (bytes, meta) = read(&real, &access.path).map_err(|error| match error.class {
            Class::NotFound => missing(access),
            _ => error,
        })?;
        let scanned = sealed::scan(&bytes).map_err(|error| of_file(error, access))?;
        let access = access.clone();
        Ok(Self { access, real, memory, before, bytes, meta, scanned, fetched: None })
    }

    /// The keys that the sources give.
    pub fn keys(&self) -> Result<GatheredKeys> {
        let Access { named, env, reporter, .. } = self.access;
        let identity_file = self.access.identity_file.as_deref();
        unlock::gather(named, env, identity_file, &self.scanned.slot_names(), reporter)
    }
}

pub(super) fn read(real: &Path, named: &Path) -> Result<(Zeroizing<Vec<u8>>, Meta)> {
    let shown = named.display();
    file::read_regular(real, sealed::FILE_LIMIT).map_err(|error| match error {
        ReadError::NotFound => no_vault(named, &std::io::ErrorKind::NotFound.into()),
        ReadError::NotRegular => {
            Error::refused(format!("{shown} is not a regular file, so not a vault"))
        }
        ReadError::TooLarge => Error::refused(format!("{shown} is over 2 MiB, so not a vault")),
        ReadError::Io(error) => no_vault(named, &error),
    })
}
