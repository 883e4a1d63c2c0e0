//! AWS credentials, long-term and temporary.

use crate::clock::Timestamp;
use crate::secret::Secret;

/// Credentials as AWS's tools take them: an access key, and for temporary ones the session token and
/// when it ends.
#[derive(Debug)]
pub struct Credentials {
    /// `AKIA…` for long-term keys, `ASIA…` for temporary ones. Not a secret.
    pub access_key_id: String,
    /// The secret access key.
    pub secret_access_key: Secret,
    /// Present for temporary credentials only.
    pub session_token: Option<Secret>,
    /// When they end; long-term keys do not.
    pub expiration: Option<Timestamp>,
    /// The twelve-digit account, where the source said it.
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

    /// True if these are temporary: GetSessionToken and MFA parameters are refused with them, and a
    /// role assumed from them lasts an hour at most (AWS, "role chaining").
    pub fn is_temporary(&self) -> bool {
        self.session_token.is_some()
    }
}
