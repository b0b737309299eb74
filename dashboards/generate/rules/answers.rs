//! What is answered: old answers, the cache, the mapping.

use holdline::telemetry::metrics::{
    CACHE_EVICTIONS, CACHE_LOOKUPS, CACHE_REFRESHES, CACHE_STORES, MAPPING_FAILURES, REQUESTS,
};

use super::{
    Alert, Board, Group, Rule, Severity,
    promql::{increase, indented, rate, series, share, sum, where_too},
    recorded::HITS,
};

pub(super) fn group() -> Group {
    Group {
        name: "holdline.answers",
        about: "What is answered: old answers, the cache, the mapping.",
        interval: None,
        rules: [
            serving_stale(),
            refreshes_failing(),
            hit_ratio_dropped(),
            cache_pressure(),
            mapping_failures(),
        ]
        .map(Rule::Alert)
        .into(),
    }
}

/// A warning about an action.
fn warning(name: &'static str, why: &'static str, expr: String, lasts: &'static str) -> Alert {
    Alert { why, ..Alert::warning(name, expr, lasts, Board::Path(&["action"])) }
}

fn serving_stale() -> Alert {
    let calls = |matchers: &str| sum("action", &rate(&series(&REQUESTS, matchers), "10m"));
    let refreshed = sum("action", &rate(&series(&CACHE_REFRESHES, ""), "10m"));
    let stale =
        format!("(\n{}\n)", indented(&format!("{}\n-\n{refreshed}", calls(r#"outcome="stale""#))));
    let share = share(&stale, &calls(r#"class!="rejected""#));
    Alert {
        summary: "{{ $labels.job }}: {{ $labels.action }} answers {{ $value | humanizePercentage }} out of old \
                  entries."
            .to_owned(),
        description: "The fetch failed or took too long, and the cache covers for it until stale_if_error ends."
            .to_owned(),
        ..warning(
            "HoldlineServingStale",
            "A stale answer with a refresh behind it is everyday life, and each has one refresh, made or skipped: \
             what is left over stands in for a fetch.",
            format!("{share} > 0.2"),
            "15m",
        )
    }
}

fn refreshes_failing() -> Alert {
    let of = |matchers: &str| sum("action", &rate(&series(&CACHE_REFRESHES, matchers), "10m"));
    let made = of(r#"result!="skipped""#);
    let failing = format!("{} > 0.5", share(&of(r#"result="failure""#), &made));
    Alert {
        summary: "{{ $labels.job }}: {{ $value | humanizePercentage }} of refreshes of {{ $labels.action }} fail."
            .to_owned(),
        description: "Callers still get their old answers at once. When stale_while_revalidate is over they wait \
                      for a fetch, and it will fail too."
            .to_owned(),
        ..warning(
            "HoldlineRefreshesFailing",
            "",
            where_too(&failing, "action", &format!("{made} > 0.02")),
            "10m",
        )
    }
}

fn hit_ratio_dropped() -> Alert {
    let halved = format!("{HITS} < 0.5 * avg_over_time({HITS}[1d] offset 1h)");
    let lookups = series(&CACHE_LOOKUPS, r#"cache="response""#);
    let some = format!("{} > 0.5", sum("action", &rate(&lookups, "30m")));
    Alert {
        severity: Severity::Info,
        summary: "{{ $labels.job }}: the share of hits of {{ $labels.action }} has halved.".to_owned(),
        description: "It is {{ $value | humanizePercentage }}, less than half of its mean of the day before: a \
                      purge, another key or ttl, restarts, or other customers."
            .to_owned(),
        ..warning(
            "HoldlineCacheHitRatioDropped",
            "",
            where_too(&halved, "action", &some),
            "30m",
        )
    }
}

fn cache_pressure() -> Alert {
    let evicted = sum("cache", &rate(&series(&CACHE_EVICTIONS, r#"cause="size""#), "15m"));
    let stored = sum("cache", &rate(&series(&CACHE_STORES, r#"result="stored""#), "15m"));
    let half = format!("{} > 0.5", share(&evicted, &stored));
    Alert {
        summary: "{{ $labels.job }}: the cache {{ $labels.cache }} is too small.".to_owned(),
        description: "For want of room it throws out {{ $value | humanizePercentage }} as many answers as it takes \
                      in."
            .to_owned(),
        board: Board::Path(&[]),
        ..warning(
            "HoldlineCachePressure",
            "",
            where_too(&half, "cache", &format!("{stored} > 0.1")),
            "30m",
        )
    }
}

fn mapping_failures() -> Alert {
    let failures = series(&MAPPING_FAILURES, "");
    let failed = sum("action", &rate(&failures, "10m"));
    let fetched = sum("action", &rate(&series(&REQUESTS, r#"source="upstream""#), "10m"));
    let share = share(&failed, &format!("({failed} + {fetched})"));
    let some = format!("{} > 5", sum("action", &increase(&failures, "10m")));
    Alert {
        summary: "{{ $labels.job }}: {{ $value | humanizePercentage }} of replies for {{ $labels.action }} do not \
                  fit its outputs."
            .to_owned(),
        description: "The upstream has changed what it answers, or the mapping was changed wrongly.".to_owned(),
        ..warning(
            "HoldlineMappingFailures",
            "Of what was fetched, not of all calls: hits would hide that every reply is wrong.",
            where_too(&format!("{share} > 0.05"), "action", &some),
            "10m",
        )
    }
}
