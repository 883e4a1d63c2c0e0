//! `export`: credentials as text.

use std::fmt::Write as _;

use super::context::Context;
use crate::cli::{Export, Format};
use crate::credential::Credentials;
use crate::error::Result;
use crate::report;

pub fn run(args: Export, context: &Context) -> Result<()> {
    let profile = context.profile_name(args.profile.as_deref())?;
    let prompt = context.prompt(None);
    let (region, credentials) =
        context.planned(&profile, &args.making, &prompt, |provider, plan| {
            Ok((plan.region.clone(), provider.run(plan)?))
        })?;
    let text = match args.format {
        Format::Env => lines("", &credentials, region.as_deref()),
        Format::ExportEnv => lines("export ", &credentials, region.as_deref()),
        Format::Json => json(&credentials),
        Format::Ini => ini(profile.as_str(), &credentials, region.as_deref()),
    };
    report::result(&text)
}

/// One JSON object as credential_process wants it: `Version` is a number, `SessionToken` and
/// `Expiration` stand only in temporary credentials (AWS SDKs, "Process credential provider").
pub fn json(credentials: &Credentials) -> String {
    let mut object = serde_json::Map::new();
    let mut put = |name: &str, value: &str| object.insert(name.to_owned(), value.into());
    put("AccessKeyId", &credentials.access_key_id);
    put("SecretAccessKey", credentials.secret_access_key.expose());
    if let Some(token) = &credentials.session_token {
        put("SessionToken", token.expose());
    }
    if let Some(expiration) = credentials.expiration {
        put("Expiration", &expiration.to_rfc3339());
    }
    if let Some(account) = &credentials.account_id {
        put("AccountId", account);
    }
    object.insert("Version".to_owned(), 1.into());
    format!("{}\n", serde_json::Value::Object(object))
}

fn lines(prefix: &str, credentials: &Credentials, region: Option<&str>) -> String {
    let mut text = String::new();
    let mut put = |name: &str, value: &str| {
        let _ = writeln!(text, "{prefix}{name}={}", quoted(value));
    };
    put("AWS_ACCESS_KEY_ID", &credentials.access_key_id);
    put("AWS_SECRET_ACCESS_KEY", credentials.secret_access_key.expose());
    if let Some(token) = &credentials.session_token {
        put("AWS_SESSION_TOKEN", token.expose());
    }
    if let Some(expiration) = credentials.expiration {
        put("AWS_CREDENTIAL_EXPIRATION", &expiration.to_rfc3339());
    }
    if let Some(region) = region {
        put("AWS_REGION", region);
        put("AWS_DEFAULT_REGION", region);
    }
    text
}

fn ini(profile: &str, credentials: &Credentials, region: Option<&str>) -> String {
    let mut text = format!("[{profile}]\n");
    let mut put = |name: &str, value: &str| {
        let _ = writeln!(text, "{name}={value}");
    };
    put("aws_access_key_id", &credentials.access_key_id);
    put("aws_secret_access_key", credentials.secret_access_key.expose());
    if let Some(token) = &credentials.session_token {
        put("aws_session_token", token.expose());
    }
    if let Some(expiration) = credentials.expiration {
        put("aws_credential_expiration", &expiration.to_rfc3339());
    }
    if let Some(region) = region {
        put("region", region);
    }
    text
}

/// What AWS hands out stands as it is; anything else is put between single quotes, so that `eval`
/// takes it for one word.
fn quoted(value: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"/+=-_.:,@%".contains(&b);
    if !value.is_empty() && value.bytes().all(plain) {
        return value.to_owned();
    }
    format!("'{}'", value.replace('\'', "'\\''"))
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
    fn a_value_that_a_shell_would_take_apart_is_quoted() {
        assert_eq!(quoted("a b$c"), "'a b$c'");
        assert_eq!(quoted("it's"), "'it'\\''s'");
        assert_eq!(quoted("eu-west-1"), "eu-west-1");
        assert_eq!(quoted(""), "''");
    }

    #[test]
    fn ini_is_a_section() {
        assert_eq!(
            ini("prod", &temporary(), Some("eu-west-1")),
            "[prod]\naws_access_key_id=ASIAIOSFODNN7EXAMPLE\n\
             aws_secret_access_key=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\n\
             aws_session_token=to+ken/==\naws_credential_expiration=1970-01-01T00:00:00Z\n\
             region=eu-west-1\n"
        );
    }
}
