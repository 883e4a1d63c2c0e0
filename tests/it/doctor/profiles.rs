//! `vault doctor PROFILE`: one mistake a fixture, and the whole report of it.

use super::{doctor, settled, usual};
use crate::support::builder::Test;
use crate::support::diff::assert_same;
use crate::support::{ACCESS_KEY_ID, ACCOUNT, SECRET_ACCESS_KEY};

const FINE: &str = "ok       [N] checks found nothing wrong (-v lists them)\n";

/// The report on these words is these lines, and the line that counts the rest.
#[track_caller]
fn reports(test: &Test, words: &[&str], lines: &str) {
    let status = i32::from(lines.starts_with("problem"));
    let run = test.command(["doctor"]).args(words).expect_status(status).expect_stderr("").run();
    assert_same("report", &format!("{lines}{FINE}"), &settled(&run.stdout));
}

/// The same of a config that is wrong in one place, for the profile `a`. `demo` has a key in the vault.
#[track_caller]
fn of_config(config: &str, lines: &str) {
    let (_standin, test) = usual();
    reports(&test.config(config), &["a"], lines);
}

fn role(more: &str) -> String {
    format!(
        "[profile demo]\n[profile a]\nsource_profile = demo\nrole_arn = arn:aws:iam::{ACCOUNT}:role/r\n{more}\n"
    )
}

#[test]
fn a_profile_that_is_right_is_counted() {
    of_config(&role("duration_seconds = 3600"), "");
}

#[test]
fn a_profile_that_is_nowhere() {
    let (_standin, test) = usual();
    reports(&test, &["dmeo"], "problem  aws     no profile \"dmeo\"; did you mean \"demo\"?\n");
    // By a variable too; but nobody asked for `default`, which nobody has.
    reports(
        &test.clone().env("AWS_PROFILE", "dmeo"),
        &[],
        "problem  aws     no profile \"dmeo\"; did you mean \"demo\"?\n",
    );
    reports(&test, &[], "");
    test.command(["doctor", "a[b"])
        .expect_error(
            2,
            "vault: error: the profile name has characters that a profile cannot have\n",
        )
        .run();
}

#[test]
fn a_default_without_credentials_is_no_fault() {
    let (_standin, test) = usual();
    let test = test.config(
        "[default]\nregion = us-east-1\n[profile home]\nregion = eu-west-1\n\
         [profile demo]\ninclude_profile = home\n",
    );
    reports(&test, &[], "");
    reports(&test, &["--all"], "");
    // Who asks for it wants credentials.
    let none = "problem  aws     no credentials for profile \"default\"; run: vault add default\n";
    reports(&test, &["default"], none);
}

#[test]
fn a_byte_order_mark_that_the_aws_cli_refuses() {
    let (_standin, test) = usual();
    let refused = |file| {
        format!(
            "problem  aws     [HOME]/.aws/{file} begins with a byte order mark: the AWS CLI refuses it; \
             save it as UTF-8 without one\n"
        )
    };
    reports(&test.clone().config("\u{feff}[profile demo]\r\n"), &["demo"], &refused("config"));
    let credentials =
        test.config("[profile demo]\n").aws_credentials("\u{feff}[other]\nregion = us-east-1\n");
    reports(&credentials, &["demo"], &refused("credentials"));
}

#[test]
fn a_circular_source_profile() {
    of_config(
        "[profile a]\nsource_profile = b\n[profile b]\nsource_profile = c\n[profile c]\nsource_profile = b\n",
        "problem  aws     profile a: source_profile loop: a -> b -> c -> b; take the source_profile out of one of these profiles\n",
    );
}

#[test]
fn a_source_profile_that_is_nowhere() {
    of_config(
        &role("").replace("= demo", "= elsewhere"),
        "problem  aws     no profile \"elsewhere\", the source_profile of \"a\"; looked in \
         [HOME]/.aws/config, [HOME]/.aws/credentials and the vault\n",
    );
}

#[test]
fn a_misspelt_source_profile() {
    of_config(
        &role("").replace("= demo", "= dmeo"),
        "problem  aws     no profile \"dmeo\", the source_profile of \"a\"; did you mean \"demo\"?\n",
    );
}

#[test]
fn durations_that_cannot_be() {
    for (duration, why) in [
        ("1h", " is not a number of seconds: 1h"),
        ("60", ": AWS gives a role for 15m to 12h, not for 1m"),
        ("86400", ": AWS gives a role for 15m to 12h, not for 24h"),
    ] {
        of_config(
            &role(&format!("duration_seconds = {duration}")),
            &format!("problem  aws     duration_seconds of profile \"a\"{why}\n"),
        );
    }
    let (_standin, test) = usual();
    reports(
        &test.config(&role("")).env("AWS_ASSUME_ROLE_TTL", "3600"),
        &["a"],
        "problem  aws     AWS_ASSUME_ROLE_TTL: not a duration; give a number with its unit, \
         such as 30m, 12h or 1h30m\n",
    );
}

#[test]
fn a_role_arn_that_is_none() {
    of_config(
        "[profile demo]\n[profile a]\nsource_profile = demo\nrole_arn = deploy\n",
        "problem  aws     role_arn of profile \"a\" is not an ARN: deploy; it looks like arn:aws:iam::123456789012:role/NAME\n",
    );
    of_config(
        &role("").replace(":role/", ":user/"),
        "problem  aws     role_arn of profile \"a\" is not the ARN of a role: arn:aws:iam::123456789012:user/r; it looks like arn:aws:iam::123456789012:role/NAME\n",
    );
}

/// The same where AWS itself would be asked, and cannot be.
#[track_caller]
fn of_config_at_aws(config: &str, lines: &str) {
    let (_standin, test) = usual();
    let test = test.env_remove("AWS_ENDPOINT_URL_STS").env_remove("AWS_REGION");
    let test = test.env("HTTPS_PROXY", "http://127.0.0.1:1").config(config);
    let clock = match lines.contains("region") {
        true => "AWS cannot be reached with these settings",
        false => "the proxy 127.0.0.1:1 refused the connection",
    };
    reports(&test, &["a"], &format!("{lines}note     clock   unknown: {clock}\n"));
}

#[test]
fn regions_that_are_none() {
    let region = |region: &str| {
        format!("[profile demo]\n[profile a]\nsource_profile = demo\nregion = {region}\n")
    };
    let none = |by: &str, region: &str| {
        format!(
            "problem  aws     {by} is not the name of a region: {region}; it looks like eu-central-1\n"
        )
    };
    of_config_at_aws(&region("Frankfurt"), &none("region of profile \"a\"", "Frankfurt"));
    let lent = format!("[default]\nregion = eu_central_1\n{}", role(""));
    of_config_at_aws(
        &lent,
        &none("profile a: region of profile \"default\"", "eu_central_1")
            .replace("; it looks like eu-central-1", ""),
    );
    // A server that somebody names has regions of its own.
    let (_standin, test) = usual();
    let test = test.env_remove("AWS_REGION");
    reports(&test.clone().config(&region("garage")), &["a"], "");
    let test = test.env("AWS_DEFAULT_REGION", "Garage");
    let clock = "note     clock   unknown: AWS cannot be reached with these settings\n";
    for words in [&["a"][..], &[]] {
        reports(&test, words, &(none("AWS_DEFAULT_REGION", "Garage") + clock));
    }
}

#[test]
fn endpoints_that_are_no_urls() {
    let problem = |by: &str, url: &str| {
        format!(
            "problem  aws     {by} is not an http or https URL{url}; it looks like \
             https://sts.eu-central-1.amazonaws.com\n"
        )
    };
    let services = "[services local]\ns3 =\n  endpoint_url = localhost:4566\nsqs =\n  endpoint_url = http://ok:1\n";
    of_config(
        &format!("{services}{}", role("endpoint_url = ftp://me:secret@host\nservices = local")),
        &(problem("endpoint_url of profile \"a\"", "")
            + &problem("profile a: endpoint_url of s3 of [services local]", ": localhost:4566")),
    );
    let (_standin, test) = usual();
    let test = test.env_remove("AWS_ENDPOINT_URL_STS").env("AWS_ENDPOINT_URL", "localhost:4566");
    let clock = "note     clock   unknown: AWS cannot be reached with these settings\n";
    reports(&test, &["demo"], &(problem("AWS_ENDPOINT_URL", ": localhost:4566") + clock));
}

#[test]
fn other_mistakes_beside_missing_credentials_are_reported_once() {
    let (_standin, test) = usual();
    let config = "[profile a]\nservices = gone\n[profile b]\nsso_session = s\nsso_account_id = 1\n\
                  [profile c]\nsso_session = s\nsso_account_id = 1\n[default]\n[profile default]\n\
                  [sso-session s]\nsso_start_url = http://x\nsso_region = us-east-1\n";
    let doubled = "problem  aws     [HOME]/.aws/config: of [default] and [profile default] only the later counts, \
                   make them one section\n";
    let test = test
        .config(config)
        .env_remove("AWS_ENDPOINT_URL_STS")
        .env("HTTPS_PROXY", "http://127.0.0.1:1");
    reports(
        &test,
        &["a"],
        &format!(
            "{doubled}problem  aws     no credentials for profile \"a\"; run: vault add a\n\
             problem  aws     [services gone], the services of profile \"a\", is missing or empty\n\
             problem  sso     sso_start_url of [sso-session s] is not an https URL: http://x\n\
             note     clock   unknown: AWS cannot be reached with these settings\n"
        ),
    );
    reports(
        &test,
        &["--all"],
        &format!(
            "{doubled}problem  aws     no credentials for profile \"a\"; run: vault add a\n\
             problem  aws     profile b: sso_start_url of [sso-session s] is not an https URL: http://x\n\
             problem  aws     [services gone], the services of profile \"a\", is missing or empty\n\
             note     clock   unknown: the proxy 127.0.0.1:1 refused the connection\n"
        ),
    );
}

#[test]
fn files_that_are_not_there() {
    let bundle = "CA bundle /nonexistent/ca.pem: no such file or directory\n";
    of_config(
        &role("ca_bundle = /nonexistent/ca.pem"),
        &format!("problem  aws     ca_bundle of profile \"a\": {bundle}"),
    );
    let (_standin, test) = usual();
    let all = test.clone().env("AWS_CA_BUNDLE", "/nonexistent/ca.pem");
    reports(&all, &["demo"], &format!("problem  aws     AWS_CA_BUNDLE: {bundle}"));
    let token =
        "[profile a]\nrole_arn = arn:aws:iam::123456789012:role/r\nweb_identity_token_file = ";
    for (path, why) in [("/nonexistent/token", "no such file or directory"), ("/", "a directory")] {
        of_config(
            &format!("{token}{path}\n"),
            &format!(
                "problem  aws     cannot read the web identity token {path} (web_identity_token_file of profile \
                 \"a\"): {why}; name the file that the issuer of the token writes\n"
            ),
        );
    }
    // A pipe is not read: what is in it is for the one who uses it.
    of_config(&format!("{token}/dev/null\n"), "");
}

#[test]
fn programs_that_cannot_be_started() {
    let (_standin, test) = usual();
    let test = test.file("here", "", 0o600).on_path("vault");
    let found = |command: &str, lines: &str| {
        let config = format!("[profile a]\ncredential_process = {command}\n");
        let by = "problem  aws     credential_process of profile \"a\"";
        let lines = if lines.is_empty() { String::new() } else { format!("{by} {lines}\n") };
        reports(&test.clone().config(&config), &["a"], &lines);
    };
    let missing = |program: &str| {
        let what = match program.contains('/') {
            true => "name the right path",
            false => "name it by its absolute path: it is not on this PATH",
        };
        format!("starts {program}, and there is no such program; install it, or {what}")
    };
    found("/nonexistent/aws-creds --x", &missing("/nonexistent/aws-creds"));
    found("aws-creds-nonexistent", &missing("aws-creds-nonexistent"));
    let here = test.home().join("here").display().to_string();
    found(&here, "starts [HOME]/here, which is not executable; run: chmod +x [HOME]/here");
    found("sh -c 'echo", "has a quote without an end; close it, or remove it");
    found(
        "vault exec demo",
        "starts vault exec without --json, which prints no credentials; run: vault exec --json PROFILE",
    );
    // What only a shell can tell is not judged.
    for fine in [
        "\"$HOME/bin/creds\"",
        "A=1 creds",
        "if true; then creds; fi",
        "unset AWS_PROFILE; creds",
        "vault exec --json demo",
        "vault exec -nj demo",
        "vault exec -n demo -- cat creds.json",
        "vault exec -d 1h demo cat creds.json",
    ] {
        found(fine, "");
    }
}

#[test]
fn programs_that_are_vault_and_lead_to_each_other() {
    let (_standin, test) = usual();
    let test = test.on_path("vault");
    let process = |of: &str| format!("credential_process = vault exec --json {of}\n");
    let config =
        format!("[profile demo]\n[profile a]\n{}[profile b]\n{}", process("b"), process("a"));
    reports(
        &test.config(&config),
        &["a"],
        "problem  aws     profile a: credential_process runs vault for its own profile: a -> b -> \
         a; make it name a \
         profile that has a key in the vault\n",
    );
}

#[test]
fn arns_that_aws_would_refuse() {
    let role = |arn: &str, more: &str| {
        format!("[profile demo]\n[profile a]\nsource_profile = demo\nrole_arn = {arn}\n{more}")
    };
    for arn in ["arn:aws:iam::12345678901:role/r", "arn:aws:iam::ACCOUNT_ID:role/r"] {
        of_config_at_aws(
            &role(arn, ""),
            &format!(
                "problem  aws     role_arn of profile \"a\" has no account of twelve digits: {arn}; it looks like \
                 arn:aws:iam::123456789012:role/NAME\n"
            ),
        );
    }
    of_config_at_aws(
        &role(
            "arn:aws-china:iam::123456789012:role/r",
            "mfa_serial = arn:aws:iam::123456789012:user/me\n",
        ),
        "problem  aws     mfa_serial of profile \"a\" is not the ARN of an MFA device: \
         arn:aws:iam::123456789012:user/me; it looks like arn:aws:iam::123456789012:mfa/NAME\n\
         problem  aws     role_arn of profile \"a\" names a partition of AWS that is not known: aws-china; the \
         partitions are aws, aws-cn, aws-eusc, aws-iso, aws-iso-b, aws-iso-e, aws-iso-f, aws-us-gov\n",
    );
}

#[test]
fn names_of_settings_with_a_slip() {
    for (wrong, right) in [
        ("mfa_serail", "mfa_serial"),
        ("mfa-serial", "mfa_serial"),
        ("role-arn", "role_arn"),
        ("source_profiles", "source_profile"),
        ("regoin", "region"),
    ] {
        of_config(
            &role(&format!("{wrong} = x")),
            &format!(
                "problem  aws     profile \"a\": nothing reads its {wrong}; did you mean {right}?\n"
            ),
        );
    }
    // A service's own settings, and what other programs read.
    for other in ["ecr", "s3_region", "sts_region"] {
        of_config(
            &role(&format!("{other} = x")),
            &format!("note     aws     profile a: neither AWS nor vault knows its {other}\n"),
        );
    }
    // Of what lends to it and what it includes, too.
    let lent = "[default]\nmfa_serail = x\n[profile shared]\nregoin = x\n";
    of_config(
        &format!("{lent}{}", role("include_profile = shared")),
        "problem  aws     profile \"shared\": nothing reads its regoin; did you mean region?\n\
         problem  aws     profile \"default\": nothing reads its mfa_serail; did you mean mfa_serial?\n",
    );
}

#[test]
fn a_misspelling_that_the_plan_reports_is_not_reported_again() {
    // exec warns of the first, and names the second where credentials are missing.
    of_config(
        "[profile demo]\n[profile a]\nsource_profile = demo\nrole_anr = x\n",
        "problem  aws     profile \"a\": nothing reads its role_anr; did you mean role_arn?\n",
    );
    of_config(
        "[profile a]\ncredential_sorce = x\n",
        "problem  aws     no credentials for profile \"a\"; vault add a, or write \
         credential_source instead of credential_sorce, which is not a known setting\n",
    );
}

#[test]
fn an_indented_setting_that_continues_the_line_above_it() {
    let line = "problem  aws     [HOME]/.aws/config line 4: role_arn is indented, so it continues the value of";
    let above = |key: &str, value: &str| {
        format!(
            "[profile demo]\n[profile a]\n{key} = {value}\n  role_arn = arn:aws:iam::{ACCOUNT}:role/r\n"
        )
    };
    of_config(
        &(above("output", "json") + "source_profile = demo\n"),
        &format!("{line} output; begin it where output begins\n"),
    );
    // Nothing of what was swallowed is shown: it could be a secret.
    of_config(
        &above("source_profile", "demo"),
        &format!(
            "{line} source_profile; begin it where source_profile begins\n\
             problem  aws     no profile \"demo ...\", the source_profile of \"a\"\n"
        ),
    );
    of_config(
        "[profile demo]\n[profile a]\nsource_profile = demo\ns3 =\n  region = x\n  max_queue_size = 2\n",
        "",
    );
}

#[test]
fn settings_of_other_programs_are_a_note() {
    of_config(
        &role(&format!("granted_sso_start_url = x\nx_principal_arn = x\n{SECRET_ACCESS_KEY} = x")),
        "note     aws     profile a: neither AWS nor vault knows its granted_sso_start_url, ..., x_principal_arn\n",
    );
}

#[test]
fn a_credential_process_that_is_never_reached() {
    let (_standin, test) = usual();
    let test = test.config(&role("credential_process = touch started"));
    let line = "problem  aws     profile \"a\": the AWS CLI and the SDKs take its role_arn before its \
                credential_process, which they never start; put credential_process into a profile of its \
                own\n";
    reports(&test, &["a"], line);
    reports(&test, &["--all"], line);
    // That of another profile is none of this one's.
    reports(&test, &["demo"], "");
    assert!(!test.home().join("started").exists());
}

#[test]
fn a_key_in_the_clear_that_comes_before_the_vault_s() {
    let key = format!(
        "aws_access_key_id = {ACCESS_KEY_ID}\naws_secret_access_key = {SECRET_ACCESS_KEY}\n"
    );
    let (_standin, test) = usual();
    let both = test.clone().aws_credentials(&format!("[demo]\n{key}"));
    reports(
        &both,
        &["demo"],
        "problem  aws     profile demo: its key is unencrypted in the AWS files, and the AWS CLI \
         and the SDKs use that one, not the vault's; run: vault import --from credentials \
         --remove-source demo\n",
    );
    // What it advises mends it.
    both.command("import --from credentials --remove-source demo".split(' ')).run();
    reports(&both, &["demo"], "");

    let before = test.config(&format!("[profile demo]\n[profile a]\nsource_profile = demo\n{key}"));
    reports(
        &before,
        &["a"],
        "problem  aws     profile a: the key of a in the AWS files comes before the vault's key of demo; \
         vault add a, and remove the key from the config file\n",
    );
    // Where the vault has none, that is how it is.
    let alone = before.config("").aws_credentials(&format!("[a]\n{key}"));
    reports(
        &alone,
        &["a"],
        "note     aws     profile a: the key of a is unencrypted in the AWS files; run: vault import --from \
         credentials --remove-source a\n",
    );
}

#[test]
fn a_second_mistake_is_reported_with_the_first() {
    of_config(
        &role("duration_seconds = 1h\nmfa_serail = x").replace("arn:", "urn:"),
        "problem  aws     role_arn of profile \"a\" is not an ARN: urn:aws:iam::123456789012:role/r; it looks like arn:aws:iam::123456789012:role/NAME\n\
         problem  aws     duration_seconds of profile \"a\" is not a number of seconds: 1h\n\
         problem  aws     profile \"a\": nothing reads its mfa_serail; did you mean mfa_serial?\n",
    );
}

#[test]
fn what_explain_notes_is_a_note() {
    of_config(
        &format!(
            "[profile demo]\n[profile b]\nsource_profile = demo\nrole_arn = arn:aws:iam::{ACCOUNT}:role/b\n\
             [profile a]\nsource_profile = b\nrole_arn = arn:aws:iam::{ACCOUNT}:role/r\nduration_seconds = 7200\n"
        ),
        &format!(
            "note     aws     profile a: arn:aws:iam::{ACCOUNT}:role/r is assumed for 1h, not 2h: AWS allows no \
             more where roles are chained\n"
        ),
    );
}

#[test]
fn all_profiles_are_judged_and_problems_come_first() {
    let (_standin, test) = usual();
    let config = "[profile demo]\nx_principal_arn = x\n[profile a]\nsource_profile = dmeo\n\
                  [profile b]\nsource_profile = a\n[profile c]\nregoin = x\n";
    reports(
        &test.clone().config(config),
        &["--all"],
        "problem  aws     no profile \"dmeo\", the source_profile of \"a\"; did you mean \"demo\"?\n\
         problem  aws     no credentials for profile \"c\"; run: vault add c\n\
         problem  aws     profile \"c\": nothing reads its regoin; did you mean region?\n\
         note     aws     profile demo: neither AWS nor vault knows its x_principal_arn\n",
    );
    test.command(["doctor", "--all", "demo"]).expect_status(2).expect_stdout("").run();
}

#[test]
fn a_vault_that_is_not_open_may_have_what_is_missing() {
    let (_standin, test) = usual();
    let shut = test.config(&role("")).env_remove("AWS_VAULT_AGE_KEY");
    let found = shut.command(["doctor", "a"]).expect_status(1).expect_stderr("").run();
    let note = "note     aws     profile a: no credentials, unless the vault has a key for it\n";
    assert!(found.stdout.contains(note), "{}", found.stdout);
}

#[test]
fn a_profile_is_judged_without_a_call_or_a_program() {
    let (standin, test) = usual();
    let test = test.config(&role("mfa_serial = GAHT12345678\nmfa_process = touch started"));
    doctor(&test.clone().env("AWS_PROFILE", "a")).has("aws.source", "ok", "profile a: credentials");
    // The one call asks for the time, unsigned.
    assert!(!standin.log().contains(ACCESS_KEY_ID), "{}", standin.log());
    assert!(standin.issued().is_empty() && !test.home().join("started").exists());
}

#[test]
#[ignore = "needs root"]
fn a_file_system_without_room() {
    let (_standin, test) = usual();
    let cache = test.home().join("cache");
    std::fs::create_dir(&cache).expect("a directory");
    let mount = |options: &str| {
        let words = ["-t", "tmpfs", "-o", options, "none"];
        test.command(words).arg(&cache).program("mount").run();
    };
    let unmount = || test.command([&cache]).program("umount").run();
    let test = test.clone().env("AWS_VAULT_CACHE_DIR", &cache);
    for (options, line) in [
        (
            "size=32k,mode=0700",
            "problem  cache   [HOME]/cache: 32 KiB free on its file system; make room: what is new is not saved\n",
        ),
        ("size=1m,mode=0700", "note     cache   [HOME]/cache: 1024 KiB free on its file system\n"),
        (
            "nr_inodes=1,mode=0700",
            "problem  cache   [HOME]/cache: no file can be made on its file system; make room: what is new is not saved\n",
        ),
    ] {
        mount(options);
        let run = test.command(["doctor"]).any_status().expect_stderr("").run();
        unmount();
        assert_same("report", &format!("{line}{FINE}"), &settled(&run.stdout));
    }
}
