//! No fault hides another: each two of the single faults in the tables, put into one file, are both told.

use std::collections::BTreeSet;

use super::{
    GOOD,
    faults::{Fault, KEYS, VALUES},
    parse,
    parts::{ACTIONS, CALLERS_AND_LIMITS, UPSTREAMS},
};

/// The good file with both, where they stand apart.
fn both(one: &Fault, other: &Fault) -> Option<String> {
    let mut places = [(GOOD.find(one.0)?, one), (GOOD.find(other.0)?, other)];
    places.sort_by_key(|(at, _)| *at);
    let [(first, one), (second, other)] = places;
    let apart = first + one.0.len() <= second;
    apart.then(|| {
        let between = &GOOD[first + one.0.len()..second];
        [&GOOD[..first], one.1, between, other.1, &GOOD[second + other.0.len()..]].concat()
    })
}

/// A problem without its place, which moves, and without what to write instead, which may name what the
/// other fault has changed.
fn told(problem: &str) -> &str {
    let (_, rest) = problem.split_once(' ').unwrap_or(("", problem));
    rest.split_once("; ").map_or(rest, |(what, _)| what)
}

/// Whether `expected` compares with, or depends on, what `other` has spoilt.
fn is_spoilt(expected: &str, other: &Fault) -> bool {
    const COMPARED: [(&str, &[&str]); 9] = [
        (
            "is too short: less a margin",
            &["lookup.timeout", "lookup.tiemout", "timeouts", "request.upstream"],
        ),
        ("is not below genesys_timeout", &["lookup.timeout", "lookup.tiemout"]),
        ("is not below the attempt time-out", &["lookup.timeout: 5s is too short"]),
        ("server.max_body", &["server.max_body_size"]),
        ("does not fit into max_bytes_in_flight", &["server.max_body"]),
        ("callers.portal.keys", &["callers.portal.type", "callers.none"]),
        ("callers.portal", &["callers.none"]),
        ("there is no caller `portal`", &["lookup.caller"]),
        ("lacks `lang`, the customer", &["input.orgId", "input.1st"]),
    ];
    COMPARED.iter().any(|(sentence, spoilt)| {
        let told = |spoilt: &&str| other.2.iter().any(|told| told.contains(*spoilt));
        expected.contains(sentence) && spoilt.iter().any(told)
    })
}

#[test]
fn each_two_faults_are_both_told() {
    let all: Vec<&Fault> =
        [KEYS, VALUES, CALLERS_AND_LIMITS, UPSTREAMS, ACTIONS].into_iter().flatten().collect();
    let yaml = |fault: &&Fault| !fault.2.iter().any(|told| told.contains("is not YAML"));
    let all: Vec<&Fault> = all.into_iter().filter(yaml).collect();
    let (mut hidden, mut pairs) = (Vec::new(), 0);
    for (index, one) in all.iter().enumerate() {
        for other in &all[index + 1..] {
            let Some(yaml) = both(one, other) else { continue };
            pairs += 1;
            let report = parse("f", &yaml, &super::no_env).unwrap_err();
            let found: Vec<String> = report.problems().iter().map(ToString::to_string).collect();
            let found: BTreeSet<&str> = found.iter().map(|problem| told(&problem[2..])).collect();
            for (fault, beside) in [(one, other), (other, one)] {
                for expected in fault.2.iter().map(|problem| told(problem)) {
                    if !found.contains(expected) && !is_spoilt(expected, beside) {
                        hidden.push(format!("{expected}\n    beside {:?}", beside.2));
                    }
                }
            }
        }
    }
    assert!(hidden.is_empty(), "{} of {pairs}\n{}", hidden.len(), hidden.join("\n"));
    assert!(pairs > 1000, "{pairs}");
}
