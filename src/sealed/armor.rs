//! ASCII armor: the vault as base64 between two marker lines (<https://c2sp.org/age#ascii-armor>).
//!
//! Text transports change line endings, so these are accepted as in age(1): a line may end with LF or
//! CRLF, the last one with nothing, and white space may follow. Everything else must be exactly what
//! [`encode`] writes.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The first line, as the specification writes it.
const BEGIN: &str = "-----BEGIN AGE ENCRYPTED FILE-----\n";
/// The last line.
const END: &str = "-----END AGE ENCRYPTED FILE-----\n";
/// The first line without its line ending.
const MARK: &[u8] = b"-----BEGIN AGE ENCRYPTED FILE-----";
/// Base64 characters in a line; only the last line may have fewer.
const COLUMNS: usize = 64;
/// The most bytes of white space that age(1) accepts after the last line.
const AFTER_LIMIT: usize = 1023;
/// The bytes that count as white space there.
const WHITE_SPACE: &[u8] = b" \t\n\x0b\x0c\r";

/// True if the file begins as an armored one; [`decode`] checks whether it is valid.
pub(super) fn is_armored(file: &[u8]) -> bool {
    file.trim_ascii_start().starts_with(MARK)
}

/// The armored form of a binary file.
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

/// The binary form of an armored file; `None` if the text differs from what [`encode`] writes by more
/// than its line endings and the white space after it.
pub(super) fn decode(file: &[u8]) -> Option<Vec<u8>> {
    let length = file.iter().rposition(|b| !WHITE_SPACE.contains(b))? + 1;
    let (armor, after) = file.split_at(length);
    let after = match after {
        [] | [b'\r'] => &[],
        [b'\n', after @ ..] | [b'\r', b'\n', after @ ..] => after,
        // White space within the last line.
        _ => return None,
    };
    if after.len() > AFTER_LIMIT {
        return None;
    }
    let is_kept = |at: usize| armor[at] != b'\r' || armor.get(at + 1) != Some(&b'\n');
    let mut text: Vec<u8> = (0..length).filter(|&at| is_kept(at)).map(|at| armor[at]).collect();
    text.push(b'\n');
    let inner = text.strip_prefix(BEGIN.as_bytes())?.strip_suffix(END.as_bytes())?;
    let base64: Vec<u8> = inner.iter().copied().filter(|&b| b != b'\n').collect();
    let binary = STANDARD.decode(base64).ok()?;
    (encode(&binary) == text).then_some(binary)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn every_length_is_encoded_as_by_age_and_decoded() {
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
    fn other_line_endings_are_accepted() {
        let text = String::from_utf8(encode(&[7u8; 100])).unwrap();
        let crlf = text.replace('\n', "\r\n");
        for carried in [
            text.clone(),
            crlf.clone(),
            // Mixed line endings.
            text.replacen('\n', "\r\n", 2),
            text.trim_end().to_owned(),
            crlf.trim_end().to_owned(),
            format!("{}\r", crlf.trim_end()),
            format!("{text}\n"),
            format!("{crlf}\r\n"),
            format!("{text} \t\r\n\n\x0b\x0c "),
            format!("{text}{}\n", "\r\n".repeat(511)),
            format!("{text}{}", "\n".repeat(1023)),
        ] {
            assert_eq!(decode(carried.as_bytes()).as_deref(), Some(&[7u8; 100][..]), "{carried:?}");
        }
    }

    #[test]
    fn another_spelling_is_refused() {
        let text = String::from_utf8(encode(&[7u8; 100])).unwrap();
        assert!(decode(text.as_bytes()).is_some());
        for other in [
            text.replace('\n', "\r"),
            text.replace('\n', "\r\r\n"),
            text.replace('\n', " \n"),
            format!("{} ", text.trim_end()),
            format!("{} \n", text.trim_end()),
            format!("{text}{}", "\n".repeat(1024)),
            format!("{text}{}", "\r\n".repeat(512)),
            format!("{}\r\r\n", text.trim_end()),
            format!("{text}\0"),
            format!("{text}x"),
            format!("{text}{text}"),
            format!("\n{text}"),
            format!("\u{feff}{text}"),
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
