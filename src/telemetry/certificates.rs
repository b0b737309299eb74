//! When certificates of ours end, so that somebody can be told before.

use std::time::Duration;

use crate::telemetry::metrics::{CERTIFICATE_EXPIRY, Registry};

/// Says that there is no certificate at `place` any more.
pub fn tell_gone(registry: &Registry, place: &str) {
    registry.gauge(&CERTIFICATE_EXPIRY, &[place]).set(0.0);
}

/// Says when the first certificate of a chain expires, in time since 1970. `place` is where the
/// configuration names it, such as `server.tls`.
pub fn tell_expiry(registry: &Registry, place: &str, at: Duration) {
    registry.gauge(&CERTIFICATE_EXPIRY, &[place]).set(at.as_secs_f64());
}
