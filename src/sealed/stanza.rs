//! Parts of age's grammar (<https://c2sp.org/age>) that the header, the plugin protocol and
//! passphrase-protected files share.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use zeroize::Zeroizing;

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

/// True for standard base64 without padding, of one line at most, whose unused trailing bits are zero. A line
/// may be a key.
pub(super) fn canonical_base64(text: &[u8]) -> bool {
    let mut decoded = Zeroizing::new([0; COLUMNS / 4 * 3]);
    STANDARD_NO_PAD.decode_slice(text, &mut *decoded).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_canonical_in_one_way_only() {
        for length in 0..=COLUMNS {
            let text = vec![b'A'; length];
            assert_eq!(canonical_base64(&text), length % 4 != 1, "{length}");
        }
        for (text, canonical) in [
            ("AQ", true),
            ("AB", false),
            ("AAE", true),
            ("AAB", false),
            ("AA==", false),
            ("A-", false),
        ] {
            assert_eq!(canonical_base64(text.as_bytes()), canonical, "{text}");
        }
        assert!(!canonical_base64(&[b'A'; COLUMNS + 4]), "more than a line");
    }
}
