//! The paths of the vault, the identity file, the cache, and the state directory.
//!
//! They follow from the environment and the text of `/etc/passwd`. The default ones also depend on the home: if
//! it cannot be searched, as under `docker run -u 1000` with `HOME=/root`, there are no default files; if it is
//! not writable, neither cache nor state is in it. Nothing is created in another user's home, and no home is
//! created.

mod cache;

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::env::Env;
use crate::error::{Error, Result};
use crate::{file, os};

/// The directories of this user.
#[derive(Debug)]
pub struct Places {
    home: Option<PathBuf>,
    data: Option<PathBuf>,
    config: Option<PathBuf>,
    state: Option<PathBuf>,
    /// The variable that named it.
    state_by: Option<&'static str>,
    /// Named by systemd or XDG, and by which of their variables.
    cache: Option<(PathBuf, &'static str)>,
    runtime: Option<PathBuf>,
    uid: u32,
}

impl Places {
    /// Reads `HOME` and the XDG variables. Empty or relative values count as unset (XDG Base
    /// Directory Specification). Without `HOME` the home is the one that the text of `/etc/passwd`
    /// names for `uid`: `getpwuid` would load the host's NSS modules into a static binary.
    pub fn new(env: &Env, uid: u32, passwd: &dyn Fn() -> Option<Vec<u8>>) -> Self {
        let absolute =
            |name: &str| env.get_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let home = absolute("HOME").or_else(|| home_in_passwd(&passwd()?, uid));
        let under = |variable: &str, default: &str| {
            absolute(variable)
                .or_else(|| home.as_ref().map(|home| home.join(default)))
                .map(|base| base.join("vault"))
        };
        // A list if the unit has several such directories; the first is ours.
        let systemd = |name: &str| {
            env.get(name)
                .and_then(|list| list.split(':').next())
                .map(PathBuf::from)
                .filter(|path| path.is_absolute())
        };
        let state = systemd("STATE_DIRECTORY");
        let state_by = if state.is_some() {
            Some("STATE_DIRECTORY")
        } else {
            absolute("XDG_STATE_HOME").map(|_| "XDG_STATE_HOME")
        };
        let xdg = || Some((absolute("XDG_CACHE_HOME")?.join("vault"), "XDG_CACHE_HOME"));
        Self {
            data: under("XDG_DATA_HOME", ".local/share"),
            config: under("XDG_CONFIG_HOME", ".config"),
            state_by,
            state: state.or_else(|| under("XDG_STATE_HOME", ".local/state")),
            cache: systemd("CACHE_DIRECTORY").map(|dir| (dir, "CACHE_DIRECTORY")).or_else(xdg),
            runtime: absolute("XDG_RUNTIME_DIR"),
            uid,
            home,
        }
    }

    pub fn home(&self) -> Option<&Path> {
        self.home.as_deref()
    }

    /// The default identity file; `None` if the home cannot be searched.
    pub fn identity_file(&self) -> Option<PathBuf> {
        let path = self.config.as_ref()?.join("identity.txt");
        self.closed_above(&path).is_none().then_some(path)
    }

    /// The home or the directories in it that cannot be searched, so that default files in them count as
    /// missing.
    pub fn closed(&self) -> BTreeSet<PathBuf> {
        let below = |dir: &Option<PathBuf>, name| dir.as_ref().map(|dir| dir.join(name));
        let defaults = [
            below(&self.home, ".aws/config"),
            below(&self.config, "identity.txt"),
            below(&self.data, "vault.age"),
        ];
        let closed = defaults.iter().flatten().filter_map(|path| self.closed_above(path));
        closed.map(Path::to_owned).collect()
    }

    /// The directory above `path` that cannot be searched; also a home that is no directory, as /dev/null.
    fn closed_above<'a>(&'a self, path: &'a Path) -> Option<&'a Path> {
        let home = self.home.as_deref().filter(|home| path.starts_with(home))?;
        match home.metadata() {
            Ok(about) if !about.is_dir() => Some(home),
            _ => file::closed_directory(path),
        }
    }

    /// The directory of pins and generations. `None` if it would be in another user's home or in a missing
    /// one; or if it is the default, does not exist, and the home is `/` or not writable.
    pub fn state_dir(&self) -> Option<&Path> {
        let usable = |dir: &&Path| self.state_by.is_some() || self.home_takes_state(dir);
        let ours = |dir: &&Path| self.unusable_home_of(dir).is_none();
        self.state.as_deref().filter(ours).filter(usable)
    }

    fn home_takes_state(&self, dir: &Path) -> bool {
        let Some(home) = &self.home else { return false };
        // An existing directory counts even if it is read-only, and a file in its place is an error later.
        let is_file = |error: std::io::Error| error.kind() == ErrorKind::NotADirectory;
        dir.is_dir()
            || may_create_in(home, dir).is_some_and(|known| known.err().is_none_or(is_file))
    }

    /// The variable that named the state directory.
    pub fn state_by(&self) -> Option<&'static str> {
        self.state_by.filter(|_| self.state_dir().is_some())
    }

    /// Refuses to create files in another user's home: under `sudo` with that user's HOME they would be
    /// root's, and lock the user out. A missing home is not created either.
    ///
    /// # Errors
    /// [`crate::error::Class::Refused`] for a path in another user's home,
    /// [`crate::error::Class::NotFound`] for one in a home that does not exist.
    pub fn may_create(&self, path: &Path) -> Result<()> {
        let shown = path.display();
        let Some(home) = self.unusable_home_of(path) else { return Ok(()) };
        Err(match home {
            UnusableHome::Missing(home) => Error::not_found(format!(
                "{shown} is not made: the home directory {} does not exist",
                home.display()
            ))
            .hint("make it, or set HOME to a directory of this user's own"),
            UnusableHome::AnotherUsers(uid) => Error::refused(format!(
                "{shown} is not made: it is in the home of another user (uid {uid})"
            ))
            .hint(format!(
                "run this as that user (sudo -u '#{uid}'), or with a HOME of your own (sudo -H)"
            )),
        })
    }

    /// The home, if the path is in it, by name or after symlinks, and files may not be created in it. A home
    /// of root's (`/` in a container) is no such home.
    fn unusable_home_of(&self, path: &Path) -> Option<UnusableHome<'_>> {
        let home = self.home.as_deref()?;
        let path = std::path::absolute(path).ok()?;
        let uid = match home.metadata() {
            Ok(about) if about.is_dir() => about.uid(),
            Err(error)
                if !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) =>
            {
                return None;
            }
            _ => return path.starts_with(home).then_some(UnusableHome::Missing(home)),
        };
        if uid == self.uid || uid == 0 {
            return None;
        }
        let real = path.ancestors().find_map(|above| above.canonicalize().ok())?;
        let inside = path.starts_with(home) || real.starts_with(home.canonicalize().ok()?);
        inside.then_some(UnusableHome::AnotherUsers(uid))
    }

    /// The vault file: the flag, `AWS_VAULT_FILE`, or the default in the data directory; and whether it is
    /// the default.
    ///
    /// # Errors
    /// [`crate::error::Class::NotFound`] if it is the default and there is no home that can be searched;
    /// [`crate::error::Class::Usage`] for an `AWS_VAULT_FILE` that is set but empty.
    pub fn vault_file(&self, flag: Option<&Path>, env: &Env) -> Result<(PathBuf, bool)> {
        if let Some(path) = flag {
            return Ok((path.to_path_buf(), false));
        }
        if let Some(path) = env.own("AWS_VAULT_FILE", "the vault's path")? {
            return Ok((PathBuf::from(path), false));
        }
        let path = self.data.as_ref().map(|dir| dir.join("vault.age")).ok_or_else(|| {
            Error::not_found("no home directory, so no default vault")
                .hint("name the vault with --vault or AWS_VAULT_FILE")
        })?;
        if let Some(closed) = self.closed_above(&path) {
            let (path, closed) = (path.display(), closed.display());
            let what = format!("no vault at {path}: no permission to enter {closed}");
            return Err(Error::not_found(what).hint(
                "set HOME to a directory of this user's own, or name the vault with --vault or \
                 AWS_VAULT_FILE",
            ));
        }
        Ok((path, true))
    }
}

/// A home in which no files are created.
enum UnusableHome<'a> {
    AnotherUsers(u32),
    /// There is no such directory.
    Missing(&'a Path),
}

/// Whether the nearest existing directory above `dir` in the home is writable; `None` if the home is missing
/// or `/`.
fn may_create_in(home: &Path, dir: &Path) -> Option<std::io::Result<()>> {
    home.parent()?;
    dir.ancestors()
        .take_while(|above| above.starts_with(home))
        .map(os::may_write)
        .find(|known| !matches!(known, Err(error) if error.kind() == ErrorKind::NotFound))
}

/// The sixth field of the line whose third is `uid` (passwd(5)).
fn home_in_passwd(passwd: &[u8], uid: u32) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStrExt;
    passwd.split(|b| *b == b'\n').find_map(|line| {
        let mut fields = line.split(|b| *b == b':');
        let found = fields.nth(2)?;
        let home = fields.nth(2)?;
        (found == uid.to_string().as_bytes() && home.starts_with(b"/"))
            .then(|| PathBuf::from(std::ffi::OsStr::from_bytes(home)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::testing::Directory;

    const PASSWD: &[u8] =
        b"root:x:0:0:root:/root:/bin/bash\nci:x:1000:1000:,,,:/home/ci:/bin/sh\nbroken\n";

    fn places(vars: &[(&str, &str)], uid: u32) -> Places {
        Places::new(&Env::of(vars), uid, &|| Some(PASSWD.to_vec()))
    }

    fn vault(vars: &[(&str, &str)], flag: Option<&str>) -> Result<(PathBuf, bool)> {
        places(vars, 7).vault_file(flag.map(Path::new), &Env::of(vars))
    }

    #[test]
    fn the_flag_outranks_the_variable_and_the_variable_the_default() {
        let vars = [("HOME", "/h"), ("AWS_VAULT_FILE", "v.age")];
        assert_eq!(vault(&vars, Some("f.age")).unwrap(), ("f.age".into(), false));
        assert_eq!(vault(&vars, None).unwrap(), ("v.age".into(), false));
        assert_eq!(
            vault(&[("HOME", "/h")], None).unwrap(),
            ("/h/.local/share/vault/vault.age".into(), true)
        );
        assert_eq!(
            vault(&[("HOME", "/h"), ("XDG_DATA_HOME", "/d")], None).unwrap(),
            ("/d/vault/vault.age".into(), true)
        );
    }

    #[test]
    fn relative_and_empty_values_count_as_unset() {
        let p = places(&[("HOME", "/h"), ("XDG_CONFIG_HOME", "c"), ("XDG_STATE_HOME", "")], 7);
        assert_eq!(p.identity_file().unwrap(), Path::new("/h/.config/vault/identity.txt"));
        assert_eq!(p.state_by(), None);
    }

    #[test]
    fn a_home_takes_state_or_has_some() {
        let d = Directory::new();
        let state = |home: &Path| {
            places(&[("HOME", home.to_str().unwrap())], 7).state_dir().map(Path::to_owned)
        };
        assert_eq!(state(&d.path), Some(d.path.join(".local/state/vault")));
        for none in ["/", "/nonexistent"] {
            assert_eq!(state(Path::new(none)), None, "{none}");
        }
        // A file in the directory's place is an error when the directory is used.
        std::fs::write(d.path.join(".local"), "").unwrap();
        assert_eq!(state(&d.path), Some(d.path.join(".local/state/vault")));
    }

    #[test]
    fn without_home_the_text_of_passwd_is_asked() {
        assert_eq!(places(&[], 1000).home(), Some(Path::new("/home/ci")));
        assert_eq!(places(&[], 7).home(), None);
        let error = vault(&[], None).unwrap_err();
        assert_eq!(error.class, crate::error::Class::NotFound);
        assert_eq!(error.hint.unwrap(), "name the vault with --vault or AWS_VAULT_FILE");
    }

    #[test]
    fn a_vault_variable_that_is_empty_is_an_error() {
        let error = vault(&[("HOME", "/h"), ("AWS_VAULT_FILE", "")], None).unwrap_err();
        assert_eq!(error.class, crate::error::Class::Usage);
    }

    #[test]
    fn systemd_names_the_state_directory() {
        let p = places(&[("HOME", "/h"), ("STATE_DIRECTORY", "/var/lib/a:/var/lib/b")], 7);
        assert_eq!(p.state_dir().unwrap(), Path::new("/var/lib/a"));
        assert_eq!(p.state_by(), Some("STATE_DIRECTORY"));
    }
}
