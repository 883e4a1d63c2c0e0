//! For tests only: pseudo-terminals, and a test that runs once more as a process of its own, since
//! what it tries (limits, signals, the environment block) belongs to the whole process.

use std::fs::File;
use std::os::fd::{AsFd, IntoRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags, open};
use rustix::io::dup;
use rustix::process::{ioctl_tiocsctty, setsid};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, tcgetattr};

const ROLE: &str = "VAULT_TEST_ROLE";

/// The part that this process plays; none in the test run that a person started.
pub fn role() -> Option<String> {
    let pairs = super::take_environment(&[]);
    let value = pairs.into_iter().find(|(name, _)| name == ROLE.as_bytes())?.1;
    String::from_utf8(value).ok()
}

/// The command that runs one test again, in the given part, on the process's main thread.
pub fn again(test: &str, role: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--test-threads=1", "--nocapture"]).env(ROLE, role);
    command
}

/// Asserts that the process ran exactly one test, and that it passed.
pub fn passed(output: &Output) {
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}{errors}");
}

/// A pseudo-terminal: the side that a person sits at, and the side that a program sees.
pub fn pty() -> (File, OwnedFd) {
    let person = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&person).unwrap();
    unlockpt(&person).unwrap();
    let name = ptsname(&person, Vec::new()).unwrap();
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let program = open(name, flags, Mode::empty()).unwrap();
    (person.into(), program)
}

/// Makes the child the leader of a session of its own, on this terminal, which keys interrupt: the
/// process that started the tests may ignore these signals (nohup, a shell's `&`).
pub fn on_terminal(command: &mut Command, program: &OwnedFd) {
    let program = program.try_clone().unwrap();
    // SAFETY: setsid, signal and ioctl are async-signal-safe, and the descriptor is open until exec.
    unsafe {
        command.pre_exec(move || {
            setsid()?;
            for signal in [libc::SIGINT, libc::SIGQUIT] {
                libc::signal(signal, libc::SIG_DFL);
            }
            Ok(ioctl_tiocsctty(&program)?)
        });
    }
}

/// True if the terminal echoes.
pub fn echoes(terminal: impl AsFd) -> bool {
    tcgetattr(terminal).unwrap().local_modes.contains(LocalModes::ECHO)
}

/// A copy of a descriptor as a child would have inherited it: it stays open on exec.
pub fn without_close_on_exec(fd: impl AsFd) -> i32 {
    dup(fd).unwrap().into_raw_fd()
}

/// True once a process has ended, waited for or not, within a minute: a signal takes its time.
pub fn is_over(pid: u32) -> bool {
    let deadline = Instant::now() + Duration::from_secs(60);
    while Instant::now() < deadline {
        match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
            Ok(stat) if !stat.contains(") Z") => std::thread::sleep(Duration::from_millis(1)),
            _ => return true,
        }
    }
    false
}
