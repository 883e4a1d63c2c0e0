//! Credentials as text: for a shell, a file that another program reads, an SDK, a CI system.
//!
//! Pure functions from variables to text. A value that a format cannot hold is an error, since the reader
//! would get another value.

mod file;
mod github;
mod shell;

use std::borrow::Cow;

pub use file::{docker, dotenv, ini};
pub use github::{Github, github};
pub use shell::{env, export_env, fish, powershell};

use crate::credential::Credentials;

/// A variable of the environment: name and value.
pub type Variable<'a> = (&'static str, Cow<'a, str>);

/// The variables from which AWS's tools read credentials, in the order in which they are written.
pub fn credential_variables(credentials: &Credentials) -> Vec<Variable<'_>> {
    let mut variables: Vec<Variable<'_>> = vec![
        ("AWS_ACCESS_KEY_ID", Cow::from(&credentials.access_key_id)),
        ("AWS_SECRET_ACCESS_KEY", credentials.secret_access_key.expose().into()),
    ];
    if let Some(token) = &credentials.session_token {
        variables.push(("AWS_SESSION_TOKEN", token.expose().into()));
    }
    if let Some(expiration) = credentials.expiration {
        variables.push(("AWS_CREDENTIAL_EXPIRATION", expiration.to_rfc3339().into()));
    }
    variables
}

/// The same, the region's, and `endpoints`, which select a variant of AWS's endpoints.
pub fn variables<'a>(
    credentials: &'a Credentials,
    region: Option<&'a str>,
    endpoints: impl Iterator<Item = (&'static str, &'static str)>,
) -> Vec<Variable<'a>> {
    let mut variables = credential_variables(credentials);
    if let Some(region) = region {
        variables.push(("AWS_REGION", region.into()));
        variables.push(("AWS_DEFAULT_REGION", region.into()));
    }
    variables.extend(endpoints.map(|(name, value)| (name, value.into())));
    variables
}

/// One JSON object as credential_process takes it: `Version` is a number, `SessionToken` and
/// `Expiration` are only in temporary credentials (AWS SDKs, "Process credential provider").
pub fn json(credentials: &Credentials) -> String {
    let mut object = serde_json::json!({
        "Version": 1,
        "AccessKeyId": credentials.access_key_id,
        "SecretAccessKey": credentials.secret_access_key.expose(),
    });
    if let Some(token) = &credentials.session_token {
        object["SessionToken"] = token.expose().into();
    }
    if let Some(expiration) = credentials.expiration {
        object["Expiration"] = expiration.to_rfc3339().into();
    }
    if let Some(account) = &credentials.account_id {
        object["AccountId"] = account.as_str().into();
    }
    format!("{object}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::secret::Secret;

    fn temporary() -> Credentials {
        Credentials {
            access_key_id: "ASIAIOSFODNN7EXAMPLE".into(),
            secret_access_key: Secret::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".into()),
            session_token: Some(Secret::new("to+ken/==".into())),
            expiration: Some(Timestamp(0)),
            account_id: Some("123456789012".into()),
        }
    }

    #[test]
    fn json_is_one_line_with_a_numeric_version() {
        assert_eq!(
            json(&temporary()),
            "{\"AccessKeyId\":\"ASIAIOSFODNN7EXAMPLE\",\"AccountId\":\"123456789012\",\
             \"Expiration\":\"1970-01-01T00:00:00Z\",\
             \"SecretAccessKey\":\"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\",\
             \"SessionToken\":\"to+ken/==\",\"Version\":1}\n"
        );
    }

    #[test]
    fn what_is_not_there_has_no_variable() {
        let key = Credentials::long_term("AKIAIOSFODNN7EXAMPLE".into(), Secret::new("s".into()));
        let names: Vec<_> =
            variables(&key, None, [].into_iter()).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]);
        assert_eq!(variables(&temporary(), Some("eu-west-1"), [].into_iter()).len(), 6);
    }

    #[test]
    fn ini_is_a_section() {
        assert_eq!(
            ini("prod", &temporary(), Some("eu-west-1"), [].into_iter()),
            "[prod]\naws_access_key_id=ASIAIOSFODNN7EXAMPLE\n\
             aws_secret_access_key=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\n\
             aws_session_token=to+ken/==\naws_credential_expiration=1970-01-01T00:00:00Z\n\
             region=eu-west-1\n"
        );
    }
}
