//! `fleet`: the store that the hosts of a vault share.

mod status;

use std::time::{Duration, Instant};

use serde_json::json;

use super::context::Context;
use crate::aws::{Limits, S3};
use crate::cli::fleet::{FleetCheck, FleetJoin};
use crate::error::{Class, Error, Result};
use crate::name::ProfileName;
use crate::profile;
use crate::provider::CredentialSession;
use crate::report;
use crate::store::Location;
use crate::store::check::{Finding, Report, check as try_store};
use crate::vault::{Fleet, Payload, Synced};
use crate::waiting::waiting;

pub use status::status;

pub fn join(args: FleetJoin, context: &Context) -> Result<()> {
    let store = Location::parse(&args.store).ok_or_else(|| {
        Error::usage("the store is not an S3 URL").hint(
            "it looks like s3://BUCKET/PREFIX: a bucket has 3 to 63 characters of a-z, 0-9, . and -, a prefix \
             letters, digits and ._-/ only",
        )
    })?;
    args.profile.as_deref().map(ProfileName::new).transpose()?;
    let mut session = context.vault_session()?;
    let region = args.region.as_deref();
    let profile = args.profile.as_deref();
    let target = profile::store_target(session.profiles(), profile, region)?;
    let fleet = Fleet {
        store,
        region: target.region,
        endpoint: args.endpoint.or(target.endpoint),
        profile: args.profile,
        required: args.required,
    };
    let s3 = session.store_of(&fleet, limits(CHECK_REQUEST))?;
    // Any other error comes from the check that follows.
    let vault = session.vault()?;
    let unchanged = vault.payload().fleet().is_some_and(|now| now.shares_with(&fleet));
    if !unchanged
        && let Err(error) = vault.check_free(&s3, &fleet.store)
        && error.class == Class::Refused
    {
        return Err(error);
    }
    let report = checked(&s3, context)?;
    refuse_bad_store(&fleet, &report)?;
    let vault = session.vault_mut()?;
    if unchanged {
        vault.expect_sync();
    }
    vault.change(|payload| {
        payload.set_fleet(&fleet);
        Ok(())
    })?;
    vault.sync().map_err(|error| {
        let what = format!("joined, but the vault's copy is not in the store: {}", error.what);
        Error { what, ..error }.or_hint("vault fleet pull puts it there")
    })?;
    report::result(&format!("Joined {}\n", location(&fleet)))
}

pub fn check(args: &FleetCheck, context: &Context) -> Result<()> {
    let session = context.vault_session()?;
    let fleet = joined(&session)?;
    let report = checked(&session.store_of(&fleet, limits(CHECK_REQUEST))?, context)?;
    if args.json {
        let finding = |Finding { rule, fault }: &Finding| json!({ "tried": rule.name, "good": fault.is_none(), "fault": fault });
        let findings: Vec<_> = report.findings.iter().map(finding).collect();
        let mut json = to_json(&fleet);
        json["good"] = report.is_good().into();
        json["clock_ahead"] = report.ahead.into();
        json["findings"] = findings.into();
        report::result(&format!("{json}\n"))?;
        return refuse_bad_store(&fleet, &report);
    }
    let mut text = format!("{}\n", location(&fleet));
    for Finding { rule, fault } in &report.findings {
        text.push_str(&match fault {
            None => format!("good  {}\n", rule.text),
            Some(fault) => format!("bad   {}: {fault}\n", rule.text),
        });
    }
    if let Some(ahead) = report.ahead {
        text.push_str(&format!("clock {}\n", clock_offset(ahead)));
    }
    report::result(&text)?;
    refuse_bad_store(&fleet, &report)
}

pub fn pull(context: &Context) -> Result<()> {
    let mut vault = context.open_vault()?;
    let synced = vault.sync()?;
    let write = vault.payload().generation();
    report::result(&match synced {
        Synced::Alone => return Err(shares_nothing(vault.payload())),
        Synced::Same => format!("Nothing to pull: generation {write} of the vault is the latest\n"),
        Synced::Pulled => format!("Pulled generation {write} of the vault\n"),
        Synced::Pushed => format!("The store now has generation {write} of the vault\n"),
    })
}

pub fn leave(context: &Context) -> Result<()> {
    let mut session = context.vault_session()?;
    let vault = session.vault_mut()?;
    let fleet = vault.payload().fleet().ok_or_else(no_fleet)?;
    vault.change(|payload| payload.remove_fleet().then_some(()).ok_or_else(no_fleet))?;
    report::result(&format!("Left {}\n", location(&fleet)))
}

/// The fleet that this host belongs to.
fn joined(session: &CredentialSession) -> Result<Fleet> {
    match session.fleet()? {
        Some(fleet) => Ok(fleet),
        None => Err(shares_nothing(session.vault()?.payload())),
    }
}

fn shares_nothing(payload: &Payload) -> Error {
    match payload.fleet() {
        Some(_) => Error::not_found("this host shares nothing: AWS_VAULT_SHARED is off"),
        None => no_fleet(),
    }
}

fn no_fleet() -> Error {
    Error::not_found("this vault has no shared store").hint("vault fleet join s3://BUCKET/PREFIX")
}

/// The timeout of a request in a check: SeaweedFS takes four seconds for some of many concurrent writes.
const CHECK_REQUEST: Duration = Duration::from_secs(20);

/// `request` is the timeout of one request.
fn limits(request: Duration) -> Limits {
    Limits { request, deadline: Instant::now() + Duration::from_secs(180) }
}

fn checked(store: &S3, context: &Context) -> Result<Report> {
    let waited =
        waiting(|| "the store, while it is tested with concurrent writes".to_owned(), None);
    let report = try_store(store, context.clock)?;
    drop(waited);
    if let Some(ahead) = report.ahead.filter(|ahead| ahead.abs() >= NOTABLE_OFFSET) {
        context.reporter.warn(format!("{}; claims are judged by the store's", clock_offset(ahead)));
    }
    Ok(report)
}

/// A clock offset of so many seconds causes a warning.
const NOTABLE_OFFSET: i64 = 30;

fn clock_offset(ahead: i64) -> String {
    let way = if ahead < 0 { "behind" } else { "ahead of" };
    format!("the store's clock is {} s {way} this host's", ahead.unsigned_abs())
}

/// Refuses a store that does not keep the conditions of writes.
fn refuse_bad_store(fleet: &Fleet, report: &Report) -> Result<()> {
    let bad = report.findings.iter().find_map(|it| Some((it.rule, it.fault.as_ref()?)));
    let Some((broken, fault)) = bad else { return Ok(()) };
    let (store, rule) = (&fleet.store, broken.text);
    Err(Error::refused(format!("{store} does not support conditional writes: {rule}, but {fault}"))
        .hint("hosts that share it would send codes twice: use another store, or a later version"))
}

fn credentials(fleet: &Fleet) -> String {
    match &fleet.profile {
        Some(profile) => format!("the vault's key for profile {profile:?}"),
        None => "each host's own".to_owned(),
    }
}

fn location(fleet: &Fleet) -> String {
    match &fleet.endpoint {
        Some(url) => format!("{} at {url}", fleet.store),
        None => format!("{} in {}", fleet.store, fleet.region),
    }
}

fn to_json(fleet: &Fleet) -> serde_json::Value {
    json!({
        "store": fleet.store.to_string(),
        "region": fleet.region,
        "endpoint": fleet.endpoint,
        "profile": fleet.profile,
        "required": fleet.required,
    })
}
