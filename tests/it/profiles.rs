//! Where a profile's settings and credentials come from.

use crate::support::builder::Test;
use crate::support::diff::assert_same;
use crate::support::scene::{self, log};
use crate::support::standin::{Role, StandIn, World};
use crate::support::{ACCESS_KEY_ID, SECRET_ACCESS_KEY};

/// What `--json` prints for the example key as it is.
fn key_json() -> String {
    format!(
        "{{\"AccessKeyId\":\"{ACCESS_KEY_ID}\",\"SecretAccessKey\":\"{SECRET_ACCESS_KEY}\",\"Version\":1}}\n"
    )
}

/// The example key as a credential_process prints it.
fn process_json() -> String {
    format!(
        r#"{{"Version": 1, "AccessKeyId": "{ACCESS_KEY_ID}", "SecretAccessKey": "{SECRET_ACCESS_KEY}"}}"#
    )
}

/// `vault exec --json --no-session PROFILE`
fn key_of(test: &Test, profile: &str) -> Test {
    test.command(["exec", "--json", "--no-session", profile])
}

// The files.

#[test]
fn everything_is_inherited_by_include_profile_and_by_a_chain_of_them() {
    let standin = scene::sts();
    let config = "\
[profile demo]
[profile base]
region = eu-west-1
role_session_name = from-base
[profile middle]
include_profile = base
source_profile = demo
role_session_name = from-middle
[profile top]
include_profile = middle
role_arn = arn:aws:iam::123456789012:role/deploy
";
    standin.change(|world| world.region = Some("eu-west-1".to_owned()));
    let test = scene::with(&standin, config).env_remove("AWS_REGION");
    test.command(["exec", "--json", "top"]).expect_stderr("").run();
    assert_same(
        "log",
        "AssumeRole by key in eu-west-1 role=role/deploy name=from-middle duration=3600: ok\n",
        &log(&standin),
    );
}

#[test]
fn an_include_profile_that_leads_nowhere_is_a_warning() {
    let test = Test::new().vault_with("demo").config("[profile demo]\ninclude_profile = gone\n");
    key_of(&test, "demo")
        .expect_stdout(key_json())
        .expect_stderr("vault: warning: no profile \"gone\", the include_profile of \"demo\"\n")
        .run();
}

#[test]
fn settings_are_inherited_from_default_and_credentials_are_not_with_a_warning() {
    let config = "\
[default]
region = eu-west-1
role_arn = arn:aws:iam::123456789012:role/deploy
source_profile = other
[profile demo]
";
    let test = Test::new().vault_with("demo").config(config);
    test.command(["exec", "-n", "demo", "sh", "-c", "echo $AWS_REGION"])
        .expect_stdout("eu-west-1\n")
        .expect_stderr(
            "vault: warning: profile \"demo\" does not inherit role_arn from [default]; \
             in aws-vault it would\n",
        )
        .run();
    let test = Test::new().config(config);
    let lent = "[default]\ncredential_process = x\n[profile bare]\n";
    key_of(&test.clone().vault_with("demo").config(lent), "bare")
        .expect_error(
            3,
            "vault: error: no credentials for profile \"bare\"\n\
             vault: hint: vault add bare; credential_process is not inherited from [default]\n",
        )
        .run();
}

#[test]
fn a_setting_that_would_change_the_credentials_and_that_nothing_reads_is_a_warning() {
    let config = "\
[default]
mfa_serail = arn:aws:iam::123456789012:mfa/demo
[profile shared]
rolearn = arn:aws:iam::123456789012:role/deploy
regoin = eu-west-1
[profile demo]
[profile slip]
source_profile = demo
include_profile = shared
[profile below]
output = json
    role_arn = arn:aws:iam::123456789012:role/deploy
source_profile = demo
[profile key]
source_profle = demo
";
    let test = Test::new().vault_with("demo").vault_with("key").config(config);
    let lent = "vault: warning: profile \"default\": nothing reads its mfa_serail; did you mean mfa_serial?\n";
    for (profile, warning) in [
        (
            "slip",
            "vault: warning: profile \"shared\": nothing reads its rolearn; did you mean role_arn?\n",
        ),
        (
            "below",
            "vault: warning: [HOME]/.aws/config line 12: role_arn is indented, so it continues the value of \
             output; begin it where output begins\n",
        ),
        // With a key of its own in the vault a profile needs no source.
        ("key", ""),
    ] {
        key_of(&test, profile)
            .expect_stdout(key_json())
            .expect_stderr(format!("{warning}{lent}"))
            .run();
    }
}

#[test]
fn what_an_indented_line_swallowed_is_named_and_not_shown() {
    let config = format!(
        "[profile a]\nsource_profile = demo\n  aws_secret_access_key = {SECRET_ACCESS_KEY}\n"
    );
    key_of(&Test::new().vault_with("demo").config(&config), "a")
        .expect_error(
            3,
            "vault: error: no profile \"demo ...\", the source_profile of \"a\"\n\
             vault: hint: [HOME]/.aws/config line 3: aws_secret_access_key is indented, so it continues the \
             value of source_profile; begin it where source_profile begins\n",
        )
        .run();
}

/// `count` profiles, each of which names the next by this key and has a role; the last is `end`.
fn chain(key: &str, count: usize) -> String {
    let profile = |at: usize| {
        let next = if at + 1 < count { format!("p{}", at + 1) } else { "end".to_owned() };
        format!(
            "[profile p{at}]\n{key} = {next}\nrole_arn = arn:aws:iam::123456789012:role/p{at}\n"
        )
    };
    (0..count).map(profile).collect::<String>() + "[profile end]\n"
}

#[test]
fn a_chain_has_a_limit_and_is_as_long_as_that() {
    let roles = (0..32).map(|at| Role::new(&format!("p{at}")));
    let standin = StandIn::start(roles.fold(World::demo(), World::role));
    let test = Test::new().vault_with("end").standin(&standin);
    let exec = |test: &Test| test.command(["exec", "--json", "p0"]);
    let said = "vault: note: the roles";
    let run = exec(&test.clone().config(&chain("source_profile", 32))).run();
    assert!(run.stderr.is_empty() || run.stderr.starts_with(said), "{}", run.stderr);
    assert_eq!(standin.calls().iter().filter(|call| call.action == "AssumeRole").count(), 32);

    for key in ["source_profile", "include_profile"] {
        let stderr =
            format!("vault: error: the {key} chain of profile \"p0\" has more than 32 steps\n");
        for count in [33, 34, 2000, 9000] {
            let test = test.clone().config(&chain(key, count));
            exec(&test).expect_error(2, &stderr).run();
            for words in [["explain", "p0", ""], ["sso", "login", "p0"], ["totp", "code", "p0"]] {
                let words = words.into_iter().filter(|word| !word.is_empty());
                test.command(words).expect_error(2, &stderr).run();
            }
            // None of its profiles is in the way of another.
            test.command(["exec", "--json", "-n", "end"]).expect_stderr("").run();
        }
    }
    // What [default] includes counts for all.
    let lent = chain("include_profile", 2000) + "[default]\ninclude_profile = p0\n";
    let stderr =
        "vault: error: the include_profile chain of profile \"default\" has more than 32 steps\n";
    test.config(&lent).command(["exec", "--json", "end"]).expect_error(2, stderr).run();
}

#[test]
fn loops_are_shown() {
    let config = "\
[profile a]
source_profile = b
[profile b]
source_profile = c
[profile c]
source_profile = a
[profile x]
include_profile = y
[profile y]
include_profile = x
";
    let test = Test::new().vault_with("demo").config(config);
    key_of(&test, "a")
        .expect_error(2, "vault: error: source_profile loop: a -> b -> c -> a\nvault: hint: take the source_profile out of one of these profiles\n")
        .run();
    key_of(&test, "x").expect_error(2, "vault: error: include_profile loop: x -> y -> x\nvault: hint: take the include_profile out of one of these profiles\n").run();
}

#[test]
fn a_source_profile_that_names_itself_means_its_own_key() {
    let test = Test::new().vault_with("demo").config("[profile demo]\nsource_profile = demo\n");
    key_of(&test, "demo").expect_stdout(key_json()).expect_stderr("").run();
}

#[test]
fn a_missing_profile_is_an_error_with_what_may_be_meant() {
    let config = "\
[plain]
[profile my profile]
[Profile upper]
[profile production]
[profile lost]
source_profile = nowhere
";
    let test = Test::new().vault_with("demo").config(config);
    for (profile, stderr) in [
        (
            "nobody",
            "vault: error: no profile \"nobody\"\n\
             vault: hint: looked in [HOME]/.aws/config, [HOME]/.aws/credentials and the vault\n",
        ),
        (
            "prodution",
            "vault: error: no profile \"prodution\"\nvault: hint: did you mean \"production\"?\n",
        ),
        (
            "plain",
            "vault: error: no profile \"plain\"\nvault: hint: [HOME]/.aws/config line 1: [plain] \
             is ignored; in the AWS config write [profile plain]\n",
        ),
        (
            "my profile",
            "vault: error: no profile \"my profile\"\nvault: hint: [HOME]/.aws/config line 2: \
             [profile my profile] is ignored, a name with a blank has quotes: [profile \"NAME\"]\n",
        ),
        (
            "upper",
            "vault: error: no profile \"upper\"\nvault: hint: [HOME]/.aws/config line 3: [Profile \
             upper] is ignored, the word is profile in lower case\n",
        ),
        (
            "lost",
            "vault: error: no profile \"nowhere\", the source_profile of \"lost\"\nvault: hint: \
             looked in [HOME]/.aws/config, [HOME]/.aws/credentials and the vault\n",
        ),
        (
            "production",
            "vault: error: no credentials for profile \"production\"\nvault: hint: vault add \
             production\n",
        ),
    ] {
        key_of(&test, profile).expect_error(3, stderr).run();
    }
}

#[test]
fn the_files_may_lie_elsewhere() {
    let test = Test::new()
        .file("elsewhere/config", "[profile p]\nregion = eu-west-1\n", 0o600)
        .file(
            "elsewhere/credentials",
            format!("[p]\naws_access_key_id = {ACCESS_KEY_ID}\naws_secret_access_key = {SECRET_ACCESS_KEY}\n"),
            0o600,
        );
    let home = test.home().to_owned();
    for elsewhere in ["~/elsewhere".into(), home.join("elsewhere"), "elsewhere".into()] {
        let test = test
            .clone()
            .env("AWS_CONFIG_FILE", elsewhere.join("config"))
            .env("AWS_SHARED_CREDENTIALS_FILE", elsewhere.join("credentials"));
        key_of(&test, "p").expect_stdout(key_json()).expect_stderr("").run();
        test.command(["exec", "-n", "p", "sh", "-c", "echo $AWS_REGION"])
            .expect_stdout("eu-west-1\n")
            .run();
    }
}

#[test]
fn a_file_that_cannot_be_read_is_an_error_that_names_it_and_quotes_nothing() {
    let test =
        Test::new().vault_with("demo").file(".aws/credentials", b"[p]\nsecret \xff\n", 0o600);
    let stderr = "vault: error: cannot read [HOME]/.aws/credentials: line 2 is not UTF-8\n";
    key_of(&test, "demo").expect_error(1, stderr).run();
    let test = Test::new().vault_with("demo").file(".aws/config/file", "", 0o600);
    key_of(&test, "demo")
        .expect_error(1, "vault: error: cannot read [HOME]/.aws/config: not a regular file\n")
        .run();
    let test = Test::new().vault_with("demo").config(&"#\n".repeat(600_000));
    key_of(&test, "demo")
        .expect_error(1, "vault: error: cannot read [HOME]/.aws/config: larger than 1 MiB\n")
        .run();
}

#[test]
fn a_line_that_is_not_understood_is_an_error_for_its_own_profile_only() {
    let hint = "vault: hint: make it KEY = VALUE, or a comment that begins with #\n";
    let stderr =
        "vault: error: [HOME]/.aws/credentials line 2, of profile \"p\", is not understood\n";
    let test = Test::new().vault_with("demo").stored("p", ACCESS_KEY_ID, SECRET_ACCESS_KEY);
    let test = test.aws_credentials("[p]\nsecret that is no setting\n");
    key_of(&test, "p").expect_error(1, &format!("{stderr}{hint}")).run();
    key_of(&test, "demo").expect_stdout(key_json()).expect_stderr("").run();

    let stderr = "vault: error: [HOME]/.aws/config line 3, of profile \"p\", is not understood: region us-east-1\n";
    let test = test.aws_credentials("").config("before = any\n[profile p]\nregion us-east-1\n");
    key_of(&test, "p").expect_error(1, &format!("{stderr}{hint}")).run();
    key_of(&test, "demo").expect_stdout(key_json()).expect_stderr("").run();
}

#[test]
fn a_file_is_read_as_the_aws_cli_reads_it() {
    let config = "\
  # an indented comment before the first key
[profile 'My MacBook Pro'] with text behind
  source_profile: demo
  region: eu-west-1
  s3 =
    # a comment inside
    max_concurrent_requests = 20
";
    let test = Test::new().vault_with("demo").config(config);
    test.command(["exec", "-n", "My MacBook Pro", "sh", "-c", "echo $AWS_REGION"])
        .expect_stdout("eu-west-1\n")
        .expect_stderr("")
        .run();
}

#[test]
fn a_role_under_a_quoted_name_is_assumed_where_the_vault_has_a_key_of_that_name() {
    let standin = scene::sts();
    let config = "[profile \"demo\"]\nrole_arn = arn:aws:iam::123456789012:role/deploy\n";
    scene::with(&standin, config).command(["exec", "--json", "demo"]).expect_stderr("").run();
    assert_same(
        "log",
        "AssumeRole by key role=role/deploy name=vault-demo duration=3600: ok\n",
        &log(&standin),
    );
}

#[test]
fn a_quoted_semicolon_is_part_of_a_credential_process() {
    let test = Test::new()
        .file("key.json", process_json(), 0o600)
        .config("[profile p]\ncredential_process = sh -c 'exec 2>&1 ; cat key.json # it'\n");
    key_of(&test, "p").expect_stdout(key_json()).expect_stderr("").run();
}

#[test]
fn a_byte_order_mark_and_crlf_are_no_trouble() {
    let test = Test::new().vault_with("demo");
    let test = test.config("\u{feff}[profile p]\r\nsource_profile = demo\r\n[profile demo]\r\n");
    key_of(&test, "p").expect_stdout(key_json()).expect_stderr("").run();
}

#[test]
fn the_profile_may_come_by_variable() {
    let test = Test::new().vault_with("demo").vault_with("default");
    let shown = |test: &Test| test.command(["export", "-n", "--format", "ini"]).run().stdout;
    assert!(shown(&test).starts_with("[default]\n"));
    let test = test.env("AWS_DEFAULT_PROFILE", "demo");
    assert!(shown(&test).starts_with("[demo]\n"));
    let test = test.env("AWS_PROFILE", "default");
    assert!(shown(&test).starts_with("[default]\n"));
    // Another profile than the one that was meant may be another account.
    let broken = <std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(b"d\xffmo");
    let test = test.env("AWS_PROFILE", broken).command(["exec", "-n", "--json"]);
    test.expect_error(2, "vault: error: AWS_PROFILE is not UTF-8\n").run();
}

#[test]
fn without_a_home_everything_may_be_named() {
    let test = Test::new().vault_with("demo");
    let (vault, config) = (test.vault_file(), test.home().join(".aws/config"));
    let state = test.home().join("state");
    // A uid that /etc/passwd does not know cannot be made here: an empty HOME falls back to what it
    // says of ours, where the test's files do not lie.
    let test = test
        .config("[profile p]\nsource_profile = demo\n[profile demo]\n")
        .env("AWS_CONFIG_FILE", config)
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .env("AWS_VAULT_FILE", vault)
        .env("XDG_STATE_HOME", state)
        .env_remove("HOME");
    key_of(&test, "p").expect_stdout(key_json()).run();
}

// Credentials that are not in the vault.

#[test]
fn plaintext_keys_are_taken_without_any_vault() {
    let plain = format!(
        "aws_access_key_id = {ACCESS_KEY_ID}\naws_secret_access_key = {SECRET_ACCESS_KEY}\n"
    );
    let in_config = Test::new().config(&format!("[profile p]\n{plain}"));
    key_of(&in_config, "p").expect_stdout(key_json()).expect_stderr("").run();
    let in_credentials = Test::new().aws_credentials(&format!("[p]\n{plain}"));
    key_of(&in_credentials, "p").expect_stdout(key_json()).expect_stderr("").run();
    let included =
        Test::new().config(&format!("[profile a]\ninclude_profile = p\n[profile p]\n{plain}"));
    key_of(&included, "a").expect_stdout(key_json()).expect_stderr("").run();
}

#[test]
fn a_session_token_under_boto_s_old_name_is_handed_on() {
    let key = format!(
        "[p]\naws_access_key_id = {ACCESS_KEY_ID}\naws_secret_access_key = {SECRET_ACCESS_KEY}\naws_security_token = old\n"
    );
    let expected = key_json().replace(",\"Version\"", ",\"SessionToken\":\"old\",\"Version\"");
    let test = Test::new().aws_credentials(&key);
    key_of(&test, "p").expect_stdout(expected.clone()).expect_stderr("").run();
    let test = Test::new()
        .config("[profile p]\ncredential_source = Environment\n")
        .env("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID)
        .env("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY)
        .env("AWS_SECURITY_TOKEN", "old");
    key_of(&test, "p").expect_stdout(expected).expect_stderr("").run();
}

#[test]
fn a_vault_that_is_named_has_to_be_there_also_where_another_key_is() {
    let plain = format!(
        "aws_access_key_id = {ACCESS_KEY_ID}\naws_secret_access_key = {SECRET_ACCESS_KEY}\n"
    );
    let test = Test::new().config(&format!("[profile p]\n{plain}"));
    let stderr = "vault: error: no vault at /nonexistent/vault.age\n\
                  vault: hint: make one: vault init --generate-identity [HOME]/.config/vault/identity.txt; \
                  or name it with --vault or AWS_VAULT_FILE\n";
    let by_flag = stderr.replace("init", "init --vault /nonexistent/vault.age");
    test.command(["exec", "--json", "-n", "p", "--vault", "/nonexistent/vault.age"])
        .expect_error(3, &by_flag)
        .run();
    let test = test.env("AWS_VAULT_FILE", "/nonexistent/vault.age");
    key_of(&test, "p").expect_error(3, stderr).run();
}

#[test]
fn the_vault_s_key_outranks_what_the_files_say() {
    let config = "[profile demo]\naws_access_key_id = AKIAOTHER\naws_secret_access_key = other\n\
                  credential_process = exit 1\n";
    let test = Test::new().vault_with("demo").config(config);
    key_of(&test, "demo").expect_stdout(key_json()).expect_stderr("").run();
}

#[test]
fn the_environment_is_a_source_where_the_profile_says_so() {
    let test = Test::new()
        .config("[profile p]\ncredential_source = Environment\n[profile q]\nsource_profile = p\n")
        .env("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID)
        .env("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY);
    key_of(&test, "p").expect_stdout(key_json()).expect_stderr("").run();
    key_of(&test, "q").expect_stdout(key_json()).expect_stderr("").run();
    let test = test.vault_with("demo").env_remove("AWS_SECRET_ACCESS_KEY");
    key_of(&test, "p")
        .expect_error(
            3,
            "vault: error: no credentials for profile \"p\"\nvault: hint: credential_source = Environment needs AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY\n",
        )
        .run();
}

#[test]
fn a_source_that_aws_does_not_know_is_an_error() {
    let test = Test::new().config("[profile p]\ncredential_source = Sun\n");
    key_of(&test, "p")
        .expect_error(
            2,
            "vault: error: credential_source of profile \"p\" is not one that AWS knows: Sun\n\
             vault: hint: Environment, Ec2InstanceMetadata or EcsContainer\n",
        )
        .run();
}

// credential_process.

fn process(command: &str) -> Test {
    Test::new().config(&format!("[profile p]\ncredential_process = {command}\n"))
}

#[test]
fn a_credential_process_is_run_without_any_vault() {
    let test = process("cat ~/key.json").file("key.json", process_json(), 0o600);
    key_of(&test, "p").expect_stdout(key_json()).expect_stderr("").run();
}

#[test]
fn its_expiration_and_account_are_handed_on() {
    let json = r#"{"Version": 1, "AccessKeyId": "ASIAIOSFODNN7EXAMPLE", "SecretAccessKey": "s",
        "SessionToken": "t", "Expiration": "2099-01-31T13:00:00+01:00", "AccountId": "123456789012"}"#;
    let test = process("cat ~/key.json").file("key.json", json, 0o600);
    test.command(["exec", "--json", "p"])
        .expect_stdout(
            "{\"AccessKeyId\":\"ASIAIOSFODNN7EXAMPLE\",\"AccountId\":\"123456789012\",\
             \"Expiration\":\"2099-01-31T12:00:00Z\",\"SecretAccessKey\":\"s\",\"SessionToken\":\"t\",\
             \"Version\":1}\n",
        )
        .expect_stderr("")
        .run();
}

#[test]
fn a_credential_process_that_fails_is_an_error_without_its_output() {
    let p = "vault: error: the credential_process of profile \"p\"";
    for (command, stderr) in [
        ("echo SECRET; exit 3", "failed with exit status 3"),
        ("echo SECRET; kill -KILL $$", "failed with exit status 137"),
        ("echo SECRET", "printed something that is not JSON"),
        ("true", "printed something that is not JSON"),
        (r#"echo '{"AccessKeyId": "SECRET"}'"#, "printed no \"Version\": 1"),
        (r#"echo '{"Version": "1", "AccessKeyId": "SECRET"}'"#, "printed no \"Version\": 1"),
        (r#"echo '{"Version": 2, "AccessKeyId": "SECRET"}'"#, "printed no \"Version\": 1"),
        (r#"echo '[1, "SECRET"]'"#, "printed no \"Version\": 1"),
        (r#"echo '{"Version": 1, "AccessKeyId": "SECRET"}'"#, "gives an incomplete access key"),
        (
            r#"echo '{"Version": 1, "AccessKeyId": "a", "SecretAccessKey": "SECRET", "Expiration": "SECRET"}'"#,
            "printed an Expiration that is no RFC 3339 time",
        ),
        (
            r#"echo '{"Version": 1, "AccessKeyId": "a", "SecretAccessKey": "SECRET", "Expiration": "2020-01-01T00:00:00Z"}'"#,
            "printed credentials that have expired",
        ),
        (
            r#"echo '{"Version": 1, "AccessKeyId": "a", "SecretAccessKey": "SEC\\nRET"}'"#,
            "gives a key with control characters in it",
        ),
        ("head -c 70000 /dev/zero", "printed more than 64 KiB"),
    ] {
        key_of(&process(command), "p").expect_error(1, &format!("{p} {stderr}\n")).run();
    }
}

#[test]
fn a_credential_process_s_stderr_is_the_person_s() {
    let test = process("echo trouble >&2; exit 1");
    key_of(&test, "p")
        .expect_error(
            1,
            "trouble\nvault: error: the credential_process of profile \"p\" failed with exit status \
             1\n",
        )
        .run();
}

#[test]
fn helpers_see_no_unlock_variable() {
    let script = format!("#!/bin/sh\nenv | grep ^AWS_ | sort >&2\necho '{}'\n", process_json());
    let test = Test::new()
        .vault_with("demo")
        .env("AWS_REGION", "us-east-1")
        .file("helper", script, 0o755)
        .config("[profile p]\ncredential_process = ~/helper\n");
    key_of(&test, "p").expect_stderr("AWS_REGION=us-east-1\nAWS_VAULT_UNDER_WAY=p\n").run();
}

#[test]
fn a_credential_process_that_would_start_us_for_the_same_profile_means_the_vault_s_key() {
    for command in [
        "vault exec --json demo",
        "aws-vault exec --no-session --json demo",
        "/usr/local/bin/aws-vault --backend file exec -j --duration 1h demo",
        "vault export --format json demo",
    ] {
        let config = format!("[profile demo]\ncredential_process = {command}\n");
        let test = Test::new().vault_with("demo").config(&config);
        key_of(&test, "demo").expect_stdout(key_json()).expect_stderr("").run();
        let test = Test::new().vault_with("other").config(&config);
        key_of(&test, "demo")
            .expect_error(
                3,
                "vault: error: no credentials for profile \"demo\"\nvault: hint: vault add demo\n",
            )
            .run();
    }
}

#[test]
fn a_credential_process_may_start_us_for_another_profile() {
    // Unlock variables reach no helper, so the key lies where it is looked for.
    let test = Test::new()
        .vault_with("demo")
        .on_path("vault")
        .file(".config/vault/identity.txt", crate::support::AGE_KEY, 0o600)
        .env_remove("AWS_VAULT_AGE_KEY")
        .config("[profile outer]\ncredential_process = vault exec -n --json demo\n");
    key_of(&test, "outer").expect_stdout(key_json()).expect_stderr("").run();
}

#[test]
fn profiles_that_start_us_for_each_other_end_with_the_loop_shown() {
    let test = Test::new().on_path("vault").config(
        "[profile a]\ncredential_process = vault exec --json b\n\
         [profile b]\ncredential_process = sh -c 'exec vault exec --json a'\n",
    );
    key_of(&test, "a")
        .expect_error(
            1,
            "vault: error: credential_process runs vault for its own profile: a -> b -> a\n\
             vault: hint: make it name a profile that has a key in the vault\n\
             vault: error: the credential_process of profile \"b\" failed with exit status 1\n",
        )
        .run();
}

#[test]
fn a_script_that_comes_back_to_its_own_profile_is_found() {
    let test = Test::new()
        .on_path("vault")
        .file("helper", "#!/bin/sh\nexec vault exec --json a\n", 0o755)
        .config("[profile a]\ncredential_process = ~/helper\n");
    key_of(&test, "a")
        .expect_error(
            1,
            "vault: error: credential_process runs vault for its own profile: a -> a\n\
             vault: hint: make it name a profile that has a key in the vault\n\
             vault: error: the credential_process of profile \"a\" failed with exit status 1\n",
        )
        .run();
}

#[test]
fn a_source_s_credential_process_that_starts_us_for_what_it_is_the_source_of_is_found() {
    let test = Test::new().on_path("vault").config(
        "[profile role]\nsource_profile = base\n\
         role_arn = arn:aws:iam::123456789012:role/deploy\n\
         [profile base]\ncredential_process = vault exec --json role\n",
    );
    key_of(&test, "role")
        .expect_error(
            1,
            "vault: error: credential_process runs vault for its own profile: base -> base\n\
             vault: hint: make it name a profile that has a key in the vault\n",
        )
        .run();
}

#[test]
fn an_mfa_process_that_starts_us_for_its_own_profile_is_found() {
    let test = Test::new()
        .vault_with("demo")
        .on_path("vault")
        .file(".config/vault/identity.txt", crate::support::AGE_KEY, 0o600)
        .env_remove("AWS_VAULT_AGE_KEY")
        .config(
            "[profile demo]\nmfa_serial = arn:aws:iam::123456789012:mfa/demo\n\
             mfa_process = vault exec demo -- oathtool\n",
        );
    test.command(["exec", "--json", "demo"])
        .expect_error(
            9,
            "vault: error: mfa_process runs vault for its own profile: demo -> demo\n\
             vault: hint: let it use --no-session, which needs no code\n\
             vault: error: the mfa_process failed with exit status 125\n",
        )
        .run();
}

#[test]
fn a_command_is_not_under_way() {
    let test = process("cat ~/key.json").file("key.json", process_json(), 0o600).on_path("vault");
    test.command([
        "exec",
        "-n",
        "p",
        "sh",
        "-c",
        "echo ${AWS_VAULT_UNDER_WAY-none}; vault exec -nj p",
    ])
    .expect_stdout(format!("none\n{}", key_json()))
    .run();
}
