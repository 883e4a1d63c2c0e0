//! Descriptors, file systems and ids.

use std::ffi::CString;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Instant;

/// What to wait for on a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// Something to read, an end of file or a hang-up.
    Read,
    /// Room to write.
    Write,
}

/// Waits until at least one of the descriptors is ready, and tells which are, in their order. None
/// is: the deadline has passed. An interruption by a signal is waited out.
///
/// # Errors
/// What poll(2) says; not EINTR.
pub fn wait_until_ready(
    what: &[(BorrowedFd<'_>, Interest)],
    deadline: Option<Instant>,
) -> io::Result<Vec<bool>> {
    let mut fds: Vec<libc::pollfd> = what
        .iter()
        .map(|(fd, interest)| libc::pollfd {
            fd: fd.as_raw_fd(),
            events: match interest {
                Interest::Read => libc::POLLIN,
                Interest::Write => libc::POLLOUT,
            },
            revents: 0,
        })
        .collect();
    let count = libc::nfds_t::try_from(fds.len()).unwrap_or_default();
    loop {
        let left = deadline.map(|d| d.saturating_duration_since(Instant::now()));
        let timeout = match left {
            None => -1,
            // Rounded up: a rest of half a millisecond must not become a busy loop.
            Some(left) => i32::try_from(left.as_micros().div_ceil(1000)).unwrap_or(i32::MAX),
        };
        // SAFETY: the array is as long as we say, and its descriptors are borrowed, so open.
        let ready = unsafe { libc::poll(fds.as_mut_ptr(), count, timeout) };
        if ready >= 0 {
            return Ok(fds.iter().map(|fd| fd.revents != 0).collect());
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

/// Standard input as a descriptor: std's own has a buffer that is never freed, so never wiped.
pub fn stdin_fd() -> BorrowedFd<'static> {
    // SAFETY: Rust's runtime opens /dev/null on 0, 1 and 2 where they are closed at start, and
    // nothing here closes them: `null_onto_stdin` replaces in one step.
    unsafe { BorrowedFd::borrow_raw(0) }
}

/// Makes standard input /dev/null, for the command that follows: it held a key. Where there is no
/// /dev/null (a bare root), it becomes a pipe without a writer, which reads as empty too.
///
/// # Errors
/// No descriptor left.
pub fn null_onto_stdin() -> io::Result<()> {
    let put = |fd: RawFd| {
        // SAFETY: dup2 replaces descriptor 0 in one step. `fd` is open, held by the caller.
        if unsafe { libc::dup2(fd, 0) } < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    };
    match std::fs::File::open("/dev/null") {
        Ok(null) => put(null.as_raw_fd()),
        Err(_) => {
            let (empty, _writer) = io::pipe()?;
            put(empty.as_raw_fd())
        }
    }
}

/// A copy of a descriptor that we inherited, closed on exec.
///
/// # Errors
/// EBADF for one that is not open or is our own; what fcntl(2) says.
pub fn duplicate(fd: RawFd) -> io::Result<OwnedFd> {
    if !is_inherited(fd) {
        return Err(io::Error::from_raw_os_error(libc::EBADF));
    }
    // SAFETY: gives a new descriptor, and takes the old one's number for what it is worth.
    let copy = unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 3) };
    if copy < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it was made just now, and nothing else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}

/// True for a descriptor that was handed down: everything that we open is closed on exec, and nothing
/// that came through an exec is.
fn is_inherited(fd: RawFd) -> bool {
    // SAFETY: asks for a number's flags; a number that is not open is an error.
    let flags = unsafe { libc::fcntl(fd, libc::F_GETFD) };
    flags >= 0 && flags & libc::FD_CLOEXEC == 0
}

/// The descriptors that were handed down and are open, 0 to 2 included. Without /proc those below 65536
/// are tried: more are open in no process that starts another without having mounted it.
pub fn inherited() -> Vec<RawFd> {
    let all: Vec<RawFd> = match std::fs::read_dir("/proc/self/fd") {
        Ok(names) => {
            let name =
                |entry: io::Result<std::fs::DirEntry>| entry.ok()?.file_name().into_string().ok();
            names.filter_map(name).filter_map(|name| name.parse().ok()).collect()
        }
        Err(_) => (0..i32::try_from(super::open_files().min(1 << 16)).unwrap_or(0)).collect(),
    };
    all.into_iter().filter(|fd| is_inherited(*fd)).collect()
}

/// Closes a descriptor that we inherited and took a key from (`/dev/fd/N`), so that the command does
/// not get it. 0, 1 and 2 are never closed: see [`null_onto_stdin`].
///
/// # Errors
/// EBADF for one that is not open, is 0, 1 or 2, or is our own.
pub fn close(fd: RawFd) -> io::Result<()> {
    if fd <= 2 || !is_inherited(fd) {
        return Err(io::Error::from_raw_os_error(libc::EBADF));
    }
    // SAFETY: the descriptor was inherited, so no value of this program owns it.
    if unsafe { libc::close(fd) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// True for a directory of procfs.
pub fn is_procfs(directory: &Path) -> bool {
    let mut about = MaybeUninit::<libc::statfs>::zeroed();
    let Ok(path) = CString::new(directory.as_os_str().as_bytes()) else { return false };
    // SAFETY: a string that ends in NUL, and a valid out-pointer; all-zero is a valid struct.
    unsafe {
        libc::statfs(path.as_ptr(), about.as_mut_ptr()) == 0
            && about.assume_init().f_type == libc::PROC_SUPER_MAGIC
    }
}

/// The type of the file system that a file lies on, as statfs(2) numbers them.
pub fn file_system(file: BorrowedFd<'_>) -> Option<i64> {
    let mut about = MaybeUninit::<libc::statfs>::zeroed();
    // SAFETY: a valid out-pointer; all-zero is a valid struct.
    unsafe {
        let known = libc::fstatfs(file.as_raw_fd(), about.as_mut_ptr()) == 0;
        known.then(|| about.assume_init().f_type)
    }
}

/// True for a file on a file system that is mounted read-only.
pub fn is_read_only(file: BorrowedFd<'_>) -> bool {
    let mut about = MaybeUninit::<libc::statvfs>::zeroed();
    // SAFETY: a valid out-pointer; all-zero is a valid struct.
    unsafe {
        libc::fstatvfs(file.as_raw_fd(), about.as_mut_ptr()) == 0
            && about.assume_init().f_flag & libc::ST_RDONLY != 0
    }
}

/// Asks whether the process could make files in this directory (access(2): by the real ids, which are
/// the effective ones of a program that is not set-id). A file system that is read-only says no.
///
/// # Errors
/// Why not; `NotFound` if nothing is there.
pub fn may_write(directory: &Path) -> io::Result<()> {
    access(directory, libc::W_OK | libc::X_OK)
}

/// Asks the same of a file: whether its mode and its access control list let the process write it.
///
/// # Errors
/// Why not.
pub fn may_write_file(file: &Path) -> io::Result<()> {
    access(file, libc::W_OK)
}

fn access(path: &Path, how: libc::c_int) -> io::Result<()> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: a string that ends in NUL and lives until the call is over.
    match unsafe { libc::access(path.as_ptr(), how) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The groups whose rights the process has: the effective one and the supplementary ones.
pub fn groups() -> Vec<u32> {
    // SAFETY: always succeeds, no pointers.
    let effective = unsafe { libc::getegid() };
    // SAFETY: a size of 0 asks for the number and writes nothing.
    let count = unsafe { libc::getgroups(0, std::ptr::null_mut()) };
    let mut groups = vec![0; usize::try_from(count).unwrap_or_default()];
    // SAFETY: the array has room for as many groups as we say.
    let count = unsafe { libc::getgroups(count.max(0), groups.as_mut_ptr()) };
    groups.truncate(usize::try_from(count).unwrap_or_default());
    groups.push(effective);
    groups
}

/// The user whose rights the process has.
pub fn effective_uid() -> u32 {
    // SAFETY: always succeeds, no pointers.
    unsafe { libc::geteuid() }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::fd::AsFd;
    use std::time::Duration;

    use super::*;
    use crate::os::testing;

    #[test]
    fn waiting_ends_at_the_deadline_or_with_data() {
        let (reader, mut writer) = io::pipe().unwrap();
        let fds = [(reader.as_fd(), Interest::Read), (writer.as_fd(), Interest::Write)];
        let soon = Instant::now() + Duration::from_millis(1);
        assert_eq!(wait_until_ready(&fds[..1], Some(soon)).unwrap(), [false]);
        assert_eq!(wait_until_ready(&fds, None).unwrap(), [false, true]);
        writer.write_all(b"x").unwrap();
        let fds = [(reader.as_fd(), Interest::Read)];
        assert_eq!(wait_until_ready(&fds, None).unwrap(), [true]);
    }

    #[test]
    fn an_inherited_descriptor_can_be_closed_but_not_the_standard_ones() {
        let null = std::fs::File::open("/dev/null").unwrap();
        let fd = null.as_raw_fd();
        assert!(close(fd).is_err() && duplicate(fd).is_err(), "our own");
        let fd = testing::without_close_on_exec(null);
        duplicate(fd).unwrap();
        close(fd).unwrap();
        for standard in [-1, 0, 1, 2] {
            assert!(close(standard).is_err());
        }
    }

    #[test]
    fn whether_a_directory_takes_files_is_known() {
        may_write(Path::new("/dev/shm")).unwrap();
        let kind = |path: &str| may_write(Path::new(path)).unwrap_err().kind();
        assert_eq!(kind("/dev/shm/none"), io::ErrorKind::NotFound);
        assert_eq!(kind("/dev/null/none"), io::ErrorKind::NotADirectory);
        assert_eq!(kind("/dev/\0"), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn file_systems_are_told_apart() {
        let kind = |path: &str| file_system(std::fs::File::open(path).unwrap().as_fd()).unwrap();
        assert_eq!(kind("/proc/self/status"), libc::PROC_SUPER_MAGIC);
        assert_eq!(kind("/dev/shm"), libc::TMPFS_MAGIC);
        assert!(!is_read_only(std::fs::File::open("/dev/shm").unwrap().as_fd()));
    }

    #[test]
    fn the_effective_group_is_among_the_groups() {
        // SAFETY: always succeeds, no pointers.
        assert!(groups().contains(&unsafe { libc::getegid() }));
    }

    #[test]
    fn a_stdin_that_held_a_key_reads_as_empty() {
        if testing::role().as_deref() == Some("stdin") {
            let left = |fd: BorrowedFd<'_>| {
                let mut text = String::new();
                std::fs::File::from(fd.try_clone_to_owned().unwrap())
                    .read_to_string(&mut text)
                    .unwrap();
                text
            };
            assert_eq!(left(stdin_fd()), "AGE-SECRET-KEY");
            null_onto_stdin().unwrap();
            assert_eq!(left(stdin_fd()), "");
            let child = std::process::Command::new("/bin/cat").output().unwrap();
            assert!(child.status.success() && child.stdout.is_empty());
            return;
        }
        let (reader, mut writer) = io::pipe().unwrap();
        writer.write_all(b"AGE-SECRET-KEY").unwrap();
        drop(writer);
        let test = "os::files::tests::a_stdin_that_held_a_key_reads_as_empty";
        testing::passed(&testing::again(test, "stdin").stdin(reader).output().unwrap());
    }
}
