//! Regions: which one is named, what they look like, and their partitions.

use super::settings::Settings;
use super::value::wrong_value;
use super::variables::Named;
use crate::error::{Error, Reason, Result};
use crate::name;

/// The region for the child: what the command line asks for, `AWS_REGION`, `AWS_DEFAULT_REGION`, the
/// profile. `None`: the child's variables are left alone.
pub(super) fn region(asked: Option<&str>, settings: &Settings) -> Result<Option<String>> {
    let named = match asked {
        Some(region) => Some((region, "--region".to_owned())),
        None => named_region(settings)?,
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
fn named_region<'a>(settings: &Settings<'a>) -> Result<Option<Named<'a>>> {
    match settings.variables.region.named()? {
        None => settings.variable_or(&settings.variables.default_region, "region"),
        named => Ok(named),
    }
}

/// What an error says of an invalid region.
pub(super) const NO_REGION: &str = "not the name of a region";

/// The error for a region that AWS does not have, or, unless AWS's own STS is asked, that no request can name.
pub(super) fn region_fault(settings: &Settings, from_aws: bool) -> Option<Error> {
    let (region, by) = named_region(settings).ok()??;
    let small = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let fits = match from_aws {
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
pub(super) fn partition_region(arn: Option<&str>) -> &'static str {
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
}
