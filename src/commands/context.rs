//! What every command starts from: the flags, the environment and the places they lead to.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::cli::{CredentialOptions, Global};
use crate::clock::Clock;
use crate::env::Env;
use crate::error::{Class, Error, Result, os_text};
use crate::file::{self, ReadError};
use crate::name::{self, ProfileName};
use crate::os;
use crate::place::Places;
use crate::profile::{self, Ask, Base, Plan, Profiles, Step};
use crate::prompt::Prompt;
use crate::provider::Provider;
use crate::reporter::Reporter;
use crate::sealed::{self, Turns};
use crate::secret::Secret;
use crate::session::Cache;
use crate::unlock::{self, Named};
use crate::vault::{Access, Payload, Pin, Vault};

/// What `--stdin` takes at most, in bytes.
pub const STDIN_LIMIT: u64 = 64 * 1024;

/// The values that a command needs.
pub struct Context<'a> {
    pub env: &'a Env,
    pub global: Global,
    pub named: Named,
    pub places: Places,
    pub reporter: Reporter,
    pub clock: Clock,
    pub limits: &'a os::SavedLimit,
}

impl<'a> Context<'a> {
    pub fn new(mut global: Global, env: &'a Env, limits: &'a os::SavedLimit) -> Result<Self> {
        let reporter = Reporter { quiet: global.quiet, debug: global.debug };
        refuse_other_prompts(&global)?;
        for refused in limits.refused() {
            let os::Refused { call, error, effect } = refused;
            reporter.debug(format!("{call} failed: {}; {effect}", os_text(&error)));
        }
        let theirs = THEIR_VARIABLES.into_iter().filter(|name| env.is_set(name));
        for name in global.ignored().into_iter().chain(theirs) {
            let effect = match ["FILE_DIR", "file-dir", "PASS_", "pass-"]
                .iter()
                .any(|part| name.contains(part))
            {
                true => "counts for import only",
                false => "has no effect here",
            };
            reporter.debug(format!("{name} is aws-vault's and {effect}"));
        }
        let named = Named {
            identities: std::mem::take(&mut global.identity),
            passphrase_file: global.passphrase_file.take(),
        };
        let places = Places::new(env, os::effective_uid(), &|| std::fs::read("/etc/passwd").ok());
        Ok(Self { env, global, named, places, reporter, clock: Clock::system(), limits })
    }

    /// How questions are asked; `deadline` where a machine waits for what comes of the answers.
    pub fn prompt(&self, deadline: Option<Instant>) -> Prompt {
        Prompt::new(self.global.no_input, deadline)
    }

    /// Where the vault is and what may open it.
    pub fn access<'b>(&'b self, prompt: &'b Prompt) -> Result<Access<'b>> {
        let (path, _) = self.vault_file()?;
        Ok(Access {
            path,
            env: self.env,
            named: &self.named,
            identity_file: self.places.identity_file(),
            pins: self.pins()?,
            min_generation: self.min_generation()?,
            slot_memory: self.state()?.map(|(dir, _)| dir),
            state: self.state()?,
            max_passphrase_memory: self.max_passphrase_memory()?,
            turns: Turns::new(|| self.places.host_dir(), self.reporter, prompt.deadline()),
            prompt,
            spare: &|| false,
            reporter: self.reporter,
        })
    }

    /// The same for who may do without the vault: see [`Context::can_do_without`].
    pub fn access_or_spare<'b>(
        &'b self,
        prompt: &'b Prompt,
        spare: &'b (dyn Fn() -> bool + Sync),
    ) -> Result<Access<'b>> {
        Ok(Access { spare, ..self.access(prompt)? })
    }

    /// True if a flag takes from stdin what opens the vault.
    pub fn stdin_opens(&self) -> bool {
        let Named { identities, passphrase_file } = &self.named;
        identities.iter().chain(passphrase_file).any(|path| path.as_os_str() == "-")
    }

    /// The vault's path, and whether it is the default one.
    pub fn vault_file(&self) -> Result<(PathBuf, bool)> {
        self.places.vault_file(self.global.vault.as_deref(), self.env)
    }

    /// The cache of sessions and the ledger of codes: the vault's own, or one without a vault.
    pub fn cache(&self, payload: Option<&Payload>) -> Result<Cache> {
        let dir = self.cache_dir()?;
        let Some(payload) = payload else {
            return Ok(Cache::without_vault(dir, self.clock, self.reporter));
        };
        let (id, key) = payload.cache_seed();
        Ok(Cache::open(dir, &id, &key, self.clock, self.reporter))
    }

    /// Where sessions are kept, if there is a place.
    pub fn cache_dir(&self) -> Result<Option<PathBuf>> {
        self.places.cache_dir(self.global.cache_dir.as_deref(), self.env)
    }

    /// Where pins and generations are remembered, and whether that place was named; without a home
    /// beside the cache.
    pub fn state(&self) -> Result<Option<(PathBuf, bool)>> {
        if let Some(dir) = self.places.state_dir() {
            return Ok(Some((dir.to_path_buf(), self.places.state_is_named())));
        }
        Ok(self.cache_dir()?.map(|dir| (dir.join("state"), false)))
    }

    /// `AWS_MIN_TTL`: how long credentials have to last at least, aws-vault's variable.
    fn min_left(&self) -> Result<Option<Duration>> {
        self.env.get("AWS_MIN_TTL").map(|text| name::duration(text, "AWS_MIN_TTL")).transpose()
    }

    /// `--pin` outranks the variable. An empty variable must not quietly switch the check off.
    pub fn pins(&self) -> Result<Vec<Pin>> {
        let mut pins = Vec::new();
        for list in &self.global.pin {
            pins.extend(Pin::parse_list(list)?);
        }
        if pins.is_empty() && self.env.is_set("AWS_VAULT_PIN") {
            let list = self.env.get("AWS_VAULT_PIN").ok_or_else(|| {
                Error::usage("AWS_VAULT_PIN is set but empty")
                    .hint("give it the fingerprint that vault pin prints, or unset it")
            })?;
            pins = Pin::parse_list(list)?;
        }
        Ok(pins)
    }

    /// `--min-generation` outranks the variable. An empty one must not quietly switch the check off.
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

    /// `--max-passphrase-memory`, in MiB, outranks the variable. An empty one must not quietly mean the
    /// default.
    pub fn max_passphrase_memory(&self) -> Result<u32> {
        const NAME: &str = "AWS_VAULT_MAX_PASSPHRASE_MEMORY";
        if let Some(mib) = self.global.max_passphrase_memory {
            return Ok(mib);
        }
        if !self.env.is_set(NAME) {
            return Ok(sealed::MEMORY_UNASKED);
        }
        let mib = self.env.get(NAME).and_then(|text| text.parse().ok());
        mib.filter(|mib| (64..=1024).contains(mib)).ok_or_else(|| {
            Error::usage(format!("{NAME} is not a number from 64 to 1024"))
                .hint("give it the MiB that the passphrase may cost, or unset it")
        })
    }

    /// The AWS config and credentials files.
    pub fn profiles(&self) -> Result<Profiles> {
        // Six looks at the disk, which a cached answer does without.
        let closed = if self.reporter.debug { self.places.closed() } else { BTreeSet::new() };
        for closed in closed {
            let shown = closed.display();
            self.reporter
                .debug(format!("{shown} may not be entered: default files in it count as missing"));
        }
        profile::read(&profile::locate(self.env, self.places.home()))
    }

    /// The profile that was asked for: the word, `AWS_PROFILE`, `AWS_DEFAULT_PROFILE`, `default`.
    pub fn profile_name(&self, word: Option<&str>) -> Result<ProfileName> {
        if let Some(name) = word {
            return ProfileName::new(name);
        }
        for variable in ["AWS_PROFILE", "AWS_DEFAULT_PROFILE"] {
            match (self.env.get(variable), self.env.get_os(variable)) {
                (Some(name), _) => return ProfileName::new(name),
                // Another profile, perhaps another account, is not what was meant.
                (None, Some(_)) => return Err(Error::usage(format!("{variable} is not UTF-8"))),
                (None, None) => {}
            }
        }
        ProfileName::new("default")
    }

    /// Plans how to get a profile's credentials, and hands on the plan with what can run it.
    ///
    /// A profile with credentials of its own needs no vault, so it is no error that there is none; but
    /// one that was named has to be there. See [`Context::can_do_without`] for one that is shut.
    pub fn planned<T>(
        &self,
        profile: &ProfileName,
        options: &CredentialOptions,
        prompt: &Prompt,
        then: impl FnOnce(&Provider, Plan) -> Result<T>,
    ) -> Result<T> {
        self.planned_by(profile, options, prompt, |provider, ask| provider.plan(ask), then)
    }

    /// The same with a plan of another kind, which `plan` makes of what was asked.
    pub fn planned_by<P: AsRef<Plan>, T>(
        &self,
        profile: &ProfileName,
        options: &CredentialOptions,
        prompt: &Prompt,
        plan: impl FnOnce(&Provider, &Ask) -> Result<P>,
        then: impl FnOnce(&Provider, P) -> Result<T>,
    ) -> Result<T> {
        os::on_wiped_stack(|| {
            let profiles = self.profiles()?;
            let spare = || self.can_do_without(&profiles, std::slice::from_ref(profile), options);
            let access = self.access_or_spare(prompt, &spare);
            // To run the plan may take long, and what that does not need is gone by then.
            let (vault, cache, plan) = os::on_wiped_stack(|| {
                let mut vault = self.vault(&access)?;
                let opened = vault.as_ref().map_err(Error::clone);
                let payload = opened.as_ref().ok().map(|vault| vault.payload());
                let ask = self.ask(profile, options, payload)?;
                let cache = self.cache(payload)?;
                let plan = plan(&self.provider(&profiles, opened, prompt, &cache, options)?, &ask)?;
                if let Ok(vault) = &mut vault {
                    keep_what_is_needed(vault, [plan.as_ref()]);
                }
                Ok::<_, Error>((vault, cache, plan))
            })?;
            let vault = vault.as_ref().map_err(Error::clone);
            let provider = self.provider(&profiles, vault, prompt, &cache, options)?;
            self.env.forget_unlock(!provider.opened_by_sops());
            then(&provider, plan)
        })
    }

    /// True if none of these profiles takes anything from a vault, unless there is a key for it in there,
    /// which comes first. So a vault that opens without a person is opened; if nothing that lies around
    /// opens it, it is done without, and nobody is asked. A named key that fails, a damaged vault and a
    /// wrong pin are errors all the same, and so is each of them where a pin was named.
    pub fn can_do_without(
        &self,
        profiles: &Profiles,
        names: &[ProfileName],
        options: &CredentialOptions,
    ) -> bool {
        names.iter().all(|name| {
            self.ask(name, options, None)
                .and_then(|ask| profile::plan(profiles, self.env, &BTreeSet::new(), &ask))
                .is_ok_and(|plan| plan.needs_no_vault())
        })
    }

    /// The vault, or why there is none, which is no error where nobody named one; nor is one that nothing
    /// opens, where it can be spared.
    pub fn vault<'b>(
        &self,
        access: &'b Result<Access<'b>>,
    ) -> Result<std::result::Result<Vault<'b>, Error>> {
        let vault = access.as_ref().map_err(Error::clone).and_then(Vault::open);
        if let Err(error) = &vault {
            let missing = error.class == Class::NotFound;
            let shut = error.class == Class::Locked && !unlock::is_named(&self.named, self.env);
            let vault_named = self.vault_file().is_ok_and(|(_, default)| !default);
            let spare = || access.as_ref().is_ok_and(|access| (access.spare)());
            // Who says which vault it has to be wants that one: another, which nothing opens, must not
            // quietly make it another identity.
            let pinned = self.pins().is_ok_and(|pins| !pins.is_empty())
                || self.min_generation().is_ok_and(|least| least.is_some());
            if pinned || !(missing && !vault_named || shut && spare()) {
                return Err(error.clone());
            }
            self.reporter.debug(format!("going on without a vault: {}", error.what));
        }
        Ok(vault)
    }

    /// What the command line asks for, of one profile.
    pub fn ask(
        &self,
        profile: &ProfileName,
        options: &CredentialOptions,
        payload: Option<&Payload>,
    ) -> Result<Ask> {
        Ok(Ask {
            profile: profile.as_str().to_owned(),
            no_session: options.no_session,
            duration: requested_duration(options)?,
            region: options.region.clone(),
            mfa_token_given: options.mfa_token.is_some(),
            seeds: payload.into_iter().flat_map(Payload::totp_serials).map(str::to_owned).collect(),
        })
    }

    /// What makes credentials.
    pub fn provider<'b>(
        &'b self,
        profiles: &'b Profiles,
        vault: std::result::Result<&'b Vault<'b>, Error>,
        prompt: &'b Prompt,
        cache: &'b Cache,
        options: &CredentialOptions,
    ) -> Result<Provider<'b>> {
        Ok(Provider {
            profiles,
            env: self.env,
            vault,
            prompt,
            mfa_token: options.mfa_token.clone().map(Secret::new),
            cache,
            refresh: options.refresh,
            min_left: self.min_left()?,
            clock: self.clock,
            reporter: self.reporter,
        })
    }
}

/// Forgets what opened the vault, and all that is in it but the keys and seeds of these plans.
pub fn keep_what_is_needed<'p>(vault: &mut Vault, plans: impl IntoIterator<Item = &'p Plan>) {
    let (mut keys, mut devices) = (BTreeSet::new(), BTreeSet::new());
    for plan in plans {
        if let Base::Vault { profile } = &plan.base {
            keys.insert(profile.as_str());
        }
        devices.extend(plan.steps.iter().filter_map(Step::mfa).map(|mfa| mfa.serial.as_str()));
    }
    vault.keep_only(&keys, &devices);
}

/// What stands on stdin, for `--stdin`; `what` names what is looked for.
pub fn stdin_text(what: &str) -> Result<Secret> {
    let (mut bytes, _) =
        file::read_fd(os::stdin_fd(), STDIN_LIMIT).map_err(|error| match error {
            ReadError::Io(error) => Error::other(format!("cannot read stdin: {}", os_text(&error))),
            _ => Error::usage(format!("stdin holds more than 64 KiB, so no {what}")),
        })?;
    Secret::from_utf8(std::mem::take(&mut *bytes))
        .ok_or_else(|| Error::usage(format!("stdin holds no text, so no {what}")))
}

/// `--duration`, checked for what no call of AWS would take: 15 minutes to 36 hours.
pub fn requested_duration(options: &CredentialOptions) -> Result<Option<Duration>> {
    let Some(text) = &options.duration else { return Ok(None) };
    let duration = name::duration(text, "--duration")?;
    if !(900..=129_600).contains(&duration.as_secs()) {
        return Err(Error::usage("--duration: AWS takes 15m to 36h, and 12h at most for a role"));
    }
    Ok(Some(duration))
}

/// aws-vault's variables for backends that are not here.
const THEIR_VARIABLES: [&str; 8] = [
    "AWS_VAULT_BACKEND",
    "AWS_VAULT_KEYCHAIN_NAME",
    "AWS_VAULT_PASS_PASSWORD_STORE_DIR",
    "AWS_VAULT_PASS_CMD",
    "AWS_VAULT_PASS_PREFIX",
    "AWS_VAULT_FILE_DIR",
    "AWS_VAULT_SECRET_SERVICE_COLLECTION_NAME",
    "AWS_VAULT_PROMPT",
];

fn refuse_other_prompts(global: &Global) -> Result<()> {
    match global.prompt.as_deref() {
        None | Some("terminal") => Ok(()),
        Some(_) => Err(Error::usage("--prompt: only terminal is known here").hint(
            "name a program by mfa_process in the AWS config, or give the code by --mfa-token",
        )),
    }
}
