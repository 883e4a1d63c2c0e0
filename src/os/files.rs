//! Descriptors, file systems and ids.

use std::io;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::path::Path;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{
    Access, AtFlags, CWD, PROC_SUPER_MAGIC, StatVfsMountFlags, accessat, fstatfs, fstatvfs, statfs,
    statvfs,
};
use rustix::io::{Errno, FdFlags, fcntl_dupfd_cloexec, fcntl_getfd};
use rustix::process::{getegid, geteuid, getgroups};
use rustix::stdio::dup2_stdin;

/// The event to wait for on a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// Something to read, an end of file or a hang-up.
    Read,
    /// Room to write.
    Write,
}

/// Waits until a descriptor is ready or the deadline has passed, and returns which ones are ready, in their
/// order. A signal does not end the wait.
pub fn wait_until_ready(
    what: &[(BorrowedFd<'_>, Interest)],
    deadline: Option<Instant>,
) -> io::Result<Vec<bool>> {
    let mut fds: Vec<PollFd<'_>> = what
        .iter()
        .map(|(fd, interest)| match interest {
            Interest::Read => PollFd::from_borrowed_fd(*fd, PollFlags::IN),
            Interest::Write => PollFd::from_borrowed_fd(*fd, PollFlags::OUT),
        })
        .collect();
    loop {
        let left = deadline.map(|d| d.saturating_duration_since(Instant::now()));
        let timeout = left.map(Timespec::try_from).transpose().map_err(|_| Errno::INVAL)?;
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) => return Ok(fds.iter().map(|fd| !fd.revents().is_empty()).collect()),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Standard input as a descriptor: the buffer of std's is never freed, so never wiped.
pub fn stdin_fd() -> BorrowedFd<'static> {
    // Rust's runtime opens /dev/null on 0, 1 and 2 where they are closed at start, and nothing here
    // closes them: `null_onto_stdin` replaces in one step.
    rustix::stdio::stdin()
}

/// Makes standard input, which held a key, /dev/null for the command; or, without a /dev/null (an empty root
/// directory), a pipe without a writer.
pub fn null_onto_stdin() -> io::Result<()> {
    match std::fs::File::open("/dev/null") {
        Ok(null) => dup2_stdin(null)?,
        Err(_) => dup2_stdin(io::pipe()?.0)?,
    }
    Ok(())
}

/// A copy of an inherited descriptor, closed on exec.
///
/// # Errors
/// EBADF for one that is not open or is our own; what fcntl(2) says.
pub fn duplicate(fd: RawFd) -> io::Result<OwnedFd> {
    Ok(fcntl_dupfd_cloexec(inherited_fd(fd)?, 3)?)
}

/// An inherited descriptor; EBADF for any other number. Every descriptor that we open is closed on exec, and no
/// inherited one is.
fn inherited_fd(fd: RawFd) -> io::Result<BorrowedFd<'static>> {
    if fd < 0 {
        return Err(Errno::BADF.into());
    }
    // SAFETY: nothing but its flags is asked for before they say that it is open, and the kernel
    // answers EBADF where it is not; if inherited, it is closed by `close` alone.
    let it = unsafe { BorrowedFd::borrow_raw(fd) };
    if fcntl_getfd(it)?.contains(FdFlags::CLOEXEC) { Err(Errno::BADF.into()) } else { Ok(it) }
}

/// The inherited descriptors that are open, 0 to 2 included. Without /proc the numbers below 65536 are tried.
pub fn inherited() -> Vec<RawFd> {
    let all: Vec<RawFd> = match std::fs::read_dir("/proc/self/fd") {
        Ok(names) => {
            let name =
                |entry: io::Result<std::fs::DirEntry>| entry.ok()?.file_name().into_string().ok();
            names.filter_map(name).filter_map(|name| name.parse().ok()).collect()
        }
        Err(_) => (0..i32::try_from(super::open_files().min(1 << 16)).unwrap_or(0)).collect(),
    };
    all.into_iter().filter(|fd| inherited_fd(*fd).is_ok()).collect()
}

/// Closes an inherited descriptor from which a key was read (`/dev/fd/N`), so that the command does not get
/// it. EBADF for 0, 1 and 2 (see [`null_onto_stdin`]) and for one that is not inherited.
pub fn close(fd: RawFd) -> io::Result<()> {
    if fd <= 2 {
        return Err(Errno::BADF.into());
    }
    inherited_fd(fd)?;
    // SAFETY: it is open, and was inherited, so no value of this program owns it.
    drop(unsafe { OwnedFd::from_raw_fd(fd) });
    Ok(())
}

/// True for a directory of procfs.
pub fn is_procfs(directory: &Path) -> bool {
    statfs(directory).is_ok_and(|about| about.f_type == PROC_SUPER_MAGIC)
}

/// The type of a file's file system, by the numbers of statfs(2).
pub fn file_system(file: BorrowedFd<'_>) -> Option<i64> {
    fstatfs(file).ok().map(|about| about.f_type)
}

/// True for a file on a file system that is mounted read-only.
pub fn is_read_only(file: BorrowedFd<'_>) -> bool {
    fstatvfs(file).is_ok_and(|about| about.f_flag.contains(StatVfsMountFlags::RDONLY))
}

/// The bytes and files that an unprivileged process may still write to a directory's file system; `None` if the
/// file system does not count them.
pub fn free_space(directory: &Path) -> io::Result<(Option<u64>, Option<u64>)> {
    let about = statvfs(directory)?;
    let bytes = (about.f_blocks > 0).then(|| about.f_bavail.saturating_mul(about.f_frsize));
    Ok((bytes, (about.f_files > 0).then_some(about.f_favail)))
}

/// Checks whether the process may create files in a directory: not on a read-only file system. By access(2), so
/// for the real ids, which are the effective ones of a program that is not set-id.
pub fn may_write(directory: &Path) -> io::Result<()> {
    Ok(accessat(CWD, directory, Access::WRITE_OK | Access::EXEC_OK, AtFlags::empty())?)
}

/// Checks whether a file's mode and access control list allow the process to write it.
pub fn may_write_file(file: &Path) -> io::Result<()> {
    Ok(accessat(CWD, file, Access::WRITE_OK, AtFlags::empty())?)
}

/// The effective group and the supplementary ones.
pub fn groups() -> Vec<u32> {
    let supplementary = getgroups().unwrap_or_default();
    supplementary.into_iter().chain([getegid()]).map(|group| group.as_raw()).collect()
}

pub fn effective_uid() -> u32 {
    geteuid().as_raw()
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::fd::{AsFd, AsRawFd};
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
    fn free_space_is_counted_where_there_is_any() {
        let (bytes, files) = free_space(Path::new("/dev/shm")).unwrap();
        assert!(bytes.is_some_and(|bytes| bytes > 0) && files.is_some_and(|files| files > 0));
        assert_eq!(free_space(Path::new("/proc")).unwrap(), (None, None));
    }

    #[test]
    fn the_effective_group_is_among_the_groups() {
        assert!(groups().contains(&getegid().as_raw()));
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
