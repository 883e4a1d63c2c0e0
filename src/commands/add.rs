//! `add`: stores the access key of a profile.

use super::config;
use super::context::Context;
use super::key_slots;
use super::stdin::stdin_text;
use crate::cli::Add;
use crate::credential::Credentials;
use crate::error::{Class, Error, Result};
use crate::import;
use crate::name::ProfileName;
use crate::profile;
use crate::prompt::Prompt;
use crate::report;
use crate::secret::Secret;
use crate::vault::{self, Access, Vault};

pub fn run(args: &Add, context: &Context) -> Result<()> {
    let profile = ProfileName::new(&args.profile)?;
    let prompt = context.prompt(None);
    let access = context.access(&prompt)?;
    if args.stdin && context.stdin_opens() {
        return Err(Error::usage("--stdin and -i - both want stdin"));
    }
    if !args.no_add_config {
        // A section that no config file could hold is said before anything is stored.
        profile::edit::add_profile("", profile.as_str(), &settings(args.mfa_serial.as_deref()))?;
    }
    let (_, default_path) = context.vault_file()?;
    // Everything that may be refused is asked before the vault is locked: people are slow.
    match Vault::open(&access) {
        Ok(mut vault) => {
            let key = read_key(args, context, &prompt)?;
            vault.change(|payload| {
                payload.set_credential(profile.as_str(), &key, context.clock.now());
                Ok(())
            })?;
        }
        Err(error) if error.class == Class::NotFound && default_path && prompt.available() => {
            make_vault_with(args, &profile, &access, context, &prompt)?;
        }
        Err(error) => return Err(error),
    }
    if !args.no_add_config {
        let settings = settings(args.mfa_serial.as_deref());
        config::set(profile.as_str(), &settings, "the key is in the vault", context)?;
    }
    report::result(&format!("Added credentials to profile \"{profile}\" in vault\n"))
}

/// The first `add` of a person who knows aws-vault: no vault yet, so a new passphrase is asked for,
/// and the key is in the vault from its first write on.
fn make_vault_with(
    args: &Add,
    profile: &ProfileName,
    access: &Access,
    context: &Context,
    prompt: &Prompt,
) -> Result<()> {
    context.places.may_make(&access.path)?;
    let (mut payload, _) = key_slots::first_vault(access, prompt, context.reporter)?;
    let key = read_key(args, context, prompt)?;
    payload.set_credential(profile.as_str(), &key, context.clock.now());
    vault::create(access, payload, false)
}

/// What `add` writes into the profile's section.
fn settings(mfa_serial: Option<&str>) -> Vec<(&str, &str)> {
    mfa_serial.map(|serial| ("mfa_serial", serial)).into_iter().collect()
}

/// The key: from stdin, the environment, or a person.
fn read_key(args: &Add, context: &Context, prompt: &Prompt) -> Result<Credentials> {
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
        return import::checked(id, secret);
    }
    if !prompt.available() {
        return Err(Error::usage("no access key given, and there is no terminal to ask on")
            .hint("pipe the JSON of aws iam create-access-key into vault add PROFILE --stdin, or use --env"));
    }
    let id = prompt.line("Enter Access Key ID: ")?;
    let secret = prompt.hidden("Enter Secret Access Key: ")?;
    import::checked(id.trim(), Secret::new(secret.expose().trim().to_owned()))
}
