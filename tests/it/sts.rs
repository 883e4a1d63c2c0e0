//! GetSessionToken and AssumeRole against the strict stand-in, whose log is the witness.

use std::net::TcpListener;
use std::time::Duration;

use crate::support::builder::Test;
use crate::support::diff::assert_same;
use crate::support::scene::{self, PROFILES, code, log};
use crate::support::standin::client::Client;
use crate::support::standin::{Fault, Issued, Role, StandIn, World, totp};
use crate::support::{ACCESS_KEY_ID, MFA_SEED, MFA_SERIAL, SECRET_ACCESS_KEY};

const SOON: Duration = Duration::from_secs(20);
/// What `--json` prints for the first session that was given.
const SESSION_JSON: &str = "{\"AccessKeyId\":\"[ID 1]\",\"Expiration\":\"[EXPIRATION 1]\",\
    \"SecretAccessKey\":\"[SECRET 1]\",\"SessionToken\":\"[TOKEN 1]\",\"Version\":1}\n";

/// `vault exec --json` with these flags and profile in the usual scene, with a good code at hand for
/// `CODE`: what AWS was asked.
#[track_caller]
fn asked(line: &str) -> String {
    let (standin, test) = scene::usual();
    json(&test, &standin, line).run();
    log(&standin)
}

fn json(test: &Test, standin: &StandIn, line: &str) -> Test {
    let line = line.replace("CODE", &code(standin));
    test.command(["exec", "--json"]).args(line.split_whitespace())
}

#[test]
fn the_calls_are_those_that_the_design_plans() {
    for (line, calls) in [
        // The key alone.
        ("demo", "GetSessionToken by key duration=3600: ok\n"),
        ("demo -d 15m", "GetSessionToken by key duration=900: ok\n"),
        ("demo -d 36h", "GetSessionToken by key duration=129600: ok\n"),
        ("demo --no-session", ""),
        // With MFA.
        ("mfa -t CODE", "GetSessionToken by key duration=28800 mfa=mfa/demo: ok\n"),
        ("mfa --no-session", ""),
        // A role straight from the key.
        ("role", "AssumeRole by key role=role/deploy name=vault-role duration=3600: ok\n"),
        ("role -d 12h", "AssumeRole by key role=role/deploy name=vault-role duration=43200: ok\n"),
        ("role -n", "AssumeRole by key role=role/deploy name=vault-role duration=3600: ok\n"),
        // A role with MFA: a session that serves other roles too.
        (
            "mfa-role -t CODE",
            "GetSessionToken by key duration=28800 mfa=mfa/demo: ok\n\
             AssumeRole by session 1 role=role/deploy name=vault-mfa-role duration=3600: ok\n",
        ),
        (
            "mfa-role -n -t CODE",
            "AssumeRole by key role=role/deploy name=vault-mfa-role duration=3600 mfa=mfa/demo: ok\n",
        ),
        // For over an hour no session may come between.
        (
            "long -t CODE",
            "AssumeRole by key role=role/deploy name=vault-long duration=7200 mfa=mfa/demo: ok\n",
        ),
        (
            "mfa-role -d 2h -t CODE",
            "AssumeRole by key role=role/deploy name=vault-mfa-role duration=7200 mfa=mfa/demo: ok\n",
        ),
        // Two roles.
        (
            "hops",
            "AssumeRole by key role=role/deploy name=vault-role duration=3600: ok\n\
             AssumeRole by session 1 role=role/audit name=vault-hops duration=3600: ok\n",
        ),
        (
            "mfa-hops -t CODE",
            "GetSessionToken by key duration=28800 mfa=mfa/demo: ok\n\
             AssumeRole by session 1 role=role/deploy name=vault-mfa-role duration=3600: ok\n\
             AssumeRole by session 2 role=role/audit name=vault-mfa-hops duration=3600: ok\n",
        ),
        (
            "mfa-hops -n -t CODE",
            "AssumeRole by key role=role/deploy name=vault-mfa-role duration=3600 mfa=mfa/demo: ok\n\
             AssumeRole by session 1 role=role/audit name=vault-mfa-hops duration=3600: ok\n",
        ),
    ] {
        assert_same(line, calls, &asked(line));
    }
}

#[test]
fn aws_vault_s_variables_set_durations() {
    for (variable, line, calls) in [
        ("AWS_SESSION_TOKEN_TTL", "demo", "GetSessionToken by key duration=5400: ok\n"),
        (
            "AWS_CHAINED_SESSION_TOKEN_TTL",
            "mfa -t CODE",
            "GetSessionToken by key duration=5400 mfa=mfa/demo: ok\n",
        ),
        (
            "AWS_ASSUME_ROLE_TTL",
            "role",
            "AssumeRole by key role=role/deploy name=vault-role duration=5400: ok\n",
        ),
    ] {
        let (standin, test) = scene::usual();
        json(&test.env(variable, "1h30m"), &standin, line).run();
        assert_same(variable, calls, &log(&standin));
    }
}

#[test]
fn json_has_what_aws_gave() {
    let (standin, test) = scene::usual();
    // Not for an hour, so that the two do not end at the same second.
    let session = test.command(["exec", "--json", "-d", "15m", "demo"]).expect_stderr("").run();
    assert_same("stdout", SESSION_JSON, &session.hide(&standin.issued()));
    let role = test.command(["exec", "--json", "role"]).expect_stderr("").run();
    assert_same(
        "stdout",
        "{\"AccessKeyId\":\"[ID 2]\",\"AccountId\":\"123456789012\",\"Expiration\":\"[EXPIRATION 2]\",\
         \"SecretAccessKey\":\"[SECRET 2]\",\"SessionToken\":\"[TOKEN 2]\",\"Version\":1}\n",
        &role.hide(&standin.issued()),
    );
    let key = test.command(["exec", "--json", "--no-session", "demo"]);
    key.expect_stdout(format!(
        "{{\"AccessKeyId\":\"{ACCESS_KEY_ID}\",\"SecretAccessKey\":\"{SECRET_ACCESS_KEY}\",\"Version\":1}}\n"
    ))
    .expect_stderr("")
    .run();
}

#[test]
fn the_expiration_is_aws_s_own_not_what_was_asked() {
    let (standin, test) = scene::usual();
    standin.change(|world| world.session_limit = Some(1200));
    let output = test.command(["exec", "--json", "demo"]).run();
    assert_same("stdout", SESSION_JSON, &output.hide(&standin.issued()));
}

#[test]
fn two_hops_are_capped_at_an_hour_with_a_warning() {
    let (standin, test) = scene::usual();
    json(&test, &standin, "mfa-hops -t CODE")
        .expect_stderr(
            "vault: warning: arn:aws:iam::123456789012:role/audit is assumed for 1h, not 2h: AWS \
             allows no more where roles are chained\n",
        )
        .run();
}

#[test]
fn everything_that_a_role_is_assumed_with_arrives_signed() {
    let standin = StandIn::start(World::demo().role(Role::new("deploy").external_id("ext/1")));
    let config = "\
[profile deploy]
source_profile = demo
role_arn = arn:aws:iam::123456789012:role/deploy
external_id = ext/1
role_session_name = build@42
session_tags = team=ops , cost centre=a/b=c,empty=
transitive_session_tags = team,empty
source_identity = alice
duration_seconds = 900
";
    scene::with(&standin, config).command(["exec", "--json", "deploy"]).expect_stderr("").run();
    assert_same(
        "log",
        "AssumeRole by key role=role/deploy name=build@42 duration=900 external-id=ext/1 \
         source-identity=alice tag:team=ops+ tag:cost centre=a/b=c tag:empty=+: ok\n",
        &log(&standin),
    );
}

#[test]
fn variables_outrank_the_profile_s_role() {
    let (standin, test) = scene::usual();
    test.env("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/audit")
        .env("AWS_ROLE_SESSION_NAME", "by-variable")
        .env("AWS_SESSION_TAGS", "a=b")
        .env("AWS_TRANSITIVE_TAGS", "a")
        .env("AWS_SOURCE_IDENTITY", "bob")
        .command(["exec", "--json", "role"])
        .run();
    assert_same(
        "log",
        "AssumeRole by key role=role/audit name=by-variable duration=3600 source-identity=bob \
         tag:a=b+: ok\n",
        &log(&standin),
    );
}

// Where the base is temporary.

/// Credentials of a session with MFA, from the stand-in itself.
fn temporary(standin: &StandIn) -> Issued {
    Client::demo(standin)
        .get("GetSessionToken", &[("SerialNumber", MFA_SERIAL), ("TokenCode", &code(standin))])
}

const FROM_TEMPORARY: &str =
    "AssumeRole by session 1 role=role/deploy name=vault-deploy duration=3600: ok\n";

/// The calls after the one that made the temporary base.
fn later(standin: &StandIn) -> String {
    log(standin).split_inclusive('\n').skip(1).collect()
}

const LONG_ROLE: &str = "
role_arn = arn:aws:iam::123456789012:role/deploy
mfa_serial = arn:aws:iam::123456789012:mfa/demo
duration_seconds = 7200
";

const CAPPED: &str = "vault: warning: arn:aws:iam::123456789012:role/deploy is assumed for 1h, not \
    2h: AWS allows no more from temporary credentials\n";

#[test]
fn from_plaintext_keys_with_a_token_there_is_no_session_and_no_code() {
    let standin = scene::sts();
    let given = temporary(&standin);
    let config = format!(
        "[profile deploy]\nsource_profile = base{LONG_ROLE}[profile base]\naws_access_key_id = \
         {}\naws_secret_access_key = {}\naws_session_token = {}\n",
        given.access_key_id, given.secret_access_key, given.session_token
    );
    let test = Test::new().config(&config).standin(&standin);
    test.command(["exec", "--json", "deploy"]).expect_stderr(CAPPED).run();
    assert_same("log", FROM_TEMPORARY, &later(&standin));
    // Alone it is handed out as it is.
    let base = test.command(["exec", "--json", "base"]).expect_stderr("").run();
    assert_same(
        "stdout",
        "{\"AccessKeyId\":\"[ID 1]\",\"SecretAccessKey\":\"[SECRET 1]\",\"SessionToken\":\"[TOKEN \
         1]\",\"Version\":1}\n",
        &base.hide(&standin.issued()),
    );
    assert_same("log", FROM_TEMPORARY, &later(&standin));
}

#[test]
fn from_a_credential_process_that_gives_a_session_there_is_no_session_and_no_code() {
    let standin = scene::sts();
    let given = temporary(&standin);
    let json = format!(
        r#"{{"Version": 1, "AccessKeyId": "{}", "SecretAccessKey": "{}", "SessionToken": "{}", "Expiration": "2099-01-01T00:00:00Z"}}"#,
        given.access_key_id, given.secret_access_key, given.session_token
    );
    let config = format!(
        "[profile deploy]\nsource_profile = base{LONG_ROLE}[profile base]\ncredential_process = cat ~/given.json\n"
    );
    let test = Test::new().config(&config).file("given.json", json, 0o600).standin(&standin);
    test.command(["exec", "--json", "deploy"]).expect_stderr(CAPPED).run();
    assert_same("log", FROM_TEMPORARY, &later(&standin));
}

#[test]
fn from_the_environment_with_a_token_there_is_no_session_and_no_code() {
    let standin = scene::sts();
    let given = temporary(&standin);
    let config = format!("[profile deploy]\ncredential_source = Environment{LONG_ROLE}");
    Test::new()
        .config(&config)
        .standin(&standin)
        .env("AWS_ACCESS_KEY_ID", &given.access_key_id)
        .env("AWS_SECRET_ACCESS_KEY", &given.secret_access_key)
        .env("AWS_SESSION_TOKEN", &given.session_token)
        .command(["exec", "--json", "deploy"])
        .expect_stderr(CAPPED)
        .run();
    assert_same("log", FROM_TEMPORARY, &later(&standin));
}

// Where the MFA code comes from.

const WITH_CODE: &str = "GetSessionToken by key duration=28800 mfa=mfa/demo: ok\n";

fn with_process(process: &str) -> String {
    format!(
        "[profile mfa]\nsource_profile = demo\nmfa_serial = {MFA_SERIAL}\nmfa_process = {process}\n"
    )
}

#[test]
fn an_mfa_process_gives_the_code() {
    let standin = scene::sts();
    let test = scene::with(&standin, &with_process(&format!("echo {}", code(&standin))));
    test.command(["exec", "--json", "mfa"]).expect_stderr("").run();
    assert_same("log", WITH_CODE, &log(&standin));
}

#[test]
fn the_flag_outranks_the_mfa_process_which_is_not_run() {
    let standin = scene::sts();
    let test = scene::with(&standin, &with_process("echo ran >&2; exit 1"));
    json(&test, &standin, "mfa --mfa-token CODE").expect_stderr("").run();
    assert_same("log", WITH_CODE, &log(&standin));
}

#[test]
fn a_person_is_asked_on_the_terminal_and_only_there() {
    let (standin, test) = scene::usual();
    let run = test.command(["exec", "--json", "mfa"]).expect_stderr("");
    let (mut pty, pipes) = run.pty_with_pipes();
    pty.expect("Enter MFA code for arn:aws:iam::123456789012:mfa/demo: ", SOON);
    pty.send(&code(&standin));
    let output = run.finish(pty, pipes);
    assert_same("stdout", SESSION_JSON, &output.hide(&standin.issued()));
    assert_same("log", WITH_CODE, &log(&standin));
}

#[test]
fn an_mfa_process_outranks_the_person_who_is_not_asked() {
    let standin = scene::sts();
    let test = scene::with(&standin, &with_process(&format!("echo {}", code(&standin))));
    let run = test.command(["exec", "--json", "mfa"]).expect_stderr("");
    let (pty, pipes) = run.pty_with_pipes();
    let screen = pty.screen();
    run.finish(pty, pipes);
    assert_eq!(screen, "");
}

#[test]
fn what_is_no_code_is_refused_before_aws_is_asked() {
    let cases = [
        ("mfa --mfa-token 12345", 2, "vault: error: --mfa-token: an MFA code is six digits\n"),
        (
            "mfa",
            9,
            "vault: error: no MFA code is available for arn:aws:iam::123456789012:mfa/demo\n\
             vault: hint: give a code with --mfa-token or on a terminal; or store the seed: vault \
                 totp add arn:aws:iam::123456789012:mfa/demo, or for a new device vault mfa \
                 enroll PROFILE; or set mfa_process\n",
        ),
        (
            "says-nothing",
            9,
            "vault: error: the mfa_process printed no MFA code, which is six digits\n",
        ),
        ("fails", 9, "vault: error: the mfa_process failed with exit status 3\n"),
    ];
    for (line, status, stderr) in cases {
        let standin = scene::sts();
        let more = "[profile says-nothing]\ninclude_profile = mfa\nmfa_process = true\n\
                    [profile fails]\ninclude_profile = mfa\nmfa_process = echo 123456; exit 3\n";
        let test = scene::with(&standin, &format!("{PROFILES}{more}"));
        json(&test, &standin, line).expect_error(status, stderr).run();
        assert_eq!(standin.connections(), 0, "{line}");
    }
}

#[test]
fn mfa_that_aws_refuses_is_told_apart() {
    let wrong = "vault: error: AWS refused the MFA code\n\
                 vault: hint: it is wrong, was used before, or this machine's clock is off\n";
    // Wrong.
    let (standin, test) = scene::usual();
    let old = totp::code(MFA_SEED, totp::step(standin.now()) - 10);
    test.command(["exec", "--json", "mfa", "-t", &old]).expect_error(9, wrong).run();
    assert_eq!(standin.calls().len(), 1);
    // Used before.
    let (standin, test) = scene::usual();
    let used = code(&standin);
    test.command(["exec", "--json", "mfa", "-t", &used]).run();
    let again = test.command(["exec", "--json", "--refresh", "mfa", "-t", &used]);
    again.expect_error(9, wrong).run();
    // Somebody else's device.
    let (standin, test) = scene::usual();
    let test = test.env("AWS_MFA_SERIAL", "arn:aws:iam::123456789012:mfa/other");
    json(&test, &standin, "mfa -t CODE")
        .expect_error(
            9,
            "vault: error: AWS cannot validate an MFA code for this device\n\
             vault: hint: check mfa_serial; if it is right, the device was asked too often: wait \
             three minutes\n",
        )
        .run();
}

#[test]
fn a_role_that_wants_mfa_without_a_device_to_give_it_is_refused_by_aws() {
    let (standin, test) = scene::usual();
    standin.change(|world| world.roles[0].mfa = Some(3600));
    let refused = "vault: error: AWS refused AssumeRole: AccessDenied: User: \
        arn:aws:iam::123456789012:user/demo is not authorized to perform: sts:AssumeRole on resource: \
        arn:aws:iam::123456789012:role/deploy (key AKIAIOSFODNN7EXAMPLE of profile demo)\nvault: \
            hint: profile role has no mfa_serial: set it if the role requires MFA\n";
    test.command(["exec", "--json", "role"]).expect_error(9, refused).run();
    assert_eq!(standin.calls().len(), 1);
}

// Nothing more is asked of anybody than the plan says.

#[test]
fn only_what_the_plan_says_is_called() {
    let (standin, test) = scene::usual();
    json(&test, &standin, "mfa-hops -t CODE").run();
    let actions: Vec<_> = standin.calls().into_iter().map(|call| call.action).collect();
    assert_eq!(actions, ["GetSessionToken", "AssumeRole", "AssumeRole"]);
    let (standin, test) = scene::usual();
    test.command(["exec", "--no-session", "demo", "true"]).run();
    assert_eq!(standin.connections(), 0);
}

#[test]
fn metadata_is_never_asked() {
    let (standin, test) = scene::usual();
    let metadata = StandIn::demo();
    let url = metadata.endpoint();
    let test = test
        .env("AWS_EC2_METADATA_SERVICE_ENDPOINT", &url)
        .env("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("{url}/creds"))
        .env("AWS_CONTAINER_AUTHORIZATION_TOKEN", "x")
        .env_remove("AWS_REGION");
    let none = test.command(["exec", "--json", "mfa-role", "--no-input"]).expect_status(9);
    none.run();
    test.command(["exec", "--json", "role"]).run();
    test.command(["exec", "--json", "nobody"]).expect_status(3).run();
    assert_eq!(standin.calls().len(), 1);
    assert_eq!(metadata.connections(), 0);
}

#[test]
fn a_code_is_sent_once() {
    for fault in [
        Fault::SlowDown,
        Fault::Throttling,
        Fault::Internal,
        Fault::DropBefore,
        Fault::DropAfter,
        Fault::Html(503),
        Fault::Empty(500),
    ] {
        let (standin, test) = scene::usual();
        standin.fail_next(fault);
        json(&test, &standin, "mfa -t CODE").expect_status(9).expect_stdout("").run();
        assert_eq!(standin.calls().len(), 1, "{fault:?}");
    }
}

#[test]
fn without_a_code_a_passing_failure_is_tried_again() {
    for fault in [Fault::SlowDown, Fault::Throttling, Fault::Internal, Fault::DropBefore] {
        let (standin, test) = scene::usual();
        standin.fail_next(fault);
        test.command(["exec", "--json", "role"]).expect_stderr("").run();
        assert_eq!(standin.calls().len(), 2, "{fault:?}");
    }
}

#[test]
fn the_hop_after_the_code_may_be_tried_again() {
    let (standin, test) = scene::usual();
    // The session goes well, then the role is throttled once.
    standin.fail_next(Fault::Hang(Duration::ZERO));
    standin.fail_next(Fault::SlowDown);
    json(&test, &standin, "mfa-role -t CODE").expect_stderr("").run();
    let actions: Vec<_> = standin.calls().into_iter().map(|call| call.action).collect();
    assert_eq!(actions, ["GetSessionToken", "AssumeRole", "AssumeRole"]);
}

// Failures, with their whole texts.

#[test]
fn each_failure_of_sts_has_its_text() {
    let not_sts = |status: u16, kind: &str| {
        format!(
            "vault: error: STS answered with something that is not STS (HTTP {status}, {kind})\n\
             vault: hint: is endpoint_url right, and is there a proxy or a login page in between?\n"
        )
    };
    let cases = [
        (
            Fault::AccessDenied,
            "vault: error: AWS refused AssumeRole: AccessDenied: Access denied by an explicit deny in \
             an identity-based policy (key AKIAIOSFODNN7EXAMPLE of profile demo)\nvault: hint: \
                 profile role has no mfa_serial: set it if the role requires MFA\n"
                .to_owned(),
        ),
        (
            Fault::Throttling,
            "vault: error: AWS is throttling requests (Throttling)\n\
             vault: hint: wait a while, or let fewer jobs ask at once\n"
                .to_owned(),
        ),
        (
            Fault::SlowDown,
            "vault: error: AWS is throttling requests (SlowDown)\n\
             vault: hint: wait a while, or let fewer jobs ask at once\n"
                .to_owned(),
        ),
        (
            Fault::Internal,
            "vault: error: STS failed (HTTP 500, InternalFailure)\nvault: hint: try again later\n"
                .to_owned(),
        ),
        (Fault::Html(200), not_sts(200, "text/html")),
        (Fault::Html(502), not_sts(502, "text/html")),
        (Fault::Empty(200), not_sts(200, "text/xml")),
        (
            Fault::DropBefore,
            "vault: error: 127.0.0.1:[PORT] closed the connection before the response was complete\n\
             vault: hint: try again\n"
                .to_owned(),
        ),
    ];
    for (fault, stderr) in cases {
        let (standin, test) = scene::usual();
        standin.fail_always(Some(fault));
        test.command(["exec", "--json", "role"]).expect_error(9, &stderr).run();
        assert!(standin.calls().len() <= 3, "{fault:?}");
    }
}

#[test]
fn a_command_is_not_started_when_aws_refuses() {
    let (standin, test) = scene::usual();
    standin.fail_always(Some(Fault::AccessDenied));
    test.command(["exec", "role", "--", "echo", "started"])
        .expect_error(
            125,
            "vault: error: AWS refused AssumeRole: AccessDenied: Access denied by an explicit deny in \
             an identity-based policy (key AKIAIOSFODNN7EXAMPLE of profile demo)\nvault: hint: \
                 profile role has no mfa_serial: set it if the role requires MFA\n",
        )
        .run();
}

#[test]
fn a_closed_port_is_named() {
    let (_standin, test) = scene::usual();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let place = listener.local_addr().expect("its address");
    drop(listener);
    test.env("AWS_ENDPOINT_URL_STS", format!("http://{place}"))
        .command(["exec", "--json", "role"])
        .expect_error(9, &format!("vault: error: {place} refused the connection\n"))
        .run();
}

/// The one slow test: a call with a code is given up after a single time limit of 15 s.
#[test]
fn an_answer_that_never_comes_is_given_up() {
    let (standin, test) = scene::usual();
    standin.fail_always(Some(Fault::HangForever));
    json(&test, &standin, "mfa -t CODE")
        .expect_error(8, "vault: error: out of time: no answer from 127.0.0.1:[PORT]\n")
        .run();
    assert_eq!(standin.calls().len(), 1);
}

#[test]
fn a_key_that_aws_does_not_know_is_an_error() {
    let standin = StandIn::start(World::empty());
    let test = scene::with(&standin, PROFILES);
    test.command(["exec", "--json", "demo"])
        .expect_error(
            9,
            "vault: error: AWS does not know the access key (key AKIAIOSFODNN7EXAMPLE of profile demo)\n\
             vault: hint: it was deleted, is inactive, belongs to another partition, or is only \
             seconds old\n",
        )
        .run();
    assert_eq!(standin.calls().len(), 1);
}

#[test]
fn a_secret_that_does_not_belong_to_the_key_is_an_error() {
    let (_standin, test) = scene::usual();
    test.stored("demo", ACCESS_KEY_ID, &SECRET_ACCESS_KEY.to_lowercase())
        .command(["exec", "--json", "demo"])
        .expect_error(
            9,
            "vault: error: AWS refused the signature (key AKIAIOSFODNN7EXAMPLE of profile demo)\n\
             vault: hint: the secret access key does not belong to the access key ID, or this \
             machine's clock is off\n",
        )
        .run();
}

/// A second may pass between the two readings of the clock.
fn about_600(text: &str) -> String {
    text.replace("599 s", "600 s").replace("601 s", "600 s")
}

#[test]
fn a_clock_that_is_off_is_reported_with_its_seconds() {
    for (seconds, way) in [(600, "behind"), (-600, "ahead of")] {
        let (standin, test) = scene::usual();
        standin.move_clock(seconds);
        let output = json(&test, &standin, "mfa -t CODE").expect_status(9).expect_stdout("").run();
        let stderr = format!(
            "vault: error: AWS refused the signature (key AKIAIOSFODNN7EXAMPLE of profile demo)\n\
             vault: hint: this machine's clock is 600 s {way} AWS's\n"
        );
        assert_same("stderr", &stderr, &about_600(&output.stderr));
        assert_eq!(standin.calls().len(), 1);
    }
}

#[test]
fn without_a_code_the_call_is_repeated_by_aws_s_clock_and_the_offset_is_reported() {
    for (seconds, way) in [(600, "behind"), (-600, "ahead of")] {
        let (standin, test) = scene::usual();
        standin.move_clock(seconds);
        let output = test.command(["exec", "--json", "demo"]).run();
        let stderr = format!("vault: warning: this machine's clock is 600 s {way} AWS's\n");
        assert_same("stderr", &stderr, &about_600(&output.stderr));
        assert_same("stdout", SESSION_JSON, &output.hide(&standin.issued()));
        assert_eq!(standin.calls().len(), 2);
    }
}

// Where STS is.

/// Which of two STS was asked.
fn which(config: &str, vars: &[(&str, &str)]) -> &'static str {
    let (one, two) = (scene::sts(), scene::sts());
    let url = |text: &str| text.replace("ONE", &one.endpoint()).replace("TWO", &two.endpoint());
    let mut test =
        Test::new().vault_with("demo").config(&url(config)).env("AWS_REGION", "us-east-1");
    for (name, value) in vars {
        test = test.env(name, url(value));
    }
    test.command(["exec", "--json", "demo"]).expect_stderr("").run();
    match (one.calls().len(), two.calls().len()) {
        (1, 0) => "one",
        (0, 1) => "two",
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_endpoint_may_be_named_in_many_places() {
    let profile = "[profile demo]\nendpoint_url = ONE\n";
    let services = "[profile demo]\nendpoint_url = TWO\nservices = local\n\
                    [services local]\nsts =\n  endpoint_url = ONE\n";
    for (config, vars) in [
        ("", vec![("AWS_ENDPOINT_URL", "ONE")]),
        ("", vec![("AWS_ENDPOINT_URL_STS", "ONE"), ("AWS_ENDPOINT_URL", "TWO")]),
        (profile, vec![]),
        ("[default]\nendpoint_url = ONE\n", vec![]),
        (services, vec![]),
        ("[profile demo]\nendpoint_url = TWO\n", vec![("AWS_ENDPOINT_URL", "ONE")]),
        (services, vec![("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "false")]),
    ] {
        assert_eq!(which(config, &vars), "one", "{config} {vars:?}");
    }
}
