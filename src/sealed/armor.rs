//! The armor: base64 between two marker lines, for those who want the vault as text.
//!
//! <https://c2sp.org/age#ascii-armor>. Readers of age forgive some of what people do to a text
//! (CRLF, surrounding blanks). A vault is written by this program alone, so one file has one
//! spelling: what is read must be what [`encode`] would write.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The first line, as the specification writes it.
const BEGIN: &str = "-----BEGIN AGE ENCRYPTED FILE-----\n";
/// The last line.
const END: &str = "-----END AGE ENCRYPTED FILE-----\n";
/// How every armored file starts, whatever ends its first line.
const MARK: &[u8] = b"-----BEGIN AGE ENCRYPTED FILE-----";
/// Base64 characters in a line; only the last line may have fewer.
const COLUMNS: usize = 64;

/// True if the file means to be armored; whether it is, [`decode`] says.
pub(super) fn is_armored(file: &[u8]) -> bool {
    file.trim_ascii_start().starts_with(MARK)
}

/// The binary file as text.
pub(super) fn encode(binary: &[u8]) -> Vec<u8> {
    let encoded = STANDARD.encode(binary);
    let lines = encoded.len().div_ceil(COLUMNS);
    let mut text = Vec::with_capacity(BEGIN.len() + encoded.len() + lines + END.len());
    text.extend_from_slice(BEGIN.as_bytes());
    for line in encoded.as_bytes().chunks(COLUMNS) {
        text.extend_from_slice(line);
        text.push(b'\n');
    }
    text.extend_from_slice(END.as_bytes());
    text
}

/// The binary file of an armored one, if the text is exactly what [`encode`] writes for it.
pub(super) fn decode(file: &[u8]) -> Option<Vec<u8>> {
    let inner = file.strip_prefix(BEGIN.as_bytes())?.strip_suffix(END.as_bytes())?;
    let base64: Vec<u8> = inner.iter().copied().filter(|&b| b != b'\n').collect();
    let binary = STANDARD.decode(base64).ok()?;
    (encode(&binary) == file).then_some(binary)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn every_length_comes_back_and_is_spelled_as_age_spells_it() {
        for len in 0..200usize {
            let binary: Vec<u8> = (0..len).map(|i| (i * 7) as u8).collect();
            let text = encode(&binary);
            assert_eq!(decode(&text).as_deref(), Some(&binary[..]));

            let mut theirs = Vec::new();
            let mut writer =
                age::armor::ArmoredWriter::wrap_output(&mut theirs, age::armor::Format::AsciiArmor)
                    .unwrap();
            writer.write_all(&binary).unwrap();
            writer.finish().unwrap();
            if len > 0 {
                assert_eq!(text, theirs, "length {len}");
            }
        }
    }

    #[test]
    fn another_spelling_is_refused() {
        let text = String::from_utf8(encode(&[7u8; 100])).unwrap();
        assert!(decode(text.as_bytes()).is_some());
        for other in [
            text.replace('\n', "\r\n"),
            text.trim_end().to_owned(),
            format!("{text}\n"),
            format!(" {text}"),
            text.replace("-----END", "\n-----END"),
            text.replacen("BwcH", "Bwc\nH", 1),
            text.replace("==", ""),
            text.replace("Bw==", "Bx=="),
        ] {
            assert_ne!(other, text);
            assert!(decode(other.as_bytes()).is_none(), "{other}");
        }
    }
}
