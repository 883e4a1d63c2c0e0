//! What programs that read the AWS files themselves use before a profile's `credential_process`, so that they
//! never start it, and before the credentials of a server.

use super::read::{AccessKey, Profiles};
use super::sections::AwsFile;
use crate::process::shell_word;

/// Keys of a profile that come before it in botocore and in the Rust SDK (botocore,
/// `create_credential_resolver`: a role, then IAM Identity Center, the credentials file, the process).
const BEFORE: [&str; 3] = ["role_arn", "sso_account_id", "sso_role_name"];

/// Settings of a profile from which a program gets credentials without a new `credential_process`.
const INSTEAD: [&str; 12] = [
    "credential_process",
    "role_arn",
    "source_profile",
    "credential_source",
    "web_identity_token_file",
    "web_identity_token_process",
    "sso_session",
    "sso_start_url",
    "sso_account_id",
    "sso_role_name",
    "login_session",
    "aws_access_key_id",
];

/// A `credential_process` that is never started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BeforeProcess {
    pub what: String,
    pub advice: String,
}

/// What comes before the `credential_process` of each of these profiles: a key in the credentials file comes
/// before it, one in the config file after it.
pub fn before_process(profiles: &Profiles, names: &[String]) -> Vec<BeforeProcess> {
    let names = names.iter().filter(|name| profiles.get(name, "credential_process").is_some());
    names.filter_map(|name| one(profiles, name)).collect()
}

/// The setting of a profile from which programs get credentials already; `None` if all of them would use a
/// `credential_process` line.
pub fn instead_of_process(profiles: &Profiles, name: &str) -> Option<&'static str> {
    INSTEAD.into_iter().find(|key| profiles.get(name, key).is_some())
}

/// How to remove a profile's key from the credentials file. No vault keeps a temporary one.
pub fn how_to_remove(key: &AccessKey, name: &str) -> String {
    match key.token {
        Some(_) => "another program writes that key: let it write into a profile of another name"
            .to_owned(),
        None => format!("vault import --from credentials --remove-source {}", shell_word(name)),
    }
}

fn one(profiles: &Profiles, name: &str) -> Option<BeforeProcess> {
    let first = "before its credential_process, which they never start";
    if let Some(key) = BEFORE.into_iter().find(|key| profiles.get(name, key).is_some()) {
        return Some(BeforeProcess {
            what: format!("profile \"{name}\": the AWS CLI and the SDKs take its {key} {first}"),
            advice: "put credential_process into a profile of its own".to_owned(),
        });
    }
    let key = profiles.access_key(name, AwsFile::Credentials)?;
    Some(BeforeProcess {
        what: format!(
            "profile \"{name}\": the AWS CLI and the SDKs take its key in the credentials file {first}"
        ),
        advice: how_to_remove(&key, name),
    })
}

/// Where an SDK gets credentials before it asks a container's server (AWS SDKs, "Credential provider chain").
const BEFORE_A_SERVER: [&str; 8] = [
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
    /// True if `[default]`, which a command without AWS_PROFILE uses, says where credentials come from.
    pub fn outrank_a_server(&self) -> bool {
        BEFORE_A_SERVER.iter().any(|key| self.get("default", key).is_some())
    }
}
