//! Several names of one file: a new fingerprint that is given by one of them, and the others.

use std::path::{Path, PathBuf};

use super::links::{dir, entries, link, list, opens, refusal, remembered};
use super::{OTHER, SOON, VAULT, follow, forge, pin_of, while_it_asks};
use crate::support::PASSPHRASE;
use crate::support::builder::Test;

#[test]
fn new_keys_by_one_name_lock_out_no_other() {
    let test = Test::new().vault_with("demo");
    let names: Vec<PathBuf> =
        ["one.age", "two.age", "three.age"].iter().map(|name| test.home().join(name)).collect();
    for name in &names {
        link(test.vault_file(), name);
        opens(&test, name);
    }
    test.command(["recipient", "add", OTHER]).run();
    test.command(["recipient", "remove", "-f", OTHER, "--vault"]).arg(&names[0]).run();
    test.command(["rekey"]).run();
    test.command(["rekey", "--vault"]).arg(&names[1]).run();
    // A writer too, before it was read by that name.
    test.command(["rekey", "--vault"]).arg(&names[2]).run();
    for name in names.iter().chain([&test.vault_file()]) {
        opens(&test, name);
        opens(&test, name);
    }
    let pin = format!("\"{}\"", pin_of(&test));
    for name in names.iter().chain([&test.vault_file()]) {
        assert_eq!(remembered(&test, name, "pin").as_deref(), Some(pin.as_str()), "{name:?}");
    }
}

#[test]
fn a_name_that_was_not_used_follows_sixteen_new_fingerprints_and_no_more() {
    let test = Test::new().vault_with("demo");
    let first = pin_of(&test);
    let (one, two) = (test.home().join("one.age"), test.home().join("two.age"));
    for name in [&one, &two] {
        link(test.vault_file(), name);
        opens(&test, name);
    }
    for _ in 0..16 {
        test.command(["rekey"]).run();
    }
    opens(&test, &one);
    test.command(["rekey"]).run();
    opens(&test, &one);
    let real = PathBuf::from(VAULT);
    let error = refusal("[HOME]/two.age", &pin_of(&test), &first, Some(&real));
    list(&test, &two).expect_error(6, &error).run();
    let former = remembered(&test, &test.vault_file(), "former").unwrap();
    assert_eq!(former.matches("SHA256:").count(), 16);
    assert!(!former.contains(&first));
}

#[test]
fn a_former_fingerprint_opens_nothing() {
    let test = Test::new().vault_with("demo");
    let (old, before) = (dir(&test).join("old.age"), pin_of(&test));
    let (used, unused) = (test.home().join("used.age"), test.home().join("unused.age"));
    std::fs::copy(test.vault_file(), &old).unwrap();
    for alias in [&used, &unused] {
        link(test.vault_file(), alias);
        opens(&test, alias);
    }
    test.command(["rekey"]).run();
    let now = pin_of(&test);
    opens(&test, &used);
    let new = test.read(test.vault_file());
    let refused = |at: &Path, named: &str, real: Option<&Path>| {
        list(&test, at).expect_error(6, &refusal(named, &before, &now, real)).run();
    };
    // Whoever knows the keys of before can make a vault with its fingerprint: by a link, also where the
    // name was not used since, and in the file's own place.
    let real = PathBuf::from("[HOME]/.local/share/vault/old.age");
    for (alias, named) in [(&used, "[HOME]/used.age"), (&unused, "[HOME]/unused.age")] {
        link(&old, alias);
        refused(alias, named, Some(&real));
        link(test.vault_file(), alias);
    }
    std::fs::copy(&old, test.vault_file()).unwrap();
    refused(&test.vault_file(), VAULT, None);
    let real = PathBuf::from(VAULT);
    refused(&used, "[HOME]/used.age", Some(&real));
    refused(&unused, "[HOME]/unused.age", Some(&real));
    std::fs::write(test.vault_file(), new).unwrap();
    for at in [used, unused, test.vault_file()] {
        opens(&test, at);
    }
}

#[test]
fn a_pin_is_accepted_by_both_paths() {
    let test = Test::new().vault_with("demo");
    let (alias, other) = (test.home().join("alias.age"), test.home().join("other.age"));
    for name in [&alias, &other] {
        link(test.vault_file(), name);
        opens(&test, name);
    }
    for flag in ["--accept", "--pin"] {
        let (known, pin) = (pin_of(&test), forge(&test));
        list(&test, &alias).expect_status(6).run();
        test.command(["pin", flag, &pin, "--vault"]).arg(&alias).expect_stderr("").run();
        opens(&test, &alias);
        opens(&test, test.vault_file());
        // The acceptance does not hold for another name.
        let real = PathBuf::from(VAULT);
        let error = refusal("[HOME]/other.age", &pin, &known, Some(&real));
        list(&test, &other).expect_error(6, &error).run();
        follow(&test, &error);
        opens(&test, &other);
    }
}

#[test]
fn a_writer_goes_on_under_a_name_while_another_one_gives_a_new_fingerprint() {
    let test = Test::new().vault_with("demo");
    let alias = test.home().join("alias.age");
    link(test.vault_file(), &alias);
    test.command(["recipient", "add", OTHER]).run();
    let named = test.clone().env("AWS_VAULT_FILE", &alias);
    let (status, screen) = while_it_asks(&named, || {
        test.command(["rekey"]).run();
    });
    assert_eq!(status, 0, "{screen}");
    opens(&test, &alias);
    opens(&test, test.vault_file());
    // The other way round.
    test.command(["recipient", "add", OTHER]).run();
    let (status, screen) = while_it_asks(&test, || {
        named.command(["rekey"]).run();
    });
    assert_eq!(status, 0, "{screen}");
    opens(&test, &alias);
    opens(&test, test.vault_file());
}

#[test]
fn a_late_reader_under_a_name_puts_no_old_fingerprint_in_the_place_of_a_new_one() {
    let test = Test::new().vault_with("demo").file("new", PASSPHRASE, 0o600);
    test.command(["passphrase", "set", "--new-passphrase-file", "new"]).run();
    let alias = test.home().join("alias.age");
    link(test.vault_file(), &alias);
    for known in [false, true] {
        let reader = test.clone().env_remove("AWS_VAULT_AGE_KEY");
        let mut pty = list(&reader, &alias).pty();
        pty.expect("Enter passphrase for", SOON);
        // It has read the file. Now the keys are drawn anew.
        test.command(["rekey"]).run();
        pty.send(PASSPHRASE);
        let (status, screen) = pty.end(SOON);
        assert_eq!(status, 0, "{known}: {screen}");
        opens(&test, &alias);
        opens(&test, test.vault_file());
    }
}

#[test]
fn a_writer_that_died_after_its_rename_locks_out_no_name() {
    for by_name in [true, false] {
        let test = Test::new().vault_with("demo");
        let alias = test.home().join("alias.age");
        link(test.vault_file(), &alias);
        opens(&test, &alias);
        let before = entries(&test);
        assert_eq!(before.len(), 2);
        let by = if by_name { alias.clone() } else { test.vault_file() };
        test.command(["rekey", "--vault"]).arg(by).run();
        for (path, text) in before {
            // As it leaves them: both are told what is to come, or the real path's alone.
            let announced = by_name || !text.contains("led_to");
            let next = format!("next = \"{}\"\n", pin_of(&test));
            std::fs::write(path, if announced { text + &next } else { text }).unwrap();
        }
        opens(&test, &alias);
        opens(&test, test.vault_file());
        opens(&test, &alias);
    }
}

#[test]
fn a_name_whose_memory_cannot_be_written_gets_no_new_fingerprint() {
    let test = Test::new().vault_with("demo");
    let alias = test.home().join("alias.age");
    link(test.vault_file(), &alias);
    opens(&test, &alias);
    let entries = entries(&test);
    let (name, _) = entries.iter().find(|(_, text)| text.contains("led_to")).unwrap();
    let lock = name.with_extension("toml.lock");
    std::fs::remove_file(&lock).unwrap();
    std::fs::create_dir(&lock).unwrap();
    let before = test.read(test.vault_file());
    let error = "vault: error: the vault was not saved: its new fingerprint cannot be remembered: \
                 is a directory\n\
                 vault: hint: name a directory by XDG_STATE_HOME, or pin the vault with --pin\n";
    test.command(["rekey", "--vault"]).arg(&alias).expect_error(7, error).run();
    assert_eq!(test.read(test.vault_file()), before);
    opens(&test, &alias);
    // By the real path it gets one, and the name follows without having it written down.
    test.command(["rekey"]).run();
    opens(&test, &alias);
    opens(&test, &alias);
    // Under a pin nothing needs to be remembered.
    let pin = pin_of(&test);
    test.command(["rekey", "--pin", &pin, "--vault"]).arg(&alias).run();
    let accept = test.command(["pin", "--accept", &pin_of(&test), "--vault"]).arg(&alias);
    let error = "vault: error: the fingerprint cannot be remembered: is a directory\n\
                 vault: hint: name a directory by XDG_STATE_HOME, or give --pin or AWS_VAULT_PIN \
                 each time\n";
    accept.expect_error(7, error).run();
}
