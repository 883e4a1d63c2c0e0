//! A supervisor's children: their events, and signals for them.

use rustix::io::Errno;
use rustix::process::{Signal, WaitOptions, getpid, kill_process, wait};

use super::children::send;

/// A change of a child's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChildEvent {
    /// It ended with this exit code.
    Exited(i32),
    /// This signal ended it.
    Killed(i32),
    /// This signal stopped it.
    Stopped(i32),
}

/// The next event of a child of this thread; on the main thread of a pid namespace's first process also of an
/// orphan. A child that has ended is reaped. Never blocks; `None` if there is no event or no child.
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

/// Sends a signal to a child that was not reaped, so that the number is still its own. Errors do not matter:
/// the child has ended.
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

/// The real-time signals: container engines stop some programs by them.
pub fn real_time_signals() -> std::ops::RangeInclusive<i32> {
    libc::SIGRTMIN()..=libc::SIGRTMAX()
}
