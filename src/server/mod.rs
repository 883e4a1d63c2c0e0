//! Credentials over HTTP, as AWS's SDKs ask a container's agent for them ("Container credential
//! provider"): a GET with a token, answered out of memory, and renewed ahead of time.
//!
//! | file | what |
//! | --- | --- |
//! | `answers` | the credentials that are served now, by path |
//! | `request` | which requests are answered |
//! | `imds` | the same credentials as an EC2 instance's metadata service gives them |
//! | `connections` | the limit of connections, and which one is closed for a new one |
//! | `event` | what is logged |
//! | `listen` | the event loop, the one asynchronous part |
//! | `renewal` | when a session is renewed |
//! | `token_file` | the token in a file, for clients that read it from nowhere else |
//! | `check` | the client of the health check, for probes |
//!
//! A request never waits for AWS: clients give up after two seconds.

mod answers;
mod check;
mod connections;
mod event;
mod imds;
mod listen;
mod renewal;
mod request;
mod token_file;

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use zeroize::Zeroizing;

use self::answers::Answers;
use self::imds::Imds;
use self::listen::{ServerState, Sockets};
use self::renewal::Renewal;
use self::request::Rules;
use crate::clock::{Clock, Timestamp};
use crate::credential::Credentials;
use crate::error::{Error, Result};
use crate::secret::Secret;

pub use check::check;
pub use event::{Event, Log};
pub use request::{HEALTH, path};
pub use token_file::TokenFile;

/// The longest sleep: the time may have jumped when a machine wakes from suspension.
const STEP: Duration = Duration::from_secs(20);

/// The credentials of one profile, and how they are renewed.
pub struct Source {
    /// The profile's name, of which the path is made.
    pub name: String,
    pub first: Credentials,
    /// How long a new session lasts, as far as is known.
    pub length: Duration,
    /// Gets credentials that last at least this long. It runs on a thread of its own.
    pub fetch: Box<dyn Fn(Duration) -> Result<Credentials> + Send>,
}

/// A server whose sockets are bound.
pub struct Server {
    sockets: Sockets,
    address: SocketAddr,
    token: Secret,
    /// The address of the metadata service, and whether it answers as version 1 too.
    imds: Option<(SocketAddr, bool)>,
    region: Option<String>,
}

impl Server {
    /// Binds the address (port 0: any that is free) and makes a new token of 256 bits. Connections wait
    /// until [`Server::start`].
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let mut random = Zeroizing::new([0; 32]);
        getrandom::getrandom(&mut *random)?;
        let token = Secret::new(BASE64.encode(*random));
        let (sockets, address) = Sockets::bind(address)?;
        Ok(Self { sockets, address, token, imds: None, region: None })
    }

    /// Serves the health check on a Unix socket too, to processes of this user and of root. The file must
    /// not exist yet.
    pub fn bind_local(&mut self, path: &Path) -> io::Result<()> {
        self.sockets.bind_local(path)
    }

    /// Serves as an EC2 instance's metadata service at this address too: every process that can connect
    /// gets the credentials of the first source, without the server's token. `v1`: also without the
    /// session token of version 2. The result is the address with its port.
    pub fn bind_imds(&mut self, address: SocketAddr, v1: bool) -> io::Result<SocketAddr> {
        let address = self.sockets.bind_imds(address)?;
        self.imds = Some((address, v1));
        Ok(address)
    }

    /// The region that the metadata service returns, if any.
    pub fn set_region(&mut self, region: Option<String>) {
        self.region = region;
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The token that clients send in `Authorization`.
    pub fn token(&self) -> &Secret {
        &self.token
    }

    /// The URL of one name's credentials.
    pub fn url(&self, name: &str) -> String {
        format!("http://{}{}", self.address, path(name))
    }

    /// Serves until the process ends, and renews each source on a thread of its own. No thread is waited for
    /// at the end: a renewal that waits for AWS could not be cancelled.
    ///
    /// # Errors
    /// Other: a thread cannot be started, or there is no randomness. The process is to end then, too.
    pub fn start(self, sources: Vec<Source>, clock: Clock, log: &Log) -> Result<()> {
        let first = sources.iter().map(|source| (source.name.as_str(), &source.first));
        let answers = Answers::new(first);
        let imds = match (self.imds, sources.first()) {
            (Some((address, v1)), Some(Source { name, first, .. })) => {
                Some(Imds::new(address, v1, name, self.region, first, clock.now())?)
            }
            _ => None,
        };
        let rules = Rules::new(self.address, self.token);
        let state = Arc::new(ServerState::new(answers, rules, imds, clock, log));
        let (sockets, served) = (self.sockets, Arc::clone(&state));
        start_thread("server", move || sockets.serve(served))?;
        for (at, source) in sources.into_iter().enumerate() {
            let (state, log) = (Arc::clone(&state), Arc::clone(log));
            start_thread("renewal", move || {
                renew_for_ever(source, clock, &log, &|credentials| state.replace(at, credentials));
            })?;
        }
        Ok(())
    }
}

fn start_thread(name: &str, run: impl FnOnce() + Send + 'static) -> Result<()> {
    let started = std::thread::Builder::new().name(name.to_owned()).spawn(run);
    started.map(drop).map_err(|_| Error::other("cannot start a thread"))
}

/// Renews one source, on a thread of its own: a renewal that hangs takes 50 s, so that a thread that
/// renewed several sources in turn would let the credentials of the last ones end.
fn renew_for_ever(source: Source, clock: Clock, log: &Log, serve: &dyn Fn(&Credentials)) {
    let Source { name, first, length, fetch } = source;
    let mut renewal = Renewal::new(&first, length);
    // A copy that stays here would outlive the session.
    drop(first);
    loop {
        let wait = renewal.wait(clock.now());
        if wait.is_zero() {
            renew(&name, &*fetch, &mut renewal, clock, log, serve);
        } else {
            std::thread::sleep(wait.min(STEP));
        }
    }
}

fn renew(
    name: &str,
    fetch: &dyn Fn(Duration) -> Result<Credentials>,
    renewal: &mut Renewal,
    clock: Clock,
    log: &Log,
    serve: &dyn Fn(&Credentials),
) {
    let fetched = fetch(renewal.least(clock.now()));
    match fetched.and_then(|credentials| not_ended(credentials, clock.now())) {
        Ok(credentials) if renewal.replaced_by(clock.now(), &credentials) => {
            serve(&credentials);
            log(Event::Renewed { name, ends: renewal.ends() });
        }
        // The old ones once more, after a warning.
        Ok(_) => {}
        Err(error) => {
            renewal.failed(clock.now());
            log(Event::Failed { name, error: &error });
        }
    }
}

/// Refuses a session that has ended by this host's clock. AWS gives none, so the clock is far ahead, and
/// renewals would follow each other without a pause.
fn not_ended(credentials: Credentials, now: Timestamp) -> Result<Credentials> {
    match credentials.expiration {
        Some(end) if end <= now => Err(Error::other(format!(
            "the new ones ended at {}, and by this host's clock it is {}",
            end.to_rfc3339(),
            now.to_rfc3339()
        ))),
        _ => Ok(credentials),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn a_clock_that_is_ahead_does_not_make_renewals_follow_each_other() {
        let session = || Credentials {
            expiration: Some(Timestamp(3600)),
            ..Credentials::long_term("ASIA1".to_owned(), Secret::new("secret".to_owned()))
        };
        let length = Duration::from_secs(3600);
        let now = Timestamp(100_000);
        let mut renewal = Renewal::new(&session(), length);
        let log: Log = Arc::new(|event| match event {
            Event::Failed { name: "prod", error } => assert_eq!(
                error.what,
                "the new ones ended at 1970-01-01T01:00:00Z, and by this host's clock it is \
                 1970-01-02T03:46:40Z"
            ),
            other => panic!("{other:?}"),
        });
        let served = Cell::new(0);
        let (clock, serve) = (Clock::fixed(now), |_: &Credentials| served.set(served.get() + 1));
        renew("prod", &|_| Ok(session()), &mut renewal, clock, &log, &serve);
        assert_eq!((served.get(), renewal.wait(now).as_secs()), (0, 5));
    }
}
