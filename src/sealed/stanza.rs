//! Parts of age's grammar (<https://c2sp.org/age>) that the header, the plugin protocol and
//! passphrase-protected files share.

/// The prefix of a stanza.
pub(super) const STANZA: &[u8] = b"-> ";
/// Base64 characters in a full body line; the last line of a body is shorter, perhaps empty.
pub(super) const COLUMNS: usize = 64;
/// The least bytes of a payload: a nonce and the tag of one chunk.
pub(super) const PAYLOAD_MIN: usize = 16 + 16;

/// One or more `VCHAR`: an "arbitrary string" of the specification.
pub(super) fn vchars(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|b| matches!(b, 0x21..=0x7e))
}

/// The value of a character of standard base64.
fn sextet(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

/// True for standard base64 without padding, whose unused trailing bits are zero.
pub(super) fn canonical_base64(text: &[u8]) -> bool {
    let unused = match text.len() % 4 {
        0 => 0,
        2 => 0b1111,
        3 => 0b11,
        _ => return false,
    };
    let last = text.last().and_then(|&b| sextet(b)).unwrap_or(0);
    text.iter().all(|&b| sextet(b).is_some()) && last & unused == 0
}
