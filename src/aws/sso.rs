//! The client of IAM Identity Center's portal: credentials of the roles that a person has, by the
//! token of a login. Nothing is signed; the token goes into a header of its own.

use std::time::Instant;

use aws_sdk_sso::Client;
use aws_sdk_sso::config::Config;
use aws_sdk_sso::types::RoleCredentials;

use super::connection::{Connection, Service};
use super::service_error::ServiceError;
use crate::clock::Timestamp;
use crate::credential::Credentials;
use crate::env::Env;
use crate::error::Error;
use crate::profile::Target;
use crate::reporter::Reporter;
use crate::secret::Secret;

/// The portal of one region, until one deadline.
pub struct Portal {
    connection: Connection<Client>,
}

/// Why the portal gives nothing.
#[derive(Debug, PartialEq, Eq)]
pub enum NotGiven {
    /// It does not take the token: the login was ended, or its session is over.
    LoggedOut,
    /// The person has no such role in that account.
    NoSuchRole,
    /// No answer, or another one.
    Failed(ServiceError),
}

impl From<ServiceError> for NotGiven {
    fn from(error: ServiceError) -> Self {
        match &error {
            ServiceError::Denied { code, .. } => match code.as_str() {
                "UnauthorizedException" => Self::LoggedOut,
                "ForbiddenException" | "ResourceNotFoundException" => Self::NoSuchRole,
                _ => Self::Failed(error),
            },
            _ => Self::Failed(error),
        }
    }
}

impl Portal {
    /// As [`Sts::connect`](super::Sts::connect).
    ///
    /// # Errors
    /// Usage (2) for a region or an endpoint URL that cannot be one.
    pub fn connect(
        target: &Target,
        env: &Env,
        deadline: Instant,
        reporter: Reporter,
    ) -> Result<Portal, Error> {
        Ok(Portal { connection: Connection::new(target, env, deadline, reporter)? })
    }

    /// Host and port that calls go to. Nothing is opened.
    ///
    /// # Errors
    /// Usage (2): the region has no such endpoint.
    pub fn place(&self) -> Result<String, Error> {
        self.connection.place()
    }

    /// GetRoleCredentials.
    /// <https://docs.aws.amazon.com/singlesignon/latest/PortalAPIReference/API_GetRoleCredentials.html>
    pub fn role_credentials(
        &self,
        token: &Secret,
        account: &str,
        role: &str,
    ) -> Result<Credentials, NotGiven> {
        let answer =
            self.connection.unsigned("GetRoleCredentials", &[token], true, |client, retry| {
                client
                    .get_role_credentials()
                    .access_token(token.expose())
                    .account_id(account)
                    .role_name(role)
                    .customize()
                    .config_override(Config::builder().retry_config(retry))
                    .send()
            })?;
        let credentials = answer.role_credentials.and_then(|given| credentials_in(given, account));
        credentials.ok_or_else(|| {
            let media_type = "no credentials in it".to_owned();
            NotGiven::Failed(ServiceError::BadAnswer {
                service: Client::NAME,
                status: 200,
                media_type,
            })
        })
    }

    /// Logout: the token is worth nothing any more, and nor is what would refresh it.
    /// <https://docs.aws.amazon.com/singlesignon/latest/PortalAPIReference/API_Logout.html>
    pub fn log_out(&self, token: &Secret) -> Result<(), NotGiven> {
        self.connection.unsigned("Logout", &[token], true, |client, retry| {
            client
                .logout()
                .access_token(token.expose())
                .customize()
                .config_override(Config::builder().retry_config(retry))
                .send()
        })?;
        Ok(())
    }
}

/// An answer's credentials, moved. None if a part is missing, or has a control character in it: a line
/// break would start another setting in what export writes.
fn credentials_in(given: RoleCredentials, account: &str) -> Option<Credentials> {
    let fits = |text: &String| !text.is_empty() && !text.contains(char::is_control);
    let secret = given.secret_access_key.filter(fits).map(Secret::new);
    let token = given.session_token.filter(fits).map(Secret::new);
    // In milliseconds, unlike anywhere else.
    let expiration = Timestamp(given.expiration / 1000);
    if expiration.0 <= 0 {
        return None;
    }
    Some(Credentials {
        access_key_id: given.access_key_id.filter(fits)?,
        secret_access_key: secret?,
        session_token: Some(token?),
        expiration: Some(expiration),
        account_id: Some(account.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::EndpointVariant;

    #[test]
    fn half_an_answer_is_none() {
        let whole = || {
            RoleCredentials::builder()
                .access_key_id("ASIAIOSFODNN7EXAMPLE")
                .secret_access_key("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
                .session_token("token")
                .expiration(1_769_860_800_999)
        };
        let given = |builder: aws_sdk_sso::types::builders::RoleCredentialsBuilder| {
            credentials_in(builder.build(), "123456789012")
        };
        let credentials = given(whole()).unwrap();
        assert_eq!(credentials.expiration, Some(Timestamp(1_769_860_800)));
        assert_eq!(credentials.account_id.as_deref(), Some("123456789012"));
        for half in [
            whole().set_access_key_id(None),
            whole().access_key_id(""),
            whole().set_secret_access_key(None),
            whole().session_token("a\nb"),
            whole().expiration(0),
            whole().expiration(-1),
        ] {
            assert!(given(half).is_none());
        }
    }

    #[test]
    fn the_portal_s_refusals_are_told_apart() {
        let denied = |code: &str| {
            let (operation, code) = ("GetRoleCredentials", code.to_owned());
            ServiceError::Denied { operation, code, message: String::new(), skew: None }
        };
        assert_eq!(NotGiven::from(denied("UnauthorizedException")), NotGiven::LoggedOut);
        assert_eq!(NotGiven::from(denied("ForbiddenException")), NotGiven::NoSuchRole);
        assert_eq!(NotGiven::from(denied("ResourceNotFoundException")), NotGiven::NoSuchRole);
        let other = || denied("InvalidRequestException");
        assert_eq!(NotGiven::from(other()), NotGiven::Failed(other()));
    }

    #[test]
    fn endpoints_are_those_of_the_region() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let none = EndpointVariant::default();
        let url = |region| Client::endpoint(region, none, &runtime).unwrap().url().to_owned();
        assert_eq!(url("eu-central-1"), "https://portal.sso.eu-central-1.amazonaws.com");
    }
}
