//! The credentials that a plan starts from.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Once;
use std::time::{Duration, Instant};

use super::options::Request;
use super::program;
use super::session::CredentialSession;
use super::token;
use crate::aws::host;
use crate::clock::Timestamp;
use crate::credential::Credentials;
use crate::error::{Error, Result};
use crate::name::is_account;
use crate::profile::{Base, Plan, Step};
use crate::secret::Secret;

/// The variables of a container's token. The file comes first (AWS SDKs, "Container credential
/// provider").
const AUTHORIZATION: &str = "AWS_CONTAINER_AUTHORIZATION_TOKEN";
const AUTHORIZATION_FILE: &str = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE";

/// How long expired credentials of an instance are used before the service is asked again; botocore uses 12
/// to 20 minutes.
const EXTENSION: Duration = Duration::from_secs(15 * 60);
/// The warning about them is printed once, however often a server renews its credentials.
static WARNED_EXPIRED: Once = Once::new();

/// What a plan starts from.
#[derive(Debug)]
pub(super) enum BaseCredentials {
    Credentials(Credentials),
    /// A web identity's token, which the first step exchanges for credentials.
    Token(Secret),
    /// A login to IAM Identity Center, with which the first step gets credentials: its id, and the portal's
    /// endpoint.
    Login(String),
}

impl BaseCredentials {
    /// The identity on which AWS's answers depend.
    pub(super) fn identity(&self) -> String {
        match self {
            Self::Credentials(credentials) => credentials.access_key_id.clone(),
            Self::Token(token) => token::identity(token),
            Self::Login(identity) => identity.clone(),
        }
    }

    /// The identity of a program that gives other temporary keys each time: the program, its profile and
    /// the account that it names. Which user or role of the account it is, only AWS could say. None
    /// without an account, or without an expiration, after which the program has to run again.
    pub(super) fn owner(&self, base: &Base) -> Option<Vec<String>> {
        let (Self::Credentials(given), Base::Process { profile, command }) = (self, base) else {
            return None;
        };
        let passing = given.is_temporary() && given.expiration.is_some();
        let account = given.account_id.as_ref().filter(|id| passing && is_account(id))?;
        Some(vec!["process".to_owned(), profile.clone(), command.clone(), account.clone()])
    }

    /// Its secret part, if this process has it.
    pub(super) fn secret(&self) -> Option<&Secret> {
        match self {
            Self::Credentials(credentials) => Some(&credentials.secret_access_key),
            Self::Token(token) => Some(token),
            Self::Login(_) => None,
        }
    }
}

impl CredentialSession<'_> {
    /// Gets what the plan starts from.
    pub(super) fn base(
        &self,
        plan: &Plan,
        request: &Request,
        deadline: Instant,
    ) -> Result<BaseCredentials> {
        let credentials = match &plan.base {
            Base::Vault { profile } => self
                .vault()
                .ok()
                .and_then(|vault| vault.payload().credential(profile))
                .ok_or_else(|| Error::not_found(format!("no key for {profile} in the vault")))?,
            Base::Process { profile, command } => match &plan.inside {
                Some(inside) => self.inside(profile, plan, inside, request)?,
                None => self.credential_process(profile, command, &plan.within, deadline)?,
            },
            Base::Plaintext { profile } => self.plaintext(profile)?,
            Base::Environment => self.environment()?,
            Base::Container { url } => {
                let authorization = self.authorization()?;
                let given = host::container(
                    url,
                    authorization.as_ref(),
                    self.env,
                    deadline,
                    self.reporter,
                )?;
                self.lasting(given, "the container's credentials agent")?
            }
            Base::Instance { endpoint } => {
                let given = host::instance(endpoint, self.env, deadline, self.reporter)?;
                self.stable(given)
            }
            Base::WebIdentity(token) => {
                return self.token(token, &plan.within, deadline).map(BaseCredentials::Token);
            }
            Base::Sso { profile, sign_on } => {
                return self.login(profile, sign_on);
            }
        };
        Ok(BaseCredentials::Credentials(credentials))
    }

    /// What this program would print as a profile's credential_process: it does not get the code that was
    /// given to this process.
    fn inside(
        &self,
        profile: &str,
        plan: &Plan,
        inside: &Plan,
        request: &Request,
    ) -> Result<Credentials> {
        self.refuse_recursion("credential_process", profile, &plan.within)?;
        self.reporter
            .debug(format!("the credential_process of profile {profile:?} is vault itself"));
        let min_left = match plan.steps.is_empty() {
            true => request.min_left,
            false => self.options.min_left,
        };
        self.make(inside, &Request { mfa_token: None, min_left, ..*request })
    }

    /// The credentials, unless they have expired: the agent could not replace them in time.
    fn lasting(&self, given: Credentials, giver: &str) -> Result<Credentials> {
        if given.expiration.is_some_and(|end| end <= self.clock.now()) {
            return Err(Error::aws(format!("{giver} gives credentials that have expired")));
        }
        Ok(given)
    }

    /// An instance's credentials. Expired ones get a later expiration: the metadata service could not
    /// replace them, and AWS may accept them for longer then (AWS SDKs and Tools reference, "IMDS credential
    /// provider", static stability).
    fn stable(&self, given: Credentials) -> Credentials {
        let now = self.clock.now();
        let Some(ended) = given.expiration.filter(|end| *end <= now) else { return given };
        WARNED_EXPIRED.call_once(|| {
            self.reporter.warn(format!(
                "the instance metadata service gives credentials that expired at {}; they are used, as \
                 by AWS's SDKs, until it gives others",
                ended.to_rfc3339()
            ));
        });
        Credentials { expiration: Some(now.plus(EXTENSION)), ..given }
    }

    /// The authorization token for a container's agent: from the file, which is replaced from time to time,
    /// else from the variable.
    fn authorization(&self) -> Result<Option<Secret>> {
        let (bytes, by) = match self.env.get_os(AUTHORIZATION_FILE) {
            Some(path) => {
                let what = "the authorization token";
                (token::read(Path::new(path), what, AUTHORIZATION_FILE)?, AUTHORIZATION_FILE)
            }
            None => match self.env.get_os(AUTHORIZATION) {
                Some(value) => (value.as_bytes().to_vec(), AUTHORIZATION),
                None => return Ok(None),
            },
        };
        // As a header it must be one line; a line end behind it is an editor's.
        let fits =
            |text: &str| !text.is_empty() && text.bytes().all(|b| (b' '..=b'~').contains(&b));
        let token = Secret::from_utf8(bytes)
            .map(|text| Secret::new(text.expose().trim_end().to_owned()))
            .filter(|text| fits(text.expose()));
        token.map(Some).ok_or_else(|| Error::other(format!("{by} holds no authorization token")))
    }

    /// Adds the account that the files or the environment name (`aws_account_id`, `AWS_ACCOUNT_ID`) to
    /// credentials of the base itself or of a session of it. A role's ARN names its own.
    pub(super) fn with_account(&self, given: Credentials, plan: &Plan) -> Credentials {
        let own = plan.steps.iter().all(|step| matches!(step, Step::Session { .. }));
        if !own || given.account_id.is_some() {
            return given;
        }
        let (account, by) = match &plan.base {
            Base::Environment => (self.env.get("AWS_ACCOUNT_ID"), "AWS_ACCOUNT_ID".to_owned()),
            Base::Vault { profile }
            | Base::Process { profile, .. }
            | Base::Plaintext { profile } => (
                self.profiles.get(profile, "aws_account_id"),
                format!("aws_account_id of profile \"{profile}\""),
            ),
            _ => return given,
        };
        let valid = account.filter(|id| is_account(id));
        if account != valid {
            self.reporter.warn(format!("{by} is left out: it is not an account's twelve digits"));
        }
        Credentials { account_id: valid.map(str::to_owned), ..given }
    }

    fn plaintext(&self, profile: &str) -> Result<Credentials> {
        let found = self.profiles.plaintext(profile);
        let (id, secret, token) =
            found.map_or((None, None, None), |key| (Some(key.id), key.secret, key.token));
        key(id, secret, token, &format!("profile {profile:?}"))
    }

    fn environment(&self) -> Result<Credentials> {
        let get = |name| self.env.get(name);
        // boto's old name, which botocore asks for first.
        let token = get("AWS_SECURITY_TOKEN").or_else(|| get("AWS_SESSION_TOKEN"));
        key(get("AWS_ACCESS_KEY_ID"), get("AWS_SECRET_ACCESS_KEY"), token, "the environment")
    }

    /// Runs a credential_process. No error quotes its output, which may hold the key.
    fn credential_process(
        &self,
        profile: &str,
        command: &str,
        within: &[String],
        deadline: Instant,
    ) -> Result<Credentials> {
        let kind = "credential_process";
        let output = self.helper(kind, profile, command, within, deadline)?;
        let name = program::name(kind, profile);
        let bad = |what: &str| Error::other(format!("{name} printed {what}"));
        let json: serde_json::Value =
            serde_json::from_slice(&output).map_err(|_| bad("something that is not JSON"))?;
        if json.get("Version").and_then(serde_json::Value::as_u64) != Some(1) {
            return Err(bad("no \"Version\": 1"));
        }
        let text = |field: &str| json.get(field)?.as_str().filter(|text| !text.is_empty());
        let mut credentials =
            key(text("AccessKeyId"), text("SecretAccessKey"), text("SessionToken"), &name)?;
        if let Some(expiration) = text("Expiration") {
            let expiration = Timestamp::parse_as_aws_cli(expiration)
                .ok_or_else(|| bad("an Expiration that is no RFC 3339 time"))?;
            if expiration <= self.clock.now() {
                return Err(bad("credentials that have expired"));
            }
            credentials.expiration = Some(expiration);
        }
        credentials.account_id = text("AccountId").map(str::to_owned);
        Ok(credentials)
    }
}

fn key(
    id: Option<&str>,
    secret: Option<&str>,
    token: Option<&str>,
    place: &str,
) -> Result<Credentials> {
    let (Some(id), Some(secret)) = (id, secret) else {
        return Err(Error::other(format!("{place} gives an incomplete access key")));
    };
    // A line break would end the value, and start another, in what export writes.
    let broken = |text: &str| text.contains(char::is_control);
    if broken(id) || broken(secret) || token.is_some_and(broken) {
        return Err(Error::other(format!("{place} gives a key with control characters in it")));
    }
    let mut credentials = Credentials::long_term(id.to_owned(), Secret::new(secret.to_owned()));
    credentials.session_token = token.map(|token| Secret::new(token.to_owned()));
    Ok(credentials)
}
