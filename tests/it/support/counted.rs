//! A port that leads to a server and writes down which requests go through.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What goes to the bucket `fleet` at another endpoint.
pub struct Counted {
    requests: Arc<Mutex<Vec<String>>>,
    /// What `--endpoint` is set to.
    pub endpoint: String,
}

impl Counted {
    /// Starts on a free port of 127.0.0.1.
    pub fn start(endpoint: &str) -> Self {
        let server = endpoint.strip_prefix("http://").expect("plain HTTP").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let endpoint = format!("http://{}", listener.local_addr().expect("its own address"));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let written = Arc::clone(&requests);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect(&server) else { continue };
                let (answer_from, answer_to) = (server.try_clone(), client.try_clone());
                let requests = Arc::clone(&written);
                std::thread::spawn(move || pass(&client, &server, |chunk| note(chunk, &requests)));
                if let (Ok(from), Ok(to)) = (answer_from, answer_to) {
                    std::thread::spawn(move || pass(&from, &to, |_| ()));
                }
            }
        });
        Self { requests, endpoint }
    }

    /// The requests since this was asked last: `PUT s`, by what their names begin with.
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.requests.lock().expect("no panic"))
    }
}

/// A request is a write of its own, since a client sends none before the last one is answered.
fn note(chunk: &[u8], requests: &Mutex<Vec<String>>) {
    let line = String::from_utf8_lossy(chunk.split(|byte| *byte == b'\r').next().unwrap_or(chunk));
    let Some((method @ ("GET" | "PUT"), rest)) = line.split_once(' ') else { return };
    // The bucket and the prefix come first.
    let kind = rest.split(['/', ' ']).nth(3).unwrap_or(rest);
    requests.lock().expect("no panic").push(format!("{method} {kind}"));
}

fn pass(mut from: &TcpStream, mut to: &TcpStream, mut each: impl FnMut(&[u8])) {
    let mut buffer = [0; 65_536];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        each(&buffer[..read]);
        if to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}
