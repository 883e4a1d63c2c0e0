//! Appending to a file that belongs to another program.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use super::ReadError;

/// An existing file, open for appending.
#[derive(Debug)]
pub struct AppendFile {
    file: File,
    /// True if all users can write the file.
    pub world_writable: bool,
}

/// Opens an existing file for appending. It is not created, and a symlink is not followed.
///
/// # Errors
/// [`ReadError`]; a symlink is [`ReadError::NotRegular`].
pub fn open_to_append(path: &Path) -> Result<AppendFile, ReadError> {
    // For reading too: the last byte tells whether the last line is complete.
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY;
    let opened = OpenOptions::new().read(true).append(true).custom_flags(flags).open(path);
    let file = opened.map_err(|error| match error.raw_os_error() {
        Some(libc::ELOOP) => ReadError::NotRegular,
        _ => error.into(),
    })?;
    let about = file.metadata()?;
    if !about.is_file() {
        return Err(ReadError::NotRegular);
    }
    Ok(AppendFile { world_writable: about.permissions().mode() & 0o002 != 0, file })
}

impl AppendFile {
    /// Appends whole lines in one write, after a newline if the file does not end with one.
    pub fn add(&self, lines: &str) -> io::Result<()> {
        let end = self.file.metadata()?.len();
        let mut last = [b'\n'];
        if end > 0 {
            self.file.read_exact_at(&mut last, end - 1)?;
        }
        let start = if last == [b'\n'] { "" } else { "\n" };
        (&self.file).write_all(format!("{start}{lines}").as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::super::testing::Directory;
    use super::*;

    #[test]
    fn lines_are_appended_to_the_content() {
        let d = Directory::new();
        let path = d.path.join("f");
        for (before, after) in [("", "b\n"), ("a\n", "a\nb\n"), ("a", "a\nb\n")] {
            std::fs::write(&path, before).unwrap();
            open_to_append(&path).unwrap().add("b\n").unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), after);
        }
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o646)).unwrap();
        assert!(open_to_append(&path).unwrap().world_writable);
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o664)).unwrap();
        assert!(!open_to_append(&path).unwrap().world_writable);
    }

    #[test]
    fn only_an_existing_regular_file_is_opened() {
        let d = Directory::new();
        let (file, link, fifo) = (d.path.join("f"), d.path.join("l"), d.path.join("fifo"));
        assert!(matches!(open_to_append(&file), Err(ReadError::NotFound)));
        std::fs::write(&file, "").unwrap();
        symlink(&file, &link).unwrap();
        let made = std::process::Command::new("mkfifo").arg(&fifo).status();
        assert!(made.unwrap().success());
        for path in [&link, &fifo, &d.path] {
            assert!(matches!(open_to_append(path), Err(ReadError::NotRegular)), "{path:?}");
        }
        assert_eq!(d.names(), ["f", "fifo", "l"]);
    }
}
