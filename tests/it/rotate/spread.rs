//! AWS takes its time to know a new key. The room is driven itself here, with pauses that move the
//! stand-in's clock and nobody's time.

use std::cell::Cell;
use std::time::Duration;

use vault::clock::Clock;
use vault::env::Env;
use vault::error::{Class, Error};
use vault::profile::{EndpointVariant, Target};
use vault::prompt::Prompt;
use vault::provider::CredentialSession;
use vault::rotate::{Rotate, Rotated};
use vault::user_change::UserChange;

use super::{assert_rotated, assert_works, log, place, plaintext, world};
use crate::support::builder::Test;
use crate::support::inside;
use crate::support::standin::{Fault, StandIn, User};
use crate::support::{ACCESS_KEY_ID, AGE_KEY};

/// Rotates the key of `ci`, and says how many seconds it paused.
fn rotate(test: &Test, standin: &StandIn) -> (Result<Rotated, Error>, u64) {
    rotate_while(test, standin, || {}, || {})
}

/// The same, and something happens after the vault was opened, and in each pause.
fn rotate_while(
    test: &Test,
    standin: &StandIn,
    opened: impl FnOnce(),
    meanwhile: impl Fn(),
) -> (Result<Rotated, Error>, u64) {
    let env = Env::of(&[("AWS_VAULT_AGE_KEY", AGE_KEY)]);
    let (prompt, clock) = (Prompt::new(true, None), Clock::system());
    let parts = inside::parts(test.vault_file(), None, &env, prompt, clock);
    let mut session = CredentialSession::open(parts).unwrap();
    opened();
    let target = Target {
        region: "us-east-1".to_owned(),
        endpoint: Some(standin.endpoint()),
        variant: EndpointVariant::default(),
        ca_bundle: None,
    };
    let paused = Cell::new(0);
    let pause = |pause: Duration| {
        standin.move_clock(i64::try_from(pause.as_secs()).unwrap());
        paused.set(paused.get() + pause.as_secs());
        meanwhile();
    };
    let (places, time) = ((&target, &target), Duration::from_secs(300));
    let change = UserChange::new(&mut session, "ci", places, &env, time).unwrap();
    let change = UserChange { wait: &pause, ..change };
    let rotate = Rotate { change, delete_other: false, mfa: None, sessions_of: &[], session: None };
    (rotate.run(), paused.get())
}

#[test]
fn a_key_that_takes_fifteen_seconds_to_spread_is_waited_for() {
    for spread in [3, 8, 15, 45] {
        let standin = StandIn::start(world());
        // Only the pauses are time here, not what a busy machine takes for the requests.
        standin.freeze(Clock::system().now().0);
        standin.change(|world| world.spread = spread);
        let test = place(&standin);
        let (done, paused) = rotate(&test, &standin);
        assert_eq!(done.unwrap().old, ACCESS_KEY_ID);
        assert!((spread..=spread + 7).contains(&i64::try_from(paused).unwrap()), "{paused}");
        assert_rotated(&test, &standin);
        let log = log(&standin);
        let (before, _) = log.split_once("UpdateAccessKey").unwrap();
        assert!(before.contains("GetCallerIdentity by key 1: ok"), "{log}");
    }
}

#[test]
fn a_key_that_does_not_spread_in_time_is_not_taken_into_use_and_the_next_run_finishes() {
    let standin = StandIn::start(world());
    standin.change(|world| world.spread = 100);
    let test = place(&standin);
    let (done, paused) = rotate(&test, &standin);
    let error = done.unwrap_err();
    let new = standin.keys()[1].id.clone();
    assert_eq!(error.class, Class::Aws);
    assert_eq!(error.what, format!("AWS does not accept the new key {new} yet"));
    assert_eq!(
        error.hint.unwrap(),
        "in a minute, vault rotate --resume continues where this run stopped"
    );
    assert_eq!(paused, 60);
    // Both are there, and who starts a command gets the one that works.
    assert!(standin.keys().iter().all(|key| key.active));
    assert_works(&test, &standin);
    let (done, _) = rotate(&test, &standin);
    assert_eq!(done.unwrap().new, new);
    assert_rotated(&test, &standin);
}

#[test]
fn a_key_that_iam_knows_later_than_sts_is_waited_for() {
    let standin = StandIn::start(world());
    let test = place(&standin);
    standin.pass_next(4);
    standin.fail_next(Fault::UnknownKey);
    standin.fail_next(Fault::UnknownKey);
    let (done, paused) = rotate(&test, &standin);
    done.unwrap();
    assert_eq!(paused, 3);
    assert_rotated(&test, &standin);
}

#[test]
fn if_another_user_deletes_the_new_key_the_old_one_is_used_again() {
    for (at, fault) in [(3, Fault::AccessDenied), (4, Fault::AccessDenied)] {
        let standin = StandIn::start(world());
        let test = place(&standin);
        standin.pass_next(at);
        standin.fail_next(fault);
        rotate(&test, &standin).0.unwrap_err();
        let new = standin.keys()[1].id.clone();
        standin.change(|world| drop(world.users[0].keys.pop()));
        let error = rotate(&test, &standin).0.unwrap_err();
        assert_eq!(error.what, format!("the new key {new} was deleted at AWS"));
        let hint = format!("{ACCESS_KEY_ID} is in use as before; run the same command again");
        assert_eq!(error.hint.unwrap(), hint);
        assert_works(&test, &standin);
        assert!(!plaintext(&test).contains(&new));
        rotate(&test, &standin).0.unwrap();
        assert_rotated(&test, &standin);
    }
}

#[test]
fn a_new_key_that_another_user_made_inactive_is_reported() {
    let standin = StandIn::start(world());
    let test = place(&standin);
    standin.pass_next(3);
    standin.fail_next(Fault::AccessDenied);
    rotate(&test, &standin).0.unwrap_err();
    let new = standin.keys()[1].id.clone();
    let active = |active| standin.change(|world| world.users[0].keys[1].active = active);
    active(false);
    let error = rotate(&test, &standin).0.unwrap_err();
    assert_eq!(error.what, format!("the new key {new} was made inactive at AWS"));
    let hint = "make it active there, or delete it, and run the same command again";
    assert_eq!(error.hint.unwrap(), hint);
    assert_works(&test, &standin);
    active(true);
    assert_eq!(rotate(&test, &standin).0.unwrap().new, new);
    assert_rotated(&test, &standin);
}

#[test]
fn another_users_new_key_is_not_taken_into_use() {
    let standin = StandIn::start(world());
    standin.freeze(Clock::system().now().0);
    standin.change(|world| {
        world.spread = 5;
        world.users.push(User::new("other"));
    });
    let test = place(&standin);
    let given_away = || {
        standin.change(|world| {
            let key = (world.users[0].keys.len() > 1).then(|| world.users[0].keys.pop());
            world.users[1].keys.extend(key.flatten());
        });
    };
    let (done, _) = rotate_while(&test, &standin, || {}, given_away);
    assert_eq!(done.unwrap_err().what, "AWS says that the new key belongs to another user");
    assert_works(&test, &standin);
    assert_eq!(standin.keys()[0].id, ACCESS_KEY_ID);
}

#[test]
fn a_rotation_that_another_process_has_finished_meanwhile_is_not_begun_again() {
    let standin = StandIn::start(world());
    let test = place(&standin);
    standin.pass_next(3);
    standin.fail_next(Fault::AccessDenied);
    rotate(&test, &standin).0.unwrap_err();
    let finish = || drop(test.command(["rotate", "--resume"]).run());
    let error = rotate_while(&test, &standin, finish, || {}).0.unwrap_err();
    assert_eq!(error.class, Class::Busy);
    assert_eq!(error.what, "another process has just finished this rotation");
    assert_rotated(&test, &standin);
    assert_eq!(standin.deleted_keys().len(), 1);
}
