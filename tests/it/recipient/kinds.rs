//! Every kind of key comes in, opens and writes the vault for all, and goes.

use std::time::{Duration, Instant};

use super::{OTHER, opens, vault};
use crate::support::AGE_RECIPIENT;
use crate::support::builder::Test;
use crate::unlock::kinds::{ED25519, ED25519_PUB, RSA, RSA_PUB, plugin, with_plugin};

/// Adds the recipient, whose key is in the file `key`, changes the vault with that key in every way,
/// and removes it at last.
#[track_caller]
fn comes_and_goes(test: &Test, recipient: &str) {
    test.command(["recipient", "add", "--name", "new", recipient]).run();
    let with = |words: &[&str]| test.command(["-i", "key"]).args(words);
    assert!(opens(test, &["-i", "key"]));
    with(&["rekey"]).run();
    assert!(opens(test, &["-i", "key"]) && opens(test, &[]));
    with(&["recipient", "add", OTHER]).run();
    assert!(opens(test, &["-i", "other"]));
    with(&["recipient", "remove", "-f", OTHER]).run();
    assert!(opens(test, &["-i", "key"]) && opens(test, &[]) && !opens(test, &["-i", "other"]));
    // Alone, too.
    with(&["recipient", "remove", "-f", AGE_RECIPIENT]).run();
    assert!(opens(test, &["-i", "key"]) && !opens(test, &[]));
    with(&["recipient", "add", AGE_RECIPIENT]).run();
    test.command(["recipient", "remove", "-f", "new"]).run();
    assert!(opens(test, &[]) && !opens(test, &["-i", "key"]));
}

#[test]
fn an_ssh_key_comes_and_goes() {
    for (public, private) in [(ED25519_PUB, ED25519), (RSA_PUB, RSA)] {
        comes_and_goes(&vault().file("key", private, 0o600), public);
    }
}

#[test]
fn a_plugins_key_comes_and_goes() {
    let (recipient, identity) = plugin();
    comes_and_goes(&with_plugin(vault()).file("key", identity, 0o600), &recipient);
}

#[test]
fn an_ssh_host_key_comes_and_goes() {
    let test = vault();
    // As Debian makes them: no passphrase, 0600, a comment of its own.
    test.clone()
        .program("ssh-keygen")
        .command(["-q", "-t", "ed25519", "-N", "", "-C", "root@web1", "-f", "key"])
        .run();
    let public = String::from_utf8(test.read("key.pub")).expect("text");
    comes_and_goes(&test, public.trim_end());
}

/// A plugin made with the library that real ones are made with, and by another hand than ours.
#[test]
#[ignore = "needs age and age-plugin-unencrypted (see .ci/run)"]
fn a_real_plugins_key_comes_and_goes_and_age_opens_the_vault_with_it() {
    let test = vault();
    let key = test.clone().program("age-plugin-unencrypted").command([""; 0]).run().stdout;
    let (_, recipient) = key.split_once("recipient: ").expect("a recipient");
    let recipient = recipient.lines().next().expect("a line");
    let test = test.file("key", &key, 0o600);
    comes_and_goes(&test, recipient);
    test.command(["recipient", "add", recipient]).run();
    let file = test.vault_file();
    let age = test.clone().program("age").command(["-d", "-i", "key"]).arg(file).run();
    assert!(age.stdout.contains("version = 1\n"), "{}", age.stdout);
}

/// A vault for the plugin, too; then its program is no longer there.
fn without_program() -> (Test, String, String) {
    let (recipient, _) = plugin();
    let test = vault();
    with_plugin(test.clone()).command(["recipient", "add", &recipient]).run();
    let missing = format!(
        "vault: error: the program age-plugin-plain is missing; it is needed for {recipient}\n\
         vault: hint: install it in a directory of PATH, or remove the recipient\n"
    );
    (test, recipient, missing)
}

#[test]
fn without_a_plugins_program_no_recipient_is_dropped_but_the_plugins_key_can_be_removed() {
    let (test, recipient, missing) = without_program();
    let before = test.read(test.vault_file());
    let test = test.file("new", "a new passphrase", 0o600);
    for words in [
        &["recipient", "add", OTHER][..],
        &["passphrase", "set", "--new-passphrase-file", "new"],
        &["rekey"],
    ] {
        test.command(words).expect_error(7, &missing).run();
    }
    assert_eq!(test.read(test.vault_file()), before);
    test.command(["recipient", "remove", "-f", &recipient]).run();
    test.command(["recipient", "add", OTHER]).run();
    // And it cannot come back: to add is to write for it.
    test.command(["recipient", "add", &recipient]).expect_error(7, &missing).run();
}

/// Plugins that print without an end, or what no plugin prints; with 32 MiB for all that vault writes
/// to in memory.
#[test]
fn what_a_plugin_prints_has_a_limit_and_follows_the_protocol() {
    let (recipient, identity) = plugin();
    let test = with_plugin(vault()).file("key", identity, 0o600);
    test.command(["recipient", "add", &recipient]).run();
    let before = test.read(test.vault_file());
    let too_much = "it printed more than 64 KiB";
    let foreign = "its answer does not follow age's plugin protocol";
    let line = "A".repeat(64);
    for (script, why) in [
        ("exec tr '\\0' A </dev/zero", too_much),
        ("printf -- '-> error '; exec tr '\\0' A </dev/zero", too_much),
        (&*format!("printf -- '-> error internal\\n'; exec yes {line}"), too_much),
        ("while :; do printf -- '-> msg\\n\\n'; done", too_much),
        ("while :; do printf -- '-> recipient-stanza 0 x\\n\\n'; done", too_much),
        ("exec yes", foreign),
        ("echo '-> error internal'; echo '?'; cat", foreign),
        ("printf -- '->  x\\n\\n'; cat", foreign),
        ("printf -- '-> error internal\\nbm8ga2V5G1szMW0\\n-> done\\n\\n'; cat", "no key [31m"),
        ("printf -- '-> error internal\\n\\n-> done\\n\\n'; cat", "it refused"),
        ("printf -- '-> error internal\\n'", "it exited without an answer"),
        ("exit 0", "it exited without an answer"),
    ] {
        let script = format!("#!/bin/sh\n{script}\n");
        let test = test.clone().file("plugins/age-plugin-plain", script, 0o755);
        let little = |run: Test| run.under("prlimit", ["--data=33554432"]);
        let stderr = format!(
            "vault: error: no key opens this vault: age-plugin-plain: {why}\nvault: hint: tried key\n"
        );
        let list = test.command(["-i", "key", "list"]).env_remove("AWS_VAULT_AGE_KEY");
        little(list.expect_error(4, &stderr)).run();
        let stderr =
            format!("vault: error: age-plugin-plain cannot encrypt to {recipient}: {why}\n");
        little(test.command(["rekey"]).expect_error(7, &stderr)).run();
    }
    assert_eq!(test.read(test.vault_file()), before);
}

/// One that says nothing, and has started something.
const SILENT: &str = "#!/bin/sh\nsleep 600 &\necho $$ $! >\"$HOME/plugin\"\nwait\n";

#[test]
#[ignore = "takes half a minute"]
fn a_plugin_that_never_answers_is_ended_with_all_that_it_started() {
    let (recipient, _) = plugin();
    let test = with_plugin(vault()).file("plugins/age-plugin-plain", SILENT, 0o755);
    let before = test.read(test.vault_file());
    let start = Instant::now();
    test.command(["recipient", "add", &recipient])
        .expect_error(
            7,
            &format!(
                "vault: error: age-plugin-plain cannot encrypt to {recipient}: no answer within 30 s\n"
            ),
        )
        .run();
    assert!((30..55).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
    assert_eq!(test.read(test.vault_file()), before);
    let started = String::from_utf8(test.read("plugin")).expect("text");
    let started: Vec<&str> = started.split_whitespace().collect();
    assert_eq!(started.len(), 2);
    let lives = |pid: &&str| {
        std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z"))
    };
    let deadline = Instant::now() + Duration::from_secs(10);
    while started.iter().any(lives) {
        assert!(Instant::now() < deadline, "one of {started:?} lives on");
        std::thread::yield_now();
    }
}
