//! Descriptors that held a key, however they were named: none is open in the command.

use std::time::Duration;

use super::from_a_shell;
use crate::support::builder::Test;
use crate::support::{AGE_KEY, PASSPHRASE};

/// Lists the descriptors of the command from 3 on, and says what its stdin is.
const LOOK: &str = "sh -c 'for fd in 3 4 5 6 7 8 9; do \
    [ -e /proc/$$/fd/$fd ] && printf \"$fd \"; done; \
    case $(readlink /proc/$$/fd/0) in /dev/null) echo null;; pipe*) echo pipe;; *) echo file;; esac'";
const SOON: Duration = Duration::from_secs(30);
/// Whoever started the tests may have had something open.
const CLOSE: &str = "exec 3<&- 4<&- 5<&- 6<&- 7<&- 8<&- 9<&-";

fn home() -> Test {
    let test = Test::new().vault_with("demo").file("key", AGE_KEY, 0o600);
    let test = test.file("mine", "x", 0o600).file("directory/file", "x", 0o600);
    let link = |target: &str, name: &str| {
        std::os::unix::fs::symlink(target, test.home().join(name)).expect("a link");
    };
    link("/dev/fd/9", "link");
    link("link", "second");
    link("/proc/self/fd", "fds");
    link("/dev/stdin", "in");
    test
}

/// What the command has open where the shell runs this; `LOOK` is the command.
#[track_caller]
fn left(test: &Test, script: &str) -> String {
    let script = format!("{CLOSE}; {}", script.replace("LOOK", LOOK));
    from_a_shell(test, &script).expect_stderr("").run().stdout
}

#[test]
fn a_descriptor_with_a_key_is_closed_however_it_is_named() {
    let test = home();
    for name in [
        "/dev/fd/9",
        "/dev//fd/9",
        "/dev/./fd/9",
        "/dev/../dev/fd/9",
        "//dev/fd///9",
        "/proc/self/fd/9",
        "/proc/thread-self/fd/9",
        "/proc/self/../self/fd/9",
        "/proc/self/fd/../fd/9",
        "/proc/$$/fd/9",
        "/proc/self/task/$$/fd/9",
        "/proc/$$/task/$$/fd/9",
        "/proc/self/root/proc/self/fd/9",
        "/proc/self/cwd/link",
        "link",
        "second",
        "fds/9",
        "$HOME/directory/../second",
        "../../../../../../../../../../../../dev/fd/9",
    ] {
        for start in ["exec vault", "vault"] {
            if start == "vault" && name.contains("task/$$") {
                continue; // no thread of this process
            }
            let script = format!("exec 9<key 8<mine; {start} -i {name} exec -n demo -- LOOK");
            assert_eq!(left(&test, &script), "8 pipe\n", "{script}");
        }
    }
    for (directory, name) in [
        ("/dev", "fd/9"),
        ("/dev/fd", "9"),
        ("/proc/self/fd", "9"),
        ("/proc", "self/fd/9"),
        ("/proc", "thread-self/fd/9"),
        ("/proc/self", "../self/fd/9"),
    ] {
        let vault = "--vault ~/.local/share/vault/vault.age";
        let script = format!(
            "exec 9<key 8<mine; cd {directory}; exec vault {vault} -i {name} exec -n demo -- LOOK"
        );
        assert_eq!(left(&test, &script), "8 pipe\n", "{script}");
    }
}

#[test]
fn every_flag_and_variable_that_names_a_descriptor_closes_it() {
    let test = home().file("passphrase", PASSPHRASE, 0o600);
    test.command(["passphrase", "set", "--new-passphrase-file", "passphrase"]).run();
    std::fs::create_dir_all(test.home().join(".config/vault")).expect("a directory");
    for (file, variable, flag) in [
        ("key", "", "-i"),
        ("passphrase", "", "--passphrase-file"),
        ("key", "AWS_VAULT_AGE_KEY_FILE", ""),
        ("passphrase", "AWS_VAULT_PASSPHRASE_FILE", ""),
        ("key", "SOPS_AGE_KEY_FILE", ""),
        ("key", "identity.txt", ""),
    ] {
        for name in ["/dev/fd/9", "/proc/thread-self/fd/9", "link"] {
            let given = match (variable, flag) {
                ("identity.txt", _) => {
                    format!(
                        "ln -sfn {} .config/vault/identity.txt; exec vault",
                        match name {
                            "link" => "../../link",
                            name => name,
                        }
                    )
                }
                ("", flag) => format!("exec vault {flag} {name}"),
                (variable, _) => format!("export {variable}={name}; exec vault"),
            };
            let script = format!("exec 9<{file} 8<mine; {given} exec -n demo -- LOOK");
            assert_eq!(left(&test, &script), "8 pipe\n", "{script}");
            let _ = std::fs::remove_file(test.home().join(".config/vault/identity.txt"));
        }
    }
    // Only a pipe that was named is waited for.
    let script = "ln -s /dev/fd/9 .config/vault/identity.txt; mkfifo fifo; \
                  vault list 9<>fifo 2>said; echo $?; grep -c 'not a regular file' said";
    from_a_shell(&test, script).expect_stdout("4\n1\n").run();
}

#[test]
fn every_descriptor_for_the_same_file_or_pipe_is_closed() {
    let test = home();
    for open in [
        // A copy, another opening, and a pipe's.
        "exec 9<key 7<&9 8<mine",
        "exec 9<key 7<key 8<mine",
        "exec 9<<END 8<mine\n$(cat key)\nEND\nexec 7<&9",
    ] {
        let script = format!("{open}\nexec vault -i /dev/fd/9 exec -n demo -- LOOK");
        assert_eq!(left(&test, &script), "8 pipe\n", "{script}");
    }
    let script = "cat key | { exec 9<&0 8<mine; exec vault -i /dev/fd/9 exec -n demo -- LOOK; }";
    assert_eq!(left(&test, script), "8 null\n", "stdin was the same pipe");
    // Another process's descriptor: this one has the same pipe by another number.
    let script = "cat key | { exec 9<&0 8<mine </dev/null; \
                  sh -c 'exec 7<&9 9<&-; exec vault -i /proc/$PPID/fd/9 exec -n demo -- LOOK'; true; }";
    let script = script.replace("LOOK", "sh -c \"test -e /proc/\\$\\$/fd/7 || echo closed\"");
    assert_eq!(left(&test, &script), "closed\n");
}

#[test]
fn a_stdin_with_a_key_is_empty_however_it_is_named() {
    let test = home();
    for name in [
        "-",
        "/dev/stdin",
        "/dev//stdin",
        "/dev/../dev/stdin",
        "/dev/fd/0",
        "/proc/thread-self/fd/0",
        "/proc/$$/fd/0",
        "in",
        "fds/0",
    ] {
        for give in ["<key", "8<mine 9<key <&9"] {
            let script = format!("exec {give}; exec vault -i {name} exec -n demo -- LOOK");
            let expected = if give == "<key" { "null\n" } else { "8 null\n" };
            assert_eq!(left(&test, &script), expected, "{script}");
        }
    }
}

#[test]
fn what_is_named_by_its_path_closes_nothing() {
    let test = home();
    for name in ["key", "./key", "$HOME/key", "directory/../key", "/proc/self/cwd/key"] {
        let script = format!("exec 9<key 8<mine; exec vault -i {name} exec -n demo -- LOOK");
        assert_eq!(left(&test, &script), "8 9 pipe\n", "{script}");
    }
}

#[test]
fn stdout_stderr_and_a_terminal_stay_open() {
    let test = home();
    let look = "sh -c 'test -e /proc/$$/fd/2 && echo open; cat <&2'";
    let script = format!("cp key out; exec vault -i /dev/stderr exec -n demo -- {look} 2<>out");
    assert_eq!(left(&test, &script), "open\n", "it was read to its end");

    let look = "test -t 0 && test -t 9 && echo both are terminals";
    let script = format!("exec 9<&0; exec vault -i /dev/fd/9 exec -n demo -- sh -c '{look}'");
    let test = test.on_path("vault").env_remove("AWS_VAULT_AGE_KEY").program("sh");
    let mut terminal = test.command(["-c", &script]).pty();
    terminal.send(AGE_KEY);
    terminal.press("\u{4}");
    let (status, screen) = terminal.end(SOON);
    assert_eq!(status, 0, "{screen}");
    assert!(screen.contains("both are terminals"), "{screen}");
}

#[test]
#[ignore = "needs unshare and the right to mount"]
fn a_descriptor_is_one_wherever_procfs_is_mounted() {
    let test = home().file("proc/x", "", 0o600).file("other/x", "", 0o600).file("own/x", "", 0o600);
    let test = test.on_path("vault").env_remove("AWS_VAULT_AGE_KEY").program("unshare");
    for name in ["proc/self/fd/9", "proc/$$/fd/9", "other/thread-self/fd/9", "own/9"] {
        let script = format!(
            "mount --bind /proc proc && mount -t proc proc other && mount --bind /proc/$$/fd own && \
             exec 9<key 8<mine && exec vault -i {name} exec -n demo -- {LOOK}"
        );
        let script = format!("{CLOSE}; {script}");
        let run = test.command(["--mount", "sh", "-c", &script]).expect_stderr("").run();
        assert_eq!(run.stdout, "8 pipe\n", "{script}");
    }
}
