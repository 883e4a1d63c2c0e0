//! Several profiles, and several keys.

use std::time::Duration;

use serde_json::{Value, json};

use super::{assert_rotated, place, plaintext, rotate, world};
use crate::support::builder::Test;
use crate::support::standin::{Fault, StandIn, User};
use crate::support::{ACCESS_KEY_ID, SECRET_ACCESS_KEY};
use crate::vault_file::payload_of;

const OTHER: &str = "AKIAI44QH8DHBEXAMPLE";

/// Two users with a key each; that of `robot` is the key of two profiles.
fn scene() -> (StandIn, Test) {
    let standin = StandIn::start(world());
    standin.change(|world| {
        world.users.push(User::new("other").key(OTHER, SECRET_ACCESS_KEY));
    });
    let test = place(&standin).vault_with("ci-2").stored("other", OTHER, SECRET_ACCESS_KEY);
    (standin, test)
}

fn ids(test: &Test) -> Vec<String> {
    let payload = payload_of(test.vault_file());
    let names = ["ci", "ci-2", "other"];
    names.map(|profile| payload.access_key_id(profile).unwrap().to_owned()).to_vec()
}

#[test]
fn profiles_that_share_a_key_get_the_new_one_together() {
    let (standin, test) = scene();
    let writes = payload_of(test.vault_file()).generation();
    let output = rotate(&test).run();
    let new = standin.keys()[0].id.clone();
    let line = format!("ci, ci-2: {ACCESS_KEY_ID} is replaced by {new}, for the user robot\n");
    assert_eq!(output.stdout, line);
    assert_eq!(ids(&test), [new.as_str(), &new, OTHER]);
    // Begun, made, taken into use, ended.
    assert_eq!(payload_of(test.vault_file()).generation(), writes + 4);
}

#[test]
fn all_keys_are_rotated_each_once() {
    let (standin, test) = scene();
    let output = test.command(["rotate", "--all"]).expect_stderr("").run();
    let new: Vec<_> = standin.keys().into_iter().map(|key| key.id).collect();
    assert_eq!(
        output.stdout,
        format!(
            "ci, ci-2: {ACCESS_KEY_ID} is replaced by {}, for the user robot\n\
             other: {OTHER} is replaced by {}, for the user other\n",
            new[0], new[1]
        )
    );
    assert_eq!(ids(&test), [&new[0], &new[0], &new[1]].map(String::clone));
    assert_eq!(standin.deleted_keys().len(), 2);
    assert!(!plaintext(&test).contains("journal"));
}

#[test]
fn each_key_is_printed_as_it_finishes() {
    let (standin, test) = scene();
    rotate(&test).run();
    let calls = standin.calls().len();
    let (standin, test) = scene();
    standin.pass_next(calls);
    standin.fail_next(Fault::HangForever);
    let mut pty = test.command(["rotate", "--all"]).pty();
    pty.expect(&format!("ci, ci-2: {ACCESS_KEY_ID} is replaced by "), Duration::from_secs(40));
}

#[test]
fn a_failure_of_one_does_not_stop_the_others() {
    for json in [false, true] {
        let (standin, test) = scene();
        // `ci` comes first.
        standin.pass_next(3);
        standin.fail_next(Fault::AccessDenied);
        let words = ["rotate", "--all", "--json"];
        let run = test.command(&words[..if json { 3 } else { 2 }]);
        let output = run
            .expect_status(9)
            .expect_stderr(
                "vault: error: 1 of 2 keys could not be rotated\n\
                 vault: hint: vault rotate --resume continues where this run stopped\n",
            )
            .run();
        let new = ids(&test)[2].clone();
        // The key that is not proven yet.
        let made = standin.keys()[1].id.clone();
        let what = format!(
            "AWS refused GetCallerIdentity: AccessDenied: Access denied by an explicit deny in an \
             identity-based policy (key {made} of profile ci)"
        );
        let hint = "vault rotate --resume continues where this run stopped";
        if json {
            let found: Value = serde_json::from_str(&output.stdout).unwrap();
            assert_eq!(
                found,
                json!([
                    {"profiles": ["ci", "ci-2"], "state": "failed", "error": what, "hint": hint, "code": 9},
                    {
                        "profiles": ["other"],
                        "state": "rotated",
                        "user": "other",
                        "old": OTHER,
                        "new": new,
                    },
                ])
            );
        } else {
            let line = format!("other: {OTHER} is replaced by {new}, for the user other\n");
            assert_eq!(output.stdout, format!("ci, ci-2: failed: {what} ({hint})\n{line}"));
        }
        assert_eq!(ids(&test)[..2], [ACCESS_KEY_ID, ACCESS_KEY_ID]);
        // Only what was begun is finished.
        let output = test.command(["rotate", "--resume"]).expect_stderr("").run();
        assert!(output.stdout.starts_with("ci, ci-2: "), "{}", output.stdout);
        assert_eq!(ids(&test)[2], new);
        standin.change(|world| drop(world.users.pop()));
        assert_rotated(&test, &standin);
    }
}

#[test]
fn nothing_to_finish_is_reported_and_no_error() {
    let (standin, test) = scene();
    let resume = |words: &[&str], stdout: &str| {
        let run = test.command([&["rotate", "--resume"], words].concat());
        run.expect_stdout(stdout).expect_stderr("").run();
    };
    resume(&[], "Nothing to finish.\n");
    resume(&["--json"], "[]\n");
    resume(&["ci"], "ci: nothing to finish\n");
    resume(&["ci", "--json"], "{\"profiles\":[\"ci\"],\"state\":\"nothing\"}\n");
    assert!(standin.calls().is_empty());
    let empty = Test::new().env("AWS_VAULT_AGE_KEY", crate::support::AGE_KEY);
    empty.command(["init", "-r", crate::support::AGE_RECIPIENT]).run();
    empty.command(["rotate", "--all"]).expect_stdout("No key in the vault.\n").run();
}

#[test]
fn an_unfinished_rotation_is_reported_by_a_dry_run_and_by_doctor() {
    let (standin, test) = scene();
    standin.pass_next(3);
    standin.fail_next(Fault::AccessDenied);
    rotate(&test).expect_status(9).run();
    test.command(["rotate", "--dry-run", "ci-2"])
        .expect_stdout(format!(
            "ci, ci-2: would finish replacing {ACCESS_KEY_ID}, for the user robot\n"
        ))
        .run();
    let json = test.command(["rotate", "--resume", "--dry-run", "--json"]).run().stdout;
    assert!(json.starts_with("[{") && json.contains("\"would-finish\""), "{json}");
    let doctor = || test.command(["doctor"]).any_status().run().stdout;
    let note = "note     vault   the rotation of the key of profile \"ci\" is not finished; \
                run: vault rotate --resume\n";
    assert!(doctor().contains(note), "{}", doctor());
    rotate(&test).run();
    assert!(!doctor().contains("rotation"), "{}", doctor());
}
