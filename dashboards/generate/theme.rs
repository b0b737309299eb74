//! What means what on every dashboard: one colour for each meaning, and where a number turns bad.

/// Names of series and their colours.
pub(crate) type Colours = &'static [(&'static str, &'static str)];

/// How calls end, by class.
pub(crate) const CLASSES: Colours =
    &[("success", "green"), ("degraded", "yellow"), ("rejected", "blue"), ("failure", "red")];

/// How calls end: shades of the colour of their class.
pub(crate) const OUTCOMES: Colours = &[
    ("ok", "green"),
    ("not_found", "light-green"),
    ("stale", "yellow"),
    ("fallback", "dark-yellow"),
    ("bad_request", "light-blue"),
    ("unauthenticated", "blue"),
    ("forbidden", "dark-blue"),
    ("unknown_action", "super-light-blue"),
    ("payload_too_large", "light-purple"),
    ("rate_limited", "purple"),
    ("canceled", "dark-purple"),
    ("upstream_error", "red"),
    ("upstream_rejected", "light-red"),
    ("upstream_timeout", "orange"),
    ("upstream_unreachable", "dark-orange"),
    ("breaker_open", "dark-red"),
    ("deadline_exceeded", "light-orange"),
    ("mapping_error", "super-light-red"),
    ("auth_unavailable", "semi-dark-red"),
    ("overloaded", "semi-dark-orange"),
    ("draining", "super-light-orange"),
    ("internal_error", "#7a1022"),
];

/// Who answers.
pub(crate) const SOURCES: Colours = &[
    ("upstream", "semi-dark-blue"),
    ("cache_fresh", "semi-dark-green"),
    ("coalesced", "super-light-green"),
    ("cache_stale", "yellow"),
    ("fallback", "dark-yellow"),
    ("none", "red"),
];

/// What a look-up in the cache comes to.
pub(crate) const LOOKUPS: Colours = &[
    ("hit", "semi-dark-green"),
    ("stale", "yellow"),
    ("negative_hit", "light-green"),
    ("miss", "semi-dark-blue"),
    ("expired", "light-blue"),
    ("bypass", "text"),
    ("error", "red"),
];

/// Stages of a call, in their order.
pub(crate) const STAGES: Colours = &[
    ("authenticate", "purple"),
    ("validate", "light-blue"),
    ("rate_limit", "light-purple"),
    ("cache", "semi-dark-green"),
    ("flight", "super-light-green"),
    ("upstream", "semi-dark-blue"),
    ("attempt", "light-orange"),
    ("map_output", "dark-blue"),
    ("cache and upstream", "semi-dark-blue"),
];

/// Where verdicts about callers come from.
pub(crate) const VERDICTS: Colours = &[
    ("cache", "semi-dark-green"),
    ("local", "green"),
    ("remote", "semi-dark-blue"),
    ("coalesced", "super-light-green"),
    ("stale", "yellow"),
];

/// Parts of a distribution.
pub(crate) const QUANTILES: Colours =
    &[("p50", "light-blue"), ("p95", "semi-dark-purple"), ("p99", "dark-purple")];

/// What went well and what did not, where there is nothing between.
pub(crate) const RESULTS: Colours = &[
    ("valid", "green"),
    ("ok", "green"),
    ("issued", "green"),
    ("success", "green"),
    ("failure", "red"),
    ("allowed", "green"),
    ("stored", "green"),
    ("done", "green"),
    ("applied", "green"),
    ("limited", "red"),
    ("shadow_limited", "purple"),
    ("refused", "red"),
    ("error", "red"),
    ("invalid", "orange"),
    ("short_circuited", "dark-red"),
    ("shed", "semi-dark-orange"),
    ("now", "green"),
    ("a day before", "text"),
    ("leader", "semi-dark-blue"),
    ("follower", "super-light-green"),
    ("abandoned", "red"),
    ("limit", "red"),
    ("timeout", "orange"),
    ("warn", "orange"),
    ("info", "green"),
    ("debug", "text"),
    ("trace", "text"),
    ("canceled", "dark-purple"),
    ("skipped", "text"),
];

/// All of them.
pub(crate) const ALL: [Colours; 10] = [
    CLASSES,
    OUTCOMES,
    SOURCES,
    LOOKUPS,
    STAGES,
    VERDICTS,
    QUANTILES,
    RESULTS,
    BREAKER_COLOURS,
    STATUSES,
];

/// Labels whose values have colours of their own.
pub(crate) const BY_LABEL: [(&str, Colours); 7] = [
    ("class", CLASSES),
    ("outcome", OUTCOMES),
    ("stage", STAGES),
    ("result", RESULTS),
    ("state", BREAKER_COLOURS),
    ("to", BREAKER_COLOURS),
    ("http_response_status_code", STATUSES),
];

/// States of a breaker: the number by which the worst of several replicas is found, and the colour.
/// Worst is what refuses most; what an operator has forced is worse than what the rules came to.
pub(crate) const BREAKER: [(&str, u8, &str); 7] = [
    ("closed", 0, "green"),
    ("disabled", 1, "text"),
    ("observing", 2, "blue"),
    ("forced_closed", 3, "purple"),
    ("half_open", 4, "yellow"),
    ("open", 5, "red"),
    ("forced_open", 6, "dark-red"),
];

/// The same, for where states are names of series.
pub(crate) const BREAKER_COLOURS: Colours = &[
    ("closed", "green"),
    ("disabled", "text"),
    ("observing", "blue"),
    ("forced_closed", "purple"),
    ("half_open", "yellow"),
    ("open", "red"),
    ("forced_open", "dark-red"),
];

/// Statuses of replies, and errors of attempts that got none.
pub(crate) const STATUSES: Colours = &[
    ("200", "green"),
    ("2xx", "semi-dark-green"),
    ("3xx", "light-blue"),
    ("404", "light-green"),
    ("429", "purple"),
    ("4xx", "yellow"),
    ("500", "red"),
    ("502", "light-red"),
    ("503", "semi-dark-red"),
    ("504", "light-orange"),
    ("5xx", "dark-red"),
    ("timeout", "orange"),
    ("connect", "dark-orange"),
    ("dns", "semi-dark-orange"),
    ("tls", "super-light-orange"),
    ("reset", "super-light-red"),
    ("canceled", "dark-purple"),
];

/// A new version.
pub(crate) const DEPLOYED: &str = "blue";
/// Another configuration came into force.
pub(crate) const CONFIGURED: &str = "purple";
/// A breaker opened.
pub(crate) const OPENED: &str = "orange";
/// A critical alert fires.
pub(crate) const CRITICAL: &str = "red";
/// A replica started.
pub(crate) const STARTED: &str = "text";

/// Good, a warning, bad.
pub(crate) const GOOD: &str = "green";
/// Look at it in the morning.
pub(crate) const WARNING: &str = "orange";
/// Look at it now.
pub(crate) const BAD: &str = "red";
/// Neither good nor bad.
pub(crate) const PLAIN: &str = "blue";
/// A line that is no measurement.
pub(crate) const LINE: &str = "red";

/// From where on a number is a warning, and from where on it is bad. Where `bad` is the smaller one,
/// more is better.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Here a warning begins.
    pub(crate) warning: f64,
    /// Here it is bad.
    pub(crate) bad: f64,
}

/// Limits.
pub(crate) const fn limits(warning: f64, bad: f64) -> Limits {
    Limits { warning, bad }
}

/// A failing share of calls: what a month allows, and what would use that up in two days.
pub(crate) const FAILING: Limits = limits(0.001, 0.0144);
/// How fast a budget burns: it lasts for less than the month, for less than two days.
pub(crate) const BURNING: Limits = limits(1.0, 14.4);
/// How full something is.
pub(crate) const FULL: Limits = limits(0.7, 0.9);
/// Anything at all is a warning.
pub(crate) const NONE: Limits = limits(1e-9, f64::INFINITY);
