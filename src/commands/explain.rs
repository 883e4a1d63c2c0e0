//! `explain`: the plan for a profile, printed and not run.

use std::time::Duration;

use serde_json::{Value, json};

use super::context::Context;
use crate::called;
use crate::cli::Explain;
use crate::clock::Timestamp;
use crate::duration::show_duration;
use crate::error::Result;
use crate::profile::{self, Part};
use crate::provider::ServiceEndpoint;
use crate::report;
use crate::session::LoginState;

pub fn run(args: &Explain, context: &Context) -> Result<()> {
    let profile = context.profile_name(args.profile.as_deref())?;
    let (session, plan) = context.planned(&profile, &args.options)?;
    let mut plan = session.as_it_runs(plan);
    let before = profile::before_process(session.profiles(), std::slice::from_ref(&plan.profile));
    plan.notes.extend(before.into_iter().map(|it| format!("{}; {}", it.what, it.advice)));
    let mut parts = plan.parts();
    parts.push(cached(session.cached(&plan), context.clock.now()));
    // The host names come from the SDK's rules, which are loaded only if a variant is asked for.
    if let Some(variant) = plan.variant.name() {
        parts.push(hosts(&session.endpoints(&plan)?, variant));
    }
    if let Some((owner, state)) = session.login_of(&plan) {
        parts.push(Part::new("login", state.to_json(), "login", vec![login_text(owner, state)]));
    }
    report::result(&match args.json {
        true => format!("{}\n", profile::parts_to_json(parts)),
        false => profile::parts_to_text(&parts),
    })
}

/// The sessions in the cache that the plan would use, if that can be known.
fn cached(sessions: Option<Vec<(usize, Timestamp)>>, now: Timestamp) -> Part {
    let (mut steps, mut lines) = (Vec::new(), Vec::new());
    for (at, ends) in sessions.iter().flatten() {
        let seconds = u64::try_from(ends.seconds_since(now)).unwrap_or_default();
        let (step, ends) = (at + 1, ends.to_rfc3339());
        steps.push(json!({ "step": step, "expiration": ends, "seconds_left": seconds }));
        let left = show_duration(Duration::from_secs(seconds));
        lines.push(format!("step {step} for {left}, until {ends}"));
    }
    Part::new("cached", sessions.map(|_| steps).into(), "cached", lines)
}

/// The hosts that are asked for this variant of their endpoints.
fn hosts(endpoints: &[ServiceEndpoint], variant: &str) -> Part {
    let line = |ServiceEndpoint { service, host_port, named }: &ServiceEndpoint| {
        // A named endpoint need not be of the variant.
        let kind = if *named { "named" } else { variant };
        format!("{service} {host_port}, {kind}")
    };
    let json = endpoints.iter().map(|it| (it.service, Value::from(it.host_port.as_str())));
    Part::new("hosts", json.collect(), "hosts", endpoints.iter().map(line).collect())
}

fn login_text(profile: &str, state: LoginState) -> String {
    match state {
        LoginState::None => called::named(&format!("none; vault sso login {profile}")).into_owned(),
        LoginState::Refreshed => "there, and refreshed automatically".to_owned(),
        LoginState::Until(end) => format!("there until {}", end.to_rfc3339()),
    }
}
