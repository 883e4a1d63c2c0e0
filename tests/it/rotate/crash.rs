//! Killed, refused, cut off: the vault has a key that works, and the next run finishes.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use super::{assert_rotated, assert_works, await_calls, log, place, plaintext, rotate, world};
use crate::support::standin::{Fault, StandIn};
use crate::support::{ACCESS_KEY_ID, SECRET_ACCESS_KEY};

/// Nothing takes so long: a call that hangs for this time hangs until the test ends.
const FOREVER: Duration = Duration::from_secs(3600);
/// The calls of a rotation.
const CALLS: usize = 7;

/// Killed at a call that AWS has not seen, or has carried out.
fn killed_at(at: usize, fault: Fault, then: &[&str]) {
    let standin = StandIn::start(world());
    let test = place(&standin);
    standin.pass_next(at);
    standin.fail_next(fault);
    let mut child = rotate(&test).start();
    await_calls(&standin, at + 1);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_works(&test, &standin);
    if at < 2 {
        // Nothing was begun.
        assert_eq!(standin.keys().len(), 1);
    }
    let output = test.command(then).expect_stderr("").run();
    if at < 2 && then.contains(&"--resume") {
        assert_eq!(output.stdout, "Nothing to finish.\n");
        return;
    }
    assert_rotated(&test, &standin);
    // What was made is in use or deleted, and a second key was made only where the first was lost.
    let made = log(&standin).matches("CreateAccessKey by old user=robot: ok").count();
    let lost = at == 2 && matches!(fault, Fault::Hang(_));
    assert_eq!(made, 1, "{}", log(&standin));
    assert_eq!(standin.deleted_keys().len(), 1 + usize::from(lost), "{}", log(&standin));
    test.command(["rotate", "--resume"]).expect_stdout("Nothing to finish.\n").run();
}

#[test]
fn a_run_that_was_killed_at_any_call_is_finished_by_the_next() {
    for at in 0..CALLS {
        for fault in [Fault::HangForever, Fault::Hang(FOREVER)] {
            killed_at(at, fault, &["rotate", "ci"]);
        }
    }
}

#[test]
fn a_run_that_was_killed_at_any_call_is_finished_by_resume() {
    for at in 0..CALLS {
        for fault in [Fault::HangForever, Fault::Hang(FOREVER)] {
            killed_at(at, fault, &["rotate", "--resume"]);
        }
    }
}

#[test]
fn killed_twice_it_is_finished_by_the_third_run() {
    // While the key was made, and while the lost one was deleted. To try a key is a call, too.
    let standin = StandIn::start(world());
    let test = place(&standin);
    for (passing, calls) in [(2, 3), (2, 7)] {
        standin.pass_next(passing);
        standin.fail_next(Fault::Hang(FOREVER));
        let mut child = rotate(&test).start();
        await_calls(&standin, calls);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_works(&test, &standin);
    }
    rotate(&test).run();
    assert_rotated(&test, &standin);
}

#[test]
fn an_answer_that_was_lost_is_made_good_in_the_same_run() {
    let faults =
        [Fault::DropAfter, Fault::DropBefore, Fault::Internal, Fault::Throttling, Fault::SlowDown];
    std::thread::scope(|scope| {
        for fault in faults {
            scope.spawn(move || {
                for at in 0..CALLS {
                    let standin = StandIn::start(world());
                    let test = place(&standin);
                    standin.pass_next(at);
                    standin.fail_next(fault);
                    rotate(&test).expect_stderr("").run();
                    assert_rotated(&test, &standin);
                }
            });
        }
    });
}

#[test]
fn a_refusal_at_any_call_is_made_good_by_the_next_run() {
    for at in 0..CALLS {
        let standin = StandIn::start(world());
        let test = place(&standin);
        standin.pass_next(at);
        standin.fail_next(Fault::AccessDenied);
        rotate(&test).expect_status(9).expect_stdout("").run();
        assert_works(&test, &standin);
        rotate(&test).run();
        assert_rotated(&test, &standin);
    }
}

#[test]
fn a_key_that_cannot_be_saved_is_deleted() {
    let standin = StandIn::start(world());
    let test = place(&standin);
    standin.pass_next(2);
    standin.fail_next(Fault::Hang(Duration::from_secs(2)));
    let dir = test.vault_file().parent().unwrap().to_owned();
    let mode = |mode| std::fs::set_permissions(&dir, PermissionsExt::from_mode(mode)).unwrap();
    std::thread::scope(|scope| {
        let run = scope.spawn(|| rotate(&test).expect_status(6).expect_stdout("").run());
        await_calls(&standin, 3);
        mode(0o777);
        run.join().unwrap();
    });
    mode(0o700);
    let keys = standin.keys();
    assert_eq!((keys.len(), keys[0].id.as_str()), (1, ACCESS_KEY_ID), "{}", log(&standin));
    assert_works(&test, &standin);
    rotate(&test).run();
    assert_rotated(&test, &standin);
}

#[test]
fn a_new_key_that_cannot_be_taken_into_use_leaves_the_old_one() {
    let standin = StandIn::start(world());
    let test = place(&standin);
    standin.pass_next(3);
    standin.fail_next(Fault::Hang(Duration::from_secs(2)));
    let dir = test.vault_file().parent().unwrap().to_owned();
    let mode = |mode| std::fs::set_permissions(&dir, PermissionsExt::from_mode(mode)).unwrap();
    std::thread::scope(|scope| {
        let run = scope.spawn(|| rotate(&test).expect_status(6).expect_stdout("").run());
        await_calls(&standin, 4);
        mode(0o777);
        run.join().unwrap();
    });
    mode(0o700);
    assert!(standin.keys().iter().all(|key| key.active), "{}", log(&standin));
    assert_works(&test, &standin);
    rotate(&test).run();
    assert_rotated(&test, &standin);
}

#[test]
fn of_two_runs_at_once_one_gives_way() {
    // While the slow one looks round, makes the key, proves it, and deletes the old one.
    std::thread::scope(|scope| {
        for at in [1, 2, 3, 6] {
            scope.spawn(move || two_runs(at));
        }
    });
}

fn two_runs(at: usize) {
    let standin = StandIn::start(world());
    let test = place(&standin);
    standin.pass_next(at);
    standin.fail_next(Fault::Hang(Duration::from_secs(6)));
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| rotate(&test).any_status().run());
        await_calls(&standin, at + 1);
        rotate(&test).run();
        let slow = slow.join().unwrap();
        let taken = "vault: error: another process has taken over this rotation\n";
        let begun = "vault: error: another process has just begun to replace this key\n\
                     vault: hint: run the same command again to finish it\n";
        match at {
            1 => assert_eq!((slow.status, &*slow.stderr), (8, begun)),
            2 | 3 => assert_eq!((slow.status, &*slow.stderr), (8, taken)),
            // There is nothing left to disagree about.
            _ => assert_eq!((slow.status, &*slow.stderr), (0, "")),
        }
    });
    assert_rotated(&test, &standin);
}

#[test]
fn a_profile_that_got_another_key_by_hand_is_left_alone() {
    let standin = StandIn::start(world());
    let test = place(&standin);
    standin.pass_next(3);
    standin.fail_next(Fault::AccessDenied);
    rotate(&test).expect_status(9).run();
    let lost = standin.keys()[1].id.clone();
    // Somebody did it by hand.
    standin.change(|world| {
        world.users[0].keys.clear();
        let key =
            crate::support::standin::AccessKey::old("AKIAI44QH8DHBEXAMPLE", SECRET_ACCESS_KEY);
        world.users[0].keys.push(key);
    });
    let test = test.stored("ci", "AKIAI44QH8DHBEXAMPLE", SECRET_ACCESS_KEY);
    test.command(["rotate", "--resume"])
        .expect_stdout("")
        .expect_stderr(format!(
            "vault: warning: the key of profile \"ci\" was replaced or removed by hand before its \
             rotation was finished; arn:aws:iam::123456789012:user/robot may still have \
             {ACCESS_KEY_ID} or {lost} at AWS\n"
        ))
        .run();
    assert!(!plaintext(&test).contains("journal"));
    assert_works(&test, &standin);
    test.command(["rotate", "--resume"]).expect_stdout("Nothing to finish.\n").run();
}
