//! From the file to its plaintext: reading it, and trying the keys that were gathered.

use std::path::Path;

use zeroize::Zeroizing;

use super::access::Access;
use crate::error::{Class, Error, Result, os_text};
use crate::file::{self, Meta, ReadError};
use crate::sealed::{self, Opened, Scanned, Slot};
use crate::secret::Secret;
use crate::unlock::{self, Keys, Material, SecretKind, SlotSecret};

/// What is said after a wrong answer, before the question.
const AGAIN: &str = "Wrong passphrase, try again. ";

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

/// Tries what was gathered, then asks for the passphrases of keys that have one, and for the vault's, if
/// that can be done and makes sense. What opened it, and what `attempt` got of that.
///
/// # Errors
/// Locked (4), with what was tried; damaged (5); refused (6), also for a passphrase that costs more
/// than is accepted, if nothing else opens the vault.
pub(super) fn unlock_with<T>(
    scanned: &Scanned,
    keys: Keys,
    access: &Access,
    attempt: impl Fn(&Material) -> Result<T>,
) -> Result<(T, Material)> {
    let Keys { materials, named, problems } = keys;
    let has_slot = !scanned.slots.is_empty();
    let mut locked = Vec::new();
    let mut failures = Vec::new();
    let mut tried = Vec::new();
    let passphrase_tried = materials.iter().any(|m| matches!(m.kind, SecretKind::Passphrase(_)));
    for material in materials {
        match attempt(&material) {
            Ok(opened) => return Ok((opened, material)),
            Err(error) if matches!(error.class, Class::Locked | Class::Refused) => {
                access.reporter.debug(format!("{}: {}", material.label, error.what));
                tried.push(material.label.clone());
                failures.push(error);
                locked.push(material);
            }
            Err(error) => return Err(error),
        }
    }
    if access.prompt.available() && (named || !(access.spare)()) {
        for material in &locked {
            match ask_for_key(scanned, material, access, &attempt) {
                Ok(None) => {}
                Ok(Some(opened)) => return Ok(opened),
                Err(error) if error.class == Class::Locked => {
                    failures.retain(|failure| failure.class == Class::Refused);
                    failures.insert(0, error);
                }
                Err(error) => return Err(error),
            }
        }
    }
    if let Some(at) = failures.iter().position(|error| error.class == Class::Refused) {
        return Err(failures.swap_remove(at));
    }
    if !named && has_slot && access.prompt.available() && !(access.spare)() {
        access.check_cost(&scanned.slots)?;
        return ask(access, attempt);
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
        Some(error) => {
            let not_given = !named && has_slot && !passphrase_tried;
            let and = match tried.as_slice() {
                // Who comes from aws-vault has it set for another purpose.
                [only] if only == "AWS_VAULT_FILE_PASSPHRASE" => "; unset it, if it is aws-vault's",
                _ if not_given => "; its passphrase would open it, too",
                _ => "",
            };
            Err(error.hint(format!("tried {}{and}", tried.join(", "))))
        }
    }
}

/// Asks for the passphrases of the keys in one source that may open the vault; nothing where there are
/// none, or no answer is given. Three tries for each, and an empty line for none, as ssh has it.
fn ask_for_key<T>(
    scanned: &Scanned,
    material: &Material,
    access: &Access,
    attempt: impl Fn(&Material) -> Result<T>,
) -> Result<Option<(T, Material)>> {
    let SecretKind::Identity(text) = &material.kind else { return Ok(None) };
    let identities = sealed::parse_identities(text, &material.label).unwrap_or_default();
    let mut failure = None;
    'keys: for identity in identities.iter().filter(|identity| identity.asks(scanned)) {
        for again in ["", AGAIN, AGAIN] {
            let question = format!("{again}Enter passphrase for {}: ", identity.shown());
            let passphrase = access.prompt.hidden(&question)?;
            if passphrase.is_empty() {
                continue 'keys;
            }
            let kind = if identity.is_file() {
                let Some(text) = identity.decrypt_file(&passphrase, &access.turns)? else {
                    continue;
                };
                SecretKind::Identity(text)
            } else {
                SecretKind::LockedKey(text.duplicate(), passphrase)
            };
            let material = Material { label: material.label.clone(), kind, sops: material.sops };
            match attempt(&material) {
                Ok(opened) => return Ok(Some((opened, material))),
                // What is in the file was tried; of an ssh key, only its passphrase can be wrong.
                Err(error) if error.class == Class::Locked && identity.is_file() => {
                    failure = Some(error);
                    continue 'keys;
                }
                Err(error) if error.class == Class::Locked => {}
                Err(error) => return Err(error),
            }
        }
        failure = Some(Error::locked(format!("the passphrase does not open {}", identity.shown())));
    }
    failure.map_or(Ok(None), Err)
}

/// Three tries, as ssh and sudo give.
fn ask<T>(access: &Access, attempt: impl Fn(&Material) -> Result<T>) -> Result<(T, Material)> {
    let mut tries = 0;
    loop {
        // On the terminal, like the question: an SDK keeps stderr to itself.
        let again = if tries == 0 { "" } else { AGAIN };
        let question = format!("{again}Enter passphrase for {}: ", access.path.display());
        let passphrase = access.prompt.hidden(&question)?;
        let material = Material {
            label: "the prompt".to_owned(),
            kind: SecretKind::Passphrase(passphrase),
            sops: false,
        };
        tries += 1;
        match attempt(&material) {
            Ok(opened) => return Ok((opened, material)),
            Err(error) if error.class == Class::Locked && tries < 3 => {}
            Err(error) => return Err(error),
        }
    }
}

/// What a key opened.
pub(super) struct Content {
    pub plaintext: Zeroizing<Vec<u8>>,
    /// The slot, if it was a passphrase.
    pub slot: Option<Slot>,
}

/// Tries one source. What it leaves on the stack is for the caller to overwrite.
pub(super) fn try_key(scanned: &Scanned, material: &Material, access: &Access) -> Result<Content> {
    let Opened { plaintext, by_slot, .. } = open(scanned, material, access)?;
    Ok(Content { plaintext, slot: by_slot.map(|(slot, _)| slot) })
}

fn open(scanned: &Scanned, material: &Material, access: &Access) -> Result<Opened> {
    access.with_terms(|terms| match &material.kind {
        SecretKind::Identity(text) => sealed::parse_identities(text, &material.label)
            .and_then(|identities| sealed::open(scanned, &identities, &[], terms)),
        SecretKind::LockedKey(text, passphrase) => sealed::parse_identities(text, &material.label)
            .and_then(|identities| {
                sealed::open_by_locked_key(scanned, &identities, passphrase, terms)
            }),
        SecretKind::Passphrase(passphrase) => {
            sealed::open(scanned, &[], std::slice::from_ref::<Secret>(passphrase), terms)
        }
        SecretKind::Slot(secret) => sealed::SlotKey::from_bytes(&secret.slot, &secret.bytes)
            .ok_or_else(|| Error::damaged(format!("{} holds no key", material.label)))
            .and_then(|key| sealed::open_by_slot_key(scanned, &key)),
    })
}

/// Of what was gathered, what `vault unlock` can use: a passphrase. It asks for one where a key lies
/// around that would do without.
///
/// # Errors
/// No passphrase slot (3); a key that was named, which nothing unlocked comes before (2); no
/// passphrase and nobody to ask (4); no keyring (6), before anybody is asked.
pub(super) fn passphrases_only(scanned: &Scanned, mut keys: Keys, access: &Access) -> Result<Keys> {
    let Some(slot) = scanned.slots.first() else {
        return Err(Error::not_found("the vault has no passphrase")
            .hint("only keys open it, and that takes a millisecond each time"));
    };
    unlock::keyring::check(&slot.name())?;
    let key = keys.materials.iter().position(|m| !matches!(m.kind, SecretKind::Passphrase(_)));
    let key = key.map(|at| keys.materials[at].label.clone());
    keys.materials.retain(|material| matches!(material.kind, SecretKind::Passphrase(_)));
    if !keys.materials.is_empty() {
        return Ok(keys);
    }
    match key {
        Some(label) if keys.named => {
            Err(Error::usage(format!("vault unlock wants the passphrase, and {label} is a key"))
                .hint("what is named comes before what is unlocked: leave it out, or unset it"))
        }
        _ if keys.problems.is_empty() && !access.prompt.available() => Err(Error::locked(
            "no passphrase to unlock the vault with",
        )
        .hint(
            "give it by --passphrase-file FILE, AWS_VAULT_PASSPHRASE or AWS_VAULT_PASSPHRASE_FILE, \
             or run this on a terminal",
        )),
        _ => Ok(keys),
    }
}

/// Opens the vault by a passphrase; what that got out of its slot, too. What it leaves on the stack is
/// for the caller to overwrite.
pub(super) fn try_slots(
    scanned: &Scanned,
    material: &Material,
    access: &Access,
) -> Result<(Content, SlotSecret)> {
    let Opened { plaintext, by_slot, .. } = open(scanned, material, access)?;
    let (slot, key) =
        by_slot.ok_or_else(|| Error::locked("the passphrase does not open this vault"))?;
    let bytes = Zeroizing::new(key.as_bytes().to_vec());
    let secret = SlotSecret { slot: slot.name(), bytes };
    Ok((Content { plaintext, slot: Some(slot) }, secret))
}
