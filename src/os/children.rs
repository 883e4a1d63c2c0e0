//! Ending what was started, and what that has started itself.

use std::fs;
use std::time::{Duration, Instant};

/// Generations of children that are followed.
const DEPTH: u32 = 32;

/// The number of the calling thread, for [`kill_children_of`].
///
/// By number, not libc's `gettid`: std names that one weakly, and a static, optimised binary then has
/// none, and calls address 0.
pub fn thread_id() -> i32 {
    // SAFETY: no arguments, always succeeds.
    let number = unsafe { libc::syscall(libc::SYS_gettid) };
    i32::try_from(number).unwrap_or_default()
}

/// Kills the children that this thread of ours has started, with all that descends from them. None of
/// them may be waited for meanwhile, lest their numbers become others'.
pub fn kill_children_of(thread: i32) {
    let own = fs::read_to_string(format!("/proc/self/task/{thread}/children"));
    numbers(&own.unwrap_or_default()).for_each(kill_tree);
}

/// Kills a child of ours that was not waited for, with all that descends from it, as far as /proc
/// tells. What has left the tree is not found: a daemon, or the child of a process that has ended.
pub fn kill_tree(pid: i32) {
    kill_to_depth(pid, DEPTH);
}

fn kill_to_depth(pid: i32, depth: u32) {
    // What is stopped starts nothing more. Nor does it wait for its children, so that their numbers
    // stay theirs.
    send(pid, libc::SIGSTOP);
    if depth > 0 {
        children(pid).into_iter().for_each(|child| kill_to_depth(child, depth - 1));
    }
    send(pid, libc::SIGKILL);
}

/// The children of a process, whichever of its threads has started them.
fn children(pid: i32) -> Vec<i32> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists = threads.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    lists.flat_map(|list| numbers(&list).collect::<Vec<_>>()).collect()
}

fn numbers(list: &str) -> impl Iterator<Item = i32> {
    list.split_ascii_whitespace().filter_map(|word| word.parse().ok()).filter(|pid| *pid > 1)
}

fn send(pid: i32, signal: i32) {
    // SAFETY: no pointers. The number is one process's, never 0 or negative (a group's).
    unsafe { libc::kill(pid, signal) };
}

/// Waits until the children that this thread has started have ended, at most until the deadline. For
/// a library that starts programs and does not wait for them: as zombies they would be the children of
/// the command that this process becomes. Children of other threads, and those inherited over an
/// exec (of a shell's `job & exec vault`), are left alone where this is not the main thread.
pub fn reap_children_of_this_thread(deadline: Instant) {
    let mut pause = Duration::from_micros(200);
    loop {
        // SAFETY: a null status is allowed.
        let ended =
            unsafe { libc::waitpid(-1, std::ptr::null_mut(), libc::WNOHANG | libc::__WNOTHREAD) };
        match ended {
            // None left, or none that could be waited for.
            -1 => return,
            0 if Instant::now() >= deadline => return,
            0 => {
                std::thread::sleep(pause);
                pause = (pause * 2).min(Duration::from_millis(10));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::process::{Child, Command, Stdio};
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn only_the_children_of_this_thread_are_reaped() {
        let mut others = Command::new("/bin/sh").args(["-c", "exit 3"]).spawn().unwrap();
        let reaping = std::thread::spawn(|| {
            let mut own = Command::new("/bin/sh").args(["-c", "exit 4"]).spawn().unwrap();
            reap_children_of_this_thread(Instant::now() + Duration::from_secs(60));
            own.wait().unwrap_err().raw_os_error()
        });
        assert_eq!(reaping.join().unwrap(), Some(libc::ECHILD), "it was waited for already");
        assert_eq!(others.wait().unwrap().code(), Some(3));
    }

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

    #[test]
    fn the_children_of_one_thread_are_killed_and_no_others() {
        let mut ours = family();
        let (send, receive) = mpsc::channel();
        let (done, wait) = mpsc::channel::<()>();
        let thread = std::thread::spawn(move || {
            let family = family();
            send.send(thread_id()).unwrap();
            wait.recv().unwrap();
            family
        });
        kill_children_of(receive.recv().unwrap());
        done.send(()).unwrap();
        end_of(&mut thread.join().unwrap());
        assert!(ours.try_wait().unwrap().is_none());
        kill_tree(ours.id().try_into().unwrap());
        end_of(&mut ours);
    }
}
