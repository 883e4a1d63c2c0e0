//! `vault export`: credentials as text.

mod github;
mod values;

use crate::support::builder::Test;
use crate::support::diff::assert_same;
use crate::support::scene;
use crate::support::{ACCESS_KEY_ID, SECRET_ACCESS_KEY};

#[test]
fn a_session_in_each_format() {
    for (format, text) in [
        (
            "env",
            "AWS_ACCESS_KEY_ID=[ID 1]\n\
             AWS_SECRET_ACCESS_KEY=[SECRET 1]\n\
             AWS_SESSION_TOKEN=[TOKEN 1]\n\
             AWS_CREDENTIAL_EXPIRATION=[EXPIRATION 1]\n\
             AWS_REGION=us-east-1\n\
             AWS_DEFAULT_REGION=us-east-1\n",
        ),
        (
            "export-env",
            "export AWS_ACCESS_KEY_ID=[ID 1]\n\
             export AWS_SECRET_ACCESS_KEY=[SECRET 1]\n\
             export AWS_SESSION_TOKEN=[TOKEN 1]\n\
             export AWS_CREDENTIAL_EXPIRATION=[EXPIRATION 1]\n\
             export AWS_REGION=us-east-1\n\
             export AWS_DEFAULT_REGION=us-east-1\n",
        ),
        (
            "json",
            "{\"AccessKeyId\":\"[ID 1]\",\"AccountId\":\"123456789012\",\
             \"Expiration\":\"[EXPIRATION 1]\",\"SecretAccessKey\":\"[SECRET 1]\",\
             \"SessionToken\":\"[TOKEN 1]\",\"Version\":1}\n",
        ),
        (
            "ini",
            "[role]\n\
             aws_access_key_id=[ID 1]\n\
             aws_secret_access_key=[SECRET 1]\n\
             aws_session_token=[TOKEN 1]\n\
             aws_credential_expiration=[EXPIRATION 1]\n\
             region=us-east-1\n",
        ),
        (
            "dotenv",
            "AWS_ACCESS_KEY_ID=[ID 1]\n\
             AWS_SECRET_ACCESS_KEY=[SECRET 1]\n\
             AWS_SESSION_TOKEN=[TOKEN 1]\n\
             AWS_CREDENTIAL_EXPIRATION=[EXPIRATION 1]\n\
             AWS_REGION=us-east-1\n\
             AWS_DEFAULT_REGION=us-east-1\n",
        ),
        (
            "docker",
            "AWS_ACCESS_KEY_ID=[ID 1]\n\
             AWS_SECRET_ACCESS_KEY=[SECRET 1]\n\
             AWS_SESSION_TOKEN=[TOKEN 1]\n\
             AWS_CREDENTIAL_EXPIRATION=[EXPIRATION 1]\n\
             AWS_REGION=us-east-1\n\
             AWS_DEFAULT_REGION=us-east-1\n",
        ),
        (
            "fish",
            "set -gx AWS_ACCESS_KEY_ID [ID 1]\n\
             set -gx AWS_SECRET_ACCESS_KEY [SECRET 1]\n\
             set -gx AWS_SESSION_TOKEN [TOKEN 1]\n\
             set -gx AWS_CREDENTIAL_EXPIRATION [EXPIRATION 1]\n\
             set -gx AWS_REGION us-east-1\n\
             set -gx AWS_DEFAULT_REGION us-east-1\n",
        ),
        (
            "powershell",
            "$env:AWS_ACCESS_KEY_ID = '[ID 1]'\n\
             $env:AWS_SECRET_ACCESS_KEY = '[SECRET 1]'\n\
             $env:AWS_SESSION_TOKEN = '[TOKEN 1]'\n\
             $env:AWS_CREDENTIAL_EXPIRATION = '[EXPIRATION 1]'\n\
             $env:AWS_REGION = 'us-east-1'\n\
             $env:AWS_DEFAULT_REGION = 'us-east-1'\n",
        ),
    ] {
        let (standin, test) = scene::usual();
        let output = test.command(["export", "--format", format, "role"]).expect_stderr("").run();
        assert_same(format, text, &output.hide(&standin.issued()));
    }
}

#[test]
fn a_key_has_no_token_and_without_a_region_there_is_none() {
    for (format, text) in [
        (
            "env",
            format!(
                "AWS_ACCESS_KEY_ID={ACCESS_KEY_ID}\nAWS_SECRET_ACCESS_KEY={SECRET_ACCESS_KEY}\n"
            ),
        ),
        (
            "ini",
            format!(
                "[demo]\naws_access_key_id={ACCESS_KEY_ID}\naws_secret_access_key={SECRET_ACCESS_KEY}\n"
            ),
        ),
    ] {
        let test = Test::new().vault_with("demo");
        test.command(["export", "-n", "--format", format, "demo"])
            .expect_stdout(text)
            .expect_stderr("")
            .run();
    }
}

#[test]
fn env_is_the_default_format_and_the_profile_may_come_by_variable() {
    let test = Test::new().vault_with("demo").env("AWS_PROFILE", "demo");
    let short = test.command(["export", "-n"]).run();
    test.command(["export", "-n", "--format=env", "demo"]).expect_stdout(short.stdout).run();
}

#[test]
fn a_failure_prints_nothing_to_stdout() {
    let test = Test::new().vault_with("demo");
    test.command(["export", "nobody"])
        .expect_error(
            3,
            "vault: error: no profile \"nobody\"\n\
             vault: hint: looked in [HOME]/.aws/config, [HOME]/.aws/credentials and the vault\n",
        )
        .run();
    test.command(["export", "--format", "xml", "demo"])
        .expect_error(
            2,
            "vault: error: --format <FORMAT> takes one of: env, export-env, json, ini, dotenv, fish, \
             powershell, docker, github, not \"xml\"\n\
             vault: hint: see vault export --help\n",
        )
        .run();
}

#[test]
fn a_subshell_may_export_for_another_profile() {
    let test = Test::new().vault_with("demo").env("AWS_VAULT", "other");
    test.command(["export", "-n", "demo"]).expect_stderr("").run();
}
