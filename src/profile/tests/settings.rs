//! What holds for a profile: flags, variables, sections, includes, `[default]`; region and endpoint.

use super::*;

#[test]
fn the_region_is_the_nearest_that_is_named() {
    let all = Case {
        config: "[default]\nregion = d-1\n[profile i]\nregion = i-1\n[profile a]\nregion = p-1\ninclude_profile = i\n",
        ..A
    };
    run(&[
        Case { says: "the profile's", gives: "vault a\nsession 1h\nregion p-1\nsts p-1", ..all },
        Case {
            says: "a variable's",
            env: &[("AWS_DEFAULT_REGION", "e-2")],
            gives: "vault a\nsession 1h\nregion e-2\nsts e-2",
            ..all
        },
        Case {
            says: "the better variable's",
            env: &[("AWS_DEFAULT_REGION", "e-2"), ("AWS_REGION", "e-1")],
            gives: "vault a\nsession 1h\nregion e-1\nsts e-1",
            ..all
        },
        Case {
            says: "the flag's",
            env: &[("AWS_REGION", "e-1")],
            ask: "a --region f-1",
            gives: "vault a\nsession 1h\nregion f-1\nsts f-1",
            ..all
        },
        Case {
            says: "an included one's before [default]'s",
            config: "[default]\nregion = d-1\n[profile i]\nregion = i-1\n[profile a]\ninclude_profile = i\n",
            gives: "vault a\nsession 1h\nregion i-1\nsts i-1",
            ..A
        },
        Case {
            says: "[default]'s, and of an empty key",
            config: "[default]\nregion = d-1\n[profile a]\nregion =\n",
            gives: "vault a\nsession 1h\nregion d-1\nsts d-1",
            ..A
        },
        Case {
            says: "an empty variable is none",
            config: "[profile a]\nregion = p-1\n",
            env: &[("AWS_REGION", "")],
            gives: "vault a\nsession 1h\nregion p-1\nsts p-1",
            ..A
        },
        Case {
            says: "the source's is not the profile's",
            config: "[profile a]\nregion = p-1\n[profile b]\nsource_profile = a\n",
            ask: "b",
            gives: "vault a\nsession 8h\nsts us-east-1",
            ..A
        },
        Case {
            says: "what is no part of a host name is none",
            env: &[("AWS_REGION", "evil.example/")],
            gives: "error 2: AWS_REGION is not the name of a region: evil.example/",
            ..A
        },
    ]);
}

#[test]
fn without_a_region_the_partition_decides_where_sts_is() {
    for (partition, region) in [
        ("aws", "us-east-1"),
        ("aws-cn", "cn-north-1"),
        ("aws-us-gov", "us-gov-west-1"),
        ("aws-iso", "us-iso-east-1"),
        ("aws-iso-b", "us-isob-east-1"),
        ("aws-eusc", "eusc-de-east-1"),
        ("aws-new", "us-east-1"),
    ] {
        let config = format!("[profile a]\nrole_arn = arn:{partition}:iam::123456789012:role/r\n");
        let profiles = Profiles::parse(&files(), &config, "");
        let stored = BTreeSet::from(["a".to_owned()]);
        let plan = plan(&profiles, &stored, &asked("a")).unwrap();
        assert_eq!(plan.sts.unwrap().region, region);
        assert_eq!(plan.region, None);
    }
    run(&[Case {
        says: "the device's, where there is no role",
        config: "[profile a]\nmfa_serial = arn:aws-cn:iam::123456789012:mfa/me\n",
        gives: "vault a\nsession 1h, mfa arn:aws-cn:iam::123456789012:mfa/me\nsts cn-north-1",
        ..A
    }]);
}

#[test]
fn endpoints_are_named_by_variable_service_section_or_profile() {
    let named = Case {
        config: "[profile a]\nregion = eu-west-1\nservices = local\nendpoint_url = http://all\nca_bundle = /ca\n\
                 [services local]\nsts =\n  endpoint_url = http://sts\ns3 =\n  endpoint_url = http://s3\n",
        ..A
    };
    run(&[
        Case {
            says: "the services section for STS first",
            gives: "vault a\nsession 1h\nregion eu-west-1\nsts eu-west-1 at http://sts ca /ca",
            ..named
        },
        Case {
            says: "a services section without STS",
            config: "[profile a]\nservices = local\nendpoint_url = http://all\n[services local]\ns3 =\n  endpoint_url = http://s3\n",
            gives: "vault a\nsession 1h\nsts us-east-1 at http://all",
            ..A
        },
        Case {
            says: "a services section that [default] names",
            config: "[default]\nservices = local\n[services local]\nsts =\n  endpoint_url = http://sts\n[profile a]\n",
            gives: "vault a\nsession 1h\nsts us-east-1 at http://sts",
            ..A
        },
        Case {
            says: "variables before files",
            env: &[("AWS_ENDPOINT_URL", "http://env"), ("AWS_CA_BUNDLE", "/env-ca")],
            gives: "vault a\nsession 1h\nregion eu-west-1\nsts eu-west-1 at http://env ca /env-ca",
            ..named
        },
        Case {
            says: "the one for STS before the one for all",
            env: &[("AWS_ENDPOINT_URL", "http://env"), ("AWS_ENDPOINT_URL_STS", "http://env-sts")],
            gives: "vault a\nsession 1h\nregion eu-west-1\nsts eu-west-1 at http://env-sts ca /ca",
            ..named
        },
        Case {
            says: "all of them ignored",
            env: &[
                ("AWS_ENDPOINT_URL", "http://env"),
                ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "TRUE"),
            ],
            gives: "vault a\nsession 1h\nregion eu-west-1\nsts eu-west-1 ca /ca",
            ..named
        },
        Case {
            says: "legacy: the global endpoint, signed for us-east-1",
            config: "[profile a]\nregion = eu-west-1\nsts_regional_endpoints = legacy\n",
            gives: "vault a\nsession 1h\nregion eu-west-1\nsts us-east-1 at https://sts.amazonaws.com",
            ..A
        },
        Case {
            says: "legacy where the region has no part in it",
            config: "[profile a]\nregion = eu-south-1\n",
            env: &[("AWS_STS_REGIONAL_ENDPOINTS", "legacy")],
            gives: "vault a\nsession 1h\nregion eu-south-1\nsts eu-south-1",
            ..A
        },
        Case {
            says: "legacy, and a named endpoint",
            env: &[("AWS_STS_REGIONAL_ENDPOINTS", "legacy"), ("AWS_ENDPOINT_URL", "http://env")],
            gives: "vault a\nsession 1h\nregion eu-west-1\nsts eu-west-1 at http://env ca /ca",
            ..named
        },
        Case {
            says: "neither legacy nor regional",
            env: &[("AWS_STS_REGIONAL_ENDPOINTS", "global")],
            gives: "error 2: AWS_STS_REGIONAL_ENDPOINTS is neither legacy nor regional: global",
            ..A
        },
    ]);
}

#[test]
fn a_services_section_that_cannot_be_read_is_an_error_and_no_request_to_aws() {
    const HINT: &str = "hint: make it KEY = VALUE, or a comment that begins with #";
    let broken = |what: &str| -> &'static str { format!("{what}\n{HINT}").leak() };
    let missing = Case {
        config: "[profile a]\nservices = locl\n[services local]\nsts =\n  endpoint_url = http://sts\n",
        gives: "error 2: [services locl], the services of profile \"a\", is missing or empty",
        ..A
    };
    run(&[
        Case { says: "a name that no section has", ..missing },
        Case {
            says: "an empty section, as for botocore",
            config: "[profile a]\nservices = locl\n[services locl]\n",
            ..missing
        },
        Case {
            says: "one that [default] names",
            config: "[default]\nservices = locl\n[profile a]\n",
            gives: "error 2: [services locl], the services of profile \"default\", is missing or empty",
            ..A
        },
        Case {
            says: "endpoints of the files are ignored",
            env: &[("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")],
            gives: "vault a\nsession 1h\nsts us-east-1",
            ..missing
        },
        Case {
            says: "a variable outranks it",
            env: &[("AWS_ENDPOINT_URL", "http://env")],
            gives: "vault a\nsession 1h\nsts us-east-1 at http://env",
            ..missing
        },
        Case { says: "nothing is asked", ask: "a --no-session", gives: "vault a", ..missing },
        Case {
            says: "a line of it that is no setting",
            config: "[profile a]\nservices = x\n[services x]\nsts\n",
            gives: broken(
                "error 1: /h/.aws/config line 4, of [services x], is not understood: sts",
            ),
            ..A
        },
        Case {
            says: "a line below a service that is no setting",
            config: "[profile a]\nservices = x\n[services x]\nsts =\n  endpoint_url http://sts\n",
            gives: broken(
                "error 1: /h/.aws/config line 4, of [services x], is not understood: endpoint_url ...",
            ),
            ..A
        },
        Case {
            says: "a URL beside the service",
            config: "[profile a]\nservices = x\n[services x]\nsts = http://sts\n",
            gives: "error 2: sts of [services x] is a value, not a block of settings\nhint: write endpoint_url = VALUE below sts =, indented",
            ..A
        },
    ]);
}

#[test]
fn settings_are_inherited_from_default_and_never_where_credentials_come_from() {
    run(&[
        Case {
            says: "a role stays in [default], and it is said",
            config: "[default]\nrole_arn = ACCT:role/d\nexternal_id = xx\nrole_session_name = me\n[profile a]\n",
            gives: "
                vault a
                session 1h
                sts us-east-1
                note: profile \"a\" does not inherit role_arn from [default]; in aws-vault it would",
            ..A
        },
        Case {
            says: "role settings are lent to a profile with a role of its own",
            config: "[default]\nrole_arn = ACCT:role/d\nexternal_id = xx\nrole_session_name = me\n\
                     duration_seconds = 1800\nsession_tags = k=v\n[profile a]\nrole_arn = ACCT:role/a\n",
            gives: "
                vault a
                role ACCT:role/a 30m as me, tags [(\"k\", \"v\")] []
                sts us-east-1",
            ..A
        },
        Case {
            says: "a source stays there",
            config: "[default]\nsource_profile = b\n[profile a]\n[profile b]\n",
            stored: &["b"],
            gives: "error 3: no credentials for profile \"a\"
                hint: vault add a; source_profile is not inherited from [default]",
            ..A
        },
        Case {
            says: "a process stays there",
            config: "[default]\ncredential_process = /bin/x\n[profile a]\n",
            stored: &[],
            gives: "error 3: no credentials for profile \"a\"
                hint: vault add a; credential_process is not inherited from [default]",
            ..A
        },
        Case {
            says: "plaintext keys stay there",
            credentials: "[default]\naws_access_key_id = x\naws_secret_access_key = y\n",
            stored: &[],
            gives: "error 3: no credentials for profile \"a\"\nhint: vault add a",
            ..A
        },
        Case {
            says: "a missing source that [default] would name is said where there is a process",
            config: "[default]\nsource_profile = b\n[profile a]\ncredential_process = /bin/x\n",
            stored: &[],
            ask: "a --no-session",
            gives: "
                process a: /bin/x
                note: profile \"a\" does not inherit source_profile from [default]; in aws-vault it would",
            ..A
        },
        Case {
            says: "a source in [default] that is the profile itself is none in aws-vault",
            config: "[default]\nsource_profile = a\n[profile a]\ncredential_process = /bin/x\n",
            stored: &[],
            ask: "a --no-session",
            gives: "process a: /bin/x",
            ..A
        },
        Case {
            says: "the default profile itself has it all",
            config: "[default]\nrole_arn = ACCT:role/d\nsource_profile = b\n[profile b]\n",
            stored: &["b"],
            ask: "default",
            gives: "
                vault b
                role ACCT:role/d 1h as vault-default
                sts us-east-1
                note: profile \"b\" does not inherit role_arn from [default]; in aws-vault it would",
            ..A
        },
    ]);
}

#[test]
fn include_profile_takes_the_whole_of_the_other() {
    run(&[
        Case {
            says: "role, source and MFA, through two includes",
            config: "[profile x]\nsource_profile = k\nmfa_serial = ACCT:mfa/me\n\
                     [profile y]\ninclude_profile = x\nrole_arn = ACCT:role/y\nexternal_id = e-1\n\
                     [profile a]\ninclude_profile = y\nregion = eu-west-1\n[profile k]\n",
            stored: &["k"],
            gives: "
                vault k
                session 8h, mfa ACCT:mfa/me
                role ACCT:role/y 1h as vault-a, external e-1
                region eu-west-1
                sts eu-west-1",
            ..A
        },
        Case {
            says: "[default] by name: then where credentials come from too",
            config: "[default]\nrole_arn = ACCT:role/d\n[profile a]\ninclude_profile = default\n",
            gives: "vault a\nrole ACCT:role/d 1h as vault-a\nsts us-east-1",
            ..A
        },
        Case {
            says: "nothing there: said, as it may have held the MFA serial",
            config: "[profile a]\ninclude_profile = gone\n",
            gives: "
                vault a
                session 1h
                sts us-east-1
                note: no profile \"gone\", the include_profile of \"a\"",
            ..A
        },
    ]);
}

#[test]
fn a_variable_that_is_not_utf8_is_an_error_only_for_what_needs_its_text() {
    let config = "[profile key]\n[profile role]\nsource_profile = key\nrole_arn = ACCT:role/a\n\
                  [profile env]\ncredential_source = Environment\nrole_arn = ACCT:role/a\n";
    let stored = BTreeSet::from(["key".to_owned()]);
    for (name, profile, is_needed) in [
        ("AWS_REGION", "key", true),
        ("AWS_CA_BUNDLE", "key", false),
        ("AWS_ENDPOINT_URL_STS", "key", true),
        ("AWS_ENDPOINT_URL_S3", "key", false),
        ("AWS_ASSUME_ROLE_TTL", "key", true),
        ("AWS_ROLE_SESSION_NAME", "key", false),
        ("AWS_ROLE_SESSION_NAME", "role", true),
        ("AWS_SECRET_ACCESS_KEY", "role", false),
        ("AWS_SECRET_ACCESS_KEY", "env", true),
        ("AWS_EC2_METADATA_DISABLED", "env", false),
    ] {
        let set = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"].map(|set| (set, &b"x"[..]));
        let pairs = [(name, &b"\xff"[..])].into_iter().chain(set);
        let env = Env::from_raw(pairs.map(|(name, value)| (name.into(), value.to_vec())));
        let profiles = Profiles::parse_in(&env, &files(), &config.replace("ACCT:", ARN), "");
        let error = plan(&profiles, &stored, &asked(profile)).err().map(|error| error.what);
        let expected = is_needed.then(|| format!("{name} is not UTF-8"));
        assert_eq!(error, expected, "{name} {profile}");
    }
}
