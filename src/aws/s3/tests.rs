//! The client against a server that answers what the test has written down.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use aws_smithy_types::date_time::{DateTime, Format};
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

use super::super::service_error::NOT_THE_SERVICE;
use super::super::testing::Answer::{self, Drop, Hang, Reply, Trickle};
use super::super::testing::Server;
use super::*;
use crate::clock::Timestamp;
use crate::error::Class;

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const DATE: &str = "Date: Sat, 31 Jan 2026 12:00:00 GMT";
const AT: Timestamp = Timestamp(1_769_860_800);

fn key() -> Credentials {
    Credentials::long_term("AKIAIOSFODNN7EXAMPLE".to_owned(), Secret::new(SECRET.to_owned()))
}

fn target(endpoint: Option<&str>) -> Target {
    Target {
        region: "eu-central-1".to_owned(),
        endpoint: endpoint.map(str::to_owned),
        variant: EndpointVariant::default(),
        ca_bundle: None,
    }
}

fn limits() -> Limits {
    Limits { request: Duration::from_secs(30), deadline: Instant::now() + Duration::from_secs(60) }
}

fn s3_at(endpoint: &str) -> S3 {
    let location = Location::parse("s3://fleet/vault").unwrap();
    let target = target(Some(endpoint));
    S3::connect(&location, &target, key(), &Env::default(), limits(), Reporter::default()).unwrap()
}

fn s3(server: &Server) -> S3 {
    s3_at(&format!("http://{}", server.address))
}

fn error(status: &str, code: &str, message: &str) -> Answer {
    let head = format!("HTTP/1.1 {status}\r\nContent-Type: application/xml\r\n{DATE}");
    let xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}\
         </Message><CanonicalRequest>{SECRET}</CanonicalRequest></Error>"
    );
    Reply(head.leak(), xml)
}

fn done(etag: &str) -> Answer {
    Reply(format!("HTTP/1.1 200 OK\r\n{DATE}\r\nETag: {etag}").leak(), String::new())
}

fn refused() -> Answer {
    error("412 Precondition Failed", "PreconditionFailed", "no")
}

fn etag() -> ETag {
    ETag("\"1a\"".to_owned())
}

fn header(request: &str, name: &str) -> Option<String> {
    let head = request.split("\r\n\r\n").next().unwrap();
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    lines.find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
}

/// The signature that AWS's page "Create a signed AWS API request" makes of what was sent.
fn signature(request: &str) -> String {
    let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    let mac = |key: &[u8], text: &str| {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
        mac.update(text.as_bytes());
        mac.finalize().into_bytes().to_vec()
    };
    let get = |name| header(request, name).expect(name);
    let authorization = get("authorization");
    let names = authorization.split("SignedHeaders=").nth(1).unwrap().split(',').next().unwrap();
    for name in ["host", "x-amz-content-sha256", "x-amz-date"] {
        assert!(names.split(';').any(|signed| signed == name), "{name} in {names}");
    }
    let body = request.split_once("\r\n\r\n").unwrap().1;
    assert_eq!(get("x-amz-content-sha256"), hex(&Sha256::digest(body)));
    let mut words = request.split(' ');
    let (method, path) = (words.next().unwrap(), words.next().unwrap());
    let headers: String = names.split(';').map(|name| format!("{name}:{}\n", get(name))).collect();
    let body = get("x-amz-content-sha256");
    let canonical = format!("{method}\n{path}\n\n{headers}\n{names}\n{body}");
    let date = get("x-amz-date");
    let day = &date[..8];
    let scope = format!("{day}/eu-central-1/s3/aws4_request");
    let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", hex(&Sha256::digest(canonical)));
    let mut key = format!("AWS4{SECRET}").into_bytes();
    for part in [day, "eu-central-1", "s3", "aws4_request"] {
        key = mac(&key, part);
    }
    format!(
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/{scope}, SignedHeaders={names}, \
         Signature={}",
        hex(&mac(&key, &text))
    )
}

#[test]
fn an_object_is_read_with_its_version_and_the_stores_times() {
    let head = format!(
        "HTTP/1.1 200 OK\r\n{DATE}\r\nETag: \"1a\"\r\nLast-Modified: Sat, 31 Jan 2026 11:59:50 GMT"
    );
    let server = Server::start(vec![
        Reply(head.leak(), "sealed".to_owned()),
        Reply("HTTP/1.1 304 Not Modified", String::new()),
        error("404 Not Found", "NoSuchKey", "The specified key does not exist."),
    ]);
    let s3 = s3(&server);
    let answer = s3.read("s/1", None).unwrap();
    assert_eq!(answer.date, Some(AT));
    let Read::Found(object) = answer.what else { panic!("{answer:?}") };
    assert_eq!((object.body.as_slice(), object.etag), (&b"sealed"[..], etag()));
    assert_eq!(object.modified, Some(Timestamp(AT.0 - 10)));
    assert!(matches!(s3.read("s/1", Some(&etag())).unwrap().what, Read::Unchanged));
    assert!(matches!(s3.read("s/1", None).unwrap().what, Read::Missing));
    let requests = server.requests();
    assert!(requests[0].starts_with("GET /fleet/vault/s/1 HTTP/1.1\r\n"), "{}", requests[0]);
    assert_eq!(header(&requests[0], "if-none-match"), None);
    assert_eq!(header(&requests[1], "if-none-match").as_deref(), Some("\"1a\""));
    for request in &requests {
        assert_eq!(header(request, "authorization").unwrap(), signature(request));
    }
}

#[test]
fn a_write_is_sent_with_its_condition_signed_and_without_a_trailer() {
    let server = Server::start(vec![done("\"2b\""), done("\"3c\"")]);
    let s3 = s3(&server);
    let answer = s3.write("s/1", b"one", Condition::Absent).unwrap();
    assert_eq!((answer.what, answer.date), (Written::Done(ETag("\"2b\"".into())), Some(AT)));
    let answer = s3.write("s/1", b"three", Condition::Is(&etag())).unwrap();
    assert_eq!(answer.what, Written::Done(ETag("\"3c\"".into())));
    let requests = server.requests();
    for (request, length, name, value) in
        [(&requests[0], "3", "if-none-match", "*"), (&requests[1], "5", "if-match", "\"1a\"")]
    {
        assert!(request.starts_with("PUT /fleet/vault/s/1 HTTP/1.1\r\n"));
        assert_eq!(header(request, "content-length").as_deref(), Some(length));
        assert_eq!(header(request, name).as_deref(), Some(value));
        assert_eq!(header(request, "x-amz-trailer"), None);
        let authorization = header(request, "authorization").unwrap();
        assert!(authorization.contains(name), "the condition is signed: {authorization}");
        assert_eq!(authorization, signature(request));
    }
}

#[test]
fn a_session_token_is_sent_and_signed() {
    let server = Server::start(vec![done("\"2b\"")]);
    let mut s3 = s3(&server);
    s3.key.session_token = Some(Secret::new("token".to_owned()));
    s3.write("s/1", b"one", Condition::Absent).unwrap();
    let [request] = server.requests().try_into().unwrap();
    assert_eq!(header(&request, "x-amz-security-token").as_deref(), Some("token"));
    assert!(header(&request, "authorization").unwrap().contains("x-amz-security-token"));
    assert_eq!(header(&request, "authorization").unwrap(), signature(&request));
}

#[test]
fn a_condition_that_does_not_hold_is_refused_and_a_conflict_is_asked_again() {
    let gone = || error("404 Not Found", "NoSuchKey", "The specified key does not exist.");
    let server = Server::start(vec![
        refused(),
        gone(),
        gone(),
        error("409 Conflict", "ConditionalRequestConflict", "at the same time"),
    ]);
    let s3 = s3(&server);
    let known = etag();
    let write = |condition| s3.write("s/1", b"one", condition).unwrap().what;
    assert_eq!(write(Condition::Absent), Written::Refused);
    assert_eq!(write(Condition::Is(&known)), Written::Refused);
    assert_eq!(write(Condition::Absent), Written::Again);
    assert_eq!(server.requests().len(), 4);
}

#[test]
fn a_store_that_wants_the_version_unquoted_gets_it_so() {
    let unchanged = || Reply("HTTP/1.1 304 Not Modified", String::new());
    let server =
        Server::start(vec![refused(), unchanged(), done("\"2b\""), done("\"3c\""), refused()]);
    let s3 = s3(&server);
    let write = || s3.write("l/1", b"one", Condition::Is(&etag())).unwrap().what;
    assert_eq!(write(), Written::Done(ETag("\"2b\"".into())));
    assert_eq!(write(), Written::Done(ETag("\"3c\"".into())));
    assert_eq!(write(), Written::Refused);
    let sent: Vec<_> =
        server.requests().iter().map(|request| header(request, "if-match")).collect();
    let (quoted, bare) = (Some("\"1a\"".to_owned()), Some("1a".to_owned()));
    assert_eq!(sent, [quoted, None, bare.clone(), bare.clone(), bare]);
}

#[test]
fn a_lost_race_is_not_taken_for_another_form() {
    let head = format!("HTTP/1.1 200 OK\r\n{DATE}\r\nETag: \"9f\"");
    let changed = || Reply(head.clone().leak(), "theirs".to_owned());
    let server = Server::start(vec![refused(), changed(), done("\"2b\""), refused()]);
    let s3 = s3(&server);
    let write = || s3.write("l/1", b"one", Condition::Is(&etag())).unwrap().what;
    assert_eq!(write(), Written::Refused);
    assert_eq!(write(), Written::Done(ETag("\"2b\"".into())));
    // The form is known now, and a refusal is believed at once.
    assert_eq!(write(), Written::Refused);
    let sent = server.requests();
    assert_eq!(sent.len(), 4);
    assert!(sent.iter().all(|request| header(request, "if-match").is_none_or(|it| it == "\"1a\"")));
}

#[test]
fn a_time_that_is_refused_is_signed_once_more_by_the_stores() {
    let skewed = || {
        let later = Clock::system().now().0 + 7200;
        let date = DateTime::from_secs(later).fmt(Format::HttpDate).unwrap();
        let head = format!("HTTP/1.1 403 Forbidden\r\nDate: {date}");
        Reply(head.leak(), "<Error><Code>RequestTimeTooSkewed</Code></Error>".to_owned())
    };
    let server = Server::start(vec![skewed(), done("\"2b\""), done("\"3c\""), skewed(), skewed()]);
    let s3 = s3(&server);
    let write = || s3.write("s/1", b"one", Condition::Absent);
    assert_eq!(write().unwrap().what, Written::Done(ETag("\"2b\"".into())));
    assert_eq!(write().unwrap().what, Written::Done(ETag("\"3c\"".into())));
    let failed = write().unwrap_err();
    let what = "s3://fleet/vault refused the request's time";
    assert_eq!(Error::from(failed).what, what);
    let requests = server.requests();
    let times: Vec<_> = requests.iter().map(|it| header(it, "x-amz-date").unwrap()).collect();
    let hours = |text: &str| {
        let text = format!(
            "{}-{}-{}T{}:{}:{}Z",
            &text[..4],
            &text[4..6],
            &text[6..8],
            &text[9..11],
            &text[11..13],
            &text[13..15]
        );
        (Timestamp::parse(&text).unwrap().0 - Clock::system().now().0 + 600) / 3600
    };
    assert_eq!(times.iter().map(|it| hours(it)).collect::<Vec<_>>(), [0, 2, 2, 2, 2]);
}

/// What a request of each kind comes to, with one answer.
fn said(answer: impl Fn() -> Answer) -> [StoreError; 2] {
    let server = Server::start(vec![answer(), answer()]);
    let s3 = s3(&server);
    let said = [
        s3.read("s/1", None).unwrap_err(),
        s3.write("s/1", b"one", Condition::Absent).unwrap_err(),
    ];
    assert_eq!(server.requests().len(), 2, "each is sent once");
    said
}

fn failed(what: &str, hint: &str) -> StoreError {
    StoreError::Failed { what: what.to_owned(), hint: Some(hint.to_owned()) }
}

#[test]
fn a_denied_request_is_an_error_with_the_policy_to_add() {
    let [read, write] = said(|| error("403 Forbidden", "AccessDenied", "Access Denied"));
    assert_eq!(
        read,
        failed(
            "s3://fleet/vault refused GetObject: AccessDenied: Access Denied",
            "allow s3:GetObject on arn:aws:s3:::fleet/vault/*, and s3:ListBucket on arn:aws:s3:::fleet: \
             without that, AWS answers 403 for an object that is not there"
        )
    );
    assert_eq!(
        write,
        failed(
            "s3://fleet/vault refused PutObject: AccessDenied: Access Denied",
            "allow s3:PutObject on arn:aws:s3:::fleet/vault/*"
        )
    );
}

#[test]
fn a_bucket_in_another_region_is_an_error_with_that_region() {
    let moved = |status: &str| {
        let head = format!("HTTP/1.1 {status}\r\nx-amz-bucket-region: us-west-2");
        let xml = "<Error><Code>PermanentRedirect</Code></Error>".to_owned();
        move || Reply(head.clone().leak(), xml.clone())
    };
    let malformed = || {
        let xml =
            "<Error><Code>AuthorizationHeaderMalformed</Code><Region>us-west-2</Region></Error>";
        Reply("HTTP/1.1 400 Bad Request", xml.to_owned())
    };
    let expected = failed(
        "the bucket fleet is in the region us-west-2, not in eu-central-1",
        "join again with --region us-west-2",
    );
    for errors in [said(moved("301 Moved")), said(moved("307 Temporary")), said(malformed)] {
        assert_eq!(errors, [expected.clone(), expected.clone()]);
    }
}

#[test]
fn a_store_that_fails_over_a_write_may_have_done_it() {
    for (status, code) in [
        ("500 Internal", "InternalError"),
        ("503 Slow Down", "SlowDown"),
        ("503 Unavailable", "ServiceUnavailable"),
    ] {
        let [read, write] = said(|| error(status, code, "try later"));
        let what = format!("s3://fleet/vault failed (HTTP {}, {code})", &status[..3]);
        assert_eq!(read, failed(&what, "try again later"));
        assert_eq!(write, StoreError::Unknown(what));
    }
    let html = || Reply("HTTP/1.1 200 OK\r\nContent-Type: text/html", "<html>".to_owned());
    let what = "S3 answered with something that is not S3 (HTTP 200, text/html)";
    let [read, write] = said(html);
    assert_eq!(read, failed(what, NOT_THE_SERVICE));
    assert_eq!(write, StoreError::Unknown(what.to_owned()));
}

#[test]
fn a_refusal_is_one_line_without_a_secret() {
    let refused = |status: &'static str, code: &'static str, message: &'static str| {
        said(move || error(status, code, message)).map(|error| {
            assert!(!format!("{error:?}").contains("wJalr"));
            assert!(matches!(error, StoreError::Failed { .. }), "{error:?}");
            Error::from(error).what
        })
    };
    let place = "s3://fleet/vault";
    for (status, code, what) in [
        ("404 Not Found", "NoSuchBucket", "there is no bucket fleet".to_owned()),
        ("403 Forbidden", "InvalidAccessKeyId", format!("{place} does not know the access key")),
        ("403 Forbidden", "SignatureDoesNotMatch", format!("{place} refused the signature")),
        (
            "400 Bad Request",
            "ExpiredToken",
            format!("{place} no longer accepts the temporary credentials (ExpiredToken)"),
        ),
        (
            "501 Not Implemented",
            "NotImplemented",
            format!("{place} does not support conditional writes (NotImplemented: a … b)"),
        ),
    ] {
        let message = "a wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\n b";
        assert_eq!(refused(status, code, message), [what.clone(), what]);
    }
    assert_eq!(
        refused("400 Bad Request", "OdwJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEYd", "a"),
        ["GetObject", "PutObject"].map(|it| format!("{place} refused {it}: Odd: a"))
    );
    assert_eq!(
        refused("400 Bad Request", "Odd", "a &lt;b&gt; &amp;amp; c\u{1b}[31m."),
        ["GetObject", "PutObject"]
            .map(|it| format!("{place} refused {it}: Odd: a <b> &amp; c[31m"))
    );
    assert_eq!(
        said(|| Reply("HTTP/1.1 404 Not Found\r\nContent-Type: text/html", "<p>".into())),
        [(); 2].map(|()| failed(
            "S3 answered with something that is not S3 (HTTP 404, text/html)",
            NOT_THE_SERVICE
        ))
    );
}

#[test]
fn an_answer_that_is_lost_leaves_a_write_in_doubt() {
    let server = Server::start(vec![Drop, Drop]);
    let lost = format!("{} closed the connection before the response was complete", server.address);
    let s3 = s3(&server);
    assert_eq!(s3.read("s/1", None).unwrap_err(), failed(&lost, "try again"));
    let error = s3.write("s/1", b"one", Condition::Absent).unwrap_err();
    assert_eq!(error, StoreError::Unknown(lost));
    assert_eq!(server.requests().len(), 2, "nothing is sent twice");
}

#[test]
fn a_request_ends_at_its_limit() {
    for answer in [Hang, Trickle] {
        let server = Server::start(vec![answer, Hang]);
        let mut s3 = s3(&server);
        s3.limits.request = Duration::from_millis(200);
        let late = format!("out of time: no answer from {}", server.address);
        let error = s3.write("s/1", b"one", Condition::Absent).unwrap_err();
        assert_eq!(error, StoreError::Unknown(late.clone()));
        let error = s3.read("s/1", None).unwrap_err();
        assert_eq!(error, StoreError::Failed { what: late.clone(), hint: None });
        s3.limits.deadline = Instant::now();
        s3.read("s/1", None).unwrap_err();
        assert_eq!(server.requests().len(), 2, "after the deadline nothing is sent");
    }
}

#[test]
fn what_was_not_sent_did_not_happen() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let failed = |endpoint: &str, what: &str| {
        let s3 = s3_at(endpoint);
        let error = s3.write("s/1", b"one", Condition::Absent).unwrap_err();
        assert!(matches!(&error, StoreError::Failed { what: it, .. } if it == what), "{error:?}");
        assert_eq!(Error::from(error).class, Class::Aws);
    };
    failed(&format!("http://{address}"), &format!("{address} refused the connection"));
    failed("http://store.invalid", "no address found for store.invalid");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        let _ = stream.read(&mut [0; 4096]);
    });
    failed(&format!("https://{address}"), &format!("no TLS connection to {address}"));
}

#[test]
fn more_than_a_vault_is_not_read() {
    let big = |bytes: usize| Reply("HTTP/1.1 200 OK\r\nETag: \"1a\"", "x".repeat(bytes));
    let server = Server::start(vec![big(2 << 20), big(3 << 20)]);
    let s3 = s3(&server);
    let Read::Found(object) = s3.read("vault.age", None).unwrap().what else { panic!() };
    assert_eq!(object.body.len(), 2 << 20);
    let error = s3.read("vault.age", None).unwrap_err();
    let what = format!("the store at {} sent more than a vault's 2 MiB", server.address);
    assert_eq!(error, StoreError::Failed { what, hint: None });
}

#[test]
fn the_endpoint_is_the_regions_and_the_variants() {
    let at = |bucket: &str, region: &str, fips: bool, dual_stack: bool, url: Option<&str>| {
        let location = Location { bucket: bucket.to_owned(), prefix: String::new() };
        let variant = EndpointVariant { fips: Some(fips), dual_stack: Some(dual_stack) };
        let target = Target { region: region.to_owned(), variant, ..target(url) };
        let env = Env::default();
        let s3 = S3::connect(&location, &target, key(), &env, limits(), Reporter::default());
        s3.unwrap().client().unwrap().1.clone()
    };
    for (got, expected) in [
        (
            at("fleet", "eu-central-1", false, false, None),
            "https://fleet.s3.eu-central-1.amazonaws.com",
        ),
        (at("fleet", "us-east-1", false, false, None), "https://fleet.s3.us-east-1.amazonaws.com"),
        (
            at("fleet", "us-gov-west-1", true, false, None),
            "https://fleet.s3-fips.us-gov-west-1.amazonaws.com",
        ),
        (
            at("fleet", "eu-west-1", false, true, None),
            "https://fleet.s3.dualstack.eu-west-1.amazonaws.com",
        ),
        (
            at("fleet", "us-east-2", true, true, None),
            "https://fleet.s3-fips.dualstack.us-east-2.amazonaws.com",
        ),
        (
            at("fleet", "cn-north-1", false, false, None),
            "https://fleet.s3.cn-north-1.amazonaws.com.cn",
        ),
        (
            at("my.fleet", "eu-central-1", false, false, None),
            "https://s3.eu-central-1.amazonaws.com/my.fleet",
        ),
        (
            at("fleet", "eu-central-1", true, false, Some("https://ceph.example:8080/s3/")),
            "https://ceph.example:8080/s3/fleet",
        ),
    ] {
        assert_eq!(got, expected);
    }
}

#[test]
fn regions_and_endpoints_that_cannot_be_are_usage_errors() {
    let location = Location::parse("s3://fleet").unwrap();
    let connect = |target: &Target| {
        let env = Env::default();
        S3::connect(&location, target, key(), &env, limits(), Reporter::default()).unwrap_err()
    };
    let error = connect(&Target { region: "evil/".to_owned(), ..target(None) });
    assert_eq!(
        (error.class, error.what.as_str()),
        (Class::Usage, "the region for S3 is not an AWS region: evil/")
    );
    let error = connect(&target(Some("ceph:8080")));
    assert_eq!(
        (error.class, error.what.as_str()),
        (Class::Usage, "the endpoint URL for S3 is not an http or https URL: ceph:8080")
    );
}

#[test]
fn several_threads_ask_at_once_and_debug_says_no_key() {
    let server = Server::start((0..8).map(|_| done("\"2b\"")).collect());
    let s3 = s3(&server);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| s3.write("s/1", b"one", Condition::Absent).unwrap());
        }
    });
    assert_eq!(server.requests().len(), 8);
    let shown = format!("{s3:?}");
    assert!(!shown.contains("wJalr") && !shown.contains("AKIA"), "{shown}");
}
