//! The scenarios, one idea a file.

mod authority;
mod capacity;
mod cold;
mod collector;
mod drain;
mod faults;
mod hang;
mod herd;
mod outage;
mod random;
mod reload;
mod rollout;
mod traces;
mod twice;
mod unread;

use crate::Scenario;

/// All, in the order of the table.
pub(crate) fn all() -> Vec<Scenario> {
    let mut all = Vec::new();
    all.extend(random::scenarios());
    all.extend(outage::scenarios());
    all.push(hang::scenario());
    all.push(authority::scenario());
    all.push(twice::scenario());
    all.extend(faults::scenarios());
    all.push(traces::scenario());
    all.push(capacity::scenario());
    all.push(herd::scenario());
    all.push(reload::scenario());
    all.push(drain::scenario());
    all.extend(rollout::scenario());
    all.extend(cold::scenarios());
    all.extend(collector::scenarios());
    all.push(unread::scenario());
    all
}
