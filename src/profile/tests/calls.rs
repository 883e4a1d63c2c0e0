//! Which calls a plan has, by roles, MFA and `--no-session`.

use super::*;

#[test]
fn the_tutorial_asks_for_one_session_and_serves_the_role_from_it() {
    let tutorial = Case { config: TUTORIAL, stored: &["caktus"], ..Case::default() };
    run(&[
        Case {
            says: "the user's own session, shared with the role profiles of the same key",
            ask: "caktus-mfa",
            gives: "
                vault caktus
                session 8h, mfa ACCT:mfa/me
                region us-east-1
                sts us-east-1",
            ..tutorial
        },
        Case {
            says: "the role",
            ask: "client",
            gives: "
                vault caktus
                session 8h, mfa ACCT:mfa/me
                role arn:aws:iam::210987654321:role/CaktusAdmin 1h as vault-client
                region eu-west-1
                sts eu-west-1",
            ..tutorial
        },
        Case {
            says: "what the credential_process line runs: the key itself",
            ask: "caktus --no-session",
            gives: "vault caktus",
            ..tutorial
        },
        Case {
            says: "the key's profile without MFA: a session without MFA",
            ask: "caktus",
            gives: "vault caktus\nsession 1h\nsts us-east-1",
            ..tutorial
        },
    ]);
}

#[test]
fn without_mfa_a_role_comes_straight_from_the_key() {
    let one = Case { config: ONE, stored: &["base"], ..Case::default() };
    run(&[
        Case {
            says: "an hour by default",
            ask: "one",
            gives: "vault base\nrole ACCT:role/one 1h as vault-one\nsts us-east-1",
            ..one
        },
        Case {
            says: "longer when asked",
            ask: "one --duration 12h",
            gives: "vault base\nrole ACCT:role/one 12h as vault-one\nsts us-east-1",
            ..one
        },
        Case {
            says: "--no-session changes nothing",
            ask: "one --no-session",
            gives: "vault base\nrole ACCT:role/one 1h as vault-one\nsts us-east-1",
            ..one
        },
        Case {
            says: "a chain",
            config: TWO,
            ask: "two",
            gives: "
                vault base
                role ACCT:role/one 1h as vault-one
                role ACCT:role/two 1h as vault-two
                sts us-east-1",
            ..one
        },
    ]);
}

#[test]
fn a_role_with_mfa_goes_over_a_session_up_to_an_hour_and_direct_beyond() {
    let one = Case { config: ONE_MFA, stored: &["base"], ..Case::default() };
    run(&[
        Case {
            says: "a session that other roles can use",
            ask: "one",
            gives: "
                vault base
                session 8h, mfa ACCT:mfa/me
                role ACCT:role/one 1h as vault-one
                sts us-east-1",
            ..one
        },
        Case {
            says: "less than an hour",
            ask: "one --duration 15m",
            gives: "
                vault base
                session 8h, mfa ACCT:mfa/me
                role ACCT:role/one 15m as vault-one
                sts us-east-1",
            ..one
        },
        Case {
            says: "one second more than an hour",
            ask: "one --duration 3601s",
            gives: "
                vault base
                role ACCT:role/one 1h1s as vault-one, mfa ACCT:mfa/me
                sts us-east-1",
            ..one
        },
        Case {
            says: "aws-vault's variable counts as much as the flag",
            env: &[("AWS_ASSUME_ROLE_TTL", "2h")],
            ask: "one",
            gives: "
                vault base
                role ACCT:role/one 2h as vault-one, mfa ACCT:mfa/me
                sts us-east-1",
            ..one
        },
        Case {
            says: "--no-session: the code goes to the role",
            ask: "one --no-session",
            gives: "
                vault base
                role ACCT:role/one 1h as vault-one, mfa ACCT:mfa/me
                sts us-east-1",
            ..one
        },
        Case {
            says: "the session's length is a variable's",
            env: &[("AWS_CHAINED_SESSION_TOKEN_TTL", "12h"), ("AWS_SESSION_TOKEN_TTL", "2h")],
            ask: "one",
            gives: "
                vault base
                session 12h, mfa ACCT:mfa/me
                role ACCT:role/one 1h as vault-one
                sts us-east-1",
            ..one
        },
        Case {
            says: "a role profile with a key of its own: the same",
            config: "[profile work]\nrole_arn = ACCT:role/w\nmfa_serial = ACCT:mfa/me\n",
            stored: &["work"],
            ask: "work",
            gives: "
                vault work
                session 8h, mfa ACCT:mfa/me
                role ACCT:role/w 1h as vault-work
                sts us-east-1",
            ..one
        },
    ]);
}

#[test]
fn chained_roles_last_an_hour_each() {
    let two = Case { config: TWO_MFA, stored: &["base"], ..Case::default() };
    run(&[
        Case {
            says: "one session, then hop by hop",
            ask: "two",
            gives: "
                vault base
                session 8h, mfa ACCT:mfa/me
                role ACCT:role/one 1h as vault-one
                role ACCT:role/two 1h as vault-two
                sts us-east-1",
            ..two
        },
        Case {
            says: "more than an hour is cut, and said",
            ask: "two --duration 4h",
            gives: "
                vault base
                session 8h, mfa ACCT:mfa/me
                role ACCT:role/one 1h as vault-one
                role ACCT:role/two 1h as vault-two
                sts us-east-1
                note: ACCT:role/two is assumed for 1h, not 4h: AWS allows no more where roles are chained",
            ..two
        },
        Case {
            says: "the variable is for each hop",
            env: &[("AWS_ASSUME_ROLE_TTL", "2h")],
            ask: "two --duration 30m",
            gives: "
                vault base
                session 8h, mfa ACCT:mfa/me
                role ACCT:role/one 1h as vault-one
                role ACCT:role/two 30m as vault-two
                sts us-east-1
                note: ACCT:role/one is assumed for 1h, not 2h: AWS allows no more where roles are chained",
            ..two
        },
        Case {
            says: "--no-session: the code goes to the first hop only",
            ask: "two --no-session",
            gives: "
                vault base
                role ACCT:role/one 1h as vault-one, mfa ACCT:mfa/me
                role ACCT:role/two 1h as vault-two
                sts us-east-1",
            ..two
        },
        Case {
            says: "without MFA they are cut too",
            config: TWO,
            ask: "two --duration 2h",
            gives: "
                vault base
                role ACCT:role/one 1h as vault-one
                role ACCT:role/two 1h as vault-two
                sts us-east-1
                note: ACCT:role/two is assumed for 1h, not 2h: AWS allows no more where roles are chained",
            ..two
        },
        Case {
            says: "a last profile without a role: the flag is the last role's",
            config: "[profile base]\n[profile one]\nrole_arn = ACCT:role/one\nsource_profile = base\n\
                     [profile eu]\nsource_profile = one\nregion = eu-west-1\n",
            ask: "eu --duration 2h",
            gives: "
                vault base
                role ACCT:role/one 2h as vault-one
                region eu-west-1
                sts eu-west-1",
            ..two
        },
    ]);
}

#[test]
fn without_a_role_a_session_is_handed_out() {
    let key = Case { config: "[profile k]\n", stored: &["k"], ask: "k", ..Case::default() };
    let mfa = Case { config: "[profile k]\nmfa_serial = ACCT:mfa/me\n", ..key };
    run(&[
        Case { says: "an hour", gives: "vault k\nsession 1h\nsts us-east-1", ..key },
        Case {
            says: "with MFA",
            gives: "vault k\nsession 1h, mfa ACCT:mfa/me\nsts us-east-1",
            ..mfa
        },
        Case {
            says: "--duration, up to 36 hours",
            ask: "k --duration 36h",
            gives: "vault k\nsession 36h, mfa ACCT:mfa/me\nsts us-east-1",
            ..mfa
        },
        Case {
            says: "the variable",
            env: &[("AWS_SESSION_TOKEN_TTL", "2h"), ("AWS_CHAINED_SESSION_TOKEN_TTL", "3h")],
            gives: "vault k\nsession 2h\nsts us-east-1",
            ..key
        },
        Case {
            says: "duration_seconds is for roles",
            config: "[profile k]\nduration_seconds = 7200\n",
            gives: "vault k\nsession 1h\nsts us-east-1",
            ..key
        },
        Case {
            says: "--no-session: the key itself, MFA or not, and nothing of STS",
            ask: "k --no-session",
            gives: "vault k",
            ..mfa
        },
        Case {
            says: "--no-session has no duration",
            ask: "k --no-session --duration 1h",
            gives: "
                vault k
                note: --duration has no effect: the credentials are used as they are",
            ..key
        },
    ]);
}

#[test]
fn a_process_that_turns_out_temporary_gets_no_session_and_no_code() {
    let process = "[profile p]\ncredential_process = /bin/creds\nmfa_serial = ACCT:mfa/me\n";
    let long = "[profile p]\ncredential_process = /bin/creds\nrole_arn = ACCT:role/p\n\
                mfa_serial = ACCT:mfa/me\nduration_seconds = 7200\n";
    let plan = |config| planned(&Case { config, ask: "p", ..Case::default() }).unwrap();
    let short = |text: String| text.replace(ARN, "ACCT:");
    assert_eq!(
        short(shown(&plan(process))),
        "process p: /bin/creds\nsession 1h, mfa ACCT:mfa/me\nsts us-east-1"
    );
    assert_eq!(shown(&plan(process).for_temporary_base()), "process p: /bin/creds");
    assert_eq!(
        short(shown(&plan(long))),
        "process p: /bin/creds\nrole ACCT:role/p 2h as vault-p, mfa ACCT:mfa/me\nsts us-east-1"
    );
    let temporary = plan(long).for_temporary_base();
    assert_eq!(
        short(shown(&temporary)),
        "process p: /bin/creds\nrole ACCT:role/p 1h as vault-p\nsts us-east-1\n\
         note: ACCT:role/p is assumed for 1h, not 2h: AWS allows no more from temporary credentials"
    );
    assert_eq!(temporary.clone().for_temporary_base(), temporary);
}
