//! MFA with nobody there: codes from a seed in the vault, each sent once. The stand-in's log is the
//! witness.

mod asked;
mod hosts;
mod ledger;
mod once;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::support::builder::Test;
use crate::support::diff::assert_same;
use crate::support::scene::{self, PROFILES, log};
use crate::support::standin::{Fault, Role, StandIn, User, World, totp};
use crate::support::{ACCESS_KEY_ID, MFA_SEED, MFA_SERIAL, SECRET_ACCESS_KEY};

const SOON: Duration = Duration::from_secs(20);
const SESSION: &str = "GetSessionToken by key duration=28800 mfa=mfa/demo: ok\n";

/// The demo user's key and seed in a vault, and these profiles.
fn with_seed(standin: &StandIn, config: &str) -> Test {
    let test = scene::with(standin, config);
    test.command(["totp", "add", MFA_SERIAL, "--stdin"]).stdin(MFA_SEED).run();
    test
}

fn usual() -> (StandIn, Test) {
    let standin = scene::sts();
    let test = with_seed(&standin, PROFILES);
    (standin, test)
}

fn json(test: &Test, profile: &str) -> Test {
    test.command(["exec", "--json", profile])
}

/// The steps whose codes were sent, in order. No step comes twice.
#[track_caller]
fn steps(standin: &StandIn) -> Vec<i64> {
    let calls = standin.calls();
    let steps: Vec<i64> = calls.iter().filter_map(|call| call.step).collect();
    let known = calls.iter().all(|call| call.code.is_none() || call.step.is_some());
    assert!(known, "a code of no step near\n{}", standin.log());
    let different: BTreeSet<_> = steps.iter().collect();
    assert_eq!(different.len(), steps.len(), "a code was sent twice: {steps:?}\n{}", standin.log());
    steps
}

// Where the code comes from.

#[test]
fn the_seed_gives_the_code_and_no_person_is_asked() {
    let (standin, test) = usual();
    let run = json(&test, "mfa").expect_stderr("");
    let (pty, pipes) = run.pty_with_pipes();
    let screen = pty.screen();
    run.finish(pty, pipes);
    assert_eq!(screen, "");
    // Nor where there is no terminal.
    json(&test, "mfa").arg("--refresh").expect_stderr("").run();
    assert_same("log", &SESSION.repeat(2), &log(&standin));
    assert_eq!(steps(&standin).len(), 2);
}

#[test]
fn the_flag_outranks_the_seed() {
    let (standin, test) = usual();
    let code = totp::code(MFA_SEED, totp::step(standin.now()) - 1);
    json(&test, "mfa").args(["--mfa-token", &code]).expect_stderr("").run();
    assert_eq!(standin.calls()[0].code.as_deref(), Some(code.as_str()));
    // A wrong one is no reason to take another.
    json(&test, "mfa").args(["--refresh", "--mfa-token", &code]).expect_status(9).run();
    assert_eq!(standin.calls().len(), 2);
}

#[test]
fn the_seed_outranks_the_mfa_process_which_is_not_run() {
    let standin = scene::sts();
    let config =
        format!("{PROFILES}[profile program]\ninclude_profile = mfa\nmfa_process = touch ~/ran\n");
    let test = with_seed(&standin, &config);
    json(&test, "program").expect_stderr("").run();
    assert_same("log", SESSION, &log(&standin));
    assert!(!test.home().join("ran").exists());
}

#[test]
fn the_seed_of_another_device_is_not_taken() {
    let standin = scene::sts();
    let config =
        format!("{PROFILES}[profile program]\ninclude_profile = mfa\nmfa_process = false\n");
    let test = scene::with(&standin, &config);
    let other = "arn:aws:iam::123456789012:mfa/other";
    test.command(["totp", "add", other, "--stdin"]).stdin(MFA_SEED).run();
    for profile in ["mfa", "program"] {
        json(&test, profile).expect_status(9).expect_stdout("").run();
    }
    assert_eq!(standin.connections(), 0);
}

#[test]
fn a_serial_that_only_a_source_names_is_used_if_its_seed_is_there() {
    let config = format!(
        "[profile demo]\nmfa_serial = {MFA_SERIAL}\n[profile deploy]\nsource_profile = demo\n\
         role_arn = arn:aws:iam::123456789012:role/deploy\n"
    );
    let role = |by| format!("AssumeRole by {by} role=role/deploy name=vault-deploy duration=3600");
    let standin = scene::sts();
    let test = scene::with(&standin, &config);
    json(&test, "deploy").run();
    assert_same("without", &format!("{}: ok\n", role("key")), &log(&standin));

    let standin = scene::sts();
    let test = with_seed(&standin, &config);
    json(&test, "deploy").expect_stderr("").run();
    assert_same("with", &format!("{SESSION}{}: ok\n", role("session 1")), &log(&standin));
}

#[test]
fn a_device_that_was_just_enrolled_gives_codes_at_once() {
    let world = World::empty().user(User::new("robot").key(ACCESS_KEY_ID, SECRET_ACCESS_KEY));
    let standin = StandIn::start(world);
    let test = Test::new().config("[profile ci]\n").vault_with("ci").standin(&standin);
    let test = test.env("AWS_ENDPOINT_URL_IAM", standin.endpoint());
    test.command(["mfa", "enroll", "ci"]).run();
    let before = standin.calls().len();
    test.command(["exec", "ci", "--", "true"]).expect_stderr("").run();
    let calls = standin.calls();
    assert_eq!(calls.len(), before + 1, "{}", standin.log());
    assert_eq!(calls[before].outcome, "ok");
    // Neither the two that enabled the device nor the one that proved it.
    let steps = steps(&standin);
    assert!(!steps.contains(&(steps[0] + 1)), "{steps:?}");
}

#[test]
fn without_a_session_the_first_role_gets_the_code() {
    let (standin, test) = usual();
    json(&test, "mfa-hops").args(["--no-session", "--duration", "1h"]).expect_stderr("").run();
    assert_same(
        "log",
        "AssumeRole by key role=role/deploy name=vault-mfa-role duration=3600 mfa=mfa/demo: ok\n\
         AssumeRole by session 1 role=role/audit name=vault-mfa-hops duration=3600: ok\n",
        &log(&standin),
    );
}

// Jobs that share a cache.

/// `count` roles and a profile for each, with these lines in it.
fn roles(count: usize, lines: &str) -> (StandIn, Test) {
    let names = (0..count).map(|n| format!("r{n}"));
    let world = names.clone().fold(World::demo(), |world, name| {
        world.role(Role::new(&name).max_duration(7200).requires_mfa())
    });
    let standin = StandIn::start(world);
    let profiles: String = names
        .map(|name| {
            format!(
                "[profile {name}]\nsource_profile = demo\nmfa_serial = {MFA_SERIAL}\n\
                 role_arn = arn:aws:iam::123456789012:role/{name}\n{lines}\n"
            )
        })
        .collect();
    let test = with_seed(&standin, &profiles);
    (standin, test)
}

/// All of them at once.
fn all_at_once(test: &Test, count: usize) {
    std::thread::scope(|scope| {
        for n in 0..count {
            scope.spawn(move || json(test, &format!("r{n}")).expect_stderr("").run());
        }
    });
}

fn count(standin: &StandIn, action: &str) -> usize {
    standin.calls().iter().filter(|call| call.action == action).count()
}

#[test]
fn long_roles_of_one_device_at_once_get_a_code_each() {
    let (standin, test) = roles(2, "duration_seconds = 7200");
    all_at_once(&test, 2);
    assert_eq!(steps(&standin).len(), 2);
    assert_eq!(standin.calls().len(), 2, "{}", standin.log());
}

#[test]
fn twenty_roles_of_one_device_at_once_need_one_code() {
    let (standin, test) = roles(20, "");
    all_at_once(&test, 20);
    assert_eq!(steps(&standin).len(), 1);
    assert_eq!((count(&standin, "GetSessionToken"), count(&standin, "AssumeRole")), (1, 20));
}

#[test]
fn a_step_that_a_killed_process_claimed_is_not_used_again() {
    let (standin, test) = usual();
    standin.fail_next(Fault::HangForever);
    let mut killed = json(&test, "mfa").start();
    let deadline = Instant::now() + SOON;
    while standin.calls().is_empty() {
        assert!(Instant::now() < deadline, "no call came");
        std::thread::sleep(Duration::from_millis(5));
    }
    killed.kill().unwrap();
    killed.wait().unwrap();
    json(&test, "mfa").expect_stderr("").run();
    assert_eq!(steps(&standin).len(), 2);
    assert_eq!(standin.calls()[1].outcome, "ok");
}

#[test]
fn a_code_that_was_printed_is_not_sent() {
    let (standin, test) = usual();
    let printed: Vec<String> = (0..2)
        .map(|_| test.command(["totp", "code", "mfa"]).run().stdout.trim().to_owned())
        .collect();
    assert_ne!(printed[0], printed[1]);
    json(&test, "mfa").expect_stderr("").run();
    let calls = standin.calls();
    assert_eq!(calls.len(), 1, "{}", standin.log());
    assert!(!printed.contains(calls[0].code.as_ref().unwrap()));
    // A person types what was printed: AWS takes it.
    for code in &printed {
        json(&test, "mfa").args(["--refresh", "--mfa-token", code]).run();
    }
}

// What goes wrong on the way.

#[test]
fn after_a_call_that_failed_or_was_lost_another_code_is_sent() {
    std::thread::scope(|scope| {
        for fault in [
            Fault::DropAfter,
            Fault::DropBefore,
            Fault::SlowDown,
            Fault::Throttling,
            Fault::Internal,
        ] {
            scope.spawn(move || {
                let (standin, test) = usual();
                standin.fail_next(fault);
                json(&test, "mfa").expect_stderr("").run();
                assert_eq!(steps(&standin).len(), 2, "{fault:?}");
                assert_eq!(standin.calls()[1].outcome, "ok");
            });
        }
    });
}

#[test]
fn a_network_that_is_down_uses_up_no_codes() {
    let (standin, test) = usual();
    let down = test.clone().env("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:1");
    for _ in 0..8 {
        json(&down, "mfa")
            .expect_error(9, "vault: error: 127.0.0.1:1 refused the connection\n")
            .run();
    }
    let start = Instant::now();
    json(&test, "mfa").expect_stderr("").run();
    assert!(start.elapsed() < SOON, "it waited for a code");
    assert_eq!(steps(&standin).len(), 1);
}

#[test]
fn three_codes_are_sent_and_no_more() {
    let throttled = "vault: error: AWS is throttling requests (SlowDown)\n\
                     vault: hint: wait a while, or let fewer jobs ask at once\n";
    let lost = "vault: error: 127.0.0.1:[PORT] closed the connection before the response was complete\n\
                vault: hint: try again\n";
    for (fault, stderr) in [(Fault::SlowDown, throttled), (Fault::DropAfter, lost)] {
        let (standin, test) = usual();
        standin.fail_always(Some(fault));
        // In that time they are of the steps that AWS takes now.
        let start = Instant::now();
        json(&test, "mfa").expect_error(9, stderr).run();
        assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
        assert_eq!(steps(&standin).len(), 3, "{fault:?}");
        standin.fail_always(None);
        let after = json(&test, "mfa").run();
        assert_eq!(after.stderr, "");
        assert_eq!(steps(&standin).len(), 4, "{fault:?}");
    }
}

#[test]
fn a_device_that_aws_cannot_validate_is_asked_once() {
    let standin = scene::sts();
    let other = "arn:aws:iam::123456789012:mfa/other";
    let test = scene::with(&standin, PROFILES).env("AWS_MFA_SERIAL", other);
    test.command(["totp", "add", other, "--stdin"]).stdin(MFA_SEED).run();
    json(&test, "mfa")
        .expect_error(
            9,
            "vault: error: AWS cannot validate an MFA code for this device\n\
             vault: hint: check mfa_serial; if it is right, the device was asked too often: wait \
             three minutes\n",
        )
        .run();
    assert_eq!(standin.calls().len(), 1);
}

#[test]
#[ignore = "takes up to 45 s"]
fn a_wrong_seed_is_tried_three_times_and_told_apart() {
    let standin = scene::sts();
    let test = scene::with(&standin, PROFILES);
    let seed = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP";
    test.command(["totp", "add", MFA_SERIAL, "--stdin"]).stdin(seed).run();
    json(&test, "mfa")
        .expect_error(
            9,
            "vault: error: AWS refused the MFA codes of the device's seed\n\
             vault: hint: other hosts use this device at the same time: try again in three minutes; \
             or the seed is another device's\n",
        )
        .run();
    let codes: BTreeSet<_> = standin.calls().into_iter().filter_map(|call| call.code).collect();
    assert_eq!((standin.calls().len(), codes.len()), (3, 3));
}

#[test]
fn with_a_clock_that_is_95_s_off_it_works_with_one_warning() {
    std::thread::scope(|scope| {
        for (seconds, way) in [(95, "behind"), (-95, "ahead of")] {
            scope.spawn(move || {
                let (standin, test) = usual();
                standin.move_clock(seconds);
                let output = json(&test, "mfa").run();
                // A second may pass between the two readings of the clock.
                let said = output.stderr.replace("94 s", "95 s").replace("96 s", "95 s");
                let stderr = format!("vault: warning: this machine's clock is 95 s {way} AWS's\n");
                assert_same("stderr", &stderr, &said);
                assert!((1..=2).contains(&steps(&standin).len()), "{}", standin.log());
                assert_eq!(standin.calls().last().unwrap().outcome, "ok");
            });
        }
    });
}

#[test]
fn with_a_clock_that_is_ten_minutes_off_aws_refuses_the_signature() {
    for (seconds, way) in [(600, "behind"), (-600, "ahead of")] {
        let (standin, test) = usual();
        standin.move_clock(seconds);
        let output = json(&test, "mfa").expect_status(9).expect_stdout("").run();
        let stderr = format!(
            "vault: error: AWS refused the signature (key AKIAIOSFODNN7EXAMPLE of profile demo)\n\
             vault: hint: this machine's clock is 600 s {way} AWS's\n"
        );
        assert_same(
            "stderr",
            &stderr,
            &output.stderr.replace("599 s", "600 s").replace("601 s", "600 s"),
        );
        assert_eq!(standin.calls().len(), 1);
    }
}

#[test]
#[ignore = "takes 30 s, or 120 s at the end of a window"]
fn when_the_codes_of_three_minutes_are_used_up_it_says_when_to_come_again() {
    let (standin, test) = roles(3, "duration_seconds = 7200");
    let mut last = None;
    // Six in a window; where one ends meanwhile, a few of the next come on top.
    for n in 0..12 {
        let output = json(&test, &format!("r{}", n % 3)).arg("--refresh").any_status().run();
        if output.status != 0 {
            last = Some(output);
            break;
        }
    }
    let last = last.expect("a budget");
    assert_eq!((last.status, last.stdout.as_str()), (9, ""));
    let text = "vault: error: all MFA codes of device arn:aws:iam::123456789012:mfa/demo are used up; \
                try again at ";
    assert!(last.stderr.starts_with(text), "{}", last.stderr);
    let time = &last.stderr[text.len()..];
    let time = time.split_once(" UTC\nvault: hint: ").unwrap().0;
    let numbers: Vec<i64> = time.split(':').map(|part| part.parse().unwrap()).collect();
    let at = (numbers[0] * 60 + numbers[1]) * 60 + numbers[2];
    let wait = (at - standin.now()).rem_euclid(86_400);
    assert!((30..=190).contains(&wait), "{time}: in {wait} s");

    let sent = steps(&standin).len();
    assert!((6..=9).contains(&sent), "{}", standin.log());
    assert!(standin.calls().iter().all(|call| call.outcome == "ok"), "{}", standin.log());
    // Nothing is sent, and what prints codes has none either.
    test.command(["totp", "code", "r0"]).expect_status(9).expect_stdout("").run();
    json(&test, "r1").arg("--refresh").expect_status(9).run();
    assert_eq!(standin.calls().len(), sent);
    // The sessions from before are served.
    json(&test, "r1").expect_stderr("").run();
}
