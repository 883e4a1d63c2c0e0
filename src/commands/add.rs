//! `add`: stores the access key of a profile.

use std::time::Instant;

use super::config;
use super::context::Context;
use super::key_slots;
use super::stdin::stdin_text;
use crate::aws::Sts;
use crate::called::ProgramName;
use crate::cli::Add;
use crate::credential::Credentials;
use crate::error::{Class, Error, Result};
use crate::import;
use crate::import::plan::is_same;
use crate::name::ProfileName;
use crate::profile;
use crate::provider::DEADLINE;
use crate::report;
use crate::secret::Secret;
use crate::vault::{self, Access, Vault};

pub fn run(args: &Add, context: &Context) -> Result<()> {
    let profile = ProfileName::new(&args.profile)?;
    let access = context.access()?;
    context.may_take_stdin(args.stdin, "--stdin and -i - both want stdin")?;
    if let Some(serial) = &args.mfa_serial {
        profile::check_device(serial, "--mfa-serial", true)?;
    }
    let is_there = context.profiles().is_ok_and(|profiles| profiles.has(profile.as_str()));
    if !args.no_add_config && !is_there {
        // A section that no config file could hold is said before anything is stored.
        profile::edit::add_profile("", profile.as_str(), &settings(args.mfa_serial.as_deref()))?;
    }
    let (_, default_path) = context.vault_file()?;
    // Everything that may be refused is asked before the vault is locked for long: people are slow.
    match Vault::open(&access) {
        Ok(mut vault) => {
            if !args.stdin && !args.env && context.prompt.available() {
                vault.check_writable()?;
            }
            let key = read_key(args, context)?;
            let new = NewKey { args, profile: &profile, key: &key };
            let seen = vault.payload().credential(profile.as_str());
            new.confirm_replacement(seen.as_ref(), context)?;
            vault.change(|payload| {
                // Somebody may have put in another one meanwhile.
                let now = payload.credential(profile.as_str());
                if !same(now.as_ref(), seen.as_ref()) && context.program != ProgramName::AwsVault {
                    new.refuse_replacement(now.as_ref())?;
                }
                payload.set_credential(profile.as_str(), &key, context.clock.now());
                Ok(())
            })?;
        }
        Err(error)
            if error.class == Class::NotFound && default_path && context.prompt.available() =>
        {
            make_vault_with(args, &profile, &access, context)?;
        }
        Err(error) => return Err(error),
    }
    if !args.no_add_config {
        let settings = settings(args.mfa_serial.as_deref());
        config::set(profile.as_str(), &settings, "the key is in the vault", context)?;
    }
    report::result(&format!("Added credentials to profile \"{profile}\" in vault\n"))
}

/// A key that is to be stored.
struct NewKey<'a> {
    args: &'a Add,
    profile: &'a ProfileName,
    key: &'a Credentials,
}

impl NewKey<'_> {
    /// Asks before another key of the profile is replaced, which may be the only copy: not for one that
    /// is the same, secret included.
    ///
    /// # Errors
    /// Refused (6) where nobody is asked; other (1) for a no.
    fn confirm_replacement(&self, old: Option<&Credentials>, context: &Context) -> Result<()> {
        let Some(what) = self.conflict(old) else { return Ok(()) };
        if self.args.overwrite {
            return Ok(());
        }
        if context.program == ProgramName::AwsVault {
            context
                .reporter
                .warn(format!("{what}, which is gone now: as aws-vault, nobody is asked"));
            return Ok(());
        }
        if self.args.env || self.args.stdin {
            return self.refuse_replacement(old);
        }
        let what = what.replacen("the vault", "The vault", 1);
        match context.prompt.confirm(&format!("{what}. Replace it?"))? {
            true => Ok(()),
            false => Err(Error::other("nothing was changed")),
        }
    }

    /// # Errors
    /// Refused (6), naming both keys, unless there is none, the same one, or an order to overwrite it.
    fn refuse_replacement(&self, old: Option<&Credentials>) -> Result<()> {
        match self.conflict(old) {
            Some(what) if !self.args.overwrite => {
                Err(Error::refused(what).hint("--overwrite replaces it, and it is gone then"))
            }
            _ => Ok(()),
        }
    }

    /// Which other key the vault has, by ids, which are no secrets.
    fn conflict(&self, old: Option<&Credentials>) -> Option<String> {
        let old = old.filter(|old| !is_same(old, self.key))?;
        let (profile, new) = (self.profile, import::shown_id(&self.key.access_key_id));
        Some(if old.access_key_id == self.key.access_key_id {
            format!("the vault has another secret for the key {new} of profile \"{profile}\"")
        } else {
            let old = import::shown_id(&old.access_key_id);
            format!("the vault has another key for profile \"{profile}\": {old}, not {new}")
        })
    }
}

/// True if both are the same key, or there is none.
fn same(one: Option<&Credentials>, other: Option<&Credentials>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => is_same(one, other),
        (one, other) => one.is_none() && other.is_none(),
    }
}

/// The first `add` of a person who knows aws-vault: no vault yet, so a new passphrase is asked for,
/// and the key is in the vault from its first write on.
fn make_vault_with(
    args: &Add,
    profile: &ProfileName,
    access: &Access,
    context: &Context,
) -> Result<()> {
    context.places.may_make(&access.path)?;
    let (mut payload, _) = key_slots::first_vault(access)?;
    let key = read_key(args, context)?;
    payload.set_credential(profile.as_str(), &key, context.clock.now());
    vault::create(access, payload, false)
}

/// What `add` writes into the profile's section.
fn settings(mfa_serial: Option<&str>) -> Vec<(&str, &str)> {
    mfa_serial.map(|serial| ("mfa_serial", serial)).into_iter().collect()
}

/// The key, with a warning if it does not look like one of AWS's.
fn read_key(args: &Add, context: &Context) -> Result<Credentials> {
    let key = given_key(args, context)?;
    if let Some(doubt) = import::doubt(&key) {
        context.reporter.warn(doubt);
    }
    if args.verify {
        verify(&args.profile, &key, context)?;
    }
    Ok(key)
}

/// Says whose key it is, by the region and the endpoint of the profile.
///
/// # Errors
/// What AWS refuses or cannot be reached for (9); out of time (8).
fn verify(profile: &str, key: &Credentials, context: &Context) -> Result<()> {
    let (target, _) = profile::places(&context.profiles()?, context.env, profile)?;
    context.warn_of_overridden(&[&target]);
    let deadline = Instant::now() + DEADLINE;
    let sts = Sts::connect(&target, context.env, deadline, context.reporter)?;
    let owner = sts.caller_identity(key).map_err(|error| {
        let error = Error::from(error);
        let id = import::shown_id(&key.access_key_id);
        Error { what: format!("{} (key {id}); nothing was stored", error.what), ..error }
    })?;
    context
        .reporter
        .note(format!("AWS knows the key {} as {owner}", import::shown_id(&key.access_key_id)));
    Ok(())
}

/// The key: from stdin, the environment, or a person.
fn given_key(args: &Add, context: &Context) -> Result<Credentials> {
    if args.stdin {
        return import::access_key(&stdin_text("access key")?);
    }
    if args.env {
        let get = |name: &str| {
            context.env.get(name).ok_or_else(|| Error::usage(format!("--env: {name} is not set")))
        };
        let id = get("AWS_ACCESS_KEY_ID")?;
        let secret = Secret::new(get("AWS_SECRET_ACCESS_KEY")?.to_owned());
        if context.env.get("AWS_SESSION_TOKEN").is_some() {
            return Err(Error::usage(
                "--env: these are temporary credentials (AWS_SESSION_TOKEN is set)",
            )
            .hint("a vault keeps long-term access keys, and makes temporary ones from them"));
        }
        return import::not_swapped(id, secret);
    }
    if !context.prompt.available() {
        return Err(Error::usage("no access key given, and there is no terminal to ask on")
            .hint("pipe the JSON of aws iam create-access-key into vault add PROFILE --stdin, or use --env"));
    }
    let id = context.prompt.line("Enter Access Key ID: ")?;
    let secret = context.prompt.hidden("Enter Secret Access Key: ")?;
    import::checked(id.trim(), Secret::new(secret.expose().trim().to_owned()))
}
