//! A gzip bomb: a correct, small file that becomes a large piece of JSON.
//!
//! One deflate block with the fixed codes of RFC 1951, 3.2.6, in which a match of 258 bytes costs 13
//! bits: 1 byte stands for 158.

use std::sync::OnceLock;

use bytes::Bytes;

const START: &[u8] = br#"{"name":"a"#;
const END: &[u8] = br#""}"#;

/// The longest match that deflate knows.
const MATCH: usize = 258;

/// How many of them: enough for 16 MiB, several times what any client should take.
const MATCHES: usize = 65_100;

/// Bytes of JSON that come out.
pub(super) const SIZE: usize = START.len() + MATCH * MATCHES + END.len();

/// The file, about 100 KiB; built once, since its checksum takes a moment.
pub(super) fn bomb() -> Bytes {
    static BOMB: OnceLock<Bytes> = OnceLock::new();
    BOMB.get_or_init(build).clone()
}

fn build() -> Bytes {
    // The header: magic, deflate, no flags, no time, no hints, unknown system.
    let mut out = Bits { bytes: vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255], ..Bits::default() };
    out.push(0b1, 1); // the last block
    out.push(0b01, 2); // with the fixed codes
    let mut sum = Crc::default();
    for &byte in START {
        out.literal(byte);
        sum.add(byte);
    }
    for _ in 0..MATCHES {
        out.code(0xC5, 8); // length 258
        out.code(0, 5); // distance 1: the byte before
    }
    for _ in 0..MATCHES * MATCH {
        sum.add(b'a');
    }
    for &byte in END {
        out.literal(byte);
        sum.add(byte);
    }
    out.code(0, 7); // the end of the block
    out.push(0, 7); // up to a whole byte
    let mut bytes = out.bytes;
    bytes.extend_from_slice(&sum.value().to_le_bytes());
    bytes.extend_from_slice(&u32::try_from(SIZE).expect("SIZE is 16 MiB").to_le_bytes());
    bytes.into()
}

/// Bits on their way into bytes, lowest first.
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    waiting: u32,
    count: u32,
}

impl Bits {
    fn push(&mut self, bits: u32, count: u32) {
        self.waiting |= bits << self.count;
        self.count += count;
        while self.count >= 8 {
            self.bytes.push((self.waiting & 0xff) as u8);
            self.waiting >>= 8;
            self.count -= 8;
        }
    }

    /// A Huffman code, which deflate alone writes highest bit first.
    fn code(&mut self, code: u32, count: u32) {
        self.push(code.reverse_bits() >> (32 - count), count);
    }

    /// A byte below 144, for which the fixed code has eight bits.
    fn literal(&mut self, byte: u8) {
        self.code(0x30 + u32::from(byte), 8);
    }
}

/// The checksum of gzip, one table look-up a byte.
struct Crc(u32);

const TABLE: [u32; 256] = {
    let mut table = [0u32; 256];
    let mut place = 0;
    while place < 256 {
        let mut value = place as u32;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 == 1 { 0xEDB8_8320 ^ (value >> 1) } else { value >> 1 };
            bit += 1;
        }
        table[place] = value;
        place += 1;
    }
    table
};

impl Default for Crc {
    fn default() -> Self {
        Self(u32::MAX)
    }
}

impl Crc {
    fn add(&mut self, byte: u8) {
        self.0 = TABLE[((self.0 ^ u32::from(byte)) & 0xff) as usize] ^ (self.0 >> 8);
    }

    fn value(&self) -> u32 {
        !self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_known_one() {
        let mut sum = Crc::default();
        b"123456789".iter().for_each(|&byte| sum.add(byte));
        assert_eq!(sum.value(), 0xCBF4_3926);
    }

    #[test]
    fn a_small_file_stands_for_sixteen_mebibytes() {
        // Unpacked by zlib once, which gave JSON of this size and this checksum.
        let bomb = bomb();
        assert_eq!((bomb.len(), SIZE), (105_819, 16_795_812));
        assert_eq!(bomb[10..16], [0xab, 0x56, 0xca, 0x4b, 0xcc, 0x4d]);
        assert_eq!(bomb[bomb.len() - 8..], [0x85, 0x55, 0x79, 0xe1, 0xa4, 0x48, 0x00, 0x01]);
    }
}
