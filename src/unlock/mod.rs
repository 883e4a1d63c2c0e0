//! The sources of the keys that open a vault.
//!
//! Named sources come first: of flags, key variables and passphrase variables, the first group in which
//! anything is set is used, all of it. If none is named, all default sources are tried. This room only
//! gathers key material; `vault/` finds out which of them opens the vault.

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

use table::{PASSPHRASE_FILE, Purpose};

pub use keyring::SlotSecret;
pub use survey::{Presence, Source, survey};

/// The most bytes of a key file or passphrase file.
pub const KEY_LIMIT: u64 = 64 * 1024;

/// The unlocking flags of the command line.
#[derive(Debug, Default, Clone)]
pub struct Named {
    /// `--identity FILE`, repeatable; `-` is stdin.
    pub identities: Vec<PathBuf>,
    /// `--passphrase-file FILE`.
    pub passphrase_file: Option<PathBuf>,
}

/// The content of a source.
#[derive(Debug)]
pub enum SecretKind {
    /// The text of an identity file, plain or in base64.
    Identity(Secret),
    /// The text of an identity file, with the passphrase of an ssh key in it.
    LockedKey(Secret, Secret),
    /// A passphrase without its trailing newline.
    Passphrase(Secret),
    /// The key of a passphrase slot, stored by `vault unlock`.
    Slot(SlotSecret),
}

/// Key material to try on the vault.
#[derive(Debug)]
pub struct Material {
    /// The source's name as the user knows it: a variable, a flag or a path.
    pub label: String,
    pub kind: SecretKind,
    /// True if it came from a variable of sops, which is removed from the child's environment only if it
    /// opened the vault.
    pub sops: bool,
}

/// The key material that was found, in the order in which it is tried.
#[derive(Debug, Default)]
pub struct Keys {
    pub materials: Vec<Material>,
    /// True if the user named the sources; false for default sources.
    pub named: bool,
    /// Errors of default sources, which are reported only if nothing else opens the vault.
    pub problems: Vec<Error>,
}

/// True if the user named a source: then it is an error if that does not open the vault.
pub fn is_named(named: &Named, env: &Env) -> bool {
    let sources = table::sources(named, env, None);
    sources.iter().any(|source| source.line <= table::LAST_NAMED && source.location.is_set(env))
}

/// Gathers the key material. `slots` are the names of the vault's passphrase slots: aws-vault's variable is
/// used only if there is one, and the kernel's keyring is searched only for these. `identity_file` is the
/// default identity file.
/// Errors: locked (4) for a named source that is missing, empty or unreadable; refused (6) for a named file
/// that others can write or read, or that is another user's.
pub fn gather(
    named: &Named,
    env: &Env,
    identity_file: Option<&Path>,
    slots: &[String],
    reporter: Reporter,
) -> Result<Keys> {
    let reader = source::Reader::new(env, reporter, slots);
    let sources = table::sources(named, env, identity_file);
    let applies = |source: &&table::KeySource| source.applies(!slots.is_empty());
    let (named, defaults): (Vec<_>, Vec<_>) =
        sources.iter().filter(applies).partition(|source| source.line <= table::LAST_NAMED);

    let mut keys = Keys { named: true, ..Keys::default() };
    for line in named.chunk_by(|one, next| one.line == next.line) {
        for source in line {
            keys.materials.extend(reader.read(source)?);
        }
        if !keys.materials.is_empty() {
            return Ok(keys);
        }
    }
    keys.named = false;
    for source in defaults {
        match reader.read(source) {
            Ok(found) => keys.materials.extend(found),
            Err(error) => keys.problems.push(error),
        }
    }
    Ok(keys)
}

/// The passphrase for a new slot from `--passphrase-file`, `AWS_VAULT_PASSPHRASE_FILE` or
/// `AWS_VAULT_PASSPHRASE`, if one is given.
pub fn new_passphrase(named: &Named, env: &Env, reporter: Reporter) -> Result<Option<Secret>> {
    let reader = source::Reader::new(env, reporter, &[]);
    let (purpose, variable) = (Purpose::Passphrase(PASSPHRASE_FILE), "AWS_VAULT_PASSPHRASE_FILE");
    if let Some(path) = &named.passphrase_file {
        reader.passphrase_file(path, purpose, PASSPHRASE_FILE).map(Some)
    } else if let Some(path) = reader.path_variable(variable)? {
        reader.passphrase_file(&path, purpose, variable).map(Some)
    } else {
        reader.passphrase_variable("AWS_VAULT_PASSPHRASE")
    }
}

/// The passphrase from the file of another flag, for commands in which every other source opens the present
/// vault.
/// Errors: usage (2) for a file that is missing, empty or unreadable: it does not open the vault. Refused (6)
/// for one that others can write or read.
pub fn passphrase_file(
    path: &Path,
    flag: &'static str,
    env: &Env,
    reporter: Reporter,
) -> Result<Secret> {
    let reader = source::Reader::new(env, reporter, &[]);
    let passphrase = reader.passphrase_file(path, Purpose::Passphrase(flag), flag);
    passphrase.map_err(|error| match error.class {
        Class::Locked => Error { class: Class::Usage, ..error },
        _ => error,
    })
}

/// The error if there is no key material. The hint lists the sources.
pub fn nothing_to_open_with(env: &Env, has_slot: bool) -> Error {
    let hint = if env.is_set("AWS_VAULT") {
        // In the subshell of `vault exec PROFILE`, where the variables are removed.
        if has_slot {
            "unlock variables are not passed to a vault subshell; use -i FILE, --passphrase-file \
             FILE, ~/.config/vault/identity.txt or vault unlock"
        } else {
            "unlock variables are not passed to a vault subshell; use -i FILE or \
             ~/.config/vault/identity.txt"
        }
    } else if has_slot {
        "give a key by -i FILE, AWS_VAULT_AGE_KEY or AWS_VAULT_AGE_KEY_FILE, a passphrase by \
         --passphrase-file FILE, AWS_VAULT_PASSPHRASE or AWS_VAULT_PASSPHRASE_FILE, put the key \
         into ~/.config/vault/identity.txt, run vault unlock first, or run this on a terminal"
    } else {
        "give a key by -i FILE, AWS_VAULT_AGE_KEY or AWS_VAULT_AGE_KEY_FILE, or put it into \
         ~/.config/vault/identity.txt"
    };
    Error::locked("no key to open the vault with").hint(hint)
}

#[cfg(test)]
mod tests;
