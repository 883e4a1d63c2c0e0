//! Recipients: the public keys that a vault is encrypted to.
//!
//! People paste the wrong thing, so an error never repeats text that is not known to be public.

use base64::Engine;
use zeroize::Zeroizing;

use super::identity_text::{BASE64, PEM_BEGIN, PLUGIN};
use super::ssh;
use crate::error::{Error, Result};

/// A recipient. Displayed as its text form, without a comment.
#[derive(Clone)]
pub struct Recipient {
    pub(super) kind: RecipientKind,
}

/// The kinds of recipient.
#[derive(Clone)]
pub(super) enum RecipientKind {
    X25519(Box<age::x25519::Recipient>),
    Ssh(Box<age::ssh::Recipient>),
    Tag(Box<age::tag::Recipient>),
    TagPq(Box<age::tagpq::Recipient>),
    Plugin(age::plugin::Recipient),
}

impl std::fmt::Display for Recipient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.kind {
            RecipientKind::X25519(key) => key.fmt(f),
            RecipientKind::Ssh(key) => key.fmt(f),
            RecipientKind::Tag(key) => key.fmt(f),
            RecipientKind::TagPq(key) => key.fmt(f),
            RecipientKind::Plugin(key) => key.fmt(f),
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
        Self { kind: RecipientKind::X25519(Box::new(key)) }
    }

    pub(super) fn is_x25519(&self) -> bool {
        matches!(self.kind, RecipientKind::X25519(_))
    }

    /// The recipient, shortened for an error: ssh-rsa and post-quantum ones fill a screen.
    pub(super) fn brief(&self) -> String {
        brief(&self.to_string())
    }
}

/// A public text, shortened if it is long.
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
/// Errors: class 2. A secret key is refused and not repeated.
pub fn parse_recipient(text: &str) -> Result<Recipient> {
    let text = text.trim();
    let upper = text.get(..PLUGIN.len().max(PEM_BEGIN.len())).unwrap_or(text).to_ascii_uppercase();
    if upper.starts_with("AGE-SECRET") || upper.starts_with("AGE-PLUGIN") || holds_secret(text) {
        return Err(Error::usage("that is a secret key, not a recipient").hint(
            "give its public key, age1… or the line of the .pub file; the secret key may be in \
             the shell's history now",
        ));
    }
    if text.is_empty() {
        return Err(Error::usage("the recipient is empty"));
    }
    if text.chars().any(char::is_control) {
        return Err(Error::usage("a recipient is one line"));
    }
    let kind = if text.starts_with("ssh-") {
        RecipientKind::Ssh(Box::new(ssh::parse_public(text)?))
    } else if text.starts_with("age1") {
        parse_age(text).ok_or_else(|| {
            // Only text that a terminal shows unchanged.
            let shown = if text.is_ascii() { brief(text) } else { "age1…".to_owned() };
            Error::usage(format!("not a recipient, or mistyped: {shown}"))
        })?
    } else if text.starts_with("ecdsa-") || text.starts_with("sk-") {
        return Err(Error::usage(ssh::UNSUPPORTED_TYPE));
    } else {
        // It may be a secret.
        return Err(Error::usage("that is not a recipient")
            .hint("a recipient is age1…, ssh-ed25519 … or ssh-rsa …"));
    };
    Ok(Recipient { kind })
}

/// True if the text, or the text that it encodes in base64, contains a secret key or a PEM block.
pub(super) fn holds_secret(text: &str) -> bool {
    let secret = |text: &str| {
        text.contains(PEM_BEGIN)
            || Zeroizing::new(text.to_ascii_uppercase()).contains("AGE-SECRET-KEY-")
    };
    secret(text)
        || BASE64
            .decode(text)
            .map(Zeroizing::new)
            .is_ok_and(|decoded| std::str::from_utf8(&decoded).is_ok_and(secret))
}

fn parse_age(text: &str) -> Option<RecipientKind> {
    if let Ok(key) = text.parse() {
        return Some(RecipientKind::X25519(Box::new(key)));
    }
    if text.starts_with("age1tag1") {
        return text.parse().ok().map(|key| RecipientKind::Tag(Box::new(key)));
    }
    if text.starts_with("age1tagpq1") {
        return text.parse().ok().map(|key| RecipientKind::TagPq(Box::new(key)));
    }
    text.parse().ok().map(RecipientKind::Plugin)
}

/// Reads a recipients file: one recipient per line, with blank lines and `#` comments. As in age(1), an
/// ssh key of a type that is not supported is left out: `left_out` gets its line number and the reason.
/// Errors: class 2, with the line number; also if no recipient remains.
pub fn parse_recipients_file(
    text: &str,
    left_out: &mut dyn FnMut(usize, &str),
) -> Result<Vec<Recipient>> {
    let mut recipients = Vec::new();
    let mut nothing = "the recipients file holds no recipient";
    let text = text.trim_start_matches('\u{feff}');
    for (line, number) in text.lines().map(str::trim).zip(1usize..) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match parse_recipient(line) {
            Ok(recipient) => recipients.push(recipient),
            Err(error) if ssh::is_of_another_kind(line) => {
                left_out(number, &error.what);
                nothing = "the recipients file holds no recipient of a supported kind";
            }
            Err(mut error) => {
                error.what = format!("line {number} of the recipients file: {}", error.what);
                return Err(error);
            }
        }
    }
    if recipients.is_empty() {
        return Err(Error::usage(nothing));
    }
    Ok(recipients)
}
