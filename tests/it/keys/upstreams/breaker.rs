//! The keys of a breaker: each with its usual value, and with another.

use holdline::{
    chance::Chance,
    client::WireError,
    mechanism::breaker::State::{self, Closed, HalfOpen, Open},
};

use crate::{
    path::upstream::{ada, calls, state},
    support::{
        rig::{Rig, Setup},
        scripted::Line,
    },
};

/// A pipeline whose breaker has these keys; attempts stand for calls.
fn rig(keys: &str) -> Rig {
    let breaker = format!("breaker: {{{keys}}}");
    let crm = ["retry: {attempts: 1}", &breaker];
    Setup { crm: &crm, chance: Chance::Loaded(0.5), ..Setup::PLAIN }.rig()
}

/// A failure and an answer in turns, with a failure at both ends.
async fn every_other_fails(rig: &Rig, failures: usize) {
    calls(rig, 1, Line::status(503)).await;
    for _ in 1..failures {
        calls(rig, 1, ada()).await;
        calls(rig, 1, Line::status(503)).await;
    }
}

/// For how long a call is told to stay away.
async fn rest(rig: &Rig) -> u128 {
    let heard = rig.lookup().heard().await;
    heard.failure().retry_after().expect("it says when").as_millis()
}

#[tokio::test(start_paused = true)]
pub(crate) async fn the_share_of_failures_opens_it() {
    for (keys, expected) in [("", Open), ("failure_ratio: 0.9", Closed)] {
        let rig = rig(keys);
        every_other_fails(&rig, 11).await;
        assert_eq!(state(&rig), expected, "{keys}");
    }
}

#[tokio::test(start_paused = true)]
pub(crate) async fn a_share_of_too_few_attempts_says_nothing() {
    for (keys, expected) in [("", Closed), ("min_attempts: 10", Open)] {
        let rig = rig(keys);
        every_other_fails(&rig, 10).await;
        assert_eq!(state(&rig), expected, "{keys}");
    }
}

#[tokio::test(start_paused = true)]
pub(crate) async fn it_looks_back_as_far_as_is_written() {
    for (keys, expected) in [("", Closed), ("window: 60s", Open)] {
        let rig = rig(keys);
        every_other_fails(&rig, 10).await;
        rig.until(12_000).await;
        calls(&rig, 2, Line::status(503)).await;
        assert_eq!(state(&rig), expected, "{keys}");
    }
}

/// The state after so many attempts that end like `line`, with each of the two settings.
async fn after(number: usize, line: Line, cases: [(&str, State); 2]) {
    for (keys, expected) in cases {
        let rig = rig(keys);
        calls(&rig, number, line.clone()).await;
        assert_eq!(state(&rig), expected, "{keys}");
    }
}

#[tokio::test(start_paused = true)]
pub(crate) async fn a_run_of_failures_opens_it() {
    after(3, Line::status(503), [("", Closed), ("run: 3", Open)]).await;
}

#[tokio::test(start_paused = true)]
pub(crate) async fn a_run_of_failures_to_connect_opens_it() {
    let line = Line::fails(WireError::Connect);
    after(2, line, [("", Closed), ("connect_run: 2", Open)]).await;
}

#[tokio::test(start_paused = true)]
pub(crate) async fn its_first_rest_is_as_long_as_is_written() {
    for (keys, expected) in [("", 2000), ("open: {first: 500ms}", 500)] {
        let rig = rig(keys);
        calls(&rig, 7, Line::status(503)).await;
        assert_eq!(rest(&rig).await, expected, "{keys}");
    }
}

#[tokio::test(start_paused = true)]
pub(crate) async fn no_rest_is_longer_than_is_written() {
    for (keys, expected) in [("", 4000), ("open: {max: 3s}", 3000)] {
        let rig = rig(keys);
        calls(&rig, 7, Line::status(503)).await;
        rig.until(2000).await;
        calls(&rig, 1, Line::status(503)).await;
        assert_eq!(rest(&rig).await, expected, "{keys}");
    }
}

#[tokio::test(start_paused = true)]
pub(crate) async fn as_many_good_probes_close_it() {
    for (keys, expected) in [("", HalfOpen), ("close_after: 1", Closed)] {
        let rig = rig(keys);
        calls(&rig, 7, Line::status(503)).await;
        rig.until(2000).await;
        calls(&rig, 1, ada()).await;
        assert_eq!(state(&rig), expected, "{keys}");
    }
}

#[tokio::test(start_paused = true)]
pub(crate) async fn after_closing_a_part_passes_as_long_as_is_written() {
    for (keys, passes) in [("", false), ("ramp: 0s", true)] {
        let rig = rig(&format!("close_after: 1, {keys}"));
        calls(&rig, 7, Line::status(503)).await;
        rig.until(2000).await;
        calls(&rig, 1, ada()).await;
        assert_eq!(rig.lookup().heard().await.result.is_ok(), passes, "{keys}");
    }
}

#[tokio::test(start_paused = true)]
pub(crate) async fn what_is_slow_is_written() {
    for (keys, expected) in
        [("", Closed), ("slow: {after: 1s}", Open), ("slow: {after: 1600ms}", Closed)]
    {
        let rig = rig(keys);
        rig.upstream().always(ada().after(1500));
        rig.lookup().times(20).await;
        assert_eq!(state(&rig), expected, "{keys}");
    }
}

#[tokio::test(start_paused = true)]
pub(crate) async fn the_share_of_slow_attempts_opens_it() {
    for (keys, expected) in [("", Closed), (", ratio: 0.5", Open)] {
        let rig = rig(&format!("slow: {{after: 1s{keys}}}"));
        rig.upstream().always(ada().after(1500));
        rig.lookup().times(12).await;
        rig.upstream().always(ada());
        rig.lookup().times(8).await;
        assert_eq!(state(&rig), expected, "{keys}");
    }
}
