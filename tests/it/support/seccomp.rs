//! System calls that are refused, as an engine's seccomp profile refuses them in a container.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// What becomes of a call that fails with this error.
pub fn fail_with(errno: i32) -> u32 {
    libc::SECCOMP_RET_ERRNO | u32::try_from(errno).expect("an error")
}

/// In the child, this becomes of each of these calls (seccomp(2), a filter).
pub fn refuse(command: &mut Command, calls: &[libc::c_long], action: u32) {
    let jump = |code: u32, jt: u8, k: u32| libc::sock_filter {
        code: u16::try_from(code).expect("a code"),
        jt,
        jf: 0,
        k,
    };
    // The number of the call is the first field of what a filter sees.
    let mut filter = vec![jump(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0)];
    for (at, call) in calls.iter().enumerate() {
        let to_the_last = u8::try_from(calls.len() - at).expect("a few calls");
        let call = u32::try_from(*call).expect("a call's number");
        filter.push(jump(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, to_the_last, call));
    }
    filter.push(jump(libc::BPF_RET | libc::BPF_K, 0, libc::SECCOMP_RET_ALLOW));
    filter.push(jump(libc::BPF_RET | libc::BPF_K, 0, action));
    let install = move || {
        let program = libc::sock_fprog {
            len: u16::try_from(filter.len()).unwrap_or(u16::MAX),
            filter: filter.as_ptr().cast_mut(),
        };
        let (yes, mode) = (1 as libc::c_ulong, libc::c_ulong::from(libc::SECCOMP_MODE_FILTER));
        // SAFETY: prctl copies the program, which lives until it returns.
        let done = unsafe {
            libc::prctl(libc::PR_SET_NO_NEW_PRIVS, yes, 0, 0, 0) == 0
                && libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const program, 0, 0) == 0
        };
        if done { Ok(()) } else { Err(io::Error::last_os_error()) }
    };
    // SAFETY: between fork and exec only prctl is called, and nothing is allocated.
    unsafe { command.pre_exec(install) };
}
