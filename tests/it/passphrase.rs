//! `vault passphrase`: one is set, another takes its place, or none opens the vault any longer.

mod cost;
mod crowd;

use std::time::Duration;

use crate::recipient::{new_fingerprint, opens, pin_of, vault};
use crate::support::builder::Test;
use crate::support::{ACCESS_KEY_ID, PASSPHRASE};
use crate::vault_file::payload_of;

const SOON: Duration = Duration::from_secs(30);
const SET: &str = "The passphrase opens the vault now\n";

/// [`vault`] with [`PASSPHRASE`], which is in the file `old`; another one is in `new`.
fn with_passphrase() -> Test {
    let test = vault().file("old", PASSPHRASE, 0o600).file("new", "a new passphrase\n", 0o600);
    test.command(["passphrase", "set", "--new-passphrase-file", "old"]).run();
    test
}

/// What is said of a passphrase that opens the vault no longer.
fn said(test: &Test, what: &str) -> String {
    format!(
        "{what}\nReplace these at AWS, since old copies of the vault contain them (keys: vault \
         rotate --all):\n  demo: access key {ACCESS_KEY_ID}\n{}",
        new_fingerprint(test)
    )
}

const REPLACED: &str = "The passphrase is replaced. Old copies of the vault still open with the \
    old passphrase.";

#[test]
fn a_passphrase_opens_the_vault_beside_the_keys() {
    let test = vault().file("old", PASSPHRASE, 0o600).file("new", "a new passphrase\n", 0o600);
    let pin = pin_of(&test);
    let set = test.command(["passphrase", "set", "--new-passphrase-file", "old"]);
    set.expect_stdout("").expect_stderr(SET).run();
    assert!(opens(&test, &["--passphrase-file", "old"]) && opens(&test, &[]));
    assert!(!opens(&test, &["--passphrase-file", "new"]));
    // Nobody is shut out, so nothing of the vault's own changes.
    assert_eq!(pin_of(&test), pin);
    // With the passphrase alone the vault is written for all.
    test.command(["--passphrase-file", "old", "remove", "-f", "demo"]).run();
    assert!(opens(&test, &["--passphrase-file", "old"]) && opens(&test, &[]));
}

#[test]
fn another_one_takes_its_place() {
    let test = with_passphrase();
    let before = payload_of(test.vault_file());
    let set = ["passphrase", "set", "--new-passphrase-file", "new", "--passphrase-file", "old"];
    let run = test.command(set).env_remove("AWS_VAULT_AGE_KEY").run();
    let now = payload_of(test.vault_file());
    assert_ne!(now.pin(), before.pin());
    assert_ne!(now.cache_seed().1, before.cache_seed().1);
    assert_eq!(now.passphrases().len(), 1);
    assert_ne!(now.passphrases(), before.passphrases());
    assert_eq!((run.stdout, run.stderr), (format!("{}\n", now.pin()), said(&test, REPLACED)));
    assert!(!opens(&test, &["--passphrase-file", "old"]));
    assert!(opens(&test, &["--passphrase-file", "new"]) && opens(&test, &[]));
}

#[test]
fn the_same_one_again_gets_a_new_slot() {
    let test = with_passphrase();
    let before = payload_of(test.vault_file()).passphrases();
    test.command(["passphrase", "set", "--new-passphrase-file", "old"]).run();
    let now = payload_of(test.vault_file()).passphrases();
    assert_ne!((&now[0].public, &now[0].stanza), (&before[0].public, &before[0].stanza));
    assert!(opens(&test, &["--passphrase-file", "old"]));
}

#[test]
fn a_person_types_it_twice_and_unseen() {
    let test = vault();
    for (again, status) in [("a typed one", 0), ("another", 2)] {
        let before = test.read(test.vault_file());
        let mut pty = test.command(["passphrase", "set"]).pty();
        pty.expect("Enter new passphrase for the vault: ", SOON);
        pty.send("a typed one");
        pty.expect("Enter it again: ", SOON);
        pty.send(again);
        let (ended, screen) = pty.end(SOON);
        assert_eq!(ended, status, "{screen}");
        assert!(!screen.contains("typed") && !screen.contains("another\n"), "{screen}");
        assert_eq!(test.read(test.vault_file()) == before, status != 0);
    }
    let test = test.file("typed", "a typed one", 0o600);
    assert!(opens(&test, &["--passphrase-file", "typed"]));
}

#[test]
fn a_new_one_comes_from_a_file_of_its_own_or_from_stdin() {
    let test = with_passphrase();
    let set = |words: &[&str]| test.command(["passphrase", "set"]).args(words);
    set(&["--new-passphrase-file", "-"]).stdin("from stdin\n").run();
    let test = test.clone().file("piped", "from stdin", 0o600);
    assert!(opens(&test, &["--passphrase-file", "piped"]));
    let before = test.read(test.vault_file());

    set(&[])
        .expect_error(
            2,
            "vault: error: a new passphrase is needed, and there is no terminal to ask on\n\
             vault: hint: give it with --new-passphrase-file FILE; - is stdin\n",
        )
        .run();
    let both =
        "vault: error: the new passphrase and what opens the vault are both wanted from stdin\n";
    for flag in ["-i", "--passphrase-file"] {
        set(&["--new-passphrase-file", "-", flag, "-"]).expect_error(2, both).run();
    }
    let missing = "vault: error: the passphrase file nowhere (--new-passphrase-file) does not exist\n\
         vault: hint: correct the path, or leave --new-passphrase-file out\n";
    set(&["--new-passphrase-file", "nowhere"]).expect_error(2, missing).run();
    let empty = "vault: error: the passphrase in stdin is empty\n";
    set(&["--new-passphrase-file", "-"]).stdin("\n").expect_error(2, empty).run();
    let test = test.file("open", "seen by all", 0o644);
    let open = "vault: error: the passphrase file open is not private: everybody can read it (mode \
                0644)\n\
                vault: hint: chmod 600 open, or give it with --new-passphrase-file - <open\n";
    test.command(["passphrase", "set", "--new-passphrase-file", "open"])
        .expect_error(6, open)
        .run();
    assert_eq!(test.read(test.vault_file()), before);
}

#[test]
fn a_stronger_one_says_what_it_costs() {
    let test = vault().file("new", "a new passphrase", 0o600);
    let set = ["passphrase", "set", "--new-passphrase-file", "new", "--passphrase-memory", "128"];
    let warning = "vault: warning: each unlocking by passphrase takes 128 MiB: a container with less \
                   memory is killed while it tries\n";
    test.command(set).expect_stderr(format!("{warning}{SET}")).run();
    let list = test.command(["recipient", "list"]).run().stdout;
    assert!(list.ends_with("passphrase (argon2id, 128 MiB, 3 passes, 4 lanes)\n"), "{list}");
}

#[test]
fn none_opens_the_vault_after_it_was_removed() {
    let test = with_passphrase();
    test.command(["passphrase", "remove"])
        .expect_error(
            2,
            "vault: error: removing needs a confirmation, and there is no terminal to ask on\n\
             vault: hint: confirm it by -f\n",
        )
        .run();
    let mut pty = test.command(["passphrase", "remove", "--passphrase-file", "old"]).pty();
    pty.expect("Remove the passphrase, which opened the vault just now? (y|N) ", SOON);
    pty.send("n");
    assert_eq!(pty.end(SOON).0, 1);
    let run = test.command(["passphrase", "remove", "-f"]).run();
    assert_eq!(run.stdout, format!("{}\n", pin_of(&test)));
    let what = "Removed the passphrase. Old copies of the vault stay readable with it.";
    assert_eq!(run.stderr, said(&test, what));
    assert!(!opens(&test, &["--passphrase-file", "old"]));
    let none = "vault: error: the vault has no passphrase\n";
    test.command(["passphrase", "rm", "-f"]).expect_error(3, none).run();
}
