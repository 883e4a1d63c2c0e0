//! Becoming another program, and what a child must find as it was.

use std::ffi::{CStr, CString, c_char};
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use super::signals::set_handler;

/// Becomes the program at `path`; returns only if it cannot.
pub fn execve(path: &CStr, argv: &[CString], envp: &[CString]) -> io::Error {
    let argv = pointers(argv);
    let envp = pointers(envp);
    // SAFETY: both arrays end with a null pointer, and every string in them outlives the call.
    unsafe { libc::execve(path.as_ptr(), argv.as_ptr(), envp.as_ptr()) };
    io::Error::last_os_error()
}

fn pointers(strings: &[CString]) -> Vec<*const c_char> {
    strings.iter().map(|s| s.as_ptr()).chain([std::ptr::null()]).collect()
}

/// Gives SIGPIPE its default back, which Rust's runtime set to "ignore" at start; an ignored signal
/// stays ignored over execve, and then `command | head` never ends.
///
/// Whether it was ignored when we were started can no longer be known: the runtime does not say. A
/// shell's default is the safer guess.
pub fn default_sigpipe() {
    set_handler(libc::SIGPIPE, libc::SIG_DFL);
}

/// Ignores SIGPIPE as Rust's runtime does: after a failed execve, so that the error can be reported.
pub fn ignore_sigpipe() {
    set_handler(libc::SIGPIPE, libc::SIG_IGN);
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
