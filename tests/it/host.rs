//! Credentials from what runs the program: a container's agent, and an EC2 instance.

use std::time::{Duration, Instant};

use crate::sessions::together::at_once;
use crate::support::agent::{Agent, Said, credentials, instance, json};
use crate::support::builder::Test;
use crate::support::moto::Moto;
use crate::support::scene::log;
use crate::support::standin::client::Client;
use crate::support::standin::time;
use crate::support::standin::{Issued, Role, StandIn, World};

const PROFILES: &str = "\
[profile task]
credential_source = EcsContainer
[profile web]
credential_source = Ec2InstanceMetadata
[profile audit]
source_profile = task
role_arn = arn:aws:iam::123456789012:role/audit
[profile deploy]
credential_source = Ec2InstanceMetadata
role_arn = arn:aws:iam::123456789012:role/deploy
";

/// STS, and the role that the host has there.
fn host() -> (StandIn, Issued) {
    let roles = ["host", "audit", "deploy"].map(Role::new);
    let world = roles.into_iter().fold(World::demo(), World::role);
    let standin = StandIn::start(world);
    let issued = Client::demo(&standin).get(
        "AssumeRole",
        &[("RoleArn", "arn:aws:iam::123456789012:role/host"), ("RoleSessionName", "host")],
    );
    (standin, issued)
}

/// [`PROFILES`] where a container's agent is.
fn task(agent: &Agent) -> Test {
    Test::new()
        .config(PROFILES)
        .env("AWS_REGION", "us-east-1")
        .env("AWS_CONTAINER_CREDENTIALS_FULL_URI", agent.url("/creds"))
        .env("AWS_CONTAINER_AUTHORIZATION_TOKEN", "Basic abc")
}

/// [`PROFILES`] where an instance's metadata service is.
fn machine(agent: &Agent) -> Test {
    Test::new()
        .config(PROFILES)
        .env("AWS_REGION", "us-east-1")
        .env("AWS_EC2_METADATA_SERVICE_ENDPOINT", agent.url("/"))
}

fn run(test: &Test, profile: &str) -> Test {
    test.command(["exec", "--json", profile]).expect_stderr("")
}

const GIVEN: &str = "{\"AccessKeyId\":\"[ID 1]\",\"Expiration\":\"[EXPIRATION 1]\",\
                     \"SecretAccessKey\":\"[SECRET 1]\",\"SessionToken\":\"[TOKEN 1]\",\
                     \"Version\":1}\n";

// A container.

#[test]
fn a_container_s_agent_gives_its_role_without_any_vault() {
    let (standin, issued) = host();
    let agent = Agent::container("Basic abc", &issued);
    // No proxy stands between a program and what is next door.
    let test =
        task(&agent).env("HTTP_PROXY", "http://127.0.0.1:1").env("ALL_PROXY", "http://127.0.0.1:1");
    let output = run(&test, "task").run();
    assert_eq!(output.hide(&standin.issued()), GIVEN);
    assert_eq!(agent.log(), ["GET /creds"]);
    assert!(!test.vault_file().exists());
}

#[test]
fn its_token_may_be_in_a_file_that_comes_first() {
    let (standin, issued) = host();
    let agent = Agent::container("Bearer x", &issued);
    let test = task(&agent).file("authorization", "Bearer x\n", 0o600);
    let path = test.home().join("authorization");
    let test = test.env("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", path);
    assert_eq!(run(&test, "task").run().hide(&standin.issued()), GIVEN);
    for (token, stderr) in [
        ("", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE holds no authorization token"),
        ("two\nlines\n", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE holds no authorization token"),
    ] {
        let test = test.clone().file("authorization", token, 0o600);
        run(&test, "task").expect_error(1, &format!("vault: error: {stderr}\n")).run();
    }
    let test = test.env("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "/nonexistent/token");
    let stderr = "vault: error: cannot read the authorization token /nonexistent/token \
                  (AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE): no such file or directory\n";
    run(&test, "task").expect_error(1, stderr).run();
    assert_eq!(agent.log().len(), 1);
}

#[test]
fn localhost_is_this_host() {
    let (standin, issued) = host();
    let agent = Agent::container("Basic abc", &issued);
    let url = agent.url("/creds").replace("127.0.0.1", "localhost");
    let test = task(&agent).env("AWS_CONTAINER_CREDENTIALS_FULL_URI", url);
    assert_eq!(run(&test, "task").run().hide(&standin.issued()), GIVEN);
}

#[test]
fn roles_are_assumed_from_there_and_kept_without_a_vault() {
    let (standin, issued) = host();
    let agent = Agent::container("Basic abc", &issued);
    let test = task(&agent).standin(&standin);
    let outputs = at_once(100, |_| run(&test, "audit"));
    assert!(outputs.iter().all(|output| output.raw_stdout == outputs[0].raw_stdout));
    let calls = "AssumeRole by key role=role/host name=host: ok\n\
                 AssumeRole by session 1 role=role/audit name=vault-audit duration=3600: ok\n";
    assert_eq!(log(&standin), calls);
}

#[test]
fn the_command_s_environment_leads_to_the_agent_no_more() {
    let (_, issued) = host();
    let agent = Agent::container("Basic abc", &issued);
    let words = [
        "exec",
        "task",
        "sh",
        "-c",
        "env | grep -c AWS_CONTAINER; echo ${AWS_SESSION_TOKEN:+session}",
    ];
    task(&agent).command(words).expect_stdout("0\nsession\n").run();
}

#[test]
fn a_busy_agent_is_asked_again() {
    let (standin, issued) = host();
    let body = credentials(&issued);
    let agent = Agent::start(move |_, earlier| match earlier {
        0 => json(429, r#"{"code":"TooManyRequests"}"#),
        1 => Said::Close,
        _ => json(200, &*body),
    });
    assert_eq!(run(&task(&agent), "task").run().hide(&standin.issued()), GIVEN);
    assert_eq!(agent.log().len(), 3);
}

#[test]
fn an_empty_or_torn_answer_is_asked_for_again() {
    let (standin, issued) = host();
    let good = credentials(&issued);
    let half = good[..good.len() / 2].to_owned();
    for bad in ["", "{}", "<html>", &*half] {
        let (body, torn) = (good.clone(), bad.to_owned());
        let agent = Agent::start(move |_, earlier| {
            json(200, if earlier < 2 { torn.clone() } else { body.clone() })
        });
        assert_eq!(run(&task(&agent), "task").run().hide(&standin.issued()), GIVEN);
        assert_eq!(agent.log().len(), 3, "{bad:?}");
    }
    // Each of an instance's three answers.
    let body = good.clone();
    let agent = Agent::start(move |request, earlier| match earlier % 2 {
        0 => Said::Answer(200, "text/plain", String::new()),
        _ => instance(request, &body),
    });
    assert_eq!(run(&machine(&agent), "web").run().hide(&standin.issued()), GIVEN);
    assert_eq!(agent.log().len(), 6);
}

#[test]
fn an_agent_that_gives_nothing_is_an_error() {
    let (_, issued) = host();
    let ended = Issued { expiration: 1_000_000_000, ..issued.clone() };
    let half = credentials(&issued).replace("SecretAccessKey", "Secret");
    let torn = credentials(&issued).replace("IQoJ", "IQoJ\\n");
    let none =
        "the container's credentials agent at [AGENT] gives something that is not credentials";
    for (body, status, stderr) in [
        (
            r#"{"code":"AccessDenied","message":"Basic abc may not,\nsays somebody."}"#.to_owned(),
            403,
            "the container's credentials agent gives no credentials: HTTP 403: AccessDenied: … may not, says somebody",
        ),
        (
            "<html>".to_owned(),
            404,
            "the container's credentials agent gives no credentials: HTTP 404",
        ),
        ("<html>".to_owned(), 200, none),
        ("[]".to_owned(), 200, none),
        (half, 200, none),
        (torn, 200, none),
        (
            credentials(&ended),
            200,
            "the container's credentials agent gives credentials that have expired",
        ),
        ("x".repeat(200_000), 200, none),
    ] {
        let agent = Agent::start(move |_, _| json(status, &*body));
        let stderr = stderr.replace("[AGENT]", agent.url("").trim_start_matches("http://"));
        let test = run(&task(&agent), "task");
        test.expect_error(9, &format!("vault: error: {stderr}\n")).run();
    }
}

/// Not even looked up: what a name leads to may change between a look-up and a connection.
#[test]
fn a_container_s_agent_elsewhere_is_never_asked() {
    let (_, issued) = host();
    let agent = Agent::container("Basic abc", &issued);
    let test = task(&agent);
    let stderr = "vault: error: AWS_CONTAINER_CREDENTIALS_FULL_URI: without https it may name this host, \
                  169.254.170.2, 169.254.170.23 or fd00:ec2::23\n";
    let port = agent.port();
    for host in [
        "0.0.0.0",
        "[::]",
        "[::ffff:127.0.0.1]",
        "127.1",
        "2130706433",
        "0x7f000001",
        "localhost.",
        "ip6-localhost",
        "127.0.0.1.example.com",
        "169.254.169.254",
        "169.254.170.3",
        "[fd00:ec2::254]",
    ] {
        let url = format!("http://{host}:{port}/creds");
        let test = test.clone().env("AWS_CONTAINER_CREDENTIALS_FULL_URI", url);
        test.command(["exec", "--json", "task"]).expect_error(2, stderr).run();
    }
    assert!(agent.log().is_empty());
}

#[test]
fn no_redirect_is_followed() {
    let (_, issued) = host();
    let elsewhere = Agent::instance(&issued);
    let location = elsewhere.url("/latest/meta-data/iam/security-credentials/web");
    let agent = Agent::redirecting(&location);
    let said = |who: &str| format!("vault: error: {who} gives no credentials: HTTP 302\n");
    run(&task(&agent), "task").expect_error(9, &said("the container's credentials agent")).run();
    run(&machine(&agent), "web").expect_error(9, &said("the instance metadata service")).run();
    assert_eq!(elsewhere.log().len(), 0);
}

#[test]
fn a_missing_agent_is_an_error_at_once() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (_, issued) = host();
    let agent = Agent::container("Basic abc", &issued);
    let test = task(&agent)
        .env("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("http://127.0.0.1:{port}/creds"));
    let stderr = format!(
        "vault: error: cannot ask the container's credentials agent: 127.0.0.1:{port} refused the connection\n\
         vault: hint: is this the container that AWS_CONTAINER_CREDENTIALS_* were set for?\n"
    );
    run(&test, "task").expect_error(9, &stderr).run();
}

// An instance.

#[test]
fn an_instance_gives_its_role_by_imdsv2() {
    let (standin, issued) = host();
    let agent = Agent::instance(&issued);
    let test = machine(&agent).env("HTTP_PROXY", "http://127.0.0.1:1");
    assert_eq!(run(&test, "web").run().hide(&standin.issued()), GIVEN);
    assert_eq!(
        agent.log(),
        [
            "PUT /latest/api/token",
            "GET /latest/meta-data/iam/security-credentials/",
            "GET /latest/meta-data/iam/security-credentials/web",
        ]
    );
    // A role from there.
    let test = test.standin(&standin);
    run(&test, "deploy").run();
    run(&test, "deploy").run();
    assert_eq!(standin.calls().len(), 2, "{}", log(&standin));
}

/// Static stability: where the service cannot get others, AWS's SDKs go on with them.
#[test]
fn an_instance_s_credentials_that_have_expired_are_used_with_a_warning() {
    let (standin, issued) = host();
    let agent = Agent::instance(&Issued { expiration: 1_000_000_000, ..issued.clone() });
    let said = "vault: warning: the instance metadata service gives credentials that expired at \
                2001-09-09T01:46:40Z; they are used, as by AWS's SDKs, until it gives others\n";
    let output = machine(&agent).command(["exec", "--json", "web"]).expect_stderr(said).run();
    let json: serde_json::Value = serde_json::from_slice(&output.raw_stdout).expect("JSON");
    assert_eq!(json["AccessKeyId"], *issued.access_key_id);
    let end = json["Expiration"].as_str().expect("an end");
    assert!(end > "2026" && *end < *time::rfc3339(standin.now() + 16 * 60), "{end}");
    // A role of them.
    let test = machine(&agent).standin(&standin);
    test.command(["exec", "--json", "deploy"]).expect_stderr(said).run();
    assert_eq!(standin.calls().len(), 2, "{}", log(&standin));
}

#[test]
fn an_instance_that_gives_nothing_is_an_error() {
    let (_, issued) = host();
    let good = credentials(&issued);
    let text = |status, body: &str| Said::Answer(status, "text/plain", body.to_owned());
    let name = "the instance metadata service";
    let cases: [(&str, u16, &str, String); 7] = [
        (
            "/latest/api/token",
            403,
            "",
            format!(
                "{name} gives no credentials: HTTP 403\nvault: hint: it is switched off for this instance"
            ),
        ),
        ("/latest/api/token", 404, "", format!("{name} gives no credentials: HTTP 404")),
        (
            "/latest/api/token",
            200,
            "two words",
            format!("{name} at [AGENT] gives something that is not a token"),
        ),
        (
            "/latest/meta-data/iam/security-credentials/",
            404,
            "",
            format!(
                "{name} has no role for this instance\nvault: hint: attach an instance profile, or run vault add"
            ),
        ),
        (
            "/latest/meta-data/iam/security-credentials/",
            200,
            "../../user-data",
            format!("{name} at [AGENT] gives something that is not a role's name"),
        ),
        (
            "/latest/meta-data/iam/security-credentials/web",
            200,
            r#"{"Code":"AssumeRoleUnauthorizedAccess","Message":"EC2 cannot assume the role web."}"#,
            format!(
                "{name} gives no credentials: HTTP 200: AssumeRoleUnauthorizedAccess: EC2 cannot assume the role web"
            ),
        ),
        (
            "/latest/meta-data/iam/security-credentials/web",
            200,
            "{}",
            format!("{name} at [AGENT] gives something that is not credentials"),
        ),
    ];
    for (path, status, body, stderr) in cases {
        let good = good.clone();
        let agent = Agent::start(move |request, _| match request.target == path {
            true => text(status, body),
            false => instance(request, &good),
        });
        let stderr = stderr.replace("[AGENT]", agent.url("").trim_start_matches("http://"));
        let test = run(&machine(&agent), "web");
        test.expect_error(9, &format!("vault: error: {stderr}\n")).run();
    }
}

#[test]
fn a_service_that_never_answers_is_given_up_in_a_few_seconds() {
    let agent = Agent::start(|_, _| Said::Nothing);
    let place = agent.url("").trim_start_matches("http://").to_owned();
    let start = Instant::now();
    let stderr = format!(
        "vault: error: the instance metadata service at {place} does not answer\n\
         vault: hint: is this an EC2 instance? for containers on it, its hop limit has to be 2 or more\n"
    );
    run(&machine(&agent), "web").expect_error(9, &stderr).run();
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
    assert!(agent.log().iter().all(|request| request == "PUT /latest/api/token"));
}

#[test]
fn an_instance_is_not_asked_where_that_is_forbidden() {
    let (_, issued) = host();
    let agent = Agent::instance(&issued);
    let test = machine(&agent).env("AWS_EC2_METADATA_DISABLED", "true").vault_with("demo");
    let stderr = "vault: error: no credentials for profile \"web\"\n\
                  vault: hint: credential_source = Ec2InstanceMetadata, and AWS_EC2_METADATA_DISABLED forbids its use\n";
    run(&test, "web").expect_error(3, stderr).run();
    assert_eq!(agent.log().len(), 0);
}

#[test]
#[ignore = "needs moto's server (see .ci/run)"]
fn moto_is_a_second_instance() {
    let test = Test::new().config(PROFILES).env("AWS_REGION", "us-east-1");
    let moto = Moto::start(test.home());
    let test = test
        .env("AWS_EC2_METADATA_SERVICE_ENDPOINT", &moto.endpoint)
        .env("AWS_ENDPOINT_URL_STS", &moto.endpoint);
    for profile in ["web", "deploy"] {
        let given: serde_json::Value =
            serde_json::from_slice(&run(&test, profile).run().raw_stdout).expect("JSON");
        for field in ["AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration"] {
            assert!(given[field].is_string(), "{profile}: {field}");
        }
    }
}
