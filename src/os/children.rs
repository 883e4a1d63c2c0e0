//! Child processes: their events, signals for them, and killing one with its descendants.

use std::fs;

use rustix::io::Errno;
use rustix::process::{Signal, WaitOptions, getpid, kill_process, wait};

/// Generations of children that are followed.
const DEPTH: u32 = 32;

/// Kills a child that was not reaped, with all its descendants in /proc. A daemon and the child of a process
/// that has ended are not found.
pub fn kill_tree(pid: i32) {
    kill_to_depth(pid, DEPTH);
}

fn kill_to_depth(pid: i32, depth: u32) {
    // A stopped process starts no more children, and does not reap any, so that their numbers stay theirs.
    send(pid, libc::SIGSTOP);
    if depth > 0 {
        children(pid).into_iter().for_each(|child| kill_to_depth(child, depth - 1));
    }
    send(pid, libc::SIGKILL);
}

/// The children of all threads of a process.
fn children(pid: i32) -> Vec<i32> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists = threads.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    lists.flat_map(|list| numbers(&list).collect::<Vec<_>>()).collect()
}

fn numbers(list: &str) -> impl Iterator<Item = i32> {
    list.split_ascii_whitespace().filter_map(|word| word.parse().ok()).filter(|pid| *pid > 1)
}

/// Not by rustix, whose signals are those that have a name.
fn send(pid: i32, signal: i32) {
    // SAFETY: no pointers. The number is one process's, never 0 or negative (a group's).
    unsafe { libc::kill(pid, signal) };
}

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

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::process::{Child, Command, Stdio};
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    /// A shell with a child and a grandchild, all of which hold stdout open and have started.
    fn family() -> Child {
        let script = "sh -c 'sleep 600 & echo ready; wait' & wait";
        let mut child =
            Command::new("/bin/sh").args(["-c", script]).stdout(Stdio::piped()).spawn().unwrap();
        let mut ready = [0; 6];
        child.stdout.as_mut().unwrap().read_exact(&mut ready).unwrap();
        child
    }

    /// Ends when the last of them has closed stdout.
    fn end_of(family: &mut Child) {
        let mut stdout = family.stdout.take().unwrap();
        let (send, receive) = mpsc::channel();
        std::thread::spawn(move || send.send(stdout.read_to_end(&mut Vec::new()).is_ok()));
        assert_eq!(receive.recv_timeout(Duration::from_secs(60)), Ok(true), "somebody lives on");
        family.wait().unwrap();
    }

    #[test]
    fn a_tree_is_killed_to_its_last_leaf() {
        let mut family = family();
        kill_tree(family.id().try_into().unwrap());
        end_of(&mut family);
    }
}
