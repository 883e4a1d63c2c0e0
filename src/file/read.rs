//! Reading: opened once, looked at through the descriptor, and never more than a limit.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use super::descriptor::{Descriptor, descriptor};
use super::meta::{Meta, meta_of};
use crate::os::{self, Interest};

/// How long a named pipe or a device may keep silent before it is given up.
const PATIENCE: Duration = Duration::from_secs(45);

/// Why a file was not read.
#[derive(Debug)]
pub enum ReadError {
    /// ENOENT and nothing else: only this means that there is no such file.
    NotFound,
    /// A directory, device, socket or pipe where a file was wanted.
    NotRegular,
    /// Longer than the limit.
    TooLarge,
    /// The system's word for anything else; a pipe or device of which no end came in 45 s.
    Io(io::Error),
}

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> Self {
        match error.raw_os_error() {
            Some(libc::ENOENT) => Self::NotFound,
            // A socket, or a device that is not there; a directory.
            Some(libc::ENXIO | libc::ENODEV | libc::EISDIR) => Self::NotRegular,
            _ => Self::Io(error),
        }
    }
}

/// Reads a regular file whole, at most `limit` bytes. It is opened once and looked at through the
/// descriptor, so that what was checked is what is read; opening a pipe or device does not wait.
///
/// # Errors
/// [`ReadError`].
pub fn read_regular(path: &Path, limit: u64) -> Result<(Zeroizing<Vec<u8>>, Meta), ReadError> {
    let file =
        OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path)?;
    let about = file.metadata()?;
    if !about.is_file() {
        return Err(ReadError::NotRegular);
    }
    if about.len() > limit {
        return Err(ReadError::TooLarge);
    }
    let bytes = read_to_limit(&file, about.len(), limit, Wait::Never)?;
    Ok((bytes, meta_of(&file, &about)))
}

/// Reads anything that can be read, at most `limit` bytes: files, pipes, `/dev/fd/N`. What is opened
/// by its name may be a pipe to which nobody ever writes: it is waited for 45 s. What was handed down
/// is read to its end, as by any program.
///
/// # Errors
/// [`ReadError`]; a directory is [`ReadError::NotRegular`].
pub fn read_stream(path: &Path, limit: u64) -> Result<(Zeroizing<Vec<u8>>, Meta), ReadError> {
    read_stream_within(path, limit, PATIENCE)
}

fn read_stream_within(
    path: &Path,
    limit: u64,
    patience: Duration,
) -> Result<(Zeroizing<Vec<u8>>, Meta), ReadError> {
    if let Some(Descriptor::Own(number)) = descriptor(path) {
        // Not opened anew: opening a pipe whose writer is gone waits for another one, for ever.
        let file = os::duplicate(number).map_err(|_| ReadError::NotFound)?;
        return read_open(&File::from(file), limit, Wait::ForEver);
    }
    let file =
        OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path)?;
    read_open(&file, limit, Wait::Until(Instant::now() + patience))
}

/// The same from a descriptor that is already open; it stays open. For [`os::stdin_fd`].
///
/// # Errors
/// [`ReadError`].
pub fn read_fd(fd: BorrowedFd<'_>, limit: u64) -> Result<(Zeroizing<Vec<u8>>, Meta), ReadError> {
    read_open(&File::from(fd.try_clone_to_owned()?), limit, Wait::ForEver)
}

fn read_open(file: &File, limit: u64, wait: Wait) -> Result<(Zeroizing<Vec<u8>>, Meta), ReadError> {
    let meta = meta_of(file, &file.metadata()?);
    Ok((read_to_limit(file, meta.len, limit, wait)?, meta))
}

/// How long to wait for more to read.
#[derive(Clone, Copy)]
enum Wait {
    Never,
    Until(Instant),
    ForEver,
}

fn silent() -> ReadError {
    io::Error::new(io::ErrorKind::TimedOut, "nobody wrote to it for 45 s").into()
}

/// Some more bytes; 0 at the end.
fn read_some(mut file: &File, buffer: &mut [u8], wait: Wait) -> Result<usize, ReadError> {
    loop {
        // Before the first try as well: a pipe to which nobody has written yet reads as empty.
        let ready = |deadline| os::wait_until_ready(&[(file.as_fd(), Interest::Read)], deadline);
        match wait {
            Wait::Never => {}
            Wait::Until(end) if ready(Some(end))? != [true] => return Err(silent()),
            Wait::Until(_) => {}
            Wait::ForEver => drop(ready(None)?),
        }
        match (file.read(buffer), wait) {
            (Ok(read), _) => return Ok(read),
            (Err(error), _) if error.kind() == io::ErrorKind::Interrupted => {}
            (Err(error), wait) if error.kind() == io::ErrorKind::WouldBlock => match wait {
                // It says that it is a file, and is waited for like a pipe: /proc/kmsg.
                Wait::Never => return Err(ReadError::NotRegular),
                Wait::Until(end) if Instant::now() >= end => return Err(silent()),
                Wait::Until(_) | Wait::ForEver => {}
            },
            (Err(error), _) => return Err(error.into()),
        }
    }
}

/// Reads to the end. The buffer grows by moving to a new one, and the old is wiped.
fn read_to_limit(
    file: &File,
    expected: u64,
    limit: u64,
    wait: Wait,
) -> Result<Zeroizing<Vec<u8>>, ReadError> {
    // One byte more than is expected, so that the end shows without growing.
    let room = |n: u64| usize::try_from(n.min(limit).saturating_add(1)).unwrap_or(usize::MAX);
    let mut buffer = Zeroizing::new(vec![0; room(expected.max(4096))]);
    let mut filled = 0;
    loop {
        if filled == buffer.len() {
            if filled as u64 > limit {
                return Err(ReadError::TooLarge);
            }
            let mut larger = Zeroizing::new(vec![0; room(filled as u64 * 2)]);
            larger[..filled].copy_from_slice(&buffer);
            buffer = larger;
        }
        match read_some(file, &mut buffer[filled..], wait)? {
            0 => break,
            n => filled += n,
        }
    }
    if filled as u64 > limit {
        return Err(ReadError::TooLarge);
    }
    buffer.truncate(filled);
    Ok(buffer)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::UnixListener;

    use super::super::testing::Directory;
    use super::*;

    #[test]
    fn a_regular_file_is_read_whole_up_to_the_limit() {
        let d = Directory::new();
        let path = d.path.join("f");
        for length in [0usize, 1, 4095, 4096, 4097, 100_000] {
            let content: Vec<u8> = (0..length).map(|i| (i % 251) as u8).collect();
            std::fs::write(&path, &content).unwrap();
            std::fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
            let (bytes, meta) = read_regular(&path, length as u64).unwrap();
            assert_eq!(*bytes, content);
            assert_eq!((meta.mode, meta.len), (0o640, length as u64));
            assert_eq!(*read_stream(&path, length as u64).unwrap().0, content);
            if length > 0 {
                let tight = length as u64 - 1;
                assert!(matches!(read_regular(&path, tight), Err(ReadError::TooLarge)));
                assert!(matches!(read_stream(&path, tight), Err(ReadError::TooLarge)));
            }
        }
    }

    #[test]
    fn a_file_that_says_it_is_empty_is_read_all_the_same() {
        assert!(!read_regular(Path::new("/proc/self/status"), 1 << 20).unwrap().0.is_empty());
    }

    #[test]
    fn only_a_missing_file_is_not_found() {
        let d = Directory::new();
        let missing = d.path.join("none");
        assert!(matches!(read_regular(&missing, 9), Err(ReadError::NotFound)));
        std::fs::write(d.path.join("f"), "x").unwrap();
        let under_a_file = d.path.join("f/none");
        assert!(matches!(read_regular(&under_a_file, 9), Err(ReadError::Io(_))));
    }

    #[test]
    fn what_is_no_regular_file_is_refused_without_waiting() {
        let d = Directory::new();
        let _listener = UnixListener::bind(d.path.join("socket")).unwrap();
        let made = std::process::Command::new("mkfifo").arg(d.path.join("fifo")).status();
        assert!(made.unwrap().success());
        for path in [&d.path, &d.path.join("socket"), &d.path.join("fifo"), Path::new("/dev/zero")]
        {
            assert!(matches!(read_regular(path, 9), Err(ReadError::NotRegular)), "{path:?}");
        }
        assert!(matches!(read_stream(&d.path, 9), Err(ReadError::NotRegular)));
        assert!(matches!(read_stream(Path::new("/dev/zero"), 9), Err(ReadError::TooLarge)));
    }

    #[test]
    fn a_pipe_that_nobody_writes_to_is_given_up() {
        let d = Directory::new();
        let fifo = d.path.join("fifo");
        assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        let read = |patience| read_stream_within(&fifo, 100, patience).map(|(bytes, _)| bytes);
        let silent = |result| match result {
            Err(ReadError::Io(error)) => error.kind() == io::ErrorKind::TimedOut,
            _ => false,
        };
        assert!(silent(read(Duration::from_millis(1))));
        std::thread::scope(|scope| {
            let reading = scope.spawn(|| read(Duration::from_secs(45)));
            // Opening waits for the reader.
            let mut writer = OpenOptions::new().write(true).open(&fifo).unwrap();
            writer.write_all(b"AGE-").unwrap();
            writer.write_all(b"SECRET-KEY").unwrap();
            drop(writer);
            assert_eq!(*reading.join().unwrap().unwrap(), b"AGE-SECRET-KEY");
        });
        // Something, and then no end of it.
        let mut both = OpenOptions::new().read(true).write(true).open(&fifo).unwrap();
        both.write_all(b"AGE-").unwrap();
        assert!(silent(read(Duration::from_millis(1))));
    }

    #[test]
    fn a_descriptor_whose_writer_is_gone_reads_as_empty() {
        let (reader, writer) = io::pipe().unwrap();
        drop(writer);
        // As it would have been inherited.
        let inherited = os::testing::without_close_on_exec(reader.as_fd());
        let path = format!("/dev/fd/{inherited}");
        assert_eq!(read_stream(Path::new(&path), 100).unwrap().0.len(), 0);
        os::close(inherited).unwrap();
        assert!(matches!(read_stream(Path::new(&path), 100), Err(ReadError::NotFound)));
    }

    #[test]
    fn a_pipe_is_read_by_number_and_by_path() {
        let (reader, mut writer) = io::pipe().unwrap();
        writer.write_all(b"AGE-SECRET-KEY").unwrap();
        drop(writer);
        let path = format!("/dev/fd/{}", reader.as_raw_fd());
        let ours = read_stream(Path::new(&path), 100);
        assert!(matches!(ours, Err(ReadError::NotFound)), "it was not handed down");
        let path = format!("/dev/fd/{}", os::testing::without_close_on_exec(reader.as_fd()));
        let (bytes, meta) = read_stream(Path::new(&path), 100).unwrap();
        assert_eq!((bytes.as_slice(), meta.len), (b"AGE-SECRET-KEY".as_slice(), 0));

        let (reader, mut writer) = io::pipe().unwrap();
        writer.write_all(b"12345").unwrap();
        drop(writer);
        assert!(matches!(read_fd(reader.as_fd(), 4), Err(ReadError::TooLarge)));
        assert_eq!(read_fd(reader.as_fd(), 4).unwrap().0.len(), 0, "it is still open");
    }
}
