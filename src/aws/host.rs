//! Credentials from the host: from a container's agent (ECS, EKS Pod Identity, Greengrass, `vault serve`)
//! and from an EC2 instance's metadata service, IMDSv2.
//!
//! aws-config has providers for both. They read the process's own environment and AWS config instead of
//! what they are given, panic on some responses of an instance, and give expired credentials a later
//! expiration of their own. So the three requests are made here.

use std::time::{Duration, Instant};

use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use serde_json::Value;
use zeroize::Zeroizing;

use super::connector::ANSWER_LIMIT;
use super::http_client::{HttpClient, HttpSettings};
use super::service_error::{ServiceError, clean_code, clean_message};
use crate::clock::Timestamp;
use crate::credential::Credentials;
use crate::env::Env;
use crate::error::{Class, Error, Result};
use crate::origin::Origin;
use crate::profile::EndpointVariant;
use crate::random;
use crate::reporter::Reporter;
use crate::secret::Secret;

/// For one request, as in botocore: the server is on this host.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(2);
/// Attempts of a request: an agent under load refuses some.
const ATTEMPTS: u32 = 3;
/// The pause after the first attempt is between this and twice as much, and doubles.
const PAUSE: Duration = Duration::from_millis(200);
/// An instance's token is valid for so many seconds. It is used at once.
const TOKEN_LIFETIME: &str = "60";
/// The path of the role's name, and, with that name, of its credentials.
const ROLE: &str = "/latest/meta-data/iam/security-credentials/";

/// A server that gives credentials.
#[derive(Clone, Copy)]
struct Agent {
    name: &'static str,
    /// The hint if there is no such server.
    absent: &'static str,
}

const CONTAINER: Agent = Agent {
    name: "the container's credentials agent",
    absent: "is this the container that AWS_CONTAINER_CREDENTIALS_* were set for?",
};
const INSTANCE: Agent = Agent {
    name: "the instance metadata service",
    absent: "is this an EC2 instance? for containers on it, its hop limit has to be 2 or more",
};

/// The credentials that a container's agent gives for `url`. `authorization` is sent as it is.
///
/// # Errors
/// Class 9: the agent does not answer within a few seconds, refuses, or sends something else.
pub fn container(
    url: &str,
    authorization: Option<&Secret>,
    env: &Env,
    deadline: Instant,
    reporter: Reporter,
) -> Result<Credentials> {
    let client = AgentClient::new(CONTAINER, url, env, deadline, reporter)?;
    client.credentials(url, authorization.map(|it| ("authorization", it.expose())))
}

/// The credentials of the role of an EC2 instance, from its metadata service, version 2.
/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html>
///
/// # Errors
/// As for [`container`], and if the instance has no role.
pub fn instance(
    endpoint: &str,
    env: &Env,
    deadline: Instant,
    reporter: Reporter,
) -> Result<Credentials> {
    let client = AgentClient::new(INSTANCE, endpoint, env, deadline, reporter)?;
    let url = format!("{endpoint}/latest/api/token");
    let lifetime = ("x-aws-ec2-metadata-token-ttl-seconds", TOKEN_LIFETIME);
    let answer = client.ask("PUT", &url, Some(lifetime), &Answer::is_word)?;
    let refused = || client.refused(&answer, &[]);
    let token = match answer.status {
        200 => answer.word().ok_or_else(|| client.unexpected("a token"))?,
        403 => return Err(refused().hint("it is switched off for this instance")),
        _ => return Err(refused()),
    };
    let url = format!("{endpoint}{ROLE}");
    let header = Some(("x-aws-ec2-metadata-token", token));
    let answer = client.ask("GET", &url, header, &Answer::is_word)?;
    let none = || {
        let what = format!("{} has no role for this instance", INSTANCE.name);
        Error::aws(what).hint("attach an instance profile, or run vault add")
    };
    let role = match answer.status {
        200 => answer.word().ok_or_else(none)?,
        404 => return Err(none()),
        _ => return Err(client.refused(&answer, &[token])),
    };
    // It becomes part of a path (IAM API reference: the characters of a role's name).
    if !role.bytes().all(|b| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b)) {
        return Err(client.unexpected("a role's name"));
    }
    client.credentials(&format!("{url}{role}"), header)
}

/// A client of one agent, until one deadline.
struct AgentClient {
    agent: Agent,
    http: HttpClient,
    deadline: Instant,
    reporter: Reporter,
}

type Header<'a> = Option<(&'static str, &'a str)>;

struct Answer {
    status: u16,
    body: Zeroizing<Vec<u8>>,
}

impl Answer {
    /// The body if it is one word, without white space around it.
    fn word(&self) -> Option<&str> {
        let text = std::str::from_utf8(&self.body).ok()?.trim();
        let fits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic());
        fits.then_some(text)
    }

    fn is_word(&self) -> bool {
        self.word().is_some()
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// An instance sends status 200 also if its role cannot be assumed.
    fn is_refusal(&self) -> bool {
        text_in(&self.json(), "Code").is_some_and(|code| code != "Success")
    }

    fn credentials(&self) -> Option<Credentials> {
        let json = self.json();
        let text = |name: &str| text_in(&json, name).map(str::to_owned);
        Some(Credentials {
            access_key_id: text("AccessKeyId")?,
            secret_access_key: Secret::new(text("SecretAccessKey")?),
            session_token: Some(Secret::new(text("Token")?)),
            expiration: Some(Timestamp::parse(&text("Expiration")?)?),
            account_id: text("AccountId"),
        })
    }
}

/// A text without control characters.
fn text_in<'a>(json: &'a Value, name: &str) -> Option<&'a str> {
    let text = json.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    text.filter(|text| !text.contains(char::is_control))
}

impl AgentClient {
    fn new(
        agent: Agent,
        url: &str,
        env: &Env,
        deadline: Instant,
        reporter: Reporter,
    ) -> Result<Self> {
        let origin = Origin::parse(url)
            .ok_or_else(|| Error::usage(format!("no http or https URL leads to {}", agent.name)))?;
        // No proxy leads to a server on this host, and a proxy must not see its responses.
        let nothing = Env::default();
        let env = if origin.https { env } else { &nothing };
        let bundle = env.get_os("AWS_CA_BUNDLE").map(Into::into);
        let settings = HttpSettings::new(bundle, env, reporter);
        let http = settings.client(origin, EndpointVariant::default(), ANSWER_LIMIT)?;
        Ok(Self { agent, http, deadline, reporter })
    }

    /// Requests credentials (AWS SDKs, "Container credential provider"; EC2, "Retrieve security
    /// credentials from instance metadata"). The header is a secret.
    fn credentials(&self, url: &str, header: Header<'_>) -> Result<Credentials> {
        let is_expected = |answer: &Answer| answer.is_refusal() || answer.credentials().is_some();
        let answer = self.ask("GET", url, header, &is_expected)?;
        if answer.status != 200 || answer.is_refusal() {
            let secret = header.map(|(_, value)| value);
            return Err(self.refused(&answer, secret.as_slice()));
        }
        answer.credentials().ok_or_else(|| self.unexpected("credentials"))
    }

    /// Sends a request, again after an error that may pass and, as AWS's SDKs, after a response with
    /// status 200 that is not as expected.
    fn ask(
        &self,
        method: &str,
        url: &str,
        header: Header<'_>,
        is_expected: &dyn Fn(&Answer) -> bool,
    ) -> Result<Answer> {
        let (mut pause, mut attempt) = (PAUSE, 1);
        let _waiting = self.http.waiting(self.agent.name, self.deadline);
        loop {
            let done = self.send(method, url, header);
            let again = match &done {
                Ok(answer) if answer.status == 200 => !is_expected(answer),
                Ok(answer) => answer.status == 429 || answer.status >= 500,
                Err(error) => error.class == Class::Aws,
            };
            let random = u32::from(random::bytes::<1>()?[0]);
            let wait = pause + pause * random / 255;
            if !again || attempt == ATTEMPTS || Instant::now() + wait >= self.deadline {
                return done;
            }
            self.reporter.debug(format!("asking {} again", self.agent.name));
            std::thread::sleep(wait);
            (pause, attempt) = (pause * 2, attempt + 1);
        }
    }

    fn send(&self, method: &str, url: &str, header: Header<'_>) -> Result<Answer> {
        let Agent { name, absent } = self.agent;
        let unfit = || Error::usage(format!("the request to {name} cannot be made"));
        let mut request = HttpRequest::get(url).map_err(|_| unfit())?;
        request.set_method(method).map_err(|_| unfit())?;
        for (name, value) in header.into_iter().chain([("accept", "*/*")]) {
            request.headers_mut().try_insert(name, value.to_owned()).map_err(|_| unfit())?;
        }
        let end = self.deadline.min(Instant::now() + REQUEST_TIMEOUT);
        let answer = self.http.run(end, async {
            let origin = &self.http.route().origin;
            self.reporter.debug(format!("asking {name} at {origin}"));
            self.http.send(request, name).await
        });
        let answer = answer.map_err(|error| match error {
            ServiceError::Timeout { origin } => {
                Error::aws(format!("{name} at {origin} does not answer")).hint(absent)
            }
            ServiceError::TooLarge { .. } => error.into_error().hint(absent),
            error => {
                let Error { class, what, hint, .. } = error.into_error();
                Error::new(class, format!("cannot ask {name}: {what}"))
                    .hint(hint.unwrap_or_else(|| absent.to_owned()))
            }
        })?;
        let body = answer.body().bytes().unwrap_or_default().to_vec();
        Ok(Answer { status: answer.status().as_u16(), body: Zeroizing::new(body) })
    }

    /// The error for a refusal, with the agent's own code and message, without the secrets that it got.
    fn refused(&self, answer: &Answer, secrets: &[&str]) -> Error {
        let json = answer.json();
        let field = |names: [&str; 2]| {
            names.iter().find_map(|name| json.get(*name)?.as_str()).unwrap_or_default().to_owned()
        };
        let code = clean_code(&field(["code", "Code"]), secrets);
        let message = clean_message(&field(["message", "Message"]), secrets);
        let words = [format!("HTTP {}", answer.status), code, message];
        let words: Vec<_> = words.into_iter().filter(|word| !word.is_empty()).collect();
        let what = format!("{} gives no credentials: {}", self.agent.name, words.join(": "));
        Error::aws(what)
    }

    /// The error for a response that is not `what` was requested.
    fn unexpected(&self, what: &str) -> Error {
        let (agent, origin) = (self.agent.name, &self.http.route().origin);
        Error::aws(format!("{agent} at {origin} gives something that is not {what}"))
    }
}
