//! Who calls: their slots, tokens, handshakes and limits.

use holdline::telemetry::metrics::{
    LIMIT_DECISIONS, TLS_HANDSHAKES, TOKEN_REQUESTS, TOKEN_VALIDATIONS,
};

use super::{
    Alert, Board, Group, Rule, Severity,
    objectives::SLOTS,
    promql::{increase, rate, series, share, sum, where_too},
    recorded::SLOTS_HELD,
};

pub(super) fn group() -> Group {
    Group {
        name: "holdline.callers",
        about: "Who calls: slots, tokens, handshakes, limits.",
        interval: None,
        rules: [
            slots_filling(),
            validation_errors(),
            rejections_high(),
            token_requests_refused(),
            handshakes_failing(),
            rate_limiting(),
        ]
        .map(Rule::Alert)
        .into(),
    }
}

fn slots_filling() -> Alert {
    Alert {
        name: "HoldlineSlotsFilling",
        why: "Genesys Cloud runs 50 data actions at once for an organisation by default, for all its flows. Who \
              serves several organisations, or has another limit, changes it.",
        expr: format!("{SLOTS_HELD} > 0.8 * {SLOTS}"),
        lasts: Some("5m"),
        stays: None,
        severity: Severity::Critical,
        labels: vec![],
        summary: "{{ $labels.job }} holds {{ $value | printf \"%.0f\" }} of the organisation's action slots."
            .to_owned(),
        description: format!(
            "Genesys Cloud runs {SLOTS} data actions at once. When all are held, every flow of the organisation \
             fails, also in actions that never come here.",
        ),
        board: Board::Overview,
    }
}

fn validation_errors() -> Alert {
    let validations = |matchers: &str| series(&TOKEN_VALIDATIONS, matchers);
    let undecided = |grown: fn(&str, &str) -> String| {
        let of = |matchers: &str| grown(&validations(matchers), "5m");
        sum("", &format!("{} or {}", of(r#"result="error""#), of(r#"source="stale""#)))
    };
    let share = share(&undecided(rate), &sum("", &rate(&validations(""), "5m")));
    let some = format!("{} > 5", undecided(increase));
    Alert {
        name: "HoldlineTokenValidationErrors",
        why: "Verdicts past their time count as well: they hide that the authority is gone until they end. A few at \
              night say nothing.",
        expr: where_too(&format!("{share} > 0.02"), "", &some),
        lasts: Some("5m"),
        stays: None,
        severity: Severity::Critical,
        labels: vec![],
        summary: "{{ $labels.job }}: the token authority does not answer.".to_owned(),
        description: "{{ $value | humanizePercentage }} of verdicts could not be got, or are old ones that stand in. \
                      Remembered verdicts hide this until they end; then every call is refused with 503."
            .to_owned(),
        board: Board::Path(&[]),
    }
}

fn rejections_high() -> Alert {
    let of = |matchers: &str| sum("", &rate(&series(&TOKEN_VALIDATIONS, matchers), "15m"));
    let refused = format!("{} > 0.2", share(&of(r#"result!~"valid|error""#), &of("")));
    Alert {
        name: "HoldlineTokenRejectionsHigh",
        why: "",
        expr: where_too(&refused, "", &format!("{} > 0.1", of(""))),
        lasts: Some("15m"),
        stays: None,
        severity: Severity::Warning,
        labels: vec![],
        summary: "{{ $labels.job }} refuses {{ $value | humanizePercentage }} of tokens and keys."
            .to_owned(),
        description:
            "A credential was changed on one side only, a clock is off, or somebody tries."
                .to_owned(),
        board: Board::Path(&[]),
    }
}

fn token_requests_refused() -> Alert {
    let refused = series(&TOKEN_REQUESTS, r#"result=~"invalid_client|throttled""#);
    let all = sum("caller", &rate(&series(&TOKEN_REQUESTS, ""), "15m"));
    let share = share(&sum("caller", &rate(&refused, "15m")), &all);
    let some = format!("{} > 10", sum("caller", &increase(&refused, "15m")));
    Alert {
        name: "HoldlineTokenRequestsRefused",
        why: "",
        expr: where_too(&format!("{share} > 0.2"), "caller", &some),
        lasts: Some("15m"),
        stays: None,
        severity: Severity::Warning,
        labels: vec![],
        summary: "{{ $labels.job }}: clients of {{ $labels.caller }} are refused a token.".to_owned(),
        description: "{{ $value | humanizePercentage }} of requests for a token show a wrong secret: it was changed \
                      on one side only, or somebody guesses."
            .to_owned(),
        board: Board::Path(&[]),
    }
}

fn handshakes_failing() -> Alert {
    let of = |results: &str| {
        sum("", &rate(&series(&TLS_HANDSHAKES, &format!(r#"result=~"{results}""#)), "10m"))
    };
    let failed = of("no_certificate|bad_certificate|error");
    let share = share(&failed, &of("ok|no_certificate|bad_certificate|error"));
    Alert {
        name: "HoldlineHandshakesFailing",
        why: "Who only connects and leaves, as balancers and scanners do, does not count.",
        expr: where_too(&format!("{share} > 0.2"), "", &format!("{failed} > 0.05")),
        lasts: Some("10m"),
        stays: None,
        severity: Severity::Warning,
        labels: vec![],
        summary: "{{ $labels.job }}: {{ $value | humanizePercentage }} of TLS handshakes fail.".to_owned(),
        description: "Callers show no certificate, or one that no root of server.tls.client_ca has signed, or they \
                      do not like ours. Such calls are seen nowhere else here."
            .to_owned(),
        board: Board::Capacity(&[]),
    }
}

fn rate_limiting() -> Alert {
    let of = |matchers: &str| sum("limit", &rate(&series(&LIMIT_DECISIONS, matchers), "10m"));
    let limited = format!("{} > 0.05", share(&of(r#"decision="limited""#), &of("")));
    Alert {
        name: "HoldlineRateLimiting",
        why: "",
        expr: where_too(&limited, "limit", &format!("{} > 0.1", of(""))),
        lasts: Some("15m"),
        stays: None,
        severity: Severity::Warning,
        labels: vec![],
        summary: "{{ $labels.job }}: limit {{ $labels.limit }} refuses {{ $value | humanizePercentage }} of calls."
            .to_owned(),
        description: "A flow in a loop, or a limit that is too low for the season.".to_owned(),
        board: Board::Path(&[]),
    }
}
