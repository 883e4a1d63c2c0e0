//! A server that answers what a test has written down.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// What it does with a request.
pub enum Answer {
    /// Status line and headers, without the length, and body.
    Reply(&'static str, String),
    /// Closes the connection once the request is read.
    Drop,
    /// Keeps the connection open and says nothing.
    Hang,
    /// Begins an answer, and continues a byte at a time.
    Trickle,
}

/// A server on loopback that gives each request, each on its own connection, the next answer.
pub struct Server {
    /// Its host and port.
    pub address: String,
    requests: Receiver<String>,
}

impl Server {
    /// Starts it.
    pub fn start(answers: Vec<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (seen, requests) = channel();
        std::thread::spawn(move || {
            let mut held = Vec::new();
            for answer in answers {
                let (mut stream, _) = listener.accept().unwrap();
                if seen.send(request(&mut stream)).is_err() {
                    return;
                }
                match answer {
                    Answer::Reply(head, body) => {
                        let length = body.len();
                        let _ = write!(
                            stream,
                            "{head}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
                        );
                    }
                    Answer::Drop => {}
                    Answer::Hang => held.push(stream),
                    Answer::Trickle => {
                        std::thread::spawn(move || {
                            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
                            while stream.write_all(b"<").is_ok() {
                                std::thread::sleep(Duration::from_millis(10));
                            }
                        });
                    }
                }
            }
            // Clients that hold a connection end with the process, and so does this.
            let _ = listener.accept();
        });
        Self { address, requests }
    }

    /// What was sent to it, since this was last asked.
    pub fn requests(&self) -> Vec<String> {
        self.requests.try_iter().collect()
    }
}

/// A whole request: head, and as much body as it says.
fn request(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let n = stream.read(&mut buffer).unwrap_or(0);
        bytes.extend_from_slice(&buffer[..n]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let head = head.to_ascii_lowercase();
            let length = head.split("content-length: ").nth(1).and_then(|l| l.lines().next());
            if length.map_or(0, |l| l.parse::<usize>().unwrap()) <= body.len() {
                return text;
            }
        }
        if n == 0 {
            return text;
        }
    }
}
