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
    fastrand::u128(1..)
}

/// Such an identifier as text: 32 hexadecimal digits.
pub fn hex128() -> String {
    format!("{:032x}", id128())
}

/// 64 random bits that are not zero, for span identifiers.
pub fn id64() -> u64 {
    fastrand::u64(1..)
}
