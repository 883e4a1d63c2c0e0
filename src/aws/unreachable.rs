//! Connections that failed or broke: one sentence that names the host and port, or the proxy.

use std::error::Error as StdError;
use std::io;

use tokio_rustls::rustls::{self, CertificateError, OtherError};

use super::connector::Route;
use super::dial::LOOK_UP_TIMEOUT;
use super::service_error::ServiceError;
use super::transport_error::{CONNECT_TIMEOUT, TransportError, chain};
use crate::error::os_text;

/// hyper's errors for its limits on headers, and on what may stand between and after chunks.
const HYPER_LIMITS: [&str; 3] = ["message head is too large", "over limit", "count overflow"];

/// The connection broke when the request was, or may have been, sent.
pub fn lost(route: &Route) -> ServiceError {
    let why = format!("{} closed the connection before the response was complete", route.origin);
    ServiceError::Unreachable { why, hint: Some("try again".to_owned()), lost: true }
}

/// What a failed call to `service` means. hyper's error types are private, so their (stable) texts are
/// searched, and never passed on.
pub fn unreachable(
    error: &(dyn StdError + 'static),
    route: &Route,
    service: &'static str,
) -> ServiceError {
    let words: String = chain(error).map(|error| format!("{error}\n")).collect();
    let has = |word: &str| words.contains(word);
    let transport = TransportError::below(error);
    if matches!(transport, Some(TransportError::TooLarge)) || HYPER_LIMITS.into_iter().any(has) {
        return ServiceError::TooLarge { service, origin: route.origin.to_string() };
    }
    let origin = &route.origin;
    let (peer, name, peer_hint) = match &route.proxy {
        None => (origin.to_string(), origin.host.clone(), None),
        Some(proxy) => (
            format!("the proxy {}", proxy.origin),
            format!("the proxy {}", proxy.origin.host),
            Some(format!("the proxy was named by {}", proxy.variable)),
        ),
    };
    let (why, hint) = match transport {
        Some(TransportError::NoAddress) => {
            let check = || Some("check region, endpoint_url and this host's DNS".to_owned());
            let hint = peer_hint.or_else(|| variant_hint(route, service)).or_else(check);
            (format!("no address found for {name}"), hint)
        }
        Some(TransportError::NoResolver) => {
            let check = || Some("check the name servers in /etc/resolv.conf".to_owned());
            let limit = LOOK_UP_TIMEOUT.as_secs();
            (format!("no answer from DNS for {name} within {limit} s"), peer_hint.or_else(check))
        }
        Some(TransportError::ConnectTimeout) => {
            (format!("no connection to {peer} within {} s", CONNECT_TIMEOUT.as_secs()), peer_hint)
        }
        Some(TransportError::Tcp(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {
            (format!("{peer} refused the connection"), peer_hint)
        }
        Some(TransportError::Tcp(error)) => {
            (format!("cannot reach {peer}: {}", os_text(error)), peer_hint)
        }
        Some(TransportError::Tls(error)) => match chain(error).find_map(|it| it.downcast_ref()) {
            Some(rustls::Error::InvalidCertificate(error)) => bad_certificate(error, route),
            _ => (
                format!("no TLS connection to {origin}"),
                Some("is that port an HTTPS one, and nothing in between?".to_owned()),
            ),
        },
        None if has("proxy authorization required") => (
            format!("{peer} asks for a user name and password"),
            Some("write it as http://USER:PASSWORD@HOST:PORT in the proxy variable".to_owned()),
        ),
        None if has("tunnel error: ") => {
            let hint = variant_hint(route, service).or(peer_hint);
            (format!("{peer} does not connect to {origin}"), hint)
        }
        Some(TransportError::TooLarge) | None => return lost(route),
    };
    ServiceError::Unreachable { why, hint, lost: false }
}

/// The hint about an endpoint that the SDK's rules name and the service may not have.
fn variant_hint(route: &Route, service: &str) -> Option<String> {
    let name = route.variant.name()?;
    let keys = route.variant.keys();
    Some(format!("{service} may have no {name} endpoint in this region; {keys} requests one"))
}

fn bad_certificate(error: &CertificateError, route: &Route) -> (String, Option<String>) {
    let unknown_issuer = format!("is signed by none of the roots in {}", route.roots);
    let (why, hint) = match error {
        CertificateError::UnknownIssuer => (
            &*unknown_issuer,
            "if your network inspects TLS, name a bundle with its root certificate in AWS_CA_BUNDLE",
        ),
        CertificateError::Expired
        | CertificateError::ExpiredContext { .. }
        | CertificateError::NotValidYet
        | CertificateError::NotValidYetContext { .. } => {
            ("is not valid at this time", "check this machine's clock")
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            ("is for another name", "check endpoint_url")
        }
        CertificateError::Other(OtherError(error))
            if error.downcast_ref() == Some(&webpki::Error::CaUsedAsEndEntity) =>
        {
            (
                "is a CA certificate, which a server must not use",
                "give the server a certificate with basicConstraints CA:FALSE",
            )
        }
        _ => ("cannot be verified", "check endpoint_url and AWS_CA_BUNDLE"),
    };
    (format!("the certificate of {} {why}", route.origin), Some(hint.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::aws::dial::Peer;
    use crate::aws::proxy::Proxies;
    use crate::env::Env;
    use crate::origin::Origin;
    use crate::profile::EndpointVariant;

    fn route(proxy: bool) -> Route {
        let origin = Origin::parse("https://sts.example").unwrap();
        let env = Env::of(&[("HTTPS_PROXY", "http://proxy.example:3128")]);
        Route {
            peer: Peer::new(&origin),
            proxy: Proxies::from_env(&env).choose(&origin).unwrap().filter(|_| proxy),
            origin,
            tls: None,
            roots: "/etc/ssl/cert.pem".to_owned(),
            variant: EndpointVariant::default(),
            limit: 0,
        }
    }

    fn why(error: impl Into<Box<dyn StdError + Send + Sync>>, proxy: bool) -> String {
        unreachable(&*error.into(), &route(proxy), "STS").into_error().what
    }

    #[test]
    fn a_name_that_only_a_variant_has_is_reported_as_one() {
        let variant = EndpointVariant { fips: Some(true), dual_stack: None };
        let said = |error: Box<dyn StdError + Send + Sync>, proxy| {
            let error =
                unreachable(&*error, &Route { variant, ..route(proxy) }, "STS").into_error();
            (error.what, error.hint.unwrap())
        };
        let hint = "STS may have no FIPS endpoint in this region; use_fips_endpoint requests one";
        for (error, proxy, what) in [
            (TransportError::NoAddress.into(), false, "no address found for sts.example"),
            (
                "tunnel error: unsuccessful".into(),
                true,
                "the proxy proxy.example:3128 does not connect to sts.example:443",
            ),
        ] {
            assert_eq!(said(error, proxy), (what.to_owned(), hint.to_owned()));
        }
        let (_, hint) = said(TransportError::NoAddress.into(), true);
        assert_eq!(hint, "the proxy was named by HTTPS_PROXY");
    }

    #[test]
    fn broken_connections_get_one_sentence_with_host_and_port() {
        let refused = |number| TransportError::Tcp(io::Error::from_raw_os_error(number));
        let certificate = |error: CertificateError| {
            TransportError::Tls(io::Error::other(rustls::Error::InvalidCertificate(error)))
        };
        let authority = OtherError(Arc::new(webpki::Error::CaUsedAsEndEntity));
        let cases = [
            (why(refused(111), false), "sts.example:443 refused the connection"),
            (why(refused(111), true), "the proxy proxy.example:3128 refused the connection"),
            (why(refused(101), false), "cannot reach sts.example:443: network is unreachable"),
            (why(TransportError::NoAddress, false), "no address found for sts.example"),
            (why(TransportError::NoAddress, true), "no address found for the proxy proxy.example"),
            (
                why(TransportError::NoResolver, false),
                "no answer from DNS for sts.example within 20 s",
            ),
            (
                why(TransportError::ConnectTimeout, false),
                "no connection to sts.example:443 within 5 s",
            ),
            (
                why(certificate(CertificateError::UnknownIssuer), false),
                "the certificate of sts.example:443 is signed by none of the roots in \
                 /etc/ssl/cert.pem",
            ),
            (
                why(certificate(CertificateError::Expired), false),
                "the certificate of sts.example:443 is not valid at this time",
            ),
            (
                why(certificate(CertificateError::NotValidForName), false),
                "the certificate of sts.example:443 is for another name",
            ),
            (
                why(certificate(CertificateError::Other(authority)), false),
                "the certificate of sts.example:443 is a CA certificate, which a server must not use",
            ),
            (
                why(certificate(CertificateError::Revoked), false),
                "the certificate of sts.example:443 cannot be verified",
            ),
            (
                why(TransportError::Tls(io::ErrorKind::UnexpectedEof.into()), false),
                "no TLS connection to sts.example:443",
            ),
            (
                why("tunnel error: unsuccessful", true),
                "the proxy proxy.example:3128 does not connect to sts.example:443",
            ),
            (
                why("tunnel error: proxy authorization required", true),
                "the proxy proxy.example:3128 asks for a user name and password",
            ),
            (
                why("connection closed before message completed", false),
                "sts.example:443 closed the connection before the response was complete",
            ),
            (
                why(io::Error::other(TransportError::TooLarge), false),
                "STS at sts.example:443 sent too much: an answer may have 256 KiB, and 100 headers of \
                 64 KiB in all",
            ),
        ];
        for (said, expected) in cases {
            assert_eq!(said, expected);
        }
    }
}
