//! From the command line to a session that makes credentials.

use std::time::Duration;

use super::context::Context;
use crate::cli::CredentialOptions;
use crate::duration::parse_duration;
use crate::error::{Class, Error, Reason, Result};
use crate::name::ProfileName;
use crate::profile::{self, Plan, Profiles, Target};
use crate::provider::{CredentialSession, Options, Parts, VaultAccess};
use crate::secret::Secret;

/// What needs the vault.
#[derive(Clone, Copy, Debug)]
pub enum Need<'n> {
    /// The command itself.
    Vault,
    /// Those of these profiles that take something from it.
    Profiles(&'n [ProfileName]),
    Nothing,
}

impl Context {
    /// The profile: the word of the command line, `AWS_PROFILE`, `AWS_DEFAULT_PROFILE`, or `default`.
    pub fn profile_name(&self, word: Option<&str>) -> Result<ProfileName> {
        if let Some(name) = word {
            return ProfileName::new(name).map_err(|error| error.because(Reason::CommandLine));
        }
        for variable in ["AWS_PROFILE", "AWS_DEFAULT_PROFILE"] {
            // A value that cannot be read is an error: the next name could be that of another account.
            if let Some(name) = self.env.text(variable)? {
                let of_variable =
                    |error: Error| Error { what: format!("{variable}: {}", error.what), ..error };
                return ProfileName::new(name).map_err(of_variable);
            }
        }
        ProfileName::new("default")
    }

    /// The plan for one profile, and a session that keeps only what the plan needs.
    pub fn planned(
        &self,
        profile: &ProfileName,
        options: &CredentialOptions,
    ) -> Result<(CredentialSession<'_>, Plan)> {
        let need = Need::Profiles(std::slice::from_ref(profile));
        let mut session = self.session(self.profiles()?, need, self.options(options)?)?;
        let plan = session.plan(profile.as_str())?;
        session.keep_only([&plan]);
        Ok((session, plan))
    }

    /// The AWS config and credentials files.
    pub fn profiles(&self) -> Result<Profiles> {
        // Six file system calls, which a cached answer need not wait for.
        if self.reporter.debug {
            for closed in self.places.closed() {
                let shown = closed.display();
                self.reporter.debug(format!(
                    "{shown} may not be entered: default files in it count as missing"
                ));
            }
        }
        profile::read(&profile::locate(&self.env, self.places.home()), &self.env)
    }

    /// The options that the flags and variables ask for.
    pub fn options(&self, flags: &CredentialOptions) -> Result<Options> {
        // aws-vault's variable.
        let least = self.env.get("AWS_MIN_TTL");
        Ok(Options {
            no_session: flags.no_session,
            duration: requested_duration(flags)?,
            region: flags.region.clone(),
            mfa_token: flags.mfa_token.clone().map(Secret::new),
            refresh: flags.refresh,
            min_left: least.map(|text| parse_duration(text, "AWS_MIN_TTL")).transpose()?,
        })
    }

    /// Opens what is needed. A missing vault is no error for a profile with credentials of its own, unless
    /// the user named the vault.
    pub fn session(
        &self,
        profiles: Profiles,
        need: Need,
        options: Options,
    ) -> Result<CredentialSession<'_>> {
        let cache_dir = self.cache_dir()?;
        let vault = match need {
            Need::Nothing => VaultAccess::NotNeeded,
            Need::Vault => VaultAccess::Needed(self.access()?),
            Need::Profiles(names) => match self.access() {
                Ok(access) => VaultAccess::Optional(access, names),
                Err(error)
                    if error.class == Class::NotFound
                        && !self.is_pinned()
                        && self.remote()?.is_none() =>
                {
                    VaultAccess::Nowhere(error)
                }
                Err(error) => return Err(error),
            },
        };
        let parts = Parts {
            profiles,
            vault,
            cache_dir,
            env: &self.env,
            options,
            prompt: self.prompt,
            clock: self.clock,
            reporter: self.reporter,
        };
        CredentialSession::open(parts)
    }

    /// A session with the open vault, for a command that takes no options of credentials.
    pub fn vault_session(&self) -> Result<CredentialSession<'_>> {
        self.session(self.profiles()?, Need::Vault, Options::default())
    }

    /// Warns of the first endpoint that is named and so overrides the variant (FIPS, dual-stack).
    pub fn warn_of_overridden(&self, targets: &[&Target]) {
        if let Some(warning) = targets.iter().find_map(|target| target.overridden()) {
            self.reporter.warn(warning);
        }
    }
}

/// `--duration`, within the limits of AWS's calls: 15 minutes to 36 hours.
pub fn requested_duration(options: &CredentialOptions) -> Result<Option<Duration>> {
    let Some(text) = &options.duration else { return Ok(None) };
    let duration = parse_duration(text, "--duration")?;
    if !(900..=129_600).contains(&duration.as_secs()) {
        let error = Error::usage("--duration: AWS takes 15m to 36h, and 12h at most for a role");
        return Err(error.because(Reason::CommandLine));
    }
    Ok(Some(duration))
}
