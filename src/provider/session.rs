//! The value that a command makes, uses and drops: the AWS files, the vault if it is open, the cache, and what
//! the command line asks for.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::fleet::JoinedFleet;
use super::options::Options;
use super::vault_state::{VaultAccess, VaultState};
use crate::clock::Clock;
use crate::env::Env;
use crate::error::{Class, Result};
use crate::os;
use crate::profile::{self, Base, Console, Plan, PlanRequest, Profiles, Step};
use crate::prompt::Prompt;
use crate::reporter::Reporter;
use crate::session::Cache;
use crate::vault::Vault;

/// What a session is made of.
pub struct Parts<'a, 'n> {
    pub profiles: Profiles,
    pub vault: VaultAccess<'a, 'n>,
    /// Where sessions are kept, if there is a place.
    pub cache_dir: Option<PathBuf>,
    pub env: &'a Env,
    pub options: Options,
    pub prompt: Prompt,
    pub clock: Clock,
    pub reporter: Reporter,
}

/// Makes credentials.
pub struct CredentialSession<'a> {
    pub(super) profiles: Profiles,
    pub(super) env: &'a Env,
    pub(super) vault: VaultState<'a>,
    /// On the heap, since a move leaves a copy on the stack, and it holds keys.
    pub(super) cache: Box<Cache>,
    pub(super) fleet: Option<Box<JoinedFleet<'a>>>,
    /// True once AWS was asked, since the cache had no session.
    pub(super) missed: AtomicBool,
    /// The keys of the sessions that [`Options::refresh`] has made anew in this process.
    refreshed: Mutex<BTreeSet<Vec<String>>>,
    pub(super) options: Options,
    pub(super) prompt: Prompt,
    pub(super) clock: Clock,
    pub(super) reporter: Reporter,
}

impl<'a> CredentialSession<'a> {
    /// Opens the vault, if it is needed. What that leaves on the stack is overwritten.
    ///
    /// # Errors
    /// As [`Vault::open`]: of a vault that is needed, and of one that was named.
    pub fn open(parts: Parts<'a, '_>) -> Result<Self> {
        os::on_wiped_stack(|| {
            let Parts { profiles, vault, cache_dir, env, options, prompt, clock, reporter } = parts;
            let vault = VaultState::open(vault, &profiles, &options, reporter)?;
            let (fleet, cache) = match &vault {
                VaultState::Open(vault) => {
                    let (payload, connect) = (vault.payload(), &vault.access().connect);
                    let (id, key) = payload.cache_seed();
                    let cache = Cache::open(cache_dir, &id, &key, clock, reporter);
                    (JoinedFleet::of(payload, connect, env, reporter), cache)
                }
                _ => (None, Cache::without_vault(cache_dir, clock, reporter)),
            };
            Ok(Self {
                profiles,
                env,
                vault,
                cache: Box::new(cache),
                fleet,
                missed: AtomicBool::new(false),
                refreshed: Mutex::default(),
                options,
                prompt,
                clock,
                reporter,
            })
        })
    }

    /// The plan for a profile, as pure data.
    ///
    /// # Errors
    /// No such profile, no credentials for it, or no vault (3); usage (2); a loop (1).
    pub fn plan(&self, profile: &str) -> Result<Plan> {
        let request = self.plan_request(profile);
        self.or_why_no_vault(profile::plan(&self.profiles, &self.stored(), &request))
    }

    /// The plan for the console of a profile, as pure data. `path`: the page.
    ///
    /// # Errors
    /// As [`CredentialSession::plan`], and as [`profile::console`].
    pub fn plan_console(&self, profile: &str, path: Option<&str>) -> Result<Console> {
        let request = self.plan_request(profile);
        let planned = profile::console(&self.profiles, &self.stored(), &request, path);
        self.or_why_no_vault(planned)
    }

    /// The same for the keys in the environment's variables, with the settings of a profile.
    pub fn plan_console_of_environment(
        &self,
        profile: &str,
        path: Option<&str>,
    ) -> Result<Console> {
        profile::console_of_environment(&self.profiles, &self.plan_request(profile), path)
    }

    fn plan_request(&self, profile: &str) -> PlanRequest {
        let payload = self.vault().ok().map(Vault::payload);
        let seeds = payload.into_iter().flat_map(|payload| payload.totp_serials());
        self.options.plan_request(profile, seeds.map(str::to_owned).collect())
    }

    /// The profiles that have a key in the vault.
    fn stored(&self) -> BTreeSet<String> {
        let payload = self.vault().ok().map(Vault::payload);
        let names = payload.into_iter().flat_map(|payload| payload.credential_names());
        names.map(str::to_owned).collect()
    }

    /// Where a key was not found since the vault is missing, the error says that.
    fn or_why_no_vault<T>(&self, planned: Result<T>) -> Result<T> {
        match (planned, &self.vault) {
            (Err(error), VaultState::Missing(why)) if error.class == Class::NotFound => {
                Err(why.clone())
            }
            (planned, _) => planned,
        }
    }

    /// Wipes what opened the vault, and its content but the keys and seeds of these plans, and the key of
    /// the store that hosts share.
    pub fn keep_only<'p>(&mut self, plans: impl IntoIterator<Item = &'p Plan>) {
        let (mut keys, mut devices) = (BTreeSet::new(), BTreeSet::new());
        for plan in plans.into_iter().flat_map(Plan::all) {
            if let Base::Vault { profile } = &plan.base {
                keys.insert(profile.as_str());
            }
            devices.extend(plan.steps.iter().filter_map(Step::mfa).map(|mfa| mfa.serial.as_str()));
        }
        let fleet = self.vault().ok().and_then(|vault| vault.payload().fleet());
        keys.extend(fleet.as_ref().and_then(|fleet| fleet.profile.as_deref()));
        if let VaultState::Open(vault) = &mut self.vault {
            vault.keep_only(&keys, &devices);
        }
        if devices.is_empty() {
            self.fleet = None;
        }
        self.env.forget_unlock(!self.opened_by_sops());
    }

    /// From now on no person is asked, and a code that was given is not used again.
    #[must_use]
    pub fn unattended(mut self) -> Self {
        if let VaultState::Open(vault) = &mut self.vault {
            vault.forget_key();
        }
        self.options.mfa_token = None;
        self.prompt = Prompt::new(true, None);
        self
    }

    pub fn profiles(&self) -> &Profiles {
        &self.profiles
    }

    /// True if sops's variable opened the vault, so that no child gets it.
    pub fn opened_by_sops(&self) -> bool {
        self.vault().is_ok_and(Vault::opened_by_sops)
    }

    /// The open vault.
    pub fn vault(&self) -> Result<&Vault<'a>> {
        match &self.vault {
            VaultState::Open(vault) => Ok(vault),
            state => Err(state.why_not_open()),
        }
    }

    /// The same, to change it.
    pub fn vault_mut(&mut self) -> Result<&mut Vault<'a>> {
        match &mut self.vault {
            VaultState::Open(vault) => Ok(vault),
            state => Err(state.why_not_open()),
        }
    }

    pub(super) fn refreshed(&self) -> MutexGuard<'_, BTreeSet<Vec<String>>> {
        self.refreshed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sessions, and the codes that were used.
    pub fn cache(&self) -> &Cache {
        &self.cache
    }

    pub fn clock(&self) -> Clock {
        self.clock
    }

    pub fn reporter(&self) -> Reporter {
        self.reporter
    }
}
