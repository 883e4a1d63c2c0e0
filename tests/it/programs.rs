//! What programs of profiles give and are given: `credential_process`, `mfa_process`.

use std::time::Duration;

use crate::support::builder::Test;
use crate::support::scene::{self, PROFILES, code, log};
use crate::support::{ACCESS_KEY_ID, MFA_SERIAL, SECRET_ACCESS_KEY};

const SOON: Duration = Duration::from_secs(30);
const ACCOUNT: &str = "123456789012";

/// An answer of a credential_process, with this beside the key.
fn answer(more: &str) -> String {
    format!(
        r#"{{"Version": 1, "AccessKeyId": "{ACCESS_KEY_ID}", "SecretAccessKey": "{SECRET_ACCESS_KEY}"{more}}}"#
    )
}

/// One field of what `exec --json` prints.
#[track_caller]
fn field(test: &Test, words: &[&str], name: &str) -> serde_json::Value {
    let output = test.command(["exec", "--json"]).args(words).expect_stderr("").run();
    serde_json::from_slice::<serde_json::Value>(&output.raw_stdout).expect("JSON")[name].take()
}

#[test]
fn an_expiration_is_read_as_the_aws_cli_reads_it() {
    let test = Test::new().config("[profile p]\ncredential_process = cat ~/key.json\n");
    for end in
        ["2099-01-31T12:00:00+0000", "2099-01-31 12:00:00 UTC", "2099-01-31 12:00:00.5+00:00"]
    {
        let more = format!(r#", "SessionToken": "t", "Expiration": "{end}""#);
        let test = test.clone().file("key.json", answer(&more), 0o600);
        assert_eq!(field(&test, &["p"], "Expiration"), "2099-01-31T12:00:00Z", "{end}");
    }
}

#[test]
fn aws_account_id_is_told_beside_a_key_and_never_beside_a_role() {
    let config = format!(
        "{PROFILES}[profile plain]\naws_access_key_id = {ACCESS_KEY_ID}\n\
         aws_secret_access_key = {SECRET_ACCESS_KEY}\naws_account_id = 111111111111\n\
         [profile p]\ncredential_process = cat ~/key.json\naws_account_id = 111111111111\n\
         [profile own]\ncredential_process = cat ~/own.json\naws_account_id = 111111111111\n\
         [profile kept]\naws_account_id = 111111111111\n\
         [profile over]\nsource_profile = plain\nrole_arn = arn:aws:iam::{ACCOUNT}:role/deploy\n\
         aws_account_id = 111111111111\n\
         [profile env]\ncredential_source = Environment\n"
    );
    let standin = scene::sts();
    let test = scene::with(&standin, &config)
        .vault_with("kept")
        .file("key.json", answer(""), 0o600)
        .file("own.json", answer(r#", "AccountId": "222222222222""#), 0o600);
    for (words, account) in [
        (&["-n", "plain"][..], "111111111111"),
        (&["plain"], "111111111111"),
        (&["-n", "kept"], "111111111111"),
        (&["-n", "p"], "111111111111"),
        (&["-n", "own"], "222222222222"),
        (&["over"], ACCOUNT),
    ] {
        assert_eq!(field(&test, words, "AccountId"), account, "{words:?}");
    }
    let env = test
        .env("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID)
        .env("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY)
        .env("AWS_ACCOUNT_ID", "333333333333");
    assert_eq!(field(&env, &["-n", "env"], "AccountId"), "333333333333");
}

#[test]
fn an_aws_account_id_that_is_none_is_left_out_with_a_warning() {
    let config = format!(
        "[profile plain]\naws_access_key_id = {ACCESS_KEY_ID}\n\
         aws_secret_access_key = {SECRET_ACCESS_KEY}\naws_account_id = mine\n"
    );
    let said = "vault: warning: aws_account_id of profile \"plain\" is left out: it is not an account's \
                twelve digits\n";
    let test = Test::new().config(&config);
    let output = test.command(["exec", "--json", "-n", "plain"]).expect_stderr(said).run();
    assert!(!output.stdout.contains("AccountId"), "{}", output.stdout);
}

#[test]
fn an_mfa_process_may_ask_on_the_terminal() {
    let standin = scene::sts();
    let config = format!(
        "{PROFILES}[profile m]\nsource_profile = demo\nmfa_serial = {MFA_SERIAL}\n\
         mfa_process = sh ask\n"
    );
    let ask = "printf 'Code? ' >&2; read code; echo \"$code\"\n";
    let test = scene::with(&standin, &config).file("ask", ask, 0o600);
    // Whatever our own stdin is.
    let run = test.command(["exec", "--json", "m"]).stdin("000000\n").expect_stderr("Code? ");
    let (mut pty, pipes) = run.pty_with_pipes();
    pty.send(&code(&standin));
    run.finish(pty, pipes);
    assert_eq!(log(&standin), "GetSessionToken by key duration=28800 mfa=mfa/demo: ok\n");

    // Without a terminal, or where nobody is to be asked, there is nothing to read.
    let none = "Code? vault: error: the mfa_process printed no MFA code, which is six digits\n";
    let refresh = test.command(["exec", "--json", "--refresh", "m"]).stdin("000000\n");
    refresh.expect_error(9, none).run();
    let (status, screen) =
        test.command(["exec", "--json", "--refresh", "--no-input", "m"]).pty().end(SOON);
    assert_eq!((status, screen), (9, none.to_owned()));
}
