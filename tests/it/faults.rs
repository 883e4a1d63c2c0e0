//! A fault at every system call of every command that writes: killed there, or the call fails. Whatever
//! happens, the vault opens as the old or the new one, and what was said of it is true.

mod crowd;
mod disk;
pub mod inject;
mod power;
mod rotation;
mod verdict;

use crate::recipient::OTHER;
use crate::support::builder::Test;
use crate::support::{AGE_KEY, AGE_RECIPIENT, MFA_SEED, MFA_SERIAL, PASSPHRASE};
use inject::{Call, inject, record};
use verdict::Scene;

const CSV: &str = "Access key ID,Secret access key\nAKIAIOSFODNN7EXAMPLE,wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\n";

/// A command and what is there before it. Each is one line of the table, and gets all faults.
struct Command {
    words: &'static [&'static str],
    stdin: &'static str,
    before: fn(Test) -> Test,
}

const INIT: Command = Command {
    words: &["init", "-r", AGE_RECIPIENT, "--generate-identity", "key.txt"],
    stdin: "",
    before: |test| test.env("AWS_VAULT_AGE_KEY", AGE_KEY),
};
const ADD: Command =
    Command { words: &["add", "second", "--stdin"], stdin: CSV, before: with_a_key };
const IMPORT: Command = Command {
    words: &["import", "--from", "credentials", "--remove-source"],
    stdin: "",
    before: with_a_plain_key,
};
const REMOVE: Command = Command { words: &["remove", "-f", "demo"], stdin: "", before: with_a_key };
const RECIPIENT_REMOVE: Command =
    Command { words: &["recipient", "remove", "-f", "spare"], stdin: "", before: with_two_keys };
const PASSPHRASE_SET: Command = Command {
    words: &["passphrase", "set", "--new-passphrase-file", "new"],
    stdin: "",
    before: with_a_passphrase_too,
};
const TOTP_ADD: Command =
    Command { words: &["totp", "add", MFA_SERIAL, "--stdin"], stdin: MFA_SEED, before: with_a_key };
const REKEY: Command = Command { words: &["rekey"], stdin: "", before: with_a_key };
const LIST: Command = Command { words: &["list"], stdin: "", before: with_a_key };
const EXEC: Command =
    Command { words: &["exec", "--json", "--no-session", "demo"], stdin: "", before: with_a_key };

#[test]
#[ignore = "needs strace"]
fn a_fault_at_any_call_of_init_is_survived() {
    all(&INIT, from_the_start);
}

#[test]
#[ignore = "needs strace"]
fn a_fault_at_any_call_of_add_is_survived() {
    all(&ADD, from_the_start);
}

#[test]
#[ignore = "needs strace"]
fn a_fault_at_any_call_of_import_is_survived() {
    all(&IMPORT, from_the_lock);
}

#[test]
#[ignore = "needs strace"]
fn a_fault_at_any_call_of_remove_is_survived() {
    all(&REMOVE, from_the_lock);
}

#[test]
#[ignore = "needs strace"]
fn a_fault_at_any_call_of_recipient_remove_is_survived() {
    all(&RECIPIENT_REMOVE, from_the_lock);
}

#[test]
#[ignore = "needs strace"]
fn a_fault_at_any_call_of_passphrase_set_is_survived() {
    all(&PASSPHRASE_SET, from_the_lock);
}

#[test]
#[ignore = "needs strace"]
fn a_fault_at_any_call_of_totp_add_is_survived() {
    all(&TOTP_ADD, from_the_lock);
}

#[test]
#[ignore = "needs strace"]
fn a_fault_at_any_call_of_rekey_is_survived() {
    all(&REKEY, from_the_lock);
}

#[test]
#[ignore = "needs strace"]
fn a_fault_at_any_call_of_a_reader_is_an_error_and_changes_nothing() {
    all(&LIST, from_the_start);
    all(&EXEC, from_the_start);
}

fn from_the_start(_: &[Call]) -> usize {
    0
}

/// All commands open a vault in the same way, so of those whose calls fail in that part one is enough.
/// They are killed in all of it.
fn from_the_lock(calls: &[Call]) -> usize {
    calls.iter().position(|call| call.line.contains("vault.age.lock")).expect("a lock")
}

fn with_a_key(test: Test) -> Test {
    test.config("[default]\nregion = eu-central-1\n").vault_with("demo")
}

fn with_a_plain_key(test: Test) -> Test {
    let key = "[plain]\naws_access_key_id = AKIAIOSFODNN7EXAMPLE\n\
               aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\n";
    with_a_key(test).aws_credentials(key)
}

fn with_two_keys(test: Test) -> Test {
    let test = with_a_key(test);
    test.command(["recipient", "add", OTHER, "--name", "spare"]).run();
    test
}

/// So that the new one takes its place.
fn with_a_passphrase_too(test: Test) -> Test {
    let test = with_a_key(test).file("new", PASSPHRASE, 0o600);
    let words = ["passphrase", "set", "--new-passphrase-file", "new"];
    test.command(words).run();
    test
}

/// The calls that touch files, and those that can also fail because there is no room.
const FILES: [&str; 37] = [
    "open",
    "openat",
    "close",
    "read",
    "readv",
    "pread64",
    "write",
    "writev",
    "pwrite64",
    "fsync",
    "fdatasync",
    "sync_file_range",
    "ftruncate",
    "rename",
    "renameat",
    "renameat2",
    "link",
    "linkat",
    "unlink",
    "unlinkat",
    "mkdir",
    "mkdirat",
    "stat",
    "fstat",
    "lstat",
    "newfstatat",
    "statx",
    "fstatfs",
    "readlink",
    "getdents64",
    "flock",
    "fchmod",
    "fchown",
    "fcntl",
    "lgetxattr",
    "fsetxattr",
    "fremovexattr",
];
const GROWING: [&str; 17] = [
    "open",
    "openat",
    "close",
    "write",
    "writev",
    "pwrite64",
    "fsync",
    "fdatasync",
    "ftruncate",
    "rename",
    "renameat",
    "renameat2",
    "link",
    "linkat",
    "mkdir",
    "fchmod",
    "fchown",
];

const KILL: &str = "signal=KILL";

/// What can happen at a call.
fn faults(call: &Call) -> Vec<&'static str> {
    let mut faults = vec![KILL];
    if call.name == "getrandom" {
        faults.push("error=EINTR");
    }
    // The kernel's close of a directory cannot fail: nothing is written back there. (Rust would panic.)
    if call.name == "close" && call.is_of_a_directory() {
        return faults;
    }
    if FILES.contains(&call.name.as_str()) {
        faults.extend(["error=EIO", "error=EINTR"]);
    }
    if GROWING.contains(&call.name.as_str()) && !call.line.contains("O_RDONLY") {
        faults.extend(["error=ENOSPC", "error=EDQUOT", "error=EROFS"]);
    }
    faults
}

/// Two at a time, each in a home of its own. `failing` gives the first of the calls that fail.
fn all(command: &Command, failing: fn(&[Call]) -> usize) {
    let started = std::time::Instant::now();
    let done: Vec<_> = std::thread::scope(|scope| {
        let some = |part| scope.spawn(move || some(command, failing, part, 2));
        [some(0), some(1)].into_iter().map(|worker| worker.join().expect("a worker")).collect()
    });
    let count: usize = done.iter().map(|(count, _)| count).sum();
    let wrong: Vec<_> = done.into_iter().flat_map(|(_, wrong)| wrong).collect();
    println!("{}: {count} faults in {:.0} s", command.words[0], started.elapsed().as_secs_f32());
    assert!(count > 150, "only {count} faults");
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
}

/// The share of one worker of a command's faults: how many, and what went wrong.
fn some(
    command: &Command,
    failing: fn(&[Call]) -> usize,
    part: usize,
    parts: usize,
) -> (usize, Vec<String>) {
    let test = (command.before)(Test::new());
    let run = test.command(command.words).stdin(command.stdin);
    let before = verdict::tree(test.home());
    let (output, calls) = record(&run);
    let scene = Scene::new(&test, &run, before, output);
    let first = failing(&calls);
    let pairs = calls.iter().enumerate().flat_map(|(at, call)| {
        let faults = faults(call).into_iter().filter(move |fault| at >= first || *fault == KILL);
        faults.map(move |fault| (call, fault))
    });
    let (mut count, mut wrong) = (0, Vec::new());
    for (call, fault) in pairs.skip(part).step_by(parts) {
        scene.reset();
        let what = format!("{}:{fault}:when={}", call.name, call.nth);
        let output = inject(&run, &what);
        if let Err(complaint) = scene.judge(call, fault, &output) {
            wrong.push(format!(
                "{} {what}: {complaint}\n  {}\n  {} {:?} {:?}",
                command.words[0], call.line, output.status, output.stdout, output.stderr
            ));
        }
        count += 1;
    }
    (count, wrong)
}
