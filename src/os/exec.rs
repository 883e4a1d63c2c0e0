//! What a command must find as it was.

use std::os::unix::process::CommandExt;
use std::process::Command;

use super::signals::{Handler, set_handler};

/// Ignores SIGPIPE as Rust's runtime does: after a failed execve, so that the error can be reported. std
/// gives a command the default; whether it was ignored when we were started can no longer be known.
pub fn ignore_sigpipe() {
    set_handler(libc::SIGPIPE, Handler::Ignore);
}

/// Lets the child have the core limit that this process was started with. SIGPIPE and the signal
/// mask are put right by std for every child.
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
