//! The operator's view of the pipeline: what it holds, how its upstreams stand, and what can be
//! pressed. Observable state is pulled from here; no stage pushes gauges.

use std::{sync::Arc, time::Duration};

pub use crate::mechanism::breaker::Force;
use crate::{
    catalog::name::Name,
    mechanism::breaker::{Forced, State},
    pipeline::{
        Pipeline,
        authenticate::{Revoke, Revoked, VerdictTables},
        cache::{Inventory, Manner},
        rate_limit::{LimitState, in_flight::OrgUse},
        upstream::Condition,
    },
    telemetry::{meters::PurgeMeters, metrics as table, registry::Scrape},
    time,
};

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

    /// Shows what the pipeline holds and how it stands.
    pub fn observe(&self, scrape: &mut Scrape<'_>) {
        let (entries, bytes, capacity) = self.cache.fill();
        scrape.show(&table::CACHE_ENTRIES, &["response"], entries as f64);
        scrape.show(&table::CACHE_BYTES, &["response"], bytes as f64);
        scrape.show(&table::CACHE_CAPACITY, &["response"], capacity as f64);
        scrape.show(&table::CACHE_ENTRIES, &["token"], self.schemes.remembered() as f64);
        for state in self.limits() {
            let name = state.limit.name.as_str();
            scrape.show(&table::LIMIT_KEYS, &[name], state.tracked as f64);
        }
        for upstream in self.catalog.upstreams.values() {
            if let Some(identity) = &upstream.way.identity {
                let (place, ends) = (upstream.certificate_place(), identity.validity().ends);
                scrape.show(&table::CERTIFICATE_EXPIRY, &[&place], ends.as_secs_f64());
            }
        }
        for upstream in self.upstreams() {
            observe_upstream(&upstream, scrape);
        }
    }
}

fn observe_upstream(upstream: &Condition<'_>, scrape: &mut Scrape<'_>) {
    let name = upstream.name.as_str();
    let breaker = &upstream.breaker;
    let mut show = |metric, value| scrape.show(metric, &[name], value);
    show(&table::UPSTREAM_IN_FLIGHT, upstream.in_flight as f64);
    show(&table::UPSTREAM_LIMIT, upstream.limit as f64);
    show(&table::RETRY_BUDGET, upstream.budget_left);
    show(&table::HELD_SECONDS, upstream.not_before_left.as_secs_f64());
    if let Some(left) = upstream.quota_left {
        show(&table::QUOTA_LEFT, left);
    }
    if let Some(expires) = upstream.token_expires {
        show(&table::CREDENTIAL_EXPIRY, expires.as_secs_f64());
    }
    show(&table::BREAKER_FAILURE_RATIO, breaker.failure_ratio);
    show(&table::BREAKER_SLOW_RATIO, breaker.slow_ratio);
    for state in State::ALL {
        let is = f64::from(u8::from(breaker.state == state));
        scrape.show(&table::BREAKER_STATE, &[name, state.as_str()], is);
    }
}
