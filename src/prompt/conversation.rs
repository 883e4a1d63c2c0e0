//! One prompt on one terminal: write, wait, read, and restore the terminal.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::time::Instant;

use zeroize::Zeroizing;

use crate::os::{self, Interest, Signals, TerminalState};

/// The longest answer in bytes. N_TTY holds 4096 bytes with the newline and silently drops the rest, so a
/// longer line cannot be distinguished from a truncated one.
const LINE_LIMIT: usize = 4094;

/// The signals that end a prompt.
const FATAL: [i32; 4] = [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT];

/// Why a prompt has no answer.
#[derive(Debug)]
pub enum Ended {
    /// One of [`FATAL`]: the terminal is restored, and the process is to end by this signal.
    Signal(i32),
    TimedOut,
    /// ^D on an empty line.
    Nothing,
    TooLong,
    Io(io::Error),
}

impl From<io::Error> for Ended {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Prompts until there is an answer or an error.
pub fn ask(
    tty: &File,
    text: &str,
    echo: bool,
    deadline: Option<Instant>,
) -> Result<Zeroizing<Vec<u8>>, Ended> {
    let mut watched = FATAL.to_vec();
    watched.push(libc::SIGTSTP);
    // Before the echo is turned off: from here on no signal ends the process by itself.
    let signals = Signals::watch(&watched)?;
    loop {
        match once(tty, text, echo, deadline, &signals) {
            // The echo is restored. The process continues when the shell resumes it.
            Err(Ended::Signal(libc::SIGTSTP)) => signals.let_act(libc::SIGTSTP),
            result => return result,
        }
    }
}

fn once(
    tty: &File,
    text: &str,
    echo: bool,
    deadline: Option<Instant>,
    signals: &Signals,
) -> Result<Zeroizing<Vec<u8>>, Ended> {
    let silenced = if echo { None } else { Some(os::echo_off(tty.as_fd())?) };
    let mut restore = Restore { tty, silenced, answered: false };
    let mut prompt = format!("{} ", text.trim_end());
    let mut rest = prompt.as_bytes();
    while !rest.is_empty() {
        wait(tty, Interest::Write, deadline, signals)?;
        match (&*tty).write(rest) {
            Ok(n) => rest = rest.get(n..).unwrap_or_default(),
            Err(error) if is_passing(&error) => {}
            Err(error) => return Err(error.into()),
        }
    }
    prompt.clear();

    // One byte more than the limit, and never reallocated: no part of a passphrase stays in freed memory.
    let mut line = Zeroizing::new(Vec::with_capacity(LINE_LIMIT + 1));
    let mut byte = Zeroizing::new([0; 1]);
    loop {
        wait(tty, Interest::Read, deadline, signals)?;
        match (&*tty).read(byte.as_mut_slice()) {
            Ok(0) if line.is_empty() => return Err(Ended::Nothing),
            Ok(0) => break,
            Ok(_) if byte[0] == b'\n' => break,
            // A line that is too long is read to its end and dropped.
            Ok(_) if line.len() <= LINE_LIMIT => line.push(byte[0]),
            Ok(_) => {}
            Err(error) if is_passing(&error) => {}
            // The other side of the terminal is closed.
            Err(error) if error.raw_os_error() == Some(libc::EIO) => return Err(Ended::Nothing),
            Err(error) => return Err(error.into()),
        }
    }
    restore.answered = true;
    if line.len() > LINE_LIMIT {
        return Err(Ended::TooLong);
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    Ok(line)
}

fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock)
}

/// Waits for the terminal, a signal or the deadline.
fn wait(
    tty: &File,
    interest: Interest,
    deadline: Option<Instant>,
    signals: &Signals,
) -> Result<(), Ended> {
    loop {
        let fds = [(tty.as_fd(), interest), (signals.as_fd(), Interest::Read)];
        let ready = os::wait_until_ready(&fds, deadline)?;
        if let Some(signal) = signals.take() {
            return Err(Ended::Signal(signal));
        }
        match ready.as_slice() {
            [true, _] => return Ok(()),
            [false, false] => return Err(Ended::TimedOut),
            _ => {}
        }
    }
}

/// Restores the terminal when it is dropped.
struct Restore<'a> {
    tty: &'a File,
    silenced: Option<TerminalState>,
    answered: bool,
}

impl Drop for Restore<'_> {
    fn drop(&mut self) {
        if let Some(before) = &self.silenced {
            if !self.answered {
                os::discard_input(self.tty.as_fd());
            }
            before.restore(self.tty.as_fd());
        }
        if self.silenced.is_some() || !self.answered {
            let _ = (&*self.tty).write(b"\n");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::testing;

    /// The program's side of a pseudo-terminal, with all of this typed ahead, and the person's side.
    fn typed(keys: &[u8]) -> (File, File) {
        let (mut person, program) = testing::pty();
        person.write_all(keys).unwrap();
        (person, File::from(program))
    }

    fn hidden(tty: &File) -> Result<Zeroizing<Vec<u8>>, Ended> {
        let result = ask(tty, "Passphrase:", false, Some(Instant::now()));
        assert!(testing::echoes(tty));
        result
    }

    /// What the person sees until the text has appeared.
    fn seen(person: &mut File, until: &str) -> String {
        let mut text = String::new();
        let mut part = [0; 256];
        while !text.contains(until) {
            let n = person.read(&mut part).unwrap();
            text.push_str(&String::from_utf8_lossy(&part[..n]));
        }
        text
    }

    #[test]
    fn one_line_is_read_without_its_newline() {
        let (mut person, tty) = typed(b"correct horse\nfor the child\n");
        assert_eq!(*hidden(&tty).unwrap(), b"correct horse");
        assert_eq!(*ask(&tty, "Next", true, Some(Instant::now())).unwrap(), b"for the child");
        assert!(seen(&mut person, "Next ").contains("Passphrase: \r\n"));
    }

    #[test]
    fn a_terminal_edits_its_line() {
        let (_person, tty) = typed(b"wrong\x15right\n");
        assert_eq!(*hidden(&tty).unwrap(), b"right");
        let (_person, tty) = typed(b"\n");
        assert!(hidden(&tty).unwrap().is_empty());
    }

    #[test]
    fn end_of_file_is_not_an_answer() {
        let (_person, tty) = typed(b"\x04");
        assert!(matches!(hidden(&tty), Err(Ended::Nothing)));
        let (_person, tty) = typed(b"abc\x04\x04");
        assert_eq!(*hidden(&tty).unwrap(), b"abc");
    }

    #[test]
    fn the_deadline_ends_the_prompt_and_discards_partial_input() {
        let (mut person, tty) = typed(b"half a pass");
        assert!(matches!(hidden(&tty), Err(Ended::TimedOut)));
        person.write_all(b"whole\n").unwrap();
        assert_eq!(*hidden(&tty).unwrap(), b"whole");
    }

    #[test]
    fn a_line_that_the_terminal_may_have_truncated_is_refused() {
        let (mut person, tty) = typed(&[b'a'; 4094]);
        person.write_all(b"\n").unwrap();
        assert_eq!(hidden(&tty).unwrap().len(), LINE_LIMIT);
        for length in [4095, 4200] {
            let (mut person, tty) = typed(&vec![b'a'; length]);
            person.write_all(b"\nnext\n").unwrap();
            assert!(matches!(hidden(&tty), Err(Ended::TooLong)), "{length}");
            assert_eq!(*hidden(&tty).unwrap(), b"next");
        }
    }

    #[test]
    fn a_closed_terminal_is_not_an_answer() {
        let (person, tty) = typed(b"");
        drop(person);
        let result = ask(&tty, "Passphrase:", false, None);
        assert!(matches!(result, Err(Ended::Nothing | Ended::Io(_))), "{result:?}");
    }
}
