//! Where a request goes, and what is on the way there.

use std::fmt;

/// A server: scheme, host and port (an origin, RFC 6454).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// TLS or not.
    pub https: bool,
    /// Name or address; an IPv6 address without its brackets.
    pub host: String,
    /// Given, or the scheme's own.
    pub port: u16,
}

impl Origin {
    /// The origin that an `http://` or `https://` URL names, without user or password in it.
    pub fn parse(url: &str) -> Option<Self> {
        Self::of(url).filter(|_| !url.contains('@'))
    }

    /// The origin of a proxy, whose URL may have user and password.
    pub fn of_proxy(url: &str) -> Option<Self> {
        Self::of(url)
    }

    fn of(url: &str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let https = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let authority = rest.split(['/', '?', '#']).next()?;
        let authority = authority.rsplit_once('@').map_or(authority, |(_, a)| a);
        let (host, port) = match authority.strip_prefix('[') {
            Some(inner) => {
                let (host, rest) = inner.split_once(']')?;
                host.parse::<std::net::Ipv6Addr>().ok()?;
                (host, rest.strip_prefix(':').or(rest.is_empty().then_some(""))?)
            }
            None => authority.split_once(':').unwrap_or((authority, "")),
        };
        let port = match port {
            "" if https => 443,
            "" => 80,
            port => port.parse().ok().filter(|p| *p != 0)?,
        };
        let fits = |c: char| c.is_ascii_alphanumeric() || "-._:".contains(c);
        if host.is_empty() || !host.chars().all(fits) {
            return None;
        }
        Some(Self { https, host: host.to_owned(), port })
    }
}

/// `host:port`.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// What a connection is made of, so that a failure can name it.
#[derive(Clone, Debug)]
pub struct Path {
    /// The server.
    pub origin: Origin,
    /// The proxy on the way, with the variable that named it.
    pub proxy: Option<(Origin, &'static str)>,
    /// Where the TLS roots come from; empty without TLS.
    pub roots: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_read_from_urls() {
        let text = |url| Origin::parse(url).map(|p| format!("{} {p}", p.https));
        assert_eq!(text("https://sts.amazonaws.com").unwrap(), "true sts.amazonaws.com:443");
        assert_eq!(text("HTTP://moto/path?x").unwrap(), "false moto:80");
        assert_eq!(text("http://127.0.0.1:5000/").unwrap(), "false 127.0.0.1:5000");
        assert_eq!(text("https://[fd00::1]:8443").unwrap(), "true [fd00::1]:8443");
        for bad in [
            "",
            "sts.amazonaws.com",
            "ftp://x",
            "http://",
            "http://:1",
            "http://a:0",
            "http://a:x",
            "http://a:99999",
            "http://[::1",
            "http://[::1]x",
            "http://[nope]",
            "http://u:p@a",
            "http://a b",
            "http://a\n",
            "https://ä",
        ] {
            assert_eq!(text(bad), None, "{bad:?}");
        }
        assert_eq!(Origin::of_proxy("http://u:p@a:1").unwrap().to_string(), "a:1");
    }
}
