//! What is asked for: of every profile by the command line, and of one run.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::profile::PlanRequest;
use crate::secret::Secret;

/// What the command line asks for, of every profile.
#[derive(Debug, Default)]
pub struct Options {
    /// `--no-session`.
    pub no_session: bool,
    /// `--duration`.
    pub duration: Option<Duration>,
    /// `--region`.
    pub region: Option<String>,
    /// `--mfa-token`.
    pub mfa_token: Option<Secret>,
    /// `--refresh`: no session from before this process.
    pub refresh: bool,
    /// `AWS_MIN_TTL`: the least time that a cached session must have left.
    pub min_left: Option<Duration>,
}

impl Options {
    /// `seeds`: the MFA serials whose TOTP seed is in the vault.
    pub(super) fn plan_request(&self, profile: &str, seeds: BTreeSet<String>) -> PlanRequest {
        PlanRequest {
            profile: profile.to_owned(),
            no_session: self.no_session,
            duration: self.duration,
            region: self.region.clone(),
            mfa_token_given: self.mfa_token.is_some(),
            seeds,
        }
    }
}

/// What is wanted of one run.
pub(super) struct Request<'a> {
    /// A code that was given.
    pub mfa_token: Option<&'a Secret>,
    /// No session from before this run.
    pub refresh: bool,
    /// The least time that a cached session must have left.
    pub min_left: Option<Duration>,
}
