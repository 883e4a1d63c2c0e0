//! The other side: a client of STS and IAM, to examine the stand-in, and to try credentials that it gave.

use std::io::{Read, Write};
use std::net::TcpStream;

use vault::clock::Clock;

use super::http::Request;
use super::sigv4::{Scope, encode, sign};
use super::{Issued, StandIn, time};
use crate::support::{ACCESS_KEY_ID, SECRET_ACCESS_KEY};

/// A client that is as small as can be, and can be told to lie.
#[derive(Clone)]
pub struct Client<'a> {
    pub to: &'a StandIn,
    pub id: String,
    pub secret: String,
    pub token: Option<String>,
    pub region: &'static str,
    pub service: &'static str,
    /// Of the API, which tells STS from IAM.
    pub version: &'static str,
    /// Seconds that its clock is off.
    pub skew: i64,
    /// Added after signing.
    pub tamper: Option<(&'static str, &'static str)>,
}

impl<'a> Client<'a> {
    pub fn demo(to: &'a StandIn) -> Self {
        Self {
            to,
            id: ACCESS_KEY_ID.to_owned(),
            secret: SECRET_ACCESS_KEY.to_owned(),
            token: None,
            region: "us-east-1",
            service: "sts",
            version: "2011-06-15",
            skew: 0,
            tamper: None,
        }
    }

    pub fn with(to: &'a StandIn, given: &Issued) -> Self {
        let Issued { access_key_id: id, secret_access_key: secret, session_token, .. } =
            given.clone();
        Self { id, secret, token: Some(session_token), ..Self::demo(to) }
    }

    /// The same, asking IAM.
    pub fn iam(self) -> Self {
        Self { service: "iam", version: "2010-05-08", ..self }
    }

    pub fn request(&self, action: &str, params: &[(&str, &str)]) -> Request {
        let mut body = format!("Action={action}&Version={}", self.version);
        for (name, value) in params {
            body.push_str(&format!("&{}={}", encode(name), encode(value)));
        }
        let mut request = Request {
            method: "POST".into(),
            target: "/".into(),
            headers: vec![
                ("content-type".into(), "application/x-www-form-urlencoded".into()),
                ("host".into(), format!("127.0.0.1:{}", self.to.port())),
            ],
            body: body.into_bytes(),
        };
        let at = self.to.now() + self.skew;
        let date = time::amz(at)[..8].to_owned();
        let scope = Scope { date, region: self.region.into(), service: self.service.into() };
        sign(&mut request, &self.id, &self.secret, self.token.as_deref(), at, &scope);
        if let Some((name, value)) = self.tamper {
            request.headers.retain(|(n, _)| n != name);
            request.headers.push((name.into(), value.into()));
        }
        request
    }

    /// The raw answer, empty if the connection was closed.
    pub fn raw(&self, action: &str, params: &[(&str, &str)]) -> String {
        exchange(self.to, &self.request(action, params))
    }

    /// `ok`, or status, code and message.
    pub fn call(&self, action: &str, params: &[(&str, &str)]) -> String {
        let answer = self.raw(action, params);
        match between(&answer, "HTTP/1.1 ", " ") {
            "200" => "ok".to_owned(),
            status => format!(
                "{status} {}: {}",
                between(&answer, "<Code>", "</Code>"),
                between(&answer, "<Message>", "</Message>")
            ),
        }
    }

    /// Credentials from a call that must go well.
    pub fn get(&self, action: &str, params: &[(&str, &str)]) -> Issued {
        assert_eq!(self.call(action, params), "ok");
        self.to.issued().pop().unwrap()
    }

    pub fn session(&self, serial: &str, code: &str) -> String {
        self.call("GetSessionToken", &[("SerialNumber", serial), ("TokenCode", code)])
    }

    pub fn assume(&self, role: &str, more: &[(&str, &str)]) -> String {
        self.call("AssumeRole", &[&[("RoleArn", role), ("RoleSessionName", "me")], more].concat())
    }
}

/// Sends a request as it stands; the raw answer, empty if the connection was closed.
pub fn exchange(to: &StandIn, request: &Request) -> String {
    exchange_with(&format!("127.0.0.1:{}", to.port()), request)
}

fn exchange_with(address: &str, request: &Request) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let mut text = format!("{} {} HTTP/1.1\r\n", request.method, request.target);
    for (name, value) in &request.headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str(&format!("content-length: {}\r\nconnection: close\r\n\r\n", request.body.len()));
    stream.write_all(text.as_bytes()).unwrap();
    stream.write_all(&request.body).unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    answer
}

/// Makes the bucket `fleet` in a store at this endpoint.
pub fn make_bucket(endpoint: &str) {
    let host = endpoint.strip_prefix("http://").expect("plain HTTP");
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let headers = [("host", host), ("x-amz-content-sha256", empty)];
    let mut request = Request {
        method: "PUT".to_owned(),
        target: "/fleet".to_owned(),
        headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
        body: Vec::new(),
    };
    let now = Clock::system().now().0;
    let date = time::amz(now)[..8].to_owned();
    let scope = Scope { date, region: "us-east-1".to_owned(), service: "s3".to_owned() };
    sign(&mut request, ACCESS_KEY_ID, SECRET_ACCESS_KEY, None, now, &scope);
    let answer = exchange_with(host, &request);
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

/// The text between two marks, empty if they are not there.
pub fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    text.split_once(start).and_then(|(_, rest)| rest.split_once(end)).map_or("", |(it, _)| it)
}
