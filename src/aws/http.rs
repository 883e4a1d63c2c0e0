//! The connection to AWS: where it goes, through which proxy, and with which roots.

use std::sync::Arc;

use hyper::Uri;
use hyper_util::client::proxy::matcher::Matcher;
use rustls_pki_types::CertificateDer;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::dial::Host;
use super::place::{Path, Place};
use super::proxy::{self, Proxies, Proxy};
use super::roots::Sources;
use super::wire::{Via, Way, Wire};
use crate::error::{Error, Result};
use crate::say::Say;

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
