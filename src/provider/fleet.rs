//! The fleet of the open vault: its store, reached at the first session that needs a code, and the warnings
//! when the store cannot be used.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::env::Env;
use crate::error::{Class, Error, Result};
use crate::reporter::Reporter;
use crate::session::FleetKeys;
use crate::store::{Location, Shared};
use crate::vault::{self, Connect, NamedBy, Payload, SharedStore};

/// The fleet that the vault's hosts have joined.
pub(super) struct JoinedFleet<'a> {
    /// The store's name in warnings.
    store: Location,
    /// True if no code may be sent without the store.
    required: bool,
    connect: Connect<'a>,
    keys: FleetKeys,
    reporter: Reporter,
    /// True once the user was warned that the store cannot be reached.
    warned: AtomicBool,
    /// The highest generation of the vault that another host named.
    generation: AtomicU64,
}

impl<'a> JoinedFleet<'a> {
    /// The fleet of this vault, if it has one. The environment may name another store. The store is not
    /// asked.
    pub fn of(
        payload: &Payload,
        connect: &Connect<'a>,
        env: &Env,
        reporter: Reporter,
    ) -> Option<Box<Self>> {
        let vault::Fleet { store, required, .. } = payload.fleet()?;
        let store = match Shared::of(env) {
            Ok(Shared::At(named)) => named,
            _ => store,
        };
        let (id, key) = payload.cache_seed();
        Some(Box::new(Self {
            store,
            required,
            reporter,
            connect: Connect::clone(connect),
            keys: FleetKeys::new(&id, &key),
            warned: AtomicBool::new(false),
            generation: AtomicU64::new(0),
        }))
    }

    /// The keys for the names and contents of its objects.
    pub fn keys(&self) -> &FleetKeys {
        &self.keys
    }

    /// The store, for the requests of one session; `None` if this host shares nothing.
    pub fn store(&self, payload: &Payload) -> Result<Option<SharedStore>> {
        let reached = (self.connect)(NamedBy::Vault(payload))?;
        if reached.as_ref().is_some_and(|shared| shared.silent) {
            self.warned.store(true, Ordering::Relaxed);
        }
        Ok(reached)
    }

    /// Warns once that this host continues without the store.
    ///
    /// # Errors
    /// 9 if no code may be sent without it.
    pub fn go_alone(&self, Error { what, hint, .. }: Error) -> Result<()> {
        let store = &self.store;
        if self.required {
            let hint = hint.unwrap_or_else(|| {
                "try again when the store can be reached, or set AWS_VAULT_SHARED=off to send a \
                 code without it"
                    .to_owned()
            });
            return Err(Error::aws(format!(
                "no MFA code is sent without the fleet's store {store}: {what}"
            ))
            .hint(hint));
        }
        self.warn(format!("going on without the fleet's store {store}: {what}"), hint);
        Ok(())
    }

    /// Warns once that a session was made and is not shared.
    pub fn not_shared(&self, Error { what, hint, .. }: Error) {
        let store = &self.store;
        let what = format!(
            "the new session is kept on this host only: it was not written to the fleet's store \
             {store}: {what}"
        );
        self.warn(what, hint);
    }

    /// One outage gets one warning.
    fn warn(&self, what: String, hint: Option<String>) {
        if !self.warned.swap(true, Ordering::Relaxed) {
            let hint = hint.map_or_else(String::new, |hint| format!("; {hint}"));
            self.reporter.warn(format!("{what}{hint}"));
        }
    }

    /// True once this host went on without the store.
    pub fn is_alone(&self) -> bool {
        self.warned.load(Ordering::Relaxed)
    }

    /// Notes the generation of another host's vault.
    pub fn saw_generation(&self, generation: u64) {
        self.generation.fetch_max(generation, Ordering::Relaxed);
    }

    /// The highest that was noted; 0 if none was.
    pub fn seen_generation(&self) -> u64 {
        self.generation.load(Ordering::Relaxed)
    }
}

/// Why this host goes on alone, if it may: a wrong setting is an error.
pub(super) fn without_store(error: Error) -> Result<Error> {
    if error.class == Class::Usage { Err(error) } else { Ok(error) }
}

/// Other hosts were faster each time.
pub(super) fn fleet_is_busy() -> Error {
    Error::busy("other hosts of the fleet are using codes of the same device").hint("try again")
}
