//! The order of unlocking, as one table: README, "What opens the vault". Everything that looks for
//! keys goes by it.

use std::path::{Path, PathBuf};

use super::Named;
use crate::env::Env;

/// The last line of what is named; what comes after it lies around.
pub(super) const LAST_NAMED: u8 = 3;
/// The line of sops's variables.
const SOPS: u8 = 6;

/// What a file is read for: its name in errors, and how else it can be handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Key,
    Passphrase,
    NewPassphrase,
    SourcePassphrase,
}

impl Purpose {
    pub(super) fn name(self) -> &'static str {
        match self {
            Purpose::Key => "key file",
            Purpose::Passphrase | Purpose::NewPassphrase | Purpose::SourcePassphrase => {
                "passphrase file"
            }
        }
    }

    pub(super) fn flag(self) -> &'static str {
        match self {
            Purpose::Key => "-i",
            Purpose::Passphrase => "--passphrase-file",
            Purpose::NewPassphrase => "--new-passphrase-file",
            Purpose::SourcePassphrase => "--source-passphrase-file",
        }
    }
}

/// A place where something may be that opens the vault.
#[derive(Debug)]
pub(super) struct KeySource {
    /// Its line in the table: 1 to 8.
    pub line: u8,
    /// Its name as the user knows it: a flag, a variable, a path.
    pub name: String,
    pub purpose: Purpose,
    pub at: At,
}

/// How it is looked for.
#[derive(Debug)]
pub(super) enum At {
    /// A file that this flag names: it has to be there.
    File(PathBuf, &'static str),
    /// A variable of ours: an empty one is an error.
    Variable(&'static str),
    /// A variable of ours that names a file, which has to be there.
    FileOf(&'static str),
    /// Another tool's variable: an empty one means nothing there, so it means nothing here.
    Theirs(&'static str),
    /// A file that may lie around.
    Around(PathBuf),
    /// Another tool's variable that names a file, which may be there.
    AroundOf(&'static str),
    /// The kernel's keyring, where `vault unlock` puts what a passphrase opened.
    Keyring,
}

impl KeySource {
    /// True where sops's key comes from: it is taken from the child only if it opened the vault.
    pub fn is_sops(&self) -> bool {
        self.line == SOPS
    }

    /// True if it says anything of this vault: aws-vault's passphrase does so only of one that has a
    /// passphrase, while ours, given for one that has none, is a mistake to be told of.
    pub fn concerns(&self, has_slot: bool) -> bool {
        has_slot || !matches!((self.purpose, &self.at), (Purpose::Passphrase, At::Theirs(_)))
    }
}

/// All places, in the order in which they are tried. `identity_file` is the default one.
pub(super) fn places(named: &Named, env: &Env, identity_file: Option<&Path>) -> Vec<KeySource> {
    use {At::*, Purpose::*};
    let mut all = Vec::new();
    let mut add = |line, name: &str, purpose, at| {
        all.push(KeySource { line, name: name.to_owned(), purpose, at });
    };
    for path in &named.identities {
        add(1, "--identity", Key, File(path.clone(), "--identity"));
    }
    if let Some(path) = &named.passphrase_file {
        add(1, "--passphrase-file", Passphrase, File(path.clone(), "--passphrase-file"));
    }
    add(2, "AWS_VAULT_AGE_KEY", Key, Variable("AWS_VAULT_AGE_KEY"));
    add(2, "AWS_VAULT_AGE_KEY_FILE", Key, FileOf("AWS_VAULT_AGE_KEY_FILE"));
    add(3, "AWS_VAULT_PASSPHRASE_FILE", Passphrase, FileOf("AWS_VAULT_PASSPHRASE_FILE"));
    add(3, "AWS_VAULT_PASSPHRASE", Passphrase, Variable("AWS_VAULT_PASSPHRASE"));
    add(3, "AWS_VAULT_FILE_PASSPHRASE", Passphrase, Theirs("AWS_VAULT_FILE_PASSPHRASE"));

    let systemd = env.get_os("CREDENTIALS_DIRECTORY").map(|dir| (4, PathBuf::from(dir)));
    for (line, dir) in systemd.into_iter().chain([(5, PathBuf::from("/run/secrets"))]) {
        for (file, purpose) in [("vault.age-key", Key), ("vault.passphrase", Passphrase)] {
            let path = dir.join(file);
            add(line, &path.display().to_string(), purpose, Around(path));
        }
    }
    add(SOPS, "SOPS_AGE_KEY", Key, Theirs("SOPS_AGE_KEY"));
    add(SOPS, "SOPS_AGE_KEY_FILE", Key, AroundOf("SOPS_AGE_KEY_FILE"));
    if let Some(path) = identity_file {
        add(7, &path.display().to_string(), Key, Around(path.to_owned()));
    }
    add(8, super::keyring::NAME, Key, Keyring);
    all
}
