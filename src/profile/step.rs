//! The calls that a plan is made of.

use std::time::Duration;

use super::role::Role;

/// One call to STS, or to IAM Identity Center.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// GetSessionToken.
    Session {
        duration: Duration,
        /// True if a flag or variable asks for this duration: a shorter session is then not enough.
        asked: bool,
        /// The device whose code goes with it.
        mfa: Option<Mfa>,
    },
    /// AssumeRole.
    Role {
        role: Role,
        /// The device whose code goes with it.
        mfa: Option<Mfa>,
    },
    /// AssumeRoleWithWebIdentity, by the token that the plan starts from; so it is the first.
    WebIdentity {
        /// The role that trusts the token's issuer.
        role_arn: String,
        /// What CloudTrail calls the session: 2 to 64 of `[\w+=,.@-]`.
        session_name: String,
        /// 900 s to the role's maximum.
        duration: Duration,
    },
    /// IAM Identity Center's GetRoleCredentials, by the login that the plan starts from; so it is the
    /// first. IAM Identity Center determines how long the credentials last.
    SsoRole {
        /// The account: twelve digits.
        account: String,
        /// The permission set.
        name: String,
    },
}

impl Step {
    /// The device whose code goes with this call.
    pub fn mfa(&self) -> Option<&Mfa> {
        match self {
            Step::Session { mfa, .. } | Step::Role { mfa, .. } => mfa.as_ref(),
            Step::WebIdentity { .. } | Step::SsoRole { .. } => None,
        }
    }

    /// The duration that the call asks for.
    pub fn duration(&self) -> Option<Duration> {
        match self {
            Step::Session { duration, .. } | Step::WebIdentity { duration, .. } => Some(*duration),
            Step::Role { role, .. } => Some(role.duration),
            Step::SsoRole { .. } => None,
        }
    }
}

/// An MFA device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mfa {
    /// Its ARN, or a hardware device's serial number.
    pub serial: String,
    /// `mfa_process`, a command that prints a code.
    pub process: Option<String>,
}
