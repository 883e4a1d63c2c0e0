//! The client of IAM Identity Center's OIDC: a device is authorised by a person elsewhere (RFC 8628).
//!
//! The operations are unsigned; what allows them is in their bodies, and no body is ever shown.

use std::time::Duration;

use aws_sdk_ssooidc::Client;
use aws_sdk_ssooidc::operation::create_token::CreateTokenOutput;

use super::connection::{Call, Connection};
use super::service_error::ServiceError;
use crate::clock::Timestamp;
use crate::secret::Secret;

/// RFC 8628, section 3.4.
const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";
/// RFC 6749, section 6.
const REFRESH_TOKEN: &str = "refresh_token";
/// `slow_down` (RFC 8628, section 3.5) in AWS's names.
const SLOW_DOWN: &str = "SlowDownException";
/// RFC 8628, section 3.2: what counts where the server names no interval.
const INTERVAL: Duration = Duration::from_secs(5);
/// A code that lives longer than AWS's ten minutes is waited for so long at most.
const LONGEST: Duration = Duration::from_secs(3600);
/// AWS's tokens have up to 4 KB; five texts of this length still make a login that the cache takes.
const LONGEST_TEXT: usize = 8 * 1024;

/// The OIDC service of one region, until one deadline.
pub type Oidc = Connection<Client>;

/// This program, as the service knows it.
#[derive(Debug)]
pub struct Registration {
    /// The client's id.
    pub id: String,
    /// The client's secret.
    pub secret: Secret,
    /// When both end.
    pub expires: Timestamp,
}

/// What a person is shown, and what is asked with meanwhile.
#[derive(Debug)]
pub struct DeviceCode {
    /// What the token is asked for with. A secret: it is all that the token takes.
    pub code: Secret,
    /// What the person compares or types.
    pub user_code: String,
    /// The page to open; with the code in it, if the service gave one.
    pub page: String,
    /// How long the code lives.
    pub expires_in: Duration,
    /// The least time between two questions.
    pub interval: Duration,
}

/// What a person's yes, or a refresh token, gives.
#[derive(Debug)]
pub struct Tokens {
    /// What credentials of roles are asked for with.
    pub access: Secret,
    /// How long it lives.
    pub expires_in: Duration,
    /// What the next one is asked for with, if there can be a next one.
    pub refresh: Option<Secret>,
}

/// Why there is no token (RFC 8628, section 3.5, and RFC 6749, section 5.2, in AWS's names).
#[derive(Debug, PartialEq, Eq)]
pub enum NoToken {
    /// `authorization_pending`: nobody has decided yet.
    Pending,
    /// `slow_down`: the same, and the questions come too fast.
    SlowDown,
    /// `expired_token`: nobody decided in time.
    Expired,
    /// `access_denied`: somebody said no.
    Denied,
    /// `invalid_grant`, `invalid_client`, `unauthorized_client`: what was handed in is worth nothing
    /// any more.
    Over,
    /// No answer, or another one.
    Failed(ServiceError),
}

impl From<ServiceError> for NoToken {
    fn from(error: ServiceError) -> Self {
        match &error {
            error if is_slow_down(error) => Self::SlowDown,
            ServiceError::Denied { code, .. } => match code.as_str() {
                "AuthorizationPendingException" => Self::Pending,
                "ExpiredTokenException" => Self::Expired,
                "AccessDeniedException" => Self::Denied,
                "InvalidGrantException"
                | "InvalidClientException"
                | "UnauthorizedClientException" => Self::Over,
                _ => Self::Failed(error),
            },
            _ => Self::Failed(error),
        }
    }
}

/// True if a refresh token, or the client that it belongs to, is worth nothing any more:
/// `invalid_grant`, `expired_token`, `invalid_client`, `unauthorized_client` (RFC 6749, section 5.2).
/// Any other answer says nothing of the token: it may be good later.
pub fn is_over(error: &ServiceError) -> bool {
    const OVER: [&str; 4] = [
        "InvalidGrantException",
        "ExpiredTokenException",
        "InvalidClientException",
        "UnauthorizedClientException",
    ];
    OVER.iter().any(|code| error.is(code))
}

/// True for `slow_down`, which the SDK does not know as throttling and so does not repeat.
pub fn is_slow_down(error: &ServiceError) -> bool {
    matches!(error, ServiceError::Throttled { code } if code == SLOW_DOWN)
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
        let secret = answer.client_secret.filter(whole).map(Secret::new);
        match (answer.client_id.filter(whole), secret) {
            (Some(id), Some(secret)) => Ok(Registration { id, secret, expires }),
            _ => Err(Oidc::without("client")),
        }
    }

    /// StartDeviceAuthorization, for the people of a start URL.
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
        let code = answer.device_code.filter(whole).map(Secret::new);
        let page = answer.verification_uri_complete.filter(whole);
        let page = page.or(answer.verification_uri.filter(whole));
        let expires_in = seconds(answer.expires_in).map(|time| time.min(LONGEST));
        match (code, answer.user_code.filter(whole), page, expires_in) {
            (Some(code), Some(user_code), Some(page), Some(expires_in)) => Ok(DeviceCode {
                code,
                user_code,
                page,
                expires_in,
                interval: seconds(answer.interval).unwrap_or(INTERVAL),
            }),
            _ => Err(Oidc::without("device code")),
        }
    }

    /// CreateToken with a device code, once: the pace of the questions is the caller's.
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

    /// CreateToken with a refresh token. A new refresh token may come with the access token; then the
    /// old one is worth nothing.
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

fn tokens_in(answer: CreateTokenOutput) -> Result<Tokens, ServiceError> {
    let access = answer.access_token.filter(whole).map(Secret::new);
    let refresh = answer.refresh_token.filter(whole).map(Secret::new);
    match (access, seconds(answer.expires_in)) {
        (Some(access), Some(expires_in)) => Ok(Tokens { access, expires_in, refresh }),
        _ => Err(Oidc::without("token")),
    }
}

/// A whole number of seconds that is some time.
fn seconds(number: i32) -> Option<Duration> {
    u64::try_from(number).ok().filter(|number| *number > 0).map(Duration::from_secs)
}

/// True for a value that may go on: into a header, to a terminal, or into a file of the cache.
#[allow(clippy::ptr_arg)] // what Option::filter hands over
fn whole(text: &String) -> bool {
    (1..=LONGEST_TEXT).contains(&text.len()) && !text.contains(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::super::connection::Service;
    use super::*;
    use crate::profile::EndpointVariant;

    #[test]
    fn the_errors_of_the_rfc_are_told_apart() {
        let denied = |code: &str| {
            let code = code.to_owned();
            ServiceError::Denied {
                operation: "CreateToken",
                code,
                message: String::new(),
                skew: None,
            }
        };
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
    fn only_a_word_of_the_token_ends_it() {
        let denied = |code: &str| {
            let code = code.to_owned();
            ServiceError::Denied {
                operation: "CreateToken",
                code,
                message: String::new(),
                skew: None,
            }
        };
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
