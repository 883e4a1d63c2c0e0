//! A person is asked for the passphrase: last, on the terminal, and nothing of it shows.

use super::{OTHER_KEY, SOON, WAYS, vault};
use crate::support::PASSPHRASE;
use crate::support::builder::Test;

#[test]
fn hidden_input_is_not_echoed() {
    let mut pty = vault().command(["list", "--credentials"]).pty();
    pty.expect("Enter passphrase for ", SOON);
    assert!(!pty.echoes());
    pty.send(PASSPHRASE);
    pty.expect("demo\n", SOON);
    let (status, screen) = pty.end(SOON);
    assert_eq!(status, 0);
    assert!(!screen.contains(PASSPHRASE), "{screen}");
}

#[test]
fn a_signal_restores_echo() {
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT] {
        let test = vault().command(["list"]).expect_error(128 + signal, "");
        let (mut pty, pipes) = test.pty_with_pipes();
        pty.expect("Enter passphrase for ", SOON);
        assert!(!pty.echoes());
        pty.press("half of it");
        pty.signal(signal);
        test.watch(&mut pty, pipes);
        assert!(pty.echoes(), "{signal}");
        assert!(!pty.screen().contains("half"), "{}", pty.screen());
    }
}

#[test]
fn a_person_is_asked_last_and_three_times() {
    let test = vault();
    let mut pty = test.command(["list", "--credentials"]).pty();
    for _ in 0..2 {
        pty.expect("Enter passphrase for ", SOON);
        pty.send("wrong");
        pty.expect("Wrong passphrase, try again.", SOON);
    }
    pty.expect("Enter passphrase for ", SOON);
    assert!(!pty.echoes());
    pty.send(PASSPHRASE);
    let (status, screen) = pty.end(SOON);
    assert_eq!(status, 0);
    assert!(screen.ends_with("\ndemo\n"), "{screen}");

    let mut pty = test.command(["list"]).pty();
    for _ in 0..3 {
        pty.expect("Enter passphrase for ", SOON);
        pty.send("wrong");
    }
    pty.expect("vault: error: the passphrase does not open this vault\n", SOON);
    assert_eq!(pty.end(SOON).0, 4);
}

#[test]
fn no_prompt_where_a_key_is_named_or_input_is_off() {
    let test = vault();
    let wrong =
        |source| format!("vault: error: no key opens this vault\nvault: hint: tried {source}\n");
    for (flags, screen) in [
        (&["-i", "other"][..], wrong("other")),
        (&["--no-input"], format!("vault: error: no key to open the vault with\n{WAYS}")),
    ] {
        let run = test.command(["list"]).args(flags);
        assert_eq!(run.pty().end(SOON), (4, screen));
    }
    // A default key file that has another key: the passphrase is what is missing.
    let around = vault().file(".config/vault/identity.txt", OTHER_KEY, 0o600);
    let tried = "[HOME]/.config/vault/identity.txt; the vault's passphrase opens it, too";
    around.command(["list"]).expect_error(4, &wrong(tried)).run();
    // A vault without a passphrase has nothing to ask for.
    let test = Test::new().vault_with("demo").env("AWS_VAULT_AGE_KEY", OTHER_KEY);
    assert_eq!(test.command(["list"]).pty().end(SOON), (4, wrong("AWS_VAULT_AGE_KEY")));
}

#[test]
fn the_prompt_is_on_the_terminal_and_nowhere_else() {
    let test = vault().command(["list", "--credentials"]).stdin("not the passphrase\n");
    let test = test.expect_stdout("demo\n").expect_stderr("");
    let (mut pty, pipes) = test.pty_with_pipes();
    pty.expect("Enter passphrase for ", SOON);
    pty.send(PASSPHRASE);
    test.finish(pty, pipes);
}
