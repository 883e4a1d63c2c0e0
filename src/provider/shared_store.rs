//! The client of the store that the hosts of a fleet share: made only where something is asked of it.

use std::time::Duration;

use super::session::{CredentialSession, Request};
use crate::aws::{Limits, S3};
use crate::credential::Credentials;
use crate::error::Result;
use crate::profile;
use crate::session::FleetFailure;
use crate::store::{Location, Shared};
use crate::vault::{Fleet, Payload, Vault, no_store_key};

/// The least time that temporary credentials for the store must have left: longer than a connection is
/// handed out and used.
const LEAST: Duration = Duration::from_secs(120);

impl CredentialSession<'_> {
    /// The fleet whose store this host uses: the open vault's, unless `AWS_VAULT_SHARED` names another
    /// store, or none. Nothing is opened or asked.
    ///
    /// # Errors
    /// Usage (2): the variable is neither `off` nor a store's URL.
    pub fn fleet(&self) -> Result<Option<Fleet>> {
        // What is shared is sealed by the vault's own keys.
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
        let at = profile::store_target(&self.profiles, self.env, profile.as_deref(), None)?;
        let (region, endpoint) = (at.region, at.endpoint);
        Ok(Some(Fleet { store, region, endpoint, profile, required }))
    }

    /// Says once that this host goes on without the store of its fleet.
    ///
    /// # Errors
    /// 9 if no code is to be sent without it.
    pub(super) fn go_alone(&self, alone: FleetFailure) -> Result<()> {
        let Some(fleet) = &self.fleet else { return Ok(()) };
        fleet.go_alone(alone, self.named_store().as_ref(), self.reporter)
    }

    /// Says once that a session was made and is not shared.
    pub(super) fn not_shared(&self, alone: FleetFailure) {
        if let Some(fleet) = &self.fleet {
            fleet.not_shared(alone, self.named_store().as_ref(), self.reporter);
        }
    }

    fn named_store(&self) -> Option<Location> {
        self.fleet().ok().flatten().map(|fleet| fleet.store)
    }

    /// A store that only its URL names: in the region and at the endpoint that the variables name, by the
    /// host's own credentials.
    pub(super) fn fleet_at(&self, store: &Location) -> Result<Fleet> {
        let at = profile::store_target(&self.profiles, self.env, None, None)?;
        let (region, endpoint, store) = (at.region, at.endpoint, store.clone());
        Ok(Fleet { store, region, endpoint, profile: None, required: false })
    }

    /// The client of a fleet's store. Of the store nothing is asked yet; of this host, its own
    /// credentials.
    ///
    /// # Errors
    /// Not found (3): the vault has no key for the fleet's profile, or the host none of its own. Usage
    /// (2): a region or an endpoint URL that cannot be one. AWS (9): the host's credentials cannot be had.
    pub fn store_of(&self, fleet: &Fleet, limits: Limits) -> Result<S3> {
        self.store_by(fleet, self.vault().ok().map(Vault::payload), limits)
    }

    /// The same by the key of another vault than the open one, or by none.
    pub(super) fn store_by(
        &self,
        fleet: &Fleet,
        payload: Option<&Payload>,
        limits: Limits,
    ) -> Result<S3> {
        let Fleet { store, region, endpoint, profile, .. } = fleet;
        let profile = profile.as_deref();
        let mut target = profile::store_target(&self.profiles, self.env, profile, Some(region))?;
        target.endpoint.clone_from(endpoint);
        let key = self.store_key(profile, payload)?;
        S3::connect(store, &target, key, self.env, limits, self.reporter)
    }

    fn store_key(&self, profile: Option<&str>, payload: Option<&Payload>) -> Result<Credentials> {
        let Some(profile) = profile else {
            let request = Request { mfa_token: None, refresh: false, min_left: Some(LEAST) };
            return self.make(profile::ambient(self.env)?, &request);
        };
        let key = payload.and_then(|payload| payload.credential(profile));
        key.ok_or_else(|| no_store_key(profile))
    }
}
