//! Where the keys that open a vault come from, without a person where that can be.
//!
//! What is named is used: the first of flags, key variables and passphrase variables in which
//! anything is present, and all of it. Where nothing is named, what lies around is tried, all of it.
//! This room only gathers the material; whether it opens the vault is for `vault/` to find out.

mod source;
mod survey;

use std::path::{Path, PathBuf};

use crate::env::Env;
use crate::error::{Class, Error, Result};
use crate::say::Say;
use crate::secret::Secret;

pub use survey::{Presence, Source, survey};

/// A key file or passphrase file is read up to this many bytes.
const KEY_LIMIT: u64 = 64 * 1024;

/// The unlocking flags of the command line.
#[derive(Debug, Default, Clone)]
pub struct Named {
    /// `--identity FILE`, repeatable; `-` is stdin.
    pub identities: Vec<PathBuf>,
    /// `--passphrase-file FILE`.
    pub passphrase_file: Option<PathBuf>,
}

/// What one source holds.
#[derive(Debug)]
pub enum Kind {
    /// The text of an identity file, or its base64 in one line.
    Identity(Secret),
    /// A passphrase, its one trailing newline dropped.
    Passphrase(Secret),
}

/// Something to try on the vault.
#[derive(Debug)]
pub struct Material {
    /// The source's name as the user knows it: a variable, a flag or a path.
    pub label: String,
    /// What it holds.
    pub kind: Kind,
    /// True if it came by sops's variables, which are taken from the child only if they opened the
    /// vault.
    pub sops: bool,
}

/// All that was found, in the order in which it is tried.
#[derive(Debug, Default)]
pub struct Keys {
    /// What to try.
    pub materials: Vec<Material>,
    /// True if the user named these sources; false if they lay around.
    pub named: bool,
    /// Sources that lay around and could not be used: they matter only if nothing else opens.
    pub problems: Vec<Error>,
}

/// Gathers the keys. `has_slot` says whether the vault has a passphrase slot, since aws-vault's
/// variable counts only then; `identity_file` is the default one.
///
/// # Errors
/// [`crate::error::Class::Locked`] for a named source that is missing, empty or unreadable;
/// [`crate::error::Class::Refused`] for a named file that others can write or read.
pub fn gather(
    named: &Named,
    env: &Env,
    identity_file: Option<PathBuf>,
    has_slot: bool,
    say: Say,
) -> Result<Keys> {
    let reader = source::Reader::new(env, say);
    let mut keys = Keys { named: true, ..Keys::default() };

    for path in &named.identities {
        keys.materials.push(reader.identity_file(path, "--identity")?);
    }
    if let Some(path) = &named.passphrase_file {
        keys.materials.push(reader.passphrase_file(path, "--passphrase-file")?);
    }
    if keys.materials.is_empty() {
        keys.materials.extend(reader.identity_variable("AWS_VAULT_AGE_KEY")?);
        if let Some(path) = reader.path_variable("AWS_VAULT_AGE_KEY_FILE")? {
            keys.materials.push(reader.identity_file(&path, "AWS_VAULT_AGE_KEY_FILE")?);
        }
    }
    if keys.materials.is_empty() {
        if let Some(path) = reader.path_variable("AWS_VAULT_PASSPHRASE_FILE")? {
            keys.materials.push(reader.passphrase_file(&path, "AWS_VAULT_PASSPHRASE_FILE")?);
        }
        keys.materials.extend(reader.passphrase_variable("AWS_VAULT_PASSPHRASE")?);
        // aws-vault's own: an empty one means nothing there, so it means nothing here.
        let theirs = env.unlock("AWS_VAULT_FILE_PASSPHRASE").filter(|value| !value.is_empty());
        if has_slot && theirs.is_some() {
            keys.materials.extend(reader.passphrase_variable("AWS_VAULT_FILE_PASSPHRASE")?);
        }
    }
    if keys.materials.is_empty() {
        keys.named = false;
        lying_around(&reader, &mut keys, env, identity_file);
    }
    Ok(keys)
}

/// systemd's credentials, container secrets, sops's key, the user's identity file. A source that is
/// not there is passed over; one that cannot be used is kept as a problem.
fn lying_around(
    reader: &source::Reader,
    keys: &mut Keys,
    env: &Env,
    identity_file: Option<PathBuf>,
) {
    let mut found: Vec<Result<Option<Material>>> = Vec::new();
    let secrets = env
        .get_os("CREDENTIALS_DIRECTORY")
        .map(PathBuf::from)
        .into_iter()
        .chain([PathBuf::from("/run/secrets")]);
    for dir in secrets {
        found.push(reader.identity_if_there(&dir.join("vault.age-key")));
        found.push(reader.passphrase_if_there(&dir.join("vault.passphrase")));
    }
    if env.unlock("SOPS_AGE_KEY").is_some_and(|value| !value.is_empty()) {
        found.push(reader.identity_variable("SOPS_AGE_KEY").map(from_sops));
    }
    if let Some(path) = env.get_os("SOPS_AGE_KEY_FILE") {
        found.push(reader.identity_if_there(&PathBuf::from(path)).map(from_sops));
    }
    if let Some(path) = identity_file {
        found.push(reader.identity_if_there(&path));
    }
    for source in found {
        match source {
            Ok(material) => keys.materials.extend(material),
            Err(error) => keys.problems.push(error),
        }
    }
}

fn from_sops(material: Option<Material>) -> Option<Material> {
    material.map(|material| Material { sops: true, ..material })
}

/// A passphrase for a new slot, where one was given without a person: `--passphrase-file`,
/// `AWS_VAULT_PASSPHRASE_FILE`, `AWS_VAULT_PASSPHRASE`.
///
/// # Errors
/// As [`gather`].
pub fn new_passphrase(named: &Named, env: &Env, say: Say) -> Result<Option<Secret>> {
    let reader = source::Reader::new(env, say);
    let material = if let Some(path) = &named.passphrase_file {
        Some(reader.passphrase_file(path, "--passphrase-file")?)
    } else if let Some(path) = reader.path_variable("AWS_VAULT_PASSPHRASE_FILE")? {
        Some(reader.passphrase_file(&path, "AWS_VAULT_PASSPHRASE_FILE")?)
    } else {
        reader.passphrase_variable("AWS_VAULT_PASSPHRASE")?
    };
    Ok(material.map(|material| match material.kind {
        Kind::Identity(secret) | Kind::Passphrase(secret) => secret,
    }))
}

/// A passphrase for a new slot from the file of `--new-passphrase-file`, where every other source
/// says what opens the vault now.
///
/// # Errors
/// [`Class::Usage`] for a file that is missing, empty or unreadable; [`Class::Refused`] for one that
/// others can write or read.
pub fn new_passphrase_file(path: &Path, env: &Env, say: Say) -> Result<Secret> {
    let material = source::Reader::new(env, say).new_passphrase_file(path);
    let material = material.map_err(|error| match error.class {
        Class::Locked => Error { class: Class::Usage, ..error },
        _ => error,
    })?;
    match material.kind {
        Kind::Identity(secret) | Kind::Passphrase(secret) => Ok(secret),
    }
}

/// The error for a vault that nothing opens because there is nothing: it lists the ways, at once.
pub fn nothing_to_open_with(env: &Env, has_slot: bool) -> Error {
    let ways = if env.is_set("AWS_VAULT") {
        // Someone inside `vault exec PROFILE`'s subshell wonders where the variable went.
        "unlock variables do not pass into a vault subshell; use -i FILE, --passphrase-file FILE \
         or ~/.config/vault/identity.txt"
    } else if has_slot {
        "give a key by -i FILE, AWS_VAULT_AGE_KEY or AWS_VAULT_AGE_KEY_FILE, a passphrase by \
         --passphrase-file FILE, AWS_VAULT_PASSPHRASE or AWS_VAULT_PASSPHRASE_FILE, put the key \
         into ~/.config/vault/identity.txt, or run this on a terminal"
    } else {
        "give a key by -i FILE, AWS_VAULT_AGE_KEY or AWS_VAULT_AGE_KEY_FILE, or put it into \
         ~/.config/vault/identity.txt"
    };
    Error::locked("no key to open the vault with").hint(ways)
}

#[cfg(test)]
mod tests;
