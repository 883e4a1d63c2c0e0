//! Which requests are answered. Browsers, proxies and other hosts get no credentials, whatever they send;
//! and a request with the token must still be exact.

use std::net::{IpAddr, SocketAddr};

use hyper::header::{AUTHORIZATION, CONTENT_LENGTH, HOST, HeaderMap, TRANSFER_ENCODING};
use hyper::{Method, Request, StatusCode, Version};
use subtle::ConstantTimeEq;

use crate::secret::Secret;

/// The path of the health check. It needs no token and shows no secret.
pub const HEALTH: &str = "/health";

/// The path of a profile's credentials.
pub fn path(name: &str) -> String {
    format!("/credentials/{}", urlencoding::encode(name))
}

/// What a request must contain.
pub(super) struct Rules {
    hosts: Hosts,
    token: Secret,
}

/// The values of `Host` that name a server.
pub(super) struct Hosts(Vec<String>);

/// A request that is allowed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Allowed<'a> {
    /// The health check, which needs no token.
    Health,
    /// The credentials at this path.
    Credentials(&'a str),
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    Version,
    Method,
    /// Another host name (DNS rebinding), or none.
    Host,
    /// From a browser, or through a proxy.
    Foreign,
    Body,
    /// Not a plain path.
    Target,
    Token,
    Path,
    /// The credentials have ended.
    Ended,
    /// An instance's session token is missing or wrong, or has ended.
    Session,
    /// An instance's session token was requested without its lifetime.
    Life,
}

impl Refusal {
    /// The status, and `code` and `message` as ECS's agent has them.
    pub(super) fn response(self) -> (StatusCode, &'static str, &'static str) {
        let (status, code, message) = match self {
            Self::Version => (505, "BadRequest", "only HTTP/1.1 is spoken here"),
            Self::Method => (405, "MethodNotAllowed", "only GET is answered"),
            // SDKs get a new one.
            Self::Session => (
                401,
                "Unauthorized",
                "the X-aws-ec2-metadata-token header is missing, wrong or too old",
            ),
            Self::Life => (
                400,
                "BadRequest",
                "X-aws-ec2-metadata-token-ttl-seconds is missing, or not from 1 to 21600",
            ),
            Self::Host => (403, "AccessDenied", "the Host header is not this server's address"),
            Self::Foreign => (403, "AccessDenied", "it comes from a browser or through a proxy"),
            Self::Body => (400, "BadRequest", "a request has no body here"),
            Self::Target => (400, "BadRequest", "the target is not a plain path"),
            Self::Token => (403, "AccessDenied", "the Authorization header is missing or wrong"),
            Self::Path => (404, "NotFound", "there are no credentials at this path"),
            // SDKs try again.
            Self::Ended => (
                503,
                "CredentialsUnavailable",
                "the credentials have ended and could not be renewed yet",
            ),
        };
        (StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), code, message)
    }
}

impl Hosts {
    /// The address, or `localhost` where it is a loopback one, with or without the port.
    pub(super) fn of(address: SocketAddr) -> Self {
        let host = match address.ip() {
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("[{ip}]"),
        };
        let mut hosts = vec![host];
        // A page that rebinds a name sends that name. A browser resolves this one to loopback only.
        if address.ip().is_loopback() {
            hosts.push("localhost".to_owned());
        }
        // AWS's Common Runtime, and every client of port 80, send the address without a port.
        let with_port: Vec<_> =
            hosts.iter().map(|host| format!("{host}:{}", address.port())).collect();
        hosts.extend(with_port);
        Self(hosts)
    }

    fn have(&self, host: &[u8]) -> bool {
        self.0.iter().any(|own| own.as_bytes().eq_ignore_ascii_case(host))
    }
}

/// The checks for every path: `Host` (if `hosts` are given), no browser and no proxy, no body, and a plain
/// path as the target.
pub(super) fn check<B>(request: &Request<B>, hosts: Option<&Hosts>) -> Result<(), Refusal> {
    let headers = request.headers();
    if request.version() != Version::HTTP_11 {
        return Err(Refusal::Version);
    }
    if let Some(hosts) = hosts
        && !only(headers, &HOST).is_some_and(|host| hosts.have(host))
    {
        return Err(Refusal::Host);
    }
    if headers.keys().any(|name| is_foreign(name.as_str())) {
        return Err(Refusal::Foreign);
    }
    let length = headers.get_all(CONTENT_LENGTH).iter().all(|length| length == "0");
    if !length || headers.contains_key(TRANSFER_ENCODING) {
        return Err(Refusal::Body);
    }
    let uri = request.uri();
    if uri.scheme().is_some() || uri.authority().is_some() || uri.query().is_some() {
        return Err(Refusal::Target);
    }
    Ok(())
}

impl Rules {
    pub(super) fn new(address: SocketAddr, token: Secret) -> Self {
        Self { hosts: Hosts::of(address), token }
    }

    /// `local`: over the Unix socket, on which Host means nothing and only the health check is answered.
    pub(super) fn judge<'a, B>(
        &self,
        request: &'a Request<B>,
        local: bool,
    ) -> Result<Allowed<'a>, Refusal> {
        let probe = request.method() == Method::HEAD && request.uri().path() == HEALTH;
        if request.method() != Method::GET && !probe {
            return Err(Refusal::Method);
        }
        check(request, (!local).then_some(&self.hosts))?;
        let uri = request.uri();
        if uri.path() == HEALTH {
            return Ok(Allowed::Health);
        }
        if local {
            return Err(Refusal::Path);
        }
        // Before the path: without the token, a client must not learn which paths exist.
        match only(request.headers(), &AUTHORIZATION) {
            Some(token) if bool::from(token.ct_eq(self.token.expose().as_bytes())) => {
                Ok(Allowed::Credentials(uri.path()))
            }
            _ => Err(Refusal::Token),
        }
    }
}

/// The header's value, if there is exactly one.
pub(super) fn only<'a>(
    headers: &'a HeaderMap,
    name: &hyper::header::HeaderName,
) -> Option<&'a [u8]> {
    let mut all = headers.get_all(name).iter();
    match (all.next(), all.next()) {
        (Some(value), None) => Some(value.as_bytes()),
        _ => None,
    }
}

/// Headers of browsers and proxies, which no SDK sends.
fn is_foreign(name: &str) -> bool {
    ["origin", "referer", "forwarded", "via", "x-real-ip", "cookie"].contains(&name)
        || name.starts_with("x-forwarded-")
        || name.starts_with("sec-")
        || name.starts_with("proxy-")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3I";

    fn rules(address: &str) -> Rules {
        Rules::new(address.parse().unwrap(), Secret::new(TOKEN.to_owned()))
    }

    /// A request in a few words: target, then headers.
    fn request(target: &str, headers: &[(&str, &str)]) -> Request<()> {
        let mut request = Request::builder().uri(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap()
    }

    const GOOD: [(&str, &str); 2] = [("host", "127.0.0.1:9911"), ("authorization", TOKEN)];

    fn with(more: &[(&'static str, &'static str)]) -> Vec<(&'static str, &'static str)> {
        GOOD.iter().chain(more).copied().collect()
    }

    #[test]
    fn the_exact_request_is_answered() {
        let rules = rules("127.0.0.1:9911");
        let good = request("/credentials/prod", &GOOD);
        assert_eq!(rules.judge(&good, false), Ok(Allowed::Credentials("/credentials/prod")));
        let sdk = with(&[("user-agent", "Boto3/1"), ("accept", "*/*"), ("content-length", "0")]);
        assert!(rules.judge(&request("/credentials/prod", &sdk), false).is_ok());
        let health = request("/health", &GOOD[..1]);
        assert_eq!(rules.judge(&health, false), Ok(Allowed::Health));
        assert_eq!(rules.judge(&request("/health", &[]), true), Ok(Allowed::Health));
        assert_eq!(rules.judge(&good, true), Err(Refusal::Path), "no credentials over it");
    }

    #[test]
    fn everything_else_is_refused() {
        let rules = rules("127.0.0.1:9911");
        let refused = |request: &Request<()>| rules.judge(request, false).unwrap_err();
        let path = "/credentials/prod";
        for host in [
            "localhost:80",
            "localhost.",
            "localhost.attacker.example",
            "localhost:9911:9911",
            "127.0.0.1:80",
            "127.0.0.1:",
            "127.0.0.1.:9911",
            "127.1:9911",
            "0x7f.0.0.1:9911",
            "[::ffff:127.0.0.1]:9911",
            "x@127.0.0.1:9911",
            "127.0.0.1:9911, attacker.example",
            "127.0.0.1:09911",
            "attacker.example:9911",
            "",
        ] {
            let headers = [("host", host), GOOD[1]];
            assert_eq!(refused(&request(path, &headers)), Refusal::Host, "{host}");
            let health = refused(&request("/health", &headers));
            assert_eq!(health, Refusal::Host, "{host}");
        }
        assert_eq!(refused(&request(path, &GOOD[1..])), Refusal::Host, "none");
        assert_eq!(refused(&request(path, &with(&[GOOD[0]]))), Refusal::Host, "two");
        for name in [
            "Origin",
            "Referer",
            "Forwarded",
            "Via",
            "X-Forwarded-For",
            "X-Forwarded-Host",
            "X-Real-Ip",
            "Sec-Fetch-Site",
            "Proxy-Authorization",
            "Cookie",
        ] {
            assert_eq!(refused(&request(path, &with(&[(name, "x")]))), Refusal::Foreign, "{name}");
        }
        let cut = &TOKEN[..42];
        for token in ["", cut, "x", &format!("{TOKEN}x"), &format!("Bearer {TOKEN}")] {
            let headers = [GOOD[0], ("authorization", token)];
            assert_eq!(refused(&request(path, &headers)), Refusal::Token, "{token}");
            assert_eq!(refused(&request("/none", &headers)), Refusal::Token, "no path is told");
        }
        assert_eq!(refused(&request(path, &GOOD[..1])), Refusal::Token, "none");
        assert_eq!(refused(&request(path, &with(&[GOOD[1]]))), Refusal::Token, "two");
        for target in ["http://127.0.0.1:9911/credentials/prod", "/credentials/prod?x", "/health?"]
        {
            assert_eq!(refused(&request(target, &GOOD)), Refusal::Target, "{target}");
        }
        for body in [("content-length", "1"), ("transfer-encoding", "chunked")] {
            assert_eq!(refused(&request(path, &with(&[body]))), Refusal::Body);
        }
        for method in [Method::POST, Method::HEAD, Method::PUT, Method::OPTIONS, Method::CONNECT] {
            let mut request = request(path, &GOOD);
            *request.method_mut() = method;
            assert_eq!(refused(&request), Refusal::Method);
        }
        let mut old = request(path, &GOOD);
        *old.version_mut() = Version::HTTP_10;
        assert_eq!(refused(&old), Refusal::Version);
    }

    #[test]
    fn the_host_is_the_address_or_localhost_with_or_without_the_port() {
        for (address, own, others) in [
            (
                "127.0.0.1:9911",
                &["127.0.0.1:9911", "127.0.0.1", "localhost:9911", "localhost", "LOCALHOST"][..],
                &["[::1]:9911", "127.0.0.2", "127.0.0.1:80"][..],
            ),
            ("[::1]:81", &["[::1]:81", "[::1]", "localhost:81"], &["::1", "127.0.0.1:81"]),
            (
                "169.254.170.2:80",
                &["169.254.170.2:80", "169.254.170.2"],
                &["localhost", "localhost:80", "127.0.0.1"],
            ),
        ] {
            let judge = |host: &str| {
                let headers = [("host", host), GOOD[1]];
                rules(address).judge(&request("/x", &headers), false).map(|_| ())
            };
            for host in own {
                assert_eq!(judge(host), Ok(()), "{address} {host}");
            }
            for host in others {
                assert_eq!(judge(host), Err(Refusal::Host), "{address} {host}");
            }
        }
    }

    #[test]
    fn head_asks_for_health_only() {
        let rules = rules("127.0.0.1:9911");
        let head = |target: &str| {
            let mut request = request(target, &GOOD);
            *request.method_mut() = Method::HEAD;
            request
        };
        assert_eq!(rules.judge(&head("/health"), false), Ok(Allowed::Health));
        assert_eq!(rules.judge(&head("/health"), true), Ok(Allowed::Health));
        assert_eq!(rules.judge(&head("/credentials/prod"), false), Err(Refusal::Method));
    }

    #[test]
    fn a_name_becomes_one_part_of_a_path() {
        assert_eq!(path("prod-1.eu_x~"), "/credentials/prod-1.eu_x~");
        assert_eq!(path("my/prod ü"), "/credentials/my%2Fprod%20%C3%BC");
    }
}
