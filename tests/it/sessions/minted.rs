//! A `credential_process` that gives other temporary keys each time: its roles are served from the cache,
//! for the account that it names.

use super::{json, quiet, sts};
use crate::support::builder::Test;
use crate::support::scene::{self, log};
use crate::support::standin::client::Client;
use crate::support::standin::{Fault, Role, StandIn, User, World};
use crate::support::{ACCESS_KEY_ID, MFA_SERIAL, SECRET_ACCESS_KEY};

const CONFIG: &str = "\
[profile base]
credential_process = sh mint

[profile role]
source_profile = base
role_arn = arn:aws:iam::123456789012:role/deploy

[profile hops]
source_profile = role
role_arn = arn:aws:iam::123456789012:role/audit
";

/// Prints `answers/1`, then `answers/2` and so on, with what `tail` has at the end of each.
const MINT: &str = "n=$(($(cat count 2>/dev/null || echo 0) + 1)); echo $n >count; \
                    cat answers/$n tail";
const TAIL: &str = r#", "Expiration": "2099-01-01T00:00:00Z", "AccountId": "123456789012"}"#;

/// A program's answer but for what is in [`TAIL`]: a session of this client, with these parameters.
fn answer(client: &Client, parameters: &[(&str, &str)]) -> String {
    let given = client.get("GetSessionToken", parameters);
    format!(
        r#"{{"Version": 1, "AccessKeyId": "{}", "SecretAccessKey": "{}", "SessionToken": "{}""#,
        given.access_key_id, given.secret_access_key, given.session_token
    )
}

/// An open vault, a program with so many answers, and this at their end.
fn minting(standin: &StandIn, count: usize, tail: &str) -> Test {
    let test = scene::with(standin, CONFIG).file("mint", MINT, 0o600).file("tail", tail, 0o600);
    let client = Client::demo(standin);
    let test = (1..=count).fold(test, |test, number| {
        test.file(&format!("answers/{number}"), answer(&client, &[]), 0o600)
    });
    assert_eq!(standin.calls().len(), count);
    test
}

/// How many roles were assumed.
fn assumed(standin: &StandIn) -> usize {
    standin.calls().iter().filter(|call| call.action == "AssumeRole").count()
}

#[test]
fn new_keys_of_the_same_account_get_the_same_roles() {
    let standin = sts(0);
    let test = minting(&standin, 7, TAIL);
    let role = quiet(&test, "role").stdout;
    assert_eq!(quiet(&test, "role").stdout, role);
    let hops = quiet(&test, "hops").stdout;
    assert_eq!(quiet(&test, "hops").stdout, hops);
    assert_eq!(assumed(&standin), 2, "{}", log(&standin));
    // What was made before does not count, and the new one is there for all.
    let fresh = json(&test, "role").arg("--refresh").expect_stderr("").run().stdout;
    assert_ne!(fresh, role);
    assert_eq!(quiet(&test, "role").stdout, fresh);
    assert_eq!(assumed(&standin), 3, "{}", log(&standin));
    // The keys themselves are handed out as they come.
    let base = quiet(&test, "base").stdout;
    assert!(base.contains(&standin.issued()[6].access_key_id), "{base}");
}

#[test]
fn another_account_or_command_or_profile_another_session() {
    let standin = sts(0);
    let test = minting(&standin, 8, TAIL);
    let role = quiet(&test, "role").stdout;
    let other = TAIL.replace("123456789012", "210987654321");
    let turns = [
        (other.as_str(), CONFIG.to_owned()),
        (TAIL, CONFIG.replace("sh mint", "sh  mint")),
        (TAIL, CONFIG.replace("base", "main")),
    ];
    for (number, (tail, config)) in turns.into_iter().enumerate() {
        let test = test.clone().file("tail", tail, 0o600).config(&config);
        let given = quiet(&test, "role").stdout;
        assert_ne!(given, role);
        assert_eq!(quiet(&test, "role").stdout, given);
        assert_eq!(assumed(&standin), 2 + number, "{}", log(&standin));
    }
    let back = test.file("tail", TAIL, 0o600).config(CONFIG);
    assert_eq!(quiet(&back, "role").stdout, role);
}

/// A program that prints what another file has for another login, and what tells it which one.
type ByLogin = (&'static str, fn(Test, &str) -> Test);

#[test]
fn another_login_by_variables_or_directory_another_session() {
    let ways: [ByLogin; 4] = [
        ("cat ~/$AWS_PROFILE/login", |test, login| test.env("AWS_PROFILE", login)),
        ("cat $(dirname $AWS_CONFIG_FILE)/login", |test, login| {
            let path = test.home().join(login).join("config");
            test.env("AWS_CONFIG_FILE", path)
        }),
        ("cat $XDG_CONFIG_HOME/login", |test, login| {
            let path = test.home().join(login);
            test.env("XDG_CONFIG_HOME", path)
        }),
        ("cat login", |test, login| test.in_dir(login)),
    ];
    for (command, by) in ways {
        let standin = sts(0);
        let config = CONFIG.replace("sh mint", command);
        let client = Client::demo(&standin);
        let test = ["alice", "bob"].iter().fold(scene::with(&standin, &config), |test, login| {
            let login_file = answer(&client, &[]) + TAIL;
            test.file(&format!("{login}/login"), login_file, 0o600).file(
                &format!("{login}/config"),
                &config,
                0o600,
            )
        });
        let [alice, bob] = ["alice", "bob"].map(|login| {
            let given = by(json(&test, "role"), login).expect_stderr("").run().stdout;
            let again = by(json(&test, "role"), login).env("AWS_MIN_TTL", "1m");
            assert_eq!(again.expect_stderr("").run().stdout, given, "{command}");
            given
        });
        assert_ne!(alice, bob, "{command}");
        assert_eq!(assumed(&standin), 2, "{command}:\n{}", log(&standin));
    }
}

#[test]
fn a_login_that_aws_refuses_gets_no_role_of_the_one_before() {
    let (id, secret) = ("AKIAI44QH8DHBEXAMPLE", "je7MtGbClwBF/2Zp9Utk/h3yCo8nvbEXAMPLEKEY");
    let world = World::demo().user(User::new("bob").key(id, secret));
    let world = world.role(Role::new("deploy").requires_mfa()).role(Role::new("audit"));
    let standin = StandIn::start(world);
    let alice = Client::demo(&standin);
    let bob = Client { id: id.to_owned(), secret: secret.to_owned(), ..Client::demo(&standin) };
    let code = scene::code(&standin);
    let alice = answer(&alice, &[("SerialNumber", MFA_SERIAL), ("TokenCode", &code)]) + TAIL;
    let bob = answer(&bob, &[]) + TAIL;
    let test = scene::with(&standin, &CONFIG.replace("sh mint", "cat login"));
    for (flag, profile) in [("--refresh", "hops"), ("--refresh", "role"), ("", "role")] {
        let test = test.clone().file("login", &alice, 0o600);
        quiet(&test, profile);
        // Now as somebody else, who may not.
        let test = test.file("login", &bob, 0o600);
        let refused = |run: Test| {
            let said = run.expect_status(9).expect_stdout("").run().stderr;
            let why = "vault: error: AWS refused AssumeRole: AccessDenied: ";
            assert!(said.starts_with(why), "{said}");
        };
        refused(match flag {
            "" => json(&test, profile).env("AWS_MIN_TTL", "2h"),
            flag => json(&test, profile).arg(flag),
        });
        refused(json(&test, profile));
    }
}

#[test]
fn a_refusal_that_is_not_of_the_login_leaves_the_role() {
    let standin = sts(0);
    let test = minting(&standin, 4, TAIL);
    let role = quiet(&test, "role").stdout;
    // The key that the program gives has not spread.
    standin.fail_always(Some(Fault::UnknownKey));
    json(&test, "role").arg("--refresh").expect_status(9).expect_stdout("").run();
    let served = json(&test, "role").env("AWS_MIN_TTL", "2h").run();
    assert_eq!(served.stdout, role);
    assert!(served.stderr.contains("could not be renewed"), "{}", served.stderr);
    assert_eq!(quiet(&test, "role").stdout, role);
}

#[test]
fn what_names_no_account_or_no_end_is_known_by_its_key() {
    for tail in [
        r#", "Expiration": "2099-01-01T00:00:00Z"}"#,
        r#", "AccountId": "123456789012"}"#,
        r#", "Expiration": "2099-01-01T00:00:00Z", "AccountId": "me"}"#,
        r#", "Expiration": "2099-01-01T00:00:00Z", "AccountId": ""}"#,
        "}",
    ] {
        let standin = sts(0);
        let test = minting(&standin, 2, tail);
        let role = quiet(&test, "role").stdout;
        assert_ne!(quiet(&test, "role").stdout, role, "{tail}");
        assert_eq!(assumed(&standin), 2, "{tail}");
    }
}

#[test]
fn a_key_that_does_not_end_is_known_by_itself() {
    let standin = sts(0);
    let answer = format!(
        r#"{{"Version": 1, "AccessKeyId": "{ACCESS_KEY_ID}", "SecretAccessKey": "{SECRET_ACCESS_KEY}", "AccountId": "123456789012""#
    );
    let test = scene::with(&standin, CONFIG)
        .file("mint", "cat answer tail", 0o600)
        .file("answer", answer, 0o600)
        .file("tail", "}", 0o600);
    let role = quiet(&test, "role").stdout;
    // The same key from another program is the same key.
    let test = test.config(&CONFIG.replace("sh mint", "sh ./mint"));
    assert_eq!(quiet(&test, "role").stdout, role);
    assert_eq!(assumed(&standin), 1);
}

#[test]
fn a_program_that_gives_nothing_any_more_has_no_role() {
    let standin = sts(0);
    let test = minting(&standin, 1, TAIL);
    quiet(&test, "role");
    // Somebody has logged out.
    json(&test.file("mint", "exit 3", 0o600), "role")
        .expect_error(
            1,
            "vault: error: the credential_process of profile \"base\" failed with exit status 3\n",
        )
        .run();
}

#[test]
fn without_an_open_vault_the_roles_are_kept_for_the_same_key_alone() {
    let standin = sts(0);
    let test = minting(&standin, 2, TAIL).env_remove("AWS_VAULT_AGE_KEY");
    std::fs::remove_file(test.vault_file()).expect("the vault");
    let role = quiet(&test, "role").stdout;
    assert_ne!(quiet(&test, "role").stdout, role);
    assert_eq!(assumed(&standin), 2);
}
