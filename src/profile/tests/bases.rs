//! Where a plan starts: the vault, the chain of source profiles, what a profile says.

use super::super::variables::Variables;
use super::*;
use crate::process::words;

#[test]
fn the_vault_comes_first_at_each_profile_of_the_chain() {
    let chain = Case {
        config: "[profile a]\nsource_profile = b\nrole_arn = ACCT:role/a\n\
                 [profile b]\nsource_profile = c\nrole_arn = ACCT:role/b\n[profile c]\n",
        ask: "a --no-session",
        ..Case::default()
    };
    run(&[
        Case {
            says: "the end's key",
            stored: &["c"],
            gives: "
                vault c
                role ACCT:role/b 1h as vault-b
                role ACCT:role/a 1h as vault-a
                sts us-east-1",
            ..chain
        },
        Case {
            says: "a key on the way ends the chain there, and its role stays",
            stored: &["b", "c"],
            gives: "
                vault b
                role ACCT:role/b 1h as vault-b
                role ACCT:role/a 1h as vault-a
                sts us-east-1",
            ..chain
        },
        Case {
            says: "the profile's own key before its source",
            stored: &["a", "b", "c"],
            gives: "vault a\nrole ACCT:role/a 1h as vault-a\nsts us-east-1",
            ..chain
        },
        Case {
            says: "a source that is nowhere is not missed then",
            config: "[profile a]\nsource_profile = gone\n",
            stored: &["a"],
            gives: "vault a",
            ..chain
        },
        Case {
            says: "a profile that only the vault knows",
            config: "",
            stored: &["a"],
            gives: "vault a",
            ..chain
        },
        Case {
            says: "a source that only the vault knows",
            config: "[profile a]\nsource_profile = b\n",
            stored: &["b"],
            gives: "vault b",
            ..chain
        },
        Case {
            says: "the vault before credential_process and plaintext keys",
            config: "[profile a]\ncredential_process = /bin/x\nsso_start_url = https://x\n",
            credentials: "[a]\naws_access_key_id = AKIAIOSFODNN7EXAMPLE\n",
            stored: &["a"],
            gives: "vault a",
            ..chain
        },
    ]);
}

#[test]
fn a_source_profile_that_names_itself_means_the_profiles_own_credentials() {
    let own = Case {
        config: "[profile a]\nsource_profile = a\nrole_arn = ACCT:role/a\n",
        ask: "a",
        ..Case::default()
    };
    run(&[
        Case {
            says: "in the vault",
            stored: &["a"],
            gives: "vault a\nrole ACCT:role/a 1h as vault-a\nsts us-east-1",
            ..own
        },
        Case {
            says: "in the clear",
            credentials: "[a]\naws_access_key_id = AKIAIOSFODNN7EXAMPLE\naws_secret_access_key = x\n",
            gives: "plaintext a\nrole ACCT:role/a 1h as vault-a\nsts us-east-1",
            ..own
        },
        Case {
            says: "nowhere, for a slip",
            config: "[profile a]\nregoin = x\nsoruce_profile = b\n",
            gives: "error 3: no credentials for profile \"a\"\n\
                    hint: vault add a, or write source_profile instead of soruce_profile, which is not a known setting",
            ..own
        },
        Case {
            says: "nowhere",
            gives: "error 3: no credentials for profile \"a\"\nhint: vault add a",
            ..own
        },
        Case {
            says: "aws-vault's common fragment, included by the source itself",
            config: "[profile common]\nregion=eu-west-1\nmfa_serial=ACCT:mfa/me\nsource_profile = root\n\
                     [profile root]\ninclude_profile = common\n\
                     [profile dev]\ninclude_profile = common\nrole_arn=ACCT:role/dev\n",
            stored: &["root"],
            ask: "dev",
            gives: "
                vault root
                session 8h, mfa ACCT:mfa/me
                role ACCT:role/dev 1h as vault-dev
                region eu-west-1
                sts eu-west-1",
            ..own
        },
    ]);
}

#[test]
fn profiles_that_are_nowhere() {
    let case = Case { ask: "prod", ..Case::default() };
    run(&[
        Case {
            says: "where it was looked for",
            gives: "error 3: no profile \"prod\"
                hint: looked in /h/.aws/config, /h/.aws/credentials and the vault",
            ..case
        },
        Case {
            says: "names have a case",
            config: "[profile Prod]\n",
            gives: "error 3: no profile \"prod\"\nhint: did you mean \"Prod\"?",
            ..case
        },
        Case {
            says: "a slip, in the vault's names too",
            config: "[profile staging]\n",
            stored: &["prd"],
            gives: "error 3: no profile \"prod\"\nhint: did you mean \"prd\"?",
            ..case
        },
        Case {
            says: "a section that does not count",
            config: "[prod]\nregion = x\n[profile prud]\n",
            gives: "error 3: no profile \"prod\"
                hint: /h/.aws/config line 1: [prod] is ignored; in the AWS config write [profile prod]",
            ..case
        },
        Case {
            says: "a name with a blank and no quotes",
            config: "\n[profile my profile]\n",
            ask: "my profile",
            gives: "error 3: no profile \"my profile\"
                hint: /h/.aws/config line 2: [profile my profile] is ignored, a name with a blank has quotes: [profile \"NAME\"]",
            ..case
        },
        Case {
            says: "a quoted name",
            config: "[profile \"my profile\"]\n",
            stored: &["my profile"],
            ask: "my profile",
            gives: "vault my profile\nsession 1h\nsts us-east-1",
            ..case
        },
        Case {
            says: "a prefix in the credentials file",
            credentials: "[profile prod]\naws_access_key_id = x\n",
            gives: "error 3: no profile \"prod\"
                hint: /h/.aws/credentials line 1: [profile prod] names a profile \"profile \
                    prod\"; in the credentials file write [prod]",
            ..case
        },
        Case {
            says: "a source",
            config: "[profile prod]\nsource_profile = bse\n[profile base]\n",
            gives: "error 3: no profile \"bse\", the source_profile of \"prod\"\nhint: did you mean \"base\"?",
            ..case
        },
        Case {
            says: "a profile without credentials",
            config: "[profile prod]\nregion = x\n",
            gives: "error 3: no credentials for profile \"prod\"\nhint: vault add prod",
            ..case
        },
        Case {
            says: "a source without credentials is the one to add",
            config: "[profile prod]\nrole_arn = ACCT:role/x\nsource_profile = base\n[profile base]\n",
            gives: "error 3: no credentials for profile \"base\"\nhint: vault add base",
            ..case
        },
    ]);
}

#[test]
fn what_a_profile_says_counts_where_the_vault_has_no_key() {
    let case = Case { ask: "a", ..Case::default() };
    let keys = "[a]\naws_access_key_id = AKIAIOSFODNN7EXAMPLE\n\
                aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\n";
    run(&[
        Case {
            says: "plaintext keys",
            credentials: keys,
            gives: "plaintext a\nsession 1h\nsts us-east-1",
            ..case
        },
        Case {
            says: "temporary plaintext keys: no session, no code, no STS",
            config: "[profile a]\nmfa_serial = ACCT:mfa/me\n",
            credentials: "[a]\naws_access_key_id = x\naws_secret_access_key = y\naws_session_token = z\n",
            gives: "plaintext a",
            ..case
        },
        Case {
            says: "a role from them lasts an hour",
            config: "[profile t]\n[profile a]\nsource_profile = t\nrole_arn = ACCT:role/a\nmfa_serial = ACCT:mfa/me\n",
            credentials: "[t]\naws_access_key_id = x\naws_secret_access_key = y\naws_session_token = z\n",
            ask: "a --duration 2h",
            gives: "
                plaintext t
                role ACCT:role/a 1h as vault-a
                sts us-east-1
                note: ACCT:role/a is assumed for 1h, not 2h: AWS allows no more from temporary credentials",
            ..case
        },
        Case {
            says: "boto's old name for the session token",
            credentials: "[a]\naws_access_key_id = x\naws_secret_access_key = y\naws_security_token = z\n",
            gives: "plaintext a",
            ..case
        },
        Case {
            says: "an empty session token is none",
            credentials: "[a]\naws_access_key_id = x\naws_secret_access_key = y\naws_session_token =\n",
            gives: "plaintext a\nsession 1h\nsts us-east-1",
            ..case
        },
        Case {
            says: "half a key",
            credentials: "[a]\naws_access_key_id = x\n",
            gives: "error 3: no credentials for profile \"a\"
                hint: it has aws_access_key_id without aws_secret_access_key",
            ..case
        },
        Case {
            says: "keys of an included profile are read there",
            config: "[profile a]\ninclude_profile = b\n",
            credentials: "[b]\naws_access_key_id = x\naws_secret_access_key = y\n",
            gives: "plaintext b\nsession 1h\nsts us-east-1",
            ..case
        },
        Case {
            says: "credential_process behind those of the credentials file",
            config: "[profile a]\ncredential_process = /opt/creds --for \"a b\"\n",
            credentials: keys,
            gives: "plaintext a\nsession 1h\nsts us-east-1",
            ..case
        },
        Case {
            says: "credential_process before those of the config file",
            config: "[profile a]\ncredential_process = /opt/creds --for \"a b\"\n\
                     aws_access_key_id = x\naws_secret_access_key = y\n",
            gives: "process a: /opt/creds --for \"a b\"\nsession 1h\nsts us-east-1",
            ..case
        },
        Case {
            says: "a source_profile before its own credential_process",
            config: "[profile a]\nsource_profile = b\ncredential_process = vault exec --json a\n[profile b]\n",
            stored: &["b"],
            gives: "vault b\nsession 8h\nsts us-east-1",
            ..case
        },
        Case {
            says: "the environment",
            config: "[profile a]\ncredential_source = Environment\nrole_arn = ACCT:role/a\n",
            env: &[("AWS_ACCESS_KEY_ID", "x"), ("AWS_SECRET_ACCESS_KEY", "y")],
            gives: "environment\nrole ACCT:role/a 1h as vault-a\nsts us-east-1",
            ..case
        },
        Case {
            says: "a temporary environment",
            config: "[profile a]\ncredential_source = Environment\nrole_arn = ACCT:role/a\nmfa_serial = ACCT:mfa/me\n",
            env: &[("AWS_ACCESS_KEY_ID", "x"), ("AWS_SECRET_ACCESS_KEY", "y"), ("AWS_SESSION_TOKEN", "z")],
            gives: "environment\nrole ACCT:role/a 1h as vault-a\nsts us-east-1",
            ..case
        },
        Case {
            says: "the same under boto's old name",
            config: "[profile a]\ncredential_source = Environment\nrole_arn = ACCT:role/a\nmfa_serial = ACCT:mfa/me\n",
            env: &[("AWS_ACCESS_KEY_ID", "x"), ("AWS_SECRET_ACCESS_KEY", "y"), ("AWS_SECURITY_TOKEN", "z")],
            gives: "environment\nrole ACCT:role/a 1h as vault-a\nsts us-east-1",
            ..case
        },
        Case {
            says: "an environment without keys",
            config: "[profile a]\ncredential_source = Environment\n",
            env: &[("AWS_ACCESS_KEY_ID", "x"), ("AWS_SECRET_ACCESS_KEY", "")],
            gives: "error 3: no credentials for profile \"a\"
                hint: credential_source = Environment needs AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
            ..case
        },
        Case {
            says: "a source that AWS does not know",
            config: "[profile a]\ncredential_source = environment\n",
            gives: "error 2: credential_source of profile \"a\" is not one that AWS knows: \
                    environment
                hint: Environment, Ec2InstanceMetadata or EcsContainer",
            ..case
        },
    ]);
}

#[test]
fn a_process_that_is_this_program_for_the_same_profile_is_the_vaults_key_or_none() {
    run(&[
        Case {
            says: "without a key: said, not run",
            config: TUTORIAL,
            ask: "client",
            gives: "error 3: no credentials for profile \"caktus\"\nhint: vault add caktus",
            ..Case::default()
        },
        Case {
            says: "without a key but with others",
            config: TUTORIAL,
            credentials: "[caktus]\naws_access_key_id = x\naws_secret_access_key = y\n",
            ask: "caktus",
            gives: "plaintext caktus\nsession 1h\nsts us-east-1",
            ..Case::default()
        },
        Case {
            says: "for another profile it is a process like any",
            config: "[profile a]\ncredential_process = vault exec --json b\n[profile b]\n",
            stored: &["b"],
            ask: "a --no-session",
            gives: "process a: vault exec --json b",
            ..Case::default()
        },
    ]);
    let ours = |command| {
        let words = words(command).unwrap_or_default();
        super::super::own_command::reads_as_ours_for(&words, "a", false)
    };
    for command in [
        "vault exec --json a",
        "/usr/local/bin/vault exec a --json",
        "aws-vault exec --no-session --json a",
        "aws-vault --backend file exec -d 1h --json a -- x",
        "'/opt/my vault/vault' exec --duration=1h -j \"a\"",
        "vault --vault /v/a export --format json a",
    ] {
        assert!(ours(command), "{command}");
    }
    for command in [
        "",
        "vault",
        "vault exec --json b a",
        "vault exec --json -- a",
        "vault list a",
        "vaulted exec a",
        "exec vault a",
        "vault exec -d a b",
    ] {
        assert!(!ours(command), "{command}");
    }
}

#[test]
fn what_runs_the_program_is_asked_where_credential_source_says_so() {
    let task = Case {
        config: "[profile a]\ncredential_source = EcsContainer\n",
        ask: "a",
        ..Case::default()
    };
    let full = "AWS_CONTAINER_CREDENTIALS_FULL_URI";
    run(&[
        Case {
            says: "a container's agent, and a role from there without a code",
            config: "[profile a]\ncredential_source = EcsContainer\nrole_arn = ACCT:role/a\n\
                     duration_seconds = 7200\nmfa_serial = ACCT:mfa/me\n",
            env: &[("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/credentials/x?y=1"), ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1/")],
            gives: "container http://169.254.170.2/v2/credentials/x?y=1
                role ACCT:role/a 1h as vault-a
                sts us-east-1
                note: ACCT:role/a is assumed for 1h, not 2h: AWS allows no more from temporary credentials",
            ..task
        },
        Case {
            says: "nobody said where it is",
            gives: "error 3: no credentials for profile \"a\"
                hint: credential_source = EcsContainer needs AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or AWS_CONTAINER_CREDENTIALS_FULL_URI",
            ..task
        },
        Case {
            says: "a path that would be another host",
            env: &[("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "@example.com/x")],
            gives: "error 2: AWS_CONTAINER_CREDENTIALS_RELATIVE_URI: not a path that begins with /",
            ..task
        },
        Case {
            says: "the variable alone means nothing",
            config: "[profile a]\n",
            env: &[("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/x")],
            gives: "error 3: no credentials for profile \"a\"\nhint: vault add a",
            ..task
        },
        Case {
            says: "an instance",
            config: "[profile a]\ncredential_source = Ec2InstanceMetadata\n",
            gives: "instance http://169.254.169.254",
            ..task
        },
        Case {
            says: "by IPv6",
            config: "[profile a]\ncredential_source = Ec2InstanceMetadata\n\
                     ec2_metadata_service_endpoint_mode = IPv6\n",
            gives: "instance http://[fd00:ec2::254]",
            ..task
        },
        Case {
            says: "a service of its own, the variable first",
            config: "[profile a]\ncredential_source = Ec2InstanceMetadata\n\
                     ec2_metadata_service_endpoint = http://here/\n",
            env: &[("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://there:8080/")],
            gives: "instance http://there:8080",
            ..task
        },
        Case {
            says: "which is no URL",
            config: "[profile a]\ncredential_source = Ec2InstanceMetadata\n\
                     ec2_metadata_service_endpoint = here\n",
            gives: "error 2: ec2_metadata_service_endpoint of profile \"a\" is not a URL: here",
            ..task
        },
        Case {
            says: "no such mode",
            config: "[profile a]\ncredential_source = Ec2InstanceMetadata\n",
            env: &[("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "6")],
            gives: "error 2: AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE is neither IPv4 nor IPv6: 6",
            ..task
        },
        Case {
            says: "not where that is forbidden",
            config: "[profile a]\ncredential_source = Ec2InstanceMetadata\n",
            env: &[("AWS_EC2_METADATA_DISABLED", "TRUE")],
            gives: "error 3: no credentials for profile \"a\"
                hint: credential_source = Ec2InstanceMetadata, and AWS_EC2_METADATA_DISABLED forbids its use",
            ..task
        },
    ]);
    let url = |url: &str| {
        let env = Env::of(&[(full, url)]);
        super::super::host::container(&Variables::of(&env)).map_err(|error| error.what)
    };
    for (given, taken) in [
        ("http://127.0.0.1:9911/credentials/a", "http://127.0.0.1:9911/credentials/a"),
        ("http://127.9.9.9", "http://127.9.9.9"),
        ("http://[::1]:80/x", "http://[::1]:80/x"),
        ("HTTP://LocalHost:8000/x", "http://127.0.0.1:8000/x"),
        ("http://169.254.170.2/x", "http://169.254.170.2/x"),
        ("http://169.254.170.23/v1/credentials", "http://169.254.170.23/v1/credentials"),
        ("http://[fd00:ec2::23]/v1/credentials", "http://[fd00:ec2::23]/v1/credentials"),
        ("https://example.com/creds", "https://example.com/creds"),
    ] {
        assert_eq!(url(given), Ok(Some(taken.to_owned())), "{given}");
    }
    let elsewhere = "AWS_CONTAINER_CREDENTIALS_FULL_URI: without https it may name this host, \
                     169.254.170.2, 169.254.170.23 or fd00:ec2::23";
    for (given, why) in [
        ("http://example.com/x", elsewhere),
        ("http://169.254.169.254/x", elsewhere),
        ("http://10.0.0.1/x", elsewhere),
        ("http://127.0.0.1.example.com/x", elsewhere),
        ("http://localhost.example.com/x", elsewhere),
        ("http://127.1/x", elsewhere),
        ("http://[::ffff:10.0.0.1]/x", elsewhere),
        ("http://127.0.0.1@example.com/x", "AWS_CONTAINER_CREDENTIALS_FULL_URI: not a URL"),
        ("http://127.0.0.1:0/x", "AWS_CONTAINER_CREDENTIALS_FULL_URI: not a URL"),
        ("http://[::1/x", "AWS_CONTAINER_CREDENTIALS_FULL_URI: not a URL"),
        ("http:///x", "AWS_CONTAINER_CREDENTIALS_FULL_URI: not a URL"),
        ("http://127.0.0.1/a b", "AWS_CONTAINER_CREDENTIALS_FULL_URI: not a URL"),
        ("ftp://127.0.0.1/x", "AWS_CONTAINER_CREDENTIALS_FULL_URI: not a URL"),
        ("/x", "AWS_CONTAINER_CREDENTIALS_FULL_URI: not a URL"),
    ] {
        assert_eq!(url(given), Err(why.to_owned()), "{given}");
    }
}

#[test]
fn the_host_is_explained_without_the_path_that_makes_a_container() {
    let case = Case {
        config: "[profile a]\ncredential_source = EcsContainer\n[profile b]\ncredential_source = Ec2InstanceMetadata\n",
        env: &[("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/credentials/secret")],
        ask: "a",
        ..Case::default()
    };
    let plan = planned(&case).unwrap();
    let from = |plan: &Plan| plan.to_text().lines().nth(1).unwrap().to_owned();
    assert_eq!(from(&plan), "from      the container's credentials agent at http://169.254.170.2");
    let base = serde_json::json!({"kind": "container", "endpoint": "http://169.254.170.2"});
    assert_eq!(plan.to_json()["base"], base);
    let plan = planned(&Case { ask: "b", ..case }).unwrap();
    assert_eq!(
        from(&plan),
        "from      the EC2 instance's role, by its metadata service at http://169.254.169.254"
    );
    assert_eq!(plan.to_json()["base"]["kind"], "instance");
}
