//! A change to what an IAM user has, which spans AWS and the vault: what `rotate` and `enroll` have in
//! common.
//!
//! AWS tells a secret once, in the answer that makes it. So the journal in the vault has the change
//! before AWS is asked for it, and what AWS gave is saved before it is used; the next run goes on where
//! one stopped.

use std::time::{Duration, Instant};

use crate::aws::{Iam, Identity, ServiceError, Sts};
use crate::clock::Timestamp;
use crate::credential::Credentials;
use crate::env::Env;
use crate::error::{Error, Result};
use crate::profile::Target;
use crate::provider::CredentialSession;
use crate::reporter::Reporter;
use crate::vault::{Payload, Synced};
use crate::waiting::waiting;

/// All that a change needs.
pub struct UserChange<'a, 'v> {
    /// With an open vault.
    pub session: &'a mut CredentialSession<'v>,
    /// A profile that has the user's key.
    pub profile: &'a str,
    pub sts: Sts,
    pub iam: Iam,
    /// When the calls end; no pause goes beyond it.
    pub deadline: Instant,
    /// How it waits.
    pub wait: &'a dyn Fn(Duration),
}

impl<'a, 'v> UserChange<'a, 'v> {
    /// `sts` and `iam` are the profile's, and `time` is for all calls and pauses together.
    ///
    /// # Errors
    /// What keeps AWS from being asked: a bad CA bundle or proxy.
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
    ///
    /// # Errors
    /// [`crate::error::Class::NotFound`] where the vault has none.
    pub fn key(&self) -> Result<Credentials> {
        let profile = self.profile;
        let payload = self.payload()?;
        payload.credential(profile).ok_or_else(|| payload.no_key(profile))
    }

    /// What is in the vault.
    ///
    /// # Errors
    /// The vault is not open.
    pub fn payload(&self) -> Result<&Payload> {
        Ok(self.session.vault()?.payload())
    }

    /// The user's ARN, as AWS says it of this key.
    ///
    /// # Errors
    /// What AWS refuses, with whose key it was.
    pub fn caller_identity(&self, key: &Credentials) -> Result<String> {
        let arn = self.sts.caller_identity(key);
        arn.map_err(|error| error.into_error_of(&key.access_key_id, self.profile))
    }

    /// AWS's refusal, with whose key it was, and what it most often comes from: the policies do not allow
    /// what they `must`.
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

    /// The latest of the vault is here and, in a fleet, in the store: what AWS is asked for next must not be
    /// what another host asks for as well, nor come to light in a vault that the others never see.
    ///
    /// # Errors
    /// As [`crate::vault::Vault::sync`]: where the store is away, 9.
    pub fn share(&mut self) -> Result<Synced> {
        self.session.vault_mut()?.sync()
    }

    /// Where warnings go.
    pub fn reporter(&self) -> Reporter {
        self.session.reporter()
    }

    /// Now, by AWS's clock, as far as its last answer tells.
    pub fn now(&self) -> Timestamp {
        let offset = self.iam.clock_offset().or_else(|| self.sts.clock_offset()).unwrap_or(0);
        Timestamp(self.session.clock().now().0.saturating_add(offset))
    }

    /// Pauses for so many seconds; false if there are no more pauses, or it would be too late then.
    pub fn pause(&self, seconds: Option<u64>) -> bool {
        let Some(pause) = seconds.map(Duration::from_secs) else { return false };
        if Instant::now() + pause >= self.deadline {
            return false;
        }
        let what = || "IAM to know everywhere what was changed".to_owned();
        let _waiting = waiting(what, Some(Instant::now() + pause));
        (self.wait)(pause);
        true
    }
}

/// The IAM user of a key.
pub struct User {
    /// As GetCallerIdentity says it.
    pub arn: String,
    /// `arn:aws:iam::123456789012`
    pub account: String,
    /// Its last part, without the path.
    pub name: String,
}

impl User {
    /// From what GetCallerIdentity says. `wants`: what the user is to be given, `not_so`: what nobody
    /// else can.
    ///
    /// # Errors
    /// [`crate::error::Class::Refused`]: anybody else's.
    pub fn of(arn: String, wants: &str, not_so: &str) -> Result<Self> {
        match Identity::of(&arn) {
            Identity::User { account, name } => Ok(Self { arn, account, name }),
            Identity::Root => Err(Error::refused("this is the root user's key")
                .hint(format!("delete it, and give an IAM user {wants}"))),
            Identity::Other => {
                Err(Error::refused(format!("this key is no IAM user's, so it {not_so}")))
            }
        }
    }
}

/// Why AWS made nothing, and whether that means that it has nothing of ours.
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
        assert_eq!(role.what, "this key is no IAM user's, so it cannot be rotated");
    }
}
