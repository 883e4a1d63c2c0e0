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
use super::origin::Origin;
use super::service_error::{ServiceError, clean_code, clean_message};
use crate::clock::Timestamp;
use crate::credential::Credentials;
use crate::env::Env;
use crate::error::{Class, Error, Result};
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
/// How long an instance's token is valid, in seconds. It is used at once.
const TOKEN_LIFE: &str = "60";
/// The path of the role's name, and, with that name, of its credentials.
const ROLE: &str = "/latest/meta-data/iam/security-credentials/";

/// What a response with status 200 must be; if it is not, the request is repeated as by AWS's SDKs.
#[derive(Clone, Copy)]
enum Expected {
    Word,
    /// Credentials, or the reason why there are none.
    Credentials,
}

#[derive(Clone, Copy)]
enum Agent {
    Container,
    Instance,
}

impl Agent {
    fn name(self) -> &'static str {
        match self {
            Self::Container => "the container's credentials agent",
            Self::Instance => "the instance metadata service",
        }
    }

    /// The hint if there is no such agent.
    fn absent(self) -> &'static str {
        match self {
            Self::Container => {
                "is this the container that AWS_CONTAINER_CREDENTIALS_* were set for?"
            }
            Self::Instance => {
                "is this an EC2 instance? for containers on it, its hop limit has to be 2 or more"
            }
        }
    }
}

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
    let client = AgentClient::to(Agent::Container, url, env, deadline, reporter)?;
    let headers: Vec<_> =
        authorization.map(|it| ("authorization", it.expose())).into_iter().collect();
    let secrets: Vec<_> = headers.iter().map(|(_, value)| *value).collect();
    client.credentials(&client.ask("GET", url, &headers, Expected::Credentials)?, &secrets)
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
    let client = AgentClient::to(Agent::Instance, endpoint, env, deadline, reporter)?;
    let life = ("x-aws-ec2-metadata-token-ttl-seconds", TOKEN_LIFE);
    let answer =
        client.ask("PUT", &format!("{endpoint}/latest/api/token"), &[life], Expected::Word)?;
    let token = match answer.status {
        200 => answer.word().ok_or_else(|| client.unexpected("a token"))?,
        403 => {
            return Err(client.refused(&answer, &[]).hint("it is switched off for this instance"));
        }
        _ => return Err(client.refused(&answer, &[])),
    };
    let header = ("x-aws-ec2-metadata-token", token);
    let answer = client.ask("GET", &format!("{endpoint}{ROLE}"), &[header], Expected::Word)?;
    let none = || {
        let what = format!("{} has no role for this instance", client.agent.name());
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
    let url = format!("{endpoint}{ROLE}{role}");
    client.credentials(&client.ask("GET", &url, &[header], Expected::Credentials)?, &[token])
}

/// A client of one agent, until one deadline.
struct AgentClient {
    agent: Agent,
    http: HttpClient,
    deadline: Instant,
    reporter: Reporter,
}

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

    fn is(&self, expected: Expected) -> bool {
        match expected {
            Expected::Word => self.word().is_some(),
            Expected::Credentials => self.is_refusal() || self.credentials().is_some(),
        }
    }

    /// An instance sends status 200 also if its role cannot be assumed.
    fn is_refusal(&self) -> bool {
        let json: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        text_in(&json, "Code").is_some_and(|code| code != "Success")
    }

    fn credentials(&self) -> Option<Credentials> {
        let json: Value = serde_json::from_slice(&self.body).ok()?;
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
    fn to(
        agent: Agent,
        url: &str,
        env: &Env,
        deadline: Instant,
        reporter: Reporter,
    ) -> Result<Self> {
        let origin = Origin::parse(url).ok_or_else(|| {
            Error::usage(format!("no http or https URL leads to {}", agent.name()))
        })?;
        // No proxy leads to a server on this host, and a proxy must not see its responses.
        let nothing = Env::default();
        let env = if origin.https { env } else { &nothing };
        let bundle = env.get_os("AWS_CA_BUNDLE").map(Into::into);
        let settings = HttpSettings::new(bundle, env, reporter);
        let http = settings.client(origin, EndpointVariant::default(), ANSWER_LIMIT)?;
        Ok(Self { agent, http, deadline, reporter })
    }

    /// Sends a request, again after an error that may pass and after a response that is not as expected.
    fn ask(
        &self,
        method: &str,
        url: &str,
        headers: &[(&'static str, &str)],
        expected: Expected,
    ) -> Result<Answer> {
        let (mut pause, mut attempt) = (PAUSE, 1);
        let _waiting = self.http.waiting(self.agent.name(), self.deadline);
        loop {
            let done = self.once(method, url, headers);
            let again = match &done {
                Ok(answer) if answer.status == 200 => !answer.is(expected),
                Ok(answer) => answer.status == 429 || answer.status >= 500,
                Err(error) => error.class == Class::Aws,
            };
            let random = u32::from(random::bytes::<1>()?[0]);
            let wait = pause + pause * random / 255;
            if !again || attempt == ATTEMPTS || Instant::now() + wait >= self.deadline {
                return done;
            }
            self.reporter.debug(format!("asking {} again", self.agent.name()));
            std::thread::sleep(wait);
            (pause, attempt) = (pause * 2, attempt + 1);
        }
    }

    fn once(&self, method: &str, url: &str, headers: &[(&'static str, &str)]) -> Result<Answer> {
        let agent = self.agent;
        let unfit = || Error::usage(format!("the request to {} cannot be made", agent.name()));
        let mut request = HttpRequest::get(url).map_err(|_| unfit())?;
        request.set_method(method).map_err(|_| unfit())?;
        for (name, value) in headers.iter().chain(&[("accept", "*/*")]) {
            request.headers_mut().try_insert(*name, (*value).to_owned()).map_err(|_| unfit())?;
        }
        let end = self.deadline.min(Instant::now() + REQUEST_TIMEOUT);
        let answer = self.http.run(end, async {
            let origin = &self.http.route().origin;
            self.reporter.debug(format!("asking {} at {origin}", agent.name()));
            self.http.send(request, end, agent.name()).await
        });
        let answer = answer.map_err(|error| match error {
            ServiceError::Timeout { origin } => {
                let what = format!("{} at {origin} does not answer", agent.name());
                Error::aws(what).hint(agent.absent())
            }
            ServiceError::TooLarge { .. } => error.into_error().hint(agent.absent()),
            error => {
                let Error { class, what, hint, .. } = error.into_error();
                Error::new(class, format!("cannot ask {}: {what}", agent.name()))
                    .hint(hint.unwrap_or_else(|| agent.absent().to_owned()))
            }
        })?;
        let body = answer.body().bytes().unwrap_or_default().to_vec();
        Ok(Answer { status: answer.status().as_u16(), body: Zeroizing::new(body) })
    }

    /// The credentials in an answer (AWS SDKs, "Container credential provider"; EC2, "Retrieve
    /// security credentials from instance metadata").
    fn credentials(&self, answer: &Answer, secrets: &[&str]) -> Result<Credentials> {
        if answer.status != 200 || answer.is_refusal() {
            return Err(self.refused(answer, secrets));
        }
        answer.credentials().ok_or_else(|| self.unexpected("credentials"))
    }

    /// The error for a refusal, with the agent's own code and message, without the secrets that it got.
    fn refused(&self, answer: &Answer, secrets: &[&str]) -> Error {
        let json: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let field = |names: [&str; 2]| {
            names.iter().find_map(|name| json.get(*name)?.as_str()).unwrap_or_default().to_owned()
        };
        let code = clean_code(&field(["code", "Code"]), secrets);
        let message = clean_message(&field(["message", "Message"]), secrets);
        let words = [format!("HTTP {}", answer.status), code, message];
        let words: Vec<_> = words.into_iter().filter(|word| !word.is_empty()).collect();
        let what = format!("{} gives no credentials: {}", self.agent.name(), words.join(": "));
        Error::aws(what)
    }

    /// The error for a response that is not `what` was requested.
    fn unexpected(&self, what: &str) -> Error {
        let (agent, origin) = (self.agent.name(), &self.http.route().origin);
        Error::aws(format!("{agent} at {origin} gives something that is not {what}"))
    }
}
