//! Hosts that share a device, and nothing else.

use super::{json, with_seed};
use crate::support::MFA_SERIAL;
use crate::support::builder::{Output, Test};
use crate::support::standin::{Role, StandIn, World};

fn host(standin: &StandIn, number: usize) -> Test {
    let config = format!(
        "[profile host{number}]\nsource_profile = demo\nmfa_serial = {MFA_SERIAL}\n\
         role_arn = arn:aws:iam::123456789012:role/deploy\nduration_seconds = 7200\n"
    );
    with_seed(standin, &config)
}

/// All of them, cold, at the same moment. None sends a code twice or more than three; and whoever
/// gets nothing says by 9 why, and what to do.
fn at_once(standin: &StandIn, count: usize) -> Vec<Output> {
    let hosts: Vec<Test> = (0..count).map(|number| host(standin, number)).collect();
    let outputs: Vec<Output> = std::thread::scope(|scope| {
        let runs: Vec<_> = hosts
            .iter()
            .enumerate()
            .map(|(n, test)| scope.spawn(move || json(test, &format!("host{n}")).try_run()))
            .collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    let calls = standin.calls();
    for (number, output) in outputs.iter().enumerate() {
        let name = format!("vault-host{number}");
        let own = calls.iter().filter(|call| call.session_name.as_ref() == Some(&name));
        let sent: Vec<i64> = own.map(|call| call.step.unwrap()).collect();
        assert!((1..=3).contains(&sent.len()), "{}", standin.log());
        assert!((1..sent.len()).all(|n| !sent[..n].contains(&sent[n])), "{sent:?}");
        if output.status != 0 {
            assert_eq!((output.status, output.stdout.as_str()), (9, ""));
            let when = ["three minutes", "try again at"];
            assert!(when.iter().any(|when| output.stderr.contains(when)), "{}", output.stderr);
        }
    }
    outputs
}

fn world() -> StandIn {
    StandIn::start(World::demo().role(Role::new("deploy").max_duration(7200)))
}

/// Three get through always, and all four 98.8 times in a hundred (`src/session/totp_claims/tests/hosts.rs` has the
/// reason and the count): that it is not so twice happens once in seven thousand runs of this test.
#[test]
#[ignore = "takes up to 100 s"]
fn four_at_once_all_get_through() {
    let good = || {
        let standin = world();
        let outputs = at_once(&standin, 4);
        let good = outputs.iter().filter(|output| output.status == 0).count();
        assert!(good >= 3, "{}", standin.log());
        (good, standin.log())
    };
    let (first, log) = good();
    if first < 4 {
        let (second, again) = good();
        assert_eq!(second, 4, "{log}\n{again}");
    }
}

#[test]
#[ignore = "takes up to 50 s"]
fn of_ten_none_sends_more_than_three_codes() {
    let standin = world();
    let outputs = at_once(&standin, 10);
    let good = outputs.iter().filter(|output| output.status == 0).count();
    assert!(good >= 1, "{}", standin.log());
}
