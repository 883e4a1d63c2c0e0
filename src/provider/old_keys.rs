//! The keys that a vault had before they were replaced. Hosts of its fleet that still use them share no codes
//! with those that have the new ones.

use std::collections::BTreeSet;

use crate::error::Result;
use crate::profile::{self, Profiles};
use crate::session::{FleetKeys, Timing, close_totp_claims};
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

    /// If the vault has other keys by now, and shares a store: puts it into the store, and closes there the
    /// TOTP claims under the old keys, of each device whose seed it has or that a profile names.
    ///
    /// # Errors
    /// AWS (9): the store cannot be reached. As [`Vault::sync`]; as [`profile::read`].
    pub fn close(
        &self,
        vault: &mut Vault,
        connect: &Connect,
        profiles: impl FnOnce() -> Result<Profiles>,
    ) -> Result<()> {
        if vault.payload().pin() == self.pin || vault.payload().fleet().is_none() {
            return Ok(());
        }
        // A host that finds closed claims must find the new vault.
        vault.sync()?;
        let payload = vault.payload();
        let Some(shared) = connect(NamedBy::Vault(payload))? else { return Ok(()) };
        let keys = (&self.fleet, &fleet_keys(payload));
        for device in devices(payload, &profiles()?) {
            close_totp_claims(&*shared.store, keys, &device, &Timing::real())?;
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
