//! The stand-in for IAM Identity Center, examined before it is a witness.

use serde_json::{Value, json};

use crate::support::standin::client::{between, exchange};
use crate::support::standin::http::Request;
use crate::support::standin::{Person, StandIn};

const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// Status, exception and body of an answer.
fn ask(
    standin: &StandIn,
    method: &str,
    target: &str,
    header: (&str, &str),
    body: &str,
) -> (String, Value) {
    let request = Request {
        method: method.into(),
        target: target.into(),
        headers: vec![(header.0.into(), header.1.into())],
        body: body.as_bytes().to_vec(),
    };
    let answer = exchange(standin, &request);
    let status = between(&answer, "HTTP/1.1 ", " ");
    let exception = between(&answer, "x-amzn-ErrorType: ", "\r\n");
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    let said = format!("{status} {exception}").trim_end().to_owned();
    (said, serde_json::from_str(body).unwrap_or_default())
}

fn post(standin: &StandIn, target: &str, body: &Value) -> (String, Value) {
    ask(standin, "POST", target, ("content-type", "application/json"), &body.to_string())
}

fn get(standin: &StandIn, token: &str, query: &str) -> String {
    let target = format!("/federation/credentials?{query}");
    ask(standin, "GET", &target, ("x-amz-sso_bearer_token", token), "").0
}

/// A client and a device code.
fn started(standin: &StandIn) -> (Value, Value) {
    let client = json!({
        "clientName": "x", "clientType": "public", "scopes": ["sso:account:access"],
        "grantTypes": [DEVICE_CODE, "refresh_token"],
    });
    let (said, client) = post(standin, "/client/register", &client);
    assert_eq!(said, "200");
    let start = json!({
        "clientId": client["clientId"], "clientSecret": client["clientSecret"],
        "startUrl": "https://example.awsapps.com/start",
    });
    let (said, device) = post(standin, "/device_authorization", &start);
    assert_eq!(said, "200");
    let token = json!({
        "clientId": client["clientId"], "clientSecret": client["clientSecret"],
        "grantType": DEVICE_CODE, "deviceCode": device["deviceCode"],
    });
    (client, token)
}

#[test]
fn a_device_code_is_answered_as_the_rfc_says() {
    let standin = StandIn::demo();
    standin.change(|world| world.sso.person.push_back(Person::Waits));
    let (_, token) = started(&standin);
    let (said, body) = post(&standin, "/token", &token);
    assert_eq!(said, "400 AuthorizationPendingException");
    assert_eq!(body["error"], "authorization_pending");
    // At once is too early, and again after that: the interval has grown.
    for _ in 0..2 {
        let (said, body) = post(&standin, "/token", &token);
        assert_eq!((said.as_str(), &body["error"]), ("400 SlowDownException", &json!("slow_down")));
    }
    let (_, token) = started(&standin);
    assert_eq!(post(&standin, "/token", &token).0, "200");
    assert_eq!(post(&standin, "/token", &token).0, "400 InvalidGrantException");
    let (_, token) = started(&standin);
    standin.move_clock(600);
    assert_eq!(post(&standin, "/token", &token).0, "400 ExpiredTokenException");
}

#[test]
fn surplus_wrong_and_signed_requests_are_refused() {
    let standin = StandIn::demo();
    let (_, token) = started(&standin);
    let with = |key: &str, value: &str| {
        let mut body = token.clone();
        body[key] = value.into();
        post(&standin, "/token", &body).0
    };
    assert_eq!(with("scope", "x"), "400 InvalidRequestException");
    assert_eq!(with("clientSecret", "x"), "401 InvalidClientException");
    assert_eq!(with("clientId", "x"), "401 InvalidClientException");
    assert_eq!(with("deviceCode", "x"), "400 InvalidGrantException");
    assert_eq!(with("grantType", "password"), "400 UnsupportedGrantTypeException");
    let text = token.to_string();
    for header in [("content-type", "text/plain"), ("authorization", "AWS4-HMAC-SHA256 x")] {
        assert_eq!(ask(&standin, "POST", "/token", header, &text).0, "400 InvalidRequestException");
    }
}

#[test]
fn a_refresh_token_is_good_once_and_a_logout_ends_both() {
    let standin = StandIn::demo();
    let (client, token) = started(&standin);
    let (_, first) = post(&standin, "/token", &token);
    let refresh = |tokens: &Value| {
        let body = json!({
            "clientId": client["clientId"], "clientSecret": client["clientSecret"],
            "grantType": "refresh_token", "refreshToken": tokens["refreshToken"],
        });
        post(&standin, "/token", &body)
    };
    let (said, second) = refresh(&first);
    assert_eq!(said, "200");
    assert_eq!(refresh(&first).0, "400 InvalidGrantException");
    let access = second["accessToken"].as_str().expect("a token");
    let role = "account_id=123456789012&role_name=ReadOnly";
    assert_eq!(get(&standin, access, role), "200");
    assert_eq!(get(&standin, "x", role), "401 UnauthorizedException");
    assert_eq!(get(&standin, access, &role.replace("Read", "x")), "403 ForbiddenException");
    assert_eq!(get(&standin, access, &format!("{role}&x=y")), "400 InvalidRequestException");
    let header = ("x-amz-sso_bearer_token", access);
    assert_eq!(ask(&standin, "POST", "/logout", header, "").0, "200");
    assert_eq!(get(&standin, access, role), "401 UnauthorizedException");
    assert_eq!(refresh(&second).0, "400 InvalidGrantException");
    standin.move_clock(3600);
    assert_eq!(get(&standin, access, role), "401 UnauthorizedException");
}
