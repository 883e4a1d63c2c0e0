//! The HTTP client of one server: the route to it, and the event loop on which its requests run.

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

use super::connector::{Connector, Route};
use super::dial::Peer;
use super::proxy::Proxies;
use super::roots::Sources;
use super::service_error::ServiceError;
use super::unreachable::unreachable;
use crate::env::Env;
use crate::error::{Error, Result};
use crate::origin::Origin;
use crate::profile::EndpointVariant;
use crate::reporter::Reporter;
use crate::waiting::{Waiting, waiting};

/// The settings of every HTTP client, as they were at start. Nothing is opened or read yet.
pub struct HttpSettings {
    proxies: Proxies,
    roots: Sources,
    pub reporter: Reporter,
}

impl HttpSettings {
    /// `ca_bundle`: a file of root certificates that a setting or a variable names.
    pub fn new(ca_bundle: Option<PathBuf>, env: &Env, reporter: Reporter) -> Self {
        Self { proxies: Proxies::from_env(env), roots: Sources::new(ca_bundle, env), reporter }
    }

    /// Chooses the proxy, and reads the roots if TLS is needed on the route. No connection is opened
    /// yet. `limit`: the most bytes that are read for one request.
    ///
    /// # Errors
    /// A proxy or a CA bundle that cannot be used: [`Proxies::choose`], [`Sources::load`].
    pub fn client(
        &self,
        origin: Origin,
        variant: EndpointVariant,
        limit: usize,
    ) -> Result<HttpClient> {
        let proxy = self.proxies.choose(&origin)?;
        if let Some(proxy) = &proxy {
            self.reporter.debug(format!("through the proxy {} ({})", proxy.origin, proxy.variable));
        }
        let (mut tls, mut roots) = (None, String::new());
        if origin.https || proxy.as_ref().is_some_and(|proxy| proxy.origin.https) {
            let loaded = self.roots.load()?;
            self.reporter.debug(format!("TLS roots from {}", loaded.source));
            if loaded.skipped > 0 {
                self.reporter
                    .debug(format!("{} of its certificates cannot be used", loaded.skipped));
            }
            tls = Some(trusting(loaded.certificates)?);
            roots = loaded.source;
        }
        let peer = Peer::new(proxy.as_ref().map_or(&origin, |proxy| &proxy.origin));
        // One thread, this one.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|_| Error::other("cannot create an event loop"))?;
        let connector = Connector::new(Route { origin, peer, proxy, tls, roots, variant, limit });
        Ok(HttpClient { runtime: Some(runtime), connector })
    }
}

/// Sends requests to one server. Connections are kept between requests; several threads may send at
/// once.
pub struct HttpClient {
    /// Always there until `drop` takes it.
    runtime: Option<Runtime>,
    pub connector: Connector,
}

impl Drop for HttpClient {
    /// Without waiting: a name look-up that hangs is in a thread that nothing can interrupt.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl HttpClient {
    pub fn route(&self) -> &Route {
        self.connector.route()
    }

    /// Shows that `what` of this server is waited for.
    pub fn waiting(&self, what: &'static str, until: Instant) -> Waiting {
        let origin = self.route().origin.to_string();
        waiting(move || format!("{what} at {origin}"), Some(until))
    }

    /// Runs `work` until `end` at the latest. It is not started after that: its first poll could already
    /// send.
    pub fn run<T>(
        &self,
        end: Instant,
        work: impl Future<Output = Result<T, ServiceError>>,
    ) -> Result<T, ServiceError> {
        let timeout = || ServiceError::Timeout { origin: self.route().origin.to_string() };
        let runtime = self.runtime.as_ref().filter(|_| Instant::now() < end).ok_or_else(timeout)?;
        let work = async { tokio::time::timeout_at(end.into(), work).await };
        runtime.block_on(work).map_err(|_| timeout())?
    }

    /// Looks up the name of the server or the proxy, once, for a caller whose time limit for a request
    /// must not include that. `service` is the server's name for errors.
    pub async fn look_up(&self, service: &'static str) -> Result<(), ServiceError> {
        let found = self.route().peer.look_up().await;
        found.map(drop).map_err(|error| unreachable(&error, self.route(), service))
    }

    /// Sends one request and gives the response.
    pub async fn send(
        &self,
        request: HttpRequest,
        service: &'static str,
    ) -> Result<HttpResponse, ServiceError> {
        let response = self.connector.call(request).await;
        response.map_err(|error| unreachable(&error, self.route(), service))
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
    fn plain_http_reads_no_roots() {
        let bundle = Some("/nonexistent".into());
        let settings = HttpSettings::new(bundle, &Env::default(), Reporter::default());
        let client =
            |url| settings.client(Origin::parse(url).unwrap(), EndpointVariant::default(), 1024);
        assert_eq!(client("http://127.0.0.1:1").unwrap().route().roots, "");
        let error = client("https://127.0.0.1:1").err().unwrap();
        assert_eq!(error.what, "CA bundle /nonexistent: no such file or directory");
    }
}
