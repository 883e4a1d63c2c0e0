//! The monotonic clock.

/// Seconds on CLOCK_MONOTONIC: since the host's start, without suspension. 0 if the kernel has no such clock.
/// Not by rustix, which reads the auxiliary vector and searches the vDSO first, as libc has done.
pub fn monotonic_seconds() -> i64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: a valid out-pointer; the result is checked by what is in it.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    time.tv_sec
}
