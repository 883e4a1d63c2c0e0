//! `sso login` and `sso logout`: a user's login to IAM Identity Center.

use super::context::Context;
use super::credentials::Need;
use crate::cli::sso::{SsoLogin, SsoLogout};
use crate::error::Result;
use crate::profile::{self, SignOn};
use crate::provider::{CredentialSession, Options};
use crate::report;

pub fn login(args: &SsoLogin, context: &Context) -> Result<()> {
    let (session, owner, sign_on) = session_to_log_in(args.profile.as_deref(), context)?;
    let login = session.identity_center(&owner, &sign_on).log_in()?;
    let until = login.expires.to_rfc3339();
    context.reporter.note(match login.refresh {
        Some(_) => "Logged in; refreshed automatically for as long as AWS allows it".to_owned(),
        None => format!("Logged in until {until}"),
    });
    Ok(())
}

pub fn logout(args: &SsoLogout, context: &Context) -> Result<()> {
    let (session, owner, sign_on) = session_to_log_in(args.profile.as_deref(), context)?;
    let center = session.identity_center(&owner, &sign_on);
    let done = center.log_out();
    // Also if AWS failed: these sessions must not be served any more.
    let cleared = center.clear_sessions();
    let was_there = done?;
    cleared?;
    report::result(if was_there { "Logged out.\n" } else { "Nobody was logged in.\n" })
}

/// Where a profile logs in, which profile has the settings, and a session that keeps no secret of the vault
/// but the cache's keys, since the user may take minutes to log in.
fn session_to_log_in<'a>(
    word: Option<&str>,
    context: &'a Context,
) -> Result<(CredentialSession<'a>, String, SignOn)> {
    let profile = context.profile_name(word)?;
    let profiles = context.profiles()?;
    let (owner, sign_on) = profile::sign_on(&profiles, profile.as_str())?;
    context.warn_of_overridden(&[&sign_on.oidc, &sign_on.portal]);
    let mut session = context.session(profiles, Need::Vault, Options::default())?;
    session.keep_only([]);
    Ok((session, owner, sign_on))
}
