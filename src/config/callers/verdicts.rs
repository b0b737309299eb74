//! `cache` of a caller: how long verdicts hold and how many are kept.

use std::time::Duration;

use crate::{
    catalog::caller::VerdictPolicy,
    config::{
        section::Section,
        values::{count, duration, span},
    },
};

/// The most that may be kept in one table.
const MOST: u64 = 10_000_000;

/// `cache`, good verdicts held for `ttl` unless it is written, and for `endless_ttl` where nobody says
/// when the token ends. Only where somebody is asked for them
/// can one `outlive` an outage.
pub(super) fn verdicts(
    section: &Section<'_>,
    ttl: Duration,
    endless_ttl: Duration,
    outlive: bool,
) -> Option<VerdictPolicy> {
    let is_written = section.value("ttl").is_some();
    let ttl = section.read("ttl", ttl, span);
    let refused_ttl = section.read("refused_ttl", Duration::from_secs(10), duration);
    let capacity = section.read("capacity", 100_000, |value| count(value, 1, MOST));
    let refused_capacity = section.read("refused_capacity", 10_000, |value| count(value, 1, MOST));
    let stale_on_outage = match outlive {
        true => section.read("stale_on_outage", Duration::ZERO, duration),
        false => Some(Duration::ZERO),
    };
    section.finish()?;
    Some(VerdictPolicy {
        ttl: ttl?,
        endless_ttl: if is_written { ttl? } else { endless_ttl },
        refused_ttl: refused_ttl?,
        capacity: capacity?,
        refused_capacity: refused_capacity?,
        stale_on_outage: stale_on_outage?,
    })
}
