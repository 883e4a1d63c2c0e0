//! The connection to AWS: where it goes, through which proxy, and with which roots.

use std::sync::Arc;

use hyper::Uri;
use hyper_util::client::proxy::matcher::Matcher;
use rustls_pki_types::CertificateDer;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::dial::Host;
use super::origin::{Origin, Path};
use super::proxy::{self, Proxies, Proxy};
use super::roots::Sources;
use super::wire::{ProxyHop, Route, Wire};
use crate::error::{Error, Result};
use crate::profile::EndpointVariant;
use crate::reporter::Reporter;

/// Chooses the proxy, and reads the roots if TLS is spoken anywhere on the way. Nothing is opened yet.
/// `limit`: the most that is read for one request, in bytes.
///
/// # Errors
/// A proxy or a CA bundle that cannot be used, as [`Proxies::choose`] and [`Sources::load`] say it.
pub fn connector(
    origin: Origin,
    proxies: &Proxies,
    roots: &Sources,
    limit: usize,
    reporter: Reporter,
) -> Result<(Wire, Path)> {
    let variant = EndpointVariant::default();
    let mut path = Path { origin: origin.clone(), proxy: None, roots: String::new(), variant };
    let mut via = None;
    if let Some(proxy) = proxies.choose(&origin)? {
        reporter.debug(format!("through the proxy {} ({})", proxy.origin, proxy.variable));
        path.proxy = Some((proxy.origin.clone(), proxy.variable));
        via = Some(self::via(proxy)?);
    }
    let mut tls = None;
    if origin.https || via.as_ref().is_some_and(|via| via.origin.https) {
        let roots = roots.load()?;
        reporter.debug(format!("TLS roots from {}", roots.source));
        if roots.skipped > 0 {
            reporter.debug(format!("{} of its certificates cannot be used", roots.skipped));
        }
        path.roots = roots.source;
        tls = Some(trusting(roots.certificates)?);
    }
    let first = via.as_ref().map_or(&origin, |via| &via.origin);
    let hop = Host::new(&first.host, first.port);
    Ok((Wire::new(Route { hop, origin, proxy: via, tls, limit }), path))
}

fn via(proxy: Proxy) -> Result<ProxyHop> {
    let all = Matcher::builder().all(proxy.url.as_str()).build();
    let any = Uri::from_static("http://any.invalid");
    let intercept = all.intercept(&any).ok_or_else(|| proxy::unusable(proxy.variable))?;
    let authorization = intercept.basic_auth().cloned();
    Ok(ProxyHop { origin: proxy.origin, uri: intercept.uri().clone(), authorization })
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
    fn a_plain_place_reads_no_roots() {
        let sources = Sources::new(Some("/nonexistent".into()), &crate::env::Env::default());
        let none = Proxies::from_env(&crate::env::Env::default());
        let plain = Origin::parse("http://127.0.0.1:1").unwrap();
        let (_, path) = connector(plain, &none, &sources, 1024, Reporter::default()).unwrap();
        assert_eq!(path.roots, "");
        let tls = Origin::parse("https://127.0.0.1:1").unwrap();
        let error = connector(tls, &none, &sources, 1024, Reporter::default()).err().unwrap();
        assert_eq!(error.what, "CA bundle /nonexistent: no such file or directory");
    }
}
