//! `vault remove`: only after a yes.

use std::time::Duration;

use crate::support::builder::Test;

const SOON: Duration = Duration::from_secs(30);
const QUESTION: &str = "Delete credentials for profile \"prod\"? (y|N) ";

fn names(test: &Test) -> String {
    test.command(["list", "--credentials"]).run().stdout
}

#[test]
fn a_person_is_asked_and_only_yes_means_yes() {
    for (answer, status, said, left) in [
        ("y", 0, "Deleted credentials.\n", "other\n"),
        ("YES", 0, "Deleted credentials.\n", "other\n"),
        ("", 1, "vault: error: nothing was removed\n", "other\nprod\n"),
        ("n", 1, "vault: error: nothing was removed\n", "other\nprod\n"),
        ("yolo", 1, "vault: error: nothing was removed\n", "other\nprod\n"),
    ] {
        let test = Test::new().vault_with("prod").vault_with("other");
        let mut pty = test.command(["remove", "prod"]).pty();
        pty.expect(QUESTION, SOON);
        pty.send(answer);
        assert_eq!(pty.end(SOON), (status, format!("{QUESTION}{answer}\n{said}")));
        assert_eq!(names(&test), left, "{answer}");
    }
}

#[test]
fn without_a_terminal_it_wants_the_flag() {
    let test = Test::new().vault_with("prod");
    let error = "vault: error: removing needs a confirmation, and there is no terminal to ask on\n\
                 vault: hint: confirm it by -f\n";
    for words in [&["remove", "prod"][..], &["rm", "prod"], &["rm", "prod", "--no-input"]] {
        test.command(words).stdin("y\n").expect_error(2, error).run();
    }
    assert_eq!(names(&test), "prod\n");
    for words in [&["remove", "--force", "prod"][..], &["rm", "-f", "prod"], &["rm", "prod", "-f"]]
    {
        let test = Test::new().vault_with("prod").config("[profile prod]\n");
        test.command(words).expect_stdout("Deleted credentials.\n").expect_stderr("").run();
        assert_eq!(names(&test), "");
        assert_eq!(test.read(".aws/config"), b"[profile prod]\n");
    }
}

#[test]
fn what_is_not_there_cannot_be_removed() {
    let test = Test::new().vault_with("other");
    let before = std::fs::read(test.vault_file()).expect("the vault");
    let error = "vault: error: no key for profile \"prod\" in the vault\nvault: hint: vault list\n";
    // With and without the flag, and a terminal.
    test.command(["rm", "-f", "prod"]).expect_error(3, error).run();
    test.command(["rm", "prod"]).expect_error(3, error).run();
    assert_eq!(test.command(["rm", "prod"]).pty().end(SOON), (3, error.to_owned()));
    assert_eq!(std::fs::read(test.vault_file()).expect("the vault"), before);
}

#[test]
fn aws_vault_s_flag_for_sessions_alone_is_answered_by_the_command_for_them() {
    let test = Test::new().vault_with("prod");
    for flag in ["--sessions-only", "-s"] {
        test.command(["remove", "-f", flag, "prod"])
            .expect_error(
                2,
                "vault: error: --sessions-only: remove removes keys from the vault, clear removes \
                 sessions\n\
                 vault: hint: vault clear prod\n",
            )
            .run();
    }
    assert_eq!(names(&test), "prod\n");
}
