//! The client of S3, and of what speaks S3: GetObject, and PutObject with a condition.
//!
//! Not by the SDK's client: it would repeat a write whose response was lost, and the repetition would be
//! refused because of the first.

mod reply;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, Ordering};
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
use super::http_client::{HttpClient, HttpSettings};
use super::service_client::{
    Service, check_target, in_headers, no_endpoint, sdk_credentials, variant,
};
use super::service_error::ServiceError;
use crate::clock::Clock;
use crate::credential::Credentials;
use crate::env::Env;
use crate::error::Error;
use crate::origin::Origin;
use crate::profile::{EndpointVariant, Target};
use crate::reporter::Reporter;
use crate::secret::Secret;
use crate::store::{Answer, Condition, ETag, Location, Read, Store, StoreError, Written};

const NAME: &str = "S3";

/// The most that is read for one request, in bytes: a vault's file has 2 MiB at most, headers 64 KiB.
const OBJECT_LIMIT: usize = (2 << 20) + 64 * 1024;

/// Time limits.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// For one request, from the look-up of the name to the last byte of the response.
    pub request: Duration,
    /// For all requests.
    pub deadline: Instant,
}

/// The objects of one bucket under one prefix. Connections are kept between requests; several threads may
/// send requests at once.
pub struct S3 {
    location: Location,
    target: Target,
    http: HttpSettings,
    key: Credentials,
    limits: Limits,
    /// The client, and the URL before an object's key; created with the first request.
    client: OnceLock<(HttpClient, String)>,
    /// By how many seconds the store's clock is ahead of ours; 0 until it refuses a request's time.
    offset: AtomicI64,
    /// Whether the store accepts an ETag in `If-Match` only without the quotes (Ceph before version 19),
    /// once that is known.
    unquoted: OnceLock<bool>,
}

impl fmt::Debug for S3 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3").field("location", &self.location).finish_non_exhaustive()
    }
}

struct Request<'a> {
    method: &'static str,
    name: &'a str,
    header: Option<(&'static str, &'a str)>,
    body: &'a [u8],
    /// The caller's deadline.
    end: Option<Instant>,
}

impl Request<'_> {
    fn operation(&self) -> &'static str {
        if self.method == "PUT" { "PutObject" } else { "GetObject" }
    }
}

impl S3 {
    /// Nothing is opened, read or started before the first request.
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
        check_target(target, NAME, "https://s3.eu-central-1.amazonaws.com")?;
        // The bucket and the key are appended to it.
        if target.endpoint.as_deref().is_some_and(|url| url.contains(['?', '#'])) {
            return Err(Error::usage("the endpoint URL for S3 has a query or a fragment")
                .hint("name the server only: bucket and prefix are in the s3:// URL"));
        }
        Ok(Self {
            location: location.clone(),
            target: target.clone(),
            http: HttpSettings::new(target.ca_bundle.clone(), env, reporter),
            key,
            limits,
            client: OnceLock::new(),
            offset: AtomicI64::new(0),
            unquoted: OnceLock::new(),
        })
    }

    /// The URL before an object's key. The bucket is in the host name, as AWS wants it, except for a
    /// bucket with dots, which AWS's certificates do not cover, and for another server.
    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html>
    fn base(&self) -> Option<String> {
        let Target { region, endpoint, variant, .. } = &self.target;
        let bucket = &self.location.bucket;
        if let Some(url) = endpoint {
            return Some(format!("{}/{bucket}", url.trim_end_matches('/')));
        }
        // The suffix of the partition's host names, from the SDK's rules for STS.
        let sts = aws_sdk_sts::Client::endpoint(region, EndpointVariant::default())?;
        let suffix = sts.url().strip_prefix(&format!("https://sts.{region}."))?;
        let service = if variant.is_fips() { "s3-fips" } else { "s3" };
        let service = match variant.is_dual_stack() {
            true => format!("{service}.dualstack.{region}.{suffix}"),
            false => format!("{service}.{region}.{suffix}"),
        };
        Some(match bucket.contains('.') {
            true => format!("https://{service}/{bucket}"),
            false => format!("https://{bucket}.{service}"),
        })
    }

    fn client(&self) -> Result<&(HttpClient, String), Error> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let base = self.base().and_then(|base| Some((Origin::parse(&base)?, base)));
        let (origin, base) = base.ok_or_else(|| no_endpoint(NAME, &self.target.region))?;
        let client = self.http.client(origin, variant(&self.target), OBJECT_LIMIT)?;
        Ok(self.client.get_or_init(|| (client, base)))
    }

    /// Sends a request. If the store refuses its time, nothing has happened, and it is signed once more
    /// for the store's own time.
    fn ask(&self, request: &Request) -> Result<Reply, ServiceError> {
        let reply = self.send(request)?;
        let skewed = reply.status == 403 && reply.code == "RequestTimeTooSkewed";
        let Some(date) = reply.date.filter(|_| skewed) else { return Ok(reply) };
        let offset = date.seconds_since(Clock::system().now());
        let why = format!("signing for the store's time, {offset} s from this clock's");
        self.http.reporter.debug(why);
        self.offset.store(offset, Ordering::Relaxed);
        self.send(request)
    }

    fn send(&self, request: &Request) -> Result<Reply, ServiceError> {
        in_headers(&self.key, " for the store")?;
        let (client, base) = self.client().map_err(ServiceError::Setup)?;
        let url = format!("{base}/{}", self.location.key(request.name));
        let operation = request.operation();
        let signed = self.signed(request, &url).ok_or_else(|| {
            ServiceError::Setup(Error::other(format!(
                "the request for {operation} cannot be built"
            )))
        })?;
        let end = self.limits.deadline.min(Instant::now() + self.limits.request);
        let end = request.end.map_or(end, |earlier| end.min(earlier));
        let origin = &client.route().origin;
        let _waiting = client.waiting(operation, end);
        client.run(end, async {
            self.http.reporter.debug(format!("{operation} {} at {origin}", request.name));
            // With a time limit of its own, so that a failure shows that nothing was sent. It is seen before
            // that of `run`, since tokio polls what a time limit is on first.
            let found = tokio::time::timeout_at(end.into(), client.look_up(NAME)).await;
            let not_found = || ServiceError::Unreachable {
                why: format!("no answer from DNS for {} in time", origin.host),
                hint: None,
                lost: false,
            };
            found.map_err(|_| not_found())??;
            let response = client.send(signed, NAME).await?;
            Ok(Reply::of(&response, &self.secrets()))
        })
    }

    /// The request with its signature (Signature Version 4, with the hash of the body in a header).
    /// No checksum in a trailer, which older stores do not know.
    fn signed(&self, request: &Request, url: &str) -> Option<HttpRequest> {
        let mut settings = SigningSettings::default();
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        let now = Clock::system().now().0.saturating_add(self.offset.load(Ordering::Relaxed));
        let time = UNIX_EPOCH + Duration::from_secs(u64::try_from(now).ok()?);
        let identity = sdk_credentials(&self.key).into();
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

    /// The error for a response that is none of the trait's answers.
    fn failed(&self, request: &Request, reply: &Reply) -> StoreError {
        reply.failure(&self.location, &self.target.region, request.method == "PUT")
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
        let what = match (reply.status, reply.object()) {
            (200, Some(object)) => Read::Found(object),
            (304, _) if known.is_some() => Read::Unchanged,
            (404, _) if reply.code == "NoSuchKey" => Read::Missing,
            _ => return Err(self.failed(&request, &reply)),
        };
        Ok(Answer { what, date: reply.date })
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

    /// A store that refuses an ETag as it gave it may still have that version, and accept only the other
    /// form. That is looked up, not guessed from the refusal, since most refusals mean a lost race.
    fn replace(
        &self,
        name: &str,
        body: &[u8],
        etag: &ETag,
        end: Option<Instant>,
    ) -> Result<Answer<Written>, StoreError> {
        let bare = etag.0.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
        if let (Some(true), Some(bare)) = (self.unquoted.get(), bare) {
            return self.put(name, body, (IF_MATCH, bare), end);
        }
        let learn = |answer: &Answer<Written>, unquoted| {
            if matches!(answer.what, Written::Done(_)) {
                let _ = self.unquoted.set(unquoted);
            }
        };
        let answer = self.put(name, body, (IF_MATCH, &etag.0), end)?;
        learn(&answer, false);
        let refused = answer.what == Written::Refused;
        let may_want_bare = self.target.endpoint.is_some() && self.unquoted.get().is_none();
        let Some(bare) = bare.filter(|_| refused && may_want_bare) else { return Ok(answer) };
        let is_unchanged = match self.get(name, Some(etag), end)?.what {
            Read::Unchanged => true,
            Read::Found(object) => object.etag == *etag,
            Read::Missing => false,
        };
        if !is_unchanged {
            return Ok(answer);
        }
        let answer = self.put(name, body, (IF_MATCH, bare), end)?;
        learn(&answer, true);
        Ok(answer)
    }
}

const IF_MATCH: &str = "if-match";

/// The error for a request without a response. Only a write may have changed the object.
fn not_answered(error: ServiceError, write: bool) -> StoreError {
    let unknown = write && error.may_have_arrived();
    let Error { what, hint, .. } = match error {
        ServiceError::TooLarge { origin, .. } => {
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
