//! TOTP seeds: stored, listed, printed as codes, removed, and tried at AWS.

use std::time::{Duration, SystemTime};

use crate::support::builder::Test;
use crate::support::standin::{Fault, StandIn, World, totp};
use crate::support::{MFA_SEED, MFA_SERIAL};

const SOON: Duration = Duration::from_secs(20);
const CONFIG: &str = "[profile ci]\nmfa_serial = arn:aws:iam::123456789012:mfa/demo\n\
                      [profile deploy]\nsource_profile = ci\nrole_arn = arn:aws:iam::123456789012:role/x\n";

fn ci() -> Test {
    Test::new().config(CONFIG).vault_with("ci")
}

fn add(test: &Test, device: &str, seed: &str) -> Test {
    test.command(["totp", "add", device, "--stdin"]).stdin(seed)
}

/// A code that is printed between two looks at the clock is one that AWS takes then; which, depends on
/// those that were claimed before.
fn printed_code(test: &Test, device: &str, seed: &str) -> bool {
    let standin = StandIn::demo();
    let before = totp::step(standin.now());
    let out = test.command(["totp", "code", device]).expect_stderr("").run().stdout;
    let after = totp::step(standin.now());
    (before - 2..=after + 2).any(|step| out == format!("{}\n", totp::code(seed, step)))
}

#[test]
fn a_seed_is_added_by_profile_and_its_codes_are_printed() {
    let test = ci();
    add(&test, "deploy", "gezd gnbv-gy3t qojq gezd gnbv gy3t qojq\n")
        .expect_stdout(format!("Added the seed of {MFA_SERIAL}\n"))
        .expect_stderr("")
        .run();
    for device in ["ci", "deploy", MFA_SERIAL] {
        assert!(printed_code(&test, device, MFA_SEED), "{device}");
    }
    // The same once more is no other.
    add(&test, MFA_SERIAL, MFA_SEED).run();
    test.command(["totp", "list"]).expect_stdout(format!("{MFA_SERIAL}  (ci)\n")).run();
    let json = test.command(["totp", "ls", "--json"]).run().stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let created = json["totp"][0]["created"].as_str().unwrap().to_owned();
    assert!(created.ends_with('Z') && created.len() == 20, "{created}");
    assert_eq!(
        json,
        serde_json::json!({ "totp": [{
            "serial": MFA_SERIAL, "algorithm": "SHA1", "digits": 6, "period": 30,
            "created": created, "profiles": ["ci"],
        }]})
    );
    test.command(["totp", "remove", "ci"])
        .expect_error(
            2,
            "vault: error: removing needs a confirmation, and there is no terminal to ask on\n\
             vault: hint: confirm it by -f\n",
        )
        .run();
    test.command(["totp", "rm", "-f", "ci"]).expect_stdout("Deleted the seed.\n").run();
    let gone = format!(
        "vault: error: no seed for {MFA_SERIAL} in the vault\nvault: hint: vault totp list\n"
    );
    test.command(["totp", "rm", "-f", "ci"]).expect_error(3, &gone).run();
    test.command(["totp", "rm", "ci"]).expect_error(3, &gone).run();
    test.command(["totp", "code", "ci"]).expect_error(3, &gone).run();
    test.command(["totp", "list"]).expect_stdout("").run();
}

/// A program that reads the code has no terminal on which the wait would be shown.
#[test]
fn a_wait_for_the_next_code_is_said_without_a_terminal() {
    let test = ci();
    add(&test, "ci", MFA_SEED).run();
    // AWS takes the next code five seconds after a step begins, which must not be soon.
    let since = (SystemTime::UNIX_EPOCH.elapsed().expect("the time").as_secs() + 25) % 30;
    std::thread::sleep(Duration::from_secs(if since > 23 { 7 } else { 0 }));
    // Five that AWS takes by now, and the next one's.
    let said: Vec<_> = (0..6).map(|_| test.command(["totp", "code", "ci"]).run().stderr).collect();
    let waits = said.iter().find(|said| !said.is_empty()).expect("a wait");
    let seconds = waits
        .strip_prefix("Waiting ")
        .and_then(|rest| rest.strip_suffix(" s for the next MFA code\n"));
    let seconds: u64 = seconds.and_then(|seconds| seconds.parse().ok()).expect(waits);
    assert!((3..=30).contains(&seconds), "{waits}");
}

#[test]
fn an_otpauth_uri_keeps_its_parameters() {
    let test = ci();
    let uri = format!("otpauth://totp/x?secret={MFA_SEED}&algorithm=SHA512&digits=8&period=60");
    add(&test, MFA_SERIAL, &uri)
        .expect_stderr(
            "vault: warning: AWS's virtual MFA devices use SHA1, 6 digits and 30 s; this seed differs\n",
        )
        .run();
    let code = test.command(["totp", "code", "ci"]).run().stdout;
    assert_eq!(code.len(), 9);
    let list = test.command(["totp", "list", "--json"]).run().stdout;
    assert!(list.contains("\"algorithm\":\"SHA512\"") && list.contains("\"period\":60"), "{list}");
}

#[test]
fn a_bad_seed_is_refused_and_not_echoed() {
    let test = ci();
    for seed in ["SECRETSEED0", "SECRETSEED!", "SECRETSEEDX", "otpauth://totp/SECRETSEED", "\u{ff}"]
    {
        let output = add(&test, "ci", seed).expect_status(2).expect_stdout("").run();
        assert!(!output.stderr.contains("SECRET"), "{}", output.stderr);
    }
    add(&test, "ci", "\n")
        .expect_error(
            2,
            "vault: error: the seed is not base32: it is empty\nvault: hint: give the \
             secret key that was shown beside the QR code, or the otpauth:// URI in it\n",
        )
        .run();
    let output = test.command(["totp", "add", "ci", "otpauth://totp/x?secret=SECRETSEED"]);
    let output = output.expect_status(2).run();
    assert!(output.stderr.contains("a secret on the command line"), "{}", output.stderr);
    assert!(!output.stderr.contains("SECRETSEED"));
    test.command(["totp", "list"]).expect_stdout("").run();
}

#[test]
fn a_short_seed_is_taken_with_a_warning() {
    let warning = "vault: warning: the seed has only 80 bits, RFC 4226 requires 128\n";
    let test = ci();
    add(&test, "ci", "JBSWY3DPEHPK3PXP").expect_stderr(warning).run();
    assert!(printed_code(&test, "ci", "JBSWY3DPEHPK3PXP"));
}

#[test]
fn another_seed_does_not_replace_one() {
    let test = ci();
    add(&test, "ci", MFA_SEED).run();
    add(&test, "ci", "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP")
        .expect_error(
            6,
            &format!(
                "vault: error: there is another seed for {MFA_SERIAL} in the vault\n\
                 vault: hint: if it is not needed any more: vault totp remove {MFA_SERIAL}\n"
            ),
        )
        .run();
    assert!(printed_code(&test, "ci", MFA_SEED));
}

#[test]
fn a_user_is_no_device() {
    let user = "arn:aws:iam::123456789012:user/me";
    let config = format!("[profile ci]\nmfa_serial = {user}\n");
    let test = Test::new().config(&config).vault_with("ci");
    for (device, by) in [(user, "DEVICE"), ("ci", "the mfa_serial of profile \"ci\"")] {
        let error = format!(
            "vault: error: {by} is not the ARN of an MFA device: {user}\n\
             vault: hint: it looks like arn:aws:iam::123456789012:mfa/NAME\n"
        );
        add(&test, device, MFA_SEED).expect_error(2, &error).run();
    }
}

#[test]
fn a_profile_without_a_device_is_distinguished_from_none() {
    let test = Test::new().config("[profile ci]\n").vault_with("ci");
    let hint = "vault: hint: name the device by its ARN, or write mfa_serial into the profile's \
                section\n";
    let error = format!("vault: error: profile \"ci\" names no MFA device\n{hint}");
    add(&test, "ci", MFA_SEED).expect_error(3, &error).run();
    let error = format!("vault: error: no profile \"nobody\"\n{hint}");
    test.command(["totp", "code", "nobody"]).expect_error(3, &error).run();
}

#[test]
fn a_seed_is_asked_for_without_echo() {
    let test = ci();
    let mut pty = test.command(["totp", "add", "ci"]).pty();
    pty.expect("Enter the secret key (seed) of", SOON);
    pty.send("gezdgnbvgy3tqojq gezdgnbvgy3tqojq");
    let (status, screen) = pty.end(SOON);
    assert_eq!(status, 0, "{screen}");
    assert!(!screen.contains("gezd"), "{screen}");
    assert!(printed_code(&test, "ci", MFA_SEED));

    let mut pty = test.command(["totp", "remove", "ci"]).pty();
    pty.expect("Delete the seed of", SOON);
    pty.send("n");
    assert_eq!(pty.end(SOON).0, 1);
    test.command(["totp", "add", "ci"])
        .expect_error(
            2,
            "vault: error: no seed given, and there is no terminal to ask on\n\
             vault: hint: pipe it into vault totp add DEVICE --stdin\n",
        )
        .run();
}

#[test]
fn verify_asks_aws_before_anything_is_stored() {
    let standin = StandIn::demo();
    let test = ci().standin(&standin);
    let verified = |device: &str, seed: &str| add(&test, device, seed).arg("--verify");
    verified("deploy", "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP")
        .expect_error(
            9,
            &format!(
                "vault: error: AWS refused the codes of this seed for {MFA_SERIAL}\n\
                 vault: hint: it is another device's seed, or was copied wrong; nothing was stored\n"
            ),
        )
        .run();
    test.command(["totp", "list"]).expect_stdout("").run();
    assert_eq!(standin.calls().len(), 3);

    verified("deploy", MFA_SEED).expect_stderr("").run();
    let calls = standin.calls();
    assert_eq!(calls.len(), 5);
    assert_eq!(calls[4].outcome, "ok");
    // By serial: the key is that of the profile that names the device.
    standin.fail_next(Fault::Internal);
    verified(MFA_SERIAL, MFA_SEED).run();
    verified("arn:aws:iam::123456789012:mfa/other", MFA_SEED)
        .expect_error(
            3,
            "vault: error: --verify: no profile with a key in the vault names this device\n\
             vault: hint: AWS takes a code only with the key of the device's user\n",
        )
        .run();
}

#[test]
fn verify_works_with_a_clock_that_is_off() {
    for skew in [-95, 95] {
        let standin = StandIn::start(World::demo());
        standin.move_clock(skew);
        let test = ci().standin(&standin);
        add(&test, "ci", MFA_SEED).arg("--verify").run();
        assert_eq!(standin.calls().len(), 2, "{}", standin.log());
    }
}
