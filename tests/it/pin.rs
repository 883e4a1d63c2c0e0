//! The vault's fingerprint: what a machine remembers, what a pin demands, and the way out of a
//! refusal.

use std::os::unix::fs::symlink;
use std::path::PathBuf;

use vault::clock::Timestamp;
use vault::credential::Credentials;
use vault::secret::Secret;
use vault::vault::{Payload, RecipientEntry};

use crate::support::builder::Test;
use crate::support::{ACCESS_KEY_ID, AGE_RECIPIENT, SECRET_ACCESS_KEY};
use crate::vault_file::{payload_of, seal};
use crate::write::unprivileged;

const VAULT: &str = "[HOME]/.local/share/vault/vault.age";

/// Puts another vault in the place of the test's, made as somebody makes it who has the public key
/// only. Its fingerprint.
fn forge(test: &Test) -> String {
    let entry = RecipientEntry { recipient: AGE_RECIPIENT.to_owned(), name: None };
    let mut payload = Payload::new(&[entry], &[]).unwrap();
    let key =
        Credentials::long_term(ACCESS_KEY_ID.to_owned(), Secret::new(SECRET_ACCESS_KEY.to_owned()));
    payload.set_credential("demo", &key, Timestamp::parse("2026-01-31T12:00:00Z").unwrap());
    payload.next_generation();
    let text = String::from_utf8(payload.to_plaintext().to_vec()).unwrap();
    std::fs::write(test.vault_file(), seal(&text, false)).unwrap();
    payload.pin().to_string()
}

fn pin_of(test: &Test) -> String {
    payload_of(test.vault_file()).pin().to_string()
}

/// The file that remembers the vault.
fn memory(test: &Test) -> PathBuf {
    let mut files = std::fs::read_dir(test.home().join(".local/state/vault/pins")).expect("pins");
    files.next().expect("a memory").unwrap().path()
}

/// Runs what a hint prints after its last colon, in a shell that finds `vault`.
#[track_caller]
fn follow(test: &Test, hint: &str) {
    let (_, command) = hint.trim_end().rsplit_once(": vault ").expect("a command");
    let command = format!("vault {command}").replace("[HOME]", &test.home().display().to_string());
    test.clone().on_path("vault").program("sh").command(["-c", &command]).run();
}

#[test]
fn the_fingerprint_is_printed_and_stays() {
    let test = Test::new().vault_with("demo");
    let pin = format!("{}\n", pin_of(&test));
    test.command(["pin"]).expect_stdout(&pin).expect_stderr("").run();
    let test = test.stored("second", ACCESS_KEY_ID, SECRET_ACCESS_KEY);
    test.command(["pin"]).expect_stdout(&pin).run();
}

#[test]
fn a_forged_vault_is_refused() {
    let test = Test::new().vault_with("demo");
    let known = pin_of(&test);
    let forged = forge(&test);
    let refusal = format!(
        "vault: error: the vault {VAULT} is not the one that this machine remembers: its \
         fingerprint is {forged}, remembered is {known}\n\
         vault: hint: if the change is meant: vault --vault {VAULT} pin --accept {forged}\n"
    );
    let file = test.read(test.vault_file());
    for words in [
        &["exec", "--json", "-n", "demo"][..],
        &["export", "-n", "demo"],
        &["list"],
        &["pin"],
        &["recipient", "list"],
        &["remove", "-f", "demo"],
    ] {
        test.command(words).expect_error(6, &refusal).run();
    }
    test.command(["exec", "-n", "demo", "true"]).expect_error(125, &refusal).run();
    assert_eq!(test.read(test.vault_file()), file);

    follow(&test, &refusal);
    test.command(["list", "--credentials"]).expect_stdout("demo\n").expect_stderr("").run();
}

#[test]
fn the_printed_command_names_what_the_refused_one_named() {
    let test = Test::new().vault_with("demo").file("my key's file", crate::support::AGE_KEY, 0o600);
    let place = test.home().join("my vaults");
    std::fs::create_dir(&place).unwrap();
    std::fs::rename(test.vault_file(), place.join("it's mine.age")).unwrap();
    let test = test.env_remove("AWS_VAULT_AGE_KEY");
    let flags = ["--vault", "my vaults/it's mine.age", "-i", "my key's file"];
    let list = test.command(flags).args(["list", "--credentials"]);
    list.clone().expect_stdout("demo\n").run();
    symlink("../../../my vaults/it's mine.age", test.vault_file()).unwrap();
    let forged = forge(&test);

    let refused = list.expect_status(6).run();
    assert_eq!(
        refused.stderr.lines().last().unwrap(),
        format!(
            "vault: hint: if the change is meant: vault --vault 'my vaults/it'\\''s mine.age' \
             -i 'my key'\\''s file' pin --accept {forged}"
        )
    );
    follow(&test, &refused.stderr);
    test.command(flags).args(["list", "--credentials"]).expect_stdout("demo\n").run();
}

#[test]
fn an_older_copy_is_warned_of_and_not_written() {
    let test = Test::new().vault_with("demo");
    let old = test.read(test.vault_file());
    let test = test.stored("second", ACCESS_KEY_ID, SECRET_ACCESS_KEY);
    std::fs::write(test.vault_file(), &old).unwrap();

    let warning = format!(
        "vault: warning: the vault {VAULT} is older than this machine has seen it (write 2 of it, \
         seen was 3)\n"
    );
    let pin = pin_of(&test);
    let refusal = format!(
        "{warning}vault: error: {VAULT} is older than this machine has seen it, and a write would \
         make that lasting\n\
         vault: hint: put the newer file back, or take this one: vault --vault {VAULT} pin --accept \
         {pin}\n"
    );
    // A pin says nothing of the age, so it changes nothing here.
    for test in [test.clone(), test.clone().env("AWS_VAULT_PIN", &pin)] {
        let list = test.command(["list", "--credentials"]);
        list.expect_stdout("demo\n").expect_stderr(&warning).run();
        test.command(["remove", "-f", "demo"]).expect_error(6, &refusal).run();
        assert_eq!(test.read(test.vault_file()), old);
    }

    follow(&test, &refusal);
    test.command(["list"]).expect_stderr("").run();
    test.stored("third", ACCESS_KEY_ID, SECRET_ACCESS_KEY);
}

#[test]
fn a_pin_refuses_every_other_vault() {
    let test = Test::new().vault_with("demo");
    let pin = pin_of(&test);
    let other = Test::new().vault_with("demo");
    let other = pin_of(&other);
    let refusal = format!(
        "vault: error: the vault {VAULT} is not the pinned one: its fingerprint is {pin}\n\
         vault: hint: if the change is meant, pin the new fingerprint; if not, this file is forged\n"
    );
    let list = |flags: &[&str], variable: Option<&str>| {
        let run = test.command(["list", "--credentials"]).args(flags);
        match variable {
            Some(value) => run.env("AWS_VAULT_PIN", value),
            None => run,
        }
    };
    let both = format!("{other}, {pin}");
    for (flags, variable) in [
        (&["--pin", &pin][..], None),
        (&["--pin", &other, "--pin", &pin], None),
        (&["--pin", &both], None),
        (&[], Some(pin.as_str())),
        (&[], Some(both.as_str())),
        (&["--pin", &pin], Some(other.as_str())),
    ] {
        list(flags, variable).expect_stdout("demo\n").expect_stderr("").run();
    }
    for (flags, variable) in [
        (&["--pin", &other][..], None),
        (&[], Some(other.as_str())),
        (&["--pin", &other], Some(pin.as_str())),
    ] {
        list(flags, variable).expect_error(6, &refusal).run();
    }
}

#[test]
fn a_pin_that_is_none_is_a_usage_error() {
    let test = Test::new().vault_with("demo");
    let bad = "vault: error: not a vault fingerprint\n\
               vault: hint: a fingerprint is SHA256: and 43 characters, as `vault pin` prints it\n";
    let half = &pin_of(&test)[..30];
    for pin in ["", "SHA256:", half, &format!("{},", pin_of(&test)), "AA:BB"] {
        test.command(["list", "--pin", pin]).expect_error(2, bad).run();
    }
    test.command(["list"]).env("AWS_VAULT_PIN", half).expect_error(2, bad).run();
    test.command(["pin", "--accept", half]).expect_error(2, bad).run();
    test.command(["list"])
        .env("AWS_VAULT_PIN", "")
        .expect_error(
            2,
            "vault: error: AWS_VAULT_PIN is set but empty\n\
             vault: hint: give it the fingerprint that vault pin prints, or unset it\n",
        )
        .run();
}

#[test]
fn an_explicit_pin_replaces_what_is_remembered() {
    let test = Test::new().vault_with("demo");
    let forged = forge(&test);
    test.command(["list"]).expect_status(6).run();
    test.command(["list", "--pin", &forged]).expect_stderr("").run();
    test.command(["list"]).expect_stderr("").run();
}

#[test]
fn only_the_vaults_own_fingerprint_can_be_accepted() {
    let test = Test::new().vault_with("demo");
    let known = pin_of(&test);
    let forged = forge(&test);
    test.command(["pin", "--accept", &known])
        .expect_error(
            6,
            &format!(
                "vault: error: the vault {VAULT} is not the pinned one: its fingerprint is {forged}\n\
                 vault: hint: if the change is meant, pin the new fingerprint; if not, this file is forged\n"
            ),
        )
        .run();
    test.command(["pin", "--accept", &forged]).expect_stdout(format!("{forged}\n")).run();
    test.command(["list"]).expect_stderr("").run();
}

#[test]
fn a_vault_is_remembered_by_its_real_path_at_first_use() {
    let test = Test::new().vault_with("demo");
    std::fs::remove_dir_all(test.home().join(".local/state")).unwrap();
    symlink(test.vault_file(), test.home().join("link.age")).unwrap();
    test.command(["list", "--vault", "link.age"]).expect_stderr("").run();
    let text = String::from_utf8(test.read(memory(&test))).unwrap();
    let expected = format!(
        "generation = 2\npin = \"{}\"\nvault = \"{}\"\n",
        pin_of(&test),
        test.vault_file().display()
    );
    assert_eq!(text, expected);
    forge(&test);
    test.command(["list"]).expect_status(6).run();
    // The same file in another place is another vault.
    std::fs::copy(test.vault_file(), test.home().join("other.age")).unwrap();
    test.command(["list", "--vault", "other.age"]).expect_stderr("").run();
}

#[test]
fn without_a_place_to_remember_it_goes_on() {
    let test = Test::new().vault_with("demo");
    let state = test.home().join(".local/state");
    std::fs::remove_dir_all(&state).unwrap();
    std::fs::write(&state, "").unwrap();
    test.command(["list", "--credentials"]).expect_stdout("demo\n").expect_stderr("").run();
    // The same for one that may not be looked into.
    std::fs::remove_file(&state).unwrap();
    std::fs::create_dir(&state).unwrap();
    std::fs::set_permissions(&state, std::os::unix::fs::PermissionsExt::from_mode(0o000)).unwrap();
    unprivileged(&test, &["list"]).expect_stderr("").run();
    // A place that was named is another matter: it is said, and once only, however often it fails.
    let warning = "vault: warning: the vault's fingerprint cannot be remembered in \
                   /dev/null/vault: not a directory\n";
    for words in [&["list"][..], &["remove", "-f", "demo"]] {
        let run = test.command(words).env("XDG_STATE_HOME", "/dev/null");
        run.expect_stderr(warning).run();
    }
}

#[test]
fn without_a_home_the_vault_must_be_named_and_opens() {
    let test = Test::new().vault_with("demo");
    // HOME that is no path counts as none; then /etc/passwd's home is asked, which is not the test's.
    let json = test
        .command(["exec", "--json", "-n", "demo"])
        .env("HOME", "")
        .env("XDG_STATE_HOME", test.home().join("state"));
    let json = json
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .env("AWS_VAULT_FILE", test.vault_file());
    json.expect_stderr("").run();
    assert!(test.home().join("state/vault/pins").is_dir());
}

#[test]
fn an_accepted_pin_that_cannot_be_remembered_is_an_error() {
    let test = Test::new().vault_with("demo");
    let state = test.home().join(".local/state");
    std::fs::remove_dir_all(&state).unwrap();
    std::fs::write(&state, "").unwrap();
    test.command(["pin", "--accept", &pin_of(&test)])
        .expect_error(
            7,
            "vault: error: the fingerprint cannot be remembered: not a directory\n\
             vault: hint: name a directory by XDG_STATE_HOME, or give --pin or AWS_VAULT_PIN each \
             time\n",
        )
        .run();
}

#[test]
fn a_damaged_memory_is_not_taken_for_none() {
    let test = Test::new().vault_with("demo");
    let memory = memory(&test);
    let shown = memory.display().to_string().replace(&test.home().display().to_string(), "[HOME]");
    let pin = pin_of(&test);
    let refusal = format!(
        "vault: error: the remembered pin in {shown} is damaged\n\
         vault: hint: compare {pin} with what vault pin says on another machine; if it is the same: \
         vault --vault [HOME]/.local/share/vault/vault.age pin --accept {pin}\n"
    );
    for damaged in ["", "pin = 7\ngeneration = 1\n", "\u{0}\u{0}\u{0}", "pin = \"SHA256:\""] {
        std::fs::write(&memory, damaged).unwrap();
        test.command(["list"]).expect_error(6, &refusal).run();
    }
    test.command(["pin", "--accept", &pin]).expect_stderr("").run();
    test.command(["list"]).expect_stderr("").run();
    // With a pin nothing needs to be remembered, and what cannot be read is replaced.
    std::fs::write(&memory, "").unwrap();
    test.command(["list", "--pin", &pin]).expect_stderr("").run();
    test.command(["list"]).expect_stderr("").run();
}
