//! Rate limits: whether a caller may go on, decided by every limit that its action names.
//!
//! Hits count too: a limit is about fairness between callers, not about the upstream. Limits are
//! asked in the order of the configuration and the first that refuses ends it; what earlier ones
//! counted stays counted. A limit that does not enforce only tells what it would have done.

pub mod in_flight;
mod local;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use crate::{
    catalog::{
        action::Action,
        limit::{Limit, LimitKey},
        name::Name,
    },
    fingerprint::{Facets, Fingerprint, FingerprintKey},
    pipeline::{authenticate::Caller, validate::ValidInput},
    telemetry::{
        meters::{self, ReadableWords},
        metrics::Registry,
        stage::Decided,
        trail::Fact,
    },
    time::{self, Instant},
};

use local::Buckets;

/// All rate limits of the service.
#[derive(Debug)]
pub struct RateLimits {
    limits: BTreeMap<Name, RateLimit>,
    /// For what calls have in common, which is not kept itself.
    fingerprints: FingerprintKey,
}

#[derive(Debug)]
struct RateLimit {
    limit: Arc<Limit>,
    buckets: Arc<Buckets>,
    decisions: Arc<ReadableWords>,
}

/// How one limit stands, for operators.
#[derive(Debug, Clone, Copy)]
pub struct LimitState<'a> {
    /// The limit.
    pub limit: &'a Limit,
    /// Keys that it keeps count of.
    pub tracked: usize,
    /// Calls that it let pass since the start.
    pub allowed: u64,
    /// Calls that it refused.
    pub limited: u64,
    /// Calls that it would have refused, did it enforce.
    pub shadowed: u64,
}

/// The call may go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admitted {
    /// Every limit allows it.
    Allowed,
    /// This limit, which does not enforce, would have refused it.
    Shadowed(Name),
}

/// A limit refused the call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limited {
    /// Which limit.
    pub limit: Name,
    /// After how long one more call would pass.
    pub retry_after: Duration,
    /// How many calls may pass at once after a rest.
    pub burst: u32,
    /// How long that rest is.
    pub window: Duration,
}

impl Decided for Admitted {
    fn decision(&self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Shadowed(_) => "shadow_limited",
        }
    }

    fn facts(&self) -> Vec<Fact> {
        match self {
            Self::Allowed => Vec::new(),
            Self::Shadowed(limit) => vec![Fact::Limit(limit.shared())],
        }
    }
}

impl Decided for Limited {
    fn decision(&self) -> &'static str {
        "limited"
    }

    fn facts(&self) -> Vec<Fact> {
        vec![Fact::Limit(self.limit.shared())]
    }
}

impl RateLimits {
    /// Buckets for each limit: those that one of the same name had `before`, where it counts the same
    /// calls in the same way, and full ones otherwise.
    pub fn new(
        limits: &BTreeMap<Name, Arc<Limit>>,
        before: Option<&Self>,
        registry: &Registry,
    ) -> Self {
        let limits = limits.iter().map(|(name, limit)| {
            let before = before.and_then(|known| known.limits.get(name));
            let kept = before.filter(|known| known.limit.counts_like(limit));
            let limit = RateLimit {
                buckets: kept.map_or_else(
                    || Arc::new(Buckets::new(limit.period, limit.burst)),
                    |known| Arc::clone(&known.buckets),
                ),
                decisions: before.map_or_else(
                    || Arc::new(meters::limit_meters(registry, name.as_str())),
                    |known| Arc::clone(&known.decisions),
                ),
                limit: Arc::clone(limit),
            };
            (name.clone(), limit)
        });
        let fingerprints = before.map(|known| known.fingerprints.clone());
        Self {
            limits: limits.collect(),
            fingerprints: fingerprints.unwrap_or_else(FingerprintKey::random),
        }
    }

    /// Counts a call against each limit of its action.
    ///
    /// # Errors
    /// [`Limited`], by the first enforcing limit that is used up.
    pub fn admit(
        &self,
        action: &Action,
        caller: &Caller,
        input: &ValidInput,
    ) -> Result<Admitted, Limited> {
        let mut admitted = Admitted::Allowed;
        if action.limits.is_empty() {
            return Ok(admitted);
        }
        let now = time::now();
        for limit in action.limits.iter().filter_map(|name| self.limits.get(name)) {
            let key = key(&limit.limit.key, action, caller, input);
            match limit.admit(self.fingerprints.of(key.bytes()), now) {
                Ok(Admitted::Allowed) => {}
                Ok(shadowed) => admitted = shadowed,
                Err(limited) => return Err(limited),
            }
        }
        Ok(admitted)
    }

    /// Forgets keys that are as good as new.
    pub fn sweep(&self) {
        let now = time::now();
        for limit in self.limits.values() {
            limit.buckets.sweep(now);
        }
    }

    /// How each limit stands.
    pub fn states(&self) -> impl Iterator<Item = LimitState<'_>> {
        self.limits.values().map(|limit| {
            let count = |decision| limit.decisions.of(decision);
            LimitState {
                limit: &limit.limit,
                tracked: limit.buckets.len(),
                allowed: count("allowed"),
                limited: count("limited"),
                shadowed: count("shadow_limited"),
            }
        })
    }
}

impl RateLimit {
    fn admit(&self, key: Fingerprint, now: Instant) -> Result<Admitted, Limited> {
        let Err(retry_after) = self.buckets.take(key, now) else {
            self.decisions.count("allowed");
            return Ok(Admitted::Allowed);
        };
        if !self.limit.enforce {
            self.decisions.count("shadow_limited");
            return Ok(Admitted::Shadowed(self.limit.name.clone()));
        }
        self.decisions.count("limited");
        Err(Limited {
            limit: self.limit.name.clone(),
            retry_after,
            burst: self.limit.burst.get(),
            window: self.limit.period * self.limit.burst.get(),
        })
    }
}

/// What calls must have in common to be counted together. A caller and an input are always within
/// their organisation: the same customer number means two people in two organisations.
fn key(parts: &[LimitKey], action: &Action, caller: &Caller, input: &ValidInput) -> Facets {
    let mut fields = Facets::new();
    for part in parts {
        match part {
            LimitKey::All => fields.push(b"all"),
            LimitKey::Org => fields.push(b"org").push(caller.org().as_bytes()),
            LimitKey::Caller => fields
                .push(b"caller")
                .push(caller.org().as_bytes())
                .push(caller.client().as_bytes()),
            LimitKey::Action => fields.push(b"action").push(action.name.as_str().as_bytes()),
            LimitKey::Input(name) => {
                fields.push(b"input").push(caller.org().as_bytes()).push(name.as_bytes());
                match input.inputs().get(name) {
                    Some(value) => {
                        value.with_text(|text| fields.push_option(Some(text.as_bytes())))
                    }
                    None => fields.push_option(None),
                }
            }
        };
    }
    fields
}
