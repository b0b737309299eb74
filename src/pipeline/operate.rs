//! The operator's view of the pipeline: what it holds, how its upstreams stand, and what can be
//! pressed. Observable state is pulled from here; no stage pushes gauges.

use crate::{
    catalog::name::Name,
    pipeline::{
        Pipeline,
        rate_limit::{LimitState, in_flight::OrgUse},
        upstream::Condition,
    },
    telemetry::{
        meters::PurgeMeters,
        metrics::{self as table, Registry},
    },
};

/// What a purge removes.
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
    /// Removes cached answers at once; a fetch under way will not be kept. Returns how many went.
    pub fn purge(&self, purge: &Purge, meters: &PurgeMeters) -> u64 {
        let removed = match purge {
            Purge::Customer { customer, action } => self.cache.purge(Some(action), Some(customer)),
            Purge::Action(action) => self.cache.purge(Some(action), None),
            Purge::All => self.cache.purge(None, None),
        };
        meters.purges.count(purge.scope());
        meters.removed.add(purge.scope(), removed);
        removed
    }

    /// How each upstream stands.
    pub fn upstreams(&self) -> impl Iterator<Item = Condition<'_>> {
        self.fetcher.upstreams.conditions()
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

    /// Forgets what is of no use any more: expired answers and verdicts, full buckets.
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
            gauge(&table::BREAKER_FAILURE_RATIO, &[name], upstream.breaker.failure_ratio);
            let now = if upstream.guarded { upstream.breaker.state.as_str() } else { "disabled" };
            for state in ["closed", "open", "half_open", "forced_open", "disabled"] {
                let is = f64::from(u8::from(now == state));
                gauge(&table::BREAKER_STATE, &[name, state], is);
            }
        }
    }
}
