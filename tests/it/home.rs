//! Homes that may not be entered, as under `docker run -u 1000 -e HOME=/root` or `sudo -E -u`: what lies
//! there by default counts as missing, and what was named stays an error.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use crate::support::builder::Test;
use crate::support::scene;
use crate::support::{ACCESS_KEY_ID, AGE_KEY, SECRET_ACCESS_KEY};
use crate::write::unprivileged;

/// A home that this user has a vault, a key and profiles in and may not enter, beside an open directory
/// with the same vault. A test that ends opens it again.
struct Closed {
    test: Test,
    home: PathBuf,
}

impl Closed {
    fn new() -> Self {
        let test = Test::new();
        let home = test.home().join("closed");
        let inside = test
            .env("HOME", &home)
            .file("closed/.config/vault/identity.txt", AGE_KEY, 0o600)
            .file("closed/.aws/config", "[profile demo]\nregion = eu-west-1\n", 0o600);
        inside.command(["init", "-r", crate::support::AGE_RECIPIENT]).run();
        let test = inside.stored("demo", ACCESS_KEY_ID, SECRET_ACCESS_KEY);
        let vault = test.read("closed/.local/share/vault/vault.age");
        let test = test.file("vault.age", vault, 0o600).file("key", AGE_KEY, 0o600);
        let runtime = test.home().join("runtime");
        let test = test.env("XDG_RUNTIME_DIR", &runtime);
        std::fs::create_dir(&runtime).expect("a directory");
        std::fs::set_permissions(&runtime, mode(0o700)).expect("its mode");
        std::fs::set_permissions(&home, mode(0o000)).expect("a mode");
        Self { test, home }
    }

    fn run(&self, words: &[&str]) -> Test {
        unprivileged(&self.test, words)
    }
}

impl Drop for Closed {
    fn drop(&mut self) {
        let _ = std::fs::set_permissions(&self.home, mode(0o700));
    }
}

fn mode(mode: u32) -> std::fs::Permissions {
    PermissionsExt::from_mode(mode)
}

const NO_VAULT: &str = "vault: error: no vault at [HOME]/closed/.local/share/vault/vault.age: no \
    permission to enter [HOME]/closed\n\
    vault: hint: set HOME to a directory of this user's own, or name the vault with --vault or \
    AWS_VAULT_FILE\n";

const NO_KEY: &str = "vault: error: no key to open the vault with\n\
    vault: hint: give a key by -i FILE, AWS_VAULT_AGE_KEY or AWS_VAULT_AGE_KEY_FILE, or put it into \
    ~/.config/vault/identity.txt\n";

#[test]
fn default_files_in_a_closed_home_count_as_missing() {
    let closed = Closed::new();
    let list = ["list", "--credentials", "--vault", "vault.age", "-i", "key"];
    closed.run(&list).expect_stdout("demo\n").expect_stderr("").run();
    // The profile's region would be set.
    let exec = ["exec", "-n", "--vault", "vault.age", "-i", "key", "demo", "--", "printenv"];
    let run = closed.run(&exec).arg("AWS_REGION").expect_status(1).expect_stderr("");
    run.expect_stdout("").run();
    // The default key is none.
    closed.run(&["list", "--vault", "vault.age"]).expect_error(4, NO_KEY).run();
    for words in [&["list"][..], &["init", "-r", crate::support::AGE_RECIPIENT], &["pin"]] {
        closed.run(words).expect_error(3, NO_VAULT).run();
    }
    closed.run(&["exec", "demo", "true"]).expect_error(125, NO_VAULT).run();
    closed
        .run(&["import", "--from", "credentials", "--vault", "vault.age", "-i", "key"])
        .expect_error(
            3,
            "vault: error: [HOME]/closed/.aws may not be entered, so no credentials file\n\
             vault: hint: name it by AWS_SHARED_CREDENTIALS_FILE\n",
        )
        .run();
    let csv = "Access key ID,Secret access key\nAKIAIOSFODNN7EXAMPLE,\
               wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\n";
    closed
        .run(&["add", "--stdin", "second", "--vault", "vault.age", "-i", "key"])
        .stdin(csv)
        .expect_stdout("Added credentials to profile \"second\" in vault\n")
        .expect_stderr(
            "vault: warning: [HOME]/closed/.aws may not be entered, so no AWS config file that the \
             profile could be added to\n",
        )
        .run();
    // Fingerprints and sessions are kept elsewhere.
    assert!(closed.test.home().join("runtime/vault/state/pins").is_dir());
}

#[test]
fn what_was_named_in_a_closed_home_stays_an_error() {
    let closed = Closed::new();
    let denied = "permission denied";
    let list = |words: &[&str]| closed.run(&[&["list", "--profiles"][..], words].concat());
    let vault = "closed/.local/share/vault/vault.age";
    let error = format!(
        "vault: error: cannot read the vault {vault}: {denied}\n\
         vault: hint: closed belongs to uid 0, mode 0000; this is uid 0\n"
    );
    list(&["--vault", vault]).expect_error(1, &error).run();
    list(&[]).env("AWS_VAULT_FILE", vault).expect_error(1, &error).run();
    let key = "closed/.config/vault/identity.txt";
    let error = format!("vault: error: cannot read the key file {key}: {denied}\n");
    list(&["--vault", "vault.age", "-i", key]).expect_error(4, &error).run();
    let by_variable = list(&["--vault", "vault.age"]).env("AWS_VAULT_AGE_KEY_FILE", key);
    by_variable.expect_error(4, &error).run();
    for (variable, file) in [
        ("AWS_CONFIG_FILE", "closed/.aws/config"),
        ("AWS_SHARED_CREDENTIALS_FILE", "closed/.aws/credentials"),
    ] {
        let error = format!("vault: error: cannot read {file}: {denied}\n");
        let run = list(&["--vault", "vault.age", "-i", "key"]).env(variable, file);
        run.expect_error(1, &error).run();
    }
    let config = closed.test.home().join("closed/.aws/config");
    let run = list(&["--vault", "vault.age", "-i", "key"]).env("AWS_CONFIG_FILE", "~/.aws/config");
    let error = format!("vault: error: cannot read {}: {denied}\n", config.display());
    let error = error.replace(&closed.test.home().display().to_string(), "[HOME]");
    run.expect_error(1, &error).run();
}

#[test]
fn a_file_that_cannot_be_opened_in_an_open_home_is_an_error() {
    let test = Test::new().vault_with("demo").config("[profile demo]\n");
    for (file, status, what) in [
        (".aws/config", 1, "cannot read [HOME]/.aws/config"),
        (
            ".local/share/vault/vault.age",
            1,
            "cannot read the vault [HOME]/.local/share/vault/vault.age",
        ),
    ] {
        let path = test.home().join(file);
        std::fs::set_permissions(&path, mode(0o000)).expect("a mode");
        let hint = match what.contains("the vault") {
            true => {
                "vault: hint: [HOME]/.local/share/vault/vault.age belongs to uid 0, mode 0000; this is uid 0\n"
            }
            false => "",
        };
        let error = format!("vault: error: {what}: permission denied\n{hint}");
        unprivileged(&test, &["list", "--profiles"]).expect_error(status, &error).run();
        std::fs::set_permissions(&path, mode(0o600)).expect("a mode");
    }
    // As for the SDKs, a directory below the home that may not be entered has no files.
    let aws = test.home().join(".aws");
    std::fs::set_permissions(&aws, mode(0o000)).expect("a mode");
    unprivileged(&test, &["list", "--credentials"]).expect_stdout("demo\n").expect_stderr("").run();
    let found = unprivileged(&test, &["doctor"]).env("AWS_ENDPOINT_URL", "http://127.0.0.1:1");
    let found = found.run().stdout;
    assert!(found.contains("note     home    [HOME]/.aws may not be entered: "), "{found}");
    std::fs::set_permissions(&aws, mode(0o700)).expect("a mode");
}

#[test]
fn a_profile_that_needs_no_vault_gets_its_credentials_in_a_closed_home() {
    let closed = Closed::new();
    let standin = scene::sts();
    let config = "[profile role]\nrole_arn = arn:aws:iam::123456789012:role/deploy\n\
                  credential_source = Environment\n";
    let test = closed.test.clone().file("config", config, 0o600).standin(&standin);
    let test = test
        .env("AWS_CONFIG_FILE", "config")
        .env("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID)
        .env("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY);
    let json = ["exec", "--json", "role"];
    let run = unprivileged(&test, &json).expect_stderr("").run();
    assert!(run.stdout.starts_with("{\"AccessKeyId\":\"ASIA"), "{}", run.stdout);
    // Who names a pin wants the vault.
    let pin = format!("SHA256:{}", "A".repeat(43));
    unprivileged(&test.env("AWS_VAULT_PIN", pin), &json).expect_error(3, NO_VAULT).run();
}

#[test]
fn doctor_tells_of_a_closed_home() {
    let closed = Closed::new();
    let doctor = ["doctor", "-v", "--vault", "vault.age", "-i", "key"];
    let found = closed.run(&doctor).env("AWS_ENDPOINT_URL", "http://127.0.0.1:1").expect_stderr("");
    let text = found.run().stdout;
    let line = "note     home    [HOME]/closed may not be entered: default files in it count as \
                missing; set HOME to a directory of this user's own, or let this user enter it\n";
    assert!(text.contains(line), "{text}");
    let state = "[HOME]/runtime/vault/state (no writable home)";
    assert!(text.contains(state), "{text}");
    let list = ["--debug", "list", "--vault", "vault.age", "-i", "key"];
    let said = closed.run(&list).run().stderr;
    let line =
        "vault: debug: [HOME]/closed may not be entered: default files in it count as missing";
    assert!(said.lines().any(|said| said == line), "{said}");
}

#[test]
fn a_home_that_does_not_exist_is_not_made() {
    let test = Test::new().vault_with("demo");
    let vault = test.read(".local/share/vault/vault.age");
    let test =
        test.file("vault.age", vault, 0o600).file("key", AGE_KEY, 0o600).file("file", "", 0o600);
    let runtime = test.home().join("runtime");
    std::fs::create_dir(&runtime).expect("a directory");
    std::fs::set_permissions(&runtime, mode(0o700)).expect("its mode");
    symlink("none", test.home().join("dangling")).expect("a link");
    let test = test.env("XDG_RUNTIME_DIR", &runtime);
    for home in ["none", "none/below", "dangling", "file"] {
        let path = test.home().join(home);
        let test = test.clone().env("HOME", &path);
        let not_made = |what: &str| {
            format!(
                "[HOME]/{home}/{what} is not made: the home directory [HOME]/{home} does not exist\n"
            )
        };
        let refused = |what: &str| {
            let hint = "vault: hint: make it, or set HOME to a directory of this user's own\n";
            format!("vault: error: {}{hint}", not_made(what))
        };
        let key = path.join(".config/vault/identity.txt");
        let key = key.to_str().expect("text");
        let elsewhere = ["init", "--vault", "second.age", "--generate-identity", key];
        let error = refused(".config/vault/identity.txt");
        test.command(elsewhere).expect_error(3, &error).run();
        let error = match home {
            "file" => NO_VAULT.replace("closed", home),
            _ => refused(".local/share/vault/vault.age"),
        };
        let init = test.command(["init", "-r", crate::support::AGE_RECIPIENT]);
        init.expect_error(3, &error).run();
        let list = test.clone().env_remove("AWS_VAULT_AGE_KEY");
        let list = list.command(["list", "--vault", "vault.age"]);
        list.expect_error(4, NO_KEY).run();
        // Where a variable names a place in it, another one serves as well.
        let named = test
            .clone()
            .env("XDG_CACHE_HOME", path.join(".cache"))
            .env("XDG_STATE_HOME", path.join(".local/state"));
        for test in [&test, &named] {
            let list = ["list", "--credentials", "--vault", "vault.age", "-i", "key"];
            test.command(list).expect_stdout("demo\n").expect_stderr("").run();
            assert!(holds_a_file(&runtime.join("vault/state/pins")));
            std::fs::remove_dir_all(runtime.join("vault")).expect("removed");
        }
        let csv = format!("Access key ID,Secret access key\n{ACCESS_KEY_ID},{SECRET_ACCESS_KEY}\n");
        let warning = format!(
            "vault: warning: the profile is in no AWS config file: {}",
            not_made(".aws/config")
        );
        let add = ["add", "--stdin", "demo", "--vault", "vault.age", "-i", "key"];
        test.command(add).stdin(csv).expect_status(0).expect_stderr(&warning).run();
    }
    for none in ["none", "second.age"] {
        assert!(!test.home().join(none).exists(), "{none}");
    }
}

#[test]
#[ignore = "needs root"]
fn a_home_of_the_root_directory_takes_no_state() {
    let test = Test::new().vault_with("demo");
    let vault = std::fs::read(test.vault_file()).expect("the vault");
    let test = test.binary("root/vault").file("root/vault.age", vault, 0o644);
    let root = test.home().join("root");
    for (path, bits) in [("", 0o755), ("dev", 0o755), ("dev/shm", 0o1777)] {
        let path = root.join(path);
        std::fs::create_dir_all(&path).expect("a directory");
        std::fs::set_permissions(&path, mode(bits)).expect("its mode");
    }
    let chroot = ["--userspec=54321:54321", "root", "/vault", "list", "--credentials"];
    let run = || test.command(chroot).program("chroot").env("HOME", "/");
    let run = || run().env("AWS_VAULT_FILE", "/vault.age").expect_stdout("demo\n");
    run().expect_stderr("").run();
    let state = root.join("dev/shm/vault-54321/state/pins");
    assert!(holds_a_file(&state), "{}", state.display());
    // What was remembered there before counts.
    let own = root.join(".local/state/vault/pins");
    std::fs::create_dir_all(&own).expect("a directory");
    let pins = std::fs::read_dir(&state).expect("pins").map(|entry| entry.expect("one").path());
    for pin in pins.filter(|path| path.extension().is_some_and(|kind| kind == "toml")) {
        let text = std::fs::read_to_string(&pin).expect("a pin");
        let known = text.split('"').nth(1).expect("a fingerprint");
        let other = text.replace(known, &format!("SHA256:{}", "A".repeat(43)));
        std::fs::write(own.join(pin.file_name().expect("a name")), other).expect("another pin");
    }
    assert!(holds_a_file(&own), "nothing was remembered");
    run().expect_stdout("").expect_status(6).run();
}

fn holds_a_file(dir: &Path) -> bool {
    std::fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some())
}
