//! Where the vault is and how it may be opened, by the flags and variables.

use std::path::{Path, PathBuf};

use super::context::Context;
use crate::error::{Error, Result};
use crate::provider::StoreConnector;
use crate::sealed::{self, DerivationQueue};
use crate::session::Cache;
use crate::store::Location;
use crate::vault::{self, Access, Payload, Pin, Vault};

impl Context {
    /// The open vault.
    pub fn open_vault(&self) -> Result<Vault<'_>> {
        Vault::open(&self.access()?)
    }

    /// All that decides whether and how the vault is opened.
    pub fn access(&self) -> Result<Access<'_>> {
        let (path, by_default) = self.vault_file()?;
        let Self { env, places, prompt, clock, reporter, .. } = self;
        let (remote, pins, min_generation) = (self.remote()?, self.pins()?, self.min_generation()?);
        let state = self.state()?;
        let home = places.home().map(Path::to_owned);
        let host = StoreConnector { env, home, clock: *clock, reporter: *reporter };
        Ok(Access {
            path,
            remote,
            by_flag: self.global.vault.is_some(),
            by_default,
            env,
            named: &self.named,
            identity_file: places.identity_file(),
            pins,
            accepts: None,
            min_generation,
            slot_memory: state.as_ref().map(|(dir, _)| dir.clone()),
            state,
            max_passphrase_memory: self.max_passphrase_memory()?,
            derivation_queue: DerivationQueue::new(
                || places.host_dir(),
                *reporter,
                prompt.deadline(),
            ),
            prompt: *prompt,
            reporter: *reporter,
            connect: host.connect(),
        })
    }

    /// True if the user said which vault it must be.
    pub fn is_pinned(&self) -> bool {
        self.pins().is_ok_and(|pins| !pins.is_empty())
            || self.min_generation().is_ok_and(|least| least.is_some())
    }

    /// The vault's path, and whether it is the default one. For a vault in a store, the path of its copy in
    /// the cache.
    pub fn vault_file(&self) -> Result<(PathBuf, bool)> {
        let find = || match self.remote()? {
            None => self.places.vault_file(self.global.vault.as_deref(), &self.env),
            Some(location) => match self.cache_dir()? {
                Some(dir) => Ok((dir.join("vaults").join(vault::copy_name(&location)), false)),
                None => Err(Error::not_found(format!("no place for a copy of {location}"))
                    .hint("name a directory with --cache-dir or AWS_VAULT_CACHE_DIR")),
            },
        };
        self.vault_path.get_or_init(find).clone()
    }

    /// The store of the vault, if its path is an `s3://` URL.
    pub fn remote(&self) -> Result<Option<Location>> {
        let (named, by) = match &self.global.vault {
            Some(path) => (Some(path.as_os_str()), "--vault"),
            None => (self.env.get_os("AWS_VAULT_FILE"), "AWS_VAULT_FILE"),
        };
        let url = named.and_then(|text| text.to_str()).filter(|text| text.starts_with("s3://"));
        let Some(url) = url else { return Ok(None) };
        Location::parse(url).map(Some).ok_or_else(|| {
            Error::usage(format!("{by}: this is not the URL of a place in S3"))
                .hint("it is s3://BUCKET/PREFIX, with letters, digits, . _ - in the prefix")
        })
    }

    /// The directory of the cache, if there is one.
    pub fn cache_dir(&self) -> Result<Option<PathBuf>> {
        let find = || {
            let found = self.places.cache_dir(self.global.cache_dir.as_deref(), &self.env)?;
            Ok(found.map(|(path, _)| path))
        };
        self.cache_path.get_or_init(find).clone()
    }

    /// The open vault's cache of sessions and ledger of codes.
    pub fn cache(&self, payload: &Payload) -> Result<Cache> {
        let (id, key) = payload.cache_seed();
        Ok(Cache::open(self.cache_dir()?, &id, &key, self.clock, self.reporter))
    }

    /// The directory for pins and generations, and whether the user named it. Without a home it is in the
    /// cache.
    pub fn state(&self) -> Result<Option<(PathBuf, bool)>> {
        if let Some(dir) = self.places.state_dir() {
            return Ok(Some((dir.to_path_buf(), self.places.state_by().is_some())));
        }
        Ok(self.cache_dir()?.map(|dir| (dir.join("state"), false)))
    }

    /// `--pin`, otherwise the variable. An empty variable is an error: it must not turn the check off.
    pub fn pins(&self) -> Result<Vec<Pin>> {
        let mut pins = Vec::new();
        for list in &self.global.pin {
            pins.extend(Pin::parse_list(list)?);
        }
        if pins.is_empty()
            && let Some(list) =
                self.env.own("AWS_VAULT_PIN", "the fingerprint that vault pin prints")?
        {
            pins = Pin::parse_list(&list.to_string_lossy())?;
        }
        Ok(pins)
    }

    /// `--min-generation`, otherwise the variable. An empty variable is an error, as for [`Context::pins`].
    pub fn min_generation(&self) -> Result<Option<u64>> {
        if self.global.min_generation.is_some() || !self.env.is_set("AWS_VAULT_MIN_GENERATION") {
            return Ok(self.global.min_generation);
        }
        let number = self.env.get("AWS_VAULT_MIN_GENERATION").and_then(|text| text.parse().ok());
        number.map(Some).ok_or_else(|| {
            Error::usage("AWS_VAULT_MIN_GENERATION is not a number")
                .hint("give it the generation that vault pin --json prints, or unset it")
        })
    }

    /// `--max-passphrase-memory` in MiB, otherwise the variable, which must not be empty.
    pub fn max_passphrase_memory(&self) -> Result<u32> {
        const NAME: &str = "AWS_VAULT_MAX_PASSPHRASE_MEMORY";
        if let Some(mib) = self.global.max_passphrase_memory {
            return Ok(mib);
        }
        if !self.env.is_set(NAME) {
            return Ok(sealed::DEFAULT_MAX_MEMORY);
        }
        let mib = self.env.get(NAME).and_then(|text| text.parse().ok());
        mib.filter(|mib| (64..=1024).contains(mib)).ok_or_else(|| {
            Error::usage(format!("{NAME} is not a number from 64 to 1024"))
                .hint("give it the MiB that the passphrase may cost, or unset it")
        })
    }
}
