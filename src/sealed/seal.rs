//! Sealing: one new file for every recipient and every slot, or an error.

use std::cell::RefCell;
use std::collections::HashSet;
use std::io::Write;

use age::secrecy::ExposeSecret;
use age::{DecryptError, EncryptError, Encryptor, Recipient as _};
use age_core::format::{FileKey as AgeKey, Stanza};
use sha2::{Digest, Sha256};

use super::decrypt::decrypt;
use super::recipients::{Recipient, RecipientKind};
use super::slot::{self, Slot};
use super::{FILE_LIMIT, STANZA_LIMIT, armor, plugin, scan};
use crate::error::{Class, Error, Result};

/// The label of post-quantum recipients (<https://c2sp.org/age>).
const POST_QUANTUM: &str = "postquantum";

/// A sealed file, with what is needed to verify a copy of it.
pub struct Sealed {
    pub bytes: Vec<u8>,
    /// New at every write, wiped when dropped.
    file_key: AgeKey,
    digest: [u8; 32],
}

impl std::fmt::Debug for Sealed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sealed").field("bytes", &self.bytes.len()).finish_non_exhaustive()
    }
}

impl Sealed {
    /// True if the file that was read back passes [`scan`], is opened by the kept file key, and contains
    /// the plaintext.
    pub fn verify(&self, read_back: &[u8]) -> bool {
        scan(read_back).is_ok_and(|scanned| {
            decrypt(&scanned.body, &KnownFileKey(&self.file_key)).is_ok_and(|plaintext| {
                <[u8; 32]>::from(Sha256::digest(plaintext.as_slice())) == self.digest
            })
        })
    }
}

/// The file key as an identity, so that verification needs neither a touch nor a passphrase.
struct KnownFileKey<'a>(&'a AgeKey);

impl age::Identity for KnownFileKey<'_> {
    fn unwrap_stanza(&self, _: &Stanza) -> Option<std::result::Result<AgeKey, DecryptError>> {
        Some(Ok(copy_key(self.0)))
    }
}

/// A copy of a file key, which age's type does not offer.
fn copy_key(key: &AgeKey) -> AgeKey {
    AgeKey::init_with_mut(|copy| copy.copy_from_slice(key.expose_secret()))
}

/// Encrypts the plaintext with a new file key to every recipient and every slot: for a slot, an X25519
/// stanza for the slot's public key, followed by the slot's stanza unchanged.
/// Errors: class 2 without a recipient and a slot; class 6 if the file would exceed the reader's limits or
/// the recipients cannot be combined; class 7, naming recipient and program, at the first recipient that
/// the file cannot be encrypted to.
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
        return Err(Error::usage("the recipient of a passphrase slot is always age1…"));
    }
    // Before a plugin runs, which may need a touch. age adds one stanza.
    if recipients.len() + 2 * slots.len() + 1 > STANZA_LIMIT {
        return Err(Error::refused("the vault would have more than 32 stanzas in its header")
            .hint("a recipient needs one, a passphrase two, and age adds one"));
    }
    if plaintext.len() as u64 > FILE_LIMIT {
        return Err(Error::refused("the vault would be larger than 2 MiB"));
    }
    slot::check_together(slots.iter().map(|(_, slot)| slot))?;

    let all = AllRecipients {
        recipients,
        slots,
        wrapped: RefCell::default(),
        failure: RefCell::default(),
    };
    let encryptor = Encryptor::with_recipients(std::iter::once(&all as &dyn age::Recipient));
    let AllRecipients { wrapped, failure, .. } = all;
    if let Some(failure) = failure.into_inner() {
        return Err(failure);
    }
    let (Ok(encryptor), Some(file_key)) = (encryptor, wrapped.into_inner()) else {
        return Err(Error::not_saved("the vault cannot be encrypted to these recipients together"));
    };

    let broken = |_| Error::not_saved("the vault cannot be encrypted");
    let mut bytes = Vec::with_capacity(plaintext.len() + plaintext.len() / 8 + 4096);
    let mut writer = encryptor.wrap_output(&mut bytes).map_err(broken)?;
    writer.write_all(plaintext).map_err(broken)?;
    writer.finish().map_err(broken)?;
    if armor {
        bytes = armor::encode(&bytes);
    }

    // As a reader would: a plugin may have returned anything.
    let scanned = scan(&bytes).map_err(|error| match error.class {
        Class::Refused => Error::refused(format!("not written: otherwise {}", error.what)),
        _ => Error::not_saved("the vault would not be readable with these recipients"),
    })?;
    if !scanned.slots.iter().eq(slots.iter().map(|(_, slot)| slot)) {
        return Err(Error::not_saved("the vault would not keep its passphrase slots"));
    }
    let digest = Sha256::digest(plaintext).into();
    Ok(Sealed { bytes, file_key, digest })
}

/// All recipients and slots as one recipient, so that age writes their stanzas in this order and the file
/// key can be kept.
struct AllRecipients<'a> {
    recipients: &'a [Recipient],
    slots: &'a [(Recipient, Slot)],
    wrapped: RefCell<Option<AgeKey>>,
    failure: RefCell<Option<Error>>,
}

impl age::Recipient for AllRecipients<'_> {
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
                // age's error types cannot carry ours; any of them ends the encryption.
                self.failure.replace(Some(error));
                Err(EncryptError::MissingRecipients)
            }
        }
    }
}

impl AllRecipients<'_> {
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
                    return Err(incompatible(recipient, common, &labels));
                }
                _ => common = Some(labels),
            }
        }
        Ok((stanzas, common.unwrap_or_default()))
    }
}

/// The stanzas for one recipient, and the labels that all recipients must share.
fn wrap_one(recipient: &Recipient, file_key: &AgeKey) -> Result<(Vec<Stanza>, HashSet<String>)> {
    let wrapped = match &recipient.kind {
        RecipientKind::X25519(key) => key.wrap_file_key(file_key),
        RecipientKind::Ssh(key) => key.wrap_file_key(file_key),
        RecipientKind::Tag(key) => key.wrap_file_key(file_key),
        RecipientKind::TagPq(key) => key.wrap_file_key(file_key),
        RecipientKind::Plugin(key) => return plugin::wrap(key, &recipient.brief(), file_key),
    };
    wrapped.map_err(|_| Error::not_saved(format!("cannot encrypt to {}", recipient.brief())))
}

/// The error for recipients that cannot be combined: the weaker one would make the stronger one useless.
fn incompatible(
    recipient: &Recipient,
    common: &HashSet<String>,
    labels: &HashSet<String>,
) -> Error {
    if common.contains(POST_QUANTUM) || labels.contains(POST_QUANTUM) {
        return Error::refused("post-quantum recipients cannot be combined with others")
            .hint("use only post-quantum recipients and no passphrase, or none of them");
    }
    Error::refused(format!("{} cannot be combined with the other recipients", recipient.brief()))
}
