//! Another key of the same user is in the way.

use std::os::unix::fs::PermissionsExt;

use super::{assert_rotated, assert_works, log, place, plaintext, rotate, world};
use crate::support::standin::{AccessKey, Fault, StandIn};
use crate::support::{ACCESS_KEY_ID, SECRET_ACCESS_KEY};

const OTHER: &str = "AKIAI44QH8DHBEXAMPLE";

fn with_other(used: Option<(i64, String)>) -> StandIn {
    let standin = StandIn::start(world());
    let other = AccessKey { used, ..AccessKey::old(OTHER, SECRET_ACCESS_KEY) };
    standin.change(|world| world.users[0].keys.push(other));
    standin
}

#[test]
fn another_key_is_reported_with_its_last_use_and_deleted_only_on_request() {
    let s3 = (1_780_000_000, "s3".to_owned());
    for (used, words) in
        [(None, "never used"), (Some(s3), "last used 2026-05-28T20:26:40Z for s3 in us-east-1")]
    {
        let standin = with_other(used);
        let test = place(&standin);
        let other = format!("{OTHER} (active, made 2026-01-31T12:00:00Z, {words})");
        let error = format!(
            "vault: error: the user robot has two access keys, as many as AWS allows; the other one \
             is {other}\n\
             vault: hint: if it is not needed: vault rotate ci --delete-other\n"
        );
        rotate(&test).expect_error(6, &error).run();
        test.command(["rotate", "--dry-run", "ci"]).expect_error(6, &error).run();
        assert_eq!(standin.keys().len(), 2);
        assert!(!plaintext(&test).contains("journal"));
        test.command(["rotate", "--dry-run", "ci", "--delete-other"])
            .expect_stdout(format!(
                "ci: would replace {ACCESS_KEY_ID}, made 2026-01-31T12:00:00Z, for the user robot, \
                 after deleting {other}\n"
            ))
            .run();
        assert_eq!(standin.keys().len(), 2);
        test.command(["rotate", "ci", "--delete-other"])
            .expect_stderr(format!("Deleting {other}\n"))
            .run();
        assert_rotated(&test, &standin);
        let deleted: Vec<_> = standin.deleted_keys().into_iter().map(|key| key.id).collect();
        assert_eq!(deleted, [OTHER, ACCESS_KEY_ID]);
    }
}

#[test]
fn a_policy_that_does_not_tell_of_the_last_use_is_no_hindrance() {
    let standin = with_other(None);
    standin.change(|world| world.denied.push("GetAccessKeyLastUsed".to_owned()));
    let test = place(&standin);
    test.command(["rotate", "ci", "--delete-other"])
        .expect_stderr(format!(
            "Deleting {OTHER} (active, made 2026-01-31T12:00:00Z, and AWS does not say when it was \
             last used)\n"
        ))
        .run();
    assert_rotated(&test, &standin);
}

#[test]
fn the_key_of_another_profile_is_never_deleted() {
    let standin = with_other(None);
    let test = place(&standin).stored("stage", OTHER, SECRET_ACCESS_KEY);
    let output =
        test.command(["rotate", "ci", "--delete-other"]).expect_status(6).expect_stdout("").run();
    assert!(
        output.stderr.ends_with(
            "vault: hint: it is the key of profile \"stage\"; to use one key for both, run vault \
             remove stage and set source_profile = ci in it\n"
        ),
        "{}",
        output.stderr
    );
    assert_eq!(standin.keys().len(), 2);
    assert_works(&test, &standin);
}

#[test]
fn a_key_that_turned_up_meanwhile_is_deleted_only_if_it_may_be_the_one_that_was_lost() {
    let s3 = (1_780_000_000, "s3".to_owned());
    for (minutes, used, is_lost) in
        [(1, None, true), (1, Some(s3), false), (-20, None, false), (20, None, false)]
    {
        let standin = StandIn::start(world());
        let test = place(&standin);
        // Stopped before the key was made, and then somebody makes one.
        standin.pass_next(2);
        standin.fail_next(Fault::DropBefore);
        for _ in 0..5 {
            standin.fail_next(Fault::AccessDenied);
        }
        rotate(&test).expect_status(9).run();
        assert!(plaintext(&test).contains("journal"));
        standin.obey_no_more();
        let created = standin.now() + minutes * 60;
        let old = AccessKey::old(OTHER, SECRET_ACCESS_KEY);
        standin.change(|world| world.users[0].keys.push(AccessKey { used, created, ..old }));
        if is_lost {
            rotate(&test).expect_stderr("").run();
        } else {
            // However often it is tried.
            for _ in 0..2 {
                let output = rotate(&test).expect_status(6).expect_stdout("").run();
                let other = format!("the other one is {OTHER} (active, made ");
                assert!(output.stderr.contains(&other), "{}", output.stderr);
                assert_eq!(standin.keys().len(), 2);
                assert_works(&test, &standin);
            }
            test.command(["rotate", "ci", "--delete-other"]).run();
        }
        assert_rotated(&test, &standin);
        assert_eq!(standin.deleted_keys().len(), 2, "{}", log(&standin));
    }
}

#[test]
fn a_faster_rotation_elsewhere_is_reported() {
    let standin = StandIn::start(world());
    let test = place(&standin);
    standin.pass_next(2);
    standin.fail_next(Fault::LimitExceeded);
    rotate(&test)
        .expect_error(
            6,
            "vault: error: another key was made just now for the user robot\n\
             vault: hint: run the same command again to see which\n",
        )
        .run();
    assert!(!plaintext(&test).contains("journal"));
    rotate(&test).run();
    assert_rotated(&test, &standin);
}

#[test]
fn nothing_is_deleted_if_the_vault_cannot_be_written() {
    let standin = with_other(None);
    let test = place(&standin);
    let dir = test.vault_file().parent().unwrap().to_owned();
    std::fs::set_permissions(&dir, PermissionsExt::from_mode(0o777)).unwrap();
    test.command(["rotate", "ci", "--delete-other"]).expect_status(6).expect_stdout("").run();
    assert_eq!(standin.keys().len(), 2, "{}", log(&standin));
}

#[test]
fn other_keys_are_deleted_for_one_profile_at_a_time() {
    let standin = with_other(None);
    let test = place(&standin);
    for (all, error) in [
        ("--all", "--all and --delete-other cannot be used together"),
        ("--resume", "<PROFILE> is missing"),
    ] {
        let error = format!("vault: error: {error}\nvault: hint: see vault rotate --help\n");
        test.command(["rotate", all, "--delete-other"]).expect_error(2, &error).run();
    }
    assert_eq!(standin.keys().len(), 2);
}
