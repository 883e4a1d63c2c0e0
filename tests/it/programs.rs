//! What programs of profiles give and are given: `credential_process`, also where it is vault itself, and
//! `mfa_process`.

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
fn aws_account_id_is_given_beside_a_key_and_never_beside_a_role() {
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
    let ask = "printf 'Code? ' >/dev/tty; read code; echo \"$code\"\n";
    let test = scene::with(&standin, &config).file("ask", ask, 0o600);
    // Whatever our own stdin is.
    let run = test.command(["exec", "--json", "m"]).stdin("000000\n").expect_stderr("");
    let (mut pty, pipes) = run.pty_with_pipes();
    // Nobody types before the question.
    pty.expect("Code? ", SOON);
    pty.send(&code(&standin));
    run.finish(pty, pipes);
    assert_eq!(log(&standin), "GetSessionToken by key duration=28800 mfa=mfa/demo: ok\n");

    // Without a terminal, or where nobody is to be asked, there is nothing to read.
    let ask = "printf 'Code? ' >&2; read code; echo \"$code\"\n";
    let test = test.file("ask", ask, 0o600);
    let none = "Code? vault: error: the mfa_process printed no MFA code, which is six digits\n";
    let refresh = test.command(["exec", "--json", "--refresh", "m"]).stdin("000000\n");
    refresh.expect_error(9, none).run();
    let (status, screen) =
        test.command(["exec", "--json", "--refresh", "--no-input", "m"]).pty().end(SOON);
    assert_eq!((status, screen), (9, none.to_owned()));
}

// A credential_process that is this program.

/// `outer` starts us by `command`, and `role` takes a role from there.
fn outer(command: &str) -> String {
    format!(
        "{PROFILES}[profile outer]\ncredential_process = {command}\n\
         [profile over]\nsource_profile = outer\nrole_arn = arn:aws:iam::{ACCOUNT}:role/audit\n"
    )
}

const AS_PROCESS: &str = "GetSessionToken by key duration=3600: ok\n";

/// The vault opens by a variable that no child sees, so that a process could not open it.
#[test]
fn for_another_profile_it_is_planned_here_since_the_vault_is_open() {
    let link = "'[HOME]/bin/vault' exec \"demo\" -j";
    for command in ["vault exec --json demo", "vault exec -n=0 --json demo", link] {
        let standin = scene::sts();
        let test = scene::with(&standin, "").on_path("vault");
        let command = command.replace("[HOME]", &test.home().display().to_string());
        let test = test.config(&outer(&command));
        let run = test.command(["exec", "--json", "outer"]);
        if command.contains("-n=0") {
            // A flag that is not known here: a process, with what it says of that.
            run.expect_status(1).run();
            continue;
        }
        run.clone().expect_stderr("").run();
        run.expect_stderr("").run();
        assert_eq!(log(&standin), AS_PROCESS, "{command}");
    }
}

#[test]
fn its_flags_count_as_given() {
    let standin = scene::sts();
    let test = scene::with(&standin, "").on_path("vault");
    let run = |command: &str, words: &[&str]| {
        let test = test.clone().config(&outer(command)).env_remove("AWS_REGION");
        test.command(["exec", "--json", "--refresh"]).args(words).expect_stderr("").run();
    };
    run("vault exec --json -n demo", &["-n", "outer"]);
    assert_eq!(log(&standin), "");
    run("vault exec --json -d 30m --region us-east-1 demo", &["outer"]);
    assert_eq!(log(&standin), "GetSessionToken by key duration=1800: ok\n");
    run("vault exec --json --duration=45m --region=us-east-1 demo", &["outer"]);
    assert!(log(&standin).ends_with("GetSessionToken by key duration=2700: ok\n"));
    // A role from a key is no role from a session.
    run("vault exec --json -n demo", &["-d", "2h", "--region", "us-east-1", "over"]);
    assert!(log(&standin).contains("AssumeRole by key role=role/audit"), "{}", log(&standin));
    run("vault exec --json demo", &["--region", "us-east-1", "over"]);
    assert!(log(&standin).contains("AssumeRole by session"), "{}", log(&standin));
}

#[test]
fn a_code_from_the_command_line_is_not_for_it() {
    let standin = scene::sts();
    let test = scene::with(&standin, &outer("vault exec --json mfa")).on_path("vault");
    let run = test.command(["exec", "--json", "outer", "-t", &code(&standin)]);
    let output = run.expect_status(9).run();
    assert!(output.stderr.contains("no MFA code is available for"), "{}", output.stderr);
    // Its own terminal, and a seed in the vault, are.
    let run = test.command(["exec", "--json", "outer"]).expect_stderr("");
    let (mut pty, pipes) = run.pty_with_pipes();
    pty.expect("Enter MFA code for ", SOON);
    pty.send(&code(&standin));
    run.finish(pty, pipes);
    assert_eq!(log(&standin), "GetSessionToken by key duration=28800 mfa=mfa/demo: ok\n");
}

#[test]
fn explain_shows_the_plan_inside() {
    let test = Test::new().vault_with("demo").on_path("vault").config(
        "[profile outer]\nregion = eu-west-1\ncredential_process = vault exec -n --json demo\n",
    );
    test.command(["explain", "-n", "outer"])
        .expect_stdout(
            "profile   outer\n\
             from      credential_process of profile outer: vault exec -n --json demo\n          \
             which is this program: it is not started, and its plan is\n            \
             profile   demo\n            \
             from      the key of profile demo in the vault\n            \
             steps     none, the credentials are used as they are\n            \
             region    none, the command's variables are left alone\n\
             steps     none, the credentials are used as they are\n\
             region    eu-west-1\n",
        )
        .expect_stderr("")
        .run();
    let output = test.command(["explain", "--json", "-n", "outer"]).expect_stderr("").run();
    let json: serde_json::Value = serde_json::from_slice(&output.raw_stdout).expect("JSON");
    assert_eq!(json["base"]["plan"]["base"]["kind"], "vault");
}

/// HashiCorp's vault has the same name.
#[test]
fn another_program_of_our_name_is_started() {
    let other = format!("#!/bin/sh\necho '{}'\n", answer(""));
    let test = Test::new().file("hashicorp/vault", other, 0o755);
    let program = test.home().join("hashicorp/vault").display().to_string();
    for command in [format!("{program} exec --json p"), format!("{program} exec --json other")] {
        let test = test.clone().config(&format!("[profile p]\ncredential_process = {command}\n"));
        assert_eq!(field(&test, &["-n", "p"], "AccessKeyId"), ACCESS_KEY_ID);
    }
}

/// Words that a shell would make more of, other flags, and what is no `exec --json`.
#[test]
fn what_is_not_known_to_be_the_same_is_started() {
    let test = Test::new().vault_with("demo").on_path("vault");
    for command in [
        "vault exec --json demo; true",
        "NAME=x vault exec --json demo",
        "vault exec --json $NAME",
        "vault exec --json --no-input demo",
        "vault export --format json demo",
        "vault exec --json demo -- true",
        "vault exec --json -n '' demo",
        "vault --json exec demo",
        "vault exec --json -n -n demo",
    ] {
        let test = test.clone().config(&format!("[profile p]\ncredential_process = {command}\n"));
        // A process sees no key of the vault's.
        let output = test.command(["exec", "--json", "-n", "p"]).expect_status(1).run();
        let failed = "vault: error: the credential_process of profile \"p\" ";
        assert!(output.stderr.contains(failed), "{command}: {}", output.stderr);
    }
}

#[test]
fn a_mistake_in_it_is_not_blamed_on_the_command_line() {
    let test = Test::new().vault_with("demo").on_path("vault");
    for (duration, what) in [
        ("5m", "AWS gives a session for 15m to 36h, not for 5m"),
        (
            "5x",
            "not a duration\nvault: hint: give a number with its unit, such as 30m, 12h or 1h30m",
        ),
    ] {
        let config =
            format!("[profile p]\ncredential_process = vault exec --json -d {duration} demo\n");
        let error =
            format!("vault: error: credential_process of profile \"p\": --duration: {what}\n");
        test.clone()
            .config(&config)
            .command(["exec", "p", "--", "true"])
            .expect_error(125, &error)
            .run();
    }
}

#[test]
fn profiles_that_name_each_other_end_with_the_loop_shown() {
    let config = "[profile a]\ncredential_process = vault exec --json b\n\
                  [profile b]\ncredential_process = vault exec --json c\n\
                  [profile c]\nsource_profile = a\nrole_arn = arn:aws:iam::123456789012:role/c\n";
    Test::new()
        .on_path("vault")
        .config(config)
        .command(["exec", "--json", "a"])
        .expect_error(
            1,
            "vault: error: credential_process runs vault for its own profile: a -> b -> a\n\
             vault: hint: make it name a profile that has a key in the vault\n",
        )
        .run();
}

#[test]
fn a_long_chain_of_them_ends() {
    let profiles = (0..100)
        .map(|n| format!("[profile p{n}]\ncredential_process = vault exec --json p{}\n", n + 1));
    Test::new()
        .on_path("vault")
        .config(&profiles.collect::<String>())
        .command(["exec", "--json", "p0"])
        .expect_error(
            2,
            "vault: error: the credential_process chain of profile \"p0\" has more than 32 steps\n",
        )
        .run();
}

// `aws login`.

#[test]
fn a_login_session_is_the_aws_cli_s_and_the_error_names_the_way() {
    let login = "[profile person]\nlogin_session = arn:aws:iam::123456789012:user/me\n";
    let test = Test::new().config(login);
    let line =
        "credential_process = aws configure export-credentials --profile person --format process";
    test.command(["exec", "--json", "person"])
        .expect_error(
            2,
            &format!(
                "vault: error: profile \"person\" logs in by aws login (login_session), which vault does \
                 not read\nvault: hint: in a profile of its own: {line}\n"
            ),
        )
        .run();

    // What the hint names works.
    let script = format!(
        "#!/bin/sh\n[ \"$*\" = 'configure export-credentials --profile person --format process' ] \
         && echo '{}'\n",
        answer(r#", "SessionToken": "t", "Expiration": "2099-01-31T12:00:00+00:00""#)
    );
    let test = test.on_path("vault").file("bin/aws", script, 0o755);
    let test = test.config(&format!("{login}[profile work]\n{line}\n"));
    assert_eq!(field(&test, &["work"], "SessionToken"), "t");
}

// Programs that nobody starts.

#[test]
fn a_credential_process_that_an_sdk_never_reaches_is_pointed_at() {
    let process = "credential_process = /usr/local/bin/vault exec --json";
    let config = format!(
        "[profile demo]\nregion = us-east-1\n{process} demo\n\
         [profile role]\nsource_profile = demo\nrole_arn = arn:aws:iam::{ACCOUNT}:role/a\n{process} role\n\
         [profile person]\nsso_start_url = https://example.awsapps.com/start\nsso_region = us-east-1\n\
         sso_account_id = {ACCOUNT}\nsso_role_name = ReadOnly\n{process} person\n\
         [profile clear]\n{process} clear\n\
         [profile own]\naws_access_key_id = {ACCESS_KEY_ID}\naws_secret_access_key = x\n{process} own\n"
    );
    let keys = format!("[clear]\naws_access_key_id = {ACCESS_KEY_ID}\naws_secret_access_key = x\n");
    let test = Test::new().vault_with("demo").config(&config).aws_credentials(&keys);
    let said = |name: &str, what: &str, advice: &str| {
        let what =
            format!("profile \"{name}\": the AWS CLI and the SDKs take its {what} before its");
        format!("{what} credential_process, which they never start; {advice}")
    };
    let own = "put credential_process into a profile of its own";
    let import = "vault import --from credentials --remove-source clear";
    let expected = [
        ("demo", None),
        ("role", Some(said("role", "role_arn", own))),
        ("person", Some(said("person", "sso_account_id", own))),
        ("clear", Some(said("clear", "key in the credentials file", import))),
        // In the config file it comes after the process.
        ("own", None),
    ];
    for (name, note) in &expected {
        let output = test.command(["explain", name]).expect_stderr("").run();
        let lines = output.stdout.lines().filter(|line| line.contains("never start"));
        let lines: Vec<_> = lines.map(str::to_owned).collect();
        let note: Vec<_> = note.iter().map(|note| format!("note      {note}")).collect();
        assert_eq!(lines, note, "{name}");
    }
    let output = test.command(["doctor"]).expect_stderr("").any_status().run();
    for note in expected.iter().filter_map(|(_, note)| note.as_ref()) {
        let note = note.replace("; vault import", "; run: vault import");
        let line = format!("problem  aws     {note}\n");
        assert!(output.stdout.contains(&line), "{line}{}", output.stdout);
    }
    assert_eq!(output.stdout.matches("never start").count(), 3, "{}", output.stdout);
}

/// Prints who gives the credentials of each profile, without asking them, or the end of those that a
/// program gives.
const PROVIDERS: &str = r#"
import sys
from datetime import timezone
from botocore.session import Session

for profile in sys.argv[1:]:
    try:
        given = Session(profile=profile).get_credentials()
        end = getattr(given, "_expiry_time", None)
        # As before each call, where the end is compared with the clock.
        end and given.get_frozen_credentials()
        end = end and end.astimezone(timezone.utc).strftime(" %Y-%m-%dT%H:%M:%SZ")
        print(profile, given.method + (end or ""))
    except Exception as error:
        print(profile, "refused")
"#;

#[test]
#[ignore = "needs botocore (see .ci/run)"]
fn botocore_takes_the_same_before_a_credential_process() {
    let process = "credential_process = cat key.json";
    let config = format!(
        "[profile plain]\n{process}\n\
         [profile role]\nsource_profile = plain\nrole_arn = arn:aws:iam::{ACCOUNT}:role/a\n{process}\n\
         [profile person]\nsso_start_url = https://example.awsapps.com/start\nsso_region = us-east-1\n\
         sso_account_id = {ACCOUNT}\nsso_role_name = ReadOnly\n{process}\n\
         [profile clear]\n{process}\n\
         [profile own]\naws_access_key_id = {ACCESS_KEY_ID}\naws_secret_access_key = x\n{process}\n"
    );
    let keys = format!("[clear]\naws_access_key_id = {ACCESS_KEY_ID}\naws_secret_access_key = x\n");
    let test =
        Test::new().config(&config).aws_credentials(&keys).file("key.json", answer(""), 0o600);
    let python = test.command(["-c", PROVIDERS, "plain", "role", "person", "clear", "own"]);
    python
        .program("python3")
        .expect_stdout(
            "plain custom-process\nrole assume-role\nperson sso\nclear shared-credentials-file\n\
             own custom-process\n",
        )
        .expect_stderr("")
        .run();
}

#[test]
#[ignore = "needs botocore (see .ci/run)"]
fn botocore_reads_the_same_expiration() {
    let ends = [
        "2099-01-31T12:00:00Z",
        "2099-01-31T12:00:00+0000",
        "2099-01-31T12:00:00UTC",
        "2099-01-31 12:00:00 UTC",
        "2099-01-31 12:00:00.5+00:00",
        "2099-01-31 14:00:00 +0200",
        "2099-01-31T12:00:00-04",
        // The first cannot be compared with a clock.
        "2099-01-31T12:00:00",
        "soon",
    ];
    let mut test = Test::new();
    let mut config = String::new();
    let names: Vec<_> = (0..ends.len()).map(|n| format!("p{n}")).collect();
    for (name, end) in names.iter().zip(ends) {
        let more = format!(r#", "SessionToken": "t", "Expiration": "{end}""#);
        test = test.file(&format!("{name}.json"), answer(&more), 0o600);
        config += &format!("[profile {name}]\ncredential_process = cat {name}.json\n");
    }
    let test = test.config(&config);
    let python = test.command(["-c", PROVIDERS]).args(&names).program("python3");
    let theirs = python.expect_stderr("").run().stdout;
    let mut ours = String::new();
    for name in &names {
        let output = test.command(["exec", "--json"]).arg(name).any_status().run();
        let json: serde_json::Value = serde_json::from_str(&output.stdout).unwrap_or_default();
        ours += &match json["Expiration"].as_str() {
            Some(end) => format!("{name} custom-process {end}\n"),
            None => format!("{name} refused\n"),
        };
    }
    assert_eq!(ours, theirs);
    assert_eq!(ours.matches("refused").count(), 2, "{ours}");
}
