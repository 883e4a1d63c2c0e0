//! AWS's sign-in service: exchanges credentials for a token that opens the console.
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_enable-console-custom-url.html>

use std::time::{Duration, Instant};

use aws_smithy_runtime_api::client::orchestrator::HttpRequest;

use super::connector::ANSWER_LIMIT;
use super::http_client::HttpSettings;
use super::service_error::{media_type, or_none};
use crate::credential::Credentials;
use crate::env::Env;
use crate::error::{Error, Result};
use crate::origin::Origin;
use crate::profile::{EndpointVariant, Signin};
use crate::reporter::Reporter;
use crate::secret::Secret;

/// The sign-in service at one endpoint.
pub struct SigninService {
    /// `…/federation`
    url: String,
    origin: Origin,
    http: HttpSettings,
}

impl SigninService {
    /// Nothing is opened or read yet.
    ///
    /// # Errors
    /// Usage (2): not a URL, or one for which credentials would go over a network in the clear.
    pub fn connect(at: &Signin, env: &Env, reporter: Reporter) -> Result<Self> {
        let origin = Origin::parse(&at.url).ok_or_else(|| {
            Error::usage("AWS_ENDPOINT_URL_SIGNIN: not an http or https URL")
                .hint("it looks like https://signin.aws.amazon.com")
        })?;
        if !origin.https && !origin.is_loopback() {
            return Err(Error::usage(
                "AWS_ENDPOINT_URL_SIGNIN: credentials go there, so it must be https, or http to this host",
            ));
        }
        Ok(Self {
            url: format!("{}/federation", at.url),
            origin,
            http: HttpSettings::new(at.ca_bundle.clone(), env, reporter),
        })
    }

    /// `getSigninToken`: a token for these credentials, valid for 15 minutes. The credentials are sent as
    /// they are, so they must be temporary. `session`: the duration of the console's session if AWS
    /// accepts one; else it lasts as long as the credentials. By GET, as AWS documents it; over TLS no
    /// proxy sees the query.
    ///
    /// # Errors
    /// AWS (9): the service refuses or fails, or its response is not a token. Busy (8) at the deadline.
    pub fn token(
        &self,
        credentials: &Credentials,
        session: Option<Duration>,
        deadline: Instant,
    ) -> Result<Secret> {
        let Some(token) = credentials.session_token.as_ref().map(Secret::expose) else {
            return Err(Error::other("a long-term key is not sent to the sign-in service"));
        };
        let document = serde_json::json!({
            "sessionId": credentials.access_key_id,
            "sessionKey": credentials.secret_access_key.expose(),
            "sessionToken": token,
        });
        let length = session.map(|session| format!("&SessionDuration={}", session.as_secs()));
        let url = format!(
            "{}?Action=getSigninToken{}&Session={}",
            self.url,
            length.unwrap_or_default(),
            urlencoding::encode(&document.to_string())
        );
        let request = HttpRequest::get(url)
            .map_err(|_| Error::other("the request for a sign-in token cannot be built"))?;
        self.http.reporter.debug(format!("getSigninToken at {}", self.origin));
        let client =
            self.http.client(self.origin.clone(), EndpointVariant::default(), ANSWER_LIMIT)?;
        let _waiting = client.waiting("getSigninToken", deadline);
        let response = client.run(deadline, client.send(request, "AWS's sign-in service"))?;
        let body = response.body().bytes().unwrap_or_default();
        token_in(response.status().as_u16(), &media_type(&response), body)
    }

    /// The URL that opens a page of the console, once, within 15 minutes. It needs no other login.
    pub fn address(&self, destination: &str, token: &Secret) -> Secret {
        Secret::new(format!(
            "{}?Action=login&Issuer=vault&Destination={}&SigninToken={}",
            self.url,
            urlencoding::encode(destination),
            urlencoding::encode(token.expose())
        ))
    }
}

/// The token in a response. Nothing of the body is passed on: it may quote the request.
fn token_in(status: u16, media_type: &str, body: &[u8]) -> Result<Secret> {
    let (what, hint) = match status {
        429 => ("is throttling requests", "wait a while"),
        400..500 => (
            "refused the credentials",
            "the sign-in service accepts credentials from AssumeRole or GetFederationToken, not \
             from GetSessionToken",
        ),
        500.. => ("failed", "try again later"),
        _ => {
            let body = if status == 200 { body } else { b"" };
            let json: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
            let token = json["SigninToken"].as_str().unwrap_or_default();
            if !token.is_empty() && token.bytes().all(|b| b.is_ascii_graphic()) {
                return Ok(Secret::new(token.to_owned()));
            }
            return Err(Error::aws(format!(
                "AWS's sign-in service answered without a sign-in token (HTTP {status}, {})",
                or_none(media_type)
            ))
            .hint("is there a proxy or a login page in between?"));
        }
    };
    Err(Error::aws(format!("AWS's sign-in service {what} (HTTP {status})")).hint(hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_encoded_to_the_byte() {
        assert_eq!(
            urlencoding::encode("{\"a\":\"x/y+z=\"} ~é"),
            "%7B%22a%22%3A%22x%2Fy%2Bz%3D%22%7D%20~%C3%A9"
        );
    }

    #[test]
    fn an_answer_is_a_token_or_an_error_that_quotes_nothing() {
        let answer = |status, body: &str| token_in(status, "", body.as_bytes());
        assert_eq!(answer(200, r#"{"SigninToken":"a-b_"}"#).unwrap().expose(), "a-b_");
        let none =
            "AWS's sign-in service answered without a sign-in token (HTTP 200, no content type)";
        for body in [
            "",
            "{}",
            "[]",
            r#"{"SigninToken":1}"#,
            r#"{"SigninToken":""}"#,
            r#"{"SigninToken":"a b"}"#,
            "{",
        ] {
            assert_eq!(answer(200, body).unwrap_err().what, none, "{body}");
        }
        assert_eq!(token_in(200, "", b"").unwrap_err().what, none);
        for (status, what) in [
            (
                302,
                "AWS's sign-in service answered without a sign-in token (HTTP 302, no content type)",
            ),
            (400, "AWS's sign-in service refused the credentials (HTTP 400)"),
            (429, "AWS's sign-in service is throttling requests (HTTP 429)"),
            (503, "AWS's sign-in service failed (HTTP 503)"),
        ] {
            let error = answer(status, r#"{"SigninToken":"secret"}"#).unwrap_err();
            assert_eq!(error.what, what);
            assert_eq!(error.class.code(), 9);
        }
    }

    #[test]
    fn a_key_that_does_not_end_is_never_sent() {
        let at = Signin { url: "http://127.0.0.1:1".to_owned(), ca_bundle: None };
        let service = SigninService::connect(&at, &Env::default(), Reporter::default()).unwrap();
        let key = Credentials::long_term("AKIA".to_owned(), Secret::new("x".to_owned()));
        let error = service.token(&key, None, Instant::now()).unwrap_err();
        assert_eq!(error.what, "a long-term key is not sent to the sign-in service");
    }

    #[test]
    fn credentials_go_over_tls_or_stay_on_this_host() {
        let connect = |url: &str| {
            let at = Signin { url: url.to_owned(), ca_bundle: None };
            SigninService::connect(&at, &Env::default(), Reporter::default()).map(|_| ())
        };
        for url in [
            "https://signin.aws.amazon.com",
            "http://127.0.0.1:1",
            "http://[::1]:1",
            "http://localhost:1",
        ] {
            connect(url).unwrap();
        }
        for url in ["http://signin.aws.amazon.com", "http://10.0.0.1", "http://localhost.example"] {
            assert!(connect(url).unwrap_err().what.contains("must be https"), "{url}");
        }
        for url in ["", "signin.aws.amazon.com", "ftp://x", "https://u:p@x"] {
            assert!(connect(url).unwrap_err().what.ends_with("not an http or https URL"), "{url}");
        }
    }
}
