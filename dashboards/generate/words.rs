//! What labels may say: lists that are closed in the code, or names out of the configuration. A test
//! compares them with what a running service shows.

use holdline::telemetry::{
    attempts::status_label,
    outcome::{Outcome, Source},
    stage::Stage,
};

/// Where the values of a label come from.
#[derive(Debug, PartialEq)]
pub(crate) enum Values {
    /// These and no others.
    Closed(Vec<&'static str>),
    /// A name or an address in the configuration: of what.
    Configured(&'static str),
    /// One value at a time.
    Single(&'static str),
}

/// Statuses that have a label of their own, and the classes of all others.
fn statuses() -> Vec<&'static str> {
    let mut labels: Vec<&'static str> = (100..600).map(status_label).collect();
    labels.sort_unstable();
    labels.dedup();
    labels
}
