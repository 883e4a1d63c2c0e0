//! `list`: profiles, which of them have a key in the vault, and their logins and sessions.

mod entry;

use std::collections::BTreeSet;
use std::io::IsTerminal;

use serde_json::json;

use self::entry::{Entry, OLD, mark, shown, shown_login};
use super::context::Context;
use crate::cli::List;
use crate::clock::Timestamp;
use crate::error::Result;
use crate::profile::{self, Profiles};
use crate::report;
use crate::session::{Cache, Listed, LoginState};

pub fn run(args: &List, context: &Context) -> Result<()> {
    let profiles = context.profiles()?;
    let vault = context.open_vault()?;
    let payload = vault.payload();
    let cache = context.cache(payload)?;
    let sessions = cache.list();
    let now = context.clock.now();
    // No command accepts a name with a control character, and it must not reach the terminal.
    let mut configured = profiles.names();
    configured.retain(|name| !name.contains(char::is_control));
    let names: BTreeSet<&str> =
        configured.iter().map(String::as_str).chain(payload.credential_names()).collect();
    let entry = |name| {
        let login = login(name, &profiles, &cache, context);
        Entry::of(name, &profiles, payload, &sessions, login)
    };
    let entries: Vec<Entry> = names.into_iter().map(entry).collect();

    if args.json {
        let profiles: Vec<_> = entries.iter().map(|entry| entry.to_json(now)).collect();
        return report::result(&format!("{}\n", json!({ "profiles": profiles })));
    }
    if args.profiles || args.credentials || args.sessions {
        return report::result(&lines(args, &entries, &profiles, &sessions, now));
    }
    report::result(&if args.long { long(&entries, now) } else { table(&entries, now) })?;
    let is_empty = entries.iter().all(|entry| entry.key.is_none() && entry.login.is_none());
    // Not for a script.
    if is_empty && (args.long || std::io::stdout().is_terminal()) {
        context.reporter.note("The vault has no key yet; store one by vault add PROFILE");
    }
    Ok(())
}

/// The names and sessions that the flags ask for, one per line.
fn lines(
    args: &List,
    entries: &[Entry],
    profiles: &Profiles,
    sessions: &[Listed],
    now: Timestamp,
) -> String {
    let mut text = String::new();
    for Entry { name, key, .. } in entries {
        let configured = args.profiles && profiles.has(name);
        if configured || (args.credentials && key.is_some()) {
            text.push_str(&format!("{name}\n"));
        }
    }
    for Entry { name, login, .. } in entries.iter().filter(|_| args.sessions) {
        if let Some(login) = login.and_then(|login| shown_login(login, now)) {
            text.push_str(&format!("{name} {login}\n"));
        }
    }
    for session in sessions.iter().filter(|_| args.sessions) {
        text.push_str(&format!("{} {}\n", session.profile, shown(session, now)));
    }
    text
}

/// The table as aws-vault prints it.
fn table(entries: &[Entry], now: Timestamp) -> String {
    let width = entries.iter().map(|entry| entry.name.chars().count()).max().unwrap_or(0).max(24);
    let row = |a: &str, b: &str, c: &str| format!("{a:width$} {b:width$} {c}\n");
    let mut text = row("Profile", "Credentials", "Sessions");
    text += &row("=======", "===========", "========");
    for entry in entries {
        let stored = entry.key.map_or("-", |_| entry.name);
        text += &row(entry.name, stored, &entry.sessions(now));
    }
    text
}

/// The table of `-l`, with columns as wide as their longest cell.
fn long(entries: &[Entry], now: Timestamp) -> String {
    let heads = ["Profile", "Key", "Age", "Role", "MFA device", "Sessions"].map(str::to_owned);
    let rows: Vec<[String; 6]> = entries.iter().map(|entry| entry.columns(now)).collect();
    let all = || std::iter::once(&heads).chain(&rows);
    let width = |at: usize| all().map(|row| row[at].chars().count()).max().unwrap_or(0);
    let widths: [usize; 6] = std::array::from_fn(width);
    let mut text = String::new();
    for row in all() {
        let [profile, key, age, role, device, sessions] = row;
        let [a, b, c, d, e, _] = widths;
        let padded = format!("{age:c$}");
        let age = if age.ends_with(OLD) { mark(&padded) } else { padded };
        text += &format!("{profile:a$}  {key:b$}  {age}  {role:d$}  {device:e$}  {sessions}\n");
    }
    text
}

/// The state of the login that a profile has settings for. Profiles that share a login all have it.
fn login(name: &str, profiles: &Profiles, cache: &Cache, context: &Context) -> Option<LoginState> {
    let (owner, sign_on) = profile::sign_on(profiles, name).ok()?;
    let login = (owner == name).then(|| cache.login(&sign_on.key()).load())?;
    Some(LoginState::of(login.as_ref(), context.clock.now()))
}
