//! Where the policies want MFA: by a session with a code, and no code twice.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{assert_rotated, assert_works, log, place, plaintext, rotate, world};
use crate::support::builder::Test;
use crate::support::standin::StandIn;
use crate::support::{ACCESS_KEY_ID, MFA_SEED, MFA_SERIAL};

const CONFIG: &str = "[profile ci]\nmfa_serial = arn:aws:iam::123456789012:mfa/demo\n";

/// The policies want MFA for everything of access keys.
fn demanding(outlive: bool) -> StandIn {
    let standin = StandIn::start(world());
    standin.change(|world| {
        world.sessions_outlive_keys = outlive;
        world.with_mfa = ["List", "Create", "Update", "Delete"]
            .map(|verb| format!("{verb}AccessKey{}", if verb == "List" { "s" } else { "" }))
            .to_vec();
    });
    standin
}

fn with_seed(standin: &StandIn) -> Test {
    let test = place(standin).config(CONFIG);
    test.command(["totp", "add", MFA_SERIAL, "--stdin"]).stdin(MFA_SEED).run();
    test
}

/// So many codes were sent, each once.
#[track_caller]
fn assert_codes(standin: &StandIn, count: usize) {
    let steps: Vec<_> = standin.calls().iter().filter_map(|call| call.step).collect();
    let different: BTreeSet<_> = steps.iter().collect();
    assert_eq!((steps.len(), different.len()), (count, count), "{}", log(standin));
}

#[test]
fn one_code_serves_all_where_a_session_outlives_its_key() {
    let standin = demanding(true);
    let test = with_seed(&standin);
    rotate(&test).expect_stderr("").run();
    let denied = "AccessDenied: User: arn:aws:iam::123456789012:user/robot is not authorized to \
                  perform: iam:ListAccessKeys on resource: user because no identity-based policy \
                  allows the iam:ListAccessKeys action";
    assert_eq!(
        log(&standin).replace(denied, "denied"),
        format!(
            "GetCallerIdentity by old: ok\n\
             ListAccessKeys by old user=robot: denied\n\
             GetSessionToken by old duration=900 mfa={MFA_SERIAL}: ok\n\
             ListAccessKeys by session 1 user=robot: ok\n\
             CreateAccessKey by session 1 user=robot: ok\n\
             GetCallerIdentity by key 1: ok\n\
             UpdateAccessKey by session 1 user=robot key=old status=Inactive: ok\n\
             GetCallerIdentity by key 1: ok\n\
             DeleteAccessKey by session 1 user=robot key=old: ok\n"
        )
    );
    assert_codes(&standin, 1);
    assert_rotated(&test, &standin);
    // The session of the old key was not kept.
    test.command(["list", "--sessions"]).expect_stdout("").run();
}

#[test]
fn another_code_is_sent_where_a_session_ends_with_its_key() {
    let standin = demanding(false);
    let test = with_seed(&standin);
    rotate(&test).expect_stderr("").run();
    assert_codes(&standin, 2);
    assert_rotated(&test, &standin);
}

#[test]
fn a_code_that_cannot_be_recorded_is_not_sent_and_the_key_stays() {
    let standin = demanding(false);
    let test = with_seed(&standin);
    test.command(["totp", "code", MFA_SERIAL]).run();
    let ledgers = test.home().join(".cache/vault/ledger");
    let entries = std::fs::read_dir(ledgers).unwrap().map(|entry| entry.unwrap().path());
    let lock = entries.into_iter().find(|path| path.extension().is_some()).unwrap();
    std::fs::remove_file(&lock).unwrap();
    std::fs::create_dir(&lock).unwrap();
    let shown = lock.display().to_string().replace(&test.home().display().to_string(), "[HOME]");
    rotate(&test)
        .expect_error(
            9,
            &format!(
                "vault: error: cannot record the use of an MFA code in {shown}: is a directory\n\
                 vault: hint: no code was sent; repair that file or its disk, or name another \
                 directory with --cache-dir\n"
            ),
        )
        .run();
    assert_codes(&standin, 0);
    assert_works(&test, &standin);
    std::fs::remove_dir(&lock).unwrap();
    rotate(&test).run();
    assert_rotated(&test, &standin);
}

#[test]
fn codes_of_jobs_beside_it_are_not_sent_again() {
    let standin = demanding(false);
    let test = with_seed(&standin);
    std::thread::scope(|scope| {
        let job = scope.spawn(|| test.command(["exec", "--json", "--refresh", "ci"]).run());
        test.command(["totp", "code", MFA_SERIAL]).run();
        job.join().unwrap();
    });
    rotate(&test).expect_stderr("").run();
    assert_codes(&standin, 3);
    assert_rotated(&test, &standin);
}

#[test]
fn a_code_on_the_command_line_is_sent_once() {
    for outlive in [true, false] {
        let standin = demanding(outlive);
        let test = place(&standin).config(CONFIG);
        let code = standin.totp_now(MFA_SEED);
        let run = test.command(["rotate", "ci", "-t", &code]);
        if outlive {
            run.expect_stderr("").run();
        } else {
            // There is no second one: the new key is in use, and the old one inactive.
            run.expect_error(
                9,
                &format!(
                    "vault: error: no MFA code is available for {MFA_SERIAL}\n\
                     vault: hint: give a code with --mfa-token or on a terminal; or store the seed: vault \
             totp add arn:aws:iam::123456789012:mfa/demo, or for a new device vault mfa enroll \
             PROFILE; or set mfa_process\n"
                ),
            )
            .run();
            assert_codes(&standin, 1);
            assert_works(&test, &standin);
            standin.move_clock(30);
            let code = standin.totp_now(MFA_SEED);
            test.command(["rotate", "ci", "-t", &code]).run();
        }
        assert_rotated(&test, &standin);
    }
}

#[test]
fn a_program_that_prints_the_same_code_again_is_not_asked_twice() {
    let standin = demanding(false);
    let test = place(&standin);
    let code = standin.totp_now(MFA_SEED);
    let test = test.config(&format!("{CONFIG}mfa_process = echo {code}\n"));
    rotate(&test)
        .expect_error(
            9,
            "vault: error: the policies want one more MFA code for the new key\n\
             vault: hint: in half a minute, run vault rotate ci again\n",
        )
        .run();
    assert_codes(&standin, 1);
    assert_works(&test, &standin);
    standin.move_clock(30);
    let code = standin.totp_now(MFA_SEED);
    let test = test.config(&format!("{CONFIG}mfa_process = echo {code}\n"));
    rotate(&test).run();
    assert_rotated(&test, &standin);
}

#[test]
fn a_person_is_asked_only_on_a_terminal() {
    let standin = demanding(true);
    let test = place(&standin).config(CONFIG);
    let none = format!(
        "vault: error: no MFA code is available for {MFA_SERIAL}\n\
         vault: hint: give a code with --mfa-token or on a terminal; or store the seed: vault \
             totp add arn:aws:iam::123456789012:mfa/demo, or for a new device vault mfa enroll \
             PROFILE; or set mfa_process\n"
    );
    rotate(&test).expect_error(9, &none).run();
    assert!(!plaintext(&test).contains("journal"));
    assert_eq!(standin.keys()[0].id, ACCESS_KEY_ID);

    let run = rotate(&test);
    let (mut pty, pipes) = run.pty_with_pipes();
    pty.expect(&format!("Enter MFA code for {MFA_SERIAL}: "), Duration::from_secs(30));
    pty.send(&standin.totp_now(MFA_SEED));
    run.finish(pty, pipes);
    assert_codes(&standin, 1);
    assert_rotated(&test, &standin);
}

/// aws-vault's flag.
#[test]
fn without_a_session_no_code_is_spent() {
    let standin = demanding(true);
    let test = with_seed(&standin);
    let refused = test.command(["rotate", "-n", "ci"]).expect_status(9).expect_stdout("").run();
    let error = "vault: error: AWS refused ListAccessKeys: AccessDenied: ";
    assert!(refused.stderr.starts_with(error), "{}", refused.stderr);
    assert_codes(&standin, 0);
}
