//! `login`: an address that opens the console.

use super::context::Context;
use crate::cli::login::Login;
use crate::error::{Error, Result};
use crate::profile;
use crate::report;
use crate::secret::Secret;

pub fn run(args: &Login, context: &Context) -> Result<()> {
    let set = |name: &str| context.env.is_set(name);
    let by_variables = set("AWS_ACCESS_KEY_ID") || set("AWS_SECRET_ACCESS_KEY");
    let address = match args.profile.is_none() && by_variables {
        true => for_environment(args, context),
        false => for_profile(args, context),
    }?;
    report::result(&format!("{}\n", address.expose()))
}

fn for_profile(args: &Login, context: &Context) -> Result<Secret> {
    let profile = context.profile_name(args.profile.as_deref())?;
    let prompt = context.prompt(None);
    context.planned_by(
        &profile,
        &args.options,
        &prompt,
        |provider, ask| provider.plan_console(ask, args.path.as_deref()),
        |provider, console| provider.console_address(console),
    )
}

/// As aws-vault does without a profile. The vault has no part in it.
fn for_environment(args: &Login, context: &Context) -> Result<Secret> {
    let profile = context.profile_name(None)?;
    let profiles = context.profiles()?;
    let prompt = context.prompt(None);
    let cache = context.cache(None)?;
    let unneeded = Err(Error::not_found("the environment has the credentials"));
    context.env.forget_unlock(true);
    let ask = context.ask(&profile, &args.options, None)?;
    let path = args.path.as_deref();
    let console = profile::console_of_environment(&profiles, context.env, &ask, path)?;
    context.provider(&profiles, unneeded, &prompt, &cache, &args.options)?.console_address(console)
}
