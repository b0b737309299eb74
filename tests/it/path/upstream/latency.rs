//! How long the upstream took lately, and what is not begun because of it.

use std::time::Duration;

use holdline::{client::WireError, telemetry::outcome::Outcome};

use super::{ONCE, ada};
use crate::support::{
    rig::{Rig, Setup},
    scripted::Line,
};

/// A pipeline to which the upstream has said this so many times.
async fn told(number: usize, line: Line) -> Rig {
    let crm = [ONCE, &["concurrency: {limit: 200}"]].concat();
    let rig = Setup { crm: &crm, ..Setup::PLAIN }.rig();
    rig.upstream().always(line);
    rig.lookup().times(number).await;
    rig
}

fn median(rig: &Rig) -> Option<u128> {
    rig.condition().median.map(|median| median.as_millis())
}

#[tokio::test(start_paused = true)]
async fn it_is_known_from_the_twentieth_answer_and_its_tail_from_the_hundredth() {
    let rig = told(19, ada().after(48)).await;
    assert_eq!(median(&rig), None);
    rig.lookup().heard().await;
    assert_eq!((median(&rig), rig.condition().p95), (Some(48), None));
    rig.lookup().times(80).await;
    assert_eq!(rig.condition().p95, Some(Duration::from_millis(48)));
    rig.until(31_000).await;
    assert_eq!((median(&rig), rig.condition().p95), (None, None), "that was long ago");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_an_answer_and_a_failure_is_none() {
    for status in [200, 204, 301, 400, 404, 409, 422] {
        assert_eq!(median(&told(20, Line::status(status).after(7)).await), Some(7), "{status}");
    }
    for status in [408, 429, 500, 502, 503, 504] {
        assert_eq!(median(&told(20, Line::status(status).after(7)).await), None, "{status}");
    }
    for broken in
        [Line::fails(WireError::Reset), Line::fails(WireError::BodyTooLarge), Line::hangs()]
    {
        assert_eq!(median(&told(20, broken.after(7)).await), None);
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_caller_gave_up_says_nothing() {
    let rig = told(19, ada().after(48)).await;
    rig.upstream().next(ada().after(1000));
    let gives_up = rig.lookup().set_off().await;
    rig.until(500).await;
    gives_up.hang_up().await;
    rig.upstream().next(ada().after(1000));
    assert_eq!(rig.lookup().within(900).heard().await.outcome(), Outcome::DeadlineExceeded);
    assert_eq!(median(&rig), None);
}

#[tokio::test(start_paused = true)]
async fn no_attempt_is_begun_in_less_time_than_the_fastest_answers_took() {
    let rig = told(20, ada().after(1024)).await;
    // Of 1,137 ms a call has 1,024, of 1,136 only 1,023.
    let heard = rig.lookup().within(1136).heard().await;
    assert_eq!((heard.outcome(), heard.at), (Outcome::DeadlineExceeded, 1024));
    assert_eq!(rig.upstream().count(), 20);
    assert_eq!(rig.lookup().within(1200).heard().await.outcome(), Outcome::Ok);
    rig.until(40_000).await;
    rig.upstream().always(ada());
    let heard = rig.lookup().within(300).heard().await;
    assert_eq!(heard.outcome(), Outcome::Ok, "an upstream that was slow is not given up for ever");
}

#[tokio::test(start_paused = true)]
async fn a_slow_action_does_not_refuse_the_callers_of_a_fast_one() {
    let rig = told(80, ada().after(1024)).await;
    rig.upstream().always(ada().after(5));
    rig.lookup().times(20).await;
    assert_eq!(median(&rig), Some(1024));
    let heard = rig.lookup().within(600).heard().await;
    assert_eq!((heard.outcome(), heard.at), (Outcome::Ok, 1024 + 5 + 5));
}

#[tokio::test(start_paused = true)]
async fn no_repeat_is_begun_either() {
    let rig = Setup::PLAIN.rig();
    rig.upstream().always(ada().after(1024));
    rig.lookup().times(20).await;
    rig.upstream().next(Line::status(503).after(500));
    let heard = rig.lookup().within(1500).heard().await;
    assert_eq!((heard.failure().upstream_status(), heard.at), (Some(503), 1524));
    let suppressed = rig.counts("holdline_upstream_retries_suppressed_total");
    assert_eq!(suppressed["upstream=crm,reason=deadline"], 1);
}
