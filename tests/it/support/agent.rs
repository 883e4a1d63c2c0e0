//! What runs a program and hands out credentials: a container's agent, and the metadata service of an
//! EC2 instance. Strict as AWS's own, with a log, and able to be broken.

use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use super::standin::http::{self, Request, Response};
use super::standin::{Issued, time};

/// What it does with a request.
pub enum Said {
    /// This status and body, of this media type.
    Answer(u16, &'static str, String),
    /// A redirect to this URL.
    Elsewhere(String),
    /// Nothing, ever.
    Nothing,
    /// It closes the connection.
    Close,
}

/// Gives an answer as JSON.
pub fn json(status: u16, body: impl Into<String>) -> Said {
    Said::Answer(status, "application/json", body.into())
}

/// A server on a port of 127.0.0.1.
pub struct Agent {
    port: u16,
    log: Arc<Mutex<Vec<Request>>>,
}

impl Agent {
    /// It answers as it is told; `earlier` are the requests before this one.
    pub fn start(answer: impl Fn(&Request, usize) -> Said + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("its own address").port();
        let log = Arc::new(Mutex::new(Vec::new()));
        let (kept, answer) = (Arc::clone(&log), Arc::new(answer));
        // It ends with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (log, answer) = (Arc::clone(&kept), Arc::clone(&answer));
                std::thread::spawn(move || serve(&stream, &log, &*answer));
            }
        });
        Self { port, log }
    }

    /// A container's agent, which gives these credentials at `/creds` to who knows its token.
    pub fn container(token: &'static str, issued: &Issued) -> Self {
        let body = credentials(issued);
        Self::start(move |request, _| match (request.method.as_str(), request.target.as_str()) {
            ("GET", "/creds") if request.header("authorization") == Some(token) => {
                json(200, &*body)
            }
            ("GET", "/creds") => {
                json(401, r#"{"code":"Unauthorized","message":"Invalid auth token"}"#)
            }
            _ => json(404, r#"{"code":"NotFound","message":"no such credentials"}"#),
        })
    }

    /// An instance's metadata service, version 2 and nothing else, with the role `web`.
    pub fn instance(issued: &Issued) -> Self {
        let body = credentials(issued);
        Self::start(move |request, _| instance(request, &body))
    }

    /// It sends everybody elsewhere.
    pub fn redirecting(location: &str) -> Self {
        let location = location.to_owned();
        Self::start(move |_, _| Said::Elsewhere(location.clone()))
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// What a variable is set to.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// The requests so far, as `METHOD PATH`.
    pub fn log(&self) -> Vec<String> {
        self.requests().iter().map(|r| format!("{} {}", r.method, r.target)).collect()
    }

    /// The requests so far.
    pub fn requests(&self) -> MutexGuard<'_, Vec<Request>> {
        self.log.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Credentials as an agent gives them.
pub fn credentials(issued: &Issued) -> String {
    format!(
        r#"{{"Code":"Success","Type":"AWS-HMAC","AccessKeyId":"{}","SecretAccessKey":"{}","Token":"{}","Expiration":"{}"}}"#,
        issued.access_key_id,
        issued.secret_access_key,
        issued.session_token,
        time::rfc3339(issued.expiration)
    )
}

/// As IMDSv2 answers: a token for who says how long, and the rest for who has the token.
pub fn instance(request: &Request, credentials: &str) -> Said {
    const TOKEN: &str = "AQAEAEXAMPLE_token==";
    let text = |status, body: &str| Said::Answer(status, "text/plain", body.to_owned());
    // It refuses what a proxy has passed on.
    if request.header("x-forwarded-for").is_some() {
        return text(403, "");
    }
    if request.method == "PUT" && request.target == "/latest/api/token" {
        let life = request.header("x-aws-ec2-metadata-token-ttl-seconds");
        let life = life.and_then(|life| life.parse::<u32>().ok());
        return match life {
            Some(1..=21_600) => text(200, TOKEN),
            _ => text(400, ""),
        };
    }
    if request.header("x-aws-ec2-metadata-token") != Some(TOKEN) {
        return text(401, "");
    }
    match (request.method.as_str(), request.target.as_str()) {
        ("GET", "/latest/meta-data/iam/security-credentials/") => text(200, "web\n"),
        ("GET", "/latest/meta-data/iam/security-credentials/web") => text(200, credentials),
        _ => text(404, ""),
    }
}

fn serve(
    stream: &TcpStream,
    log: &Mutex<Vec<Request>>,
    answer: &(dyn Fn(&Request, usize) -> Said + Send + Sync),
) {
    let Ok(request) = http::read(stream) else { return };
    let earlier = {
        let mut log = log.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        log.push(request.clone());
        log.len() - 1
    };
    match answer(&request, earlier) {
        Said::Answer(status, content_type, body) => {
            let response = Response { status, content_type, body, headers: Vec::new() };
            let _ = http::write(stream, &response, &time::http(0), "0");
        }
        Said::Elsewhere(location) => {
            let headers = vec![("location", location)];
            let response = Response { status: 302, content_type: "", body: String::new(), headers };
            let _ = http::write(stream, &response, &time::http(0), "0");
        }
        Said::Nothing => std::thread::sleep(Duration::from_secs(3600)),
        Said::Close => {}
    }
}
