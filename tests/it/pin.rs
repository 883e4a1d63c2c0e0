//! The vault's fingerprint: what a machine remembers, what a pin demands, and the way out of a
//! refusal.

mod links;
mod names;

use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::time::Duration;

use vault::clock::Timestamp;
use vault::credential::Credentials;
use vault::secret::Secret;
use vault::vault::{Payload, RecipientEntry};

use crate::recipient::OTHER;
use crate::support::builder::Test;
use crate::support::{ACCESS_KEY_ID, AGE_RECIPIENT, PASSPHRASE, SECRET_ACCESS_KEY};
use crate::vault_file::{payload_of, seal};
use crate::write::unprivileged;

const SOON: Duration = Duration::from_secs(30);
const VAULT: &str = "[HOME]/.local/share/vault/vault.age";

/// Puts another vault in the place of the test's. Its fingerprint.
fn forge(test: &Test) -> String {
    let (file, pin) = forged();
    std::fs::write(test.vault_file(), file).unwrap();
    pin
}

/// Another vault, made as somebody makes it who has the public key only, and its fingerprint.
fn forged() -> (Vec<u8>, String) {
    let entry = RecipientEntry { recipient: AGE_RECIPIENT.to_owned(), name: None };
    let mut payload = Payload::new(&[entry], &[]).unwrap();
    let key =
        Credentials::long_term(ACCESS_KEY_ID.to_owned(), Secret::new(SECRET_ACCESS_KEY.to_owned()));
    payload.set_credential("demo", &key, Timestamp::parse("2026-01-31T12:00:00Z").unwrap());
    payload.next_generation();
    let text = String::from_utf8(payload.to_plaintext().to_vec()).unwrap();
    (seal(&text, false), payload.pin().to_string())
}

fn pin_of(test: &Test) -> String {
    payload_of(test.vault_file()).pin().to_string()
}

/// The file that remembers the vault.
fn memory(test: &Test) -> PathBuf {
    let files = std::fs::read_dir(test.home().join(".local/state/vault/pins")).expect("pins");
    let mut files = files.map(|file| file.expect("a file").path());
    files.find(|file| file.extension().is_some_and(|it| it == "toml")).expect("a memory")
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

const SSO: &str = "[profile sso]\nsso_start_url = https://example.awsapps.com/start\n\
                   sso_region = us-east-1\nsso_account_id = 123456789012\nsso_role_name = admin\n";

#[test]
fn a_forged_vault_is_refused() {
    let test = Test::new().vault_with("demo").config(SSO);
    let known = pin_of(&test);
    let forged = forge(&test);
    let refusal = format!(
        "vault: error: the vault {VAULT} is not the one that this machine remembers: its \
         fingerprint is {forged}, remembered is {known}\n\
         vault: hint: if the change is meant: vault --vault {VAULT} pin --accept {forged}\n"
    );
    let file = test.read(test.vault_file());
    let key = format!(
        r#"{{"AccessKeyId": "{ACCESS_KEY_ID}", "SecretAccessKey": "{SECRET_ACCESS_KEY}"}}"#
    );
    for (words, status) in every_command(&test) {
        test.command(&words).stdin(&key).expect_error(status, &refusal).run();
    }
    assert_eq!(test.read(test.vault_file()), file);

    follow(&test, &refusal);
    test.command(["list", "--credentials"]).expect_stdout("demo\n").expect_stderr("").run();
}

/// A command line of every command, with the status that it fails with where the vault is refused.
fn every_command(test: &Test) -> Vec<(Vec<&'static str>, i32)> {
    let lines = [
        "add new --stdin --no-add-config",
        "import --from json new",
        "sso login sso",
        "sso logout sso",
        "list",
        "remove -f demo",
        "clear demo",
        "exec --json -n demo",
        "exec -n demo true",
        "exec --server demo true",
        "serve --profile demo --token-file token --listen 127.0.0.1:0",
        "export -n demo",
        "login demo",
        "explain demo",
        "totp add arn:aws:iam::123456789012:mfa/demo --stdin",
        "totp code arn:aws:iam::123456789012:mfa/demo",
        "totp list",
        "totp remove -f arn:aws:iam::123456789012:mfa/demo",
        "mfa enroll demo",
        "rotate demo",
        "recipient add age1w5eau5tv9nzkgth63rj5k577lkt3xhujtwlmah2tdsdv84gqq9lsaap5vu",
        "recipient list",
        "recipient remove -f age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pa",
        "passphrase set --new-passphrase-file -",
        "passphrase remove -f",
        "rekey",
        "fleet join s3://fleet/vault --region eu-central-1",
        "fleet check",
        "fleet status",
        "fleet pull",
        "fleet leave",
        "pin",
        "pin --json",
        "pin --accept-rollback",
    ];
    // Those that open no vault, or say of one that is refused that it is; unlock wants a passphrase, and
    // has its test beside its others.
    let others = ["init", "doctor", "completions", "man", "lock", "unlock"];
    let help = test.command(["--help"]).run().stdout;
    let commands = help.split_once("Commands:\n").expect("commands").1;
    for line in commands.lines().take_while(|line| !line.is_empty()) {
        // A description that goes on stands further to the right.
        let Some(name) = line.strip_prefix("  ").filter(|rest| !rest.starts_with(' ')) else {
            continue;
        };
        let name = name.split(' ').next().expect("a name");
        let known = lines.iter().map(|line| line.split(' ').next().expect("a word")).chain(others);
        assert!(known.clone().any(|known| known == name), "no line here for the command {name}");
    }
    let status = |line: &str| if line.ends_with(" true") { 125 } else { 6 };
    lines.map(|line| (line.split(' ').collect(), status(line))).to_vec()
}

#[test]
fn a_forged_vault_is_refused_by_a_pin_where_nothing_is_remembered() {
    let test = Test::new().vault_with("demo").config(SSO);
    let pin = pin_of(&test);
    let forged = forge(&test);
    std::fs::remove_dir_all(test.home().join(".local/state")).unwrap();
    let file = test.read(test.vault_file());
    let refusal = format!(
        "vault: error: the vault {VAULT} is not the pinned one: its fingerprint is {forged}\n\
         vault: hint: if you expect this change, pin the new fingerprint; if not, the file may be forged\n"
    );
    let test = test.env("AWS_VAULT_PIN", pin);
    let key = format!(
        r#"{{"AccessKeyId": "{ACCESS_KEY_ID}", "SecretAccessKey": "{SECRET_ACCESS_KEY}"}}"#
    );
    for (words, status) in every_command(&test) {
        test.command(&words).stdin(&key).expect_error(status, &refusal).run();
    }
    assert_eq!(test.read(test.vault_file()), file);
    assert!(!test.home().join(".local/state").exists(), "it is not remembered, either");
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
        "vault: warning: the vault {VAULT} is older than this machine has seen it (generation 2, \
         seen: 3)\n"
    );
    let pin = pin_of(&test);
    let refusal = format!(
        "{warning}vault: error: {VAULT} is older than this machine has seen it, and a write would \
         make that lasting\n\
         vault: hint: put the newer file back, or take this one: vault --vault {VAULT} pin \
         --accept-rollback\n"
    );
    // A pin says nothing of the age, so it changes nothing here.
    for test in [test.clone(), test.clone().env("AWS_VAULT_PIN", &pin)] {
        let list = test.command(["list", "--credentials"]);
        list.expect_stdout("demo\n").expect_stderr(&warning).run();
        test.command(["remove", "-f", "demo"]).expect_error(6, &refusal).run();
        assert_eq!(test.read(test.vault_file()), old);
    }
    // To accept the fingerprint is not to accept the age.
    test.command(["pin", "--accept", &pin]).expect_stderr(&warning).run();
    test.command(["remove", "-f", "demo"]).expect_error(6, &refusal).run();

    follow(&test, &refusal);
    test.command(["list"]).expect_stderr("").run();
    test.stored("third", ACCESS_KEY_ID, SECRET_ACCESS_KEY);
}

#[test]
fn a_machine_that_remembers_nothing_can_be_told_the_least_generation() {
    let test = Test::new().vault_with("demo");
    let old = test.read(test.vault_file());
    let test = test.stored("second", ACCESS_KEY_ID, SECRET_ACCESS_KEY);
    let json = test.command(["pin", "--json"]).run().stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json, serde_json::json!({ "pin": pin_of(&test), "generation": 3 }));

    std::fs::remove_dir_all(test.home().join(".local/state")).unwrap();
    let refusal = |least: u64| {
        format!(
            "vault: error: the vault {VAULT} is too old: its generation is 2, the required \
             minimum is {least}\n\
             vault: hint: put the newer file back; to accept the older one, lower \
                 --min-generation or AWS_VAULT_MIN_GENERATION\n"
        )
    };
    let list = |least: &str| test.command(["list", "--min-generation", least]);
    list("3").expect_stderr("").run();
    std::fs::write(test.vault_file(), &old).unwrap();
    std::fs::remove_dir_all(test.home().join(".local/state")).unwrap();
    list("2").expect_stderr("").run();
    list("3").expect_error(6, &refusal(3)).run();
    let told = test.command(["list"]).env("AWS_VAULT_MIN_GENERATION", "3");
    told.expect_error(6, &refusal(3)).run();
    // The flag outranks the variable, in either direction.
    list("2").env("AWS_VAULT_MIN_GENERATION", "3").expect_stderr("").run();
    list("4").env("AWS_VAULT_MIN_GENERATION", "2").expect_error(6, &refusal(4)).run();
    test.command(["pin", "--accept-rollback", "--min-generation", "3"])
        .expect_error(6, &refusal(3))
        .run();
}

#[test]
fn a_least_generation_that_is_no_number_is_a_usage_error() {
    let test = Test::new().vault_with("demo");
    let bad = "vault: error: AWS_VAULT_MIN_GENERATION is not a number\n\
               vault: hint: give it the generation that vault pin --json prints, or unset it\n";
    for text in ["", "-1", "three", "1.5"] {
        test.command(["list"]).env("AWS_VAULT_MIN_GENERATION", text).expect_error(2, bad).run();
    }
    let flag = "vault: error: --min-generation <N> cannot take the value \"three\"\n\
                vault: hint: see vault list --help\n";
    test.command(["list", "--min-generation", "three"]).expect_error(2, flag).run();
}

/// A question of `recipient remove`, which is asked when the vault is open: time for others to write.
pub fn while_it_asks(test: &Test, meanwhile: impl FnOnce()) -> (i32, String) {
    let mut pty = test.command(["recipient", "remove", OTHER]).pty();
    pty.expect("(y|N) ", SOON);
    meanwhile();
    pty.send("y");
    pty.end(SOON)
}

#[test]
fn a_writer_goes_on_with_the_fingerprint_that_another_writer_has_given() {
    let test = Test::new().vault_with("demo");
    test.command(["recipient", "add", OTHER]).run();
    let pin = pin_of(&test);
    let (status, screen) = while_it_asks(&test, || {
        test.command(["rekey"]).run();
    });
    assert_eq!(status, 0, "{screen}");
    assert_ne!(pin_of(&test), pin);
    let list = test.command(["recipient", "list"]).expect_stderr("");
    list.expect_stdout(format!("{AGE_RECIPIENT}\n")).run();
}

#[test]
fn a_writer_does_not_take_what_was_put_in_the_vaults_place_meanwhile() {
    let test = Test::new().vault_with("demo");
    let old = test.read(test.vault_file());
    test.command(["recipient", "add", OTHER]).run();
    let latest = test.read(test.vault_file());
    let refusal = format!(
        "vault: error: {} was replaced by another vault or an older copy while this command ran\n\
         vault: hint: if its recipients or passphrase were changed just now, run the command again\n",
        test.vault_file().display()
    );
    for pin in [None, Some(pin_of(&test))] {
        let test = pin.into_iter().fold(test.clone(), |test, pin| test.env("AWS_VAULT_PIN", pin));
        for forged in [true, false] {
            let (status, screen) = while_it_asks(&test, || {
                if forged {
                    forge(&test);
                } else {
                    std::fs::write(test.vault_file(), &old).unwrap();
                }
            });
            assert_eq!(status, 6, "{screen}");
            assert!(screen.ends_with(&refusal), "{screen}");
            std::fs::write(test.vault_file(), &latest).unwrap();
        }
    }
    // The older one of two that are both pinned.
    let before = pin_of(&test);
    test.command(["rekey"]).run();
    let both = test.clone().env("AWS_VAULT_PIN", format!("{before},{}", pin_of(&test)));
    let (status, screen) =
        while_it_asks(&both, || std::fs::write(test.vault_file(), &latest).unwrap());
    assert_eq!(status, 6, "{screen}");
    assert!(screen.ends_with(&refusal), "{screen}");
}

#[test]
fn a_reader_waits_for_a_writer_that_has_yet_to_remember() {
    let test = Test::new().vault_with("demo");
    let elsewhere = test.clone().env("XDG_STATE_HOME", test.home().join("elsewhere"));
    elsewhere.command(["rekey"]).run();
    let remembered =
        test.home().join("elsewhere/vault/pins").join(memory(&test).file_name().unwrap());

    // Another writer's lock, its file in place, and its memory yet to come.
    let lock = vault::file::lock(&test.vault_file(), SOON, "tests").expect("the lock");
    let mut pty = test.command(["--debug", "list", "--credentials"]).pty();
    pty.expect("opened by AWS_VAULT_AGE_KEY", SOON);
    std::fs::copy(&remembered, memory(&test)).unwrap();
    drop(lock);
    let (status, screen) = pty.end(SOON);
    assert_eq!(status, 0, "{screen}");
}

#[test]
fn a_pin_refuses_every_other_vault() {
    let test = Test::new().vault_with("demo");
    let pin = pin_of(&test);
    let other = Test::new().vault_with("demo");
    let other = pin_of(&other);
    let refusal = format!(
        "vault: error: the vault {VAULT} is not the pinned one: its fingerprint is {pin}\n\
         vault: hint: if you expect this change, pin the new fingerprint; if not, the file may be forged\n"
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
                 vault: hint: if you expect this change, pin the new fingerprint; if not, the \
                     file may be forged\n"
            ),
        )
        .run();
    test.command(["pin", "--accept", &forged]).expect_stdout(format!("{forged}\n")).run();
    test.command(["list"]).expect_stderr("").run();
}

#[test]
fn accepting_a_wrong_fingerprint_asks_for_the_passphrase_once() {
    let test = Test::new().vault_with_passphrase("demo").env_remove("AWS_VAULT_PASSPHRASE");
    let (_, other) = forged();
    let mut pty = test.command(["pin", "--accept", &other]).pty();
    pty.expect("Enter passphrase for", SOON);
    pty.send(PASSPHRASE);
    let (status, screen) = pty.end(SOON);
    assert_eq!(status, 6, "{screen}");
    assert_eq!(screen.matches("Enter passphrase").count(), 1, "{screen}");
    assert!(screen.contains("is not the pinned one: its fingerprint is SHA256:"), "{screen}");
}

#[test]
fn a_vault_is_remembered_by_its_real_path_at_first_use() {
    let test = Test::new().vault_with("demo");
    std::fs::remove_dir_all(test.home().join(".local/state")).unwrap();
    symlink(test.vault_file(), test.home().join("link.age")).unwrap();
    test.command(["list", "--vault", "link.age"]).expect_stderr("").run();
    let mut texts: Vec<_> = links::entries(&test).into_iter().map(|(_, text)| text).collect();
    texts.sort_by_key(|text| text.contains("led_to"));
    let expected = format!(
        "generation = 2\npin = \"{}\"\nvault = \"{}\"\n",
        pin_of(&test),
        test.vault_file().display()
    );
    assert_eq!(texts[0], expected);
    // And by its name, which is another path.
    assert!(texts.len() == 2 && texts[1].contains("/link.age\"\n"), "{texts:?}");
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

#[test]
fn a_fingerprint_that_this_machine_was_about_to_give_is_taken() {
    let test = Test::new().vault_with("demo");
    let old = test.read(memory(&test));
    test.command(["rekey"]).run();
    let (now, known) = (test.read(memory(&test)), pin_of(&test));
    // As a writer leaves it that dies after the vault's rename.
    for (next, status) in [(known.as_str(), 0), (&known.replace("SHA256:", "SHA256:A")[..50], 6)] {
        let dying = format!("{}next = \"{next}\"\n", String::from_utf8_lossy(&old));
        std::fs::write(memory(&test), dying).unwrap();
        test.command(["list", "--credentials"]).expect_status(status).run();
    }
    std::fs::write(memory(&test), &old).unwrap();
    test.command(["list"]).expect_status(6).run();
    std::fs::write(memory(&test), &now).unwrap();

    // A machine that could not remember the next one would shut itself out: nothing is written.
    let before = test.read(test.vault_file());
    std::fs::remove_file(memory(&test).with_extension("toml.lock")).unwrap();
    std::fs::create_dir(memory(&test).with_extension("toml.lock")).unwrap();
    let error = "vault: error: the vault was not saved: its new fingerprint cannot be remembered: \
                 is a directory\n\
                 vault: hint: name a directory by XDG_STATE_HOME, or pin the vault with --pin\n";
    test.command(["rekey"]).expect_error(7, error).run();
    assert_eq!(test.read(test.vault_file()), before);
    test.command(["rekey", "--pin", &known]).run();
}

#[test]
fn a_late_reader_does_not_put_an_old_fingerprint_in_the_place_of_a_new_one() {
    let test = Test::new().vault_with("demo").file("new", PASSPHRASE, 0o600);
    // Written elsewhere, so that this machine has something to remember.
    let elsewhere = test.clone().env("XDG_STATE_HOME", test.home().join("elsewhere"));
    elsewhere.command(["passphrase", "set", "--new-passphrase-file", "new"]).run();
    let mut pty = test.clone().env_remove("AWS_VAULT_AGE_KEY").command(["list"]).pty();
    pty.expect("Enter passphrase for", SOON);
    // It has read the file. Now the keys are drawn anew.
    test.command(["rekey"]).run();
    pty.send(PASSPHRASE);
    let (status, screen) = pty.end(SOON);
    assert_eq!(status, 0, "{screen}");
    test.command(["list"]).expect_stderr("").run();
}
