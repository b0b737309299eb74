//! Series that are computed beforehand. Long windows are sums over what is recorded for five minutes:
//! a day of every call series of every replica is more than a Prometheus should read each minute.

use holdline::telemetry::metrics::{
    ATTEMPT_DURATION, CACHE_LOOKUPS, REQUEST_DURATION, REQUESTS, SLOT_SECONDS,
};

use super::{
    Group, Record, Rule,
    objectives::IN_TIME,
    promql::{bucket, count, indented, rate, series, share, sum, up_to},
};

pub(super) const KNOWN: &str = "job:holdline_requests_known:rate5m";
pub(super) const VALID: &str = "job:holdline_requests_valid:rate5m";
pub(super) const SLOTS_HELD: &str = "job:holdline_slots_held:rate5m";
pub(super) const ATTEMPTS: &str = "upstream:holdline_attempts:rate5m";
pub(super) const ATTEMPT_ERRORS: &str = "upstream:holdline_attempt_errors:ratio_rate5m";
pub(super) const HITS: &str = "action:holdline_cache_hits:ratio_rate30m";
const BY_CLASS: &str = "job_class:holdline_requests:rate5m";
const FAILED: &str = "job:holdline_requests_failed:rate5m";
pub(super) const ANSWERED: &str = "job:holdline_requests_answered:rate5m";
const SLOW: &str = "job:holdline_requests_slow:rate5m";

/// How often the group is evaluated, and how many seconds that is.
const EVERY: (&str, u32) = ("1m", 60);

/// The windows of the burn rates.
const WINDOWS: [&str; 7] = ["5m", "30m", "1h", "2h", "6h", "1d", "3d"];

/// The kinds of errors of attempts that are the upstream's fault. A 404 is an answer, and so is a
/// 409 or a 422; who hangs up says nothing of it.
const FAULTS: &str = "timeout|connect|dns|tls|reset|protocol|body_too_large|401|403|408|429|5..";

/// A share of calls over a window: of which kind, and over how long.
pub(super) fn ratio(kind: &str, window: &str) -> String {
    format!("job:holdline_request_{kind}:ratio_rate{window}")
}

/// Whether there were so many calls of a recorded rate within a window.
pub(super) fn at_least(calls: u32, of: &str, window: &str) -> String {
    format!("sum_over_time({of}[{window}]) * {} > {calls}", EVERY.1)
}

pub(super) fn group() -> Group {
    let mut rules = rates();
    for window in WINDOWS {
        rules.push(over_window("errors", FAILED, VALID, window));
        rules.push(over_window("slow", SLOW, ANSWERED, window));
    }
    rules.extend(details());
    let about = "What is computed beforehand.";
    let rules = rules.into_iter().map(Rule::Record).collect();
    Group { name: "holdline.recorded", about, interval: Some(EVERY.0), rules }
}

fn rates() -> Vec<Record> {
    let calls = |matchers: &str| rate(&series(&REQUESTS, matchers), "5m");
    let answers = rate(&count(&REQUEST_DURATION, r#"source!="none""#), "5m");
    let in_time = format!(r#"source!="none",{}"#, up_to(&REQUEST_DURATION, IN_TIME));
    let in_time = rate(&bucket(&REQUEST_DURATION, &in_time), "5m");
    vec![
        record(BY_CLASS, "", sum("class", &calls(""))),
        record(
            KNOWN,
            "Calls to actions that exist. A balancer that asks for / is no traffic.",
            sum("", &calls(r#"action!="_unknown""#)),
        ),
        record(
            VALID,
            "Calls that the promise is about: all but those refused for the caller's own doing.",
            sum("", &format!(r#"{BY_CLASS}{{class!="rejected"}}"#)),
        ),
        record(FAILED, "", sum("", &format!(r#"{BY_CLASS}{{class="failure"}}"#))),
        record(
            ANSWERED,
            "Calls that were answered, whoever did. How long a failure takes says nothing of answers.",
            sum("", &answers),
        ),
        record(
            SLOW,
            "Of these, those that took longer than the objective.",
            format!("{ANSWERED}\n-\n{}", sum("", &in_time)),
        ),
        record(
            SLOTS_HELD,
            "Of the organisation's action slots, those that calls to here hold.",
            sum("", &rate(&series(&SLOT_SECONDS, ""), "5m")),
        ),
    ]
}

/// Sums are divided, never ratios averaged: an hour at night weighs what it weighs.
fn over_window(kind: &str, part: &str, whole: &str, window: &str) -> Record {
    let summed = |name: &str| match window {
        "5m" => name.to_owned(),
        _ => format!("sum_over_time({name}[{window}])"),
    };
    record(&ratio(kind, window), "", share(&summed(part), &summed(whole)))
}

fn details() -> Vec<Record> {
    let attempts = |matchers: &str| rate(&count(&ATTEMPT_DURATION, matchers), "5m");
    let of_upstream = |matchers: &str| sum("upstream", &attempts(matchers));
    let faults = [of_upstream(&format!(r#"error_type=~"{FAULTS}""#)), format!("0 * {ATTEMPTS}")]
        .join("\nor\n");
    let lookups = |results: &str| {
        let matchers = format!(r#"cache="response",result=~"{results}""#);
        sum("action", &rate(&series(&CACHE_LOOKUPS, &matchers), "30m"))
    };
    vec![
        record(
            ATTEMPTS,
            "Other programs have metrics of this name too, but none with an upstream.",
            of_upstream(r#"upstream!="""#),
        ),
        record(
            ATTEMPT_ERRORS,
            "What is the upstream's fault: a 404 is an answer. Series of errors appear with the first, \
             so without any the share is zero.",
            share(&format!("(\n{}\n)", indented(&faults)), ATTEMPTS),
        ),
        record(
            HITS,
            "A failure that is told again from memory is neither a hit nor a miss.",
            share(&lookups("hit|stale"), &lookups("hit|stale|miss|expired")),
        ),
    ]
}

fn record(name: &str, why: &'static str, expr: String) -> Record {
    Record { name: name.to_owned(), why, expr }
}
