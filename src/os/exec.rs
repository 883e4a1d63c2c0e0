//! Signals and limits that a command must inherit unchanged.

use std::os::unix::process::CommandExt;
use std::process::Command;

use super::signals::{Handler, set_handler};

/// Ignores SIGPIPE as Rust's runtime does: after a failed execve, so that the error can be reported. std sets
/// the default for a command; whether it was ignored at start is not known.
pub fn ignore_sigpipe() {
    set_handler(libc::SIGPIPE, Handler::Ignore);
}

/// Gives the child the core limit that this process was started with. std resets SIGPIPE and the signal mask
/// of every child.
pub fn restore_in_child(command: &mut Command) {
    let Some(saved) = super::limits::at_start() else { return };
    // SAFETY: between fork and exec the closure only calls setrlimit, which is async-signal-safe, on
    // a value that was copied into it.
    unsafe {
        command.pre_exec(move || {
            super::restore(&saved);
            Ok(())
        });
    }
}
