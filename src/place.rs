//! Where things lie: the vault, the key that lies around, the cache, and what the machine remembers.
//!
//! Everything is decided from the environment and the text of `/etc/passwd`. Only what nobody named
//! depends on the home as it is: a home that may not be entered, as under `docker run -u 1000` with
//! `HOME=/root`, has no default files; one that takes no files has neither cache nor state; and nothing is
//! made in another user's, nor is one made that does not exist.

use std::collections::BTreeSet;
use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::env::Env;
use crate::error::{Error, Result};
use crate::{file, os};

/// The directories of this user, decided once.
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
        // systemd gives a list where a unit has several such directories; the first is ours.
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

    /// The user's home, if there is one.
    pub fn home(&self) -> Option<&Path> {
        self.home.as_deref()
    }

    /// `identity.txt`, tried where nothing is named. None where the home may not be entered.
    pub fn identity_file(&self) -> Option<PathBuf> {
        let path = self.config.as_ref()?.join("identity.txt");
        self.closed_above(&path).is_none().then_some(path)
    }

    /// The directories, the home or some in it, that may not be entered, so that the default files there
    /// count as missing.
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

    /// Nor is a home entered that is no directory, such as /dev/null.
    fn closed_above<'a>(&'a self, path: &'a Path) -> Option<&'a Path> {
        let home = self.home.as_deref().filter(|home| path.starts_with(home))?;
        match home.metadata() {
            Ok(about) if !about.is_dir() => Some(home),
            _ => file::closed_directory(path),
        }
    }

    /// Where pins and generations are remembered. None where it would lie in another user's home or in
    /// one that does not exist, or where nobody named a place, and the home is `/` or not writable and
    /// nothing was remembered in it before.
    pub fn state_dir(&self) -> Option<&Path> {
        let usable = |dir: &&Path| self.state_by.is_some() || self.home_takes_state(dir);
        let ours = |dir: &&Path| self.shut_home_with(dir).is_none();
        self.state.as_deref().filter(ours).filter(usable)
    }

    fn home_takes_state(&self, dir: &Path) -> bool {
        let Some(home) = &self.home else { return false };
        let above = dir.ancestors().take_while(|above| above.starts_with(home));
        let may_write = above
            .map(os::may_write)
            .find(|known| !matches!(known, Err(error) if error.kind() == ErrorKind::NotFound));
        // What is there counts also where no more can be written, and what stands in its place is told.
        dir.is_dir()
            || home.parent().is_some()
                && may_write.is_some_and(|known| {
                    known.err().is_none_or(|error| error.kind() == ErrorKind::NotADirectory)
                })
    }

    /// True if the state directory was named by a variable: then it is said when it cannot be used.
    pub fn state_is_named(&self) -> bool {
        self.state_by.is_some()
    }

    /// The variable that named the state directory.
    pub fn state_by(&self) -> Option<&'static str> {
        self.state_by.filter(|_| self.state_dir().is_some())
    }

    /// The directory of the cache: the flag, `AWS_VAULT_CACHE_DIR`, systemd's, XDG's, `~/.cache/vault`.
    /// Where none is named and the home is missing, `/`, not writable or another user's, and where a
    /// variable names a place in such a home, it is the first of `$XDG_RUNTIME_DIR/vault`,
    /// `/dev/shm/vault-UID` and `/tmp/vault-UID` that can be a 0700 directory of this user's alone; it
    /// is made. None: there is no such place.
    ///
    /// # Errors
    /// [`crate::error::Class::Usage`] for an `AWS_VAULT_CACHE_DIR` that is set but empty; as
    /// [`Places::may_make`] for a flag.
    pub fn cache_dir(&self, flag: Option<&Path>, env: &Env) -> Result<Option<PathBuf>> {
        Ok(self.cache_dir_by(flag, env)?.map(|(path, _)| path))
    }

    /// The same, and what chose it: a flag, a variable, or a rule in words.
    ///
    /// # Errors
    /// As [`Places::cache_dir`].
    pub fn cache_dir_by(
        &self,
        flag: Option<&Path>,
        env: &Env,
    ) -> Result<Option<(PathBuf, &'static str)>> {
        if let Some(path) = flag {
            if path.metadata().is_err() {
                self.may_make(path)?;
            }
            return Ok(Some((path.to_path_buf(), "--cache-dir")));
        }
        let ours = |dir: &Path| self.shut_home_with(dir).is_none();
        let variable = env.get_os("AWS_VAULT_CACHE_DIR").map(PathBuf::from);
        if let Some(path) = variable.filter(|dir| ours(dir)) {
            return Ok(Some((path, "AWS_VAULT_CACHE_DIR")));
        }
        if env.is_set("AWS_VAULT_CACHE_DIR") && env.get_os("AWS_VAULT_CACHE_DIR").is_none() {
            return Err(Error::usage("AWS_VAULT_CACHE_DIR is set but empty")
                .hint("give it the directory of the cache, or unset it"));
        }
        if let Some(named) = self.cache.as_ref().filter(|(dir, _)| ours(dir)) {
            return Ok(Some(named.clone()));
        }
        let home = self.home.as_deref().filter(|home| ours(home) && home_takes_a_cache(home));
        if let Some(home) = home {
            return Ok(Some((home.join(".cache/vault"), "the default")));
        }
        let found = self.own_places().into_iter().flatten().find(|path| self.is_own(path));
        Ok(found.map(|path| (path, "no writable home")))
    }

    /// A directory that is this user's alone and lies on this host, whatever home and cache are, for
    /// locks that concern the host: the first of `/dev/shm/vault-UID`, `/tmp/vault-UID` and
    /// `$XDG_RUNTIME_DIR/vault` that can be one; it is made. The variable comes last, since only some
    /// of a user's processes have it.
    pub fn host_dir(&self) -> Option<PathBuf> {
        let [runtime, shared, temporary] = self.own_places();
        [shared, temporary, runtime].into_iter().flatten().find(|path| self.is_own(path))
    }

    /// Places that need no home.
    fn own_places(&self) -> [Option<PathBuf>; 3] {
        let own = format!("vault-{}", self.uid);
        [
            self.runtime.as_ref().map(|dir| dir.join("vault")),
            Some(Path::new("/dev/shm").join(&own)),
            Some(Path::new("/tmp").join(&own)),
        ]
    }

    fn is_own(&self, path: &Path) -> bool {
        private(path, self.uid).is_ok()
    }

    /// Nothing is made in the home of another user, least of all by root: what `sudo` with that user's
    /// HOME makes there shuts its owner out. Nor is a home made that does not exist.
    ///
    /// # Errors
    /// [`crate::error::Class::Refused`] for a path in another user's home,
    /// [`crate::error::Class::NotFound`] for one in a home that does not exist.
    pub fn may_make(&self, path: &Path) -> Result<()> {
        let shown = path.display();
        let Some(home) = self.shut_home_with(path) else { return Ok(()) };
        Err(match home {
            Shut::Missing(home) => Error::not_found(format!(
                "{shown} is not made: the home directory {} does not exist",
                home.display()
            ))
            .hint("make it, or set HOME to a directory of this user's own"),
            Shut::Of(uid) => Error::refused(format!(
                "{shown} is not made: it lies in the home of another user (uid {uid})"
            ))
            .hint(format!(
                "run this as that user (sudo -u '#{uid}'), or with a HOME of your own (sudo -H)"
            )),
        })
    }

    /// The home, if the path lies in it, as it is written or in fact, and nothing is made in it. Root's
    /// own (`/` in a container) is nobody's who could be shut out.
    fn shut_home_with(&self, path: &Path) -> Option<Shut<'_>> {
        let home = self.home.as_deref()?;
        let path = std::path::absolute(path).ok()?;
        let uid = match home.metadata() {
            Ok(about) if about.is_dir() => about.uid(),
            Err(error)
                if !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) =>
            {
                return None;
            }
            _ => return path.starts_with(home).then_some(Shut::Missing(home)),
        };
        if uid == self.uid || uid == 0 {
            return None;
        }
        let real = path.ancestors().find_map(|above| above.canonicalize().ok())?;
        let inside = path.starts_with(home) || real.starts_with(home.canonicalize().ok()?);
        inside.then_some(Shut::Of(uid))
    }

    /// The vault file: the flag, `AWS_VAULT_FILE`, or the default under the data directory. The flag
    /// says whether it is the default.
    ///
    /// # Errors
    /// [`crate::error::Class::NotFound`] where nothing is named and there is no home, or none that may
    /// be entered;
    /// [`crate::error::Class::Usage`] for an `AWS_VAULT_FILE` that is set but empty.
    pub fn vault_file(&self, flag: Option<&Path>, env: &Env) -> Result<(PathBuf, bool)> {
        if let Some(path) = flag {
            return Ok((path.to_path_buf(), false));
        }
        if let Some(path) = env.get_os("AWS_VAULT_FILE") {
            return Ok((PathBuf::from(path), false));
        }
        if env.is_set("AWS_VAULT_FILE") {
            return Err(Error::usage("AWS_VAULT_FILE is set but empty")
                .hint("give it the vault's path, or unset it"));
        }
        match self.data.as_ref().map(|dir| dir.join("vault.age")) {
            Some(path) => match self.closed_above(&path) {
                None => Ok((path, true)),
                Some(closed) => {
                    let (path, closed) = (path.display(), closed.display());
                    let what = format!("no vault at {path}, since {closed} may not be entered");
                    Err(Error::not_found(what).hint(
                        "set HOME to a directory of this user's own, or name the vault by --vault \
                         or AWS_VAULT_FILE",
                    ))
                }
            },
            None => Err(Error::not_found("no home directory, so no default vault")
                .hint("name the vault by --vault or AWS_VAULT_FILE")),
        }
    }
}

/// A home in which nothing is made.
enum Shut<'a> {
    /// Another user's.
    Of(u32),
    /// There is no such directory.
    Missing(&'a Path),
}

/// True if `~/.cache/vault` is writable, or can be made.
fn home_takes_a_cache(home: &Path) -> bool {
    home.parent().is_some()
        && [".cache/vault", ".cache", ""]
            .iter()
            .map(|below| os::may_write(&home.join(below)))
            .find(|known| !matches!(known, Err(error) if error.kind() == ErrorKind::NotFound))
            .is_some_and(|known| known.is_ok())
}

/// A directory among strangers: made if it is missing, and then looked at through a descriptor that
/// follows no symlink. It must be this user's, closed to all others, and nobody else may be able to
/// put another one in its place.
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
                // Another process of ours may have been faster.
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
    use std::os::unix::fs::{PermissionsExt, symlink};

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
        assert!(!p.state_is_named());
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
        // What stands in its place is told when it is used.
        std::fs::write(d.path.join(".local"), "").unwrap();
        assert_eq!(state(&d.path), Some(d.path.join(".local/state/vault")));
    }

    #[test]
    fn without_home_the_text_of_passwd_is_asked() {
        assert_eq!(places(&[], 1000).home(), Some(Path::new("/home/ci")));
        assert_eq!(places(&[], 7).home(), None);
        let error = vault(&[], None).unwrap_err();
        assert_eq!(error.class, crate::error::Class::NotFound);
        assert_eq!(error.hint.unwrap(), "name the vault by --vault or AWS_VAULT_FILE");
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
        assert!(p.state_is_named());
    }

    fn cache(vars: &[(&str, &str)], flag: Option<&str>) -> Result<Option<PathBuf>> {
        places(vars, 7).cache_dir(flag.map(Path::new), &Env::of(vars))
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
    fn the_default_cache_lies_in_a_home_that_takes_it() {
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
            assert_eq!(found, Some(d.path.join("vault")));
        }
        let mode = d.path.join("vault").metadata().unwrap().mode();
        assert_eq!(mode & 0o7777, 0o700);
    }

    #[test]
    fn locks_of_the_host_lie_where_no_variable_leads() {
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
    fn a_place_among_strangers_must_be_ours_alone() {
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
