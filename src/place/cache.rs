//! The directories of the cache and of the host's locks: a configured one, one in the home, or a private one
//! in a directory of many users.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::{Places, may_create_in};
use crate::env::Env;
use crate::error::Result;
use crate::{file, os};

impl Places {
    /// The directory of the cache, and what chose it: a flag, a variable, or a rule in words. In this order:
    /// the flag, `AWS_VAULT_CACHE_DIR`, systemd's, XDG's, `~/.cache/vault`. If none is configured, or one in
    /// a home that is not ours, and the home is missing, `/`, not writable or another user's, it is the first
    /// of `$XDG_RUNTIME_DIR/vault`, `/dev/shm/vault-UID` and `/tmp/vault-UID` that is or can be made a
    /// private directory (0700). `None` if there is none.
    ///
    /// # Errors
    /// [`crate::error::Class::Usage`] for an `AWS_VAULT_CACHE_DIR` that is set but empty; as
    /// [`Places::may_create`] for a flag.
    pub fn cache_dir(
        &self,
        flag: Option<&Path>,
        env: &Env,
    ) -> Result<Option<(PathBuf, &'static str)>> {
        if let Some(path) = flag {
            if path.metadata().is_err() {
                self.may_create(path)?;
            }
            return Ok(Some((path.to_path_buf(), "--cache-dir")));
        }
        let ours = |dir: &Path| self.unusable_home_of(dir).is_none();
        let variable = env.own("AWS_VAULT_CACHE_DIR", "the directory of the cache")?;
        if let Some(path) = variable.map(PathBuf::from).filter(|dir| ours(dir)) {
            return Ok(Some((path, "AWS_VAULT_CACHE_DIR")));
        }
        if let Some(named) = self.cache.as_ref().filter(|(dir, _)| ours(dir)) {
            return Ok(Some(named.clone()));
        }
        let home = self.home.as_deref().filter(|home| ours(home) && home_takes_a_cache(home));
        if let Some(home) = home {
            return Ok(Some((home.join(".cache/vault"), "the default")));
        }
        let found =
            self.private_candidates().into_iter().flatten().find(|path| self.is_private(path));
        Ok(found.map(|path| (path, "no writable home")))
    }

    /// A private directory on this host for locks between all of a user's processes: the first of
    /// `/dev/shm/vault-UID`, `/tmp/vault-UID` and `$XDG_RUNTIME_DIR/vault` that is or can be made one. The
    /// variable comes last, since only some of a user's processes have it.
    pub fn host_dir(&self) -> Option<PathBuf> {
        let [runtime, shared, temporary] = self.private_candidates();
        [shared, temporary, runtime].into_iter().flatten().find(|path| self.is_private(path))
    }

    /// A private directory in memory, for what must not be on a disk: the first of
    /// `$XDG_RUNTIME_DIR/vault`, `/dev/shm/vault-UID` and `/tmp/vault-UID` on tmpfs or ramfs that is or can
    /// be made one.
    pub fn memory_dir(&self) -> Option<PathBuf> {
        let in_memory = |path: &PathBuf| path.parent().is_some_and(file::is_in_memory);
        let found = self.private_candidates().into_iter().flatten().filter(in_memory);
        found.filter(|path| self.is_private(path)).find(|path| file::is_in_memory(path))
    }

    fn private_candidates(&self) -> [Option<PathBuf>; 3] {
        let own = format!("vault-{}", self.uid);
        [
            self.runtime.as_ref().map(|dir| dir.join("vault")),
            Some(Path::new("/dev/shm").join(&own)),
            Some(Path::new("/tmp").join(&own)),
        ]
    }

    fn is_private(&self, path: &Path) -> bool {
        private(path, self.uid).is_ok()
    }
}

/// True if `~/.cache/vault` is writable, or can be made.
fn home_takes_a_cache(home: &Path) -> bool {
    may_create_in(home, &home.join(".cache/vault")).is_some_and(|known| known.is_ok())
}

/// Makes a directory private if it is missing, and checks it through a descriptor that follows no symlink:
/// it must belong to this user with mode 0700, and no other user may be able to replace it.
fn private(path: &Path, uid: u32) -> io::Result<()> {
    let refused = || io::Error::from(ErrorKind::PermissionDenied);
    let parent = path.parent().ok_or_else(refused)?;
    let owner = parent.metadata()?.uid();
    if (owner != uid && owner != 0) || file::is_unsafe_directory(parent) {
        return Err(refused());
    }
    let open = || {
        let flags = libc::O_DIRECTORY | libc::O_NOFOLLOW;
        OpenOptions::new().read(true).custom_flags(flags).open(path)?.metadata()
    };
    let about = match open() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            match DirBuilder::new().mode(0o700).create(path) {
                // Another process may have just made it.
                Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
                _ => open()?,
            }
        }
        known => known?,
    };
    if about.uid() != uid || about.mode() & 0o7777 != 0o700 {
        return Err(refused());
    }
    os::may_write(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;
    use crate::file::testing::Directory;

    fn places(vars: &[(&str, &str)], uid: u32) -> Places {
        Places::new(&Env::of(vars), uid, &|| None)
    }

    fn cache(vars: &[(&str, &str)], flag: Option<&str>) -> Result<Option<PathBuf>> {
        let found = places(vars, 7).cache_dir(flag.map(Path::new), &Env::of(vars));
        found.map(|found| found.map(|(path, _)| path))
    }

    #[test]
    fn a_cache_that_is_named_is_not_looked_at() {
        let mut vars = vec![
            ("AWS_VAULT_CACHE_DIR", "ours"),
            ("CACHE_DIRECTORY", "/var/cache/a:/var/cache/b"),
            ("XDG_CACHE_HOME", "/xdg"),
            ("HOME", "/"),
        ];
        assert_eq!(cache(&vars, Some("flag")).unwrap().unwrap(), Path::new("flag"));
        for expected in ["ours", "/var/cache/a", "/xdg/vault"] {
            assert_eq!(cache(&vars, None).unwrap().unwrap(), Path::new(expected));
            vars.remove(0);
        }
        let error = cache(&[("AWS_VAULT_CACHE_DIR", "")], None).unwrap_err();
        assert_eq!(error.class, crate::error::Class::Usage);
    }

    #[test]
    fn the_default_cache_is_in_a_writable_home() {
        let d = Directory::new();
        assert!(home_takes_a_cache(&d.path));
        let home = d.path.to_str().unwrap();
        let expected = d.path.join(".cache/vault");
        assert_eq!(cache(&[("HOME", home)], None).unwrap().unwrap(), expected);
        assert!(d.names().is_empty(), "asking makes nothing");
        std::fs::create_dir_all(&expected).unwrap();
        assert!(home_takes_a_cache(&d.path));
        for bad in ["/", "/nonexistent"] {
            assert!(!home_takes_a_cache(Path::new(bad)), "{bad}");
        }
        std::fs::write(d.path.join("file"), "x").unwrap();
        assert!(!home_takes_a_cache(&d.path.join("file")));
    }

    #[test]
    fn without_a_home_the_runtime_directory_serves() {
        let d = Directory::new();
        let runtime = d.path.to_str().unwrap();
        let uid = os::effective_uid();
        for home in ["/", "/nonexistent"] {
            let vars = [("HOME", home), ("XDG_RUNTIME_DIR", runtime)];
            let found = places(&vars, uid).cache_dir(None, &Env::of(&vars)).unwrap();
            assert_eq!(found.unwrap().0, d.path.join("vault"));
        }
        let mode = d.path.join("vault").metadata().unwrap().mode();
        assert_eq!(mode & 0o7777, 0o700);
    }

    #[test]
    fn locks_of_the_host_depend_on_no_variable() {
        let d = Directory::new();
        let uid = os::effective_uid();
        let here = d.path.to_str().unwrap();
        let [one, two] = [vec![("HOME", "/")], vec![("HOME", here), ("XDG_RUNTIME_DIR", here)]]
            .map(|vars| places(&vars, uid).host_dir().unwrap());
        assert_eq!(one, two);
        assert_eq!(one.file_name().unwrap().to_str().unwrap(), format!("vault-{uid}"));
        assert_eq!(one.metadata().unwrap().mode() & 0o7777, 0o700);
        assert!(d.names().is_empty());
    }

    #[test]
    fn a_private_directory_is_this_users_with_mode_0700() {
        let d = Directory::new();
        let uid = os::effective_uid();
        let own = d.path.join("own");
        private(&own, uid).unwrap();
        private(&own, uid).unwrap();
        let mode = |path: &Path, mode: u32| {
            std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
        };
        for loose in [0o755, 0o770, 0o701, 0o1777, 0o600] {
            mode(&own, loose);
            assert!(private(&own, uid).is_err(), "{loose:o}");
        }
        mode(&own, 0o700);
        symlink(&own, d.path.join("link")).unwrap();
        assert!(private(&d.path.join("link"), uid).is_err());
        std::fs::write(d.path.join("file"), "x").unwrap();
        assert!(private(&d.path.join("file"), uid).is_err());
        assert!(private(&own, uid + 1).is_err(), "somebody else's");
        assert!(private(&d.path.join("none/below"), uid).is_err());
        mode(&d.path, 0o777);
        assert!(private(&own, uid).is_err(), "everybody may rename it away");
        mode(&d.path, 0o1777);
        private(&own, uid).unwrap();
    }
}
