//! `vault exec`: which words are whose, and what comes of it.

use std::time::Duration;

use crate::support::builder::Test;
use crate::support::diff::assert_same;
use crate::support::{ACCESS_KEY_ID, SECRET_ACCESS_KEY};

const SOON: Duration = Duration::from_secs(20);

/// A vault with the keys of `demo` and `default`, and no need for STS.
fn stage() -> Test {
    Test::new().vault_with("demo").vault_with("default")
}

/// Shows its arguments in brackets, and the profile that it was started for.
const SHOW: &str = "#!/bin/sh\nprintf '%s:' \"$AWS_VAULT\"\nprintf ' [%s]' \"$@\"\n";

#[test]
fn the_first_bare_word_is_the_profile_and_the_second_starts_the_command() {
    let test = stage().file("bin/show", SHOW, 0o755).on_path("vault");
    for (line, shown) in [
        ("exec -n demo show a b", "demo: [a] [b]"),
        ("exec -n demo -- show a b", "demo: [a] [b]"),
        ("exec demo -n show a", "demo: [a]"),
        ("exec demo -n -- show a", "demo: [a]"),
        ("exec -n -- show a", "default: [a]"),
        ("--quiet exec -nd 1h demo show", "demo: []"),
        ("--quiet exec -n demo show", "demo: []"),
        // After the command's first word everything is the command's.
        ("exec -n demo show -n --json -d 0", "demo: [-n] [--json] [-d] [0]"),
        ("exec -n demo show --help --version", "demo: [--help] [--version]"),
        ("exec -n demo show -- x", "demo: [--] [x]"),
        ("exec -n demo -- show -- x", "demo: [--] [x]"),
        ("exec -n -- show -- demo", "default: [--] [demo]"),
        (
            "exec -n demo show -i key --vault no --quiet",
            "demo: [-i] [key] [--vault] [no] [--quiet]",
        ),
    ] {
        let words: Vec<_> = line.split_whitespace().collect();
        test.command(words).expect_stdout(shown).expect_stderr("").run();
    }
    let words = ["exec", "-n", "demo", "show", "two words", "", "ümläut", "*"];
    test.command(words).expect_stdout("demo: [two words] [] [ümläut] [*]").run();
}

#[test]
fn without_a_profile_variables_name_it_and_then_it_is_default() {
    let test = stage();
    let show = |test: &Test| test.command(["exec", "-n", "--", "sh", "-c", "printf %s $AWS_VAULT"]);
    show(&test).expect_stdout("default").run();
    let test = test.env("AWS_DEFAULT_PROFILE", "demo");
    show(&test).expect_stdout("demo").run();
    show(&test.env("AWS_PROFILE", "default")).expect_stdout("default").run();
}

#[test]
fn the_command_gets_credentials_and_its_status_is_ours() {
    let test = Test::new().vault_with("demo").env("PATH", "/usr/bin:/bin");
    test.command(["exec", "-n", "--region", "eu-west-1", "demo", "env"])
        .expect_stdout(format!(
            "AWS_ACCESS_KEY_ID={ACCESS_KEY_ID}\nAWS_DEFAULT_REGION=eu-west-1\nAWS_REGION=eu-west-1\n\
             AWS_SECRET_ACCESS_KEY={SECRET_ACCESS_KEY}\nAWS_VAULT=demo\nHOME=[HOME]\nPATH=/usr/bin:/bin\n"
        ))
        .expect_stderr("")
        .run();
    for (script, status) in [("exit 7", 7), ("exit 255", 255), ("kill -TERM $$", 128 + 15)] {
        test.command(["exec", "-n", "demo", "sh", "-c", script]).expect_status(status).run();
    }
    test.command(["exec", "-n", "demo", "cat"]).stdin("piped").expect_stdout("piped").run();
}

#[test]
fn a_command_that_cannot_start_is_reported_as_by_env() {
    let test = Test::new().vault_with("demo").file("no-x", "#!/bin/sh\n", 0o644);
    test.command(["exec", "-n", "demo", "no-such-command", "secret"])
        .expect_error(127, "vault: error: command not found: no-such-command\n")
        .run();
    test.command(["exec", "-n", "demo", "./no-x", "secret"])
        .expect_error(126, "vault: error: cannot execute ./no-x: permission denied\n")
        .run();
}

const LOOP: &str = "vault: error: source_profile loop: loop -> back -> loop\n\
                    vault: hint: take the source_profile out of one of these profiles\n";

#[test]
fn a_wrong_command_line_is_2_and_what_fails_later_125() {
    let test = Test::new()
        .vault_with("demo")
        .config("[profile loop]\nsource_profile = back\n[profile back]\nsource_profile = loop\n");
    for (line, status, stderr) in [
        (
            "exec --frob demo true",
            2,
            "vault: error: unknown flag \"--frob\"\nvault: hint: see vault exec --help\n",
        ),
        (
            "exec demo --frob true",
            2,
            "vault: error: unknown flag \"--frob\"\nvault: hint: see vault exec --help\n",
        ),
        (
            "exec --json -n demo true",
            2,
            "vault: error: --json prints credentials and runs nothing, so it takes no command\n",
        ),
        ("exec loop true", 125, LOOP),
        ("exec --json loop", 2, LOOP),
        (
            "exec nobody",
            125,
            "vault: error: no profile \"nobody\"\nvault: hint: looked in [HOME]/.aws/config, \
             [HOME]/.aws/credentials and the vault\n",
        ),
        (
            "exec sleep 1",
            125,
            "vault: error: no profile \"sleep\"\nvault: hint: to run sleep with the default profile: \
             vault exec -- sleep ...\n",
        ),
        (
            "exec lop true",
            125,
            "vault: error: no profile \"lop\"\nvault: hint: did you mean \"loop\"?\n",
        ),
        (
            "exec --json nobody",
            3,
            "vault: error: no profile \"nobody\"\nvault: hint: looked in [HOME]/.aws/config, \
             [HOME]/.aws/credentials and the vault\n",
        ),
    ] {
        let words: Vec<_> = line.split_whitespace().collect();
        test.command(words).expect_error(status, stderr).run();
    }
    // A variable is no part of the command line.
    let invalid =
        "vault: error: AWS_PROFILE: the profile name has characters that a profile cannot have\n";
    let test = test.env("AWS_PROFILE", "a[b");
    test.command(["exec", "--", "true"]).expect_error(125, invalid).run();
    test.command(["exec", "--json"]).expect_error(2, invalid).run();
}

#[test]
fn without_a_vault_exec_says_so() {
    let no_vault = "vault: error: no vault at [HOME]/.local/share/vault/vault.age\n\
                    vault: hint: make one: vault init --generate-identity \
                [HOME]/.config/vault/identity.txt; or name it with --vault or AWS_VAULT_FILE\n";
    let test = Test::new();
    test.command(["exec", "demo", "true"]).expect_error(125, no_vault).run();
    test.command(["exec", "--json", "demo"]).expect_error(3, no_vault).run();
}

#[test]
fn durations_carry_a_unit_and_are_what_aws_takes() {
    let test = Test::new().vault_with("demo").config(
        "[profile role]\nsource_profile = demo\nrole_arn = arn:aws:iam::123456789012:role/deploy\n",
    );
    let not = "vault: error: --duration: not a duration\n\
               vault: hint: give a number with its unit, such as 30m, 12h or 1h30m\n";
    let range = "vault: error: --duration: AWS takes 15m to 36h, and 12h at most for a role\n";
    let role = "vault: error: --duration: AWS gives a role for 15m to 12h, not for 13h\n";
    for (profile, duration, stderr) in [
        ("demo", "0", not),
        ("demo", "30", not),
        ("demo", "-5m", not),
        ("demo", "1d", not),
        ("demo", "", not),
        ("demo", "1.5h", not),
        ("demo", "99999999999999999999h", not),
        ("demo", "0m", not),
        ("demo", "14m59s", range),
        ("demo", "37h", range),
        ("role", "13h", role),
    ] {
        for words in [
            vec!["exec", "-d", duration, profile, "true"],
            vec!["exec", "--json", "-d", duration, profile],
            vec!["export", "-d", duration, profile],
            vec!["explain", "-d", duration, profile],
        ] {
            test.command(words).expect_error(2, stderr).run();
        }
    }
}

#[test]
fn aws_vault_s_flags_are_taken_or_refused_with_what_to_use() {
    let test = Test::new().vault_with("demo").on_path("aws-vault").program("aws-vault");
    for line in [
        "exec --no-session --lazy --stdout demo -- true",
        "--prompt=terminal --backend file exec -n demo -- true",
        "exec --backend=keychain --prompt terminal -n demo -- true",
        "--file-dir x --keychain x --secret-service-collection x --pass-dir x --pass-cmd x \
         --pass-prefix x exec -n demo true",
    ] {
        let words: Vec<_> = line.split_whitespace().collect();
        test.command(words).program("aws-vault").expect_stdout("").expect_stderr("").run();
    }
    let json = "vault: hint: let the command's credential_process be vault exec --json PROFILE\n";
    let ec2 = "vault: error: --ec2-server is not supported: it would replace the metadata service \
        of the whole machine\n";
    let prompt = "vault: error: --prompt: only terminal is supported\n\
                  vault: hint: name a program by mfa_process in the AWS config, or give the code with \
                  --mfa-token\n";
    for (line, stderr) in [
        ("exec --ec2-server demo", format!("{ec2}{json}")),
        ("--prompt=osascript exec demo", prompt.to_owned()),
        ("exec --prompt ykman demo", prompt.to_owned()),
    ] {
        let words: Vec<_> = line.split_whitespace().collect();
        test.command(words).program("aws-vault").expect_error(2, &stderr).run();
    }
}

#[test]
fn what_is_aws_vault_s_and_has_no_effect_is_noted_under_debug() {
    let test = Test::new().vault_with("demo").env("AWS_VAULT_BACKEND", "pass");
    let output = test.command(["exec", "--debug", "--backend", "file", "-n", "demo", "true"]).run();
    for name in ["--backend", "AWS_VAULT_BACKEND"] {
        let line = format!("vault: debug: {name} is aws-vault's and has no effect here\n");
        assert!(output.stderr.contains(&line), "{}", output.stderr);
    }
    assert!(!output.stderr.contains(SECRET_ACCESS_KEY));
}

#[test]
fn without_a_command_it_is_a_shell_and_a_note_says_so() {
    let test = Test::new().vault_with("demo").env("SHELL", "/bin/sh");
    let shell = test.command(["exec", "-n", "demo"]).stdin("echo $AWS_VAULT; exit 3\n");
    shell
        .clone()
        .expect_status(3)
        .expect_stdout("demo\n")
        .expect_stderr("Starting subshell /bin/sh, use `exit` to exit the subshell\n")
        .run();
    shell.env_remove("SHELL").expect_status(3).expect_stdout("demo\n").run();
    test.command(["--quiet", "exec", "-n", "demo"]).expect_stderr("").run();
}

#[test]
fn a_subshell_inside_a_subshell_is_refused_and_a_command_is_not() {
    let test = Test::new().vault_with("demo").env("AWS_VAULT", "other");
    test.command(["exec", "-n", "demo"])
        .expect_error(
            125,
            "vault: error: running in an existing vault subshell\n\
             vault: hint: exit from the subshell, or unset AWS_VAULT to force\n",
        )
        .run();
    test.command(["exec", "-n", "demo", "sh", "-c", "printf %s $AWS_VAULT"])
        .expect_stdout("demo")
        .run();
    test.command(["exec", "-n", "--json", "demo"]).run();
}

#[test]
fn the_command_has_the_terminal() {
    let test = Test::new().vault_with("demo");
    // One process, so that ^C finds no shell between two of its commands.
    let mut pty = test.command(["exec", "-n", "demo", "cat"]).pty();
    pty.send("typed");
    pty.expect("typed\ntyped\n", SOON);
    pty.press("\x03");
    let (status, screen) = pty.end(SOON);
    assert_eq!(status, 128 + 2);
    assert_same("screen", "typed\ntyped\n^C", &screen);
}
