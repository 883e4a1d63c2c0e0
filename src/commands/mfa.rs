//! `mfa enroll`: a virtual MFA device for the user of a profile's key.

use std::time::Duration;

use super::config;
use super::context::Context;
use crate::cli::totp::MfaEnroll;
use crate::enroll::{self, Enroll};
use crate::error::Result;
use crate::name::ProfileName;
use crate::profile;
use crate::provider::{Need, Options};
use crate::report;
use crate::user_change::UserChange;

/// For all calls and pauses. No SDK waits for this command, and a device takes its time to reach STS.
const DEADLINE: Duration = Duration::from_secs(120);

pub fn enroll(args: &MfaEnroll, context: &Context) -> Result<()> {
    let profile = ProfileName::new(&args.profile)?;
    // A section that no config file could hold is said before anything is made.
    profile::edit::add_profile("", profile.as_str(), &[])?;
    let profiles = context.profiles()?;
    let (sts, iam) = profile::places(&profiles, context.env, profile.as_str())?;
    context.warn_of_overridden(&[&sts, &iam]);
    let mut session = context.session(profiles, Need::Vault, Options::default())?;
    let (name, places) = (profile.as_str(), (&sts, &iam));
    let change = UserChange::new(&mut session, name, places, context.env, DEADLINE)?;
    let done = Enroll { change, device: args.device.as_deref() }.run();
    let done = match done {
        Ok(done) => done,
        Err(error) => {
            let left =
                session.vault()?.payload().enrolments().any(|e| e.profile == profile.as_str());
            return Err(match left {
                true => error.or_hint("run the same command again: it goes on where this stopped"),
                false => error,
            });
        }
    };
    if let Some(before) = session.profiles().get(profile.as_str(), "mfa_serial")
        && before != done.serial
    {
        context.reporter.note(format!("Profile \"{profile}\" named the device {before} until now"));
    }
    let safe = format!("{} is enabled", done.serial);
    config::set(profile.as_str(), &[("mfa_serial", &done.serial)], &safe, context)?;
    enroll::end(session.vault_mut()?, profile.as_str(), &done.device)?;
    context.reporter.note(format!(
        "Enabled and proven for the user {}; profile \"{profile}\" names it from now on",
        done.user
    ));
    report::result(&format!("{}\n", done.serial))
}
