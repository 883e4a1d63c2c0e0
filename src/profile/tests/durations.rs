//! Durations that are refused, by whom they were asked for.

use super::*;

#[test]
fn durations_that_aws_would_refuse_are_usage_errors() {
    let one = Case { config: ONE, stored: &["base"], ask: "one", ..Case::default() };
    let key =
        Case { config: "[profile base]\n", stored: &["base"], ask: "base", ..Case::default() };
    let role = |says, ask, gives| Case { says, ask, gives, ..one };
    let session = |says, ask, gives| Case { says, ask, gives, ..key };
    run(&[
        role(
            "long",
            "one --duration 13h",
            "error 2: --duration: AWS gives a role for 15m to 12h, not for 13h",
        ),
        role(
            "short",
            "one --duration 14m",
            "error 2: --duration: AWS gives a role for 15m to 12h, not for 14m",
        ),
        session(
            "a session",
            "base --duration 37h",
            "error 2: --duration: AWS gives a session for 15m to 36h, not for 37h",
        ),
        session(
            "even where none is made",
            "base --no-session --duration 37h",
            "error 2: --duration: AWS gives a session for 15m to 36h, not for 37h",
        ),
        Case {
            says: "a chain is cut to an hour only from what AWS could give",
            config: TWO,
            ask: "two --duration 13h",
            gives: "error 2: --duration: AWS gives a role for 15m to 12h, not for 13h",
            ..one
        },
        Case {
            says: "a variable",
            env: &[("AWS_ASSUME_ROLE_TTL", "1m")],
            gives: "error 2: AWS_ASSUME_ROLE_TTL: AWS gives a role for 15m to 12h, not for 1m",
            ..one
        },
        Case {
            says: "a variable that is no duration, needed or not",
            env: &[("AWS_SESSION_TOKEN_TTL", "3600")],
            gives: "error 2: AWS_SESSION_TOKEN_TTL: not a duration
                hint: give a number with its unit, such as 30m, 12h or 1h30m",
            ..one
        },
        Case {
            says: "the session that serves roles",
            config: ONE_MFA,
            env: &[("AWS_CHAINED_SESSION_TOKEN_TTL", "48h")],
            gives: "error 2: AWS_CHAINED_SESSION_TOKEN_TTL: AWS gives a session for 15m to 36h, not for 48h",
            ..one
        },
        Case {
            says: "duration_seconds",
            config: "[profile base]\n[profile one]\nrole_arn = ACCT:role/one\nsource_profile = base\n\
                     duration_seconds = 50000\n",
            gives: "error 2: duration_seconds of profile \"one\": \
                    AWS gives a role for 15m to 12h, not for 13h53m20s",
            ..one
        },
        Case {
            says: "duration_seconds has no unit",
            config: "[profile base]\n[profile one]\nrole_arn = ACCT:role/one\nsource_profile = base\n\
                     duration_seconds = 1h\n",
            gives: "error 2: duration_seconds of profile \"one\" is not a number of seconds: 1h",
            ..one
        },
        Case {
            says: "nor a sign",
            config: "[default]\nduration_seconds = +3600\n[profile one]\nrole_arn = ACCT:role/one\n",
            stored: &["one"],
            gives: "error 2: duration_seconds of profile \"default\" is not a number of seconds: +3600",
            ..one
        },
        Case {
            says: "the variable outranks the file, the flag both",
            config: "[profile base]\n[profile one]\nrole_arn = ACCT:role/one\nsource_profile = base\n\
                     duration_seconds = 50000\n",
            env: &[("AWS_ASSUME_ROLE_TTL", "30m")],
            gives: "vault base\nrole ACCT:role/one 30m as vault-one\nsts us-east-1",
            ..one
        },
    ]);
}
