//! The client of STS: GetSessionToken, AssumeRole, AssumeRoleWithWebIdentity, GetCallerIdentity.

use std::time::{Duration, Instant};

use aws_sdk_sts::Client;
use aws_sdk_sts::config::{Builder, Config};
use aws_sdk_sts::types::{Credentials as Answered, Tag};

use super::connection::{Call, Connection, Offered, Service};
use super::service_error::{ServiceError, clock_words};
use crate::clock::Timestamp;
use crate::credential::Credentials;
use crate::env::Env;
use crate::error::Error;
use crate::profile::{Role, Target};
use crate::reporter::Reporter;
use crate::secret::Secret;

/// A session policy that takes nothing away.
const EVERYTHING: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#;

/// STS, at one place, until one deadline. Connections are kept between calls.
pub struct Sts {
    connection: Connection<Client>,
}

impl Sts {
    /// Takes down what calls will need; nothing is opened, read or started before the first one.
    /// All calls together end at `deadline`.
    ///
    /// # Errors
    /// Usage (2) for a region or an endpoint URL that cannot be one.
    pub fn connect(
        target: &Target,
        env: &Env,
        deadline: Instant,
        reporter: Reporter,
    ) -> Result<Sts, Error> {
        Ok(Sts { connection: Connection::new(target, env, deadline, reporter)? })
    }

    /// Host and port that calls go to. Nothing is opened.
    ///
    /// # Errors
    /// Usage (2): the region has no such endpoint.
    pub fn place(&self) -> Result<String, Error> {
        self.connection.place()
    }

    /// GetSessionToken with the long-term key `base`; `mfa` is the device's serial and a code. With a
    /// code it is sent once only.
    /// <https://docs.aws.amazon.com/STS/latest/APIReference/API_GetSessionToken.html>
    pub fn session_token(
        &self,
        base: &Credentials,
        duration: Duration,
        mfa: Option<(&str, &Secret)>,
    ) -> Result<Credentials, ServiceError> {
        let code = mfa.map(|(_, code)| code);
        let call = Call {
            operation: "GetSessionToken",
            base,
            codes: code.as_slice(),
            once: mfa.is_some(),
        };
        let answer = self.connection.call(&call, |client, offered| {
            client
                .get_session_token()
                .duration_seconds(seconds(duration))
                .set_serial_number(mfa.map(|(serial, _)| serial.to_owned()))
                .set_token_code(code.map(|code| code.expose().to_owned()))
                .customize()
                .config_override(with(offered))
                .send()
        })?;
        let account = base.account_id.clone();
        answer.credentials.and_then(|c| credentials_in(c, account)).ok_or_else(not_sts)
    }

    /// AssumeRole with `base`, long-term or temporary. With a code it is sent once only.
    /// <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>
    pub fn assume_role(
        &self,
        base: &Credentials,
        role: &Role,
        mfa: Option<(&str, &Secret)>,
    ) -> Result<Credentials, ServiceError> {
        let code = mfa.map(|(_, code)| code);
        let tags =
            role.tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build());
        // The builder fails only for a missing key or value.
        let tags: Vec<Tag> = tags.filter_map(Result::ok).collect();
        let call =
            Call { operation: "AssumeRole", base, codes: code.as_slice(), once: mfa.is_some() };
        let answer = self.connection.call(&call, |client, offered| {
            client
                .assume_role()
                .role_arn(&role.arn)
                .role_session_name(&role.session_name)
                .duration_seconds(seconds(role.duration))
                .set_external_id(role.external_id.clone())
                .set_tags((!tags.is_empty()).then_some(tags))
                .set_transitive_tag_keys(
                    (!role.transitive.is_empty()).then(|| role.transitive.clone()),
                )
                .set_source_identity(role.source_identity.clone())
                .set_serial_number(mfa.map(|(serial, _)| serial.to_owned()))
                .set_token_code(code.map(|code| code.expose().to_owned()))
                .customize()
                .config_override(with(offered))
                .send()
        })?;
        let arn = answer.assumed_role_user.map(|user| user.arn).unwrap_or_default();
        answer.credentials.and_then(|c| credentials_in(c, account_of(&arn))).ok_or_else(not_sts)
    }

    /// AssumeRoleWithWebIdentity: what a token, signed by an identity provider that the role trusts, is
    /// worth. The token alone is the proof: the call is not signed.
    /// <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html>
    pub fn assume_role_with_web_identity(
        &self,
        token: &Secret,
        role_arn: &str,
        session_name: &str,
        duration: Duration,
    ) -> Result<Credentials, ServiceError> {
        // The SDK signs this call with nobody's key.
        let nobody = Credentials::long_term(String::new(), Secret::new(String::new()));
        let call = Call {
            operation: "AssumeRoleWithWebIdentity",
            base: &nobody,
            codes: &[token],
            once: false,
        };
        let answer = self.connection.call(&call, |client, offered| {
            client
                .assume_role_with_web_identity()
                .role_arn(role_arn)
                .role_session_name(session_name)
                .web_identity_token(token.expose())
                .duration_seconds(seconds(duration))
                .customize()
                .config_override(with(offered))
                .send()
        })?;
        let arn = answer.assumed_role_user.map(|user| user.arn).unwrap_or_default();
        answer.credentials.and_then(|c| credentials_in(c, account_of(&arn))).ok_or_else(not_sts)
    }

    /// GetFederationToken with the long-term key `base`: a session with all that its user may do, but
    /// without MFA and, outside of the console, without IAM. `name` is 2 to 32 of `[\w+=,.@-]`.
    /// <https://docs.aws.amazon.com/STS/latest/APIReference/API_GetFederationToken.html>
    pub fn federation_token(
        &self,
        base: &Credentials,
        name: &str,
        duration: Duration,
    ) -> Result<Credentials, ServiceError> {
        let call = Call { operation: "GetFederationToken", base, codes: &[], once: false };
        let answer = self.connection.call(&call, |client, offered| {
            client
                .get_federation_token()
                .name(name)
                .duration_seconds(seconds(duration))
                // What the user may do and this allows; without a policy it would be nothing.
                .policy(EVERYTHING)
                .customize()
                .config_override(with(offered))
                .send()
        })?;
        let arn = answer.federated_user.map(|user| user.arn).unwrap_or_default();
        answer.credentials.and_then(|c| credentials_in(c, account_of(&arn))).ok_or_else(not_sts)
    }

    /// GetCallerIdentity: the ARN of whoever `base` belongs to. Needs no permission.
    /// <https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html>
    pub fn caller_identity(&self, base: &Credentials) -> Result<String, ServiceError> {
        let call = Call { operation: "GetCallerIdentity", base, codes: &[], once: false };
        let answer = self.connection.call(&call, |client, offered| {
            client.get_caller_identity().customize().config_override(with(offered)).send()
        })?;
        answer.arn.filter(|arn| arn.starts_with("arn:")).ok_or_else(not_sts)
    }

    /// By how many seconds AWS's clock is ahead of ours, from the `Date` of the last answer, good or
    /// bad. Exact to about two seconds.
    pub fn clock_offset(&self) -> Option<i64> {
        self.connection.clock_offset()
    }

    /// By how many seconds AWS's clock is ahead of ours, from one request that is not signed and asks
    /// for nothing.
    pub fn ask_the_time(&self) -> Result<i64, ServiceError> {
        self.connection.ask_the_time()
    }

    /// A warning where the clocks are more than a TOTP step apart: codes and signatures fail by it.
    pub fn clock_warning(&self) -> Option<String> {
        clock_words(self.clock_offset())
    }
}

fn with(offered: Offered) -> Builder {
    Config::builder()
        .credentials_provider(offered.credentials)
        .retry_config(offered.retry)
        .timeout_config(offered.timeout)
}

fn seconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_secs()).unwrap_or(i32::MAX)
}

/// An answer's credentials, moved. None if a part is missing, which the SDK fills with nothing, or
/// has a control character in it: a line break would start another setting in what export writes.
fn credentials_in(answer: Answered, account_id: Option<String>) -> Option<Credentials> {
    let expiration = Timestamp(answer.expiration.secs());
    let credentials = Credentials {
        access_key_id: answer.access_key_id,
        secret_access_key: Secret::new(answer.secret_access_key),
        session_token: Some(Secret::new(answer.session_token)),
        expiration: Some(expiration),
        account_id,
    };
    let fits = |text: &str| !text.is_empty() && !text.contains(char::is_control);
    let whole = fits(&credentials.access_key_id)
        && fits(credentials.secret_access_key.expose())
        && credentials.session_token.as_ref().is_some_and(|token| fits(token.expose()))
        && expiration.0 > 0;
    whole.then_some(credentials)
}

/// A 200 in STS's own XML, with nothing in it.
fn not_sts() -> ServiceError {
    let media_type = "no credentials in it".to_owned();
    ServiceError::BadAnswer { service: Client::NAME, status: 200, media_type }
}

/// `arn:aws:sts::123456789012:assumed-role/…`.
fn account_of(arn: &str) -> Option<String> {
    let account = arn.split(':').nth(4)?;
    let digits = account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| account.to_owned())
}

#[cfg(test)]
mod tests;
