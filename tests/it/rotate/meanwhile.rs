//! While it runs, or between two runs, somebody changes the vault or the account.

use std::time::Duration;

use super::{assert_rotated, assert_works, await_calls, log, place, plaintext, rotate, world};
use crate::recipient::OTHER;
use crate::support::builder::{Output, Test};
use crate::support::standin::{Fault, StandIn};
use crate::support::{ACCESS_KEY_ID, SECRET_ACCESS_KEY};
use crate::vault_file::payload_of;

/// Rotates, and does this while the call of this number is under way.
fn while_calling(
    at: usize,
    standin: &StandIn,
    run: Test,
    meanwhile: impl FnOnce() + Send,
) -> Output {
    standin.pass_next(at);
    standin.fail_next(Fault::Hang(Duration::from_secs(4)));
    std::thread::scope(|scope| {
        let run = scope.spawn(move || run.run());
        await_calls(standin, at + 1);
        meanwhile();
        run.join().unwrap()
    })
}

#[test]
fn the_old_key_stays_if_the_vault_is_put_back_to_an_earlier_copy() {
    // While the old key is made inactive, and while the new one is proven to stand alone.
    std::thread::scope(|scope| {
        for at in [4, 5] {
            scope.spawn(move || {
                let standin = StandIn::start(world());
                let test = place(&standin);
                let file = test.vault_file();
                let earlier = std::fs::read(&file).unwrap();
                let mut newer = Vec::new();
                let run = rotate(&test).expect_error(
                    6,
                    "vault: error: [HOME]/.local/share/vault/vault.age was replaced by another \
                     vault or an older copy while this command ran\n\
                     vault: hint: if its recipients or passphrase were changed just now, run the command again\n",
                );
                while_calling(at, &standin, run, || {
                    newer = std::fs::read(&file).unwrap();
                    std::fs::write(&file, &earlier).unwrap();
                });
                assert!(standin.deleted_keys().is_empty(), "{}", log(&standin));
                std::fs::write(&file, &newer).unwrap();
                assert_works(&test, &standin);
                rotate(&test).run();
                assert_rotated(&test, &standin);
            });
        }
    });
}

#[test]
fn the_old_key_stays_if_the_new_one_is_lost() {
    // While the new key is proven before its use, and after it.
    std::thread::scope(|scope| {
        for at in [3, 5] {
            scope.spawn(move || {
                let standin = StandIn::start(world());
                let test = place(&standin);
                let run = rotate(&test).expect_error(
                    8,
                    "vault: error: the key was removed from the vault, or replaced there, while it \
                     was rotated\n\
                     vault: hint: vault rotate --resume says which keys AWS may still have\n",
                );
                let remove = test.command(["remove", "-f", "ci"]);
                while_calling(at, &standin, run, || drop(remove.run()));
                assert!(standin.deleted_keys().is_empty(), "{}", log(&standin));
                let new = standin.keys()[1].id.clone();
                let resume = test.command(["rotate", "--resume"]);
                let output = resume.expect_stdout("").run();
                let both = format!("may still have {ACCESS_KEY_ID} or {new} at AWS\n");
                assert!(output.stderr.ends_with(&both), "{}", output.stderr);
                assert!(!plaintext(&test).contains("journal"));
            });
        }
    });
}

#[test]
fn a_profile_that_gets_the_old_key_at_the_last_moment_gets_the_new_one() {
    let standin = StandIn::start(world());
    let test = place(&standin);
    while_calling(6, &standin, rotate(&test), || {
        let _ = test.clone().stored("late", ACCESS_KEY_ID, SECRET_ACCESS_KEY);
    });
    assert_rotated(&test, &standin);
    let payload = payload_of(test.vault_file());
    assert_eq!(payload.access_key_id("late"), payload.access_key_id("ci"));
}

#[test]
fn an_old_key_that_another_user_deleted_is_gone_where_the_policies_refuse_to_delete_it() {
    for denied in ["UpdateAccessKey", "DeleteAccessKey"] {
        let standin = StandIn::start(world());
        standin.change(|world| world.denied = vec![denied.to_owned()]);
        let test = place(&standin);
        rotate(&test).expect_status(9).expect_stdout("").run();
        assert_works(&test, &standin);
        standin.change(|world| {
            let gone = world.users[0].keys.remove(0);
            world.deleted.push(gone);
        });
        rotate(&test).run();
        assert_rotated(&test, &standin);
    }
}

#[test]
fn a_removed_recipient_has_seen_the_new_key_too() {
    let standin = StandIn::start(world());
    let test = place(&standin);
    standin.pass_next(3);
    standin.fail_next(Fault::AccessDenied);
    rotate(&test).expect_status(9).run();
    let new = standin.keys()[1].id.clone();
    test.command(["recipient", "add", OTHER, "--name", "spare"]).run();
    let output = test.command(["recipient", "remove", "-f", "spare"]).run();
    let lines = format!(
        "  ci: access key {ACCESS_KEY_ID}\n  ci: access key {new}, of an unfinished rotation: run vault \
         rotate --resume first\n"
    );
    assert!(output.stderr.contains(&lines), "{}", output.stderr);
}
