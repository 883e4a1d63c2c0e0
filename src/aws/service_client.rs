//! The client of a service at one endpoint with one deadline, over the SDK's: the endpoint, the signing
//! key, and the rules for repeating a call.

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

use super::connector::{ANSWER_LIMIT, Route};
use super::http_client::{HttpClient, HttpSettings};
use super::service_error::{ServiceError, bad_answer, clean_code, clean_message, refused};
use super::unreachable::{lost, unreachable};
use crate::credential::Credentials;
use crate::env::Env;
use crate::error::Error;
use crate::origin::Origin;
use crate::profile::{EndpointVariant, Target, of_value};
use crate::reporter::Reporter;
use crate::secret::Secret;

/// For one attempt, from the connection to the last byte.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(15);

/// Attempts of a call that may be repeated.
const ATTEMPTS: u32 = 3;

/// The SDK's client of a service.
pub trait Service: Sized {
    const NAME: &'static str;
    /// An example of an endpoint URL.
    const EXAMPLE: &'static str;
    type Config;
    /// The endpoint in a region by the SDK's rules.
    fn endpoint(region: &str, variant: EndpointVariant) -> Option<Endpoint>;
    /// The region that its requests are signed for. For a service that is one for a whole partition (IAM)
    /// the SDK's rules name it; but with a custom endpoint the SDK would sign for the profile's region.
    fn signing_region(region: &str) -> String {
        let endpoint = Self::endpoint(region, EndpointVariant::default());
        let schemes = endpoint.as_ref().map(Endpoint::auth_schemes).unwrap_or_default();
        let named = schemes.iter().find_map(|scheme| scheme.get("signingRegion"));
        named.and_then(Document::as_string).unwrap_or(region).to_owned()
    }
    /// The client itself. One serves all calls: the SDK learns the service's clock with each.
    fn client(config: &SdkConfig) -> Self;
    /// The configuration of one call.
    fn config(
        key: Option<SharedCredentialsProvider>,
        retry: RetryConfig,
        timeout: TimeoutConfig,
    ) -> Self::Config;
}

/// A service at one endpoint, until one deadline. Connections are kept between calls.
pub struct ServiceClient<S> {
    target: Target,
    http: HttpSettings,
    deadline: Instant,
    /// Created with the first call.
    clients: OnceCell<(HttpClient, S)>,
}

/// A call to make.
#[derive(Clone, Copy)]
pub struct Call<'a> {
    pub operation: &'static str,
    /// The key that signs it, unless a secret in its body authorises it.
    pub base: Option<&'a Credentials>,
    /// MFA codes or tokens in it, which are cut out of AWS's messages about it.
    pub secrets: &'a [&'a Secret],
    /// Sent once only: AWS would refuse a repetition after a lost response, and count a repeated code
    /// against the device.
    pub once: bool,
}

impl<'a> Call<'a> {
    /// A signed call, which may be repeated.
    pub fn of(base: &'a Credentials, operation: &'static str) -> Self {
        Self { operation, base: Some(base), secrets: &[], once: false }
    }

    /// An unsigned call, which may be repeated.
    pub fn unsigned(operation: &'static str, secrets: &'a [&'a Secret]) -> Self {
        Self { operation, base: None, secrets, once: false }
    }

    /// The same, sent once only.
    pub fn once(self) -> Self {
        Self { once: true, ..self }
    }

    /// The number of attempts, and the time limit of each. A code is spent with the first attempt, which
    /// therefore has all the time that is left.
    fn attempts(&self) -> (RetryConfig, TimeoutConfig) {
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

impl<S: Service> ServiceClient<S> {
    /// Nothing is opened, read or started before the first call. All calls together end at `deadline`.
    ///
    /// # Errors
    /// Usage (2) for a region or an endpoint URL that cannot be one.
    pub fn connect(
        target: &Target,
        env: &Env,
        deadline: Instant,
        reporter: Reporter,
    ) -> Result<Self, Error> {
        check_target(target, S::NAME, S::EXAMPLE)?;
        let http = HttpSettings::new(target.ca_bundle.clone(), env, reporter);
        Ok(Self { target: target.clone(), http, deadline, clients: OnceCell::new() })
    }

    /// See [`Connector::clock_offset`](super::connector::Connector::clock_offset).
    pub fn clock_offset(&self) -> Option<i64> {
        self.clients.get().and_then(|(http, _)| http.connector.clock_offset())
    }

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
        let (http, client) = self.clients().map_err(ServiceError::Setup)?;
        let route = http.route();
        let _waiting = http.waiting(call.operation, self.deadline);
        http.run(self.deadline, async {
            self.http.reporter.debug(format!("{} at {}", call.operation, route.origin));
            // The look-up may take longer than an attempt may.
            http.look_up(S::NAME).await?;
            let (retry, timeout) = call.attempts();
            let key = call.base.map(|base| SharedCredentialsProvider::new(sdk_credentials(base)));
            let sent = send(client, S::config(key, retry, timeout)).await;
            let called = (S::NAME, call.operation);
            sent.map_err(|e| classify(&e, called, route, self.clock_offset(), &secrets))
        })
    }

    /// The [clock offset](Self::clock_offset) by a request that is not signed and executes nothing.
    pub fn ask_the_time(&self) -> Result<i64, ServiceError> {
        let (http, _) = self.clients().map_err(ServiceError::Setup)?;
        let origin = &http.route().origin;
        let url = format!("{}://{origin}/", if origin.https { "https" } else { "http" });
        let request =
            HttpRequest::get(url).map_err(|_| ServiceError::Setup(Error::other("no such URL")))?;
        let _waiting = http.waiting("the time", self.deadline);
        http.run(self.deadline, http.send(request, S::NAME))?;
        let none = || ServiceError::Setup(Error::other("the answer has no date"));
        self.clock_offset().ok_or_else(none)
    }

    /// The error for a response of the service in which `what` is missing.
    pub fn without(what: &str) -> ServiceError {
        let media_type = format!("no {what} in it");
        ServiceError::BadAnswer { service: S::NAME, status: 200, media_type }
    }

    /// True before anything is opened or started.
    #[cfg(test)]
    pub fn is_idle(&self) -> bool {
        self.clients.get().is_none()
    }

    fn clients(&self) -> Result<&(HttpClient, S), Error> {
        if let Some(clients) = self.clients.get() {
            return Ok(clients);
        }
        let variant = variant(&self.target);
        let http = self.http.client(self.origin()?, variant, ANSWER_LIMIT)?;
        // By default the SDK makes one connector for each set of time limits.
        let connector = SharedHttpConnector::new(http.connector.clone());
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
        Ok(self.clients.get_or_init(|| (http, client)))
    }

    /// The server of the configured endpoint, else of the endpoint that the SDK's rules give for the region.
    fn origin(&self) -> Result<Origin, Error> {
        let region = &self.target.region;
        let origin = match &self.target.endpoint {
            Some(url) => Origin::parse(url),
            None => S::endpoint(region, self.target.variant)
                .and_then(|endpoint| Origin::parse(endpoint.url())),
        };
        origin.ok_or_else(|| no_endpoint(S::NAME, region))
    }

    /// The host and port of the calls. No connection is opened.
    ///
    /// # Errors
    /// Usage (2): the region has no such endpoint.
    pub fn host_and_port(&self) -> Result<String, Error> {
        Ok(self.origin()?.to_string())
    }
}

/// The SDK's error as ours. `secrets` are cut out of AWS's message: it echoes parameters that it finds
/// malformed, MFA codes included.
fn classify<E: ProvideErrorMetadata>(
    error: &SdkError<E, HttpResponse>,
    (service, operation): (&'static str, &'static str),
    route: &Route,
    skew: Option<i64>,
    secrets: &[&str],
) -> ServiceError {
    match error {
        SdkError::TimeoutError(_) => ServiceError::Timeout { origin: route.origin.to_string() },
        SdkError::DispatchFailure(failure) => match failure.as_connector_error() {
            Some(error) => unreachable(error, route, service),
            None => lost(route),
        },
        SdkError::ResponseError(_) => lost(route),
        SdkError::ServiceError(answer) => {
            let status = answer.raw().status().as_u16();
            match answer.err().code() {
                Some(code) => refused(
                    status,
                    clean_code(code, secrets),
                    clean_message(answer.err().message().unwrap_or_default(), secrets),
                    (service, operation),
                    skew,
                ),
                None => bad_answer(service, answer.raw()),
            }
        }
        _ => ServiceError::Setup(Error::other(format!(
            "the request for {operation} cannot be built"
        ))),
    }
}

/// Checks the form of the region and of the endpoint URL.
pub(super) fn check_target(target: &Target, service: &str, example: &str) -> Result<(), Error> {
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

/// The variant of AWS's endpoints; none with a configured endpoint, for which the SDK would refuse one.
pub(super) fn variant(target: &Target) -> EndpointVariant {
    match target.endpoint {
        Some(_) => EndpointVariant::default(),
        None => target.variant,
    }
}

/// The session token, if any, of credentials that are checked to fit into headers: the SDK's own error
/// would not name the cause.
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

pub(super) fn sdk_credentials(base: &Credentials) -> SdkCredentials {
    SdkCredentials::new(
        base.access_key_id.clone(),
        base.secret_access_key.expose(),
        base.session_token.as_ref().map(|token| token.expose().to_owned()),
        None,
        "vault",
    )
}

/// The result of the SDK's endpoint rules, whose future is ready at once.
pub(super) fn ready_now<T>(rules: impl Future<Output = T>) -> Option<T> {
    match pin!(rules).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => Some(done),
        Poll::Pending => None,
    }
}
