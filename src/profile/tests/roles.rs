//! The parameters of a role: variables for the profile asked for, and checks.

use super::*;

#[test]
fn variables_for_a_role_count_for_the_profile_asked_for_only() {
    let two = Case {
        config: "[profile base]\n[profile one]\nrole_arn = ACCT:role/one\nsource_profile = base\n\
                 [profile a]\nrole_arn = ACCT:role/a\nsource_profile = one\n",
        stored: &["base"],
        ..A
    };
    run(&[
        Case {
            says: "all of them",
            env: &[
                ("AWS_ROLE_ARN", "ACCT:role/env"),
                ("AWS_ROLE_SESSION_NAME", "me@host"),
                ("AWS_SESSION_TAGS", "team = ops , cost=a=b"),
                ("AWS_TRANSITIVE_TAGS", "team, cost"),
                ("AWS_SOURCE_IDENTITY", "me"),
            ],
            gives: "
                vault base
                role ACCT:role/one 1h as vault-one
                role ACCT:role/env 1h as me@host, tags [(\"team\", \"ops\"), (\"cost\", \"a=b\")] [\"team\", \"cost\"], identity me
                sts us-east-1",
            ..two
        },
        Case {
            says: "a role for a profile without one",
            env: &[("AWS_ROLE_ARN", "ACCT:role/env")],
            gives: "vault a\nrole ACCT:role/env 1h as vault-a\nsts us-east-1",
            ..A
        },
        Case {
            says: "not where EKS set it for the pod",
            env: &[("AWS_ROLE_ARN", "ACCT:role/pod"), ("AWS_WEB_IDENTITY_TOKEN_FILE", "/var/run/t")],
            gives: "vault a\nsession 1h\nsts us-east-1",
            ..A
        },
        Case {
            says: "the file's role then",
            env: &[("AWS_ROLE_ARN", "ACCT:role/pod"), ("AWS_WEB_IDENTITY_TOKEN_FILE", "/var/run/t")],
            config: "[profile a]\nrole_arn = ACCT:role/a\n",
            gives: "vault a\nrole ACCT:role/a 1h as vault-a\nsts us-east-1",
            ..A
        },
    ]);
}

#[test]
fn the_parameters_of_a_role_are_checked_before_anything_is_sent() {
    let role = |says, config, gives| Case { says, config, gives, ..A };
    run(&[
        role(
            "all of them",
            "[profile a]\nrole_arn = ACCT:role/a\nexternal_id = a:b/c\nrole_session_name = me+you=us\n\
             session_tags = k=v,k2=\ntransitive_session_tags = k,\nsource_identity = me@x\n",
            "vault a
             role ACCT:role/a 1h as me+you=us, external a:b/c, tags [(\"k\", \"v\"), (\"k2\", \"\")] [\"k\"], identity me@x
             sts us-east-1",
        ),
        role(
            "no ARN",
            "[profile a]\nrole_arn = admin\n",
            "error 2: role_arn of profile \"a\" is not an ARN: admin\nhint: it looks like ACCT:role/NAME",
        ),
        role(
            "the ARN of something else",
            "[profile a]\nrole_arn = ACCT:mfa/me\n",
            "error 2: role_arn of profile \"a\" is not the ARN of a role: ACCT:mfa/me\nhint: it looks like ACCT:role/NAME",
        ),
        role(
            "an account of eleven digits",
            "[profile a]\nrole_arn = arn:aws:iam::12345678901:role/a\n",
            "error 2: role_arn of profile \"a\" has no account of twelve digits: arn:aws:iam::12345678901:role/a\n\
             hint: it looks like ACCT:role/NAME",
        ),
        role(
            "an example that was not filled in",
            "[profile a]\nrole_arn = arn:aws:iam::ACCOUNT_ID:role/a\n",
            "error 2: role_arn of profile \"a\" has no account of twelve digits: arn:aws:iam::ACCOUNT_ID:role/a\n\
             hint: it looks like ACCT:role/NAME",
        ),
        role(
            "no partition of AWS",
            "[profile a]\nrole_arn = arn:amazon:iam::123456789012:role/a\n",
            "error 2: role_arn of profile \"a\" is not an ARN of AWS: arn:amazon:iam::123456789012:role/a\n\
             hint: it looks like ACCT:role/NAME",
        ),
        role(
            "a key in the place of an ARN is not shown",
            "[profile a]\nrole_arn = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\n",
            "error 2: role_arn of profile \"a\" is not an ARN\nhint: it looks like ACCT:role/NAME",
        ),
        role(
            "a server that somebody names may have other accounts",
            "[profile a]\nendpoint_url = http://ceph:8000\nrole_arn = arn:aws:iam:::role/a-bucket\n",
            "vault a\nrole arn:aws:iam:::role/a-bucket 1h as vault-a\nsts us-east-1 at http://ceph:8000",
        ),
        Case {
            says: "a role on the way",
            config: "[profile c]\nrole_arn = ACCT:role/c\nsource_profile = a\n[profile a]\nrole_arn = admin\n",
            ask: "c",
            gives: "error 2: role_arn of profile \"a\" is not an ARN: admin\nhint: it looks like ACCT:role/NAME",
            ..A
        },
        role(
            "a session name with a blank",
            "[profile a]\nrole_arn = ACCT:role/a\nrole_session_name = a b\n",
            "error 2: role_session_name of profile \"a\": AWS takes 2 to 64 letters, digits and +=,.@-_",
        ),
        role(
            "a source identity of one letter",
            "[profile a]\nrole_arn = ACCT:role/a\nsource_identity = a\n",
            "error 2: source_identity of profile \"a\": AWS takes 2 to 64 letters, digits and +=,.@-_",
        ),
        role(
            "an external id with a blank",
            "[profile a]\nrole_arn = ACCT:role/a\nexternal_id = a b\n",
            "error 2: external_id of profile \"a\": AWS takes 2 to 1224 letters, digits and +=,.@:/-_",
        ),
        role(
            "tags without values",
            "[profile a]\nrole_arn = ACCT:role/a\nsession_tags = k\n",
            "error 2: session_tags of profile \"a\": not a list of KEY=VALUE",
        ),
        role(
            "a tag twice",
            "[profile a]\nrole_arn = ACCT:role/a\nsession_tags = k=1,K=2\n",
            "error 2: session_tags of profile \"a\": K is given twice",
        ),
        role(
            "a tag that AWS does not take",
            "[profile a]\nrole_arn = ACCT:role/a\nsession_tags = k=a*b\n",
            "error 2: session_tags of profile \"a\": the value of k is not one that AWS accepts",
        ),
        role(
            "settings of a role without a role are nothing",
            "[profile a]\nrole_session_name = a b\nsession_tags = k\n",
            "vault a\nsession 1h\nsts us-east-1",
        ),
    ]);
    run(&[
        Case {
            says: "a session name is made of the profile's, fit for AWS, and is the same each time",
            config: "[profile a/b:c]\nrole_arn = ACCT:role/a\n",
            stored: &["a/b:c"],
            ask: "a/b:c",
            gives: "vault a/b:c\nrole ACCT:role/a 1h as vault-a-b-c\nsts us-east-1",
            ..A
        },
        Case {
            says: "and no longer than AWS takes",
            config: "[profile 0123456789012345678901234567890123456789012345678901234567890123456789]\nrole_arn = ACCT:role/a\n",
            stored: &["0123456789012345678901234567890123456789012345678901234567890123456789"],
            ask: "0123456789012345678901234567890123456789012345678901234567890123456789",
            gives: "vault 0123456789012345678901234567890123456789012345678901234567890123456789
                role ACCT:role/a 1h as vault-0123456789012345678901234567890123456789012345678901234567
                sts us-east-1",
            ..A
        },
    ]);
}
