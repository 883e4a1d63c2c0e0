//! Which MFA device a plan uses, and with what.

use super::*;

#[test]
fn the_mfa_serial_is_the_profiles_own_unless_no_person_is_needed() {
    let source = Case {
        config: "[profile base]\nmfa_serial = ACCT:mfa/me\n\
                 [profile one]\nrole_arn = ACCT:role/one\nsource_profile = base\n",
        stored: &["base"],
        ask: "one",
        ..Case::default()
    };
    let with_session = "
        vault base
        session 8h, mfa ACCT:mfa/me
        role ACCT:role/one 1h as vault-one
        sts us-east-1";
    run(&[
        Case {
            says: "only the source names it: left out, as in aws-vault",
            gives: "
                vault base
                role ACCT:role/one 1h as vault-one
                sts us-east-1
                left out ACCT:mfa/me, session 8h",
            ..source
        },
        Case { says: "a code is given", ask: "one --mfa-token", gives: with_session, ..source },
        Case {
            says: "a seed is in the vault",
            ask: "one --seed ACCT:mfa/me",
            gives: with_session,
            ..source
        },
        Case {
            says: "a seed for another device does not help",
            ask: "one --seed ACCT:mfa/you",
            gives: "
                vault base
                role ACCT:role/one 1h as vault-one
                sts us-east-1
                left out ACCT:mfa/me, session 8h",
            ..source
        },
        Case {
            says: "the source has an mfa_process",
            config: "[profile base]\nmfa_serial = ACCT:mfa/me\nmfa_process = pass otp aws\n\
                     [profile one]\nrole_arn = ACCT:role/one\nsource_profile = base\n",
            gives: "
                vault base
                session 8h, mfa ACCT:mfa/me by pass otp aws
                role ACCT:role/one 1h as vault-one
                sts us-east-1",
            ..source
        },
        Case {
            says: "the profile names the device and its source the command for it",
            config: "[profile base]\nmfa_serial = ACCT:mfa/me\nmfa_process = pass otp aws\n\
                     [profile one]\nrole_arn = ACCT:role/one\nsource_profile = base\nmfa_serial = ACCT:mfa/me\n",
            gives: "
                vault base
                session 8h, mfa ACCT:mfa/me by pass otp aws
                role ACCT:role/one 1h as vault-one
                sts us-east-1",
            ..source
        },
        Case {
            says: "a command for another device is not this one's",
            config: "[profile base]\nmfa_serial = ACCT:mfa/you\nmfa_process = pass otp aws\n\
                     [profile one]\nrole_arn = ACCT:role/one\nsource_profile = base\nmfa_serial = ACCT:mfa/me\n",
            gives: with_session,
            ..source
        },
        Case {
            says: "AWS_MFA_SERIAL overrides",
            env: &[("AWS_MFA_SERIAL", "ACCT:mfa/other")],
            gives: "
                vault base
                session 8h, mfa ACCT:mfa/other
                role ACCT:role/one 1h as vault-one
                sts us-east-1",
            ..source
        },
        Case {
            says: "[default] counts as the profile's own",
            config: "[default]\nmfa_serial = ACCT:mfa/me\n[profile base]\n\
                     [profile one]\nrole_arn = ACCT:role/one\nsource_profile = base\n",
            gives: with_session,
            ..source
        },
        Case {
            says: "include_profile too",
            config: "[profile base]\nmfa_serial = ACCT:mfa/me\nsource_profile = base\n\
                     [profile one]\nrole_arn = ACCT:role/one\ninclude_profile = base\n",
            gives: with_session,
            ..source
        },
        Case {
            says: "a role on the way has its serial beside it: used, as in aws-vault and the AWS CLI",
            config: "[profile base]\n[profile one]\nrole_arn = ACCT:role/one\nsource_profile = base\n\
                     mfa_serial = ACCT:mfa/me\n[profile two]\nrole_arn = ACCT:role/two\nsource_profile = one\n",
            ask: "two",
            gives: "
                vault base
                session 8h, mfa ACCT:mfa/me
                role ACCT:role/one 1h as vault-one
                role ACCT:role/two 1h as vault-two
                sts us-east-1",
            ..source
        },
        Case {
            says: "a code without a device is not used, and said",
            config: ONE,
            ask: "one --mfa-token",
            gives: "
                vault base
                role ACCT:role/one 1h as vault-one
                sts us-east-1
                note: no MFA serial is known for profile \"one\": the code is not used",
            ..source
        },
        Case {
            says: "a hardware device has a number",
            env: &[("AWS_MFA_SERIAL", "GAHT12345678")],
            ask: "one",
            gives: "
                vault base
                session 8h, mfa GAHT12345678
                role ACCT:role/one 1h as vault-one
                sts us-east-1",
            ..source
        },
        Case {
            says: "a user is no device",
            config: "[profile base]\n[profile one]\nrole_arn = ACCT:role/one\nsource_profile = base\n\
                     mfa_serial = ACCT:user/me\n",
            ask: "one",
            gives: "error 2: mfa_serial of profile \"one\" is not the ARN of an MFA device: ACCT:user/me
                hint: it looks like ACCT:mfa/NAME",
            ..source
        },
        Case {
            says: "nor is one of no account",
            config: "[default]\nmfa_serial = arn:aws:iam::ACCOUNT_ID:mfa/me\n[profile base]\n\
                     [profile one]\nrole_arn = ACCT:role/one\nsource_profile = base\n",
            ask: "one",
            gives: "error 2: mfa_serial of profile \"default\" has no account of twelve digits: arn:aws:iam::ACCOUNT_ID:mfa/me
                hint: it looks like ACCT:mfa/NAME",
            ..source
        },
        Case {
            says: "a serial that AWS would refuse",
            env: &[("AWS_MFA_SERIAL", "my phone, dear")],
            gives: "error 2: AWS_MFA_SERIAL is neither an ARN nor a serial number: my phone, dear\nhint: it looks like ACCT:mfa/NAME",
            ..source
        },
    ]);
}
