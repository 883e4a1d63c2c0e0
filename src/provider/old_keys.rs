//! The keys that a vault had before they were drawn anew. The hosts of its fleet that have them go on by
//! themselves: they share no codes with those that have the new ones.

use std::collections::BTreeSet;

use crate::error::Result;
use crate::profile::{self, Profiles};
use crate::session::{FleetKeys, Timing, close_book};
use crate::vault::{Connect, NamedBy, Payload, Pin, Vault};

/// What a vault's keys were.
pub struct OldKeys {
    pin: Pin,
    fleet: FleetKeys,
}

impl OldKeys {
    /// Those of this vault.
    pub fn of(payload: &Payload) -> Self {
        Self { pin: payload.pin(), fleet: fleet_keys(payload) }
    }

    /// If the vault has others by now, and shares a store: sees to it that it is in the store, and closes
    /// there the books under the old keys, of every device that it has a seed of or a profile names.
    ///
    /// # Errors
    /// AWS (9): the store is away. As [`Vault::sync`]; as [`profile::read`].
    pub fn close(
        &self,
        vault: &mut Vault,
        connect: &Connect,
        profiles: impl FnOnce() -> Result<Profiles>,
    ) -> Result<()> {
        if vault.payload().pin() == self.pin || vault.payload().fleet().is_none() {
            return Ok(());
        }
        // Who meets a closed book is to find the new vault.
        vault.sync()?;
        let payload = vault.payload();
        let Some(shared) = connect(NamedBy::Vault(payload))? else { return Ok(()) };
        let keys = (&self.fleet, &fleet_keys(payload));
        for device in devices(payload, &profiles()?) {
            close_book(&*shared.store, keys, &device, &Timing::real())?;
        }
        Ok(())
    }
}

fn fleet_keys(payload: &Payload) -> FleetKeys {
    let (id, key) = payload.cache_seed();
    FleetKeys::new(&id, &key)
}

fn devices(payload: &Payload, profiles: &Profiles) -> BTreeSet<String> {
    let names = profiles.names();
    let named = names.iter().filter_map(|name| profile::mfa_serial(profiles, name).ok().flatten());
    payload.totp_serials().map(str::to_owned).chain(named).collect()
}
