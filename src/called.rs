//! The name that the program was started by, for the command lines in messages. Packages install it as
//! `aws-age-vault`, since HashiCorp's program is `vault`, too.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// The program's name in packages.
const PACKAGED: &str = "aws-age-vault";

/// The name that the program was started by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProgramName {
    /// `vault`, or any other name.
    #[default]
    Vault,
    /// `aws-vault`, a link to it.
    AwsVault,
    /// `aws-age-vault`.
    Packaged,
}

impl ProgramName {
    /// By the last part of the argument vector's first word.
    pub fn of(argv: &[OsString]) -> Self {
        let name = argv.first().and_then(|word| Path::new(word).file_name());
        match name.and_then(OsStr::to_str) {
            Some(PACKAGED) => Self::Packaged,
            Some("aws-vault") => Self::AwsVault,
            _ => Self::Vault,
        }
    }

    /// The name in manual pages and completions.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Vault | Self::AwsVault => "vault",
            Self::Packaged => PACKAGED,
        }
    }
}

/// The commands and their aliases. In prose, no such word follows `vault`.
pub const COMMANDS: [&str; 28] = [
    "add",
    "clear",
    "completions",
    "doctor",
    "exec",
    "explain",
    "export",
    "fleet",
    "help",
    "import",
    "init",
    "list",
    "lock",
    "login",
    "ls",
    "man",
    "mfa",
    "passphrase",
    "pin",
    "recipient",
    "rekey",
    "remove",
    "rm",
    "rotate",
    "serve",
    "sso",
    "totp",
    "unlock",
];

static IS_PACKAGED: AtomicBool = AtomicBool::new(false);

/// Sets the name that [`named`] uses.
pub fn set_name(name: ProgramName) {
    IS_PACKAGED.store(name == ProgramName::Packaged, Ordering::Relaxed);
}

/// The text with the program's name in each command line of `vault`.
pub fn named(text: &str) -> Cow<'_, str> {
    match IS_PACKAGED.load(Ordering::Relaxed) {
        true => renamed(text).into(),
        false => text.into(),
    }
}

fn renamed(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("vault ") {
        let (before, line) = rest.split_at(at);
        out.push_str(before);
        let behind = &line["vault ".len()..];
        // A path, `aws-vault` and `$vault` are other names; text in quotes is data.
        let begins = !out.ends_with(|c: char| c.is_alphanumeric() || "/-_.$\"".contains(c));
        out.push_str(if begins && is_command(behind) { PACKAGED } else { "vault" });
        out.push(' ');
        rest = behind;
    }
    out += rest;
    FILES.iter().fold(out, |text, (theirs, ours)| text.replace(theirs, ours))
}

/// The files of completions, which a shell finds by the program's name.
const FILES: [(&str, &str); 4] = [
    ("/completions/vault\n", "/completions/aws-age-vault\n"),
    ("/_vault ", "/_aws-age-vault "),
    ("/vault.fish\n", "/aws-age-vault.fish\n"),
    ("ln -s vault aws-vault there", "ln -s aws-age-vault aws-vault there"),
];

/// True if the text after the program's name makes it a command line: a command, a flag, or a placeholder for
/// one.
fn is_command(behind: &str) -> bool {
    let end = behind.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(behind.len());
    let (word, after) = behind.split_at(end);
    // The rest of a path or of a longer name.
    if !word.is_empty() && after.starts_with(|c: char| c.is_alphanumeric() || "/_-".contains(c)) {
        return false;
    }
    let flag = |behind: &str| behind.starts_with(|c: char| c == '-' || c.is_ascii_alphabetic());
    COMMANDS.contains(&word)
        || behind.starts_with("[OPTIONS]")
        || behind.starts_with("<COMMAND>")
        || behind.strip_prefix('-').is_some_and(flag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_that_of_the_file_that_was_started() {
        let of = |word: &str| ProgramName::of(&[word.into()]);
        assert_eq!(of("/usr/bin/aws-age-vault"), ProgramName::Packaged);
        for other in ["vault", "/usr/lib/aws-age-vault/bin/vault", "", "x"] {
            assert_eq!(of(other), ProgramName::Vault, "{other}");
        }
        assert_eq!(of("bin/aws-vault"), ProgramName::AwsVault);
        assert_eq!(ProgramName::of(&[]), ProgramName::Vault);
    }

    #[test]
    fn only_command_lines_are_renamed() {
        for (text, expected) in [
            ("vault add prod", "aws-age-vault add prod"),
            ("see vault --help", "see aws-age-vault --help"),
            (
                "  sudo vault man\n  source <(vault completions bash)",
                "  sudo aws-age-vault man\n  source <(aws-age-vault completions bash)",
            ),
            (
                "vault --vault /srv/vault.age list >~/vault/x\n  cat vault.csv",
                "aws-age-vault --vault /srv/vault.age list >~/vault/x\n  cat vault.csv",
            ),
            ("Usage: vault [OPTIONS] <COMMAND>", "Usage: aws-age-vault [OPTIONS] <COMMAND>"),
            ("`vault lock`, or (vault -h)", "`aws-age-vault lock`, or (aws-age-vault -h)"),
            (
                "vault completions zsh >~/.zsh/completions/_vault   # a directory",
                "aws-age-vault completions zsh >~/.zsh/completions/_aws-age-vault   # a directory",
            ),
            (
                "eval \"$(vault export p)\"; vault ls",
                "eval \"$(aws-age-vault export p)\"; aws-age-vault ls",
            ),
        ] {
            assert_eq!(renamed(text), expected);
        }
        for other in [
            "the vault has no key",
            "the vault was not saved, and vault addresses it",
            "aws-vault exec prod",
            "/usr/local/bin/vault exec --json",
            "a vault - of age",
            "vault",
            "my.vault list",
            "no vault at /tmp/old vault list/v.age",
            "no credentials for profile \"vault add\"",
            "vault: error: vault.age",
        ] {
            assert_eq!(renamed(other), other);
        }
    }
}
