//! A leader that is killed at each of its requests: another host takes its place, and no code is sent twice.

use std::collections::BTreeSet;
use std::time::Duration;

use super::hosts::at_once;
use crate::support::docker::until;
use crate::support::scene;
use crate::support::standin::Fault;
use crate::support::standin::bucket::{Bucket, Conditions, Keep};

const JSON: [&str; 3] = ["exec", "--json", "mfa"];

/// Where it is killed.
#[derive(Clone, Copy, Debug)]
enum At {
    /// At its request to the store after so many.
    Store(usize, Keep),
    /// While AWS has its code, which is spent or not.
    Sts(Fault),
}

/// How many requests the store gets from one host that makes a session.
fn requests_of_a_leader() -> usize {
    let (standin, bucket) = (scene::sts(), Bucket::start(Conditions::Kept));
    let host = scene::fleet(&standin, &bucket.endpoint(), 1).remove(0);
    let before = bucket.log().len();
    host.command(JSON).expect_stderr("").run();
    let own: Vec<_> = bucket.log().split_off(before);
    let puts = own.iter().filter(|line| line.starts_with("PUT ")).count();
    // A claim, a step and a record at least.
    assert!(puts >= 3, "{own:?}");
    own.len()
}

/// Kills the first host there, and says what came of the others.
fn killed(at: At) {
    let (standin, bucket) = (scene::sts(), Bucket::start(Conditions::Kept));
    let hosts = scene::fleet(&standin, &bucket.endpoint(), 5);
    match at {
        At::Store(others, keep) => bucket.keep(others, keep),
        At::Sts(fault) => standin.fail_next(fault),
    }
    let mut leader = hosts[0].command(JSON).start();
    until("the leader is there", || match at {
        At::Store(..) => bucket.is_kept(),
        At::Sts(_) => standin.calls().len() == 1,
    });
    let asked = bucket.log().len();
    let outputs = std::thread::scope(|scope| {
        let others = scope.spawn(|| at_once(&hosts[1..4], &JSON));
        until("the others have asked", || bucket.log().len() >= asked + 3);
        leader.kill().expect("a process");
        leader.wait().expect("its end");
        others.join().expect("no panic")
    });
    // What the leader had sent is done only now.
    bucket.let_go();
    let last = at_once(&hosts[4..], &JSON);
    for output in outputs.iter().chain(&last) {
        assert_eq!((output.status, output.stderr.as_str()), (0, ""), "{at:?}\n{}", standin.log());
        assert_eq!(output.stdout, outputs[0].stdout, "{at:?}\n{}", standin.log());
    }
    let sent: Vec<i64> = standin.calls().iter().filter_map(|call| call.step).collect();
    let steps: BTreeSet<_> = sent.iter().collect();
    assert!(steps.len() == sent.len() && sent.len() <= 2, "{at:?}: {sent:?}");
}

#[test]
#[ignore = "takes a minute"]
fn the_others_get_a_session_wherever_the_leader_is_killed() {
    let requests = requests_of_a_leader();
    std::thread::scope(|scope| {
        for others in 0..requests {
            for keep in [Keep::Undone, Keep::Answer] {
                scope.spawn(move || killed(At::Store(others, keep)));
            }
        }
        for fault in [Fault::HangForever, Fault::Hang(Duration::from_secs(600))] {
            scope.spawn(move || killed(At::Sts(fault)));
        }
    });
}
