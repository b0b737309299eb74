//! Chance as a value: the one source of randomness for jitter, sampling and identifiers.
//!
//! Policies take a [`Chance`] so that a test can load the dice and compute the instant at which
//! something happens.

/// Where random numbers come from.
#[derive(Debug, Clone, Copy)]
pub enum Chance {
    /// A fast generator, seeded by the system. Not for secrets.
    Random,
    /// Always the same roll, in `0.0..1.0`.
    Loaded(f64),
}

impl Chance {
    /// A number in `0.0..1.0`.
    pub fn roll(self) -> f64 {
        match self {
            Self::Random => fastrand::f64(),
            Self::Loaded(roll) => roll,
        }
    }

    /// A factor between `1 - spread` and `1 + spread`; a loaded roll of 0.5 gives exactly 1.
    pub fn around_one(self, spread: f64) -> f64 {
        1.0 + spread * (2.0 * self.roll() - 1.0)
    }
}

/// 128 random bits that are not zero, for request and trace identifiers.
pub fn id128() -> u128 {
    // Drawn again, which never happens: a range that is no power of two would cost a multiplication.
    loop {
        let id = fastrand::u128(..);
        if id != 0 {
            return id;
        }
    }
}

/// Such an identifier as text: 32 hexadecimal digits.
pub fn hex128() -> String {
    text(&digits::<32>(id128())).to_owned()
}

/// The last `N` hexadecimal digits of an identifier. A call has several, and the general way to write
/// numbers takes longer than all its times do.
pub fn digits<const N: usize>(id: u128) -> [u8; N] {
    let mut digits = [b'0'; N];
    let (_, pairs) = digits.as_rchunks_mut::<2>();
    for (pair, byte) in pairs.iter_mut().rev().zip(id.to_le_bytes()) {
        *pair = PAIRS[usize::from(byte)];
    }
    digits
}

/// Such digits as text.
pub fn text(digits: &[u8]) -> &str {
    str::from_utf8(digits).unwrap_or_default()
}

/// The two digits of each byte.
const PAIRS: [[u8; 2]; 256] = {
    let (digits, mut pairs, mut byte) = (b"0123456789abcdef", [[0; 2]; 256], 0);
    while byte < pairs.len() {
        pairs[byte] = [digits[byte >> 4], digits[byte & 0xf]];
        byte += 1;
    }
    pairs
};

/// 64 random bits that are not zero, for span identifiers.
pub fn id64() -> u64 {
    loop {
        let id = fastrand::u64(..);
        if id != 0 {
            return id;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert_eq, proptest};

    use super::*;

    proptest! {
        #[test]
        fn digits_are_those_of_the_number(id in any::<u128>()) {
            let (long, short) = (digits::<32>(id), digits::<16>(id));
            prop_assert_eq!(text(&long), format!("{id:032x}"));
            prop_assert_eq!(text(&short), format!("{:016x}", id as u64));
        }
    }
}
