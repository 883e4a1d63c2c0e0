//! One profile in the list.

use std::time::Duration;

use serde_json::{Value, json};

use crate::clock::Timestamp;
use crate::duration::show_duration;
use crate::profile::{self, Profiles};
use crate::session::{Listed, LoginState};
use crate::style::{Style, styled};
use crate::vault::Payload;

/// A key that has been in the vault for longer is marked: CIS AWS Foundations Benchmark, "Ensure access keys
/// are rotated every 90 days or less".
const OLD_DAYS: i64 = 90;
/// A session or login that ends within so many seconds is marked.
const SOON: i64 = 15 * 60;
/// The mark of an old key.
pub const OLD: &str = ", rotate";

/// A profile of the AWS config or of the vault.
pub struct Entry<'a> {
    pub name: &'a str,
    /// The id of its key in the vault.
    pub key: Option<&'a str>,
    /// When the key was stored.
    stored: Option<Timestamp>,
    role: Option<String>,
    /// The MFA device, and whether the vault has its seed.
    device: Option<(String, bool)>,
    pub login: Option<LoginState>,
    sessions: Vec<&'a Listed>,
}

impl<'a> Entry<'a> {
    pub fn of(
        name: &'a str,
        profiles: &Profiles,
        payload: &'a Payload,
        sessions: &'a [Listed],
        login: Option<LoginState>,
    ) -> Self {
        let plain = |text: &String| !text.contains(char::is_control);
        // Errors in a profile are reported by explain and doctor.
        let device = profile::mfa_serial(profiles, name).ok().flatten().filter(plain);
        Self {
            name,
            key: payload.access_key_id(name),
            stored: payload.credential_stored(name),
            role: profile::role(profiles, name).ok().flatten().filter(plain),
            device: device.map(|serial| {
                let has_seed = payload.totp(&serial).is_some();
                (serial, has_seed)
            }),
            login,
            sessions: sessions.iter().filter(|session| session.profile == name).collect(),
        }
    }

    /// For how many days the key has been in the vault.
    fn age(&self, now: Timestamp) -> Option<i64> {
        self.stored.map(|stored| now.seconds_since(stored).max(0) / (24 * 3600))
    }

    /// The login and sessions with the time left, or `-`.
    pub fn sessions(&self, now: Timestamp) -> String {
        let login = self.login.and_then(|login| shown_login(login, now));
        let sessions = self.sessions.iter().map(|session| shown(session, now));
        let all: Vec<_> = login.into_iter().chain(sessions).collect();
        if all.is_empty() { "-".to_owned() } else { all.join(", ") }
    }

    /// The columns of `list -l`.
    pub fn columns(&self, now: Timestamp) -> [String; 6] {
        let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        let age = self.age(now).map(|days| {
            let old = if days > OLD_DAYS { OLD } else { "" };
            format!("{days}d{old}")
        });
        let device = self.device.as_ref().map(|(serial, has_seed)| {
            let seed = if *has_seed { "seed" } else { "no seed" };
            format!("{serial} ({seed})")
        });
        [
            self.name.to_owned(),
            or_none(self.key.map(str::to_owned)),
            or_none(age),
            or_none(self.role.clone()),
            or_none(device),
            self.sessions(now),
        ]
    }

    pub fn to_json(&self, now: Timestamp) -> Value {
        let sessions = self.sessions.iter().map(|session| {
            json!({
                "kind": session.kind.as_str(),
                "expiration": session.expiration.to_rfc3339(),
            })
        });
        let mut profile = json!({
            "profile": self.name,
            "access_key_id": self.key,
            "stored": self.stored.map(Timestamp::to_rfc3339),
            "age_days": self.age(now),
            "role": self.role,
            "mfa_serial": self.device.as_ref().map(|(serial, _)| serial),
            "mfa_seed": self.device.as_ref().map(|(_, has_seed)| has_seed),
            "sessions": sessions.collect::<Vec<_>>(),
        });
        if let Some(login) = self.login {
            profile["login"] = login.to_json();
        }
        profile
    }
}

/// `login:7h59m`; without a time if it is refreshed automatically.
pub fn shown_login(state: LoginState, now: Timestamp) -> Option<String> {
    match state {
        LoginState::None => None,
        LoginState::Refreshed => Some("login".to_owned()),
        LoginState::Until(end) => Some(left("login", end, now)),
    }
}

/// `role:59m12s`: what made the session, and how long it lasts.
pub fn shown(session: &Listed, now: Timestamp) -> String {
    left(session.kind.as_str(), session.expiration, now)
}

fn left(kind: &str, end: Timestamp, now: Timestamp) -> String {
    let left = end.seconds_since(now);
    let duration = Duration::from_secs(u64::try_from(left).unwrap_or_default());
    let text = format!("{kind}:{}", show_duration(duration));
    if left <= SOON { mark(&text) } else { text }
}

/// Coloured, on a terminal.
pub fn mark(text: &str) -> String {
    styled(&std::io::stdout(), Style::Warning, text)
}
