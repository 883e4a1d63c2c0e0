//! A directory of its own for each test, removed when the test is over.

use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// An empty directory, 0700, on the disk that the build lies on: not in /tmp, which may be a tmpfs,
/// where the rules for key files are others.
#[derive(Debug)]
pub struct TestHome(PathBuf);

impl TestHome {
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        Self::below(Path::new(env!("CARGO_TARGET_TMPDIR")))
    }

    /// The same on a tmpfs.
    pub fn in_memory() -> Self {
        Self::below(Path::new("/dev/shm"))
    }

    fn below(base: &Path) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let base = base.canonicalize().expect("a directory");
        loop {
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let path = base.join(format!("vault-test-{}-{count}", std::process::id()));
            match std::fs::DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Self(path),
                // Left behind by a killed run whose process id came round again.
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => (),
                Err(e) => panic!("{}: {e}", path.display()),
            }
        }
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file in it, with its directories (0700) and exactly this mode.
    pub fn file(&self, path: &str, contents: &[u8], mode: u32) -> PathBuf {
        let path = self.0.join(path);
        let parent = path.parent().expect("a file in the place");
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(parent).expect("directory");
        std::fs::write(&path, contents).expect("file");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("mode");
        path
    }
}

impl Drop for TestHome {
    fn drop(&mut self) {
        if std::fs::remove_dir_all(&self.0).is_err() {
            open_up(&self.0);
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

/// Makes directories writable that a test has closed.
fn open_up(path: &Path) {
    let _ = std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700));
    for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            open_up(&entry.path());
        }
    }
}
