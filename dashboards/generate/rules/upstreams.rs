//! What stands behind: breakers, attempts, retries, turns, logins.

use holdline::telemetry::metrics::{
    BREAKER_STATE, BREAKER_TRANSITIONS, CREDENTIAL_REFRESHES, HELD, RETRIES, RETRIES_SUPPRESSED,
    UPSTREAM_CALLS, UPSTREAM_IN_FLIGHT, UPSTREAM_LIMIT,
};

use super::{
    Alert, Board, Group, Rule, Severity,
    promql::{increase, indented, over, rate, series, share, sum, unless, where_too},
    recorded::{ATTEMPT_ERRORS, ATTEMPTS},
};

pub(super) fn group() -> Group {
    Group {
        name: "holdline.upstreams",
        about: "What stands behind. Callers may not notice yet: what is known is answered.",
        interval: None,
        rules: [
            breaker_open(),
            breaker_flapping(),
            breaker_forced(),
            errors(),
            held_off(),
            retry_storm(),
            retry_budget_exhausted(),
            saturated(),
            credential_refresh_failing(),
        ]
        .map(Rule::Alert)
        .into(),
    }
}

/// A warning about an upstream.
fn warning(name: &'static str, why: &'static str, expr: String, lasts: &'static str) -> Alert {
    Alert { why, ..Alert::warning(name, expr, lasts, Board::Upstreams) }
}

fn breaker_open() -> Alert {
    let lately = format!("max_over_time({}[90s])", series(&BREAKER_STATE, r#"state="open""#));
    Alert {
        stays: Some("5m"),
        summary: "{{ $labels.job }}: the breaker of {{ $labels.upstream }} is open.".to_owned(),
        description: "On {{ $value | humanizePercentage }} of replicas. Known customers are answered stale where \
                      stale_if_error allows it, others are refused at once."
            .to_owned(),
        ..warning(
            "HoldlineBreakerOpen",
            "Between two openings it is half-open for the moment of a probe, so what counts is the last minute \
             and a half. One that is half-open and that nobody calls is left alone.",
            format!("{} > 0", over("avg", "upstream", &lately)),
            "2m",
        )
    }
}

fn breaker_flapping() -> Alert {
    let opened = series(&BREAKER_TRANSITIONS, r#"from="closed",to="open""#);
    let on_one = sum("instance, upstream", &increase(&opened, "30m"));
    Alert {
        lasts: None,
        summary: "{{ $labels.job }}: the breaker of {{ $labels.upstream }} opens again and again.".to_owned(),
        description: "About {{ $value | printf \"%.0f\" }} times in 30 minutes on one replica, having closed in \
                      between: it is half broken, or the breaker's rules are too tight."
            .to_owned(),
        ..warning(
            "HoldlineBreakerFlapping",
            "A probe that fails opens it again; that is one outage and not many. Replicas are not added up: all \
             of them open once.",
            format!("{} > 3", over("max", "upstream", &on_one)),
            "0m",
        )
    }
}

fn breaker_forced() -> Alert {
    let forced = series(&BREAKER_STATE, r#"state=~"forced_open|forced_closed|observing""#);
    Alert {
        severity: Severity::Info,
        summary:
            "{{ $labels.job }}: the breaker of {{ $labels.upstream }} is still {{ $labels.state }}."
                .to_owned(),
        description:
            "It was set by hand over an hour ago. It ends by itself after 24 hours at most."
                .to_owned(),
        ..warning(
            "HoldlineBreakerForced",
            "",
            format!("{} == 1", over("max", "upstream, state", &forced)),
            "1h",
        )
    }
}

fn errors() -> Alert {
    let many = format!("{ATTEMPT_ERRORS} > 0.25");
    Alert {
        summary: "{{ $labels.job }}: {{ $labels.upstream }} fails {{ $value | humanizePercentage }} of attempts."
            .to_owned(),
        description: "Attempts, before retries; callers may not notice yet.".to_owned(),
        ..warning(
            "HoldlineUpstreamErrors",
            "While the breaker is open there are only its probes, which are too few: HoldlineBreakerOpen tells.",
            where_too(&many, "upstream", &format!("{ATTEMPTS} > 0.2")),
            "10m",
        )
    }
}

fn held_off() -> Alert {
    let held = |more| sum(more, &rate(&series(&HELD, ""), "5m"));
    let all = format!("({ATTEMPTS} + on (namespace, job, upstream) {})", held("upstream"));
    let part = held("upstream, reason");
    Alert {
        summary: "{{ $labels.job }}: {{ $value | humanizePercentage }} of attempts at {{ $labels.upstream }} may \
                  not be sent yet."
            .to_owned(),
        description: "{{ if eq $labels.reason \"quota\" }}Our own quota for it is used up.{{ else }}It answers 429 \
                      or 503 with Retry-After, and we keep to it.{{ end }} Meanwhile what is known is answered \
                      stale, and all else fails with 503."
            .to_owned(),
        ..warning(
            "HoldlineUpstreamHeldOff",
            "",
            format!("{part}\n/ on (namespace, job, upstream) group_left ()\n({all} > 0) > 0.05"),
            "10m",
        )
    }
}

fn retry_storm() -> Alert {
    let retries = sum("upstream", &rate(&series(&RETRIES, ""), "5m"));
    let many = format!("{} > 0.1", share(&retries, ATTEMPTS));
    Alert {
        summary: "{{ $labels.job }}: {{ $value | humanizePercentage }} of attempts at {{ $labels.upstream }} are \
                  retries."
            .to_owned(),
        description: "They add load to a system that is in trouble already.".to_owned(),
        ..warning(
            "HoldlineRetryStorm",
            "The usual budget lets retries be a fifth of the fetches, a sixth of the attempts: at a tenth more \
             than half of it is in use.",
            where_too(&many, "upstream", &format!("{ATTEMPTS} > 0.2")),
            "10m",
        )
    }
}

fn retry_budget_exhausted() -> Alert {
    let unpaid = series(&RETRIES_SUPPRESSED, r#"reason="budget_exhausted""#);
    let fetches = sum("upstream", &rate(&series(&UPSTREAM_CALLS, ""), "5m"));
    let share = share(&sum("upstream", &rate(&unpaid, "5m")), &fetches);
    Alert {
        summary: "{{ $labels.job }}: the retry budget for {{ $labels.upstream }} is used up.".to_owned(),
        description: "{{ $value | humanizePercentage }} of fetches failed and were not repeated for want of budget. \
                      They reach callers as failures, or as old answers."
            .to_owned(),
        ..warning("HoldlineRetryBudgetExhausted", "", format!("{share} > 0.01"), "10m")
    }
}

fn saturated() -> Alert {
    let mean = |metric| sum("upstream", &format!("avg_over_time({}[5m])", series(metric, "")));
    let share = share(&mean(&UPSTREAM_IN_FLIGHT), &mean(&UPSTREAM_LIMIT));
    Alert {
        summary: "{{ $labels.job }}: {{ $labels.upstream }} takes {{ $value | humanizePercentage }} of the attempts \
                  that it may have."
            .to_owned(),
        description: "Further ones wait in line, or are shed with 503. It has become slow, or there is more to do \
                      than it can."
            .to_owned(),
        ..warning("HoldlineSaturated", "", format!("{share} > 0.9"), "10m")
    }
}

fn credential_refresh_failing() -> Alert {
    let on_one = |matcher: &str| {
        sum("instance, upstream", &increase(&series(&CREDENTIAL_REFRESHES, matcher), "10m"))
    };
    let failing = unless(
        &format!("{} > 2", on_one(r#"result!="success""#)),
        "instance, upstream",
        &format!("{} > 0", on_one(r#"result="success""#)),
    );
    Alert {
        severity: Severity::Critical,
        summary: "{{ $labels.job }} cannot get a token for {{ $labels.upstream }}.".to_owned(),
        description: "Replicas that ask for one in vain: {{ $value }}. The old one serves until it expires; then \
                      every fetch fails."
            .to_owned(),
        ..warning(
            "HoldlineCredentialRefreshFailing",
            "A token that nobody needs is let expire, so its expiry says nothing: what counts is that it is asked \
             for in vain, and more than twice.",
            format!("count by (namespace, job, upstream) (\n{}\n)", indented(&failing)),
            "5m",
        )
    }
}
