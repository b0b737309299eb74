//! What breakers leave: each change of state, and when one last opened.

use std::fmt;

use metrics::Counter;

use crate::telemetry::{
    meters::{Moment, Words},
    metrics::{self as table, Registry},
};

/// A breaker, told to the world: transitions when they happen, state when asked.
pub struct BreakerMeters {
    transitions: Vec<(&'static str, Words)>,
    /// When it last opened.
    pub opened: Moment,
}

impl fmt::Debug for BreakerMeters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BreakerMeters(..)")
    }
}

impl BreakerMeters {
    const STATES: &[&str] =
        &["closed", "open", "half_open", "forced_open", "forced_closed", "observing", "disabled"];

    /// Whether a breaker can change so: by its rules, into a force, or at the end of one.
    fn can_change(from: &str, to: &str) -> bool {
        match (from, to) {
            (_, "forced_open" | "forced_closed" | "observing") => from != to,
            ("closed" | "half_open" | "observing", "open")
            | ("open" | "forced_open" | "observing", "half_open")
            | ("half_open" | "forced_closed" | "observing", "closed")
            | ("forced_open" | "forced_closed" | "observing", "disabled") => true,
            _ => false,
        }
    }

    /// Whether a breaker that its policy has on, or not, can be in that state.
    fn can_be(state: &str, enabled: bool) -> bool {
        match state {
            "closed" | "open" | "half_open" => enabled,
            "disabled" => !enabled,
            _ => true,
        }
    }

    /// The series of one upstream's breaker, which its policy has on, or not.
    pub fn new(registry: &Registry, upstream: &str, enabled: bool) -> Self {
        let can_change = |from, to| {
            Self::can_be(from, enabled) && Self::can_be(to, enabled) && Self::can_change(from, to)
        };
        let transitions = Self::STATES.iter().map(|from| {
            let words = Words::new(Self::STATES, |to| {
                if can_change(from, to) {
                    registry.counter(&table::BREAKER_TRANSITIONS, &[upstream, from, to])
                } else {
                    Counter::noop()
                }
            });
            (*from, words)
        });
        Self { transitions: transitions.collect(), opened: Moment::of_breaker(registry, upstream) }
    }

    /// Counts a change of state.
    pub fn changed(&self, from: &str, to: &str) {
        if let Some((_, words)) = self.transitions.iter().find(|(known, _)| *known == from) {
            words.count(to);
        }
    }
}
