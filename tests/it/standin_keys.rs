//! The stand-in's access keys, examined before they are a witness.

use crate::support::standin::client::{Client, between};
use crate::support::standin::{StandIn, User, World};
use crate::support::{ACCESS_KEY_ID, MFA_SEED, MFA_SERIAL, SECRET_ACCESS_KEY};

const ROBOT: (&str, &str) = ("UserName", "robot");

fn start() -> StandIn {
    let robot = User::new("robot").key(ACCESS_KEY_ID, SECRET_ACCESS_KEY).mfa(MFA_SERIAL, MFA_SEED);
    let standin = StandIn::start(World::empty().user(robot).user(User::new("other")));
    standin.freeze(1_769_860_830);
    standin
}

/// A client with the key that was made last.
fn newest(standin: &StandIn) -> Client<'_> {
    let key = standin.keys().pop().unwrap();
    Client { id: key.id, secret: key.secret, ..Client::demo(standin) }
}

fn who(client: &Client) -> String {
    client.call("GetCallerIdentity", &[])
}

const UNKNOWN: &str =
    "403 InvalidClientTokenId: The security token included in the request is invalid.";

#[test]
fn a_user_has_two_keys_at_most_and_hears_a_secret_once() {
    let standin = start();
    let iam = Client::demo(&standin).iam();
    let answer = iam.raw("CreateAccessKey", &[ROBOT]);
    let key = standin.keys().pop().unwrap();
    assert_eq!(between(&answer, "<SecretAccessKey>", "<"), key.secret);
    assert_eq!(between(&answer, "<AccessKeyId>", "<"), key.id);
    assert_eq!(
        iam.call("CreateAccessKey", &[ROBOT]),
        "409 LimitExceeded: Cannot exceed quota for AccessKeysPerUser: 2"
    );
    let list = iam.raw("ListAccessKeys", &[ROBOT]);
    assert!(list.contains(ACCESS_KEY_ID) && list.contains(&key.id) && !list.contains(&key.secret));
    assert!(list.contains("<CreateDate>2026-01-31T12:00:30Z</CreateDate>"), "{list}");
    let others = iam.call("ListAccessKeys", &[("UserName", "other")]);
    assert!(others.starts_with("403 AccessDenied"), "{others}");
    let surplus = iam.call("CreateAccessKey", &[ROBOT, ("Surplus", "x")]);
    assert!(surplus.starts_with("400 UnknownParameter"), "{surplus}");
}

#[test]
fn a_new_key_works_after_a_while() {
    let standin = start();
    standin.change(|world| world.spread = 15);
    Client::demo(&standin).iam().call("CreateAccessKey", &[ROBOT]);
    standin.move_clock(14);
    assert_eq!(who(&newest(&standin)), UNKNOWN);
    assert_eq!(newest(&standin).iam().call("ListAccessKeys", &[ROBOT]), UNKNOWN);
    standin.move_clock(1);
    assert_eq!(who(&newest(&standin)), "ok");
}

#[test]
fn an_inactive_key_and_a_deleted_one_are_unknown_and_so_are_their_sessions() {
    for outlive in [false, true] {
        let standin = start();
        standin.change(|world| world.sessions_outlive_keys = outlive);
        let demo = Client::demo(&standin);
        let given = demo.get("GetSessionToken", &[]);
        demo.clone().iam().call("CreateAccessKey", &[ROBOT]);
        let iam = newest(&standin).iam();
        let key = ("AccessKeyId", ACCESS_KEY_ID);
        let inactive = [ROBOT, key, ("Status", "Inactive")];
        assert_eq!(iam.call("UpdateAccessKey", &inactive), "ok");
        assert_eq!(who(&demo), UNKNOWN);
        let of_it = who(&Client::with(&standin, &given));
        assert_eq!(of_it, if outlive { "ok" } else { UNKNOWN });
        assert_eq!(iam.call("UpdateAccessKey", &[ROBOT, key, ("Status", "Active")]), "ok");
        assert_eq!(who(&demo), "ok");
        assert_eq!(iam.call("DeleteAccessKey", &[ROBOT, key]), "ok");
        assert_eq!(who(&demo), UNKNOWN);
        let gone = iam.call("DeleteAccessKey", &[ROBOT, key]);
        assert!(gone.starts_with("404 NoSuchEntity"), "{gone}");
        assert_eq!(standin.deleted_keys().len(), 1);
    }
}

#[test]
fn with_temporary_credentials_the_user_must_be_named_and_mfa_may_be_demanded() {
    let standin = start();
    standin.change(|world| world.with_mfa.push("DeleteAccessKey".to_owned()));
    let demo = Client::demo(&standin);
    let key = ("AccessKeyId", ACCESS_KEY_ID);
    let denied = demo.clone().iam().call("DeleteAccessKey", &[ROBOT, key]);
    assert!(denied.starts_with("403 AccessDenied"), "{denied}");
    let code = standin.totp_now(MFA_SEED);
    let given = demo.get("GetSessionToken", &[("SerialNumber", MFA_SERIAL), ("TokenCode", &code)]);
    let session = Client::with(&standin, &given).iam();
    let unnamed = session.call("DeleteAccessKey", &[key]);
    assert_eq!(
        unnamed,
        "400 ValidationError: Must specify userName when calling with non-User credentials"
    );
    assert_eq!(session.call("DeleteAccessKey", &[ROBOT, key]), "ok");
}

#[test]
fn the_last_use_is_given() {
    let standin = start();
    let iam = Client::demo(&standin).iam();
    iam.call("CreateAccessKey", &[ROBOT]);
    let key = standin.keys().pop().unwrap();
    let used = |id: &str| iam.raw("GetAccessKeyLastUsed", &[("AccessKeyId", id)]);
    assert_eq!(between(&used(&key.id), "<ServiceName>", "<"), "N/A");
    assert_eq!(between(&used(&key.id), "<LastUsedDate>", "<"), "");
    who(&newest(&standin));
    assert_eq!(between(&used(&key.id), "<LastUsedDate>", "<"), "2026-01-31T12:00:30Z");
    assert_eq!(between(&used(&key.id), "<ServiceName>", "<"), "sts");
}
