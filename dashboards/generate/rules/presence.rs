//! Whether there is anybody: replicas, readiness, traffic.

use holdline::telemetry::metrics::{BUILD, DRAINING, PROCESS_START, READY};

use super::{
    Alert, Board, Group, Rule, Severity,
    promql::{over, series, unless, where_too},
    recorded::KNOWN,
};

pub(super) fn group() -> Group {
    Group {
        name: "holdline.presence",
        about: "Whether there is anybody. A Holdline is known by its metrics, not by the name of its job, \
                and for a day after they were last seen.",
        interval: None,
        rules: [down(), replica_down(), none_ready(), no_traffic(), restarting(), drained()]
            .map(Rule::Alert)
            .into(),
    }
}

fn down() -> Alert {
    let build = series(&BUILD, "");
    let seen = over("group", "", &format!("last_over_time({build}[1d])"));
    let gone = unless(&seen, "", &over("group", "", &build));
    Alert {
        name: "HoldlineDown",
        why: "Whoever loads these rules has one: none in a whole day is down as well. After that day, one of \
              several that is gone counts as taken away.",
        expr: format!("{gone}\nor\nabsent(last_over_time({build}[1d]))"),
        lasts: Some("5m"),
        stays: None,
        severity: Severity::Critical,
        labels: vec![],
        summary: "{{ with $labels.job }}{{ . }}{{ else }}Holdline{{ end }}: no replica is being scraped."
            .to_owned(),
        description: "{{ if $labels.job }}There was one within the last day; now every target is down or gone.\
                      {{ else }}There was none within the last day.{{ end }} Calls fail, or nobody would see it \
                      if they did."
            .to_owned(),
        board: Board::OverviewOrAll,
    }
}

fn replica_down() -> Alert {
    let seen = over("group", "", &format!("last_over_time({}[1d])", series(&BUILD, "")));
    Alert {
        name: "HoldlineReplicaDown",
        why: "One that never came up has no metrics of its own: it is known by those of its job, which should \
              have no other programs.",
        expr: where_too("up == 0", "", &seen),
        lasts: Some("10m"),
        stays: None,
        severity: Severity::Warning,
        labels: vec![],
        summary: "{{ $labels.instance }} of {{ $labels.job }} cannot be scraped.".to_owned(),
        description: "The target is known, but has not answered a scrape for 10 minutes. The others carry its \
                      calls."
            .to_owned(),
        board: Board::Capacity(&["instance"]),
    }
}

fn none_ready() -> Alert {
    let all_checks = over("min", "instance", &series(&READY, ""));
    Alert {
        name: "HoldlineNoneReady",
        why: "A replica takes 35 s to leave; a rollout is over by then.",
        expr: format!("{} == 0", over("max", "", &all_checks)),
        lasts: Some("2m"),
        stays: None,
        severity: Severity::Critical,
        labels: vec![],
        summary: "{{ $labels.job }}: no replica is ready.".to_owned(),
        description:
            "Replicas run and are scraped, but each says that it must not be sent calls: it is \
                      starting, stopping, or drained by hand."
                .to_owned(),
        board: Board::Overview,
    }
}

fn no_traffic() -> Alert {
    let lately = format!("max_over_time({KNOWN}[3h]) > 0.1");
    let quiet = format!("min_over_time({KNOWN}[1h] offset 167h30m) < 0.01");
    let stopped = where_too(&format!("{KNOWN} == 0"), "", &lately);
    Alert {
        name: "HoldlineNoTraffic",
        why: "A contact centre closes in the evening: where it was quiet at this hour of last week (half an hour \
              either way), nobody is told.",
        expr: unless(&stopped, "", &quiet),
        lasts: Some("15m"),
        stays: None,
        severity: Severity::Warning,
        labels: vec![],
        summary: "{{ $labels.job }}: calls have stopped.".to_owned(),
        description: "Not one call to a known action for 20 minutes, though there were calls within the last three \
                      hours and it is not known to be quiet at this hour. Look at the flow, the ingress, DNS \
                      and certificates before the service."
            .to_owned(),
        board: Board::Overview,
    }
}

fn restarting() -> Alert {
    let changes = format!("changes({}[30m]) > 3", series(&PROCESS_START, ""));
    let ours = format!("last_over_time({}[30m])", series(&BUILD, ""));
    Alert {
        name: "HoldlineRestarting",
        why: "",
        expr: where_too(&changes, "instance", &ours),
        lasts: None,
        stays: None,
        severity: Severity::Warning,
        labels: vec![],
        summary: "{{ $labels.instance }} of {{ $labels.job }} restarts again and again.".to_owned(),
        description: "{{ $value }} starts within 30 minutes. Each begins with an empty cache."
            .to_owned(),
        board: Board::Capacity(&["instance"]),
    }
}

fn drained() -> Alert {
    Alert {
        name: "HoldlineDrained",
        why: "A process that stops is gone after 35 s, so this is somebody's hand.",
        expr: format!("{} == 1", series(&DRAINING, "")),
        lasts: Some("1h"),
        stays: None,
        severity: Severity::Info,
        labels: vec![],
        summary: "{{ $labels.instance }} of {{ $labels.job }} is still drained.".to_owned(),
        description:
            "It was taken out of rotation by hand over an hour ago. The others carry its calls."
                .to_owned(),
        board: Board::Capacity(&["instance"]),
    }
}
