//! `vault explain`: the plan, printed and not run, and the same that `exec` runs.

use serde_json::Value;

use crate::support::builder::Test;
use crate::support::diff::assert_same;
use crate::support::scene::{self, PROFILES, code};
use crate::support::standin::Call;
use crate::support::{ACCESS_KEY_ID, SECRET_ACCESS_KEY};

/// Profiles of every kind beside the usual ones.
const MORE: &str = "
[profile process]
credential_process = /opt/keys --for me

[profile plain]
aws_access_key_id = AKIAIOSFODNN7EXAMPLE
aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY

[profile environment]
credential_source = Environment
role_arn = arn:aws:iam::123456789012:role/deploy

[profile rich]
source_profile = demo
role_arn = arn:aws-cn:iam::123456789012:role/deploy
external_id = ext/1
role_session_name = build
session_tags = team=ops,stage=test
transitive_session_tags = team
source_identity = alice
mfa_serial = arn:aws:iam::123456789012:mfa/demo
mfa_process = /opt/code
ca_bundle = /etc/corporate.pem
endpoint_url = https://sts.example:8443
region = cn-north-1

[profile included]
include_profile = rich
duration_seconds = 900
";

/// `explain` in a home without a region, an endpoint, or anybody to call.
fn explained(args: &[&str], profile: &str) -> String {
    let test = Test::new().vault_with("demo").config(&format!("{PROFILES}{MORE}"));
    let test = test.env("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID);
    let test = test.env("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY);
    let test = test.command(["explain", "--no-input"]).args(args).arg(profile);
    test.expect_stderr("").run().stdout
}

#[test]
fn typical_profiles_in_words() {
    for (args, profile, text) in [
        (&[][..], "demo", "\
profile   demo
from      the key of profile demo in the vault
step 1    GetSessionToken for 1h
region    none, the command's variables are left alone
sts       us-east-1
"),
        (&["-n"], "demo", "\
profile   demo
from      the key of profile demo in the vault
steps     none, the credentials are used as they are
region    none, the command's variables are left alone
"),
        (&["-d", "15m"], "demo", "\
profile   demo
from      the key of profile demo in the vault
step 1    GetSessionToken for 15m
region    none, the command's variables are left alone
sts       us-east-1
"),
        (&[], "mfa", "\
profile   mfa
from      the key of profile demo in the vault
step 1    GetSessionToken for 8h
          MFA arn:aws:iam::123456789012:mfa/demo
region    none, the command's variables are left alone
sts       us-east-1
"),
        (&[], "role", "\
profile   role
from      the key of profile demo in the vault
step 1    AssumeRole arn:aws:iam::123456789012:role/deploy for 1h
          session name vault-role
region    none, the command's variables are left alone
sts       us-east-1
"),
        (&["--region", "eu-west-1"], "mfa-role", "\
profile   mfa-role
from      the key of profile demo in the vault
step 1    GetSessionToken for 8h
          MFA arn:aws:iam::123456789012:mfa/demo
step 2    AssumeRole arn:aws:iam::123456789012:role/deploy for 1h
          session name vault-mfa-role
region    eu-west-1
sts       eu-west-1
"),
        (&[], "long", "\
profile   long
from      the key of profile demo in the vault
step 1    AssumeRole arn:aws:iam::123456789012:role/deploy for 2h
          MFA arn:aws:iam::123456789012:mfa/demo
          session name vault-long
region    none, the command's variables are left alone
sts       us-east-1
"),
        (&[], "mfa-hops", "\
profile   mfa-hops
from      the key of profile demo in the vault
step 1    GetSessionToken for 8h
          MFA arn:aws:iam::123456789012:mfa/demo
step 2    AssumeRole arn:aws:iam::123456789012:role/deploy for 1h
          session name vault-mfa-role
step 3    AssumeRole arn:aws:iam::123456789012:role/audit for 1h
          session name vault-mfa-hops
region    none, the command's variables are left alone
sts       us-east-1
note      arn:aws:iam::123456789012:role/audit is assumed for 1h, not 2h: AWS allows no more where roles are chained
"),
        (&["-n"], "mfa-hops", "\
profile   mfa-hops
from      the key of profile demo in the vault
step 1    AssumeRole arn:aws:iam::123456789012:role/deploy for 1h
          MFA arn:aws:iam::123456789012:mfa/demo
          session name vault-mfa-role
step 2    AssumeRole arn:aws:iam::123456789012:role/audit for 1h
          session name vault-mfa-hops
region    none, the command's variables are left alone
sts       us-east-1
note      arn:aws:iam::123456789012:role/audit is assumed for 1h, not 2h: AWS allows no more where roles are chained
"),
        (&[], "process", "\
profile   process
from      credential_process of profile process: /opt/keys --for me
step 1    GetSessionToken for 1h
region    none, the command's variables are left alone
sts       us-east-1
"),
        (&[], "plain", "\
profile   plain
from      keys of profile plain, unencrypted in the AWS files
step 1    GetSessionToken for 1h
region    none, the command's variables are left alone
sts       us-east-1
"),
        (&[], "environment", "\
profile   environment
from      AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY
step 1    AssumeRole arn:aws:iam::123456789012:role/deploy for 1h
          session name vault-environment
region    none, the command's variables are left alone
sts       us-east-1
"),
        (&[], "rich", "\
profile   rich
from      the key of profile demo in the vault
step 1    GetSessionToken for 8h
          MFA arn:aws:iam::123456789012:mfa/demo
          mfa_process /opt/code
step 2    AssumeRole arn:aws-cn:iam::123456789012:role/deploy for 1h
          session name build
          external id ext/1
          tags team=ops, stage=test
          transitive tags team
          source identity alice
region    cn-north-1
sts       cn-north-1 at https://sts.example:8443
          CA bundle /etc/corporate.pem
"),
        (&[], "included", "\
profile   included
from      the key of profile demo in the vault
step 1    GetSessionToken for 8h
          MFA arn:aws:iam::123456789012:mfa/demo
          mfa_process /opt/code
step 2    AssumeRole arn:aws-cn:iam::123456789012:role/deploy for 15m
          session name build
          external id ext/1
          tags team=ops, stage=test
          transitive tags team
          source identity alice
region    cn-north-1
sts       cn-north-1 at https://sts.example:8443
          CA bundle /etc/corporate.pem
"),
    ] {
        assert_same(&format!("{args:?} {profile}"), text, &explained(args, profile));
    }
}

#[test]
fn the_json_is_the_whole_plan() {
    let json = |profile: &str| explained(&["--json"], profile);
    assert_same(
        "plan",
        "{\"base\":{\"kind\":\"vault\",\"profile\":\"demo\"},\"cached\":[],\"mfa_left_out\":null,\"notes\":[],\
         \"profile\":\"demo\",\"region\":null,\"steps\":[{\"call\":\"GetSessionToken\",\
         \"duration_seconds\":3600,\"mfa\":null}],\"sts\":{\"ca_bundle\":null,\"endpoint\":null,\
         \"region\":\"us-east-1\"}}\n",
        &json("demo"),
    );
    assert_same(
        "plan",
        "{\"base\":{\"kind\":\"vault\",\"profile\":\"demo\"},\"cached\":[],\"mfa_left_out\":null,\"notes\":[],\
         \"profile\":\"rich\",\"region\":\"cn-north-1\",\"steps\":[{\"call\":\"GetSessionToken\",\
         \"duration_seconds\":28800,\"mfa\":{\"process\":\"/opt/code\",\
         \"serial\":\"arn:aws:iam::123456789012:mfa/demo\"}},{\"call\":\"AssumeRole\",\
         \"duration_seconds\":3600,\"external_id\":\"ext/1\",\"mfa\":null,\
         \"role_arn\":\"arn:aws-cn:iam::123456789012:role/deploy\",\"role_session_name\":\"build\",\
         \"session_tags\":[{\"key\":\"team\",\"value\":\"ops\"},{\"key\":\"stage\",\"value\":\"test\"}],\
         \"source_identity\":\"alice\",\"transitive_session_tags\":[\"team\"]}],\
         \"sts\":{\"ca_bundle\":\"/etc/corporate.pem\",\"endpoint\":\"https://sts.example:8443\",\
         \"region\":\"cn-north-1\"}}\n",
        &json("rich"),
    );
    for (profile, base) in [
        (
            "process",
            r#"{"command":"/opt/keys --for me","kind":"credential_process","profile":"process"}"#,
        ),
        ("plain", r#"{"kind":"plaintext","profile":"plain"}"#),
        ("environment", r#"{"kind":"environment"}"#),
    ] {
        let plan: Value = serde_json::from_str(&json(profile)).expect("JSON");
        assert_eq!(plan["base"].to_string(), base);
    }
}

#[test]
fn where_sts_is_asked() {
    let legacy = "https://sts.amazonaws.com";
    for (config, vars, sts) in [
        // No region anywhere: one of the partition that the role or the device is in.
        ("role_arn = arn:aws-cn:iam::123456789012:role/x", &[][..], ("cn-north-1", None)),
        ("role_arn = arn:aws-us-gov:iam::123456789012:role/x", &[], ("us-gov-west-1", None)),
        ("mfa_serial = arn:aws-cn:iam::123456789012:mfa/x", &[], ("cn-north-1", None)),
        ("region = eu-west-1", &[], ("eu-west-1", None)),
        ("region = eu-west-1", &[("AWS_REGION", "eu-west-2")], ("eu-west-2", None)),
        ("region = eu-west-1", &[("AWS_DEFAULT_REGION", "eu-west-3")], ("eu-west-3", None)),
        // The global endpoint, for the regions that are old enough.
        (
            "region = eu-west-1",
            &[("AWS_STS_REGIONAL_ENDPOINTS", "legacy")],
            ("us-east-1", Some(legacy)),
        ),
        ("region = eu-west-1\nsts_regional_endpoints = legacy", &[], ("us-east-1", Some(legacy))),
        (
            "region = eu-west-1\nsts_regional_endpoints = legacy",
            &[("AWS_STS_REGIONAL_ENDPOINTS", "regional")],
            ("eu-west-1", None),
        ),
        ("region = eu-south-1", &[("AWS_STS_REGIONAL_ENDPOINTS", "legacy")], ("eu-south-1", None)),
        // Named endpoints, and that they do not count.
        ("endpoint_url = http://moto:5000", &[], ("us-east-1", Some("http://moto:5000"))),
        (
            "endpoint_url = http://moto:5000",
            &[("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")],
            ("us-east-1", None),
        ),
        (
            "endpoint_url = http://moto:5000\nignore_configured_endpoint_urls = true",
            &[],
            ("us-east-1", None),
        ),
    ] {
        let mut test =
            Test::new().vault_with("demo").config(&format!("[profile demo]\n{config}\n"));
        for (name, value) in vars {
            test = test.env(name, value);
        }
        let plan = test.command(["explain", "--json", "demo"]).run().stdout;
        let plan: Value = serde_json::from_str(&plan).expect("JSON");
        let (region, endpoint) = (&plan["sts"]["region"], &plan["sts"]["endpoint"]);
        assert_eq!((region.as_str().unwrap(), endpoint.as_str()), sts, "{config} {vars:?}");
    }
    let test = Test::new().vault_with("demo").env("AWS_STS_REGIONAL_ENDPOINTS", "global");
    test.command(["explain", "demo"])
        .expect_error(
            2,
            "vault: error: AWS_STS_REGIONAL_ENDPOINTS is neither legacy nor regional: global\n",
        )
        .run();
}

#[test]
fn a_device_that_only_a_source_names_is_left_out_and_said() {
    let config = "[profile demo]\nmfa_serial = arn:aws:iam::123456789012:mfa/demo\n\
                  [profile role]\nsource_profile = demo\n\
                  role_arn = arn:aws:iam::123456789012:role/deploy\n";
    let (standin, _) = scene::usual();
    standin.change(|world| world.roles[0].mfa = Some(3600));
    let test = scene::with(&standin, config);
    test.command(["explain", "role"])
        .expect_stdout(
            "\
profile   role
from      the key of profile demo in the vault
step 1    AssumeRole arn:aws:iam::123456789012:role/deploy for 1h
          session name vault-role
region    us-east-1
sts       us-east-1 at http://127.0.0.1:[PORT]
no MFA    only a source profile names arn:aws:iam::123456789012:mfa/demo
",
        )
        .run();
    test.command(["exec", "--json", "role"])
        .expect_error(
            9,
            "vault: error: AWS refused AssumeRole: AccessDenied: User: \
            arn:aws:iam::123456789012:user/demo is not authorized to perform: sts:AssumeRole on \
            resource: arn:aws:iam::123456789012:role/deploy (key AKIAIOSFODNN7EXAMPLE of profile demo)\n\
            vault: hint: only the source profile sets mfa_serial (arn:aws:iam::123456789012:mfa/demo); \
            if the role requires MFA, give a code with --mfa-token\n",
        )
        .run();
    // A duration that no session can have is none of the role's.
    let long = test.clone().env("AWS_CHAINED_SESSION_TOKEN_TTL", "72h");
    long.command(["explain", "role"]).run();
    // With a code at hand it is used.
    test.command(["exec", "--json", "role", "-t", &code(&standin)]).expect_stderr("").run();
}

#[test]
fn what_keeps_exec_from_starting_keeps_explain_from_it_too() {
    let config = "[profile sso]\nsso_session = x\n";
    let test = Test::new().vault_with("demo").config(config);
    for (profile, status) in [("nobody", 3), ("sso", 2)] {
        let explain = test.command(["explain", profile]).expect_status(status).run();
        let exec = test.command(["exec", "--json", profile]).expect_status(status).run();
        assert_same("stderr", &explain.stderr, &exec.stderr);
        assert_same("stdout", "", &explain.stdout);
    }
}

// The plan is what is done.

/// The calls that a plan announces, in the words of [`done`].
fn planned(plan: &Value) -> Vec<String> {
    let region = plan["sts"]["region"].as_str().unwrap_or_default();
    let steps = plan["steps"].as_array().expect("steps").iter();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    steps
        .map(|step| {
            let tags = step["session_tags"].as_array().cloned().unwrap_or_default();
            let tags: Vec<_> =
                tags.iter().map(|tag| (text(&tag["key"]), text(&tag["value"]))).collect();
            let [call, role, name] =
                ["call", "role_arn", "role_session_name"].map(|key| text(&step[key]));
            let duration = &step["duration_seconds"];
            let mfa = text(&step["mfa"]["serial"]);
            format!("{call} {region} {role} {name} {duration} {mfa} {tags:?}")
        })
        .collect()
}

/// The calls that were made.
fn done(calls: &[Call]) -> Vec<String> {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    calls
        .iter()
        .map(|call| {
            let [role, name, duration, mfa] =
                [&call.role_arn, &call.session_name, &call.duration, &call.serial].map(text);
            format!(
                "{} {} {role} {name} {duration} {mfa} {:?}",
                call.action, call.region, call.tags
            )
        })
        .collect()
}

#[test]
fn the_plan_is_what_is_done() {
    for line in [
        "demo",
        "demo -n",
        "demo -d 20m",
        "mfa -t CODE",
        "role",
        "role -d 2h",
        "mfa-role -t CODE",
        "mfa-role -n -t CODE",
        "long -t CODE",
        "hops",
        "mfa-hops -t CODE",
        "mfa-hops -n -t CODE",
    ] {
        let (standin, test) = scene::usual();
        let line = line.replace("CODE", &code(&standin));
        let words = || line.split_whitespace();
        let plan = test.command(["explain", "--json"]).args(words()).run().stdout;
        assert_eq!(standin.connections(), 0, "explain called somebody");
        test.command(["exec", "--json"]).args(words()).run();
        let plan = serde_json::from_str(&plan).expect("JSON");
        assert_eq!(planned(&plan), done(&standin.calls()), "{line}");
    }
}

#[test]
fn explain_runs_no_helper() {
    let config = "[profile helped]\ncredential_process = touch ~/ran\n\
                  mfa_serial = arn:aws:iam::123456789012:mfa/demo\nmfa_process = touch ~/ran\n";
    let test = Test::new().config(config);
    test.command(["explain", "helped"]).expect_stderr("").run();
    assert!(!test.home().join("ran").exists());
}

#[test]
fn cached_sessions_are_listed_with_the_time_left() {
    let (standin, test) = scene::usual();
    let explain = |words: &[&str]| {
        let run = test.command([&["explain", "mfa-role"][..], words].concat()).expect_stderr("");
        run.run().stdout
    };
    assert!(!explain(&[]).contains("cached"), "{}", explain(&[]));
    let json = |words: &[&str]| -> serde_json::Value {
        let plan: serde_json::Value =
            serde_json::from_str(&explain(&[&["--json"][..], words].concat())).expect("JSON");
        plan["cached"].clone()
    };
    assert_eq!(json(&[]), serde_json::json!([]));
    test.command(["exec", "--json", "mfa-role", "-t", &code(&standin)]).run();
    let issued = standin.issued();
    let ends: Vec<_> = issued
        .iter()
        .map(|given| crate::support::standin::time::rfc3339(given.expiration))
        .collect();
    let shown = explain(&[]);
    let lines: Vec<_> = shown.lines().skip_while(|line| !line.starts_with("cached")).collect();
    // A second or two have passed.
    let settled = |line: &str, whole: &str| {
        let (before, rest) = line.split_once(" for ").expect("how long");
        let (left, until) = rest.split_once(", until ").expect("until when");
        assert!(left == "8h" || left == "1h" || left.starts_with(whole), "{line}");
        format!("{before}, until {until}")
    };
    assert_eq!(settled(lines[0], "7h59m"), format!("cached    step 1, until {}", ends[0]));
    assert_eq!(settled(lines[1], "59m"), format!("          step 2, until {}", ends[1]));
    let cached = json(&[]);
    assert_eq!((&cached[0]["step"], &cached[1]["step"]), (&1.into(), &2.into()));
    assert_eq!(cached[1]["expiration"], ends[1].as_str());
    let left = cached[1]["seconds_left"].as_u64().expect("a number");
    assert!((3500..=3600).contains(&left), "{left}");
    // What is not served is not shown, and AWS was not asked.
    assert_eq!(json(&["--refresh"]), serde_json::json!([]));
    assert_eq!(standin.calls().len(), 2);
}
