//! `mfa enroll`: a virtual MFA device for the user of a profile's key.

use std::time::{Duration, Instant};

use super::config;
use super::context::Context;
use crate::aws::{Iam, Sts};
use crate::cli::totp::MfaEnroll;
use crate::enroll::{self, Enroll};
use crate::error::Result;
use crate::name::ProfileName;
use crate::profile;
use crate::report;
use crate::vault::Vault;

/// For all calls and pauses. No SDK waits for this command, and a device takes its time to reach STS.
const DEADLINE: Duration = Duration::from_secs(120);

pub fn enroll(args: &MfaEnroll, context: &Context) -> Result<()> {
    let profile = ProfileName::new(&args.profile)?;
    // A section that no config file could hold is said before anything is made.
    profile::edit::add_profile("", profile.as_str(), &[])?;
    let prompt = context.prompt(None);
    let profiles = context.profiles()?;
    let (sts, iam) = profile::places(&profiles, context.env, profile.as_str())?;
    let access = context.access(&prompt)?;
    let mut vault = Vault::open(&access)?;
    let deadline = Instant::now() + DEADLINE;
    let done = Enroll {
        profile: profile.as_str(),
        device: args.device.as_deref(),
        sts: &Sts::connect(&sts, context.env, deadline, context.reporter)?,
        iam: &Iam::connect(&iam, context.env, deadline, context.reporter)?,
        cache: &context.cache(Some(vault.payload()))?,
        deadline,
        clock: context.clock,
        reporter: context.reporter,
        vault: &mut vault,
    }
    .run();
    let done = match done {
        Ok(done) => done,
        Err(error) => {
            let left = vault.payload().enrolments().any(|e| e.profile == profile.as_str());
            return Err(match error.hint {
                None if left => {
                    error.hint("run the same command again: it goes on where this stopped")
                }
                _ => error,
            });
        }
    };
    if let Some(before) = profiles.get(profile.as_str(), "mfa_serial")
        && before != done.serial
    {
        context.reporter.note(format!("Profile \"{profile}\" named the device {before} until now"));
    }
    let safe = format!("{} is enabled", done.serial);
    config::set(profile.as_str(), &[("mfa_serial", &done.serial)], &safe, context)?;
    enroll::end(&mut vault, profile.as_str(), &done.device)?;
    context.reporter.note(format!(
        "Enabled and proven for the user {}; profile \"{profile}\" names it from now on",
        done.user
    ));
    report::result(&format!("{}\n", done.serial))
}
