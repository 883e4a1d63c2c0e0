//! What `exec --server` and `serve` have in common: the first credentials, with a person's help if need
//! be, and then new ones again and again with nobody's.

use std::sync::Arc;
use std::time::Duration;

use super::context::{Context, keep_what_is_needed};
use crate::cli::CredentialOptions;
use crate::credential::Credentials;
use crate::error::{Error, Result};
use crate::name::ProfileName;
use crate::profile::{Plan, Step};
use crate::prompt::Prompt;
use crate::server::{Event, Log, Source};

/// A cached session with this much left is served at first, and renewed behind the back of who asks: to
/// renew it before would let each profile whose source hangs hold up the start of all others. Where a
/// person gives the code it is renewed before, since nobody is asked later.
const ENOUGH_TO_START: Duration = Duration::from_secs(60);

/// What is ready to be served.
pub struct Served<'a> {
    /// In the order of the profiles.
    pub sources: Vec<Source<'a>>,
    /// The first profile's region.
    pub region: Option<String>,
    /// True if sops's variable opened the vault.
    pub opened_by_sops: bool,
    /// True if the AWS files would outrank a server for who names no profile.
    pub outranked: bool,
}

/// Makes the first credentials of each profile, forgets what is not needed to make more, and hands on
/// what can. `who` serves: a flag or a command, for the errors.
pub fn served<T>(
    who: &str,
    names: &[ProfileName],
    options: &CredentialOptions,
    context: &Context,
    then: impl FnOnce(Served<'_>) -> Result<T>,
) -> Result<T> {
    let profiles = context.profiles()?;
    let prompt = context.prompt(None);
    let spare = || context.can_do_without(&profiles, names, options);
    let access = context.access_or_spare(&prompt, &spare);
    let mut vault = context.vault(&access)?;
    let cache = context.cache(vault.as_ref().ok().map(|vault| vault.payload()))?;

    let mut made: Vec<(Plan, Credentials)> = Vec::new();
    let opened_by_sops = {
        let vault = vault.as_ref().map_err(Error::clone);
        let payload = vault.as_ref().ok().map(|vault| vault.payload());
        let mut provider = context.provider(&profiles, vault.clone(), &prompt, &cache, options)?;
        let least = provider.min_left;
        for name in names {
            let plan = provider.plan(&context.ask(name, options, payload)?)?;
            let asked = provider.asks_a_person(&plan);
            provider.min_left = least.or(asked.is_none().then_some(ENOUGH_TO_START));
            let first = provider.run(plan.clone())?;
            refuse_endless(who, &plan, &first, options)?;
            if let Some(device) = asked {
                context.reporter.warn(format!(
                    "the codes of {device} come from a person, so the credentials of profile {name} end with their MFA session"
                ));
            }
            made.push((plan, first));
        }
        provider.opened_by_sops()
    };

    if let Ok(vault) = &mut vault {
        keep_what_is_needed(vault, made.iter().map(|(plan, _)| plan));
    }
    context.env.forget_unlock(!opened_by_sops);
    let nobody = Prompt::new(true, None);
    let vault = vault.as_ref().map_err(Error::clone);
    let provider = &context.provider(&profiles, vault, &nobody, &cache, options)?;
    let region = made.first().and_then(|(plan, _)| plan.region.clone());
    let sources = made.into_iter().map(|(plan, first)| Source {
        name: plan.profile.clone(),
        length: length(&plan, &first, context),
        first,
        fetch: Box::new(move |least| provider.renew(&plan, least)),
    });
    then(Served {
        sources: sources.collect(),
        region,
        opened_by_sops,
        outranked: profiles.outrank_a_server(),
    })
}

/// A key that does not end cannot be renewed, and an SDK would not take it from a server.
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
    let what =
        format!("{who} hands out sessions, and profile {profile} gives a key that does not end");
    Err(match options.no_session {
        true => Error::usage(what).hint("leave out --no-session"),
        false => Error::usage(what).hint("let the profile assume a role"),
    })
}

/// How long new credentials last: as long as is asked for; those of a program perhaps as long as these.
fn length(plan: &Plan, first: &Credentials, context: &Context) -> Duration {
    let left = || {
        let seconds = first.expiration.map_or(0, |end| end.seconds_since(context.clock.now()));
        Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
    };
    plan.steps.last().and_then(Step::duration).unwrap_or_else(left)
}

/// What a server has to say, on stderr. `quiet` about what goes well, where stderr is a command's.
pub fn log(context: &Context, quiet: bool) -> Log {
    let reporter = context.reporter;
    Arc::new(move |event| match event {
        Event::Renewed { name, ends } => {
            let ends = ends.to_rfc3339();
            match quiet {
                true => reporter.debug(format!("renewed {name}, which now lasts until {ends}")),
                false => {
                    reporter.note(format!("vault: renewed {name}, which now lasts until {ends}"))
                }
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
