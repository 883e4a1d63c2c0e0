//! Identities: the keys that open a vault, as people write them.
//!
//! What people put where is not always what belongs there, so nothing that is not plainly public is
//! ever repeated in an error.

use age::secrecy::ExposeSecret;
use zeroize::Zeroizing;

use super::encrypted_file::EncryptedFile;
use super::grammar::Scanned;
use super::keys::{Recipient, RecipientKind, holds_secret};
use super::text::{self, Carried, Piece, Pieces, begins};
use super::turns::Turns;
use super::unsupported::Unsupported;
use super::{armor, ssh};
use crate::error::{Error, Reason, Result};
use crate::secret::Secret;

/// age's own secret keys.
const X25519: &str = "AGE-SECRET-KEY-1";
/// Post-quantum secret keys, which age for Rust does not know yet.
const POST_QUANTUM: &str = "AGE-SECRET-KEY-PQ-1";
/// What begins a recipient, or an ssh public key.
const PUBLIC: [&str; 4] = ["AGE1", "SSH-", "ECDSA-", "SK-"];

/// What is said of a word that is no key of any kind.
const NOT_A_KEY: &str = "is not an age identity";
/// What to do about it where there is a key as well.
const BESIDE: &str =
    "there is a key in it, too: take away what stands beside it, such as NAME= before it";

/// One key that may open a vault, and the name of the place that it came from.
pub struct Identity {
    label: String,
    pub(super) key: Key,
}

/// The kinds of identity.
pub(super) enum Key {
    X25519(Box<age::x25519::Identity>),
    Ssh(Box<age::ssh::Identity>),
    /// An ssh key under a passphrase of its own: it opens nothing until it is unlocked.
    SshEncrypted(Box<ssh::Encrypted>),
    /// An identity file under a passphrase, the same.
    File(Box<EncryptedFile>),
    Plugin(age::plugin::Identity),
    /// It opens nothing, and says so if nothing else does.
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
    /// Where the key came from, as it was named to [`parse_identities`].
    pub fn label(&self) -> &str {
        &self.label
    }

    /// The recipient that belongs to this identity; `None` for a plugin's, which only the plugin
    /// knows, for a file under a passphrase, and for keys that cannot be used.
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

    /// True if it may open this vault once its own passphrase is known.
    pub fn asks(&self, scanned: &Scanned) -> bool {
        match &self.key {
            Key::SshEncrypted(key) => scanned.ssh.iter().any(|stanza| stanza == key.stanza()),
            Key::File(_) => true,
            _ => false,
        }
    }

    /// True for an identity file under a passphrase, in which there are others.
    pub fn is_file(&self) -> bool {
        matches!(self.key, Key::File(_))
    }

    /// What has the passphrase, for people.
    pub fn shown(&self) -> String {
        match self.is_file() {
            true => format!("the identity file {}", self.label),
            false => format!("the ssh key in {}", self.label),
        }
    }

    /// The same ssh key without its passphrase, or `None` if it has another, or none.
    pub(super) fn unlock(&self, passphrase: &Secret) -> Option<Self> {
        let Key::SshEncrypted(key) = &self.key else { return None };
        let key = Key::Ssh(Box::new(key.unlock(passphrase)?));
        Some(Self { label: self.label.clone(), key })
    }

    /// The identity file that stands in a file under a passphrase, or `None` if it has another, or none.
    ///
    /// Errors: class 4 if the file is damaged, class 8 if the turn to try did not come, class 1 if there
    /// is not enough memory.
    pub fn decrypt_file(&self, passphrase: &Secret, turns: &Turns) -> Result<Option<Secret>> {
        match &self.key {
            Key::File(file) => {
                let _turn = turns.wait()?;
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

/// Reads an identity file: age keys, plugin identities and ssh private keys in any number, with
/// comments. Or the base64 of such a file. What CI systems do to either is undone: lines that became
/// blanks or `\n`, wrapped base64, quotes, CRLF, UTF-16.
///
/// An entry that may be sound and is not supported is an identity that opens nothing.
///
/// `label` names the source in errors; the content is never repeated. Errors: class 4.
pub fn parse_identities(given: &Secret, label: &str) -> Result<Vec<Identity>> {
    let (text, decoded) = match text::carried(given.expose()) {
        Carried::Text(text, decoded) => (text, decoded),
        Carried::AgeFile(file) => return Ok(vec![of_file(file, label)?]),
    };
    let place = if decoded { " of what its base64 holds" } else { "" };
    let mut identities = Vec::new();
    let mut pieces = Pieces::of(&text);
    for (line, piece) in pieces.by_ref() {
        let wrong = |what: &str| {
            Error::locked(format!("{label}: line {line}{place} {what}")).because(Reason::BadSource)
        };
        let key = match piece {
            Piece::Word(word) => of_word(word).map_err(|what| match what {
                NOT_A_KEY if holds_secret(&text) => wrong(what).hint(BESIDE),
                _ => wrong(what),
            })?,
            Piece::Pem(kind @ "AGE ENCRYPTED FILE", body) => {
                let file = armor::decode(text::pem(kind, body).as_bytes());
                identities.push(of_file(file.unwrap_or_default(), label)?);
                continue;
            }
            Piece::Pem(kind, body) => of_pem(kind, body).map_err(wrong)?,
            Piece::Cut => return Err(wrong("begins a private key that does not end")),
            Piece::Putty => Key::Unsupported(Unsupported::Form),
        };
        identities.push(Identity { label: label.to_owned(), key });
    }
    if !identities.is_empty() {
        return Ok(identities);
    }
    let nothing = Error::locked(format!("{label} holds no identity")).because(Reason::BadSource);
    Err(match pieces.commented {
        true => nothing.hint("the key in it stands in a comment, behind a #"),
        false => nothing,
    })
}

fn of_file(file: Vec<u8>, label: &str) -> Result<Identity> {
    let file = EncryptedFile::parse(file)
        .map_err(|what| Error::locked(format!("{label} {what}")).because(Reason::BadSource))?;
    Ok(Identity { label: label.to_owned(), key: Key::File(Box::new(file)) })
}

/// What is wrong is said in words that fit behind the line's number.
fn of_word(word: &str) -> Result<Key, &'static str> {
    if PUBLIC.iter().any(|mark| begins(word, mark)) {
        return Err("is a recipient, which is public: the identity is the secret half");
    }
    // Bech32 is one case throughout (BIP 173); age writes identities in capitals.
    let upper = Zeroizing::new(word.to_ascii_uppercase());
    let one_case = *upper == word || word.bytes().all(|b| !b.is_ascii_uppercase());
    if upper.starts_with(POST_QUANTUM) {
        Ok(Key::Unsupported(Unsupported::PostQuantum))
    } else if upper.starts_with(text::SECRET_KEY) && !one_case {
        Err("is an age identity in capitals and small letters: it is written in capitals")
    } else if upper.starts_with(X25519) {
        let key = upper.parse().map_err(|_| "is not a whole age identity")?;
        Ok(Key::X25519(Box::new(key)))
    } else if upper.starts_with(text::PLUGIN) {
        Ok(Key::Plugin(upper.parse().map_err(|_| "is not a whole plugin identity")?))
    } else {
        Err(NOT_A_KEY)
    }
}

fn of_pem(kind: &str, body: &str) -> Result<Key, &'static str> {
    match kind {
        // Headers, of which PEM has only those of its own encryption.
        "RSA PRIVATE KEY" if body.contains(':') => Ok(Key::Unsupported(Unsupported::Form)),
        "OPENSSH PRIVATE KEY" | "RSA PRIVATE KEY" => ssh::parse_private(&text::pem(kind, body))
            .map(Key::from)
            .ok_or("begins a private key that is not an ssh key or is damaged"),
        "EC PRIVATE KEY" | "DSA PRIVATE KEY" => Ok(Key::Unsupported(Unsupported::SshKind)),
        _ if kind.contains("PRIVATE KEY") => Ok(Key::Unsupported(Unsupported::Form)),
        _ => Err("begins something in PEM that is no private key"),
    }
}
