//! A strict stand-in for AWS STS and IAM, in this process: query protocol in, XML out, plain HTTP on a
//! port of 127.0.0.1. It verifies signatures, tokens, codes and limits, obeys orders to fail, and
//! keeps a log of calls.

mod answer;
pub mod bucket;
mod call;
pub mod client;
pub mod http;
mod iam;
pub mod identity;
mod keys;
mod params;
mod rules;
mod signin;
pub mod sigv4;
mod sso;
pub mod time;
pub mod totp;
mod world;

use std::collections::VecDeque;
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

use answer::Refusal;
pub use call::Call;
use http::{Request, Response};
pub use iam::Device;
pub use keys::AccessKey;
use params::Params;
pub use sso::Person;
pub use world::{Issued, Role, User, World};

/// A way to fail, ordered by a test.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    /// 503 `SlowDown`
    SlowDown,
    /// 400 `Throttling`, "Rate exceeded"
    Throttling,
    /// 500 `InternalFailure`
    Internal,
    /// 403 `AccessDenied`, for a reason of the policies
    AccessDenied,
    /// 400 `IDPCommunicationError`
    IdentityProvider,
    /// 403 `InvalidClientTokenId`, as of a key that has not spread to this endpoint
    UnknownKey,
    /// 409 `LimitExceeded`
    LimitExceeded,
    /// An HTML page, as captive portals and proxies send it, with this status
    Html(u16),
    /// This status and no body
    Empty(u16),
    /// Answers, but only after this time
    Hang(Duration),
    /// Never answers; the connection stays until the stand-in is dropped
    HangForever,
    /// Closes the connection before anything is done
    DropBefore,
    /// Does what was asked (a code is spent), and closes the connection without an answer
    DropAfter,
}

/// The server. It ends when it is dropped.
pub struct StandIn {
    shared: Arc<Shared>,
    port: u16,
    listening: Option<JoinHandle<()>>,
}

struct Shared {
    state: Mutex<State>,
    /// Rung when the stand-in ends, for those who hang.
    ended: Condvar,
    connections: AtomicUsize,
}

struct State {
    world: World,
    calls: Vec<Call>,
    /// For the calls to come; `None` lets one pass.
    next: VecDeque<Option<Fault>>,
    always: Option<Fault>,
    clock: Clock,
    requests: u64,
    ending: bool,
}

#[derive(Clone, Copy)]
enum Clock {
    /// So many seconds off the system's.
    Moved(i64),
    Frozen(i64),
}

impl Clock {
    #[allow(clippy::disallowed_methods)] // the stand-in has a clock of its own
    fn now(self) -> i64 {
        match self {
            Clock::Frozen(at) => at,
            Clock::Moved(by) => {
                let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
                since.expect("after 1970").as_secs() as i64 + by
            }
        }
    }
}

impl StandIn {
    /// Starts on a free port of 127.0.0.1.
    pub fn start(world: World) -> Self {
        Self::start_at("127.0.0.1:0", world)
    }

    /// Starts at this address.
    pub fn start_at(address: &str, world: World) -> Self {
        let listener = TcpListener::bind(address).expect("a port");
        let port = listener.local_addr().expect("its own address").port();
        let state = State {
            world,
            calls: Vec::new(),
            next: VecDeque::new(),
            always: None,
            clock: Clock::Moved(0),
            requests: 0,
            ending: false,
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            ended: Condvar::new(),
            connections: AtomicUsize::new(0),
        });
        let listening = std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || listen(&listener, &shared)
        });
        Self { shared, port, listening: Some(listening) }
    }

    /// With the user `demo` and nothing else.
    pub fn demo() -> Self {
        Self::start(World::demo())
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// What AWS_ENDPOINT_URL_STS and AWS_ENDPOINT_URL_IAM are set to.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// All calls so far.
    pub fn calls(&self) -> Vec<Call> {
        self.state().calls.clone()
    }

    /// All calls so far, a line each; sessions are called `session 1` and so on, in the order in
    /// which they were given out, and new access keys `key 1`.
    pub fn log(&self) -> String {
        let state = self.state();
        let mut log: String = state.calls.iter().map(|call| format!("{call}\n")).collect();
        for (number, issued) in state.world.issued.iter().enumerate() {
            log = log.replace(&issued.access_key_id, &format!("session {}", number + 1));
        }
        for (number, id) in state.world.made_keys.iter().enumerate() {
            log = log.replace(id, &format!("key {}", number + 1));
        }
        log
    }

    /// All credentials given out so far.
    pub fn issued(&self) -> Vec<Issued> {
        self.state().world.issued.clone()
    }

    /// All sign-in tokens for the console that were given out so far.
    pub fn signin_tokens(&self) -> Vec<String> {
        self.state().world.signin_tokens.clone()
    }

    /// The virtual MFA devices that there are.
    pub fn devices(&self) -> Vec<Device> {
        self.state().world.devices.clone()
    }

    /// The access keys that there are, of all users.
    pub fn keys(&self) -> Vec<AccessKey> {
        self.state().world.users.iter().flat_map(|user| user.keys.clone()).collect()
    }

    /// The access keys that were deleted, in order.
    pub fn deleted_keys(&self) -> Vec<AccessKey> {
        self.state().world.deleted.clone()
    }

    /// How many connections were made, calls or not.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Orders the next call, after those that have an order already, to fail.
    pub fn fail_next(&self, fault: Fault) {
        self.state().next.push_back(Some(fault));
    }

    /// Lets so many calls pass before the next order to fail.
    pub fn pass_next(&self, calls: usize) {
        self.state().next.extend(std::iter::repeat_n(None, calls));
    }

    /// Forgets all orders to fail.
    pub fn obey_no_more(&self) {
        let mut state = self.state();
        state.next.clear();
        state.always = None;
    }

    /// Orders every call to fail, until `None`.
    pub fn fail_always(&self, fault: Option<Fault>) {
        self.state().always = fault;
    }

    /// Changes users, roles or limits.
    pub fn change(&self, change: impl FnOnce(&mut World)) {
        change(&mut self.state().world);
    }

    /// Seconds since 1970, by the stand-in's clock.
    pub fn now(&self) -> i64 {
        self.state().clock.now()
    }

    /// Moves the clock by so many seconds, also backwards.
    pub fn move_clock(&self, seconds: i64) {
        let mut state = self.state();
        state.clock = match state.clock {
            Clock::Moved(by) => Clock::Moved(by + seconds),
            Clock::Frozen(at) => Clock::Frozen(at + seconds),
        };
    }

    /// Stops the clock at a point in time.
    pub fn freeze(&self, at: i64) {
        self.state().clock = Clock::Frozen(at);
    }

    /// The code of a seed at the stand-in's present.
    pub fn totp_now(&self, seed: &str) -> String {
        totp::code(seed, totp::step(self.now()))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state()
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.state().ending = true;
        self.shared.ended.notify_all();
        // The listener sits in accept(): a last connection wakes it.
        let woken = TcpStream::connect(("127.0.0.1", self.port)).is_ok();
        if let Some(thread) = self.listening.take().filter(|_| woken) {
            let _ = thread.join();
        }
    }
}

impl Shared {
    /// A test that panicked with the lock has failed already.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Waits for the end, or until the time is over.
    fn hang(&self, time: Duration) {
        drop(self.ended.wait_timeout_while(self.state(), time, |state| !state.ending));
    }

    fn serve(&self, stream: &TcpStream) {
        let Ok(request) = http::read(stream) else { return };
        let (fault, answer, clock, id) = self.state().answer(&request);
        match fault {
            Some(Fault::Hang(time)) => self.hang(time),
            Some(Fault::HangForever) => return self.hang(Duration::MAX),
            Some(Fault::DropBefore | Fault::DropAfter) => return,
            _ => (),
        }
        // A client that has gone has its reasons.
        let _ = http::write(stream, &answer, &time::http(clock.now()), &id);
    }
}

impl State {
    /// Performs a request, or fails it as ordered, and logs it.
    fn answer(&mut self, request: &Request) -> (Option<Fault>, Response, Clock, String) {
        let now = self.clock.now();
        self.requests += 1;
        let id = format!("00000000-0000-4000-8000-{:012}", self.requests);
        let fault = self.next.pop_front().unwrap_or(self.always);
        if let Some(action) = sso::action(request) {
            let answer = self.answer_sso(request, action, fault, now);
            return (fault, answer, self.clock, id);
        }
        let query = signin::query(request);
        let params = Params::parse(query.map_or(&request.body[..], str::as_bytes));
        let mut call = Call::read(request, params.as_ref());
        let is_iam = params.as_ref().and_then(|p| p.get("Version")) == Some(iam::VERSION);
        let namespace = if is_iam { answer::IAM } else { answer::STS };
        if let Some(params) = params.as_ref().filter(|_| is_iam) {
            call.step = self.world.enabling_step_of(params, now);
        }
        if let (Some(serial), Some(code)) = (&call.serial, &call.code) {
            call.step = self.world.step_of(serial, code, now);
        }

        let before = self.world.issued.len();
        let result = match fault.map(|fault| fault.instead(namespace)) {
            Some(Some(answer)) => Err(answer),
            _ if query.is_some() => match self.world.signin_token(request, params, now) {
                Ok(token) => Ok(signin::success(&token)),
                Err(refusal) => {
                    call.outcome = format!("{}: {}", refusal.code, refusal.message);
                    Err(signin::page())
                }
            },
            _ => match self.world.perform(request, params, now) {
                Ok(result) => Ok(answer::success(namespace, &call.action, &result, &id)),
                Err(refusal) => {
                    call.outcome = format!("{}: {}", refusal.code, refusal.message);
                    Err(refusal.response(namespace, &id))
                }
            },
        };
        call.issued = self.world.issued.get(before).map(|issued| issued.access_key_id.clone());
        if let Some(fault) = fault {
            call.outcome = format!("{fault:?}");
        } else if result.is_ok() {
            call.outcome = "ok".to_owned();
        }
        self.calls.push(call);
        let answer = result.unwrap_or_else(|answer| answer);
        (fault, answer, self.clock, id)
    }
}

impl State {
    /// The same for IAM Identity Center.
    fn answer_sso(
        &mut self,
        request: &Request,
        action: &str,
        fault: Option<Fault>,
        now: i64,
    ) -> Response {
        let user_agent = request.header("user-agent").unwrap_or_default().to_owned();
        let mut call = Call { action: action.to_owned(), user_agent, ..Call::default() };
        let before = self.world.issued.len();
        let answer = match fault {
            Some(Fault::Throttling | Fault::SlowDown) => {
                sso::fault(429, "TooManyRequestsException")
            }
            Some(Fault::Internal) => sso::fault(500, "InternalServerException"),
            Some(Fault::HangForever | Fault::DropBefore) => sso::fault(500, "NotSent"),
            Some(fault @ (Fault::Html(_) | Fault::Empty(_))) => {
                fault.instead("").expect("an answer")
            }
            _ => self.world.perform_sso(request, &mut call, now),
        };
        if let Some(fault) = fault {
            call.outcome = format!("{fault:?}");
        }
        call.subject.get_or_insert_default();
        call.issued = self.world.issued.get(before).map(|issued| issued.access_key_id.clone());
        self.calls.push(call);
        answer
    }
}

impl Fault {
    /// The answer that is given instead of doing what was asked.
    fn instead(self, namespace: &str) -> Option<Response> {
        let refusal = match self {
            Fault::SlowDown => Refusal::new(503, "SlowDown", "Please reduce your request rate."),
            Fault::Throttling => Refusal::new(400, "Throttling", "Rate exceeded"),
            Fault::Internal => Refusal::new(500, "InternalFailure", "An internal error occurred."),
            Fault::AccessDenied => {
                Refusal::denied("Access denied by an explicit deny in an identity-based policy")
            }
            Fault::IdentityProvider => {
                Refusal::new(400, "IDPCommunicationError", "Couldn't retrieve verification key.")
            }
            Fault::UnknownKey => Refusal::unknown_key(),
            Fault::LimitExceeded => {
                Refusal::new(409, "LimitExceeded", "Cannot exceed quota for AccessKeysPerUser: 2")
            }
            Fault::Html(status) => {
                let body = "<!DOCTYPE html><html><body><h1>Please log in</h1></body></html>\n";
                let (content_type, body) = ("text/html", body.to_owned());
                return Some(Response { status, content_type, body, headers: Vec::new() });
            }
            Fault::Empty(status) => {
                let (content_type, body) = ("text/xml", String::new());
                return Some(Response { status, content_type, body, headers: Vec::new() });
            }
            Fault::HangForever | Fault::DropBefore => Refusal::new(500, "NotSent", ""),
            Fault::Hang(_) | Fault::DropAfter => return None,
        };
        Some(refusal.response(namespace, "00000000-0000-4000-8000-000000000000"))
    }
}

fn listen(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.state().ending {
            return;
        }
        let Ok(stream) = stream else { continue };
        shared.connections.fetch_add(1, Ordering::SeqCst);
        let shared = Arc::clone(shared);
        std::thread::spawn(move || shared.serve(&stream));
    }
}
