//! From the argument vector to the types: the command of `exec` is split off, secrets are refused,
//! and clap's errors become ours, since clap quotes what it chokes on.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, CommandFactory, FromArgMatches};

use super::program::Program;
use super::{Cli, Command, Exec, Global};
use crate::error::{Error, Result};

/// What clap prints for `--version`, without the definition of every command, which takes longer to build
/// than a vault takes to open.
const VERSION: &str = concat!("vault ", env!("CARGO_PKG_VERSION"), "\n");

/// A command line that was understood.
#[derive(Debug)]
pub struct Parsed {
    /// The global flags, from before and after the subcommand.
    pub global: Global,
    /// The subcommand.
    pub command: Command,
    /// The command for `exec`, empty for a subshell.
    pub words: Vec<OsString>,
}

/// What a command line asks for.
#[derive(Debug)]
pub enum Answer {
    /// Run this.
    Run(Box<Parsed>),
    /// Print this text (`--help`, `--version`) and be done.
    Print(String),
    /// Nothing was asked for: show this text, which is no result, and fail.
    Usage(String),
}

/// Reads an argument vector, the program's name included.
///
/// # Errors
/// [`crate::error::Class::Usage`]; no argument is echoed unless it is plainly the name of a flag.
pub fn parse(argv: &[OsString]) -> Result<Answer> {
    if let [_, flag] = argv
        && (flag == "--version" || flag == "-V")
    {
        return Ok(Answer::Print(VERSION.to_owned()));
    }
    let helped = help_word(argv);
    let argv = helped.as_deref().unwrap_or(argv);
    let hot = exec_alone();
    let clap = if names_exec(&hot, argv) { hot } else { definition() };
    let (ours, words) = split(&clap, argv);
    refuse_secrets(ours)?;
    let ours = globals_last(&clap, ours);
    let matches = match clap.try_get_matches_from(ours) {
        Ok(matches) => matches,
        Err(error)
            if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) =>
        {
            return Ok(Answer::Print(error.render().to_string()));
        }
        Err(error) if argv.len() < 2 => return Ok(Answer::Usage(error.render().to_string())),
        Err(error) => return Err(usage_error(&error)),
    };
    let cli = Cli::from_arg_matches(&matches).map_err(|error| usage_error(&error))?;
    let Cli { global, mut command } = cli;
    let program = Program::of(argv);
    match &mut command {
        Command::Add(args) => args.program = program,
        Command::Completions(args) => args.program = program,
        Command::Man(args) => args.program = program,
        _ => {}
    }
    let takes_words = matches!(command, Command::Exec(_) | Command::Complete(_));
    if !words.is_empty() && !takes_words {
        return Err(Error::usage("this command takes nothing after --"));
    }
    Ok(Answer::Run(Box::new(Parsed { global, command, words: words.to_vec() })))
}

/// The definition with `exec` as its only command. CredentialOptions all of them takes longer than opening a
/// vault, and an SDK starts this one many times.
fn exec_alone() -> clap::Command {
    let exec = Exec::augment_args(clap::Command::new("exec"));
    global(Global::augment_args(clap::Command::new("vault"))).subcommand(exec)
}

/// The definition of the whole command line.
pub(super) fn definition() -> clap::Command {
    global(Cli::command())
}

/// The flags of the top level are those of every command.
fn global(clap: clap::Command) -> clap::Command {
    clap.mut_args(|arg| arg.global(true))
}

/// The same words, the global flags behind the names of the commands: clap takes the values of one place
/// only, and repeated flags add up wherever they stand.
fn globals_last(clap: &clap::Command, words: &[OsString]) -> Vec<OsString> {
    let Some((program, mut rest)) = words.split_first() else { return Vec::new() };
    let (mut names, mut flags) = (vec![program.clone()], Vec::new());
    let mut level = clap;
    while let Some(word) = rest.first() {
        let mut length = 1;
        if word.len() > 1 && word.as_bytes().starts_with(b"-") {
            if !clap.get_arguments().any(|arg| is_flag(arg, word)) {
                break;
            }
            length += usize::from(takes_the_next_word(&[clap], word.as_bytes()));
            flags.extend(rest.iter().take(length).cloned());
        } else {
            let Some(found) = word.to_str().and_then(|name| level.find_subcommand(name)) else {
                break;
            };
            level = found;
            names.push(word.clone());
        }
        rest = rest.get(length..).unwrap_or_default();
    }
    names.into_iter().chain(flags).chain(rest.iter().cloned()).collect()
}

/// True for `--flag`, `--flag=VALUE`, `-f` and `-fVALUE`.
fn is_flag(arg: &clap::Arg, word: &OsStr) -> bool {
    let Some(word) = word.to_str() else { return false };
    match word.strip_prefix("--") {
        Some(long) => long.split('=').next() == arg.get_long(),
        None => arg.get_short().is_some() && word.chars().nth(1) == arg.get_short(),
    }
}

/// True if `exec` is the first bare word, and no question for help or version stands before it.
fn names_exec(clap: &clap::Command, argv: &[OsString]) -> bool {
    let mut at = 1;
    while let Some(word) = argv.get(at).map(|word| word.as_bytes()) {
        match word {
            b"exec" => return true,
            b"--help" | b"--version" | b"--" => return false,
            // `-h`, alone or among other letters; with a value in the word it is only slower.
            [b'-', letters @ ..]
                if letters.first() != Some(&b'-') && letters.iter().any(|b| b"hV".contains(b)) =>
            {
                return false;
            }
            [b'-', _, ..] => at += if takes_the_next_word(&[clap], word) { 2 } else { 1 },
            _ => return false,
        }
    }
    false
}

/// `vault help exec`, as aws-vault takes it, is `vault exec --help`.
fn help_word(argv: &[OsString]) -> Option<Vec<OsString>> {
    match argv {
        [program, help, command @ ..] if help == "help" => {
            let flag = OsString::from("--help");
            Some(std::iter::once(program).chain(command).chain([&flag]).cloned().collect())
        }
        _ => None,
    }
}

/// Splits the vector where the command of `exec` begins: at the first `--`, or at the second bare
/// word after `exec`, whichever comes first. Every other command keeps all its words.
fn split<'a>(clap: &clap::Command, argv: &'a [OsString]) -> (&'a [OsString], &'a [OsString]) {
    let mut bare_words = 0;
    let mut at = 1;
    let mut level = clap;
    while let Some(word) = argv.get(at) {
        let bytes = word.as_bytes();
        if bytes == b"--" {
            return (&argv[..at], &argv[at + 1..]);
        }
        if bytes.starts_with(b"-") && bytes.len() > 1 {
            at += if takes_the_next_word(&[level, clap], bytes) { 2 } else { 1 };
            continue;
        }
        match (word.to_str(), std::ptr::eq(level, clap)) {
            (Some(name), true) => match clap.find_subcommand(name) {
                Some(found) if found.get_name() == "exec" => level = found,
                _ => break,
            },
            _ => bare_words += 1,
        }
        if bare_words == 2 {
            return (&argv[..at], &argv[at..]);
        }
        at += 1;
    }
    // Not exec: only a `--` ends our words, and nothing may follow it.
    match argv.iter().position(|word| word == "--") {
        Some(at) => (&argv[..at], &argv[at + 1..]),
        None => (argv, &[]),
    }
}

/// True for `--flag` and `-f` of a flag of one of these commands that takes a value, where the value is
/// not in the same word.
pub(super) fn takes_the_next_word(levels: &[&clap::Command], word: &[u8]) -> bool {
    let arguments = || levels.iter().flat_map(|level| level.get_arguments());
    let takes = |arg: &clap::Arg| arg.get_action().takes_values();
    let Ok(text) = std::str::from_utf8(word) else { return false };
    if let Some(long) = text.strip_prefix("--") {
        return arguments().any(|arg| arg.get_long() == Some(long) && takes(arg));
    }
    // `-nd 1h`: the first short flag with a value takes the rest of the word, or the next word.
    let mut letters = text[1..].chars();
    while let Some(letter) = letters.next() {
        if arguments().any(|arg| arg.get_short() == Some(letter) && takes(arg)) {
            return letters.as_str().is_empty();
        }
    }
    false
}

/// A key on a command line is visible to every user of the machine, and stays in the shell's
/// history.
fn refuse_secrets(words: &[OsString]) -> Result<()> {
    let is_secret = |word: &OsStr| {
        let word = word.to_string_lossy();
        let upper = word.to_ascii_uppercase();
        upper.contains("AGE-SECRET-KEY-")
            || upper.contains("PRIVATE KEY-----")
            || upper.contains("OTPAUTH://")
            // A plugin's identity; in lower case it is the name of a program or a file.
            || word.contains("AGE-PLUGIN-")
            // The base64 of what begins as an age key or as PEM.
            || word.contains("QUdFLVNFQ1JFVC1LRVkt")
            || word.contains("LS0tLS1CRUdJTi")
    };
    if words.iter().any(|word| is_secret(word)) {
        return Err(Error::usage("there is a secret on the command line, where every user can see it")
            .hint("hand keys over by a file (-i FILE), stdin (-i -) or AWS_VAULT_AGE_KEY, seeds by stdin; then make a new key, this one has been seen"));
    }
    Ok(())
}

fn usage_error(error: &clap::Error) -> Error {
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        Some(ContextValue::Strings(texts)) => Some(texts.join(", ")),
        _ => None,
    };
    // Only names of our own flags, or what plainly is the name of a flag, may be shown.
    let flag = context(ContextKind::InvalidArg);
    let shown = flag.as_deref().filter(|flag| is_flag_name(flag) || flag.contains(['<', '[']));
    let what = match error.kind() {
        ErrorKind::UnknownArgument => match shown {
            Some(flag) if is_flag_name(flag) => format!("there is no flag {flag}"),
            _ => "there is a word too many".to_owned(),
        },
        ErrorKind::InvalidSubcommand => "there is no such command".to_owned(),
        ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            "a command is missing".to_owned()
        }
        ErrorKind::MissingRequiredArgument => {
            format!("{} is missing", flag.as_deref().unwrap_or("something"))
        }
        ErrorKind::InvalidUtf8 => "an argument is not UTF-8".to_owned(),
        ErrorKind::ArgumentConflict => {
            let other = context(ContextKind::PriorArg).unwrap_or_default();
            format!("{} and {other} do not go together", shown.unwrap_or_default())
        }
        ErrorKind::NoEquals | ErrorKind::TooFewValues | ErrorKind::WrongNumberOfValues => {
            format!("{} wants a value", shown.unwrap_or("a flag"))
        }
        // An empty value counts as none given.
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => {
            match (shown, context(ContextKind::ValidValue)) {
                (Some(flag), Some(valid)) if valid.is_empty() => format!("{flag} wants a value"),
                (Some(flag), Some(valid)) => format!("{flag} takes one of: {valid}"),
                (Some(flag), None) => format!("{flag} has a value that it cannot take"),
                _ => "an argument has a value that it cannot take".to_owned(),
            }
        }
        ErrorKind::TooManyValues => format!("{} takes no value", shown.unwrap_or("a flag")),
        _ => "the command line is not understood".to_owned(),
    };
    let hint = match context(ContextKind::SuggestedSubcommand) {
        Some(name) if error.kind() == ErrorKind::InvalidSubcommand => {
            format!("did you mean {name}? see vault --help")
        }
        // aws-vault's, as it stands in a shell's start files.
        _ if shown.is_some_and(|flag| flag.starts_with("--completion-script")) => {
            "see vault completions --help".to_owned()
        }
        _ => "see --help".to_owned(),
    };
    Error::usage(what).hint(hint)
}

/// `-x`, `--some-flag`: short, lower case, nothing that could be a key.
fn is_flag_name(text: &str) -> bool {
    let name = text.strip_prefix("--").or_else(|| text.strip_prefix('-')).unwrap_or_default();
    text.starts_with('-')
        && (1..=30).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        || (name.len() == 1 && name.bytes().all(|b| b.is_ascii_alphabetic()))
}

#[cfg(test)]
mod tests;
