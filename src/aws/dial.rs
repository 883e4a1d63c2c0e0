//! From a host name to a TCP connection by RFC 8305 ("Happy Eyeballs"): neither an address family without an
//! answer from the resolver nor an address that does not connect delays another one.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::OnceLock;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};

use super::transport_error::TransportError;
use crate::origin::Origin;
use crate::os::{self, Family};

/// For the look-up of a name. A resolver of resolv.conf(5) has 5 s before the next is asked.
pub const LOOK_UP_TIMEOUT: Duration = Duration::from_secs(20);
/// How long the look-up of both families is waited for before each is looked up alone.
const TOGETHER: Duration = Duration::from_millis(250);
/// How long one family's addresses wait for the other's (RFC 8305, section 3, "Resolution Delay").
const OTHER_FAMILY: Duration = Duration::from_millis(50);
/// The next address is tried after this time beside those before it (section 5, "Connection Attempt Delay").
const NEXT_ADDRESS: Duration = Duration::from_millis(250);

/// A server or proxy to connect to.
pub struct Peer {
    name: String,
    port: u16,
    found: OnceLock<Vec<SocketAddr>>,
}

impl Peer {
    /// Looks nothing up yet.
    pub fn new(origin: &Origin) -> Self {
        Self { name: origin.host.clone(), port: origin.port, found: OnceLock::new() }
    }

    /// Its addresses, in the order to try them; they are looked up once, within [`LOOK_UP_TIMEOUT`].
    pub async fn look_up(&self) -> Result<&[SocketAddr], TransportError> {
        if let Some(found) = self.found.get() {
            return Ok(found);
        }
        let mut found = match self.name.parse::<IpAddr>() {
            Ok(address) => vec![SocketAddr::new(address, self.port)],
            Err(_) => {
                let asked = timeout(LOOK_UP_TIMEOUT, addresses(&self.name)).await;
                asked.map_err(|_| TransportError::NoResolver)?
            }
        };
        if found.is_empty() {
            return Err(TransportError::NoAddress);
        }
        found.iter_mut().for_each(|address| address.set_port(self.port));
        Ok(self.found.get_or_init(|| alternating(found)))
    }
}

/// The addresses by getaddrinfo(3). Both families are looked up together, so that its order and /etc/hosts
/// count; but it returns nothing before both are answered or have timed out, and nothing at all if one fails.
/// So if that takes long or finds nothing, each family is looked up alone.
///
/// A look-up is in a thread that cannot be interrupted, and is left running if another one is faster.
async fn addresses(name: &str) -> Vec<SocketAddr> {
    let mut asked = JoinSet::new();
    let ask = |asked: &mut JoinSet<_>, family| {
        let (send, found) = oneshot::channel();
        let name_there = name.to_owned();
        let work = move || {
            // The receiver may be gone.
            let _ = send.send(os::addresses(&name_there, family));
        };
        if std::thread::Builder::new().spawn(work).is_err() {
            // No thread can be started (RLIMIT_NPROC, a cgroup), so it blocks here.
            let found = os::addresses(name, family);
            asked.spawn(async move { (family, found) });
        } else {
            asked.spawn(async move { (family, found.await.unwrap_or_default()) });
        }
    };
    ask(&mut asked, Family::Any);
    if let Ok(Some(Ok((_, both)))) = timeout(TOGETHER, asked.join_next()).await
        && !both.is_empty()
    {
        return both;
    }
    ask(&mut asked, Family::V4);
    ask(&mut asked, Family::V6);
    let (mut v4, mut v6) = (None, None);
    let mut end: Option<Instant> = None;
    while v4.is_none() || v6.is_none() {
        let next = asked.join_next();
        let next = match end {
            Some(end) => timeout_at(end, next).await.unwrap_or(None),
            None => next.await,
        };
        match next {
            Some(Ok((Family::Any, both))) if !both.is_empty() => return both,
            Some(Ok((Family::Any, _))) => continue,
            Some(Ok((Family::V4, found))) => v4 = Some(found),
            Some(Ok((Family::V6, found))) => v6 = Some(found),
            Some(Err(_)) | None => break,
        }
        if [&v4, &v6].into_iter().flatten().any(|found| !found.is_empty()) {
            end = Some(Instant::now() + OTHER_FAMILY);
        }
    }
    // IPv6 first, as in getaddrinfo's order if both can be reached.
    [v6, v4].into_iter().flatten().flatten().collect()
}

/// Alternates the families, beginning with the first address's (RFC 8305, section 4).
fn alternating(found: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v6 = found.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) =
        found.into_iter().partition(|address| address.is_ipv6() == first_is_v6);
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    let mut turns = Vec::new();
    loop {
        let before = turns.len();
        turns.extend(first.next());
        turns.extend(second.next());
        if turns.len() == before {
            return turns;
        }
    }
}

/// The first connection that succeeds. If none does, a refusal is the error rather than an unreachable
/// address, which says less.
pub(super) async fn connect(addresses: &[SocketAddr]) -> io::Result<TcpStream> {
    let mut tries = JoinSet::new();
    let mut left = addresses.iter();
    let mut why: Option<io::Error> = None;
    loop {
        let next = left.next();
        if let Some(address) = next {
            tries.spawn(TcpStream::connect(*address));
        }
        let wait = if left.len() > 0 { NEXT_ADDRESS } else { Duration::MAX };
        match timeout(wait, tries.join_next()).await {
            Ok(Some(Ok(Ok(stream)))) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Ok(Some(Ok(Err(error)))) => {
                if why.is_none() || error.kind() == io::ErrorKind::ConnectionRefused {
                    why = Some(error);
                }
            }
            Ok(None) if next.is_none() => {
                return Err(why.unwrap_or_else(|| io::ErrorKind::NotConnected.into()));
            }
            Ok(None | Some(Err(_))) | Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run<T>(work: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(work)
    }

    #[test]
    fn families_take_turns() {
        let order = |found: &[&str]| {
            let found = found.iter().map(|address| address.parse().unwrap()).collect();
            alternating(found).iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(
            order(&["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1"]),
            ["[::1]:1", "1.1.1.1:1", "[::2]:1", "[::3]:1"]
        );
        assert_eq!(order(&["1.1.1.1:1", "2.2.2.2:1"]), ["1.1.1.1:1", "2.2.2.2:1"]);
        assert!(order(&[]).is_empty());
    }

    #[test]
    fn an_address_is_not_looked_up() {
        for socket in ["192.0.2.1:443", "[fd00::1]:443"] {
            let peer = Peer::new(&Origin::parse(&format!("https://{socket}")).unwrap());
            let found = run(peer.look_up()).unwrap();
            assert_eq!(found, [socket.parse().unwrap()]);
        }
    }

    #[test]
    fn the_next_address_is_tried_after_one_that_refuses() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let open = listener.local_addr().unwrap();
        let closed = {
            let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            gone.local_addr().unwrap()
        };
        let stream = run(connect(&[closed, open])).unwrap();
        assert_eq!(stream.peer_addr().unwrap(), open);
        let error = run(connect(&[closed, "0.0.0.0:0".parse().unwrap()])).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        assert!(run(connect(&[])).is_err());
    }

    #[test]
    fn the_next_address_is_tried_beside_one_that_does_not_answer() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let open = listener.local_addr().unwrap();
        // TEST-NET-1 (RFC 5737): no host has the address, or there is no route to it.
        let silent = "192.0.2.1:9".parse().unwrap();
        let stream = run(connect(&[silent, open])).unwrap();
        assert_eq!(stream.peer_addr().unwrap(), open);
    }
}
