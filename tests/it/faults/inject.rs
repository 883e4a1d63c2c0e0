//! strace: what calls a run makes, and a run in which one of them goes wrong.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::support::builder::{Output, Test};

/// The `nth` call of this name that a thread makes.
pub struct Call {
    pub name: String,
    pub nth: usize,
    /// As strace shows it.
    pub line: String,
}

impl Call {
    /// By its descriptor, and where that directory is still there.
    pub fn is_of_a_directory(&self) -> bool {
        let path = self.line.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
        path.is_some_and(|(path, _)| Path::new(path).is_dir())
    }
}

/// Runs it as it is, and lists its calls.
pub fn record(run: &Test) -> (Output, Vec<Call>) {
    let output = under_strace(run, &[]).run();
    let text = take_log(run);
    let mut counts = BTreeMap::<(&str, &str), usize>::new();
    let mut calls = Vec::new();
    for line in text.lines() {
        // PID NAME(ARGUMENTS) = RESULT; what a signal or the end is has no parenthesis there.
        let (pid, rest) = line.split_once(' ').expect("a pid");
        let Some((name, _)) = rest.trim_start().split_once('(') else { continue };
        if name == "execve" || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            continue;
        }
        let nth = counts.entry((pid, name)).or_default();
        *nth += 1;
        calls.push(Call { name: name.to_owned(), nth: *nth, line: rest.to_owned() });
    }
    assert!(calls.len() > 50, "strace saw {} calls:\n{text}", calls.len());
    (output, calls)
}

/// Runs it with this fault, which must have happened.
pub fn inject(run: &Test, what: &str) -> Output {
    try_inject(run, what).unwrap_or_else(|| panic!("{what} did not happen"))
}

/// The same, or none if the fault did not happen.
pub fn try_inject(run: &Test, what: &str) -> Option<Output> {
    let name = what.split(':').next().expect("a name");
    let words =
        ["-e".to_owned(), format!("trace={name}"), "-e".to_owned(), format!("inject={what}")];
    let output = under_strace(run, &words).try_run();
    let text = take_log(run);
    let happened = text.contains("(INJECTED)") || text.contains("+++ killed by SIGKILL");
    happened.then_some(output)
}

fn under_strace(run: &Test, words: &[String]) -> Test {
    let mut all = vec!["-f", "-y", "-qq", "-o"].into_iter().map(str::to_owned).collect::<Vec<_>>();
    all.push(log(run).display().to_string());
    all.extend_from_slice(words);
    with_locks_of_its_own(run.clone().under("strace", all))
}

/// Who has to wait for the turn to try a passphrase makes more calls than who has not, so others must not
/// come in between. Those who may not mount have to be alone.
fn with_locks_of_its_own(run: Test) -> Test {
    // SAFETY: no pointers, always succeeds.
    if unsafe { libc::geteuid() } != 0 {
        return run;
    }
    let script = "mount -t tmpfs tmpfs /dev/shm && exec \"$0\" \"$@\"";
    run.under("unshare", ["--mount", "sh", "-c", script])
}

fn take_log(run: &Test) -> String {
    let text = std::fs::read_to_string(log(run)).expect("strace's log");
    std::fs::remove_file(log(run)).expect("strace's log");
    text
}

/// Beside the home, not in it.
fn log(run: &Test) -> PathBuf {
    run.home().with_extension("strace")
}

/// Runs it, and stops it after each of these calls for as long as `at` takes, which gets the call's line
/// and the process. The status.
pub fn stops(run: &Test, calls: &str, more: &[&str], mut at: impl FnMut(&str, i32)) -> Option<i32> {
    let inject = format!("inject={calls}:signal=STOP");
    let words = ["-e", &inject].into_iter().chain(more.iter().copied()).map(str::to_owned);
    let log = log(run);
    let mut child = under_strace(run, &words.collect::<Vec<_>>()).start();
    let deadline = Instant::now() + Duration::from_secs(120);
    let mut seen = 0;
    loop {
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        let mut last = "";
        for (number, line) in text.split_inclusive('\n').enumerate() {
            if number >= seen && line.ends_with("--- stopped by SIGSTOP ---\n") {
                seen = number + 1;
                let (pid, _) = line.split_once(' ').expect("a pid");
                let pid = pid.parse().expect("a pid");
                at(last, pid);
                // SAFETY: no pointers; the process is strace's, stopped, and not waited for.
                unsafe { libc::kill(pid, libc::SIGCONT) };
            } else if !line.contains("--- SIG") {
                last = line;
            }
        }
        if let Some(status) = child.try_wait().expect("strace") {
            let text = take_log(run);
            assert!(seen > 0, "it was never stopped:\n{text}");
            return status.code();
        }
        if Instant::now() > deadline {
            let _ = child.kill();
            panic!("hung:\n{text}");
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}
