//! The children of a supervisor: what became of them, and signals for them.

use rustix::io::Errno;
use rustix::process::{Signal, WaitOptions, getpid, kill_process, wait};

use super::children::send;

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
    let no_thread = WaitOptions::from_bits_retain(libc::__WNOTHREAD.cast_unsigned());
    let (pid, status) = loop {
        match wait(WaitOptions::NOHANG | WaitOptions::UNTRACED | no_thread) {
            Err(Errno::INTR) => {}
            event => break event.ok()??,
        }
    };
    let event = if let Some(code) = status.exit_status() {
        ChildEvent::Exited(code)
    } else if let Some(signal) = status.stopping_signal() {
        ChildEvent::Stopped(signal)
    } else {
        ChildEvent::Killed(status.terminating_signal()?)
    };
    Some((pid.as_raw_nonzero().get(), event))
}

/// Sends a signal to a child that was not waited for, so that the number is still its. One that cannot
/// be sent has nobody to arrive at.
pub fn signal_child(pid: i32, signal: i32) {
    if pid > 0 {
        send(pid, signal);
    }
}

/// True if the child is in this process's group, so that what a terminal sends reaches it too.
pub fn is_in_our_group(pid: i32) -> bool {
    // Not rustix: a group of an outer pid namespace is 0, and a `Pid` is never 0.
    // SAFETY: no pointers.
    unsafe { libc::getpgid(pid) == libc::getpgrp() }
}

/// Stops this process until it is continued. The first process of a pid namespace is not stopped.
pub fn stop_self() {
    let _ = kill_process(getpid(), Signal::STOP);
}

/// The signals beyond the named ones: container engines stop some programs by them.
pub fn real_time_signals() -> std::ops::RangeInclusive<i32> {
    libc::SIGRTMIN()..=libc::SIGRTMAX()
}
