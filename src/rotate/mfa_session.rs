//! Which credentials sign the calls to IAM: the key itself, or an MFA session of it where the policies want
//! one.

use super::{IAM_PAUSES, Rotate, Session};
use crate::aws::{Iam, ServiceError};
use crate::credential::Credentials;
use crate::error::{Error, Result};
use crate::user_change::UserChange;

impl Rotate<'_, '_> {
    /// Calls IAM with this key. If that is refused, calls again with an MFA session, which then signs the
    /// next calls too; a session of the old key is used as long as AWS accepts it.
    pub(super) fn iam<T>(
        &mut self,
        key: &Credentials,
        call: impl Fn(&Iam, &Credentials) -> Result<T, ServiceError>,
    ) -> Result<T, ServiceError> {
        loop {
            let by = self.session.as_ref().map_or(key, |session| &session.credentials);
            let error = match call(&self.change.iam, by) {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let denied = error.is("AccessDenied");
            match &self.session {
                None if denied && self.mfa.is_some() => {
                    self.change.reporter().debug("refused without MFA, so by an MFA session");
                    let credentials = self.make_session(key).map_err(ServiceError::Setup)?;
                    let of = key.access_key_id.clone();
                    self.session = Some(Session { of, credentials });
                }
                Some(session)
                    if session.of != key.access_key_id
                        && (denied || error.is_of_an_unknown_key() || error.is("ExpiredToken")) =>
                {
                    self.session = None;
                }
                _ => return Err(error),
            }
        }
    }

    fn make_session(&mut self, key: &Credentials) -> Result<Credentials> {
        let Some(mfa) = &mut self.mfa else {
            return Err(Error::other("no MFA device is named"));
        };
        let UserChange { session, profile, .. } = &self.change;
        // The program may print the code again that was sent just now.
        let has_seed = session.vault()?.payload().totp(&mfa.device.serial).is_some();
        if std::mem::replace(&mut mfa.used, true) && mfa.device.process.is_some() && !has_seed {
            return Err(Error::aws("the policies want one more MFA code for the new key")
                .hint(format!("in half a minute, run vault rotate {profile} again")));
        }
        let token = mfa.token.take();
        session.mfa_session(key, profile, mfa.device, mfa.sts, token.as_ref())
    }

    /// The same with retries, for a new key and for calls that may be repeated.
    pub(super) fn iam_steadily<T>(
        &mut self,
        key: &Credentials,
        call: impl Fn(&Iam, &Credentials) -> Result<T, ServiceError>,
    ) -> Result<T, ServiceError> {
        let mut pauses = IAM_PAUSES.into_iter();
        loop {
            match self.iam(key, &call) {
                Err(error)
                    if (error.may_pass() || error.is_of_an_unknown_key())
                        && self.change.pause(pauses.next()) => {}
                done => return done,
            }
        }
    }
}
