//! Reading: a file is opened once, checked through its descriptor, and read up to a limit.

use std::fmt::Display;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use super::descriptor::{Descriptor, descriptor};
use super::meta::{Meta, meta_of};
use crate::error::os_text;
use crate::os::{self, Interest};

/// How long a named pipe or a device is waited for.
const PATIENCE: Duration = Duration::from_secs(45);

/// Why a file was not read.
#[derive(Debug)]
pub enum ReadError {
    /// ENOENT, and no other error: only this means that there is no such file.
    NotFound,
    /// A directory, device, socket or pipe instead of a regular file.
    NotRegular,
    /// Longer than the limit.
    TooLarge,
    /// Any other error of the system; `TimedOut` for a pipe or device that did not end within 45 s.
    Io(io::Error),
}

impl ReadError {
    /// The message of an error. `what`: the file, as the user knows it.
    pub fn message(&self, what: impl Display, limit: u64) -> String {
        format!("cannot read {what}: {}", self.text(limit))
    }

    /// The reason in words that follow a file's name and a colon. `limit` is the one that it was read
    /// with, in bytes.
    pub fn text(&self, limit: u64) -> String {
        match self {
            Self::NotFound => "no such file or directory".to_owned(),
            Self::NotRegular => "not a regular file".to_owned(),
            Self::TooLarge if limit.is_multiple_of(1 << 20) => {
                format!("larger than {} MiB", limit >> 20)
            }
            Self::TooLarge => format!("larger than {} KiB", limit >> 10),
            Self::Io(error) => os_text(error),
        }
    }
}

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> Self {
        match error.raw_os_error() {
            Some(libc::ENOENT) => Self::NotFound,
            // A socket, a device without a driver, a directory.
            Some(libc::ENXIO | libc::ENODEV | libc::EISDIR) => Self::NotRegular,
            _ => Self::Io(error),
        }
    }
}

/// Reads a whole regular file of at most `limit` bytes. It is opened once and checked through the
/// descriptor, so that the file that is checked is the one that is read. A pipe or device is not waited
/// for.
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

/// Reads a file, pipe, device or inherited descriptor (`/dev/fd/N`) to its end, at most `limit` bytes. A
/// pipe that is opened by its name is waited for 45 s at most; an inherited descriptor without a limit,
/// as in any program.
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
        // Duplicated, not opened: to open a pipe whose writer is gone waits for the next writer.
        let file = os::duplicate(number).map_err(|_| ReadError::NotFound)?;
        return read_open(&File::from(file), limit, Wait::Forever);
    }
    let file =
        OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path)?;
    read_open(&file, limit, Wait::Until(Instant::now() + patience))
}

/// As [`read_stream`], from an open descriptor, which stays open: for [`os::stdin_fd`].
pub fn read_fd(fd: BorrowedFd<'_>, limit: u64) -> Result<(Zeroizing<Vec<u8>>, Meta), ReadError> {
    read_open(&File::from(fd.try_clone_to_owned()?), limit, Wait::Forever)
}

fn read_open(file: &File, limit: u64, wait: Wait) -> Result<(Zeroizing<Vec<u8>>, Meta), ReadError> {
    let meta = meta_of(file, &file.metadata()?);
    Ok((read_to_limit(file, meta.len, limit, wait)?, meta))
}

/// How long to wait for data.
#[derive(Clone, Copy)]
enum Wait {
    Never,
    Until(Instant),
    Forever,
}

fn timed_out() -> ReadError {
    io::Error::new(io::ErrorKind::TimedOut, "nothing was written to it for 45 s").into()
}

/// Reads once; 0 at the end of the file.
fn read_some(mut file: &File, buffer: &mut [u8], wait: Wait) -> Result<usize, ReadError> {
    loop {
        // Also before the first read: a pipe without a writer reads as empty.
        let ready = |deadline| os::wait_until_ready(&[(file.as_fd(), Interest::Read)], deadline);
        match wait {
            Wait::Never => {}
            Wait::Until(end) if ready(Some(end))? != [true] => return Err(timed_out()),
            Wait::Until(_) => {}
            Wait::Forever => drop(ready(None)?),
        }
        match (file.read(buffer), wait) {
            (Ok(read), _) => return Ok(read),
            (Err(error), _) if error.kind() == io::ErrorKind::Interrupted => {}
            (Err(error), wait) if error.kind() == io::ErrorKind::WouldBlock => match wait {
                // A regular file that blocks, such as /proc/kmsg.
                Wait::Never => return Err(ReadError::NotRegular),
                Wait::Until(end) if Instant::now() >= end => return Err(timed_out()),
                Wait::Until(_) | Wait::Forever => {}
            },
            (Err(error), _) => return Err(error.into()),
        }
    }
}

/// Reads to the end. A buffer that is full is copied to a larger one and wiped.
fn read_to_limit(
    file: &File,
    expected: u64,
    limit: u64,
    wait: Wait,
) -> Result<Zeroizing<Vec<u8>>, ReadError> {
    // One byte more than expected, so that the end is seen without another buffer.
    let size = |n: u64| usize::try_from(n.min(limit).saturating_add(1)).unwrap_or(usize::MAX);
    let mut buffer = Zeroizing::new(vec![0; size(expected.max(4096))]);
    let mut filled = 0;
    loop {
        if filled == buffer.len() {
            if filled as u64 > limit {
                return Err(ReadError::TooLarge);
            }
            let mut larger = Zeroizing::new(vec![0; size(filled as u64 * 2)]);
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
    fn a_file_of_length_zero_is_read_to_its_end() {
        assert!(!read_regular(Path::new("/proc/self/status"), 1 << 20).unwrap().0.is_empty());
    }

    #[test]
    fn the_reason_is_the_same_in_every_message() {
        for (error, limit, text) in [
            (ReadError::NotFound, 9, "no such file or directory"),
            (ReadError::NotRegular, 9, "not a regular file"),
            (ReadError::TooLarge, 64 << 10, "larger than 64 KiB"),
            (ReadError::TooLarge, 2 << 20, "larger than 2 MiB"),
            (io::Error::from_raw_os_error(libc::EACCES).into(), 9, "permission denied"),
        ] {
            assert_eq!(error.text(limit), text);
        }
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
    fn a_file_that_is_not_regular_is_refused_without_waiting() {
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
    fn a_pipe_without_data_times_out() {
        let d = Directory::new();
        let fifo = d.path.join("fifo");
        assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        let read = |patience| read_stream_within(&fifo, 100, patience).map(|(bytes, _)| bytes);
        let timed_out = |result| match result {
            Err(ReadError::Io(error)) => error.kind() == io::ErrorKind::TimedOut,
            _ => false,
        };
        assert!(timed_out(read(Duration::from_millis(1))));
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
        assert!(timed_out(read(Duration::from_millis(1))));
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
