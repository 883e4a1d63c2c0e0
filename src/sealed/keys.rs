//! Keys in words: identities that open a vault, recipients that it is written for.
//!
//! What people put where is not always what belongs there, so nothing that is not plainly public is
//! ever repeated in an error.

use base64::Engine;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::engine::{DecodePaddingMode, general_purpose::STANDARD};
use secrecy::ExposeSecret;
use zeroize::Zeroizing;

use super::{plugin, ssh};
use crate::error::{Error, Result};
use crate::secret::Secret;

/// age's own secret keys.
const SECRET_KEY: &str = "AGE-SECRET-KEY-1";
/// Post-quantum secret keys, which age for Rust does not know yet.
const SECRET_KEY_PQ: &str = "AGE-SECRET-KEY-PQ-1";
/// A plugin's identities: a secret, or a pointer to a device.
const PLUGIN: &str = "AGE-PLUGIN-";
/// What begins and ends a key in PEM.
const PEM_BEGIN: &str = "-----BEGIN ";
const PEM_END: &str = "-----END ";
/// Standard base64, padded or not: CI systems and people strip the padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// One key that may open a vault, and the name of the place that it came from.
pub struct Identity {
    label: String,
    pub(super) key: Key,
}

/// The kinds of identity.
pub(super) enum Key {
    X25519(Box<age::x25519::Identity>),
    Ssh(Box<age::ssh::Identity>),
    /// An ssh key under a passphrase of its own: it opens nothing, and says so if nothing else does.
    SshEncrypted,
    /// An ssh key of a kind that age does not take, such as ecdsa or a security key's.
    SshUnsupported,
    Plugin(age::plugin::Identity),
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
    /// knows, and for ssh keys that cannot be used.
    pub fn recipient(&self) -> Option<Recipient> {
        match &self.key {
            Key::X25519(key) => Some(Recipient::from_x25519(key.to_public())),
            Key::Ssh(key) => {
                let key = age::ssh::Recipient::try_from((**key).clone()).ok()?;
                Some(Recipient { kind: Kind::Ssh(Box::new(key)) })
            }
            Key::SshEncrypted | Key::SshUnsupported | Key::Plugin(_) => None,
        }
    }
}

/// A new X25519 identity (`AGE-SECRET-KEY-1…`) and its recipient (`age1…`).
pub fn generate_identity() -> (Secret, String) {
    let identity = age::x25519::Identity::generate();
    let text = identity.to_string();
    (Secret::new(text.expose_secret().to_owned()), identity.to_public().to_string())
}

/// Reads an age key, as the slot writes it.
pub(super) fn x25519_identity(text: &Secret) -> Option<age::x25519::Identity> {
    text.expose().parse().ok()
}

/// Reads an identity file: age keys, plugin identities and ssh private keys in any number, with
/// comments, blank lines and CRLF. Or the base64 of such a file in a single line, since CI systems
/// mask only single lines.
///
/// `label` names the source in errors; the content is never repeated. Errors: class 4.
pub fn parse_identities(text: &Secret, label: &str) -> Result<Vec<Identity>> {
    let text = text.expose().trim_start_matches('\u{feff}').trim();
    let single = !text.contains(char::is_whitespace);
    if single
        && !text.starts_with("AGE-")
        && let Ok(decoded) = BASE64.decode(text).map(Zeroizing::new)
        && let Ok(inner) = std::str::from_utf8(&decoded)
        && !inner.trim().is_empty()
    {
        return parse_lines(inner, label, " of what its base64 holds");
    }
    parse_lines(text, label, "")
}

fn parse_lines(text: &str, label: &str, place: &str) -> Result<Vec<Identity>> {
    let mut identities = Vec::new();
    let mut lines = text.lines().map(str::trim).zip(1usize..);
    while let Some((line, number)) = lines.next() {
        let wrong = |what: &str| Error::locked(format!("{label}: line {number}{place} {what}"));
        let key = if line.is_empty() || line.starts_with('#') {
            continue;
        } else if line.starts_with(SECRET_KEY) {
            let key = line.parse().map_err(|_| wrong("is not a whole age identity"))?;
            Key::X25519(Box::new(key))
        } else if line.starts_with(SECRET_KEY_PQ) {
            return Err(wrong("is a post-quantum identity, which is not supported yet"));
        } else if line.starts_with(PLUGIN) {
            Key::Plugin(line.parse().map_err(|_| wrong("is not a whole plugin identity"))?)
        } else if line.starts_with("age-encryption.org/")
            || line.starts_with("-----BEGIN AGE ENCRYPTED FILE-----")
        {
            return Err(Error::locked(format!(
                "{label}: passphrase-protected identity files are not supported"
            ))
            .hint("decrypt it first, with age -d"));
        } else if line.starts_with(PEM_BEGIN) {
            let mut pem = Zeroizing::new(String::with_capacity(text.len() + 1));
            let mut whole = false;
            for line in std::iter::once(line).chain(lines.by_ref().map(|(line, _)| line)) {
                pem.push_str(line);
                pem.push('\n');
                whole = line.starts_with(PEM_END);
                if whole {
                    break;
                }
            }
            if !whole {
                return Err(wrong("begins a private key that does not end"));
            }
            ssh::parse_private(&pem)
                .ok_or_else(|| wrong("begins a private key that is not an ssh key or is damaged"))?
        } else if line.starts_with("age1") || line.starts_with("ssh-") {
            return Err(wrong("is a recipient, which is public: the identity is the secret half"));
        } else {
            return Err(wrong("is not an age identity"));
        };
        identities.push(Identity { label: label.to_owned(), key });
    }
    if identities.is_empty() {
        return Err(Error::locked(format!("{label} holds no identity")));
    }
    Ok(identities)
}

/// Whom a vault is written for. Displayed as it is written, comments left out.
#[derive(Clone)]
pub struct Recipient {
    pub(super) kind: Kind,
}

/// The kinds of recipient.
#[derive(Clone)]
pub(super) enum Kind {
    X25519(Box<age::x25519::Recipient>),
    Ssh(Box<age::ssh::Recipient>),
    Tag(Box<age::tag::Recipient>),
    TagPq(Box<age::tagpq::Recipient>),
    Plugin(age::plugin::Recipient),
}

impl std::fmt::Display for Recipient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.kind {
            Kind::X25519(key) => key.fmt(f),
            Kind::Ssh(key) => key.fmt(f),
            Kind::Tag(key) => key.fmt(f),
            Kind::TagPq(key) => key.fmt(f),
            Kind::Plugin(key) => key.fmt(f),
        }
    }
}

impl std::fmt::Debug for Recipient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Recipient({self})")
    }
}

impl PartialEq for Recipient {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}

impl Eq for Recipient {}

impl Recipient {
    pub(super) fn from_x25519(key: age::x25519::Recipient) -> Self {
        Self { kind: Kind::X25519(Box::new(key)) }
    }

    pub(super) fn is_x25519(&self) -> bool {
        matches!(self.kind, Kind::X25519(_))
    }

    /// The program that must be there at each write, for a plugin's recipient.
    pub fn program(&self) -> Option<String> {
        match &self.kind {
            Kind::Plugin(key) => Some(plugin::program(key.plugin())),
            _ => None,
        }
    }

    /// The recipient for a line of an error: ssh-rsa and post-quantum ones fill a screen.
    pub(super) fn brief(&self) -> String {
        brief(&self.to_string())
    }
}

/// The beginning of a long public text, and all of a short one.
pub fn brief(text: &str) -> String {
    const SHORT: usize = 80;
    if text.chars().count() <= SHORT {
        return text.to_owned();
    }
    let mut brief: String = text.chars().take(SHORT / 2).collect();
    brief.push('…');
    brief
}

/// Reads one recipient: `age1…`, `ssh-ed25519 …`, `ssh-rsa …`, or a plugin's `age1NAME1…`.
///
/// Errors: class 2. A secret key in this place is refused and not repeated.
pub fn parse_recipient(text: &str) -> Result<Recipient> {
    let text = text.trim();
    let upper = text.get(..PLUGIN.len().max(PEM_BEGIN.len())).unwrap_or(text).to_ascii_uppercase();
    if upper.starts_with("AGE-SECRET") || upper.starts_with("AGE-PLUGIN") || holds_secret(text) {
        return Err(Error::usage("that is a secret key, not a recipient").hint(
            "give its public half, age1… or the line of the .pub file; what was typed here may \
             stand in the shell's history",
        ));
    }
    if text.is_empty() {
        return Err(Error::usage("the recipient is empty"));
    }
    if text.chars().any(char::is_control) {
        return Err(Error::usage("a recipient is one line"));
    }
    let kind = if text.starts_with("ssh-") {
        Kind::Ssh(Box::new(ssh::parse_public(text)?))
    } else if text.starts_with("age1") {
        parse_age(text).ok_or_else(|| {
            // Only what a terminal shows as it is.
            let shown = if text.is_ascii() { brief(text) } else { "age1…".to_owned() };
            Error::usage(format!("not a recipient, or mistyped: {shown}"))
        })?
    } else if text.starts_with("ecdsa-") || text.starts_with("sk-") {
        return Err(Error::usage("of ssh keys, age knows only ssh-ed25519 and ssh-rsa"));
    } else {
        // Whatever it is, it may be a secret.
        return Err(Error::usage("that is not a recipient")
            .hint("a recipient is age1…, ssh-ed25519 … or ssh-rsa …"));
    };
    Ok(Recipient { kind })
}

/// True for a private key in PEM, and for any secret key in base64.
fn holds_secret(text: &str) -> bool {
    let secret = |text: &str| text.contains(PEM_BEGIN) || text.contains("AGE-SECRET-KEY-");
    secret(text)
        || BASE64
            .decode(text)
            .map(Zeroizing::new)
            .is_ok_and(|decoded| std::str::from_utf8(&decoded).is_ok_and(secret))
}

fn parse_age(text: &str) -> Option<Kind> {
    if let Ok(key) = text.parse() {
        return Some(Kind::X25519(Box::new(key)));
    }
    if text.starts_with("age1tag1") {
        return text.parse().ok().map(|key| Kind::Tag(Box::new(key)));
    }
    if text.starts_with("age1tagpq1") {
        return text.parse().ok().map(|key| Kind::TagPq(Box::new(key)));
    }
    text.parse().ok().map(Kind::Plugin)
}

/// Reads a recipients file: one recipient in a line, blank lines and `#` comments between.
///
/// Errors: class 2, with the line's number.
pub fn parse_recipients_file(text: &str) -> Result<Vec<Recipient>> {
    let mut recipients = Vec::new();
    let text = text.trim_start_matches('\u{feff}');
    for (line, number) in text.lines().map(str::trim).zip(1usize..) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let recipient = parse_recipient(line).map_err(|mut error| {
            error.what = format!("line {number} of the recipients file: {}", error.what);
            error
        })?;
        recipients.push(recipient);
    }
    if recipients.is_empty() {
        return Err(Error::usage("the recipients file holds no recipient"));
    }
    Ok(recipients)
}

/// Decodes the base64 lines of a PEM body.
pub(super) fn pem_body(lines: &str) -> Option<Zeroizing<Vec<u8>>> {
    let mut joined = Zeroizing::new(String::with_capacity(lines.len()));
    lines.lines().for_each(|line| joined.push_str(line));
    STANDARD.decode(joined.as_bytes()).ok().map(Zeroizing::new)
}
