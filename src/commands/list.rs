//! `list`: profiles, which of them have a key in the vault, and their logins and sessions.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::context::Context;
use crate::cli::List;
use crate::clock::Timestamp;
use crate::error::Result;
use crate::name::show_duration;
use crate::profile::{self, Profiles};
use crate::report;
use crate::session::{Cache, Listed, LoginState};
use crate::vault::{Payload, Vault};

pub fn run(args: &List, context: &Context) -> Result<()> {
    let prompt = context.prompt(None);
    let profiles = context.profiles()?;
    let access = context.access(&prompt)?;
    let vault = Vault::open(&access)?;
    let payload = vault.payload();
    let cache = context.cache(payload)?;
    let sessions = cache.list();
    let now = context.clock.now();
    // No command takes a name with a control character, and it would reach the terminal.
    let plain = |name: &str| !name.contains(char::is_control);
    let mut configured = profiles.names();
    configured.retain(|name| plain(name));
    let mut logins = logins(&profiles, &cache, context);
    logins.retain(|name, _| plain(name));
    let names: BTreeSet<&str> =
        configured.iter().map(String::as_str).chain(payload.credential_names()).collect();

    if args.json {
        return report::result(&format!("{}\n", json(&names, payload, &sessions, &logins)));
    }
    if args.profiles || args.credentials || args.sessions {
        let mut text = String::new();
        for name in &names {
            let stored = payload.access_key_id(name).is_some();
            let configured = profiles.has(name);
            if (args.profiles && configured) || (args.credentials && stored) {
                text.push_str(&format!("{name}\n"));
            }
        }
        for (name, login) in logins.iter().filter(|_| args.sessions) {
            if let Some(login) = shown_login(*login, now) {
                text.push_str(&format!("{name} {login}\n"));
            }
        }
        for session in sessions.iter().filter(|_| args.sessions) {
            text.push_str(&format!("{} {}\n", session.profile, shown(session, now)));
        }
        return report::result(&text);
    }
    report::result(&table(&names, payload, &sessions, &logins, now))
}

/// As aws-vault prints it.
fn table(
    names: &BTreeSet<&str>,
    payload: &Payload,
    sessions: &[Listed],
    logins: &Logins,
    now: Timestamp,
) -> String {
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0).max(24);
    let row = |a: &str, b: &str, c: &str| format!("{a:width$} {b:width$} {c}\n");
    let mut text = row("Profile", "Credentials", "Sessions");
    text += &row("=======", "===========", "========");
    for name in names {
        let stored = payload.access_key_id(name).map_or("-", |_| name);
        let own = sessions.iter().filter(|session| session.profile == *name);
        let login = logins.get(*name).and_then(|login| shown_login(*login, now));
        let own: Vec<_> = login.into_iter().chain(own.map(|session| shown(session, now))).collect();
        let own = if own.is_empty() { "-".to_owned() } else { own.join(", ") };
        text += &row(name, stored, &own);
    }
    text
}

/// What is left of the logins of profiles that say where to log in.
type Logins = BTreeMap<String, LoginState>;

/// Several profiles may share a login, and each has it beside it. One that cannot be right has none.
fn logins(profiles: &Profiles, cache: &Cache, context: &Context) -> Logins {
    let now = context.clock.now();
    let of = |name: String| {
        let (owner, place) = profile::sign_on(profiles, context.env, &name).ok()?;
        let login = (owner == name).then(|| cache.login(&place.key()).load())?;
        Some((name, LoginState::of(login.as_ref(), now)))
    };
    profiles.names().into_iter().filter_map(of).collect()
}

/// `login:7h59m`; without a time if it is refreshed by itself. Nothing for none.
fn shown_login(state: LoginState, now: Timestamp) -> Option<String> {
    match state {
        LoginState::None => None,
        LoginState::Refreshed => Some("login".to_owned()),
        LoginState::Until(end) => {
            let left = u64::try_from(end.seconds_since(now)).unwrap_or_default();
            Some(format!("login:{}", show_duration(Duration::from_secs(left))))
        }
    }
}

/// `role:59m12s`: what made it, and how long it lasts.
fn shown(session: &Listed, now: Timestamp) -> String {
    let left = u64::try_from(session.expiration.seconds_since(now)).unwrap_or_default();
    format!("{}:{}", session.kind.as_str(), show_duration(Duration::from_secs(left)))
}

fn json(
    names: &BTreeSet<&str>,
    payload: &Payload,
    sessions: &[Listed],
    logins: &Logins,
) -> serde_json::Value {
    let profiles: Vec<_> = names
        .iter()
        .map(|name| {
            let own = sessions.iter().filter(|session| session.profile == *name);
            let own: Vec<_> = own
                .map(|session| {
                    serde_json::json!({
                        "kind": session.kind.as_str(),
                        "expiration": session.expiration.to_rfc3339(),
                    })
                })
                .collect();
            let mut profile = serde_json::json!({
                "profile": name,
                "access_key_id": payload.access_key_id(name),
                "sessions": own,
            });
            if let Some(login) = logins.get(*name) {
                profile["login"] = login.to_json();
            }
            profile
        })
        .collect();
    serde_json::json!({ "profiles": profiles })
}
