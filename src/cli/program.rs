//! The names that this program goes by. Packages call it `aws-age-vault`, since HashiCorp's program is
//! `vault`, too.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use crate::called::PACKAGED;

/// The name that the program was started by, where it shows: in manual pages and completions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Program {
    /// `vault`, or whatever else somebody calls it.
    #[default]
    Vault,
    /// `aws-vault`, its link.
    AwsVault,
    /// `aws-age-vault`.
    Packaged,
}

impl Program {
    /// By the last part of the argument vector's first word.
    pub fn of(argv: &[OsString]) -> Self {
        let name = argv.first().and_then(|word| Path::new(word).file_name());
        match name.and_then(OsStr::to_str) {
            Some(PACKAGED) => Self::Packaged,
            Some("aws-vault") => Self::AwsVault,
            _ => Self::Vault,
        }
    }

    /// The name of its pages and completions.
    pub fn name(self) -> &'static str {
        match self {
            Self::Vault | Self::AwsVault => "vault",
            Self::Packaged => PACKAGED,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_that_of_the_file_that_was_started() {
        let of = |word: &str| Program::of(&[word.into()]);
        assert_eq!(of("/usr/bin/aws-age-vault"), Program::Packaged);
        for other in ["vault", "/usr/lib/aws-age-vault/bin/vault", "", "x"] {
            assert_eq!(of(other), Program::Vault, "{other}");
        }
        assert_eq!(of("bin/aws-vault"), Program::AwsVault);
        assert_eq!(Program::of(&[]), Program::Vault);
    }
}
