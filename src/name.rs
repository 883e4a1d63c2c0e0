//! The names that the user and AWS give to things, checked once where they come in.

use std::fmt;

use crate::error::{Error, Result};

/// The name of a profile: not empty, without control characters or surrounding blanks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProfileName(String);

impl ProfileName {
    /// Checks a name.
    ///
    /// # Errors
    /// [`crate::error::Class::Usage`]: empty, over 256 bytes, with control characters, `[`, `]` or a
    /// blank at an end. The name is not echoed: it might be a secret in the wrong place.
    pub fn new(name: &str) -> Result<Self> {
        if name.is_empty() {
            return Err(Error::usage("the profile name is empty"));
        }
        if name.len() > 256
            || name.chars().any(|c| c.is_control() || c == '[' || c == ']')
            || name.trim() != name
        {
            return Err(Error::usage("the profile name has characters that a profile cannot have"));
        }
        Ok(Self(name.to_owned()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ProfileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The partition (`aws`, `aws-cn`, `aws-us-gov`, …) that an ARN names.
pub fn arn_partition(arn: &str) -> Option<&str> {
    let mut parts = arn.split(':');
    (parts.next() == Some("arn")).then(|| parts.next()).flatten().filter(|p| !p.is_empty())
}

/// True for an account's twelve digits.
pub fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions() {
        assert_eq!(arn_partition("arn:aws-cn:iam::123456789012:role/x"), Some("aws-cn"));
        assert_eq!(arn_partition("role/x"), None);
    }

    #[test]
    fn profile_names() {
        assert!(ProfileName::new("prod-1/eu").is_ok());
        for bad in ["", " a", "a\n", "[x]"] {
            assert!(ProfileName::new(bad).is_err(), "{bad:?}");
        }
    }
}
