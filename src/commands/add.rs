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
    let serial = args.mfa_serial.as_deref();
    if let Some(serial) = serial {
        profile::check_device(serial, "--mfa-serial", true)?;
    }
    let settings: Vec<_> = serial.map(|serial| ("mfa_serial", serial)).into_iter().collect();
    let is_there = context.profiles().is_ok_and(|profiles| profiles.has(profile.as_str()));
    if !args.no_add_config && !is_there {
        // A section name that no config file can hold is an error before anything is stored.
        profile::edit::add_profile("", profile.as_str(), &settings)?;
    }
    let (_, default_path) = context.vault_file()?;
    // All questions come before the vault's lock is taken, since a user may take long to answer.
    match Vault::open(&access) {
        Ok(mut vault) => {
            if !args.stdin && !args.env && context.prompt.available() {
                vault.check_writable()?;
            }
            let key = read_key(args, context)?;
            let conflict = |old: Option<&Credentials>| {
                conflict(&profile, &key, old).filter(|_| !args.overwrite)
            };
            let seen = vault.payload().credential(profile.as_str());
            if let Some(conflict) = conflict(seen.as_ref()) {
                confirm_replacement(args, conflict, context)?;
            }
            vault.change(|payload| {
                // Another process may have stored a key meanwhile.
                let now = payload.credential(profile.as_str());
                if !same(now.as_ref(), seen.as_ref())
                    && context.program != ProgramName::AwsVault
                    && let Some(conflict) = conflict(now.as_ref())
                {
                    return Err(refused(conflict));
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
        config::set(profile.as_str(), &settings, "the key is in the vault", context)?;
    }
    report::result(&format!("Added credentials to profile \"{profile}\" in vault\n"))
}

/// Asks before a different key of the profile is replaced, since that may be the only copy of it.
///
/// # Errors
/// Refused (6) if the key does not come from a prompt; other (1) if the answer is no.
fn confirm_replacement(args: &Add, conflict: String, context: &Context) -> Result<()> {
    if context.program == ProgramName::AwsVault {
        context
            .reporter
            .warn(format!("{conflict}; replacing it without asking, as aws-vault does"));
        return Ok(());
    }
    if args.env || args.stdin {
        return Err(refused(conflict));
    }
    let conflict = conflict.replacen("the vault", "The vault", 1);
    match context.prompt.confirm(&format!("{conflict}. Replace it?"))? {
        true => Ok(()),
        false => Err(Error::other("nothing was changed")),
    }
}

fn refused(conflict: String) -> Error {
    Error::refused(conflict).hint("--overwrite replaces it; the old one is then lost")
}

/// The message that the vault has a different key. It has ids only, which are not secret.
fn conflict(profile: &ProfileName, new: &Credentials, old: Option<&Credentials>) -> Option<String> {
    let old = old.filter(|old| !is_same(old, new))?;
    let new_id = import::shown_id(&new.access_key_id);
    Some(if old.access_key_id == new.access_key_id {
        format!("the vault has another secret for the key {new_id} of profile \"{profile}\"")
    } else {
        let old_id = import::shown_id(&old.access_key_id);
        format!("the vault has another key for profile \"{profile}\": {old_id}, not {new_id}")
    })
}

/// True if both are the same key, or both are missing.
fn same(one: Option<&Credentials>, other: Option<&Credentials>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => is_same(one, other),
        (one, other) => one.is_none() && other.is_none(),
    }
}

/// Makes a vault with a new passphrase and this key, in one write: as in aws-vault, the first `add` needs no
/// `init`.
fn make_vault_with(
    args: &Add,
    profile: &ProfileName,
    access: &Access,
    context: &Context,
) -> Result<()> {
    context.places.may_create(&access.path)?;
    let (mut payload, _) = key_slots::first_vault(access)?;
    let key = read_key(args, context)?;
    payload.set_credential(profile.as_str(), &key, context.clock.now());
    vault::create(access, payload, false)
}

/// Reads the key, warns if it does not look like an AWS key, and verifies it if asked to.
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

/// Asks AWS whose key it is, at the region and the endpoint of the profile.
///
/// # Errors
/// AWS refuses the key or cannot be reached (9); timeout (8).
fn verify(profile: &str, key: &Credentials, context: &Context) -> Result<()> {
    let (target, _) = profile::sts_and_iam(&context.profiles()?, profile)?;
    context.warn_of_overridden(&[&target]);
    let deadline = Instant::now() + DEADLINE;
    let sts = Sts::connect(&target, &context.env, deadline, context.reporter)?;
    let id = import::shown_id(&key.access_key_id);
    let owner = sts.caller_identity(key).map_err(|error| {
        let error = Error::from(error);
        Error { what: format!("{} (key {id}); nothing was stored", error.what), ..error }
    })?;
    context.reporter.note(format!("The key {id} belongs to {owner}"));
    Ok(())
}

/// The key: from stdin, the environment, or a prompt.
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
