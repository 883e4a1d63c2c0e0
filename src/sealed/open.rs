//! Opening: identities are tried on stanzas and passphrases on slots, with one error if nothing opens.

use std::cell::RefCell;

use age::{DecryptError, Identity as _};
use age_core::format::{FileKey as AgeKey, Stanza};
use zeroize::Zeroizing;

use super::decrypt::decrypt;
use super::grammar::Scanned;
use super::identities::{Identity, Key};
use super::passphrase_policy::PassphrasePolicy;
use super::slot::{Slot, SlotKey};
use super::unsupported::Unsupported;
use super::{plugin, ssh};
use crate::error::{Error, Reason, Result};
use crate::secret::Secret;

/// An opened vault.
pub struct Opened {
    pub plaintext: Zeroizing<Vec<u8>>,
    /// The slot that a passphrase opened, and its key.
    pub by_slot: Option<(Slot, SlotKey)>,
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Opened(…)")
    }
}

/// Opens the file: the identities are tried on all stanzas, then the passphrases on the slots under this
/// policy, then the plugins, which may need a touch. The first that fits opens the file; a failure of one
/// does not stop the others.
/// Errors: class 4 if nothing opens the file; class 5 if the header is not authentic, if a slot opens and
/// no X25519 stanza does, or if the content is damaged or cut short; class 6 if a passphrase was not tried
/// because of its cost; class 8 if the wait in the queue timed out; class 1 if there is not enough memory.
pub fn open(
    scanned: &Scanned,
    identities: &[Identity],
    passphrases: &[Secret],
    policy: PassphrasePolicy,
) -> Result<Opened> {
    let none = AllIdentities::of(scanned);
    open_by(scanned, &AllIdentities { identities, passphrases, policy, ..none })
}

/// Opens the file by a passphrase-protected ssh key, with the key's passphrase.
/// Errors: class 4 if it is not the passphrase of any ssh key that may open the file; class 8 if the wait
/// in the queue timed out; otherwise as [`open`].
pub fn open_by_locked_key(
    scanned: &Scanned,
    identities: &[Identity],
    passphrase: &Secret,
    policy: PassphrasePolicy,
) -> Result<Opened> {
    let turn = policy.queue.wait()?;
    let locked = identities.iter().filter(|identity| identity.needs_passphrase(scanned));
    let unlocked: Vec<_> = locked.filter_map(|identity| identity.unlock(passphrase)).collect();
    drop(turn);
    if unlocked.is_empty() {
        return Err(Error::locked("the passphrase does not unlock the ssh key"));
    }
    open(scanned, &unlocked, &[], policy)
}

/// Opens the file by the key of one of its slots, which a passphrase opened before.
/// Errors: class 4 if the file no longer has that slot; otherwise as [`open`].
pub fn open_by_slot_key(scanned: &Scanned, key: &SlotKey) -> Result<Opened> {
    if scanned.slots.iter().all(|slot| slot.name() != key.slot()) {
        return Err(Error::locked("the vault's passphrase was changed after it was unlocked"));
    }
    open_by(scanned, &AllIdentities { slot_key: Some(key), ..AllIdentities::of(scanned) })
}

fn open_by(scanned: &Scanned, all: &AllIdentities) -> Result<Opened> {
    let AllIdentities { identities, passphrases, .. } = all;
    match decrypt(&scanned.body, all) {
        Ok(plaintext) => Ok(Opened { plaintext, by_slot: all.reasons.take().opened }),
        Err(DecryptError::NoMatchingKeys) => {
            Err(all.reasons.take().into_error(identities, passphrases, &scanned.slots))
        }
        Err(DecryptError::InvalidMac) => {
            Err(Error::damaged("the vault's header is damaged: it is not authentic"))
        }
        Err(DecryptError::Io(_)) => {
            Err(Error::damaged("the vault's content is damaged or cut short"))
        }
        Err(_) => Err(Error::damaged("the vault's header is damaged")),
    }
}

/// All keys as one identity, since age stops at the first identity that fails and keeps the file key.
struct AllIdentities<'a> {
    slot_key: Option<&'a SlotKey>,
    identities: &'a [Identity],
    passphrases: &'a [Secret],
    scanned: &'a Scanned,
    policy: PassphrasePolicy<'a>,
    reasons: RefCell<Reasons>,
}

impl<'a> AllIdentities<'a> {
    /// Without keys.
    fn of(scanned: &'a Scanned) -> Self {
        Self {
            slot_key: None,
            identities: &[],
            passphrases: &[],
            scanned,
            policy: PassphrasePolicy::default_limits(),
            reasons: RefCell::default(),
        }
    }
}

impl age::Identity for AllIdentities<'_> {
    /// Not called by age, which passes all stanzas at once.
    fn unwrap_stanza(&self, stanza: &Stanza) -> Unwrapped {
        let stanza = Stanza {
            tag: stanza.tag.clone(),
            args: stanza.args.clone(),
            body: stanza.body.clone(),
        };
        self.unwrap_stanzas(&[stanza])
    }

    fn unwrap_stanzas(&self, stanzas: &[Stanza]) -> Unwrapped {
        let mut reasons = self.reasons.borrow_mut();
        reasons
            .try_identities(self.identities, self.scanned, stanzas)
            .or_else(|| self.slot_key.and_then(|key| reasons.try_slot_key(key, stanzas)))
            .or_else(|| {
                reasons.try_passphrases(self.passphrases, &self.scanned.slots, self.policy, stanzas)
            })
            .or_else(|| reasons.try_plugins(self.identities, stanzas))
    }
}

/// The result of one kind of key: none fits, the file key, or an invalid header.
type Unwrapped = Option<std::result::Result<AgeKey, DecryptError>>;

/// Why keys did not open the file, kept until all have been tried.
#[derive(Default)]
struct Reasons {
    /// The slot that opened the file, and its key.
    opened: Option<(Slot, SlotKey)>,
    /// True if a slot opened and no X25519 stanza was for its key.
    orphan: bool,
    /// Why a passphrase was not tried: no memory, a timeout in the queue, or the cost.
    failure: Option<Error>,
    /// The sources of ssh keys whose stanza is present and does not open.
    mismatched: Vec<String>,
    /// Passphrase-protected keys that may open the vault; true for an identity file.
    encrypted: Vec<(String, bool)>,
    /// Unsupported keys, with their sources.
    unsupported: Vec<(Unsupported, String)>,
    plugins: Vec<String>,
}

impl Reasons {
    fn try_identities(
        &mut self,
        identities: &[Identity],
        scanned: &Scanned,
        stanzas: &[Stanza],
    ) -> Unwrapped {
        for identity in identities {
            let label = || identity.label().to_owned();
            let unwrapped = match &identity.key {
                Key::X25519(key) => key.unwrap_stanzas(stanzas),
                Key::Ssh(key) => key.unwrap_stanzas(stanzas),
                Key::SshEncrypted(_) | Key::File(_) => {
                    if identity.needs_passphrase(scanned) {
                        self.encrypted.push((identity.description(), identity.is_file()));
                    }
                    None
                }
                Key::Unsupported(why) => {
                    self.unsupported.push((*why, label()));
                    None
                }
                Key::Plugin(_) => None,
            };
            match unwrapped {
                // A malformed stanza is damage, whichever key was tried on it.
                Some(Ok(_) | Err(DecryptError::InvalidHeader)) => return unwrapped,
                // The stanza has the tag of the key, and the key does not open it.
                Some(Err(_)) => self.mismatched.push(label()),
                None => {}
            }
        }
        None
    }

    fn try_passphrases(
        &mut self,
        passphrases: &[Secret],
        slots: &[Slot],
        policy: PassphrasePolicy,
        stanzas: &[Stanza],
    ) -> Unwrapped {
        if passphrases.is_empty() || slots.is_empty() {
            return None;
        }
        let (slots, refusal) = policy.select(slots);
        self.failure = refusal;
        if slots.is_empty() {
            return None;
        }
        let _turn = match policy.queue.wait() {
            Ok(turn) => turn,
            Err(error) => {
                self.failure = Some(error);
                return None;
            }
        };
        for passphrase in passphrases {
            for slot in &slots {
                match slot.open(passphrase) {
                    Ok(Some(key)) => {
                        let unwrapped = self.try_slot_key(&key, stanzas);
                        if unwrapped.is_some() {
                            self.opened = Some(((*slot).clone(), key));
                            return unwrapped;
                        }
                    }
                    Ok(None) => {}
                    Err(error) => self.failure = Some(error),
                }
            }
        }
        None
    }

    fn try_slot_key(&mut self, key: &SlotKey, stanzas: &[Stanza]) -> Unwrapped {
        match key.identity().map(|key| key.unwrap_stanzas(stanzas)) {
            Ok(Some(unwrapped)) => return Some(unwrapped),
            Ok(None) => self.orphan = true,
            Err(error) => self.failure = Some(error),
        }
        None
    }

    fn try_plugins(&mut self, identities: &[Identity], stanzas: &[Stanza]) -> Unwrapped {
        let plugins = identities.iter().filter_map(|identity| match &identity.key {
            Key::Plugin(plugin) => Some(plugin),
            _ => None,
        });
        match plugin::unwrap(plugins, stanzas) {
            Ok(key) => Some(Ok(key)),
            Err(reasons) => {
                self.plugins = reasons;
                None
            }
        }
    }

    /// The error for a vault that nothing opened, with the most specific reason.
    fn into_error(self, identities: &[Identity], passphrases: &[Secret], slots: &[Slot]) -> Error {
        if self.orphan {
            return Error::damaged(
                "the passphrase opens its slot, but the vault's header has no stanza for it",
            );
        }
        if let Some(failure) = self.failure {
            return failure;
        }
        if let Some(label) = self.mismatched.first() {
            return Error::damaged(format!(
                "the vault's stanza for the ssh key in {label} is damaged"
            ));
        }
        let tried = match (identities, passphrases) {
            ([], []) => return Error::locked("no key or passphrase was given for this vault"),
            ([], _) if slots.is_empty() => {
                return Error::locked("this vault has no passphrase; only keys open it");
            }
            ([], _) => "the passphrase does not open this vault",
            (_, []) => "no key opens this vault",
            _ => "neither a key nor the passphrase opens this vault",
        };
        if let Some((shown, is_file)) = self.encrypted.first() {
            let how = match is_file {
                true => "age -d decrypts a copy",
                false => "ssh-keygen -p removes it from a copy",
            };
            return Error::locked(format!("{tried}: {shown} has a passphrase of its own"))
                .because(Reason::KeyPassphrase)
                .hint(format!(
                    "a terminal prompts for it; elsewhere use a key without a passphrase ({how})"
                ));
        }
        if !self.plugins.is_empty() {
            return Error::locked(format!("{tried}: {}", self.plugins.join("; ")));
        }
        if let Some((why, label)) = self.unsupported.first() {
            return unsupported(tried, *why, label);
        }
        Error::locked(tried)
    }
}

fn unsupported(tried: &str, why: Unsupported, label: &str) -> Error {
    let error = |what: &str| Error::locked(format!("{tried}: {what}"));
    match why {
        Unsupported::PostQuantum => {
            error(&format!("the identity in {label} is post-quantum, which is not supported yet"))
        }
        Unsupported::SshKind => {
            error(&format!("{}, and the one in {label} is neither", ssh::UNSUPPORTED_TYPE))
        }
        Unsupported::Size => error(&format!(
            "age supports ssh-rsa keys of 2048 to 4096 bits, and the one in {label} has another size"
        )),
        Unsupported::Cipher => error(&format!(
            "the ssh key in {label} is encrypted with a cipher that age does not support"
        ))
        .hint("ssh-keygen -p -Z aes256-ctr -f FILE changes the cipher"),
        Unsupported::Rounds => {
            error(&format!("the ssh key in {label} has too many bcrypt rounds for its passphrase"))
                .hint("ssh-keygen -p -a 100 -f FILE sets fewer")
        }
        Unsupported::Format => error(&format!(
            "the private key in {label} is not in OpenSSH's format, which age requires"
        ))
        .hint("ssh-keygen -p -f FILE converts it; for PuTTY's, puttygen -O private-openssh-new"),
    }
}
