//! Web identity tokens: where they come from, and whose they are.

use std::path::Path;
use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::program;
use super::session::CredentialSession;
use crate::error::{Error, Result};
use crate::file;
use crate::profile::TokenSource;
use crate::secret::Secret;

/// What AssumeRoleWithWebIdentity takes, in characters (STS API reference).
const LENGTH: std::ops::RangeInclusive<usize> = 4..=20_000;
/// What is read of a file, in bytes: a token, and some blanks around it.
const FILE_LIMIT: u64 = 32 * 1024;
/// What differs between two tokens of one identity (RFC 7519, 4.1; OpenID Connect Core, 2).
const PASSING: [&str; 6] = ["exp", "iat", "nbf", "jti", "auth_time", "nonce"];

impl CredentialSession<'_> {
    /// The token as it is now: its issuer replaces it long before it expires.
    pub(super) fn token(
        &self,
        token: &TokenSource,
        within: &[String],
        deadline: Instant,
    ) -> Result<Secret> {
        match token {
            TokenSource::File { path, profile } => {
                let by = match profile {
                    Some(profile) => format!("web_identity_token_file of profile {profile:?}"),
                    None => "AWS_WEB_IDENTITY_TOKEN_FILE".to_owned(),
                };
                checked(read(path, "the web identity token", &by)?)
                    .ok_or_else(|| Error::other(format!("no token in {} ({by})", path.display())))
            }
            TokenSource::Process { profile, command } => {
                let kind = "web_identity_token_process";
                let mut output = self.helper(kind, profile, command, within, deadline)?;
                checked(std::mem::take(&mut *output)).ok_or_else(|| {
                    Error::other(format!("{} printed no token", program::name(kind, profile)))
                })
            }
        }
    }
}

/// The content of a token's file, which may be a link (Kubernetes) or a pipe (shells). `what` it is and what
/// names it (`by`) are for the errors.
pub(super) fn read(path: &Path, what: &str, by: &str) -> Result<Vec<u8>> {
    let (mut bytes, _) = file::read_stream(path, FILE_LIMIT).map_err(|error| {
        let what = format_args!("{what} {} ({by})", path.display());
        Error::other(error.message(what, FILE_LIMIT))
    })?;
    Ok(std::mem::take(&mut *bytes))
}

/// A token without the blanks around it, if it can be one: tokens are printable ASCII.
fn checked(bytes: Vec<u8>) -> Option<Secret> {
    let text = Secret::from_utf8(bytes)?;
    let token = text.expose().trim();
    let fits = LENGTH.contains(&token.len()) && token.bytes().all(|b| b.is_ascii_graphic());
    fits.then(|| Secret::new(token.to_owned()))
}

/// The identity of a token: a hash of a JWT's claims without times and the like, so that a renewed token
/// gets the session of the one before it; of any other token, of the token itself. The claims are not
/// verified: AWS checks the token before there is a session, and an attacker who could forge one to read a
/// session from the cache has the cache's key already.
pub(super) fn identity(token: &Secret) -> String {
    let claims = claims(token);
    let text = claims.as_ref().map_or(token.expose().as_bytes(), |claims| claims.as_bytes());
    let hash: String = Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect();
    let kind = if claims.is_some() { "claims" } else { "token" };
    format!("web identity {kind} {hash}")
}

/// The claims that stay, as text in one order.
fn claims(token: &Secret) -> Option<String> {
    let parts: Vec<&str> = token.expose().split('.').collect();
    let [_, claims, _] = parts[..] else { return None };
    let claims = zeroize::Zeroizing::new(URL_SAFE_NO_PAD.decode(claims).ok()?);
    let Value::Object(mut claims) = serde_json::from_slice(&claims).ok()? else { return None };
    claims.get("sub").filter(|_| claims.contains_key("iss"))?;
    claims.retain(|name, _| !PASSING.contains(&name.as_str()));
    Some(Value::Object(claims).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jwt(claims: &str) -> Secret {
        Secret::new(format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims)))
    }

    fn of(claims: &str) -> String {
        identity(&jwt(claims))
    }

    #[test]
    fn a_token_that_takes_the_place_of_another_is_the_same_identity() {
        let first =
            of(r#"{"iss":"https://i","sub":"repo:a","aud":"sts","exp":1,"iat":0,"jti":"x"}"#);
        assert!(first.starts_with("web identity claims "), "{first}");
        assert!(!first.contains("repo"), "{first}");
        let again =
            r#"{"aud":"sts","sub":"repo:a","iss":"https://i","exp":2,"iat":1,"nbf":1,"jti":"y"}"#;
        assert_eq!(of(again), first);
        for other in [
            r#"{"iss":"https://i","sub":"repo:b","aud":"sts"}"#,
            r#"{"iss":"https://j","sub":"repo:a","aud":"sts"}"#,
            r#"{"iss":"https://i","sub":"repo:a","aud":"other"}"#,
            r#"{"iss":"https://i","sub":"repo:a","aud":["sts"]}"#,
            r#"{"iss":"https://i","sub":"repo:a","aud":"sts","environment":"prod"}"#,
        ] {
            assert_ne!(of(other), first, "{other}");
        }
    }

    #[test]
    fn a_token_that_claims_nothing_is_known_by_itself() {
        let opaque = |text: &str| identity(&Secret::new(text.to_owned()));
        let mut seen = std::collections::BTreeSet::new();
        for token in ["abcd", "abce", "a.b", "a.b.c", "a.b.c.d", "e30.bm90IGpzb24.x", "e30.e30.x"] {
            let identity = opaque(token);
            assert!(identity.starts_with("web identity token "), "{identity}");
            assert!(seen.insert(identity), "{token}");
        }
        let deep = jwt(&"[".repeat(10_000));
        assert!(identity(&deep).starts_with("web identity token "));
    }

    #[test]
    fn a_token_is_trimmed_and_nothing_else_is_taken_for_one() {
        let checked = |bytes: &[u8]| checked(bytes.to_vec()).map(|token| token.expose().to_owned());
        assert_eq!(checked(b" a.b.c\r\n").as_deref(), Some("a.b.c"));
        let (longest, longer) = (vec![b'a'; 20_000], vec![b'a'; 20_001]);
        assert!(checked(&longest).is_some());
        for bad in [
            &b""[..],
            b"\n",
            b"abc",
            b"a b c",
            b"ab\ncd",
            b"ab\x07cd",
            "t\u{f6}ken".as_bytes(),
            b"\xff\xfe\xff\xfe",
            &longer,
        ] {
            assert_eq!(checked(bad), None, "{bad:?}");
        }
    }
}
