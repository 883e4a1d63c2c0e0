//! A `credential_process` that is this program: for its own profile it means the vault's key; for another one
//! the credentials are made here, since the vault is open already.

use std::ffi::OsStr;
use std::time::Duration;

use crate::duration::parse_duration;
use crate::error::{Error, Result};
use crate::name::ProfileName;
use crate::process::{self, Program, words};

/// What `vault exec --json` of another profile asks for.
#[derive(Default)]
pub(super) struct OwnCommand {
    pub profile: String,
    pub no_session: bool,
    pub duration: Option<Duration>,
    pub region: Option<String>,
}

/// The command line of a `credential_process`, split into words, with its program searched for.
pub(super) struct ProcessCommand<'a> {
    pub line: &'a str,
    /// None for a line that no shell takes.
    words: Vec<String>,
    program: Program,
}

impl<'a> ProcessCommand<'a> {
    /// Splits the line, and searches for its program in `path`.
    pub fn of(line: &'a str, path: Option<&OsStr>) -> Self {
        let words = words(line).unwrap_or_default();
        let program = words.first().map_or(Program::Missing, |word| process::find(word, path));
        Self { line, words, program }
    }

    /// True for this program for the same profile. A command of its name that does not exist counts as this
    /// program; another file, such as HashiCorp's vault, does not.
    pub fn is_for(&self, profile: &str) -> bool {
        match self.program {
            // One that names another vault, or its key, asks that vault.
            Program::Ourselves => {
                !names_a_vault(&self.words) && reads_as_ours_for(&self.words, profile, true)
            }
            Program::Missing => reads_as_ours_for(&self.words, profile, false),
            Program::Other => false,
        }
    }

    /// What the command asks of this program for another profile than its own, if it is this file, and its words
    /// are only `exec --json`, `-n`, `-d`, `--region` and the profile. Any other command is started.
    pub fn of_other(&self) -> Result<Option<OwnCommand>> {
        // Only text that a shell reads as words.
        let plain = |c: char| c.is_alphanumeric() || " \t_/.,:@%+=-'\"".contains(c);
        match self.words.split_first() {
            Some((program, words))
                if self.program == Program::Ourselves
                    && !program.contains('=')
                    && self.line.chars().all(plain) =>
            {
                read(words)
            }
            _ => Ok(None),
        }
    }
}

fn names_a_vault(words: &[String]) -> bool {
    let flags = ["-i", "--identity", "--passphrase-file", "--pin", "--vault"];
    words.iter().any(|word| flags.iter().any(|flag| word.split('=').next() == Some(flag)))
}

fn read(words: &[String]) -> Result<Option<OwnCommand>> {
    let mut asks = OwnCommand::default();
    let (mut exec, mut json) = (false, false);
    let mut words = words.iter().map(String::as_str);
    while let Some(word) = words.next() {
        let (flag, value) = match word.split_once('=') {
            Some((flag, value)) if flag.starts_with("--") => (flag, Some(value)),
            _ => (word, None),
        };
        match (flag, value) {
            ("exec", None) if !exec => exec = true,
            // A command line that this program refuses is started, and reports its error.
            _ if !exec => return Ok(None),
            ("--json" | "-j", None) if !json => json = true,
            ("--no-session" | "-n", None) if !asks.no_session => asks.no_session = true,
            ("--duration" | "-d", value) => {
                let Some(value) = value.or_else(|| words.next()) else { return Ok(None) };
                asks.duration = Some(parse_duration(value, "--duration")?);
            }
            ("--region", value) => {
                let Some(value) = value.or_else(|| words.next()) else { return Ok(None) };
                asks.region = Some(value.to_owned());
            }
            (flag, _) if flag.starts_with('-') => return Ok(None),
            _ if asks.profile.is_empty() && ProfileName::new(word).is_ok() => {
                asks.profile = word.to_owned();
            }
            _ => return Ok(None),
        }
    }
    Ok((json && !asks.profile.is_empty()).then_some(asks))
}

/// The error for a program that would start itself in a loop: `chain` has the profiles whose programs are
/// running, and the one that would run again.
pub fn recursion(kind: &str, chain: &[&str]) -> Error {
    let hint = match kind {
        "mfa_process" => "let it use --no-session, which needs no code",
        _ => "make it name a profile that has a key in the vault",
    };
    let chain = chain.join(" -> ");
    Error::other(format!("{kind} runs vault for its own profile: {chain}")).hint(hint)
}

/// True for a `credential_process` that is this program (or aws-vault) for the same profile, as in
/// `aws-vault exec --no-session --json caktus`. A script that does this is found when it runs, by the variable
/// with the profiles whose programs are running.
///
/// `known`: the program is this one, whatever its name.
pub(super) fn reads_as_ours_for(words: &[String], profile: &str, known: bool) -> bool {
    let Some((program, words)) = words.split_first() else { return false };
    if !known && !matches!(program.rsplit('/').next(), Some("vault" | "aws-vault")) {
        return false;
    }
    let mut words = without_flag_values(words).filter(|word| *word == "--" || !is_flag(word));
    matches!(words.next(), Some("exec" | "export")) && words.next() == Some(profile)
}

/// True for words, without the program's, by which this program or aws-vault starts a shell: `exec` of a profile
/// without `--json` and without a command.
pub fn is_exec_of_a_shell(words: &[String]) -> bool {
    let ends_or_prints = |word: &str| {
        let short = word.starts_with('-') && !word.starts_with("--");
        matches!(word, "--" | "--json") || short && word.contains('j')
    };
    let mut bare = without_flag_values(words).filter(|word| !is_flag(word));
    !without_flag_values(words).any(ends_or_prints)
        && bare.next() == Some("exec")
        && bare.count() < 2
}

/// The words that are no flag's value.
fn without_flag_values(words: &[String]) -> impl Iterator<Item = &str> {
    let mut words = words.iter().map(String::as_str);
    std::iter::from_fn(move || {
        let word = words.next()?;
        if TAKES_VALUE.contains(&word) {
            words.next();
        }
        Some(word)
    })
}

fn is_flag(word: &str) -> bool {
    word.starts_with('-') && word != "-"
}

/// Flags of ours and of aws-vault's whose value is the next word.
const TAKES_VALUE: [&str; 21] = [
    "-d",
    "-i",
    "-t",
    "--backend",
    "--cache-dir",
    "--duration",
    "--file-dir",
    "--format",
    "--identity",
    "--keychain",
    "--mfa-serial",
    "--mfa-token",
    "--pass-cmd",
    "--pass-dir",
    "--pass-prefix",
    "--passphrase-file",
    "--pin",
    "--prompt",
    "--region",
    "--secret-service-collection",
    "--vault",
];
