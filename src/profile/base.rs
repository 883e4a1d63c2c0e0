//! Which credentials a chain of profiles starts from.

use std::collections::{BTreeSet, HashSet};
use std::path::PathBuf;

use super::host;
use super::own_command;
use super::read::{Profiles, no_such_profile, plain};
use super::settings::{Settings, fits, looped, variable};
use super::sso::{self, SignOn};
use crate::env::Env;
use crate::error::{Error, Result};

/// The credentials that a plan starts from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Base {
    /// The vault's key for a profile.
    Vault {
        /// The profile whose key it is.
        profile: String,
    },
    /// What a `credential_process` prints. If that has a session token, the plan becomes
    /// [`super::Plan::for_temporary_base`].
    Process {
        /// The profile that names the command.
        profile: String,
        /// The command line, for `/bin/sh -c`.
        command: String,
    },
    /// `aws_access_key_id` and the keys beside it, in the files as they are.
    Plaintext {
        /// The section that holds them: [`Profiles::get`] has the values.
        profile: String,
    },
    /// `AWS_ACCESS_KEY_ID` and the variables beside it (`credential_source = Environment`).
    Environment,
    /// What the container's agent gives (`credential_source = EcsContainer`).
    Container {
        /// Where it gives them. Its path can be a secret.
        url: String,
    },
    /// The role of the EC2 instance (`credential_source = Ec2InstanceMetadata`).
    Instance {
        /// The metadata service, without a path.
        endpoint: String,
    },
    /// A token that an identity provider has signed: no credentials yet, but the plan's first step
    /// gets some for it ([`super::Step::WebIdentity`]).
    WebIdentity(Token),
    /// A person's login to IAM Identity Center: no credentials yet, but the plan's first step gets those
    /// of a role by it ([`super::Step::SsoRole`]).
    Sso {
        /// The profile that says where to log in.
        profile: String,
        /// Where that is.
        sign_on: SignOn,
    },
}

impl Base {
    /// What kind of source it is, without anything that may be nobody's business.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Vault { .. } => "the vault",
            Self::Process { .. } => "a credential_process",
            Self::Plaintext { .. } => "keys in the clear in the AWS files",
            Self::Environment => "the environment",
            Self::Container { .. } => "the container's agent",
            Self::Instance { .. } => "the EC2 instance's metadata service",
            Self::WebIdentity(_) => "a web identity's token",
            Self::Sso { .. } => "a login to IAM Identity Center",
        }
    }
}

/// Where a web identity token is had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    /// In a file, which whoever issues the token may replace at any time.
    File {
        /// The file, as it was named.
        path: PathBuf,
        /// The profile that names it; none: `AWS_WEB_IDENTITY_TOKEN_FILE` does.
        profile: Option<String>,
    },
    /// From a command that prints it (`web_identity_token_process`, aws-vault's).
    Process {
        /// The profile that names the command.
        profile: String,
        /// The command line, for `/bin/sh -c`.
        command: String,
    },
}

/// The variables of a web identity. Each counts only with the other.
const TOKEN_FILE: &str = "AWS_WEB_IDENTITY_TOKEN_FILE";
const ROLE: &str = "AWS_ROLE_ARN";

/// A profile's chain and where it ends.
pub(super) struct Chain<'a> {
    /// The profile asked for, its source, and so on to the one with the credentials.
    pub links: Vec<Settings<'a>>,
    /// Those credentials.
    pub base: Base,
    /// They are known to be temporary ones.
    pub temporary: bool,
}

/// Walks from a profile along `source_profile` to its credentials.
///
/// At each profile a key in the vault comes first, as in aws-vault: a profile with a key of its own
/// needs no source. A `source_profile` that names its own profile means the profile's own credentials.
/// Where the end of the chain has none at all, the variables of a web identity count, as they do for
/// the SDKs; they are enough for `default`, which then need not stand in any file.
///
/// # Errors
/// Not found: a profile of the chain, or any credentials at its end. Usage: a loop, a chain that is too
/// long, a `credential_source` that AWS does not know.
pub(super) fn walk<'a>(
    profiles: &'a Profiles,
    env: &Env,
    stored: &'a BTreeSet<String>,
    profile: &'a str,
) -> Result<Chain<'a>> {
    let exists = |name: &str| profiles.has(name) || stored.contains(name);
    let missing = |name: &str, named_by| {
        Err(no_such_profile(profiles, stored.iter().map(String::as_str), name, named_by))
    };
    // Any other name may be a slip, and must not mean whatever identity the job has.
    let job = profile == "default" && token_by_variables(env).is_some();
    if !job && !exists(profile) {
        return missing(profile, None);
    }
    let mut links = vec![Settings::of(profiles, profile)?];
    let mut names = vec![profile];
    let mut seen = HashSet::from([profile]);
    let mut in_vault = stored.contains(profile).then_some(1);
    let mut at = profile;
    while let Some(source) =
        links.last().and_then(|link| link.own("source_profile")).filter(|source| *source != at)
    {
        if !seen.insert(source) {
            names.push(source);
            return Err(looped("source_profile", &names));
        }
        // Past a key in the vault the chain is followed for a loop only: that is a mistake
        // whatever the vault holds today.
        if !exists(source) {
            if in_vault.is_some() {
                break;
            }
            return missing(source, Some(at));
        }
        links.push(Settings::of(profiles, source)?);
        names.push(source);
        fits("source_profile", &names)?;
        at = source;
        if in_vault.is_none() && stored.contains(at) {
            in_vault = Some(links.len());
        }
    }
    if let Some(length) = in_vault {
        links.truncate(length);
    }
    let Some(end) = links.last() else { return missing(profile, None) };
    let (base, temporary) = if in_vault.is_some() {
        (Base::Vault { profile: end.name.to_owned() }, false)
    } else {
        named_source(profiles, env, end)?
    };
    Ok(Chain { links, base, temporary })
}

/// What the last profile of a chain says, where the vault has no key for it.
fn named_source(profiles: &Profiles, env: &Env, end: &Settings) -> Result<(Base, bool)> {
    let none = || Error::not_found(format!("no credentials for profile \"{}\"", end.name));
    if let Some(source) = end.own("credential_source") {
        return match source {
            "Environment" => {
                let set = |name| variable(env, name).map(|value| value.is_some());
                if !set("AWS_ACCESS_KEY_ID")? || !set("AWS_SECRET_ACCESS_KEY")? {
                    return Err(none().hint(
                        "credential_source = Environment wants AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
                    ));
                }
                Ok((Base::Environment, set("AWS_SESSION_TOKEN")?))
            }
            "EcsContainer" => match host::container(env)? {
                Some(url) => Ok((Base::Container { url }, true)),
                None => Err(none().hint(
                    "credential_source = EcsContainer wants AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or AWS_CONTAINER_CREDENTIALS_FULL_URI",
                )),
            },
            "Ec2InstanceMetadata" => match host::instance(env, end)? {
                Some(endpoint) => Ok((Base::Instance { endpoint }, true)),
                None => Err(none().hint(
                    "credential_source = Ec2InstanceMetadata, and AWS_EC2_METADATA_DISABLED forbids to ask there",
                )),
            },
            _ => Err(Error::usage(format!(
                "credential_source of profile \"{}\" is none that AWS knows",
                end.name
            ))
            .hint("Environment, Ec2InstanceMetadata or EcsContainer")),
        };
    }
    if let Some(command) = end.own("credential_process")
        // It would ask the vault for a key that the vault does not have.
        && !own_command::is_for(command, end.name, env)
    {
        let (profile, command) = (end.name.to_owned(), command.to_owned());
        return Ok((Base::Process { profile, command }, false));
    }
    if let Some(token) = token_of(end)? {
        return Ok((Base::WebIdentity(token), true));
    }
    if let Some(sign_on) = sso::base(profiles, env, end)? {
        return Ok((Base::Sso { profile: end.name.to_owned(), sign_on }, true));
    }
    if let Some(holder) = end.holder("aws_access_key_id") {
        if profiles.get(holder, "aws_secret_access_key").is_none() {
            return Err(none().hint("it has aws_access_key_id without aws_secret_access_key"));
        }
        let temporary = profiles.get(holder, "aws_session_token").is_some();
        return Ok((Base::Plaintext { profile: holder.to_owned() }, temporary));
    }
    if let Some(token) = token_by_variables(env) {
        return Ok((Base::WebIdentity(token), true));
    }
    if env.get_os(TOKEN_FILE).is_some() {
        return Err(none().hint(format!("{TOKEN_FILE} counts only with {ROLE} beside it")));
    }
    if end.own("login_session").is_some() {
        let name = plain(end.name);
        return Err(Error::usage(format!(
            "profile \"{name}\" logs in by aws login (login_session), which vault does not read"
        ))
        .hint(format!(
            "in a profile of its own: credential_process = aws configure export-credentials --profile {name} --format process"
        )));
    }
    let lent = [
        "source_profile",
        "credential_process",
        "web_identity_token_file",
        "sso_session",
        "sso_start_url",
    ]
    .into_iter()
    .find(|key| end.not_lent(key));
    Err(none().hint(match lent {
        Some(key) => format!("vault add {}; [default] does not lend its {key}", end.name),
        None => format!("vault add {}", end.name),
    }))
}

/// The token that a profile names, which is nothing without a role to change it for.
fn token_of(end: &Settings) -> Result<Option<Token>> {
    let profile = end.name.to_owned();
    let (key, token) = if let Some(path) = end.own("web_identity_token_file") {
        let path = PathBuf::from(path);
        ("web_identity_token_file", Token::File { path, profile: Some(profile) })
    } else if let Some(command) = end.own("web_identity_token_process") {
        let command = command.to_owned();
        ("web_identity_token_process", Token::Process { profile, command })
    } else {
        return Ok(None);
    };
    if end.own("role_arn").is_none() {
        return Err(Error::usage(format!(
            "{key} of profile \"{}\" wants a role_arn beside it",
            end.name
        )));
    }
    Ok(Some(token))
}

/// The token of the environment, if its role is there too: GitHub's and GitLab's jobs set both, and EKS
/// does for a pod.
fn token_by_variables(env: &Env) -> Option<Token> {
    env.get_os(ROLE)?;
    Some(Token::File { path: env.get_os(TOKEN_FILE)?.into(), profile: None })
}
