//! The client of STS: GetSessionToken, AssumeRole, AssumeRoleWithWebIdentity, GetCallerIdentity.

use std::time::Duration;

use aws_sdk_sts::Client;
use aws_sdk_sts::types::{Credentials as Answered, Tag};

use super::service_client::{Call, ServiceClient};
use super::service_error::{ServiceError, clock_message};
use crate::clock::Timestamp;
use crate::credential::Credentials;
use crate::profile::Role;
use crate::secret::Secret;

/// A session policy that restricts nothing.
const EVERYTHING: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#;

pub type Sts = ServiceClient<Client>;

impl Sts {
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
        let secrets = code.as_slice();
        let call = Call { secrets, once: mfa.is_some(), ..Call::of(base, "GetSessionToken") };
        let answer = self.call(call, |client, config| {
            client
                .get_session_token()
                .duration_seconds(seconds(duration))
                .set_serial_number(mfa.map(|(serial, _)| serial.to_owned()))
                .set_token_code(code.map(|code| code.expose().to_owned()))
                .customize()
                .config_override(config)
                .send()
        })?;
        credentials_in(answer.credentials, base.account_id.clone())
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
        let secrets = code.as_slice();
        let call = Call { secrets, once: mfa.is_some(), ..Call::of(base, "AssumeRole") };
        let answer = self.call(call, |client, config| {
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
                .config_override(config)
                .send()
        })?;
        let account = answer.assumed_role_user.and_then(|user| account_of(&user.arn));
        credentials_in(answer.credentials, account)
    }

    /// AssumeRoleWithWebIdentity with a token of an identity provider that the role trusts. The call is not
    /// signed.
    /// <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html>
    pub fn assume_role_with_web_identity(
        &self,
        token: &Secret,
        role_arn: &str,
        session_name: &str,
        duration: Duration,
    ) -> Result<Credentials, ServiceError> {
        let secrets = [token];
        let call = Call::unsigned("AssumeRoleWithWebIdentity", &secrets);
        let answer = self.call(call, |client, config| {
            client
                .assume_role_with_web_identity()
                .role_arn(role_arn)
                .role_session_name(session_name)
                .web_identity_token(token.expose())
                .duration_seconds(seconds(duration))
                .customize()
                .config_override(config)
                .send()
        })?;
        let account = answer.assumed_role_user.and_then(|user| account_of(&user.arn));
        credentials_in(answer.credentials, account)
    }

    /// GetFederationToken with the long-term key `base`: a session with all permissions of its user, but
    /// without MFA and, except in the console, without IAM. `name` is 2 to 32 of `[\w+=,.@-]`.
    /// <https://docs.aws.amazon.com/STS/latest/APIReference/API_GetFederationToken.html>
    pub fn federation_token(
        &self,
        base: &Credentials,
        name: &str,
        duration: Duration,
    ) -> Result<Credentials, ServiceError> {
        let call = Call::of(base, "GetFederationToken");
        let answer = self.call(call, |client, config| {
            client
                .get_federation_token()
                .name(name)
                .duration_seconds(seconds(duration))
                // The session has the permissions that both the user and this policy have.
                .policy(EVERYTHING)
                .customize()
                .config_override(config)
                .send()
        })?;
        let account = answer.federated_user.and_then(|user| account_of(&user.arn));
        credentials_in(answer.credentials, account)
    }

    /// GetCallerIdentity: the ARN of the user or session of `base`. Needs no permission.
    /// <https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html>
    pub fn caller_identity(&self, base: &Credentials) -> Result<String, ServiceError> {
        let call = Call::of(base, "GetCallerIdentity");
        let answer = self.call(call, |client, config| {
            client.get_caller_identity().customize().config_override(config).send()
        })?;
        answer.arn.filter(|arn| arn.starts_with("arn:")).ok_or_else(|| Self::without("credentials"))
    }

    /// A warning if the clocks differ by more than a TOTP step, so that codes and signatures fail.
    pub fn clock_warning(&self) -> Option<String> {
        clock_message(self.clock_offset())
    }
}

fn seconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_secs()).unwrap_or(i32::MAX)
}

/// The credentials of a response. A missing part is empty there, and refused.
fn credentials_in(
    answer: Option<Answered>,
    account_id: Option<String>,
) -> Result<Credentials, ServiceError> {
    let credentials = answer.and_then(|given| {
        let credentials = Credentials {
            access_key_id: given.access_key_id,
            secret_access_key: Secret::new(given.secret_access_key),
            session_token: Some(Secret::new(given.session_token)),
            expiration: Some(Timestamp(given.expiration.secs())),
            account_id,
        };
        credentials.whole()
    });
    credentials.ok_or_else(|| Sts::without("credentials"))
}

/// `arn:aws:sts::123456789012:assumed-role/…`.
fn account_of(arn: &str) -> Option<String> {
    let account = arn.split(':').nth(4)?;
    let digits = account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| account.to_owned())
}

#[cfg(test)]
mod tests;
