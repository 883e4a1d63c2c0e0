//! Web identities: a token in a file or from a program, changed for credentials by STS, which are kept
//! like any session, with a vault and without one.

use crate::sessions::together::at_once;
use crate::support::builder::Test;
use crate::support::scene::log;
use crate::support::standin::identity::Provider;
use crate::support::standin::{Role, StandIn, World};

/// A job of GitHub's.
const SUBJECT: &str = "repo:example/shop:ref:refs/heads/main";
const DEPLOY: &str = "arn:aws:iam::123456789012:role/deploy";

/// A profile with a token in a file, and one with a role from there.
const PROFILES: &str = "\
[profile ci]
web_identity_token_file = ~token
role_arn = arn:aws:iam::123456789012:role/deploy

[profile audit]
source_profile = ci
role_arn = arn:aws:iam::123456789012:role/audit
";

/// STS that trusts GitHub with the role `deploy`.
fn sts() -> StandIn {
    let deploy = Role::new("deploy").max_duration(43_200).subject(SUBJECT);
    let world = World::demo().provider(Provider::github());
    StandIn::start(world.role(deploy).role(Role::new("audit").trusts(DEPLOY)))
}

/// A token that is good for five minutes more than this.
fn token(standin: &StandIn, later: i64) -> String {
    Provider::github().token(SUBJECT, standin.now() + 300 + later)
}

/// [`PROFILES`], with a token and without any vault.
fn job(standin: &StandIn) -> Test {
    let test = Test::new().standin(standin).file("token", token(standin, 0) + "\n", 0o644);
    let config = PROFILES.replace("~token", &test.home().join("token").display().to_string());
    test.config(&config)
}

/// The same by variables alone, as CI systems and EKS set them.
fn by_variables(standin: &StandIn) -> Test {
    let test = Test::new().standin(standin).file("token", token(standin, 0), 0o644);
    let path = test.home().join("token");
    test.env("AWS_WEB_IDENTITY_TOKEN_FILE", path).env("AWS_ROLE_ARN", DEPLOY)
}

/// `vault exec --json`, which says nothing but what it prints.
fn json(test: &Test, profile: &str) -> Test {
    test.command(["exec", "--json", profile]).expect_stderr("")
}

/// What `exec --json` prints for the first session.
const FIRST: &str = "{\"AccessKeyId\":\"[ID 1]\",\"AccountId\":\"123456789012\",\"Expiration\":\
                     \"[EXPIRATION 1]\",\"SecretAccessKey\":\"[SECRET 1]\",\"SessionToken\":\
                     \"[TOKEN 1]\",\"Version\":1}\n";

const CALL: &str = "AssumeRoleWithWebIdentity by repo:example/shop:ref:refs/heads/main \
                    role=role/deploy name=vault-ci duration=3600: ok\n";

#[test]
fn a_token_in_a_file_is_changed_for_credentials_without_any_vault() {
    let standin = sts();
    let test = job(&standin);
    let output = json(&test, "ci").run();
    assert_eq!(output.hide(&standin.issued()), FIRST);
    assert_eq!(log(&standin), CALL);
    // No vault, and none made.
    assert!(!test.vault_file().exists());
}

#[test]
fn the_variables_are_enough_for_default_without_any_file() {
    let standin = sts();
    let test = by_variables(&standin).env("AWS_ROLE_SESSION_NAME", "job-7");
    let output = test.command(["exec", "--json"]).expect_stderr("").run();
    assert_eq!(output.hide(&standin.issued()), FIRST);
    assert_eq!(log(&standin), CALL.replace("vault-ci", "job-7"));
    // The command gets the session, and not what it was made of.
    let words = [
        "exec",
        "--",
        "sh",
        "-c",
        "echo ${AWS_SESSION_TOKEN:+session}; env | grep -E 'TOKEN_FILE|ROLE_ARN'",
    ];
    test.command(words).expect_status(1).expect_stdout("session\n").run();
    assert_eq!(standin.calls().len(), 1);
}

#[test]
fn a_name_that_is_nowhere_is_a_slip_whatever_the_variables_say() {
    let standin = sts();
    by_variables(&standin)
        .command(["exec", "--json", "prod"])
        .expect_error(
            3,
            "vault: error: no vault at [HOME]/.local/share/vault/vault.age\n\
             vault: hint: make one with vault init, or name it by --vault or AWS_VAULT_FILE\n",
        )
        .run();
    assert_eq!(standin.calls().len(), 0);
}

#[test]
fn roles_are_assumed_from_there() {
    let standin = sts();
    let test = job(&standin);
    let output = json(&test, "audit").run();
    assert_eq!(output.hide(&standin.issued()[1..]), FIRST);
    let role = "AssumeRole by session 1 role=role/audit name=vault-audit duration=3600: ok\n";
    assert_eq!(log(&standin), format!("{CALL}{role}"));
    // Both are kept.
    json(&test, "audit").run();
    json(&test, "ci").run();
    assert_eq!(standin.calls().len(), 2);
}

#[test]
fn a_hundred_jobs_at_once_without_a_vault_make_one_call() {
    let standin = sts();
    let test = by_variables(&standin);
    let run = |_| test.command(["exec", "--json"]).expect_stderr("");
    let outputs = at_once(100, run);
    assert!(outputs.iter().all(|output| output.raw_stdout == outputs[0].raw_stdout));
    assert_eq!(outputs[0].hide(&standin.issued()), FIRST);
    assert_eq!(standin.calls().len(), 1, "{}", log(&standin));
}

#[test]
fn a_program_may_print_the_token() {
    let standin = sts();
    let config =
        format!("[profile ci]\nweb_identity_token_process = cat ~/token\nrole_arn = {DEPLOY}\n");
    let test = job(&standin).config(&config);
    assert_eq!(json(&test, "ci").run().hide(&standin.issued()), FIRST);
    assert_eq!(log(&standin), CALL);
}
