//! What `exec --server` and `serve` have in common: they make the first credentials, with prompts if
//! necessary, and then renew them without prompts.

use std::sync::Arc;
use std::time::Duration;

use super::context::Context;
use super::credentials::Need;
use crate::cli::CredentialOptions;
use crate::clock::Clock;
use crate::credential::Credentials;
use crate::error::{Error, Reason, Result};
use crate::name::ProfileName;
use crate::profile::{EndpointVariant, Plan, Step};
use crate::provider::CredentialSession;
use crate::server::{Event, Log, Source};
use crate::waiting;

/// A cached session with this much time left is served at first, and renewed in the background, so that one
/// profile whose source hangs does not delay the start of the others. If the MFA code comes from a prompt it
/// is renewed at once, since there are no prompts later.
const ENOUGH_TO_START: Duration = Duration::from_secs(60);

/// The plan for each profile, in their order, and the session that runs them again and again.
pub struct Serving {
    pub session: CredentialSession<'static>,
    plans: Vec<Plan>,
    first: Vec<Credentials>,
    clock: Clock,
}

impl Serving {
    /// Makes the first credentials of each profile; before that, it forgets all secrets that the plans do not
    /// need. `who` is the flag or command that serves, for errors.
    pub fn start(
        who: &str,
        names: &[ProfileName],
        options: &CredentialOptions,
        context: &'static Context,
    ) -> Result<Self> {
        let (need, wanted) = (Need::Profiles(names), context.options(options)?);
        let mut session = context.session(context.profiles()?, need, wanted)?;
        let plans = names.iter().map(|name| session.plan(name.as_str()));
        let mut plans: Vec<Plan> = plans.collect::<Result<_>>()?;
        session.keep_only(&plans);
        let first = match first(who, &plans, &session, options, context) {
            // Another host may have replaced the key.
            Err(error) if session.follow(&error, &mut plans) => {
                first(who, &plans, &session, options, context)?
            }
            first => first?,
        };
        // From here on the terminal is for the command, or for the server's messages.
        waiting::leave_terminal();
        Ok(Self { session: session.unattended(), plans, first, clock: context.clock })
    }

    /// What the server serves at first, and how it gets new credentials.
    pub fn sources(self) -> Vec<Source> {
        let session = Arc::new(self.session);
        let source = |(plan, first): (Plan, Credentials)| {
            let session = Arc::clone(&session);
            Source {
                name: plan.profile.clone(),
                length: length(&session, &plan, &first, self.clock),
                first,
                fetch: Box::new(move |least| session.renew(&plan, least)),
            }
        };
        self.plans.into_iter().zip(self.first).map(source).collect()
    }

    /// The first profile's region.
    pub fn region(&self) -> Option<&str> {
        self.plans.first()?.region.as_deref()
    }

    /// The first profile's endpoint variant.
    pub fn variant(&self) -> EndpointVariant {
        self.plans.first().map(|plan| plan.variant).unwrap_or_default()
    }
}

/// The first credentials of each plan, with prompts if necessary.
fn first(
    who: &str,
    plans: &[Plan],
    session: &CredentialSession,
    options: &CredentialOptions,
    context: &Context,
) -> Result<Vec<Credentials>> {
    // The longest MFA session first: made with one code, it serves the other plans of its device too.
    let mut in_order: Vec<(usize, &Plan)> = plans.iter().enumerate().collect();
    in_order.sort_by_key(|(_, plan)| std::cmp::Reverse(plan.length_by_code()));
    let mut all = Vec::new();
    for (at, plan) in in_order {
        let first = match session.asks_a_person(plan) {
            Some(_) => session.run_to_the_end(plan)?,
            None => session.run_for(plan, ENOUGH_TO_START)?,
        };
        refuse_endless(who, plan, &first, options)?;
        if let Some(device) = session.asks_a_person(&session.as_it_runs(plan.clone())) {
            context.reporter.warn(format!(
                "the codes of {device} come from a person, so the credentials of profile {} end with their MFA session",
                plan.profile
            ));
        }
        all.push((at, first));
    }
    all.sort_by_key(|(at, _)| *at);
    Ok(all.into_iter().map(|(_, first)| first).collect())
}

/// Refuses credentials that do not expire: SDKs do not accept them from a server.
fn refuse_endless(
    who: &str,
    plan: &Plan,
    first: &Credentials,
    options: &CredentialOptions,
) -> Result<()> {
    if first.expiration.is_some() && first.is_temporary() {
        return Ok(());
    }
    let profile = &plan.profile;
    let what = format!(
        "{who} serves temporary credentials only, and profile {profile} gives a long-term key"
    );
    Err(Error::usage(what).because(Reason::CommandLine).hint(match options.no_session {
        true => "leave out --no-session",
        false => "let the profile assume a role",
    }))
}

/// How long new credentials last: the requested duration, otherwise as long as the first ones do. There are no
/// new ones where only a person could give their code, so those are not due before their time.
fn length(session: &CredentialSession, plan: &Plan, first: &Credentials, clock: Clock) -> Duration {
    let seconds = first.expiration.map_or(0, |end| end.seconds_since(clock.now()));
    let left = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
    let last = plan.steps.last();
    let by_code = last.is_some_and(|step| step.mfa().is_some());
    match last.and_then(Step::duration) {
        Some(whole) if by_code && session.asks_a_person(plan).is_some() => whole.min(left),
        Some(whole) => whole,
        None => left,
    }
}

/// The server's log, on stderr. `quiet`: without successes, if stderr belongs to a command.
pub fn log(context: &Context, quiet: bool) -> Log {
    let reporter = context.reporter;
    Arc::new(move |event| match event {
        Event::Renewed { name, ends } => {
            let text = format!("renewed {name}, which now lasts until {}", ends.to_rfc3339());
            match quiet {
                true => reporter.debug(text),
                false => reporter.note(format!("vault: {text}")),
            }
        }
        Event::Failed { name, error } => {
            reporter.warn(format!("no new credentials for {name}: {}", error.what));
        }
        Event::Refused { why, others: 0 } => reporter.warn(format!("a request was refused: {why}")),
        Event::Refused { why, others } => {
            reporter.warn(format!("a request was refused: {why} (and {others} others before it)"));
        }
    })
}
