//! A plan for a person, and for a program.

use super::*;

#[test]
fn a_plan_is_explained_in_text_and_json() {
    let case = Case {
        config: "[profile base]\n[profile one]\nrole_arn = ACCT:role/one\nsource_profile = base\n\
                 mfa_serial = ACCT:mfa/me\nmfa_process = pass otp\nregion = eu-west-1\nexternal_id = x-1\n\
                 session_tags = k=v\ntransitive_session_tags = k\nsource_identity = me\nca_bundle = /ca.pem\n\
                 endpoint_url = http://localhost:1\ninclude_profile = gone\n",
        stored: &["base"],
        ask: "one",
        ..A
    };
    let plan = planned(&case).unwrap();
    assert_eq!(
        plan.to_text(),
        "\
profile   one
from      the key of profile base in the vault
step 1    GetSessionToken for 8h
          MFA arn:aws:iam::123456789012:mfa/me
          mfa_process pass otp
step 2    AssumeRole arn:aws:iam::123456789012:role/one for 1h
          session name vault-one
          external id x-1
          tags k=v
          transitive tags k
          source identity me
region    eu-west-1
sts       eu-west-1 at http://localhost:1
          CA bundle /ca.pem
note      no profile \"gone\", the include_profile of \"one\"
"
    );
    assert_eq!(
        plan.to_json(),
        serde_json::json!({
            "profile": "one",
            "region": "eu-west-1",
            "base": {"kind": "vault", "profile": "base"},
            "steps": [
                {
                    "call": "GetSessionToken",
                    "duration_seconds": 28800,
                    "mfa": {"serial": "arn:aws:iam::123456789012:mfa/me", "process": "pass otp"},
                },
                {
                    "call": "AssumeRole",
                    "role_arn": "arn:aws:iam::123456789012:role/one",
                    "role_session_name": "vault-one",
                    "duration_seconds": 3600,
                    "external_id": "x-1",
                    "session_tags": [{"key": "k", "value": "v"}],
                    "transitive_session_tags": ["k"],
                    "source_identity": "me",
                    "mfa": null,
                },
            ],
            "sts": {"region": "eu-west-1", "endpoint": "http://localhost:1", "ca_bundle": "/ca.pem"},
            "mfa_left_out": null,
            "notes": ["no profile \"gone\", the include_profile of \"one\""],
        })
    );
    let plain = planned(&Case { ask: "a --no-session", ..A }).unwrap();
    assert_eq!(
        plain.to_text(),
        "\
profile   a
from      the key of profile a in the vault
steps     none, the credentials are used as they are
region    none, the command's variables are left alone
"
    );
    assert_eq!(plain.to_json()["sts"], serde_json::Value::Null);
}

#[test]
fn no_escape_sequence_of_the_files_reaches_the_terminal() {
    let config =
        "[profile a]\nendpoint_url = http://x\u{1b}]0;title\u{7}\nca_bundle = /ca\u{9b}.pem\n";
    let plan = planned(&Case { config, ..A }).unwrap();
    let text = plan.to_text();
    assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
    assert!(text.contains("at http://x\u{fffd}]0;title\u{fffd}\n"), "{text}");
    // JSON has escapes of its own.
    assert!(!plan.to_json().to_string().contains(|c: char| c < ' '));
}
