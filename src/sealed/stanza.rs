//! Parts of age's grammar (<https://c2sp.org/age>) that the header, the plugin protocol and
//! passphrase-protected files share.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;

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

/// True for standard base64 without padding, whose unused trailing bits are zero.
pub(super) fn canonical_base64(text: &[u8]) -> bool {
    STANDARD_NO_PAD.decode(text).is_ok()
}
