//! One code, one session: it serves every region, every role, and whoever asks for no more than the
//! length that it was made with.

use super::{json, steps, usual, with_seed};
use crate::sessions::together::at_once;
use crate::support::builder::Test;
use crate::support::diff::assert_same;
use crate::support::scene::{self, code, log};
use crate::support::standin::{Role, StandIn, World, totp};
use crate::support::{MFA_SEED, MFA_SERIAL};

const NO_CODE: &str = "vault: error: no MFA code is available for arn:aws:iam::123456789012:mfa/demo\n\
                       vault: hint: give a code with --mfa-token or on a terminal; or store the \
                           seed: vault totp add arn:aws:iam::123456789012:mfa/demo, or for a new \
                           device vault mfa enroll PROFILE; or set mfa_process\n";

/// Profiles of two regions, and one of the key itself, which aws-vault gives an hour and not eight.
const REGIONS: &str = "\
[profile demo]
mfa_serial = arn:aws:iam::123456789012:mfa/demo

[profile base]
source_profile = demo
mfa_serial = arn:aws:iam::123456789012:mfa/demo

[profile prod-eu]
region = eu-central-1
source_profile = demo
mfa_serial = arn:aws:iam::123456789012:mfa/demo
role_arn = arn:aws:iam::123456789012:role/deploy

[profile prod-us]
region = us-west-2
source_profile = demo
mfa_serial = arn:aws:iam::123456789012:mfa/demo
role_arn = arn:aws:iam::123456789012:role/audit
";

fn any_region() -> StandIn {
    let world = World::demo().role(Role::new("deploy").requires_mfa());
    StandIn::start(world.role(Role::new("audit").requires_mfa()).any_region())
}

/// A code so many steps from the present one.
fn another(standin: &StandIn, steps: i64) -> String {
    totp::code(MFA_SEED, totp::step(standin.now()) + steps)
}

fn asks(test: &Test, duration: &str) -> Test {
    json(test, "mfa").args(["-d", duration]).expect_stderr("")
}

#[test]
fn one_code_serves_all_regions() {
    let standin = any_region();
    let test = scene::with(&standin, REGIONS).env_remove("AWS_REGION");
    json(&test, "prod-eu").args(["-t", &code(&standin)]).expect_stderr("").run();
    json(&test, "prod-us").expect_stderr("").run();
    json(&test, "base").args(["--region", "ap-south-1"]).expect_stderr("").run();
    assert_same(
        "log",
        "GetSessionToken by key in eu-central-1 duration=28800 mfa=mfa/demo: ok\n\
         AssumeRole by session 1 in eu-central-1 role=role/deploy name=vault-prod-eu duration=3600: ok\n\
         AssumeRole by session 1 in us-west-2 role=role/audit name=vault-prod-us duration=3600: ok\n",
        &log(&standin),
    );
}

#[test]
fn a_base_and_its_roles_have_one_session_whichever_comes_first() {
    for first in ["demo", "base", "prod-us"] {
        let standin = any_region();
        let test = scene::with(&standin, REGIONS).env_remove("AWS_REGION");
        // The same code on every command line, as a person gives it.
        let code = code(&standin);
        let run = |profile: &str| json(&test, profile).args(["-t", &code]).expect_stderr("").run();
        run(first);
        for profile in ["demo", "base", "prod-eu", "prod-us"] {
            run(profile);
        }
        assert_eq!(steps(&standin).len(), 1, "{first} first:\n{}", log(&standin));
    }
}

#[test]
fn a_device_that_only_the_source_names_is_used_while_it_has_a_session() {
    let world = World::demo().role(Role::new("deploy").requires_mfa());
    let standin = StandIn::start(world.role(Role::new("audit")));
    let role = "source_profile = demo\nrole_arn = arn:aws:iam::123456789012:role";
    let config = format!(
        "[profile demo]\nmfa_serial = {MFA_SERIAL}\n\
         [profile deploy]\n{role}/deploy\n[profile audit]\n{role}/audit\n"
    );
    let test = scene::with(&standin, &config);
    json(&test, "audit").expect_stderr("").run();
    json(&test, "deploy").expect_status(9).run();
    json(&test, "demo").args(["-t", &code(&standin)]).expect_stderr("").run();
    let given = json(&test, "deploy").expect_stderr("").run().raw_stdout;
    assert_eq!(json(&test, "deploy").expect_stderr("").run().raw_stdout, given);
    let plan = test.command(["explain", "deploy"]).run().stdout;
    assert!(!plan.contains("no MFA") && plan.contains("GetSessionToken"), "{plan}");
    // A server says that only a person can give the code of the next session.
    let warning = format!(
        "vault: warning: the codes of {MFA_SERIAL} come from a person, so the credentials of \
         profile deploy end with their MFA session\n"
    );
    test.command(["exec", "--server", "deploy", "--", "true"]).expect_stderr(warning).run();
    // Nobody is asked where a new session would be wanted.
    json(&test, "audit").arg("--refresh").expect_stderr("").run();
    test.command(["exec", "-n", "--json", "audit"]).expect_stderr("").run();
    assert_same(
        "log",
        "AssumeRole by key role=role/audit name=vault-audit duration=3600: ok\n\
         AssumeRole by key role=role/deploy name=vault-deploy duration=3600: AccessDenied: User: \
         user/demo is not authorized to perform: sts:AssumeRole on resource: role/deploy\n\
         GetSessionToken by key duration=3600 mfa=mfa/demo: ok\n\
         AssumeRole by session 2 role=role/deploy name=vault-deploy duration=3600: ok\n\
         AssumeRole by key role=role/audit name=vault-audit duration=3600: ok\n",
        &log(&standin),
    );
}

#[test]
fn a_longer_session_that_is_asked_for_is_made_and_serves_all() {
    let (standin, test) = scene::usual();
    let two = asks(&test, "2h").args(["-t", &another(&standin, -1)]).run().raw_stdout;
    for duration in ["2h", "15m"] {
        assert_eq!(asks(&test, duration).run().raw_stdout, two);
    }
    json(&test, "mfa").args(["-d", "3h"]).expect_error(9, NO_CODE).run();
    let variable = test.clone().env("AWS_CHAINED_SESSION_TOKEN_TTL", "3h");
    json(&variable, "mfa-role").expect_error(9, NO_CODE).run();
    // Nobody lost the one there is.
    assert_eq!(asks(&test, "2h").run().raw_stdout, two);
    let three = json(&variable, "mfa").args(["-t", &code(&standin)]).expect_stderr("").run();
    assert_ne!(three.raw_stdout, two);
    for duration in ["3h", "2h"] {
        assert_eq!(asks(&test, duration).run().raw_stdout, three.raw_stdout);
    }
    json(&test, "mfa-role").expect_stderr("").run();
    // Who refreshes it does not shorten it.
    let args = ["--refresh", "-t", &another(&standin, 1)];
    let again = asks(&test, "1h").args(args).run().raw_stdout;
    assert_ne!(again, three.raw_stdout);
    assert_eq!(asks(&test, "3h").run().raw_stdout, again);
    assert_same(
        "log",
        "GetSessionToken by key duration=7200 mfa=mfa/demo: ok\n\
         GetSessionToken by key duration=10800 mfa=mfa/demo: ok\n\
         AssumeRole by session 2 role=role/deploy name=vault-mfa-role duration=3600: ok\n\
         GetSessionToken by key duration=10800 mfa=mfa/demo: ok\n",
        &log(&standin),
    );
    // One session, and the role.
    let listed = test.command(["list", "--sessions"]).expect_stderr("").run().stdout;
    assert_eq!(listed.lines().count(), 2, "{listed}");
    test.command(["clear", "mfa"]).expect_stdout("Cleared 1 sessions.\n").run();
}

#[test]
fn renewing_keeps_the_longer_length() {
    let (standin, test) = usual();
    asks(&test, "3h").run();
    asks(&test.clone().env("AWS_MIN_TTL", "4h"), "1h").run();
    let duration = "GetSessionToken by key duration=10800 mfa=mfa/demo: ok\n";
    assert_same("log", &duration.repeat(2), &log(&standin));
}

#[test]
fn jobs_that_want_two_lengths_at_once_send_two_codes_at_most() {
    let (standin, test) = usual();
    let lengths = ["1h", "3h"];
    let given = at_once(24, |number| asks(&test, lengths[number % 2]));
    assert!((1..=2).contains(&steps(&standin).len()), "{}", log(&standin));
    let last = asks(&test, "1h").run().raw_stdout;
    for (number, output) in given.iter().enumerate().filter(|(number, _)| number % 2 == 1) {
        assert_eq!(output.raw_stdout, last, "{number}");
    }
    assert!(log(&standin).contains("duration=10800"), "{}", log(&standin));
}

#[test]
fn a_role_with_a_code_of_its_own_keeps_its_duration() {
    let (standin, test) = usual();
    for (duration, count) in [("2h", 1), ("3h", 2), ("2h", 2)] {
        json(&test, "mfa-role").args(["-d", duration]).expect_stderr("").run();
        assert_eq!(steps(&standin).len(), count, "{}", log(&standin));
    }
}

#[test]
fn a_damaged_session_is_made_again() {
    let standin = scene::sts();
    let test = with_seed(
        &standin,
        &format!("[profile mfa]\nsource_profile = demo\nmfa_serial = {MFA_SERIAL}\n"),
    );
    asks(&test, "2h").run();
    let folder = test.home().join(".cache/vault/sessions");
    let entries = std::fs::read_dir(folder).expect("the sessions");
    let mut paths = entries.map(|entry| entry.expect("an entry").path());
    let file = paths.find(|path| path.extension().is_none()).expect("a session");
    std::fs::write(&file, "damaged").expect("a damaged file");
    json(&test, "mfa").args(["-d", "1h"]).run();
    asks(&test, "1h").run();
    assert_eq!(steps(&standin).len(), 2, "{}", log(&standin));
}
