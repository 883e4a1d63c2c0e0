//! Identity files as they arrive: what CI systems, env files, editors and shells do to the text.
//!
//! A key is carried in a variable or a form field as often as in a file, and on the way its newlines
//! become blanks or `\n`, its base64 is wrapped, its encoding changes. No key has a blank, a quote, a
//! comma or a backslash in it, and each kind begins with a mark of its own, so where one begins and ends
//! is not in doubt.

use base64::Engine;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use zeroize::Zeroizing;

use crate::secret::Secret;

/// What begins a key of age's own, of any kind.
pub(super) const SECRET_KEY: &str = "AGE-SECRET-KEY-";
/// What begins a plugin's identity.
pub(super) const PLUGIN: &str = "AGE-PLUGIN-";
/// What begins a key in PEM.
pub(super) const PEM_BEGIN: &str = "-----BEGIN ";
/// What begins what is no base64, though it may have the letters of it.
const PLAIN: [&str; 5] = ["AGE-", "AGE1", "SSH-", "ECDSA-", "SK-"];
/// What begins an age file.
pub(super) const AGE_FILE: &str = "age-encryption.org/";
/// What begins the binary form of an OpenSSH key.
const OPENSSH: &[u8] = b"openssh-key-v1\0";
/// Characters in a line of PEM.
const COLUMNS: usize = 64;
/// Standard base64, padded or not: CI systems and people strip the padding.
pub(super) const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// What was carried.
pub(super) enum Carried {
    /// An identity file; the second is true if it came in base64.
    Text(Zeroizing<String>, bool),
    /// An age file, in which there may be one.
    AgeFile(Vec<u8>),
}

/// Takes off what the way has put around an identity file.
pub(super) fn carried(given: &str) -> Carried {
    let (mut text, mut decoded) = (lines(given), false);
    // Twice: in a Kubernetes manifest people encode what is encoded already.
    for _ in 0..2 {
        if text.starts_with(AGE_FILE) {
            return Carried::AgeFile(text.as_bytes().to_vec());
        }
        let Some(bytes) = decode(&text) else { break };
        if bytes.starts_with(AGE_FILE.as_bytes()) {
            return Carried::AgeFile(bytes.to_vec());
        }
        if bytes.starts_with(OPENSSH) {
            return Carried::Text(pem("OPENSSH PRIVATE KEY", &text), false);
        }
        match Secret::from_text(&bytes).map(|inner| lines(inner.expose())) {
            Some(inner) if !inner.is_empty() => (text, decoded) = (inner, true),
            _ => break,
        }
    }
    Carried::Text(text, decoded)
}

/// The text without what surrounds it, its newlines restored where they were written in another way.
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

/// The bytes, if the text is base64 of either alphabet, wrapped in any way; several of them are taken
/// for as many lines. Of one that was cut, what is left.
fn decode(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    if PLAIN.iter().any(|mark| begins(text, mark)) {
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

/// A key in PEM as ssh-keygen and age write it.
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

/// What stands between keys, and around them: blanks, quotes of any kind, and what does not show.
fn is_separator(c: char) -> bool {
    c.is_whitespace()
        || c.is_control()
        || matches!(c, ',' | ';' | '"' | '\'' | '`' | '\u{feff}')
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2018}'..='\u{201f}' | '\u{2060}')
}

/// True if the text begins with this mark, in capitals or not.
pub(super) fn begins(text: &str, mark: &str) -> bool {
    text.get(..mark.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(mark))
}

/// A part of an identity file that is no comment.
pub(super) enum Piece<'a> {
    /// What stands between blanks: a key, or something else.
    Word(&'a str),
    /// A key in PEM: its label and what is in it.
    Pem(&'a str, &'a str),
    /// The beginning of one that does not end.
    Cut,
    /// A key of PuTTY's, to the end of the text.
    Putty,
}

/// The parts of an identity file, each with the number of its line.
///
/// A comment goes to the end of its line. Where the whole file has come to stand in one line, it goes to
/// the next key; but a key right behind the `#` was put out of use.
pub(super) struct Pieces<'a> {
    rest: &'a str,
    line: usize,
    in_one_line: bool,
    /// True once a key was met that is part of a comment.
    pub(super) commented: bool,
}

impl<'a> Pieces<'a> {
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

    /// The length of what comes next, to a separator, a comment or the next key.
    fn word(&self) -> usize {
        let ends = |c| c == '#' || is_separator(c);
        let end = self.rest.find(ends).unwrap_or(self.rest.len());
        (1..end).find(|at| self.is_key(*at)).unwrap_or(end)
    }

    fn is_key(&self, at: usize) -> bool {
        let rest = self.rest.get(at..).unwrap_or_default();
        [SECRET_KEY, PLUGIN, PEM_BEGIN].iter().any(|mark| begins(rest, mark))
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

    fn pem(&mut self) -> Piece<'a> {
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
            return Piece::Cut;
        };
        self.take(self.rest.len() - left);
        Piece::Pem(label, body)
    }
}

impl<'a> Iterator for Pieces<'a> {
    type Item = (usize, Piece<'a>);

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
            Some((line, Piece::Putty))
        } else {
            Some((line, Piece::Word(self.take(self.word()))))
        }
    }
}

/// Decodes the base64 lines of a PEM body.
pub(super) fn pem_body(lines: &str) -> Option<Zeroizing<Vec<u8>>> {
    let mut joined = Zeroizing::new(String::with_capacity(lines.len()));
    lines.lines().for_each(|line| joined.push_str(line));
    STANDARD.decode(joined.as_bytes()).ok().map(Zeroizing::new)
}
