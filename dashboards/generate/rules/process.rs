//! The processes themselves: room, configuration, certificates, bugs.

use holdline::telemetry::metrics::{
    BUILD, CERTIFICATE_EXPIRY, CONFIG, CONFIG_RELOAD_SUCCESSFUL, EVENT_LOOP_LAG, PANICS,
    PROCESS_FDS, PROCESS_FDS_MAX, REQUESTS, TELEMETRY_DROPPED,
};

use super::{
    Alert, Board, Group, Rule, Severity,
    promql::{bucket, increase, over, rate, series, share, sum, where_too},
    recorded::VALID,
};

pub(super) fn group() -> Group {
    Group {
        name: "holdline.process",
        about: "The processes themselves: room, configuration, certificates, bugs.",
        interval: None,
        rules: [
            shedding(),
            event_loop_lag(),
            descriptors(),
            reload_failed(),
            configurations_differ(),
            certificate(Severity::Critical, 2),
            certificate(Severity::Warning, 14),
            panics(),
            telemetry_dropping(),
        ]
        .map(Rule::Alert)
        .into(),
    }
}

/// A warning about an installation.
fn warning(name: &'static str, expr: String, lasts: &'static str) -> Alert {
    Alert::warning(name, expr, lasts, Board::Capacity(&[]))
}

fn shedding() -> Alert {
    let shed = sum("", &rate(&series(&REQUESTS, r#"outcome="overloaded""#), "5m"));
    Alert {
        summary: "{{ $labels.job }} sheds {{ $value | humanizePercentage }} of calls.".to_owned(),
        description: "Some room is full (calls or bytes in flight, the calls of one organisation, those that wait for \
                      one fetch, the attempts at an upstream), or an upstream may not be asked yet."
            .to_owned(),
        ..warning("HoldlineShedding", format!("{} > 0.005", share(&shed, VALID)), "5m")
    }
}

fn event_loop_lag() -> Alert {
    let buckets = sum("le", &rate(&bucket(&EVENT_LOOP_LAG, ""), "5m"));
    Alert {
        summary: "{{ $labels.job }}: its threads wake up late.".to_owned(),
        description: "One in a hundred tasks is woken {{ $value | humanizeDuration }} late or more. The processor \
                      is throttled or busy, or something blocks."
            .to_owned(),
        ..warning("HoldlineEventLoopLag", format!("histogram_quantile(0.99, {buckets}) > 0.1"), "10m")
    }
}

fn descriptors() -> Alert {
    let used = format!("{} / {} > 0.8", series(&PROCESS_FDS, ""), series(&PROCESS_FDS_MAX, ""));
    Alert {
        summary: "{{ $labels.instance }} of {{ $labels.job }} runs out of file descriptors.".to_owned(),
        description: "{{ $value | humanizePercentage }} are in use. When all are, no connection can be accepted or \
                      made."
            .to_owned(),
        board: Board::Capacity(&["instance"]),
        ..warning(
            "HoldlineDescriptorsRunningOut",
            where_too(&used, "instance", &series(&BUILD, "")),
            "10m",
        )
    }
}

fn reload_failed() -> Alert {
    Alert {
        summary: "{{ $labels.instance }} of {{ $labels.job }} refused its new configuration."
            .to_owned(),
        description: "It runs on with the one before. If it restarted now, it would not start."
            .to_owned(),
        board: Board::Capacity(&["instance"]),
        ..warning(
            "HoldlineConfigReloadFailed",
            format!("{} == 0", series(&CONFIG_RELOAD_SUCCESSFUL, "")),
            "5m",
        )
    }
}

fn configurations_differ() -> Alert {
    let each = over("count", "hash", &series(&CONFIG, ""));
    Alert {
        summary: "{{ $labels.job }}: replicas run different configurations.".to_owned(),
        description: "{{ $value }} are in force at once. A rollout is stuck, or a replica has not read its file anew."
            .to_owned(),
        board: Board::Overview,
        ..warning("HoldlineConfigDrift", format!("{} > 1", over("count", "", &each)), "15m")
    }
}

fn certificate(severity: Severity, days: u32) -> Alert {
    let known = format!("{} > 0", series(&CERTIFICATE_EXPIRY, ""));
    let left = format!("{} - time()", over("min", "certificate", &known));
    Alert {
        severity,
        summary: "{{ $labels.job }}: the certificate at {{ $labels.certificate }} expires.".to_owned(),
        description: "In {{ $value | humanizeDuration }} (negative: it has). Then no connection is made with it. A new \
                      file in its place is read by itself."
            .to_owned(),
        ..warning("HoldlineCertificateExpiring", format!("{left} < {days} * 86400"), "15m")
    }
}

fn panics() -> Alert {
    Alert {
        lasts: None,
        summary: "{{ $labels.job }} has met a bug.".to_owned(),
        description: "About {{ $value | printf \"%.0f\" }} calls or tasks panicked within 15 minutes. A call that did \
                      was answered 500."
            .to_owned(),
        ..warning(
            "HoldlinePanics",
            format!("{} > 0", sum("", &increase(&series(&PANICS, ""), "15m"))),
            "0m",
        )
    }
}

fn telemetry_dropping() -> Alert {
    let dropped = sum("signal", &rate(&series(&TELEMETRY_DROPPED, ""), "15m"));
    Alert {
        severity: Severity::Info,
        summary: "{{ $labels.job }} drops {{ $labels.signal }}.".to_owned(),
        description: "{{ $value | humanize }} a second: who takes them is slow or gone. Calls are not touched."
            .to_owned(),
        ..warning("HoldlineTelemetryDropping", format!("{dropped} > 0"), "15m")
    }
}
