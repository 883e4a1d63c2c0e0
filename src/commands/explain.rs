//! `explain`: the plan for a profile, printed and not run.

use std::time::Duration;

use serde_json::{Value, json};

use super::context::Context;
use crate::called;
use crate::cli::Explain;
use crate::clock::Timestamp;
use crate::error::{Result, one_line};
use crate::name::show_duration;
use crate::profile::{self, BeforeProcess};
use crate::report;
use crate::session::LoginState;

pub fn run(args: Explain, context: &Context) -> Result<()> {
    let profile = context.profile_name(args.profile.as_deref())?;
    let (session, mut plan) = context.planned(&profile, &args.options, context.prompt(None))?;
    let names = std::slice::from_ref(&plan.profile);
    let before = profile::before_process(session.profiles(), names);
    let note = |before: BeforeProcess| format!("{}; {}", before.what, before.advice);
    plan.notes.extend(before.into_iter().map(note));
    let login = session.login_of(&plan);
    let now = context.clock.now();
    let cached = session.cached(&plan).map(|cached| {
        cached
            .into_iter()
            .map(|(at, ends)| {
                let left = u64::try_from(ends.seconds_since(now)).unwrap_or_default();
                Cached { step: at + 1, ends, left }
            })
            .collect::<Vec<_>>()
    });
    // The SDK's rules give the names, and these are seldom asked for.
    let variant = plan.variant.name();
    let places = variant.map(|_| session.endpoints(&plan)).transpose()?.unwrap_or_default();
    report::result(&if args.json {
        let mut plan = plan.to_json();
        plan["cached"] =
            cached.map_or(Value::Null, |all| all.iter().map(Cached::to_json).collect());
        if let Some((_, state)) = login {
            plan["login"] = state.to_json();
        }
        if variant.is_some() {
            plan["hosts"] = places
                .into_iter()
                .map(|place| (place.service, Value::from(place.host_port)))
                .collect();
        }
        format!("{plan}\n")
    } else {
        let login = login.map(|(owner, state)| text(owner, state));
        let hosts = places.iter().enumerate().map(|(number, place)| {
            let label = if number == 0 { "hosts" } else { "" };
            // A named endpoint may be none of the variant that is asked for.
            let kind = if place.named { "named" } else { variant.unwrap_or_default() };
            format!("{label:<10}{} {}, {kind}\n", place.service, place.host_port)
        });
        let cached = cached.iter().flatten().enumerate();
        let cached: String = cached.map(|(number, it)| it.to_text(number == 0)).collect();
        plan.to_text() + &cached + &hosts.collect::<String>() + &login.unwrap_or_default()
    })
}

/// A session in the cache.
struct Cached {
    /// The step that it is of, from 1.
    step: usize,
    ends: Timestamp,
    /// Seconds.
    left: u64,
}

impl Cached {
    fn to_json(&self) -> Value {
        let ends = self.ends.to_rfc3339();
        json!({"step": self.step, "expiration": ends, "seconds_left": self.left})
    }

    fn to_text(&self, is_first: bool) -> String {
        let label = if is_first { "cached" } else { "" };
        let left = show_duration(Duration::from_secs(self.left));
        format!("{label:<10}step {} for {left}, until {}\n", self.step, self.ends.to_rfc3339())
    }
}

fn text(profile: &str, state: LoginState) -> String {
    let state = match state {
        LoginState::None => called::named(&format!("none; vault sso login {profile}")).into_owned(),
        LoginState::Refreshed => "there, and refreshed by itself".to_owned(),
        LoginState::Until(end) => format!("there until {}", end.to_rfc3339()),
    };
    format!("{:<10}{}\n", "login", one_line(&state))
}
