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

    /// Command lines of `vault` as those of the program by this name.
    pub fn called(self, lines: &str) -> String {
        let words = lines.split_inclusive([' ', '\n', '(', '<']);
        let called = words.map(|word| match word.strip_prefix("vault") {
            Some(end @ ("" | " " | "\n")) => format!("{}{end}", self.name()),
            _ => word.to_owned(),
        });
        called.collect()
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

    #[test]
    fn only_the_program_of_a_command_line_is_renamed() {
        let lines = "  vault exec prod\n  sudo vault man\n  source <(vault completions bash)\n  \
                     vault --vault /srv/vault.age list >~/vault/x\nvault\n  cat vault.csv";
        let renamed = Program::Packaged.called(lines);
        assert_eq!(
            renamed,
            "  aws-age-vault exec prod\n  sudo aws-age-vault man\n  \
             source <(aws-age-vault completions bash)\n  \
             aws-age-vault --vault /srv/vault.age list >~/vault/x\naws-age-vault\n  cat vault.csv"
        );
        assert_eq!(Program::Vault.called(lines), lines);
    }
}
