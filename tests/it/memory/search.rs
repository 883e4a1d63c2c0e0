//! Searching a memory for secrets, in whatever form they may stand there.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use super::stop::Region;

/// So many bytes in a row of any form of a secret are a find: half a key is one too.
const WINDOW: usize = 12;

/// What is looked for.
pub struct Search {
    names: Vec<String>,
    /// Every window of every form, and whose it is.
    windows: HashMap<[u8; WINDOW], (usize, &'static str)>,
    /// The eight bytes at any place of a window, hashed: most of a memory is passed over by these.
    filter: Vec<bool>,
}

/// A find.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hit {
    pub what: String,
    pub form: &'static str,
    pub place: String,
    pub address: u64,
    /// How many windows in a row.
    pub windows: usize,
}

impl Search {
    pub fn of(secrets: impl IntoIterator<Item = (String, Vec<u8>)>) -> Self {
        let mut search =
            Self { names: Vec::new(), windows: HashMap::new(), filter: vec![false; 1 << 22] };
        for (name, secret) in secrets {
            assert!(secret.len() >= WINDOW, "{name} is too short to be looked for");
            for (form, bytes) in forms(&secret) {
                for window in bytes.windows(WINDOW) {
                    let window: [u8; WINDOW] = window.try_into().expect("a window");
                    // A run of one byte is nobody's secret: padding, and cleared memory.
                    if window.iter().all(|byte| *byte == window[0]) {
                        continue;
                    }
                    for eight in window.windows(8) {
                        search.filter[slot(eight)] = true;
                    }
                    search.windows.entry(window).or_insert((search.names.len(), form));
                }
            }
            search.names.push(name);
        }
        search
    }

    /// All that is found, runs of windows as one.
    pub fn hits(&self, memory: &[Region]) -> Vec<Hit> {
        let mut hits: Vec<Hit> = Vec::new();
        for region in memory {
            let mut last = None;
            // Every window begins at one of the four places up to a multiple of four, and has the
            // eight bytes from there in it.
            for at in (0..region.bytes.len().saturating_sub(7)).step_by(4) {
                if !self.filter[slot(&region.bytes[at..at + 8])] {
                    continue;
                }
                for start in at.saturating_sub(3)..=at {
                    let window = region.bytes.get(start..start + WINDOW);
                    let Some((name, form)) = window.and_then(|w| self.windows.get(w)) else {
                        continue;
                    };
                    if last == Some((start.wrapping_sub(1), *name)) {
                        if let Some(hit) = hits.last_mut() {
                            hit.windows += 1;
                        }
                    } else {
                        hits.push(Hit {
                            what: self.names[*name].clone(),
                            form,
                            place: region.name.clone(),
                            address: region.start + start as u64,
                            windows: 1,
                        });
                    }
                    last = Some((start, *name));
                }
            }
        }
        hits
    }
}

/// Where eight bytes stand in the filter.
fn slot(eight: &[u8]) -> usize {
    let mut number = [0; 8];
    number.copy_from_slice(eight);
    (u64::from_le_bytes(number).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 42) as usize
}

/// The secret as it is, in base64 of both alphabets at any alignment, in hexadecimal, in the words of
/// a machine that keeps the most significant first, and in groups of five bits.
fn forms(secret: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let hex = |upper: bool| {
        let digit = |byte: &u8| match upper {
            true => format!("{byte:02X}"),
            false => format!("{byte:02x}"),
        };
        secret.iter().map(digit).collect::<String>().into_bytes()
    };
    let mut forms = vec![
        ("raw", secret.to_vec()),
        ("hex", hex(false)),
        ("HEX", hex(true)),
        ("reversed", secret.iter().rev().copied().collect()),
    ];
    for skip in 0..3 {
        let tail = &secret[skip.min(secret.len())..];
        // The last characters depend on what follows.
        let whole = &tail[..tail.len() / 3 * 3];
        forms.push(("base64", STANDARD_NO_PAD.encode(whole).into_bytes()));
        forms.push(("base64url", URL_SAFE_NO_PAD.encode(whole).into_bytes()));
    }
    let mut fives = Vec::new();
    let (mut held, mut bits) = (0u32, 0);
    for byte in secret {
        held = (held << 8 | u32::from(*byte)) & 0xfff;
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            fives.push((held >> bits & 31) as u8);
        }
    }
    forms.push(("in fives", fives));
    for word in [4, 8] {
        let swapped = secret.chunks(word).flat_map(|word| word.iter().rev().copied());
        forms.push(("in words", swapped.collect()));
    }
    forms.retain(|(_, bytes)| bytes.len() >= WINDOW);
    forms
}

#[test]
fn a_planted_secret_is_found_in_every_form_and_by_half() {
    let secret: Vec<u8> = (0..32u8).map(|n| n.wrapping_mul(37).wrapping_add(11)).collect();
    let search = Search::of([("planted".to_owned(), secret.clone())]);
    let found = |bytes: Vec<u8>| {
        let name = "[heap]".to_owned();
        let mut all = vec![7; 41];
        all.extend(bytes);
        all.extend([7; 41]);
        search.hits(&[Region { name, start: 0x1000, bytes: all }]).len()
    };
    for (form, bytes) in forms(&secret) {
        assert!(found(bytes.clone()) > 0, "{form}");
        assert!(found(bytes[bytes.len() / 2..].to_vec()) > 0, "half of {form}");
    }
    for place in 0..8 {
        let shifted = [&[7; 8][..place], &secret[..WINDOW]].concat();
        assert_eq!(found(shifted), 1, "a window {place} bytes further");
    }
    for before in 0..3 {
        let text = [&[b'x'; 2][..before], &secret, b"yz"].concat();
        assert!(found(STANDARD_NO_PAD.encode(text).into_bytes()) > 0, "base64 after {before}");
    }
    assert_eq!(found(secret[..WINDOW - 1].to_vec()), 0);
}
