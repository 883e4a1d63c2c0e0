//! Where the container or instance that runs this program gets its credentials; only `credential_source` asks
//! there. A container's agent without TLS is at an address that AWS has for it, or on this host. The metadata
//! service may be on any host that the user names, as for AWS's SDKs.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::settings::Settings;
use super::value::wrong_value;
use super::variables::Variables;
use crate::error::{Error, Result};
use crate::origin::Origin;

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

/// The URL of a container's credentials, if one is set.
///
/// `localhost` is 127.0.0.1, whatever a name server says; any other name needs TLS.
///
/// # Errors
/// [`crate::error::Class::Usage`], naming the variable: AWS's SDKs would not follow it either.
pub fn container(variables: &Variables) -> Result<Option<String>> {
    let relative = &variables.container_relative_uri;
    if let Some(path) = relative.text()? {
        // What does not begin a path would go on with the host's name.
        if !path.starts_with('/') || !path.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(Error::usage(format!("{}: not a path that begins with /", relative.name)));
        }
        return Ok(Some(format!("{ECS}{path}")));
    }
    let Some((url, by)) = variables.container_full_uri.named()? else { return Ok(None) };
    let origin = Origin::parse(url).ok_or_else(|| Error::usage(format!("{by}: not a URL")))?;
    if origin.https {
        return Ok(Some(url.to_owned()));
    }
    if !origin.address().is_some_and(|at| at.is_loopback() || LINK_LOCAL.contains(&at)) {
        return Err(Error::usage(format!(
            "{by}: without https it may name this host, 169.254.170.2, 169.254.170.23 or fd00:ec2::23"
        )));
    }
    let at = url.get("http://".len()..).unwrap_or_default();
    let local = at.strip_prefix(&origin.host).filter(|_| origin.host.parse::<IpAddr>().is_err());
    Ok(Some(match local {
        Some(rest) => format!("http://127.0.0.1{rest}"),
        None => format!("http://{at}"),
    }))
}

/// Where the instance metadata service is: the URL that the user names, http or https, on any host, else AWS's
/// own address (AWS SDKs, "IMDS credential provider"). None if `AWS_EC2_METADATA_DISABLED` forbids to ask it.
pub(super) fn instance(settings: &Settings) -> Result<Option<String>> {
    let Variables { metadata_disabled, metadata_endpoint, metadata_endpoint_mode, .. } =
        settings.variables;
    if metadata_disabled.text()?.is_some_and(|v| v.eq_ignore_ascii_case("true")) {
        return Ok(None);
    }
    let key = "ec2_metadata_service_endpoint";
    if let Some((url, by)) = settings.variable_or(metadata_endpoint, key)? {
        Origin::parse(url).ok_or_else(|| wrong_value(&by, "not a URL", url))?;
        return Ok(Some(url.trim_end_matches('/').to_owned()));
    }
    let key = "ec2_metadata_service_endpoint_mode";
    match settings.variable_or(metadata_endpoint_mode, key)? {
        None => Ok(Some(IMDS.to_owned())),
        Some((mode, _)) if mode.eq_ignore_ascii_case("ipv4") => Ok(Some(IMDS.to_owned())),
        Some((mode, _)) if mode.eq_ignore_ascii_case("ipv6") => Ok(Some(IMDS_IPV6.to_owned())),
        Some((mode, by)) => Err(wrong_value(&by, "neither IPv4 nor IPv6", mode)),
    }
}

/// One spelling of a URL for all that mean the same (RFC 3986, 6.2.2.1 and 6.2.3): scheme and host in small
/// letters, without the scheme's own port and a path that is only a slash.
pub(super) fn one_spelling(url: &str) -> String {
    let Some(Origin { https, host, port }) = Origin::parse(url) else { return url.to_owned() };
    let (scheme, own) = if https { ("https", 443) } else { ("http", 80) };
    let host = match host.contains(':') {
        true => format!("[{host}]"),
        false => host.to_ascii_lowercase(),
    };
    let port = if port == own { String::new() } else { format!(":{port}") };
    let path = url.get(origin(url).len()..).filter(|path| *path != "/").unwrap_or_default();
    format!("{scheme}://{host}{port}{path}")
}

/// A URL without its path, which is a secret in ECS: it gives the container's credentials.
pub fn origin(url: &str) -> &str {
    let start = url.find("://").map_or(0, |at| at + 3);
    let end = url.get(start..).and_then(|rest| rest.find(['/', '?', '#']));
    end.and_then(|end| url.get(..start + end)).unwrap_or(url)
}
