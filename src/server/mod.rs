//! Credentials over HTTP, as AWS's SDKs ask a container's agent for them ("Container credential
//! provider"): a GET with a token, answered out of memory, and renewed ahead of time.
//!
//! | file | what |
//! | --- | --- |
//! | `answers` | what is served now, by path |
//! | `request` | which requests get anything at all |
//! | `imds` | the same credentials as an EC2 instance's metadata service gives them |
//! | `connections` | how many there may be, and which one has to go |
//! | `listen` | the event loop, the one asynchronous part |
//! | `keeper` | when a session is asked for again |
//! | `token_file` | the token in a file, for clients that read it from nowhere else |
//! | `check` | the other side, for probes |
//!
//! A request never waits for AWS: who asks gives up after two seconds.

mod answers;
mod check;
mod connections;
mod imds;
mod keeper;
mod listen;
mod request;
mod token_file;

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use zeroize::Zeroizing;

use self::answers::Answers;
use self::imds::Imds;
use self::keeper::Keeper;
use self::listen::{All, Sockets};
use self::request::Rules;
use crate::clock::{Clock, Timestamp};
use crate::credential::Credentials;
use crate::error::{Error, Result};
use crate::secret::Secret;

pub use check::check;
pub use request::path;
pub use token_file::TokenFile;

/// Nobody sleeps longer: a machine that slept has another time when it wakes.
const STEP: Duration = Duration::from_secs(20);

/// Where readiness is told. It takes no token and tells no secret.
pub const HEALTH: &str = "/health";

/// Where credentials of one name come from, again and again.
pub struct Source<'a> {
    /// The profile; the path is made of it.
    pub name: String,
    /// What is served at first.
    pub first: Credentials,
    /// How long a new session lasts, as far as is known.
    pub length: Duration,
    /// Gets credentials that last at least so long. It runs on a thread of its own.
    pub fetch: Box<dyn Fn(Duration) -> Result<Credentials> + Send + 'a>,
}

/// What happens while a server runs, for who keeps a log.
#[derive(Debug)]
pub enum Event<'a> {
    /// New credentials are served.
    Renewed {
        /// Whose.
        name: &'a str,
        /// When they end.
        ends: Timestamp,
    },
    /// There are none, and the old ones have ended or will soon.
    Failed {
        /// Whose.
        name: &'a str,
        /// Why.
        error: &'a Error,
    },
    /// A request got nothing: why, and how many others since this was said before.
    Refused {
        /// The reason.
        why: &'static str,
        /// How many others were refused since the last event of this kind.
        others: u64,
    },
}

/// Keeps the log.
pub type Log = Arc<dyn Fn(Event<'_>) + Send + Sync>;

/// A socket that is bound, and the token that opens it.
pub struct Server {
    sockets: Sockets,
    address: SocketAddr,
    token: Secret,
    instance: Option<Instance>,
}

/// What an instance metadata service needs to know.
struct Instance {
    address: SocketAddr,
    v1: bool,
    region: Option<String>,
}

impl Server {
    /// Binds the address (port 0: any that is free) and makes a new token of 256 bits. Connections wait
    /// until [`Server::run`].
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let mut random = Zeroizing::new([0; 32]);
        getrandom::getrandom(&mut *random)?;
        let token = Secret::new(BASE64.encode(*random));
        let (sockets, address) = Sockets::bind(address)?;
        Ok(Self { sockets, address, token, instance: None })
    }

    /// Tells readiness on a Unix socket too, to processes of this user and of root. The file must not
    /// be there yet.
    pub fn bind_local(&mut self, path: &Path) -> io::Result<()> {
        self.sockets.bind_local(path)
    }

    /// Stands in for an EC2 instance's metadata service at this address, too: whoever reaches it gets
    /// the credentials of the first source, without the server's token. `v1`: also without the session
    /// token of version 2. It gives where it listens.
    pub fn bind_imds(&mut self, address: SocketAddr, v1: bool) -> io::Result<SocketAddr> {
        let address = self.sockets.bind_imds(address)?;
        self.instance = Some(Instance { address, v1, region: None });
        Ok(address)
    }

    /// The region that the metadata service tells; without one it tells none.
    pub fn set_region(&mut self, region: Option<String>) {
        if let Some(instance) = &mut self.instance {
            instance.region = region;
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What goes into `Authorization`.
    pub fn token(&self) -> &Secret {
        &self.token
    }

    /// The URL of one name's credentials.
    pub fn url(&self, name: &str) -> String {
        format!("http://{}{}", self.address, path(name))
    }

    /// Serves, and renews each source on a thread of its own, until `meanwhile` returns, and ends the
    /// process with its answer: a renewal that waits for AWS could not be called off otherwise.
    ///
    /// # Errors
    /// No thread or no randomness from the system; `meanwhile` was not called.
    pub fn run(
        mut self,
        sources: Vec<Source<'_>>,
        clock: Clock,
        log: &Log,
        meanwhile: impl FnOnce() -> u8,
    ) -> Result<std::convert::Infallible> {
        let first = sources.iter().map(|source| (source.name.as_str(), &source.first));
        let answers = Arc::new(Answers::new(first));
        let imds = self.imds(sources.first(), clock.now())?.map(Arc::new);
        let rules = Rules::new(self.address, self.token);
        let sockets = self.sockets;
        let all = All { answers: Arc::clone(&answers), rules, imds: imds.clone() };
        let log_too = Arc::clone(log);
        std::thread::Builder::new()
            .name("server".to_owned())
            .spawn(move || sockets.serve(all, clock, log_too))
            .map_err(no_thread)?;
        let serve = |at: usize, credentials: &Credentials| {
            answers.replace(at, credentials);
            if let Some(imds) = imds.as_ref().filter(|_| at == 0) {
                imds.replace(credentials, clock.now());
            }
        };
        let serve = &serve;
        std::thread::scope(|scope| {
            // The scope waits for its threads, and a renewal never ends. So no thread gets its source
            // before all are started; if one cannot be started, the others end without a source.
            let start = |at: usize| {
                let (give, take) = mpsc::channel();
                let renewal = move || {
                    if let Ok(source) = take.recv() {
                        keep(source, clock, log, &|credentials| serve(at, credentials));
                    }
                };
                let builder = std::thread::Builder::new().name("renewal".to_owned());
                builder.spawn_scoped(scope, renewal).map(|_| give).map_err(no_thread)
            };
            let threads = (0..sources.len()).map(start).collect::<Result<Vec<_>>>()?;
            for (thread, source) in threads.into_iter().zip(sources) {
                // Each thread waits for its source, so none has ended yet.
                let _ = thread.send(source);
            }
            std::process::exit(i32::from(meanwhile()))
        })
    }
}

impl Server {
    /// The metadata service that was asked for, with the first source's credentials.
    fn imds(&mut self, first: Option<&Source<'_>>, now: Timestamp) -> Result<Option<Imds>> {
        let (Some(instance), Some(source)) = (self.instance.take(), first) else { return Ok(None) };
        let Instance { address, v1, region } = instance;
        let made = Imds::new(address, v1, &source.name, region, &source.first, now);
        made.map(Some).map_err(|_| Error::other("no randomness can be had from the system"))
    }
}

fn no_thread(_: io::Error) -> Error {
    Error::other("no thread can be had from the system")
}

/// Renews one source for ever, on a thread of its own: a renewal that hangs takes 50 s, so a thread that
/// renewed several sources in turn would let the credentials of the last ones end.
fn keep(source: Source<'_>, clock: Clock, log: &Log, serve: &dyn Fn(&Credentials)) {
    let Source { name, first, length, fetch } = source;
    let mut keeper = Keeper::new(&first, length);
    // A copy that stays here would outlive the session.
    drop(first);
    loop {
        let wait = keeper.wait(clock.now());
        if wait.is_zero() {
            renew(&name, &*fetch, &mut keeper, clock, log, serve);
        } else {
            std::thread::sleep(wait.min(STEP));
        }
    }
}

fn renew(
    name: &str,
    fetch: &dyn Fn(Duration) -> Result<Credentials>,
    keeper: &mut Keeper,
    clock: Clock,
    log: &Log,
    serve: &dyn Fn(&Credentials),
) {
    let fetched = fetch(keeper.least(clock.now()));
    match fetched.and_then(|credentials| not_ended(credentials, clock.now())) {
        Ok(credentials) if keeper.took(clock.now(), &credentials) => {
            serve(&credentials);
            log(Event::Renewed { name, ends: keeper.ends() });
        }
        // The old ones once more; who gave them has said why.
        Ok(_) => {}
        Err(error) => {
            keeper.failed(clock.now());
            log(Event::Failed { name, error: &error });
        }
    }
}

/// AWS gives no session that has ended. By a clock that is far ahead it seems so, and a renewal that
/// believed it would be due at once, again and again.
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
        let mut keeper = Keeper::new(&session(), length);
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
        renew("prod", &|_| Ok(session()), &mut keeper, clock, &log, &serve);
        assert_eq!((served.get(), keeper.wait(now).as_secs()), (0, 5));
    }
}
