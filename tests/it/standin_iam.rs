//! The stand-in for IAM, examined before it is a witness.

use crate::support::standin::client::{Client, between};
use crate::support::standin::{StandIn, User, World, totp};
use crate::support::{ACCESS_KEY_ID, MFA_SEED, SECRET_ACCESS_KEY};

const SERIAL: &str = "arn:aws:iam::123456789012:mfa/robot";
const CREATE: (&str, &[(&str, &str)]) =
    ("CreateVirtualMFADevice", &[("VirtualMFADeviceName", "robot")]);

fn start() -> StandIn {
    let robot = User::new("robot").key(ACCESS_KEY_ID, SECRET_ACCESS_KEY);
    let standin = StandIn::start(World::empty().user(robot).user(User::new("other")));
    standin.freeze(1_769_860_830);
    standin
}

/// EnableMFADevice with the codes of two steps, counted from now.
fn enable(standin: &StandIn, user: &str, serial: &str, seed: &str, steps: [i64; 2]) -> String {
    let [first, second] = steps.map(|step| totp::code(seed, totp::step(standin.now()) + step));
    Client::demo(standin).iam().call(
        "EnableMFADevice",
        &[
            ("UserName", user),
            ("SerialNumber", serial),
            ("AuthenticationCode1", &first),
            ("AuthenticationCode2", &second),
        ],
    )
}

#[test]
fn the_seed_is_base64_of_base32_and_shown_once() {
    let standin = start();
    let iam = Client::demo(&standin).iam();
    let answer = iam.raw(CREATE.0, CREATE.1);
    assert_eq!(between(&answer, "<SerialNumber>", "<"), SERIAL);
    assert!(answer.contains("xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\""));
    let device = standin.devices().remove(0);
    assert_eq!(device.seed.len(), 64);
    assert!(!answer.contains(&device.seed));
    assert_eq!(
        iam.call(CREATE.0, CREATE.1),
        "409 EntityAlreadyExists: MFADevice entity at the same path and name already exists."
    );
    let wrong = iam.call("EnableMFADevice", &[("UserName", "robot"), ("Surplus", "x")]);
    assert!(wrong.starts_with("400 UnknownParameter"), "{wrong}");
}

#[test]
fn signatures_are_for_iam_in_us_east_1() {
    let standin = start();
    let iam = Client::demo(&standin).iam();
    let elsewhere = Client { region: "eu-west-1", ..iam.clone() };
    assert!(elsewhere.call(CREATE.0, CREATE.1).contains("not 'eu-west-1'"));
    let for_sts = Client { service: "sts", ..iam };
    assert!(for_sts.call(CREATE.0, CREATE.1).contains("correct service: 'iam'"));
    assert!(standin.devices().is_empty());
}

#[test]
fn a_device_is_enabled_by_two_consecutive_codes_of_a_thousand_steps_around() {
    let standin = start();
    Client::demo(&standin).iam().call(CREATE.0, CREATE.1);
    let seed = standin.devices().remove(0).seed;
    let invalid = "403 InvalidAuthenticationCode: Authentication code for device is not valid.";
    for steps in [[-1, -2], [-2, 0], [-1, -1], [-1002, -1001], [1000, 1001]] {
        assert_eq!(enable(&standin, "robot", SERIAL, &seed, steps), invalid, "{steps:?}");
    }
    assert_eq!(enable(&standin, "robot", SERIAL, MFA_SEED, [-2, -1]), invalid);
    let none = enable(&standin, "robot", "arn:aws:iam::123456789012:mfa/x", &seed, [-2, -1]);
    assert!(none.starts_with("404 NoSuchEntity"), "{none}");
    assert!(enable(&standin, "other", SERIAL, &seed, [-2, -1]).starts_with("403 AccessDenied"));
    assert_eq!(enable(&standin, "robot", SERIAL, &seed, [-900, -899]), "ok");
    assert_eq!(standin.calls().last().unwrap().step, Some(totp::step(standin.now()) - 900));
    assert!(enable(&standin, "robot", SERIAL, &seed, [-2, -1]).contains("already in use"));
    let delete =
        Client::demo(&standin).iam().call("DeleteVirtualMFADevice", &[("SerialNumber", SERIAL)]);
    assert!(delete.starts_with("409 DeleteConflict"), "{delete}");
}

#[test]
fn a_device_reaches_sts_later() {
    let standin = start();
    standin.change(|world| world.reach = 10);
    let demo = Client::demo(&standin);
    demo.clone().iam().call(CREATE.0, CREATE.1);
    let seed = standin.devices().remove(0).seed;
    enable(&standin, "robot", SERIAL, &seed, [-2, -1]);
    assert!(demo.session(SERIAL, &standin.totp_now(&seed)).contains("unable to validate"));
    standin.move_clock(10);
    assert_eq!(demo.session(SERIAL, &standin.totp_now(&seed)), "ok");
}

#[test]
fn a_session_without_mfa_cannot_call_iam() {
    let standin = start();
    let given = Client::demo(&standin).get("GetSessionToken", &[]);
    let answer = Client::with(&standin, &given).iam().call(CREATE.0, CREATE.1);
    assert!(answer.starts_with("403 AccessDenied"), "{answer}");
}
