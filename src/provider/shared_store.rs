//! The client of the store that the hosts of a fleet share. It is made when the store is asked.

use std::time::Duration;

use super::options::Request;
use super::session::CredentialSession;
use crate::aws::{Limits, S3};
use crate::credential::Credentials;
use crate::error::{Error, Result};
use crate::profile;
use crate::store::{Location, Shared};
use crate::vault::{Fleet, Payload, Vault, no_store_key};

/// The least time that temporary credentials for the store must have left: longer than a connection is
/// used.
const LEAST: Duration = Duration::from_secs(120);

impl CredentialSession<'_> {
    /// The fleet whose store this host uses: the open vault's, unless `AWS_VAULT_SHARED` names another
    /// store, or none. Nothing is opened or asked.
    ///
    /// # Errors
    /// Usage (2): the variable is neither `off` nor a store's URL.
    pub fn fleet(&self) -> Result<Option<Fleet>> {
        // Shared sessions are encrypted with the vault's own keys.
        self.vault().map_or(Ok(None), |vault| self.fleet_of(vault.payload()))
    }

    pub(super) fn fleet_of(&self, payload: &Payload) -> Result<Option<Fleet>> {
        let joined = payload.fleet();
        let store = match Shared::of(self.env)? {
            Shared::Joined => return Ok(joined),
            Shared::Off => return Ok(None),
            Shared::At(store) => store,
        };
        if let Some(joined) = joined.as_ref().filter(|joined| joined.store == store) {
            return Ok(Some(joined.clone()));
        }
        let (profile, required) = match joined {
            Some(Fleet { profile, required, .. }) => (profile, required),
            None => (None, false),
        };
        self.fleet_with(store, profile, required).map(Some)
    }

    /// A fleet of this store, which is reached with the key of a profile, else with the host's own
    /// credentials; in the region and at the endpoint that the variables, else the profile, name.
    pub(super) fn fleet_with(
        &self,
        store: Location,
        profile: Option<String>,
        required: bool,
    ) -> Result<Fleet> {
        let at = profile::store_target(&self.profiles, profile.as_deref(), None)?;
        Ok(Fleet { store, region: at.region, endpoint: at.endpoint, profile, required })
    }

    /// Goes on without the store of the fleet, if that is allowed.
    pub(super) fn go_alone(&self, why: Error) -> Result<()> {
        self.fleet.as_ref().map_or(Ok(()), |fleet| fleet.go_alone(why))
    }

    /// The client of a fleet's store. The store is not asked yet; the host's own credentials may be fetched.
    ///
    /// # Errors
    /// Not found (3): the vault has no key for the fleet's profile, or the host none of its own. Usage
    /// (2): an invalid region or endpoint URL. AWS (9): the host's credentials cannot be fetched.
    pub fn store_of(&self, fleet: &Fleet, limits: Limits) -> Result<S3> {
        self.store_by(fleet, self.vault().ok().map(Vault::payload), limits)
    }

    /// The same with the key of another vault than the open one, or with none.
    pub(super) fn store_by(
        &self,
        fleet: &Fleet,
        payload: Option<&Payload>,
        limits: Limits,
    ) -> Result<S3> {
        let Fleet { store, region, endpoint, profile, .. } = fleet;
        let profile = profile.as_deref();
        let mut target = profile::store_target(&self.profiles, profile, Some(region))?;
        target.endpoint.clone_from(endpoint);
        let key = self.store_key(profile, payload)?;
        S3::connect(store, &target, key, self.env, limits, self.reporter)
    }

    fn store_key(&self, profile: Option<&str>, payload: Option<&Payload>) -> Result<Credentials> {
        let Some(profile) = profile else {
            let request = Request { mfa_token: None, refresh: false, min_left: Some(LEAST) };
            return self.make(&profile::ambient(self.env)?, &request);
        };
        let key = payload.and_then(|payload| payload.credential(profile));
        key.ok_or_else(|| no_store_key(profile))
    }
}
