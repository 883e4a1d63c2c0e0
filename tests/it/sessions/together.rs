//! Many processes at once: one makes the session, and nobody else waits without need.

use std::time::Duration;

use super::{json, quiet, sts, wait_for_calls};
use crate::support::MFA_SEED;
use crate::support::builder::{Output, Test};
use crate::support::scene::{self, code, log};
use crate::support::standin::{Fault, StandIn};

/// So many runs at once.
pub fn at_once(count: usize, run: impl Fn(usize) -> Test + Sync) -> Vec<Output> {
    std::thread::scope(|scope| {
        let run = &run;
        let threads: Vec<_> =
            (0..count).map(|number| scope.spawn(move || run(number).run())).collect();
        threads.into_iter().map(|thread| thread.join().expect("a run")).collect()
    })
}

#[test]
fn a_hundred_cold_starts_make_one_call() {
    let (standin, test) = scene::usual();
    let outputs = at_once(100, |_| json(&test, "role").expect_stderr(""));
    assert!(outputs.iter().all(|output| output.raw_stdout == outputs[0].raw_stdout));
    assert_eq!(
        log(&standin),
        "AssumeRole by key role=role/deploy name=vault-role duration=3600: ok\n"
    );
}

#[test]
fn a_hundred_cold_starts_with_mfa_send_one_code() {
    let (standin, test) = scene::usual();
    test.command(["totp", "add", "mfa", "--stdin"]).stdin(MFA_SEED).run();
    let outputs = at_once(100, |_| json(&test, "mfa-role").expect_stderr(""));
    assert!(outputs.iter().all(|output| output.raw_stdout == outputs[0].raw_stdout));
    assert_eq!(
        log(&standin),
        "GetSessionToken by key duration=28800 mfa=mfa/demo: ok\n\
         AssumeRole by session 1 role=role/deploy name=vault-mfa-role duration=3600: ok\n"
    );
}

#[test]
fn twenty_roles_of_one_device_send_one_code() {
    let standin = sts(20);
    let config: String = (0..20)
        .map(|number| {
            format!(
                "[profile p{number}]\nsource_profile = demo\n\
                 mfa_serial = arn:aws:iam::123456789012:mfa/demo\n\
                 role_arn = arn:aws:iam::123456789012:role/role-{number}\n"
            )
        })
        .collect();
    let test = scene::with(&standin, &config);
    test.command(["totp", "add", "p0", "--stdin"]).stdin(MFA_SEED).run();
    at_once(20, |number| json(&test, &format!("p{number}")).expect_stderr(""));
    let calls = standin.calls();
    assert!(calls.iter().all(|call| call.outcome == "ok"), "{}", log(&standin));
    assert_eq!(calls.iter().filter(|call| call.action == "GetSessionToken").count(), 1);
    assert_eq!(calls.iter().filter(|call| call.action == "AssumeRole").count(), 20);
}

/// One makes the session while five others wait for it; what he gets is good enough for all.
#[track_caller]
fn one_for_all(standin: &StandIn, run: &(impl Fn() -> Test + Sync)) -> Output {
    let before = standin.calls().len();
    standin.fail_next(Fault::Hang(Duration::from_secs(6)));
    let first = std::thread::scope(|scope| {
        let first = scope.spawn(|| run().run());
        wait_for_calls(standin, before + 1);
        let others = at_once(5, |_| run());
        let first = first.join().expect("a run");
        assert!(others.iter().all(|output| output.raw_stdout == first.raw_stdout));
        first
    });
    assert_eq!(standin.calls().len(), before + 1, "{}", log(standin));
    first
}

#[test]
fn a_wish_that_no_session_can_fulfil_makes_no_crowd() {
    let (standin, test) = scene::usual();
    let test = test.env("AWS_MIN_TTL", "2h");
    let first = one_for_all(&standin, &|| json(&test, "role").expect_stderr(""));
    // But who comes later asks again.
    assert_ne!(quiet(&test, "role").raw_stdout, first.raw_stdout);
    assert_eq!(standin.calls().len(), 2);
}

#[test]
fn simultaneous_refreshes_get_one_session() {
    let (standin, test) = scene::usual();
    let old = quiet(&test, "role");
    let refresh = || test.command(["exec", "--json", "--refresh", "role"]).expect_stderr("");
    let new = one_for_all(&standin, &refresh);
    assert_ne!(new.raw_stdout, old.raw_stdout);
    // But who comes later gets another.
    assert_ne!(refresh().run().raw_stdout, new.raw_stdout);
    assert_eq!(standin.calls().len(), 3);
}

#[test]
fn profiles_do_not_wait_for_each_other() {
    let (standin, test) = scene::usual();
    let test = test.config(
        &(scene::PROFILES.to_owned()
            + "[profile audit]\nsource_profile = demo\n\
               role_arn = arn:aws:iam::123456789012:role/audit\n"),
    );
    standin.fail_next(Fault::HangForever);
    // A call with a code is not tried again by the SDK.
    let mut stuck = json(&test, "mfa").args(["-t", &code(&standin)]).start();
    wait_for_calls(&standin, 1);
    for profile in ["audit", "demo", "role"] {
        quiet(&test, profile);
    }
    assert_eq!(standin.calls().len(), 4);
    assert!(stuck.try_wait().expect("its state").is_none(), "the first one still waits");
    stuck.kill().and_then(|()| stuck.wait()).expect("its end");
}

#[test]
#[ignore = "needs the AWS CLI (see .ci/run)"]
fn a_hundred_aws_clis_at_once_make_one_session() {
    let standin = sts(0);
    let vault = env!("CARGO_BIN_EXE_vault");
    let test = scene::with(
        &standin,
        &format!(
            "[profile caller]\ncredential_process = {vault} exec --json deploy\n\
             [profile deploy]\nsource_profile = demo\nrole_session_name = peers\n\
             role_arn = arn:aws:iam::123456789012:role/deploy\n"
        ),
    );
    let test =
        test.program("aws").env("AWS_PROFILE", "caller").env("AWS_DEFAULT_REGION", "us-east-1");
    at_once(100, |_| {
        test.command(["sts", "get-caller-identity", "--query", "Arn", "--output=text"])
            .expect_stdout("arn:aws:sts::123456789012:assumed-role/deploy/peers\n")
            .expect_stderr("")
    });
    let count = |action: &str| standin.calls().iter().filter(|call| call.action == action).count();
    assert_eq!((count("AssumeRole"), count("GetCallerIdentity")), (1, 100));
}
