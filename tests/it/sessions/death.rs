//! Who makes a session may die or hang at any moment: the others go on.

use std::time::{Duration, Instant};

use super::{json, quiet, wait_for_calls};
use crate::support::AGE_KEY;
use crate::support::builder::Test;
use crate::support::scene::{self, code, log};
use crate::support::standin::Fault;

/// Long before anybody would give up waiting for a lock.
const AT_ONCE: Duration = Duration::from_secs(20);

#[test]
fn the_next_one_mints_when_the_holder_is_killed() {
    let (standin, test) = scene::usual();
    standin.fail_next(Fault::HangForever);
    let mut holder = json(&test, "role").start();
    wait_for_calls(&standin, 1);
    let start = Instant::now();
    // One waits already when the holder dies, the other comes later.
    let waiting = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| quiet(&test, "role"));
        holder.kill().and_then(|()| holder.wait()).expect("its end");
        waiting.join().expect("a run")
    });
    assert_eq!(quiet(&test, "role").raw_stdout, waiting.raw_stdout);
    assert!(start.elapsed() < AT_ONCE, "waited for a dead one");
    assert_eq!(standin.calls().len(), 2, "{}", log(&standin));
}

#[test]
fn a_renewal_that_is_killed_leaves_the_old_session() {
    let (standin, test) = scene::usual();
    let old = quiet(&test, "role");
    let wanting = test.clone().env("AWS_MIN_TTL", "2h");
    standin.fail_next(Fault::HangForever);
    let mut holder = json(&wanting, "role").start();
    wait_for_calls(&standin, 2);
    // While one renews, the old one is served at once, with and without the wish for more.
    let start = Instant::now();
    for test in [&test, &wanting] {
        assert_eq!(quiet(test, "role").raw_stdout, old.raw_stdout);
    }
    assert!(start.elapsed() < AT_ONCE);
    assert_eq!(standin.calls().len(), 2);
    holder.kill().and_then(|()| holder.wait()).expect("its end");
    let new = quiet(&wanting, "role");
    assert_ne!(new.raw_stdout, old.raw_stdout);
    assert_eq!(quiet(&test, "role").raw_stdout, new.raw_stdout);
    assert_eq!(standin.calls().len(), 3);
}

/// Kills a process that makes a session after so many fortieths of the time that it takes.
fn killed_at(test: &Test, moment: u32, whole: Duration) {
    test.command(["clear"]).run();
    let mut holder = json(test, "hops").start();
    std::thread::sleep(whole * moment / 40);
    holder.kill().and_then(|()| holder.wait()).expect("its end");
    // Whatever it left, it holds nobody up and damages nothing.
    let start = Instant::now();
    let made = quiet(test, "hops");
    assert!(start.elapsed() < AT_ONCE, "waited for one killed at moment {moment}");
    assert_eq!(quiet(test, "hops").raw_stdout, made.raw_stdout, "killed at moment {moment}");
}

#[test]
fn a_kill_at_any_of_fifty_moments_does_no_harm() {
    let (standin, test) = scene::usual();
    let start = Instant::now();
    quiet(&test, "hops");
    let whole = start.elapsed();
    for moment in 0..50 {
        killed_at(&test, moment, whole);
    }
    let calls = standin.calls();
    assert!(calls.iter().all(|call| call.outcome == "ok"), "{}", log(&standin));
}

#[test]
#[ignore = "takes 50 s"]
fn a_hanging_sts_ends_in_time_and_the_waiting_process_names_the_other() {
    let (standin, test) = scene::usual();
    standin.fail_always(Some(Fault::HangForever));
    let start = Instant::now();
    std::thread::scope(|scope| {
        let holder = scope.spawn(|| {
            let failed = json(&test, "role").expect_status(8).expect_stdout("").run();
            (failed, start.elapsed())
        });
        wait_for_calls(&standin, 1);
        let waiting = json(&test, "role").expect_status(8).expect_stdout("").run();
        assert!(waiting.stderr.starts_with("vault: error: process "), "{}", waiting.stderr);
        assert!(
            waiting.stderr.ends_with(
                " is making the same session, waited 45 s\n\
                 vault: hint: try again; if that process hangs, end it\n"
            ),
            "{}",
            waiting.stderr
        );
        let (failed, time) = holder.join().expect("a run");
        assert!(time > Duration::from_secs(40), "gave up after {time:?}: {}", failed.stderr);
        assert!(time < Duration::from_secs(58), "gave up after {time:?}: {}", failed.stderr);
    });
}

#[test]
#[ignore = "takes 50 s"]
fn an_answer_after_forty_seconds_is_waited_for_and_one_after_seventy_is_not() {
    std::thread::scope(|scope| {
        scope.spawn(after_forty_seconds);
        scope.spawn(after_seventy_seconds);
    });
}

fn after_forty_seconds() {
    let (standin, test) = scene::usual();
    standin.fail_next(Fault::Hang(Duration::from_secs(40)));
    json(&test, "mfa").args(["-t", &code(&standin)]).expect_stderr("").run();
    assert_eq!(log(&standin), "GetSessionToken by key duration=28800 mfa=mfa/demo: Hang(40s)\n");
    quiet(&test, "mfa");
    assert_eq!(standin.calls().len(), 1);
}

fn after_seventy_seconds() {
    let (standin, test) = scene::usual();
    standin.fail_next(Fault::Hang(Duration::from_secs(70)));
    let start = Instant::now();
    let run = json(&test, "mfa").args(["-t", &code(&standin)]);
    let failed = run.expect_status(8).expect_stdout("").run();
    let time = start.elapsed();
    assert!(time > Duration::from_secs(40), "gave up after {time:?}: {}", failed.stderr);
    assert!(time < Duration::from_secs(58), "gave up after {time:?}: {}", failed.stderr);
    assert_eq!(standin.calls().len(), 1, "a code is sent once:\n{}", log(&standin));
}

#[test]
fn no_child_inherits_a_lock() {
    let (standin, test) = scene::usual();
    let vault = env!("CARGO_BIN_EXE_vault");
    let start = Instant::now();
    // The command runs where the process was that made the session.
    let words = ["exec", "role", "--", vault, "-i", "key", "exec", "--json", "--refresh", "role"];
    let test = test.file("key", AGE_KEY, 0o600);
    test.command(words).expect_stderr("").run();
    assert_eq!(standin.calls().len(), 2);

    // The first of the programs that give codes hangs, and outlives the one who asked it.
    let script = "mkdir first 2>/dev/null && exec cat fifo; cat code";
    let fifo = test.home().join("fifo");
    test.command([&fifo]).program("mkfifo").run();
    let test = test.file("code", code(&standin), 0o600).file("give", script, 0o600);
    let test = test.config(
        "[profile m]\nsource_profile = demo\nmfa_process = sh give\n\
         mfa_serial = arn:aws:iam::123456789012:mfa/demo\n",
    );
    let mut holder = json(&test, "m").start();
    let opened = open_for_the_reader(&fifo);
    holder.kill().and_then(|()| holder.wait()).expect("its end");
    quiet(&test, "m");
    assert!(start.elapsed() < AT_ONCE, "waited for a dead one");
    assert_eq!(standin.calls().len(), 3, "{}", log(&standin));
    drop(opened);
}

/// Opens a FIFO as soon as somebody reads from it.
fn open_for_the_reader(fifo: &std::path::Path) -> std::fs::File {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).custom_flags(libc::O_NONBLOCK);
    let deadline = Instant::now() + AT_ONCE;
    loop {
        match options.open(fifo) {
            Ok(opened) => return opened,
            Err(error) => assert!(Instant::now() < deadline, "nobody reads: {error}"),
        }
        std::thread::yield_now();
    }
}
