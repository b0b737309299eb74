//! From a reply to an answer: what fits goes out in the order of the contract, what does not is a
//! failure of the upstream's contract.

use holdline::telemetry::{outcome::Outcome, stage::Stage};
use serde_json::json;

use crate::support::{
    rig::{Rig, Setup},
    scripted::Line,
};

/// A pipeline whose `lookup` has further outputs.
fn rig() -> Rig {
    let outputs = "output: {name: {type: string, from: $.name}, age: {type: integer, from: \
                   $.details.age, default: 7}, tier: {type: string, value: gold}}";
    let yaml = Setup::PLAIN.yaml().replace("output: {name: {type: string, from: $.name}}", outputs);
    Rig::of(&yaml, Setup::PLAIN.room, Setup::PLAIN.chance)
}

#[tokio::test(start_paused = true)]
async fn every_output_is_there_in_the_order_of_the_contract() {
    let rig = rig();
    for (reply, answer) in [
        (
            json!({"details": {"age": 36}, "name": "Ada", "more": [1]}),
            r#"{"name":"Ada","age":36,"tier":"gold"}"#,
        ),
        (json!({"name": "Ada"}), r#"{"name":"Ada","age":7,"tier":"gold"}"#),
        (json!({"name": "", "details": {"age": null}}), r#"{"name":"","age":7,"tier":"gold"}"#),
    ] {
        rig.upstream().next(Line::json(&reply));
        let heard = rig.lookup().heard().await;
        assert_eq!((heard.body(), heard.decision(Stage::MapOutput)), (answer, "mapped"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_does_not_fit_is_a_failure_and_none_of_it_is_shown() {
    let rig = rig();
    let failures = [
        ("<html>secret</html>", "not_json", "External API reply is not JSON"),
        ("", "not_json", "External API reply is not JSON"),
        (r#"{"name":"secret","name":"b"}"#, "not_json", "External API reply has a key twice"),
        (r#"["secret"]"#, "wrong_type", "External API reply is not a JSON object"),
        ("{}", "missing_field", "External API reply has no value for output name"),
        (r#"{"name":null}"#, "missing_field", "External API reply has no value for output name"),
        (
            r#"{"name":["secret"]}"#,
            "wrong_type",
            "External API reply has a value of the wrong type for output name",
        ),
        (
            r#"{"name":"a","details":{"age":1.5}}"#,
            "wrong_type",
            "External API reply has a value of the wrong type for output age",
        ),
    ];
    for (reply, reason, detail) in failures {
        rig.upstream().next(Line::status(200).body(reply));
        let heard = rig.lookup().heard().await;
        assert_eq!(heard.outcome(), Outcome::MappingError, "{reply}");
        assert_eq!(heard.failure().detail(), detail, "{reply}");
        assert_eq!(heard.decision(Stage::MapOutput), reason);
        assert_eq!(heard.decision(Stage::Upstream), "answered", "the upstream did answer");
    }
    assert_eq!(rig.upstream().count(), failures.len(), "asking again would not change it");
    let counts = rig.counts("holdline_mapping_failures_total");
    for (reason, count) in [("not_json", 3), ("wrong_type", 3), ("missing_field", 2)] {
        assert_eq!(counts[&format!("action=lookup,phase=response,reason={reason}")], count);
    }
}

#[tokio::test(start_paused = true)]
async fn any_success_is_read_whatever_its_number_or_content_type() {
    let rig = rig();
    for status in [200, 201, 203] {
        let reply = Line::status(status).body(r#"{"name":"Ada"}"#);
        rig.upstream().next(reply.header("content-type", "text/html"));
        assert!(rig.lookup().heard().await.result.is_ok(), "{status}");
    }
}
