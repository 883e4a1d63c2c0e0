//! `exec --server --token-by`: how the command gets the server's token.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::supervise::wait_for;
use crate::support::builder::Test;
use crate::support::place::TestHome;
use crate::support::scene;
use crate::support::served::ask;
use crate::support::standin::StandIn;

const VARIABLE: &str = "AWS_CONTAINER_AUTHORIZATION_TOKEN";
const FILE: &str = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE";

/// The usual scene, with a directory in memory as `XDG_RUNTIME_DIR`.
fn in_memory() -> (StandIn, Test, TestHome) {
    let (standin, test) = scene::usual();
    let memory = TestHome::in_memory();
    let test = test.env("XDG_RUNTIME_DIR", memory.path());
    (standin, test, memory)
}

/// `exec --server --token-by HOW demo -- sh -c SCRIPT`
fn shell(test: &Test, how: &str, script: &str) -> Test {
    test.command(["exec", "--server", "--token-by", how, "demo", "--", "sh", "-c", script])
}

/// The files that hold tokens there.
fn token_files(memory: &TestHome) -> Vec<String> {
    let entries = std::fs::read_dir(memory.path().join("vault")).into_iter().flatten();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with("server-token-")).collect()
}

#[test]
fn the_command_finds_the_token_where_it_was_asked_for() {
    let (_standin, test, memory) = in_memory();
    let script = "env | grep -o '^AWS_CONTAINER_AUTHORIZATION[A-Z_]*' | sort";
    for (how, names) in
        [("variable", &[VARIABLE][..]), ("file", &[FILE]), ("both", &[VARIABLE, FILE])]
    {
        let expected: String = names.iter().map(|name| format!("{name}\n")).collect();
        shell(&test, how, script).expect_stdout(expected).expect_stderr("").run();
        assert_eq!(token_files(&memory), [""; 0], "{how}");
    }
}

#[test]
fn the_file_opens_the_server_and_is_gone_at_the_end() {
    let (_standin, test, memory) = in_memory();
    let script = "env >part && mv part seen; while [ ! -e asked ]; do sleep 0.02; done; exit 7";
    std::thread::scope(|scope| {
        let run = shell(&test, "file", script).expect_stderr("").expect_status(7);
        let run = scope.spawn(move || run.run());
        let seen = wait_for(&test, "seen");
        let value = |name: &str| {
            let line = seen.lines().find_map(|line| line.strip_prefix(&format!("{name}=")));
            line.expect("a variable").to_owned()
        };
        let file = value(FILE);
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o7777;
        assert_eq!(Path::new(&file).parent(), Some(&*memory.path().join("vault")));
        assert_eq!((mode(&memory.path().join("vault")), mode(Path::new(&file))), (0o700, 0o600));
        let token = std::fs::read_to_string(&file).unwrap();
        let url = value("AWS_CONTAINER_CREDENTIALS_FULL_URI");
        let (host, path) = url.trim_start_matches("http://").split_once('/').unwrap();
        let port = host.rsplit(':').next().and_then(|port| port.parse().ok()).unwrap();
        let request =
            format!("GET /{path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: {token}\r\n\r\n");
        assert_eq!(ask(port, &request).unwrap().status, 200);
        std::fs::write(test.home().join("asked"), "").unwrap();
        run.join().expect("its end");
    });
    assert_eq!(token_files(&memory), [""; 0]);
}

#[test]
fn a_signal_that_ends_the_command_removes_the_file() {
    for signal in [
        libc::SIGHUP,
        libc::SIGINT,
        libc::SIGQUIT,
        libc::SIGTERM,
        libc::SIGABRT,
        libc::SIGVTALRM,
        libc::SIGPROF,
        libc::SIGXCPU,
    ] {
        let (_standin, test, memory) = in_memory();
        let run = shell(&test, "both", "echo $PPID >part; mv part ready; exec sleep 60");
        std::thread::scope(|scope| {
            let run = run.expect_status(128 + signal);
            let run = scope.spawn(move || run.run());
            let vault: i32 = wait_for(&test, "ready").trim().parse().expect("a pid");
            assert_eq!(token_files(&memory).len(), 1);
            // SAFETY: the vault that runs for this very test.
            unsafe { libc::kill(vault, signal) };
            run.join().expect("its end");
        });
        assert_eq!(token_files(&memory), [""; 0], "{signal}");
    }
}

#[test]
fn the_file_of_a_killed_server_is_removed_by_the_next_one() {
    let (_standin, test, memory) = in_memory();
    shell(&test, "file", "kill -KILL $PPID").expect_status(137).run();
    let left = token_files(&memory);
    assert_eq!(left.len(), 1);
    shell(&test, "file", "true").run();
    assert_eq!(token_files(&memory), [""; 0]);
}

#[test]
fn a_command_that_does_not_start_leaves_no_file() {
    let (_standin, test, memory) = in_memory();
    let words = ["exec", "--server", "--token-by", "file", "demo", "--", "./none"];
    test.command(words).expect_error(127, "vault: error: command not found: ./none\n").run();
    assert_eq!(token_files(&memory), [""; 0]);
}

#[test]
fn without_a_place_in_memory_nothing_is_started() {
    let (standin, test, _memory) = in_memory();
    let before = standin.calls().len();
    for how in ["file", "both"] {
        // What the system does not call a tmpfs is none.
        shell(&test, how, "touch started")
            .refuse(&[libc::SYS_fstatfs], libc::EIO)
            .expect_error(
                125,
                "vault: error: no place for the token's file: neither XDG_RUNTIME_DIR nor /dev/shm nor \
                 /tmp is a tmpfs that this user may write\n\
                 vault: hint: mount a tmpfs at /dev/shm, or leave out --token-by\n",
            )
            .run();
    }
    assert_eq!(standin.calls().len(), before);
    assert!(!test.home().join("started").exists());
    // On a disk it is not made either: the next place is in memory.
    let on_disk = test.clone().env("XDG_RUNTIME_DIR", test.home());
    let found = shell(&on_disk, "file", &format!("echo ${FILE}")).run().stdout;
    assert!(["/dev/shm/vault-", "/tmp/vault-"].iter().any(|dir| found.starts_with(dir)), "{found}");
}

#[test]
fn a_file_that_cannot_be_made_is_an_error() {
    let (_standin, test, memory) = in_memory();
    std::fs::create_dir(memory.path().join("vault")).unwrap();
    let shut = std::fs::Permissions::from_mode(0o700);
    std::fs::set_permissions(memory.path().join("vault"), shut).unwrap();
    shell(&test, "file", "touch started")
        .refuse(&[libc::SYS_flock], libc::ENOLCK)
        .expect_error(
            125,
            &format!(
                "vault: warning: cannot use the cache in [HOME]/.cache/vault: no locks available; continuing \
                 without it\n\
                 vault: error: cannot write the token into {}/vault: no locks available\n",
                memory.path().display()
            ),
        )
        .run();
    assert!(!test.home().join("started").exists());
    assert_eq!(token_files(&memory), [""; 0]);
}

#[test]
fn the_flag_wants_a_server() {
    let test = Test::new();
    for (words, stderr) in [
        (
            &["exec", "--token-by", "file", "demo"][..],
            "vault: error: --server is missing\nvault: hint: see vault exec --help\n",
        ),
        (
            &["exec", "--json", "--token-by", "file", "demo"],
            "vault: error: --json and --token-by <HOW> cannot be used together\nvault: hint: see \
             vault exec --help\n",
        ),
        (
            &["exec", "--server", "--token-by", "mail", "demo"],
            "vault: error: --token-by <HOW> takes one of: variable, file, both, not \"mail\"\nvault: hint: see vault exec --help\n",
        ),
    ] {
        test.command(words).expect_error(2, stderr).run();
    }
}
