//! By another name: the command lines that people are told to run name the program as it was started.

use clap::CommandFactory;
use vault::cli::Cli;

use crate::support::builder::Test;

/// The program by the name that packages give it, without a vault.
fn packaged() -> Test {
    let test = Test::new().binary("aws-age-vault");
    let program = test.home().join("aws-age-vault");
    test.program(program)
}

#[test]
fn hints_name_the_program_of_a_package() {
    let none = |called: &str| {
        format!(
            "vault: error: no vault at [HOME]/.local/share/vault/vault.age\n\
             vault: hint: make one: {called} init --generate-identity [HOME]/.config/vault/identity.txt; or \
             name it with --vault or AWS_VAULT_FILE\n"
        )
    };
    let test = packaged();
    test.command(["list"]).expect_error(3, &none("aws-age-vault")).run();
    test.command(["list", "--nosuch"])
        .expect_error(
            2,
            "vault: error: unknown flag \"--nosuch\"\nvault: hint: see aws-age-vault list --help\n",
        )
        .run();
    let found = test.command(["doctor"]).any_status().run().stdout;
    assert!(found.contains("; make one: aws-age-vault init "), "{found}");
    // Links to it have names of their own, and their command lines theirs.
    for link in ["vault", "aws-vault"] {
        let path = test.home().join(link);
        std::os::unix::fs::symlink("aws-age-vault", &path).expect("a link");
        test.clone().program(path).command(["list"]).expect_error(3, &none("vault")).run();
    }
}

#[test]
fn every_help_names_the_program_of_a_package() {
    let test = packaged();
    let mut levels = vec![(Vec::new(), Cli::command())];
    while let Some((path, level)) = levels.pop() {
        let words = path.iter().map(String::as_str).chain(["--help"]);
        let help = test.command(words).expect_stderr("").run().stdout;
        let usage = format!("Usage: aws-age-vault {}", path.join(" "));
        assert!(help.contains(usage.trim_end()), "{help}");
        for sub in level.get_subcommands().filter(|sub| !sub.is_hide_set()) {
            let name = sub.get_name();
            for before in [" ", "(", "`"] {
                assert!(!help.contains(&format!("{before}vault {name} ")), "{help}");
            }
            levels.push((path.iter().cloned().chain([name.to_owned()]).collect(), sub.clone()));
        }
    }
    let nothing: [&str; 0] = [];
    let usage = test.command(nothing).expect_status(2).expect_stdout("").run().stderr;
    assert!(usage.contains("Usage: aws-age-vault [OPTIONS] <COMMAND>"), "{usage}");
}
