//! The terminal: its foreground process group, its size, and its echo.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::termios::{
    LocalModes, OptionalActions, QueueSelector, Termios, tcflush, tcgetattr, tcgetwinsize,
    tcsetattr,
};

/// A terminal's settings before [`echo_off`].
pub struct TerminalState(Termios);

/// Opens the controlling terminal as an open file of our own, so that O_NONBLOCK affects no other process.
pub fn open_terminal() -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NOCTTY | libc::O_NONBLOCK)
        .open("/dev/tty")
}

/// Removes O_NONBLOCK, for a helper that gets the terminal as stdin.
pub fn let_reads_wait(tty: &File) -> io::Result<()> {
    let flags = fcntl_getfl(tty)?;
    Ok(fcntl_setfl(tty, flags - OFlags::NONBLOCK)?)
}

/// True if this process is in the terminal's foreground: a background job would be stopped.
pub fn in_foreground(tty: BorrowedFd<'_>) -> bool {
    // Not rustix: the group is 0 where it belongs to an outer pid namespace, and a `Pid` is never 0.
    // SAFETY: no pointers are passed.
    let (front, own) = unsafe { (libc::tcgetpgrp(tty.as_raw_fd()), libc::getpgrp()) };
    front == own
}

/// The terminal's width, if known.
pub fn columns(tty: BorrowedFd<'_>) -> Option<u16> {
    tcgetwinsize(tty).ok().map(|size| size.ws_col).filter(|columns| *columns > 0)
}

/// Turns echo off, and returns the settings to restore.
///
/// The change takes effect at once: draining the output could take forever on a stopped terminal, and
/// flushing the input would discard what a script has already typed on its pty.
pub fn echo_off(tty: BorrowedFd<'_>) -> io::Result<TerminalState> {
    let before = tcgetattr(tty)?;
    let mut silent = before.clone();
    // ECHONL would echo the newline alone; the prompt writes one itself on every way out.
    silent.local_modes -= LocalModes::ECHO | LocalModes::ECHONL;
    tcsetattr(tty, OptionalActions::Now, &silent)?;
    Ok(TerminalState(before))
}

impl TerminalState {
    /// Restores the settings; a closed terminal needs none.
    pub fn restore(&self, tty: BorrowedFd<'_>) {
        let _ = tcsetattr(tty, OptionalActions::Now, &self.0);
    }
}

/// Discards what was typed and not read: the shell must not read half a passphrase.
pub fn discard_input(tty: BorrowedFd<'_>) {
    let _ = tcflush(tty, QueueSelector::IFlush);
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
        assert_eq!(columns(file.as_fd()), None);
    }
}
