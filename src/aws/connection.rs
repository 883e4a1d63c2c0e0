//! What the SDK's clients share: where a service is, one line to it, one deadline, and the rules for
//! repeating a call.

use std::cell::OnceCell;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use aws_credential_types::Credentials as SdkCredentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_runtime_api::client::behavior_version::BehaviorVersion;
use aws_smithy_runtime_api::client::http::{SharedHttpConnector, http_client_fn};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_runtime_api::client::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_smithy_types::Document;
use aws_smithy_types::endpoint::Endpoint;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::SdkConfig;
use aws_types::region::Region;

use super::classify::classify;
use super::line::{Line, Network};
use super::origin::Origin;
use super::service_error::ServiceError;
use super::unreachable::unreachable;
use super::wire::ANSWER_LIMIT;
use crate::credential::Credentials;
use crate::env::Env;
use crate::error::Error;
use crate::profile::{EndpointVariant, Target, of_value};
use crate::reporter::Reporter;
use crate::secret::Secret;

/// For one try, from the connection to the last byte.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(15);

/// Tries for a call that may be repeated.
const ATTEMPTS: u32 = 3;

/// The SDK's client of a service.
pub trait Service: Sized {
    /// What people call it.
    const NAME: &'static str;
    /// An endpoint URL, as an example.
    const EXAMPLE: &'static str;
    /// What a call changes of the client's configuration.
    type Config;
    /// The endpoint of a variant that the SDK's rules give for a region.
    fn endpoint(region: &str, variant: EndpointVariant) -> Option<Endpoint>;
    /// The region that its requests are signed for. Of a service that is one for a whole partition
    /// (IAM) the SDK's rules say which, but not for an endpoint of ours, for which it would sign with
    /// the profile's region.
    fn signing_region(region: &str) -> String {
        let endpoint = Self::endpoint(region, EndpointVariant::default());
        let schemes = endpoint.as_ref().map(Endpoint::auth_schemes).unwrap_or_default();
        let named = schemes.iter().find_map(|scheme| scheme.get("signingRegion"));
        named.and_then(Document::as_string).unwrap_or(region).to_owned()
    }
    /// The client itself. One serves all calls: the SDK learns the service's clock with each.
    fn client(config: &SdkConfig) -> Self;
    /// Whose key signs a call, how often it is tried, and how long each time.
    fn config(
        key: Option<SharedCredentialsProvider>,
        retry: RetryConfig,
        timeout: TimeoutConfig,
    ) -> Self::Config;
}

/// A service, at one place, until one deadline. Connections are kept between calls.
pub struct Connection<S> {
    target: Target,
    network: Network,
    deadline: Instant,
    live: OnceCell<(Line, S)>,
}

/// A call to make.
#[derive(Clone, Copy)]
pub struct Call<'a> {
    /// AWS's name of it.
    pub operation: &'static str,
    /// Whose call it is; nobody signs one that is allowed by what stands in it.
    pub base: Option<&'a Credentials>,
    /// MFA codes or tokens that it carries: cut out of whatever AWS says of it.
    pub secrets: &'a [&'a Secret],
    /// Sent once only, because AWS would not take it twice: a repetition after a lost answer would be
    /// refused, and a code's counts against the device.
    pub once: bool,
}

impl<'a> Call<'a> {
    /// One with a key, which may be repeated.
    pub fn of(base: &'a Credentials, operation: &'static str) -> Self {
        Self { operation, base: Some(base), secrets: &[], once: false }
    }

    /// One that nobody signs, which may be repeated.
    pub fn unsigned(operation: &'static str, secrets: &'a [&'a Secret]) -> Self {
        Self { operation, base: None, secrets, once: false }
    }

    /// The same, sent once only.
    pub fn once(self) -> Self {
        Self { once: true, ..self }
    }

    /// How often it is tried, and how long each time. A code is spent with the first try, so that one
    /// has all the time there is.
    fn tries(&self) -> (RetryConfig, TimeoutConfig) {
        let retry = match self.once {
            true => RetryConfig::disabled(),
            false => RetryConfig::standard().with_max_attempts(ATTEMPTS),
        };
        let timeout = TimeoutConfig::builder();
        let timeout = match self.once && self.base.is_some() {
            true => timeout.disable_operation_attempt_timeout(),
            false => timeout.operation_attempt_timeout(ATTEMPT_TIMEOUT),
        };
        (retry, timeout.build())
    }
}

impl<S: Service> Connection<S> {
    /// Takes down what calls will need; nothing is opened, read or started before the first one.
    /// All calls together end at `deadline`.
    ///
    /// # Errors
    /// Usage (2) for a region or an endpoint URL that cannot be one.
    pub fn connect(
        target: &Target,
        env: &Env,
        deadline: Instant,
        reporter: Reporter,
    ) -> Result<Self, Error> {
        fits(target, S::NAME, S::EXAMPLE)?;
        let network = Network::new(target.ca_bundle.clone(), env, reporter);
        Ok(Self { target: target.clone(), network, deadline, live: OnceCell::new() })
    }

    /// By how many seconds AWS's clock is ahead of ours, from the `Date` of the last answer, good or
    /// bad. Exact to about two seconds.
    pub fn clock_offset(&self) -> Option<i64> {
        self.live.get().and_then(|(line, _)| line.wire.clock_offset())
    }

    /// One call.
    pub fn call<T, E, F>(
        &self,
        call: Call,
        send: impl FnOnce(&S, S::Config) -> F,
    ) -> Result<T, ServiceError>
    where
        E: ProvideErrorMetadata,
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    {
        let mut secrets: Vec<&str> = call.secrets.iter().map(|secret| secret.expose()).collect();
        if let Some(base) = call.base {
            secrets.extend([base.secret_access_key.expose(), in_headers(base, "")?]);
        }
        let (line, client) = self.live().map_err(ServiceError::Setup)?;
        let work = async {
            self.network.reporter.debug(format!("{} at {}", call.operation, line.path.origin));
            // It may take longer than a try may.
            line.wire.look_up().await.map_err(|e| unreachable(&e, &line.path, S::NAME))?;
            let (retry, timeout) = call.tries();
            let key = call.base.map(|base| SharedCredentialsProvider::new(offered(base)));
            let sent = send(client, S::config(key, retry, timeout)).await;
            let why = (S::NAME, call.operation);
            sent.map_err(|e| classify(&e, why, &line.path, self.clock_offset(), &secrets))
        };
        let _waiting = line.waiting(call.operation, self.deadline);
        line.run(self.deadline, async {
            let outcome = tokio::time::timeout_at(self.deadline.into(), work).await;
            outcome.map_err(|_| line.late())?
        })
    }

    /// By how many seconds AWS's clock is ahead of ours, from the answer to one request that asks for
    /// nothing and is not signed.
    pub fn ask_the_time(&self) -> Result<i64, ServiceError> {
        let (line, _) = self.live().map_err(ServiceError::Setup)?;
        let origin = &line.path.origin;
        let url = format!("{}://{origin}/", if origin.https { "https" } else { "http" });
        let request =
            HttpRequest::get(url).map_err(|_| ServiceError::Setup(Error::other("no such URL")))?;
        let _waiting = line.waiting("the time", self.deadline);
        line.run(self.deadline, line.ask(request, self.deadline, S::NAME))?;
        let none = || ServiceError::Setup(Error::other("the answer has no date"));
        self.clock_offset().ok_or_else(none)
    }

    /// The error for an answer of the service's own without `what` it should have.
    pub fn without(what: &str) -> ServiceError {
        let media_type = format!("no {what} in it");
        ServiceError::BadAnswer { service: S::NAME, status: 200, media_type }
    }

    /// True as long as nothing was opened or started.
    #[cfg(test)]
    pub fn is_idle(&self) -> bool {
        self.live.get().is_none()
    }

    fn live(&self) -> Result<&(Line, S), Error> {
        if let Some(live) = self.live.get() {
            return Ok(live);
        }
        let variant = variant(&self.target);
        let line = self.network.line(self.origin()?, variant, ANSWER_LIMIT)?;
        // The SDK's own way would be one connector for each set of time limits.
        let connector = SharedHttpConnector::new(line.wire.clone());
        let mut config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new(S::signing_region(&self.target.region)))
            .http_client(http_client_fn(move |_, _| connector.clone()))
            .sleep_impl(TokioSleep::new())
            .use_fips(variant.is_fips())
            .use_dual_stack(variant.is_dual_stack())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        config.set_endpoint_url(self.target.endpoint.clone());
        let client = S::client(&config.build());
        Ok(self.live.get_or_init(|| (line, client)))
    }

    /// Where the calls go: the endpoint that is named, else the one that the SDK's rules give for
    /// the region.
    fn origin(&self) -> Result<Origin, Error> {
        let region = &self.target.region;
        let origin = match &self.target.endpoint {
            Some(url) => Origin::parse(url),
            None => S::endpoint(region, self.target.variant)
                .and_then(|endpoint| Origin::parse(endpoint.url())),
        };
        origin.ok_or_else(|| no_endpoint(S::NAME, region))
    }

    /// Host and port that calls go to. Nothing is opened.
    ///
    /// # Errors
    /// Usage (2): the region has no such endpoint.
    pub fn place(&self) -> Result<String, Error> {
        Ok(self.origin()?.to_string())
    }
}

/// Region and endpoint URL are such as there can be.
pub(super) fn fits(target: &Target, service: &str, example: &str) -> Result<(), Error> {
    // It becomes part of a host name.
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if target.region.is_empty() || !target.region.chars().all(fits) {
        return Err(Error::usage(format!(
            "the region for {service} is not an AWS region{}",
            of_value(&target.region)
        ))
        .hint("it looks like eu-central-1"));
    }
    if let Some(url) = target.endpoint.as_deref().filter(|url| Origin::parse(url).is_none()) {
        return Err(Error::usage(format!(
            "the endpoint URL for {service} is not an http or https URL{}",
            of_value(url)
        ))
        .hint(format!("it looks like {example}")));
    }
    Ok(())
}

pub(super) fn no_endpoint(service: &str, region: &str) -> Error {
    Error::usage(format!("no {service} endpoint is known for the region {region}"))
}

/// The variant of AWS's endpoints that is asked; none of them where an endpoint is named, beside
/// which the SDK would refuse one.
pub(super) fn variant(target: &Target) -> EndpointVariant {
    match target.endpoint {
        Some(_) => EndpointVariant::default(),
        None => target.variant,
    }
}

/// The session token, or nothing, of a key that fits into headers; the SDK would only say that it could
/// not send another one.
pub(super) fn in_headers<'a>(base: &'a Credentials, whose: &str) -> Result<&'a str, ServiceError> {
    let token = base.session_token.as_ref().map(Secret::expose).unwrap_or_default();
    match [&base.access_key_id, token].iter().all(|text| text.bytes().all(|b| b.is_ascii_graphic()))
    {
        true => Ok(token),
        false => Err(ServiceError::Setup(Error::other(format!(
            "the access key ID or session token{whose} has characters that AWS never uses"
        )))),
    }
}

pub(super) fn offered(base: &Credentials) -> SdkCredentials {
    SdkCredentials::new(
        base.access_key_id.clone(),
        base.secret_access_key.expose(),
        base.session_token.as_ref().map(|token| token.expose().to_owned()),
        None,
        "vault",
    )
}

/// What the SDK's rules come to. They ask nobody, and so are ready at once.
pub(super) fn at_once<T>(rules: impl Future<Output = T>) -> Option<T> {
    match pin!(rules).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => Some(done),
        Poll::Pending => None,
    }
}
