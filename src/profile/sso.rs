//! IAM Identity Center: where people log in, and for which role (AWS SDKs and Tools reference, "IAM
//! Identity Center credential provider").

use std::collections::HashMap;

use super::missing::no_such_profile;
use super::read::Profiles;
use super::region::NO_REGION;
use super::settings::{Settings, fits, looped};
use super::step::Step;
use super::sts::Target;
use super::value::{plain, wrong_value};
use super::variant::EndpointVariant;
use crate::error::{Error, Result};
use crate::name::is_account;

/// Where people log in. Profiles with equal values share one login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignOn {
    /// `sso_start_url`
    pub start_url: String,
    /// `sso_registration_scopes`
    pub scopes: Vec<String>,
    /// Where they log in; its region is `sso_region`.
    pub oidc: Target,
    /// Where the login is exchanged for credentials.
    pub portal: Target,
}

/// The keys of a profile that name it.
const KEYS: [&str; 4] = ["sso_session", "sso_start_url", "sso_account_id", "sso_role_name"];

/// What credentials of roles want, and what AWS gives a token to refresh for (AWS SDKs and Tools
/// reference, `sso_registration_scopes`).
const SCOPE: &str = "sso:account:access";

impl SignOn {
    /// Uses the endpoint variant of the profile asked for; if that names none, the one of the profile that
    /// logs in.
    pub(super) fn ask_for(&mut self, variant: EndpointVariant) {
        self.oidc.variant = variant.or(self.oidc.variant);
        self.portal.variant = variant.or(self.portal.variant);
    }

    /// What tells this login from others.
    pub fn key(&self) -> Vec<String> {
        let endpoint = self.oidc.endpoint.clone().unwrap_or_default();
        let mut key = vec![self.start_url.clone(), self.oidc.region.clone(), endpoint];
        key.extend(self.scopes.iter().cloned());
        key
    }
}

/// Where to log in for the last profile of a chain, if it says so.
pub(super) fn base(end: &Settings) -> Result<Option<SignOn>> {
    end.has_any(&KEYS).then(|| of(end)).transpose()
}

/// The role that such a profile names: a login may give several.
pub(super) fn role(end: &Settings) -> Result<Step> {
    let key = |key: &str, fits: fn(&str) -> bool, otherwise: &str| match end.own(key) {
        Some(value) if fits(value) => Ok(value.to_owned()),
        Some(value) => Err(wrong_value(&end.by(key), otherwise, value)),
        None => Err(missing(key, end)),
    };
    let role = |text: &str| {
        (1..=64).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b))
    };
    Ok(Step::SsoRole {
        account: key("sso_account_id", is_account, "not an account's twelve digits")?,
        name: key("sso_role_name", role, "not the name of a permission set")?,
    })
}

/// Where to log in for a profile, as it says itself or the end of its `source_profile` chain does.
///
/// # Errors
/// Not found: a profile. Usage: a loop, a chain that is too long, a profile without SSO, and an
/// `[sso-session]` or a key that is missing, or cannot be right.
pub fn sign_on(profiles: &Profiles, profile: &str) -> Result<(String, SignOn)> {
    let mut chain: Vec<&str> = Vec::new();
    let mut next = Some(profile);
    while let Some(at) = next {
        if chain.contains(&at) {
            chain.push(at);
            return Err(looped("source_profile", &chain));
        }
        if !profiles.has(at) {
            return Err(no_such_profile(profiles, [].into_iter(), at, chain.last().copied()));
        }
        chain.push(at);
        fits("source_profile", &chain)?;
        let settings = Settings::of(profiles, at)?;
        if let Some(mut sign_on) = base(&settings)? {
            sign_on.ask_for(EndpointVariant::of(&Settings::of(profiles, profile)?)?);
            return Ok((at.to_owned(), sign_on));
        }
        next = settings.own("source_profile").filter(|source| *source != at);
    }
    Err(Error::usage(format!("profile \"{}\" does not use IAM Identity Center", plain(profile)))
        .hint("it needs sso_session, or sso_start_url and sso_region"))
}

/// Where people log in for the profiles that say so themselves, each place once, with its first profile.
pub fn sign_ons(profiles: &Profiles) -> Vec<(String, Result<SignOn>)> {
    let mut found: Vec<(String, Result<SignOn>)> = Vec::new();
    for name in profiles.names() {
        let Ok(settings) = Settings::of(profiles, &name) else { continue };
        let Some(sign_on) = base(&settings).transpose() else { continue };
        if found.iter().all(|(_, other)| *other != sign_on) {
            found.push((name, sign_on));
        }
    }
    found
}

fn of(settings: &Settings) -> Result<SignOn> {
    let section = settings.own("sso_session");
    let shared = match section {
        Some(section) => settings.profiles.sso_session(section)?.ok_or_else(|| {
            let section = plain(section);
            Error::usage(format!(
                "no [sso-session {section}], the sso_session of profile \"{}\"",
                settings.name
            ))
        })?,
        None => HashMap::new(),
    };
    // For every key, as in the AWS CLI: which of both is wrong is not known.
    let other =
        shared.iter().filter(|(key, value)| settings.own(key).is_some_and(|it| it != **value));
    if let Some(key) = other.map(|(key, _)| plain(key)).min() {
        return Err(Error::usage(format!(
            "{key} of profile \"{}\" is another than that of its sso_session",
            settings.name
        )));
    }
    let get = |key: &str| shared.get(key).copied().or_else(|| settings.own(key));
    let key = |key: &str| get(key).ok_or_else(|| missing(key, settings));
    let by = |key: &str| match section.filter(|_| shared.contains_key(key)) {
        Some(section) => format!("{key} of [sso-session {}]", plain(section)),
        None => settings.by(key),
    };
    let start_url = key("sso_start_url")?;
    let printable = start_url.bytes().all(|b| b.is_ascii_graphic());
    if !(start_url.starts_with("https://") && printable) {
        return Err(wrong_value(&by("sso_start_url"), "not an https URL", start_url));
    }
    let region = key("sso_region")?;
    let fits = (1..=63).contains(&region.len())
        && region.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if !fits {
        return Err(wrong_value(&by("sso_region"), NO_REGION, region));
    }
    let scopes = get("sso_registration_scopes").unwrap_or(SCOPE);
    let scopes = scopes.split(',').map(str::trim).filter(|scope| !scope.is_empty());
    let oidc = Target::of("sso_oidc", region.to_owned(), settings)?;
    Ok(SignOn {
        start_url: start_url.to_owned(),
        scopes: scopes.map(str::to_owned).collect(),
        portal: oidc.beside("sso", region.to_owned(), settings)?,
        oidc,
    })
}

fn missing(key: &str, settings: &Settings) -> Error {
    Error::usage(format!("profile \"{}\" has no {key}", settings.name)).hint(
        "IAM Identity Center needs sso_session (or sso_start_url and sso_region), \
            sso_account_id and sso_role_name",
    )
}
