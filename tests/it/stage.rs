//! The stage that the other tests play on: the builder and the terminal, tried with a shell in the
//! program's part.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::builder::Test;
use crate::support::child::{spawn, wait};
use crate::support::standin::StandIn;

const SOON: Duration = Duration::from_secs(20);

fn shell(script: &str) -> Test {
    Test::new().program("sh").args(["-c", script])
}

fn panics(run: impl FnOnce() + std::panic::UnwindSafe) -> bool {
    std::panic::catch_unwind(run).is_err()
}

#[test]
fn the_environment_is_home_and_path() {
    let test = Test::new().program("env").env("PATH", "/usr/bin:/bin");
    test.expect_stdout("HOME=[HOME]\nPATH=/usr/bin:/bin\n").expect_stderr("").run();
}

#[test]
fn there_is_no_terminal() {
    let test = shell("if (: </dev/tty) 2>/dev/null; then echo one; else echo none; fi");
    test.expect_stdout("none\n").run();
}

#[test]
fn input_files_and_placeholders() {
    let standin = StandIn::demo();
    let test = shell("cat; cat .aws/config; echo $AWS_ENDPOINT_URL_STS; stat -c %a key")
        .stdin("typed\n")
        .config("[default]\n")
        .file("key", "x", 0o640)
        .standin(&standin);
    test.expect_stdout("typed\n[default]\nhttp://127.0.0.1:[PORT]\n640\n").run();
}

#[test]
fn what_is_expected_is_compared_whole() {
    let test = shell("echo out; echo err >&2; exit 3");
    test.clone().expect_status(3).expect_stdout("out\n").expect_stderr("err\n").run();
    assert!(panics(|| drop(shell("exit 3").run())));
    assert!(panics(|| drop(shell("echo out").expect_stdout("out").run())));
    assert!(panics(|| drop(shell("echo err >&2").expect_stderr("").run())));
    shell("kill -TERM $$").expect_status(128 + 15).run();
}

#[test]
fn no_signal_is_ignored_because_the_tests_ignore_it() {
    // Nobody else sends it to this process.
    // SAFETY: a valid signal and dispositions, the old one put back.
    unsafe {
        let before = libc::signal(libc::SIGUSR2, libc::SIG_IGN);
        let run = shell("kill -USR2 $$").any_status().run();
        libc::signal(libc::SIGUSR2, before);
        assert_eq!(run.status, 128 + libc::SIGUSR2);
    }
}

#[test]
fn the_next_command_is_played_in_the_same_home() {
    let first = shell("echo 1 > file").stdin("unused").expect_stdout("");
    first.run();
    first.command(["-c", "cat file; cat"]).expect_stdout("1\n").run();
    let home = first.home().to_owned();
    assert_eq!(std::fs::metadata(&home).unwrap().permissions().mode() & 0o777, 0o700);
    drop(first);
    assert!(!home.exists());
}

#[test]
fn the_program_can_have_another_name() {
    let test = Test::new().on_path("aws-vault").program("sh").args(["-c", "command -v aws-vault"]);
    test.expect_stdout("[HOME]/bin/aws-vault\n").run();
}

#[test]
fn a_program_that_hangs_is_killed() {
    let mut command = Command::new("sleep");
    command.arg("1000").process_group(0);
    let child = spawn(&mut command);
    let pid = child.id();
    assert!(panics(move || _ = wait(child, Instant::now() + Duration::from_millis(20))));
    // The thread that waits for the child reaps it a moment later.
    let deadline = Instant::now() + SOON;
    while std::path::Path::new(&format!("/proc/{pid}")).exists() {
        assert!(Instant::now() < deadline);
        std::thread::yield_now();
    }
}

#[test]
fn a_terminal_shows_what_is_typed_unless_told_not_to() {
    let script = "printf 'Name: '; read n; stty -echo; printf 'Word: '; read w; stty echo; \
                  echo; echo \"$n $w\"; exit 4";
    let mut pty = shell(script).pty();
    pty.expect("Name: ", SOON);
    assert!(pty.echoes());
    pty.send("alice");
    pty.expect("Word: ", SOON);
    assert!(!pty.echoes());
    pty.send("hidden");
    pty.expect("alice hidden", SOON);
    let (status, screen) = pty.end(SOON);
    assert_eq!(screen, "Name: alice\nWord: \nalice hidden\n");
    assert_eq!(status, 4);
}

#[test]
fn a_terminal_can_stand_beside_pipes() {
    let test = shell("printf 'Code: ' >/dev/tty; read c </dev/tty; cat; echo $c; echo err >&2")
        .stdin("piped\n")
        .expect_stdout("piped\n123456\n")
        .expect_stderr("err\n");
    let (mut pty, pipes) = test.pty_with_pipes();
    pty.expect("Code: ", SOON);
    pty.send("123456");
    test.finish(pty, pipes);
}

#[test]
fn keys_of_the_terminal_are_signals() {
    let mut pty = shell("echo ready; exec sleep 1000").pty();
    pty.expect("ready", SOON);
    pty.press("\x03");
    assert_eq!(pty.end(SOON).0, 128 + 2);
}

#[test]
fn a_text_that_does_not_come_fails_at_once_when_the_terminal_closes() {
    let started = Instant::now();
    let mut pty = shell("echo one").pty();
    assert!(panics(std::panic::AssertUnwindSafe(|| pty.expect("two", Duration::from_secs(600)))));
    assert!(started.elapsed() < Duration::from_secs(300));
    assert_eq!(pty.screen(), "one\n");
}
