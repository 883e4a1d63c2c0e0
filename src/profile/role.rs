//! The parameters of AssumeRole, checked before anything is sent: AWS's own refusal would come after
//! an MFA code is spent.
//!
//! The patterns are those of the STS API reference (AssumeRole, Tag), `\w` being ASCII there.

use std::time::Duration;

use super::arn;
use super::durations::HOUR;
use super::settings::Settings;
use super::variables::{Named, Variable, Variables};
use crate::error::{Error, Result};

/// The parameters of AssumeRole, without the MFA code.
/// <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    pub arn: String,
    /// What CloudTrail calls the session: 2 to 64 of `[\w+=,.@-]`.
    pub session_name: String,
    /// 900 s to the role's maximum; an hour at most from temporary credentials.
    pub duration: Duration,
    /// What the role's trust policy may demand of a third party.
    pub external_id: Option<String>,
    pub tags: Vec<(String, String)>,
    /// The tags that the next role keeps.
    pub transitive: Vec<String>,
    /// The user of the session, for CloudTrail.
    pub source_identity: Option<String>,
}

/// The most tags that one call may carry.
const TAGS: usize = 50;

/// The role of a profile, if it has one. `variables` are given for the profile that was asked for only:
/// aws-vault uses `AWS_ROLE_ARN` and the variables beside it for no other. `from_aws`: AWS's own STS is asked.
pub(super) fn of<'a>(
    settings: &Settings<'a>,
    variables: Option<&'a Variables>,
    from_aws: bool,
) -> Result<Option<Role>> {
    let find = |variable: fn(&'a Variables) -> &'a Variable, key: &str| match variables {
        Some(variables) => settings.variable_or(variable(variables), key),
        None => Ok(settings.named(key)),
    };
    // EKS sets AWS_ROLE_ARN for the pod's own role, beside the token that opens it.
    let named = match variables.and_then(|it| it.web_identity_token_file.os()) {
        Some(_) => settings.named("role_arn"),
        None => find(|it| &it.role_arn, "role_arn")?,
    };
    let Some((arn, by)) = named else { return Ok(None) };
    arn::role(arn, &by, from_aws)?;
    let session_name =
        session_name(find(|it| &it.role_session_name, "role_session_name")?, settings.name)?;
    let external_id = settings
        .named("external_id")
        .map(|named| checked(named, 2..=1224, "+=,.@:/-_"))
        .transpose()?;
    let source_identity = find(|it| &it.source_identity, "source_identity")?
        .map(|named| checked(named, 2..=64, "+=,.@-_"))
        .transpose()?;
    let tags = find(|it| &it.session_tags, "session_tags")?.map(tags).transpose()?;
    let transitive =
        find(|it| &it.transitive_tags, "transitive_session_tags")?.map(transitive).transpose()?;
    Ok(Some(Role {
        duration: HOUR,
        arn: arn.to_owned(),
        session_name,
        external_id,
        tags: tags.unwrap_or_default(),
        transitive: transitive.unwrap_or_default(),
        source_identity,
    }))
}

/// The role of the environment's own web identity: `AWS_ROLE_ARN`, where a token's file is set beside
/// it, and `AWS_ROLE_SESSION_NAME`.
pub(super) fn of_web_identity(settings: &Settings, from_aws: bool) -> Result<Role> {
    let Variables { role_arn, role_session_name, .. } = settings.variables;
    let (arn, by) = role_arn.named()?.ok_or_else(|| Error::usage("AWS_ROLE_ARN is not set"))?;
    arn::role(arn, &by, from_aws)?;
    Ok(Role {
        arn: arn.to_owned(),
        session_name: session_name(role_session_name.named()?, settings.name)?,
        duration: HOUR,
        external_id: None,
        tags: Vec::new(),
        transitive: Vec::new(),
        source_identity: None,
    })
}

fn session_name(named: Option<Named>, profile: &str) -> Result<String> {
    match named {
        Some(named) => checked(named, 2..=64, "+=,.@-_"),
        None => Ok(default_session_name(profile)),
    }
}

/// `vault-` and the profile's name, in the characters that AWS takes. It is the same at each run, so that the
/// session can be cached (aws-vault's is the time), and it shows in CloudTrail where a session comes from.
fn default_session_name(profile: &str) -> String {
    let clean = |c: char| if is_word(c, "+=,.@-_") { c } else { '-' };
    "vault-".chars().chain(profile.chars().map(clean)).take(64).collect()
}

fn is_word(c: char, also: &str) -> bool {
    c.is_ascii_alphanumeric() || also.contains(c)
}

/// A value of the length and the characters that AWS takes.
fn checked(
    (value, by): Named,
    length: std::ops::RangeInclusive<usize>,
    also: &str,
) -> Result<String> {
    if !length.contains(&value.len()) || !value.chars().all(|c| is_word(c, also)) {
        let (least, most) = (length.start(), length.end());
        return Err(Error::usage(format!(
            "{by}: AWS takes {least} to {most} letters, digits and {also}"
        )));
    }
    Ok(value.to_owned())
}

/// `k=v,k2=v2`, in the order given.
fn tags((list, by): Named) -> Result<Vec<(String, String)>> {
    let mut tags: Vec<(String, String)> = Vec::new();
    for item in list.split(',').map(str::trim).filter(|item| !item.is_empty()) {
        let Some((key, value)) = item.split_once('=') else {
            return Err(Error::usage(format!("{by}: not a list of KEY=VALUE")));
        };
        let (key, value) = (tag_key(key, &by)?, value.trim());
        if value.chars().count() > 256 || !value.chars().all(is_tag) {
            return Err(Error::usage(format!(
                "{by}: the value of {key} is not one that AWS accepts"
            )));
        }
        // AWS does not tell keys apart by case.
        if tags.iter().any(|(known, _)| known.eq_ignore_ascii_case(key)) {
            return Err(Error::usage(format!("{by}: {key} is given twice")));
        }
        tags.push((key.to_owned(), value.to_owned()));
        if tags.len() > TAGS {
            return Err(Error::usage(format!("{by}: more than {TAGS} tags")));
        }
    }
    Ok(tags)
}

/// `k,k2`, in the order given.
fn transitive((list, by): Named) -> Result<Vec<String>> {
    let keys = list.split(',').map(str::trim).filter(|key| !key.is_empty());
    let keys = keys.map(|key| tag_key(key, &by).map(str::to_owned)).collect::<Result<Vec<_>>>()?;
    if keys.len() > TAGS {
        return Err(Error::usage(format!("{by}: more than {TAGS} tags")));
    }
    Ok(keys)
}

fn tag_key<'a>(key: &'a str, by: &str) -> Result<&'a str> {
    let key = key.trim();
    if key.is_empty() || key.chars().count() > 128 || !key.chars().all(is_tag) {
        return Err(Error::usage(format!("{by}: a key is not one that AWS accepts")));
    }
    Ok(key)
}

/// `[\p{L}\p{Z}\p{N}_.:/=+\-@]`
fn is_tag(c: char) -> bool {
    c.is_alphanumeric() || (c.is_whitespace() && !c.is_control()) || "_.:/=+-@".contains(c)
}
