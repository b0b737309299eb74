//! Pure policies with a clock handed in: each in one file, none knows another, none knows calls,
//! HTTP or telemetry. Used by authentication and upstreams alike.

pub mod breaker;
pub mod budget;
pub mod flight;
pub mod latency;
pub mod not_before;
pub mod permit;
pub mod quota;

// No policy: the way of counting on which breaker, budget and latency stand.
pub mod window;
