//! From the file to its plaintext: reading it, and trying the keys that were gathered.

use std::path::Path;

use zeroize::Zeroizing;

use super::store::Access;
use crate::error::{Class, Error, Result, os_text};
use crate::file::{self, Meta, ReadError};
use crate::sealed;
use crate::secret::Secret;
use crate::unlock::{self, Keys, Kind, Material};

pub(super) fn read(real: &Path, named: &Path) -> Result<(Zeroizing<Vec<u8>>, Meta)> {
    let shown = named.display();
    file::read_regular(real, sealed::FILE_LIMIT).map_err(|error| match error {
        ReadError::NotFound => no_vault(named, &std::io::Error::from(std::io::ErrorKind::NotFound)),
        ReadError::NotRegular => {
            Error::refused(format!("{shown} is not a regular file, so not a vault"))
        }
        ReadError::TooLarge => Error::refused(format!("{shown} is over 2 MiB, so not a vault")),
        ReadError::Io(error) => {
            Error::other(format!("cannot read the vault {shown}: {}", os_text(&error)))
        }
    })
}

/// Only ENOENT means that there is no vault; EIO or EACCES taken for it would get one overwritten.
pub(super) fn no_vault(path: &Path, error: &std::io::Error) -> Error {
    let shown = path.display();
    if error.kind() == std::io::ErrorKind::NotFound {
        Error::not_found(format!("no vault at {shown}"))
            .hint("make one with vault init, or name it by --vault or AWS_VAULT_FILE")
    } else if error.raw_os_error() == Some(libc::ELOOP) {
        Error::refused(format!("cannot read the vault {shown}: {}", os_text(error)))
    } else {
        Error::other(format!("cannot read the vault {shown}: {}", os_text(error)))
    }
}

/// Tries what was gathered, then asks for a passphrase if that can be done and makes sense.
///
/// # Errors
/// Locked (4), with what was tried; damaged (5); refused (6).
pub(super) fn unlock_with(
    scanned: &sealed::Scanned,
    keys: Keys,
    access: &Access,
) -> Result<(Zeroizing<Vec<u8>>, Material)> {
    let Keys { materials, named, problems } = keys;
    let has_slot = !scanned.slots.is_empty();
    let mut failures = Vec::new();
    let mut tried = Vec::new();
    for material in materials {
        match try_key(scanned, &material) {
            Ok(plaintext) => return Ok((plaintext, material)),
            Err(error) if error.class == Class::Locked => {
                access.say.debug(format!("{}: {}", material.label, error.what));
                tried.push(material.label);
                failures.push(error);
            }
            Err(error) => return Err(error),
        }
    }
    if !named && has_slot && access.prompt.available() {
        return ask(scanned, access);
    }
    // A file that could not even be used is the likelier reason than a key that did not fit.
    match problems.into_iter().chain(failures).next() {
        None => Err(unlock::nothing_to_open_with(access.env, has_slot)),
        // What is wrong with one source begins with its name.
        Some(error)
            if error.hint.is_some()
                || tried.is_empty()
                || tried.iter().any(|label| error.what.starts_with(label)) =>
        {
            Err(error)
        }
        Some(error) => Err(error.hint(format!("tried {}", tried.join(", ")))),
    }
}

/// Three tries, as ssh and sudo give.
fn ask(scanned: &sealed::Scanned, access: &Access) -> Result<(Zeroizing<Vec<u8>>, Material)> {
    let mut tries = 0;
    loop {
        // On the terminal, like the question: an SDK keeps stderr to itself.
        let again = if tries == 0 { "" } else { "Wrong passphrase, try again. " };
        let question = format!("{again}Enter passphrase for {}: ", access.path.display());
        let passphrase = access.prompt.hidden(&question)?;
        let material = Material {
            label: "the prompt".to_owned(),
            kind: Kind::Passphrase(passphrase),
            sops: false,
        };
        tries += 1;
        match try_key(scanned, &material) {
            Ok(plaintext) => return Ok((plaintext, material)),
            Err(error) if error.class == Class::Locked && tries < 3 => {}
            Err(error) => return Err(error),
        }
    }
}

/// Tries one source. What it leaves on the stack is for the caller to overwrite.
pub(super) fn try_key(
    scanned: &sealed::Scanned,
    material: &Material,
) -> Result<Zeroizing<Vec<u8>>> {
    let opened = match &material.kind {
        Kind::Identity(text) => sealed::parse_identities(text, &material.label)
            .and_then(|identities| sealed::open(scanned, &identities, &[])),
        Kind::Passphrase(passphrase) => {
            sealed::open(scanned, &[], std::slice::from_ref::<Secret>(passphrase))
        }
    };
    opened.map(|opened| opened.plaintext)
}
