//! The settings of one profile: its own section, the sections that it includes, and what it inherits from
//! `[default]`. Values are borrowed from the files.
//!
//! aws-vault 7 merges all of `[default]` into every profile that ends its `include_profile` chain.
//! Here a profile inherits settings, and never where credentials come from: a forgotten `role_arn` in
//! `[default]` would otherwise turn every profile into a role. [`Settings::not_inherited`] finds the keys
//! for which this makes a difference.

use std::cell::OnceCell;
use std::collections::HashMap;

use super::known::INHERITABLE;
use super::own_command::ProcessCommand;
use super::read::{AccessKey, Profiles};
use super::sections::AwsFile;
use super::value::{key_of, plain};
use super::variables::{Named, Variable, Variables};
use crate::error::{Error, Result};

/// The settings of one profile, resolved once; only the sections that a setting names (`services`,
/// `sso_session`) are read later.
pub(super) struct Settings<'a> {
    pub profiles: &'a Profiles,
    pub variables: &'a Variables,
    pub name: &'a str,
    /// The profile and what it includes, nearest first.
    sections: Vec<&'a str>,
    /// What they set.
    own: HashMap<&'a str, &'a str>,
    /// `[default]` and what that includes, as far as not in `sections`.
    inherited_from: Vec<&'a str>,
    /// What they set.
    inherited: HashMap<&'a str, &'a str>,
    /// An `include_profile` that does not exist, with the profile that has it. aws-vault does not report it.
    pub missing_include: Option<(&'a str, &'a str)>,
    process: OnceCell<Option<ProcessCommand<'a>>>,
}

impl<'a> Settings<'a> {
    /// Follows the includes of a profile. The profile itself need not be in a file.
    ///
    /// # Errors
    /// [`crate::error::Class::Usage`]: a loop of includes, shown; or more than [`HOPS`] of them.
    /// [`crate::error::Class::Other`]: a line of the profile, of one that it includes, or of one that
    /// it inherits from, is not understood.
    pub fn of(profiles: &'a Profiles, name: &'a str) -> Result<Self> {
        let mut this = Self {
            profiles,
            variables: profiles.variables(),
            name,
            sections: Vec::with_capacity(2),
            own: HashMap::new(),
            inherited_from: Vec::new(),
            inherited: HashMap::new(),
            missing_include: None,
            process: OnceCell::new(),
        };
        let mut next = Some(name);
        while let Some(at) = next {
            if this.sections.contains(&at) {
                this.sections.push(at);
                return Err(looped("include_profile", &this.sections));
            }
            this.sections.push(at);
            fits("include_profile", &this.sections)?;
            profiles.understood(at)?;
            next = profiles.get(at, "include_profile");
            if let Some(included) = next
                && !profiles.has(included)
            {
                this.missing_include = Some((at, included));
                next = None;
            }
        }
        for at in &this.sections {
            merge(&mut this.own, profiles, at);
        }
        // What [default] includes is inherited with it. A loop there is no error of this profile.
        let mut next = Some("default");
        while let Some(at) = next
            && !this.sections.contains(&at)
            && !this.inherited_from.contains(&at)
        {
            this.inherited_from.push(at);
            fits("include_profile", &this.inherited_from)?;
            profiles.understood(at)?;
            merge(&mut this.inherited, profiles, at);
            next = profiles.get(at, "include_profile");
        }
        Ok(this)
    }

    /// The sections that count for the profile, nearest first; true for those that it inherits from.
    pub fn sections(&self) -> impl Iterator<Item = (&'a str, bool)> {
        let own = self.sections.iter().map(|at| (*at, false));
        own.chain(self.inherited_from.iter().map(|at| (*at, true)))
    }

    /// A key of the profile or of what it includes.
    pub fn own(&self, key: &str) -> Option<&'a str> {
        self.own.get(key).copied()
    }

    /// True if the profile, or what it includes, sets one of these keys.
    pub fn has_any(&self, keys: &[&str]) -> bool {
        keys.iter().any(|key| self.own(key).is_some())
    }

    /// A key of the profile or of what it includes, or of `[default]` if it is inheritable.
    pub fn get(&self, key: &str) -> Option<&'a str> {
        self.own(key)
            .or_else(|| self.inherited.get(key).copied().filter(|_| INHERITABLE.contains(&key)))
    }

    /// The same, with what an error calls it.
    pub fn named(&self, key: &str) -> Option<Named<'a>> {
        self.get(key).map(|value| (value, self.by(key)))
    }

    /// A variable, or else the key.
    pub fn variable_or(&self, variable: &'a Variable, key: &str) -> Result<Option<Named<'a>>> {
        Ok(variable.named()?.or_else(|| self.named(key)))
    }

    /// The profile's `credential_process`, whose program is searched for at the first call only.
    pub fn process(&self) -> Option<&ProcessCommand<'a>> {
        let of = |line| ProcessCommand::of(line, self.variables.path.os());
        self.process.get_or_init(|| self.own("credential_process").map(of)).as_ref()
    }

    /// What an error calls a key: its name, and the section that it is taken from.
    pub fn by(&self, key: &str) -> String {
        let mut sections = self.sections().map(|(section, _)| section);
        let holder = sections.find(|section| self.profiles.get(section, key).is_some());
        key_of(key, holder.unwrap_or(self.name))
    }

    /// The access key of the profile in one of the files, and the section that holds it: of the keys that
    /// belong together all come from one section of one file.
    pub fn access_key(&self, which: AwsFile) -> Option<(&'a str, AccessKey<'a>)> {
        self.sections.iter().find_map(|at| Some((*at, self.profiles.access_key(at, which)?)))
    }

    /// True if aws-vault would give the profile this key from `[default]`, and we do not.
    pub fn not_inherited(&self, key: &str) -> bool {
        self.own(key).is_none() && self.inherited.get(key).is_some_and(|value| *value != self.name)
    }

    /// The endpoint for a service (`sts`, `iam`) in the files: that of the `services` section, then
    /// `endpoint_url`.
    ///
    /// # Errors
    /// [`crate::error::Class::Usage`]: there is no such section, which is an error of botocore's too: a
    /// request for a private endpoint does not go to AWS. And as [`Profiles::service_endpoint`].
    pub fn endpoint(&self, service: &str) -> Result<Option<&'a str>> {
        let Some(services) = self.get("services") else { return Ok(self.get("endpoint_url")) };
        if !self.profiles.has_services(services) {
            let by = if self.own("services").is_some() { self.name } else { "default" };
            return Err(Error::usage(format!(
                "[services {}], the services of profile \"{}\", is missing or empty",
                plain(services),
                plain(by)
            )));
        }
        let own = self.profiles.service_endpoint(services, service)?;
        Ok(own.or_else(|| self.get("endpoint_url")))
    }
}

/// Adds the settings of a section that are not set nearer.
fn merge<'a>(into: &mut HashMap<&'a str, &'a str>, profiles: &'a Profiles, section: &str) {
    for (key, value) in profiles.settings(section) {
        into.entry(key).or_insert(value);
    }
}

/// The most steps of a chain of profiles. Each is a call to AWS, a lock and a step of a recursion.
const HOPS: usize = 32;

/// Checks the length of a chain of profiles.
pub(super) fn fits(key: &str, chain: &[&str]) -> Result<()> {
    match chain {
        [first, rest @ ..] if rest.len() > HOPS => Err(Error::usage(format!(
            "the {key} chain of profile \"{}\" has more than {HOPS} steps",
            plain(first)
        ))),
        _ => Ok(()),
    }
}

/// The error for a chain of profiles that comes back to where it was.
pub(super) fn looped(key: &str, chain: &[&str]) -> Error {
    let chain: Vec<_> = chain.iter().map(|name| plain(name)).collect();
    Error::usage(format!("{key} loop: {}", chain.join(" -> ")))
        .hint(format!("take the {key} out of one of these profiles"))
}
