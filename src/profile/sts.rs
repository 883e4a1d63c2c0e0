//! Where STS and IAM are asked: region, endpoint and CA bundle.

use std::path::PathBuf;

use super::host::{is_url, one_spelling};
use super::read::Profiles;
use super::settings::{Named, Settings};
use super::value::{key_of, plain, wrong_value};
use super::variant::EndpointVariant;
use crate::env::Env;
use crate::error::{Error, Reason, Result};
use crate::name;

/// The STS that a plan's calls go to, or the IAM beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The region that requests are signed for, and whose endpoint is asked if none is named.
    pub region: String,
    /// An endpoint that was named, or the global one for `sts_regional_endpoints = legacy`.
    pub endpoint: Option<String>,
    /// Which of AWS's endpoints are asked; a named one outranks it.
    pub variant: EndpointVariant,
    /// `AWS_CA_BUNDLE` or `ca_bundle`.
    pub ca_bundle: Option<PathBuf>,
}

/// STS's global endpoint, for the partition `aws`.
const GLOBAL: &str = "https://sts.amazonaws.com";

impl Target {
    /// The target for a service (`sts`, `iam`, `s3`, …).
    pub(super) fn of(
        service: &str,
        region: String,
        env: &Env,
        settings: &Settings,
    ) -> Result<Self> {
        let bundle = match env.get_os("AWS_CA_BUNDLE") {
            Some(path) => Some(PathBuf::from(path)),
            None => settings.get("ca_bundle").map(PathBuf::from),
        };
        Ok(Self {
            region,
            endpoint: endpoint(env, settings, service)?,
            variant: EndpointVariant::of(env, settings)?,
            ca_bundle: bundle,
        })
    }

    /// The warning if a named endpoint overrides the variant that is asked for.
    pub fn overridden(&self) -> Option<String> {
        let url = self.endpoint.as_ref()?;
        let name = self.variant.name()?;
        let keys = self.variant.keys();
        Some(format!("the named endpoint {url} outranks {keys}: it may be no {name} endpoint"))
    }

    /// What AWS tells sessions apart by: the partition, and the class of the endpoint. A session from one
    /// region's endpoint is valid in all regions of its partition; one from the global endpoint is not
    /// valid in regions that have to be enabled first (IAM User Guide, "Manage AWS STS in an AWS
    /// Region"). FIPS and dual-stack endpoints give the same sessions as the region's other ones. A named
    /// endpoint is a class of its own, however its URL is spelled.
    pub fn realm(&self) -> [String; 2] {
        let class = match &self.endpoint {
            Some(url) => one_spelling(url),
            None if self.region == "aws-global" && self.variant.name().is_none() => {
                GLOBAL.to_owned()
            }
            None => "regional".to_owned(),
        };
        [partition(&self.region).to_owned(), class]
    }
}

/// The regions for which `sts_regional_endpoints = legacy` means the global endpoint (AWS SDKs and
/// Tools reference, "AWS STS Regional endpoints").
const LEGACY: [&str; 16] = [
    "ap-northeast-1",
    "ap-south-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "aws-global",
    "ca-central-1",
    "eu-central-1",
    "eu-north-1",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
];

/// The region for the child: what the command line asks for, `AWS_REGION`, `AWS_DEFAULT_REGION`, the
/// profile. `None`: the child's variables are left alone.
pub(super) fn region(
    asked: Option<&str>,
    env: &Env,
    settings: &Settings,
) -> Result<Option<String>> {
    let named = match asked {
        Some(region) => Some((region, "--region".to_owned())),
        None => named_region(env, settings)?,
    };
    let Some((region, by)) = named else { return Ok(None) };
    let fits = (1..=63).contains(&region.len())
        && region.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if !fits {
        let error = wrong_value(&by, NO_REGION, region);
        return Err(if asked.is_some() { error.because(Reason::CommandLine) } else { error });
    }
    Ok(Some(region.to_owned()))
}

/// The region of the environment or the profile, and what names it.
fn named_region<'a>(env: &'a Env, settings: &Settings<'a>) -> Result<Option<Named<'a>>> {
    match env.text("AWS_REGION")? {
        Some(region) => Ok(Some((region, "AWS_REGION".to_owned()))),
        None => settings.variable_or(env, "AWS_DEFAULT_REGION", "region"),
    }
}

/// What an error says of an invalid region.
pub(super) const NO_REGION: &str = "not the name of a region";

/// The error for a region that AWS does not have, or, if another server is asked, that no request can name.
pub(super) fn region_fault(env: &Env, settings: &Settings) -> Option<Error> {
    let (region, by) = named_region(env, settings).ok()??;
    let small = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let fits = match is_asked(env, settings) {
        true => is_region(region),
        false => region.bytes().all(small),
    };
    (!fits).then(|| wrong_value(&by, NO_REGION, region).hint("it looks like eu-central-1"))
}

/// True for what AWS's regions look like: `us-gov-west-1`, and for `aws-cn-global` and the like.
pub(super) fn is_region(text: &str) -> bool {
    let letters = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase());
    let parts: Vec<&str> = text.split('-').collect();
    match parts[..] {
        ["aws", .., "global"] => parts.iter().all(letters),
        [ref areas @ .., direction, number] => {
            !areas.is_empty()
                && areas.iter().all(letters)
                && DIRECTIONS.contains(&direction)
                && (1..=2).contains(&number.len())
                && number.bytes().all(|b| b.is_ascii_digit())
        }
        _ => false,
    }
}

/// The second but last part of a region's name.
const DIRECTIONS: [&str; 9] = [
    "central",
    "east",
    "north",
    "northeast",
    "northwest",
    "south",
    "southeast",
    "southwest",
    "west",
];

/// The STS of a profile. `arn`: a role or MFA device, whose partition decides if no region does.
pub(super) fn target(
    region: Option<&str>,
    arn: Option<&str>,
    env: &Env,
    settings: &Settings,
) -> Result<Target> {
    let region = region.unwrap_or_else(|| partition_region(arn)).to_owned();
    let mut target = Target::of("sts", region, env, settings)?;
    let key = "sts_regional_endpoints";
    match settings.variable_or(env, "AWS_STS_REGIONAL_ENDPOINTS", key)? {
        None | Some(("regional", _)) => {}
        // The global endpoint is signed for as us-east-1. It has no variants, so the SDKs leave it then.
        Some(("legacy", _)) => {
            if target.endpoint.is_none()
                && target.variant.name().is_none()
                && LEGACY.contains(&target.region.as_str())
            {
                target.endpoint = Some(GLOBAL.to_owned());
                target.region = "us-east-1".to_owned();
            }
        }
        Some((value, by)) => return Err(wrong_value(&by, "neither legacy nor regional", value)),
    }
    Ok(target)
}

/// The STS and the IAM of a profile's own key.
pub fn sts_and_iam(profiles: &Profiles, env: &Env, profile: &str) -> Result<(Target, Target)> {
    let settings = Settings::of(profiles, profile)?;
    let region = region(None, env, &settings)?;
    let arn = settings.get("mfa_serial").or_else(|| settings.own("role_arn"));
    let sts = target(region.as_deref(), arn, env, &settings)?;
    let region = region.unwrap_or_else(|| partition_region(arn).to_owned());
    Ok((sts, Target::of("iam", region, env, &settings)?))
}

/// A named endpoint: the variables, then the files; the one for the service (`sts`, `iam`, `sso`,
/// `sso_oidc`) before the one for everything.
pub(super) fn endpoint(env: &Env, settings: &Settings, service: &str) -> Result<Option<String>> {
    let key = "ignore_configured_endpoint_urls";
    let ignore = settings.variable_or(env, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", key)?;
    if ignore.is_some_and(|(value, _)| value.eq_ignore_ascii_case("true")) {
        return Ok(None);
    }
    let own = format!("AWS_ENDPOINT_URL_{}", service.to_ascii_uppercase());
    for name in [own.as_str(), "AWS_ENDPOINT_URL"] {
        if let Some(url) = env.text(name)? {
            return Ok(Some(url.to_owned()));
        }
    }
    Ok(settings.endpoint(service)?.map(str::to_owned))
}

/// True if AWS's own STS is asked, and no named endpoint.
pub(super) fn is_asked(env: &Env, settings: &Settings) -> bool {
    matches!(endpoint(env, settings, "sts"), Ok(None))
}

/// The errors for endpoints that are no URLs: those of the environment, and of a profile's own section and the
/// `services` that it names.
pub(super) fn endpoint_faults(profiles: &Profiles, env: &Env, profile: &str) -> Vec<Error> {
    let of_env = env.vars().filter_map(|(name, _)| {
        let name = name.to_str().filter(|name| name.starts_with("AWS_ENDPOINT_URL"))?;
        Some((env.get(name)?, name.to_owned()))
    });
    let own = profiles.get(profile, "endpoint_url");
    let own = own.map(|url| (url, key_of("endpoint_url", profile)));
    let services = profiles.get(profile, "services");
    let of_services = services.into_iter().flat_map(|services| {
        let by = format!("of [services {}]", plain(services));
        let urls = profiles.service_endpoints(services).into_iter();
        urls.map(move |(service, url)| (url, format!("endpoint_url of {service} {by}")))
    });
    let all = of_env.chain(own).chain(of_services).filter(|(url, _)| !is_url(url));
    let fault = |(url, by): (&str, String)| {
        wrong_value(&by, "not an http or https URL", url)
            .hint("it looks like https://sts.eu-central-1.amazonaws.com")
    };
    all.map(fault).collect()
}

/// The partition of a region, or of a name for all its regions (`aws-cn-global`).
pub(super) fn partition(region: &str) -> &'static str {
    match region.strip_prefix("aws-").unwrap_or(region) {
        of if of.starts_with("cn-") => "aws-cn",
        of if of.starts_with("us-gov-") => "aws-us-gov",
        of if of.starts_with("eusc-") => "aws-eusc",
        of if of.starts_with("us-isob-") || of.starts_with("iso-b-") => "aws-iso-b",
        of if of.starts_with("eu-isoe-") || of.starts_with("iso-e-") => "aws-iso-e",
        of if of.starts_with("us-isof-") || of.starts_with("iso-f-") => "aws-iso-f",
        of if of.contains("-iso") || of.starts_with("iso-") => "aws-iso",
        _ => "aws",
    }
}

/// A region of an ARN's partition; without one, of `aws`.
fn partition_region(arn: Option<&str>) -> &'static str {
    match arn.and_then(name::arn_partition) {
        Some("aws-cn") => "cn-north-1",
        Some("aws-us-gov") => "us-gov-west-1",
        Some("aws-iso") => "us-iso-east-1",
        Some("aws-iso-b") => "us-isob-east-1",
        Some("aws-iso-e") => "eu-isoe-west-1",
        Some("aws-iso-f") => "us-isof-south-1",
        Some("aws-eusc") => "eusc-de-east-1",
        _ => "us-east-1",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(region: &str, endpoint: Option<&str>) -> Target {
        Target {
            region: region.to_owned(),
            endpoint: endpoint.map(str::to_owned),
            variant: EndpointVariant::default(),
            ca_bundle: None,
        }
    }

    #[test]
    fn sessions_are_told_apart_by_partition_and_class_of_endpoint() {
        for (region, endpoint, realm) in [
            ("us-east-1", None, ["aws", "regional"]),
            ("eu-central-1", None, ["aws", "regional"]),
            ("me-south-1", None, ["aws", "regional"]),
            ("aws-global", None, ["aws", GLOBAL]),
            // What `legacy` comes to.
            ("us-east-1", Some(GLOBAL), ["aws", GLOBAL]),
            ("us-east-1", Some("http://[::1]:1"), ["aws", "http://[::1]:1"]),
            ("eu-west-1", Some("http://[::1]:1"), ["aws", "http://[::1]:1"]),
            ("us-east-1", Some("HTTPS://STS.amazonaws.com:443/"), ["aws", GLOBAL]),
            ("us-east-1", Some("http://H:80"), ["aws", "http://h"]),
            ("us-east-1", Some("http://h:8080/A/"), ["aws", "http://h:8080/A/"]),
            ("us-east-1", Some("https://h:80/?q"), ["aws", "https://h:80/?q"]),
            ("cn-north-1", Some("http://[::1]:1"), ["aws-cn", "http://[::1]:1"]),
            ("cn-northwest-1", None, ["aws-cn", "regional"]),
            ("us-gov-east-1", None, ["aws-us-gov", "regional"]),
            ("aws-us-gov-global", None, ["aws-us-gov", "regional"]),
            ("us-iso-east-1", None, ["aws-iso", "regional"]),
            ("aws-iso-global", None, ["aws-iso", "regional"]),
            ("us-isob-east-1", None, ["aws-iso-b", "regional"]),
            ("eu-isoe-west-1", None, ["aws-iso-e", "regional"]),
            ("us-isof-south-1", None, ["aws-iso-f", "regional"]),
            ("eusc-de-east-1", None, ["aws-eusc", "regional"]),
        ] {
            assert_eq!(target(region, endpoint).realm(), realm, "{region} {endpoint:?}");
        }
    }

    #[test]
    fn a_session_of_a_fips_or_dual_stack_endpoint_is_a_region_s() {
        let fips = EndpointVariant { fips: Some(true), dual_stack: None };
        let both = EndpointVariant { fips: Some(true), dual_stack: Some(true) };
        let off = EndpointVariant { fips: Some(false), dual_stack: Some(false) };
        for (region, variant, realm) in [
            ("us-east-1", fips, ["aws", "regional"]),
            ("us-east-1", both, ["aws", "regional"]),
            ("us-gov-west-1", fips, ["aws-us-gov", "regional"]),
            // The SDKs have no global endpoint with a variant.
            ("aws-global", fips, ["aws", "regional"]),
            ("aws-global", off, ["aws", GLOBAL]),
        ] {
            let target = Target { variant, ..target(region, None) };
            assert_eq!(target.realm(), realm, "{region} {variant:?}");
        }
    }

    #[test]
    fn regions_are_known_by_their_looks() {
        for region in
            ["us-east-1", "us-gov-west-1", "eu-isoe-west-1", "ap-southeast-12", "eusc-de-east-1"]
        {
            assert!(is_region(region), "{region}");
        }
        for region in ["aws-global", "aws-iso-b-global"] {
            assert!(is_region(region), "{region}");
        }
        for none in [
            "",
            "Frankfurt",
            "eu-centrl-1",
            "EU-WEST-1",
            "east-1",
            "eu-west-1a",
            "eu-west-",
            "eu--west-1",
        ] {
            assert!(!is_region(none), "{none}");
        }
    }

    #[test]
    fn legacy_is_the_global_endpoint_but_in_regions_that_have_to_be_enabled() {
        let legacy = [("AWS_STS_REGIONAL_ENDPOINTS".into(), b"legacy".to_vec())];
        let env = Env::from_raw(legacy);
        let profiles = Profiles::parse(
            &super::super::Files { config: None, credentials: None },
            "[default]",
            "",
        );
        let settings = Settings::of(&profiles, "default").unwrap();
        let realm = |region| {
            let target = super::target(Some(region), None, &env, &settings).unwrap();
            target.realm()
        };
        assert_eq!(realm("eu-west-1"), ["aws", GLOBAL]);
        assert_eq!(realm("aws-global"), ["aws", GLOBAL]);
        assert_eq!(realm("me-south-1"), ["aws", "regional"]);
        assert_eq!(realm("cn-north-1"), ["aws-cn", "regional"]);
    }
}
