//! By whose hand IAM is called: the key itself, or an MFA session of it where the policies want one.

use super::{IAM_PAUSES, Run};
use crate::aws::{Iam, ServiceError};
use crate::credential::Credentials;

/// An MFA session, and the key that it was made of.
pub struct Session {
    of: String,
    credentials: Credentials,
}

impl Run<'_, '_> {
    /// Calls IAM as this key. If that is refused, once more by an MFA session, which then serves the
    /// calls to come; a session of the old key serves as long as AWS lets it.
    pub(super) fn iam<T>(
        &mut self,
        key: &Credentials,
        call: impl Fn(&Iam, &Credentials) -> Result<T, ServiceError>,
    ) -> Result<T, ServiceError> {
        loop {
            let hand = self.session.as_ref().map_or(key, |session| &session.credentials);
            let error = match call(self.with.iam, hand) {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let denied = error.is("AccessDenied");
            match (&self.session, self.with.mfa) {
                (None, Some(make)) if denied => {
                    self.with.reporter.debug("refused without MFA, so by an MFA session");
                    let made = make(self.with.vault, key).map_err(ServiceError::Setup)?;
                    let of = key.access_key_id.clone();
                    self.session = Some(Session { of, credentials: made });
                }
                (Some(session), _)
                    if session.of != key.access_key_id
                        && (denied || error.is_of_an_unknown_key() || error.is("ExpiredToken")) =>
                {
                    self.session = None;
                }
                _ => return Err(error),
            }
        }
    }

    /// The same for a key that is new, and for what does no harm if it is done twice: tried again for a
    /// while.
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
                        && self.pause(pauses.next()) => {}
                done => return done,
            }
        }
    }
}
