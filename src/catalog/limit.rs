//! A rate limit: whose calls are counted together, and how many may pass.

use std::{fmt, num::NonZeroU32, time::Duration};

use crate::catalog::name::Name;

/// A rate limit. One name is one set of buckets over all actions that name it.
#[derive(Debug, Clone, PartialEq)]
pub struct Limit {
    /// Its name.
    pub name: Name,
    /// Whose calls are counted together: those alike in all of these.
    pub key: Vec<LimitKey>,
    /// The time after which one more call may pass.
    pub period: Duration,
    /// How many may pass at once after a rest.
    pub burst: NonZeroU32,
    /// `false`: it only counts what it would have refused.
    pub enforce: bool,
}

impl Limit {
    /// Whether it counts the same calls in the same way, whatever follows from it.
    pub fn counts_like(&self, other: &Self) -> bool {
        (&self.key, self.period, self.burst) == (&other.key, other.period, other.burst)
    }
}

/// A part of what calls must have in common to be counted together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LimitKey {
    /// Nothing: all calls.
    All,
    /// The organisation.
    Org,
    /// The authenticated caller, within its organisation.
    Caller,
    /// The action.
    Action,
    /// The value of an input, always within its organisation.
    Input(String),
}

/// As the configuration writes it.
impl fmt::Display for LimitKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Org => f.write_str("org"),
            Self::Caller => f.write_str("caller"),
            Self::Action => f.write_str("action"),
            Self::Input(name) => write!(f, "input.{name}"),
        }
    }
}
