//! A program that reads and writes lines in turn over its stdin and stdout.

use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use super::{Failure, OUTPUT_LIMIT, kill, wait, wait_until_ready};
use crate::os::{self, Interest};

/// How long a program may take to end after its pipes are closed; then it is left running.
const END_TIMEOUT: Duration = Duration::from_secs(1);

/// What a pipe that is ready takes without blocking (pipe(7), `PIPE_BUF`), in bytes.
const PIECE: usize = 4096;

/// The program. When this is dropped its pipes are closed; after a failure it is killed with its descendants.
pub struct PipedProcess {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Option<ChildStdout>,
    deadline: Instant,
    /// The buffer of all its output, [`OUTPUT_LIMIT`] bytes and one.
    printed: Zeroizing<Vec<u8>>,
    filled: usize,
    read: usize,
    failed: bool,
}

impl PipedProcess {
    /// Starts it. Its stderr is /dev/null, the environment ours.
    pub fn start(mut program: Command, deadline: Instant) -> Result<Self, Failure> {
        program.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        os::restore_in_child(&mut program);
        let mut child = program.spawn().map_err(Failure::NotStarted)?;
        Ok(Self {
            stdin: child.stdin.take(),
            stdout: child.stdout.take(),
            child,
            deadline,
            printed: Zeroizing::new(vec![0; OUTPUT_LIMIT + 1]),
            filled: 0,
            read: 0,
            failed: false,
        })
    }

    /// Writes to it. A closed pipe is no error: the program may have answered before.
    pub fn send(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let written = self.write(bytes);
        self.failed |= written.is_err();
        written
    }

    /// The next line of its output without the newline; `None` after the last complete one.
    pub fn read_line(&mut self) -> Result<Option<Zeroizing<Vec<u8>>>, Failure> {
        let line = self.next();
        self.failed |= line.is_err();
        line
    }

    fn write(&mut self, mut bytes: &[u8]) -> Result<(), Failure> {
        while let (Some(stdin), false) = (&mut self.stdin, bytes.is_empty()) {
            wait_until_ready(stdin.as_fd(), Interest::Write, self.deadline)?;
            match stdin.write(bytes.get(..PIECE).unwrap_or(bytes)) {
                Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => self.stdin = None,
            }
        }
        Ok(())
    }

    fn next(&mut self) -> Result<Option<Zeroizing<Vec<u8>>>, Failure> {
        let mut seen = self.read;
        loop {
            let fresh = self.printed.get(seen..self.filled).unwrap_or_default();
            if let Some(end) = fresh.iter().position(|&byte| byte == b'\n').map(|at| seen + at) {
                let line = self.printed.get(self.read..end).unwrap_or_default().to_vec();
                self.read = end + 1;
                return Ok(Some(Zeroizing::new(line)));
            }
            seen = self.filled;
            let Some(stdout) = &mut self.stdout else { return Ok(None) };
            wait_until_ready(stdout.as_fd(), Interest::Read, self.deadline)?;
            let room = self.printed.get_mut(self.filled..).unwrap_or_default();
            match stdout.read(room) {
                Ok(0) => self.stdout = None,
                Ok(more) => self.filled += more,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => self.stdout = None,
            }
            if self.filled > OUTPUT_LIMIT {
                return Err(Failure::TooMuch);
            }
        }
    }
}

impl Drop for PipedProcess {
    fn drop(&mut self) {
        // Before the pipes are closed, as in `start`.
        if self.failed {
            kill(&mut self.child);
        }
        (self.stdin, self.stdout) = (None, None);
        let _ = wait(&mut self.child, Instant::now() + END_TIMEOUT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(script: &str, patience: Duration) -> PipedProcess {
        let mut program = Command::new("/bin/sh");
        program.args(["-c", script]);
        PipedProcess::start(program, Instant::now() + patience).unwrap()
    }

    const LONG: Duration = Duration::from_secs(60);

    fn line(process: &mut PipedProcess) -> Option<String> {
        let line = process.read_line().unwrap()?;
        Some(String::from_utf8(line.to_vec()).unwrap())
    }

    #[test]
    fn lines_are_written_and_read_and_an_incomplete_one_is_none() {
        let mut process = start("read a; echo $a, $a; echo; read b; echo $b; printf half", LONG);
        process.send(b"one\n").unwrap();
        assert_eq!(line(&mut process).unwrap(), "one, one");
        assert_eq!(line(&mut process).unwrap(), "");
        process.send(b"two\n").unwrap();
        assert_eq!(line(&mut process).unwrap(), "two");
        assert_eq!((line(&mut process), line(&mut process)), (None, None));
        // It has ended, which is no failure of ours.
        process.send(&[b'x'; 100_000]).unwrap();
    }

    #[test]
    fn one_that_neither_reads_nor_writes_is_killed_at_the_deadline() {
        let soon = Duration::from_millis(50);
        for (script, reporter) in
            [("sleep 600; true", &b""[..]), ("sleep 600; true", &[b'x'; 200_000])]
        {
            let mut process = start(script, soon);
            let pid = process.child.id();
            let failure =
                process.send(reporter).and_then(|()| process.read_line().map(drop)).unwrap_err();
            assert!(matches!(failure, Failure::TimedOut));
            drop(process);
            assert!(os::testing::is_over(pid));
        }
    }

    #[test]
    fn too_much_ends_it() {
        for script in ["exec cat /dev/zero", "while :; do echo; done"] {
            let mut process = start(script, LONG);
            let pid = process.child.id();
            let failure =
                std::iter::repeat_with(|| process.read_line()).find_map(Result::err).unwrap();
            assert!(matches!(failure, Failure::TooMuch));
            drop(process);
            assert!(os::testing::is_over(pid));
        }
        let mut whole = start("head -c 65535 /dev/zero; echo", LONG);
        assert_eq!(whole.read_line().unwrap().unwrap().len(), OUTPUT_LIMIT - 1);
        assert!(whole.read_line().unwrap().is_none());
    }
}
