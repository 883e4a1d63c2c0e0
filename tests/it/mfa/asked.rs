//! A person, or a program that may ask one, is waited for without a lock: who has a code goes first, and
//! who comes back with one that nobody needs any more does not send it.

use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::{SOON, json, steps};
use crate::support::builder::Test;
use crate::support::diff::assert_same;
use crate::support::scene::{self, PROFILES, code, log};
use crate::support::standin::{Fault, StandIn, totp};
use crate::support::{MFA_SEED, MFA_SERIAL};

const QUESTION: &str = "Enter MFA code for arn:aws:iam::123456789012:mfa/demo: ";
const NO_CODE: &str = "vault: error: no MFA code is available for arn:aws:iam::123456789012:mfa/demo\n\
                       vault: hint: give a code with --mfa-token or on a terminal; or store the \
                           seed: vault totp add arn:aws:iam::123456789012:mfa/demo, or for a new \
                           device vault mfa enroll PROFILE; or set mfa_process\n";
const ROLE_TOO: &str = "GetSessionToken by key duration=28800 mfa=mfa/demo: ok\n\
                        AssumeRole by session 1 role=role/deploy name=vault-mfa-role duration=3600: ok\n";

/// Another code than the present one, which AWS takes too.
fn earlier(standin: &StandIn) -> String {
    totp::code(MFA_SEED, totp::step(standin.now()) - 1)
}

#[test]
fn a_terminal_left_alone_blocks_no_process() {
    let (standin, test) = scene::usual();
    let left_alone = json(&test, "mfa-role").expect_stderr("");
    let (mut pty, pipes) = left_alone.pty_with_pipes();
    pty.expect(QUESTION, SOON);
    let start = Instant::now();
    // Without a code there is none, and that is said at once.
    json(&test, "mfa-role").expect_error(9, NO_CODE).run();
    json(&test, "mfa").expect_error(9, NO_CODE).run();
    // Who has one makes the session, and the role too.
    let made = json(&test, "mfa-role").args(["-t", &code(&standin)]).expect_stderr("").run();
    assert!(start.elapsed() < SOON, "waited for a person elsewhere");
    assert_same("log", ROLE_TOO, &log(&standin));
    // What is typed now is not needed, so it is not sent.
    pty.send(&earlier(&standin));
    let served = left_alone.finish(pty, pipes);
    assert_eq!(served.raw_stdout, made.raw_stdout);
    assert_same("log", ROLE_TOO, &log(&standin));
    // It is still good.
    json(&test, "mfa").args(["--refresh", "-t", &earlier(&standin)]).expect_stderr("").run();
}

#[test]
fn two_terminals_are_both_asked_and_one_code_is_sent() {
    let (standin, test) = scene::usual();
    let run = json(&test, "mfa").expect_stderr("");
    let (mut first, first_pipes) = run.pty_with_pipes();
    first.expect(QUESTION, SOON);
    let (mut second, second_pipes) = run.pty_with_pipes();
    second.expect(QUESTION, SOON);
    second.send(&code(&standin));
    let made = run.finish(second, second_pipes);
    first.send(&earlier(&standin));
    assert_eq!(run.finish(first, first_pipes).raw_stdout, made.raw_stdout);
    assert_eq!(steps(&standin).len(), 1);
}

#[test]
fn a_session_that_still_lasts_is_served_without_an_answer() {
    let (standin, test) = scene::usual();
    let first = json(&test, "mfa").args(["-t", &code(&standin)]).run();
    // More than there is left is wanted, so it is to be renewed.
    let due = json(&test.clone().env("AWS_MIN_TTL", "12h"), "mfa");
    let (mut pty, pipes) = due.pty_with_pipes();
    pty.expect(QUESTION, SOON);
    // While somebody is asked, everybody else has it at once.
    assert_eq!(json(&test, "mfa").expect_stderr("").run().raw_stdout, first.raw_stdout);
    pty.press("\x04");
    let output = due.finish(pty, pipes);
    assert_eq!(output.raw_stdout, first.raw_stdout);
    let warning = "vault: warning: the session for mfa could not be renewed; it is valid until ";
    let said = &output.stderr;
    assert!(said.starts_with(warning) && said.ends_with(": nothing was entered\n"), "{said}");
    assert_eq!(standin.calls().len(), 1);
    // A good answer renews it.
    std::fs::remove_dir_all(test.home().join(".cache")).expect("the cache");
    json(&test, "mfa").args(["-t", &earlier(&standin)]).run();
    let (mut pty, pipes) = due.pty_with_pipes();
    pty.expect(QUESTION, SOON);
    pty.send(&totp::code(MFA_SEED, totp::step(standin.now()) + 1));
    let renewed = due.finish(pty, pipes);
    assert_eq!((renewed.stderr.as_str(), standin.calls().len()), ("", 3), "{}", log(&standin));
}

/// What is typed for a wrong code: that of another time.
fn wrong(standin: &StandIn) -> String {
    totp::code(MFA_SEED, totp::step(standin.now()) - 10)
}

#[test]
fn a_person_who_mistyped_the_code_is_asked_once_more() {
    let (standin, test) = scene::usual();
    let again = format!("AWS refused the MFA code, try again. {QUESTION}");
    let run = test.command(["exec", "mfa-role", "--", "echo", "done"]);
    let mut pty = run.pty();
    pty.expect(QUESTION, SOON);
    pty.send(&wrong(&standin));
    pty.expect(&again, SOON);
    pty.send(&code(&standin));
    pty.expect("done\n", SOON);
    assert_eq!(pty.end(SOON).0, 0);
    assert_eq!(standin.calls().len(), 3, "{}", log(&standin));

    // Each refusal counts against the device, so there is no third question.
    let (standin, test) = scene::usual();
    let mut pty = test.command(["exec", "mfa", "--", "echo", "done"]).pty();
    pty.expect(QUESTION, SOON);
    pty.send(&wrong(&standin));
    pty.expect(&again, SOON);
    pty.send(&wrong(&standin));
    let (status, screen) = pty.end(SOON);
    assert_eq!(status, 125, "{screen}");
    assert!(screen.contains("vault: error: AWS refused the MFA code\n"), "{screen}");
    assert_eq!(standin.calls().len(), 2, "{}", log(&standin));
}

#[test]
fn what_is_no_code_is_asked_for_once_more_and_not_sent() {
    let (standin, test) = scene::usual();
    let again = format!("An MFA code is six digits, try again. {QUESTION}");
    let mut pty = test.command(["exec", "mfa", "--", "echo", "done"]).pty();
    pty.expect(QUESTION, SOON);
    pty.send("12345");
    pty.expect(&again, SOON);
    pty.send(&code(&standin));
    pty.expect("done\n", SOON);
    assert_eq!(pty.end(SOON).0, 0);
    assert_eq!(standin.calls().len(), 1, "{}", log(&standin));
}

#[test]
fn a_code_that_was_given_or_made_by_a_program_is_not_asked_for_again() {
    let (standin, test) = scene::usual();
    let config = format!(
        "{PROFILES}[profile m]\nsource_profile = demo\nmfa_serial = {MFA_SERIAL}\nmfa_process = cat code\n"
    );
    let test = test.config(&config).file("code", wrong(&standin), 0o600);
    let bad = wrong(&standin);
    for words in [&["exec", "mfa", "-t", &bad, "--", "echo"][..], &["exec", "m", "--", "echo"]] {
        let (status, screen) = test.command(words).pty().end(SOON);
        assert_eq!(status, 125, "{screen}");
        assert!(!screen.contains("try again"), "{screen}");
    }
    assert_eq!(standin.calls().len(), 2, "{}", log(&standin));
}

#[test]
fn a_program_that_waits_is_not_asked_for_a_second_code() {
    let (standin, test) = scene::usual();
    let run = json(&test, "mfa-role");
    let (mut pty, pipes) = run.pty_with_pipes();
    pty.expect(QUESTION, SOON);
    pty.send(&totp::code(MFA_SEED, totp::step(standin.now()) - 10));
    let wrong = "vault: error: AWS refused the MFA code\n\
                 vault: hint: it is wrong, was used before, or this machine's clock is off\n";
    run.expect_error(9, wrong).finish(pty, pipes);
    assert_eq!(standin.calls().len(), 1);
}

// Programs.

/// The profile `m`, whose codes come from this script.
fn by_program(standin: &StandIn, script: &str) -> Test {
    let config = format!(
        "{PROFILES}[profile m]\nsource_profile = demo\nmfa_serial = {MFA_SERIAL}\n\
         mfa_process = sh give\n"
    );
    scene::with(standin, &config).file("give", script, 0o600)
}

/// Opens a FIFO as soon as somebody reads from it.
fn open_for_the_reader(fifo: &Path) -> File {
    let deadline = Instant::now() + SOON;
    loop {
        match File::options().write(true).custom_flags(libc::O_NONBLOCK).open(fifo) {
            Ok(opened) => return opened,
            Err(error) => assert!(Instant::now() < deadline, "nobody reads: {error}"),
        }
        std::thread::yield_now();
    }
}

#[test]
fn a_program_that_waits_for_a_person_blocks_no_process() {
    let standin = scene::sts();
    let test = by_program(&standin, "cat fifo");
    let fifo = test.home().join("fifo");
    test.command([&fifo]).program("mkfifo").run();
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| json(&test, "m").expect_stderr("").run());
        let mut opened = open_for_the_reader(&fifo);
        let start = Instant::now();
        let made = json(&test, "m").args(["-t", &code(&standin)]).expect_stderr("").run();
        assert!(start.elapsed() < SOON, "waited for a program");
        std::io::Write::write_all(&mut opened, earlier(&standin).as_bytes()).expect("a code");
        drop(opened);
        assert_eq!(waits.join().expect("a run").raw_stdout, made.raw_stdout);
    });
    assert_eq!(steps(&standin).len(), 1);
}

#[test]
fn a_program_runs_once_for_many_that_start_at_once() {
    let standin = scene::sts();
    let test = by_program(&standin, "echo >> runs; cat code");
    let test = test.file("code", code(&standin), 0o600);
    std::thread::scope(|scope| {
        for _ in 0..12 {
            scope.spawn(|| json(&test, "m").expect_stderr("").run());
        }
    });
    assert_eq!(standin.calls().len(), 1, "{}", log(&standin));
    assert_eq!(test.read("runs"), b"\n");
}

#[test]
#[ignore = "takes 25 s"]
fn a_program_that_never_answers_keeps_others_for_a_while_only() {
    let standin = scene::sts();
    let test = by_program(&standin, "mkdir first 2>/dev/null && exec cat fifo; cat code");
    let fifo = test.home().join("fifo");
    test.command([&fifo]).program("mkfifo").run();
    let test = test.file("code", code(&standin), 0o600);
    let mut stuck = json(&test, "m").start();
    let opened = open_for_the_reader(&fifo);
    json(&test, "m").expect_stderr("").run();
    assert_eq!(steps(&standin).len(), 1);
    stuck.kill().and_then(|()| stuck.wait()).expect("its end");
    drop(opened);
}

// A code is fresh when it is sent.

/// The lock files of sessions, held by this process.
fn hold_all(test: &Test) -> Vec<File> {
    let folder = test.home().join(".cache/vault/sessions");
    let entries = std::fs::read_dir(folder).expect("the sessions");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let locks: Vec<PathBuf> =
        paths.filter(|path| path.extension().is_some_and(|end| end == "lock")).collect();
    assert!(!locks.is_empty());
    let held = locks.iter().map(|path| {
        let file = File::options().read(true).write(true).open(path).expect("a lock");
        file.lock().expect("the lock");
        file
    });
    held.collect()
}

#[test]
#[ignore = "takes 35 s"]
fn a_code_that_became_old_while_it_waited_is_asked_for_again() {
    let (standin, test) = scene::usual();
    let run = test.command(["exec", "mfa", "--", "echo", "done"]);
    let mut pty = run.pty();
    pty.expect(QUESTION, SOON);
    let held = hold_all(&test);
    pty.send(&totp::code(MFA_SEED, totp::step(standin.now()) - 10));
    std::thread::sleep(Duration::from_secs(33));
    drop(held);
    pty.expect(QUESTION, SOON);
    assert_eq!(standin.connections(), 0);
    pty.send(&code(&standin));
    pty.expect("done\n", SOON);
    assert_eq!(pty.end(SOON).0, 0);
    assert_eq!(steps(&standin).len(), 1);
}

#[test]
#[ignore = "takes 35 s"]
fn a_code_that_was_given_and_became_old_is_not_sent() {
    let (standin, test) = scene::usual();
    json(&test, "mfa").expect_error(9, NO_CODE).run();
    let held = hold_all(&test);
    let run = json(&test, "mfa").args(["-t", &code(&standin)]);
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| run.any_status().run());
        std::thread::sleep(Duration::from_secs(33));
        drop(held);
        let output = waits.join().expect("a run");
        assert_eq!((output.status, output.stdout.as_str()), (8, ""));
        assert_same(
            "stderr",
            "vault: error: the MFA code became too old while another process was making the same \
             session\n\
             vault: hint: it was not sent; try again with a new one\n",
            &output.stderr,
        );
    });
    assert_eq!(standin.connections(), 0);
}

#[test]
fn a_call_that_hangs_with_another_process_s_code_is_waited_for_without_asking() {
    let (standin, test) = scene::usual();
    standin.fail_next(Fault::Hang(Duration::from_secs(2)));
    std::thread::scope(|scope| {
        scope.spawn(|| json(&test, "mfa").args(["-t", &code(&standin)]).run());
        let deadline = Instant::now() + SOON;
        while standin.calls().is_empty() {
            assert!(Instant::now() < deadline, "no call came");
            std::thread::yield_now();
        }
        let run = json(&test, "mfa").expect_stderr("");
        let (pty, pipes) = run.pty_with_pipes();
        let screen = {
            let mut pty = pty;
            run.watch(&mut pty, pipes);
            pty.screen()
        };
        assert_eq!(screen, "");
    });
    assert_eq!(standin.calls().len(), 1);
}
