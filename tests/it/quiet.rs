//! The main job is done by one thread, without a socket and without a runtime.

use crate::support::builder::Test;
use crate::support::scene;
use crate::support::standin::identity::Provider;
use crate::support::standin::{Role, StandIn, World};

/// System calls that the fast path has no use for.
const LOUD: [&str; 22] = [
    "socket",
    "socketpair",
    "connect",
    "bind",
    "listen",
    "accept",
    "accept4",
    "sendto",
    "sendmsg",
    "recvfrom",
    "recvmsg",
    "clone",
    "clone3",
    "fork",
    "vfork",
    "epoll_create",
    "epoll_create1",
    "eventfd",
    "eventfd2",
    "timerfd_create",
    "io_uring_setup",
    "inotify_init1",
];

/// The system calls of a run, up to its end or to the program that it becomes.
fn calls(test: &Test, words: &[&str]) -> String {
    let program = env!("CARGO_BIN_EXE_vault");
    let strace = ["-f", "-qq", "-s", "0", "-o", "strace.log", program];
    let run = test.clone().program("strace").command(strace).args(words);
    run.expect_stderr("").run();
    let log = String::from_utf8(test.read("strace.log")).expect("text");
    // Lines are `PID CALL(…`. The first execve is ours, the second the command's.
    let ours = log.match_indices("execve(").nth(1).map_or(log.len(), |(at, _)| at);
    log[..ours].to_owned()
}

/// Fails if a run made one of the calls above.
#[track_caller]
fn assert_quiet(test: &Test, words: &[&str]) {
    let log = calls(test, words);
    let names: Vec<&str> = log
        .lines()
        .filter_map(|line| line.split_once(' ')?.1.trim_start().split_once('('))
        .map(|(name, _)| name)
        .collect();
    assert!(names.contains(&"prctl") && names.contains(&"read"), "no log:\n{log}");
    let loud: Vec<_> = names.iter().filter(|name| LOUD.contains(name)).collect();
    assert!(loud.is_empty(), "{loud:?} in\n{log}");
}

#[test]
#[ignore = "needs strace"]
fn the_fast_path_opens_no_socket_and_starts_no_thread() {
    let by_key = Test::new().vault_with("demo");
    let by_passphrase = Test::new().vault_with_passphrase("demo");
    for test in [by_key, by_passphrase] {
        assert_quiet(&test, &["exec", "-n", "--json", "demo"]);
        assert_quiet(&test, &["exec", "-n", "demo", "--", "true"]);
    }
}

#[test]
#[ignore = "needs strace"]
fn a_cached_session_opens_no_socket_and_starts_no_thread() {
    let (standin, test) = scene::usual();
    for profile in ["demo", "role", "hops"] {
        test.command(["exec", "--json", profile]).run();
        let connections = standin.connections();
        assert_quiet(&test, &["exec", "--json", profile]);
        assert_quiet(&test, &["exec", profile, "--", "true"]);
        assert_eq!(standin.connections(), connections);
    }
}

#[test]
#[ignore = "needs strace"]
fn a_cached_session_of_a_web_identity_does_neither_with_a_vault_or_without() {
    let subject = "repo:example/shop:ref:refs/heads/main";
    let world = World::demo().provider(Provider::github());
    let standin = StandIn::start(world.role(Role::new("deploy").subject(subject)));
    let token = Provider::github().token(subject, standin.now() + 300);
    let config = "[profile ci]\nweb_identity_token_file = token\n\
                  role_arn = arn:aws:iam::123456789012:role/deploy\n";
    let test = Test::new().standin(&standin).config(config).file("token", token, 0o600);
    for test in [test.clone(), test.vault_with("demo")] {
        test.command(["exec", "--json", "ci"]).run();
        let connections = standin.connections();
        assert_quiet(&test, &["exec", "--json", "ci"]);
        assert_quiet(&test, &["exec", "ci", "--", "true"]);
        assert_eq!(standin.connections(), connections);
    }
}

#[test]
#[ignore = "needs strace"]
fn a_cached_session_by_a_login_does_neither() {
    let standin = StandIn::demo();
    let config = "[profile dev]\nsso_start_url = https://example.awsapps.com/start\n\
                  sso_region = us-east-1\nsso_account_id = 123456789012\nsso_role_name = ReadOnly\n";
    let test = Test::new().vault_with("demo").config(config).standin(&standin);
    let test = test
        .env("AWS_ENDPOINT_URL_SSO", standin.endpoint())
        .env("AWS_ENDPOINT_URL_SSO_OIDC", standin.endpoint());
    test.command(["sso", "login", "dev"]).run();
    test.command(["exec", "--json", "dev"]).run();
    let connections = standin.connections();
    assert_quiet(&test, &["exec", "--json", "dev"]);
    assert_quiet(&test, &["exec", "dev", "--", "true"]);
    assert_eq!(standin.connections(), connections);
}
