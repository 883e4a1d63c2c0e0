//! The line to a server: where it goes, through which proxy, and with which roots; and what runs on it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use aws_smithy_runtime_api::client::http::HttpConnector;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use rustls_pki_types::CertificateDer;
use tokio::runtime::Runtime;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::dial::Host;
use super::origin::{Origin, Path};
use super::proxy::Proxies;
use super::roots::Sources;
use super::service_error::ServiceError;
use super::unreachable::unreachable;
use super::wire::{Route, Wire};
use crate::env::Env;
use crate::error::{Error, Result};
use crate::profile::EndpointVariant;
use crate::reporter::Reporter;
use crate::waiting::{Waiting, waiting};

/// What every line of a client is made of, as it stood at start. Nothing is opened or read yet.
pub struct Network {
    proxies: Proxies,
    roots: Sources,
    /// Whom to tell.
    pub reporter: Reporter,
}

impl Network {
    /// `ca_bundle`: a bundle of roots that was asked for.
    pub fn new(ca_bundle: Option<PathBuf>, env: &Env, reporter: Reporter) -> Self {
        Self { proxies: Proxies::from_env(env), roots: Sources::new(ca_bundle, env), reporter }
    }

    /// Chooses the proxy, and reads the roots if TLS is spoken anywhere on the way. Nothing is opened
    /// yet. `limit`: the most that is read for one request, in bytes.
    ///
    /// # Errors
    /// A proxy or a CA bundle that cannot be used, as [`Proxies::choose`] and [`Sources::load`] say it.
    pub fn line(&self, origin: Origin, variant: EndpointVariant, limit: usize) -> Result<Line> {
        let reporter = self.reporter;
        let mut path = Path { origin: origin.clone(), proxy: None, roots: String::new(), variant };
        let proxy = self.proxies.choose(&origin)?;
        if let Some(proxy) = &proxy {
            reporter.debug(format!("through the proxy {} ({})", proxy.origin, proxy.variable));
            path.proxy = Some((proxy.origin.clone(), proxy.variable));
        }
        let mut tls = None;
        if origin.https || proxy.as_ref().is_some_and(|proxy| proxy.origin.https) {
            let roots = self.roots.load()?;
            reporter.debug(format!("TLS roots from {}", roots.source));
            if roots.skipped > 0 {
                reporter.debug(format!("{} of its certificates cannot be used", roots.skipped));
            }
            path.roots = roots.source;
            tls = Some(trusting(roots.certificates)?);
        }
        let first = proxy.as_ref().map_or(&origin, |proxy| &proxy.origin);
        let hop = Host::new(&first.host, first.port);
        let wire = Wire::new(Route { hop, origin, proxy, tls, limit });
        // One thread, this one.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime =
            runtime.map_err(|_| Error::other("no event loop can be had from the system"))?;
        Ok(Line { runtime: Some(runtime), wire, path })
    }
}

/// The line to one server. Connections are kept between requests; several threads may ask at once.
pub struct Line {
    /// Always there until `drop` takes it.
    runtime: Option<Runtime>,
    pub wire: Wire,
    pub path: Path,
}

impl Drop for Line {
    /// Without waiting: a name look-up that hangs sits in a thread that nothing can interrupt.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Line {
    /// The wait for `what` of this server begins.
    pub fn waiting(&self, what: &'static str, until: Instant) -> Waiting {
        let origin = self.path.origin.to_string();
        waiting(move || format!("{what} at {origin}"), Some(until))
    }

    /// Does `work`, which ends itself at `end`. A future that is late from the start would still be
    /// polled once, and send.
    pub fn run<T>(
        &self,
        end: Instant,
        work: impl Future<Output = Result<T, ServiceError>>,
    ) -> Result<T, ServiceError> {
        match self.runtime.as_ref().filter(|_| Instant::now() < end) {
            Some(runtime) => runtime.block_on(work),
            None => Err(self.late()),
        }
    }

    /// One request to `who`, and its answer.
    pub async fn ask(
        &self,
        request: HttpRequest,
        end: Instant,
        who: &'static str,
    ) -> Result<HttpResponse, ServiceError> {
        let answer = tokio::time::timeout_at(end.into(), self.wire.call(request)).await;
        let answer = answer.map_err(|_| self.late())?;
        answer.map_err(|error| unreachable(&error, &self.path, who))
    }

    /// The error where time has run out.
    pub fn late(&self) -> ServiceError {
        ServiceError::Timeout { origin: self.path.origin.to_string() }
    }
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
        let bundle = Some("/nonexistent".into());
        let network = Network::new(bundle, &Env::default(), Reporter::default());
        let line =
            |url| network.line(Origin::parse(url).unwrap(), EndpointVariant::default(), 1024);
        assert_eq!(line("http://127.0.0.1:1").unwrap().path.roots, "");
        let error = line("https://127.0.0.1:1").err().unwrap();
        assert_eq!(error.what, "CA bundle /nonexistent: no such file or directory");
    }
}
