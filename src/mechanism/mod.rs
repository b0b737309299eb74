//! Pure policies with a clock handed in: each in one file, none knows another, none knows calls,
//! HTTP or telemetry. Used by authentication and upstreams alike.

pub mod breaker;
pub mod budget;
pub mod flight;
pub mod permit;

// No policy: the way of counting on which breaker and budget stand.
pub mod window;
