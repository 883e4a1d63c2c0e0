//! A profile that needs no vault, beside one: its key comes first where it opens by itself, nobody is
//! asked, and what was named is never passed over.

use super::{CALL, DEPLOY, FIRST, SUBJECT, job, json, sts, token};
use crate::support::builder::Test;
use crate::support::scene::log;
use crate::support::served::{SOON, Served};
use crate::support::standin::identity::Provider;
use crate::support::standin::{Role, StandIn};
use crate::support::{ACCESS_KEY_ID, AGE_KEY, SECRET_ACCESS_KEY};

/// A job beside a vault for a key, with the example key under `profile`; nothing opens it yet.
fn beside(standin: &StandIn, profile: &str) -> Test {
    job(standin).vault_with(profile).env_remove("AWS_VAULT_AGE_KEY")
}

/// The same beside a vault with a passphrase.
fn beside_a_passphrase(standin: &StandIn) -> Test {
    job(standin).vault_with_passphrase("demo").env_remove("AWS_VAULT_PASSPHRASE")
}

/// `vault exec --json`, which ends with this status and prints nothing.
#[track_caller]
fn fails(test: &Test, words: &[&str], status: i32) {
    test.command(["exec", "--json"]).args(words).expect_status(status).expect_stdout("").run();
}

/// A key of its own in the file `other`, which opens nothing here, and what is in it.
fn other_key(test: Test) -> (Test, String) {
    test.command(["init", "--vault", "other.age", "--generate-identity", "other"]).run();
    let key = String::from_utf8(test.read("other")).expect("a key");
    (test, key)
}

#[test]
fn a_vault_that_nothing_opens_is_done_without() {
    for vault in [|s: &StandIn| beside(s, "demo"), beside_a_passphrase] {
        let standin = sts();
        let test = vault(&standin);
        for _ in 0..2 {
            assert_eq!(json(&test, "ci").run().hide(&standin.issued()), FIRST);
        }
        assert_eq!(log(&standin), CALL);
        // Who needs the vault is told so as ever.
        fails(&test, &["demo"], 4);
    }
}

#[test]
fn no_prompt_asks_for_a_passphrase() {
    let standin = sts();
    let test = beside_a_passphrase(&standin);
    let (pty, pipes) = test.command(["exec", "--json", "ci"]).expect_stderr("").pty_with_pipes();
    let output = test.finish(pty, pipes);
    assert_eq!(output.hide(&standin.issued()), FIRST);
    // But for a key in the clear, since the one in the vault may be meant.
    let keys = format!(
        "[plain]\naws_access_key_id = {ACCESS_KEY_ID}\naws_secret_access_key = {SECRET_ACCESS_KEY}\n"
    );
    let mut pty = test.aws_credentials(&keys).command(["exec", "-n", "plain", "true"]).pty();
    pty.expect("Enter passphrase", SOON);
}

#[test]
fn a_vault_that_opens_by_itself_is_opened_and_its_key_comes_first() {
    let standin = sts();
    let test = beside(&standin, "ci").file(".config/vault/identity.txt", AGE_KEY, 0o600);
    json(&test, "ci").run();
    assert_eq!(
        log(&standin),
        "AssumeRole by key role=role/deploy name=vault-ci duration=3600: ok\n"
    );
}

#[test]
fn its_own_key_keeps_the_session_then() {
    let standin = sts();
    let shut = beside(&standin, "demo");
    let test = shut.clone().file(".config/vault/identity.txt", AGE_KEY, 0o600);
    json(&test, "ci").run();
    // `list` shows what the vault's key opens.
    let sessions = test.command(["list", "--sessions"]).run().stdout;
    assert!(sessions.starts_with("ci role:"), "{sessions}");
    // A new token of the same identity gets the session, without being shown to anybody.
    let test = test.file("token", token(&standin, 60), 0o600);
    json(&test, "ci").run();
    assert_eq!(standin.calls().len(), 1);
    // Another identity does not.
    let other = Provider::github().token("repo:example/shop:environment:prod", standin.now() + 300);
    fails(&test.clone().file("token", other, 0o600), &["ci"], 9);
    assert_eq!(standin.calls().len(), 2);
    // Nor does who has the token and not the vault's key: that is another place.
    std::fs::remove_file(test.home().join(".config/vault/identity.txt")).unwrap();
    json(&shut.file("token", token(&standin, 60), 0o600), "ci").run();
    assert_eq!(standin.calls().len(), 3);
}

#[test]
fn a_default_source_that_does_not_fit_is_no_error() {
    let standin = sts();
    let (test, key) = other_key(beside(&standin, "demo"));
    let test = test.file(".config/vault/identity.txt", key, 0o600);
    json(&test, "ci").run();
    assert_eq!(log(&standin), CALL);
}

#[test]
fn what_was_named_has_to_open_the_vault() {
    let standin = sts();
    let (test, key) = other_key(beside_a_passphrase(&standin));
    let both = test.clone().file("word", "wrong", 0o600);
    for test in [
        test.clone().env("AWS_VAULT_AGE_KEY", &key),
        test.clone().env("AWS_VAULT_AGE_KEY", ""),
        test.clone().env("AWS_VAULT_AGE_KEY_FILE", "other"),
        test.clone().env("AWS_VAULT_PASSPHRASE", "wrong"),
        test.clone().env("AWS_VAULT_PASSPHRASE_FILE", "/nonexistent/word"),
        test.clone().env("AWS_VAULT_FILE_PASSPHRASE", "wrong"),
    ] {
        fails(&test, &["ci"], 4);
    }
    for flags in [["-i", "other"], ["-i", "/nonexistent/key"], ["--passphrase-file", "word"]] {
        fails(&both, &[&["ci"], &flags[..]].concat(), 4);
    }
    assert_eq!(standin.calls().len(), 0);
}

#[test]
fn a_named_pin_requires_that_vault() {
    let standin = sts();
    let test = beside(&standin, "ci");
    let pin = test.command(["pin"]).env("AWS_VAULT_AGE_KEY", AGE_KEY).run().stdout;
    let pinned = test.clone().env("AWS_VAULT_PIN", pin.trim());
    // In its place, one that nothing opens here; and none.
    fails(&pinned, &["ci"], 4);
    std::fs::remove_file(test.vault_file()).expect("no vault");
    fails(&pinned, &["ci"], 3);
    fails(&test.clone().env("AWS_VAULT_MIN_GENERATION", "1"), &["ci"], 3);
    assert_eq!(log(&standin), "");
    json(&test, "ci").run();
}

#[test]
fn a_bad_vault_is_an_error_for_everyone() {
    let standin = sts();
    let test = beside(&standin, "demo").file(".config/vault/identity.txt", AGE_KEY, 0o600);
    let fails = |test: &Test, status| fails(test, &["ci"], status);
    // Another vault than the pinned one.
    let pin = "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    fails(&test.clone().env("AWS_VAULT_PIN", pin), 6);
    // A key file that others can read.
    fails(&test.clone().file(".config/vault/identity.txt", AGE_KEY, 0o644), 6);
    // One that was named and is not there.
    fails(&test.clone().env("AWS_VAULT_FILE", "/nonexistent/vault.age"), 3);
    let test = test.file(".config/vault/identity.txt", AGE_KEY, 0o600);
    let whole = std::fs::read(test.vault_file()).unwrap();
    std::fs::write(test.vault_file(), &whole[..whole.len() - 100]).unwrap();
    fails(&test, 5);
    std::fs::write(test.vault_file(), "no vault").unwrap();
    fails(&test, 5);
    assert_eq!(standin.calls().len(), 0);
}

#[test]
fn a_code_may_be_in_the_vault() {
    let standin = sts();
    let config = "[profile p]\ncredential_process = cat ~/key.json\n\
                  mfa_serial = arn:aws:iam::123456789012:mfa/demo\n";
    let test = beside(&standin, "demo").config(config);
    fails(&test, &["p"], 4);
}

#[test]
fn a_server_reads_the_token_again_to_renew() {
    let standin = sts();
    let later = "repo:example/shop:ref:refs/heads/later";
    standin.change(|world| {
        world.session_limit = Some(6);
        world.roles.retain(|role| role.arn != DEPLOY);
        world.roles.push(Role::new("deploy").subject(SUBJECT).subject(later));
    });
    let test = beside_a_passphrase(&standin);
    let mut served = Served::start(&test, &["--profile", "ci"]);
    // As Kubernetes does it: at no moment is there half of one.
    test.clone().file("new", Provider::github().token(later, standin.now() + 300), 0o600);
    std::fs::rename(test.home().join("new"), test.home().join("token")).unwrap();
    // One renewal may have begun before; and a call is in the log before its answer is served.
    served.expect("renewed ci");
    while !log(&standin).contains(&CALL.replace(SUBJECT, later)) {
        served.expect("renewed ci");
    }
    let body = served.get("/credentials/ci").body;
    assert!(standin.issued()[1..].iter().any(|given| body.contains(&given.access_key_id)));
}
