//! Just enough of zlib (RFC 1950, 1951) to unpack a test vector; the checksum is not looked at,
//! since each vector says what must come of it. It panics on bad input: the vectors are ours.

/// The bytes of a zlib stream.
pub fn inflate(zlib: &[u8]) -> Vec<u8> {
    let mut bits = Bits { bytes: &zlib[2..], at: 0 };
    let mut out = Vec::new();
    loop {
        let last = bits.take(1) == 1;
        match bits.take(2) {
            0 => stored(&mut bits, &mut out),
            1 => compressed(&mut bits, &mut out, &Code::fixed(), &Code::new(&[5; 30])),
            2 => {
                let (literals, distances) = dynamic(&mut bits);
                compressed(&mut bits, &mut out, &literals, &distances);
            }
            _ => panic!("not a block"),
        }
        if last {
            return out;
        }
    }
}

struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn take(&mut self, count: u32) -> usize {
        (0..count).fold(0, |value, place| {
            let bit = usize::from(self.bytes[self.at / 8] >> (self.at % 8) & 1);
            self.at += 1;
            value | bit << place
        })
    }
}

/// A canonical Huffman code: how many codes of each length, and their symbols in order.
struct Code {
    counts: [usize; 16],
    symbols: Vec<usize>,
}

impl Code {
    fn new(lengths: &[usize]) -> Self {
        let mut counts = [0; 16];
        lengths.iter().for_each(|&length| counts[length] += 1);
        counts[0] = 0;
        let mut symbols: Vec<usize> = (0..lengths.len()).filter(|&s| lengths[s] > 0).collect();
        symbols.sort_by_key(|&symbol| (lengths[symbol], symbol));
        Self { counts, symbols }
    }

    fn fixed() -> Self {
        let length = |s| {
            if s < 144 {
                8
            } else if s < 256 {
                9
            } else if s < 280 {
                7
            } else {
                8
            }
        };
        Self::new(&(0..288).map(length).collect::<Vec<_>>())
    }

    fn decode(&self, bits: &mut Bits<'_>) -> usize {
        let (mut code, mut first, mut index) = (0, 0, 0);
        for &count in &self.counts[1..] {
            code |= bits.take(1);
            if code < first + count {
                return self.symbols[index + code - first];
            }
            index += count;
            first = (first + count) << 1;
            code <<= 1;
        }
        panic!("not a code")
    }
}

fn stored(bits: &mut Bits<'_>, out: &mut Vec<u8>) {
    bits.at = bits.at.next_multiple_of(8);
    let length = bits.take(16);
    bits.take(16);
    let start = bits.at / 8;
    out.extend_from_slice(&bits.bytes[start..start + length]);
    bits.at += length * 8;
}

fn dynamic(bits: &mut Bits<'_>) -> (Code, Code) {
    const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
    let (literals, distances, count) = (bits.take(5) + 257, bits.take(5) + 1, bits.take(4) + 4);
    let mut lengths = [0; 19];
    ORDER.iter().take(count).for_each(|&place| lengths[place] = bits.take(3));
    let code = Code::new(&lengths);
    let mut lengths = Vec::new();
    while lengths.len() < literals + distances {
        let (length, times) = match code.decode(bits) {
            16 => (*lengths.last().unwrap(), 3 + bits.take(2)),
            17 => (0, 3 + bits.take(3)),
            18 => (0, 11 + bits.take(7)),
            length => (length, 1),
        };
        lengths.extend(std::iter::repeat_n(length, times));
    }
    (Code::new(&lengths[..literals]), Code::new(&lengths[literals..]))
}

fn compressed(bits: &mut Bits<'_>, out: &mut Vec<u8>, literals: &Code, distances: &Code) {
    loop {
        match literals.decode(bits) {
            literal @ 0..256 => out.push(literal as u8),
            256 => return,
            symbol => {
                let length = match symbol - 257 {
                    s @ 0..8 => s + 3,
                    28 => 258,
                    s => {
                        let extra = (s / 4 - 1) as u32;
                        ((4 + s % 4) << extra) + 3 + bits.take(extra)
                    }
                };
                let distance = match distances.decode(bits) {
                    s @ 0..4 => s + 1,
                    s => {
                        let extra = (s / 2 - 1) as u32;
                        ((2 + s % 2) << extra) + 1 + bits.take(extra)
                    }
                };
                let start = out.len() - distance;
                (start..start + length).for_each(|at| out.push(out[at]));
            }
        }
    }
}
