//! The proxy of a connection, by the variables of the environment.
//!
//! Not by hyper-util's matcher alone: to it a proxy that cannot be used is none, and it does not tell which
//! variable named the proxy.

use hyper::Uri;
use hyper::header::HeaderValue;
use hyper_util::client::proxy::matcher::Matcher;

use crate::env::Env;
use crate::error::{Error, Result};
use crate::origin::Origin;

/// The proxy to go through. No Debug: it may hold a password.
pub struct Proxy {
    pub origin: Origin,
    /// The variable that named it.
    pub variable: &'static str,
    /// Its URL, without user and password.
    pub uri: Uri,
    /// User and password, as a header's value.
    pub authorization: Option<HeaderValue>,
}

/// The proxy variables, as they were at start.
pub struct Proxies {
    https: Option<(&'static str, String)>,
    http: Option<(&'static str, String)>,
    no_proxy: String,
}

impl Proxies {
    /// Of two spellings the lower-case one counts (curl, Python), and `ALL_PROXY` is the default for both
    /// schemes. `HTTP_PROXY` is ignored if `REQUEST_METHOD` is set: a client of a CGI program could set it
    /// by a `Proxy:` header (CVE-2016-5385, "httpoxy").
    pub fn from_env(env: &Env) -> Self {
        let first = |names: &[&'static str]| {
            names.iter().find_map(|n| env.get(n).map(|v| (*n, v.trim().to_owned())))
        };
        let all = || first(&["all_proxy", "ALL_PROXY"]);
        let http: &[&'static str] = if env.is_set("REQUEST_METHOD") {
            &["http_proxy"]
        } else {
            &["http_proxy", "HTTP_PROXY"]
        };
        Self {
            https: first(&["https_proxy", "HTTPS_PROXY"]).or_else(all),
            http: first(http).or_else(all),
            no_proxy: first(&["no_proxy", "NO_PROXY"]).map(|(_, v)| v).unwrap_or_default(),
        }
    }

    /// The proxy for a server. There is none for loopback (as in Go) and for what `NO_PROXY` names.
    ///
    /// # Errors
    /// Usage (2), naming the variable and never its value, if the proxy cannot be used.
    pub fn choose(&self, origin: &Origin) -> Result<Option<Proxy>> {
        let named = if origin.https { &self.https } else { &self.http };
        let Some((variable, value)) = named else { return Ok(None) };
        if origin.is_loopback() || bypassed(&self.no_proxy, origin) {
            return Ok(None);
        }
        let url = match value.split_once("://") {
            None => format!("http://{value}"),
            Some((scheme, _)) if scheme.eq_ignore_ascii_case("http") => value.clone(),
            Some((scheme, _)) if scheme.eq_ignore_ascii_case("https") => value.clone(),
            Some((scheme, _)) if scheme.to_ascii_lowercase().starts_with("socks") => {
                return Err(Error::usage(format!(
                    "{variable} names a SOCKS proxy, which is not supported"
                ))
                .hint(format!("set HTTPS_PROXY to an HTTP proxy, or NO_PROXY={}", origin.host)));
            }
            Some(_) => return Err(unusable(variable)),
        };
        let origin = Origin::of_proxy(&url).ok_or_else(|| unusable(variable))?;
        let all = Matcher::builder().all(url).build();
        let any = Uri::from_static("http://any.invalid");
        let proxy = all.intercept(&any).ok_or_else(|| unusable(variable))?;
        let (uri, authorization) = (proxy.uri().clone(), proxy.basic_auth().cloned());
        Ok(Some(Proxy { origin, variable, uri, authorization }))
    }
}

fn unusable(variable: &str) -> Error {
    Error::usage(format!("{variable} is not the address of an HTTP proxy"))
        .hint("it looks like http://proxy.example:3128")
}

/// `NO_PROXY`'s rules, in the union of what curl, Go and Python read: names (with their subdomains; a
/// leading `.` or `*.` is ignored), addresses, networks, each with an optional port, and `*`. hyper-util knows
/// names, addresses and networks.
fn bypassed(rules: &str, origin: &Origin) -> bool {
    let rules = rules.to_ascii_lowercase();
    let rules = rules.split([',', ' ', '\t']).filter(|rule| !rule.is_empty());
    let of_its_port = |rule| match split_port(rule) {
        (rule, port) if port.is_none_or(|port| port == origin.port) => Some(rule),
        _ => None,
    };
    let rules: Vec<&str> = rules.filter_map(of_its_port).collect();
    let plain: Vec<&str> =
        rules.iter().map(|rule| rule.strip_prefix('*').unwrap_or(rule)).collect();
    let host = origin.host.trim_end_matches('.').to_ascii_lowercase();
    let here = Origin { host, ..origin.clone() };
    let matcher = Matcher::builder().all("http://any.invalid").no(plain.join(",")).build();
    rules.contains(&"*")
        || format!("http://{here}").parse().is_ok_and(|uri| matcher.intercept(&uri).is_none())
}

/// Splits `host:443`, `[::1]:443`, `[::1]`, and rules without a port: `host`, `::1`, `10.0.0.0/8`.
fn split_port(rule: &str) -> (&str, Option<u16>) {
    if let Some(inner) = rule.strip_prefix('[') {
        let (host, rest) = inner.split_once(']').unwrap_or((inner, ""));
        return (host, rest.strip_prefix(':').and_then(|p| p.parse().ok()));
    }
    match rule.split_once(':') {
        Some((host, port)) if !port.contains(':') => match port.parse() {
            Ok(port) => (host, Some(port)),
            Err(_) => (rule, None),
        },
        _ => (rule, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(url: &str) -> Origin {
        Origin::parse(url).unwrap()
    }

    /// The variable that decides, and the proxy's address.
    fn choice(vars: &[(&str, &str)], url: &str) -> Option<(&'static str, String)> {
        let proxy = Proxies::from_env(&Env::of(vars)).choose(&origin(url)).unwrap()?;
        Some((proxy.variable, proxy.origin.to_string()))
    }

    const STS: &str = "https://sts.eu-central-1.amazonaws.com";

    #[test]
    fn no_variable_means_no_proxy() {
        assert_eq!(choice(&[], STS), None);
        assert_eq!(choice(&[("HTTPS_PROXY", "")], STS), None);
        assert_eq!(choice(&[("HTTP_PROXY", "http://p:1")], STS), None);
    }

    #[test]
    fn the_scheme_of_the_server_picks_the_variable_and_lower_case_counts_first() {
        let both = [("HTTPS_PROXY", "http://upper:1"), ("https_proxy", "http://lower:2")];
        assert_eq!(choice(&both, STS), Some(("https_proxy", "lower:2".to_owned())));
        let vars = [("HTTP_PROXY", "http://h:1"), ("ALL_PROXY", "http://a:2")];
        assert_eq!(choice(&vars, STS), Some(("ALL_PROXY", "a:2".to_owned())));
        assert_eq!(choice(&vars, "http://moto:5000"), Some(("HTTP_PROXY", "h:1".to_owned())));
    }

    #[test]
    fn a_cgi_program_ignores_http_proxy() {
        let vars = [("HTTP_PROXY", "http://evil:1"), ("REQUEST_METHOD", "GET")];
        assert_eq!(choice(&vars, "http://moto:5000"), None);
    }

    #[test]
    fn a_proxy_without_scheme_or_port_is_http_on_port_80() {
        assert_eq!(
            choice(&[("HTTPS_PROXY", "proxy.example")], STS),
            Some(("HTTPS_PROXY", "proxy.example:80".to_owned()))
        );
        assert_eq!(
            choice(&[("HTTPS_PROXY", "http://me:pw@proxy.example:3128/")], STS),
            Some(("HTTPS_PROXY", "proxy.example:3128".to_owned()))
        );
    }

    #[test]
    fn no_proxy_takes_names_subdomains_networks_and_ports() {
        let with = |no: &str, url: &str| {
            choice(&[("HTTPS_PROXY", "http://p:1"), ("NO_PROXY", no)], url).is_none()
        };
        assert!(with("*", STS));
        assert!(with("amazonaws.com", STS));
        assert!(with(" x , .amazonaws.com", STS));
        assert!(with("*.AmazonAWS.com", STS));
        assert!(with("sts.eu-central-1.amazonaws.com:443", STS));
        assert!(!with("sts.eu-central-1.amazonaws.com:8443", STS));
        assert!(!with("naws.com", STS));
        assert!(!with(".", STS));
        assert!(with("10.0.0.0/8", "https://10.1.2.3"));
        assert!(with("10.1.2.3", "https://10.1.2.3"));
        assert!(with("0.0.0.0/0", "https://10.1.2.3"));
        assert!(!with("10.0.0.0/33,11.0.0.0/8", "https://10.1.2.3"));
        assert!(with("fd00::/8", "https://[fd00:ec2::23]:8443"));
        assert!(with("[fd00:ec2::23]:8443", "https://[fd00:ec2::23]:8443"));
    }

    #[test]
    fn loopback_never_goes_through_a_proxy() {
        for url in ["http://localhost:1", "http://127.0.0.1:1", "http://[::1]:1"] {
            assert_eq!(choice(&[("http_proxy", "http://p:1")], url), None);
        }
    }

    #[test]
    fn a_proxy_that_cannot_be_used_is_an_error_without_its_value() {
        for bad in ["socks5h://u:hunter2@p:1", "ftp://hunter2@p", "http://", "http://p:hunter2"] {
            let env = Env::of(&[("ALL_PROXY", bad)]);
            let error = Proxies::from_env(&env).choose(&origin(STS)).err().unwrap();
            assert!(error.what.contains("ALL_PROXY"), "{bad}");
            assert!(!format!("{error:?}").contains("hunter2"), "{bad}");
            // Unless the host needs no proxy.
            let env = Env::of(&[("ALL_PROXY", bad), ("NO_PROXY", "amazonaws.com")]);
            assert!(Proxies::from_env(&env).choose(&origin(STS)).is_ok_and(|p| p.is_none()));
        }
    }
}
