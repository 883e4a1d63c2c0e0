//! The connection to AWS: where it goes, through which proxy, and with which roots.

use std::fmt;
use std::sync::Arc;

use hyper::Uri;
use hyper_util::client::proxy::matcher::Matcher;
use rustls_pki_types::CertificateDer;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::dial::Host;
use super::proxy::{self, Proxies, Proxy};
use super::roots::Sources;
use super::wire::{Via, Way, Wire};
use crate::error::{Error, Result};
use crate::say::Say;

/// A server's scheme, host and port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// TLS or not.
    pub https: bool,
    /// Name or address; an IPv6 address without its brackets.
    pub host: String,
    /// Given, or the scheme's own.
    pub port: u16,
}

impl Place {
    /// The place that an `http://` or `https://` URL names, without user or password in it.
    pub fn parse(url: &str) -> Option<Self> {
        Self::of(url).filter(|_| !url.contains('@'))
    }

    /// The place of a proxy, whose URL may have user and password.
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
impl fmt::Display for Place {
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
    pub place: Place,
    /// The proxy on the way, with the variable that named it.
    pub proxy: Option<(Place, &'static str)>,
    /// Where the TLS roots come from; empty without TLS.
    pub roots: String,
}

/// Chooses the proxy, and reads the roots if TLS is spoken anywhere on the way. Nothing is opened yet.
///
/// # Errors
/// A proxy or a CA bundle that cannot be used, as [`Proxies::choose`] and [`Sources::load`] say it.
pub fn connector(
    place: Place,
    proxies: &Proxies,
    roots: &Sources,
    say: Say,
) -> Result<(Wire, Path)> {
    let mut path = Path { place: place.clone(), proxy: None, roots: String::new() };
    let mut via = None;
    if let Some(proxy) = proxies.choose(&place)? {
        say.debug(format!("through the proxy {} ({})", proxy.place, proxy.variable));
        path.proxy = Some((proxy.place.clone(), proxy.variable));
        via = Some(self::via(proxy)?);
    }
    let mut tls = None;
    if place.https || via.as_ref().is_some_and(|via| via.place.https) {
        let roots = roots.load()?;
        say.debug(format!("TLS roots from {}", roots.source));
        if roots.skipped > 0 {
            say.debug(format!("{} of its certificates cannot be used", roots.skipped));
        }
        path.roots = roots.source;
        tls = Some(trusting(roots.certificates)?);
    }
    let first = via.as_ref().map_or(&place, |via| &via.place);
    let hop = Host::new(&first.host, first.port);
    Ok((Wire::new(Way { hop, place, proxy: via, tls }), path))
}

fn via(proxy: Proxy) -> Result<Via> {
    let all = Matcher::builder().all(proxy.url.as_str()).build();
    let any = Uri::from_static("http://any.invalid");
    let intercept = all.intercept(&any).ok_or_else(|| proxy::unusable(proxy.variable))?;
    let authorization = intercept.basic_auth().cloned();
    Ok(Via { place: proxy.place, uri: intercept.uri().clone(), authorization })
}

/// TLS 1.2 or 1.3 with ring, which trusts these roots alone.
fn trusting(certificates: Vec<CertificateDer<'static>>) -> Result<TlsConnector> {
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(certificates);
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|_| Error::other("TLS cannot be set up"))?
        .with_root_certificates(store)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_from_urls() {
        let text = |url| Place::parse(url).map(|p| format!("{} {p}", p.https));
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
        assert_eq!(Place::of_proxy("http://u:p@a:1").unwrap().to_string(), "a:1");
    }

    #[test]
    fn a_plain_place_reads_no_roots() {
        let sources = Sources { bundle: Some("/nonexistent".into()), ssl_cert_file: None };
        let none = Proxies::from_env(&crate::env::Env::default());
        let plain = Place::parse("http://127.0.0.1:1").unwrap();
        let (_, path) = connector(plain, &none, &sources, Say::default()).unwrap();
        assert_eq!(path.roots, "");
        let tls = Place::parse("https://127.0.0.1:1").unwrap();
        let error = connector(tls, &none, &sources, Say::default()).err().unwrap();
        assert_eq!(error.what, "CA bundle /nonexistent: no such file or directory");
    }
}
