//! The value that a command makes, uses and drops: the AWS files, the vault if it is open, the cache, and what
//! the command line asks for.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::fleet::JoinedFleet;
use crate::aws::{Oidc, Portal, Sts};
use crate::clock::Clock;
use crate::env::Env;
use crate::error::{Class, Error, Result};
use crate::name::ProfileName;
use crate::os;
use crate::profile::{self, Base, Console, Plan, PlanRequest, Profiles, Step, Target};
use crate::prompt::Prompt;
use crate::reporter::Reporter;
use crate::secret::Secret;
use crate::session::Cache;
use crate::unlock;
use crate::vault::{Access, Opening, Vault};

/// What the command line asks for, of every profile.
#[derive(Debug, Default)]
pub struct Options {
    /// `--no-session`.
    pub no_session: bool,
    /// `--duration`.
    pub duration: Option<Duration>,
    /// `--region`.
    pub region: Option<String>,
    /// `--mfa-token`.
    pub mfa_token: Option<Secret>,
    /// `--refresh`: no session from before this process.
    pub refresh: bool,
    /// `AWS_MIN_TTL`: the least time that a cached session must have left.
    pub min_left: Option<Duration>,
}

/// What is wanted of one run.
pub(super) struct Request<'a> {
    /// A code that was given.
    pub mfa_token: Option<&'a Secret>,
    /// No session from before this run.
    pub refresh: bool,
    /// The least time that a cached session must have left.
    pub min_left: Option<Duration>,
}

/// What a session is made of.
pub struct Parts<'a> {
    pub profiles: Profiles,
    /// Where the vault is and what may open it, or why there is no place for one.
    pub access: Result<Access<'a>>,
    /// True if the user named the vault's path.
    pub vault_is_named: bool,
    /// True if the user said which vault it must be, by a pin or a generation.
    pub vault_is_pinned: bool,
    /// Where sessions are kept, if there is a place.
    pub cache_dir: Option<PathBuf>,
    pub env: &'a Env,
    pub options: Options,
    pub prompt: Prompt,
    pub clock: Clock,
    pub reporter: Reporter,
}

/// What needs the vault.
#[derive(Clone, Copy, Debug)]
pub enum Need<'n> {
    /// The command itself.
    Vault,
    /// Those of these profiles that take something from it.
    Profiles(&'n [ProfileName]),
    Nothing,
}

#[derive(Debug)]
pub enum VaultState<'a> {
    Open(Box<Vault<'a>>),
    NotNeeded,
    /// There is none, or no key source opens it, and no profile that was asked for needs it.
    Missing(Error),
}

impl<'a> VaultState<'a> {
    /// Opens the vault, which may be missing or stay locked if none of the profiles needs it: then no
    /// passphrase is asked for. A path, a key source and a pin that the user named must hold.
    fn optional(parts: &Parts<'a>, profiles: &[ProfileName]) -> Result<Self> {
        let Parts { access, env, reporter, .. } = parts;
        let opened = access.as_ref().map_err(Error::clone).and_then(Vault::open_without_prompt);
        let missing = match opened {
            Ok(Opening::Open(vault, _)) => return Ok(Self::Open(vault)),
            Ok(Opening::Locked(locked)) => {
                if locked.is_named() || !need_no_vault(parts, profiles) {
                    return locked.ask().map(|vault| Self::Open(Box::new(vault)));
                }
                let named = access.as_ref().is_ok_and(|it| unlock::is_named(it.named, env));
                let error = locked.into_error();
                if error.class != Class::Locked || named {
                    return Err(error);
                }
                error
            }
            Err(error) if error.class == Class::NotFound && !parts.vault_is_named => error,
            Err(error) => return Err(error),
        };
        // A user who says which vault it must be wants that one: a vault that stays locked must not silently
        // lead to another identity.
        if parts.vault_is_pinned {
            return Err(missing);
        }
        reporter.debug(format!("going on without a vault: {}", missing.what));
        Ok(Self::Missing(missing))
    }

    fn why_not_open(&self) -> Error {
        match self {
            Self::Missing(why) => why.clone(),
            Self::Open(_) | Self::NotNeeded => {
                Error::other("the vault was not opened, since it is not needed")
            }
        }
    }
}

/// True if none of these profiles takes anything from a vault, unless the vault has a key for it, which comes
/// first.
fn need_no_vault(parts: &Parts, profiles: &[ProfileName]) -> bool {
    profiles.iter().all(|name| {
        let request = plan_request(&parts.options, name.as_str(), BTreeSet::new());
        profile::plan(&parts.profiles, parts.env, &BTreeSet::new(), &request)
            .is_ok_and(|plan| plan.needs_no_vault())
    })
}

fn plan_request(options: &Options, profile: &str, seeds: BTreeSet<String>) -> PlanRequest {
    PlanRequest {
        profile: profile.to_owned(),
        no_session: options.no_session,
        duration: options.duration,
        region: options.region.clone(),
        mfa_token_given: options.mfa_token.is_some(),
        seeds,
    }
}

/// The endpoint that a plan's calls to one of AWS's services go to.
pub struct ServiceEndpoint {
    /// The service's name in AWS's settings.
    pub service: &'static str,
    /// Host and port.
    pub host_port: String,
    /// True for one that the settings name; false for one of the SDK's rules.
    pub named: bool,
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
    pub fn open(parts: Parts<'a>, need: Need) -> Result<Self> {
        os::on_wiped_stack(|| {
            let vault = match need {
                Need::Nothing => VaultState::NotNeeded,
                Need::Profiles(profiles) => VaultState::optional(&parts, profiles)?,
                Need::Vault => {
                    let access = parts.access.as_ref().map_err(Error::clone)?;
                    VaultState::Open(Box::new(Vault::open(access)?))
                }
            };
            let fleet = match (&vault, &parts.access) {
                (VaultState::Open(vault), Ok(access)) => {
                    JoinedFleet::of(vault.payload(), &access.connect, parts.env, parts.reporter)
                }
                _ => None,
            };
            let Parts { profiles, cache_dir, env, options, prompt, clock, reporter, .. } = parts;
            let cache = match &vault {
                VaultState::Open(vault) => {
                    let (id, key) = vault.payload().cache_seed();
                    Cache::open(cache_dir, &id, &key, clock, reporter)
                }
                _ => Cache::without_vault(cache_dir, clock, reporter),
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

    /// The endpoints that the calls of a plan go to. They are not asked.
    pub fn endpoints(&self, plan: &Plan) -> Result<Vec<ServiceEndpoint>> {
        let (env, now, reporter) = (self.env, Instant::now(), self.reporter);
        let mut found = Vec::new();
        let mut add = |service, target: &Target, host_port| {
            found.push(ServiceEndpoint { service, host_port, named: target.endpoint.is_some() });
        };
        if let Base::Sso { sign_on, .. } = &plan.base {
            let oidc = Oidc::connect(&sign_on.oidc, env, now, reporter)?;
            add("sso_oidc", &sign_on.oidc, oidc.host_and_port()?);
            let portal = Portal::connect(&sign_on.portal, env, now, reporter)?;
            add("sso", &sign_on.portal, portal.host_and_port()?);
        }
        if let Some(sts) = &plan.sts {
            add("sts", sts, Sts::connect(sts, env, now, reporter)?.host_and_port()?);
        }
        Ok(found)
    }

    /// The plan for a profile, as pure data.
    ///
    /// # Errors
    /// No such profile, no credentials for it, or no vault (3); usage (2); a loop (1).
    pub fn plan(&self, profile: &str) -> Result<Plan> {
        let request = self.plan_request(profile);
        self.or_why_no_vault(profile::plan(&self.profiles, self.env, &self.stored(), &request))
    }

    /// The plan for the console of a profile, as pure data. `path`: the page.
    ///
    /// # Errors
    /// As [`CredentialSession::plan`], and as [`profile::console`].
    pub fn plan_console(&self, profile: &str, path: Option<&str>) -> Result<Console> {
        let request = self.plan_request(profile);
        let planned = profile::console(&self.profiles, self.env, &self.stored(), &request, path);
        self.or_why_no_vault(planned)
    }

    /// The same for the keys in the environment's variables, with the settings of a profile.
    pub fn plan_console_of_environment(
        &self,
        profile: &str,
        path: Option<&str>,
    ) -> Result<Console> {
        profile::console_of_environment(&self.profiles, self.env, &self.plan_request(profile), path)
    }

    fn plan_request(&self, profile: &str) -> PlanRequest {
        let payload = self.vault().ok().map(Vault::payload);
        let seeds = payload.into_iter().flat_map(|payload| payload.totp_serials());
        plan_request(&self.options, profile, seeds.map(str::to_owned).collect())
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
    #[must_use]
    pub fn keep_only<'p>(mut self, plans: impl IntoIterator<Item = &'p Plan>) -> Self {
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
        self.fleet = self.fleet.filter(|_| !devices.is_empty());
        self.env.forget_unlock(!self.opened_by_sops());
        self
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

    /// The highest generation of the vault that a session of the fleet named, if that is higher than this
    /// vault's: another host has changed the vault.
    pub fn newer_generation(&self) -> Option<u64> {
        let seen = self.fleet.as_ref()?.seen_generation();
        let own = self.vault().ok()?.payload().generation();
        (seen > own).then_some(seen)
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
