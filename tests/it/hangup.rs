//! The terminal goes away, as when the connection of an `ssh -t` is lost: what ran on it ends, the
//! command, vault beside it, and the server.

use std::net::TcpStream;
use std::process::Child;
use std::time::{Duration, Instant};

use crate::supervise::wait_for;
use crate::support::builder::Test;
use crate::support::child::{exit_code, wait};
use crate::support::scene;
use crate::support::served::{SOON, ask};
use crate::support::standin::Fault;

/// Tells its own process id, its parent's, and where its credentials are.
const TELL: &str = "echo $$ $PPID $AWS_CONTAINER_CREDENTIALS_FULL_URI \
                    $AWS_CONTAINER_AUTHORIZATION_TOKEN >part; mv part ready";

/// What [`TELL`] has told.
struct Told {
    command: i32,
    parent: i32,
    url: String,
    token: String,
}

impl Told {
    fn wait(test: &Test) -> Self {
        let told = wait_for(test, "ready");
        std::fs::remove_file(test.home().join("ready")).unwrap();
        let mut words = told.split_whitespace().map(str::to_owned);
        let mut next = || words.next().unwrap_or_default();
        let [command, parent, url, token] = [next(), next(), next(), next()];
        let pid = |word: String| word.parse().expect("a pid");
        Self { command: pid(command), parent: pid(parent), url, token }
    }

    fn port(&self) -> u16 {
        let host = self.url.split('/').nth(2).expect("a host");
        host.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port")
    }

    /// The status of an answer with credentials.
    fn asks(&self) -> u16 {
        let (host, path) = self.url.trim_start_matches("http://").split_once('/').unwrap();
        let token = &self.token;
        let request =
            format!("GET /{path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: {token}\r\n\r\n");
        ask(self.port(), &request).expect("an answer").status
    }

    /// Waits for the end of the command, of vault beside it, and of the server.
    #[track_caller]
    fn all_end(&self) {
        wait_until(|| is_over(self.command) && is_over(self.parent));
        // A process whose main thread has ended is shown as over while the others end.
        wait_until(|| TcpStream::connect(("127.0.0.1", self.port())).is_err());
    }
}

#[track_caller]
fn wait_until(done: impl Fn() -> bool) {
    let deadline = Instant::now() + SOON;
    while !done() {
        assert!(Instant::now() < deadline, "it goes on and on");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The state of a process: the letter that ps(1) shows.
fn state(pid: i32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit(") ").next()?.chars().next()
}

/// The words of a process, with zeros between them; nothing if it has ended.
fn command_line(pid: i32) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default()
}

/// It has ended; whoever should have waited for it may not have done so yet.
fn is_over(pid: i32) -> bool {
    matches!(state(pid), None | Some('Z' | 'X'))
}

/// The exit code of a child that ends by itself, 128+n after signal n.
#[track_caller]
fn status(child: Child) -> i32 {
    exit_code(wait(child, Instant::now() + SOON))
}

/// `vault exec`, for `sh -c SCRIPT`, on a terminal whose session it leads.
fn exec(test: &Test, flags: &[&str], script: &str) -> Test {
    test.command([&["exec"], flags, &["demo", "--", "sh", "-c", script]].concat())
}

#[test]
fn command_and_server_end_with_the_terminal() {
    let (_standin, test) = scene::usual();
    let sleep = format!("{TELL}; exec sleep 60");
    // A command that has processes of its own, and waits for them.
    let waits = format!("{TELL}; sleep 60; exit 3");
    for script in [&sleep, &waits] {
        for flags in [&["--server"][..], &[], &["--no-session"]] {
            let pty = exec(&test, flags, script).pty();
            let told = Told::wait(&test);
            assert_eq!(status(pty.hang_up()), 128 + libc::SIGHUP, "{flags:?} {script}");
            if flags == ["--server"] {
                told.all_end();
            } else {
                // vault has become the command.
                wait_until(|| is_over(told.command));
            }
        }
    }
}

#[test]
fn nor_do_they_live_on_below_a_shell() {
    let (_standin, test) = scene::usual();
    let test = test.on_path("vault").file("tell", format!("{TELL}; exec sleep 60\n"), 0o755);
    let vault = "vault exec --server demo -- sh ./tell";
    for (shell, line) in [
        // What sshd starts: the shell becomes vault.
        ("bash", vault.to_owned()),
        ("sh", format!("exec {vault}")),
        // It leads the session, and vault is in its process group.
        ("sh", format!("{vault}; true")),
        ("sh", format!("{vault} | cat; true")),
        ("sh", format!("true | {vault}; true")),
        ("sh", format!("({vault}; true); true")),
        // With job control, vault has a group of its own.
        ("bash", format!("set -m; {vault}; true")),
    ] {
        let pty = test.command(["-c", line.as_str()]).program(shell).pty();
        let told = Told::wait(&test);
        let _ = status(pty.hang_up());
        told.all_end();
    }
    // As a job of a person's shell, in the foreground and stopped.
    for stopped in [false, true] {
        let bash = test.command(["--norc", "-i"]).program("bash").env("PS1", "$ ");
        let mut pty = bash.pty();
        pty.expect("$ ", SOON);
        pty.send(vault);
        let told = Told::wait(&test);
        if stopped {
            wait_until(|| command_line(told.command).starts_with("sleep"));
            pty.press("\x1a");
            pty.expect("Stopped", SOON);
        }
        let _ = status(pty.hang_up());
        told.all_end();
    }
}

#[test]
fn a_shell_beside_the_server_ends_too() {
    let (_standin, test) = scene::usual();
    let words = ["exec", "--server", "demo", "--", "bash", "--norc", "-i"];
    let mut pty = test.command(words).env("PS1", "$ ").pty();
    pty.expect("$ ", SOON);
    pty.send(&format!("{TELL}; sleep 60"));
    let told = Told::wait(&test);
    let _ = status(pty.hang_up());
    told.all_end();
}

#[test]
fn a_command_in_a_process_group_of_its_own_ends_too() {
    let (_standin, test) = scene::usual();
    let python = format!(
        "import os; os.setpgid(0, 0); os.execvp('sh', ['sh', '-c', '''{TELL}; exec sleep 60'''])"
    );
    let run = test.command(["exec", "--server", "demo", "--", "python3", "-c", &python]);
    let pty = run.pty();
    let told = Told::wait(&test);
    assert_eq!(status(pty.hang_up()), 128 + libc::SIGHUP);
    told.all_end();
}

#[test]
fn a_command_that_is_stopped_goes_on_and_ends() {
    let (_standin, test) = scene::usual();
    for flags in [&["--server"][..], &[]] {
        let pty = exec(&test, flags, &format!("{TELL}; kill -STOP $$; exec sleep 60")).pty();
        let told = Told::wait(&test);
        let vault = if flags.is_empty() { told.command } else { told.parent };
        wait_until(|| state(vault) == Some('T'));
        assert_eq!(status(pty.hang_up()), 128 + libc::SIGHUP);
        wait_until(|| is_over(told.command));
    }
}

#[test]
fn a_command_that_goes_on_keeps_its_server() {
    let (_standin, test) = scene::usual();
    let on = "while [ ! -e end ]; do sleep 0.02; done; exit 4";
    for script in [
        // As nohup does it, and as a program does that reads its configuration again.
        format!("trap '' HUP; {TELL}; {on}"),
        format!("trap 'echo >heard' HUP; {TELL}; {on}"),
    ] {
        let pty = exec(&test, &["--server"], &script).pty();
        let told = Told::wait(&test);
        let vault = pty.hang_up();
        if script.contains("heard") {
            wait_for(&test, "heard");
        }
        assert_eq!(told.asks(), 200);
        std::fs::write(test.home().join("end"), "").unwrap();
        assert_eq!(status(vault), 4);
        told.all_end();
        std::fs::remove_file(test.home().join("end")).unwrap();
    }
}

#[test]
fn under_nohup_both_stay() {
    let (_standin, test) = scene::usual();
    let script = format!("{TELL}; while [ ! -e end ]; do sleep 0.02; done; exit 4");
    let pty = exec(&test, &["--server"], &script).under("nohup", [] as [&str; 0]).pty();
    let told = Told::wait(&test);
    let vault = pty.hang_up();
    // One that a process sends is not heard either.
    // SAFETY: the vault that runs for this very test.
    unsafe { libc::kill(told.parent, libc::SIGHUP) };
    assert_eq!(told.asks(), 200);
    std::fs::write(test.home().join("end"), "").unwrap();
    assert_eq!(status(vault), 4);
}

#[test]
fn serve_ends_and_takes_its_files_away() {
    let (_standin, test) = scene::usual();
    let words = ["serve", "--listen", "127.0.0.1:0", "--token-file", "token", "--profile", "demo"];
    let mut pty = test.command(words).args(["--health-socket", "health"]).pty();
    pty.expect("vault: serving demo at ", SOON);
    pty.expect("\n", SOON);
    assert!(test.home().join("token").exists());
    assert_eq!(status(pty.hang_up()), 0);
    for gone in ["token", "health"] {
        assert!(!test.home().join(gone).exists(), "{gone}");
    }
}

#[test]
fn no_wait_for_aws_without_a_terminal() {
    let (standin, test) = scene::usual();
    standin.fail_always(Some(Fault::HangForever));
    for flags in [&["--server"][..], &[]] {
        let before = standin.calls().len();
        let pty = exec(&test, flags, "echo started >started").pty();
        wait_until(|| standin.calls().len() > before);
        assert_eq!(status(pty.hang_up()), 128 + libc::SIGHUP);
        assert!(!test.home().join("started").exists());
    }
}
