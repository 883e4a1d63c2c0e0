//! The sources that would unlock the vault: which are there, which count, and whether they open it.

use serde_json::json;

use super::vault::File;
use super::{Host, Report};
use crate::unlock::{self, Presence, Source};
use crate::vault::{Access, Vault};

/// Tries them.
pub fn check<'a>(
    host: &Host,
    file: &File,
    access: &'a Access<'a>,
    report: &mut Report,
) -> Option<Vault<'a>> {
    let slots = file.scanned.slot_names();
    let found = unlock::survey(host.named, host.env, host.places.identity_file(), Some(&slots));
    let mut counting = found.iter().filter(|source| source.counts);
    if counting.clone().any(|source| matches!(source.presence, Presence::Unread)) {
        list(&found, None, report);
        report.note("unlock.open", "not tried: pipes are for those who need what is in them");
        return None;
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
        // What lay around was tried in vain, or there was nothing: then a person is asked.
        Err(_) if !slots.is_empty() && host.has_terminal && counting.all(|s| s.line > 3) => {
            report.note("unlock.open", "a passphrase will be asked for on the terminal; not tried");
            None
        }
        Err(error) => {
            report.error("unlock.open", &error);
            None
        }
    }
}

/// Without a vault: what there is.
pub fn sources(host: &Host, report: &mut Report) {
    let found = unlock::survey(host.named, host.env, host.places.identity_file(), None);
    list(&found, None, report);
}

fn list(found: &[Source], opened_by: Option<&str>, report: &mut Report) {
    let opener = found.iter().position(|source| source.presence.label() == opened_by);
    let opener = opener.filter(|_| opened_by.is_some());
    for (at, source) in found.iter().enumerate() {
        let Source { line, name, presence, counts } = source;
        let shown = |what: &str| format!("{line} {name}: {what}");
        let until = match presence {
            Presence::Until(_, until) => Some(until.to_rfc3339()),
            _ => None,
        };
        let ends = until.as_ref().map_or_else(String::new, |until| format!(", until {until}"));
        let (state, finding) = match presence {
            Presence::Absent => ("absent", report.ok("unlock.source", shown("absent"))),
            Presence::Unavailable(why) => {
                let text = shown(&format!("not to be had here: {why}"));
                ("unavailable", report.ok("unlock.source", text))
            }
            Presence::Present(_) | Presence::Until(..) if opener == Some(at) => {
                ("used", report.ok("unlock.source", shown(&format!("used{ends}"))))
            }
            Presence::Present(_) | Presence::Until(..) if *counts => {
                let what = match opener {
                    Some(opener) if opener < at => "present, not needed: an earlier one opens it",
                    _ => "present, did not open the vault",
                };
                ("present", report.note("unlock.source", shown(&format!("{what}{ends}"))))
            }
            Presence::Present(_) | Presence::Until(..) => {
                let text = format!("present, not tried: an earlier line is{ends}");
                ("present", report.note("unlock.source", shown(&text)))
            }
            Presence::Unread => {
                ("present", report.note("unlock.source", shown("a pipe, not read here")))
            }
            Presence::Unusable(error) => {
                let text = shown(&format!("cannot be used: {}", error.what));
                let finding = match counts {
                    true => report.problem("unlock.source", text),
                    false => report.note("unlock.source", text),
                };
                if let Some(hint) = &error.hint {
                    finding.advise(hint);
                }
                ("unusable", finding)
            }
        };
        let facts = json!({ "line": line, "source": name, "state": state, "counts": counts, "until": until });
        finding.with(facts);
    }
}
