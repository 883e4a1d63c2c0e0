//! HTTP/1.1 over TCP or TLS, through a proxy or not, for the SDK's requests and for ours.
//!
//! Not the SDK's own client: that reads without a limit, counts the look-up of a name into the time for
//! connecting, and tries the other address family after 300 ms, but another address of the same family only when
//! the one before has failed. Every request of this room goes through here, so that every response has a limit.

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

use super::dial::{self, Peer};
use super::proxy::Proxy;
use super::transport_error::{CONNECT_TIMEOUT, TransportError};
use crate::clock::{Clock, Timestamp};
use crate::origin::Origin;
use crate::profile::EndpointVariant;

/// The most that is read for one request, in bytes: headers, body, and what chunks and interim responses
/// (1xx) add to them. AWS's responses have a few thousand; only an object of a store may be larger.
pub const ANSWER_LIMIT: usize = 256 * 1024;
/// The most of it that may be header lines: their number, and bytes.
const HEADERS: usize = 100;
const HEADER_LIMIT: usize = 64 * 1024;

/// A connection that was idle for longer is not used again: the server may have closed it while a user
/// was asked for a code, and the call with the code, which is never repeated, would be lost on it.
const IDLE: Duration = Duration::from_secs(5);

/// The route to one server.
pub struct Route {
    pub origin: Origin,
    /// The server, or the proxy.
    pub(super) peer: Peer,
    pub proxy: Option<Proxy>,
    /// TLS with the roots to trust, if the server or the proxy speaks TLS.
    pub(super) tls: Option<TlsConnector>,
    /// Where those roots come from; empty without TLS.
    pub roots: String,
    /// The variant of AWS's endpoints that the server is one of.
    pub variant: EndpointVariant,
    /// The most that is read for one request, in bytes.
    pub limit: usize,
}

impl Route {
    /// A connection that leads to the server, or to a proxy that forwards plain HTTP.
    async fn connect(&self, uri: Uri) -> Result<TokioIo<LimitedStream>, BoxError> {
        let addresses = self.peer.look_up().await?;
        let stream = tokio::time::timeout(CONNECT_TIMEOUT, self.connect_to(addresses, uri)).await;
        stream.map_err(|_| TransportError::ConnectTimeout)?
    }

    async fn connect_to(
        &self,
        addresses: &[std::net::SocketAddr],
        uri: Uri,
    ) -> Result<TokioIo<LimitedStream>, BoxError> {
        let tcp = dial::connect(addresses).await.map_err(TransportError::Tcp)?;
        let mut stream: Box<dyn Stream> = Box::new(tcp);
        if let Some(proxy) = &self.proxy {
            if proxy.origin.https {
                stream = self.encrypt(&proxy.origin, stream).await?;
            }
            if self.origin.https {
                let opened = Opened(Some(TokioIo::new(stream)));
                let mut tunnel = Tunnel::new(proxy.uri.clone(), opened);
                if let Some(authorization) = &proxy.authorization {
                    tunnel = tunnel.with_auth(authorization.clone());
                }
                stream = tunnel.call(uri).await?.into_inner();
            }
        }
        if self.origin.https {
            stream = self.encrypt(&self.origin, stream).await?;
        }
        Ok(TokioIo::new(LimitedStream {
            stream,
            left: self.limit,
            limit: self.limit,
            forwarded: self.is_forwarded(),
        }))
    }

    async fn encrypt(
        &self,
        origin: &Origin,
        stream: Box<dyn Stream>,
    ) -> Result<Box<dyn Stream>, BoxError> {
        let tls =
            self.tls.as_ref().ok_or_else(|| TransportError::Tls(io::ErrorKind::Other.into()))?;
        let name = ServerName::try_from(origin.host.clone())
            .map_err(|error| TransportError::Tls(io::Error::other(error)))?;
        let stream = tls.connect(name, stream).await.map_err(TransportError::Tls)?;
        Ok(Box::new(stream))
    }

    /// Whether a proxy is given whole requests, since they are not encrypted.
    fn is_forwarded(&self) -> bool {
        self.proxy.is_some() && !self.origin.https
    }
}

/// Opens connections for hyper.
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
        let route = Arc::clone(&self.0);
        Box::pin(async move { route.connect(uri).await })
    }
}

/// An open connection to a proxy, for [`Tunnel`], which would open one.
struct Opened(Option<TokioIo<Box<dyn Stream>>>);

impl Service<Uri> for Opened {
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

/// A connection with a limit of the bytes that are read after each request.
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
        let this = self.get_mut();
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(context, buffer);
        match this.left.checked_sub(buffer.filled().len() - before) {
            Some(left) => this.left = left,
            None => return Poll::Ready(Err(io::Error::other(TransportError::TooLarge))),
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
        let this = self.get_mut();
        this.left = this.limit;
        Pin::new(&mut this.stream).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

/// Sends requests to one server, for the SDK and for ourselves. Connections are kept between them.
#[derive(Clone)]
pub struct Connector {
    route: Arc<Route>,
    client: Client<Connect, SdkBody>,
    clock_offset: Arc<Mutex<Option<i64>>>,
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").finish_non_exhaustive()
    }
}

impl Connector {
    pub fn new(route: Route) -> Self {
        let route = Arc::new(route);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .http1_max_headers(HEADERS)
            .http1_max_buf_size(HEADER_LIMIT)
            .build(Connect(Arc::clone(&route)));
        Self { route, client, clock_offset: Arc::default() }
    }

    pub fn route(&self) -> &Route {
        &self.route
    }

    /// By how many seconds the server's clock is ahead of ours, from the `Date` of the last response,
    /// whatever its status. Exact to about two seconds.
    pub fn clock_offset(&self) -> Option<i64> {
        self.clock_offset.lock().ok().and_then(|offset| *offset)
    }
}

impl HttpConnector for Connector {
    /// The response is read to its end here, so that one that breaks off or is too long is an error of
    /// every caller.
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let Self { route, client, clock_offset } = self.clone();
        HttpConnectorFuture::new(async move {
            let request = request.try_into_http1x();
            let mut request = request.map_err(|error| ConnectorError::user(error.into()))?;
            let authorization = route.proxy.as_ref().and_then(|proxy| proxy.authorization.as_ref());
            if let Some(authorization) = authorization.filter(|_| route.is_forwarded()) {
                request.headers_mut().insert(PROXY_AUTHORIZATION, authorization.clone());
            }
            let response = client.request(request).await;
            let (head, body) =
                response.map_err(|error| connector_error(error.into()))?.into_parts();
            let body = body.collect().await.map_err(|error| connector_error(error.into()))?;
            let body = SdkBody::from(body.to_bytes());
            let response = HttpResponse::try_from(Response::from_parts(head, body))
                .map_err(|error| ConnectorError::other(error.into(), None))?;
            let date = response.headers().get("date").and_then(http_date);
            if let (Some(date), Ok(mut offset)) = (date, clock_offset.lock()) {
                *offset = Some(date.seconds_since(Clock::system().now()));
            }
            Ok(response)
        })
    }
}

/// The time in a `Date` header.
pub fn http_date(date: &str) -> Option<Timestamp> {
    DateTime::from_str(date, Format::HttpDate).ok().map(|date| Timestamp(date.secs()))
}

/// The same error for the SDK, which repeats a request after an error that is transient.
fn connector_error(error: BoxError) -> ConnectorError {
    match TransportError::below(&*error) {
        Some(TransportError::TooLarge | TransportError::NoAddress | TransportError::NoResolver) => {
            ConnectorError::other(error, None)
        }
        Some(TransportError::ConnectTimeout) => ConnectorError::timeout(error),
        Some(TransportError::Tcp(_) | TransportError::Tls(_)) => ConnectorError::io(error),
        None => ConnectorError::other(error, Some(ErrorKind::TransientError)),
    }
}
