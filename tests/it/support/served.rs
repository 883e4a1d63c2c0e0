//! A server of credentials that runs, and a client that says exactly what it is told.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use std::os::unix::process::CommandExt;

use super::builder::Test;
use super::child::{exit_code, spawn, wait};

/// Long for a machine that does much else at the time.
pub const SOON: Duration = Duration::from_secs(20);

/// A running `vault serve`; it is killed when this is dropped.
pub struct Served {
    child: Option<Child>,
    lines: Mutex<Receiver<String>>,
    pub port: u16,
    pub token: String,
    /// All that it said until it served.
    pub said: Vec<String>,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Served {
    /// Starts `vault serve` on a free port, with the token in `~/token`, and waits until it serves.
    #[track_caller]
    pub fn start(test: &Test, args: &[&str]) -> Self {
        let args = ["serve", "--listen", "127.0.0.1:0", "--token-file", "token"].iter().chain(args);
        let mut command = test.command(args).ready();
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).process_group(0);
        let mut child = spawn(&mut command);
        let stderr = BufReader::new(child.stderr.take().expect("stderr"));
        let (send, lines) = channel();
        std::thread::spawn(move || {
            stderr.lines().map_while(Result::ok).all(|line| send.send(line).is_ok())
        });
        let lines = Mutex::new(lines);
        let mut served =
            Self { child: Some(child), lines, port: 0, token: String::new(), said: Vec::new() };
        let line = served.expect("vault: serving ");
        let url = line.rsplit(' ').next().expect("a URL");
        let address = url.trim_start_matches("http://").split('/').next().expect("an address");
        served.port =
            address.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
        served.token = String::from_utf8(test.read("token")).expect("a token");
        served
    }

    /// Waits for a line that has this in it.
    #[track_caller]
    pub fn expect(&mut self, text: &str) -> String {
        let deadline = Instant::now() + SOON;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(line) = self.lines.get_mut().expect("lines").recv_timeout(left) else {
                panic!("{text:?} was not said, but: {:#?}", self.said);
            };
            self.said.push(line.clone());
            if line.contains(text) {
                return line;
            }
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    /// The request that is answered.
    pub fn request(&self, path: &str) -> String {
        format!(
            "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nAuthorization: {}\r\n\r\n",
            self.port, self.token
        )
    }

    /// Asks as an SDK does.
    #[track_caller]
    pub fn get(&self, path: &str) -> Answer {
        self.ask(&self.request(path)).expect("an answer")
    }

    /// Sends these bytes over a connection of its own; none: it was closed without an answer.
    pub fn ask(&self, request: &str) -> Option<Answer> {
        ask(self.port, request)
    }

    /// Asserts what `serve --check` says of it: that a profile's credentials have ended.
    #[track_caller]
    pub fn expect_not_ready(&self, test: &Test) {
        let host = format!("127.0.0.1:{}", self.port);
        let stderr = format!(
            "vault: error: not ready: the server at {host} has credentials that ended and could not be \
             renewed\n"
        );
        test.command(["serve", "--check", "--listen", &host]).expect_error(1, &stderr).run();
    }

    /// Sends a signal, and gives the exit code (128+n after signal n) and how long that took.
    #[track_caller]
    pub fn end(mut self, signal: i32) -> (i32, Duration) {
        let child = self.child.take().expect("it runs");
        let start = Instant::now();
        // SAFETY: our own child, which has not been waited for.
        unsafe { libc::kill(child.id() as i32, signal) };
        (exit_code(wait(child, start + SOON)), start.elapsed())
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Sends these bytes to a port of 127.0.0.1 and reads one answer.
pub fn ask(port: u16, request: &str) -> Option<Answer> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("a server");
    stream.set_read_timeout(Some(SOON)).expect("a timeout");
    // It may refuse before all was sent.
    let _ = stream.write_all(request.as_bytes());
    answer(&mut stream)
}

/// Reads one answer; none: the connection was closed.
pub fn answer(stream: &mut impl Read) -> Option<Answer> {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while !bytes.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => bytes.push(byte[0]),
            _ => return None,
        }
    }
    let head = String::from_utf8(bytes).expect("a head");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    let length = head.to_ascii_lowercase();
    let length = length.split("content-length: ").nth(1).and_then(|rest| rest.split('\r').next());
    let length: u64 = length.map_or(0, |length| length.parse().expect("a length"));
    let mut body = String::new();
    stream.take(length).read_to_string(&mut body).expect("a body");
    Some(Answer { status, head, body })
}
