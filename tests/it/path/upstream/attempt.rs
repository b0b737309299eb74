//! One attempt: its time, and how much of a reply is read.

use holdline::telemetry::{outcome::Outcome, stage::Stage};

use super::{ONCE, ada};
use crate::support::{rig::Setup, scripted::Line};

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
    assert_eq!((heard.outcome(), heard.at), (Outcome::UpstreamTimeout, 4750));
    assert_eq!(rig.upstream().instants(), [0, 2025, 4075]);
    let attempts = heard.steps.iter().filter(|step| step.stage == Stage::Attempt);
    let attempts: Vec<_> = attempts.map(|step| (step.decision, step.took.as_millis())).collect();
    assert_eq!(attempts, [("timeout", 2000), ("timeout", 2000), ("canceled", 675)]);
    assert_eq!((rig.upstream().in_flight(), rig.condition().in_flight), (0, 0));
}

#[tokio::test(start_paused = true)]
pub(crate) async fn a_reply_is_read_up_to_its_cap_and_not_a_byte_further() {
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
