//! A stack that is large enough, and that keeps no secrets of calls that have ended.

use std::io;
use std::thread;

use rustix::process::getpid;
use rustix::thread::gettid;

use super::limits::limit;

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
    // SAFETY: no pointers. Not by rustix, which reads the auxiliary vector first, as libc has done.
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
    use super::*;

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
