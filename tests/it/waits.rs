//! What is waited for is shown on a terminal, after two seconds and until it is over; and nowhere else.

use std::net::TcpListener;
use std::time::{Duration, SystemTime};

use crate::support::builder::Test;
use crate::support::standin::{Fault, Person, StandIn};
use crate::support::{MFA_SEED, MFA_SERIAL, scene};
use crate::unlock::kinds::{plugin, with_plugin};
use crate::{enroll, rotate, sso};

const SOON: Duration = Duration::from_secs(40);
/// STS answers after a wait that is shown once or twice.
const SLOW: Duration = Duration::from_millis(2800);
/// What clears the line, after a carriage return, which the screen leaves out.
const CLEAR: &str = "\x1b[K";

/// A role, over an STS that is slow.
fn slow() -> (StandIn, Test) {
    let (standin, test) = scene::usual();
    standin.fail_always(Some(Fault::Hang(SLOW)));
    (standin, test.env("TERM", "xterm"))
}

fn exec(test: &Test) -> Test {
    test.command(["exec", "role", "--", "echo", "started"])
}

/// Fails unless the line appears; what waits is left then.
#[track_caller]
fn shows(test: &Test, words: &[&str], line: &str) {
    let mut pty = test.command(words).env("TERM", "xterm").pty();
    pty.expect(line, SOON);
}

#[test]
fn an_sts_that_is_slow_is_shown_until_the_command_starts() {
    let (_standin, test) = slow();
    let mut pty = exec(&test).pty();
    pty.expect("vault: waiting 2 of 50 s for AssumeRole at 127.0.0.1:", SOON);
    let (status, screen) = pty.end(SOON);
    let (line, rest) = screen.split_once(CLEAR).expect("a line");
    assert!(line.starts_with("vault: waiting 2 of 50 s for AssumeRole at 127.0.0.1:"), "{screen}");
    assert!(rest.ends_with(&format!("{CLEAR}started\n")), "{screen:?}");
    assert_eq!(status, 0, "{screen}");
}

#[test]
fn nothing_is_shown_without_a_terminal_to_a_program_or_with_quiet() {
    let (standin, test) = slow();
    let never = |what: &str, screen: &str| assert!(!screen.contains("waiting"), "{what}: {screen}");
    std::thread::scope(|scope| {
        scope.spawn(|| exec(&test).expect_stdout("started\n").expect_stderr("").run());
        let debug = scene::with(&standin, scene::PROFILES);
        let words = ["exec", "role", "--debug", "--", "echo", "started"];
        scope.spawn(move || {
            let stderr = String::from_utf8(debug.command(words).run().raw_stderr).expect("text");
            let line = "vault: debug: waiting 2 of 50 s for AssumeRole at 127.0.0.1:";
            assert_eq!(stderr.matches("vault: debug: waiting").count(), 1, "{stderr}");
            assert!(stderr.contains(line), "{stderr}");
        });
        for words in [
            &["exec", "--json", "role"][..],
            &["export", "--format", "json", "role"],
            &["exec", "--quiet", "role", "--", "echo", "started"],
        ] {
            let test = scene::with(&standin, scene::PROFILES).env("TERM", "xterm");
            scope.spawn(move || {
                let (status, screen) = test.command(words).pty().end(SOON);
                assert_eq!(status, 0, "{words:?}: {screen}");
                never(&words.join(" "), &screen);
            });
        }
        let dumb = scene::with(&standin, scene::PROFILES).env("TERM", "dumb");
        scope.spawn(move || {
            let (status, screen) = exec(&dumb).pty().end(SOON);
            assert_eq!((status, screen.as_str()), (0, "started\n"));
        });
    });
}

/// A job that a shell has put into the background, which may write, must not write over what is typed.
#[test]
fn nothing_is_shown_in_the_background() {
    let (_standin, test) = slow();
    let script = "\"$0\" exec role -- echo started & wait";
    let run = test.command(["-mc", script, env!("CARGO_BIN_EXE_vault")]).program("sh");
    let (status, screen) = run.pty().end(SOON);
    assert!(screen.contains("started\n") && !screen.contains("waiting"), "{screen}");
    assert_eq!(status, 0, "{screen}");
}

#[test]
fn the_holder_of_a_lock_is_named_on_a_line_no_wider_than_the_terminal() {
    let test = Test::new().vault_with("demo").env("TERM", "xterm");
    let lock = vault::file::lock(&test.vault_file(), SOON, "tests").expect("the lock");
    let mut pty = test.command(["remove", "-f", "demo"]).pty();
    let who = format!("for process {}, which writes the vault{CLEAR}", std::process::id());
    pty.expect(&format!("vault: waiting 2 of 45 s {who}"), SOON);
    pty.resize(30);
    pty.expect(&format!("vault: waiting 3 of 45 s for {CLEAR}"), SOON);
    drop(lock);
    let (status, screen) = pty.end(SOON);
    assert!(screen.ends_with(&format!("{CLEAR}Deleted credentials.\n")), "{screen:?}");
    assert_eq!(status, 0);
}

#[test]
fn a_plugin_an_mfa_code_and_a_new_key_are_waited_for_on_the_terminal() {
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (recipient, identity) = plugin();
            let test = with_plugin(Test::new().vault_with("demo"));
            test.command(["recipient", "add", &recipient]).run();
            let test = test.env("AWS_VAULT_AGE_KEY", identity);
            let test = test.file("plugins/age-plugin-plain", "#!/bin/sh\nexec sleep 600\n", 0o755);
            let line = "vault: waiting 2 of 30 s for age-plugin-plain, which may want a touch";
            shows(&test, &["list"], line);
        });
        scope.spawn(|| {
            let test = Test::new().vault_with("demo").env("TERM", "xterm");
            test.command(["totp", "add", MFA_SERIAL, "--stdin"]).stdin(MFA_SEED).run();
            // AWS takes the next code five seconds after a step begins, which must not be soon.
            let since = SystemTime::UNIX_EPOCH.elapsed().expect("the time").as_secs() + 25;
            std::thread::sleep(Duration::from_secs(if since % 30 > 23 { 7 } else { 0 }));
            // Five that AWS takes by now, and the next one's.
            let waits = (0..6).any(|_| {
                let mut pty = test.command(["totp", "code", MFA_SERIAL]).pty();
                pty.shows(" s for the next MFA code", SOON)
            });
            assert!(waits);
        });
        scope.spawn(|| {
            let standin = StandIn::start(rotate::world());
            standin.change(|world| world.spread = 100);
            let line = "vault: waiting 2 of 60 s for AWS to know the new key AKIA";
            shows(&rotate::place(&standin), &["rotate", "ci"], line);
        });
    });
}

#[test]
fn a_login_the_metadata_service_and_a_new_device_are_waited_for_on_the_terminal() {
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (standin, test) = sso::scene();
            standin.change(|world| world.sso.person.extend([const { Person::Waits }; 60]));
            let line = "vault: waiting 2 of 600 s for the request to be allowed in the browser";
            shows(&test, &["sso", "login", "dev"], line);
        });
        scope.spawn(|| {
            // Connections are taken by the kernel, and nobody answers.
            let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
            let url = format!("http://{}/", silent.local_addr().expect("an address"));
            let config = "[profile web]\ncredential_source = Ec2InstanceMetadata\n";
            let test = Test::new().config(config).env("AWS_EC2_METADATA_SERVICE_ENDPOINT", url);
            let line = "vault: waiting 2 of 50 s for the instance metadata service at 127.0.0.1:";
            shows(&test, &["exec", "web", "--", "true"], line);
        });
        scope.spawn(|| {
            let standin = StandIn::start(enroll::world());
            standin.change(|world| world.reach = 100);
            let line = " s for STS to know the device robot";
            shows(&enroll::place(&standin), &["mfa", "enroll", "ci"], line);
        });
    });
}

/// It would be typed, and lost if the other process keeps the lock.
#[test]
fn a_writer_is_waited_for_before_a_secret_is_asked_for() {
    std::thread::scope(|scope| {
        for (words, question) in [
            (&["add", "other"][..], "Enter Access Key ID: "),
            (&["totp", "add", MFA_SERIAL], "Enter the secret key (seed) of "),
            (&["passphrase", "set"], "Enter new passphrase for the vault: "),
        ] {
            scope.spawn(move || {
                let test = Test::new().vault_with("demo").env("TERM", "xterm");
                let lock = vault::file::lock(&test.vault_file(), SOON, "tests").expect("the lock");
                let mut pty = test.command(words).pty();
                let who = format!("for process {}, which writes the vault", std::process::id());
                pty.expect(&format!("vault: waiting 2 of 45 s {who}"), SOON);
                assert!(!pty.screen().contains("Enter"), "{}", pty.screen());
                drop(lock);
                pty.expect(&format!("{CLEAR}{question}"), SOON);
            });
        }
    });
}
