//! From the argument vector to the types. The command of `exec` is split off, and secrets are refused. clap's
//! errors quote what it could not parse, so they are replaced by our own.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, CommandFactory, FromArgMatches};

use super::{Cli, Command, Exec, Format, Global};
use crate::called;
use crate::error::{Error, Result};
use crate::nearest::nearest;

/// The output of `--version`. To build clap's definition of all commands for it would take longer than to
/// open a vault.
const VERSION: &str = concat!("vault ", env!("CARGO_PKG_VERSION"), "\n");

/// A command line that was parsed.
#[derive(Debug)]
pub struct Parsed {
    /// The global flags, from before and after the subcommand.
    pub global: Global,
    /// The subcommand.
    pub command: Command,
    /// The command for `exec`, empty for a subshell.
    pub words: Vec<OsString>,
    /// True if a program reads what is printed: an SDK, a script, a shell's completion.
    pub for_a_program: bool,
}

/// The result of parsing.
#[derive(Debug)]
pub enum Answer {
    /// Run this command.
    Run(Box<Parsed>),
    /// Print this text and exit: `--help`, `--version`.
    Print(String),
    /// There is no command: show the usage on stderr and fail.
    Usage(String),
}

/// Parses an argument vector, the program's name included.
///
/// # Errors
/// Usage (2). A message quotes no argument that may be a secret.
pub fn parse(argv: &[OsString]) -> Result<Answer> {
    if let [_, flag] = argv
        && (flag == "--version" || flag == "-V")
    {
        return Ok(Answer::Print(VERSION.to_owned()));
    }
    let helped = help_word(argv);
    let argv = helped.as_deref().unwrap_or(argv);
    let global = Global::augment_args(clap::Command::new("exec"));
    let place_of_exec = place_of_exec(&global, argv);
    let (mut clap, ours, words) = match place_of_exec {
        Some(at) => {
            // With the global flags alone: SDKs start this command often, and to build the definition of all
            // commands takes longer than to open a vault.
            let clap = Exec::augment_args(global.next_help_heading(None::<&str>));
            let clap = clap.bin_name("vault exec");
            let (before, behind) = (&argv[..at], &argv[at + 1..]);
            let (ours, words) = split(&clap, behind);
            (clap, [before, ours].concat(), words)
        }
        None => {
            let (clap, (ours, words)) = (definition(), split_at_double_dash(argv));
            let ours = globals_last(&clap, ours);
            (clap, ours, words)
        }
    };
    refuse_secrets(&ours)?;
    let matches = match clap.try_get_matches_from_mut(&ours) {
        Ok(matches) => matches,
        Err(error)
            if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) =>
        {
            return Ok(Answer::Print(called::named(&error.render().to_string()).into_owned()));
        }
        Err(error) if argv.len() < 2 => return Ok(Answer::Usage(error.render().to_string())),
        Err(error) => return Err(usage_error(&error, level(&clap, &ours))),
    };
    let cli = match place_of_exec {
        Some(_) => Exec::from_arg_matches(&matches).and_then(|exec| {
            Ok(Cli { global: Global::from_arg_matches(&matches)?, command: Command::Exec(exec) })
        }),
        None => Cli::from_arg_matches(&matches),
    };
    let Cli { global, command } = cli.map_err(|error| usage_error(&error, &clap))?;
    let takes_words = matches!(command, Command::Exec(_) | Command::Complete(_));
    if let Some(word) = words.first().filter(|_| !takes_words) {
        let shown = word.to_str().filter(|word| is_plain(word));
        let left = shown.map_or_else(String::new, |word| format!(": {word}"));
        return Err(Error::usage(format!("this command takes nothing after --{left}")));
    }
    let for_a_program = asks_for_json(&matches)
        || matches!(command, Command::Complete(_))
        || matches!(&command, Command::Export(args) if args.format == Format::Json);
    Ok(Answer::Run(Box::new(Parsed { global, command, words: words.to_vec(), for_a_program })))
}

/// True if any command has the flag `--json`.
fn asks_for_json(matches: &clap::ArgMatches) -> bool {
    let here = matches.try_get_one::<bool>("json").is_ok_and(|json| json == Some(&true));
    here || matches.subcommand().is_some_and(|(_, inner)| asks_for_json(inner))
}

/// The definition of the whole command line. The flags of the top level belong to every command.
pub(super) fn definition() -> clap::Command {
    Cli::command().mut_args(|arg| arg.global(true))
}

/// Moves the global flags behind the names of the commands, since clap takes the values from one level only,
/// and repeated flags are to add up on all levels.
fn globals_last(clap: &clap::Command, words: &[OsString]) -> Vec<OsString> {
    let Some((program, mut rest)) = words.split_first() else { return Vec::new() };
    let (mut names, mut flags) = (vec![program.clone()], Vec::new());
    let mut level = clap;
    while let Some(word) = rest.first() {
        let mut length = 1;
        if clap.get_arguments().any(|arg| is_flag(arg, word)) {
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
pub(super) fn is_flag(arg: &clap::Arg, word: &OsStr) -> bool {
    let Some(word) = word.to_str().and_then(|word| word.strip_prefix('-')) else { return false };
    match word.strip_prefix('-') {
        Some(long) => long.split('=').next() == arg.get_long(),
        None => arg.get_short().is_some() && word.chars().next() == arg.get_short(),
    }
}

/// The index of `exec`, if there are only global flags before it.
fn place_of_exec(global: &clap::Command, argv: &[OsString]) -> Option<usize> {
    let mut at = 1;
    loop {
        let word = argv.get(at)?;
        if word == "exec" {
            return Some(at);
        }
        if !global.get_arguments().any(|arg| is_flag(arg, word)) {
            return None;
        }
        at += if takes_the_next_word(&[global], word.as_bytes()) { 2 } else { 1 };
    }
}

/// `vault help exec` means `vault exec --help`, as in aws-vault.
fn help_word(argv: &[OsString]) -> Option<Vec<OsString>> {
    match argv {
        [program, help, command @ ..] if help == "help" => {
            let flag = OsString::from("--help");
            Some(std::iter::once(program).chain(command).chain([&flag]).cloned().collect())
        }
        _ => None,
    }
}

/// Splits the words after `exec` where its command begins: at the first `--` or the second bare word.
fn split<'a>(exec: &clap::Command, words: &'a [OsString]) -> (&'a [OsString], &'a [OsString]) {
    let (mut at, mut bare_words) = (0, 0);
    while let Some(word) = words.get(at).map(|word| word.as_bytes()) {
        match word {
            b"--" => return (&words[..at], &words[at + 1..]),
            [b'-', _, ..] => at += usize::from(takes_the_next_word(&[exec], word)),
            _ if bare_words == 1 => return (&words[..at], &words[at..]),
            _ => bare_words += 1,
        }
        at += 1;
    }
    split_at_double_dash(words)
}

/// Splits the words of any other command at the first `--`.
fn split_at_double_dash(argv: &[OsString]) -> (&[OsString], &[OsString]) {
    match argv.iter().position(|word| word == "--") {
        Some(at) => (&argv[..at], &argv[at + 1..]),
        None => (argv, &[]),
    }
}

/// True if the word is a flag of one of these commands whose value is the next word.
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

/// Refuses a key on the command line, which every user of the machine can see, and a shell keeps in its
/// history.
fn refuse_secrets(words: &[OsString]) -> Result<()> {
    let is_secret = |word: &OsStr| {
        let word = word.to_string_lossy();
        let upper = word.to_ascii_uppercase();
        upper.contains("AGE-SECRET-KEY-")
            || upper.contains("PRIVATE KEY-----")
            || upper.contains("OTPAUTH://")
            // A plugin's identity; in lower case, the name of a program or a file.
            || word.contains("AGE-PLUGIN-")
            // The base64 of the beginning of an age key or of PEM.
            || word.contains("QUdFLVNFQ1JFVC1LRVkt")
            || word.contains("LS0tLS1CRUdJTi")
    };
    if words.iter().any(|word| is_secret(word)) {
        return Err(Error::usage(
            "there is a secret on the command line, where every user can see it",
        )
        .hint(
            "pass keys in a file (-i FILE), on stdin (-i -) or in AWS_VAULT_AGE_KEY, and \
                seeds on stdin; replace this key, since others may have seen it",
        ));
    }
    Ok(())
}

/// The command that these words name. The global flags come after the names.
fn level<'a>(clap: &'a clap::Command, words: &[OsString]) -> &'a clap::Command {
    let names = words.iter().skip(1).map_while(|word| word.to_str());
    let mut level = clap;
    for name in names {
        let Some(found) = level.find_subcommand(name) else { break };
        level = found;
    }
    level
}

/// The error for a command that `level` does not have, with a suggestion.
pub(super) fn unknown_command(typed: Option<&str>, level: &clap::Command) -> Error {
    let typed = typed.filter(|word| is_plain(word));
    let commands = level.get_subcommands().filter(|command| !command.is_hide_set());
    let names =
        commands.flat_map(|it| std::iter::once(it.get_name()).chain(it.get_visible_aliases()));
    let hint = match typed.and_then(|typed| nearest(typed, names)) {
        Some(name) => did_you_mean(name),
        None => see_help_of(level),
    };
    let shown = typed.map_or_else(String::new, |typed| format!(" \"{typed}\""));
    Error::usage(format!("unknown command{shown}")).hint(hint)
}

/// The hint to the help of this level.
fn see_help_of(level: &clap::Command) -> String {
    let path = level.get_bin_name().and_then(|name| name.split_once(' '));
    path.map_or_else(
        || "see vault --help".to_owned(),
        |(_, path)| format!("see vault {path} --help"),
    )
}

fn did_you_mean(name: &str) -> String {
    format!("did you mean \"{name}\"?")
}

/// The suggestion of a flag that is similar.
fn flag_near(typed: &str, level: &clap::Command) -> Option<String> {
    let flags = level.get_arguments().filter(|arg| !arg.is_hide_set());
    let names = flags.flat_map(|arg| {
        arg.get_long().into_iter().chain(arg.get_visible_aliases().unwrap_or_default())
    });
    nearest(typed.strip_prefix("--")?, names).map(|name| did_you_mean(&format!("--{name}")))
}

/// Our error for one of clap's. `level` is the command that the words name.
fn usage_error(error: &clap::Error, level: &clap::Command) -> Error {
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        Some(ContextValue::Strings(texts)) => Some(texts.join(", ")),
        _ => None,
    };
    // Only flags' names, and words that are plainly a name or a number, may be shown.
    let flag = context(ContextKind::InvalidArg);
    let shown = flag.as_deref().filter(|flag| is_flag_name(flag) || flag.contains(['<', '[']));
    let value = context(ContextKind::InvalidValue).filter(|value| is_plain(value));
    let mut hint = None;
    let what = match error.kind() {
        ErrorKind::UnknownArgument => {
            match (shown, flag.as_deref().filter(|word| is_plain(word))) {
                (Some(flag), _) if is_flag_name(flag) => {
                    hint = flag_near(flag, level);
                    format!("unknown flag \"{flag}\"")
                }
                (_, Some(word)) => format!("unexpected argument \"{word}\""),
                _ => "unexpected argument".to_owned(),
            }
        }
        ErrorKind::InvalidSubcommand => {
            return unknown_command(context(ContextKind::InvalidSubcommand).as_deref(), level);
        }
        ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            hint = Some(see_help_of(level));
            "a command is missing".to_owned()
        }
        ErrorKind::MissingRequiredArgument => {
            format!("{} is missing", flag.as_deref().unwrap_or("something"))
        }
        ErrorKind::InvalidUtf8 => "an argument is not UTF-8".to_owned(),
        ErrorKind::ArgumentConflict => {
            let other = context(ContextKind::PriorArg).unwrap_or_default();
            format!("{} and {other} cannot be used together", shown.unwrap_or_default())
        }
        ErrorKind::NoEquals | ErrorKind::TooFewValues | ErrorKind::WrongNumberOfValues => {
            format!("{} needs a value", shown.unwrap_or("a flag"))
        }
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => {
            let valid = context(ContextKind::ValidValue);
            hint = valid
                .as_deref()
                .zip(value.as_deref())
                .and_then(|(valid, typed)| nearest(typed, valid.split(", ")).map(did_you_mean));
            bad_value(shown, valid, value)
        }
        ErrorKind::TooManyValues => format!("{} takes no value", shown.unwrap_or("a flag")),
        _ => "the command line is not understood".to_owned(),
    };
    // aws-vault's flag, as used in a shell's start files.
    let script = shown.is_some_and(|flag| flag.starts_with("--completion-script"));
    let see = || match script {
        true => "see vault completions --help".to_owned(),
        false => see_help_of(level),
    };
    Error::usage(what).hint(hint.unwrap_or_else(see))
}

/// The message for a value that a flag or an argument does not take. An empty value counts as missing.
fn bad_value(flag: Option<&str>, valid: Option<String>, value: Option<String>) -> String {
    let typed = value.as_ref().map_or_else(String::new, |value| format!(", not \"{value}\""));
    match (flag, valid) {
        (Some(flag), Some(valid)) if valid.is_empty() => format!("{flag} needs a value"),
        (Some(flag), Some(valid)) => format!("{flag} takes one of: {valid}{typed}"),
        (Some(flag), None) => match value {
            Some(value) => format!("{flag} cannot take the value \"{value}\""),
            None => format!("{flag} has a value that it cannot take"),
        },
        _ => "an argument has a value that it cannot take".to_owned(),
    }
}

/// True for a word that is plainly a name or a number: short, lower case, no possible key.
fn is_plain(word: &str) -> bool {
    let digits = word.len() <= 12;
    (1..=20).contains(&word.len())
        && word
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b"-_.".contains(&b) || digits && b.is_ascii_digit())
}

/// `-x`, `--some-flag`: short, lower case, no possible key.
fn is_flag_name(text: &str) -> bool {
    let name = text.strip_prefix("--").or_else(|| text.strip_prefix('-')).unwrap_or_default();
    text.starts_with('-')
        && (1..=30).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        || (name.len() == 1 && name.bytes().all(|b| b.is_ascii_alphabetic()))
}

#[cfg(test)]
mod tests;
