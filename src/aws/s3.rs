//! The client of S3, and of what speaks S3: GetObject, and PutObject with a condition.
//!
//! These two requests are made here, over the connector that STS's are made over. The SDK's client would
//! repeat a write whose answer was lost, and be refused over its own first try.

mod reply;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, AtomicU8, Ordering};
use std::time::{Duration, Instant, UNIX_EPOCH};

use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4::SigningParams;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use hyper::Uri;

use self::reply::Reply;
use super::connection::{Service, fits, in_headers, no_endpoint, offered, variant};
use super::line::{Line, Network};
use super::origin::Origin;
use super::service_error::ServiceError;
use super::unreachable::unreachable;
use crate::clock::Clock;
use crate::credential::Credentials;
use crate::env::Env;
use crate::error::Error;
use crate::profile::{EndpointVariant, Target};
use crate::reporter::Reporter;
use crate::secret::Secret;
use crate::store::{Answer, Condition, ETag, Location, Read, Store, StoreError, Written};

/// The service, as people call it.
const NAME: &str = "S3";

/// The most that is read for one request, in bytes: a vault's file has 2 MiB at most, headers 64 KiB.
const OBJECT_LIMIT: usize = (2 << 20) + 64 * 1024;

/// How long a client may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// For one request, from the look-up of the name to the last byte of the answer.
    pub request: Duration,
    /// When all requests end.
    pub deadline: Instant,
}

/// The objects of one bucket under one prefix. Connections are kept between requests; several threads may
/// ask at once.
pub struct S3 {
    location: Location,
    target: Target,
    network: Network,
    key: Credentials,
    limits: Limits,
    /// What only a request needs: the line, and what stands before an object's key.
    live: OnceLock<(Line, String)>,
    /// By how many seconds requests are signed for a later time than the system's: the store's clock
    /// may be ahead.
    offset: AtomicI64,
    form: AtomicU8,
}

/// How a store wants an ETag in `If-Match`: not known yet, as it gives it, or without the quotes (Ceph up
/// to its version 18).
const UNKNOWN: u8 = 0;
const AS_GIVEN: u8 = 1;
const UNQUOTED: u8 = 2;

impl fmt::Debug for S3 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3").field("location", &self.location).finish_non_exhaustive()
    }
}

/// A request.
struct Request<'a> {
    method: &'static str,
    name: &'a str,
    header: Option<(&'static str, &'a str)>,
    body: &'a [u8],
    /// When the caller waits no longer.
    end: Option<Instant>,
}

impl Request<'_> {
    fn operation(&self) -> &'static str {
        if self.method == "PUT" { "PutObject" } else { "GetObject" }
    }
}

impl S3 {
    /// Takes down what requests will need; nothing is opened, read or started before the first one.
    ///
    /// # Errors
    /// Usage (2) for a region or an endpoint URL that cannot be one.
    pub fn connect(
        location: &Location,
        target: &Target,
        key: Credentials,
        env: &Env,
        limits: Limits,
        reporter: Reporter,
    ) -> Result<Self, Error> {
        fits(target, NAME, "https://s3.eu-central-1.amazonaws.com")?;
        // Bucket and key are put behind it.
        if target.endpoint.as_deref().is_some_and(|url| url.contains(['?', '#'])) {
            return Err(Error::usage(format!(
                "the endpoint URL for {NAME} has a query or a fragment"
            ))
            .hint("name the server only: bucket and prefix are in the s3:// URL"));
        }
        Ok(Self {
            location: location.clone(),
            target: target.clone(),
            network: Network::new(target.ca_bundle.clone(), env, reporter),
            key,
            limits,
            live: OnceLock::new(),
            offset: AtomicI64::new(0),
            form: AtomicU8::new(UNKNOWN),
        })
    }

    /// What stands before an object's key: bucket and region in the host's name, as AWS wants it, but
    /// not where its certificates (a bucket with dots) or another server's names do not cover that.
    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html>
    fn base(&self) -> Option<String> {
        let Target { region, endpoint, variant, .. } = &self.target;
        let bucket = &self.location.bucket;
        if let Some(url) = endpoint {
            return Some(format!("{}/{bucket}", url.trim_end_matches('/')));
        }
        // The end of the partition's host names, which the SDK's rules for STS say.
        let sts = aws_sdk_sts::Client::endpoint(region, EndpointVariant::default())?;
        let end = sts.url().strip_prefix(&format!("https://sts.{region}."))?;
        let service = if variant.is_fips() { "s3-fips" } else { "s3" };
        let service = match variant.is_dual_stack() {
            true => format!("{service}.dualstack.{region}.{end}"),
            false => format!("{service}.{region}.{end}"),
        };
        Some(match bucket.contains('.') {
            true => format!("https://{service}/{bucket}"),
            false => format!("https://{bucket}.{service}"),
        })
    }

    fn live(&self) -> Result<&(Line, String), Error> {
        if let Some(live) = self.live.get() {
            return Ok(live);
        }
        let base = self.base().and_then(|base| Some((Origin::parse(&base)?, base)));
        let (origin, base) = base.ok_or_else(|| no_endpoint(NAME, &self.target.region))?;
        let line = self.network.line(origin, variant(&self.target), OBJECT_LIMIT)?;
        Ok(self.live.get_or_init(|| (line, base)))
    }

    /// A request and its answer. Of one whose time the store refuses nothing happened: it is signed once
    /// more, for the store's own time.
    fn ask(&self, request: &Request) -> Result<Reply, ServiceError> {
        let reply = self.once(request)?;
        let of_another_time = reply.status == 403 && reply.code == "RequestTimeTooSkewed";
        let (true, Some(date)) = (of_another_time, reply.date) else {
            return Ok(reply);
        };
        let offset = date.seconds_since(Clock::system().now());
        self.network
            .reporter
            .debug(format!("signing for the store's time, {offset} s from this clock's"));
        self.offset.store(offset, Ordering::Relaxed);
        self.once(request)
    }

    fn once(&self, request: &Request) -> Result<Reply, ServiceError> {
        in_headers(&self.key, " for the store")?;
        let (line, base) = self.live().map_err(ServiceError::Setup)?;
        let url = format!("{base}/{}", self.location.key(request.name));
        let operation = request.operation();
        let signed = self.signed(request, &url).ok_or_else(|| {
            ServiceError::Setup(Error::other(format!(
                "the request for {operation} cannot be built"
            )))
        })?;
        let end = self.limits.deadline.min(Instant::now() + self.limits.request);
        let end = request.end.map_or(end, |earlier| end.min(earlier));
        let origin = &line.path.origin;
        let _waiting = line.waiting(operation, end);
        line.run(end, async {
            self.network.reporter.debug(format!("{operation} {} at {origin}", request.name));
            // Before anything is sent, so that its failure says that nothing was.
            let found = tokio::time::timeout_at(end.into(), line.wire.look_up()).await;
            let not_found = || ServiceError::Unreachable {
                why: format!("no answer from DNS for {} in time", origin.host),
                hint: None,
                lost: false,
            };
            found.map_err(|_| not_found())?.map_err(|e| unreachable(&e, &line.path, NAME))?;
            let answer = line.ask(signed, end, NAME).await?;
            Ok(Reply::of(&answer, &self.secrets()))
        })
    }

    /// The request with its signature (Signature Version 4, with the hash of the body in a header).
    /// No checksum in a trailer: stores older than those do not know it.
    fn signed(&self, request: &Request, url: &str) -> Option<HttpRequest> {
        let mut settings = SigningSettings::default();
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        let now = Clock::system().now().0.saturating_add(self.offset.load(Ordering::Relaxed));
        let time = UNIX_EPOCH + Duration::from_secs(u64::try_from(now).ok()?);
        let identity = offered(&self.key).into();
        let params = SigningParams::builder()
            .identity(&identity)
            .region(&self.target.region)
            .name("s3")
            .time(time)
            .settings(settings)
            .build()
            .ok()?
            .into();
        let body = SignableBody::Bytes(request.body);
        let headers = request.header.into_iter();
        let signable = SignableRequest::new(request.method, url, headers, body).ok()?;
        let (instructions, _) = sign(signable, &params).ok()?.into_parts();
        let body = match request.method {
            "GET" => SdkBody::empty(),
            _ => SdkBody::from(request.body.to_vec()),
        };
        let mut made = HttpRequest::new(body);
        made.set_uri(url.parse::<Uri>().ok()?).ok()?;
        made.set_method(request.method).ok()?;
        let headers = made.headers_mut();
        for (name, value) in instructions.headers().chain(request.header) {
            headers.try_insert(name.to_owned(), value.to_owned()).ok()?;
        }
        Some(made)
    }

    /// What an answer comes to that is none of those that the trait has.
    fn failed(&self, request: &Request, reply: &Reply) -> StoreError {
        let write = request.method == "PUT";
        reply.failure(&self.location, &self.target.region, write, &self.secrets())
    }

    fn secrets(&self) -> [&str; 2] {
        let token = self.key.session_token.as_ref().map(Secret::expose).unwrap_or_default();
        [self.key.secret_access_key.expose(), token]
    }

    fn get(
        &self,
        name: &str,
        known: Option<&ETag>,
        end: Option<Instant>,
    ) -> Result<Answer<Read>, StoreError> {
        let header = known.map(|etag| ("if-none-match", etag.0.as_str()));
        let request = Request { method: "GET", name, header, body: &[], end };
        let reply = self.ask(&request).map_err(|error| not_answered(error, false))?;
        let date = reply.date;
        let what = match reply.status {
            200 => match reply.object() {
                Some(object) => Read::Found(object),
                None => return Err(self.failed(&request, &reply)),
            },
            304 if known.is_some() => Read::Unchanged,
            404 if reply.code == "NoSuchKey" => Read::Missing,
            _ => return Err(self.failed(&request, &reply)),
        };
        Ok(Answer { what, date })
    }

    fn put(
        &self,
        name: &str,
        body: &[u8],
        header: (&'static str, &str),
        end: Option<Instant>,
    ) -> Result<Answer<Written>, StoreError> {
        let request = Request { method: "PUT", name, header: Some(header), body, end };
        let reply = self.ask(&request).map_err(|error| not_answered(error, true))?;
        let what = match (reply.status, &reply.etag) {
            (200..=299, Some(etag)) => Written::Done(etag.clone()),
            (412, _) => Written::Refused,
            // If-Match on an object that is gone.
            (404, _) if header.0 == IF_MATCH && reply.code == "NoSuchKey" => Written::Refused,
            (409, _) => Written::Again,
            _ => return Err(self.failed(&request, &reply)),
        };
        Ok(Answer { what, date: reply.date })
    }

    /// A version that the store refuses in the form that it gave may still be the one that it has: then
    /// it wants another form. That is looked up, and not guessed from the refusal, which is mostly that of
    /// a lost race.
    fn replace(
        &self,
        name: &str,
        body: &[u8],
        etag: &ETag,
        end: Option<Instant>,
    ) -> Result<Answer<Written>, StoreError> {
        let bare = etag.0.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
        let form = self.form.load(Ordering::Relaxed);
        if let (UNQUOTED, Some(bare)) = (form, bare) {
            return self.put(name, body, (IF_MATCH, bare), end);
        }
        let answer = self.put(name, body, (IF_MATCH, &etag.0), end)?;
        let learn = |what: &Written, form| {
            if matches!(what, Written::Done(_)) {
                self.form.store(form, Ordering::Relaxed);
            }
        };
        learn(&answer.what, AS_GIVEN);
        let Some(bare) = bare.filter(|_| {
            answer.what == Written::Refused && form == UNKNOWN && self.target.endpoint.is_some()
        }) else {
            return Ok(answer);
        };
        let is_unchanged = match self.get(name, Some(etag), end)?.what {
            Read::Unchanged => true,
            Read::Found(object) => object.etag == *etag,
            Read::Missing => false,
        };
        if !is_unchanged {
            return Ok(answer);
        }
        let answer = self.put(name, body, (IF_MATCH, bare), end)?;
        learn(&answer.what, UNQUOTED);
        Ok(answer)
    }
}

const IF_MATCH: &str = "if-match";

/// A request that got no answer. Of a read nothing is left behind, whatever became of it.
fn not_answered(error: ServiceError, write: bool) -> StoreError {
    let unknown = write && error.may_have_arrived();
    let Error { what, hint, .. } = match error {
        ServiceError::TooMuch { origin, .. } => {
            Error::aws(format!("the store at {origin} sent more than a vault's 2 MiB"))
        }
        error => error.into_error(),
    };
    match unknown {
        true => StoreError::Unknown(what),
        false => StoreError::Failed { what, hint },
    }
}

impl Store for S3 {
    fn read_within(
        &self,
        name: &str,
        known: Option<&ETag>,
        within: Duration,
    ) -> Result<Answer<Read>, StoreError> {
        self.get(name, known, Instant::now().checked_add(within))
    }

    fn write_within(
        &self,
        name: &str,
        body: &[u8],
        condition: Condition<'_>,
        within: Duration,
    ) -> Result<Answer<Written>, StoreError> {
        let end = Instant::now().checked_add(within);
        match condition {
            Condition::Absent => self.put(name, body, ("if-none-match", "*"), end),
            Condition::Is(etag) => self.replace(name, body, etag, end),
        }
    }
}
