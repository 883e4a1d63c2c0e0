//! The event loop: accepts connections, lets hyper read requests within limits, answers from memory.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, UnixListener};
use tokio::runtime::{Builder, Runtime};
use tokio::task::AbortHandle;

use super::answers::Answers;
use super::connections::{Connections, Mark, capacity};
use super::event::{Event, Log};
use super::imds::{Imds, Reply, TTL};
use super::request::{Allowed, Refusal, Rules};
use crate::clock::Clock;
use crate::credential::Credentials;
use crate::os;

/// The connections that the kernel keeps until they are accepted; any other client waits at least a second.
const BACKLOG: u32 = 4096;
/// From the connection, or the last response, to the end of a request's headers.
const HEADERS: Duration = Duration::from_secs(5);
/// The longest life of a connection, also of one whose client reads no responses.
const LIFE: Duration = Duration::from_secs(300);
/// The limits of a request's head: bytes and lines.
const HEAD: usize = 8 * 1024;
const LINES: usize = 32;
/// The least time between two log lines about refused requests.
const QUIET: Duration = Duration::from_secs(60);

const READY: &[u8] = b"{\"status\":\"ready\"}";

/// The sockets, and the loop that will serve them.
pub(super) struct Sockets {
    runtime: Runtime,
    tcp: TcpListener,
    local: Option<UnixListener>,
    imds: Option<TcpListener>,
}

/// The listener that accepted a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Listener {
    /// For clients that have the token.
    Container,
    /// The Unix socket, for the health check only.
    Local,
    /// The instance's metadata service.
    Instance,
}

/// All that a request is answered from.
pub(super) struct ServerState {
    answers: Answers,
    rules: Rules,
    imds: Option<Imds>,
    clock: Clock,
    log: Log,
    connections: Connections<AbortHandle>,
    refused: Refused,
}

impl Sockets {
    pub(super) fn bind(address: SocketAddr) -> io::Result<(Self, SocketAddr)> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let tcp = listen(&runtime, address)?;
        let address = tcp.local_addr()?;
        Ok((Self { runtime, tcp, local: None, imds: None }, address))
    }

    /// Listens as an instance's metadata service too, at the address that is returned. Packets go one hop
    /// far, as EC2's do by default, so that no router forwards a response.
    pub(super) fn bind_imds(&mut self, address: SocketAddr) -> io::Result<SocketAddr> {
        let tcp = listen(&self.runtime, address)?;
        tcp.set_ttl(1)?;
        let address = tcp.local_addr()?;
        self.imds = Some(tcp);
        Ok(address)
    }

    /// Listens on a Unix socket too, for the health check by this user and root.
    pub(super) fn bind_local(&mut self, path: &Path) -> io::Result<()> {
        let _inside = self.runtime.enter();
        self.local = Some(UnixListener::bind(path)?);
        Ok(())
    }

    /// Serves for ever.
    pub(super) fn serve(self, state: Arc<ServerState>) {
        let Self { runtime, tcp, local, imds } = self;
        if let Some(local) = local {
            runtime.spawn(accept_local(Arc::clone(&state), local));
        }
        if let Some(imds) = imds {
            runtime.spawn(accept(Arc::clone(&state), imds, Listener::Instance));
        }
        // A task among the others: what block_on polls itself comes round oftener than they do.
        let accepting = runtime.spawn(accept(state, tcp, Listener::Container));
        let _ = runtime.block_on(accepting);
    }
}

fn listen(runtime: &Runtime, address: SocketAddr) -> io::Result<TcpListener> {
    let _inside = runtime.enter();
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A server that is started again finds its port free at once.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

async fn accept(state: Arc<ServerState>, socket: TcpListener, listener: Listener) {
    loop {
        match socket.accept().await {
            Ok((stream, _)) => {
                // A response is one small write, which must not wait for a fuller packet.
                let _ = stream.set_nodelay(true);
                start(&state, stream, listener).await;
                // Open connections come before new ones.
                tokio::task::yield_now().await;
            }
            Err(error) => pause_after(&error).await,
        }
    }
}

async fn accept_local(state: Arc<ServerState>, socket: UnixListener) {
    let own = os::effective_uid();
    loop {
        match socket.accept().await {
            Ok((stream, _)) => {
                if stream.peer_cred().is_ok_and(|peer| [0, own].contains(&peer.uid())) {
                    start(&state, stream, Listener::Local).await;
                }
            }
            Err(error) => pause_after(&error).await,
        }
    }
}

/// After an error for lack of descriptors or memory, a pause keeps the loop from spinning; after a client's
/// abort there is none.
async fn pause_after(error: &io::Error) {
    if error.kind() != io::ErrorKind::ConnectionAborted {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Starts a connection's task, if necessary after closing other connections.
async fn start(
    state: &Arc<ServerState>,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    listener: Listener,
) {
    let (number, mark, evicted) = loop {
        match state.connections.add(Instant::now()) {
            Ok(added) => break added,
            Err(wait) => tokio::time::sleep(wait).await,
        }
    };
    evicted.iter().for_each(AbortHandle::abort);
    let own = Arc::clone(state);
    let task = tokio::spawn(async move {
        let served = serve_connection(&own, stream, &mark, listener);
        // How a connection ends does not matter here.
        let _ = tokio::time::timeout(LIFE, served).await;
        own.connections.remove(number);
    });
    state.connections.set_end(number, task.abort_handle());
}

async fn serve_connection(
    state: &ServerState,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    mark: &Mark,
    listener: Listener,
) -> hyper::Result<()> {
    let service = service_fn(|request: Request<Incoming>| {
        std::future::ready(Ok::<_, Infallible>(state.answer(&request, mark, listener)))
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS)
        .max_buf_size(HEAD)
        .max_headers(LINES)
        .auto_date_header(false)
        .serve_connection(TokioIo::new(stream), service)
        .await
}

impl ServerState {
    pub(super) fn new(
        answers: Answers,
        rules: Rules,
        imds: Option<Imds>,
        clock: Clock,
        log: &Log,
    ) -> Self {
        let connections = Connections::new(capacity(os::open_files()));
        let (log, refused) = (Arc::clone(log), Refused::default());
        Self { answers, rules, imds, clock, log, connections, refused }
    }

    /// Serves new credentials of the source with this index.
    pub(super) fn replace(&self, at: usize, credentials: &Credentials) {
        self.answers.replace(at, credentials);
        if let Some(imds) = self.imds.as_ref().filter(|_| at == 0) {
            imds.replace(credentials, self.clock.now());
        }
    }

    fn answer(
        &self,
        request: &Request<Incoming>,
        mark: &Mark,
        listener: Listener,
    ) -> Response<Full<Bytes>> {
        let answered = match (listener, &self.imds) {
            (Listener::Instance, Some(imds)) => self.metadata(imds, request, mark),
            _ => self.credentials(request, mark, listener == Listener::Local),
        };
        answered.unwrap_or_else(|refusal| self.refuse(refusal))
    }

    fn metadata(
        &self,
        imds: &Imds,
        request: &Request<Incoming>,
        mark: &Mark,
    ) -> Result<Response<Full<Bytes>>, Refusal> {
        Ok(match imds.answer(request, self.clock.now())? {
            Reply::Token(token, life) => closing(text(token.into(), Some(life))),
            Reply::Text(body) => {
                self.connections.trust(mark);
                text(body, None)
            }
        })
    }

    fn credentials(
        &self,
        request: &Request<Incoming>,
        mark: &Mark,
        local: bool,
    ) -> Result<Response<Full<Bytes>>, Refusal> {
        let now = self.clock.now();
        match self.rules.judge(request, local)? {
            Allowed::Credentials(path) => {
                self.connections.trust(mark);
                Ok(json(StatusCode::OK, self.answers.get(path, now)?))
            }
            Allowed::Health if self.answers.ready(now) => {
                Ok(closing(json(StatusCode::OK, Bytes::from_static(READY))))
            }
            Allowed::Health => Err(Refusal::Ended),
        }
    }

    fn refuse(&self, refusal: Refusal) -> Response<Full<Bytes>> {
        let (status, code, message) = refusal.response();
        // That credentials have ended is logged where they could not be renewed.
        if refusal != Refusal::Ended
            && let Some(others) = self.refused.count(Instant::now())
        {
            (self.log)(Event::Refused { why: message, others });
        }
        let body = format!("{{\"code\":\"{code}\",\"message\":\"{message}\"}}");
        let mut response = closing(json(status, body.into()));
        if refusal == Refusal::Method {
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET"));
        }
        response
    }
}

/// Without the token a connection gets one response: a client with a thousand requests at once would have
/// the loop to itself.
fn closing(mut response: Response<Full<Bytes>>) -> Response<Full<Bytes>> {
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

/// As an instance's metadata service sends it, JSON too; with a token's lifetime in seconds.
fn text(body: Bytes, life: Option<i64>) -> Response<Full<Bytes>> {
    let mut response = of_type("text/plain", StatusCode::OK, body);
    if let Some(life) = life {
        response.headers_mut().insert(TTL, life.into());
    }
    response
}

fn json(status: StatusCode, body: Bytes) -> Response<Full<Bytes>> {
    of_type("application/json", status, body)
}

fn of_type(kind: &'static str, status: StatusCode, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Counts refused requests between two log lines about them.
#[derive(Default)]
struct Refused {
    logged: Mutex<Option<Instant>>,
    others: AtomicU64,
}

impl Refused {
    /// Counts one; if a line is due, how many others there were since the last.
    fn count(&self, now: Instant) -> Option<u64> {
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        if logged.is_some_and(|logged| now.saturating_duration_since(logged) < QUIET) {
            self.others.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        *logged = Some(now);
        Some(self.others.swap(0, Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_s_packets_go_one_hop_far() {
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let (mut sockets, _) = Sockets::bind(any).unwrap();
        let address = sockets.bind_imds(any).unwrap();
        let imds = sockets.imds.unwrap();
        let _client = std::net::TcpStream::connect(address).unwrap();
        let (stream, _) = sockets.runtime.block_on(imds.accept()).unwrap();
        assert_eq!((imds.ttl().unwrap(), stream.ttl().unwrap()), (1, 1));
    }

    #[test]
    fn refusals_are_counted_and_reported_once_a_minute() {
        let refused = Refused::default();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(refused.count(at(0)), Some(0));
        for second in 1..60 {
            assert_eq!(refused.count(at(second)), None);
        }
        assert_eq!(refused.count(at(60)), Some(59));
        assert_eq!(refused.count(at(61)), None);
    }
}
