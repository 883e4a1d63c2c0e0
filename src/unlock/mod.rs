//! Where the keys that open a vault come from, without a person where that can be.
//!
//! What is named is used: the first of flags, key variables and passphrase variables in which
//! anything is present, and all of it. Where nothing is named, what lies around is tried, all of it.
//! This room only gathers the material; whether it opens the vault is for `vault/` to find out.

mod ci;
pub mod keyring;
mod owner;
mod source;
mod survey;
mod table;

use std::path::{Path, PathBuf};

use crate::env::Env;
use crate::error::{Class, Error, Result};
use crate::reporter::Reporter;
use crate::secret::Secret;

use table::Purpose;

pub use keyring::SlotSecret;
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
pub enum SecretKind {
    /// The text of an identity file, or its base64.
    Identity(Secret),
    /// The same, with the passphrase of an ssh key in it.
    LockedKey(Secret, Secret),
    /// A passphrase, its one trailing newline dropped.
    Passphrase(Secret),
    /// What a passphrase got out of its slot, kept by `vault unlock`.
    Slot(SlotSecret),
}

/// Something to try on the vault.
#[derive(Debug)]
pub struct Material {
    /// The source's name as the user knows it: a variable, a flag or a path.
    pub label: String,
    /// What it holds.
    pub kind: SecretKind,
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

/// True if the user named a source: then it is an error for everyone if that does not open the vault.
pub fn is_named(named: &Named, env: &Env) -> bool {
    let ours = [
        "AWS_VAULT_AGE_KEY",
        "AWS_VAULT_AGE_KEY_FILE",
        "AWS_VAULT_PASSPHRASE_FILE",
        "AWS_VAULT_PASSPHRASE",
    ];
    let theirs = env.unlock("AWS_VAULT_FILE_PASSPHRASE").is_some_and(|value| !value.is_empty());
    let flags = !named.identities.is_empty() || named.passphrase_file.is_some();
    flags || theirs || ours.iter().any(|name| env.unlock(name).is_some())
}

/// Gathers the keys. `slots` are the names of the vault's passphrase slots: aws-vault's variable
/// counts only if there is one, and the kernel's keyring is looked into for them alone.
/// `identity_file` is the default one.
///
/// # Errors
/// [`crate::error::Class::Locked`] for a named source that is missing, empty or unreadable;
/// [`crate::error::Class::Refused`] for a named file that others can write or read, or that is another
/// user's.
pub fn gather(
    named: &Named,
    env: &Env,
    identity_file: Option<&Path>,
    slots: &[String],
    reporter: Reporter,
) -> Result<Keys> {
    let reader = source::Reader::new(env, reporter, slots);
    let places = table::places(named, env, identity_file);
    let counts = |place: &&table::KeySource| place.concerns(!slots.is_empty());
    let (by_name, around): (Vec<_>, Vec<_>) =
        places.iter().filter(counts).partition(|place| place.line <= table::LAST_NAMED);

    let mut keys = Keys { named: true, ..Keys::default() };
    for line in by_name.chunk_by(|one, next| one.line == next.line) {
        for place in line {
            keys.materials.extend(reader.read(place)?);
        }
        if !keys.materials.is_empty() {
            return Ok(keys);
        }
    }
    keys.named = false;
    for place in around {
        match reader.read(place) {
            Ok(found) => keys.materials.extend(found),
            Err(error) => keys.problems.push(error),
        }
    }
    Ok(keys)
}

/// A passphrase for a new slot, where one was given without a person: `--passphrase-file`,
/// `AWS_VAULT_PASSPHRASE_FILE`, `AWS_VAULT_PASSPHRASE`.
///
/// # Errors
/// As [`gather`].
pub fn new_passphrase(named: &Named, env: &Env, reporter: Reporter) -> Result<Option<Secret>> {
    let reader = source::Reader::new(env, reporter, &[]);
    let passphrase = if let Some(path) = &named.passphrase_file {
        Some(reader.passphrase_file(path, Purpose::Passphrase, "--passphrase-file")?)
    } else if let Some(path) = reader.path_variable("AWS_VAULT_PASSPHRASE_FILE")? {
        let by = "AWS_VAULT_PASSPHRASE_FILE";
        Some(reader.passphrase_file(&path, Purpose::Passphrase, by)?)
    } else {
        reader.passphrase_variable("AWS_VAULT_PASSPHRASE")?
    };
    Ok(passphrase)
}

/// A passphrase for a new slot from the file of `--new-passphrase-file`, where every other source
/// says what opens the vault now.
///
/// # Errors
/// [`Class::Usage`] for a file that is missing, empty or unreadable; [`Class::Refused`] for one that
/// others can write or read.
pub fn new_passphrase_file(path: &Path, env: &Env, reporter: Reporter) -> Result<Secret> {
    passphrase_file(path, Purpose::NewPassphrase, env, reporter)
}

/// The passphrase of what is imported, from the file of `--source-passphrase-file`.
///
/// # Errors
/// As [`new_passphrase_file`].
pub fn source_passphrase_file(path: &Path, env: &Env, reporter: Reporter) -> Result<Secret> {
    passphrase_file(path, Purpose::SourcePassphrase, env, reporter)
}

/// A file that opens no vault, so one that cannot be used is no vault that stays shut (4).
fn passphrase_file(path: &Path, purpose: Purpose, env: &Env, reporter: Reporter) -> Result<Secret> {
    let reader = source::Reader::new(env, reporter, &[]);
    reader.passphrase_file(path, purpose, purpose.flag()).map_err(|error| match error.class {
        Class::Locked => Error { class: Class::Usage, ..error },
        _ => error,
    })
}

/// The error for a vault that nothing opens because there is nothing: it lists the ways, at once.
pub fn nothing_to_open_with(env: &Env, has_slot: bool) -> Error {
    let ways = if env.is_set("AWS_VAULT") {
        // Someone inside `vault exec PROFILE`'s subshell wonders where the variable went.
        if has_slot {
            "unlock variables do not pass into a vault subshell; use -i FILE, --passphrase-file \
             FILE, ~/.config/vault/identity.txt or vault unlock"
        } else {
            "unlock variables do not pass into a vault subshell; use -i FILE or \
             ~/.config/vault/identity.txt"
        }
    } else if has_slot {
        "give a key by -i FILE, AWS_VAULT_AGE_KEY or AWS_VAULT_AGE_KEY_FILE, a passphrase by \
         --passphrase-file FILE, AWS_VAULT_PASSPHRASE or AWS_VAULT_PASSPHRASE_FILE, put the key \
         into ~/.config/vault/identity.txt, run vault unlock before this, or this on a terminal"
    } else {
        "give a key by -i FILE, AWS_VAULT_AGE_KEY or AWS_VAULT_AGE_KEY_FILE, or put it into \
         ~/.config/vault/identity.txt"
    };
    Error::locked("no key to open the vault with").hint(ways)
}

#[cfg(test)]
mod tests;
