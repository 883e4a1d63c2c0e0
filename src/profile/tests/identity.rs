//! Web identities: a profile's own, and the environment's, which comes last.

use super::*;

/// What EKS and many CI jobs set.
const VARIABLES: &[(&str, &str)] =
    &[("AWS_ROLE_ARN", "ACCT:role/pod"), ("AWS_WEB_IDENTITY_TOKEN_FILE", "/run/token")];

const OWN: &str = "[profile a]\nweb_identity_token_file = /t\nrole_arn = ACCT:role/a\n";

#[test]
fn a_profile_s_role_is_the_token_s_first() {
    let own = Case { config: OWN, ask: "a", ..Case::default() };
    run(&[
        Case {
            says: "no session, no code",
            config: "[default]\nmfa_serial = ACCT:mfa/me\n[profile a]\nregion = eu-west-1\n\
                     web_identity_token_file = /t\nrole_arn = ACCT:role/a\n",
            gives: "token /t by a\nidentity ACCT:role/a 1h as vault-a\nregion eu-west-1\nsts eu-west-1",
            ..own
        },
        Case {
            says: "for as long as the role allows",
            config: "[profile a]\nweb_identity_token_file = /t\nrole_arn = arn:aws-cn:iam::123456789012:role/a\n\
                     duration_seconds = 43200\nrole_session_name = job-7\n",
            gives: "token /t by a
                identity arn:aws-cn:iam::123456789012:role/a 12h as job-7
                sts cn-north-1",
            ..own
        },
        Case {
            says: "or as long as is asked for",
            ask: "a --no-session --duration 2h",
            gives: "token /t by a\nidentity ACCT:role/a 2h as vault-a\nsts us-east-1",
            ..own
        },
        Case {
            says: "a duration that AWS would not take",
            ask: "a --duration 13h",
            gives: "error 2: --duration: AWS gives a role for 15m to 12h, not for 13h",
            ..own
        },
        Case {
            says: "aws-vault's command for a token, after a file",
            config: "[profile a]\nweb_identity_token_process = print-token --for \"a b\"\nrole_arn = ACCT:role/a\n",
            gives: "token of print-token --for \"a b\" by a\nidentity ACCT:role/a 1h as vault-a\nsts us-east-1",
            ..own
        },
        Case {
            says: "both keys of an included profile",
            config: "[profile a]\ninclude_profile = b\n\
                     [profile b]\nweb_identity_token_file = /t\nrole_arn = ACCT:role/b\n",
            gives: "token /t by a\nidentity ACCT:role/b 1h as vault-a\nsts us-east-1",
            ..own
        },
        Case {
            says: "a token without a role",
            config: "[profile a]\nweb_identity_token_file = /t\n",
            gives: "error 2: web_identity_token_file of profile \"a\" needs a role_arn",
            ..own
        },
        Case {
            says: "what the call has no parameter for",
            config: "[profile a]\nweb_identity_token_file = /t\nrole_arn = ACCT:role/a\n\
                     external_id = x-1\nsession_tags = k=v\n",
            gives: "token /t by a
                identity ACCT:role/a 1h as vault-a
                sts us-east-1
                note: external_id, session_tags of profile \"a\" left out: AssumeRoleWithWebIdentity does not take them",
            ..own
        },
    ]);
}

#[test]
fn roles_of_a_web_identity_last_an_hour() {
    run(&[Case {
        says: "the first of them may last longer",
        config: "[profile a]\nweb_identity_token_file = /t\nrole_arn = ACCT:role/a\nduration_seconds = 7200\n\
                 [profile b]\nsource_profile = a\nrole_arn = ACCT:role/b\nduration_seconds = 7200\n\
                 mfa_serial = ACCT:mfa/me\n",
        ask: "b --no-session",
        gives:
            "token /t by a
            identity ACCT:role/a 2h as vault-a
            role ACCT:role/b 1h as vault-b
            sts us-east-1
            note: ACCT:role/b is assumed for 1h, not 2h: AWS allows no more where roles are chained",
        ..Case::default()
    }]);
}

#[test]
fn the_vault_comes_first_then_the_profile_then_the_variables() {
    let case = Case { ask: "a", env: VARIABLES, ..Case::default() };
    run(&[
        Case {
            says: "the vault's key, and role_arn is a role as any",
            config: OWN,
            stored: &["a"],
            gives: "vault a\nrole ACCT:role/a 1h as vault-a\nsts us-east-1",
            ..case
        },
        Case {
            says: "the profile's own token",
            config: OWN,
            gives: "token /t by a\nidentity ACCT:role/a 1h as vault-a\nsts us-east-1",
            ..case
        },
        Case {
            says: "the profile's process",
            config: "[profile a]\ncredential_process = x\n",
            ask: "a --no-session",
            gives: "process a: x",
            ..case
        },
        Case {
            says: "the profile's keys",
            credentials: "[a]\naws_access_key_id = x\naws_secret_access_key = y\n",
            ask: "a --no-session",
            gives: "plaintext a",
            ..case
        },
        Case {
            says: "the variables, where it has nothing",
            config: "[profile a]\nregion = eu-west-1\nduration_seconds = 7200\n",
            gives: "token /run/token by variable
                identity ACCT:role/pod 2h as vault-a
                region eu-west-1
                sts eu-west-1",
            ..case
        },
        Case {
            says: "with a name for the session",
            config: "[profile a]\n",
            env: &[
                ("AWS_ROLE_ARN", "ACCT:role/pod"),
                ("AWS_WEB_IDENTITY_TOKEN_FILE", "/run/token"),
                ("AWS_ROLE_SESSION_NAME", "job-7"),
            ],
            gives: "token /run/token by variable\nidentity ACCT:role/pod 1h as job-7\nsts us-east-1",
            ..case
        },
        Case {
            says: "and the profile's role from there",
            config: "[profile a]\nrole_arn = ACCT:role/a\n",
            gives: "token /run/token by variable
                identity ACCT:role/pod 1h as vault-a
                role ACCT:role/a 1h as vault-a
                sts us-east-1",
            ..case
        },
        Case {
            says: "at the end of a chain too",
            config: "[profile a]\nrole_arn = ACCT:role/a\nsource_profile = b\n[profile b]\n",
            gives: "token /run/token by variable
                identity ACCT:role/pod 1h as vault-b
                role ACCT:role/a 1h as vault-a
                sts us-east-1",
            ..case
        },
        Case {
            says: "for default also where no file has it",
            ask: "default",
            gives: "token /run/token by variable\nidentity ACCT:role/pod 1h as vault-default\nsts us-east-1",
            ..case
        },
        Case {
            says: "for no other name: it may be a slip",
            ask: "prod",
            gives: "error 3: no profile \"prod\"
                hint: looked in /h/.aws/config, /h/.aws/credentials and the vault",
            ..case
        },
        Case {
            says: "a token without its role",
            config: "[profile a]\n",
            env: &[("AWS_WEB_IDENTITY_TOKEN_FILE", "/run/token")],
            gives: "error 3: no credentials for profile \"a\"
                hint: AWS_WEB_IDENTITY_TOKEN_FILE has no effect without AWS_ROLE_ARN",
            ..case
        },
        Case {
            says: "no role",
            config: "[profile a]\n",
            env: &[("AWS_ROLE_ARN", "deploy"), ("AWS_WEB_IDENTITY_TOKEN_FILE", "/run/token")],
            gives: "error 2: AWS_ROLE_ARN is not an ARN: deploy\nhint: it looks like ACCT:role/NAME",
            ..case
        },
        Case {
            says: "no name of a session",
            config: "[profile a]\n",
            env: &[
                ("AWS_ROLE_ARN", "ACCT:role/pod"),
                ("AWS_WEB_IDENTITY_TOKEN_FILE", "/run/token"),
                ("AWS_ROLE_SESSION_NAME", "job 7"),
            ],
            gives: "error 2: AWS_ROLE_SESSION_NAME: AWS takes 2 to 64 letters, digits and +=,.@-_",
            ..case
        },
    ]);
}

#[test]
fn a_web_identity_is_explained() {
    let case = Case { config: OWN, ask: "a", ..Case::default() };
    let text = |case: &Case| planned(case).unwrap().to_text();
    assert_eq!(
        text(&case),
        "\
profile   a
from      web identity token of profile a, in /t
step 1    AssumeRoleWithWebIdentity arn:aws:iam::123456789012:role/a for 1h
          session name vault-a
region    none, the command's variables are left alone
sts       us-east-1
"
    );
    let json = planned(&case).unwrap().to_json();
    assert_eq!(
        json["base"],
        serde_json::json!({"kind": "web_identity", "profile": "a", "token_file": "/t"})
    );
    assert_eq!(
        json["steps"],
        serde_json::json!([{
            "call": "AssumeRoleWithWebIdentity",
            "role_arn": "arn:aws:iam::123456789012:role/a",
            "role_session_name": "vault-a",
            "duration_seconds": 3600,
        }])
    );
    let by_variable = Case { env: VARIABLES, ask: "default", ..Case::default() };
    assert!(
        text(&by_variable)
            .contains("from      web identity token in /run/token (AWS_WEB_IDENTITY_TOKEN_FILE)\n")
    );
    assert_eq!(
        planned(&by_variable).unwrap().to_json()["base"]["profile"],
        serde_json::Value::Null
    );
    let config = "[profile a]\nweb_identity_token_process = x y\nrole_arn = ACCT:role/a\n";
    let process = Case { config, ..case };
    assert!(text(&process).contains("from      web_identity_token_process of profile a: x y\n"));
    assert_eq!(planned(&process).unwrap().to_json()["base"]["token_process"], "x y");
}
