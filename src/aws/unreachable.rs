//! Connections that did not come about or broke: one sentence, with the host and port or the proxy
//! that is to blame.

use std::error::Error as StdError;
use std::io;

use super::failure::StsError;
use super::http::{CONNECT_TIMEOUT, Path};
use crate::error::os_text;

/// The connection broke when the request was, or may have been, sent.
pub fn lost(path: &Path) -> StsError {
    let why = format!("{} closed the connection without a whole answer", path.place);
    StsError::Unreachable { why, hint: Some("try again".to_owned()), lost: true }
}

/// Whom we speak to first: the proxy, where there is one.
fn first_hop(path: &Path) -> (String, Option<String>) {
    match &path.proxy {
        Some((proxy, variable)) => {
            (format!("the proxy {proxy}"), Some(format!("the proxy was named by {variable}")))
        }
        None => (path.place.to_string(), None),
    }
}

/// The time for a connection is over.
pub fn unconnected(path: &Path) -> StsError {
    let (hop, hint) = first_hop(path);
    let why = format!("no connection to {hop} within {} s", CONNECT_TIMEOUT.as_secs());
    StsError::Unreachable { why, hint, lost: false }
}

/// Reads the reasons below the SDK's error. The libraries' types are not part of anyone's interface,
/// so their (stable) words are looked for, and never passed on.
pub fn unreachable(error: &(dyn StdError + 'static), path: &Path) -> StsError {
    let mut words = String::new();
    let mut system: Option<(io::ErrorKind, String)> = None;
    let mut next = Some(error);
    while let Some(error) = next {
        words.push_str(&error.to_string());
        words.push('\n');
        next = match error.downcast_ref::<io::Error>() {
            Some(io) => {
                system = Some((io.kind(), os_text(io)));
                // An io::Error's `source` skips what it wraps.
                io.get_ref().map(|inner| inner as &(dyn StdError + 'static))
            }
            None => error.source(),
        };
    }
    let (hop, hop_hint) = first_hop(path);
    let said = |why: String, hint: Option<String>| StsError::Unreachable { why, hint, lost: false };
    let has = |word: &str| words.contains(word);

    if has("proxy authorization required") {
        let hint = "write it as http://USER:PASSWORD@HOST:PORT in the proxy variable";
        return said(format!("{hop} asks for a user name and password"), Some(hint.to_owned()));
    }
    if has("tunnel error: ") && !has("failed to create underlying connection") {
        return said(format!("{hop} does not connect to {}", path.place), hop_hint);
    }
    if has("invalid peer certificate") {
        return said_of_certificate(&words, path);
    }
    if has("dns error") {
        let host = match &path.proxy {
            Some((proxy, _)) => format!("the proxy {}", proxy.host),
            None => path.place.host.clone(),
        };
        let hint =
            hop_hint.or_else(|| Some("check region, endpoint_url and this host's DNS".into()));
        return said(format!("no address found for {host}"), hint);
    }
    match system {
        Some((io::ErrorKind::ConnectionRefused, _)) => {
            said(format!("{hop} refused the connection"), hop_hint)
        }
        Some((_, why)) if has("tcp connect error") || has("tcp open error") => {
            said(format!("cannot reach {hop}: {why}"), hop_hint)
        }
        _ if has("TLS handshake failed") || has("tls handshake") => said(
            format!("no TLS connection to {}", path.place),
            Some("is that port an HTTPS one, and nothing in between?".to_owned()),
        ),
        _ => lost(path),
    }
}

fn said_of_certificate(words: &str, path: &Path) -> StsError {
    let place = &path.place;
    let (why, hint) = if words.contains("UnknownIssuer") {
        (
            format!("the certificate of {place} is signed by none of the roots in {}", path.roots),
            "if your network inspects TLS, name a bundle with its root certificate in AWS_CA_BUNDLE",
        )
    } else if words.contains("certificate expired") || words.contains("not valid yet") {
        (
            format!("the certificate of {place} is not valid at this time"),
            "check this machine's clock",
        )
    } else if words.contains("not valid for") || words.contains("NotValidForName") {
        (format!("the certificate of {place} is for another name"), "check endpoint_url")
    } else if words.contains("CaUsedAsEndEntity") {
        (
            format!("the certificate of {place} is an authority's, which no server may use"),
            "give the server one with basicConstraints CA:FALSE",
        )
    } else {
        (
            format!("the certificate of {place} cannot be verified"),
            "check endpoint_url and AWS_CA_BUNDLE",
        )
    };
    StsError::Unreachable { why, hint: Some(hint.to_owned()), lost: false }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::http::Place;

    fn path(proxy: bool) -> Path {
        Path {
            place: Place::parse("https://sts.example").unwrap(),
            proxy: proxy
                .then(|| (Place::parse("http://proxy.example:3128").unwrap(), "HTTPS_PROXY")),
            roots: "/etc/ssl/cert.pem".to_owned(),
        }
    }

    /// An error that says `.0`, caused by `.1`.
    #[derive(Debug)]
    struct Layer(&'static str, Option<Box<dyn StdError + Send + Sync>>);
    impl std::fmt::Display for Layer {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str(self.0)
        }
    }
    impl StdError for Layer {
        fn source(&self) -> Option<&(dyn StdError + 'static)> {
            self.1.as_ref().map(|e| &**e as &(dyn StdError + 'static))
        }
    }

    fn why(words: &'static str, cause: Option<io::Error>, proxy: bool) -> String {
        let cause = cause.map(|e| Box::new(e) as Box<dyn StdError + Send + Sync>);
        unreachable(&Layer(words, cause), &path(proxy)).into_error().what
    }

    #[test]
    fn broken_connections_get_one_sentence_with_host_and_port() {
        let refused = || Some(io::Error::from_raw_os_error(111));
        let certificate = |what: &str| {
            Some(io::Error::other(io::Error::other(format!("invalid peer certificate: {what}"))))
        };
        let cases = [
            (why("tcp connect error", refused(), false), "sts.example:443 refused the connection"),
            (
                why("tcp connect error", refused(), true),
                "the proxy proxy.example:3128 refused the connection",
            ),
            (
                why("tcp connect error", Some(io::Error::from_raw_os_error(101)), false),
                "cannot reach sts.example:443: network is unreachable",
            ),
            (why("dns error", None, false), "no address found for sts.example"),
            (why("dns error", None, true), "no address found for the proxy proxy.example"),
            (
                why("TLS handshake failed", certificate("UnknownIssuer"), false),
                "the certificate of sts.example:443 is signed by none of the roots in \
                 /etc/ssl/cert.pem",
            ),
            (
                why(
                    "TLS handshake failed",
                    certificate("certificate expired: verification"),
                    false,
                ),
                "the certificate of sts.example:443 is not valid at this time",
            ),
            (
                why("TLS handshake failed", certificate("certificate not valid for name"), false),
                "the certificate of sts.example:443 is for another name",
            ),
            (why("TLS handshake failed", None, false), "no TLS connection to sts.example:443"),
            (
                why("tunnel error: unsuccessful", None, true),
                "the proxy proxy.example:3128 does not connect to sts.example:443",
            ),
            (
                why("tunnel error: proxy authorization required", None, true),
                "the proxy proxy.example:3128 asks for a user name and password",
            ),
            (
                why("connection closed before message completed", None, false),
                "sts.example:443 closed the connection without a whole answer",
            ),
        ];
        for (said, expected) in cases {
            assert_eq!(said, expected);
        }
    }
}
