//! Where STS and the services beside it are asked: region, endpoint and CA bundle.

use std::path::PathBuf;

use super::host::one_spelling;
use super::read::Profiles;
use super::region::{partition, partition_region, region};
use super::settings::Settings;
use super::value::wrong_value;
use super::variables::Variables;
use super::variant::EndpointVariant;
use crate::error::Result;

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
    /// The target for a service (`sso`, `s3`, …).
    pub(super) fn of(service: &str, region: String, settings: &Settings) -> Result<Self> {
        let endpoint = endpoint(settings, service)?;
        Ok(Self::at(endpoint, region, settings, EndpointVariant::of(settings)?))
    }

    fn at(
        endpoint: Option<String>,
        region: String,
        settings: &Settings,
        variant: EndpointVariant,
    ) -> Self {
        let bundle = settings.variables.ca_bundle.os().map(PathBuf::from);
        let ca_bundle = bundle.or_else(|| settings.get("ca_bundle").map(PathBuf::from));
        Self { region, endpoint, variant, ca_bundle }
    }

    /// Another service beside this one, which the same profile asks.
    pub(super) fn beside(
        &self,
        service: &str,
        region: String,
        settings: &Settings,
    ) -> Result<Self> {
        Ok(Self { region, endpoint: endpoint(settings, service)?, ..self.clone() })
    }

    /// The warning if a named endpoint overrides the variant that is asked for.
    pub fn overridden(&self) -> Option<String> {
        let url = self.endpoint.as_ref()?;
        let name = self.variant.name()?;
        let keys = self.variant.keys();
        Some(format!("the endpoint {url} overrides {keys}, and may not be a {name} endpoint"))
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

/// The STS of a profile, with its endpoint and variant. `arn`: a role or MFA device, whose partition decides if
/// no region does.
pub(super) fn target(
    settings: &Settings,
    endpoint: Option<String>,
    region: Option<&str>,
    arn: Option<&str>,
    variant: EndpointVariant,
) -> Result<Target> {
    let region = region.unwrap_or_else(|| partition_region(arn)).to_owned();
    let mut target = Target::at(endpoint, region, settings, variant);
    match settings.variable_or(&settings.variables.sts_regional, "sts_regional_endpoints")? {
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
pub fn sts_and_iam(profiles: &Profiles, profile: &str) -> Result<(Target, Target)> {
    let settings = Settings::of(profiles, profile)?;
    let region = region(None, &settings)?;
    let arn = settings.get("mfa_serial").or_else(|| settings.own("role_arn"));
    let endpoint = endpoint(&settings, "sts")?;
    let variant = EndpointVariant::of(&settings)?;
    let sts = target(&settings, endpoint, region.as_deref(), arn, variant)?;
    let region = region.unwrap_or_else(|| partition_region(arn).to_owned());
    let iam = sts.beside("iam", region, &settings)?;
    Ok((sts, iam))
}

/// A named endpoint: the variables, then the files; the one for the service (`sts`, `iam`, `sso`,
/// `sso_oidc`) before the one for everything.
pub(super) fn endpoint(settings: &Settings, service: &str) -> Result<Option<String>> {
    let Variables { ignore_endpoints, .. } = settings.variables;
    let ignore = settings.variable_or(ignore_endpoints, "ignore_configured_endpoint_urls")?;
    if ignore.is_some_and(|(value, _)| value.eq_ignore_ascii_case("true")) {
        return Ok(None);
    }
    let url = match settings.variables.endpoint(service)? {
        None => settings.endpoint(service)?,
        url => url,
    };
    Ok(url.map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::super::read::Files;
    use super::*;
    use crate::env::Env;

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
    fn legacy_is_the_global_endpoint_but_in_regions_that_have_to_be_enabled() {
        let env = Env::of(&[("AWS_STS_REGIONAL_ENDPOINTS", "legacy")]);
        let profiles = Profiles::parse_in(&env, &Files::default(), "[default]", "");
        let settings = Settings::of(&profiles, "default").unwrap();
        let realm = |region| {
            let variant = EndpointVariant::default();
            let target = super::target(&settings, None, Some(region), None, variant).unwrap();
            target.realm()
        };
        assert_eq!(realm("eu-west-1"), ["aws", GLOBAL]);
        assert_eq!(realm("aws-global"), ["aws", GLOBAL]);
        assert_eq!(realm("me-south-1"), ["aws", "regional"]);
        assert_eq!(realm("cn-north-1"), ["aws-cn", "regional"]);
    }
}
