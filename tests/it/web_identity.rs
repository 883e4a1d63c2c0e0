//! Web identities: a token in a file or from a program, changed for credentials by STS, which are kept
//! like any session, with a vault and without one.

mod beside_a_vault;

use crate::sessions::together::at_once;
use crate::support::builder::Test;
use crate::support::moto::Moto;
use crate::support::scene::{code, log};
use crate::support::standin::identity::Provider;
use crate::support::standin::{Fault, Role, StandIn, World};
use crate::support::{ACCESS_KEY_ID, MFA_SERIAL, SECRET_ACCESS_KEY};

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
fn the_plan_is_shown_without_any_vault() {
    let standin = sts();
    let config = "[profile audit]\nrole_arn = arn:aws:iam::123456789012:role/audit\n";
    by_variables(&standin)
        .config(config)
        .command(["explain", "audit"])
        .expect_stdout(
            "profile   audit\n\
             from      web identity token in [HOME]/token (AWS_WEB_IDENTITY_TOKEN_FILE)\n\
             step 1    AssumeRoleWithWebIdentity arn:aws:iam::123456789012:role/deploy for 1h\n          \
             session name vault-audit\n\
             step 2    AssumeRole arn:aws:iam::123456789012:role/audit for 1h\n          \
             session name vault-audit\n\
             region    us-east-1\n\
             sts       us-east-1 at http://127.0.0.1:[PORT]\n",
        )
        .expect_stderr("")
        .run();
    assert_eq!(standin.calls().len(), 0);
}

#[test]
fn a_name_that_is_nowhere_is_a_slip_whatever_the_variables_say() {
    let standin = sts();
    by_variables(&standin)
        .command(["exec", "--json", "prod"])
        .expect_error(
            3,
            "vault: error: no vault at [HOME]/.local/share/vault/vault.age\n\
             vault: hint: make one: vault init --generate-identity \
                [HOME]/.config/vault/identity.txt; or name it with --vault or AWS_VAULT_FILE\n",
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

#[test]
#[ignore = "needs moto's server and the AWS CLI (see .ci/run)"]
fn moto_is_a_second_sts_for_it() {
    let standin = sts();
    let test = by_variables(&standin);
    let moto = Moto::start(test.home());
    let test = test.env("AWS_ENDPOINT_URL_STS", &moto.endpoint);
    let words =
        ["exec", "--", "aws", "sts", "get-caller-identity", "--query", "Arn", "--output=text"];
    test.command(words)
        .expect_stdout("arn:aws:sts::123456789012:assumed-role/deploy/vault-default\n")
        .expect_stderr("")
        .run();
    assert_eq!(standin.calls().len(), 0);
}

/// A token of GitHub's for somebody, good until then.
fn signed(subject: &str, expires: i64) -> String {
    Provider::github().token(subject, expires)
}

#[test]
fn what_aws_says_of_a_token_is_one_line() {
    let standin = sts();
    let now = standin.now();
    let other = Provider { audience: "elsewhere".into(), ..Provider::github() };
    let unknown = Provider { issuer: "https://gitlab.example".into(), ..Provider::github() };
    let forged = Provider { key: b"another key".to_vec(), ..Provider::github() };
    let provider = "vault: hint: the account needs an IAM identity provider of the token's issuer \
                    (iss) and audience (aud)";
    for (token, stderr) in [
        (
            signed(SUBJECT, now - 10),
            "the web identity token has expired\n\
             vault: hint: get a new token from its issuer; check that its file is still being updated"
                .to_owned(),
        ),
        (
            signed("repo:example/fork:pull_request", now + 300),
            "AWS refused AssumeRoleWithWebIdentity: AccessDenied: Not authorized to perform \
             sts:AssumeRoleWithWebIdentity\n\
             vault: hint: the role's trust policy has to allow the token's issuer, audience (aud) \
             and subject (sub)"
                .to_owned(),
        ),
        (
            other.token(SUBJECT, now + 300),
            format!(
                "AWS does not accept the web identity token: Incorrect token audience\n{provider}"
            ),
        ),
        (
            unknown.token(SUBJECT, now + 300),
            format!(
                "AWS does not accept the web identity token: No OpenIDConnect provider found in \
                 your \
                 account for https://gitlab.example\n{provider}"
            ),
        ),
        (
            forged.token(SUBJECT, now + 300),
            format!(
                "AWS does not accept the web identity token: Couldn't retrieve verification key \
                 from \
                 your identity provider\n{provider}"
            ),
        ),
        (
            "an-access-token".to_owned(),
            format!(
                "AWS does not accept the web identity token: The ID Token provided is not a valid \
                 JWT. (You may see this error if you sent an Access Token)\n{provider}"
            ),
        ),
    ] {
        let test = job(&standin).file("token", token, 0o600);
        json(&test, "ci").expect_error(9, &format!("vault: error: {stderr}\n")).run();
    }
}

#[test]
fn a_provider_that_aws_cannot_reach_is_tried_again() {
    let standin = sts();
    standin.fail_next(Fault::IdentityProvider);
    json(&job(&standin), "ci").run();
    assert_eq!(standin.calls().len(), 2);
    standin.fail_always(Some(Fault::IdentityProvider));
    json(&job(&standin), "ci")
        .expect_error(
            9,
            "vault: error: AWS cannot reach the identity provider of the web identity token: \
             Couldn't retrieve verification key\nvault: hint: try again later\n",
        )
        .run();
}

#[test]
fn a_token_that_cannot_be_had_is_an_error() {
    let standin = sts();
    let test = job(&standin);
    let long = "x".repeat(20_001);
    for (token, stderr) in [
        ("", "no token in [HOME]/token (web_identity_token_file of profile \"ci\")"),
        ("two words", "no token in [HOME]/token (web_identity_token_file of profile \"ci\")"),
        (&long, "no token in [HOME]/token (web_identity_token_file of profile \"ci\")"),
        (
            &"x".repeat(40_000),
            "cannot read the web identity token [HOME]/token (web_identity_token_file of profile \
             \"ci\"): larger than 32 KiB",
        ),
    ] {
        let test = test.clone().file("token", token, 0o600);
        json(&test, "ci").expect_error(1, &format!("vault: error: {stderr}\n")).run();
    }
    std::fs::remove_file(test.home().join("token")).unwrap();
    let stderr = "vault: error: cannot read the web identity token [HOME]/token \
                  (web_identity_token_file of profile \"ci\"): no such file or directory\n";
    json(&test, "ci").expect_error(1, stderr).run();
    std::fs::create_dir(test.home().join("token")).unwrap();
    let stderr = stderr.replace("no such file or directory", "not a regular file");
    json(&test, "ci").expect_error(1, &stderr).run();

    let process = |command: &str| {
        let config =
            format!("[profile ci]\nweb_identity_token_process = {command}\nrole_arn = {DEPLOY}\n");
        job(&standin).config(&config).on_path("vault")
    };
    let name = "vault: error: the web_identity_token_process of profile \"ci\"";
    for (command, stderr) in [
        ("true", "printed no token"),
        ("echo two words", "printed no token"),
        ("echo SECRET; exit 3", "failed with exit status 3"),
        ("head -c 70000 /dev/zero", "printed more than 64 KiB"),
    ] {
        json(&process(command), "ci").expect_error(1, &format!("{name} {stderr}\n")).run();
    }
    json(&process("vault exec --json ci"), "ci")
        .expect_error(
            1,
            &format!(
                "vault: error: web_identity_token_process runs vault for its own profile: ci -> ci\n\
                 vault: hint: make it name a profile that has a key in the vault\n\
                 {name} failed with exit status 1\n"
            ),
        )
        .run();
    assert_eq!(standin.calls().len(), 0);
}

#[test]
fn a_token_may_come_by_a_link_or_a_pipe() {
    let standin = sts();
    // As Kubernetes projects it: a link to a link.
    let test = job(&standin).file("..2026/token", token(&standin, 0), 0o644);
    let home = test.home();
    std::os::unix::fs::symlink("..2026", home.join("..data")).unwrap();
    std::fs::remove_file(home.join("token")).unwrap();
    std::os::unix::fs::symlink("..data/token", home.join("token")).unwrap();
    json(&test, "ci").run();
    // As a shell gives it: <(print-token).
    let script = format!(
        "AWS_WEB_IDENTITY_TOKEN_FILE=<(cat token) AWS_ROLE_ARN={DEPLOY} exec vault exec --json"
    );
    let test = test.on_path("vault").config("");
    test.command(["-c", &script]).program("bash").expect_stderr("").run();
    assert_eq!(standin.calls().len(), 2);
}

#[test]
fn no_token_is_ever_shown() {
    let standin = sts();
    let good = token(&standin, 0);
    let bad = signed("repo:example/fork:pull_request", standin.now() + 300);
    for token in [&good, &bad] {
        let test = job(&standin).file("token", token, 0o600);
        for words in [&["exec", "--json", "ci"][..], &["exec", "ci", "env"], &["explain", "ci"]] {
            let output = test.command(words).arg("--debug").any_status().run();
            for part in token.split('.') {
                assert!(
                    !output.stdout.contains(part) && !output.stderr.contains(part),
                    "{output:?}"
                );
            }
        }
    }
}

#[test]
fn without_a_vault_only_the_same_token_reads_a_session() {
    let standin = sts();
    let test = job(&standin);
    json(&test, "ci").run();
    // A newer token of the same identity finds nothing that it can open, and no fault in that.
    let newer = test.clone().file("token", token(&standin, 60), 0o600);
    json(&newer, "ci").run();
    json(&newer, "ci").run();
    assert_eq!(standin.calls().len(), 2);
    // Nor does a vault's key.
    let vault = test.vault_with("demo");
    vault.command(["list", "--sessions"]).expect_stdout("").run();
    json(&vault, "ci").run();
    assert_eq!(standin.calls().len(), 3);
}

#[test]
fn without_a_vault_what_a_code_bought_is_not_kept() {
    let standin = sts();
    let keys = format!(
        "[demo]\naws_access_key_id = {ACCESS_KEY_ID}\naws_secret_access_key = {SECRET_ACCESS_KEY}\n"
    );
    let config = format!(
        "[profile demo]\n[profile mfa]\nsource_profile = demo\nmfa_serial = {MFA_SERIAL}\n"
    );
    let test = Test::new().standin(&standin).aws_credentials(&keys).config(&config);
    let files = |test: &Test| {
        let entries = std::fs::read_dir(test.home().join(".cache/vault/sessions"));
        entries.into_iter().flatten().count()
    };
    json(&test, "mfa").args(["-t", &code(&standin)]).run();
    assert_eq!(files(&test), 0);
    json(&test, "demo").run();
    json(&test, "demo").run();
    assert_eq!(files(&test), 2, "a session and its lock");
    assert_eq!(standin.calls().len(), 2);
}
