//! `completions`: a script for a shell, and what is expected at a position of a command line.
//!
//! clap_complete writes commands, flags and their values into the script. For the names of profiles, and
//! where the command of `exec` begins, the script starts the program itself, which parses the line as usual.
//! elvish and PowerShell get the script of clap_complete unchanged, which needs no code here.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

use clap::{Arg, Args, Command, ValueHint};
use clap_complete::Shell;

use super::parse::{definition, is_flag, takes_the_next_word};
use crate::called::ProgramName;

/// Print a completion script for a shell
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    mkdir -p ~/.local/share/bash-completion/completions\n  \
    vault completions bash >~/.local/share/bash-completion/completions/vault\n  \
    vault completions zsh >~/.zsh/completions/_vault   # a directory in $fpath\n  \
    vault completions fish >~/.config/fish/completions/vault.fish\n  \
    source <(vault completions bash)\n\n\
    Profile names are read from the AWS config when you press Tab; the vault is not unlocked.\n\
    For the name aws-vault, bash needs a link in the same directory: ln -s vault aws-vault there, too.")]
pub struct Completions {
    /// The shell
    pub shell: Shell,
}

/// The command that the scripts start.
#[derive(Debug, Args)]
pub struct Complete {}

/// What is expected at a position of a command line.
#[derive(Debug, PartialEq, Eq)]
pub enum Expected {
    /// The name of a profile.
    Profile,
    /// A part of the command of `exec`, which begins at this word.
    Command(usize),
    /// What the script knows without the program.
    Other,
}

/// What is expected for the last of these words, which may be empty. The program's name is not one of them.
pub fn expected(words: &[OsString]) -> Expected {
    let clap = definition();
    let Some((current, before)) = words.split_last() else { return Expected::Other };
    let mut level = &clap;
    let mut flag = None;
    let mut bare_words = 0;
    let is_exec = |level: &Command| level.get_name() == "exec";
    for (at, word) in before.iter().enumerate() {
        let bytes = word.as_bytes();
        if flag.take().is_some() {
            continue;
        }
        if bytes == b"--" {
            return if is_exec(level) { Expected::Command(at + 1) } else { Expected::Other };
        }
        if bytes.starts_with(b"-") && bytes.len() > 1 {
            flag = takes_the_next_word(&[level, &clap], bytes).then_some(word);
            continue;
        }
        match word.to_str().and_then(|name| level.find_subcommand(name)) {
            Some(found) => level = found,
            None if level.has_subcommands() => return Expected::Other,
            None if is_exec(level) && bare_words == 1 => return Expected::Command(at),
            None => bare_words += 1,
        }
    }
    if let Some(flag) = flag {
        let named = level.get_opts().find(|option| is_flag(option, flag));
        return if named.is_some_and(is_profile) { Expected::Profile } else { Expected::Other };
    }
    if current.as_bytes().starts_with(b"-") {
        return Expected::Other;
    }
    match level.get_positionals().nth(bare_words) {
        Some(arg) if is_profile(arg) => Expected::Profile,
        None if is_exec(level) => Expected::Command(before.len()),
        _ => Expected::Other,
    }
}

/// True for PROFILE, and for DEVICE, which may be one.
fn is_profile(arg: &Arg) -> bool {
    arg.get_id() == "profile" || (arg.get_id() == "device" && arg.is_positional())
}

/// The script for a shell and a program of this name; for `vault` also for its link `aws-vault`.
pub fn script(shell: Shell, program: ProgramName) -> String {
    let mut clap = shown(&definition());
    let mut text = Vec::new();
    let name = program.as_str();
    clap_complete::generate(shell, &mut clap, name, &mut text);
    let text = String::from_utf8_lossy(&text);
    let names = if name == "vault" { "vault aws-vault" } else { name };
    let function = name.replace('-', "_");
    let hook = |text: &str| {
        let text = text.replace("PROGRAM", name).replace("FUNCTION", &function);
        text.replace("NAMES", names)
    };
    match shell {
        Shell::Bash => format!("{text}\n{}", hook(include_str!("complete/hook.bash"))),
        Shell::Fish => {
            // After the first word of exec's command, flags belong to that command.
            let begun = format!("__fish_{function}_using_subcommand exec");
            let expects = format!("{begun}; and not __{function}_expects command");
            let text = text.replace(&begun, &expects);
            let profiles = format!("(__{function}_profiles)");
            let text = text.replace("(__fish_print_hostnames)", &profiles);
            // The help of values is between double quotes, where fish expands variables.
            let in_quotes = |line: &str| match line.contains("\\t'") {
                true => line.replace('$', "\\$"),
                false => line.to_owned(),
            };
            let text: String = text.split_inclusive('\n').map(in_quotes).collect();
            let link = if name == "vault" { "complete -c aws-vault -w vault\n" } else { "" };
            format!("{}{link}\n{text}", hook(include_str!("complete/hook.fish")))
        }
        Shell::Zsh => {
            let text = text.replacen(&format!("#compdef {name}"), &format!("#compdef {names}"), 1);
            let own = format!("\n_{name}_by_itself() {{");
            let text = text.replacen(&format!("\n_{name}() {{"), &own, 1);
            // Without an action zsh would show a message.
            let text = text.replace(":_hosts", ":false");
            // The last lines call the function.
            let (functions, _) = text.split_once("\nif [ \"$funcstack").unwrap_or((&text, ""));
            format!("{functions}\n{}", hook(include_str!("complete/hook.zsh")))
        }
        _ => text.into_owned(),
    }
}

/// The definition without hidden commands and flags, which clap_complete would offer, and with hints on what
/// values are.
fn shown(clap: &Command) -> Command {
    let mut copy = Command::new(clap.get_name().to_owned())
        .disable_help_subcommand(true)
        .version(clap.get_version().unwrap_or_default().to_owned())
        .disable_version_flag(clap.get_version().is_none())
        .visible_aliases(clap.get_visible_aliases().map(str::to_owned).collect::<Vec<_>>());
    if let Some(about) = clap.get_about() {
        copy = copy.about(about.clone());
    }
    for arg in clap.get_arguments().filter(|arg| !arg.is_hide_set()) {
        let value = arg.get_value_names().and_then(|names| names.first());
        let hint = match value.map(|name| name.as_str()) {
            // A hint that is not used otherwise, since no value is a host name.
            _ if is_profile(arg) => ValueHint::Hostname,
            Some("FILE" | "SOCKET") => ValueHint::FilePath,
            Some("DIR") => ValueHint::DirPath,
            _ if !arg.get_possible_values().is_empty() => ValueHint::Unknown,
            _ => ValueHint::Other,
        };
        let takes_values = arg.get_action().takes_values();
        copy = copy.arg(if takes_values { arg.clone().value_hint(hint) } else { arg.clone() });
    }
    copy.subcommands(clap.get_subcommands().filter(|sub| !sub.is_hide_set()).map(shown))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_expected_is_what_the_program_would_read() {
        use Expected::{Command, Other, Profile};
        for (line, wanted) in [
            // A vertical bar ends the words; what follows it is being typed.
            ("|", Other),
            ("|ex", Other),
            ("exec |", Profile),
            ("exec |pr", Profile),
            ("exec |-", Other),
            ("exec -n |", Profile),
            ("exec -d 1h |", Profile),
            ("exec --duration |", Other),
            ("exec --duration=1h |", Profile),
            ("--vault v exec -i k |", Profile),
            ("--vault exec |", Other),
            ("exec prod |", Command(2)),
            ("exec prod |-", Other),
            ("exec prod -n |", Command(3)),
            ("exec prod -- |", Command(3)),
            ("exec prod -- |-l", Command(3)),
            ("exec prod -- ls |", Command(3)),
            ("exec prod ls |-l", Command(2)),
            ("exec prod ls -l x |", Command(2)),
            ("exec -- |", Command(2)),
            ("exec -- ls |", Command(2)),
            ("exec exec |", Command(2)),
            ("remove |", Profile),
            ("rm |", Profile),
            ("remove prod |", Other),
            ("remove -- |", Other),
            ("list |", Other),
            ("totp code |", Profile),
            ("totp |", Other),
            ("totp nothing |", Other),
            ("mfa enroll |", Profile),
            ("mfa enroll --device |", Other),
            ("serve --profile |", Profile),
            ("serve |", Other),
            ("recipient remove |", Other),
            ("nothing |", Other),
        ] {
            let (before, current) = line.split_once('|').expect("a bar");
            let words = before.split_whitespace().chain([current]).map(OsString::from);
            assert_eq!(expected(&words.collect::<Vec<_>>()), wanted, "{line}");
        }
        assert_eq!(expected(&[]), Other);
    }

    #[test]
    fn the_scripts_are_what_clap_complete_writes_and_our_own() {
        let zsh = script(Shell::Zsh, ProgramName::default());
        assert!(zsh.starts_with("#compdef vault aws-vault\n"));
        for function in ["_vault()", "_vault_by_itself()", "_vault_commands()"] {
            assert_eq!(zsh.matches(&format!("\n{function} {{")).count(), 1, "{function}");
        }
        assert!(!zsh.contains("_hosts"));
        let fish = script(Shell::Fish, ProgramName::default());
        // Those of `serve` and of `fleet join`.
        assert_eq!(fish.matches("-l profile -d").count(), 2);
        assert!(fish.contains("(__vault_profiles)\""), "{fish}");
        assert!(!fish.contains("_using_subcommand exec\""), "{fish}");
        assert!(script(Shell::Bash, ProgramName::default()).starts_with("_vault() {\n"));
    }

    #[test]
    fn what_is_hidden_is_not_offered() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish, Shell::Elvish, Shell::PowerShell] {
            let script = script(shell, ProgramName::default());
            for hidden in ["keychain", "ec2-server", "pass-dir", "lazy"] {
                assert!(!script.contains(hidden), "{shell}: {hidden}");
            }
            assert!(script.contains("min-generation"), "{shell}");
        }
    }
}
