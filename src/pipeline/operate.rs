//! The operator's view of the pipeline: what it holds, how its upstreams stand, and what can be
//! pressed. Observable state is pulled from here; no stage pushes gauges.

use std::{sync::Arc, time::Duration};

pub use crate::mechanism::breaker::Force;
use crate::{
    catalog::{credential::Credential, name::Name, upstream::Upstream},
    mechanism::breaker::{Forced, State},
    pipeline::{
        Pipeline,
        authenticate::{Revoke, Revoked, VerdictTables},
        cache::{Inventory, Manner},
        rate_limit::{LimitState, in_flight::OrgUse},
        upstream::Condition,
    },
    telemetry::{
        certificates::tell_gone,
        meters::PurgeMeters,
        metrics::{self as table, Definition, Registry},
    },
    time,
};

/// The gauges of an upstream, beside the state of its breaker.
const OF_UPSTREAM: [Definition; 6] = [
    table::UPSTREAM_IN_FLIGHT,
    table::UPSTREAM_LIMIT,
    table::RETRY_BUDGET,
    table::HELD_SECONDS,
    table::BREAKER_FAILURE_RATIO,
    table::BREAKER_SLOW_RATIO,
];

/// What a purge is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Purge {
    /// The answers of one action about one customer.
    Customer {
        /// The text of the input that the action's `cache.customer` names.
        customer: String,
        /// The action.
        action: Name,
    },
    /// The answers of one action.
    Action(Name),
    /// All answers.
    All,
}

impl Purge {
    /// The label of its scope.
    pub fn scope(&self) -> &'static str {
        match self {
            Self::Customer { .. } => "customer",
            Self::Action(_) => "action",
            Self::All => "all",
        }
    }
}

impl Pipeline {
    /// Removes cached answers at once, or marks them stale; a fetch under way will not be kept.
    /// Returns how many.
    pub fn purge(&self, purge: &Purge, manner: Manner, meters: &PurgeMeters) -> u64 {
        let (action, customer) = match purge {
            Purge::Customer { customer, action } => (Some(action), Some(&**customer)),
            Purge::Action(action) => (Some(action), None),
            Purge::All => (None, None),
        };
        let count = self.cache.purge(action, customer, manner);
        meters.purged(purge.scope(), manner.as_str(), count);
        count
    }

    /// What the cache of answers holds.
    pub fn answers(&self) -> Inventory {
        self.cache.inventory()
    }

    /// What is remembered of each token authority's verdicts.
    pub fn verdicts(&self) -> impl Iterator<Item = VerdictTables<'_>> {
        self.schemes.verdicts()
    }

    /// Takes the proofs that are named on trust no more; tells how many verdicts were forgotten, and
    /// of how many clients the tokens are refused.
    pub fn revoke(&self, revoke: Revoke<'_>) -> Revoked {
        self.schemes.revoke(revoke)
    }

    /// How each upstream stands.
    pub fn upstreams(&self) -> impl Iterator<Item = Condition<'_>> {
        self.fetcher.upstreams.conditions()
    }

    /// Forces the breaker of an upstream for the time `lasts`, in place of any force before.
    /// `reason` is the operator's own. Tells how the upstream stands then; `None`: there is none of
    /// that name. The breaker of a token authority cannot be forced.
    pub fn force_breaker(
        &self,
        upstream: &str,
        force: Force,
        lasts: Duration,
        reason: Option<Arc<str>>,
    ) -> Option<Condition<'_>> {
        let forced = Forced { force, until: time::now() + lasts, reason };
        self.fetcher.upstreams.force(upstream, Some(forced))
    }

    /// Gives the breaker of an upstream back to its own rules; `None`: there is none of that name.
    pub fn release_breaker(&self, upstream: &str) -> Option<Condition<'_>> {
        self.fetcher.upstreams.force(upstream, None)
    }

    /// How each rate limit stands.
    pub fn limits(&self) -> impl Iterator<Item = LimitState<'_>> {
        self.limits.states()
    }

    /// How much of the cap for each organisation is used; `None` where there is none.
    pub fn orgs_in_flight(&self) -> Option<OrgUse> {
        self.orgs.used()
    }

    /// Fetches under way for the cache.
    pub fn flights(&self) -> usize {
        self.cache.flights()
    }

    /// Forgets what is of no use any more: expired answers and verdicts, memos, full buckets.
    pub fn sweep(&self) {
        self.cache.sweep();
        self.limits.sweep();
        self.schemes.sweep();
    }

    /// Sets the gauges that tell what the pipeline holds. Called for each scrape.
    pub fn observe(&self, registry: &Registry) {
        let gauge = |metric, labels: &[&str], value: f64| registry.gauge(metric, labels).set(value);
        let (entries, bytes, capacity) = self.cache.fill();
        gauge(&table::CACHE_ENTRIES, &["response"], entries as f64);
        gauge(&table::CACHE_BYTES, &["response"], bytes as f64);
        gauge(&table::CACHE_CAPACITY, &["response"], capacity as f64);
        gauge(&table::CACHE_ENTRIES, &["token"], self.schemes.remembered() as f64);
        for state in self.limits() {
            gauge(&table::LIMIT_KEYS, &[state.limit.name.as_str()], state.tracked as f64);
        }
        for upstream in self.upstreams() {
            let name = upstream.name.as_str();
            gauge(&table::UPSTREAM_IN_FLIGHT, &[name], upstream.in_flight as f64);
            gauge(&table::UPSTREAM_LIMIT, &[name], upstream.limit as f64);
            gauge(&table::RETRY_BUDGET, &[name], upstream.budget_left);
            gauge(&table::HELD_SECONDS, &[name], upstream.not_before_left.as_secs_f64());
            if let Some(left) = upstream.quota_left {
                gauge(&table::QUOTA_LEFT, &[name], left);
            }
            gauge(&table::BREAKER_FAILURE_RATIO, &[name], upstream.breaker.failure_ratio);
            gauge(&table::BREAKER_SLOW_RATIO, &[name], upstream.breaker.slow_ratio);
            for state in State::ALL {
                let is = f64::from(u8::from(upstream.breaker.state == state));
                gauge(&table::BREAKER_STATE, &[name, state.as_str()], is);
            }
        }
    }

    /// Sets to zero the gauges of what `successor` does not have.
    pub(super) fn unobserve(&self, successor: &Self, registry: &Registry) {
        let (old, new) = (&self.catalog, &successor.catalog);
        for name in old.limits.keys().filter(|name| !new.limits.contains_key(*name)) {
            registry.gauge(&table::LIMIT_KEYS, &[name.as_str()]).set(0.0);
        }
        let has_quota = |upstream: &Upstream| upstream.quota.is_some();
        for (name, _) in old.upstreams.iter().filter(|(_, upstream)| has_quota(upstream)) {
            if !new.upstreams.get(name).is_some_and(|upstream| has_quota(upstream)) {
                registry.gauge(&table::QUOTA_LEFT, &[name.as_str()]).set(0.0);
            }
        }
        for (name, upstream) in &old.upstreams {
            let next = new.upstreams.get(name);
            if upstream.way.identity.is_some()
                && next.is_none_or(|next| next.way.identity.is_none())
            {
                tell_gone(registry, &upstream.certificate_place());
            }
            if matches!(upstream.credential, Credential::OAuth2(_))
                && next.is_none_or(|next| next.credential != upstream.credential)
            {
                registry.gauge(&table::CREDENTIAL_EXPIRY, &[name.as_str()]).set(0.0);
            }
        }
        for name in old.upstreams.keys().filter(|name| !new.upstreams.contains_key(*name)) {
            for metric in &OF_UPSTREAM {
                registry.gauge(metric, &[name.as_str()]).set(0.0);
            }
            for state in State::ALL {
                registry.gauge(&table::BREAKER_STATE, &[name.as_str(), state.as_str()]).set(0.0);
            }
        }
    }
}
