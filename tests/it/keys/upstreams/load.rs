//! How much an upstream is asked at once and in time, and when it is asked twice.

use crate::{
    path::upstream::ada,
    support::{
        rig::{Rig, Setup},
        scripted::Line,
    },
};

/// A pipeline that repeats nothing and gives no rest, with this key of the upstream.
fn rig(key: &str) -> Rig {
    Setup { crm: &["retry: {attempts: 1}", "breaker: {enabled: false}", key], ..Setup::PLAIN }.rig()
}

#[tokio::test(start_paused = true)]
pub(crate) async fn as_many_attempts_are_under_way_as_are_written() {
    for (keys, most) in [("", 20), ("start: 7", 7), ("limit: 5", 5), ("limit: adaptive", 20)] {
        let rig = rig(&format!("concurrency: {{{keys}}}"));
        rig.upstream().always(ada().after(50));
        rig.lookup().times(30).await;
        assert_eq!(rig.upstream().most_in_flight(), most, "{keys}");
    }
}

#[tokio::test(start_paused = true)]
pub(crate) async fn an_adaptive_limit_stays_within_what_is_written() {
    for (keys, line, limit) in [
        ("", Line::status(503), 4),
        ("min: 12", Line::status(503), 12),
        ("", ada(), 200),
        ("max: 25", ada(), 25),
    ] {
        let rig = rig(&format!("concurrency: {{{keys}}}"));
        rig.upstream().always(line.after(50));
        for _ in 0..100 {
            rig.lookup().times(rig.condition().limit).await;
        }
        assert_eq!(rig.condition().limit, limit, "{keys}");
    }
}

#[tokio::test(start_paused = true)]
pub(crate) async fn a_turn_is_waited_for_as_long_as_is_written() {
    for (keys, given_up) in [("", 100), (", wait: 30ms", 30)] {
        let rig = rig(&format!("concurrency: {{limit: 1{keys}}}"));
        rig.upstream().always(Line::hangs());
        let _holds = rig.lookup().set_off().await;
        let heard = rig.lookup().heard().await;
        assert_eq!((heard.result.is_ok(), heard.at), (false, given_up), "{keys}");
    }
}

#[tokio::test(start_paused = true)]
pub(crate) async fn attempts_are_sent_as_fast_as_the_vendor_allows() {
    for (quota, instants) in [
        ("", [0, 0, 0]),
        ("quota: {rate: 20/s, burst: 1}", [0, 50, 100]),
        ("quota: {rate: 50/s, burst: 1}", [0, 20, 40]),
        ("quota: {rate: 20/s, burst: 2}", [0, 0, 50]),
    ] {
        let rig = rig(quota);
        rig.lookup().times(3).await;
        assert_eq!(rig.upstream().instants(), instants, "{quota}");
    }
}

#[tokio::test(start_paused = true)]
pub(crate) async fn a_late_attempt_has_a_second_one_where_that_is_on() {
    for (hedge, attempts) in [("", 1), ("hedge: {enabled: true}", 2)] {
        let setup = Setup { crm: &["retry: {attempts: 2, on: [connect]}", hedge], ..Setup::PLAIN };
        let rig = setup.rig();
        rig.upstream().always(ada().after(64));
        for _ in 0..100 {
            rig.lookup().heard().await;
        }
        rig.forget();
        rig.upstream().next(ada().after(500));
        rig.lookup().heard().await;
        assert_eq!(rig.upstream().count(), attempts, "{hedge}");
    }
}
