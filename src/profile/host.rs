//! Where the container or instance that runs this program gets its credentials; only `credential_source` asks
//! there. A container's agent without TLS is at an address that AWS has for it, or on this host. The metadata
//! service may be on any host that the user names, as for AWS's SDKs.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::settings::Settings;
use super::value::wrong_value;
use crate::env::Env;
use crate::error::{Error, Result};

/// ECS's agent, for a relative URI.
const ECS: &str = "http://169.254.170.2";
/// Addresses that may be asked without TLS, as this host's own may (AWS SDKs, "Container credential provider"):
/// of ECS, and of EKS Pod Identity.
const LINK_LOCAL: [IpAddr; 3] = [
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 2)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 23)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23)),
];
/// The instance metadata service.
const IMDS: &str = "http://169.254.169.254";
const IMDS_IPV6: &str = "http://[fd00:ec2::254]";

const RELATIVE: &str = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI";
const FULL: &str = "AWS_CONTAINER_CREDENTIALS_FULL_URI";

/// The URL of a container's credentials, if one is set.
///
/// `localhost` is 127.0.0.1, whatever a name server says; any other name needs TLS.
///
/// # Errors
/// [`crate::error::Class::Usage`], naming the variable: AWS's SDKs would not follow it either.
pub fn container(env: &Env) -> Result<Option<String>> {
    if let Some(path) = env.text(RELATIVE)? {
        // What does not begin a path would go on with the host's name.
        if !path.starts_with('/') || !path.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(Error::usage(format!("{RELATIVE}: not a path that begins with /")));
        }
        return Ok(Some(format!("{ECS}{path}")));
    }
    let Some(url) = env.text(FULL)? else { return Ok(None) };
    let parsed = Url::of(url).ok_or_else(|| Error::usage(format!("{FULL}: not a URL")))?;
    let Url { https, host, port, path } = parsed;
    if https {
        return Ok(Some(url.to_owned()));
    }
    let host = if host.eq_ignore_ascii_case("localhost") { "127.0.0.1" } else { host };
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().ok();
    if !address.is_some_and(|address| address.is_loopback() || LINK_LOCAL.contains(&address)) {
        return Err(Error::usage(format!(
            "{FULL}: without https it may name this host, 169.254.170.2, 169.254.170.23 or fd00:ec2::23"
        )));
    }
    Ok(Some(format!("http://{host}{port}{path}")))
}

/// Where the instance metadata service is: the URL that the user names, http or https, on any host, else AWS's
/// own address (AWS SDKs, "IMDS credential provider"). None if `AWS_EC2_METADATA_DISABLED` forbids to ask it.
pub(super) fn instance(env: &Env, settings: &Settings) -> Result<Option<String>> {
    if env.text("AWS_EC2_METADATA_DISABLED")?.is_some_and(|v| v.eq_ignore_ascii_case("true")) {
        return Ok(None);
    }
    let key = "ec2_metadata_service_endpoint";
    if let Some((url, by)) = settings.variable_or(env, "AWS_EC2_METADATA_SERVICE_ENDPOINT", key)? {
        Url::of(url).ok_or_else(|| wrong_value(&by, "not a URL", url))?;
        return Ok(Some(url.trim_end_matches('/').to_owned()));
    }
    let key = "ec2_metadata_service_endpoint_mode";
    let mode = settings.variable_or(env, "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", key)?;
    match mode {
        None => Ok(Some(IMDS.to_owned())),
        Some((mode, _)) if mode.eq_ignore_ascii_case("ipv4") => Ok(Some(IMDS.to_owned())),
        Some((mode, _)) if mode.eq_ignore_ascii_case("ipv6") => Ok(Some(IMDS_IPV6.to_owned())),
        Some((mode, by)) => Err(wrong_value(&by, "neither IPv4 nor IPv6", mode)),
    }
}

/// True for an http or https URL, without a user in it.
pub(super) fn is_url(text: &str) -> bool {
    Url::of(text).is_some()
}

/// One spelling of a URL for all that mean the same (RFC 3986, 6.2.2.1 and 6.2.3): scheme and host in small
/// letters, without the scheme's own port and a path that is only a slash.
pub(super) fn one_spelling(url: &str) -> String {
    let Some(Url { https, host, port, path }) = Url::of(url) else { return url.to_owned() };
    let (scheme, own) = if https { ("https", ":443") } else { ("http", ":80") };
    let port = if port == own || port == ":" { "" } else { port };
    let path = if path == "/" { "" } else { path };
    format!("{scheme}://{}{port}{path}", host.to_ascii_lowercase())
}

/// The parts of an http or https URL, without a user in it.
struct Url<'a> {
    https: bool,
    /// An IPv6 address in its brackets.
    host: &'a str,
    /// With its colon, or nothing.
    port: &'a str,
    /// From the slash on, or nothing.
    path: &'a str,
}

impl<'a> Url<'a> {
    fn of(url: &'a str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let https = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let end = match authority.strip_prefix('[') {
            Some(inner) => inner.find(']')? + 2,
            None => authority.find(':').unwrap_or(authority.len()),
        };
        let (host, port) = authority.split_at(end);
        let digits = port.strip_prefix(':').unwrap_or(port);
        let fits = !host.is_empty()
            && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b))
            && (port.is_empty()
                || (port.starts_with(':') && digits.parse::<u16>().is_ok_and(|p| p > 0)))
            && url.bytes().all(|b| b.is_ascii_graphic());
        fits.then_some(Self { https, host, port, path })
    }
}

/// A URL without its path, which is a secret in ECS: it gives the container's credentials.
pub fn origin(url: &str) -> &str {
    let start = url.find("://").map_or(0, |at| at + 3);
    let end = url.get(start..).and_then(|rest| rest.find(['/', '?', '#']));
    end.and_then(|end| url.get(..start + end)).unwrap_or(url)
}
