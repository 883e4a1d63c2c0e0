//! Whether an AWS file would outrank a server of credentials.

use super::Profiles;

/// What an SDK takes credentials from before it asks a container's server: keys, and programs, roles
/// and sign-ons that give some (AWS SDKs, "Credential provider chain").
const BEFORE: [&str; 8] = [
    "aws_access_key_id",
    "credential_process",
    "login_session",
    "role_arn",
    "sso_account_id",
    "sso_session",
    "sso_start_url",
    "web_identity_token_file",
];

impl Profiles {
    /// True if `[default]`, which a command without AWS_PROFILE has, says where credentials come from.
    pub fn outrank_a_server(&self) -> bool {
        BEFORE.iter().any(|key| self.get("default", key).is_some())
    }
}
