//! STS is down, or what lies in the cache is broken.

use super::{CACHE, json, only_session, quiet, sessions};
use crate::support::scene::{self, log};
use crate::support::standin::{Fault, time};

#[test]
fn a_valid_session_is_served_while_sts_is_down() {
    let (standin, test) = scene::usual();
    let old = quiet(&test, "role");
    let until = time::rfc3339(standin.issued()[0].expiration);
    drop(standin);
    assert_eq!(quiet(&test, "role").raw_stdout, old.raw_stdout);
    // One tries to renew it and says that it failed; then there is a minute's rest.
    let wanting = test.env("AWS_MIN_TTL", "2h");
    let tried = json(&wanting, "role").run();
    assert_eq!(tried.raw_stdout, old.raw_stdout);
    let said = format!(
        "vault: warning: the session for role could not be renewed; it is valid until {until}: "
    );
    assert!(tried.stderr.starts_with(&said), "{}", tried.stderr);
    assert_eq!(tried.stderr.lines().count(), 1, "{}", tried.stderr);
    for _ in 0..3 {
        assert_eq!(quiet(&wanting, "role").raw_stdout, old.raw_stdout);
    }
    // What is not there cannot be served.
    json(&wanting, "demo").expect_status(9).expect_stdout("").run();
}

#[test]
fn a_refusal_to_renew_is_reported_once_too() {
    let (standin, test) = scene::usual();
    let old = quiet(&test, "role");
    standin.fail_always(Some(Fault::AccessDenied));
    let wanting = test.env("AWS_MIN_TTL", "2h");
    let tried = json(&wanting, "role").run();
    assert_eq!(tried.raw_stdout, old.raw_stdout);
    assert!(tried.stderr.contains("could not be renewed"), "{}", tried.stderr);
    for _ in 0..3 {
        assert_eq!(quiet(&wanting, "role").raw_stdout, old.raw_stdout);
    }
    assert_eq!(standin.calls().len(), 2, "{}", log(&standin));
    // `--refresh` wants a new one or none.
    let refresh = wanting.command(["exec", "--json", "--refresh", "role"]);
    refresh.expect_status(9).expect_stdout("").run();
    assert_eq!(quiet(&wanting, "role").raw_stdout, old.raw_stdout);
}

#[test]
fn a_short_session_is_served_until_it_is_due() {
    let (standin, test) = scene::usual();
    // Given for 15 minutes by a clock that is behind: three are left.
    standin.change(|world| world.session_limit = Some(180));
    let first = quiet(&test, "role");
    assert_eq!(quiet(&test, "role").raw_stdout, first.raw_stdout);
    // One that has ended is none.
    standin.change(|world| world.session_limit = Some(-1));
    let ended = quiet(&test, "demo");
    assert_ne!(quiet(&test, "demo").raw_stdout, ended.raw_stdout);
    test.command(["list", "--sessions"]).expect_stderr("").run();
    assert_eq!(standin.calls().len(), 3, "{}", log(&standin));
}

#[test]
fn a_damaged_file_is_a_miss_and_one_warning() {
    let (standin, test) = scene::usual();
    quiet(&test, "role");
    let file = only_session(&test, CACHE);
    let good = std::fs::read(&file).expect("the session");
    quiet(&test, "demo");
    let other = sessions(&test, CACHE).into_iter().find(|path| *path != file).expect("another");
    let other = std::fs::read(other).expect("the other session");
    let flipped = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        bytes
    };
    let mut calls = standin.calls().len();
    for (what, bytes) in [
        ("empty", Vec::new()),
        ("cut", good[..good.len() - 1].to_vec()),
        ("short", good[..20].to_vec()),
        ("longer", [good.as_slice(), b"x"].concat()),
        ("another version", flipped(0)),
        ("another nonce", flipped(1)),
        ("another content", flipped(100)),
        ("another tag", flipped(good.len() - 1)),
        ("another session", other),
        ("text", b"garbage\n".to_vec()),
        ("huge", vec![1; 1 << 20]),
    ] {
        std::fs::write(&file, bytes).expect("damage");
        let list = test.command(["list", "--sessions"]).expect_stderr("").run();
        assert_eq!(list.stdout.lines().count(), 1, "{what}: {}", list.stdout);
        json(&test, "role")
            .expect_stderr(
                "vault: warning: a file of the cache in [HOME]/.cache/vault is damaged and is \
                 not used\n",
            )
            .run();
        calls += 1;
        assert_eq!(standin.calls().len(), calls, "{what}");
        quiet(&test, "role");
        assert_eq!(standin.calls().len(), calls, "{what}");
    }
}

#[test]
fn garbage_around_the_files_is_no_matter() {
    let (standin, test) = scene::usual();
    let stale = format!("{CACHE}/sessions/.{}.tmp-123", "a".repeat(64));
    let test = test
        .file(&stale, "half a file", 0o600)
        .file(&format!("{CACHE}/sessions/README"), "hello", 0o644)
        .file(&format!("{CACHE}/sessions/{}", "b".repeat(64)), "garbage", 0o600)
        .file(&format!("{CACHE}/sessions/{}.lock", "b".repeat(64)), "not a pid", 0o600)
        .file(&format!("{CACHE}/else"), "hello", 0o600);
    quiet(&test, "role");
    quiet(&test, "role");
    assert_eq!(standin.calls().len(), 1);
    let list = test.command(["list", "--sessions"]).expect_stderr("").run().stdout;
    assert!(list.starts_with("role role:") && list.lines().count() == 1, "{list}");
    test.command(["clear"]).expect_stdout("Cleared 2 sessions.\n").expect_stderr("").run();
    assert!(!test.home().join(stale).exists());
    assert!(test.home().join(CACHE).join("sessions/README").exists());
}

#[test]
fn a_directory_instead_of_a_session_file_is_reported_once() {
    let (standin, test) = scene::usual();
    quiet(&test, "role");
    let file = only_session(&test, CACHE);
    std::fs::remove_file(&file).and_then(|()| std::fs::create_dir(&file)).expect("a directory");
    for calls in 2..4 {
        let output = json(&test, "role").run();
        assert_eq!(output.stderr.lines().count(), 1, "{}", output.stderr);
        assert_eq!(standin.calls().len(), calls);
    }
}
