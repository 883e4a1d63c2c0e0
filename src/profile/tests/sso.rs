//! IAM Identity Center: where people log in, and for which role.

use super::*;
use crate::profile::{sign_on, sign_ons};

const CORP: &str = "\
[sso-session corp]
sso_start_url = https://corp.awsapps.com/start
sso_region = eu-central-1
[profile a]
sso_session = corp
sso_account_id = 123456789012
sso_role_name = ReadOnly
";

const LOGIN: &str = "login https://corp.awsapps.com/start sso:account:access by a, eu-central-1, eu-central-1\n\
                     sso ReadOnly in 123456789012";

#[test]
fn a_profile_names_a_session_or_says_it_itself() {
    let corp = Case { config: CORP, ask: "a", gives: LOGIN, ..Case::default() };
    run(&[
        Case { says: "a section that several profiles share", ..corp },
        Case {
            says: "the older keys, in the profile itself",
            config: "[profile a]\nsso_start_url = https://corp.awsapps.com/start\nsso_region = eu-central-1\n\
                     sso_account_id = 123456789012\nsso_role_name = ReadOnly\n",
            ..corp
        },
        Case {
            says: "half of it included, as in aws-vault",
            config: "[sso-session corp]\nsso_start_url = https://corp.awsapps.com/start\nsso_region = eu-central-1\n\
                     [profile base]\nsso_session = corp\nsso_account_id = 123456789012\n\
                     [profile a]\ninclude_profile = base\nsso_role_name = ReadOnly\n",
            ..corp
        },
        Case {
            says: "scopes of its own",
            config: "[sso-session corp]\nsso_start_url = https://corp.awsapps.com/start\nsso_region = eu-central-1\n\
                     sso_registration_scopes = sso:account:access, codewhisperer:completions\n\
                     [profile a]\nsso_session = corp\nsso_account_id = 123456789012\nsso_role_name = ReadOnly\n",
            gives: "login https://corp.awsapps.com/start sso:account:access codewhisperer:completions by a, eu-central-1, eu-central-1
                sso ReadOnly in 123456789012",
            ..corp
        },
        Case {
            says: "the region of the login is not that of the command",
            env: &[("AWS_REGION", "us-west-2")],
            gives: "login https://corp.awsapps.com/start sso:account:access by a, eu-central-1, eu-central-1
                sso ReadOnly in 123456789012
                region us-west-2",
            ..corp
        },
        Case {
            says: "endpoints and a bundle by variables",
            env: &[
                ("AWS_ENDPOINT_URL", "http://all"),
                ("AWS_ENDPOINT_URL_SSO_OIDC", "http://oidc"),
                ("AWS_CA_BUNDLE", "/ca.pem"),
            ],
            gives: "login https://corp.awsapps.com/start sso:account:access by a, eu-central-1 http://oidc /ca.pem, eu-central-1 http://all /ca.pem
                sso ReadOnly in 123456789012",
            ..corp
        },
        Case {
            says: "endpoints by a services section",
            config: "[services s]\nsso =\n  endpoint_url = http://portal\nsso_oidc =\n  endpoint_url = http://oidc\n\
                     [sso-session corp]\nsso_start_url = https://corp.awsapps.com/start\nsso_region = eu-central-1\n\
                     [profile a]\nservices = s\nsso_session = corp\nsso_account_id = 123456789012\nsso_role_name = ReadOnly\n",
            gives: "login https://corp.awsapps.com/start sso:account:access by a, eu-central-1 http://oidc, eu-central-1 http://portal
                sso ReadOnly in 123456789012",
            ..corp
        },
        Case { says: "no session, no code", ask: "a --no-session --mfa-token", gives: "login https://corp.awsapps.com/start sso:account:access by a, eu-central-1, eu-central-1
                sso ReadOnly in 123456789012
                note: no MFA serial is known for profile \"a\": the code is not used", ..corp },
        Case {
            says: "a key in the vault comes first",
            stored: &["a"],
            gives: "vault a\nsession 1h\nsts us-east-1",
            ..corp
        },
    ]);
}

#[test]
fn roles_by_a_login_last_an_hour() {
    run(&[Case {
        says: "and take no code",
        config: "[default]\nmfa_serial = ACCT:mfa/me\n\
                 [sso-session corp]\nsso_start_url = https://corp.awsapps.com/start\nsso_region = eu-central-1\n\
                 [profile a]\nsso_session = corp\nsso_account_id = 123456789012\nsso_role_name = ReadOnly\n\
                 [profile b]\nsource_profile = a\nrole_arn = ACCT:role/b\nduration_seconds = 7200\n",
        ask: "b",
        gives: "login https://corp.awsapps.com/start sso:account:access by a, eu-central-1, eu-central-1
            sso ReadOnly in 123456789012
            role ACCT:role/b 1h as vault-b
            sts us-east-1
            note: ACCT:role/b is assumed for 1h, not 2h: AWS allows no more from temporary credentials",
        ..Case::default()
    }]);
}

#[test]
fn conflicting_sso_settings_are_errors() {
    const HINT: &str = "\nhint: IAM Identity Center needs sso_session (or sso_start_url and \
        sso_region), sso_account_id and sso_role_name";
    let url = "sso_start_url = https://x\n";
    let rest = "sso_account_id = 123456789012\nsso_role_name = R\n";
    let region = "sso_region = eu-central-1\n";
    for (section, profile, says) in [
        (
            "",
            format!("sso_session = none\n{rest}"),
            "error 2: no [sso-session none], the sso_session of profile \"a\"".to_owned(),
        ),
        ("", format!("{url}{rest}"), format!("error 2: profile \"a\" has no sso_region{HINT}")),
        (
            "",
            format!("{region}{rest}"),
            format!("error 2: profile \"a\" has no sso_start_url{HINT}"),
        ),
        (
            "",
            format!("{url}{region}sso_role_name = R\n"),
            format!("error 2: profile \"a\" has no sso_account_id{HINT}"),
        ),
        (
            "",
            format!("{url}{region}sso_account_id = 123456789012\n"),
            format!("error 2: profile \"a\" has no sso_role_name{HINT}"),
        ),
        (
            "",
            format!("{url}{region}sso_account_id = 12345\nsso_role_name = R\n"),
            "error 2: sso_account_id of profile \"a\" is not an account's twelve digits: 12345"
                .to_owned(),
        ),
        (
            "",
            format!("{url}{region}sso_account_id = 123456789012\nsso_role_name = a/b\n"),
            "error 2: sso_role_name of profile \"a\" is not the name of a permission set: a/b"
                .to_owned(),
        ),
        (
            "",
            format!("sso_start_url = http://x\n{region}{rest}"),
            "error 2: sso_start_url of profile \"a\" is not an https URL: http://x".to_owned(),
        ),
        (
            "sso_start_url = http://y\n",
            format!("sso_session = s\n{region}{rest}"),
            "error 2: sso_start_url of [sso-session s] is not an https URL: http://y".to_owned(),
        ),
        (
            "",
            format!("{url}sso_region = a.b\n{rest}"),
            "error 2: sso_region of profile \"a\" is not the name of a region: a.b".to_owned(),
        ),
        (
            "sso_start_url = https://x\nsso_region = eu-central-1\n",
            format!("sso_session = s\nsso_region = us-east-1\n{rest}"),
            "error 2: sso_region of profile \"a\" is another than that of its sso_session"
                .to_owned(),
        ),
    ] {
        let config: &'static str =
            Box::leak(format!("[sso-session s]\n{section}[profile a]\n{profile}").into_boxed_str());
        let gives: &'static str = Box::leak(says.into_boxed_str());
        run(&[Case { says: config, config, gives, ask: "a", ..Case::default() }]);
    }
    run(&[Case {
        says: "[default] lends none of it",
        config: "[default]\nsso_session = s\nsso_account_id = 123456789012\nsso_role_name = R\n\
                 [sso-session s]\nsso_start_url = https://x\nsso_region = eu-central-1\n[profile a]\n",
        ask: "a",
        gives: "error 3: no credentials for profile \"a\"\nhint: vault add a; sso_session is not \
                inherited from [default]",
        ..Case::default()
    }]);
}

#[test]
fn where_to_log_in_is_found_through_the_chain() {
    let config = format!(
        "{CORP}[profile b]\nsource_profile = a\nrole_arn = x\n[profile c]\n[profile d]\nsource_profile = e\n\
         [profile e]\nsource_profile = d\n[profile f]\nsource_profile = nobody\n[profile g]\nsso_session = corp\n"
    );
    let profiles = Profiles::parse(&files(), &config, "");
    let find = |name: &str| sign_on(&profiles, name);
    let (owner, sign_on) = find("b").unwrap();
    assert_eq!(
        (owner.as_str(), sign_on.start_url.as_str()),
        ("a", "https://corp.awsapps.com/start")
    );
    // Two profiles with the same settings share one login, which needs no role.
    assert_eq!(find("g").unwrap().1.key(), sign_on.key());
    assert_eq!(find("c").unwrap_err().what, "profile \"c\" does not use IAM Identity Center");
    assert_eq!(find("d").unwrap_err().what, "source_profile loop: d -> e -> d");
    assert_eq!(find("f").unwrap_err().what, "no profile \"nobody\", the source_profile of \"f\"");
    assert_eq!(find("h").unwrap_err().class.code(), 3);
    let all = sign_ons(&profiles);
    assert_eq!(all.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["a"]);
}

#[test]
fn a_line_of_an_sso_session_is_an_error_for_the_profiles_that_name_it() {
    let config = "[sso-session corp]\nsso_region eu-central-1\n\
                  [profile a]\nsso_session = corp\n[profile b]\n";
    let a = Case {
        says: "of its own",
        config,
        stored: &["b"],
        ask: "a",
        gives: "error 1: /h/.aws/config line 2, of [sso-session corp], is not understood: sso_region eu-central-1\n\
                hint: make it KEY = VALUE, or a comment that begins with #",
        ..Case::default()
    };
    run(&[Case { ..a }, Case { says: "no other", ask: "b --no-session", gives: "vault b", ..a }]);
}
