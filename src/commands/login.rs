//! `login`: an address that opens the console.

use super::context::Context;
use super::credentials::Need;
use crate::cli::login::Login;
use crate::error::Result;
use crate::report;

pub fn run(args: &Login, context: &Context) -> Result<()> {
    let set = |name: &str| context.env.is_set(name);
    // As aws-vault does without a profile. The vault is not used then.
    let by_variables =
        args.profile.is_none() && (set("AWS_ACCESS_KEY_ID") || set("AWS_SECRET_ACCESS_KEY"));
    let profile = context.profile_name(args.profile.as_deref())?;
    let need = match by_variables {
        true => Need::Nothing,
        false => Need::Profiles(std::slice::from_ref(&profile)),
    };
    let (profiles, options) = (context.profiles()?, context.options(&args.options)?);
    let mut session = context.session(profiles, need, options)?;
    let (name, path) = (profile.as_str(), args.path.as_deref());
    let console = match by_variables {
        true => session.plan_console_of_environment(name, path),
        false => session.plan_console(name, path),
    }?;
    session.keep_only([&console.plan]);
    let address = session.console_address(console)?;
    report::result(&format!("{}\n", address.expose()))
}
