//! A session is served only to whoever asks for the very same one.

use super::{json, quiet, sts};
use crate::support::builder::Test;
use crate::support::scene::{self, log};
use crate::support::standin::{Role, StandIn, User, World, totp};
use crate::support::{ACCESS_KEY_ID, MFA_SEED, MFA_SERIAL, SECRET_ACCESS_KEY};

/// Another of AWS's documented keys.
const OTHER_ID: &str = "AKIAI44QH8DHBEXAMPLE";
const OTHER_SECRET: &str = "je7MtGbClwBF/2Zp9Utk/h3yCo8nvbEXAMPLEKEY";

/// STS that answers for every region.
fn sts_of_any_region() -> StandIn {
    let role = |name: &str| Role::new(name).max_duration(43_200);
    StandIn::start(World::demo().role(role("deploy")).role(role("audit")).any_region())
}

#[test]
fn whatever_shapes_the_answer_makes_another_session() {
    let standin = sts(0);
    let test = scene::with(&standin, "");
    let variants = [
        "role_arn = arn:aws:iam::123456789012:role/deploy",
        "role_arn = arn:aws:iam::123456789012:role/audit",
        "role_arn = arn:aws:iam::123456789012:role/deploy\nduration_seconds = 1800",
        "role_arn = arn:aws:iam::123456789012:role/deploy\nexternal_id = one",
        "role_arn = arn:aws:iam::123456789012:role/deploy\nexternal_id = two",
        "role_arn = arn:aws:iam::123456789012:role/deploy\nrole_session_name = name",
        "role_arn = arn:aws:iam::123456789012:role/deploy\nsource_identity = who",
        "role_arn = arn:aws:iam::123456789012:role/deploy\nsession_tags = a=b",
        "role_arn = arn:aws:iam::123456789012:role/deploy\nsession_tags = a=c",
        "role_arn = arn:aws:iam::123456789012:role/deploy\nsession_tags = a=b,c=d",
        "role_arn = arn:aws:iam::123456789012:role/deploy\nsession_tags = a=b\n\
         transitive_session_tags = a",
    ];
    let mut given = Vec::new();
    for round in 0..2 {
        for (at, variant) in variants.iter().enumerate() {
            let config = format!("[profile x]\nsource_profile = demo\n{variant}\n");
            let output = quiet(&test.clone().config(&config), "x");
            match round {
                0 => {
                    assert!(!given.contains(&output.raw_stdout), "{variant}");
                    given.push(output.raw_stdout);
                }
                _ => assert_eq!(output.raw_stdout, given[at], "{variant}"),
            }
            assert_eq!(standin.calls().len(), given.len(), "{variant}");
        }
    }
    // The flag, and the variable.
    json(&test, "x").args(["-d", "45m"]).run();
    quiet(&test.clone().env("AWS_ASSUME_ROLE_TTL", "20m"), "x");
    assert_eq!(standin.calls().len(), given.len() + 2);
}

#[test]
fn another_endpoint_another_session() {
    let (first, second) = (scene::sts(), scene::sts());
    let test = scene::with(&first, scene::PROFILES);
    let there = test.clone().standin(&second);
    for _ in 0..2 {
        quiet(&test, "role");
        quiet(&there, "role");
    }
    assert_eq!((first.calls().len(), second.calls().len()), (1, 1));
}

#[test]
fn another_region_the_same_session() {
    let standin = sts_of_any_region();
    let test = scene::with(&standin, scene::PROFILES);
    let given = ["demo", "role", "hops"].map(|profile| quiet(&test, profile).raw_stdout);
    for region in ["eu-central-1", "me-south-1"] {
        let there = test.clone().env("AWS_REGION", region);
        let served = ["demo", "role", "hops"].map(|profile| quiet(&there, profile).raw_stdout);
        assert_eq!(served, given, "{region}");
    }
    assert_eq!(standin.calls().len(), 3, "{}", log(&standin));
}

#[test]
fn another_partition_another_session() {
    let standin = sts_of_any_region();
    let test = scene::with(&standin, scene::PROFILES);
    for _ in 0..2 {
        for region in ["us-east-1", "cn-north-1", "us-gov-west-1"] {
            quiet(&test.clone().env("AWS_REGION", region), "demo");
        }
    }
    assert_eq!(
        log(&standin),
        "GetSessionToken by key duration=3600: ok\n\
         GetSessionToken by key in cn-north-1 duration=3600: ok\n\
         GetSessionToken by key in us-gov-west-1 duration=3600: ok\n"
    );
}

#[test]
fn without_mfa_another_duration_another_session() {
    let (standin, test) = scene::usual();
    let ask = |duration: &str| json(&test, "demo").args(["-d", duration]).run().raw_stdout;
    let given = ["8h", "15m"].map(ask);
    assert_eq!(["8h", "15m"].map(ask), given);
    assert_eq!(
        log(&standin),
        "GetSessionToken by key duration=28800: ok\n\
         GetSessionToken by key duration=900: ok\n"
    );
}

#[test]
fn a_rotated_key_another_session() {
    let user = User::new("demo").key(ACCESS_KEY_ID, SECRET_ACCESS_KEY).key(OTHER_ID, OTHER_SECRET);
    let standin = StandIn::start(World::empty().user(user));
    let test = scene::with(&standin, "[profile demo]\n");
    let old = quiet(&test, "demo");
    test.command(["remove", "-f", "demo"]).run();
    let test = test.stored("demo", OTHER_ID, OTHER_SECRET);
    let new = quiet(&test, "demo");
    assert_ne!(old.raw_stdout, new.raw_stdout);
    assert_eq!(quiet(&test, "demo").raw_stdout, new.raw_stdout);
    assert_eq!(
        log(&standin),
        format!(
            "GetSessionToken by key duration=3600: ok\n\
             GetSessionToken by {OTHER_ID} duration=3600: ok\n"
        )
    );
}

#[test]
fn another_mfa_device_another_session() {
    let other = "arn:aws:iam::123456789012:mfa/other";
    let seed = "KRSXG5DTEBTG64RAORUGKIDFPFSXGIDP";
    let user = User::new("demo").key(ACCESS_KEY_ID, SECRET_ACCESS_KEY);
    let user = user.mfa(MFA_SERIAL, MFA_SEED).mfa(other, seed);
    let standin = StandIn::start(World::empty().user(user));
    let test = scene::with(&standin, "");
    let with = |serial: &str| -> Test {
        let config = format!("[profile m]\nsource_profile = demo\nmfa_serial = {serial}\n");
        test.clone().config(&config)
    };
    let mut given = Vec::new();
    for (serial, seed) in [(MFA_SERIAL, MFA_SEED), (other, seed)] {
        let code = totp::code(seed, totp::step(standin.now()));
        given.push(json(&with(serial), "m").args(["-t", &code]).run().raw_stdout);
    }
    for (serial, given) in [MFA_SERIAL, other].iter().zip(&given) {
        assert_eq!(quiet(&with(serial), "m").raw_stdout, *given);
        let variable = with(other).env("AWS_MFA_SERIAL", serial);
        assert_eq!(quiet(&variable, "m").raw_stdout, *given);
    }
    // Without MFA it is yet another one.
    quiet(&test.clone().config("[profile m]\nsource_profile = demo\n"), "m");
    assert_eq!(standin.calls().len(), 3);
}

#[test]
fn another_vault_another_session() {
    let standin = scene::sts();
    let first = scene::with(&standin, "[profile demo]\n");
    let cache = first.home().join("shared");
    let second = scene::with(&standin, "[profile demo]\n").env("AWS_VAULT_CACHE_DIR", &cache);
    let first = first.env("AWS_VAULT_CACHE_DIR", &cache);
    let given = [quiet(&first, "demo").raw_stdout, quiet(&second, "demo").raw_stdout];
    assert_ne!(given[0], given[1]);
    assert_eq!(given, [quiet(&first, "demo").raw_stdout, quiet(&second, "demo").raw_stdout]);
    assert_eq!(standin.calls().len(), 2);
    // Each sees and clears its own.
    assert_eq!(first.command(["list", "--sessions"]).run().stdout.lines().count(), 1);
    first.command(["clear", "demo"]).expect_stdout("Cleared 1 sessions.\n").run();
    assert_eq!(quiet(&second, "demo").raw_stdout, given[1]);
}
