//! How a vault reaches the store that it names, or that it is in. Nothing is read or asked before it does.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::credentials::DEADLINE;
use super::options::Options;
use super::session::{CredentialSession, Parts};
use super::silent::Silent;
use super::vault_state::VaultAccess;
use crate::aws::Limits;
use crate::clock::Clock;
use crate::env::Env;
use crate::error::Result;
use crate::profile;
use crate::prompt::Prompt;
use crate::reporter::Reporter;
use crate::vault::{Connect, NamedBy, SharedStore};

/// The time limit of a request. A change waits for two of them, a new session for one.
const REQUEST: Duration = Duration::from_secs(3);
/// How long a connection is handed out. Its user may keep it until a session is made.
const HANDED_OUT: Duration = Duration::from_secs(60);

/// Connects to the store of a vault's fleet, with this host's AWS files and variables.
#[derive(Clone)]
pub struct StoreConnector<'a> {
    pub env: &'a Env,
    pub home: Option<PathBuf>,
    pub clock: Clock,
    pub reporter: Reporter,
}

/// A store that was reached: with which credentials, and until when, which is before they expire.
struct Reached {
    by: String,
    until: Instant,
    shared: SharedStore,
}

impl<'a> StoreConnector<'a> {
    /// Connects to the store of the vault's fleet, or the one that `AWS_VAULT_SHARED` names; or to one by its
    /// URL, with the host's own credentials. The connection is kept.
    pub fn connect(self) -> Connect<'a> {
        let (last, silent) = (Mutex::new(None::<Reached>), Silent::default());
        Arc::new(move |by| {
            let session = match by {
                NamedBy::Vault(payload) if payload.fleet().is_none() => return Ok(None),
                _ => self.session()?,
            };
            let (fleet, payload) = match by {
                NamedBy::Vault(payload) => (session.fleet_of(payload)?, Some(payload)),
                NamedBy::Url(location) => {
                    (Some(session.fleet_with(location.clone(), None, false)?), None)
                }
            };
            let Some(fleet) = fleet else { return Ok(None) };
            let store_id = format!("{} {} {:?}", fleet.store, fleet.region, fleet.endpoint);
            let is_silent = silent.is(&store_id);
            let profile = fleet.profile.as_deref();
            let key = profile.and_then(|profile| payload?.access_key_id(profile));
            let by = format!("{fleet:?} {key:?}");
            let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            if let Some(reached) = last.as_ref().filter(|it| it.by == by && now < it.until) {
                return Ok(Some(SharedStore { silent: is_silent, ..reached.shared.clone() }));
            }
            let until = now + HANDED_OUT;
            let limits = Limits { request: REQUEST, deadline: until + DEADLINE + REQUEST };
            let store = session.store_by(&fleet, payload, limits)?;
            let store = silent.watched(store, store_id, REQUEST);
            let store = Arc::new(store);
            let shared = SharedStore { location: fleet.store, store, silent: is_silent };
            *last = Some(Reached { by, until, shared: shared.clone() });
            Ok(Some(shared))
        })
    }

    /// A session without a vault, a cache and a person. The host's own credentials may take no longer than a
    /// request.
    fn session(&self) -> Result<CredentialSession<'a>> {
        let Self { env, home, clock, reporter } = self;
        let parts = Parts {
            profiles: profile::read(&profile::locate(env, home.as_deref()), env)?,
            vault: VaultAccess::NotNeeded,
            cache_dir: None,
            env,
            options: Options::default(),
            prompt: Prompt::new(true, Some(Instant::now() + REQUEST)),
            clock: *clock,
            reporter: *reporter,
        };
        CredentialSession::open(parts)
    }
}
