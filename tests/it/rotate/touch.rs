//! A key behind a plugin that wants a touch each time: what this process wrote, it need not open again.

use super::{assert_rotated, await_calls, place, rotate, world};
use crate::support::builder::Test;
use crate::support::standin::{Fault, StandIn};
use crate::support::{ACCESS_KEY_ID, AGE_KEY, AGE_RECIPIENT, SECRET_ACCESS_KEY};
use crate::unlock::kinds::{plugin, touches, with_plugin};

/// A vault that the plugin's key opens, for the test in `AWS_VAULT_AGE_KEY`.
fn behind_a_plugin(standin: &StandIn) -> Test {
    let (recipient, identity) = plugin();
    let test = with_plugin(place(standin));
    test.command(["recipient", "add", &recipient]).run();
    assert_eq!(touches(&test), 0);
    test.env("AWS_VAULT_AGE_KEY", identity)
}

#[test]
fn a_rotation_opens_the_vault_once_from_wherever_it_goes_on() {
    std::thread::scope(|scope| {
        for at in 2..7 {
            scope.spawn(move || {
                let standin = StandIn::start(world());
                let test = behind_a_plugin(&standin);
                standin.pass_next(at);
                standin.fail_next(Fault::HangForever);
                let mut child = rotate(&test).start();
                await_calls(&standin, at + 1);
                child.kill().unwrap();
                child.wait().unwrap();
                assert_eq!(touches(&test), 1, "before call {at}");
                test.command(["rotate", "--resume"]).expect_stderr("").run();
                assert_eq!(touches(&test), 1, "from call {at}");
                assert_rotated(&test, &standin);
            });
        }
    });
}

#[test]
fn what_another_process_wrote_meanwhile_is_opened() {
    let standin = StandIn::start(world());
    let test = behind_a_plugin(&standin);
    standin.pass_next(3);
    standin.fail_next(Fault::Hang(std::time::Duration::from_secs(4)));
    std::thread::scope(|scope| {
        let run = scope.spawn(|| rotate(&test).expect_stderr("").run());
        await_calls(&standin, 4);
        // By another key, so that no touch is its own.
        let other = test.clone().env("AWS_VAULT_AGE_KEY", AGE_KEY);
        other.stored("meanwhile", ACCESS_KEY_ID, SECRET_ACCESS_KEY);
        run.join().unwrap();
    });
    assert_eq!(touches(&test), 2);
    assert_rotated(&test, &standin);
    let names = test.clone().env("AWS_VAULT_AGE_KEY", AGE_KEY);
    names.command(["list", "--credentials"]).expect_stdout("ci\nmeanwhile\n").run();
}

#[test]
fn one_command_is_one_touch() {
    let standin = StandIn::start(world());
    let test = behind_a_plugin(&standin);
    for words in [
        &["list"][..],
        &["rekey"],
        &["recipient", "remove", "-f", AGE_RECIPIENT],
        &["recipient", "add", AGE_RECIPIENT],
        &["remove", "-f", "ci"],
    ] {
        test.command(words).run();
        assert_eq!(touches(&test), 1, "{words:?}");
    }
    let keys = format!(
        "[saved]\naws_access_key_id = {ACCESS_KEY_ID}\naws_secret_access_key = {SECRET_ACCESS_KEY}\n"
    );
    let import = ["import", "--from", "credentials", "--remove-source"];
    test.clone().aws_credentials(&keys).command(import).run();
    assert_eq!(touches(&test), 1);
}
