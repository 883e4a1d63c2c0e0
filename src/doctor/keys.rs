//! The key sources: which are present, which are tried, and whether they open the vault.

use serde_json::json;

use super::vault::File;
use super::{Host, Mark, Report};
use crate::clock::Timestamp;
use crate::error::{Class, Reason};
use crate::unlock::{self, Presence, Source};
use crate::vault::{Access, Vault};

/// Tries the sources on the vault.
pub fn check<'a>(
    host: &Host,
    file: &File,
    access: &'a Access<'a>,
    optional: bool,
    report: &mut Report,
) -> Option<Vault<'a>> {
    let slots = file.scanned.slot_names();
    let found = unlock::survey(host.named, host.env, host.places.identity_file(), Some(&slots));
    let mut counting = found.iter().filter(|source| source.counts);
    if counting.clone().any(|source| matches!(source.presence, Presence::Unread)) {
        list(&found, None, report);
        report.note("unlock.open", "not tried: a pipe can be read only once");
        return None;
    }
    if let Err(error) = access.check_cost(&file.scanned.slots) {
        let finding = report.note("vault.cost", error.what);
        finding.advise(error.hint.unwrap_or_default());
    }
    let opened = Vault::open(access);
    list(&found, opened.as_ref().ok().map(Vault::opened_by), report);
    match opened {
        Ok(vault) => {
            report
                .ok("unlock.open", format!("the vault opens, by {}", vault.opened_by()))
                .with(json!({ "by": vault.opened_by() }));
            Some(vault)
        }
        Err(error) if host.has_terminal && error.reason == Some(Reason::KeyPassphrase) => {
            report.note(
                "unlock.open",
                format!("{}, which a terminal prompts for; not tried", error.what),
            );
            None
        }
        // No default source opens the vault: then a terminal prompts.
        Err(_)
            if !optional
                && !slots.is_empty()
                && host.has_terminal
                && counting.all(|s| s.line > 3) =>
        {
            report.note("unlock.open", "the terminal will prompt for a passphrase; not tried");
            None
        }
        Err(error)
            if optional
                && error.class == Class::Locked
                && !unlock::is_named(host.named, host.env) =>
        {
            report.note("unlock.open", format!("{}, and the profile needs none", error.what));
            None
        }
        Err(error) => {
            report.error_once("unlock.open", &error);
            None
        }
    }
}

/// Lists the sources without a vault.
pub fn sources(host: &Host, report: &mut Report) {
    let found = unlock::survey(host.named, host.env, host.places.identity_file(), None);
    list(&found, None, report);
}

fn list(found: &[Source], opened_by: Option<&str>, report: &mut Report) {
    let is_opener = |source: &Source| match &source.presence {
        Presence::Present { label, .. } => opened_by == Some(label),
        _ => false,
    };
    let opener = found.iter().position(is_opener);
    for (at, source) in found.iter().enumerate() {
        let Source { line, name, presence, counts } = source;
        let (mut ends, mut advice) = (None, None);
        let (state, mark, text) = match presence {
            Presence::Absent => ("absent", Mark::Ok, "absent".to_owned()),
            Presence::Unavailable(why) => {
                ("unavailable", Mark::Ok, format!("not available: {why}"))
            }
            Presence::Present { until, .. } => {
                ends = until.map(Timestamp::to_rfc3339);
                let (state, mark, what) = match opener {
                    Some(opener) if opener == at => ("used", Mark::Ok, "used"),
                    _ if !counts => (
                        "present",
                        Mark::Note,
                        "present, not tried: a source with a lower line number is used",
                    ),
                    Some(opener) if opener < at => {
                        ("present", Mark::Note, "present, not needed: an earlier one opens it")
                    }
                    _ => ("present", Mark::Note, "present, did not open the vault"),
                };
                let until =
                    ends.as_ref().map_or_else(String::new, |ends| format!(", until {ends}"));
                (state, mark, format!("{what}{until}"))
            }
            Presence::Unread => ("present", Mark::Note, "a pipe, not read".to_owned()),
            Presence::Unusable(error) => {
                advice.clone_from(&error.hint);
                let mark = if *counts { Mark::Problem } else { Mark::Note };
                ("unusable", mark, format!("cannot be used: {}", error.what))
            }
        };
        let finding = report.add("unlock.source", mark, format!("{line} {name}: {text}"));
        finding.advice = advice;
        finding.with(json!({
            "line": line, "source": name, "state": state, "counts": counts, "until": ends,
        }));
    }
}
