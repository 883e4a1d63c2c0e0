//! The client of IAM Identity Center's portal: credentials of a user's roles for the access token of a
//! login. Requests are not signed; the token has a header of its own.

use aws_sdk_sso::Client;
use aws_sdk_sso::types::RoleCredentials;

use super::service_client::{Call, ServiceClient};
use super::service_error::ServiceError;
use crate::clock::Timestamp;
use crate::credential::Credentials;
use crate::secret::Secret;

/// The portal of one region, until one deadline.
pub type Portal = ServiceClient<Client>;

/// Why the portal gives no credentials.
#[derive(Debug, PartialEq, Eq)]
pub enum NotGiven {
    /// The token is not valid: the login or its session has ended.
    LoggedOut,
    /// The user has no such role in that account.
    NoSuchRole,
    Failed(ServiceError),
}

impl From<ServiceError> for NotGiven {
    fn from(error: ServiceError) -> Self {
        match error.denied() {
            "UnauthorizedException" => Self::LoggedOut,
            "ForbiddenException" | "ResourceNotFoundException" => Self::NoSuchRole,
            _ => Self::Failed(error),
        }
    }
}

impl Portal {
    /// GetRoleCredentials.
    /// <https://docs.aws.amazon.com/singlesignon/latest/PortalAPIReference/API_GetRoleCredentials.html>
    pub fn role_credentials(
        &self,
        token: &Secret,
        account: &str,
        role: &str,
    ) -> Result<Credentials, NotGiven> {
        let answer =
            self.call(Call::unsigned("GetRoleCredentials", &[token]), |client, config| {
                client
                    .get_role_credentials()
                    .access_token(token.expose())
                    .account_id(account)
                    .role_name(role)
                    .customize()
                    .config_override(config)
                    .send()
            })?;
        let credentials = answer.role_credentials.and_then(|given| credentials_in(given, account));
        credentials.ok_or_else(|| NotGiven::Failed(Self::without("credentials")))
    }

    /// Logout: AWS revokes the access token and its refresh token.
    /// <https://docs.aws.amazon.com/singlesignon/latest/PortalAPIReference/API_Logout.html>
    pub fn log_out(&self, token: &Secret) -> Result<(), NotGiven> {
        self.call(Call::unsigned("Logout", &[token]), |client, config| {
            client.logout().access_token(token.expose()).customize().config_override(config).send()
        })?;
        Ok(())
    }
}

/// An answer's credentials. None if a part is missing.
fn credentials_in(given: RoleCredentials, account: &str) -> Option<Credentials> {
    let credentials = Credentials {
        access_key_id: given.access_key_id?,
        secret_access_key: Secret::new(given.secret_access_key?),
        session_token: Some(Secret::new(given.session_token?)),
        // In milliseconds, unlike anywhere else.
        expiration: Some(Timestamp(given.expiration / 1000)),
        account_id: Some(account.to_owned()),
    };
    credentials.whole()
}

#[cfg(test)]
mod tests {
    use super::super::service_client::Service;
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
        let none = EndpointVariant::default();
        let url = |region| Client::endpoint(region, none).unwrap().url().to_owned();
        assert_eq!(url("eu-central-1"), "https://portal.sso.eu-central-1.amazonaws.com");
    }
}
