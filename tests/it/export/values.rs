//! Whatever a value holds, the other side reads that value, or it is not written.

use vault::export::{Variable, docker, dotenv, env, export_env, fish};

use crate::support::builder::Test;
use crate::support::scene;

const VALUES: [&str; 11] = [
    "plain+/=",
    "",
    "it's",
    "it's \"so\"",
    "$HOME ${HOME} $(touch ran) `touch ran`; touch ran",
    "a $b `c` \"d\" # e",
    "one\ntwo\n\nfour # five",
    "a\\\\b\\n\\",
    " \t a=b * ~ !x ",
    " # x ",
    "'\"\\'`$x\n‘’%sé",
];

/// Runs the script in the shell, once for each value, which is in the file `text` as it is written.
/// The script prints it.
fn come_through(shell: &str, script: &str, written: impl Fn(&[Variable<'_>]) -> Option<String>) {
    let test = Test::new();
    let mut refused = 0;
    for value in VALUES {
        let Some(text) = written(&[("VALUE", value.into())]) else {
            refused += 1;
            continue;
        };
        let test = test.clone().file("text", text, 0o600);
        test.command(["-c", script]).program(shell).expect_stdout(value).expect_stderr("").run();
    }
    assert!(refused <= 5, "{refused} were refused");
    assert!(!test.home().join("ran").exists());
}

const SHELLS: [&str; 3] = ["sh", "bash", "dash"];

const PRINT: &str = "sh -c 'printf %s \"$VALUE\"'";

#[test]
fn posix_shells() {
    for shell in SHELLS {
        let script = format!("eval \"$(cat text)\"; {PRINT}");
        come_through(shell, &script, |variables| Some(export_env(variables)));
        let script = format!("set -a; eval \"$(cat text)\"; {PRINT}");
        come_through(shell, &script, |variables| Some(env(variables)));
    }
}

#[test]
#[ignore = "needs fish (see .ci/run)"]
fn fish_shell() {
    let script = format!("cat text | source; {PRINT}");
    come_through("fish", &script, |variables| Some(fish(variables)));
}

#[test]
fn dotenv_is_a_file_for_shells() {
    for shell in SHELLS {
        let script = format!("set -a; . ./text; {PRINT}");
        come_through(shell, &script, |variables| dotenv(variables).ok());
    }
}

#[test]
#[ignore = "needs python-dotenv (see .ci/run)"]
fn dotenv_is_a_file_for_python() {
    let script = "import dotenv, os; dotenv.load_dotenv('text'); \
                  print(os.environ['VALUE'], end='')";
    come_through("python3", script, |variables| dotenv(variables).ok());
}

/// A home whose profile `odd` has a key from elsewhere.
fn odd() -> Test {
    let json = r#"{"Version": 1, "AccessKeyId": "AKIAIOSFODNN7EXAMPLE",
        "SecretAccessKey": "it's $(touch ran) `touch ran`; touch ran\\"}"#;
    let config = "[profile odd]\ncredential_process = cat ~/odd.json\n";
    Test::new().config(config).file("odd.json", json, 0o600).on_path("vault")
}

const ODD: &str = "it's $(touch ran) `touch ran`; touch ran\\";

#[test]
fn values_from_elsewhere_are_quoted_so_that_nothing_in_them_is_run() {
    let test = odd();
    for (format, secret) in [
        ("env", "AWS_SECRET_ACCESS_KEY='it'\\''s $(touch ran) `touch ran`; touch ran\\'"),
        (
            "export-env",
            "export AWS_SECRET_ACCESS_KEY='it'\\''s $(touch ran) `touch ran`; touch ran\\'",
        ),
        ("fish", "set -gx AWS_SECRET_ACCESS_KEY 'it\\'s $(touch ran) `touch ran`; touch ran\\\\'"),
        (
            "powershell",
            "$env:AWS_SECRET_ACCESS_KEY = 'it''s $(touch ran) `touch ran`; touch ran\\'",
        ),
        ("docker", "AWS_SECRET_ACCESS_KEY=it's $(touch ran) `touch ran`; touch ran\\"),
    ] {
        let output = test.command(["export", "-n", "--format", format, "odd"]).run();
        assert_eq!(output.stdout.lines().nth(1), Some(secret), "{format}");
    }
    let script =
        "eval \"$(vault export -n --format export-env odd)\"; printf %s \"$AWS_SECRET_ACCESS_KEY\"";
    for shell in SHELLS {
        test.command(["-c", script]).program(shell).expect_stdout(ODD).run();
    }
    assert!(!test.home().join("ran").exists());
}

#[test]
fn dotenv_refuses_what_its_readers_would_read_in_different_ways() {
    odd()
        .command(["export", "-n", "--format", "dotenv", "odd"])
        .expect_error(
            2,
            "vault: error: --format dotenv: programs differ in how they read \
             AWS_SECRET_ACCESS_KEY\n\
             vault: hint: its value has quotes, backslashes or ${…} in it; use another format\n",
        )
        .run();
}

#[test]
fn docker_gets_raw_lines_or_an_error() {
    for value in VALUES {
        let written = docker(&[("VALUE", value.into())]);
        if value.contains('\n') {
            let error = written.expect_err("no line");
            assert_eq!(error.class.code(), 2);
            assert_eq!(error.what, "--format docker: VALUE does not fit into one line of 64 KiB");
        } else {
            assert_eq!(written.as_deref(), Ok(format!("VALUE={value}\n").as_str()));
        }
    }
}

#[test]
fn a_session_is_more_than_a_key() {
    let (_standin, test) = scene::usual();
    let test = test.on_path("vault");
    for shell in SHELLS {
        let script = "eval \"$(vault export --format export-env role)\" && \
                      test ${#AWS_SESSION_TOKEN} -gt 300 && env -u AWS_VAULT_AGE_KEY sh -c \
                      'echo ${AWS_ACCESS_KEY_ID%${AWS_ACCESS_KEY_ID#ASIA}} $AWS_REGION'";
        test.command(["-c", script])
            .program(shell)
            .expect_stdout("ASIA us-east-1\n")
            .expect_stderr("")
            .run();
    }
}
