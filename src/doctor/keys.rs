//! The key sources: which are present, which are tried, and whether they open the vault.

use serde_json::json;

use super::vault::File;
use super::{Host, Report};
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
            report.error("unlock.open", &error);
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
        let shown = |what: &str| format!("{line} {name}: {what}");
        let mut ends = None;
        let (state, finding) = match presence {
            Presence::Absent => ("absent", report.ok("unlock.source", shown("absent"))),
            Presence::Unavailable(why) => {
                let text = shown(&format!("not available: {why}"));
                ("unavailable", report.ok("unlock.source", text))
            }
            Presence::Present { until, .. } => {
                ends = until.map(Timestamp::to_rfc3339);
                let until =
                    ends.as_ref().map_or_else(String::new, |ends| format!(", until {ends}"));
                let (state, what) = match opener {
                    Some(opener) if opener == at => ("used", "used"),
                    _ if !counts => ("present", "present, not tried: an earlier line is used"),
                    Some(opener) if opener < at => {
                        ("present", "present, not needed: an earlier one opens it")
                    }
                    _ => ("present", "present, did not open the vault"),
                };
                let text = shown(&format!("{what}{until}"));
                match state {
                    "used" => (state, report.ok("unlock.source", text)),
                    _ => (state, report.note("unlock.source", text)),
                }
            }
            Presence::Unread => {
                ("present", report.note("unlock.source", shown("a pipe, not read")))
            }
            Presence::Unusable(error) => {
                let text = shown(&format!("cannot be used: {}", error.what));
                let finding = match counts {
                    true => report.problem("unlock.source", text),
                    false => report.note("unlock.source", text),
                };
                finding.advice.clone_from(&error.hint);
                ("unusable", finding)
            }
        };
        finding.with(json!({
            "line": line, "source": name, "state": state, "counts": counts, "until": ends,
        }));
    }
}
