//! `rotate`: a new key in the place of the old one, from wherever an earlier run stopped; and at every
//! moment the vault has a key that works.

mod crash;
mod many;
mod meanwhile;
mod mfa;
mod other;
mod spread;
mod touch;

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::builder::Test;
use crate::support::standin::client::Client;
use crate::support::standin::{Fault, StandIn, User, World};
use crate::support::{ACCESS_KEY_ID, MFA_SEED, MFA_SERIAL, SECRET_ACCESS_KEY};
use crate::vault_file::{payload_of, plaintext_of};

const CONFIG: &str = "[profile ci]\n\n\
    [profile deploy]\nsource_profile = ci\nrole_arn = arn:aws:iam::123456789012:role/deploy\n";

/// An account with one user, who has a key, and a device that nobody asks for.
pub fn world() -> World {
    let robot = User::new("robot").key(ACCESS_KEY_ID, SECRET_ACCESS_KEY).mfa(MFA_SERIAL, MFA_SEED);
    World::empty().user(robot)
}

pub fn place(standin: &StandIn) -> Test {
    let test = Test::new().config(CONFIG).vault_with("ci");
    test.standin(standin).env("AWS_ENDPOINT_URL_IAM", standin.endpoint())
}

fn rotate(test: &Test) -> Test {
    test.command(["rotate", "ci"])
}

/// Whoever starts a command now gets a key that AWS takes.
#[track_caller]
pub fn assert_works(test: &Test, standin: &StandIn) {
    let output = test.command(["exec", "--json", "-n", "ci"]).expect_stderr("").run();
    let key: Value = serde_json::from_str(&output.stdout).unwrap();
    let text = |field: &str| key[field].as_str().unwrap().to_owned();
    let client = Client {
        id: text("AccessKeyId"),
        secret: text("SecretAccessKey"),
        ..Client::demo(standin)
    };
    assert_eq!(client.call("GetCallerIdentity", &[]), "ok", "{}", standin.log());
}

/// The user has one key, which is active and the vault's, the journal is empty, and the first key was
/// deleted.
#[track_caller]
pub fn assert_rotated(test: &Test, standin: &StandIn) {
    let keys = standin.keys();
    let [key] = &keys[..] else { panic!("{keys:?}\n{}", standin.log()) };
    assert!(key.active && key.id != ACCESS_KEY_ID, "{}", standin.log());
    let payload = payload_of(test.vault_file());
    let stored = payload.credential("ci").unwrap();
    assert_eq!(stored.access_key_id, key.id);
    assert_eq!(stored.secret_access_key.expose(), key.secret);
    let vault = plaintext(test);
    assert!(!vault.contains("journal") && !vault.contains(ACCESS_KEY_ID), "the old key was kept");
    assert!(standin.deleted_keys().iter().any(|key| key.id == ACCESS_KEY_ID));
    assert_works(test, standin);
}

/// What the vault holds.
pub fn plaintext(test: &Test) -> String {
    let file = std::fs::read(test.vault_file()).unwrap();
    String::from_utf8(plaintext_of(&file).unwrap()).unwrap()
}

/// Waits until the stand-in has seen so many calls.
fn await_calls(standin: &StandIn, count: usize) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while standin.calls().len() < count {
        assert!(Instant::now() < deadline, "{}", standin.log());
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The log of calls, `old` being the first key.
fn log(standin: &StandIn) -> String {
    standin.log().replace(ACCESS_KEY_ID, "old").replace(" in us-east-1", "")
}

#[test]
fn a_key_is_made_saved_proven_and_the_old_one_deleted() {
    let standin = StandIn::start(world());
    let test = place(&standin);
    let output = rotate(&test).expect_stderr("").run();
    let new = standin.keys()[0].id.clone();
    let line = format!("ci: {ACCESS_KEY_ID} is replaced by {new}, for the user robot\n");
    assert_eq!(output.stdout, line);
    assert_eq!(
        log(&standin),
        "GetCallerIdentity by old: ok\n\
         ListAccessKeys by old user=robot: ok\n\
         CreateAccessKey by old user=robot: ok\n\
         GetCallerIdentity by key 1: ok\n\
         UpdateAccessKey by key 1 user=robot key=old status=Inactive: ok\n\
         GetCallerIdentity by key 1: ok\n\
         DeleteAccessKey by key 1 user=robot key=old: ok\n"
    );
    assert_rotated(&test, &standin);
    // And again.
    rotate(&test).run();
    assert_eq!(standin.deleted_keys().len(), 2);
    assert_rotated(&test, &standin);
}

#[test]
fn the_result_is_json_on_request() {
    let standin = StandIn::start(world());
    let test = place(&standin);
    let output = test.command(["rotate", "deploy", "--json"]).expect_stderr("").run();
    let found: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(
        found,
        serde_json::json!({
            "profiles": ["ci"],
            "state": "rotated",
            "user": "robot",
            "old": ACCESS_KEY_ID,
            "new": standin.keys()[0].id,
        })
    );
    assert_rotated(&test, &standin);
}

#[test]
fn a_dry_run_changes_nothing() {
    let standin = StandIn::start(world());
    let test = place(&standin);
    let before = std::fs::read(test.vault_file()).unwrap();
    let line = format!(
        "ci: would replace {ACCESS_KEY_ID}, made 2026-01-31T12:00:00Z, for the user robot\n"
    );
    let dry = |words: &[&str]| test.command([&["rotate", "--dry-run"], words].concat());
    dry(&["deploy"]).expect_stdout(&line).expect_stderr("").run();
    dry(&["--all"]).expect_stdout(line).expect_stderr("").run();
    let json = dry(&["ci", "--json"]).run().stdout;
    assert!(json.contains("\"state\":\"would-rotate\""), "{json}");
    // Where AWS tells nothing without MFA, no code is spent to hear more.
    standin.change(|world| world.with_mfa.push("ListAccessKeys".to_owned()));
    test.command(["totp", "add", MFA_SERIAL, "--stdin"]).stdin(MFA_SEED).run();
    let before_seed = before;
    let before = std::fs::read(test.vault_file()).unwrap();
    assert_ne!(before, before_seed);
    dry(&["ci"])
        .env("AWS_MFA_SERIAL", MFA_SERIAL)
        .expect_stdout(format!("ci: would replace {ACCESS_KEY_ID} for the user robot\n"))
        .run();
    assert_eq!(std::fs::read(test.vault_file()).unwrap(), before);
    let calls = standin.calls();
    let reading = ["GetCallerIdentity", "ListAccessKeys"];
    assert!(calls.iter().all(|call| reading.contains(&&*call.action)), "{}", log(&standin));
}

#[test]
fn cached_sessions_of_the_old_key_are_dropped() {
    let standin = StandIn::start(world());
    let test = place(&standin).stored("else", "AKIAI44QH8DHBEXAMPLE", SECRET_ACCESS_KEY);
    let robots = User::new("else").key("AKIAI44QH8DHBEXAMPLE", SECRET_ACCESS_KEY);
    let role = crate::support::standin::Role::new("deploy");
    standin.change(|world| {
        world.users.push(robots);
        world.roles.push(role);
    });
    for profile in ["ci", "deploy", "else"] {
        test.command(["exec", "--json", profile]).run();
    }
    let sessions = || test.command(["list", "--sessions"]).run().stdout;
    assert_eq!(sessions().lines().count(), 3, "{}", sessions());
    rotate(&test).run();
    assert!(sessions().starts_with("else session:") && sessions().lines().count() == 1);
    let standin_keys = standin.keys().len();
    assert_eq!(standin_keys, 2);
}

#[test]
fn only_the_key_of_a_user_in_the_vault_can_be_rotated() {
    let standin = StandIn::start(world());
    let test = place(&standin);
    let config = format!(
        "{CONFIG}[profile plain]\naws_access_key_id = {ACCESS_KEY_ID}\n\
         aws_secret_access_key = {SECRET_ACCESS_KEY}\n"
    );
    let test = test.config(&config);
    test.command(["rotate", "plain"])
        .expect_error(
            3,
            "vault: error: the credentials of profile \"plain\" do not come from a key in the vault\n\
             vault: hint: only a key that the vault has can be rotated\n",
        )
        .run();
    test.command(["rotate", "nobody"]).expect_status(3).expect_stdout("").run();
    assert!(standin.calls().is_empty());
    test.command(["rotate"])
        .expect_error(
            2,
            "vault: error: <PROFILE> is missing\nvault: hint: see vault rotate --help\n",
        )
        .run();
    // A key that AWS does not know (any longer).
    let stale = test.stored("ci", "AKIAI44QH8DHBEXAMPLE", SECRET_ACCESS_KEY);
    rotate(&stale)
        .expect_error(
            9,
            "vault: error: AWS does not know the access key (key AKIAI44QH8DHBEXAMPLE of profile ci)\n\
             vault: hint: it was deleted, is inactive, belongs to another partition, or is only \
             seconds old\n",
        )
        .run();
    assert!(!plaintext(&stale).contains("journal"));
}

#[test]
fn what_the_policies_refuse_leaves_nothing_behind() {
    let hint = "vault: hint: the user must be allowed to list, create, update and delete its own \
                access keys; if the policies want MFA, the profile has to name the device by mfa_serial\n";
    let whose = format!(" (key {ACCESS_KEY_ID} of profile ci)\n{hint}");
    for denied in ["ListAccessKeys", "CreateAccessKey"] {
        let standin = StandIn::start(world());
        standin.change(|world| world.denied = vec![denied.to_owned()]);
        let test = place(&standin);
        let output = rotate(&test).expect_status(9).expect_stdout("").run();
        assert!(output.stderr.ends_with(&whose), "{}", output.stderr);
        assert!(!plaintext(&test).contains("journal"));
        assert_eq!(standin.keys().len(), 1);
    }
    // Refused later, it is finished later.
    for denied in ["UpdateAccessKey", "DeleteAccessKey"] {
        let standin = StandIn::start(world());
        standin.change(|world| world.denied = vec![denied.to_owned()]);
        let test = place(&standin);
        rotate(&test).expect_status(9).expect_stdout("").run();
        assert_works(&test, &standin);
        standin.change(|world| world.denied.clear());
        test.command(["rotate", "--resume"]).run();
        assert_rotated(&test, &standin);
    }
}

#[test]
fn no_message_holds_a_secret() {
    let faults = [None, Some(Fault::AccessDenied), Some(Fault::DropAfter), Some(Fault::Html(200))];
    for fault in faults {
        for at in 0..8 {
            let standin = StandIn::start(world());
            standin.change(|world| {
                world.with_mfa = vec!["CreateAccessKey".to_owned(), "DeleteAccessKey".to_owned()];
            });
            let test = place(&standin).env("AWS_MFA_SERIAL", MFA_SERIAL);
            test.command(["totp", "add", MFA_SERIAL, "--stdin"]).stdin(MFA_SEED).run();
            if let Some(fault) = fault {
                standin.pass_next(at);
                standin.fail_next(fault);
            }
            let words = ["rotate", "ci", "--debug", "--json"];
            let output = test.command(words).any_status().run();
            let said = format!("{}{}", output.stdout, output.stderr);
            let keys = standin.keys().into_iter().chain(standin.deleted_keys());
            let secrets = keys.map(|key| key.secret).chain(
                standin
                    .issued()
                    .into_iter()
                    .flat_map(|it| [it.secret_access_key, it.session_token]),
            );
            for secret in secrets.chain([SECRET_ACCESS_KEY.to_owned(), MFA_SEED.to_owned()]) {
                assert!(!said.contains(&secret), "{said}");
            }
            if fault.is_none() {
                break;
            }
        }
    }
}
