//! Opening a vault in two steps: with the keys that the sources give, without a prompt; then with a passphrase
//! that the user enters. A command that can continue without the vault omits the second step.

use super::access::Access;
use super::missing::of_file;
use super::opening::{
    FailedKeys, UnlockResult, Unlocked, entered, passphrases_only, try_key, try_keys,
};
use super::store::Vault;
use super::vault_file::VaultFile;
use crate::error::{Error, Result};
use crate::os;
use crate::secret::Secret;
use crate::unlock::{GatheredKeys, Material, SlotSecret};

/// The result of trying the keys without a prompt.
#[derive(Debug)]
pub enum Opening<'a> {
    /// One of them opened it; with what a passphrase got out of its slot.
    Open(Box<Vault<'a>>, Option<SlotSecret>),
    /// None did; a person can be asked, or the vault left locked.
    Locked(Box<LockedVault<'a>>),
}

/// A vault that no key of the sources opens.
#[derive(Debug)]
pub struct LockedVault<'a> {
    file: VaultFile<'a>,
    keys: FailedKeys,
}

impl<'a> LockedVault<'a> {
    /// True if a person can be asked for a passphrase of the vault's.
    fn has_passphrase(&self) -> bool {
        !self.keys.named
            && !self.file.scanned.slots.is_empty()
            && self.file.access.prompt.available()
    }

    /// True if the user named the keys that do not open it.
    pub fn is_named(&self) -> bool {
        self.keys.named
    }

    /// Why it stays locked without a prompt: class 4 or 6.
    pub fn into_error(self) -> Error {
        self.keys.into_error(&self.file.scanned, &self.file.access)
    }

    /// Opens it by what a person enters, where there is one and that can help.
    pub fn ask(self) -> Result<Vault<'a>> {
        Ok(self.ask_for_slot()?.0)
    }

    fn ask_for_slot(self) -> Result<(Vault<'a>, Option<SlotSecret>)> {
        let Self { file, keys } = self;
        let asked = os::on_wiped_stack(|| keys.ask(&file.scanned, &file.access));
        let (unlocked, key) = asked.map_err(|error| match file.fetched {
            None => of_file(error, &file.access),
            Some(_) => error.or_hint(
                "that is the copy in the store: it may have another passphrase than before, or be another \
                 vault; with AWS_VAULT_SHARED=off the copy on this host is used",
            ),
        })?;
        checked(file, unlocked, key)
    }
}

impl<'a> Vault<'a> {
    /// Reads, unlocks and checks the vault.
    /// Errors: no vault (3), nothing that opens it (4), damaged or too new (5), a loose key file or a wrong
    /// pin (6).
    pub fn open(access: &Access<'a>) -> Result<Self> {
        match Self::open_without_prompt(access)? {
            Opening::Open(vault, _) => Ok(*vault),
            Opening::Locked(locked) => locked.ask(),
        }
    }

    /// The same without a question to a person.
    /// Errors: as [`Vault::open`], but for a vault that none of the keys opens: that is for the caller to
    /// decide.
    pub fn open_without_prompt(access: &Access<'a>) -> Result<Opening<'a>> {
        match VaultFile::fetch(access)? {
            None => {}
            Some(latest) if !latest.real.exists() => {
                let keys = latest.keys()?;
                return try_all(latest, keys);
            }
            // If the store's copy cannot be used, the one on this host is.
            Some(latest) => match latest.keys().and_then(|keys| try_all(latest, keys)) {
                Ok(opened @ Opening::Open(..)) => return Ok(opened),
                Ok(Opening::Locked(locked)) if locked.has_passphrase() => {
                    return Ok(Opening::Locked(locked));
                }
                Ok(Opening::Locked(locked)) => not_taken(access, &locked.into_error()),
                Err(error) => not_taken(access, &error),
            },
        }
        let file = VaultFile::read(access)?;
        let keys = file.keys()?;
        try_all(file, keys)
    }

    /// The same by a passphrase and by nothing else, for `vault unlock`: what it got out of its slot,
    /// too.
    /// Errors: as [`Vault::open`]; no passphrase slot (3); a key that was named (2); no keyring (6).
    pub fn open_by_passphrase(access: &Access<'a>) -> Result<(Self, SlotSecret)> {
        let file = VaultFile::read(access)?;
        let keys = passphrases_only(&file.scanned, file.keys()?, access)?;
        let (vault, secret) = match try_all(file, keys)? {
            Opening::Open(vault, secret) => (*vault, secret),
            Opening::Locked(locked) => locked.ask_for_slot()?,
        };
        let secret = secret.ok_or_else(|| Error::locked("the passphrase does not open this vault"));
        Ok((vault, secret?))
    }

    /// The same by a passphrase that was entered just now.
    pub fn open_with(access: &Access<'a>, passphrase: Secret) -> Result<Self> {
        let (file, key) = (VaultFile::read(access)?, entered(passphrase));
        let unlocked = os::on_wiped_stack(|| try_key(&file.scanned, &key, access));
        let unlocked = unlocked.map_err(|error| of_file(error, access))?;
        Ok(checked(file, unlocked, key)?.0)
    }
}

fn try_all(file: VaultFile<'_>, keys: GatheredKeys) -> Result<Opening<'_>> {
    let tried = os::on_wiped_stack(|| try_keys(&file.scanned, keys, &file.access));
    match tried.map_err(|error| of_file(error, &file.access))? {
        UnlockResult::Unlocked(unlocked, key) => {
            let (vault, secret) = checked(file, unlocked, key)?;
            Ok(Opening::Open(Box::new(vault), secret))
        }
        UnlockResult::Locked(keys) => Ok(Opening::Locked(Box::new(LockedVault { file, keys }))),
    }
}

fn not_taken(access: &Access, Error { what, hint, .. }: &Error) {
    let hint = hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
    access.reporter.warn(format!("the copy on this host is used: {what}{hint}"));
}

/// Checks that this is the expected vault and its latest version.
fn checked<'a>(
    file: VaultFile<'a>,
    unlocked: Unlocked,
    key: Material,
) -> Result<(Vault<'a>, Option<SlotSecret>)> {
    let Unlocked { payload, slot } = unlocked;
    let mut file = file;
    let fetched = file.fetched.take();
    file.access.reporter.debug(format!("{} opened by {}", file.real.display(), key.label));
    let (before, slots) = (file.before.clone(), file.scanned.slots.clone());
    let mut vault = Vault::new(file, payload, key);
    vault.warn_of_modes();
    vault.check_pin(before)?;
    if let Some((shared, version)) = fetched {
        vault.keep_fetched(&shared, &version)?;
    }
    let Some((slot, secret)) = slot else { return Ok((vault, None)) };
    vault.access.remember_opened(&slot, &slots);
    Ok((vault, Some(secret)))
}
