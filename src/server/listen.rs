//! The event loop: accepts, lets hyper read requests within limits, answers out of memory.

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

use super::answers::{Answers, Found};
use super::connections::{Connections, Mark, capacity};
use super::imds::{Imds, Reply, TTL};
use super::request::{Asked, Refusal, Rules};
use super::{Event, Log};
use crate::clock::Clock;
use crate::os;

/// The kernel keeps so many that were not accepted yet; beyond, who connects waits a second at least.
const BACKLOG: u32 = 4096;
/// From the connection, or the last answer, to the end of a request's headers.
const HEADERS: Duration = Duration::from_secs(5);
/// The life of a connection: also of one whose other side reads no answers.
const LIFE: Duration = Duration::from_secs(300);
/// The most bytes and the most lines of a request's head.
const HEAD: usize = 8 * 1024;
const LINES: usize = 32;
/// One line about refused requests in such a time.
const QUIET: Duration = Duration::from_secs(60);

const READY: &[u8] = b"{\"status\":\"ready\"}";

/// The sockets, and the loop that will serve them.
pub(super) struct Sockets {
    runtime: Runtime,
    tcp: TcpListener,
    local: Option<UnixListener>,
    imds: Option<TcpListener>,
}

/// What is served, by each of the sockets.
pub(super) struct All {
    pub(super) answers: Arc<Answers>,
    pub(super) rules: Rules,
    pub(super) imds: Option<Arc<Imds>>,
}

/// The socket that a request came by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Door {
    /// The one for clients that have the token.
    Container,
    /// The Unix socket, which tells readiness.
    Local,
    /// The one that stands for an instance's metadata service.
    Instance,
}

/// All that a request is answered from.
struct ServerState {
    all: All,
    clock: Clock,
    connections: Connections<AbortHandle>,
    refused: Refused,
    log: Log,
}

impl Sockets {
    pub(super) fn bind(address: SocketAddr) -> io::Result<(Self, SocketAddr)> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let tcp = listen(&runtime, address)?;
        let address = tcp.local_addr()?;
        Ok((Self { runtime, tcp, local: None, imds: None }, address))
    }

    /// Listens as an instance's metadata service too; where it does. Packets go one hop far, as EC2's
    /// do unless told otherwise, so that no router carries an answer elsewhere.
    pub(super) fn bind_imds(&mut self, address: SocketAddr) -> io::Result<SocketAddr> {
        let tcp = listen(&self.runtime, address)?;
        tcp.set_ttl(1)?;
        let address = tcp.local_addr()?;
        self.imds = Some(tcp);
        Ok(address)
    }

    /// Listens on a Unix socket too, where only readiness is told, to this user and root.
    pub(super) fn bind_local(&mut self, path: &Path) -> io::Result<()> {
        let _inside = self.runtime.enter();
        self.local = Some(UnixListener::bind(path)?);
        Ok(())
    }

    /// Serves for ever.
    pub(super) fn serve(self, all: All, clock: Clock, log: Log) {
        let connections = Connections::new(capacity(os::open_files()));
        let refused = Refused::default();
        let state = Arc::new(ServerState { all, clock, connections, refused, log });
        let Self { runtime, tcp, local, imds } = self;
        if let Some(local) = local {
            runtime.spawn(accept_local(Arc::clone(&state), local));
        }
        if let Some(imds) = imds {
            runtime.spawn(accept(Arc::clone(&state), imds, Door::Instance));
        }
        // A task among the others: what block_on polls itself comes round oftener than they do.
        let accepting = runtime.spawn(accept(state, tcp, Door::Container));
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

async fn accept(state: Arc<ServerState>, listener: TcpListener, door: Door) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // An answer is one small write; nobody has to wait for a fuller packet.
                let _ = stream.set_nodelay(true);
                enter(&state, stream, door).await;
                // Those who are in come before those at the door.
                tokio::task::yield_now().await;
            }
            Err(error) => rest_after(&error).await,
        }
    }
}

async fn accept_local(state: Arc<ServerState>, listener: UnixListener) {
    let own = os::effective_uid();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                if stream.peer_cred().is_ok_and(|peer| [0, own].contains(&peer.uid())) {
                    enter(&state, stream, Door::Local).await;
                }
            }
            Err(error) => rest_after(&error).await,
        }
    }
}

/// A connection that was broken off concerns nobody; without descriptors or memory, a moment's rest
/// keeps this from spinning.
async fn rest_after(error: &io::Error) {
    if error.kind() != io::ErrorKind::ConnectionAborted {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Takes a connection in; another one may have to go.
async fn enter<S>(state: &Arc<ServerState>, stream: S, door: Door)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (number, mark, gone) = loop {
        match state.connections.enter(Instant::now()) {
            Ok(entered) => break entered,
            Err(wait) => tokio::time::sleep(wait).await,
        }
    };
    for gone in gone {
        gone.abort();
    }
    let own = Arc::clone(state);
    let task = tokio::spawn(async move {
        let served = converse(&own, stream, &mark, door);
        // How a connection ends is the other side's affair.
        let _ = tokio::time::timeout(LIFE, served).await;
        own.connections.leave(number);
    });
    state.connections.ends_by(number, task.abort_handle());
}

async fn converse<S>(
    state: &Arc<ServerState>,
    stream: S,
    mark: &Mark,
    door: Door,
) -> hyper::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(|request: Request<Incoming>| {
        std::future::ready(Ok::<_, Infallible>(state.answer(&request, mark, door)))
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
    fn answer(
        &self,
        request: &Request<Incoming>,
        mark: &Mark,
        door: Door,
    ) -> Response<Full<Bytes>> {
        let now = self.clock.now();
        if let (Door::Instance, Some(imds)) = (door, &self.all.imds) {
            return match imds.answer(request, now) {
                Ok(Reply::Token(token, life)) => last(text(token.into(), Some(life))),
                Ok(Reply::Text(body)) => {
                    self.connections.trust(mark);
                    text(body, None)
                }
                Err(refusal) => self.refuse(refusal),
            };
        }
        match self.all.rules.judge(request, door == Door::Local) {
            Ok(Asked::Credentials(path)) => {
                self.connections.trust(mark);
                match self.all.answers.get(path, now) {
                    Found::Body(body) => json(StatusCode::OK, body),
                    Found::Ended => self.refuse(Refusal::Ended),
                    Found::Nothing => self.refuse(Refusal::Path),
                }
            }
            Ok(Asked::Health) if self.all.answers.ready(now) => {
                last(json(StatusCode::OK, Bytes::from_static(READY)))
            }
            Ok(Asked::Health) => self.refuse(Refusal::Ended),
            Err(refusal) => self.refuse(refusal),
        }
    }

    fn refuse(&self, refusal: Refusal) -> Response<Full<Bytes>> {
        let (code, message) = refusal.words();
        // That credentials have ended is said by who could not renew them.
        if refusal != Refusal::Ended
            && let Some(others) = self.refused.count(Instant::now())
        {
            (self.log)(Event::Refused { why: message, others });
        }
        let body = format!("{{\"code\":\"{code}\",\"message\":\"{message}\"}}");
        let mut response = last(json(refusal.status(), body.into()));
        if refusal == Refusal::Method {
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET"));
        }
        response
    }
}

/// Without the token a connection gets one answer: who sent a thousand requests at once would have the
/// loop to itself.
fn last(mut response: Response<Full<Bytes>>) -> Response<Full<Bytes>> {
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

/// As an instance's metadata service gives it, JSON too; with a token's life in seconds.
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

/// Counts refused requests between two lines about them.
#[derive(Default)]
struct Refused {
    said: Mutex<Option<Instant>>,
    others: AtomicU64,
}

impl Refused {
    /// One more; if it is time to say so, how many there were since.
    fn count(&self, now: Instant) -> Option<u64> {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.is_some_and(|said| now.saturating_duration_since(said) < QUIET) {
            self.others.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        *said = Some(now);
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
    fn refusals_are_counted_and_said_once_a_minute() {
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
