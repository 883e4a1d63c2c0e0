//! A clock that nobody can set.

/// Seconds on CLOCK_MONOTONIC: since the host was started, without the time that it slept. 0 where the
/// kernel has none.
pub fn monotonic_seconds() -> i64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: a valid out-pointer; the result is checked by what is in it.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    time.tv_sec
}
