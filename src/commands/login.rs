//! `login`: an address that opens the console.

use super::context::Context;
use crate::cli::login::Login;
use crate::error::Result;
use crate::provider::Need;
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
    let need = Need::Profiles(std::slice::from_ref(&profile));
    let (profiles, options) = (context.profiles()?, context.options(&args.options)?);
    let session = context.session(profiles, need, options)?;
    let console = session.plan_console(profile.as_str(), args.path.as_deref())?;
    session.keep_only([&console.plan]).console_address(console)
}

/// As aws-vault does without a profile. The vault is not used.
fn for_environment(args: &Login, context: &Context) -> Result<Secret> {
    let profile = context.profile_name(None)?;
    let (profiles, options) = (context.profiles()?, context.options(&args.options)?);
    let session = context.session(profiles, Need::Nothing, options)?;
    let session = session.keep_only([]);
    let console = session.plan_console_of_environment(profile.as_str(), args.path.as_deref())?;
    session.console_address(console)
}
