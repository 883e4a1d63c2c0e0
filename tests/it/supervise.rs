//! `exec --server`: the command, its environment, its signals and its end.

use std::time::{Duration, Instant};

use crate::support::builder::Test;
use crate::support::diff::assert_same;
use crate::support::scene;
use crate::support::served::{SOON, ask};
use crate::support::{AGE_KEY, SECRET_ACCESS_KEY};

fn words<'a>(profile: &'a str, command: &[&'a str]) -> Vec<&'a str> {
    [&["exec", "--server", profile, "--"], command].concat()
}

/// `exec --server demo -- sh -c SCRIPT`
fn shell(test: &Test, script: &str) -> Test {
    test.command(words("demo", &["sh", "-c", script]))
}

#[test]
fn the_command_learns_where_credentials_are_and_no_key() {
    let (standin, test) = scene::usual();
    let stale = test.clone().env("AWS_ACCESS_KEY_ID", "stale").env("AWS_PROFILE", "stale");
    let stale = stale.env("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/stale");
    let output = stale.command(words("demo", &["env"])).expect_stderr("").run();
    let aws: Vec<_> = output.stdout.lines().filter(|line| line.contains("AWS_")).collect();
    let value = |name: &str| {
        let line = aws.iter().find_map(|line| line.strip_prefix(&format!("{name}=")));
        line.unwrap_or_else(|| panic!("no {name} in {aws:?}")).to_owned()
    };
    let url = value("AWS_CONTAINER_CREDENTIALS_FULL_URI");
    assert!(url.starts_with("http://127.0.0.1:") && url.ends_with("/credentials/demo"), "{url}");
    assert_eq!(value("AWS_CONTAINER_AUTHORIZATION_TOKEN").len(), 43);
    let names: Vec<_> = aws.iter().map(|line| line.split('=').next().unwrap()).collect();
    let mut expected = vec![
        "AWS_CONTAINER_AUTHORIZATION_TOKEN",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "AWS_DEFAULT_REGION",
        "AWS_ENDPOINT_URL_STS",
        "AWS_REGION",
        "AWS_VAULT",
    ];
    let mut sorted = names.clone();
    sorted.sort_unstable();
    expected.sort_unstable();
    assert_eq!(sorted, expected);
    for secret in [AGE_KEY, SECRET_ACCESS_KEY, &standin.issued()[0].secret_access_key] {
        assert!(!output.stdout.contains(secret));
    }
}

/// Waits for a file that is written whole or not at all.
pub fn wait_for(test: &Test, name: &str) -> String {
    let deadline = Instant::now() + SOON;
    loop {
        if let Ok(text) = std::fs::read_to_string(test.home().join(name)) {
            return text;
        }
        assert!(Instant::now() < deadline, "no {name}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn what_the_command_asks_is_answered() {
    let (standin, test) = scene::usual();
    let script = "env >part && mv part seen; while [ ! -e asked ]; do sleep 0.02; done; exit 7";
    std::thread::scope(|scope| {
        let run = shell(&test, script).expect_stderr("").expect_status(7);
        let run = scope.spawn(move || run.run());
        let seen = wait_for(&test, "seen");
        let value = |name: &str| {
            let line = seen.lines().find_map(|line| line.strip_prefix(&format!("{name}=")));
            line.expect("a variable").to_owned()
        };
        let url = value("AWS_CONTAINER_CREDENTIALS_FULL_URI");
        let token = value("AWS_CONTAINER_AUTHORIZATION_TOKEN");
        let (host, path) = url.trim_start_matches("http://").split_once('/').expect("a path");
        let port = host.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
        let request =
            format!("GET /{path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: {token}\r\n\r\n");
        let answer = ask(port, &request).expect("an answer");
        std::fs::write(test.home().join("asked"), "").expect("a file");
        assert_eq!(answer.status, 200);
        assert!(answer.body.contains(&standin.issued()[0].session_token), "{}", answer.body);
        run.join().expect("its status");
    });
}

#[test]
fn the_status_of_the_command_is_the_status() {
    let (_standin, test) = scene::usual();
    for (script, status) in [
        ("exit 0", 0),
        ("exit 1", 1),
        ("exit 42", 42),
        ("exit 255", 255),
        ("kill -TERM $$", 128 + 15),
        ("kill -KILL $$", 128 + 9),
        ("kill -PIPE $$", 128 + 13),
        ("ulimit -c 0; kill -SEGV $$", 128 + 11),
    ] {
        shell(&test, script).expect_status(status).expect_stdout("").expect_stderr("").run();
    }
    for (program, status, stderr) in [
        ("no-such-command", 127, "command not found: no-such-command"),
        ("/etc/passwd", 126, "cannot execute /etc/passwd: permission denied"),
        ("/", 126, "cannot execute /: permission denied"),
    ] {
        let stderr = format!("vault: error: {stderr}\n");
        test.command(words("demo", &[program])).expect_error(status, &stderr).run();
    }
    let test = test.clone().file("script", "echo \"$0 $1\"; exit 7\n", 0o755);
    let script = test.command(words("demo", &["./script", "argument"])).expect_status(7);
    script.expect_stdout("./script argument\n").run();
}

#[test]
fn a_failure_before_the_start_is_125_and_starts_nothing() {
    let (standin, test) = scene::usual();
    let before = standin.calls().len();
    let error = |words: &[&str], status: i32, stderr: &str| {
        test.command(words).expect_error(status, stderr).run();
    };
    error(
        &["exec", "--server", "-n", "demo", "--", "touch", "started"],
        2,
        "vault: error: --server serves temporary credentials only, and profile demo gives a long-term key\n\
         vault: hint: leave out --no-session\n",
    );
    let mfa = test.command(words("mfa", &["touch", "started"])).expect_status(125).run();
    assert!(mfa.stderr.starts_with("vault: error: no MFA code is available"), "{}", mfa.stderr);
    error(
        &["exec", "--server", "--json", "demo"],
        2,
        "vault: error: --server and --json cannot be used together\nvault: hint: see vault exec --help\n",
    );
    assert_eq!(standin.calls().len(), before);
    assert!(!test.home().join("started").exists());
    let nested = test.clone().env("AWS_VAULT", "other");
    nested
        .command(["exec", "-s", "demo"])
        .expect_error(
            125,
            "vault: error: running in an existing vault subshell\n\
             vault: hint: exit from the subshell, or unset AWS_VAULT to force\n",
        )
        .run();
}

#[test]
fn signals_are_handed_on() {
    let (_standin, test) = scene::usual();
    for (number, name) in [
        (libc::SIGHUP, "HUP"),
        (libc::SIGINT, "INT"),
        (libc::SIGQUIT, "QUIT"),
        (libc::SIGUSR1, "USR1"),
        (libc::SIGUSR2, "USR2"),
        (libc::SIGALRM, "ALRM"),
        (libc::SIGTERM, "TERM"),
        (libc::SIGWINCH, "WINCH"),
        (libc::SIGPWR, "PWR"),
        (libc::SIGRTMIN() + 3, "RTMIN+3"),
    ] {
        let ready = format!("ready-{number}");
        let script = format!(
            "trap 'exit {}' {name}; echo $PPID >part; mv part {ready}; while :; do sleep 0.02; done",
            number + 1
        );
        let run = test.command(words("demo", &["bash", "-c", &script]));
        std::thread::scope(|scope| {
            let run = run.expect_status(number + 1).expect_stderr("");
            let run = scope.spawn(move || run.run());
            let vault: i32 = wait_for(&test, &ready).trim().parse().expect("a pid");
            // SAFETY: the vault that runs for this very test.
            unsafe { libc::kill(vault, number) };
            run.join().expect("handed on");
        });
    }
}

#[test]
fn a_signal_that_was_ignored_stays_ignored() {
    let (_standin, test) = scene::usual();
    let script = "trap '' HUP; exec vault exec --server demo -- sh -c 'kill -HUP $PPID; \
                  kill -HUP $$; exit 3'";
    let test = test.on_path("vault");
    test.command(["-c", script]).program("sh").expect_status(3).expect_stderr("").run();
}

#[test]
fn a_status_is_known_where_sigchld_was_ignored() {
    let (_standin, test) = scene::usual();
    let python = "import os, signal; signal.signal(signal.SIGCHLD, signal.SIG_IGN)\n\
                  os.execvp('vault', 'vault exec --server demo -- sh -c'.split() + ['exit 7'])";
    let test = test.on_path("vault");
    test.command(["-c", python]).program("python3").expect_status(7).expect_stderr("").run();
}

/// What `docker stop` does to the first process of a container, as far as it concerns us.
#[test]
fn a_stop_is_over_in_less_than_a_second() {
    let (_standin, test) = scene::usual();
    let run = shell(&test, "echo $PPID >part; mv part ready; exec sleep 60").expect_status(143);
    std::thread::scope(|scope| {
        let run = scope.spawn(move || run.run());
        let vault: i32 = wait_for(&test, "ready").trim().parse().expect("a pid");
        let start = Instant::now();
        // SAFETY: the vault that runs for this very test.
        unsafe { libc::kill(vault, libc::SIGTERM) };
        run.join().expect("143");
        assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    });
}

/// Says which signals come, each as often as it comes: a shell would say two of a kind once.
const COUNTER: &str = r"
import os, signal
r, w = os.pipe()
os.set_blocking(w, False)
signal.set_wakeup_fd(w)
for number in (signal.SIGINT, signal.SIGCONT, signal.SIGUSR1, signal.SIGTERM):
    signal.signal(number, lambda *_: None)
print('up by', os.getppid(), flush=True)
name = ''
while name != 'SIGTERM':
    name = signal.Signals(os.read(r, 1)[0]).name
    print(name, flush=True)
os._exit(5)";

#[test]
fn the_terminal_sends_once() {
    let (_standin, test) = scene::usual();
    let mut pty = test.command(words("demo", &["python3", "-c", COUNTER])).pty();
    pty.expect("up by ", SOON);
    pty.expect("\n", SOON);
    let screen = pty.screen();
    let vault = screen.split("up by ").nth(1).and_then(|pid| pid.trim().parse().ok());
    let vault: i32 = vault.expect("a pid");
    // SAFETY: the vault that runs for this very test.
    let send = |signal| assert_eq!(unsafe { libc::kill(vault, signal) }, 0);
    for _ in 0..5 {
        // Two that came before the first was taken would be one, so vault has to wait until it is.
        send(libc::SIGSTOP);
        pty.press("\x03");
        pty.expect("SIGINT\n", SOON);
        send(libc::SIGCONT);
        pty.expect("SIGCONT\n", SOON);
        // They are handed on one after the other: with this one, ^C is done with.
        send(libc::SIGUSR1);
        pty.expect("SIGUSR1\n", SOON);
    }
    send(libc::SIGTERM);
    pty.expect("SIGTERM\n", SOON);
    let said = pty.screen();
    assert_eq!(said.matches("SIGINT").count(), 5, "{said}");
    assert_eq!(pty.end(SOON).0, 5);
}

/// A timer of this process, of which only it hears.
fn alarm() {
    let timer = libc::itimerval {
        it_interval: libc::timeval { tv_sec: 0, tv_usec: 0 },
        it_value: libc::timeval { tv_sec: 0, tv_usec: 1000 },
    };
    // SAFETY: a valid struct, and nobody wants the old one. The signal is caught by the supervisor.
    unsafe { libc::setitimer(libc::ITIMER_REAL, &timer, std::ptr::null_mut()) };
}

#[test]
fn what_the_kernel_sends_before_the_command_is_there_reaches_it() {
    let supervisor = vault::exec::Supervisor::new().unwrap();
    alarm();
    std::thread::sleep(Duration::from_millis(100));
    let code = supervisor.run(&["/bin/sleep".into(), "60".into()], &[]).unwrap();
    assert_eq!(code, 128 + 14);
}

#[test]
fn what_the_kernel_sends_to_vault_alone_reaches_the_command() {
    let test = Test::new();
    let supervisor = vault::exec::Supervisor::new().unwrap();
    let script = format!("echo >{}; exec sleep 60", test.home().join("ready").display());
    let code = std::thread::scope(|scope| {
        scope.spawn(|| {
            wait_for(&test, "ready");
            alarm();
        });
        let words = ["/bin/sh".into(), "-c".into(), script.into()];
        supervisor.run(&words, &[("PATH".into(), "/usr/bin:/bin".into())])
    });
    assert_eq!(code.unwrap(), 128 + 14);
}

#[test]
fn a_stopped_command_stops_vault_and_both_go_on() {
    let (_standin, test) = scene::usual();
    let test = test.on_path("vault");
    // A shell with job control: ^Z, then fg.
    let mut pty = test.command(["--norc", "-i"]).program("bash").env("PS1", "$ ").pty();
    pty.expect("$ ", SOON);
    pty.send("vault exec --server demo -- sh -c 'echo ready; cat; exit 4'");
    pty.expect("ready\n", SOON);
    // cat itself answers: a shell that is stopped while it starts a program may never stop.
    pty.send("up");
    pty.expect("up\nup\n", SOON);
    pty.press("\x1a");
    pty.expect("Stopped", SOON);
    pty.expect("exit 4'\n$ ", SOON);
    // One line in a hundred cat reads while it stops, without vault as well.
    let answered = (0..10).any(|_| {
        pty.send("fg");
        pty.shows("exit 4'\n", Duration::from_secs(3))
    });
    assert!(answered, "{}", pty.screen());
    pty.send("typed");
    pty.expect("typed\n", SOON);
    pty.expect("typed\n", SOON);
    pty.press("\x04");
    pty.send("echo ended $?");
    pty.expect("ended 4\n", SOON);
    pty.send("exit");
    pty.end(SOON);
}

#[test]
fn a_command_that_is_stopped_by_a_signal_to_vault_stops_with_it() {
    let (_standin, test) = scene::usual();
    let script = "echo $PPID $$ >part; mv part ready; while [ ! -e end ]; do sleep 0.02; done";
    std::thread::scope(|scope| {
        let run = shell(&test, script).expect_stderr("");
        let run = scope.spawn(move || run.run());
        let pids = wait_for(&test, "ready");
        let pids: Vec<i32> = pids.split_whitespace().map(|pid| pid.parse().unwrap()).collect();
        let state = |pid: i32| {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
            stat.rsplit(") ").next().unwrap().chars().next().unwrap()
        };
        let wait = |wanted: &dyn Fn(char) -> bool| {
            let deadline = Instant::now() + SOON;
            while !pids.iter().all(|pid| wanted(state(*pid))) {
                assert!(Instant::now() < deadline, "{:?}", pids.iter().map(|p| state(*p)));
                std::thread::sleep(Duration::from_millis(5));
            }
        };
        // SAFETY: the processes that run for this very test.
        unsafe { libc::kill(pids[1], libc::SIGSTOP) };
        wait(&|state| state == 'T');
        // SAFETY: as above.
        unsafe { libc::kill(pids[0], libc::SIGCONT) };
        wait(&|state| state != 'T');
        std::fs::write(test.home().join("end"), "").unwrap();
        run.join().expect("its end");
    });
}

#[test]
fn what_would_outrank_the_server_is_out_of_sight() {
    let (_standin, test) = scene::usual();
    let looks = |config: &str, credentials: &str| {
        let config = format!("{config}\n{}", scene::PROFILES);
        let test = test.clone().config(&config).aws_credentials(credentials);
        let script = "echo ${AWS_CONFIG_FILE-none} ${AWS_SHARED_CREDENTIALS_FILE-none}";
        let output = shell(&test, script).run();
        (output.stdout, output.stderr)
    };
    let warning = "vault: warning: profile default says where credentials come from, which would \
                   outrank the server: the command sees no AWS config and credentials file\n";
    for (config, credentials) in [
        ("[default]\naws_access_key_id = AKIAIOSFODNN7EXAMPLE", ""),
        ("", "[default]\naws_access_key_id = AKIAIOSFODNN7EXAMPLE"),
        ("[default]\ncredential_process = vault exec --json demo", ""),
        ("[default]\nrole_arn = arn:aws:iam::123456789012:role/x", ""),
        ("[profile default]\nsso_session = x", ""),
        ("[default]\nweb_identity_token_file = /x", ""),
        ("[default]\nlogin_session = x", ""),
    ] {
        let (seen, said) = looks(config, credentials);
        assert_eq!(seen, "/dev/null /dev/null\n", "{config}");
        assert!(said.ends_with(warning) && said.matches(warning).count() == 1, "{said}");
    }
    for config in ["", "[default]\nregion = eu-west-1\noutput = json\nsource_profile = demo"] {
        assert_eq!(looks(config, ""), ("none none\n".to_owned(), String::new()), "{config}");
    }
}

#[test]
fn without_a_command_it_is_a_shell() {
    let (_standin, test) = scene::usual();
    let shell = test.env("SHELL", "/bin/sh").command(["exec", "--ecs-server", "demo"]);
    let stdin = "echo $AWS_VAULT ${AWS_ACCESS_KEY_ID-none}; exit 3\n";
    let output = shell.stdin(stdin).expect_status(3).run();
    assert_same("stdout", "demo none\n", &output.stdout);
    let said = "Starting subshell /bin/sh, use `exit` to exit the subshell\n";
    assert_same("stderr", said, &output.stderr);
}

#[test]
#[ignore = "needs root, for a pid namespace (see .ci/run)"]
fn as_the_first_process_it_waits_for_orphans_and_ends_at_a_stop() {
    let (_standin, test) = scene::usual();
    let test = test.on_path("vault");
    // An orphan that has ended, and one that lives: neither is a zombie, and neither keeps it going.
    let script = "(sleep 0.1 & exec sleep 0.05) & (sleep 60 & exit 0)\n\
                  sleep 0.5; test $PPID = 1; first=$?\n\
                  grep -l 'State:.Z' /proc/[0-9]*/status; echo zombies $? first $first\n\
                  echo up >part; mv part ready; exec sleep 60";
    let words = ["-pf", "--mount-proc", "vault", "exec", "--server", "demo", "--", "sh", "-c"];
    let run = test.command(words).arg(script).program("unshare");
    std::thread::scope(|scope| {
        let run = run.expect_stdout("zombies 1 first 0\n").expect_stderr("").expect_status(143);
        let run = scope.spawn(move || run.run());
        wait_for(&test, "ready");
        let first = first_below(&test);
        let start = Instant::now();
        // SAFETY: the vault that runs for this very test, as it is seen from outside.
        unsafe { libc::kill(first, libc::SIGTERM) };
        run.join().expect("143");
        assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    });
}

/// The process whose working directory is the test's home and that is the first of its namespace.
fn first_below(test: &Test) -> i32 {
    let pids = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let first = |pid: &i32| {
        let home = std::fs::read_link(format!("/proc/{pid}/cwd"));
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        home.is_ok_and(|home| home == test.home())
            && status.lines().any(|line| line.starts_with("NSpid:") && line.ends_with("\t1"))
    };
    pids.into_iter().find(first).expect("the first process of the namespace")
}
