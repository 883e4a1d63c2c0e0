//! Identities: the keys that open a vault, as people write them.
//!
//! People paste the wrong thing, so an error never repeats text that is not known to be public.

use age::secrecy::ExposeSecret;
use zeroize::Zeroizing;

use super::derivation_queue::DerivationQueue;
use super::encrypted_file::EncryptedFile;
use super::grammar::Scanned;
use super::identity_text::{self, Entries, Entry, Normalized, begins};
use super::recipients::{Recipient, RecipientKind, holds_secret};
use super::unsupported::Unsupported;
use super::{armor, ssh};
use crate::error::{Error, Reason, Result};
use crate::secret::Secret;

/// age's own secret keys.
const X25519: &str = "AGE-SECRET-KEY-1";
/// Post-quantum secret keys, which age for Rust does not know yet.
const POST_QUANTUM: &str = "AGE-SECRET-KEY-PQ-1";
/// The prefixes of a recipient or an ssh public key.
const PUBLIC: [&str; 4] = ["AGE1", "SSH-", "ECDSA-", "SK-"];

/// The errors for a part of a key.
const NOT_WHOLE: &str = "is not a whole age identity";
const NOT_WHOLE_PLUGIN: &str = "is not a whole plugin identity";
/// The error for a word that is not a key.
const NOT_A_KEY: &str = "is not an age identity";
/// The hint then, and for a text without a key.
const HOW_TO_GIVE: &str = "give a key, such as AGE-SECRET-KEY-1…, or name its file by -i or \
                           AWS_VAULT_AGE_KEY_FILE, or give a passphrase by AWS_VAULT_PASSPHRASE";
/// The hint for a part of a key.
const COPY_ALL: &str = "copy the whole line again";
/// The hint if the text also holds a key.
const HOLDS_KEY: &str = "it also holds a key: remove the text beside it, such as NAME= before it";

/// One key that may open a vault, with the name of its source.
pub struct Identity {
    label: String,
    pub(super) key: Key,
}

/// The kinds of identity.
pub(super) enum Key {
    X25519(Box<age::x25519::Identity>),
    Ssh(Box<age::ssh::Identity>),
    /// A passphrase-protected ssh key, which opens nothing until it is unlocked.
    SshEncrypted(Box<ssh::Encrypted>),
    /// A passphrase-protected identity file, which opens nothing until it is decrypted.
    File(Box<EncryptedFile>),
    Plugin(age::plugin::Identity),
    /// A key that opens nothing. The error names it if no other key opens the vault.
    Unsupported(Unsupported),
}

impl From<ssh::Private> for Key {
    fn from(key: ssh::Private) -> Self {
        match key {
            ssh::Private::Open(key) => Key::Ssh(key),
            ssh::Private::Encrypted(key) => Key::SshEncrypted(key),
            ssh::Private::Unsupported(why) => Key::Unsupported(why),
        }
    }
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Identity({}, …)", self.label)
    }
}

impl Identity {
    /// The source of the key, as it was given to [`parse_identities`].
    pub fn label(&self) -> &str {
        &self.label
    }

    /// The recipient of this identity; `None` for a plugin's, which only the plugin knows, for a
    /// passphrase-protected file, and for a key that is not supported.
    pub fn recipient(&self) -> Option<Recipient> {
        match &self.key {
            Key::X25519(key) => Some(Recipient::from_x25519(key.to_public())),
            Key::Ssh(key) => {
                let key = age::ssh::Recipient::try_from((**key).clone()).ok()?;
                Some(Recipient { kind: RecipientKind::Ssh(Box::new(key)) })
            }
            Key::SshEncrypted(key) => {
                Some(Recipient { kind: RecipientKind::Ssh(Box::new(key.recipient())) })
            }
            Key::File(_) | Key::Plugin(_) | Key::Unsupported(_) => None,
        }
    }

    /// True if it may open this vault and needs its own passphrase for that.
    pub fn needs_passphrase(&self, scanned: &Scanned) -> bool {
        match &self.key {
            Key::SshEncrypted(key) => scanned.ssh.iter().any(|stanza| stanza == key.stanza()),
            Key::File(_) => true,
            _ => false,
        }
    }

    /// True for a passphrase-protected identity file.
    pub fn is_file(&self) -> bool {
        matches!(self.key, Key::File(_))
    }

    /// What the passphrase protects, in words for a prompt or an error.
    pub fn description(&self) -> String {
        match self.is_file() {
            true => format!("the identity file {}", self.label),
            false => format!("the ssh key in {}", self.label),
        }
    }

    /// The decrypted ssh key; `None` if the passphrase is wrong or this is not such a key.
    pub(super) fn unlock(&self, passphrase: &Secret) -> Option<Self> {
        let Key::SshEncrypted(key) = &self.key else { return None };
        let key = Key::Ssh(Box::new(key.unlock(passphrase)?));
        Some(Self { label: self.label.clone(), key })
    }

    /// The text of a passphrase-protected identity file; `None` if the passphrase is wrong or this is not
    /// such a file.
    /// Errors: class 4 if the file is damaged, class 8 if the wait in the queue times out, class 1 if
    /// there is not enough memory.
    pub fn decrypt_file(
        &self,
        passphrase: &Secret,
        queue: &DerivationQueue,
    ) -> Result<Option<Secret>> {
        match &self.key {
            Key::File(file) => {
                let _turn = queue.wait()?;
                file.open(passphrase, &self.label)
            }
            _ => Ok(None),
        }
    }
}

/// A new X25519 identity (`AGE-SECRET-KEY-1…`) and its recipient (`age1…`).
pub fn generate_identity() -> (Secret, String) {
    let identity = age::x25519::Identity::generate();
    let text = identity.to_string();
    (Secret::new(text.expose_secret().to_owned()), identity.to_public().to_string())
}

/// Reads an identity file, plain or in base64: age keys, plugin identities and ssh private keys in any
/// number, with comments. The changes that CI systems make are undone: newlines that became blanks or
/// `\n`, wrapped base64, quotes, CRLF, UTF-16.
///
/// An entry that may be valid and is not supported becomes an identity that opens nothing.
///
/// `label` names the source in errors, which never repeat the content. Errors: class 4.
pub fn parse_identities(given: &Secret, label: &str) -> Result<Vec<Identity>> {
    let (text, decoded) = match identity_text::normalize(given.expose()) {
        Normalized::Text(text, decoded) => (text, decoded),
        Normalized::AgeFile(file) => return Ok(vec![of_file(file, label)?]),
    };
    let place = if decoded { " of its decoded base64" } else { "" };
    let mut identities = Vec::new();
    let mut entries = Entries::of(&text);
    for (line, entry) in entries.by_ref() {
        let wrong = |what: &str| {
            Error::locked(format!("{label}: line {line}{place} {what}")).because(Reason::BadSource)
        };
        let key = match entry {
            Entry::Word(word) => of_word(word).map_err(|what| match what {
                NOT_A_KEY if holds_secret(&text) => wrong(what).hint(HOLDS_KEY),
                NOT_A_KEY => wrong(what).hint(HOW_TO_GIVE),
                NOT_WHOLE | NOT_WHOLE_PLUGIN => wrong(what).hint(COPY_ALL),
                _ => wrong(what),
            })?,
            Entry::Pem(kind @ "AGE ENCRYPTED FILE", body) => {
                let file = armor::decode(identity_text::pem(kind, body).as_bytes());
                identities.push(of_file(file.unwrap_or_default(), label)?);
                continue;
            }
            Entry::Pem(kind, body) => of_pem(kind, body).map_err(wrong)?,
            Entry::Truncated => return Err(wrong("begins a private key that does not end")),
            Entry::Putty => Key::Unsupported(Unsupported::Format),
        };
        identities.push(Identity { label: label.to_owned(), key });
    }
    if !identities.is_empty() {
        return Ok(identities);
    }
    let nothing = Error::locked(format!("{label} holds no identity")).because(Reason::BadSource);
    Err(match entries.commented {
        true => nothing.hint("the key in it is commented out with a #"),
        false => nothing.hint(HOW_TO_GIVE),
    })
}

fn of_file(file: Vec<u8>, label: &str) -> Result<Identity> {
    let file = EncryptedFile::parse(file)
        .map_err(|what| Error::locked(format!("{label} {what}")).because(Reason::BadSource))?;
    Ok(Identity { label: label.to_owned(), key: Key::File(Box::new(file)) })
}

/// The error is text that follows the line's number.
fn of_word(word: &str) -> Result<Key, &'static str> {
    if begins(word, "SK-") {
        return Err("is the public key of a hardware key of ssh, and age supports none of them");
    }
    if ["SSH-", "ECDSA-"].iter().any(|prefix| begins(word, prefix)) {
        return Err("is an ssh public key: name the file of the private key, which has no .pub");
    }
    if PUBLIC.iter().any(|prefix| begins(word, prefix)) {
        return Err("is a recipient, which is public: the identity is the secret half");
    }
    // Bech32 is one case throughout (BIP 173); age writes identities in capitals.
    let upper = Zeroizing::new(word.to_ascii_uppercase());
    let one_case = *upper == word || word.bytes().all(|b| !b.is_ascii_uppercase());
    if upper.starts_with(POST_QUANTUM) {
        Ok(Key::Unsupported(Unsupported::PostQuantum))
    } else if upper.starts_with(identity_text::SECRET_KEY) && !one_case {
        Err("is an age identity in mixed case: it is written in capitals")
    } else if upper.starts_with(X25519) {
        let key = upper.parse().map_err(|_| NOT_WHOLE)?;
        Ok(Key::X25519(Box::new(key)))
    } else if upper.starts_with(identity_text::PLUGIN) {
        Ok(Key::Plugin(upper.parse().map_err(|_| NOT_WHOLE_PLUGIN)?))
    } else {
        Err(NOT_A_KEY)
    }
}

fn of_pem(kind: &str, body: &str) -> Result<Key, &'static str> {
    match kind {
        // Header lines, which mean the old encryption of PEM.
        "RSA PRIVATE KEY" if body.contains(':') => Ok(Key::Unsupported(Unsupported::Format)),
        "OPENSSH PRIVATE KEY" | "RSA PRIVATE KEY" => {
            ssh::parse_private(&identity_text::pem(kind, body))
                .map(Key::from)
                .ok_or("begins a private key that is damaged or not an ssh key")
        }
        "EC PRIVATE KEY" | "DSA PRIVATE KEY" => Ok(Key::Unsupported(Unsupported::SshKind)),
        _ if kind.contains("PRIVATE KEY") => Ok(Key::Unsupported(Unsupported::Format)),
        _ => Err("begins a PEM block that is not a private key"),
    }
}
