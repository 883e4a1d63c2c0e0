//! What STS and IAM share: where a service is, one runtime and connector, one deadline, the rules for
//! repeating a call, and AWS's clock.

use std::cell::OnceCell;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use aws_credential_types::Credentials as SdkCredentials;
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::behavior_version::BehaviorVersion;
use aws_smithy_runtime_api::client::http::{HttpConnector, SharedHttpConnector, http_client_fn};
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::BeforeDeserializationInterceptorContextRef;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::client::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_smithy_types::Document;
use aws_smithy_types::config_bag::ConfigBag;
use aws_smithy_types::date_time::{DateTime, Format};
use aws_smithy_types::endpoint::Endpoint;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::SdkConfig;
use aws_types::region::Region;
use tokio::runtime::Runtime;

use super::classify::classify;
use super::http;
use super::origin::{Origin, Path};
use super::proxy::Proxies;
use super::roots::Sources;
use super::service_error::ServiceError;
use super::unreachable::unreachable;
use super::wire::{ANSWER_LIMIT, Wire};
use crate::clock::{Clock, Timestamp};
use crate::credential::Credentials;
use crate::env::Env;
use crate::error::Error;
use crate::profile::{EndpointVariant, Target, of_value};
use crate::reporter::Reporter;
use crate::secret::Secret;
use crate::waiting::waiting;

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
    /// The endpoint of a variant that the SDK's rules give for a region.
    fn endpoint(region: &str, variant: EndpointVariant, runtime: &Runtime) -> Option<Endpoint>;
    /// The region that its requests are signed for. Of a service that is one for a whole partition
    /// (IAM) the SDK's rules say which, but not for an endpoint of ours, for which it would sign with
    /// the profile's region.
    fn signing_region(region: &str, runtime: &Runtime) -> String {
        let endpoint = Self::endpoint(region, EndpointVariant::default(), runtime);
        let schemes = endpoint.as_ref().map(Endpoint::auth_schemes).unwrap_or_default();
        let named = schemes.iter().find_map(|scheme| scheme.get("signingRegion"));
        named.and_then(Document::as_string).unwrap_or(region).to_owned()
    }
    /// The client itself.
    fn client(config: &SdkConfig, date: DateReader) -> Self;
}

/// A service, at one place, until one deadline. Connections are kept between calls.
pub struct Connection<S> {
    target: Target,
    proxies: Proxies,
    roots: Sources,
    deadline: Instant,
    reporter: Reporter,
    live: OnceCell<Live<S>>,
    offset: Arc<Mutex<Option<i64>>>,
}

/// What only a call needs.
struct Live<S> {
    /// Always there until `drop` takes it.
    runtime: Option<Runtime>,
    client: S,
    wire: Wire,
    path: Path,
}

impl<S> Drop for Live<S> {
    /// Without waiting: a name look-up that hangs sits in a thread that nothing can interrupt.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// A call to make.
pub struct Call<'a> {
    /// AWS's name of it.
    pub operation: &'static str,
    /// Whose call it is.
    pub base: &'a Credentials,
    /// MFA codes or a token that it carries: cut out of whatever AWS says of it.
    pub codes: &'a [&'a Secret],
    /// Sent once only, because AWS would not take it twice: a repetition after a lost answer would be
    /// refused, and a code's counts against the device.
    pub once: bool,
}

/// What a call adds to the client's configuration.
pub struct Offered {
    /// Our credentials as the SDK wants them (it wipes its copy).
    pub credentials: SdkCredentials,
    /// Whether the SDK may repeat the call.
    pub retry: RetryConfig,
    /// How long it waits for an answer. A code is spent with the first try, so that one has all the
    /// time there is.
    pub timeout: TimeoutConfig,
}

impl<S: Service> Connection<S> {
    /// Takes down what calls will need; nothing is opened, read or started before the first one.
    /// All calls together end at `deadline`.
    ///
    /// # Errors
    /// Usage (2) for a region or an endpoint URL that cannot be one.
    pub fn new(
        target: &Target,
        env: &Env,
        deadline: Instant,
        reporter: Reporter,
    ) -> Result<Self, Error> {
        fits(target, S::NAME, S::EXAMPLE)?;
        let roots = Sources::new(target.ca_bundle.clone(), env);
        Ok(Self {
            target: target.clone(),
            proxies: Proxies::from_env(env),
            roots,
            deadline,
            reporter,
            live: OnceCell::new(),
            offset: Arc::default(),
        })
    }

    /// By how many seconds AWS's clock is ahead of ours, from the `Date` of the last answer, good or
    /// bad. Exact to about two seconds.
    pub fn clock_offset(&self) -> Option<i64> {
        self.offset.lock().ok().and_then(|offset| *offset)
    }

    /// One call.
    pub fn call<T, E, F>(
        &self,
        call: &Call,
        send: impl FnOnce(&S, Offered) -> F,
    ) -> Result<T, ServiceError>
    where
        E: ProvideErrorMetadata,
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    {
        let Call { operation, base, codes, once } = *call;
        // The SDK would only say that it could not send.
        let token = base.session_token.as_ref().map(Secret::expose).unwrap_or_default();
        if !fits_header(&base.access_key_id) || !fits_header(token) {
            return Err(ServiceError::Setup(Error::other(
                "the access key ID or session token has characters that AWS never uses",
            )));
        }
        let retry = if once {
            RetryConfig::disabled()
        } else {
            RetryConfig::standard().with_max_attempts(ATTEMPTS)
        };
        let timeout = TimeoutConfig::builder();
        let timeout = if once {
            timeout.disable_operation_attempt_timeout()
        } else {
            timeout.operation_attempt_timeout(ATTEMPT_TIMEOUT)
        };
        let offered = Offered { credentials: offered(base), retry, timeout: timeout.build() };
        let mut secrets = vec![base.secret_access_key.expose(), token];
        secrets.extend(codes.iter().map(|code| code.expose()));
        self.send(operation, &secrets, |client| send(client, offered))
    }

    /// One call that nobody signs: what allows it stands in it. `secrets` are cut out of whatever AWS
    /// says of it; `repeat` lets the SDK repeat it.
    pub fn unsigned<T, E, F>(
        &self,
        operation: &'static str,
        secrets: &[&Secret],
        repeat: bool,
        send: impl FnOnce(&S, RetryConfig) -> F,
    ) -> Result<T, ServiceError>
    where
        E: ProvideErrorMetadata,
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    {
        let retry = if repeat {
            RetryConfig::standard().with_max_attempts(ATTEMPTS)
        } else {
            RetryConfig::disabled()
        };
        let secrets: Vec<&str> = secrets.iter().map(|secret| secret.expose()).collect();
        self.send(operation, &secrets, |client| send(client, retry))
    }

    fn send<T, E, F>(
        &self,
        operation: &'static str,
        secrets: &[&str],
        send: impl FnOnce(&S) -> F,
    ) -> Result<T, ServiceError>
    where
        E: ProvideErrorMetadata,
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    {
        let live = self.live()?;
        let late = || ServiceError::Timeout { origin: live.path.origin.to_string() };
        // A future that is late from the start would still be polled once, and send.
        let Some(runtime) = live.runtime.as_ref().filter(|_| Instant::now() < self.deadline) else {
            return Err(late());
        };
        self.reporter.debug(format!("{operation} at {}", live.path.origin));
        let origin = live.path.origin.to_string();
        let _waiting = waiting(move || format!("{operation} at {origin}"), Some(self.deadline));
        let outcome = runtime.block_on(async {
            let whole = async {
                // It may take longer than a try may.
                live.wire.look_up().await.map_err(|e| unreachable(&e, &live.path, S::NAME))?;
                let sent = send(&live.client).await;
                let why = (S::NAME, operation);
                sent.map_err(|e| classify(&e, why, &live.path, self.clock_offset(), secrets))
            };
            tokio::time::timeout_at(self.deadline.into(), whole).await
        });
        outcome.map_err(|_| late())?
    }

    /// By how many seconds AWS's clock is ahead of ours, from the answer to one request that asks for
    /// nothing and is not signed.
    pub fn ask_the_time(&self) -> Result<i64, ServiceError> {
        let runtime = event_loop().map_err(ServiceError::Setup)?;
        let asked = self.ask_the_time_on(&runtime);
        runtime.shutdown_background();
        asked
    }

    fn ask_the_time_on(&self, runtime: &Runtime) -> Result<i64, ServiceError> {
        let origin = self.origin(runtime).map_err(ServiceError::Setup)?;
        let url = format!("{}://{origin}/", if origin.https { "https" } else { "http" });
        let request =
            HttpRequest::get(url).map_err(|_| ServiceError::Setup(Error::other("no such URL")))?;
        let (connector, mut path) =
            http::connector(origin, &self.proxies, &self.roots, ANSWER_LIMIT, self.reporter)
                .map_err(ServiceError::Setup)?;
        path.variant = self.variant();
        let place = path.origin.to_string();
        let _waiting = waiting(move || format!("the time at {place}"), Some(self.deadline));
        let answer = runtime.block_on(async {
            tokio::time::timeout_at(self.deadline.into(), connector.call(request)).await
        });
        match answer {
            Err(_) => Err(ServiceError::Timeout { origin: path.origin.to_string() }),
            Ok(Err(error)) => Err(unreachable(&error, &path, S::NAME)),
            Ok(Ok(answer)) => {
                let now = Clock::system().now();
                let date = answer.headers().get("date").and_then(seconds_of);
                let none = || ServiceError::Setup(Error::other("the answer has no date"));
                date.map(|date| date.seconds_since(now)).ok_or_else(none)
            }
        }
    }

    /// True as long as nothing was opened or started.
    #[cfg(test)]
    pub fn is_idle(&self) -> bool {
        self.live.get().is_none()
    }

    fn live(&self) -> Result<&Live<S>, ServiceError> {
        if let Some(live) = self.live.get() {
            return Ok(live);
        }
        let live = self.start().map_err(ServiceError::Setup)?;
        Ok(self.live.get_or_init(|| live))
    }

    fn start(&self) -> Result<Live<S>, Error> {
        let runtime = event_loop()?;
        let origin = self.origin(&runtime)?;
        let (wire, mut path) =
            http::connector(origin, &self.proxies, &self.roots, ANSWER_LIMIT, self.reporter)?;
        let variant = self.variant();
        path.variant = variant;
        // The SDK's own way would be one connector for each set of time limits.
        let connector = SharedHttpConnector::new(wire.clone());
        let timeouts = TimeoutConfig::builder().operation_attempt_timeout(ATTEMPT_TIMEOUT).build();
        let mut config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new(S::signing_region(&self.target.region, &runtime)))
            .http_client(http_client_fn(move |_, _| connector.clone()))
            .sleep_impl(TokioSleep::new())
            .timeout_config(timeouts)
            .use_fips(variant.is_fips())
            .use_dual_stack(variant.is_dual_stack())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        config.set_endpoint_url(self.target.endpoint.clone());
        let date = DateReader { offset: self.offset.clone(), clock: Clock::system() };
        let client = S::client(&config.build(), date);
        Ok(Live { runtime: Some(runtime), client, wire, path })
    }

    /// Where the calls go: the endpoint that is named, else the one that the SDK's rules give for
    /// the region.
    fn origin(&self, runtime: &Runtime) -> Result<Origin, Error> {
        let region = &self.target.region;
        let unknown =
            || Error::usage(format!("no {} endpoint is known for the region {region}", S::NAME));
        if let Some(url) = &self.target.endpoint {
            return Origin::parse(url).ok_or_else(unknown);
        }
        let endpoint = S::endpoint(region, self.variant(), runtime).ok_or_else(unknown)?;
        Origin::parse(endpoint.url()).ok_or_else(unknown)
    }

    /// The variant of AWS's endpoints that is asked; none of them where an endpoint is named, beside
    /// which the SDK would refuse one.
    fn variant(&self) -> EndpointVariant {
        match self.target.endpoint {
            Some(_) => EndpointVariant::default(),
            None => self.target.variant,
        }
    }

    /// Host and port that calls go to. Nothing is opened.
    ///
    /// # Errors
    /// Usage (2): the region has no such endpoint.
    pub fn place(&self) -> Result<String, Error> {
        let runtime = event_loop()?;
        Ok(self.origin(&runtime)?.to_string())
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

/// What calls run on: one thread, this one.
pub(super) fn event_loop() -> Result<Runtime, Error> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|_| Error::other("no event loop can be had from the system"))
}

/// The time in a `Date` header.
pub(super) fn seconds_of(date: &str) -> Option<Timestamp> {
    DateTime::from_str(date, Format::HttpDate).ok().map(|date| Timestamp(date.secs()))
}

pub(super) fn fits_header(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_graphic())
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

/// Notes the offset of AWS's clock from every answer.
#[derive(Debug)]
pub struct DateReader {
    offset: Arc<Mutex<Option<i64>>>,
    clock: Clock,
}

impl Intercept for DateReader {
    fn name(&self) -> &'static str {
        "DateReader"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let date = context.response().headers().get("date");
        let date = date.and_then(seconds_of);
        if let (Some(date), Ok(mut offset)) = (date, self.offset.lock()) {
            *offset = Some(date.seconds_since(self.clock.now()));
        }
        Ok(())
    }
}
