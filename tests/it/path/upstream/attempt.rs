//! One attempt: its turn, its time, and how much of a reply is read.

use holdline::telemetry::{outcome::Outcome, stage::Stage};

use super::{ONCE, ada};
use crate::support::{
    rig::{Rig, Setup},
    scripted::Line,
};

/// At most two attempts at once.
fn narrow(wait: &str) -> Rig {
    let concurrency = format!("concurrency: {{limit: 2, wait: {wait}}}");
    Setup { crm: &[&concurrency, "retry: {attempts: 1}"], ..Setup::PLAIN }.rig()
}

#[tokio::test(start_paused = true)]
async fn its_time_covers_the_whole_reply() {
    let rig = Setup::PLAIN.rig();
    rig.upstream().next(ada().after(2001));
    let heard = rig.lookup().heard().await;
    assert_eq!((heard.outcome(), heard.at), (Outcome::Ok, 2025));
    assert_eq!(rig.upstream().instants(), [0, 2025]);
    assert_eq!(rig.upstream().in_flight(), 0);

    let rig = Setup { crm: ONCE, ..Setup::PLAIN }.rig();
    rig.upstream().next(ada().after(1999));
    assert_eq!(rig.lookup().heard().await.at, 1999);
}

#[tokio::test(start_paused = true)]
async fn the_last_attempt_ends_with_the_call() {
    let rig = Setup::PLAIN.rig();
    rig.upstream().always(Line::hangs());
    let heard = rig.lookup().heard().await;
    assert_eq!((heard.outcome(), heard.at), (Outcome::DeadlineExceeded, 4750));
    assert_eq!(rig.upstream().instants(), [0, 2025, 4075]);
    let attempts = heard.steps.iter().filter(|step| step.stage == Stage::Attempt);
    let attempts: Vec<_> = attempts.map(|step| (step.decision, step.took.as_millis())).collect();
    assert_eq!(attempts, [("timeout", 2000), ("timeout", 2000), ("canceled", 675)]);
    assert_eq!((rig.upstream().in_flight(), rig.condition().in_flight), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_reply_is_read_up_to_its_cap_and_not_a_byte_further() {
    let crm = ["max_reply: 1KiB"];
    let rig = Setup { crm: &crm, ..Setup::PLAIN }.rig();
    let reply = |length: usize| {
        let name = "x".repeat(length - r#"{"name":""}"#.len());
        Line::status(200).body(format!(r#"{{"name":"{name}"}}"#))
    };
    rig.upstream().next(reply(1024)).next(reply(1025));
    assert!(rig.lookup().heard().await.result.is_ok());
    let heard = rig.lookup().heard().await;
    assert_eq!(heard.outcome(), Outcome::MappingError);
    assert_eq!(heard.decision(Stage::Upstream), "too_large");
    assert_eq!(rig.upstream().count(), 2, "asking again would not make it smaller");
}

#[tokio::test(start_paused = true)]
async fn attempts_beyond_the_limit_wait_for_their_turn() {
    let rig = narrow("100ms");
    rig.upstream().always(ada().after(60));
    let mut at: Vec<_> = rig.lookup().times(4).await.iter().map(|heard| heard.at).collect();
    at.sort_unstable();
    assert_eq!(at, [60, 60, 120, 120]);
    assert_eq!(rig.upstream().most_in_flight(), 2);
    assert_eq!(rig.condition().in_flight, 0);
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_does_not_come_is_given_up_and_nothing_is_sent() {
    let rig = narrow("100ms");
    rig.upstream().always(ada().after(150));
    let heard = rig.lookup().times(3).await;
    let (good, shed): (Vec<_>, Vec<_>) = heard.iter().partition(|heard| heard.result.is_ok());
    assert_eq!((good.len(), shed.len(), rig.upstream().count()), (2, 1, 2));
    assert_eq!((shed[0].outcome(), shed[0].at), (Outcome::Overloaded, 100));
    assert_eq!(shed[0].decision(Stage::Upstream), "saturated");
    assert_eq!(shed[0].failure().retry_after().unwrap().as_secs(), 1);
    let calls = rig.counts("holdline_upstream_calls_total");
    assert_eq!(calls["upstream=crm,result=shed,retried=false"], 1);
}

#[tokio::test(start_paused = true)]
async fn at_most_a_tenth_of_the_time_left_is_spent_in_line() {
    let rig = narrow("1s");
    rig.upstream().always(Line::hangs());
    let _first = rig.lookup().set_off().await;
    let _second = rig.lookup().set_off().await;
    let heard = rig.lookup().within(500).heard().await;
    assert_eq!((heard.outcome(), heard.at), (Outcome::Overloaded, 45));
    let heard = rig.lookup().heard().await;
    assert_eq!((heard.outcome(), heard.at), (Outcome::Overloaded, 45 + 475));
}

#[tokio::test(start_paused = true)]
async fn whoever_hangs_up_gives_a_permit_or_a_place_in_line_back() {
    let rig = narrow("1s");
    rig.upstream().next(Line::hangs()).next(Line::hangs());
    let first = rig.lookup().set_off().await;
    let second = rig.lookup().set_off().await;
    let in_line = rig.lookup().set_off().await;
    let behind = rig.lookup().set_off().await;
    assert_eq!((rig.condition().in_flight, rig.condition().limit), (2, 2));
    in_line.hang_up().await;
    first.hang_up().await;
    assert_eq!(behind.heard().await.at, 0);
    second.hang_up().await;
    assert_eq!((rig.condition().in_flight, rig.upstream().in_flight()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_change_goes_on_when_its_caller_hangs_up_and_a_question_does_not() {
    let rig = Setup::PLAIN.rig();
    rig.upstream().always(Line::hangs());
    rig.lookup().set_off().await.hang_up().await;
    assert_eq!((rig.upstream().in_flight(), rig.tasks()), (0, 0));
    rig.ask("update").set_off().await.hang_up().await;
    assert_eq!((rig.upstream().in_flight(), rig.tasks()), (1, 1));
    rig.upstream().release(Line::status(200));
    rig.settle().await;
    assert_eq!((rig.upstream().in_flight(), rig.tasks(), rig.condition().in_flight), (0, 0, 0));
    assert_eq!(rig.upstream().count(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_attempt_is_counted_by_method_status_and_error() {
    let rig = Setup { crm: ONCE, ..Setup::PLAIN }.rig();
    rig.upstream().next(Line::status(418)).next(Line::hangs());
    rig.lookup().heard().await;
    rig.lookup().heard().await;
    rig.ask("update").heard().await;
    let counts = rig.counts("http_client_request_duration_seconds_count");
    let host = "server_address=crm.test,server_port=443";
    for (method, status, error) in
        [("GET", "4xx", "4xx"), ("GET", "", "timeout"), ("POST", "200", "")]
    {
        let series = format!(
            "upstream=crm,http_request_method={method},http_response_status_code={status},\
             error_type={error},{host}"
        );
        assert_eq!(counts.get(&series), Some(&1), "{series} in {counts:#?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_its_caller_gives_up_is_counted_as_canceled() {
    let rig = Setup::PLAIN.rig();
    rig.upstream().always(Line::hangs());
    rig.lookup().set_off().await.hang_up().await;
    rig.settle().await;
    let counts = rig.counts("http_client_request_duration_seconds_count");
    let canceled = counts.iter().filter(|(labels, _)| labels.contains("error_type=canceled"));
    assert_eq!(canceled.map(|(_, count)| count).sum::<u64>(), 1, "{counts:?}");
}

#[tokio::test(start_paused = true)]
async fn an_error_longer_than_any_reply_may_be_is_still_that_error() {
    let rig = Setup { crm: &["max_reply: 1KiB", "retry: {attempts: 1}"], ..Setup::PLAIN }.rig();
    rig.upstream().next(Line::status(503).body("x".repeat(5_000)));
    let heard = rig.lookup().heard().await;
    assert_eq!(heard.failure().upstream_status(), Some(503));
}
