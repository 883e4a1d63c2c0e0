//! The order of unlocking as one table (README, "What opens the vault"), which every search for keys
//! uses.

use std::path::{Path, PathBuf};

use super::Named;
use crate::env::Env;

/// The last line of the named sources; the lines after it are default sources.
pub(super) const LAST_NAMED: u8 = 3;
/// The line of sops's variables.
const SOPS: u8 = 6;

pub(super) const PASSPHRASE_FILE: &str = "--passphrase-file";

/// The purpose of a file: its name in errors, and the flag that reads it from stdin instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Key,
    /// A passphrase, by this flag.
    Passphrase(&'static str),
}

impl Purpose {
    pub(super) fn name(self) -> &'static str {
        match self {
            Purpose::Key => "key file",
            Purpose::Passphrase(_) => "passphrase file",
        }
    }

    pub(super) fn flag(self) -> &'static str {
        match self {
            Purpose::Key => "-i",
            Purpose::Passphrase(flag) => flag,
        }
    }
}

/// A source of keys that may open the vault.
#[derive(Debug)]
pub(super) struct KeySource {
    /// Its line in the table: 1 to 8.
    pub line: u8,
    /// Its name as the user knows it: a flag, a variable, a path.
    pub name: String,
    pub purpose: Purpose,
    pub location: Location,
}

/// Where a source is.
#[derive(Debug)]
pub(super) enum Location {
    /// A file that this flag names. It must exist.
    File(PathBuf, &'static str),
    /// A variable of vault's. An empty one is an error.
    Variable(&'static str),
    /// A variable of vault's that names a file, which must exist.
    FileOf(&'static str),
    /// Another tool's variable. An empty one counts as unset, as in that tool.
    OtherVariable(&'static str),
    /// A default file, which may be missing.
    DefaultFile(PathBuf),
    /// Another tool's variable that names a file, which may be missing.
    OtherFileOf(&'static str),
    /// The kernel's keyring, in which `vault unlock` stores the key of a passphrase slot.
    Keyring,
}

impl Location {
    /// True for a flag that was given and for a variable that is set.
    pub fn is_set(&self, env: &Env) -> bool {
        match self {
            Location::File(..) => true,
            Location::Variable(name) | Location::FileOf(name) => env.unlock(name).is_some(),
            Location::OtherVariable(name) => {
                env.unlock(name).is_some_and(|value| !value.is_empty())
            }
            _ => false,
        }
    }
}

impl KeySource {
    /// True for sops's variables, which are removed from the child only if they opened the vault.
    pub fn is_sops(&self) -> bool {
        self.line == SOPS
    }

    /// True if the source applies to this vault. aws-vault's passphrase does so only if the vault has a
    /// passphrase slot; vault's own variables always do, so that an unusable passphrase is reported.
    pub fn applies(&self, has_slot: bool) -> bool {
        has_slot
            || !matches!(
                (self.purpose, &self.location),
                (Purpose::Passphrase(_), Location::OtherVariable(_))
            )
    }
}

/// All sources, in the order in which they are tried. `identity_file` is the default one.
pub(super) fn sources(named: &Named, env: &Env, identity_file: Option<&Path>) -> Vec<KeySource> {
    use {Location::*, Purpose::Key};
    let passphrase = Purpose::Passphrase(PASSPHRASE_FILE);
    let mut all = Vec::new();
    let mut add = |line, name: &str, purpose, location| {
        all.push(KeySource { line, name: name.to_owned(), purpose, location });
    };
    for path in &named.identities {
        add(1, "--identity", Key, File(path.clone(), "--identity"));
    }
    if let Some(path) = &named.passphrase_file {
        add(1, PASSPHRASE_FILE, passphrase, File(path.clone(), PASSPHRASE_FILE));
    }
    add(2, "AWS_VAULT_AGE_KEY", Key, Variable("AWS_VAULT_AGE_KEY"));
    add(2, "AWS_VAULT_AGE_KEY_FILE", Key, FileOf("AWS_VAULT_AGE_KEY_FILE"));
    add(3, "AWS_VAULT_PASSPHRASE_FILE", passphrase, FileOf("AWS_VAULT_PASSPHRASE_FILE"));
    add(3, "AWS_VAULT_PASSPHRASE", passphrase, Variable("AWS_VAULT_PASSPHRASE"));
    add(3, "AWS_VAULT_FILE_PASSPHRASE", passphrase, OtherVariable("AWS_VAULT_FILE_PASSPHRASE"));

    let systemd = env.get_os("CREDENTIALS_DIRECTORY").map(|dir| (4, PathBuf::from(dir)));
    for (line, dir) in systemd.into_iter().chain([(5, PathBuf::from("/run/secrets"))]) {
        for (file, purpose) in [("vault.age-key", Key), ("vault.passphrase", passphrase)] {
            let path = dir.join(file);
            add(line, &path.display().to_string(), purpose, DefaultFile(path));
        }
    }
    add(SOPS, "SOPS_AGE_KEY", Key, OtherVariable("SOPS_AGE_KEY"));
    add(SOPS, "SOPS_AGE_KEY_FILE", Key, OtherFileOf("SOPS_AGE_KEY_FILE"));
    if let Some(path) = identity_file {
        add(7, &path.display().to_string(), Key, DefaultFile(path.to_owned()));
    }
    add(8, super::keyring::NAME, Key, Keyring);
    all
}
