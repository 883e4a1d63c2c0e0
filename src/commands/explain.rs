//! `explain`: the plan for a profile, printed and not run.

use serde_json::Value;

use super::context::Context;
use crate::cli::Explain;
use crate::error::{Result, one_line};
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
    // The SDK's rules give the names, and these are seldom asked for.
    let variant = plan.variant.name();
    let places = variant.map(|_| session.places(&plan)).transpose()?.unwrap_or_default();
    report::result(&if args.json {
        let mut plan = plan.to_json();
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
        plan.to_text() + &hosts.collect::<String>() + &login.unwrap_or_default()
    })
}

fn text(profile: &str, state: LoginState) -> String {
    let state = match state {
        LoginState::None => format!("none; vault sso login {profile}"),
        LoginState::Refreshed => "there, and refreshed by itself".to_owned(),
        LoginState::Until(end) => format!("there until {}", end.to_rfc3339()),
    };
    format!("{:<10}{}\n", "login", one_line(&state))
}
