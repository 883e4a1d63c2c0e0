//! Which sources of keys there are, for a person who asks why the vault does not open. Nothing is tried
//! on a vault here, and nothing that could wait is read.

use std::path::{Path, PathBuf};

use super::source::Reader;
use super::{Material, Named};
use crate::env::Env;
use crate::error::{Error, Result};
use crate::file;
use crate::say::Say;

/// A source, as the order of unlocking (README, "What opens the vault") numbers its lines.
#[derive(Clone, Debug)]
pub struct Source {
    /// 1 to 7.
    pub line: u8,
    /// Its name as the user knows it: a flag, a variable, a path.
    pub name: String,
    /// What is there.
    pub presence: Presence,
}

/// Whether a source is there.
#[derive(Clone, Debug)]
pub enum Presence {
    /// Nothing is there.
    Absent,
    /// There is something to try, under the name that whoever tries it gives it.
    Present(String),
    /// It is there and cannot be used.
    Unusable(Error),
    /// A pipe or descriptor, which is not read just to look: whoever reads it may have to wait, and
    /// takes it from the one it is for.
    Unread,
}

/// The sources of lines 1 to 7, in their order. What holds a key or passphrase is read and forgotten.
pub fn survey(named: &Named, env: &Env, identity_file: Option<PathBuf>) -> Vec<Source> {
    let look = Look { reader: Reader::new(env, Say { quiet: true, debug: false }), env };
    let mut all = Vec::new();
    let mut add = |line, name: String, presence| all.push(Source { line, name, presence });

    for path in &named.identities {
        add(1, "--identity".into(), look.identity(path, "--identity"));
    }
    if let Some(path) = &named.passphrase_file {
        add(1, "--passphrase-file".into(), look.passphrase(path, "--passphrase-file"));
    }
    add(2, "AWS_VAULT_AGE_KEY".into(), look.variable("AWS_VAULT_AGE_KEY"));
    let file = |name| look.named_by(name, Look::identity);
    add(2, "AWS_VAULT_AGE_KEY_FILE".into(), file("AWS_VAULT_AGE_KEY_FILE"));
    let file = |name| look.named_by(name, Look::passphrase);
    add(3, "AWS_VAULT_PASSPHRASE_FILE".into(), file("AWS_VAULT_PASSPHRASE_FILE"));
    add(3, "AWS_VAULT_PASSPHRASE".into(), look.variable("AWS_VAULT_PASSPHRASE"));
    add(3, "AWS_VAULT_FILE_PASSPHRASE".into(), look.theirs("AWS_VAULT_FILE_PASSPHRASE"));

    let systemd = env.get_os("CREDENTIALS_DIRECTORY").map(|dir| (4, PathBuf::from(dir)));
    for (line, dir) in systemd.into_iter().chain([(5, PathBuf::from("/run/secrets"))]) {
        let (key, word) = (dir.join("vault.age-key"), dir.join("vault.passphrase"));
        add(line, shown(&key), presence(look.reader.identity_if_there(&key)));
        add(line, shown(&word), presence(look.reader.passphrase_if_there(&word)));
    }
    add(6, "SOPS_AGE_KEY".into(), look.theirs("SOPS_AGE_KEY"));
    let file = env.get_os("SOPS_AGE_KEY_FILE").map(PathBuf::from);
    let found = file.map_or(Ok(None), |path| look.reader.identity_if_there(&path));
    add(6, "SOPS_AGE_KEY_FILE".into(), presence(found));
    if let Some(path) = identity_file {
        add(7, shown(&path), presence(look.reader.identity_if_there(&path)));
    }
    all
}

struct Look<'a> {
    reader: Reader<'a>,
    env: &'a Env,
}

impl Look<'_> {
    /// A passphrase is read from a variable as an identity is.
    fn variable(&self, name: &'static str) -> Presence {
        presence(self.reader.identity_variable(name))
    }

    /// Another tool's variable: an empty one means nothing.
    fn theirs(&self, name: &'static str) -> Presence {
        match self.env.unlock(name).is_none_or(|value| value.is_empty()) {
            true => Presence::Absent,
            false => self.variable(name),
        }
    }

    fn named_by(
        &self,
        name: &'static str,
        read: impl Fn(&Self, &Path, &str) -> Presence,
    ) -> Presence {
        match self.reader.path_variable(name) {
            Ok(Some(path)) => read(self, &path, name),
            Ok(None) => Presence::Absent,
            Err(error) => Presence::Unusable(error),
        }
    }

    fn identity(&self, path: &Path, by: &str) -> Presence {
        if may_wait(path) {
            return Presence::Unread;
        }
        presence(self.reader.identity_file(path, by).map(Some))
    }

    fn passphrase(&self, path: &Path, by: &str) -> Presence {
        if may_wait(path) {
            return Presence::Unread;
        }
        presence(self.reader.passphrase_file(path, by).map(Some))
    }
}

fn presence(found: Result<Option<Material>>) -> Presence {
    match found {
        Ok(None) => Presence::Absent,
        Ok(Some(material)) => Presence::Present(material.label),
        Err(error) => Presence::Unusable(error),
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// True for an inherited descriptor, and for what is there and no regular file.
fn may_wait(path: &Path) -> bool {
    file::descriptor(path).is_some() || path.metadata().is_ok_and(|about| !about.is_file())
}
