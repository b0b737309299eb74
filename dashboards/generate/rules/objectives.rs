//! What is promised, and the other numbers that are somebody's choice. To change one, write another
//! here, run `make dashboards`, and load the file anew.

/// The share of valid calls that are answered, in 30 days. Valid are all but those that were refused
/// for the caller's own doing.
pub(crate) const AVAILABILITY: f64 = 0.999;

/// The share of answers that come within [`IN_TIME`], in 30 days.
pub(crate) const LATENCY: f64 = 0.99;

/// Seconds: one of the buckets of `holdline_request_duration_seconds`, or nothing is found.
pub(crate) const IN_TIME: f64 = 1.0;

/// Data actions that Genesys Cloud runs at once for an organisation, by default.
pub(crate) const SLOTS: f64 = 50.0;

/// Days for which the budget of failures lasts.
pub(crate) const BUDGET_DAYS: f64 = 30.0;
