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
    let has_slot = !file.scanned.slots.is_empty();
    let found = unlock::survey(host.named, host.env, host.places.identity_file());
    let counting = counting(&found, has_slot);
    if counting.iter().any(|source| matches!(source.presence, Presence::Unread)) {
        list(&found, &counting, None, report);
        report.note("unlock.open", "not tried: pipes are for those who need what is in them");
        return None;
    }
    let opened = Vault::open(access);
    list(&found, &counting, opened.as_ref().ok().map(Vault::opened_by), report);
    match opened {
        Ok(vault) => {
            report
                .ok("unlock.open", format!("the vault opens, by {}", vault.opened_by()))
                .with(json!({ "by": vault.opened_by() }));
            Some(vault)
        }
        // What lay around was tried in vain, or there was nothing: then a person is asked.
        Err(_) if has_slot && host.has_terminal && counting.iter().all(|s| s.line > 3) => {
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
pub fn sources(host: &Host, opened_by: Option<&str>, report: &mut Report) {
    let found = unlock::survey(host.named, host.env, host.places.identity_file());
    let counting = counting(&found, true);
    list(&found, &counting, opened_by, report);
}

/// What is tried: of the first three lines the first with anything in it, else all that lies around.
fn counting(found: &[Source], has_slot: bool) -> Vec<&Source> {
    let there = |source: &&Source| {
        let theirs = source.name == "AWS_VAULT_FILE_PASSPHRASE" && !has_slot;
        !theirs && !matches!(source.presence, Presence::Absent)
    };
    let first = found.iter().filter(there).map(|source| source.line).find(|line| *line <= 3);
    let counts = |source: &&Source| first.map_or(source.line > 3, |line| source.line == line);
    found.iter().filter(there).filter(counts).collect()
}

fn list(found: &[Source], counting: &[&Source], opened_by: Option<&str>, report: &mut Report) {
    for source in found {
        let counts = counting.iter().any(|other| std::ptr::eq(*other, source));
        let Source { line, name, presence } = source;
        let shown = |what: &str| format!("{line} {name}: {what}");
        let (state, finding) = match presence {
            Presence::Absent => ("absent", report.ok("unlock.source", shown("absent"))),
            Presence::Present(label) if opened_by == Some(label) => {
                ("used", report.ok("unlock.source", shown("used")))
            }
            Presence::Present(_) if counts => {
                ("present", report.note("unlock.source", shown("present, did not open the vault")))
            }
            Presence::Present(_) => {
                let text = "present, not tried: an earlier line is";
                ("present", report.note("unlock.source", shown(text)))
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
        finding.with(json!({ "line": line, "source": name, "state": state, "counts": counts }));
    }
}
