//! `--help` and `--version`.

use clap::CommandFactory;
use vault::cli::Cli;

use crate::support::builder::Test;

/// Every command and subcommand that is not hidden: `exec`, `recipient`, `recipient add`, …
fn commands() -> Vec<String> {
    let mut found = Vec::new();
    let mut levels = vec![(String::new(), Cli::command())];
    while let Some((path, level)) = levels.pop() {
        for sub in level.get_subcommands().filter(|sub| !sub.is_hide_set()) {
            let path = format!("{path} {}", sub.get_name()).trim_start().to_owned();
            found.push(path.clone());
            levels.push((path, sub.clone()));
        }
    }
    assert!(found.len() > 25, "{found:?}");
    found
}

/// What stdout says of this line, which succeeds and says nothing else.
#[track_caller]
fn help(line: &str) -> String {
    let test = Test::new().command(line.split_whitespace());
    test.expect_status(0).expect_stderr("").run().stdout
}

#[test]
fn the_help_of_every_command_has_an_example_of_it() {
    for command in commands() {
        for flag in ["-h", "--help"] {
            let text = help(&format!("{command} {flag}"));
            let (usage, examples) = text.split_once("Example").expect("an example");
            assert!(usage.contains(&format!("Usage: vault {command} ")), "{text}");
            assert!(examples.contains(&format!("vault {command}")), "{text}");
        }
    }
    assert!(help("--help").contains("Examples:\n  vault init "));
    assert_eq!(help("--version"), format!("vault {}\n", env!("CARGO_PKG_VERSION")));
    assert_eq!(help("-V"), help("--version"));
}

#[test]
fn without_a_word_the_help_is_printed_and_it_is_a_usage_error() {
    let nothing: [&str; 0] = [];
    let run = Test::new().command(nothing).expect_status(2).expect_stdout("");
    assert_eq!(run.run().stderr, help("--help"));
}

#[test]
fn every_command_is_in_the_help() {
    let text = help("--help");
    for command in commands().iter().filter(|command| !command.contains(' ')) {
        assert!(text.contains(&format!("\n  {command} ")), "{command}: {text}");
    }
}

#[test]
fn every_global_flag_is_in_every_help_with_its_variables() {
    for command in commands().iter().chain(&[String::new()]) {
        let text = help(&format!("{command} --help"));
        for (flag, variables) in [
            ("--vault <FILE>", &["AWS_VAULT_FILE"][..]),
            ("-i, --identity <FILE>", &["AWS_VAULT_AGE_KEY", "AWS_VAULT_AGE_KEY_FILE"]),
            (
                "--passphrase-file <FILE>",
                &["AWS_VAULT_PASSPHRASE_FILE", "AWS_VAULT_PASSPHRASE", "AWS_VAULT_FILE_PASSPHRASE"],
            ),
            ("--pin <FINGERPRINT>", &["AWS_VAULT_PIN"]),
            ("--min-generation <N>", &["AWS_VAULT_MIN_GENERATION"]),
            ("--max-passphrase-memory <MIB>", &["AWS_VAULT_MAX_PASSPHRASE_MEMORY"]),
            ("--no-input", &[]),
            ("--quiet", &[]),
            ("--debug", &[]),
        ] {
            let (_, rest) = text.split_once(flag).unwrap_or_else(|| panic!("{flag}: {text}"));
            let own = rest.split("\n      --").next().unwrap_or(rest);
            for variable in variables {
                assert!(own.contains(variable), "{command} {flag} {variable}: {own}");
            }
        }
    }
}

#[test]
fn help_may_stand_before_the_command() {
    assert_eq!(help("help"), help("--help"));
    assert_eq!(help("help exec"), help("exec --help"));
    assert_eq!(help("help totp add"), help("totp add --help"));
    Test::new().command(["help", "nothing"]).expect_status(2).expect_stdout("").run();
}
