//! `s3://BUCKET/PREFIX`, and the variable that names one.

use std::fmt;

use crate::env::Env;
use crate::error::{Error, Result};

const SHARED: &str = "AWS_VAULT_SHARED";

/// Which store this host shares with others, as `AWS_VAULT_SHARED` says.
#[derive(Debug, PartialEq, Eq)]
pub enum Shared {
    /// The vault's: the variable is not set.
    Joined,
    Off,
    At(Location),
}

impl Shared {
    /// # Errors
    /// Usage (2): it is neither `off` nor a store's URL.
    pub fn of(env: &Env) -> Result<Self> {
        if !env.is_set(SHARED) {
            return Ok(Self::Joined);
        }
        match env.get(SHARED) {
            Some("off") => Ok(Self::Off),
            text => text.and_then(Location::parse).map(Self::At).ok_or_else(|| {
                Error::usage(format!("{SHARED} is neither off nor s3://BUCKET/PREFIX"))
                    .hint("unset it to share the store that the vault names, or say off")
            }),
        }
    }
}

/// Where in S3 the objects are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The bucket: 3 to 63 lower-case letters, digits, dots and hyphens
    /// (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html>).
    pub bucket: String,
    /// What the objects' keys begin with, without slashes at its ends; may be empty.
    pub prefix: String,
}

impl Location {
    /// Reads `s3://BUCKET` or `s3://BUCKET/PREFIX`; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let (bucket, prefix) = match text.strip_prefix("s3://")? {
            rest if rest.contains('/') => rest.split_once('/')?,
            bucket => (bucket, ""),
        };
        let prefix = prefix.trim_end_matches('/');
        let ends = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let is_bucket = (3..=63).contains(&bucket.len())
            && bucket.starts_with(ends)
            && bucket.ends_with(ends)
            && bucket.chars().all(|c| ends(c) || c == '.' || c == '-');
        // S3 takes nearly anything in a key; these need no escapes, and no tool reads them as a path.
        let is_part = |part: &str| {
            !["", ".", ".."].contains(&part)
                && part.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
        };
        let is_prefix =
            prefix.len() <= 512 && (prefix.is_empty() || prefix.split('/').all(is_part));
        (is_bucket && is_prefix).then(|| Self { bucket: bucket.into(), prefix: prefix.into() })
    }

    /// The key of an object.
    pub fn key(&self, name: &str) -> String {
        match self.prefix.as_str() {
            "" => name.to_owned(),
            prefix => format!("{prefix}/{name}"),
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bucket, prefix } = self;
        match prefix.as_str() {
            "" => write!(f, "s3://{bucket}"),
            prefix => write!(f, "s3://{bucket}/{prefix}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_is_a_bucket_and_a_prefix() {
        for (text, shown, key) in [
            ("s3://fleet", "s3://fleet", "s/1"),
            ("s3://fleet/", "s3://fleet", "s/1"),
            ("s3://my.fleet-1/vault", "s3://my.fleet-1/vault", "vault/s/1"),
            ("s3://fleet/a/b_C-1.d/", "s3://fleet/a/b_C-1.d", "a/b_C-1.d/s/1"),
        ] {
            let location = Location::parse(text).expect(text);
            assert_eq!((location.to_string().as_str(), location.key("s/1").as_str()), (shown, key));
        }
    }

    #[test]
    fn anything_else_is_none() {
        for text in [
            "",
            "fleet",
            "s3:fleet",
            "s3://",
            "s3://ab",
            "S3://fleet",
            "s3://Fleet/a",
            "s3://fl_eet",
            "s3://-fleet",
            "s3://fleet.",
            "s3://fleet//a",
            "s3://fleet/a//b",
            "s3://fleet/../b",
            "s3://fleet/a b",
            "s3://fleet/ä",
            "s3://fleet?x",
            "https://fleet.s3.amazonaws.com/a",
        ] {
            assert_eq!(Location::parse(text), None, "{text}");
        }
        assert_eq!(Location::parse(&format!("s3://{}", "b".repeat(64))), None);
        assert_eq!(Location::parse(&format!("s3://bucket/{}", "p".repeat(513))), None);
    }
}
