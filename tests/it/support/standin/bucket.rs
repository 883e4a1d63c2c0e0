//! A bucket of S3 in this process: GetObject, and PutObject with a condition. It verifies signatures, keeps
//! a log, and can be made to ignore conditions, or to check them without a lock.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use vault::clock::Clock;

use super::http::{self, Request};
use super::{sigv4, time};
use crate::support::{ACCESS_KEY_ID, SECRET_ACCESS_KEY};

/// What a bucket makes of conditions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Conditions {
    /// Checks and writes at once.
    Kept,
    /// Writes whatever they say.
    Ignored,
    /// Checks, lets the others check too, and writes.
    Raced,
}

/// How long a writer of a raced bucket waits for another one.
const MEANWHILE: Duration = Duration::from_millis(200);

struct State {
    conditions: Conditions,
    objects: BTreeMap<String, (Vec<u8>, u64, i64)>,
    versions: u64,
    log: Vec<String>,
    /// Status, code and further headers of every answer from now on.
    answer: Option<(u16, &'static str, &'static str)>,
    clock: i64,
    /// How many writers have come for each object.
    checking: BTreeMap<String, usize>,
    /// How many requests have come, and which of them is kept.
    requests: usize,
    keep: Option<(usize, Keep)>,
    kept: bool,
}

/// When a request is kept that a test waits for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Keep {
    /// Before it is done.
    Undone,
    /// Once it is done: its answer.
    Answer,
    /// Before it is done, and all that come after it.
    AllFromThere,
}

/// The bucket `fleet`, in eu-central-1, for the documented example key.
#[derive(Clone)]
pub struct Bucket {
    shared: Arc<(Mutex<State>, Condvar)>,
    port: u16,
}

impl Bucket {
    /// Starts on a free port of 127.0.0.1.
    pub fn start(conditions: Conditions) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("its own address").port();
        let state = State {
            conditions,
            objects: BTreeMap::new(),
            versions: 0,
            log: Vec::new(),
            answer: None,
            clock: 0,
            checking: BTreeMap::new(),
            requests: 0,
            keep: None,
            kept: false,
        };
        let bucket = Self { shared: Arc::new((Mutex::new(state), Condvar::new())), port };
        let server = bucket.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let bucket = server.clone();
                std::thread::spawn(move || bucket.serve(&stream));
            }
        });
        bucket
    }

    /// What `--endpoint` is set to.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The requests so far: `GET s/NAME: 200`.
    pub fn log(&self) -> Vec<String> {
        self.state(|state| state.log.clone())
    }

    /// The names of the objects that are there.
    pub fn names(&self) -> Vec<String> {
        self.state(|state| state.objects.keys().cloned().collect())
    }

    /// Answers everything so from now on.
    pub fn answer(&self, status: u16, code: &'static str, headers: &'static str) {
        self.state(|state| state.answer = Some((status, code, headers)));
    }

    /// Answers as a bucket again.
    pub fn answer_no_more(&self) {
        self.state(|state| state.answer = None);
    }

    /// Keeps the request that comes after so many others from now on.
    pub fn keep(&self, others: usize, when: Keep) {
        self.state(|state| state.keep = Some((state.requests + others + 1, when)));
    }

    /// True if it has come and is kept.
    pub fn is_kept(&self) -> bool {
        self.state(|state| state.kept)
    }

    /// Lets it go on.
    pub fn let_go(&self) {
        self.state(|state| (state.keep, state.kept) = (None, false));
        self.shared.1.notify_all();
    }

    /// Where this is the one, waits until it is let go.
    fn wait_if(&self, request: (usize, Keep)) {
        let mut state = self.shared.0.lock().expect("no panic");
        let all = |(from, when): (usize, Keep)| when == Keep::AllFromThere && request.0 >= from;
        let all = request.1 == Keep::Undone && state.keep.is_some_and(all);
        if state.keep == Some(request) || all {
            state.kept = true;
            let wait = self.shared.1.wait_while(state, |state| state.kept);
            drop(wait.expect("no panic"));
        }
    }

    /// What is in an object.
    pub fn read(&self, name: &str) -> Vec<u8> {
        self.state(|state| state.objects[name].0.clone())
    }

    /// Takes an object away by no request.
    pub fn remove(&self, name: &str) {
        self.state(|state| state.objects.remove(name).expect("an object"));
    }

    /// Puts it there, whatever there is.
    pub fn put_back(&self, name: &str, bytes: &[u8]) {
        let now = self.now();
        self.state(|state| {
            state.versions += 1;
            let object = (bytes.to_vec(), state.versions, now);
            state.objects.insert(name.to_owned(), object);
        });
    }

    /// Moves its clock by so many seconds.
    pub fn move_clock(&self, seconds: i64) {
        self.state(|state| state.clock += seconds);
    }

    fn state<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.shared.0.lock().expect("no panic"))
    }

    fn now(&self) -> i64 {
        Clock::system().now().0 + self.state(|state| state.clock)
    }

    fn serve(&self, stream: &TcpStream) {
        let Ok(request) = http::read(stream) else { return };
        let number = self.state(|state| {
            state.requests += 1;
            state.requests
        });
        self.wait_if((number, Keep::Undone));
        let now = self.now();
        let (status, headers, body) = self.answer_to(&request, now);
        let key = request.target.strip_prefix("/fleet/").unwrap_or(&request.target);
        self.state(|state| state.log.push(format!("{} {key}: {status}", request.method)));
        self.wait_if((number, Keep::Answer));
        let mut stream = stream;
        let head = format!(
            "HTTP/1.1 {status} Stand-In\r\nDate: {}\r\nContent-Length: {}\r\n{headers}Connection: \
             close\r\n\r\n",
            time::http(now),
            body.len()
        );
        let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
    }

    fn answer_to(&self, request: &Request, now: i64) -> (u16, String, Vec<u8>) {
        if let Some((status, code, headers)) = self.state(|state| state.answer) {
            return (status, headers.to_owned(), error(code, code));
        }
        let signed = sigv4::claim(request).and_then(|claim| match &*claim.access_key_id {
            ACCESS_KEY_ID => {
                let region = Some("eu-central-1");
                sigv4::check(request, &claim, SECRET_ACCESS_KEY, now, "s3", region)
            }
            _ => Err(super::Refusal::new(403, "InvalidAccessKeyId", "No such key")),
        });
        if let Err(refusal) = signed {
            let late = refusal.message.starts_with("Signature ");
            let code = if late { "RequestTimeTooSkewed" } else { &refusal.code };
            return (403, String::new(), error(code, &refusal.message));
        }
        let Some(key) = request.target.strip_prefix("/fleet/") else {
            return (404, String::new(), error("NoSuchBucket", "no such bucket"));
        };
        match request.method.as_str() {
            "GET" => self.get(key, request),
            _ => self.put(key, request, now),
        }
    }

    fn get(&self, key: &str, request: &Request) -> (u16, String, Vec<u8>) {
        let Some((body, version, at)) = self.state(|state| state.objects.get(key).cloned()) else {
            return (404, String::new(), error("NoSuchKey", "no such key"));
        };
        let etag = format!("\"{version}\"");
        let headers = format!("ETag: {etag}\r\nLast-Modified: {}\r\n", time::http(at));
        match request.header("if-none-match") == Some(&etag) {
            true => (304, headers, Vec::new()),
            false => (200, headers, body),
        }
    }

    fn put(&self, key: &str, request: &Request, now: i64) -> (u16, String, Vec<u8>) {
        let conditions = self.state(|state| state.conditions);
        let mut state = self.shared.0.lock().expect("no panic");
        let current = state.objects.get(key).map(|(_, version, _)| format!("\"{version}\""));
        let holds = match (request.header("if-none-match"), request.header("if-match")) {
            (Some("*"), None) => current.is_none(),
            (None, Some(etag)) => current.as_deref() == Some(etag),
            _ => return (400, String::new(), error("InvalidRequest", "a write wants a condition")),
        };
        if conditions == Conditions::Raced {
            // Who comes meanwhile finds what this one found.
            *state.checking.entry(key.to_owned()).or_default() += 1;
            self.shared.1.notify_all();
            let alone = |state: &mut State| state.checking[key] < 2;
            state = self.shared.1.wait_timeout_while(state, MEANWHILE, alone).expect("no panic").0;
        }
        if !holds && conditions != Conditions::Ignored {
            return match (request.header("if-match"), current) {
                (Some(_), None) => (404, String::new(), error("NoSuchKey", "no such key")),
                _ => (412, String::new(), error("PreconditionFailed", "no")),
            };
        }
        state.versions += 1;
        let version = state.versions;
        state.objects.insert(key.to_owned(), (request.body.clone(), version, now));
        (200, format!("ETag: \"{version}\"\r\n"), Vec::new())
    }
}

fn error(code: &str, message: &str) -> Vec<u8> {
    format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>").into_bytes()
}
