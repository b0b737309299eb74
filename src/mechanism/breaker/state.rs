//! What a breaker does with attempts: by its own rules, or because an operator says so.

use std::{sync::Arc, time::Duration};

use crate::time::Instant;

/// What a breaker does with attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Lets them pass and counts.
    Closed,
    /// Refuses them.
    Open,
    /// Lets one at a time pass, to see.
    HalfOpen,
    /// Refuses them, because an operator says so.
    ForcedOpen,
    /// Lets them pass and counts nothing, because an operator says so.
    ForcedClosed,
    /// Lets them pass and follows its rules beside that, because an operator says so.
    Observing,
    /// Lets them pass and counts nothing: its policy has switched it off.
    Disabled,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 7] = [
        Self::Closed,
        Self::Open,
        Self::HalfOpen,
        Self::ForcedOpen,
        Self::ForcedClosed,
        Self::Observing,
        Self::Disabled,
    ];

    /// Its name, such as `half_open`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
            Self::ForcedOpen => "forced_open",
            Self::ForcedClosed => "forced_closed",
            Self::Observing => "observing",
            Self::Disabled => "disabled",
        }
    }

    /// Whether nothing passes in it.
    pub fn refuses_all(self) -> bool {
        matches!(self, Self::Open | Self::ForcedOpen)
    }
}

/// What an operator may make of a breaker for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Force {
    /// Nothing passes. Afterwards it is half-open: nobody is thrown at a system that no probe has
    /// tried.
    Open,
    /// Everything passes and nothing counts. Afterwards it is closed and begins anew.
    Closed,
    /// Everything passes, while the rules go on and are told. Afterwards it acts on the state that
    /// they have come to.
    Observe,
}

impl Force {
    /// Its name: `open`, `closed`, `observe`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
            Self::Observe => "observe",
        }
    }

    /// The state that the breaker shows meanwhile.
    pub(super) fn state(self) -> State {
        match self {
            Self::Open => State::ForcedOpen,
            Self::Closed => State::ForcedClosed,
            Self::Observe => State::Observing,
        }
    }
}

/// A force that ends by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forced {
    /// What it is.
    pub force: Force,
    /// The instant from which on it is over.
    pub until: Instant,
    /// The operator's own words.
    pub reason: Option<Arc<str>>,
}

/// A change of state, as it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// The state before.
    pub from: State,
    /// The state after.
    pub to: State,
    /// A change by the rules alone while the breaker is [`State::Observing`] and stays so.
    pub observed: bool,
}

/// The attempt may not be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the breaker lets nothing through for {retry_after:?}")]
pub struct Refused {
    /// When asking again makes sense, from now on.
    pub retry_after: Duration,
}

/// What a breaker shows of itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// What the next attempt meets.
    pub state: State,
    /// Since when; `None`: from the start.
    pub since: Option<Instant>,
    /// While it is observing: the state that its rules have come to.
    pub would_be: Option<State>,
    /// The force that is in effect.
    pub forced: Option<Forced>,
    /// Failures in the window. While it is not closed nothing new is counted: what opened it
    /// fades.
    pub failures: u64,
    /// Slow ones, failures and successes alike. Where slowness does not count as failing, none.
    pub slow: u64,
    /// Failures and successes in the window.
    pub attempts: u64,
    /// Failures by attempts; zero when there are none.
    pub failure_ratio: f64,
    /// Slow ones by attempts; zero when there are none.
    pub slow_ratio: f64,
    /// While its rules keep it open: until when.
    pub open_until: Option<Instant>,
    /// How much longer, after it closed, only a part of the attempts passes.
    pub ramp_left: Duration,
}
