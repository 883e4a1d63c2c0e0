//! AWS credentials, long-term and temporary.

use crate::clock::Timestamp;
use crate::secret::Secret;

/// AWS credentials: an access key, and for temporary ones the session token and the expiry.
#[derive(Debug)]
pub struct Credentials {
    /// `AKIA…` for long-term keys, `ASIA…` for temporary ones. Not a secret.
    pub access_key_id: String,
    pub secret_access_key: Secret,
    /// Present for temporary credentials only.
    pub session_token: Option<Secret>,
    /// When they expire; `None` for long-term keys.
    pub expiration: Option<Timestamp>,
    /// The twelve-digit account id, if the source gave it.
    pub account_id: Option<String>,
}

impl Credentials {
    /// A long-term access key.
    pub fn long_term(access_key_id: String, secret_access_key: Secret) -> Self {
        Self {
            access_key_id,
            secret_access_key,
            session_token: None,
            expiration: None,
            account_id: None,
        }
    }

    /// These, as a service gave them, if no part is empty or has a control character in it: a line break
    /// would start another setting in what export writes.
    pub fn whole(self) -> Option<Self> {
        let fits = |text: &str| !text.is_empty() && !text.contains(char::is_control);
        let whole = fits(&self.access_key_id)
            && fits(self.secret_access_key.expose())
            && self.session_token.as_ref().is_none_or(|token| fits(token.expose()))
            && self.expiration.is_none_or(|end| end.0 > 0);
        whole.then_some(self)
    }

    /// True for temporary credentials: AWS refuses GetSessionToken and MFA parameters with them, and a role
    /// that is assumed from them lasts an hour at most (AWS, "role chaining").
    pub fn is_temporary(&self) -> bool {
        self.session_token.is_some()
    }
}
