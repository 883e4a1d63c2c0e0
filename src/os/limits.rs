//! Keeps secrets out of core files and other processes, and reads the limits of resources.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::OnceLock;

use rustix::io::Errno;
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

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
        Some((_, hard)) => set(0, hard).err().map(Errno::raw_os_error),
        None => io::Error::last_os_error().raw_os_error(),
    };
    let dumpable_refused = set_dumpable_behavior(DumpableBehavior::NotDumpable).err();
    let dumpable_refused = dumpable_refused.map(Errno::raw_os_error);
    *AT_START.get_or_init(|| SavedLimit { core, core_refused, dumpable_refused })
}

/// Restores RLIMIT_CORE, before execve and in children.
pub fn restore(saved: &SavedLimit) {
    if let Some((soft, hard)) = saved.core {
        let _ = set(soft, hard);
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
pub(super) fn limit(resource: libc::__rlimit_resource_t) -> Option<(libc::rlim_t, libc::rlim_t)> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: a valid out-pointer.
    let known = unsafe { libc::getrlimit(resource, &raw mut limit) } == 0;
    known.then_some((limit.rlim_cur, limit.rlim_max))
}

/// Sets RLIMIT_CORE. Async-signal-safe: it runs between fork and exec too.
fn set(soft: libc::rlim_t, hard: libc::rlim_t) -> rustix::io::Result<()> {
    setrlimit(Resource::Core, Rlimit { current: Some(soft), maximum: Some(hard) })
}

/// The limit of open descriptors: the soft RLIMIT_NOFILE.
pub fn open_files() -> usize {
    // Linux's default.
    let (soft, _) = limit(libc::RLIMIT_NOFILE).unwrap_or((1024, 1024));
    usize::try_from(soft).unwrap_or(usize::MAX)
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
            set(before, hard).unwrap();
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
}
