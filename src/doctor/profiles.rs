//! Whether a profile leads to credentials, and from which source. No program is started, and AWS is not asked.

use std::collections::BTreeSet;

use serde_json::json;

use super::{Host, ProfileScope, Report, references};
use crate::error::{Class, Error, Reason};
use crate::process::shell_word;
use crate::profile::{self, AwsFile, Base, PlanRequest, Profiles};
use crate::vault::Vault;

/// What profiles are checked with.
struct ProfileCheck<'a> {
    host: &'a Host<'a>,
    profiles: &'a Profiles,
    /// The profiles that have a key in the vault; none if it is not open.
    stored: Option<BTreeSet<String>>,
    seeds: BTreeSet<String>,
}

/// Checks the profiles of the scope, and the sections that they come from.
pub fn check(host: &Host, profiles: &Profiles, vault: Option<&Vault>, report: &mut Report) {
    let payload = vault.map(Vault::payload);
    let stored = payload.map(|it| it.credential_names().map(str::to_owned).collect());
    let seeds = payload.into_iter().flat_map(|it| it.totp_serials()).map(str::to_owned).collect();
    let check = ProfileCheck { host, profiles, stored, seeds };
    let names = check.names(report);
    let mut sections: Vec<String> = Vec::new();
    for name in names.iter().flat_map(|name| profile::related(profiles, name)) {
        if !sections.contains(&name) {
            sections.push(name);
        }
    }
    if sections.is_empty() {
        // Its variables count for a command without a profile.
        sections.push("default".to_owned());
    }
    let mut seen = BTreeSet::new();
    let mut notes = Vec::new();
    for name in &names {
        notes.extend(check.plan(name, &mut seen, report).into_iter().map(|note| (name, note)));
    }
    for name in &sections {
        check.section(name, &mut seen, report);
    }
    for (name, note) in notes {
        // The checks of the files have reported some of them.
        if !report.has_text(&note) {
            report.note("aws.plan", format!("profile {name}: {note}"));
        }
    }
    let programs = if host.scope == ProfileScope::Named { sections } else { profiles.names() };
    for profile::BeforeProcess { what, advice } in profile::before_process(profiles, &programs) {
        report.problem("aws.process", what).advise(advice);
    }
}

impl ProfileCheck<'_> {
    fn is_stored(&self, name: &str) -> bool {
        self.stored.as_ref().is_some_and(|stored| stored.contains(name))
    }

    /// The profiles that are checked.
    fn names(&self, report: &mut Report) -> Vec<String> {
        if self.host.scope == ProfileScope::All {
            let mut names: BTreeSet<String> = self.profiles.names().into_iter().collect();
            names.extend(self.stored.iter().flatten().cloned());
            return names.into_iter().collect();
        }
        let name = report.value_of("aws.profile", self.host.profile.clone());
        // `default` was not named: without credentials it only has defaults for others, or does not exist.
        let is_there = |name: &String| {
            let request = PlanRequest { profile: name.clone(), ..PlanRequest::default() };
            self.host.scope == ProfileScope::Named
                || self.is_stored(name)
                || match profile::plan(self.profiles, &BTreeSet::new(), &request) {
                    Ok(_) => true,
                    Err(error) => self.profiles.has(name) && !is_absence(&error),
                }
        };
        name.into_iter().filter(is_there).collect()
    }

    /// True for `default`, and for what another profile includes.
    fn is_inherited_from(&self, name: &str) -> bool {
        let is_included =
            |other: &String| self.profiles.get(other, "include_profile") == Some(name);
        name == "default" || self.profiles.names().iter().any(is_included)
    }

    /// Reports its source, or why it has no plan; nothing that is `seen`. Returns the plan's notes.
    fn plan(&self, name: &str, seen: &mut BTreeSet<String>, report: &mut Report) -> Vec<String> {
        let none = BTreeSet::new();
        let stored = self.stored.as_ref().unwrap_or(&none);
        let request = PlanRequest {
            profile: name.to_owned(),
            seeds: self.seeds.clone(),
            ..PlanRequest::default()
        };
        let plan = match profile::plan(self.profiles, stored, &request) {
            Ok(plan) => plan,
            Err(error) if self.stored.is_none() && is_absence(&error) => {
                let text =
                    format!("profile {name}: no credentials, unless the vault has a key for it");
                report.note("aws.profile", text);
                return Vec::new();
            }
            Err(error)
                if self.host.scope == ProfileScope::All
                    && is_absence(&error)
                    && self.is_inherited_from(name) =>
            {
                let text =
                    format!("profile {name}: no credentials of its own; other profiles include it");
                report.ok("aws.profile", text);
                return Vec::new();
            }
            Err(error) => {
                problem(name, &error, seen, report);
                return Vec::new();
            }
        };
        let kind = plan.base.kind();
        report
            .ok("aws.source", format!("profile {name}: credentials from {kind}"))
            .with(json!({ "profile": name, "source": kind }));
        if let Base::Plaintext { profile: holder } = &plan.base {
            self.plaintext(name, holder, report);
        }
        plan.all().flat_map(|plan| plan.notes.clone()).collect()
    }

    /// The section by itself.
    fn section(&self, name: &str, seen: &mut BTreeSet<String>, report: &mut Report) {
        for error in profile::value_faults(self.profiles, name) {
            problem(name, &error, seen, report);
        }
        references::check(self.host, self.profiles, name, report);
        let unknown = profile::unknown_settings(self.profiles, name);
        for misspelt in unknown.misspelt {
            // The error for a profile without credentials names it.
            if report.advises(&misspelt.hint_without_credentials(name)) {
                continue;
            }
            report.problem("aws.setting", misspelt.what(name)).advise(misspelt.advice());
        }
        if !unknown.others.is_empty() {
            let keys = unknown.others.join(", ");
            let text = format!("profile {name}: neither AWS nor vault knows its {keys}");
            report.note("aws.setting", text);
        }
        // What hides a credential_process is reported by that check.
        let shows = profile::before_process(self.profiles, &[name.to_owned()]).is_empty();
        if self.is_stored(name) && shows && self.profiles.plaintext(name).is_some() {
            let process = self.profiles.get(name, "credential_process").is_some();
            let text = format!("profile {name}: its key is unencrypted in the AWS files");
            let finding = match process {
                // In the config file it comes after the process.
                true => report.note("aws.plaintext", text),
                false => report.problem(
                    "aws.plaintext",
                    format!("{text}, and the AWS CLI and the SDKs use that one, not the vault's"),
                ),
            };
            finding.advise(self.how_to_remove_key(name));
        }
    }

    /// Reports a plaintext key that a plan starts from.
    fn plaintext(&self, name: &str, holder: &str, report: &mut Report) {
        let finding = match self.stored_behind(holder) {
            Some(other) => report.problem(
                "aws.plaintext",
                format!(
                    "profile {name}: the key of {holder} in the AWS files comes before the vault's key of {other}"
                ),
            ),
            None => report.note(
                "aws.plaintext",
                format!("profile {name}: the key of {holder} is unencrypted in the AWS files"),
            ),
        };
        finding.advise(self.how_to_remove_key(holder));
    }

    /// How to remove a key from the files.
    fn how_to_remove_key(&self, name: &str) -> String {
        match self.profiles.access_key(name, AwsFile::Credentials) {
            Some(key) => profile::how_to_remove(&key, name),
            None => {
                format!("vault add {}, and remove the key from the config file", shell_word(name))
            }
        }
    }

    /// The nearest profile of a chain of sources that has a key in the vault.
    fn stored_behind<'n>(&'n self, name: &'n str) -> Option<&'n str> {
        let mut seen = vec![name];
        let mut at = name;
        loop {
            at = self.profiles.get(at, "source_profile").filter(|next| !seen.contains(next))?;
            seen.push(at);
            if self.is_stored(at) {
                return Some(at);
            }
        }
    }
}

/// True if only a key in the vault may be missing.
fn is_absence(error: &Error) -> bool {
    let guessed = error.reason == Some(Reason::NoSuchProfile { guessed: true });
    error.class == Class::NotFound && !guessed
}

fn problem(name: &str, error: &Error, seen: &mut BTreeSet<String>, report: &mut Report) {
    if !seen.insert(error.what.clone()) {
        return;
    }
    let named = error.what.contains(&format!("\"{name}\"")) || error.what.starts_with("AWS_");
    let who = if named { String::new() } else { format!("profile {name}: ") };
    let advice = error.hint.clone().filter(|hint| !report.has_text(hint));
    report.problem("aws.profile", format!("{who}{}", error.what)).advice = advice;
}
