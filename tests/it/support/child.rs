//! Child processes that cannot hang a test.

use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus};
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

/// The ends of a child's pipes, served by threads.
pub struct Pipes {
    pub stdout: Receiver<Vec<u8>>,
    pub stderr: Receiver<Vec<u8>>,
}

impl Pipes {
    /// Takes them from the child, and writes its stdin.
    pub fn of(child: &mut Child, stdin: &[u8]) -> Self {
        let (mut pipe, bytes) = (child.stdin.take().expect("stdin"), stdin.to_vec());
        // A child that does not read its stdin is no failure of the test.
        std::thread::spawn(move || drop(pipe.write_all(&bytes)));
        Self {
            stdout: drain(child.stdout.take().expect("stdout")),
            stderr: drain(child.stderr.take().expect("stderr")),
        }
    }
}

fn drain(mut pipe: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (send, receive) = channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        let _ = send.send(bytes);
    });
    receive
}

/// Starts a command, or fails with its name.
pub fn spawn(command: &mut Command) -> Child {
    command.spawn().unwrap_or_else(|e| panic!("{}: {e}", command.get_program().display()))
}

/// Waits for the end; a child that has not ended by the deadline is killed with its whole process
/// group, and the test fails.
#[track_caller]
pub fn wait(mut child: Child, deadline: Instant) -> ExitStatus {
    let pid = child.id() as i32;
    let (send, receive) = channel();
    std::thread::spawn(move || send.send(child.wait()));
    match receive.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
        Ok(status) => status.expect("wait"),
        Err(_) => {
            // SAFETY: the child leads its own session and has not been waited for.
            unsafe { libc::kill(-pid, libc::SIGKILL) };
            panic!("hung: killed after the deadline");
        }
    }
}

/// The exit code, or 128+n after signal n.
pub fn exit_code(status: ExitStatus) -> i32 {
    status.code().or(status.signal().map(|n| 128 + n)).expect("an end")
}
