//! Web identities: tokens as an identity provider signs them, and AssumeRoleWithWebIdentity, which
//! believes them and nothing else. Real providers sign with RSA; here an HMAC serves, whose key the
//! world knows as AWS knows a provider's public one.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use serde_json::{Value, json};

use super::answer::{self, Refusal};
use super::http::Request;
use super::params::Params;
use super::rules::null;
use super::sigv4::mac;
use super::world::{Principal, PrincipalKind, World};

/// An identity provider that the account knows.
#[derive(Clone, Debug)]
pub struct Provider {
    /// `iss`
    pub issuer: String,
    /// `aud`
    pub audience: String,
    /// What it signs with.
    pub key: Vec<u8>,
}

impl Provider {
    /// GitHub's, with the audience that AWS's own action asks for.
    pub fn github() -> Self {
        Self {
            issuer: "https://token.actions.githubusercontent.com".into(),
            audience: "sts.amazonaws.com".into(),
            key: b"the provider's own".to_vec(),
        }
    }

    /// A token for a subject, good until then (seconds since 1970).
    pub fn token(&self, subject: &str, expires: i64) -> String {
        self.signed(&json!({
            "iss": self.issuer,
            "aud": self.audience,
            "sub": subject,
            "exp": expires,
            "iat": expires - 300,
            "jti": format!("{expires}"),
        }))
    }

    /// A token that claims this.
    pub fn signed(&self, claims: &Value) -> String {
        let header = json!({ "alg": "HS256", "typ": "JWT" });
        let parts = [&header, claims].map(|part| BASE64.encode(part.to_string()));
        let signed = parts.join(".");
        let signature = BASE64.encode(mac(&self.key, &signed));
        format!("{signed}.{signature}")
    }
}

/// What a token says, believed by nobody yet.
pub fn claims(token: &str) -> Option<Value> {
    let [_, claims, _] = token.split('.').collect::<Vec<_>>()[..] else { return None };
    serde_json::from_slice(&BASE64.decode(claims).ok()?).ok()
}

impl World {
    pub(super) fn assume_role_with_web_identity(
        &mut self,
        request: &Request,
        mut params: Params,
        now: i64,
    ) -> Result<String, Refusal> {
        // AWS would look at a signature only to refuse a bad one; a client that has none to give must
        // not give one.
        if request.header("authorization").or(request.header("x-amz-security-token")).is_some() {
            return Err(Refusal::invalid("AssumeRoleWithWebIdentity is not signed"));
        }
        let arn = params.text("RoleArn", 20..=2048, |_| true)?.ok_or_else(|| null("roleArn"))?;
        let name = params.name("RoleSessionName")?.ok_or_else(|| null("roleSessionName"))?;
        let token = params.text("WebIdentityToken", 4..=20_000, |_| true)?;
        let token = token.ok_or_else(|| null("webIdentityToken"))?;
        let duration = params.duration(900, 43_200)?.unwrap_or(3600);
        params.finish()?;

        let bad = |message: &str| Refusal::new(400, "InvalidIdentityToken", message);
        let no_jwt = "The ID Token provided is not a valid JWT. (You may see this error if you sent \
                      an Access Token)";
        let claims = claims(&token).ok_or_else(|| bad(no_jwt))?;
        let text = |name: &str| claims[name].as_str().unwrap_or_default().to_owned();
        let issuer = text("iss");
        let provider = self.providers.iter().find(|provider| provider.issuer == issuer);
        let provider = provider.ok_or_else(|| {
            bad(&format!("No OpenIDConnect provider found in your account for {issuer}"))
        })?;
        if provider.signed(&claims) != token {
            return Err(bad("Couldn't retrieve verification key from your identity provider"));
        }
        if text("aud") != provider.audience {
            return Err(bad("Incorrect token audience"));
        }
        let expires = claims["exp"].as_i64().unwrap_or_default();
        if now >= expires {
            return Err(Refusal::new(
                400,
                "ExpiredTokenException",
                format!(
                    "Token expired: current date/time {now} must be before the expiration date/time {expires}"
                ),
            ));
        }
        let subject = text("sub");
        let role = self.roles.iter().find(|role| role.arn == arn);
        let role = role.filter(|role| role.subjects.contains(&subject)).ok_or_else(|| {
            Refusal::denied("Not authorized to perform sts:AssumeRoleWithWebIdentity")
        })?;
        if duration > role.max_duration {
            return Err(Refusal::invalid(
                "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
            ));
        }
        let session = Principal::role_session(&arn, &name);
        let assumed = answer::element(
            "AssumedRoleUser",
            &[("AssumedRoleId", &session.unique_id), ("Arn", &session.arn)],
        );
        let about = [
            ("SubjectFromWebIdentityToken", subject.as_str()),
            ("Provider", &issuer),
            ("Audience", &text("aud")),
        ]
        .map(|(name, text)| answer::text_element(name, text))
        .concat();
        debug_assert_eq!(session.kind, PrincipalKind::Role);
        let credentials = answer::credentials(&self.issue(session, now, duration));
        Ok(format!("{credentials}{assumed}{about}"))
    }
}
