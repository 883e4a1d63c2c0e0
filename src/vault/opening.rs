//! From the file to its content: reading it, trying the keys that were gathered, and asking for
//! passphrases.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::access::{Access, SharedStore};
use super::memory::{Memory, Recalled};
use super::payload::Payload;
use crate::error::{Class, Error, Reason, Result, os_text};
use crate::file::{self, Meta, ReadError};
use crate::os;
use crate::process::shell_word;
use crate::sealed::{self, Opened, Scanned, Slot};
use crate::secret::Secret;
use crate::store::ETag;
use crate::unlock::{self, Keys, Material, SecretKind, SlotSecret};

/// Precedes the question after a wrong answer.
const AGAIN: &str = "Wrong passphrase, try again. ";

/// A vault's file as it was read, before any key is tried.
#[derive(Debug)]
pub(super) struct VaultFile<'a> {
    pub access: Access<'a>,
    /// Symlinks resolved.
    pub real: PathBuf,
    /// What remembers it.
    pub memory: Option<Memory>,
    /// What this machine remembered of it before it was read.
    pub known: Result<Recalled>,
    pub bytes: Zeroizing<Vec<u8>>,
    pub meta: Meta,
    pub scanned: Scanned,
    /// The store that it comes from, and its version there, if it is not on this host yet.
    pub fetched: Option<(SharedStore, ETag)>,
}

impl<'a> VaultFile<'a> {
    /// Reads the file, and what is remembered of it.
    /// Errors: no vault (3), damaged (5), refused (6).
    pub fn read(access: &Access<'a>) -> Result<Self> {
        let real = file::resolve(&access.path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => missing(access),
            _ => no_vault(&access.path, &error),
        })?;
        // Before the file: a writer remembers after its rename, so a file that is read afterwards is as
        // new as what is remembered here, or it was put back.
        let memory = access.memory(&real);
        let known = memory.as_ref().map_or_else(|| Ok(Recalled::default()), Memory::recall);
        let (bytes, meta) = read(&real, &access.path).map_err(|error| match error.class {
            Class::NotFound => missing(access),
            _ => error,
        })?;
        let scanned = sealed::scan(&bytes).map_err(|error| of_file(error, access))?;
        let access = access.clone();
        Ok(Self { access, real, memory, known, bytes, meta, scanned, fetched: None })
    }

    /// The keys that the sources give.
    pub fn keys(&self) -> Result<Keys> {
        let Access { named, env, reporter, .. } = self.access;
        let identity_file = self.access.identity_file.as_deref();
        unlock::gather(named, env, identity_file, &self.scanned.slot_names(), reporter)
    }
}

pub(super) fn read(real: &Path, named: &Path) -> Result<(Zeroizing<Vec<u8>>, Meta)> {
    let shown = named.display();
    file::read_regular(real, sealed::FILE_LIMIT).map_err(|error| match error {
        ReadError::NotFound => no_vault(named, &std::io::ErrorKind::NotFound.into()),
        ReadError::NotRegular => {
            Error::refused(format!("{shown} is not a regular file, so not a vault"))
        }
        ReadError::TooLarge => Error::refused(format!("{shown} is over 2 MiB, so not a vault")),
        ReadError::Io(error) => no_vault(named, &error),
    })
}

/// What cannot be read as a vault is named, with what to do.
pub(super) fn of_file(error: Error, access: &Access) -> Error {
    if error.class != Class::Damaged || error.hint.is_some() {
        return error;
    }
    let path = access.path.display();
    error
        .hint(format!("that is {path}: put a backup in its place, or name another file by --vault"))
}

/// The error for a missing vault, with the command that makes one.
fn missing(access: &Access) -> Error {
    let error = no_vault(&access.path, &std::io::ErrorKind::NotFound.into());
    if access.remote.is_some() {
        return error;
    }
    let named = access.by_flag.then_some(access.path.as_path());
    error.hint(how_to_make(named, access.identity_file.as_deref()))
}

/// A hint with the command that makes a vault. `named`: the path of `--vault`. `identity_file`: the default one,
/// which the command makes if it is missing, and whose key opens the vault if there is one.
pub fn how_to_make(named: Option<&Path>, identity_file: Option<&Path>) -> String {
    let mut command = "vault init".to_owned();
    if let Some(path) = named {
        command += &format!(" --vault {}", shell_word(&path.to_string_lossy()));
    }
    let is_missing = |path: &&Path| path.symlink_metadata().is_err();
    let recipient = identity_file.and_then(recipient_in);
    match (identity_file.filter(is_missing), recipient) {
        (Some(path), _) => {
            let path = shell_word(&path.to_string_lossy());
            command += &format!(" --generate-identity {path}");
        }
        (None, Some(recipient)) => command += &format!(" -r {}", shell_word(&recipient)),
        (None, None) => command += " --passphrase",
    }
    format!("make one: {command}; or name it by --vault or AWS_VAULT_FILE")
}

/// The recipient of the first key in an identity file.
fn recipient_in(path: &Path) -> Option<String> {
    let (bytes, _) = file::read_regular(path, unlock::KEY_LIMIT).ok()?;
    let identities = sealed::parse_identities(&Secret::from_text(&bytes)?, "").ok()?;
    identities.first()?.recipient().map(|recipient| recipient.to_string())
}

/// Whose the nearest thing on the way to a path is that can be looked at.
fn owner(path: &Path) -> Option<String> {
    let (ancestor, about) = path.ancestors().find_map(|at| Some((at, at.metadata().ok()?)))?;
    let (uid, mode, own) = (about.uid(), about.mode() & 0o7777, os::effective_uid());
    Some(format!("{} belongs to uid {uid}, mode {mode:04o}; this is uid {own}", ancestor.display()))
}

/// Only ENOENT means that there is no vault; EIO or EACCES taken for it would get one overwritten.
pub(super) fn no_vault(path: &Path, error: &std::io::Error) -> Error {
    let shown = path.display();
    if error.kind() == std::io::ErrorKind::NotFound {
        Error::not_found(format!("no vault at {shown}"))
            .hint("make one with vault init, or name it by --vault or AWS_VAULT_FILE")
    } else {
        let is_loop = error.raw_os_error() == Some(libc::ELOOP);
        let class = if is_loop { Class::Refused } else { Class::Other };
        let what = format!("cannot read the vault {shown}: {}", os_text(error));
        let denied = error.kind() == std::io::ErrorKind::PermissionDenied;
        Error { hint: denied.then(|| owner(path)).flatten(), ..Error::new(class, what) }
    }
}

/// The vault's content, and the slot that opened it.
pub(super) struct Unlocked {
    pub payload: Payload,
    /// The slot, if it was a passphrase, and what that got out of it.
    pub slot: Option<(Slot, SlotSecret)>,
}

/// The result of trying all keys.
pub(super) enum UnlockResult {
    /// This key opened the vault.
    Unlocked(Unlocked, Material),
    /// None did.
    Locked(FailedKeys),
}

/// Keys that did not open the vault. The user may know a passphrase.
#[derive(Debug)]
pub(super) struct FailedKeys {
    /// True if the user named them.
    pub named: bool,
    tried: Vec<Material>,
    /// Why each did not open it.
    failures: Vec<Error>,
    /// Sources that were not named and could not be used.
    problems: Vec<Error>,
}

/// Tries the keys without a prompt. The caller overwrites the stack.
/// Errors: what is wrong with the vault, and not with a key: damaged (5).
pub(super) fn try_keys(scanned: &Scanned, keys: Keys, access: &Access) -> Result<UnlockResult> {
    let Keys { materials, named, problems } = keys;
    let mut rest = FailedKeys { named, tried: Vec::new(), failures: Vec::new(), problems };
    for material in materials {
        match try_key(scanned, &material, access) {
            Ok(unlocked) => return Ok(UnlockResult::Unlocked(unlocked, material)),
            Err(error) if matches!(error.class, Class::Locked | Class::Refused) => {
                access.reporter.debug(format!("{}: {}", material.label, error.what));
                rest.failures.push(error);
                rest.tried.push(material);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(UnlockResult::Locked(rest))
}

impl FailedKeys {
    /// Asks for the passphrases of keys that have one, and for the vault's, if that can be done and makes
    /// sense: what opened it. What that leaves on the stack is for the caller to overwrite.
    /// Errors: as [`FailedKeys::into_error`]; refused (6) for a passphrase that costs more than is accepted.
    pub fn ask(mut self, scanned: &Scanned, access: &Access) -> Result<(Unlocked, Material)> {
        let terminal = access.prompt.available();
        for material in self.tried.iter().filter(|_| terminal) {
            match ask_for_key(scanned, material, access) {
                Ok(None) => {}
                Ok(Some(opened)) => return Ok(opened),
                Err(error) if error.class == Class::Locked => {
                    self.failures.retain(|failure| failure.class == Class::Refused);
                    self.failures.insert(0, error);
                }
                Err(error) => return Err(error),
            }
        }
        let refused = self.failures.iter().any(|error| error.class == Class::Refused);
        if refused || self.named || scanned.slots.is_empty() || !terminal {
            return Err(self.into_error(scanned, access));
        }
        access.check_cost(&scanned.slots)?;
        ask(scanned, access)
    }

    /// Why the vault stays locked.
    ///
    /// Locked (4), with what was tried; refused (6) for a passphrase that costs more than is accepted.
    pub fn into_error(mut self, scanned: &Scanned, access: &Access) -> Error {
        if let Some(at) = self.failures.iter().position(|error| error.class == Class::Refused) {
            return self.failures.swap_remove(at);
        }
        let has_slot = !scanned.slots.is_empty();
        // A file that could not even be used is the likelier reason than a key that did not fit.
        match self.problems.into_iter().chain(self.failures).next() {
            None => unlock::nothing_to_open_with(access.env, has_slot),
            Some(error) if error.hint.is_some() || self.tried.is_empty() => error,
            Some(error) if error.reason == Some(Reason::BadSource) => error,
            Some(error) => {
                let is_passphrase = |key: &Material| matches!(key.kind, SecretKind::Passphrase(_));
                let not_given = !self.named && has_slot && !self.tried.iter().any(is_passphrase);
                let tried: Vec<_> = self.tried.iter().map(|key| key.label.as_str()).collect();
                let and = match tried.as_slice() {
                    // aws-vault uses the same variable for another purpose.
                    ["AWS_VAULT_FILE_PASSPHRASE"] => "; unset it, if it is aws-vault's",
                    _ if not_given => "; its passphrase would open it, too",
                    _ => "",
                };
                error.hint(format!("tried {}{and}", tried.join(", ")))
            }
        }
    }
}

/// Asks for the passphrases of the keys in one source that may open the vault; nothing where there are
/// none, or no answer is given. Three tries for each, and an empty line for none, as in ssh.
fn ask_for_key(
    scanned: &Scanned,
    material: &Material,
    access: &Access,
) -> Result<Option<(Unlocked, Material)>> {
    let SecretKind::Identity(text) = &material.kind else { return Ok(None) };
    let identities = sealed::parse_identities(text, &material.label).unwrap_or_default();
    let mut failure = None;
    'keys: for identity in identities.iter().filter(|identity| identity.needs_passphrase(scanned)) {
        for again in ["", AGAIN, AGAIN] {
            let question = format!("{again}Enter passphrase for {}: ", identity.description());
            let passphrase = access.prompt.hidden(&question)?;
            if passphrase.is_empty() {
                continue 'keys;
            }
            let kind = if identity.is_file() {
                let Some(text) = identity.decrypt_file(&passphrase, &access.derivation_queue)?
                else {
                    continue;
                };
                SecretKind::Identity(text)
            } else {
                SecretKind::LockedKey(text.duplicate(), passphrase)
            };
            let material = Material { label: material.label.clone(), kind, sops: material.sops };
            match try_key(scanned, &material, access) {
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
        failure =
            Some(Error::locked(format!("the passphrase does not open {}", identity.description())));
    }
    failure.map_or(Ok(None), Err)
}

/// Asks for the vault's passphrase. Three tries, as ssh and sudo give.
fn ask(scanned: &Scanned, access: &Access) -> Result<(Unlocked, Material)> {
    let mut tries = 0;
    loop {
        // On the terminal, like the question: an SDK keeps stderr to itself.
        let again = if tries == 0 { "" } else { AGAIN };
        let question = format!("{again}Enter passphrase for {}: ", access.shown());
        let material = entered(access.prompt.hidden(&question)?);
        tries += 1;
        match try_key(scanned, &material, access) {
            Ok(opened) => return Ok((opened, material)),
            Err(error) if error.class == Class::Locked && tries < 3 => {}
            Err(error) => return Err(error),
        }
    }
}

/// A passphrase that a person has entered.
pub(super) fn entered(passphrase: Secret) -> Material {
    let label = "the prompt".to_owned();
    Material { label, kind: SecretKind::Passphrase(passphrase), sops: false }
}

/// Tries one source. What it leaves on the stack is for the caller to overwrite.
pub(super) fn try_key(scanned: &Scanned, material: &Material, access: &Access) -> Result<Unlocked> {
    let opened = access.with_policy(|policy| match &material.kind {
        SecretKind::Identity(text) => sealed::parse_identities(text, &material.label)
            .and_then(|identities| sealed::open(scanned, &identities, &[], policy)),
        SecretKind::LockedKey(text, passphrase) => sealed::parse_identities(text, &material.label)
            .and_then(|identities| {
                sealed::open_by_locked_key(scanned, &identities, passphrase, policy)
            }),
        SecretKind::Passphrase(passphrase) => {
            sealed::open(scanned, &[], std::slice::from_ref::<Secret>(passphrase), policy)
        }
        SecretKind::Slot(secret) => sealed::SlotKey::from_bytes(&secret.slot, &secret.bytes)
            .ok_or_else(|| Error::damaged(format!("{} holds no key", material.label)))
            .and_then(|key| sealed::open_by_slot_key(scanned, &key)),
    });
    let Opened { plaintext, by_slot, .. } = opened?;
    let slot = by_slot.map(|(slot, key)| {
        let bytes = Zeroizing::new(key.as_bytes().to_vec());
        let secret = SlotSecret { slot: slot.name(), bytes };
        (slot, secret)
    });
    Ok(Unlocked { payload: Payload::parse(&plaintext)?, slot })
}

/// The passphrases among the keys, for `vault unlock`. It asks for one also if a default key would open the
/// vault without it.
///
/// Errors: no passphrase slot (3); a key that was named, which nothing unlocked comes before (2); no
/// passphrase and no prompt (4); no keyring (6), before the prompt.
pub(super) fn passphrases_only(scanned: &Scanned, mut keys: Keys, access: &Access) -> Result<Keys> {
    let Some(slot) = scanned.slots.first() else {
        return Err(Error::not_found("the vault has no passphrase")
            .hint("only keys open it, and that takes a millisecond each time"));
    };
    unlock::keyring::check(&slot.name())?;
    let is_passphrase = |key: &Material| matches!(key.kind, SecretKind::Passphrase(_));
    let key = keys.materials.iter().find(|key| !is_passphrase(key)).map(|key| key.label.clone());
    keys.materials.retain(is_passphrase);
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
