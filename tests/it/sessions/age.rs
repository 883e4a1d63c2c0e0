//! A role that demands a recent code (`aws:MultiFactorAuthAge`), over a session whose code is old.
//! The program has no clock that tests can set, so its parts are run here.

use std::time::Instant;

use vault::clock::{Clock, Timestamp};
use vault::env::Env;
use vault::error::{Class, Result};
use vault::prompt::Prompt;
use vault::provider::{CredentialSession, DEADLINE, Parts};

use crate::support::builder::Test;
use crate::support::inside;
use crate::support::scene::log;
use crate::support::standin::{Role, StandIn, World};
use crate::support::{ACCESS_KEY_ID, AGE_KEY, MFA_SEED, MFA_SERIAL, SECRET_ACCESS_KEY};

/// A role that takes no code older than a minute.
fn strict_sts() -> StandIn {
    StandIn::start(World::demo().role(Role::new("strict").mfa_max_age(60)))
}

/// The profiles `mfa` and `strict`, around a key in the config; a program gives the codes.
fn place() -> Test {
    let test = Test::new().vault_with("other");
    let code = test.home().join("code");
    let mfa = format!("mfa_serial = {MFA_SERIAL}\nmfa_process = cat '{}'\n", code.display());
    test.config(&format!(
        "[profile key]\naws_access_key_id = {ACCESS_KEY_ID}\n\
         aws_secret_access_key = {SECRET_ACCESS_KEY}\n\
         [profile mfa]\nsource_profile = key\n{mfa}\
         [profile strict]\nsource_profile = key\n{mfa}\
         role_arn = arn:aws:iam::123456789012:role/strict\n"
    ))
}

/// Runs the plan of a profile by a clock that is so many seconds behind.
fn run(test: &Test, standin: &StandIn, profile: &str, behind: i64) -> Result<()> {
    std::fs::write(test.home().join("code"), standin.totp_now(MFA_SEED)).expect("the code");
    let vars = [
        ("AWS_ENDPOINT_URL_STS", standin.endpoint()),
        ("AWS_REGION", "us-east-1".into()),
        ("AWS_VAULT_AGE_KEY", AGE_KEY.into()),
    ];
    let env = Env::from_raw(vars.map(|(name, value)| (name.into(), value.into_bytes())));
    let config = Some(test.home().join(".aws/config"));
    let prompt = Prompt::new(true, Some(Instant::now() + DEADLINE));
    let clock = Clock::fixed(Timestamp(Clock::system().now().0 - behind));
    let parts = Parts {
        cache_dir: Some(test.home().join("cache")),
        ..inside::parts(test.vault_file(), config, &env, prompt, clock)
    };
    let session = CredentialSession::open(parts)?;
    session.run(&session.plan(profile)?).map(|_| ())
}

const FIRST: &str = "GetSessionToken by key duration=28800 mfa=mfa/demo: ok\n";
const REFUSED: &str = "AssumeRole by session 1 role=role/strict name=vault-strict duration=3600: \
                       AccessDenied: ";

/// A session made so many seconds ago, and then the role, which finds it too old.
fn role_over_a_session(test: &Test, standin: &StandIn, seconds: i64) -> Result<()> {
    run(test, standin, "mfa", seconds).expect("the session");
    assert_eq!(log(standin), FIRST);
    // Far enough for the role and near enough for signatures.
    standin.move_clock(200);
    run(test, standin, "strict", 0)
}

#[test]
fn a_role_that_wants_a_recent_code_gets_one_if_the_session_is_old() {
    let (standin, test) = (strict_sts(), place());
    role_over_a_session(&test, &standin, 901).expect("the role");
    let log = log(&standin);
    assert!(log.starts_with(&format!("{FIRST}{REFUSED}")), "{log}");
    assert!(
        log.ends_with(&format!(
            "\n{FIRST}AssumeRole by session 2 role=role/strict name=vault-strict duration=3600: ok\n"
        )),
        "{log}"
    );
    assert_eq!(standin.calls().len(), 4);
    // The new session has taken the old one's place.
    run(&test, &standin, "mfa", 0).expect("the session");
    assert_eq!(standin.calls().len(), 4);
}

#[test]
fn a_session_of_the_last_minutes_is_not_made_again_over_a_refusal() {
    let (standin, test) = (strict_sts(), place());
    let refused = role_over_a_session(&test, &standin, 600).expect_err("a refusal");
    assert_eq!(refused.class, Class::Aws);
    assert_eq!(standin.calls().len(), 2, "{}", log(&standin));
}

#[test]
fn no_prompt_asks_for_a_recent_code() {
    let (standin, test) = (strict_sts(), place());
    run(&test, &standin, "mfa", 2000).expect("the session");
    // From here on only a person could give a code.
    let config = String::from_utf8(test.read(".aws/config")).expect("the config");
    let without = config.lines().filter(|line| !line.starts_with("mfa_process"));
    let test = test.config(&without.map(|line| format!("{line}\n")).collect::<String>());
    standin.move_clock(200);
    let refused = run(&test, &standin, "strict", 0).expect_err("a refusal");
    assert_eq!(refused.class, Class::Aws);
    assert!(refused.what.contains("AccessDenied"), "{}", refused.what);
    assert_eq!(standin.calls().len(), 2, "{}", log(&standin));
}
