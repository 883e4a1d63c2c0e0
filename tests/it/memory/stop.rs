//! Stopping a process at a system call, and reading all of its memory there.
//!
//! By ptrace(2), as a debugger does it. The files of /proc that show the memory are opened before the
//! process has made itself unreadable, so that this takes no root.

use std::fs::File;
use std::io::{Read, Seek};
use std::os::unix::fs::FileExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

/// A run that takes longer has hung: it is killed, and the test fails.
const DEADLINE: Duration = Duration::from_secs(60);

/// A piece of memory.
pub struct Region {
    /// As /proc/PID/maps calls it.
    pub name: String,
    pub start: u64,
    pub bytes: Vec<u8>,
}

/// A system call that is about to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    pub number: i64,
    pub args: [u64; 6],
}

/// A process that is stopped wherever it is asked to.
pub struct Stopped {
    pid: i32,
    memory: File,
    maps: File,
    /// Dropped at the end, which calls off the guard.
    _guard: Sender<()>,
}

/// Lets the command be traced by the thread that starts it.
pub fn traced(command: &mut Command) {
    // SAFETY: ptrace with PTRACE_TRACEME takes no pointers and is async-signal-safe.
    unsafe {
        command.pre_exec(|| match libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        });
    }
}

impl Stopped {
    /// Takes over a child that was started by this thread from a [`traced`] command: it stands at its
    /// beginning.
    pub fn at_start(child: &Child) -> Self {
        let pid = child.id() as i32;
        let (guard, over) = channel::<()>();
        std::thread::spawn(move || {
            if over.recv_timeout(DEADLINE) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                // SAFETY: a child that nobody has waited for: the other end is alive.
                unsafe { libc::kill(pid, libc::SIGKILL) };
            }
        });
        let status = wait(pid);
        assert!(libc::WIFSTOPPED(status), "it did not stop at its start: {status:#x}");
        let options = libc::PTRACE_O_TRACESYSGOOD | libc::PTRACE_O_EXITKILL;
        // SAFETY: our own tracee, stopped; the options are a number.
        let set = unsafe { libc::ptrace(libc::PTRACE_SETOPTIONS, pid, 0, options) };
        assert_eq!(set, 0, "ptrace: {}", std::io::Error::last_os_error());
        let open = |name: &str| File::open(format!("/proc/{pid}/{name}")).expect(name);
        Self { pid, memory: open("mem"), maps: open("maps"), _guard: guard }
    }

    /// Lets it run to the next system call that is meant, and stops it before that call is made.
    #[track_caller]
    pub fn run_to(&mut self, meant: impl Fn(Call) -> bool) -> Call {
        let mut signal = 0;
        loop {
            // SAFETY: our own tracee, stopped.
            let going = unsafe { libc::ptrace(libc::PTRACE_SYSCALL, self.pid, 0, signal) };
            assert_eq!(going, 0, "ptrace: {}", std::io::Error::last_os_error());
            let status = wait(self.pid);
            assert!(libc::WIFSTOPPED(status), "it ended before the call: {status:#x}");
            signal = match libc::WSTOPSIG(status) {
                stop if stop == libc::SIGTRAP | 0x80 => {
                    if let Some(call) = self.call().filter(|call| meant(*call)) {
                        return call;
                    }
                    0
                }
                other => other,
            };
        }
    }

    /// The call that is about to be made; none at a call's end.
    fn call(&self) -> Option<Call> {
        let mut info = std::mem::MaybeUninit::<libc::ptrace_syscall_info>::zeroed();
        // SAFETY: our own tracee, stopped; the struct is what the request fills in, of the size that is
        // given, and all-zero is a valid one.
        let info = unsafe {
            let size = size_of::<libc::ptrace_syscall_info>();
            let got =
                libc::ptrace(libc::PTRACE_GET_SYSCALL_INFO, self.pid, size, info.as_mut_ptr());
            assert!(got > 0, "ptrace: {}", std::io::Error::last_os_error());
            info.assume_init()
        };
        if info.op != libc::PTRACE_SYSCALL_INFO_ENTRY {
            return None;
        }
        // SAFETY: the kernel says that it is a call's beginning, which has this part.
        let entry = unsafe { info.u.entry };
        Some(Call { number: entry.nr as i64, args: entry.args })
    }

    /// All memory that can be read: the program, its data, heap, stacks and mappings.
    pub fn memory(&self) -> Vec<Region> {
        let mut maps = String::new();
        (&self.maps).rewind().expect("maps");
        (&self.maps).read_to_string(&mut maps).expect("maps");
        let mut regions = Vec::new();
        for line in maps.lines() {
            let mut words = line.split_ascii_whitespace();
            let (range, rights) = words.next().zip(words.next()).expect("a line of maps");
            let name = words.nth(3).unwrap_or("anonymous").to_owned();
            // The kernel's own pages.
            if !rights.starts_with('r')
                || ["[vvar]", "[vvar_vclock]", "[vsyscall]"].contains(&&*name)
            {
                continue;
            }
            let (start, end) = range.split_once('-').expect("a range");
            let number = |hex| u64::from_str_radix(hex, 16).expect("an address");
            let (start, end) = (number(start), number(end));
            let mut bytes = vec![0; usize::try_from(end - start).expect("a length")];
            if self.memory.read_exact_at(&mut bytes, start).is_err() {
                // Guard pages, which nobody can read, lie between those of a thread's stack.
                for (page, at) in bytes.chunks_mut(4096).zip((start..).step_by(4096)) {
                    let _ = self.memory.read_exact_at(page, at);
                }
            }
            regions.push(Region { name, start, bytes });
        }
        for name in ["[heap]", "[stack]"] {
            assert!(regions.iter().any(|region| region.name == name), "no {name} in\n{maps}");
        }
        regions
    }

    /// Ends it.
    pub fn kill(self) {
        // SAFETY: our own tracee, which nobody has waited for.
        unsafe { libc::kill(self.pid, libc::SIGKILL) };
        wait(self.pid);
    }
}

/// The next change of the child.
fn wait(pid: i32) -> i32 {
    let mut status = 0;
    // SAFETY: a valid out-pointer.
    let waited = unsafe { libc::waitpid(pid, &mut status, libc::__WALL) };
    assert_eq!(waited, pid, "waitpid: {}", std::io::Error::last_os_error());
    status
}
