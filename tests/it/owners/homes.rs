//! Root with the HOME of another user, as `sudo -E` and old rules of sudoers leave it.

use super::*;
use crate::support::place::TestHome;
use crate::support::scene;

/// Gives the home to its user, with all that is in it.
fn hand_over(test: &Test) {
    let mut chown = std::process::Command::new("chown");
    let given = chown.args(["-R", "4001:4001"]).arg(test.home()).status();
    assert!(given.is_ok_and(|status| status.success()));
}

/// What belongs to root in the home.
fn roots(test: &Test) -> String {
    let found = std::process::Command::new("find").arg(test.home()).args(["-uid", "0"]).output();
    String::from_utf8(found.unwrap().stdout).unwrap()
}

fn refusal(path: &str) -> String {
    format!(
        "vault: error: [HOME]/{path} is not made: it is in the home of another user (uid {OWNER})\n\
         vault: hint: run this as that user (sudo -u '#{OWNER}'), or with a HOME of your own (sudo -H)\n"
    )
}

#[test]
#[ignore = "needs root, to be in another user's home"]
fn root_makes_no_vault_and_no_key_in_another_users_home() {
    let elsewhere = TestHome::new();
    let test = Test::new().env("XDG_RUNTIME_DIR", elsewhere.path());
    hand_over(&test);
    let default = ".local/share/vault/vault.age";
    let init = |words: &[&str]| test.command([&["init"], words].concat());
    init(&["-r", AGE_RECIPIENT]).expect_error(6, &refusal(default)).run();
    // Named, from inside and by a link, into a directory that is there, and the key beside a vault that
    // lies elsewhere.
    for path in [test.home().join("vaults/v.age"), test.home().join("v.age")] {
        let path = path.to_str().unwrap();
        let shown = path.strip_prefix(test.home().to_str().unwrap()).unwrap();
        let words = ["--vault", path, "-r", AGE_RECIPIENT];
        init(&words).expect_error(6, &refusal(shown.trim_start_matches('/'))).run();
    }
    init(&["--vault", "v.age", "-r", AGE_RECIPIENT]).expect_status(6).expect_stdout("").run();
    std::os::unix::fs::symlink(test.home(), elsewhere.path().join("link")).unwrap();
    let link = elsewhere.path().join("link/v.age");
    init(&["--vault", link.to_str().unwrap(), "-r", AGE_RECIPIENT]).expect_status(6).run();
    let vault = elsewhere.path().join("vault.age");
    let key = test.home().join(".config/vault/identity.txt");
    let words = [vault.to_str().unwrap(), "--generate-identity", key.to_str().unwrap()];
    let words = [&["--vault"], words.as_slice()].concat();
    init(&words).expect_error(6, &refusal(".config/vault/identity.txt")).run();
    assert!(!vault.exists());
    assert_eq!((roots(&test).as_str(), std::fs::read_dir(test.home()).unwrap().count()), ("", 0));

    // Elsewhere it is root's as ever, and remembered in a place of root's.
    init(&["--vault", vault.to_str().unwrap(), "-r", AGE_RECIPIENT]).expect_stdout("").run();
    assert_eq!(roots(&test), "");
    assert!(elsewhere.path().join("vault/state/pins").is_dir());
}

#[test]
#[ignore = "needs root, to be in another user's home"]
fn root_uses_another_users_vault_and_leaves_everything_the_users() {
    let (standin, test) = scene::usual();
    for directory in [".cache", ".local/state"] {
        std::fs::remove_dir_all(test.home().join(directory)).unwrap_or_default();
    }
    hand_over(&test);
    // As sudo -E leaves them.
    let own = TestHome::new();
    let test = test.env("XDG_RUNTIME_DIR", own.path());
    let theirs = [
        ("XDG_CACHE_HOME", ".cache"),
        ("XDG_STATE_HOME", ".local/state"),
        ("AWS_VAULT_CACHE_DIR", ".cache/vault"),
    ];
    let named = theirs.iter().fold(test.clone(), |test, (name, dir)| {
        let dir = test.home().join(dir);
        test.env(name, dir)
    });
    for test in [&test, &named] {
        for words in [["exec", "--json", "role"].as_slice(), &["list"], &["clear"]] {
            test.command(words).expect_stderr("").run();
            assert_eq!(roots(test), "", "{words:?}");
        }
        let session = own.path().join("vault/sessions");
        assert!(session.is_dir() && own.path().join("vault/state/pins").is_dir());
        std::fs::remove_dir_all(own.path().join("vault")).unwrap();
        let add = ["add", "second", "--stdin"];
        test.command(add).stdin(CSV).expect_stdout(ADDED).expect_stderr("").run();
        assert_eq!(roots(test), "");
    }
    assert_eq!(standin.calls().len(), 2);
    let flag = test.home().join("sessions");
    let words = ["exec", "--json", "role", "--cache-dir", flag.to_str().unwrap()];
    test.command(words).expect_error(6, &refusal("sessions")).run();
    // Without a config there, none is made.
    std::fs::remove_dir_all(test.home().join(".aws")).unwrap();
    test.command(["add", "second", "--stdin"])
        .stdin(CSV)
        .expect_stdout(ADDED)
        .expect_stderr(format!(
            "vault: warning: the profile is in no AWS config file: [HOME]/.aws/config is not \
             made: it is in the home of another user (uid {OWNER})\n"
        ))
        .run();
    assert_eq!(roots(&test), "");
    // The user goes on as before.
    by(OWNER, "4001", &test.env("XDG_RUNTIME_DIR", ""), &["list", "--credentials"])
        .expect_stdout("demo\nsecond\n")
        .expect_stderr("")
        .run();
}

#[test]
#[ignore = "needs root, to be in another user's home"]
fn a_first_vault_is_not_asked_for_in_another_users_home() {
    let test = Test::new();
    hand_over(&test);
    let pty = test.command(["add", "demo"]).pty();
    let (status, screen) = pty.end(std::time::Duration::from_secs(30));
    assert_eq!(status, 6, "{screen}");
    assert!(!screen.contains("assphrase"), "{screen}");
    assert_eq!(roots(&test), "");
}
