//! Files with keys and passphrases: what is in them, and who else can read them.

use std::os::unix::fs::PermissionsExt;

use super::{locked, opened_by, vault};
use crate::support::place::Place;
use crate::support::{AGE_KEY, PASSPHRASE};

#[test]
fn of_a_passphrase_one_newline_is_dropped_and_an_empty_one_is_refused() {
    for text in [PASSPHRASE.to_owned(), format!("{PASSPHRASE}\n"), format!("{PASSPHRASE}\r\n")] {
        let test = vault().file("typed", text, 0o600);
        opened_by(&test, &["--passphrase-file", "typed"], "typed");
    }
    let test = vault().file("typed", format!("{PASSPHRASE}\n\n"), 0o600);
    let wrong = "vault: error: the passphrase does not open this vault\nvault: hint: tried typed\n";
    locked(&test, &["--passphrase-file", "typed"], wrong);
    for text in ["", "\n", "\r\n"] {
        let test = vault().file("typed", text, 0o600);
        let empty = "vault: error: the passphrase in typed is empty\n";
        locked(&test, &["--passphrase-file", "typed"], empty);
    }
}

#[test]
fn a_named_file_that_is_not_there_is_an_error_that_says_who_named_it() {
    let test = vault().file(".config/vault/identity.txt", AGE_KEY, 0o600);
    for (flags, what) in [
        (&["-i", "nowhere"][..], "the key file nowhere (--identity)"),
        (&["--passphrase-file", "nowhere"], "the passphrase file nowhere (--passphrase-file)"),
    ] {
        locked(&test, flags, &format!("vault: error: {what} is not there\n"));
    }
    for (name, what) in
        [("AWS_VAULT_AGE_KEY_FILE", "key file"), ("AWS_VAULT_PASSPHRASE_FILE", "passphrase file")]
    {
        let error = format!("vault: error: the {what} nowhere ({name}) is not there\n");
        locked(&test.clone().env(name, "nowhere"), &[], &error);
    }
    let error = "vault: error: cannot read the key file .config: it is not a file\n";
    locked(&test, &["-i", ".config"], error);
}

/// What is said of a loose file.
fn loose(what: &str, path: &str, who: &str, mode: u32) -> String {
    format!("the {what} {path} is not private: {who} (mode {mode:04o})\n")
}

#[test]
fn a_key_file_that_others_can_read_is_refused() {
    for (mode, who) in [
        (0o644, "everybody can read it"),
        (0o604, "everybody can read it"),
        (0o660, "its group can write it"),
        (0o620, "its group can write it"),
        (0o666, "everybody can write it"),
        (0o602, "everybody can write it"),
    ] {
        for (flag, what, file) in
            [("-i", "key file", "key"), ("--passphrase-file", "passphrase file", "passphrase")]
        {
            let test = vault();
            let path = test.home().join(file);
            std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).expect("mode");
            let what = loose(what, file, who, mode);
            let hint =
                format!("vault: hint: chmod 600 {file}, or hand it over by {flag} - <{file}\n");
            let refused = format!("vault: error: {what}{hint}");
            test.command(["list", flag, file]).expect_error(6, &refused).run();
            // GitLab writes file variables 0666.
            let warned = format!("vault: warning: {what}");
            let ci = test.clone().env("CI", "true").command(["list", "--credentials", flag, file]);
            ci.expect_stdout("demo\n").expect_stderr(warned).run();
            // What the hint says, works.
            let line = format!("vault list --credentials {flag} - <{file}");
            let test = test.on_path("vault").program("sh").command(["-c", &line]);
            test.expect_stdout("demo\n").expect_stderr("").run();
        }
    }
    for mode in [0o400, 0o600, 0o640, 0o440, 0o700] {
        let test = vault();
        let path = test.home().join("key");
        std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).expect("mode");
        opened_by(&test, &["-i", "key"], "key");
    }
}

#[test]
fn a_loose_key_file_in_memory_is_only_warned_of() {
    let memory = Place::in_memory();
    let path = memory.file("key", AGE_KEY.as_bytes(), 0o444);
    let shown = path.display().to_string();
    let warned =
        format!("vault: warning: {}", loose("key file", &shown, "everybody can read it", 0o444));
    let test = vault().command(["list", "--credentials", "-i", &shown]);
    test.clone().expect_stdout("demo\n").expect_stderr(warned).run();
    test.arg("--quiet").expect_stdout("demo\n").expect_stderr("").run();
}

#[test]
fn a_symlink_is_followed_to_the_mode_of_its_file() {
    let test = vault().file("loose", AGE_KEY, 0o644);
    for (target, status) in [("key", 0), ("loose", 6)] {
        let link = test.home().join("link");
        let _ = std::fs::remove_file(&link);
        std::os::unix::fs::symlink(target, link).expect("symlink");
        test.command(["list", "-i", "link"]).expect_status(status).run();
    }
}

#[test]
fn a_loose_key_file_that_lies_around_stops_no_other_and_is_the_reason_if_none_opens() {
    let test = vault().file(".config/vault/identity.txt", AGE_KEY, 0o644);
    let path = "[HOME]/.config/vault/identity.txt";
    let what = loose("key file", path, "everybody can read it", 0o644);
    let refused = format!(
        "vault: error: {what}vault: hint: chmod 600 {path}, or hand it over by -i - <{path}\n"
    );
    test.command(["list"]).expect_error(6, &refused).run();
    opened_by(&test.env("SOPS_AGE_KEY", AGE_KEY), &[], "SOPS_AGE_KEY");
}

#[test]
fn what_lies_around_and_is_no_file_is_not_waited_for() {
    let test = vault();
    for path in [".config/vault/identity.txt", "secrets/vault.age-key", "secrets/vault.passphrase"]
    {
        let test = test.clone().env("CREDENTIALS_DIRECTORY", test.home().join("secrets"));
        let make = format!("mkdir -p $(dirname {path}); mkfifo {path}");
        test.command(["-c", &make]).program("sh").run();
        let output = test.command(["list"]).any_status().run();
        assert_eq!(output.status, 4, "{}", output.stderr);
        assert!(output.stderr.contains(&format!("{path}: it is not a file")), "{}", output.stderr);
        std::fs::remove_file(test.home().join(path)).unwrap();
    }
}
