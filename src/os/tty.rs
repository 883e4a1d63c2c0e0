//! The terminal: who is in its foreground, and whether it echoes.

use std::fs::{File, OpenOptions};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;

/// How a terminal was set before [`echo_off`].
pub struct TerminalState(libc::termios);

/// Opens the controlling terminal, as a description of our own: that it does not block is nobody
/// else's concern.
///
/// # Errors
/// ENXIO where the process has no terminal; anything open(2) says.
pub fn open_terminal() -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NOCTTY | libc::O_NONBLOCK)
        .open("/dev/tty")
}

/// True if this process may talk on the terminal: a background job would be stopped.
pub fn in_foreground(tty: BorrowedFd<'_>) -> bool {
    // SAFETY: no pointers are passed.
    let (front, own) = unsafe { (libc::tcgetpgrp(tty.as_raw_fd()), libc::getpgrp()) };
    front == own
}

/// Turns echo off, and gives the state to come back to.
///
/// The change takes effect at once: waiting for output to drain can last forever on a stopped
/// terminal, and flushing would eat what a script has already typed on its pty.
///
/// # Errors
/// ENOTTY for what is no terminal.
pub fn echo_off(tty: BorrowedFd<'_>) -> io::Result<TerminalState> {
    let before = attributes(tty)?;
    let mut silent = before;
    // ECHONL would echo the newline alone; the prompt writes one itself on every way out.
    silent.c_lflag &= !(libc::ECHO | libc::ECHONL);
    set_attributes(tty, &silent)?;
    Ok(TerminalState(before))
}

impl TerminalState {
    /// Sets the terminal as it was. A terminal that has gone away needs no restoring.
    pub fn restore(&self, tty: BorrowedFd<'_>) {
        let _ = set_attributes(tty, &self.0);
    }
}

/// Throws away what was typed and not yet read: half a passphrase must not end up in the shell.
pub fn discard_input(tty: BorrowedFd<'_>) {
    // SAFETY: no pointers are passed.
    unsafe { libc::tcflush(tty.as_raw_fd(), libc::TCIFLUSH) };
}

pub(super) fn attributes(tty: BorrowedFd<'_>) -> io::Result<libc::termios> {
    let mut state = MaybeUninit::<libc::termios>::zeroed();
    // SAFETY: a valid out-pointer; all-zero is a valid struct.
    if unsafe { libc::tcgetattr(tty.as_raw_fd(), state.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: written by tcgetattr.
    Ok(unsafe { state.assume_init() })
}

fn set_attributes(tty: BorrowedFd<'_>, state: &libc::termios) -> io::Result<()> {
    // SAFETY: a valid pointer to an initialised struct.
    if unsafe { libc::tcsetattr(tty.as_raw_fd(), libc::TCSANOW, state) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;
    use crate::os::testing;

    #[test]
    fn echo_goes_off_and_comes_back() {
        let (_person, program) = testing::pty();
        assert!(testing::echoes(&program));
        let state = echo_off(program.as_fd()).unwrap();
        assert!(!testing::echoes(&program));
        state.restore(program.as_fd());
        assert!(testing::echoes(&program));
    }

    #[test]
    fn a_file_is_no_terminal() {
        let file = File::open("/dev/null").unwrap();
        assert!(echo_off(file.as_fd()).is_err());
        assert!(!in_foreground(file.as_fd()));
    }
}
