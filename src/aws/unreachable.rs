//! Connections that did not come about or broke: one sentence, with the host and port or the proxy
//! that is to blame.

use std::error::Error as StdError;
use std::io;

use super::dial::LOOK_UP_TIMEOUT;
use super::failed::{CONNECT_TIMEOUT, Failed, chain};
use super::origin::Path;
use super::service_error::ServiceError;
use crate::error::os_text;

/// The connection broke when the request was, or may have been, sent.
pub fn lost(path: &Path) -> ServiceError {
    let why = format!("{} closed the connection without a whole answer", path.origin);
    ServiceError::Unreachable { why, hint: Some("try again".to_owned()), lost: true }
}

/// Whom we speak to first: the proxy, where there is one.
fn first_hop(path: &Path) -> (String, Option<String>) {
    match &path.proxy {
        Some((proxy, variable)) => {
            (format!("the proxy {proxy}"), Some(format!("the proxy was named by {variable}")))
        }
        None => (path.origin.to_string(), None),
    }
}

/// Reads the reasons below the SDK's error; `who` was asked. The libraries' types are not part of
/// anyone's interface, so their (stable) words are looked for, and never passed on.
pub fn unreachable(
    error: &(dyn StdError + 'static),
    path: &Path,
    who: &'static str,
) -> ServiceError {
    let words: String = chain(error).map(|error| format!("{error}\n")).collect();
    let (hop, hop_hint) = first_hop(path);
    let said =
        |why: String, hint: Option<String>| ServiceError::Unreachable { why, hint, lost: false };
    let has = |word: &str| words.contains(word);
    // hyper's limits on headers, and on what may stand between and after chunks.
    if ["message head is too large", "over limit", "count overflow"].iter().any(|it| has(it)) {
        return too_much(path, who);
    }
    match chain(error).find_map(|error| error.downcast_ref::<Failed>()) {
        Some(Failed::TooMuch) => too_much(path, who),
        Some(Failed::NoAddress) => {
            let (host, hint) = looked_up(path, "check region, endpoint_url and this host's DNS");
            // The name of a proxy says nothing of AWS.
            let variant = variant_hint(path, who).filter(|_| path.proxy.is_none());
            said(format!("no address found for {host}"), variant.or(hint))
        }
        Some(Failed::NoResolver) => {
            let (host, hint) = looked_up(path, "check the name servers in /etc/resolv.conf");
            let limit = LOOK_UP_TIMEOUT.as_secs();
            said(format!("no answer from DNS for {host} within {limit} s"), hint)
        }
        Some(Failed::Late) => {
            let limit = CONNECT_TIMEOUT.as_secs();
            said(format!("no connection to {hop} within {limit} s"), hop_hint)
        }
        Some(Failed::Tcp(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {
            said(format!("{hop} refused the connection"), hop_hint)
        }
        Some(Failed::Tcp(error)) => {
            said(format!("cannot reach {hop}: {}", os_text(error)), hop_hint)
        }
        Some(Failed::Tls(_)) if has("invalid peer certificate") => {
            said_of_certificate(&words, path)
        }
        Some(Failed::Tls(_)) => said(
            format!("no TLS connection to {}", path.origin),
            Some("is that port an HTTPS one, and nothing in between?".to_owned()),
        ),
        None if has("proxy authorization required") => {
            let hint = "write it as http://USER:PASSWORD@HOST:PORT in the proxy variable";
            said(format!("{hop} asks for a user name and password"), Some(hint.to_owned()))
        }
        None if has("tunnel error: ") => {
            let hint = variant_hint(path, who).or(hop_hint);
            said(format!("{hop} does not connect to {}", path.origin), hint)
        }
        None => lost(path),
    }
}

/// A service may lack an endpoint that the SDK's rules have a name for.
fn variant_hint(path: &Path, who: &'static str) -> Option<String> {
    let name = path.variant.name()?;
    let keys = path.variant.keys();
    Some(format!("{who} may have no {name} endpoint in this region; it is asked for by {keys}"))
}

fn too_much(path: &Path, who: &'static str) -> ServiceError {
    ServiceError::TooMuch { who, origin: path.origin.to_string() }
}

/// Whose name was looked up, and what to do where that fails.
fn looked_up(path: &Path, hint: &str) -> (String, Option<String>) {
    match &path.proxy {
        Some((proxy, _)) => (format!("the proxy {}", proxy.host), first_hop(path).1),
        None => (path.origin.host.clone(), Some(hint.to_owned())),
    }
}

fn said_of_certificate(words: &str, path: &Path) -> ServiceError {
    let origin = &path.origin;
    let (why, hint) = if words.contains("UnknownIssuer") {
        (
            format!("the certificate of {origin} is signed by none of the roots in {}", path.roots),
            "if your network inspects TLS, name a bundle with its root certificate in AWS_CA_BUNDLE",
        )
    } else if words.contains("certificate expired") || words.contains("not valid yet") {
        (
            format!("the certificate of {origin} is not valid at this time"),
            "check this machine's clock",
        )
    } else if words.contains("not valid for") || words.contains("NotValidForName") {
        (format!("the certificate of {origin} is for another name"), "check endpoint_url")
    } else if words.contains("CaUsedAsEndEntity") {
        (
            format!("the certificate of {origin} is an authority's, which no server may use"),
            "give the server one with basicConstraints CA:FALSE",
        )
    } else {
        (
            format!("the certificate of {origin} cannot be verified"),
            "check endpoint_url and AWS_CA_BUNDLE",
        )
    };
    ServiceError::Unreachable { why, hint: Some(hint.to_owned()), lost: false }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::origin::Origin;
    use crate::profile::EndpointVariant;

    fn path(proxy: bool) -> Path {
        Path {
            origin: Origin::parse("https://sts.example").unwrap(),
            proxy: proxy
                .then(|| (Origin::parse("http://proxy.example:3128").unwrap(), "HTTPS_PROXY")),
            roots: "/etc/ssl/cert.pem".to_owned(),
            variant: EndpointVariant::default(),
        }
    }

    fn why(error: impl Into<Box<dyn StdError + Send + Sync>>, proxy: bool) -> String {
        unreachable(&*error.into(), &path(proxy), "STS").into_error().what
    }

    #[test]
    fn a_name_that_only_a_variant_has_is_said_to_be_one() {
        let variant = EndpointVariant { fips: Some(true), dual_stack: None };
        let said = |error: Box<dyn StdError + Send + Sync>, proxy| {
            let error = unreachable(&*error, &Path { variant, ..path(proxy) }, "STS").into_error();
            (error.what, error.hint.unwrap())
        };
        let hint =
            "STS may have no FIPS endpoint in this region; it is asked for by use_fips_endpoint";
        for (error, proxy, what) in [
            (Failed::NoAddress.into(), false, "no address found for sts.example"),
            (
                "tunnel error: unsuccessful".into(),
                true,
                "the proxy proxy.example:3128 does not connect to sts.example:443",
            ),
        ] {
            assert_eq!(said(error, proxy), (what.to_owned(), hint.to_owned()));
        }
        let (_, hint) = said(Failed::NoAddress.into(), true);
        assert_eq!(hint, "the proxy was named by HTTPS_PROXY");
    }

    #[test]
    fn broken_connections_get_one_sentence_with_host_and_port() {
        let refused = |number| Failed::Tcp(io::Error::from_raw_os_error(number));
        let certificate = |what: &str| {
            let what = io::Error::other(format!("invalid peer certificate: {what}"));
            Failed::Tls(io::Error::other(what))
        };
        let cases = [
            (why(refused(111), false), "sts.example:443 refused the connection"),
            (why(refused(111), true), "the proxy proxy.example:3128 refused the connection"),
            (why(refused(101), false), "cannot reach sts.example:443: network is unreachable"),
            (why(Failed::NoAddress, false), "no address found for sts.example"),
            (why(Failed::NoAddress, true), "no address found for the proxy proxy.example"),
            (why(Failed::NoResolver, false), "no answer from DNS for sts.example within 20 s"),
            (why(Failed::Late, false), "no connection to sts.example:443 within 5 s"),
            (
                why(certificate("UnknownIssuer"), false),
                "the certificate of sts.example:443 is signed by none of the roots in \
                 /etc/ssl/cert.pem",
            ),
            (
                why(certificate("certificate expired: verification"), false),
                "the certificate of sts.example:443 is not valid at this time",
            ),
            (
                why(certificate("certificate not valid for name"), false),
                "the certificate of sts.example:443 is for another name",
            ),
            (
                why(Failed::Tls(io::ErrorKind::UnexpectedEof.into()), false),
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
                "sts.example:443 closed the connection without a whole answer",
            ),
            (
                why(io::Error::other(Failed::TooMuch), false),
                "STS at sts.example:443 sent too much: an answer may have 256 KiB, and 100 headers of \
                 64 KiB in all",
            ),
        ];
        for (said, expected) in cases {
            assert_eq!(said, expected);
        }
    }
}
