//! The grammar of an age v1 file, checked before any parser of age sees the file.
//!
//! <https://c2sp.org/age>, "Encrypted file format". There are three reasons for a check of our own: age
//! 0.12 parses a header in quadratic time (300 KB took 41 s); it accepts a stanza whose empty last line is
//! missing, which age for Go refuses; and the cost of a slot must be known before a key is derived. The
//! check is one pass over the header, at most 16 KiB whatever the file's length, and allocates nothing by
//! a number in the file.

use super::slot::{self, Slot};
use super::stanza::{COLUMNS, PAYLOAD_MIN, STANZA, canonical_base64, vchars};
use super::{FILE_LIMIT, HEADER_LIMIT, STANZA_LIMIT, armor};
use crate::error::{Error, Result};

/// The first line up to the version.
const MAGIC: &[u8] = b"age-encryption.org/";
/// The only version.
const VERSION: &[u8] = b"v1";
/// The prefix of the header's last line.
const MAC: &[u8] = b"--- ";
/// The header's HMAC-SHA256, 32 bytes in base64.
const MAC_COLUMNS: usize = 43;
/// age's passphrase encryption: the stanza is the only one of a header, and its cost is not limited here.
const SCRYPT: &str = "scrypt";
/// The stanza type of age's native keys.
const X25519: &str = "X25519";
/// Base64 characters of 32 bytes: an ephemeral share, or a wrapped file key with its tag.
const SHARE_COLUMNS: usize = 43;

/// A file that follows the grammar and is within the limits. Nothing in it is authenticated yet.
pub struct Scanned {
    pub armored: bool,
    /// The passphrase slots, in the order of the header. Their costs are within the limits.
    pub slots: Vec<Slot>,
    /// The type names of all stanzas, in the order of the header.
    pub stanzas: Vec<String>,
    /// Type and tag of each ssh stanza, as in the header.
    pub(super) ssh: Vec<String>,
    pub(super) body: Vec<u8>,
}

impl Scanned {
    /// The names of the passphrase slots.
    pub fn slot_names(&self) -> Vec<String> {
        self.slots.iter().map(Slot::name).collect()
    }
}

impl std::fmt::Debug for Scanned {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scanned")
            .field("armored", &self.armored)
            .field("stanzas", &self.stanzas)
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// Checks the whole file against the C2SP age v1 grammar and the limits.
/// Errors: class 5 if it is not an age file, is cut short, or has a malformed passphrase slot; class 6 if
/// the file, its header, the number of stanzas or the cost of a slot is over the limits.
pub fn scan(file: &[u8]) -> Result<Scanned> {
    if file.len() as u64 > FILE_LIMIT {
        return Err(Error::refused("the vault file is larger than 2 MiB"));
    }
    if file.is_empty() {
        return Err(Error::damaged("the vault file is empty"));
    }
    let armored = armor::is_armored(file);
    let body = if armored {
        armor::decode(file).ok_or_else(|| {
            Error::damaged("the vault file's armor is damaged")
                .hint("text or blanks were added before, in or after it; restore a copy")
        })?
    } else {
        file.to_vec()
    };
    scan_binary(body, armored)
}

/// Checks the header, line by line.
fn scan_binary(body: Vec<u8>, armored: bool) -> Result<Scanned> {
    let mut lines = Lines { rest: &body, left: HEADER_LIMIT };
    lines.version()?;
    let mut slots = Vec::new();
    let mut stanzas = Vec::new();
    let mut ssh = Vec::new();
    loop {
        let line = lines.next()?;
        if let Some(mac) = line.strip_prefix(MAC) {
            if stanzas.is_empty() || mac.len() != MAC_COLUMNS || !canonical_base64(mac) {
                return Err(malformed());
            }
            break;
        }
        let arguments = line.strip_prefix(STANZA).ok_or_else(malformed)?;
        if stanzas.len() == STANZA_LIMIT {
            return Err(Error::refused("the vault's header has more than 32 stanzas"));
        }
        if !arguments.split(|&b| b == b' ').all(vchars) {
            return Err(malformed());
        }
        let arguments = std::str::from_utf8(arguments).map_err(|_| malformed())?;
        let body = lines.body()?;

        let kind = arguments.split(' ').next().unwrap_or_default();
        if kind == SCRYPT {
            return Err(Error::damaged(
                "the file is encrypted with a passphrase by age itself, so it is not a vault",
            ));
        }
        if kind == X25519 && !is_x25519(arguments, &body) {
            return Err(malformed());
        }
        if kind == slot::KIND {
            slots.push(Slot::from_stanza(arguments, &body)?);
        }
        if kind.starts_with("ssh-") {
            ssh.push(arguments.split(' ').take(2).collect::<Vec<_>>().join(" "));
        }
        stanzas.push(kind.to_owned());
    }
    slot::check_together(&slots)?;

    if lines.rest.len() < PAYLOAD_MIN {
        return Err(truncated());
    }
    Ok(Scanned { armored, slots, stanzas, ssh, body })
}

/// The lines of the header, each ended by LF, all together at most [`HEADER_LIMIT`].
struct Lines<'a> {
    rest: &'a [u8],
    left: usize,
}

impl<'a> Lines<'a> {
    /// Checks the first line of the file.
    fn version(&mut self) -> Result<()> {
        if !self.rest.starts_with(MAGIC) {
            // A file that ends within the first words is an age file that was cut short.
            return Err(if MAGIC.starts_with(self.rest) { truncated() } else { not_age() });
        }
        match self.next()?.strip_prefix(MAGIC) {
            Some(VERSION) => Ok(()),
            Some(version) if vchars(version) => {
                Err(Error::damaged("the file has another version of the age format than v1"))
            }
            _ => Err(not_age()),
        }
    }

    /// The base64 lines of a stanza's body, joined.
    fn body(&mut self) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = self.next()?;
            if line.len() > COLUMNS || !canonical_base64(line) {
                return Err(malformed());
            }
            body.extend_from_slice(line);
            if line.len() < COLUMNS {
                return Ok(body);
            }
        }
    }

    fn next(&mut self) -> Result<&'a [u8]> {
        let window = self.rest.get(..self.left).unwrap_or(self.rest);
        let Some(end) = window.iter().position(|&b| b == b'\n') else {
            return Err(if self.rest.len() > self.left {
                Error::refused("the vault's header is larger than 16 KiB")
            } else {
                truncated()
            });
        };
        let (line, rest) = self.rest.split_at(end);
        self.rest = rest.get(1..).unwrap_or_default();
        self.left -= end + 1;
        Ok(line)
    }
}

/// True for one share and one wrapped file key. Every stanza is checked, also those that no key is tried
/// on: whether a file is valid must not depend on the key.
fn is_x25519(arguments: &str, body: &[u8]) -> bool {
    let share = arguments.strip_prefix(X25519).and_then(|rest| rest.strip_prefix(' '));
    body.len() == SHARE_COLUMNS
        && share
            .is_some_and(|share| share.len() == SHARE_COLUMNS && canonical_base64(share.as_bytes()))
}

fn not_age() -> Error {
    Error::damaged("the file is not a vault: it is not an age file")
}

fn malformed() -> Error {
    Error::damaged("the vault's header is damaged")
}

fn truncated() -> Error {
    Error::damaged("the vault file is cut short")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Class;

    /// A file of these header lines. The MAC is wrong, which the grammar does not check.
    fn file(stanzas: &str) -> Vec<u8> {
        let mut file = format!("age-encryption.org/v1\n{stanzas}--- {}\n", "A".repeat(43));
        file.push_str(&"p".repeat(PAYLOAD_MIN));
        file.into_bytes()
    }

    fn class(file: &[u8]) -> Class {
        scan(file).unwrap_err().class
    }

    #[test]
    fn a_file_that_follows_the_grammar_is_accepted() {
        let full = "a".repeat(64);
        let scanned = scan(&file(&format!("-> a\n\n-> b ~ !\n{full}\n\n-> c\nAA\n"))).unwrap();
        assert_eq!(scanned.stanzas, ["a", "b", "c"]);
        assert!(!scanned.armored);
        assert!(scan(&armor::encode(&file("-> a\n\n"))).unwrap().armored);
    }

    #[test]
    fn a_file_that_breaks_the_grammar_is_damaged() {
        let full = "a".repeat(64);
        for bad in [
            String::new(),
            "-> a\n".to_owned(),
            "->a\n\n".to_owned(),
            "-> \n\n".to_owned(),
            "-> a  b\n\n".to_owned(),
            "-> a \n\n".to_owned(),
            "-> a\u{e9}\n\n".to_owned(),
            "-> a\r\n\n".to_owned(),
            "-> a\n\n\n".to_owned(),
            "-> a\nA\n".to_owned(),
            "-> a\nAB\n".to_owned(),
            "-> a\nAA==\n".to_owned(),
            "-> a\nAA\nAA\n".to_owned(),
            "-> a\n-_\n".to_owned(),
            format!("-> a\n{full}\n-> b\n\n"),
            format!("-> a\n{full}a\n\n"),
        ] {
            assert_eq!(class(&file(&bad)), Class::Damaged, "{bad:?}");
        }
    }

    #[test]
    fn a_scrypt_file_is_not_a_vault() {
        let error = scan(&file("-> scrypt AAAAAAAAAAAAAAAAAAAAAA 18\nAA\n")).unwrap_err();
        assert_eq!(error.class, Class::Damaged);
        assert!(error.what.contains("passphrase"));
    }

    #[test]
    fn other_files_other_versions_and_truncated_files_have_their_own_errors() {
        assert!(scan(b"hello\n").unwrap_err().what.contains("not an age file"));
        assert!(scan(b"age-encryption.org/v2\n").unwrap_err().what.contains("version"));
        assert!(scan(b"age-enc").unwrap_err().what.contains("cut"));
        assert!(scan(b"").unwrap_err().what.contains("empty"));
        let whole = file("-> a\n\n");
        for len in 1..whole.len() {
            assert_eq!(class(&whole[..len]), Class::Damaged, "{len}");
        }
    }

    #[test]
    fn limits_are_exact_and_refused() {
        let stanzas = "-> a\n\n".repeat(STANZA_LIMIT);
        assert_eq!(scan(&file(&stanzas)).unwrap().stanzas.len(), STANZA_LIMIT);
        assert_eq!(class(&file(&format!("{stanzas}-> a\n\n"))), Class::Refused);

        let frame = file("-> \n\n").len() - PAYLOAD_MIN;
        let longest = format!("-> {}\n\n", "x".repeat(HEADER_LIMIT - frame));
        assert!(scan(&file(&longest)).is_ok());
        let too_long = format!("-> {}\n\n", "x".repeat(HEADER_LIMIT - frame + 1));
        assert_eq!(class(&file(&too_long)), Class::Refused);

        let mut large = file("-> a\n\n");
        large.resize(FILE_LIMIT as usize, 0);
        assert!(scan(&large).is_ok());
        large.push(0);
        assert_eq!(class(&large), Class::Refused);
    }

    #[test]
    fn a_header_over_the_limits_is_refused_quickly() {
        // 2 MiB of stanzas: the check ends at the limits, long before the end of the file.
        let hostile = file(&"-> a\nAA\n".repeat(200_000));
        let started = std::time::Instant::now();
        assert_eq!(class(&hostile), Class::Refused);
        assert!(started.elapsed().as_secs() < 5);
    }
}
