//! The stand-in for STS is a witness for everything else, so it is examined first.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::support::builder::Test;
use crate::support::standin::client::{Client, between, exchange};
use crate::support::standin::http::Request;
use crate::support::standin::identity::Provider;
use crate::support::standin::sigv4::{Scope, sign};
use crate::support::standin::{Fault, Role, StandIn, User, World, totp};
use crate::support::{ACCESS_KEY_ID, MFA_SEED, MFA_SERIAL, SECRET_ACCESS_KEY};

const DEPLOY: &str = "arn:aws:iam::123456789012:role/deploy";
const AUDIT: &str = "arn:aws:iam::123456789012:role/audit";
/// The start of a three-minute window.
const NOON: i64 = 1_769_860_800;

const BAD_CODE: &str =
    "403 AccessDenied: MultiFactorAuthentication failed with invalid MFA one time pass code.";
const BAD_DEVICE: &str = "403 AccessDenied: MultiFactorAuthentication failed, unable to validate MFA code. Please verify your MFA serial number is valid and associated with this user.";
const HALF_MFA: &str = "403 AccessDenied: MultiFactorAuthentication failed, must provide both MFA serial number and one time pass code.";
const INVALID_TOKEN: &str =
    "403 InvalidClientTokenId: The security token included in the request is invalid.";

fn at_noon(world: World) -> StandIn {
    let standin = StandIn::start(world);
    standin.freeze(NOON + 60);
    standin
}

fn code(standin: &StandIn, steps: i64) -> String {
    totp::code(MFA_SEED, totp::step(standin.now()) + steps)
}

#[test]
fn signatures_are_those_of_aws_documented_examples() {
    let signature =
        |method: &str, target: &str, headers: &[(&str, &str)], body: &str, service: &str| {
            let headers = headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
            let (method, target) = (method.to_owned(), target.to_owned());
            let mut request = Request { method, target, headers, body: body.as_bytes().to_vec() };
            let secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
            let [date, region] = ["20150830", "us-east-1"].map(str::to_owned);
            let scope = Scope { date, region, service: service.to_owned() };
            sign(&mut request, "AKIDEXAMPLE", secret, None, 1_440_938_160, &scope);
            request.header("authorization").unwrap().rsplit_once('=').unwrap().1.to_owned()
        };
    let host = ("host", "example.amazonaws.com");
    // AWS's signature test suite: get-vanilla, get-vanilla-query-order-key-case,
    // post-x-www-form-urlencoded.
    assert_eq!(
        signature("GET", "/", &[host], "", "service"),
        "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
    );
    assert_eq!(
        signature("GET", "/?Param2=value2&Param1=value1", &[host], "", "service"),
        "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"
    );
    let form = ("content-type", "application/x-www-form-urlencoded");
    assert_eq!(
        signature("POST", "/", &[form, host], "Param1=value1", "service"),
        "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"
    );
    // The worked example of the General Reference: IAM's ListUsers.
    let form = ("content-type", "application/x-www-form-urlencoded; charset=utf-8");
    let host = ("host", "iam.amazonaws.com");
    let target = "/?Action=ListUsers&Version=2010-05-08";
    assert_eq!(
        signature("GET", target, &[form, host], "", "iam"),
        "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
    );
}

#[test]
fn only_a_right_signature_passes() {
    let standin = StandIn::demo();
    let demo = Client::demo(&standin);
    let identity = |client: Client| client.call("GetCallerIdentity", &[]);
    assert_eq!(identity(demo.clone()), "ok");

    let wrong = "403 SignatureDoesNotMatch: The request signature we calculated";
    let bad_secret = Client { secret: SECRET_ACCESS_KEY.to_lowercase(), ..demo.clone() };
    assert!(identity(bad_secret).starts_with(wrong));
    // Signed headers that were changed, and an AWS header that was not signed.
    for tamper in [("host", "localhost"), ("x-amz-date", ""), ("x-amz-target", "x")] {
        let client = Client { tamper: Some(tamper), ..demo.clone() };
        assert!(identity(client).contains("SignatureDoesNotMatch"), "{tamper:?}");
    }
    let mut request = demo.request("GetCallerIdentity", &[]);
    request.body = b"Action=GetSessionToken&Version=2011-06-15".to_vec();
    assert!(exchange(&standin, &request).contains("SignatureDoesNotMatch"));

    assert_eq!(identity(Client { id: "AKIANOBODY".into(), ..demo.clone() }), INVALID_TOKEN);
    assert_eq!(identity(Client { token: Some("x".into()), ..demo.clone() }), INVALID_TOKEN);
    assert_eq!(
        identity(Client { region: "eu-west-1", ..demo.clone() }),
        "403 SignatureDoesNotMatch: Credential should be scoped to a valid region, not 'eu-west-1'."
    );
    assert_eq!(
        identity(Client { service: "iam", ..demo.clone() }),
        "403 SignatureDoesNotMatch: Credential should be scoped to correct service: 'sts'."
    );
    let unsigned = Client { tamper: Some(("authorization", "Basic eDp5")), ..demo };
    assert!(identity(unsigned).starts_with("400 IncompleteSignature"));
}

#[test]
fn clocks_may_be_five_minutes_apart() {
    let standin = at_noon(World::demo());
    let at = |skew: i64| Client { skew, ..Client::demo(&standin) }.call("GetCallerIdentity", &[]);
    assert_eq!([at(-300), at(300)], ["ok", "ok"]);
    assert_eq!(
        at(-301),
        "403 SignatureDoesNotMatch: Signature expired: 20260131T115559Z is now earlier than \
         20260131T115600Z (20260131T120100Z - 5 min.)"
    );
    assert!(at(301).contains("Signature not yet current"));
    let answer = Client::demo(&standin).raw("GetCallerIdentity", &[]);
    assert_eq!(between(&answer, "Date: ", "\r\n"), "Sat, 31 Jan 2026 12:01:00 GMT");
}

#[test]
fn errors_and_results_are_the_xml_of_sts() {
    let standin = at_noon(World::demo());
    let demo = Client::demo(&standin);
    let body = |answer: String| answer.split_once("\r\n\r\n").unwrap().1.to_owned();
    assert_eq!(
        body(demo.raw("GetCallerIdentity", &[])),
        "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">
  <GetCallerIdentityResult>
    <Arn>arn:aws:iam::123456789012:user/demo</Arn>
    <UserId>AIDAEXAMPLEEXAMPLEEXA</UserId>
    <Account>123456789012</Account>
  </GetCallerIdentityResult>
  <ResponseMetadata>
    <RequestId>00000000-0000-4000-8000-000000000001</RequestId>
  </ResponseMetadata>
</GetCallerIdentityResponse>
"
    );
    assert_eq!(
        body(demo.raw("GetSessionToken", &[("DurationSeconds", "899")])),
        "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">
  <Error>
    <Type>Sender</Type>
    <Code>ValidationError</Code>
    <Message>1 validation error detected: Value '899' at 'durationSeconds' failed to satisfy constraint: Member must have value greater than or equal to 900</Message>
  </Error>
  <RequestId>00000000-0000-4000-8000-000000000002</RequestId>
</ErrorResponse>
"
    );
}

#[test]
fn surplus_parameters_are_refused() {
    let standin = StandIn::start(World::demo().role(Role::new("deploy")));
    let demo = Client::demo(&standin);
    assert_eq!(
        demo.call("GetCallerIdentity", &[("RoleArn", "x")]),
        "400 UnknownParameter: unknown: RoleArn"
    );
    assert_eq!(
        demo.assume(DEPLOY, &[("PolicyArns.member.1.arn", "x")]),
        "400 UnknownParameter: unknown: PolicyArns.member.1.arn"
    );
    assert!(demo.assume(DEPLOY, &[("RoleArn", DEPLOY)]).starts_with("400 MalformedQueryString"));
    assert!(demo.call("GetAccessKeyInfo", &[]).starts_with("400 InvalidAction"));
    assert!(standin.issued().is_empty());
}

#[test]
fn session_tokens_are_for_long_term_keys() {
    let standin = at_noon(World::demo());
    let demo = Client::demo(&standin);
    assert_eq!(demo.get("GetSessionToken", &[]).expiration, standin.now() + 43_200);
    let given = demo.get("GetSessionToken", &[("DurationSeconds", "900")]);
    assert_eq!(given.expiration, standin.now() + 900);
    assert!(given.access_key_id.starts_with("ASIA") && given.access_key_id.len() == 20);
    assert_eq!(given.secret_access_key.len(), 40);
    let long = demo.call("GetSessionToken", &[("DurationSeconds", "129601")]);
    assert!(long.contains("less than or equal to 129600"), "{long}");

    let session = Client::with(&standin, &given);
    assert_eq!(
        session.call("GetSessionToken", &[]),
        "403 AccessDenied: Cannot call GetSessionToken with session credentials"
    );
    assert_eq!(session.call("GetCallerIdentity", &[]), "ok");
    for token in [None, Some("wrong".to_owned())] {
        let client = Client { token, ..session.clone() };
        assert_eq!(client.call("GetCallerIdentity", &[]), INVALID_TOKEN);
    }
    standin.move_clock(900);
    assert_eq!(
        session.call("GetCallerIdentity", &[]),
        "403 ExpiredToken: The security token included in the request is expired"
    );
}

#[test]
fn sessions_can_be_shortened() {
    let standin = at_noon(World::demo());
    standin.change(|world| world.session_limit = Some(10));
    let given = Client::demo(&standin).get("GetSessionToken", &[]);
    assert_eq!(given.expiration, standin.now() + 10);
}

#[test]
fn roles_have_limits() {
    let long = Role::new("deploy").max_duration(7200).external_id("ticket");
    let only = Role::new("audit").trusts("arn:aws:iam::123456789012:user/somebody");
    let standin = at_noon(World::demo().role(long).role(only));
    let demo = Client::demo(&standin);
    let ticket = ("ExternalId", "ticket");
    assert_eq!(demo.assume(DEPLOY, &[ticket]), "ok");
    assert_eq!(standin.issued()[0].expiration, standin.now() + 3600);
    assert_eq!(demo.assume(DEPLOY, &[ticket, ("DurationSeconds", "7200")]), "ok");
    assert_eq!(
        demo.assume(DEPLOY, &[ticket, ("DurationSeconds", "7201")]),
        "400 ValidationError: The requested DurationSeconds exceeds the MaxSessionDuration set for \
         this role."
    );
    assert!(demo.assume(DEPLOY, &[ticket, ("DurationSeconds", "43201")]).contains("43200"));
    let denied = |role: &str| {
        format!(
            "403 AccessDenied: User: arn:aws:iam::123456789012:user/demo is not authorized to \
             perform: sts:AssumeRole on resource: {role}"
        )
    };
    assert_eq!(demo.assume(DEPLOY, &[("ExternalId", "other")]), denied(DEPLOY));
    assert_eq!(demo.assume(AUDIT, &[]), denied(AUDIT));
    assert_eq!(
        demo.assume("arn:aws:iam::123456789012:role/no", &[]),
        denied("arn:aws:iam::123456789012:role/no")
    );

    for bad in ["x", "with blank", "ä-ä", &"x".repeat(65)] {
        let params = [("RoleArn", DEPLOY), ("RoleSessionName", bad)];
        let answer = demo.call("AssumeRole", &params);
        assert!(answer.starts_with("400 ValidationError: 1 validation error detected"), "{answer}");
    }
}

#[test]
fn a_chained_role_lasts_an_hour() {
    let deploy = Role::new("deploy").max_duration(43_200);
    let audit = Role::new("audit").max_duration(43_200).trusts(DEPLOY);
    let standin = at_noon(World::demo().role(deploy).role(audit));
    let session = Client::demo(&standin).get("GetSessionToken", &[]);
    let session = Client::with(&standin, &session);
    let too_long = "400 ValidationError: The requested DurationSeconds exceeds the 1 hour session \
                    limit for roles assumed by role chaining";
    assert_eq!(session.assume(DEPLOY, &[("DurationSeconds", "3601")]), too_long);
    assert_eq!(session.assume(DEPLOY, &[("DurationSeconds", "3600")]), "ok");
    assert!(session.assume(AUDIT, &[]).contains("not authorized"));
    let deploy = Client::with(&standin, &standin.issued()[1]);
    assert_eq!(deploy.assume(AUDIT, &[("DurationSeconds", "3601")]), too_long);
    assert_eq!(deploy.assume(AUDIT, &[]), "ok");
}

#[test]
fn the_three_mfa_failures() {
    let other = "arn:aws:iam::123456789012:mfa/other";
    let somebody = User::new("somebody").mfa(other, MFA_SEED);
    let standin = at_noon(World::demo().user(somebody));
    let demo = Client::demo(&standin);
    let now = code(&standin, 0);
    assert_eq!(demo.call("GetSessionToken", &[("SerialNumber", MFA_SERIAL)]), HALF_MFA);
    assert_eq!(demo.call("GetSessionToken", &[("TokenCode", &now)]), HALF_MFA);
    assert_eq!(demo.session(other, &now), BAD_DEVICE);
    assert_eq!(demo.session(MFA_SERIAL, &code(&standin, 3)), BAD_CODE);
    assert_eq!(demo.session(MFA_SERIAL, &code(&standin, -3)), BAD_CODE);
    assert_eq!(demo.session(MFA_SERIAL, &now), "ok");
    assert_eq!(demo.session(MFA_SERIAL, &now), BAD_CODE);
    let step = standin.calls()[5].step;
    assert_eq!(step, Some(totp::step(standin.now())));
}

#[test]
fn five_steps_are_taken_in_any_order_and_each_once() {
    let standin = at_noon(World::demo());
    let demo = Client::demo(&standin);
    for steps in [2, -2, 0, 1, -1] {
        assert_eq!(demo.session(MFA_SERIAL, &code(&standin, steps)), "ok", "{steps}");
    }
    assert_eq!(demo.session(MFA_SERIAL, &code(&standin, 1)), BAD_CODE);
}

#[test]
fn the_tenth_code_in_a_window_is_not_verified() {
    let standin = at_noon(World::demo());
    let demo = Client::demo(&standin);
    for _ in 0..9 {
        assert_eq!(demo.session(MFA_SERIAL, &code(&standin, 5)), BAD_CODE);
    }
    assert_eq!(demo.session(MFA_SERIAL, &code(&standin, 0)), BAD_DEVICE);
    standin.freeze(NOON + 180);
    assert_eq!(demo.session(MFA_SERIAL, &code(&standin, 0)), "ok");
}

#[test]
fn mfa_serves_roles_from_a_session_and_no_further() {
    let deploy = Role::new("deploy").requires_mfa();
    let audit = Role::new("audit").mfa_max_age(900);
    let standin = at_noon(World::demo().role(deploy).role(audit));
    let demo = Client::demo(&standin);
    let mfa = |steps: i64| code(&standin, steps);
    assert!(demo.assume(DEPLOY, &[]).contains("not authorized"));
    let direct = [("SerialNumber", MFA_SERIAL), ("TokenCode", &mfa(0))];
    assert_eq!(demo.assume(DEPLOY, &direct), "ok");
    let role = Client::with(&standin, &standin.issued()[0]);
    assert!(role.assume(DEPLOY, &[]).contains("not authorized"));

    let plain = demo.get("GetSessionToken", &[]);
    assert!(Client::with(&standin, &plain).assume(DEPLOY, &[]).contains("not authorized"));
    let params = [("SerialNumber", MFA_SERIAL), ("TokenCode", &mfa(1))];
    let session = demo.get("GetSessionToken", &params);
    let session = Client::with(&standin, &session);
    assert_eq!(session.assume(DEPLOY, &[]), "ok");
    assert_eq!(session.assume(AUDIT, &[]), "ok");
    let again = [("SerialNumber", MFA_SERIAL), ("TokenCode", &mfa(2))];
    assert!(session.assume(DEPLOY, &again).starts_with("403 AccessDenied"));
    standin.move_clock(901);
    assert_eq!(session.assume(DEPLOY, &[]), "ok");
    assert!(session.assume(AUDIT, &[]).contains("not authorized"));
}

#[test]
fn tags_and_source_identity_are_checked_and_logged() {
    let standin = at_noon(World::demo().role(Role::new("deploy")));
    let demo = Client::demo(&standin);
    let tags = [
        ("Tags.member.1.Key", "team"),
        ("Tags.member.1.Value", "ops"),
        ("Tags.member.2.Key", "cost"),
        ("Tags.member.2.Value", "12"),
        ("TransitiveTagKeys.member.1", "team"),
        ("SourceIdentity", "alice"),
    ];
    assert_eq!(demo.assume(DEPLOY, &tags), "ok");
    let role = Client::with(&standin, &standin.issued()[0]);
    assert!(role.assume(DEPLOY, &tags).contains("conflicts with a transitive tag key"));
    assert!(role.assume(DEPLOY, &[("SourceIdentity", "bob")]).contains("not authorized"));
    assert!(
        demo.assume(DEPLOY, &[("TransitiveTagKeys.member.1", "team")])
            .contains("must be included in the requested tags")
    );
    assert_eq!(
        standin.log().lines().next().unwrap(),
        format!(
            "AssumeRole by {ACCESS_KEY_ID} in us-east-1 role={DEPLOY} name=me source-identity=alice \
             tag:team=ops+ tag:cost=12: ok"
        )
    );
    assert!(standin.log().contains("AssumeRole by session 1 in us-east-1"));
}

#[test]
fn faults_come_as_ordered() {
    let standin = StandIn::demo();
    let demo = Client::demo(&standin);
    let ask = || demo.call("GetSessionToken", &[]);
    for fault in [Fault::SlowDown, Fault::Throttling, Fault::Internal, Fault::AccessDenied] {
        standin.fail_next(fault);
    }
    assert_eq!(ask(), "503 SlowDown: Please reduce your request rate.");
    assert_eq!(ask(), "400 Throttling: Rate exceeded");
    assert_eq!(ask(), "500 InternalFailure: An internal error occurred.");
    assert!(ask().starts_with("403 AccessDenied"));
    standin.fail_next(Fault::Html(502));
    assert!(demo.raw("GetSessionToken", &[]).contains("502 Stand-In"));
    standin.fail_next(Fault::Empty(200));
    assert!(demo.raw("GetSessionToken", &[]).ends_with("\r\n\r\n"));
    standin.fail_next(Fault::DropBefore);
    assert_eq!(demo.raw("GetSessionToken", &[]), "");
    assert!(standin.issued().is_empty());
    standin.fail_next(Fault::DropAfter);
    assert_eq!(demo.raw("GetSessionToken", &[]), "");
    assert_eq!(standin.issued().len(), 1);
    standin.fail_next(Fault::Hang(Duration::from_millis(1)));
    assert_eq!(ask(), "ok");
    standin.fail_always(Some(Fault::Throttling));
    assert_eq!([ask(), ask()], ["400 Throttling: Rate exceeded"; 2]);
    standin.fail_always(None);
    assert_eq!(ask(), "ok");
    assert_eq!(standin.connections(), standin.calls().len());
}

#[test]
fn a_hanging_call_ends_with_the_stand_in() {
    let standin = StandIn::demo();
    standin.fail_next(Fault::HangForever);
    let mut stream = TcpStream::connect(("127.0.0.1", standin.port())).unwrap();
    stream.write_all(b"POST / HTTP/1.1\r\ncontent-length: 0\r\n\r\n").unwrap();
    while standin.calls().is_empty() {
        std::thread::yield_now();
    }
    drop(standin);
    assert_eq!(stream.read_to_end(&mut Vec::new()).unwrap_or_default(), 0);
}

#[test]
#[ignore = "needs the aws CLI"]
fn the_real_aws_cli_takes_it_for_sts() {
    let standin = StandIn::start(World::demo().role(Role::new("deploy").requires_mfa()));
    let aws = |key: &BTreeMap<&str, String>, args: &[&str]| {
        let test = Test::new().standin(&standin).program("aws").arg("sts").args(args);
        let test = test.env("AWS_DEFAULT_REGION", "us-east-1"); // the CLI's first version reads no other
        key.iter().fold(test, |test, (name, value)| test.env(name, value)).run().stdout
    };
    let long_term = BTreeMap::from([
        ("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID.to_owned()),
        ("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY.to_owned()),
    ]);
    let query = ["--output", "text", "--query", "Arn"];
    let who = aws(&long_term, &[&["get-caller-identity"][..], &query].concat());
    assert_eq!(who, "arn:aws:iam::123456789012:user/demo\n");

    let code = standin.totp_now(MFA_SEED);
    let mfa = ["get-session-token", "--serial-number", MFA_SERIAL, "--token-code", &code];
    aws(&long_term, &mfa);
    let given = standin.issued().remove(0);
    let session = BTreeMap::from([
        ("AWS_ACCESS_KEY_ID", given.access_key_id),
        ("AWS_SECRET_ACCESS_KEY", given.secret_access_key),
        ("AWS_SESSION_TOKEN", given.session_token),
    ]);
    let role = ["assume-role", "--role-arn", DEPLOY, "--role-session-name", "me"];
    let tags = ["--tags", "Key=team,Value=a b", "--query", "AssumedRoleUser.Arn", "--output=text"];
    let who = aws(&session, &[&role[..], &tags].concat());
    assert_eq!(who, "arn:aws:sts::123456789012:assumed-role/deploy/me\n");
    assert_eq!(
        standin.log(),
        format!(
            "GetCallerIdentity by {ACCESS_KEY_ID} in us-east-1: ok\n\
             GetSessionToken by {ACCESS_KEY_ID} in us-east-1 mfa={MFA_SERIAL}: ok\n\
             AssumeRole by session 1 in us-east-1 role={DEPLOY} name=me tag:team=a b: ok\n"
        )
    );
}

#[test]
fn a_web_identity_is_believed_by_its_token_alone() {
    let subject = "repo:example/shop:ref:refs/heads/main";
    let deploy = Role::new("deploy").subject(subject);
    let world = World::demo().provider(Provider::github()).role(deploy).role(Role::new("audit"));
    let standin = at_noon(world);
    let now = standin.now();
    let good = Provider::github().token(subject, now + 1);
    let call = |role: &str, token: &str, more: &[(&str, &str)]| {
        let params =
            [&[("RoleArn", role), ("RoleSessionName", "me"), ("WebIdentityToken", token)], more];
        let mut request =
            Client::demo(&standin).request("AssumeRoleWithWebIdentity", &params.concat());
        request.headers.retain(|(name, _)| !name.starts_with("authorization"));
        let answer = exchange(&standin, &request);
        match between(&answer, "HTTP/1.1 ", " ") {
            "200" => "ok".to_owned(),
            _ => between(&answer, "<Code>", "</Code>").to_owned(),
        }
    };
    assert_eq!(call(DEPLOY, &good, &[]), "ok");
    let with = |change: fn(&mut Provider)| {
        let mut provider = Provider::github();
        change(&mut provider);
        provider.token(subject, now + 1)
    };
    for (role, token, code) in [
        (AUDIT, good.clone(), "AccessDenied"),
        (DEPLOY, Provider::github().token("repo:example/fork", now + 1), "AccessDenied"),
        (DEPLOY, Provider::github().token(subject, now), "ExpiredTokenException"),
        (DEPLOY, with(|p| p.key.push(1)), "InvalidIdentityToken"),
        (DEPLOY, with(|p| p.issuer.push('x')), "InvalidIdentityToken"),
        (DEPLOY, with(|p| p.audience.push('x')), "InvalidIdentityToken"),
        (DEPLOY, format!("{good}x"), "InvalidIdentityToken"),
        (DEPLOY, "abc".to_owned(), "ValidationError"),
        (DEPLOY, "x".repeat(20_001), "ValidationError"),
    ] {
        assert_eq!(call(role, &token, &[]), code, "{token}");
    }
    assert_eq!(call(DEPLOY, &good, &[("DurationSeconds", "3601")]), "ValidationError");
    assert_eq!(call(DEPLOY, &good, &[("ExternalId", "x-1")]), "UnknownParameter");
    // Signed, it is somebody else's call.
    let signed = [("RoleArn", DEPLOY), ("RoleSessionName", "me"), ("WebIdentityToken", &*good)];
    let answer = Client::demo(&standin).call("AssumeRoleWithWebIdentity", &signed);
    assert_eq!(answer, "400 ValidationError: AssumeRoleWithWebIdentity is not signed");
    // What it gives is a role's session.
    let given = Client::with(&standin, &standin.issued()[0]);
    assert_eq!(given.call("GetCallerIdentity", &[]), "ok");
    assert_eq!(
        given.call("GetSessionToken", &[]),
        "403 AccessDenied: Cannot call GetSessionToken with session credentials"
    );
}
