//! `sso login` and `sso logout`: a person's login to IAM Identity Center.

use super::context::Context;
use crate::cli::sso::{SsoLogin, SsoLogout};
use crate::error::Result;
use crate::os;
use crate::profile::{self, Profiles, SignOn};
use crate::prompt::Prompt;
use crate::provider::IdentityCenter;
use crate::report;
use crate::session::Cache;
use crate::vault::Vault;

pub fn login(args: &SsoLogin, context: &Context) -> Result<()> {
    at_the_place(args.profile.as_deref(), context, |center, _| {
        let login = center.log_in()?;
        let until = login.expires.to_rfc3339();
        context.reporter.note(match login.refresh {
            Some(_) => "Logged in; refreshed by itself for as long as AWS allows it".to_owned(),
            None => format!("Logged in until {until}"),
        });
        Ok(())
    })
}

pub fn logout(args: &SsoLogout, context: &Context) -> Result<()> {
    at_the_place(args.profile.as_deref(), context, |center, profiles| {
        let done = center.log_out();
        // Whatever AWS said, they are not to be served any more.
        let cleared = clear(profiles, center, context);
        let was_there = done?;
        cleared?;
        report::result(if was_there { "Logged out.\n" } else { "Nobody was logged in.\n" })
    })
}

/// Opens the vault for the keys of its cache, forgets it again, and goes to where a profile logs in.
fn at_the_place<T>(
    word: Option<&str>,
    context: &Context,
    then: impl FnOnce(&IdentityCenter, &Profiles) -> Result<T>,
) -> Result<T> {
    let profile = context.profile_name(word)?;
    let profiles = context.profiles()?;
    let (owner, sign_on) = profile::sign_on(&profiles, context.env, profile.as_str())?;
    let prompt = context.prompt(None);
    let cache = cache(context, &prompt)?;
    let center = IdentityCenter {
        sign_on: &sign_on,
        profile: &owner,
        env: context.env,
        cache: &cache,
        prompt: &prompt,
        clock: context.clock,
        reporter: context.reporter,
    };
    then(&center, &profiles)
}

/// A person may take minutes: by then nothing is left of what opened the vault.
fn cache(context: &Context, prompt: &Prompt) -> Result<Cache> {
    let cache = os::on_wiped_stack(|| {
        let access = context.access(prompt)?;
        let vault = Vault::open(&access)?;
        context.cache(Some(vault.payload()))
    });
    context.env.forget_unlock(false);
    cache
}

/// The sessions of every profile that logs in there, through whichever chain.
fn clear(profiles: &Profiles, center: &IdentityCenter, context: &Context) -> Result<()> {
    let same = |other: &SignOn| other.key() == center.sign_on.key();
    for name in profiles.names() {
        let place = profile::sign_on(profiles, context.env, &name);
        if place.is_ok_and(|(_, sign_on)| same(&sign_on)) {
            center.cache.clear(&name)?;
        }
    }
    Ok(())
}
