//! `mfa enroll`: a virtual MFA device for the user of a profile's key.

use std::time::Duration;

use super::config;
use super::context::Context;
use super::credentials::Need;
use crate::cli::totp::MfaEnroll;
use crate::enroll::{self, Enroll};
use crate::error::Result;
use crate::name::ProfileName;
use crate::profile;
use crate::provider::Options;
use crate::report;
use crate::user_change::UserChange;
use crate::vault::Enrolment;

/// For all calls and pauses. It takes up to 14 s until STS knows a new device.
const DEADLINE: Duration = Duration::from_secs(120);

pub fn enroll(args: &MfaEnroll, context: &Context) -> Result<()> {
    let profile = ProfileName::new(&args.profile)?;
    let name = profile.as_str();
    // A section name that no config file can hold is an error before anything is made.
    profile::edit::add_profile("", name, &[])?;
    let profiles = context.profiles()?;
    let (sts, iam) = profile::sts_and_iam(&profiles, name)?;
    context.warn_of_overridden(&[&sts, &iam]);
    let mut session = context.session(profiles, Need::Vault, Options::default())?;
    let change = UserChange::new(&mut session, name, (&sts, &iam), &context.env, DEADLINE)?;
    let enrolled = Enroll { change, device: args.device.as_deref() }.run();
    let enrolled = enrolled.map_err(|error| {
        let is_ours = |it: Enrolment| it.profile == name;
        match session.vault().is_ok_and(|vault| vault.payload().enrolments().any(is_ours)) {
            true => {
                error.or_hint("run the same command again: it continues where this run stopped")
            }
            false => error,
        }
    })?;
    if let Some(before) = session.profiles().get(name, "mfa_serial")
        && before != enrolled.serial
    {
        context.reporter.note(format!("Profile \"{profile}\" named the device {before} until now"));
    }
    let safe = format!("{} is enabled", enrolled.serial);
    config::set(name, &[("mfa_serial", &enrolled.serial)], &safe, context)?;
    enroll::end(session.vault_mut()?, name, &enrolled.device)?;
    context.reporter.note(format!(
        "Enabled and proven for the user {}; profile \"{profile}\" names it from now on",
        enrolled.user
    ));
    report::result(&format!("{}\n", enrolled.serial))
}
