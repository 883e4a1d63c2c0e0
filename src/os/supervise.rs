//! The children of a supervisor: what became of them, and signals for them.

use std::io;

/// What became of a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChildEvent {
    /// It ended with this exit code.
    Exited(i32),
    /// A signal ended it.
    Killed(i32),
    /// A signal stopped it.
    Stopped(i32),
}

/// What next became of a child that this thread started, or that became this process's because it is
/// the first of its pid namespace and this is its main thread. Who has ended is waited for, so no
/// zombie stays. Children of other threads are theirs. None: nothing new, or no children; never waits.
pub fn next_child_event() -> Option<(i32, ChildEvent)> {
    let flags = libc::WNOHANG | libc::WUNTRACED | libc::__WNOTHREAD;
    loop {
        let mut status = 0;
        // SAFETY: a valid out-pointer.
        let pid = unsafe { libc::waitpid(-1, &raw mut status, flags) };
        if pid == -1 && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted {
            continue;
        }
        if pid <= 0 {
            return None;
        }
        let event = if libc::WIFEXITED(status) {
            ChildEvent::Exited(libc::WEXITSTATUS(status))
        } else if libc::WIFSTOPPED(status) {
            ChildEvent::Stopped(libc::WSTOPSIG(status))
        } else {
            ChildEvent::Killed(libc::WTERMSIG(status))
        };
        return Some((pid, event));
    }
}

/// Sends a child a signal. One that cannot be sent has nobody to arrive at.
pub fn signal_child(pid: i32, signal: i32) {
    if pid > 0 {
        // SAFETY: no pointers. The caller has not waited for the child, so the number is still its.
        unsafe { libc::kill(pid, signal) };
    }
}

/// True if the child is in this process's group, so that what a terminal sends reaches it too.
pub fn is_in_our_group(pid: i32) -> bool {
    // SAFETY: no pointers.
    unsafe { libc::getpgid(pid) == libc::getpgrp() }
}

/// Stops this process until it is continued. The first process of a pid namespace is not stopped.
pub fn stop_self() {
    // SAFETY: no pointers.
    unsafe { libc::raise(libc::SIGSTOP) };
}

/// The signals beyond the named ones: container engines stop some programs by them.
pub fn real_time_signals() -> std::ops::RangeInclusive<i32> {
    libc::SIGRTMIN()..=libc::SIGRTMAX()
}
