//! Questions on a terminal: only there, only in its foreground, without echo, and the terminal is left
//! as it was.

use std::time::Duration;

use crate::support::builder::Test;
use crate::support::{PASSPHRASE, SECRET_ACCESS_KEY};

/// An unlock by passphrase takes its time on a busy machine.
const SOON: Duration = Duration::from_secs(40);
const QUESTION: &str = "Enter passphrase for [HOME]/.local/share/vault/vault.age: ";

/// A vault by passphrase, and nothing that opens it.
fn locked() -> Test {
    Test::new().vault_with_passphrase("demo").env_remove("AWS_VAULT_PASSPHRASE")
}

fn question(test: &Test) -> String {
    QUESTION.replace("[HOME]", &test.home().display().to_string())
}

/// The screen with the home as a placeholder.
fn shown(test: &Test, screen: &str) -> String {
    screen.replace(&test.home().display().to_string(), "[HOME]")
}

#[test]
fn hidden_input_is_not_echoed() {
    let test = locked();
    let run = test.command(["exec", "-n", "demo", "--", "echo", "started"]);
    let mut pty = run.pty();
    pty.expect(&question(&test), SOON);
    assert!(!pty.echoes());
    pty.send(PASSPHRASE);
    pty.expect("started", SOON);
    let (status, screen) = pty.end(SOON);
    assert_eq!((status, shown(&test, &screen)), (0, format!("{QUESTION}\nstarted\n")));
}

#[test]
fn a_wrong_passphrase_is_asked_for_again_twice() {
    let test = locked();
    let mut pty = test.command(["list", "--credentials"]).pty();
    pty.expect(&question(&test), SOON);
    pty.send("wrong");
    pty.expect(&question(&test), SOON);
    pty.send(PASSPHRASE);
    let (status, screen) = pty.end(SOON);
    let again = "Wrong passphrase, try again. ";
    assert_eq!(
        (status, shown(&test, &screen)),
        (0, format!("{QUESTION}\n{again}{QUESTION}\ndemo\n"))
    );

    let mut pty = test.command(["list"]).pty();
    for _ in 0..3 {
        pty.expect(&question(&test), SOON);
        pty.send("wrong");
    }
    let (status, screen) = pty.end(SOON);
    let refusal = "vault: error: the passphrase does not open this vault\n";
    assert_eq!(
        (status, shown(&test, &screen)),
        (4, format!("{QUESTION}\n{again}{QUESTION}\n{again}{QUESTION}\n{refusal}"))
    );
}

#[test]
fn under_json_the_question_is_on_the_terminal_and_the_answer_on_stdout() {
    let test = locked();
    let json = test
        .command(["exec", "--json", "-n", "demo"])
        .expect_stdout(format!(
            "{{\"AccessKeyId\":\"AKIAIOSFODNN7EXAMPLE\",\
             \"SecretAccessKey\":\"{SECRET_ACCESS_KEY}\",\"Version\":1}}\n"
        ))
        .expect_stderr("");
    let (mut pty, pipes) = json.pty_with_pipes();
    pty.expect(&question(&test), SOON);
    pty.send("wrong");
    pty.expect("Wrong passphrase, try again. ", SOON);
    pty.send(PASSPHRASE);
    json.finish(pty, pipes);
}

#[test]
fn a_signal_restores_echo() {
    let test = locked();
    for (key, signal) in
        [("\x03", libc::SIGINT), ("\x1c", libc::SIGQUIT), ("", libc::SIGTERM), ("", libc::SIGHUP)]
    {
        let run = test.command(["exec", "--json", "-n", "demo"]);
        let run = run.expect_status(128 + signal).expect_stdout("").expect_stderr("");
        let (mut pty, pipes) = run.pty_with_pipes();
        pty.expect(&question(&test), SOON);
        assert!(!pty.echoes());
        pty.press("half a pass");
        match key {
            "" => pty.signal(signal),
            key => pty.press(key),
        }
        let child = pty.take_child();
        let deadline = std::time::Instant::now() + SOON;
        use std::os::unix::process::ExitStatusExt;
        let status = crate::support::child::wait(child, deadline);
        assert_eq!(status.signal(), Some(signal));
        assert!(pty.echoes(), "after signal {signal}");
        assert_eq!(pipes.stdout.recv_timeout(SOON).unwrap(), b"");
        assert!(!pty.screen().contains("half"), "{}", pty.screen());
    }
}

#[test]
fn no_answer_is_a_usage_error() {
    let test = locked();
    let mut pty = test.command(["list"]).pty();
    pty.expect(&question(&test), SOON);
    pty.press("\x04");
    let (status, screen) = pty.end(SOON);
    assert_eq!(
        (status, shown(&test, &screen)),
        (2, format!("{QUESTION}\nvault: error: nothing was entered\n"))
    );
}

/// What is said where nobody can be asked.
const NO_KEY: &str = "vault: error: no key to open the vault with\n\
    vault: hint: give a key by -i FILE, AWS_VAULT_AGE_KEY or AWS_VAULT_AGE_KEY_FILE, a passphrase by \
    --passphrase-file FILE, AWS_VAULT_PASSPHRASE or AWS_VAULT_PASSPHRASE_FILE, put the key into \
    ~/.config/vault/identity.txt, run vault unlock first, or run this on a terminal\n";

#[test]
fn without_a_terminal_a_question_is_an_error() {
    let test = locked().stdin(PASSPHRASE);
    test.command(["list"]).stdin(format!("{PASSPHRASE}\n")).expect_error(4, NO_KEY).run();
}

#[test]
fn no_input_forbids_a_prompt_on_a_terminal() {
    let (status, screen) = locked().command(["--no-input", "list"]).pty().end(SOON);
    assert_eq!((status, screen.as_str()), (4, NO_KEY));
}

#[test]
fn a_background_job_has_no_prompt() {
    let test = locked().on_path("vault");
    let script = "set -m; vault list & wait $!; echo status $?";
    let pty = test.clone().program("sh").command(["-c", script]).pty();
    let (status, screen) = pty.end(SOON);
    assert_eq!((status, screen), (0, format!("{NO_KEY}status 4\n")));
}

#[test]
fn a_named_source_that_does_not_open_it_is_not_made_up_for_by_a_question() {
    let test = locked().env("AWS_VAULT_PASSPHRASE", "wrong");
    let (status, screen) = test.command(["list"]).pty().end(SOON);
    assert_eq!(
        (status, screen.as_str()),
        (
            4,
            "vault: error: the passphrase does not open this vault\n\
             vault: hint: tried AWS_VAULT_PASSPHRASE\n"
        )
    );
}

#[test]
fn what_is_typed_ahead_is_the_commands() {
    let test = locked();
    let script = "read -r line; echo \"the command read $line\"";
    let mut pty = test.command(["exec", "-n", "demo", "--", "sh", "-c", script]).pty();
    pty.expect(&question(&test), SOON);
    pty.press(&format!("{PASSPHRASE}\nfor the command\n"));
    pty.expect("the command read for the command", SOON);
    assert_eq!(pty.end(SOON).0, 0);
}

#[test]
fn a_new_passphrase_is_asked_for_twice() {
    for (second, status, end) in [
        (PASSPHRASE, 0, "Made the vault "),
        ("another", 2, "vault: error: the two passphrases differ\n"),
    ] {
        let test = Test::new();
        let mut pty = test.command(["init", "--passphrase"]).pty();
        pty.expect("Enter new passphrase for the vault: ", SOON);
        pty.send(PASSPHRASE);
        pty.expect("Enter it again: ", SOON);
        pty.send(second);
        let (ended, screen) = pty.end(SOON);
        let start = "Enter new passphrase for the vault: \nEnter it again: \n";
        assert_eq!(ended, status);
        assert!(screen.starts_with(&format!("{start}{end}")), "{screen}");
        assert_eq!(test.vault_file().exists(), status == 0);
    }
}
