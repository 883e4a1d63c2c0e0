//! The sign-in service: `getSigninToken`, which takes a role's or a federated user's credentials and
//! gives a token for the console. AWS documents what it takes; what it says when it refuses is a page.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::answer::Refusal;
use super::http::{Request, Response};
use super::params::Params;
use super::rules::random;
use super::world::{PrincipalKind, World};

/// Where it answers.
pub const PATH: &str = "/federation";

/// The query of a request to it.
pub fn query(request: &Request) -> Option<&str> {
    request.target.strip_prefix(PATH)?.strip_prefix('?')
}

/// The access key id that the credentials in a request claim.
pub fn claimed(params: &Params) -> Option<String> {
    let session: Value = serde_json::from_str(params.get("Session")?).ok()?;
    Some(session["sessionId"].as_str()?.to_owned())
}

/// The answer that carries a token.
pub fn success(token: &str) -> Response {
    let body = json!({ "SigninToken": token }).to_string();
    Response { status: 200, content_type: "application/json", headers: Vec::new(), body }
}

/// The answer of a refusal, which says nothing of why.
pub fn page() -> Response {
    let body = "<html><head><title>400 Bad Request</title></head></html>\n".to_owned();
    Response { status: 400, content_type: "text/html", headers: Vec::new(), body }
}

impl World {
    pub(super) fn signin_token(
        &mut self,
        request: &Request,
        params: Option<Params>,
        now: i64,
    ) -> Result<String, Refusal> {
        let bad = |why: &str| Refusal::new(400, "BadRequest", why);
        if request.method != "GET" || !request.body.is_empty() {
            return Err(bad("not a GET"));
        }
        // Whoever signs shows a key to a service that does not ask for it.
        if request.header("authorization").is_some() || request.header("cookie").is_some() {
            return Err(bad("not an anonymous request"));
        }
        let mut params = params.ok_or_else(|| bad("not a query, or a name twice"))?;
        if params.take("Action").as_deref() != Some("getSigninToken") {
            return Err(bad("another action than getSigninToken"));
        }
        let session = params.take("Session").ok_or_else(|| bad("no Session"))?;
        let length = params.take("SessionDuration");
        params.finish()?;
        let Ok(Value::Object(session)) = serde_json::from_str(&session) else {
            return Err(bad("Session is no JSON object"));
        };
        let mut names: Vec<_> = session.keys().map(String::as_str).collect();
        names.sort_unstable();
        if names != ["sessionId", "sessionKey", "sessionToken"] {
            return Err(bad("Session has other fields"));
        }
        let known = self.issued.iter().find(|issued| {
            session["sessionId"] == issued.access_key_id
                && session["sessionKey"] == issued.secret_access_key
                && session["sessionToken"] == issued.session_token
        });
        let known = known.ok_or_else(|| bad("unknown credentials"))?;
        if now >= known.expiration {
            return Err(bad("expired credentials"));
        }
        let who = self.sessions.get(&known.access_key_id).ok_or_else(|| bad("nobody's"))?;
        if who.kind == PrincipalKind::SessionToken {
            return Err(bad("GetSessionToken's credentials"));
        }
        if let Some(length) = length {
            let fits = length.parse::<i64>().is_ok_and(|length| (900..=43_200).contains(&length));
            if !fits {
                return Err(bad("SessionDuration is not 900 to 43200"));
            }
            if who.kind != PrincipalKind::Role || who.chained {
                return Err(bad("SessionDuration for other than a role that a user's key assumed"));
            }
        }
        let token = STANDARD.encode(random(64));
        self.signin_tokens.push(token.clone());
        Ok(token)
    }
}
