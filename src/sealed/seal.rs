//! Sealing: one new file for every recipient and every slot, or none.

use std::cell::RefCell;
use std::collections::HashSet;
use std::io::Write;

use age::{DecryptError, EncryptError, Encryptor, Recipient as _};
use age_core::format::{FileKey as AgeKey, Stanza};
use sha2::{Digest, Sha256};

use super::decrypt::decrypt;
use super::keys::{Recipient, RecipientKind};
use super::slot::{self, Slot};
use super::{FILE_LIMIT, FileKey, STANZA_LIMIT, armor, copy_key, plugin, scan};
use crate::error::{Class, Error, Result};

/// The label of recipients that withstand a quantum computer, <https://c2sp.org/age>.
const POST_QUANTUM: &str = "postquantum";

/// A sealed file, and what it takes to prove a copy of it.
pub struct Sealed {
    /// The file.
    pub bytes: Vec<u8>,
    /// The key of its content.
    pub file_key: FileKey,
    digest: [u8; 32],
}

impl std::fmt::Debug for Sealed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sealed").field("bytes", &self.bytes.len()).finish_non_exhaustive()
    }
}

impl Sealed {
    /// True if what was read back is a vault that every reader takes, that the kept file key opens,
    /// and that holds the plaintext.
    pub fn verify(&self, read_back: &[u8]) -> bool {
        scan(read_back).is_ok_and(|scanned| {
            decrypt(&scanned.body, &Kept(&self.file_key)).is_ok_and(|plaintext| {
                <[u8; 32]>::from(Sha256::digest(plaintext.as_slice())) == self.digest
            })
        })
    }
}

/// The file key in an identity's place: neither a touch nor a passphrase is asked for again.
struct Kept<'a>(&'a FileKey);

impl age::Identity for Kept<'_> {
    fn unwrap_stanza(&self, _: &Stanza) -> Option<std::result::Result<AgeKey, DecryptError>> {
        Some(Ok(copy_key(&self.0.0)))
    }
}

/// Seals the plaintext under a fresh file key for every recipient and, for every slot, in an X25519
/// stanza for the slot's public key with the slot's stanza verbatim right after it.
///
/// It is all of them or none: the first that cannot be written for is the error. Errors: class 2 if
/// nobody could open the file; class 6 if the file would break the reader's limits or the recipients
/// cannot stand together; class 7 if a recipient cannot be wrapped for, naming it and its program.
pub fn seal(
    plaintext: &[u8],
    recipients: &[Recipient],
    slots: &[(Recipient, Slot)],
    armor: bool,
) -> Result<Sealed> {
    if recipients.is_empty() && slots.is_empty() {
        return Err(Error::usage("a vault needs a recipient or a passphrase"));
    }
    if slots.iter().any(|(recipient, _)| !recipient.is_x25519()) {
        return Err(Error::usage("a passphrase slot's own recipient is always age1…"));
    }
    // Before a plugin is asked, and so before anybody is asked for a touch. age adds one stanza.
    if recipients.len() + 2 * slots.len() + 1 > STANZA_LIMIT {
        return Err(Error::refused("the vault would have more than 32 stanzas in its header")
            .hint("a recipient takes one, a passphrase two, and age adds one"));
    }
    if plaintext.len() as u64 > FILE_LIMIT {
        return Err(Error::refused("the vault would be larger than 2 MiB"));
    }
    slot::check_together(slots.iter().map(|(_, slot)| slot))?;

    let all = All { recipients, slots, wrapped: RefCell::default(), failure: RefCell::default() };
    let encryptor = Encryptor::with_recipients(std::iter::once(&all as &dyn age::Recipient));
    let All { wrapped, failure, .. } = all;
    if let Some(failure) = failure.into_inner() {
        return Err(failure);
    }
    let (Ok(encryptor), Some(file_key)) = (encryptor, wrapped.into_inner()) else {
        return Err(Error::not_saved("the vault cannot be written for these recipients together"));
    };

    let broken = |_| Error::not_saved("the vault cannot be encrypted");
    let mut bytes = Vec::with_capacity(plaintext.len() + plaintext.len() / 8 + 4096);
    let mut writer = encryptor.wrap_output(&mut bytes).map_err(broken)?;
    writer.write_all(plaintext).map_err(broken)?;
    writer.finish().map_err(broken)?;
    if armor {
        bytes = armor::encode(&bytes);
    }

    // The reader's own eyes: a plugin may have returned anything.
    let scanned = scan(&bytes).map_err(|error| match error.class {
        Class::Refused => Error::refused(format!("not written, since then {}", error.what)),
        _ => Error::not_saved("the vault would not be readable with these recipients"),
    })?;
    if !scanned.slots.iter().eq(slots.iter().map(|(_, slot)| slot)) {
        return Err(Error::not_saved("the vault would not keep its passphrase slots"));
    }
    let digest = Sha256::digest(plaintext).into();
    Ok(Sealed { bytes, file_key: FileKey(file_key), digest })
}

/// All recipients and slots as one recipient, so that age writes their stanzas in our order, and the
/// file key can be kept.
struct All<'a> {
    recipients: &'a [Recipient],
    slots: &'a [(Recipient, Slot)],
    wrapped: RefCell<Option<AgeKey>>,
    failure: RefCell<Option<Error>>,
}

impl age::Recipient for All<'_> {
    fn wrap_file_key(
        &self,
        file_key: &AgeKey,
    ) -> std::result::Result<(Vec<Stanza>, HashSet<String>), EncryptError> {
        match self.wrap(file_key) {
            Ok(stanzas) => {
                self.wrapped.replace(Some(copy_key(file_key)));
                Ok(stanzas)
            }
            Err(error) => {
                // age's error types have no place for ours; any of them ends the encryption.
                self.failure.replace(Some(error));
                Err(EncryptError::MissingRecipients)
            }
        }
    }
}

impl All<'_> {
    fn wrap(&self, file_key: &AgeKey) -> Result<(Vec<Stanza>, HashSet<String>)> {
        let mut stanzas = Vec::new();
        let mut common: Option<HashSet<String>> = None;
        let slots = self.slots.iter().map(|(recipient, slot)| (recipient, Some(slot)));
        let recipients = self.recipients.iter().map(|recipient| (recipient, None));
        for (recipient, slot) in recipients.chain(slots) {
            let (wrapped, labels) = wrap_one(recipient, file_key)?;
            stanzas.extend(wrapped);
            stanzas.extend(slot.map(Slot::stanza));
            match &common {
                Some(common) if *common != labels => {
                    return Err(apart(recipient, common, &labels));
                }
                _ => common = Some(labels),
            }
        }
        Ok((stanzas, common.unwrap_or_default()))
    }
}

/// The stanzas for one recipient, and the labels that others must share to stand beside it.
fn wrap_one(recipient: &Recipient, file_key: &AgeKey) -> Result<(Vec<Stanza>, HashSet<String>)> {
    let wrapped = match &recipient.kind {
        RecipientKind::X25519(key) => key.wrap_file_key(file_key),
        RecipientKind::Ssh(key) => key.wrap_file_key(file_key),
        RecipientKind::Tag(key) => key.wrap_file_key(file_key),
        RecipientKind::TagPq(key) => key.wrap_file_key(file_key),
        RecipientKind::Plugin(key) => return plugin::wrap(key, &recipient.brief(), file_key),
    };
    wrapped.map_err(|_| Error::not_saved(format!("cannot write for {}", recipient.brief())))
}

/// Why two recipients cannot stand together: the weaker one would open what the stronger one guards.
fn apart(recipient: &Recipient, common: &HashSet<String>, labels: &HashSet<String>) -> Error {
    if common.contains(POST_QUANTUM) || labels.contains(POST_QUANTUM) {
        return Error::refused("post-quantum recipients cannot stand beside others")
            .hint("use post-quantum recipients alone, without a passphrase, or none of them");
    }
    Error::refused(format!("{} cannot stand beside the other recipients", recipient.brief()))
}
