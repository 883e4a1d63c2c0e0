//! Of several sources in one profile, and of several profiles in a chain: which counts.

use super::*;

#[test]
fn loops_are_shown() {
    let case = Case { ask: "a", ..Case::default() };
    run(&[
        Case {
            says: "of two",
            config: "[profile a]\nsource_profile = b\n[profile b]\nsource_profile = a\n",
            gives: "error 2: source_profile loop: a -> b -> a\nhint: take the source_profile out of one of these profiles",
            ..case
        },
        Case {
            says: "further on",
            config: "[profile a]\nsource_profile = b\n[profile b]\nsource_profile = c\n\
                     [profile c]\nsource_profile = b\n",
            gives: "error 2: source_profile loop: a -> b -> c -> b\nhint: take the source_profile out of one of these profiles",
            ..case
        },
        Case {
            says: "whatever the vault holds",
            config: "[profile a]\nsource_profile = b\n[profile b]\nsource_profile = a\n",
            stored: &["a", "b"],
            gives: "error 2: source_profile loop: a -> b -> a\nhint: take the source_profile out of one of these profiles",
            ..case
        },
        Case {
            says: "of includes",
            config: "[profile a]\ninclude_profile = b\n[profile b]\ninclude_profile = a\n",
            stored: &["a"],
            gives: "error 2: include_profile loop: a -> b -> a\nhint: take the include_profile out of one of these profiles",
            ..case
        },
        Case {
            says: "of one that includes itself",
            config: "[profile a]\ninclude_profile = a\n",
            stored: &["a"],
            gives: "error 2: include_profile loop: a -> a\nhint: take the include_profile out of one of these profiles",
            ..case
        },
        Case {
            says: "of the includes of [default] is not the profile's",
            config: "[default]\ninclude_profile = b\n[profile b]\ninclude_profile = default\nregion = x-1\n[profile a]\n",
            stored: &["a"],
            ask: "a --no-session",
            gives: "vault a\nregion x-1",
            ..case
        },
    ]);
}

#[test]
fn of_several_sources_the_aws_cli_s_first_counts() {
    let case = Case { ask: "a --no-session", ..Case::default() };
    let keys = "[a]\naws_access_key_id = x\naws_secret_access_key = y\n";
    run(&[
        Case {
            says: "a web identity before a source profile and keys",
            config: "[profile a]\nrole_arn = ACCT:role/a\nweb_identity_token_file = /t\nsource_profile = gone\n",
            credentials: keys,
            gives: "token /t by a\nidentity ACCT:role/a 1h as vault-a\nsts us-east-1",
            ..case
        },
        Case {
            says: "a role over another profile before its own keys",
            config: "[profile a]\nrole_arn = ACCT:role/a\nsource_profile = b\n",
            credentials: "[a]\naws_access_key_id = x\naws_secret_access_key = y\n\
                          [b]\naws_access_key_id = x\naws_secret_access_key = y\n",
            gives: "plaintext b\nrole ACCT:role/a 1h as vault-a\nsts us-east-1",
            ..case
        },
        Case {
            says: "IAM Identity Center before keys and a program",
            config: "[profile a]\ncredential_process = c\nsso_account_id = 123456789012\nsso_role_name = r\n\
                     sso_start_url = https://x\nsso_region = us-east-1\n",
            credentials: keys,
            gives: "login https://x sso:account:access by a, us-east-1, us-east-1\nsso r in 123456789012",
            ..case
        },
        Case {
            says: "a session's name alone is no source where there are keys",
            config: "[profile a]\nsso_session = gone\n",
            credentials: keys,
            gives: "plaintext a",
            ..case
        },
        Case {
            says: "without a role, its own keys before a source profile",
            config: "[profile a]\nsource_profile = gone\n",
            credentials: keys,
            gives: "plaintext a",
            ..case
        },
        Case {
            says: "two sources beside a role",
            config: "[profile a]\nrole_arn = ACCT:role/a\nsource_profile = a\ncredential_source = Environment\n",
            credentials: keys,
            gives: "error 2: profile \"a\" has both source_profile and credential_source
                hint: leave one of them out: the role is assumed with one or the other",
            ..case
        },
        Case {
            says: "the vault before both",
            config: "[profile a]\nrole_arn = ACCT:role/a\nsource_profile = a\ncredential_source = Environment\n",
            stored: &["a"],
            gives: "vault a\nrole ACCT:role/a 1h as vault-a\nsts us-east-1",
            ..case
        },
    ]);
}

#[test]
fn keys_in_the_files_of_a_source_end_the_chain_and_a_key_in_the_vault_does_not() {
    let case = Case {
        config: "[profile a]\nrole_arn = ACCT:role/a\nsource_profile = b\n\
                 [profile b]\nrole_arn = ACCT:role/b\nsource_profile = c\n",
        ask: "a --no-session",
        ..Case::default()
    };
    run(&[
        Case {
            says: "in the credentials file",
            credentials: "[b]\naws_access_key_id = x\naws_secret_access_key = y\n",
            gives: "plaintext b\nrole ACCT:role/a 1h as vault-a\nsts us-east-1",
            ..case
        },
        Case {
            says: "in the vault too",
            credentials: "[b]\naws_access_key_id = x\naws_secret_access_key = y\n",
            stored: &["b"],
            gives: "vault b\nrole ACCT:role/b 1h as vault-b\nrole ACCT:role/a 1h as vault-a\nsts us-east-1",
            ..case
        },
        Case {
            says: "its own order holds",
            config: "[profile a]\nrole_arn = ACCT:role/a\nsource_profile = b\n\
                     [profile b]\nrole_arn = ACCT:role/b\nweb_identity_token_file = /t\n",
            credentials: "[b]\naws_access_key_id = x\naws_secret_access_key = y\n",
            gives: "token /t by b\nidentity ACCT:role/b 1h as vault-b\nrole ACCT:role/a 1h as vault-a\nsts us-east-1",
            ..case
        },
    ]);
}
