//! Opening: keys against stanzas, passphrases against slots, and what to say if nothing fits.

use std::cell::RefCell;

use age::{DecryptError, Identity as _};
use age_core::format::{FileKey as AgeKey, Stanza};
use zeroize::Zeroizing;

use super::decrypt::decrypt;
use super::grammar::Scanned;
use super::identities::{Identity, Key};
use super::slot::{Slot, SlotKey};
use super::terms::Terms;
use super::unsupported::Unsupported;
use super::{FileKey, copy_key, plugin};
use crate::error::{Error, Reason, Result};
use crate::secret::Secret;

/// An opened vault.
pub struct Opened {
    /// The content, wiped when dropped.
    pub plaintext: Zeroizing<Vec<u8>>,
    /// The key that opened the content.
    pub file_key: FileKey,
    /// The slot that a passphrase opened, and what was in it.
    pub by_slot: Option<(Slot, SlotKey)>,
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Opened(…)")
    }
}

/// Opens the file: the identities are tried against all stanzas, then the passphrases against the
/// slots, under these terms, then the plugins, which may want a touch. The first that fits opens, and
/// one that fails stops no other.
///
/// Errors: class 4 if nothing opens; class 5 if the header is not authentic, a slot opens while no
/// X25519 stanza does, or the content is damaged or cut; class 6 if a passphrase was not tried because
/// that costs too much; class 8 if its turn did not come; class 1 if there is no memory to try it.
pub fn open(
    scanned: &Scanned,
    identities: &[Identity],
    passphrases: &[Secret],
    terms: Terms,
) -> Result<Opened> {
    open_by(scanned, &Ring { identities, passphrases, terms, ..Ring::of(scanned) })
}

/// Opens the file by an ssh key under this passphrase of its own.
///
/// Errors: class 4 if it is the passphrase of none of them that may open the file; class 8 if its turn
/// did not come; else as [`open`].
pub fn open_by_locked_key(
    scanned: &Scanned,
    identities: &[Identity],
    passphrase: &Secret,
    terms: Terms,
) -> Result<Opened> {
    let turn = terms.turns.wait()?;
    let asking = identities.iter().filter(|identity| identity.asks(scanned));
    let unlocked: Vec<_> = asking.filter_map(|identity| identity.unlock(passphrase)).collect();
    drop(turn);
    if unlocked.is_empty() {
        return Err(Error::locked("the passphrase is not that of the ssh key"));
    }
    open(scanned, &unlocked, &[], terms)
}

/// Opens the file by what a passphrase got out of one of its slots before.
///
/// Errors: class 4 if the file has no such slot any more; else as [`open`].
pub fn open_by_slot_key(scanned: &Scanned, key: &SlotKey) -> Result<Opened> {
    if scanned.slots.iter().all(|slot| slot.name() != key.slot()) {
        return Err(Error::locked("the vault's passphrase is another one than was unlocked"));
    }
    open_by(scanned, &Ring { slot_key: Some(key), ..Ring::of(scanned) })
}

fn open_by(scanned: &Scanned, ring: &Ring) -> Result<Opened> {
    let Ring { identities, passphrases, .. } = ring;
    match (decrypt(&scanned.body, ring), ring.found.take()) {
        (Ok(plaintext), Some(key)) => {
            let by_slot = ring.reasons.take().opened;
            Ok(Opened { plaintext, file_key: FileKey(key), by_slot })
        }
        (Err(DecryptError::NoMatchingKeys), _) => {
            Err(ring.reasons.take().into_error(identities, passphrases, &scanned.slots))
        }
        (Err(DecryptError::InvalidMac), _) => {
            Err(Error::damaged("the vault's header is damaged: it is not authentic"))
        }
        (Err(DecryptError::Io(_)), _) => {
            Err(Error::damaged("the vault's content is damaged or cut short"))
        }
        _ => Err(Error::damaged("the vault's header is damaged")),
    }
}

/// All keys as one identity: age stops at the first identity that errs, and keeps the file key.
struct Ring<'a> {
    slot_key: Option<&'a SlotKey>,
    identities: &'a [Identity],
    passphrases: &'a [Secret],
    scanned: &'a Scanned,
    terms: Terms<'a>,
    found: RefCell<Option<AgeKey>>,
    reasons: RefCell<Reasons>,
}

impl<'a> Ring<'a> {
    /// With no key on it.
    fn of(scanned: &'a Scanned) -> Self {
        Self {
            slot_key: None,
            identities: &[],
            passphrases: &[],
            scanned,
            terms: Terms::unasked(),
            found: RefCell::default(),
            reasons: RefCell::default(),
        }
    }
}

impl age::Identity for Ring<'_> {
    /// Never called by age, which asks about all stanzas at once.
    fn unwrap_stanza(&self, stanza: &Stanza) -> Option<std::result::Result<AgeKey, DecryptError>> {
        let stanza = Stanza {
            tag: stanza.tag.clone(),
            args: stanza.args.clone(),
            body: stanza.body.clone(),
        };
        self.unwrap_stanzas(&[stanza])
    }

    fn unwrap_stanzas(
        &self,
        stanzas: &[Stanza],
    ) -> Option<std::result::Result<AgeKey, DecryptError>> {
        let mut reasons = self.reasons.borrow_mut();
        let unwrapped = reasons
            .try_identities(self.identities, self.scanned, stanzas)
            .or_else(|| self.slot_key.and_then(|key| reasons.try_slot_key(key, stanzas)))
            .or_else(|| {
                reasons.try_passphrases(self.passphrases, &self.scanned.slots, self.terms, stanzas)
            })
            .or_else(|| reasons.try_plugins(self.identities, stanzas));
        if let Some(Ok(key)) = &unwrapped {
            self.found.replace(Some(copy_key(key)));
        }
        unwrapped
    }
}

/// What one way of unwrapping came to: nothing, a key, or a header that no key may open.
type Unwrapped = Option<std::result::Result<AgeKey, DecryptError>>;

/// Why keys did not open, kept until it is sure that no other one does.
#[derive(Default)]
struct Reasons {
    /// The slot that opened, and an X25519 stanza by what was in it.
    opened: Option<(Slot, SlotKey)>,
    /// A slot opened, and no X25519 stanza was for its key.
    orphan: bool,
    /// A passphrase could not be tried: no memory, no turn, or it costs too much.
    failure: Option<Error>,
    /// The sources of ssh keys whose stanza is there and does not open.
    mismatched: Vec<String>,
    /// What has a passphrase of its own and may open the vault; true for an identity file.
    encrypted: Vec<(String, bool)>,
    /// Keys that are not supported, and their sources.
    unsupported: Vec<(Unsupported, String)>,
    /// What plugins had to say.
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
                    if identity.asks(scanned) {
                        self.encrypted.push((identity.shown(), identity.is_file()));
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
                // A malformed stanza is the file's fault, whichever key came upon it.
                Some(Ok(_) | Err(DecryptError::InvalidHeader)) => return unwrapped,
                // The key's tag is on the stanza, and the stanza is not for the key.
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
        terms: Terms,
        stanzas: &[Stanza],
    ) -> Unwrapped {
        if passphrases.is_empty() || slots.is_empty() {
            return None;
        }
        let (slots, refusal) = terms.select(slots);
        self.failure = refusal;
        if slots.is_empty() {
            return None;
        }
        let _turn = match terms.turns.wait() {
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
        let plugins: Vec<_> = identities
            .iter()
            .filter_map(|identity| match &identity.key {
                Key::Plugin(plugin) => Some(plugin),
                _ => None,
            })
            .collect();
        match plugin::unwrap(&plugins, stanzas) {
            Ok(key) => Some(Ok(key)),
            Err(reasons) => {
                self.plugins = reasons;
                None
            }
        }
    }

    /// The one error for a vault that nothing opened, with the most telling reason.
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
            ([], []) => return Error::locked("no key and no passphrase was given for this vault"),
            ([], _) if slots.is_empty() => {
                return Error::locked("this vault has no passphrase, only keys open it");
            }
            ([], _) => "the passphrase does not open this vault",
            (_, []) => "no key opens this vault",
            _ => "neither a key nor the passphrase opens this vault",
        };
        if let Some((shown, is_file)) = self.encrypted.first() {
            let how = match is_file {
                true => "age -d takes it off a copy",
                false => "ssh-keygen -p takes it off a copy",
            };
            return Error::locked(format!("{tried}: {shown} has a passphrase of its own"))
                .because(Reason::KeyPassphrase)
                .hint(format!(
                    "on a terminal it is asked for; elsewhere use a key without one ({how})"
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
        Unsupported::PostQuantum => error(&format!(
            "the identity in {label} is post-quantum, which is not supported yet"
        )),
        Unsupported::SshKind => error(&format!(
            "of ssh keys, age knows only ssh-ed25519 and ssh-rsa, and the one in {label} is neither"
        )),
        Unsupported::Size => error(&format!(
            "age takes ssh-rsa keys of 2048 to 4096 bits, and the one in {label} has another size"
        )),
        Unsupported::Cipher => error(&format!(
            "the ssh key in {label} is encrypted by a cipher that age does not know"
        ))
        .hint("ssh-keygen -p -Z aes256-ctr -f FILE encrypts it by another"),
        Unsupported::Rounds => error(&format!(
            "the ssh key in {label} wants too many rounds of bcrypt for its passphrase"
        ))
        .hint("ssh-keygen -p -a 100 -f FILE gives it fewer"),
        Unsupported::Form => error(&format!(
            "the private key in {label} is not in OpenSSH's own form, which age wants"
        ))
        .hint("ssh-keygen -p -f FILE writes it anew in that form; of PuTTY's, puttygen -O private-openssh-new"),
    }
}
