//! A change to an IAM user that spans AWS and the vault: what `rotate` and `enroll` have in common.
//!
//! AWS returns a secret once, in the answer that creates it. So the journal in the vault has the change before
//! AWS is asked for it, and the secret is saved before it is used; the next run continues where one stopped.

use std::time::{Duration, Instant};

use crate::aws::{CallerIdentity, Iam, ServiceError, Sts};
use crate::clock::Timestamp;
use crate::credential::Credentials;
use crate::env::Env;
use crate::error::{Error, Result};
use crate::profile::Target;
use crate::provider::CredentialSession;
use crate::reporter::Reporter;
use crate::vault::{Payload, Synced};
use crate::waiting::waiting;

pub struct UserChange<'a, 'v> {
    /// With an open vault.
    pub session: &'a mut CredentialSession<'v>,
    /// A profile that has the user's key.
    pub profile: &'a str,
    pub sts: Sts,
    pub iam: Iam,
    /// The time limit of calls and pauses together.
    pub deadline: Instant,
    /// How it waits.
    pub wait: &'a dyn Fn(Duration),
}

impl<'a, 'v> UserChange<'a, 'v> {
    /// `sts` and `iam` are the profile's, and `time` is for all calls and pauses together.
    pub fn new(
        session: &'a mut CredentialSession<'v>,
        profile: &'a str,
        (sts, iam): (&Target, &Target),
        env: &Env,
        time: Duration,
    ) -> Result<Self> {
        let (deadline, reporter) = (Instant::now() + time, session.reporter());
        let sts = Sts::connect(sts, env, deadline, reporter)?;
        let iam = Iam::connect(iam, env, deadline, reporter)?;
        Ok(Self { session, profile, sts, iam, deadline, wait: &std::thread::sleep })
    }

    /// The key of the profile.
    pub fn key(&self) -> Result<Credentials> {
        let profile = self.profile;
        let payload = self.payload()?;
        payload.credential(profile).ok_or_else(|| payload.no_key(profile))
    }

    /// The content of the vault.
    pub fn payload(&self) -> Result<&Payload> {
        Ok(self.session.vault()?.payload())
    }

    /// The ARN of this key's user, by GetCallerIdentity.
    pub fn caller_identity(&self, key: &Credentials) -> Result<String> {
        let arn = self.sts.caller_identity(key);
        arn.map_err(|error| error.into_error_of(&key.access_key_id, self.profile))
    }

    /// AWS's refusal, with whose key it was; if the policies refused it, with the permissions that they
    /// `must` give.
    pub fn denied(&self, error: ServiceError, key: &Credentials, must: &str) -> Error {
        let policies = error.is("AccessDenied");
        let error = error.into_error_of(&key.access_key_id, self.profile);
        match policies {
            true => error.or_hint(must),
            false => error,
        }
    }

    /// Changes the vault under the write lock, as [`crate::vault::Vault::change`] does.
    ///
    /// # Errors
    /// What saving ends with (7, 8, 10), and what `change` says.
    pub fn save<T>(&mut self, change: impl FnMut(&mut Payload) -> Result<T>) -> Result<T> {
        self.session.vault_mut()?.change(change)
    }

    /// Brings the latest vault here and, in a fleet, into the store: another host must not ask AWS for the
    /// same change, and the others must see the vault that records it.
    ///
    /// # Errors
    /// As [`crate::vault::Vault::sync`]: 9 if the store cannot be reached.
    pub fn share(&mut self) -> Result<Synced> {
        self.session.vault_mut()?.sync()
    }

    pub fn reporter(&self) -> Reporter {
        self.session.reporter()
    }

    /// The time by AWS's clock, if an answer had it.
    pub fn now(&self) -> Timestamp {
        let offset = self.iam.clock_offset().or_else(|| self.sts.clock_offset()).unwrap_or(0);
        Timestamp(self.session.clock().now().0.saturating_add(offset))
    }

    /// Pauses for so many seconds; false if there are no more pauses, or the time limit would pass.
    pub fn pause(&self, seconds: Option<u64>) -> bool {
        let Some(pause) = seconds.map(Duration::from_secs) else { return false };
        if Instant::now() + pause >= self.deadline {
            return false;
        }
        let what = || "the change to reach all of IAM".to_owned();
        let _waiting = waiting(what, Some(Instant::now() + pause));
        (self.wait)(pause);
        true
    }
}

/// The IAM user of a key.
pub struct User {
    /// As GetCallerIdentity gives it.
    pub arn: String,
    /// `arn:aws:iam::123456789012`
    pub account: String,
    /// Its last part, without the path.
    pub name: String,
}

impl User {
    /// From the ARN of GetCallerIdentity. For the errors: what an IAM user `needs` instead of the root user,
    /// and what `fails` for other identities.
    pub fn of(arn: String, needs: &str, fails: &str) -> Result<Self> {
        match CallerIdentity::of(&arn) {
            CallerIdentity::User { account, name } => Ok(Self { arn, account, name }),
            CallerIdentity::Root => Err(Error::refused("this is the root user's key")
                .hint(format!("delete it, and give an IAM user {needs}"))),
            CallerIdentity::Other => Err(Error::refused(format!(
                "this key does not belong to an IAM user, so it {fails}"
            ))),
        }
    }
}

/// Why AWS made nothing, and whether it surely has nothing of this change.
pub struct NotMade {
    pub error: Error,
    pub nothing_there: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Class;

    #[test]
    fn only_an_iam_users_key_is_changed() {
        let of = |arn: &str| User::of(arn.to_owned(), "a key", "cannot be rotated");
        let user = of("arn:aws:iam::123456789012:user/a/ci").unwrap();
        assert_eq!((&*user.account, &*user.name), ("arn:aws:iam::123456789012", "ci"));
        let root = of("arn:aws:iam::123456789012:root").err().unwrap();
        assert_eq!((root.class, &*root.what), (Class::Refused, "this is the root user's key"));
        assert_eq!(root.hint.unwrap(), "delete it, and give an IAM user a key");
        let role = of("arn:aws:sts::123456789012:assumed-role/a/b").err().unwrap();
        assert_eq!(role.class, Class::Refused);
        assert_eq!(role.what, "this key does not belong to an IAM user, so it cannot be rotated");
    }
}
