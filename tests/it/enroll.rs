//! `mfa enroll`: a new device from nothing to proof, and from wherever an earlier run stopped.

use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use vault::sealed::{self, PassphrasePolicy};
use vault::secret::Secret;

use crate::support::builder::Test;
use crate::support::standin::{Device, Fault, StandIn, User, World, totp};
use crate::support::{ACCESS_KEY_ID, AGE_KEY, MFA_SEED, SECRET_ACCESS_KEY};

const SERIAL: &str = "arn:aws:iam::123456789012:mfa/robot";
/// Nothing takes so long: a call that hangs for this time hangs until the test ends.
const FOREVER: Duration = Duration::from_secs(3600);

/// An account with one user, who has a key and no device.
pub fn world() -> World {
    World::empty().user(User::new("robot").key(ACCESS_KEY_ID, SECRET_ACCESS_KEY))
}

pub fn place(standin: &StandIn) -> Test {
    let test = Test::new().config("[profile ci]\noutput = json\n").vault_with("ci");
    test.standin(standin).env("AWS_ENDPOINT_URL_IAM", standin.endpoint())
}

fn enroll(test: &Test) -> Test {
    test.command(["mfa", "enroll", "ci"])
}

/// What the vault holds.
fn plaintext(test: &Test) -> String {
    let file = std::fs::read(test.vault_file()).unwrap();
    let scanned = sealed::scan(&file).unwrap();
    let identities = sealed::parse_identities(&Secret::new(AGE_KEY.to_owned()), "key").unwrap();
    let opened =
        sealed::open(&scanned, &identities, &[], PassphrasePolicy::default_limits()).unwrap();
    String::from_utf8(opened.plaintext.to_vec()).unwrap()
}

/// The device is enabled, its seed in the vault, the journal empty, the profile changed; and no code
/// was sent twice by one run, nor one of those that enabled it.
#[track_caller]
fn assert_enrolled(test: &Test, standin: &StandIn) {
    let devices = standin.devices();
    assert_eq!(devices.len(), 1, "{}", standin.log());
    let device = &devices[0];
    assert_eq!((device.serial.as_str(), device.user.as_deref()), (SERIAL, Some("robot")));
    let vault = plaintext(test);
    assert!(vault.contains(&device.seed), "another seed was kept");
    assert!(!vault.contains("journal"), "the journal was kept");
    let config = String::from_utf8(test.read(".aws/config")).unwrap();
    assert_eq!(config, format!("[profile ci]\noutput = json\nmfa_serial = {SERIAL}\n"));
    assert_eq!(standin.calls().last().unwrap().outcome, "ok");
}

#[test]
fn a_device_is_made_kept_enabled_and_proven() {
    let standin = StandIn::start(world());
    let test = place(&standin);
    enroll(&test)
        .expect_stdout(format!("{SERIAL}\n"))
        .expect_stderr(
            "Enabled and proven for the user robot; profile \"ci\" names it from now on\n",
        )
        .run();
    assert_eq!(
        standin.log(),
        format!(
            "GetCallerIdentity by {ACCESS_KEY_ID} in us-east-1: ok\n\
             CreateVirtualMFADevice by {ACCESS_KEY_ID} in us-east-1 device=robot: ok\n\
             EnableMFADevice by {ACCESS_KEY_ID} in us-east-1 user=robot mfa={SERIAL}: ok\n\
             GetSessionToken by {ACCESS_KEY_ID} in us-east-1 duration=900 mfa={SERIAL}: ok\n"
        )
    );
    assert_enrolled(&test, &standin);
    let calls = standin.calls();
    let (enabling, proving) = (calls[2].step.unwrap(), calls[3].step.unwrap());
    assert!(proving > enabling + 1, "{enabling} {proving}");
    let code = test.command(["totp", "code", "ci"]).run().stdout;
    let seed = &standin.devices()[0].seed;
    let step = totp::step(standin.now());
    assert!((step - 2..=step + 2).any(|step| totp::code(seed, step) == code.trim()));
}

#[test]
fn a_run_that_was_killed_is_brought_to_its_end_by_the_next() {
    // Killed while a call hangs that AWS has not seen, and while one hangs that it has carried out.
    for (at, fault) in (0..4).flat_map(|at| [(at, Fault::HangForever), (at, Fault::Hang(FOREVER))])
    {
        let standin = StandIn::start(world());
        let test = place(&standin);
        standin.pass_next(at);
        standin.fail_next(fault);
        let mut child = enroll(&test).start();
        await_calls(&standin, at + 1);
        child.kill().unwrap();
        child.wait().unwrap();
        if at == 2 && fault == Fault::HangForever {
            let vault = plaintext(&test);
            assert!(vault.contains(&standin.devices()[0].seed), "enabled before it was kept");
        }
        enroll(&test).expect_stdout(format!("{SERIAL}\n")).run();
        assert_enrolled(&test, &standin);
    }
}

/// Waits until the stand-in has seen so many calls.
fn await_calls(standin: &StandIn, count: usize) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while standin.calls().len() < count {
        assert!(Instant::now() < deadline, "{}", standin.log());
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_device_whose_seed_cannot_be_saved_is_deleted() {
    let standin = StandIn::start(world());
    let test = place(&standin);
    standin.pass_next(1);
    standin.fail_next(Fault::Hang(Duration::from_secs(2)));
    let dir = test.vault_file().parent().unwrap().to_owned();
    let mode = |mode| std::fs::set_permissions(&dir, PermissionsExt::from_mode(mode)).unwrap();
    std::thread::scope(|scope| {
        let run = scope.spawn(|| enroll(&test).expect_status(6).run());
        await_calls(&standin, 2);
        mode(0o777);
        run.join().unwrap();
    });
    mode(0o700);
    assert!(standin.devices().is_empty(), "{}", standin.log());
    enroll(&test).run();
    assert_enrolled(&test, &standin);
}

#[test]
fn of_two_runs_at_once_one_gives_way() {
    let standin = StandIn::start(world());
    let test = place(&standin);
    standin.pass_next(1);
    standin.fail_next(Fault::Hang(Duration::from_secs(8)));
    std::thread::scope(|scope| {
        let error = "vault: error: another process has taken over this enrolment\n";
        let slow = scope.spawn(|| enroll(&test).expect_error(8, error).run());
        await_calls(&standin, 2);
        enroll(&test).run();
        slow.join().unwrap();
    });
    assert_enrolled(&test, &standin);
}

#[test]
fn a_lost_answer_is_made_good_in_the_same_run() {
    for (at, fault) in [
        (1, Fault::DropAfter),
        (1, Fault::Internal),
        (1, Fault::Throttling),
        (2, Fault::DropAfter),
        (2, Fault::DropBefore),
        (2, Fault::SlowDown),
    ] {
        let standin = StandIn::start(world());
        let test = place(&standin);
        standin.pass_next(at);
        standin.fail_next(fault);
        enroll(&test).expect_stdout(format!("{SERIAL}\n")).run();
        assert_enrolled(&test, &standin);
    }
}

#[test]
fn a_device_that_takes_its_time_to_reach_sts_is_waited_for() {
    let standin = StandIn::start(world());
    standin.change(|world| world.reach = 5);
    let test = place(&standin);
    enroll(&test).run();
    assert_enrolled(&test, &standin);
    let sent: Vec<_> = standin.calls()[3..].iter().map(|call| call.step).collect();
    assert_eq!(sent.len(), 2, "{}", standin.log());
    assert_ne!(sent[0], sent[1]);
}

#[test]
fn a_proof_that_is_refused_is_given_by_the_next_run() {
    let standin = StandIn::start(world());
    let test = place(&standin);
    standin.pass_next(3);
    standin.fail_next(Fault::AccessDenied);
    enroll(&test)
        .expect_error(
            9,
            &format!(
                "vault: error: AWS refused GetSessionToken: AccessDenied: Access denied by an explicit \
                 deny in an identity-based policy (key {ACCESS_KEY_ID} of profile ci)\n\
                 vault: hint: run the same command again: it continues where this run stopped\n"
            ),
        )
        .run();
    enroll(&test).run();
    assert_enrolled(&test, &standin);
}

#[test]
fn another_users_device_is_left_alone() {
    let standin = StandIn::start(world());
    let foreign = Device {
        serial: SERIAL.to_owned(),
        seed: MFA_SEED.to_owned(),
        user: None,
        reaches_sts: i64::MAX,
    };
    standin.change(|world| world.devices.push(foreign.clone()));
    let test = place(&standin);
    let error = format!(
        "vault: error: there is a device \"robot\" at AWS, and its seed is not in the vault\n\
         vault: hint: choose another name with --device, or, if it is not in use: aws iam \
         delete-virtual-mfa-device --serial-number {SERIAL}\n"
    );
    for _ in 0..2 {
        enroll(&test).expect_error(6, &error).run();
        assert_eq!(standin.devices(), std::slice::from_ref(&foreign));
        assert!(!plaintext(&test).contains("journal"));
    }
    // One whose seed somebody has added is only enabled.
    test.command(["totp", "add", SERIAL, "--stdin"]).stdin(MFA_SEED).run();
    enroll(&test).run();
    assert_enrolled(&test, &standin);
    assert!(!standin.log().contains("DeleteVirtualMFADevice"));
}

#[test]
fn a_seed_without_a_device_is_an_error_with_the_remedy() {
    let standin = StandIn::start(world());
    let test = place(&standin);
    test.command(["totp", "add", SERIAL, "--stdin"]).stdin(MFA_SEED).run();
    let error = format!(
        "vault: error: AWS has no device {SERIAL}; the vault has a seed for it\n\
         vault: hint: run vault totp remove {SERIAL}, then enroll again\n"
    );
    enroll(&test).expect_error(9, &error).run();
    test.command(["totp", "remove", "-f", SERIAL]).run();
    enroll(&test).run();
    assert_enrolled(&test, &standin);
}

#[test]
fn what_aws_refuses_leaves_nothing_behind() {
    let standin = StandIn::start(world());
    standin.change(|world| world.denied.push("CreateVirtualMFADevice".to_owned()));
    let test = place(&standin);
    let output = enroll(&test).expect_status(9).expect_stdout("").run();
    let end = format!(
        " (key {ACCESS_KEY_ID} of profile ci)\n\
         vault: hint: the user must be allowed to create and enable its own MFA device; if it has one \
         already, many policies want a session made with that\n"
    );
    assert!(output.stderr.ends_with(&end), "{}", output.stderr);
    assert!(!plaintext(&test).contains("journal"));
    assert!(standin.devices().is_empty());

    // Refused later, it is finished later.
    standin.change(|world| world.denied = vec!["EnableMFADevice".to_owned()]);
    enroll(&test).expect_status(9).run();
    assert!(plaintext(&test).contains("journal"));
    standin.change(|world| world.denied.clear());
    enroll(&test).run();
    assert_enrolled(&test, &standin);
}

#[test]
fn the_device_can_have_another_name_and_the_region_does_not_matter() {
    let standin = StandIn::start(world().any_region());
    let config = "[profile ci]\nmfa_serial = arn:aws:iam::123456789012:mfa/phone\n";
    let test = Test::new().config(config).vault_with("ci");
    let test = test.standin(&standin).env("AWS_ENDPOINT_URL", standin.endpoint());
    let test = test.env("AWS_REGION", "eu-central-1");
    test.command(["mfa", "enroll", "ci", "--device", "runner-1"])
        .expect_stdout("arn:aws:iam::123456789012:mfa/runner-1\n")
        .expect_stderr(
            "Profile \"ci\" named the device arn:aws:iam::123456789012:mfa/phone until now\n\
             Enabled and proven for the user robot; profile \"ci\" names it from now on\n",
        )
        .run();
    let regions: Vec<_> = standin.calls().into_iter().map(|call| call.region).collect();
    assert_eq!(regions, ["eu-central-1", "us-east-1", "us-east-1", "eu-central-1"]);
    test.command(["mfa", "enroll", "ci", "--device", "a b"]).expect_status(2).run();
}

#[test]
fn a_clock_that_is_off_is_no_hindrance() {
    for skew in [-95, 95] {
        let standin = StandIn::start(world());
        standin.move_clock(skew);
        let test = place(&standin);
        enroll(&test).run();
        assert_enrolled(&test, &standin);
        assert_eq!(standin.calls().len(), 4, "{}", standin.log());
    }
}

#[test]
fn only_a_profile_with_a_key_can_be_enrolled() {
    let standin = StandIn::start(world());
    let test = place(&standin);
    test.command(["mfa", "enroll", "nobody"])
        .expect_error(
            3,
            "vault: error: no key for profile \"nobody\" in the vault\n\
             vault: hint: an MFA device belongs to a key's user: name the profile that has the key\n",
        )
        .run();
    assert!(standin.calls().is_empty());
}
