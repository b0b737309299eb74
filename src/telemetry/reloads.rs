//! What is counted of the configurations that are read while the process runs.

use std::fmt;

use metrics::Gauge;

use crate::{
    telemetry::{
        meters::Words,
        metrics::{self as table, Registry},
    },
    time::Wall,
};

/// Configurations that are read while the process runs.
pub struct ReloadMeters {
    results: Words,
    successful: Gauge,
    success: Gauge,
}

impl fmt::Debug for ReloadMeters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReloadMeters(..)")
    }
}

impl ReloadMeters {
    /// The series. The configuration of the start counts as good, and not as read anew.
    pub fn new(registry: &Registry, wall: Wall) -> Self {
        let meters = Self {
            results: Words::new(&["applied", "unchanged", "refused"], |result| {
                registry.counter(&table::CONFIG_RELOADS, &[result])
            }),
            successful: registry.gauge(&table::CONFIG_RELOAD_SUCCESSFUL, &[]),
            success: registry.gauge(&table::CONFIG_RELOAD_SUCCESS, &[]),
        };
        meters.good(wall);
        meters
    }

    /// One was read, at this time: `applied`, `unchanged` or `refused`.
    pub fn read(&self, result: &str, wall: Wall) {
        self.results.count(result);
        if result == "refused" { self.successful.set(0.0) } else { self.good(wall) }
    }

    fn good(&self, wall: Wall) {
        self.successful.set(1.0);
        self.success.set(wall.since_epoch().as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_was_refused_leaves_the_time_of_the_last_good_one() {
        let registry = Registry::new();
        let at = |shown| Wall::Anchored { shown, at: crate::time::now() };
        let meters = ReloadMeters::new(&registry, at(1_000));
        let shown = |series: &str| {
            let text = registry.render();
            let line = text.lines().find_map(|line| line.strip_prefix(series));
            line.unwrap().trim().parse::<f64>().unwrap().floor()
        };
        let since = "holdline_config_last_reload_success_timestamp_seconds";
        let successful = "holdline_config_last_reload_successful";
        for (result, wall, good, last) in [
            ("refused", 2_000, 0.0, 1_000.0),
            ("unchanged", 3_000, 1.0, 3_000.0),
            ("refused", 4_000, 0.0, 3_000.0),
            ("applied", 5_000, 1.0, 5_000.0),
        ] {
            meters.read(result, at(wall));
            assert_eq!((shown(successful), shown(since)), (good, last), "{result}");
        }
        assert_eq!(shown("holdline_config_reloads_total{result=\"refused\"}"), 2.0);
    }
}
