//! The stand-in for AWS's sign-in service, examined.

use crate::support::standin::client::{Client, exchange};
use crate::support::standin::http::Request;
use crate::support::standin::sigv4::encode;
use crate::support::standin::{Issued, Role, StandIn, World};

#[test]
fn the_sign_in_service_takes_a_session_that_may_open_the_console() {
    let standin = StandIn::start(World::demo().role(Role::new("admin")));
    let demo = Client::demo(&standin);
    let session = demo.get("GetSessionToken", &[]);
    let assume = &[("RoleArn", "arn:aws:iam::123456789012:role/admin"), ("RoleSessionName", "me")];
    let role = demo.get("AssumeRole", assume);
    let chained = Client::with(&standin, &role).get("AssumeRole", assume);
    let policy = r#"{"Version":"2012-10-17","Statement":[]}"#;
    let federated = demo.get("GetFederationToken", &[("Name", "me"), ("Policy", policy)]);
    assert!(demo.call("GetFederationToken", &[("Name", "me")]).starts_with("400 Malformed"));
    let denied = Client::with(&standin, &role).call("GetFederationToken", &[("Name", "me")]);
    assert!(denied.starts_with("403 AccessDenied"), "{denied}");

    let ask = |given: &Issued, more: &str, field: &str| {
        let json = format!(
            r#"{{"sessionId":"{}","sessionKey":"{}","sessionToken":"{}"{field}}}"#,
            given.access_key_id, given.secret_access_key, given.session_token
        );
        let target = format!("/federation?Action=getSigninToken{more}&Session={}", encode(&json));
        let request = Request { method: "GET".into(), target, ..Request::default() };
        exchange(&standin, &request);
        standin.calls().pop().expect("a call").outcome
    };
    let bad = |why: &str| format!("BadRequest: {why}");
    let long = "&SessionDuration=43200";
    let wrong = Issued { session_token: role.session_token.replace('I', "J"), ..role.clone() };
    for (given, more, field, outcome) in [
        (&role, "", "", "ok".to_owned()),
        (&role, long, "", "ok".to_owned()),
        (&chained, "", "", "ok".to_owned()),
        (&federated, "", "", "ok".to_owned()),
        (&session, "", "", bad("GetSessionToken's credentials")),
        (&wrong, "", "", bad("unknown credentials")),
        (&role, "&SessionDuration=43201", "", bad("SessionDuration is not 900 to 43200")),
        (&role, "", r#","x":"y""#, bad("Session has other fields")),
    ] {
        assert_eq!(ask(given, more, field), outcome);
    }
    for given in [&chained, &federated] {
        let other = "SessionDuration for other than a role that a user's key assumed";
        assert_eq!(ask(given, long, ""), bad(other));
    }
    assert_eq!(ask(&role, "&x=y", ""), "UnknownParameter: unknown: x");
    standin.move_clock(3600);
    assert_eq!(ask(&role, "", ""), bad("expired credentials"));
    assert_eq!(standin.signin_tokens().len(), 4);
}
