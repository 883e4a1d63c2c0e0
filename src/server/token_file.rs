//! The token in a file, for clients that read it from nowhere else. The file is on a file system in memory. It
//! is removed at the server's end, or, if the server was killed, when the next one creates its own.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::file::create_exclusive;
use crate::secret::Secret;

const PREFIX: &str = "server-token-";

/// A file that holds a server's token. It is removed when this is dropped.
pub struct TokenFile {
    path: PathBuf,
    /// Locked for as long as the server runs.
    file: File,
}

impl TokenFile {
    /// Writes the token into a new file (0600) in a directory that is this user's alone, without a line's
    /// end, since SDKs send the file as it is. Files of servers that were killed are removed first.
    pub fn create(directory: &Path, token: &Secret) -> io::Result<Self> {
        remove_orphans(directory);
        loop {
            let mut random = [0; 8];
            getrandom::getrandom(&mut random)?;
            let name = format!("{PREFIX}{:016x}", u64::from_le_bytes(random));
            let path = directory.join(name);
            let file = create_exclusive(&path, 0o600)?;
            let mut made = Self { path, file };
            made.file.lock()?;
            // Before it was locked, another server may have removed it as an orphan.
            if !made.is_current() {
                continue;
            }
            // The umask may have taken the owner's right to read it.
            made.file.set_permissions(Permissions::from_mode(0o600))?;
            made.file.write_all(token.expose().as_bytes())?;
            return Ok(made);
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    fn is_current(&self) -> bool {
        let ours = self.file.metadata().map(|about| about.ino());
        let there = self.path.symlink_metadata().map(|about| about.ino());
        matches!((ours, there), (Ok(ours), Ok(there)) if ours == there)
    }
}

impl Drop for TokenFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Removes the files that no server has locked. One that cannot be removed is useless without its server.
fn remove_orphans(directory: &Path) {
    let Ok(entries) = directory.read_dir() else { return };
    for entry in entries.flatten() {
        if !entry.file_name().to_string_lossy().starts_with(PREFIX) {
            continue;
        }
        let mut options = OpenOptions::new();
        options.read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
        let orphan = options.open(entry.path()).is_ok_and(|file| file.try_lock().is_ok());
        if orphan {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::testing::Directory;

    fn token(text: &str) -> Secret {
        Secret::new(text.to_owned())
    }

    #[test]
    fn the_file_holds_the_token_for_its_owner_alone_and_goes_with_the_server() {
        let d = Directory::new();
        let made = TokenFile::create(&d.path, &token("secret")).unwrap();
        assert_eq!(std::fs::read_to_string(made.path()).unwrap(), "secret");
        assert_eq!(made.path().metadata().unwrap().mode() & 0o7777, 0o600);
        drop(made);
        assert_eq!(d.names(), [""; 0]);
    }

    #[test]
    fn a_file_of_a_killed_server_is_removed_by_the_next_and_no_other() {
        let d = Directory::new();
        let runs = TokenFile::create(&d.path, &token("first")).unwrap();
        let killed = format!("{PREFIX}0123456789abcdef");
        for name in [&*killed, "ledger"] {
            std::fs::write(d.path.join(name), "x").unwrap();
        }
        let next = TokenFile::create(&d.path, &token("second")).unwrap();
        assert!(runs.path().exists() && next.path().exists());
        assert!(!d.path.join(&killed).exists());
        assert!(d.path.join("ledger").exists());
    }
}
