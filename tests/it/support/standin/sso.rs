//! IAM Identity Center: OIDC by device code as RFC 8628 has it, and the portal. JSON in, JSON out, and
//! nothing is signed. What a person does about a request is a test's to say.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::call::Call;
use super::http::{Request, Response};
use super::rules::random;
use super::world::{Principal, World};

const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";
/// Clocks and threads are not exact.
const GRACE: Duration = Duration::from_millis(50);

/// What a question for the token is answered with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Person {
    /// Has not decided.
    Waits,
    /// Has not decided, and the questions come too fast.
    SlowsDown,
    /// Has said no.
    Refuses,
    /// Came too late.
    IsLate,
}

/// One login.
#[derive(Clone, Debug)]
pub struct Granted {
    pub access: String,
    pub refresh: Option<String>,
    /// In seconds since 1970.
    pub expires: i64,
    /// Ended by a logout or an administrator.
    pub over: bool,
    /// Its refresh token has been used, and is good once.
    spent: bool,
    client: usize,
}

#[derive(Clone, Debug)]
struct Device {
    code: String,
    client: usize,
    ends: i64,
    interval: i64,
    asked: Option<Instant>,
    used: bool,
}

/// What it knows.
#[derive(Debug)]
pub struct Sso {
    pub start_url: String,
    /// For the questions to come; after them the person says yes.
    pub person: VecDeque<Person>,
    /// In seconds.
    pub interval: i64,
    pub code_lasts: i64,
    pub token_lasts: i64,
    pub client_lasts: i64,
    pub credentials_last: i64,
    /// Whether refresh tokens are given.
    pub refreshes: bool,
    /// Status and exception that each refresh gets instead.
    pub no_refresh: Option<(u16, &'static str)>,
    /// Account and name of the roles that everybody has.
    pub roles: BTreeSet<(String, String)>,
    pub granted: Vec<Granted>,
    /// Id and secret of each client.
    pub clients: Vec<(String, String)>,
    /// Everything that must not be seen, ever given out.
    pub secrets: Vec<String>,
    devices: Vec<Device>,
}

impl Default for Sso {
    fn default() -> Self {
        let role = |account: &str, name: &str| (account.to_owned(), name.to_owned());
        Self {
            start_url: "https://example.awsapps.com/start".to_owned(),
            person: VecDeque::new(),
            interval: 1,
            code_lasts: 600,
            token_lasts: 3600,
            client_lasts: 90 * 24 * 3600,
            credentials_last: 3600,
            refreshes: true,
            no_refresh: None,
            roles: BTreeSet::from([
                role("123456789012", "ReadOnly"),
                role("123456789012", "Admin"),
            ]),
            granted: Vec::new(),
            clients: Vec::new(),
            secrets: Vec::new(),
            devices: Vec::new(),
        }
    }
}

/// Why nothing is given: status, AWS's exception, and the error of RFC 6749 or 8628.
struct Refused(u16, &'static str, &'static str);

const BAD: Refused = Refused(400, "InvalidRequestException", "invalid_request");
const BAD_CLIENT: Refused = Refused(401, "InvalidClientException", "invalid_client");
const BAD_GRANT: Refused = Refused(400, "InvalidGrantException", "invalid_grant");
const LOGGED_OUT: Refused = Refused(401, "UnauthorizedException", "");

/// The action that a request is, if it is one of these services'.
pub fn action(request: &Request) -> Option<&'static str> {
    let path = request.target.split('?').next().unwrap_or_default();
    match (request.method.as_str(), path) {
        ("POST", "/client/register") => Some("RegisterClient"),
        ("POST", "/device_authorization") => Some("StartDeviceAuthorization"),
        ("POST", "/token") => Some("CreateToken"),
        ("GET", "/federation/credentials") => Some("GetRoleCredentials"),
        ("POST", "/logout") => Some("Logout"),
        _ => None,
    }
}

/// An answer that was ordered instead.
pub fn fault(status: u16, exception: &str) -> Response {
    let body = json!({ "message": "ordered" }).to_string();
    Response {
        status,
        content_type: "application/json",
        body,
        headers: vec![("x-amzn-ErrorType", exception.to_owned())],
    }
}

impl World {
    /// Performs one request, and notes in `call` whose it is and what came of it.
    pub(super) fn perform_sso(&mut self, request: &Request, call: &mut Call, now: i64) -> Response {
        let done = match action(request) {
            Some("RegisterClient") => self.sso.register(request, call, now),
            Some("StartDeviceAuthorization") => self.sso.start(request, call, now),
            Some("CreateToken") => self.sso.create(request, call, now),
            Some("GetRoleCredentials") => self.role_credentials(request, call, now),
            _ => self.sso.log_out(request, call, now),
        };
        match done {
            Ok(answer) => {
                call.outcome = "ok".to_owned();
                let body = answer.map(|json| json.to_string()).unwrap_or_default();
                Response { status: 200, content_type: "application/json", body, headers: vec![] }
            }
            Err(Refused(status, exception, error)) => {
                call.outcome = exception.to_owned();
                let body = match error {
                    "" => json!({ "message": "Session token not found or invalid" }),
                    error => json!({ "error": error, "error_description": null }),
                };
                Response { body: body.to_string(), ..fault(status, exception) }
            }
        }
    }

    fn role_credentials(
        &mut self,
        request: &Request,
        call: &mut Call,
        now: i64,
    ) -> Result<Option<Value>, Refused> {
        let (_, query) = request.target.split_once('?').ok_or(BAD)?;
        let mut pairs = super::http::form(query).ok_or(BAD)?;
        pairs.sort();
        let [(a, account), (r, role)] = &pairs[..] else { return Err(BAD) };
        if (a.as_str(), r.as_str()) != ("account_id", "role_name") || !request.body.is_empty() {
            return Err(BAD);
        }
        call.role_arn = Some(format!("{role} in {account}"));
        self.sso.bearer(request, call, now)?;
        if !self.sso.roles.contains(&(account.clone(), role.clone())) {
            return Err(Refused(403, "ForbiddenException", ""));
        }
        let name = format!("AWSReservedSSO_{role}_0123456789abcdef");
        let arn = format!("arn:aws:iam::{account}:role/aws-reserved/sso.amazonaws.com/{name}");
        let session = Principal::role_session(&arn, "somebody");
        let issued = self.issue(session, now, self.sso.credentials_last);
        Ok(Some(json!({ "roleCredentials": {
            "accessKeyId": issued.access_key_id,
            "secretAccessKey": issued.secret_access_key,
            "sessionToken": issued.session_token,
            "expiration": issued.expiration * 1000,
        }})))
    }
}

impl Sso {
    fn register(
        &mut self,
        request: &Request,
        call: &mut Call,
        now: i64,
    ) -> Result<Option<Value>, Refused> {
        call.subject = Some("nobody".to_owned());
        let body = body(request, ["clientName", "clientType", "grantTypes", "scopes"])?;
        if body["clientType"] != "public" {
            return Err(Refused(400, "InvalidClientMetadataException", "invalid_client_metadata"));
        }
        if body["grantTypes"] != json!([DEVICE_CODE, "refresh_token"]) {
            return Err(Refused(400, "UnsupportedGrantTypeException", "unsupported_grant_type"));
        }
        if body["scopes"] != json!(["sso:account:access"]) {
            return Err(Refused(400, "InvalidScopeException", "invalid_scope"));
        }
        let client = (self.secret("client-id"), self.secret("client-secret"));
        // The id is no secret.
        self.secrets.retain(|secret| *secret != client.0);
        self.clients.push(client.clone());
        Ok(Some(json!({
            "clientId": client.0,
            "clientSecret": client.1,
            "clientIdIssuedAt": now,
            "clientSecretExpiresAt": now + self.client_lasts,
        })))
    }

    fn start(
        &mut self,
        request: &Request,
        call: &mut Call,
        now: i64,
    ) -> Result<Option<Value>, Refused> {
        let body = body(request, ["clientId", "clientSecret", "startUrl"])?;
        let client = self.client(&body, call)?;
        if body["startUrl"] != self.start_url.as_str() {
            return Err(BAD);
        }
        let code = self.secret("device-code");
        self.devices.push(Device {
            code: code.clone(),
            client,
            ends: now + self.code_lasts,
            interval: self.interval,
            asked: None,
            used: false,
        });
        let page = "https://device.example.com/";
        Ok(Some(json!({
            "deviceCode": code,
            "userCode": "ABCD-EFGH",
            "verificationUri": page,
            "verificationUriComplete": format!("{page}?user_code=ABCD-EFGH"),
            "expiresIn": self.code_lasts,
            "interval": self.interval,
        })))
    }

    fn create(
        &mut self,
        request: &Request,
        call: &mut Call,
        now: i64,
    ) -> Result<Option<Value>, Refused> {
        let grant =
            serde_json::from_slice::<Value>(&request.body).map_err(|_| BAD)?["grantType"].clone();
        if grant == "refresh_token" {
            let body = body(request, ["clientId", "clientSecret", "grantType", "refreshToken"])?;
            let client = self.client(&body, call)?;
            let token = body["refreshToken"].as_str().ok_or(BAD)?;
            let at =
                self.granted.iter().position(|granted| granted.refresh.as_deref() == Some(token));
            let at = at.ok_or(BAD_GRANT)?;
            call.subject = Some(format!("refresh token {}", at + 1));
            if let Some((status, exception)) = self.no_refresh {
                return Err(Refused(status, exception, "ordered"));
            }
            let granted = &mut self.granted[at];
            if granted.over || granted.spent || granted.client != client {
                return Err(BAD_GRANT);
            }
            granted.spent = true;
            return Ok(Some(self.grant(client, now)));
        }
        if grant != DEVICE_CODE {
            return Err(Refused(400, "UnsupportedGrantTypeException", "unsupported_grant_type"));
        }
        let body = body(request, ["clientId", "clientSecret", "deviceCode", "grantType"])?;
        let client = self.client(&body, call)?;
        let code = body["deviceCode"].as_str().ok_or(BAD)?;
        let at = self.devices.iter().position(|device| device.code == code).ok_or(BAD_GRANT)?;
        call.subject = Some(format!("device code {}", at + 1));
        let device = &mut self.devices[at];
        if device.used || device.client != client {
            return Err(BAD_GRANT);
        }
        let slow_down = Refused(400, "SlowDownException", "slow_down");
        let expired = Refused(400, "ExpiredTokenException", "expired_token");
        let interval = Duration::from_secs(u64::try_from(device.interval).unwrap_or(0));
        let early = device.asked.is_some_and(|asked| asked.elapsed() + GRACE < interval);
        device.asked = Some(Instant::now());
        if early {
            call.role_arn = Some("too-early".to_owned());
            device.interval += 5;
            return Err(slow_down);
        }
        if now >= device.ends {
            return Err(expired);
        }
        match self.person.pop_front() {
            Some(Person::Waits) => {
                Err(Refused(400, "AuthorizationPendingException", "authorization_pending"))
            }
            Some(Person::SlowsDown) => {
                device.interval += 5;
                Err(slow_down)
            }
            Some(Person::Refuses) => Err(Refused(400, "AccessDeniedException", "access_denied")),
            Some(Person::IsLate) => Err(expired),
            None => {
                device.used = true;
                Ok(Some(self.grant(client, now)))
            }
        }
    }

    fn grant(&mut self, client: usize, now: i64) -> Value {
        let access = self.secret("access-token");
        let refresh = self.refreshes.then(|| self.secret("refresh-token"));
        let expires = now + self.token_lasts;
        let granted = (access.clone(), refresh.clone());
        let (over, spent) = (false, false);
        let granted =
            Granted { access: granted.0, refresh: granted.1, expires, over, spent, client };
        self.granted.push(granted);
        let mut answer =
            json!({ "accessToken": access, "tokenType": "Bearer", "expiresIn": self.token_lasts });
        if let Some(refresh) = refresh {
            answer["refreshToken"] = refresh.into();
        }
        answer
    }

    fn log_out(
        &mut self,
        request: &Request,
        call: &mut Call,
        now: i64,
    ) -> Result<Option<Value>, Refused> {
        let at = self.bearer(request, call, now)?;
        let client = self.granted[at].client;
        self.granted.iter_mut().filter(|g| g.client == client).for_each(|g| g.over = true);
        Ok(None)
    }

    /// The login whose access token the request has.
    fn bearer(&self, request: &Request, call: &mut Call, now: i64) -> Result<usize, Refused> {
        let token = request.header("x-amz-sso_bearer_token").ok_or(LOGGED_OUT)?;
        let at = self.granted.iter().position(|granted| granted.access == token);
        let at = at.ok_or(LOGGED_OUT)?;
        call.subject = Some(format!("access token {}", at + 1));
        let granted = &self.granted[at];
        if granted.over || now >= granted.expires { Err(LOGGED_OUT) } else { Ok(at) }
    }

    fn client(&self, body: &Value, call: &mut Call) -> Result<usize, Refused> {
        let at = self.clients.iter().position(|(id, _)| body["clientId"] == id.as_str());
        let at = at.ok_or(BAD_CLIENT)?;
        call.subject = Some(format!("client {}", at + 1));
        if body["clientSecret"] != self.clients[at].1.as_str() {
            return Err(BAD_CLIENT);
        }
        Ok(at)
    }

    fn secret(&mut self, what: &str) -> String {
        let random: String = random(24).iter().map(|b| format!("{b:02x}")).collect();
        let secret = format!("{what}-{random}");
        self.secrets.push(secret.clone());
        secret
    }
}

/// The body, with exactly these keys, sorted; and a request as it has to be.
fn body<const N: usize>(request: &Request, keys: [&str; N]) -> Result<Value, Refused> {
    let json = request.header("content-type") == Some("application/json");
    if !json || request.header("authorization").is_some() {
        return Err(BAD);
    }
    let body: Value = serde_json::from_slice(&request.body).map_err(|_| BAD)?;
    let mut found: Vec<_> = body.as_object().ok_or(BAD)?.keys().map(String::as_str).collect();
    found.sort_unstable();
    if found == keys { Ok(body) } else { Err(BAD) }
}
