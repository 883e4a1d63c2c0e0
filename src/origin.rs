//! Servers: scheme, host and port, as an http or https URL names them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hyper::Uri;

/// A server: scheme, host and port (an origin, RFC 6454).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    pub https: bool,
    /// Name or address; an IPv6 address without its brackets.
    pub host: String,
    /// Given, or the scheme's own.
    pub port: u16,
}

impl Origin {
    /// The origin that an `http://` or `https://` URL names, without user or password in it.
    pub fn parse(url: &str) -> Option<Self> {
        Self::of_proxy(url)
            .filter(|_| !url.contains('@') && url.bytes().all(|b| b.is_ascii_graphic()))
    }

    /// The origin of a proxy, whose URL may have user and password.
    pub fn of_proxy(url: &str) -> Option<Self> {
        let uri = url.parse::<Uri>().ok()?;
        let https = match uri.scheme_str()? {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let authority = uri.authority()?;
        let host = authority.host();
        let port = match authority.as_str().rsplit('@').next()?.strip_prefix(host)? {
            "" | ":" if https => 443,
            "" | ":" => 80,
            _ => authority.port_u16().filter(|port| *port != 0)?,
        };
        let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let fits = match inner {
            Some(address) => address.parse::<Ipv6Addr>().is_ok(),
            None => host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b)),
        };
        (fits && !host.is_empty()).then(|| Self {
            https,
            host: inner.unwrap_or(host).to_owned(),
            port,
        })
    }

    /// The host's address, unless it is a name. `localhost` is 127.0.0.1, whatever a name server says.
    pub fn address(&self) -> Option<IpAddr> {
        match self.host.eq_ignore_ascii_case("localhost") {
            true => Some(Ipv4Addr::LOCALHOST.into()),
            false => self.host.parse().ok(),
        }
    }

    /// True for this host: nothing goes over a network.
    pub fn is_loopback(&self) -> bool {
        self.address().is_some_and(|address| address.is_loopback())
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
            "https://a/ä",
        ] {
            assert_eq!(text(bad), None, "{bad:?}");
        }
        assert_eq!(Origin::of_proxy("http://u:p@a:1").unwrap().to_string(), "a:1");
    }
}
