//! The client of IAM Identity Center's OIDC: a device is authorised by a person elsewhere (RFC 8628).
//!
//! The requests are not signed; the secrets that authorise them are in their bodies, and no body is ever
//! shown.

use std::time::Duration;

use aws_sdk_ssooidc::Client;
use aws_sdk_ssooidc::operation::create_token::CreateTokenOutput;
use aws_sdk_ssooidc::operation::start_device_authorization::StartDeviceAuthorizationOutput;

use super::service_client::{Call, ServiceClient};
use super::service_error::ServiceError;
use crate::clock::Timestamp;
use crate::secret::Secret;

/// RFC 8628, section 3.4.
const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";
/// RFC 6749, section 6.
const REFRESH_TOKEN: &str = "refresh_token";
/// RFC 8628, section 3.2: the interval if the server names none.
const INTERVAL: Duration = Duration::from_secs(5);
/// The longest wait for a device code that lives longer than AWS's ten minutes.
const LONGEST: Duration = Duration::from_secs(3600);
/// AWS's tokens have up to 4 KB; five texts of this length still make a login that the cache takes.
const LONGEST_TEXT: usize = 8 * 1024;

/// The OIDC service of one region, until one deadline.
pub type Oidc = ServiceClient<Client>;

/// This program as a registered client.
#[derive(Debug)]
pub struct Registration {
    pub id: String,
    pub secret: Secret,
    pub expires: Timestamp,
}

/// A device code, and what the user who authorises it is shown.
#[derive(Debug)]
pub struct DeviceCode {
    pub code: Secret,
    /// Shown on the page too, for the user to compare, or typed there.
    pub user_code: String,
    /// The page's URL; with the user code in it, if the service gave one.
    pub page: String,
    pub expires_in: Duration,
    /// The least time between two requests for the token.
    pub interval: Duration,
}

/// An access token, and the refresh token with which the next one is requested, if there is one.
#[derive(Debug)]
pub struct Tokens {
    pub access: Secret,
    pub expires_in: Duration,
    pub refresh: Option<Secret>,
}

/// Why there is no token (RFC 8628, section 3.5, and RFC 6749, section 5.2, in AWS's names).
#[derive(Debug, PartialEq, Eq)]
pub enum NoToken {
    /// `authorization_pending`: the user has not decided yet.
    Pending,
    /// `slow_down`: the same, and the requests follow each other too fast.
    SlowDown,
    /// `expired_token`: the user did not decide in time.
    Expired,
    /// `access_denied`: the user refused.
    Denied,
    /// `invalid_grant`, `invalid_client`, `unauthorized_client`: the device code or the client is not
    /// valid any more.
    Over,
    Failed(ServiceError),
}

impl From<ServiceError> for NoToken {
    fn from(error: ServiceError) -> Self {
        match error.denied() {
            "AuthorizationPendingException" => Self::Pending,
            "ExpiredTokenException" => Self::Expired,
            "AccessDeniedException" => Self::Denied,
            _ if is_over(&error) => Self::Over,
            _ if is_slow_down(&error) => Self::SlowDown,
            _ => Self::Failed(error),
        }
    }
}

/// True if a refresh token, or its client, is not valid any more: `invalid_grant`, `expired_token`,
/// `invalid_client`, `unauthorized_client` (RFC 6749, section 5.2). After any other error the token may
/// still be valid.
pub fn is_over(error: &ServiceError) -> bool {
    matches!(
        error.denied(),
        "InvalidGrantException"
            | "ExpiredTokenException"
            | "InvalidClientException"
            | "UnauthorizedClientException"
    )
}

/// True for `slow_down`, which the SDK does not know as throttling and so does not repeat.
pub fn is_slow_down(error: &ServiceError) -> bool {
    matches!(error, ServiceError::Throttled { code } if code == "SlowDownException")
}

impl Oidc {
    /// RegisterClient: a public client for the two grants that are used here.
    /// <https://docs.aws.amazon.com/singlesignon/latest/OIDCAPIReference/API_RegisterClient.html>
    pub fn register(&self, scopes: &[String]) -> Result<Registration, ServiceError> {
        let answer = self.call(Call::unsigned("RegisterClient", &[]), |client, config| {
            client
                .register_client()
                .client_name("vault")
                .client_type("public")
                .set_scopes(Some(scopes.to_vec()))
                .grant_types(DEVICE_CODE)
                .grant_types(REFRESH_TOKEN)
                .customize()
                .config_override(config)
                .send()
        })?;
        let expires = match answer.client_secret_expires_at {
            // RFC 7591: it does not.
            0 => Timestamp(i64::MAX),
            at => Timestamp(at),
        };
        match (whole(answer.client_id), whole(answer.client_secret).map(Secret::new)) {
            (Some(id), Some(secret)) => Ok(Registration { id, secret, expires }),
            _ => Err(Oidc::without("client")),
        }
    }

    /// StartDeviceAuthorization, for the users of a start URL.
    /// <https://docs.aws.amazon.com/singlesignon/latest/OIDCAPIReference/API_StartDeviceAuthorization.html>
    pub fn start(
        &self,
        client: &Registration,
        start_url: &str,
    ) -> Result<DeviceCode, ServiceError> {
        let secrets = [&client.secret];
        let operation = "StartDeviceAuthorization";
        let answer = self.call(Call::unsigned(operation, &secrets), |sdk, config| {
            sdk.start_device_authorization()
                .client_id(&client.id)
                .client_secret(client.secret.expose())
                .start_url(start_url)
                .customize()
                .config_override(config)
                .send()
        })?;
        device_code_in(answer).ok_or_else(|| Oidc::without("device code"))
    }

    /// CreateToken with a device code, sent once: the caller repeats it at the interval.
    /// <https://docs.aws.amazon.com/singlesignon/latest/OIDCAPIReference/API_CreateToken.html>
    pub fn token(&self, client: &Registration, device: &DeviceCode) -> Result<Tokens, NoToken> {
        let secrets = [&client.secret, &device.code];
        let answer = self.call(Call::unsigned("CreateToken", &secrets).once(), |sdk, config| {
            sdk.create_token()
                .client_id(&client.id)
                .client_secret(client.secret.expose())
                .grant_type(DEVICE_CODE)
                .device_code(device.code.expose())
                .customize()
                .config_override(config)
                .send()
        })?;
        Ok(tokens_in(answer)?)
    }

    /// CreateToken with a refresh token, which AWS revokes if it gives a new one with the access token.
    pub fn refresh(
        &self,
        client_id: &str,
        client_secret: &Secret,
        refresh: &Secret,
    ) -> Result<Tokens, ServiceError> {
        let secrets = [client_secret, refresh];
        let answer = self.call(Call::unsigned("CreateToken", &secrets), |sdk, config| {
            sdk.create_token()
                .client_id(client_id)
                .client_secret(client_secret.expose())
                .grant_type(REFRESH_TOKEN)
                .refresh_token(refresh.expose())
                .customize()
                .config_override(config)
                .send()
        })?;
        tokens_in(answer)
    }
}

fn device_code_in(answer: StartDeviceAuthorizationOutput) -> Option<DeviceCode> {
    let page = whole(answer.verification_uri_complete).or(whole(answer.verification_uri));
    Some(DeviceCode {
        code: Secret::new(whole(answer.device_code)?),
        user_code: whole(answer.user_code)?,
        page: page?,
        expires_in: seconds(answer.expires_in)?.min(LONGEST),
        interval: seconds(answer.interval).unwrap_or(INTERVAL),
    })
}

fn tokens_in(answer: CreateTokenOutput) -> Result<Tokens, ServiceError> {
    match (whole(answer.access_token), seconds(answer.expires_in)) {
        (Some(access), Some(expires_in)) => Ok(Tokens {
            access: Secret::new(access),
            expires_in,
            refresh: whole(answer.refresh_token).map(Secret::new),
        }),
        _ => Err(Oidc::without("token")),
    }
}

fn seconds(number: i32) -> Option<Duration> {
    u64::try_from(number).ok().filter(|number| *number > 0).map(Duration::from_secs)
}

/// A text that is fit for a header, a terminal and a file of the cache.
fn whole(text: Option<String>) -> Option<String> {
    text.filter(|text| (1..=LONGEST_TEXT).contains(&text.len()) && !text.contains(char::is_control))
}

#[cfg(test)]
mod tests {
    use super::super::service_client::Service;
    use super::*;
    use crate::profile::EndpointVariant;

    fn denied(code: &str) -> ServiceError {
        let (code, message) = (code.to_owned(), String::new());
        ServiceError::Denied { operation: "CreateToken", code, message, skew: None }
    }

    #[test]
    fn the_errors_of_the_rfc_are_told_apart() {
        for (code, expected) in [
            ("AuthorizationPendingException", NoToken::Pending),
            ("ExpiredTokenException", NoToken::Expired),
            ("AccessDeniedException", NoToken::Denied),
            ("InvalidGrantException", NoToken::Over),
            ("InvalidClientException", NoToken::Over),
            ("UnauthorizedClientException", NoToken::Over),
            ("InvalidScopeException", NoToken::Failed(denied("InvalidScopeException"))),
        ] {
            assert_eq!(NoToken::from(denied(code)), expected, "{code}");
        }
        let throttled = |code: &str| ServiceError::Throttled { code: code.to_owned() };
        assert_eq!(NoToken::from(throttled("SlowDownException")), NoToken::SlowDown);
        let other = throttled("TooManyRequestsException");
        assert!(matches!(NoToken::from(other), NoToken::Failed(_)));
    }

    #[test]
    fn only_an_error_about_the_token_ends_it() {
        for code in [
            "InvalidGrantException",
            "ExpiredTokenException",
            "InvalidClientException",
            "UnauthorizedClientException",
        ] {
            assert!(is_over(&denied(code)), "{code}");
        }
        let slow_down = ServiceError::Throttled { code: "SlowDownException".to_owned() };
        assert!(is_slow_down(&slow_down) && !is_over(&slow_down));
        let origin = "oidc.example:443".to_owned();
        for other in [
            denied("AccessDeniedException"),
            denied("AuthorizationPendingException"),
            denied("InvalidRequestException"),
            ServiceError::Throttled { code: "TooManyRequestsException".to_owned() },
            ServiceError::Unavailable { service: "x", status: 500, code: String::new() },
            ServiceError::Timeout { origin },
            ServiceError::Unreachable { why: String::new(), hint: None, lost: true },
            Oidc::without("token"),
        ] {
            assert!(!is_over(&other) && !is_slow_down(&other), "{other:?}");
        }
    }

    #[test]
    fn endpoints_are_those_of_the_region() {
        let none = EndpointVariant::default();
        let url = |region| Client::endpoint(region, none).unwrap().url().to_owned();
        assert_eq!(url("eu-central-1"), "https://oidc.eu-central-1.amazonaws.com");
        assert_eq!(url("cn-north-1"), "https://oidc.cn-north-1.amazonaws.com.cn");
    }
}
