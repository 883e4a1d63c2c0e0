//! `explain`: the plan for a profile, printed and not run.

use std::time::Duration;

use serde_json::{Value, json};

use super::context::Context;
use crate::called;
use crate::cli::Explain;
use crate::clock::Timestamp;
use crate::duration::show_duration;
use crate::error::{Result, one_line};
use crate::profile;
use crate::report;
use crate::session::LoginState;

pub fn run(args: &Explain, context: &Context) -> Result<()> {
    let profile = context.profile_name(args.profile.as_deref())?;
    let (session, plan) = context.planned(&profile, &args.options)?;
    let mut plan = session.as_it_runs(plan);
    let before = profile::before_process(session.profiles(), std::slice::from_ref(&plan.profile));
    plan.notes.extend(before.into_iter().map(|it| format!("{}; {}", it.what, it.advice)));
    let login = session.login_of(&plan);
    let now = context.clock.now();
    let left = |ends: Timestamp| u64::try_from(ends.seconds_since(now)).unwrap_or_default();
    let cached = session.cached(&plan);
    // The host names come from the SDK's rules, which are loaded only if a variant is asked for.
    let variant = plan.variant.name();
    let endpoints = variant.map(|_| session.endpoints(&plan)).transpose()?.unwrap_or_default();
    if args.json {
        let mut json = plan.to_json();
        let step = |(at, ends): (usize, Timestamp)| json!({ "step": at + 1, "expiration": ends.to_rfc3339(), "seconds_left": left(ends) });
        json["cached"] = cached.map(|all| all.into_iter().map(step).collect::<Value>()).into();
        if let Some((_, state)) = login {
            json["login"] = state.to_json();
        }
        if variant.is_some() {
            let hosts = endpoints.into_iter().map(|it| (it.service, Value::from(it.host_port)));
            json["hosts"] = hosts.collect();
        }
        return report::result(&format!("{json}\n"));
    }
    let cached = cached.into_iter().flatten().map(|(at, ends)| {
        let left = show_duration(Duration::from_secs(left(ends)));
        format!("step {} for {left}, until {}", at + 1, ends.to_rfc3339())
    });
    let hosts = endpoints.iter().map(|endpoint| {
        // A named endpoint need not be of the variant.
        let kind = if endpoint.named { "named" } else { variant.unwrap_or_default() };
        format!("{} {}, {kind}", endpoint.service, endpoint.host_port)
    });
    let login = login.into_iter().map(|(owner, state)| one_line(&login_text(owner, state)));
    let lines = labelled("cached", cached) + &labelled("hosts", hosts) + &labelled("login", login);
    report::result(&(plan.to_text() + &lines))
}

/// Lines with a label before the first.
fn labelled(label: &str, lines: impl Iterator<Item = String>) -> String {
    let line = |(number, line)| format!("{:<10}{line}\n", if number == 0 { label } else { "" });
    lines.enumerate().map(line).collect()
}

fn login_text(profile: &str, state: LoginState) -> String {
    match state {
        LoginState::None => called::named(&format!("none; vault sso login {profile}")).into_owned(),
        LoginState::Refreshed => "there, and refreshed automatically".to_owned(),
        LoginState::Until(end) => format!("there until {}", end.to_rfc3339()),
    }
}
