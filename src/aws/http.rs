//! The connection to AWS: where it goes, through which proxy, and with which roots.

use std::fmt;
use std::time::Duration;

use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_runtime_api::client::http::{
    HttpConnectorSettings, SharedHttpClient, SharedHttpConnector, http_client_fn,
};

use super::proxy::Proxies;
use super::roots::Sources;
use crate::error::{Error, Result};
use crate::say::Say;

/// For name look-up, TCP, a proxy's tunnel and TLS together.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection that was idle for longer is not used again. Between the hops of a chain it is; but the
/// server may have closed it while a person was asked for a code, and the call with the code, which
/// is never repeated, would be lost on it.
const IDLE: Duration = Duration::from_secs(5);

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

/// Chooses the proxy, reads the roots if TLS is spoken anywhere on the way, and builds a client of
/// one connector (the SDK's own would build one more per set of time limits).
///
/// # Errors
/// A proxy or a CA bundle that cannot be used, as [`Proxies::choose`] and [`Sources::load`] say it.
pub fn client(
    place: Place,
    proxies: &Proxies,
    roots: &Sources,
    say: Say,
) -> Result<(SharedHttpClient, Path)> {
    let (connector, path) = connector(place, proxies, roots, say)?;
    Ok((http_client_fn(move |_, _| connector.clone()), path))
}

/// The connector alone.
///
/// # Errors
/// As [`client`].
pub fn connector(
    place: Place,
    proxies: &Proxies,
    roots: &Sources,
    say: Say,
) -> Result<(SharedHttpConnector, Path)> {
    let proxy = proxies.choose(&place)?;
    let mut path = Path { place, proxy: None, roots: String::new() };
    let mut store = TrustStore::empty();
    if path.place.https || proxy.as_ref().is_some_and(|p| p.place.https) {
        let roots = roots.load()?;
        say.debug(format!("TLS roots from {}", roots.source));
        if roots.skipped > 0 {
            say.debug(format!("{} of its certificates cannot be used", roots.skipped));
        }
        store.add_pem_certificate(roots.pem);
        path.roots = roots.source;
    }
    let tls = TlsContext::builder()
        .with_trust_store(store)
        .build()
        .map_err(|_| Error::other("TLS cannot be set up"))?;
    let proxy_config = match proxy {
        None => ProxyConfig::disabled(),
        Some(proxy) => {
            say.debug(format!("through the proxy {} ({})", proxy.place, proxy.variable));
            let unusable =
                |_| Error::usage(format!("{} is not the address of an HTTP proxy", proxy.variable));
            let config = ProxyConfig::all(proxy.url.as_str()).map_err(unusable)?;
            path.proxy = Some((proxy.place, proxy.variable));
            config
        }
    };
    let connector = SharedHttpConnector::new(
        Connector::builder()
            .connector_settings(
                HttpConnectorSettings::builder().connect_timeout(CONNECT_TIMEOUT).build(),
            )
            .sleep_impl(TokioSleep::new())
            .pool_idle_timeout(Some(IDLE))
            .proxy_config(proxy_config)
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .tls_context(tls)
            .build(),
    );
    Ok((connector, path))
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
        let (_, path) = client(plain, &none, &sources, Say::default()).unwrap();
        assert_eq!(path.roots, "");
        let tls = Place::parse("https://127.0.0.1:1").unwrap();
        let error = client(tls, &none, &sources, Say::default()).err().unwrap();
        assert_eq!(error.what, "CA bundle /nonexistent: no such file or directory");
    }
}
