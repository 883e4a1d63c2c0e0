//! Keeps secrets out of core files, other processes and finished stack frames.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::OnceLock;
use std::thread;

use rustix::io::Errno;
use rustix::process::{DumpableBehavior, getpid, set_dumpable_behavior};
use rustix::thread::gettid;

/// The RLIMIT_CORE at start, for children, and the parts of [`harden`] that the system refused. The default
/// restores nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct SavedLimit {
    core: Option<(libc::rlim_t, libc::rlim_t)>,
    core_refused: Option<i32>,
    dumpable_refused: Option<i32>,
}

/// A part of [`harden`] that the system refused, as a container's seccomp profile does.
#[derive(Debug)]
pub struct Refused {
    pub call: &'static str,
    pub error: io::Error,
    /// What is possible without it.
    pub effect: &'static str,
}

impl SavedLimit {
    pub fn refused(&self) -> impl Iterator<Item = Refused> {
        let refused = |call, errno: Option<i32>, effect| {
            errno.map(|errno| Refused { call, error: io::Error::from_raw_os_error(errno), effect })
        };
        let core = refused(
            "setrlimit(RLIMIT_CORE)",
            self.core_refused,
            "a crash may leave vault's memory in a core file",
        );
        let dumpable = refused(
            "prctl(PR_SET_DUMPABLE)",
            self.dumpable_refused,
            "other processes of this user can read vault's memory",
        );
        core.into_iter().chain(dumpable)
    }
}

static AT_START: OnceLock<SavedLimit> = OnceLock::new();

/// Sets the soft RLIMIT_CORE and PR_SET_DUMPABLE to 0: no core file, and no other process of the same
/// user reads this one's memory. Children are not affected: [`restore`] restores the limit (the hard one
/// is not changed), and execve makes a process dumpable again. A refusal is no error:
/// [`SavedLimit::refused`].
pub fn harden() -> SavedLimit {
    let core = limit(libc::RLIMIT_CORE);
    let core_refused = match core {
        Some((_, hard)) if set(0, hard) => None,
        _ => io::Error::last_os_error().raw_os_error(),
    };
    let dumpable_refused = set_dumpable_behavior(DumpableBehavior::NotDumpable).err();
    let dumpable_refused = dumpable_refused.map(Errno::raw_os_error);
    *AT_START.get_or_init(|| SavedLimit { core, core_refused, dumpable_refused })
}

/// Restores RLIMIT_CORE, before execve and in children.
pub fn restore(saved: &SavedLimit) {
    if let Some((soft, hard)) = saved.core {
        set(soft, hard);
    }
}

/// Gives the child the core limit that this process was started with. std resets SIGPIPE and the signal mask
/// of every child.
pub fn restore_in_child(command: &mut Command) {
    let Some(saved) = AT_START.get().copied() else { return };
    // SAFETY: between fork and exec the closure only calls setrlimit, which is async-signal-safe, on
    // a value that was copied into it.
    unsafe {
        command.pre_exec(move || {
            restore(&saved);
            Ok(())
        });
    }
}

/// A soft limit and its hard one. Not by rustix, which expects no error.
fn limit(resource: libc::__rlimit_resource_t) -> Option<(libc::rlim_t, libc::rlim_t)> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: a valid out-pointer.
    let known = unsafe { libc::getrlimit(resource, &raw mut limit) } == 0;
    known.then_some((limit.rlim_cur, limit.rlim_max))
}

/// True if it was set. Async-signal-safe: it runs between fork and exec too.
fn set(soft: libc::rlim_t, hard: libc::rlim_t) -> bool {
    let limit = libc::rlimit { rlim_cur: soft, rlim_max: hard };
    // SAFETY: a valid pointer to an initialised struct.
    unsafe { libc::setrlimit(libc::RLIMIT_CORE, &limit) == 0 }
}

/// The limit of open descriptors: the soft RLIMIT_NOFILE.
pub fn open_files() -> usize {
    // Linux's default.
    let (soft, _) = limit(libc::RLIMIT_NOFILE).unwrap_or((1024, 1024));
    usize::try_from(soft).unwrap_or(usize::MAX)
}

/// The size of the stack, in bytes: that of Rust's own threads, and several times what is used.
const ENOUGH: u64 = 2 * 1024 * 1024;

/// Runs the program on a stack that is large enough: on another thread if RLIMIT_STACK (`ulimit -s`),
/// which limits the main one only, is less. The command inherits the limit unchanged.
///
/// # Errors
/// The limit in KiB, and why the thread did not start.
pub fn on_enough_stack<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T, (u64, io::Error)> {
    let soft = match limit(libc::RLIMIT_STACK) {
        Some((soft, _)) if soft < ENOUGH => soft,
        _ => return Ok(work()),
    };
    let size = usize::try_from(ENOUGH).unwrap_or(usize::MAX);
    thread::scope(|scope| match thread::Builder::new().stack_size(size).spawn_scoped(scope, work) {
        Ok(working) => Ok(working.join().unwrap_or_else(|why| std::panic::resume_unwind(why))),
        Err(why) => Err((soft / 1024, why)),
    })
}

/// The size of the stack that is cleared, in bytes: more than unlocking uses.
const STACK: usize = 256 * 1024;

/// The part of it that is always overwritten, since the next call uses it again.
const NEAR: usize = 48 * 1024;

/// Runs code that handles secrets, and then clears its stack: values that were moved or dropped, and what
/// libraries did not wipe (after argon2 the derived key was there three times).
pub fn on_wiped_stack<T>(work: impl FnOnce() -> T) -> T {
    let done = below(work);
    wipe_stack();
    done
}

/// In frames of its own, below that of the function that wipes the stack.
#[inline(never)]
fn below<T>(work: impl FnOnce() -> T) -> T {
    work()
}

/// Clears the 256 KiB of stack below the caller's frame.
#[inline(never)]
fn wipe_stack() {
    // SAFETY: this is the main thread. The kernel keeps at least 128 MiB below its stack free of other
    // mappings.
    if gettid() == getpid() && unsafe { give_back_far_pages() } {
        overwrite::<NEAR>();
    } else {
        overwrite::<STACK>();
    }
}

/// Returns the pages of the stack from [`NEAR`] to [`STACK`] below the caller's frame to the kernel,
/// which clears them. Most were never used, and overwriting each would be a page fault. False if nothing
/// was returned.
///
/// # Safety
/// So far below the caller's frame there is nothing but this thread's stack.
#[inline(never)]
unsafe fn give_back_far_pages() -> bool {
    // SAFETY: no pointers.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    let page = usize::try_from(page).unwrap_or(usize::MAX);
    // This call itself uses the top of it.
    let Some(near) = page.checked_mul(2).and_then(|pages| NEAR.checked_sub(pages)) else {
        return false;
    };
    let mut local = 0_u8;
    let here = std::hint::black_box(&raw mut local).expose_provenance();
    let end = (here - near) & !(page - 1);
    let start = (here - STACK) & !(page - 1);
    let pages = std::ptr::with_exposed_provenance_mut(start);
    // SAFETY: whole pages of stack on which only finished calls left something.
    let advised = unsafe { libc::madvise(pages, end - start, libc::MADV_DONTNEED) };
    // Of a range that is mapped in parts, ENOMEM is the answer and those parts are given back.
    advised == 0 || io::Error::last_os_error().raw_os_error() == Some(libc::ENOMEM)
}

/// Overwrites so many bytes of stack below the caller's frame.
#[inline(never)]
fn overwrite<const BYTES: usize>() {
    let mut area = std::mem::MaybeUninit::<[u8; BYTES]>::uninit();
    // SAFETY: the whole of an array on the stack.
    unsafe { area.as_mut_ptr().write_bytes(0, 1) };
    // It may be read here, so the writes are not left out as dead.
    std::hint::black_box(&mut area);
}

#[cfg(test)]
mod tests {
    use rustix::process::dumpable_behavior;

    use super::*;
    use crate::os::testing;

    fn soft_core() -> libc::rlim_t {
        limit(libc::RLIMIT_CORE).unwrap().0
    }

    #[test]
    fn hardening_lowers_the_soft_limit_and_restoring_gives_it_back() {
        if testing::role().as_deref() == Some("harden") {
            let (_, hard) = limit(libc::RLIMIT_CORE).unwrap();
            let before = hard.min(4096);
            set(before, hard);
            let saved = harden();
            assert_eq!(soft_core(), 0);
            assert_eq!(dumpable_behavior(), Ok(DumpableBehavior::NotDumpable));
            let mut child = std::process::Command::new("/bin/sh");
            child.args(["-c", "ulimit -S -c"]);
            crate::os::restore_in_child(&mut child);
            let limit = String::from_utf8(child.output().unwrap().stdout).unwrap();
            // The shell counts in blocks of 512 bytes, or in KiB.
            assert!(before == 0 || limit.trim() != "0", "{limit}");
            restore(&saved);
            assert_eq!(soft_core(), before);
            harden();
            restore(&harden());
            assert_eq!(soft_core(), before, "the first one is remembered");
            return;
        }
        let output = testing::again(
            "os::limits::tests::hardening_lowers_the_soft_limit_and_restoring_gives_it_back",
            "harden",
        )
        .output()
        .unwrap();
        testing::passed(&output);
    }

    /// How much a call leaves behind, in bytes: all but what is above the wiping caller's frame.
    const LEFT: usize = STACK - 16 * 1024;

    #[inline(never)]
    fn leave_on_the_stack(pattern: u8) -> usize {
        let mut area = [pattern; LEFT];
        std::hint::black_box(&mut area).as_ptr().expose_provenance()
    }

    /// Fails if the pattern is still where it was left.
    #[track_caller]
    fn assert_gone(at: usize, pattern: u8) {
        let at = std::ptr::with_exposed_provenance::<u8>(at);
        // Not at the top, where this call has its own variables.
        for offset in (0..LEFT - 4096).step_by(1024) {
            // SAFETY: the address is in this thread's stack, below the current frame, and is mapped
            // since it was written a moment ago. Any content is valid.
            let left = unsafe { at.add(offset).read_volatile() };
            assert_ne!(left, pattern, "{} bytes from the top", LEFT - offset);
        }
    }

    #[test]
    fn the_stack_below_is_overwritten() {
        let at = leave_on_the_stack(0xa7);
        wipe_stack();
        assert_gone(at, 0xa7);
    }

    #[test]
    fn far_pages_of_the_stack_are_given_back_and_near_ones_overwritten() {
        let at = leave_on_the_stack(0xa7);
        // SAFETY: a test's thread has 2 MiB of stack.
        assert!(unsafe { give_back_far_pages() });
        overwrite::<NEAR>();
        assert_gone(at, 0xa7);
    }
}
