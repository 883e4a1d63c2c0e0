//! `use_fips_endpoint`, `use_dualstack_endpoint` and their variables: where AWS is asked, and what a command
//! learns of it. The names are those of the SDK's own rules.

use crate::support::builder::Test;
use crate::support::scene::log;
use crate::support::standin::{Fault, StandIn};
use crate::support::{ACCESS_KEY_ID, SECRET_ACCESS_KEY};

const CONFIG: &str = "\
[profile demo]
region = eu-central-1
[profile fips]
source_profile = demo
region = us-west-2
use_fips_endpoint = true
[profile gov]
source_profile = demo
region = us-gov-west-1
use_fips_endpoint = TRUE
[profile dual]
source_profile = demo
region = eu-central-1
use_dualstack_endpoint = true
[profile both]
source_profile = dual
region = us-east-2
use_fips_endpoint = true
use_dualstack_endpoint = true
[profile legacy]
source_profile = demo
region = us-east-1
sts_regional_endpoints = legacy
use_fips_endpoint = true
[profile off]
source_profile = demo
region = us-west-2
use_fips_endpoint = false
[profile person]
sso_start_url = https://example.awsapps.com/start
sso_region = us-east-1
sso_account_id = 123456789012
sso_role_name = ReadOnly
region = us-east-1
[profile officer]
source_profile = person
role_arn = arn:aws:iam::123456789012:role/officer
use_fips_endpoint = true
region = us-east-1
";

fn test() -> Test {
    Test::new().vault_with("demo").config(CONFIG)
}

/// What `explain` says of hosts.
fn hosts(test: &Test, profile: &str) -> String {
    let output = test.command(["explain", profile]).expect_stderr("").run();
    let lines = output.stdout.lines().skip_while(|line| !line.starts_with("hosts "));
    let lines = lines.take_while(|line| line.starts_with("hosts ") || line.starts_with(' '));
    lines.map(|line| format!("{}\n", line.trim_start_matches("hosts").trim())).collect()
}

#[test]
fn explain_shows_the_hosts_that_are_asked() {
    let test = test();
    for (profile, expected) in [
        ("demo", ""),
        ("off", ""),
        ("fips", "sts sts-fips.us-west-2.amazonaws.com:443, FIPS\n"),
        ("gov", "sts sts.us-gov-west-1.amazonaws.com:443, FIPS\n"),
        ("dual", "sts sts.eu-central-1.api.aws:443, dual-stack\n"),
        ("both", "sts sts-fips.us-east-2.api.aws:443, FIPS dual-stack\n"),
        // The global endpoint has none.
        ("legacy", "sts sts-fips.us-east-1.amazonaws.com:443, FIPS\n"),
        // What logs in for a profile follows that profile, as in the AWS CLI.
        (
            "officer",
            "sso_oidc oidc-fips.us-east-1.amazonaws.com:443, FIPS\n\
             sso portal.sso-fips.us-east-1.amazonaws.com:443, FIPS\n\
             sts sts-fips.us-east-1.amazonaws.com:443, FIPS\n",
        ),
    ] {
        assert_eq!(hosts(&test, profile), expected, "{profile}");
    }
    let output = test.command(["explain", "--json", "both"]).expect_stderr("").run();
    let json: serde_json::Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(json["hosts"], serde_json::json!({"sts": "sts-fips.us-east-2.api.aws:443"}));
}

#[test]
fn explain_calls_a_named_endpoint_named_and_not_fips() {
    let test = test().env("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:1");
    assert_eq!(hosts(&test, "fips"), "sts 127.0.0.1:1, named\n");
    assert_eq!(hosts(&test, "dual"), "sts 127.0.0.1:1, named\n");
    let expected = "sso_oidc oidc-fips.us-east-1.amazonaws.com:443, FIPS\n\
                    sso portal.sso-fips.us-east-1.amazonaws.com:443, FIPS\n\
                    sts 127.0.0.1:1, named\n";
    assert_eq!(hosts(&test, "officer"), expected);
}

#[test]
fn the_variables_outrank_the_profile() {
    let test = test();
    let fips = test.clone().env("AWS_USE_FIPS_ENDPOINT", "True");
    assert_eq!(hosts(&fips, "off"), "sts sts-fips.us-west-2.amazonaws.com:443, FIPS\n");
    let plain = test.clone().env("AWS_USE_FIPS_ENDPOINT", "false");
    assert_eq!(hosts(&plain, "fips"), "");
    assert_eq!(hosts(&plain, "both"), "sts sts.us-east-2.api.aws:443, dual-stack\n");
    let dual = test.env("AWS_USE_DUALSTACK_ENDPOINT", "true");
    assert_eq!(hosts(&dual, "demo"), "sts sts.eu-central-1.api.aws:443, dual-stack\n");
}

#[test]
fn what_is_neither_true_nor_false_is_an_error() {
    let test = test();
    for (name, value) in [("AWS_USE_FIPS_ENDPOINT", "1"), ("AWS_USE_DUALSTACK_ENDPOINT", "yes")] {
        let stderr = format!("vault: error: {name} is neither true nor false: {value}\n");
        let test = test.clone().env(name, value);
        test.command(["exec", "--json", "demo"]).expect_error(2, &stderr).run();
    }
    let config = "[profile demo]\nregion = eu-central-1\nuse_fips_endpoint = on\n";
    let stderr =
        "vault: error: use_fips_endpoint of profile \"demo\" is neither true nor false: on\n";
    test.config(config).command(["exec", "--json", "demo"]).expect_error(2, stderr).run();
}

/// Here the proxy looks the name up; `aws::unreachable` has the test for this host's own look-up.
#[test]
fn an_unreachable_host_name_is_reported_as_a_fips_one() {
    let (proxy, asked) = crate::tls::proxy("HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n");
    test()
        .env("HTTPS_PROXY", format!("http://{proxy}"))
        .command(["exec", "--json", "fips"])
        .expect_error(
            9,
            &format!(
                "vault: error: the proxy {proxy} does not connect to \
                 sts-fips.us-west-2.amazonaws.com:443\n\
                 vault: hint: STS may have no FIPS endpoint in this region; \
                 use_fips_endpoint requests one\n"
            ),
        )
        .run();
    let first = || asked.recv().expect("a request").to_lowercase();
    let request = first();
    assert!(request.starts_with("connect sts-fips.us-west-2.amazonaws.com:443 "), "{request}");

    let login = test().env("HTTPS_PROXY", format!("http://{proxy}"));
    let output = login.command(["sso", "login", "officer"]).expect_status(9).run();
    let hint = "vault: hint: IAM Identity Center may have no FIPS endpoint in this region;";
    assert!(output.stderr.contains(hint), "{}", output.stderr);
}

#[test]
fn a_named_endpoint_wins_with_one_warning() {
    let standin = StandIn::demo();
    let test = test().standin(&standin).env("AWS_USE_DUALSTACK_ENDPOINT", "true");
    let said = "vault: warning: the endpoint http://127.0.0.1:[PORT] overrides use_fips_endpoint \
        and use_dualstack_endpoint, and may not be a FIPS dual-stack endpoint\n";
    test.command(["exec", "--json", "fips"]).expect_stderr(said).run();
    assert_eq!(log(&standin), "GetSessionToken by key duration=28800: ok\n");
    let output = test.command(["explain", "fips"]).expect_stderr("").run();
    assert_eq!(output.stdout.matches("overrides").count(), 1, "{}", output.stdout);

    // Where there is no plan.
    standin.fail_always(Some(Fault::AccessDenied));
    let test = test.env("AWS_ENDPOINT_URL_IAM", standin.endpoint());
    for words in [&["mfa", "enroll", "fips"][..], &["rotate", "fips"]] {
        let output = test.command(words).any_status().run();
        assert_eq!(output.stderr.matches("overrides").count(), 1, "{}", output.stderr);
    }
}

#[test]
fn a_command_and_an_export_are_told() {
    let test = test();
    let seen = "echo $AWS_USE_FIPS_ENDPOINT $AWS_USE_DUALSTACK_ENDPOINT";
    for (profile, expected) in
        [("fips", "true\n"), ("both", "true true\n"), ("off", "false\n"), ("demo", "\n")]
    {
        let words = ["exec", "-n", profile, "sh", "-c", seen];
        test.command(words).expect_stdout(expected).expect_stderr("").run();
    }
    let env = test.clone().env("AWS_USE_FIPS_ENDPOINT", "false");
    let words = ["exec", "-n", "both", "sh", "-c", seen];
    env.command(words).expect_stdout("false true\n").expect_stderr("").run();

    let key = format!(
        "AWS_ACCESS_KEY_ID={ACCESS_KEY_ID}\nAWS_SECRET_ACCESS_KEY={SECRET_ACCESS_KEY}\n\
         AWS_REGION=us-east-2\nAWS_DEFAULT_REGION=us-east-2\n"
    );
    let variables = "AWS_USE_FIPS_ENDPOINT=true\nAWS_USE_DUALSTACK_ENDPOINT=true\n";
    let export = test.command(["export", "-n", "--format", "env", "both"]);
    export.expect_stdout(key + variables).expect_stderr("").run();
    let section = format!(
        "[both]\naws_access_key_id={ACCESS_KEY_ID}\naws_secret_access_key={SECRET_ACCESS_KEY}\n\
         region=us-east-2\nuse_fips_endpoint=true\nuse_dualstack_endpoint=true\n"
    );
    let export = test.command(["export", "-n", "--format", "ini", "both"]);
    export.expect_stdout(section).expect_stderr("").run();
}

#[test]
fn the_console_has_no_fips_endpoint() {
    test()
        .command(["login", "fips"])
        .expect_error(
            2,
            "vault: error: AWS's sign-in service has no FIPS endpoint that opens the console\n\
             vault: hint: use_fips_endpoint asks for one; AWS_USE_FIPS_ENDPOINT=false goes without\n",
        )
        .run();
}

/// Prints the host of one call of each service, for each region and variant, as `vault explain` has them.
const HOSTS: &str = r#"
import json, sys
from urllib.parse import urlsplit
from botocore.config import Config
from botocore.session import Session

class Stop(Exception):
    pass

def stop(request, **_):
    raise Stop(urlsplit(request.url).netloc)

CALLS = [
    ("sts", "get_caller_identity", {}),
    ("sso", "get_role_credentials", dict(roleName="a", accountId="1" * 12, accessToken="x")),
    ("sso-oidc", "register_client", dict(clientName="a", clientType="public")),
]
found = {}
for profile in sys.argv[1:]:
    region, fips, dual = profile.split("/")
    variant = Config(use_fips_endpoint=fips == "true", use_dualstack_endpoint=dual == "true")
    hosts = found[profile] = {}
    for service, call, words in CALLS:
        session = Session()
        session.set_credentials("AKIAIOSFODNN7EXAMPLE", "x")
        client = session.create_client(service, region_name=region, config=variant)
        client.meta.events.register("before-send", stop)
        try:
            getattr(client, call)(**words)
        except Stop as host:
            hosts[service.replace("-", "_")] = f"{host}:443"
json.dump(found, sys.stdout)
"#;

#[test]
#[ignore = "needs botocore (see .ci/run)"]
fn botocore_asks_the_same_hosts() {
    let mut config = String::new();
    let mut profiles = Vec::new();
    for region in ["us-east-1", "eu-central-1", "us-gov-west-1", "us-gov-east-1", "cn-north-1"] {
        for (fips, dual) in [("true", "false"), ("false", "true"), ("true", "true")] {
            let name = format!("{region}/{fips}/{dual}");
            config += &format!(
                "[profile {name}]\nregion = {region}\nsso_region = {region}\n\
                 sso_start_url = https://example.awsapps.com/start\nsso_account_id = 123456789012\n\
                 sso_role_name = a\nuse_fips_endpoint = {fips}\nuse_dualstack_endpoint = {dual}\n\
                 [profile {name}/role]\nsource_profile = {name}\nregion = {region}\n\
                 role_arn = arn:aws:iam::123456789012:role/a\nuse_fips_endpoint = {fips}\n\
                 use_dualstack_endpoint = {dual}\n"
            );
            profiles.push(name);
        }
    }
    let test = Test::new().vault_with("demo").config(&config);
    let python = test.command(["-c", HOSTS]).args(&profiles).program("python3");
    let theirs: serde_json::Value =
        serde_json::from_slice(&python.expect_stderr("").run().raw_stdout).expect("JSON");
    for name in &profiles {
        let explain = test.command(["explain", "--json"]).arg(format!("{name}/role"));
        let ours: serde_json::Value =
            serde_json::from_slice(&explain.expect_stderr("").run().raw_stdout).expect("JSON");
        assert_eq!(ours["hosts"], theirs[name], "{name}");
    }
}
