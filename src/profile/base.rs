//! Which credentials a chain of profiles starts from.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::faults;
use super::host;
use super::known::SOURCE_KEYS;
use super::missing::no_such_profile;
use super::read::Profiles;
use super::sections::AwsFile;
use super::settings::{Settings, fits, looped};
use super::sso::{self, SignOn};
use super::value::{plain, wrong_value};
use super::variables::Variables;
use crate::error::{Error, Result};
use crate::process::shell_word;

/// The credentials that a plan starts from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Base {
    /// The vault's key for a profile.
    Vault { profile: String },
    /// What the `credential_process` of a profile prints. If that has a session token, the plan becomes
    /// [`super::Plan::for_temporary_base`].
    Process {
        profile: String,
        /// The command line, for `/bin/sh -c`.
        command: String,
    },
    /// `aws_access_key_id` and the keys beside it, in a profile's section of the files as they are.
    Plaintext { profile: String },
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
    /// A token that an identity provider has signed, which the plan's first step exchanges for credentials
    /// ([`super::Step::WebIdentity`]).
    WebIdentity(TokenSource),
    /// A person's login to IAM Identity Center, with which the plan's first step gets a role's credentials
    /// ([`super::Step::SsoRole`]).
    Sso {
        /// The profile that says where to log in.
        profile: String,
        sign_on: SignOn,
    },
}

impl Base {
    /// The kind of source, without anything that may be private.
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

    /// The profile that it belongs to, if it belongs to one.
    pub fn profile(&self) -> Option<&str> {
        match self {
            Self::Vault { profile }
            | Self::Process { profile, .. }
            | Self::Plaintext { profile }
            | Self::Sso { profile, .. }
            | Self::WebIdentity(TokenSource::Process { profile, .. }) => Some(profile),
            Self::WebIdentity(TokenSource::File { profile, .. }) => profile.as_deref(),
            Self::Environment | Self::Container { .. } | Self::Instance { .. } => None,
        }
    }
}

/// Where a web identity token comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenSource {
    /// In a file, which the token's issuer may replace at any time.
    File {
        path: PathBuf,
        /// The profile that names it; none: `AWS_WEB_IDENTITY_TOKEN_FILE` does.
        profile: Option<String>,
    },
    /// From a profile's command that prints it (`web_identity_token_process`, aws-vault's).
    Process {
        profile: String,
        /// The command line, for `/bin/sh -c`.
        command: String,
    },
}

/// A profile's chain and where it ends.
pub(super) struct Chain<'a> {
    /// The profile asked for, its source, and so on to the one with the credentials: one at least.
    pub links: Vec<Settings<'a>>,
    pub base: Base,
    /// True if they are known to be temporary.
    pub temporary: bool,
    /// True if only the last profile's keys are used: its `role_arn` is not assumed.
    pub end_without_role: bool,
}

impl<'a> Chain<'a> {
    /// The profile asked for.
    pub fn start(&self) -> &Settings<'a> {
        &self.links[0]
    }

    /// The profile with the credentials.
    pub fn end(&self) -> &Settings<'a> {
        &self.links[self.links.len() - 1]
    }
}

/// Walks from a profile along `source_profile` to its credentials.
///
/// At each profile a key in the vault comes first, as in aws-vault: a profile with a key of its own
/// needs no source. Then the order is the AWS CLI's. A source profile with keys in the files ends the
/// chain, although it has a role of its own. A `source_profile` that names its own profile means the
/// profile's own credentials.
/// Where the end of the chain has none at all, the variables of a web identity count, as they do for
/// the SDKs; they are enough for `default`, which then need not be in any file.
///
/// # Errors
/// Not found: a profile of the chain, or any credentials at its end. Usage: a loop, a chain that is too
/// long, two sources beside a role, a `credential_source` that AWS does not know. Other: a line of a
/// profile that is not understood.
pub(super) fn walk<'a>(
    profiles: &'a Profiles,
    stored: &'a BTreeSet<String>,
    profile: &'a str,
) -> Result<Chain<'a>> {
    let exists = |name: &str| profiles.has(name) || stored.contains(name);
    let missing = |name: &str, named_by| {
        Err(no_such_profile(profiles, stored.iter().map(String::as_str), name, named_by))
    };
    // Any other name may be misspelt, and must not mean the identity that the job has.
    let job = profile == "default" && profiles.variables().web_identity().is_some();
    if !job && !exists(profile) {
        return missing(profile, None);
    }
    let mut links = vec![Settings::of(profiles, profile)?];
    let mut names = vec![profile];
    // How many links lead to the first key in the vault.
    let mut in_vault = stored.contains(profile).then_some(1);
    while let Some(source) = next(&links, in_vault.is_some())? {
        if names.contains(&source) {
            names.push(source);
            return Err(looped("source_profile", &names));
        }
        // Past a key in the vault the chain is followed only to find a loop: that is an error whatever the
        // vault holds.
        if in_vault.is_some() && (!exists(source) || profiles.understood(source).is_err()) {
            break;
        }
        if !exists(source) {
            return missing(source, names.last().copied());
        }
        names.push(source);
        fits("source_profile", &names)?;
        links.push(Settings::of(profiles, source)?);
        if in_vault.is_none() && stored.contains(source) {
            in_vault = Some(links.len());
        }
    }
    if let Some(length) = in_vault {
        links.truncate(length);
        let base = Base::Vault { profile: names[length - 1].to_owned() };
        return Ok(Chain { links, base, temporary: false, end_without_role: false });
    }
    let end = &links[links.len() - 1];
    let for_keys = links.len() > 1 && has_keys(end);
    let (base, temporary) = named_source(end, for_keys)?;
    let end_without_role = for_keys && !matches!(base, Base::WebIdentity(_));
    Ok(Chain { links, base, temporary, end_without_role })
}

/// The profile that the last one has its credentials from, if from another. `past_vault`: what follows is
/// read to find loops only.
fn next<'a>(links: &[Settings<'a>], past_vault: bool) -> Result<Option<&'a str>> {
    let [before @ .., link] = links else { return Ok(None) };
    let named = link.own("source_profile");
    let source = named.filter(|source| *source != link.name);
    if past_vault {
        return Ok(source);
    }
    if link.has_any(&TOKEN) || (!before.is_empty() && has_keys(link)) {
        return Ok(None);
    }
    if link.own("role_arn").is_some() {
        if named.is_some() && link.own("credential_source").is_some() {
            return Err(Error::usage(format!(
                "profile \"{}\" has both source_profile and credential_source",
                link.name
            ))
            .hint("leave one of them out: the role is assumed with one or the other"));
        }
        return Ok(source);
    }
    // Without a role the AWS CLI passes over a source_profile, and aws-vault takes it.
    let has_own = has_keys(link) || link.has_any(&SSO) || process(link).is_some();
    Ok(source.filter(|_| !has_own))
}

/// True if a profile has keys in the files, whole or not.
fn has_keys(link: &Settings) -> bool {
    link.has_any(&["aws_access_key_id", "aws_secret_access_key"])
}

/// What names a web identity's token.
const TOKEN: [&str; 2] = ["web_identity_token_file", "web_identity_token_process"];

/// What names a role of IAM Identity Center.
const SSO: [&str; 2] = ["sso_account_id", "sso_role_name"];

/// The `credential_process` of a profile, unless it would ask the vault for a key that the vault does not
/// have.
fn process<'a>(link: &Settings<'a>) -> Option<&'a str> {
    link.process().filter(|command| !command.is_for(link.name)).map(|command| command.line)
}

/// The source that the last profile of a chain names, if the vault has no key for it, in the AWS CLI's order.
/// A `credential_source` without a role, which the AWS CLI ignores, comes last.
fn named_source(end: &Settings, for_keys: bool) -> Result<(Base, bool)> {
    if let Some(token) = token_of(end)? {
        return Ok((Base::WebIdentity(token), true));
    }
    let named = end.own("credential_source");
    let of_role = named.filter(|_| end.own("role_arn").is_some() && !for_keys);
    if let Some(source) = of_role {
        return credential_source(end, source);
    }
    if end.has_any(&SSO)
        && let Some(sign_on) = sso::base(end)?
    {
        return Ok((Base::Sso { profile: end.name.to_owned(), sign_on }, true));
    }
    if let Some(base) = plaintext(end, AwsFile::Credentials)? {
        return Ok(base);
    }
    if let Some(command) = process(end) {
        let (profile, command) = (end.name.to_owned(), command.to_owned());
        return Ok((Base::Process { profile, command }, false));
    }
    if let Some(base) = plaintext(end, AwsFile::Config)? {
        return Ok(base);
    }
    if let Some(source) = named {
        return credential_source(end, source);
    }
    if let Some(sign_on) = sso::base(end)? {
        return Ok((Base::Sso { profile: end.name.to_owned(), sign_on }, true));
    }
    if let Some(path) = end.variables.web_identity() {
        let token = TokenSource::File { path: path.into(), profile: None };
        return Ok((Base::WebIdentity(token), true));
    }
    Err(nothing(end))
}

/// The error for a profile that has no credentials at all.
fn nothing(end: &Settings) -> Error {
    let Variables { web_identity_token_file: file, role_arn, .. } = end.variables;
    if file.os().is_some() {
        return none(end).hint(format!("{} has no effect without {}", file.name, role_arn.name));
    }
    if end.own("login_session").is_some() {
        let name = plain(end.name);
        return Error::usage(format!(
            "profile \"{name}\" logs in by aws login (login_session), which vault does not read"
        ))
        .hint(format!(
            "in a profile of its own: credential_process = aws configure export-credentials --profile {name} --format process"
        ));
    }
    let inherited = SOURCE_KEYS.into_iter().find(|key| end.not_inherited(key));
    let misspelt = faults::unknown_settings(end.profiles, end.name).misspelt;
    let name = shell_word(end.name);
    none(end).hint(match (misspelt.iter().find(|it| SOURCE_KEYS.contains(&it.meant)), inherited) {
        (Some(misspelt), _) => misspelt.hint_without_credentials(end.name),
        (None, Some(key)) => format!("vault add {name}; {key} is not inherited from [default]"),
        (None, None) => format!("vault add {name}"),
    })
}

fn none(end: &Settings) -> Error {
    Error::not_found(format!("no credentials for profile \"{}\"", end.name))
}

/// The keys of a profile in one of the files.
fn plaintext(end: &Settings, which: AwsFile) -> Result<Option<(Base, bool)>> {
    let Some((holder, key)) = end.access_key(which) else { return Ok(None) };
    if key.secret.is_none() {
        return Err(none(end).hint("it has aws_access_key_id without aws_secret_access_key"));
    }
    Ok(Some((Base::Plaintext { profile: holder.to_owned() }, key.token.is_some())))
}

/// The credentials that a `credential_source` names.
fn credential_source(end: &Settings, source: &str) -> Result<(Base, bool)> {
    match source {
        "Environment" => {
            let Variables {
                access_key_id, secret_access_key, security_token, session_token, ..
            } = end.variables;
            if !access_key_id.clone()? || !secret_access_key.clone()? {
                return Err(none(end).hint(
                    "credential_source = Environment needs AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
                ));
            }
            let temporary = security_token.clone()? || session_token.clone()?;
            Ok((Base::Environment, temporary))
        }
        "EcsContainer" => match host::container(end.variables)? {
            Some(url) => Ok((Base::Container { url }, true)),
            None => Err(none(end).hint(
                "credential_source = EcsContainer needs AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or \
                 AWS_CONTAINER_CREDENTIALS_FULL_URI",
            )),
        },
        "Ec2InstanceMetadata" => match host::instance(end)? {
            Some(endpoint) => Ok((Base::Instance { endpoint }, true)),
            None => Err(none(end).hint(
                "credential_source = Ec2InstanceMetadata, and AWS_EC2_METADATA_DISABLED forbids \
                 its use",
            )),
        },
        _ => {
            let by = format!("credential_source of profile \"{}\"", end.name);
            Err(wrong_value(&by, "not one that AWS knows", source)
                .hint("Environment, Ec2InstanceMetadata or EcsContainer"))
        }
    }
}

/// The token that a profile names, which needs a role to be exchanged for.
fn token_of(end: &Settings) -> Result<Option<TokenSource>> {
    let profile = end.name.to_owned();
    let [file, process] = TOKEN;
    let (key, token) = if let Some(path) = end.own(file) {
        (file, TokenSource::File { path: path.into(), profile: Some(profile) })
    } else if let Some(command) = end.own(process) {
        (process, TokenSource::Process { profile, command: command.to_owned() })
    } else {
        return Ok(None);
    };
    if end.own("role_arn").is_none() {
        return Err(Error::usage(format!("{key} of profile \"{}\" needs a role_arn", end.name)));
    }
    Ok(Some(token))
}
