//! The client against a server that answers what the test has written down.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Instant;

use aws_smithy_types::date_time::{DateTime, Format};

use super::super::testing::Answer::{self, Drop, Hang, Reply, Trickle};
use super::super::testing::Server;
use super::*;
use crate::clock::Clock;
use crate::env::Env;
use crate::error::Class;
use crate::profile::{EndpointVariant, Target};
use crate::reporter::Reporter;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/xml";

fn credentials_xml() -> &'static str {
    "<Credentials><AccessKeyId>AKIAIOSFODNN7EXAMPLE</AccessKeyId><SecretAccessKey>\
     wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY</SecretAccessKey><SessionToken>token\
     </SessionToken><Expiration>2038-01-19T03:14:07Z</Expiration></Credentials>"
}

fn session_xml() -> String {
    format!(
        "<GetSessionTokenResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
         <GetSessionTokenResult>{}</GetSessionTokenResult></GetSessionTokenResponse>",
        credentials_xml()
    )
}

fn error_xml(code: &str, message: &str) -> String {
    format!(
        "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender\
         </Type><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>"
    )
}

fn key() -> Credentials {
    Credentials::long_term(
        "AKIAIOSFODNN7EXAMPLE".to_owned(),
        Secret::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned()),
    )
}

fn target(endpoint: &str) -> Target {
    Target {
        region: "eu-central-1".to_owned(),
        endpoint: Some(endpoint.to_owned()),
        variant: EndpointVariant::default(),
        ca_bundle: None,
    }
}

fn within(time: Duration) -> Instant {
    Instant::now() + time
}

fn sts_at(endpoint: &str, vars: &[(&str, &str)]) -> Sts {
    let deadline = within(Duration::from_secs(30));
    Sts::connect(&target(endpoint), &Env::of(vars), deadline, Reporter::default()).unwrap()
}

fn sts(server: &Server) -> Sts {
    sts_at(&format!("http://{}", server.address), &[])
}

const HOUR: Duration = Duration::from_secs(3600);
const SERIAL: &str = "arn:aws:iam::111122223333:mfa/ci";

fn with_code(sts: &Sts) -> ServiceError {
    let code = Secret::new("123456".to_owned());
    sts.session_token(&key(), HOUR, Some((SERIAL, &code))).unwrap_err()
}

#[test]
fn a_session_token_is_asked_for_and_read() {
    let server = Server::start(vec![Reply(OK, session_xml())]);
    let code = Secret::new("123456".to_owned());
    let got = sts(&server).session_token(&key(), HOUR, Some((SERIAL, &code))).unwrap();
    assert_eq!(got.access_key_id, "AKIAIOSFODNN7EXAMPLE");
    assert_eq!(got.secret_access_key.expose(), key().secret_access_key.expose());
    assert_eq!(got.session_token.unwrap().expose(), "token");
    assert_eq!(got.expiration.unwrap().to_rfc3339(), "2038-01-19T03:14:07Z");
    let [request] = server.requests().try_into().unwrap();
    assert!(request.starts_with("POST / HTTP/1.1\r\n"));
    assert!(request.contains("/eu-central-1/sts/aws4_request"));
    for part in ["Action=GetSessionToken", "DurationSeconds=3600", "TokenCode=123456"] {
        assert!(request.contains(part), "{part}");
    }
}

#[test]
fn a_role_is_assumed_with_all_its_parameters() {
    let xml = format!(
        "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult>\
         {}<AssumedRoleUser><AssumedRoleId>A:s</AssumedRoleId><Arn>\
         arn:aws:sts::444455556666:assumed-role/deploy/s</Arn></AssumedRoleUser></AssumeRoleResult>\
         </AssumeRoleResponse>",
        credentials_xml()
    );
    let server = Server::start(vec![Reply(OK, xml)]);
    let role = Role {
        arn: "arn:aws:iam::444455556666:role/deploy".to_owned(),
        session_name: "build-7".to_owned(),
        duration: Duration::from_secs(900),
        external_id: Some("ext".to_owned()),
        tags: vec![("team".to_owned(), "infra".to_owned())],
        transitive: vec!["team".to_owned()],
        source_identity: Some("me".to_owned()),
    };
    let mut base = key();
    base.session_token = Some(Secret::new("base-token".to_owned()));
    let got = sts(&server).assume_role(&base, &role, None).unwrap();
    assert_eq!(got.account_id.as_deref(), Some("444455556666"));
    let [request] = server.requests().try_into().unwrap();
    for part in [
        "Action=AssumeRole",
        "RoleArn=arn%3Aaws%3Aiam%3A%3A444455556666%3Arole%2Fdeploy",
        "RoleSessionName=build-7",
        "DurationSeconds=900",
        "ExternalId=ext",
        "Tags.member.1.Key=team",
        "Tags.member.1.Value=infra",
        "TransitiveTagKeys.member.1=team",
        "SourceIdentity=me",
        "x-amz-security-token: base-token",
    ] {
        assert!(request.contains(part), "{part}");
    }
    assert!(!request.contains("TokenCode"));
}

#[test]
fn nothing_is_started_or_read_before_the_first_call() {
    let mut target = target("https://127.0.0.1:1");
    target.ca_bundle = Some("/nonexistent/bundle.pem".into());
    let deadline = within(Duration::from_secs(30));
    let sts = Sts::connect(&target, &Env::default(), deadline, Reporter::default()).unwrap();
    assert!(sts.is_idle());
    let error = sts.session_token(&key(), HOUR, None).unwrap_err().into_error();
    assert_eq!(error.what, "CA bundle /nonexistent/bundle.pem: no such file or directory");
    assert_eq!(error.class, Class::Other);
}

#[test]
fn a_refused_code_is_told_from_other_refusals() {
    let text = "MultiFactorAuthentication failed with invalid MFA one time pass code. ";
    let head = "HTTP/1.1 403 Forbidden\r\nContent-Type: text/xml";
    let server = Server::start(vec![
        Reply(head, error_xml("AccessDenied", text)),
        Reply(head, error_xml("AccessDenied", "User: x is not authorized. Value 123456.")),
    ]);
    let sts = sts(&server);
    assert_eq!(with_code(&sts), ServiceError::MfaInvalid { skew: None });
    assert_eq!(
        with_code(&sts).into_error().what,
        "AWS refused GetSessionToken: AccessDenied: User: x is not authorized. Value …"
    );
}

#[test]
fn a_failure_of_aws_is_tried_again_only_without_a_code() {
    let answers = || {
        let xml = error_xml("ServiceUnavailable", "no");
        vec![Reply("HTTP/1.1 503 Busy", xml), Reply(OK, session_xml())]
    };
    let server = Server::start(answers());
    assert!(sts(&server).session_token(&key(), HOUR, None).is_ok());
    assert_eq!(server.requests().len(), 2);

    let server = Server::start(answers());
    let error = with_code(&sts(&server));
    assert_eq!(
        error,
        ServiceError::Unavailable {
            service: "STS",
            status: 503,
            code: "ServiceUnavailable".to_owned()
        }
    );
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn throttling_and_a_lost_answer_do_not_send_a_code_twice_either() {
    let xml = error_xml("Throttling", "Rate exceeded");
    let server = Server::start(vec![Reply("HTTP/1.1 400 Bad", xml), Reply(OK, session_xml())]);
    assert_eq!(with_code(&sts(&server)), ServiceError::Throttled { code: "Throttling".to_owned() });
    assert_eq!(server.requests().len(), 1);

    let server = Server::start(vec![Drop, Reply(OK, session_xml())]);
    let error = with_code(&sts(&server));
    assert!(matches!(&error, ServiceError::Unreachable { lost: true, .. }), "{error:?}");
    assert_eq!(error.into_error().class, Class::Aws);
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn what_is_not_sts_is_named_by_status_and_type() {
    let html = || "<html><body>Sign in<br></body>".to_owned();
    let server = Server::start(vec![
        Reply("HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html; charset=utf-8", html()),
        Reply("HTTP/1.1 200 OK\r\nContent-Type: text/html", html()),
        Reply("HTTP/1.1 302 Found\r\nLocation: http://login/", String::new()),
        Reply(OK, session_xml().replace("token", "")),
        Reply(OK, session_xml().replace("token", "to&#10;credential_process=rm")),
        Reply(OK, session_xml().split_once("<Credentials>").unwrap().0.to_owned()),
    ]);
    let sts = sts(&server);
    let said = "STS answered with something that is not STS";
    assert_eq!(with_code(&sts).into_error().what, format!("{said} (HTTP 502, text/html)"));
    assert_eq!(with_code(&sts).into_error().what, format!("{said} (HTTP 200, text/html)"));
    assert_eq!(with_code(&sts).into_error().what, format!("{said} (HTTP 302, no content type)"));
    for _missing_or_with_a_line_break in 0..2 {
        assert_eq!(
            with_code(&sts).into_error().what,
            format!("{said} (HTTP 200, no credentials in it)")
        );
    }
    assert!(matches!(with_code(&sts), ServiceError::BadAnswer { status: 200, .. }));
}

#[test]
fn a_server_that_hangs_or_never_ends_is_left_at_the_deadline() {
    for answer in [Hang, Trickle] {
        is_left_at_the_deadline(answer);
    }
}

fn is_left_at_the_deadline(answer: Answer) {
    let server = Server::start(vec![answer]);
    let started = Instant::now();
    let endpoint = format!("http://{}", server.address);
    let deadline = within(Duration::from_millis(300));
    let sts =
        Sts::connect(&target(&endpoint), &Env::default(), deadline, Reporter::default()).unwrap();
    let error = with_code(&sts);
    assert_eq!(error, ServiceError::Timeout { origin: server.address.clone() });
    assert_eq!(error.into_error().class, Class::Busy);
    // The time is up for all calls, and nothing more is sent.
    assert!(matches!(with_code(&sts), ServiceError::Timeout { .. }));
    assert_eq!(server.requests().len(), 1);
    drop(sts);
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[test]
fn a_closed_port_and_a_server_without_tls_are_plain_errors() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert_eq!(
        with_code(&sts_at(&format!("http://{address}"), &[])).into_error().what,
        format!("{address} refused the connection")
    );
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        let _ = stream.read(&mut [0; 4096]);
    });
    assert_eq!(
        with_code(&sts_at(&format!("https://{address}"), &[])).into_error().what,
        format!("no TLS connection to {address}")
    );
}

#[test]
fn the_clock_s_offset_is_read_from_good_and_bad_answers() {
    let date = |seconds: i64| {
        let now = Clock::system().now().0 + seconds;
        let date = DateTime::from_secs(now).fmt(Format::HttpDate).unwrap();
        format!("HTTP/1.1 403 Forbidden\r\nDate: {date}")
    };
    let head: &'static str = date(-500).leak();
    let server = Server::start(vec![
        Reply("HTTP/1.1 500 Oops", String::new()),
        Reply(head, error_xml("RequestExpired", "Request has expired")),
    ]);
    let sts = sts(&server);
    with_code(&sts);
    assert_eq!(sts.clock_offset(), None);
    let error = with_code(&sts);
    assert!(sts.clock_offset().is_some_and(|s| (-560..=-440).contains(&s)));
    assert!(error.into_error().hint.unwrap().ends_with(" s ahead of AWS's"));
}

#[test]
fn a_proxy_is_used_and_its_refusal_is_an_error() {
    let server = Server::start(vec![
        Reply(OK, session_xml()),
        Reply("HTTP/1.1 407 Proxy Authentication Required", String::new()),
        Reply("HTTP/1.1 403 Forbidden", String::new()),
    ]);
    let proxy = format!("http://{}", server.address);
    let vars = [("http_proxy", proxy.as_str()), ("HTTPS_PROXY", proxy.as_str())];
    let plain = sts_at("http://sts.invalid", &vars);
    assert!(plain.session_token(&key(), HOUR, None).is_ok());
    let tls = sts_at("https://sts.invalid", &vars);
    assert_eq!(
        with_code(&tls).into_error().what,
        format!("the proxy {} asks for a user name and password", server.address)
    );
    assert_eq!(
        with_code(&tls).into_error().what,
        format!("the proxy {} does not connect to sts.invalid:443", server.address)
    );
    let requests = server.requests();
    assert!(requests[0].starts_with("POST http://sts.invalid/ HTTP/1.1"));
    assert!(requests[1].starts_with("CONNECT sts.invalid:443 HTTP/1.1"));
}

#[test]
fn credentials_that_fit_in_no_header_are_an_error_and_send_nothing() {
    let server = Server::start(vec![Reply(OK, session_xml())]);
    let sts = sts(&server);
    let mut bases = [key(), key()];
    bases[0].session_token = Some(Secret::new("a\nb".to_owned()));
    bases[1].access_key_id = "AKIA\r\nX: y".to_owned();
    for base in &bases {
        let error = sts.session_token(base, HOUR, None).unwrap_err();
        assert!(matches!(error, ServiceError::Setup(_)), "{error:?}");
    }
    assert!(server.requests().is_empty());
}

#[test]
fn regions_and_endpoints_that_cannot_be_are_usage_errors() {
    let now = Instant::now();
    for region in ["", "eu central", "evil.example/", "EU-CENTRAL-1"] {
        let target = Target { endpoint: None, region: region.to_owned(), ..target("") };
        let error = Sts::connect(&target, &Env::default(), now, Reporter::default()).err().unwrap();
        assert_eq!(error.class, Class::Usage);
    }
    let error = Sts::connect(&target("moto:5000"), &Env::default(), now, Reporter::default());
    assert_eq!(error.err().unwrap().class, Class::Usage);
}

#[test]
fn the_region_gives_the_endpoint_of_its_partition() {
    let host = |region: &str| {
        let target = Target { endpoint: None, region: region.to_owned(), ..target("") };
        // A time that is up, so that the call starts all and sends nothing.
        let sts =
            Sts::connect(&target, &Env::default(), Instant::now(), Reporter::default()).unwrap();
        match with_code(&sts) {
            ServiceError::Timeout { origin } => origin,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(host("eu-central-1"), "sts.eu-central-1.amazonaws.com:443");
    assert_eq!(host("us-gov-west-1"), "sts.us-gov-west-1.amazonaws.com:443");
    assert_eq!(host("cn-north-1"), "sts.cn-north-1.amazonaws.com.cn:443");
}
