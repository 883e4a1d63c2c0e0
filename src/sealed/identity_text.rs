//! The text of an identity file: the changes that CI systems, env files, editors and shells make to it
//! are undone, and its entries are separated.
//!
//! Keys are stored in variables and form fields as often as in files. There newlines become blanks or
//! `\n`, base64 is wrapped, the encoding changes. No key contains a blank, a quote, a comma or a backslash,
//! and each kind has its own prefix, so where a key begins and ends is not ambiguous.

use base64::Engine;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use zeroize::Zeroizing;

use crate::secret::Secret;

/// The prefix of age's native secret keys.
pub(super) const SECRET_KEY: &str = "AGE-SECRET-KEY-";
/// The prefix of a plugin's identity.
pub(super) const PLUGIN: &str = "AGE-PLUGIN-";
/// The prefix of a PEM block.
pub(super) const PEM_BEGIN: &str = "-----BEGIN ";
/// Prefixes of text that is not base64, although it may consist of the same characters.
const PLAIN: [&str; 5] = ["AGE-", "AGE1", "SSH-", "ECDSA-", "SK-"];
/// The prefix of an age file.
pub(super) const AGE_FILE: &str = "age-encryption.org/";
/// The prefix of the binary form of an OpenSSH private key.
const OPENSSH: &[u8] = b"openssh-key-v1\0";
/// Characters in a line of PEM.
const COLUMNS: usize = 64;
/// Standard base64 with or without padding, which CI systems and people strip.
pub(super) const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// An identity file as it was meant.
pub(super) enum Normalized {
    /// The text of the file; true if it was in base64.
    Text(Zeroizing<String>, bool),
    /// A passphrase-protected file, which may hold one.
    AgeFile(Vec<u8>),
}

/// Undoes the changes that transports make to an identity file.
pub(super) fn normalize(given: &str) -> Normalized {
    let (mut text, mut decoded) = (lines(given), false);
    // Twice: in Kubernetes manifests, people encode text that is base64 already.
    for _ in 0..2 {
        if text.starts_with(AGE_FILE) {
            return Normalized::AgeFile(text.as_bytes().to_vec());
        }
        let Some(bytes) = decode(&text) else { break };
        if bytes.starts_with(AGE_FILE.as_bytes()) {
            return Normalized::AgeFile(bytes.to_vec());
        }
        if bytes.starts_with(OPENSSH) {
            return Normalized::Text(pem("OPENSSH PRIVATE KEY", &text), false);
        }
        match Secret::from_text(&bytes).map(|inner| lines(inner.expose())) {
            Some(inner) if !inner.is_empty() => (text, decoded) = (inner, true),
            _ => break,
        }
    }
    Normalized::Text(text, decoded)
}

/// The trimmed text, with newlines in place of `\n` and carriage returns if it is one line.
fn lines(given: &str) -> Zeroizing<String> {
    let text = given.trim_matches(is_separator);
    let mut lines = Zeroizing::new(String::with_capacity(text.len()));
    if text.contains('\n') {
        lines.push_str(text);
        return lines;
    }
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '\\' {
            while chars.next_if_eq(&'\\').is_some() {}
            if chars.next_if(|c| matches!(c, 'n' | 'r' | 't')).is_some() {
                lines.push('\n');
                continue;
            }
            if matches!(chars.peek(), None | Some('"' | '\'')) {
                continue;
            }
        }
        lines.push(if c == '\r' { '\n' } else { c });
    }
    lines
}

/// The decoded bytes, if the text is base64 of either alphabet, wrapped in any way. Several padded texts
/// become as many lines; of a truncated one, the whole bytes are decoded.
fn decode(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    if PLAIN.iter().any(|prefix| begins(text, prefix)) {
        return None;
    }
    let mut packed = Zeroizing::new(String::with_capacity(text.len()));
    for c in text.chars().filter(|c| !is_separator(*c)) {
        match c {
            '-' => packed.push('+'),
            '_' => packed.push('/'),
            'A'..='Z' | 'a'..='z' | '0'..='9' | '+' | '/' | '=' => packed.push(c),
            _ => return None,
        }
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(packed.len()));
    for part in packed.split('=').filter(|part| !part.is_empty()) {
        if !bytes.is_empty() {
            bytes.push(b'\n');
        }
        let whole = if part.len() % 4 == 1 { part.len() - 1 } else { part.len() };
        BASE64.decode_vec(part.get(..whole)?, &mut bytes).ok()?;
    }
    Some(bytes)
}

/// A PEM block with the line length that ssh-keygen and age use.
pub(super) fn pem(label: &str, body: &str) -> Zeroizing<String> {
    let mut pem = Zeroizing::new(String::with_capacity(2 * body.len() + 128));
    pem.push_str(&format!("{PEM_BEGIN}{label}-----\n"));
    for (at, c) in body.chars().filter(|c| !is_separator(*c)).enumerate() {
        if at > 0 && at % COLUMNS == 0 {
            pem.push('\n');
        }
        pem.push(c);
    }
    pem.push_str(&format!("\n-----END {label}-----\n"));
    pem
}

/// The characters between and around keys: blanks, quotes, and invisible characters.
fn is_separator(c: char) -> bool {
    c.is_whitespace()
        || c.is_control()
        || matches!(c, ',' | ';' | '"' | '\'' | '`' | '\u{feff}')
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2018}'..='\u{201f}' | '\u{2060}')
}

/// True if the text begins with this prefix, in either case.
pub(super) fn begins(text: &str, prefix: &str) -> bool {
    text.get(..prefix.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(prefix))
}

/// An entry of an identity file.
pub(super) enum Entry<'a> {
    /// A word between separators: a key, or anything else.
    Word(&'a str),
    /// A PEM block: its label and its body.
    Pem(&'a str, &'a str),
    /// A PEM block without an end.
    Truncated,
    /// A PuTTY key, which extends to the end of the text.
    Putty,
}

/// The entries of an identity file, each with its line number; comments are skipped.
///
/// A comment ends with its line. If the whole file has become one line, a comment ends at the next key;
/// but a key directly after the `#` is commented out.
pub(super) struct Entries<'a> {
    rest: &'a str,
    line: usize,
    in_one_line: bool,
    /// True if a key was found in a comment.
    pub(super) commented: bool,
}

impl<'a> Entries<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        Self { rest: text, line: 1, in_one_line: !text.contains('\n'), commented: false }
    }

    fn take(&mut self, length: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at_checked(length).unwrap_or((self.rest, ""));
        self.rest = rest;
        self.line += taken.matches('\n').count();
        taken
    }

    fn skip(&mut self, is_skipped: impl Fn(char) -> bool) {
        self.take(self.rest.find(|c| !is_skipped(c)).unwrap_or(self.rest.len()));
    }

    /// The length of the next word: to a separator, a comment or the next key.
    fn word(&self) -> usize {
        let ends = |c| c == '#' || is_separator(c);
        let end = self.rest.find(ends).unwrap_or(self.rest.len());
        (1..end).find(|at| self.is_key(*at)).unwrap_or(end)
    }

    fn is_key(&self, at: usize) -> bool {
        let rest = self.rest.get(at..).unwrap_or_default();
        [SECRET_KEY, PLUGIN, PEM_BEGIN].iter().any(|prefix| begins(rest, prefix))
    }

    fn skip_comment(&mut self) {
        if !self.in_one_line {
            let end = self.rest.find('\n').unwrap_or(self.rest.len());
            self.commented |= self.rest.get(..end).is_some_and(|line| line.contains(SECRET_KEY));
            self.take(end);
            return;
        }
        self.skip(|c| c == '#' || is_separator(c));
        if self.is_key(0) {
            self.commented = true;
            self.take(self.word());
        }
        loop {
            self.skip(is_separator);
            if self.rest.is_empty() || self.rest.starts_with('#') || self.is_key(0) {
                return;
            }
            self.take(self.word());
        }
    }

    fn pem(&mut self) -> Entry<'a> {
        let inner = self.rest.get(PEM_BEGIN.len()..).unwrap_or_default();
        let is_label = |label: &&str| {
            label.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b' ')
        };
        let found = inner.split_once("-----").filter(|(label, _)| is_label(label));
        let found = found.and_then(|(label, body)| {
            let end = format!("-----END {label}-----");
            body.split_once(&end).map(|(body, rest)| (label, body, rest.len()))
        });
        let Some((label, body, left)) = found else {
            self.take(self.rest.len());
            return Entry::Truncated;
        };
        self.take(self.rest.len() - left);
        Entry::Pem(label, body)
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = (usize, Entry<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            self.skip(is_separator);
            if !self.rest.starts_with('#') {
                break;
            }
            self.skip_comment();
        }
        let line = self.line;
        if self.rest.is_empty() {
            None
        } else if begins(self.rest, PEM_BEGIN) {
            Some((line, self.pem()))
        } else if self.rest.starts_with("PuTTY-User-Key-File-") {
            self.take(self.rest.len());
            Some((line, Entry::Putty))
        } else {
            Some((line, Entry::Word(self.take(self.word()))))
        }
    }
}

/// Decodes the base64 lines of a PEM body.
pub(super) fn pem_body(lines: &str) -> Option<Zeroizing<Vec<u8>>> {
    let mut joined = Zeroizing::new(String::with_capacity(lines.len()));
    lines.lines().for_each(|line| joined.push_str(line));
    STANDARD.decode(joined.as_bytes()).ok().map(Zeroizing::new)
}
