//! HTTP/1.1 on a connection of its own making, for the SDK's calls and for ours.
//!
//! The SDK's own client has no limit on what it reads, counts the look-up of a name into the time for
//! connecting, and tries a name's second address only where the first refuses. So hyper and rustls
//! are put together here. Every request of this room goes through here, so that none has no limit.

use std::fmt;
use std::future::{Ready, ready};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::date_time::{DateTime, Format};
use aws_smithy_types::retry::ErrorKind;
use http_body_util::BodyExt;
use hyper::header::PROXY_AUTHORIZATION;
use hyper::{Response, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsConnector;
use tower_service::Service;

use super::dial::{self, Host};
use super::failed::{CONNECT_TIMEOUT, Failed, chain};
use super::origin::Origin;
use super::proxy::Proxy;
use crate::clock::{Clock, Timestamp};

/// The most that is read for one request, in bytes: headers, body, and what chunks and interim answers
/// (1xx) add to them. AWS's answers to what is asked here have a few thousand; only an object of a store
/// may be larger.
pub const ANSWER_LIMIT: usize = 256 * 1024;
/// The most of it that may be header lines: their number, and bytes.
const HEADERS: usize = 100;
const HEADER_LIMIT: usize = 64 * 1024;

/// A connection that was idle for longer is not used again. Between the hops of a chain it is; but the
/// server may have closed it while a person was asked for a code, and the call with the code, which
/// is never repeated, would be lost on it.
const IDLE: Duration = Duration::from_secs(5);

/// The way to one server.
pub(super) struct Route {
    /// Where requests go.
    pub origin: Origin,
    /// Where connections go: to the server, or to a proxy.
    pub hop: Host,
    /// The proxy, if there is one.
    pub proxy: Option<Proxy>,
    /// TLS with the roots to trust; needed if TLS is spoken with the server or the proxy.
    pub tls: Option<TlsConnector>,
    /// The most that is read for one request, in bytes.
    pub limit: usize,
}

impl Route {
    /// A connection that leads to the server, or to a proxy that forwards plain HTTP.
    async fn connect(&self, uri: Uri) -> Result<TokioIo<LimitedStream>, BoxError> {
        let addresses = self.hop.look_up().await?;
        let line = tokio::time::timeout(CONNECT_TIMEOUT, self.through(addresses, uri)).await;
        line.map_err(|_| Failed::Late)?
    }

    async fn through(
        &self,
        addresses: &[std::net::SocketAddr],
        uri: Uri,
    ) -> Result<TokioIo<LimitedStream>, BoxError> {
        let tcp = dial::connect(addresses).await.map_err(Failed::Tcp)?;
        let mut stream: Box<dyn Stream> = Box::new(tcp);
        if let Some(proxy) = &self.proxy {
            if proxy.origin.https {
                stream = self.secure(&proxy.origin, stream).await?;
            }
            if self.origin.https {
                let mut tunnel = Tunnel::new(proxy.uri.clone(), Open(Some(TokioIo::new(stream))));
                if let Some(authorization) = &proxy.authorization {
                    tunnel = tunnel.with_auth(authorization.clone());
                }
                stream = tunnel.call(uri).await?.into_inner();
            }
        }
        if self.origin.https {
            stream = self.secure(&self.origin, stream).await?;
        }
        Ok(TokioIo::new(LimitedStream {
            stream,
            left: self.limit,
            limit: self.limit,
            forwarded: self.is_forwarded(),
        }))
    }

    async fn secure(
        &self,
        origin: &Origin,
        stream: Box<dyn Stream>,
    ) -> Result<Box<dyn Stream>, BoxError> {
        let tls = self.tls.as_ref().ok_or_else(|| Failed::Tls(io::ErrorKind::Other.into()))?;
        let name = ServerName::try_from(origin.host.clone())
            .map_err(|error| Failed::Tls(io::Error::other(error)))?;
        let stream = tls.connect(name, stream).await.map_err(Failed::Tls)?;
        Ok(Box::new(stream))
    }

    /// Whether a proxy is given whole requests, since they are not encrypted.
    fn is_forwarded(&self) -> bool {
        self.proxy.is_some() && !self.origin.https
    }
}

/// What hyper asks for connections.
#[derive(Clone)]
struct Connect(Arc<Route>);

impl Service<Uri> for Connect {
    type Response = TokioIo<LimitedStream>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let way = Arc::clone(&self.0);
        Box::pin(async move { way.connect(uri).await })
    }
}

/// An open connection to a proxy, for [`Tunnel`], which would open one.
struct Open(Option<TokioIo<Box<dyn Stream>>>);

impl Service<Uri> for Open {
    type Response = TokioIo<Box<dyn Stream>>;
    type Error = io::Error;
    type Future = Ready<io::Result<Self::Response>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        ready(self.0.take().ok_or_else(|| io::ErrorKind::NotConnected.into()))
    }
}

/// TCP, or TLS over it, or TLS over TLS.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A connection that gives so many bytes and no more after each request.
struct LimitedStream {
    stream: Box<dyn Stream>,
    left: usize,
    limit: usize,
    forwarded: bool,
}

impl Connection for LimitedStream {
    fn connected(&self) -> Connected {
        Connected::new().proxy(self.forwarded)
    }
}

impl AsyncRead for LimitedStream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let line = self.get_mut();
        let before = buffer.filled().len();
        let read = Pin::new(&mut line.stream).poll_read(context, buffer);
        match line.left.checked_sub(buffer.filled().len() - before) {
            Some(left) => line.left = left,
            None => return Poll::Ready(Err(io::Error::other(Failed::TooMuch))),
        }
        read
    }
}

impl AsyncWrite for LimitedStream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let line = self.get_mut();
        line.left = line.limit;
        Pin::new(&mut line.stream).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

/// Sends requests to one server. Connections are kept between them.
#[derive(Clone)]
pub struct Wire {
    way: Arc<Route>,
    client: Client<Connect, SdkBody>,
    /// By how many seconds the server's clock is ahead of ours.
    offset: Arc<Mutex<Option<i64>>>,
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").finish_non_exhaustive()
    }
}

impl Wire {
    pub(super) fn new(way: Route) -> Self {
        let way = Arc::new(way);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .http1_max_headers(HEADERS)
            .http1_max_buf_size(HEADER_LIMIT)
            .build(Connect(Arc::clone(&way)));
        Self { way, client, offset: Arc::default() }
    }

    /// By how many seconds the server's clock is ahead of ours, from the `Date` of the last answer, good
    /// or bad. Exact to about two seconds.
    pub fn clock_offset(&self) -> Option<i64> {
        self.offset.lock().ok().and_then(|offset| *offset)
    }

    /// Looks the name up that connections go to, for a caller whose time for a request shall not
    /// contain that. It is done once.
    ///
    /// # Errors
    /// There is no address, or no answer from the resolver.
    pub async fn look_up(&self) -> Result<(), ConnectorError> {
        self.way.hop.look_up().await.map(drop).map_err(|error| sorted(error.into()))
    }
}

impl HttpConnector for Wire {
    /// The answer is read to its end here: what breaks off or grows too long is an error, whoever
    /// called.
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let Self { way, client, offset } = self.clone();
        HttpConnectorFuture::new(async move {
            let request = request.try_into_http1x();
            let mut request = request.map_err(|error| ConnectorError::user(error.into()))?;
            let authorization = way.proxy.as_ref().and_then(|proxy| proxy.authorization.as_ref());
            if let Some(authorization) = authorization.filter(|_| way.is_forwarded()) {
                request.headers_mut().insert(PROXY_AUTHORIZATION, authorization.clone());
            }
            let answer = client.request(request).await.map_err(|error| sorted(error.into()))?;
            let (head, body) = answer.into_parts();
            let body = body.collect().await.map_err(|error| sorted(error.into()))?.to_bytes();
            let answer = HttpResponse::try_from(Response::from_parts(head, SdkBody::from(body)))
                .map_err(|error| ConnectorError::other(error.into(), None))?;
            let date = answer.headers().get("date").and_then(seconds_of);
            if let (Some(date), Ok(mut offset)) = (date, offset.lock()) {
                *offset = Some(date.seconds_since(Clock::system().now()));
            }
            Ok(answer)
        })
    }
}

/// The time in a `Date` header.
pub fn seconds_of(date: &str) -> Option<Timestamp> {
    DateTime::from_str(date, Format::HttpDate).ok().map(|date| Timestamp(date.secs()))
}

/// For the SDK, which repeats a request that failed for a reason that may pass.
fn sorted(error: BoxError) -> ConnectorError {
    let failed = chain(&*error).find_map(|error| error.downcast_ref::<Failed>());
    match failed {
        Some(Failed::TooMuch | Failed::NoAddress | Failed::NoResolver) => {
            ConnectorError::other(error, None)
        }
        Some(Failed::Late) => ConnectorError::timeout(error),
        Some(Failed::Tcp(_) | Failed::Tls(_)) => ConnectorError::io(error),
        None => ConnectorError::other(error, Some(ErrorKind::TransientError)),
    }
}
