//! Errors of a profile that no plan reports: settings with unknown names, and errors after the first one, with
//! which a plan ends.

use super::arn;
use super::durations::{Durations, ROLE_RANGE};
use super::known::{SOURCE_KEYS, chooses, is_known, may_choose, meant};
use super::read::Profiles;
use super::region::region_fault;
use super::role;
use super::settings::Settings;
use super::sts;
use super::value::{key_of, plain, wrong_value};
use crate::error::Error;
use crate::origin::Origin;
use crate::process::shell_word;

/// Settings of a profile that no program reads.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Unknown {
    /// Those that are near to one that is read.
    pub misspelt: Vec<Misspelt>,
    /// The rest, which may be of other programs.
    pub others: Vec<String>,
}

/// A setting whose name is misspelt.
#[derive(Debug, PartialEq, Eq)]
pub struct Misspelt {
    pub key: String,
    pub meant: &'static str,
}

impl Misspelt {
    /// A setting that no program reads, if it is near to one.
    fn of(name: &str) -> Option<Self> {
        Some(Self { key: name.to_owned(), meant: meant(name)? })
    }

    /// What is wrong with it in this profile.
    pub fn what(&self, profile: &str) -> String {
        format!("profile \"{}\": nothing reads its {}", plain(profile), self.key)
    }

    /// What to do in a profile that would have credentials by it, and has none.
    pub fn hint_without_credentials(&self, profile: &str) -> String {
        format!(
            "vault add {}, or write {} instead of {}, which is not a known setting",
            shell_word(profile),
            self.meant,
            self.key
        )
    }

    /// What to do.
    pub fn advice(&self) -> String {
        format!("did you mean {}?", self.meant)
    }
}

/// The settings of a profile's own section whose names are unknown, sorted.
pub fn unknown_settings(profiles: &Profiles, profile: &str) -> Unknown {
    let mut unknown = Unknown::default();
    let mut names: Vec<&str> = profiles.settings(profile).map(|(name, _)| name).collect();
    names.sort_unstable();
    for name in names.into_iter().filter(|name| !is_known(name)) {
        match Misspelt::of(name) {
            Some(misspelt) => unknown.misspelt.push(misspelt),
            None => unknown.others.push(printable(name)),
        }
    }
    unknown
}

/// Warnings for lines of a profile, and of those that it includes or inherits from, that would have changed
/// its credentials, and that nothing reads: their names are misspelt, or they continue the line above.
/// `has_key`: the profile uses its own key in the vault.
pub(super) fn unread(settings: &Settings, has_key: bool) -> Vec<String> {
    let profiles = settings.profiles;
    let mut found = Vec::new();
    for (section, lends) in settings.sections() {
        let counts = |key: &str| {
            chooses(key)
                && !(has_key && SOURCE_KEYS.contains(&key) && key != "include_profile")
                && (!lends || key == "mfa_serial")
        };
        let swallowed = profiles.swallowed(section).filter(|line| counts(&line.key));
        found.extend(swallowed.map(|line| line.text.clone()));
        let names = profiles.settings(section).map(|(name, _)| name);
        // Each run does this, so few names are compared with all settings.
        let mut names: Vec<&str> = names.filter(|name| may_choose(name)).collect();
        names.sort_unstable();
        let misspelt = names.into_iter().filter_map(Misspelt::of).filter(|it| counts(it.meant));
        found.extend(misspelt.map(|it| format!("{}; {}", it.what(section), it.advice())));
    }
    found
}

/// The warning for the first setting that continues the line above it, in a profile and its related ones.
pub(super) fn first_swallowed(profiles: &Profiles, profile: &str) -> Option<String> {
    let sections = related(profiles, profile);
    sections.iter().find_map(|at| Some(profiles.swallowed(at).next()?.text.clone()))
}

/// The name of a setting, unless it could be a secret in the wrong place.
fn printable(name: &str) -> String {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-.".contains(&b);
    let name = if name.len() < 32 && name.bytes().all(plain) { name } else { "..." };
    name.to_owned()
}

/// The profiles that a profile's settings come from: itself, those that it includes or sources, and
/// `default`, from which it inherits.
pub fn related(profiles: &Profiles, profile: &str) -> Vec<String> {
    let mut found = vec![profile.to_owned()];
    let mut at = 0;
    while let Some(name) = found.get(at).cloned() {
        let named = ["include_profile", "source_profile"].into_iter();
        let named = named.filter_map(|key| profiles.get(&name, key));
        for other in named.chain(["default"]).filter(|other| profiles.has(other)) {
            if !found.iter().any(|known| known == other) {
                found.push(other.to_owned());
            }
        }
        at += 1;
    }
    found
}

/// All errors in the values of a profile's own section, and in the variables that override them.
pub fn value_faults(profiles: &Profiles, profile: &str) -> Vec<Error> {
    let Ok(settings) = Settings::of(profiles, profile) else { return Vec::new() };
    let from_aws = matches!(sts::endpoint(&settings, "sts"), Ok(None));
    let mut faults = Vec::new();
    if let Some(arn) = profiles.get(profile, "role_arn") {
        faults.extend(role::of(&settings, None, from_aws).err());
        faults.extend(arn::doubt(arn, &settings.by("role_arn")).filter(|_| from_aws));
        let duration =
            Durations::of(settings.variables).and_then(|durations| durations.role(&settings));
        let duration = duration.and_then(|asked| asked.within("a role", ROLE_RANGE));
        faults.extend(duration.err());
    }
    if let Some(serial) = profiles.get(profile, "mfa_serial") {
        let by = settings.by("mfa_serial");
        faults.extend(arn::device(serial, &by, from_aws).err());
        faults.extend(arn::doubt(serial, &by).filter(|_| from_aws));
    }
    faults.extend(sts::sts_and_iam(profiles, profile).err());
    faults.extend(region_fault(&settings, from_aws));
    faults.extend(endpoint_faults(profiles, profile));
    faults
}

/// The errors for endpoints that are no URLs: those of the environment, and of a profile's own section and the
/// `services` that it names.
fn endpoint_faults(profiles: &Profiles, profile: &str) -> Vec<Error> {
    let of_env = profiles.variables().endpoints();
    let own = profiles.get(profile, "endpoint_url");
    let own = own.map(|url| (url, key_of("endpoint_url", profile)));
    let services = profiles.get(profile, "services");
    let of_services = services.into_iter().flat_map(|services| {
        let by = format!("of [services {}]", plain(services));
        let urls = profiles.service_endpoints(services).into_iter();
        urls.map(move |(service, url)| (url, format!("endpoint_url of {service} {by}")))
    });
    let all = of_env.chain(own).chain(of_services).filter(|(url, _)| Origin::parse(url).is_none());
    let fault = |(url, by): (&str, String)| {
        wrong_value(&by, "not an http or https URL", url)
            .hint("it looks like https://sts.eu-central-1.amazonaws.com")
    };
    all.map(fault).collect()
}
