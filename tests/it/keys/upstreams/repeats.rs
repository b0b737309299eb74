//! Where an attempt goes, how long it may take, and what of it is repeated.

use holdline::telemetry::outcome::Outcome;

use crate::support::{
    rig::{Rig, Setup},
    scripted::Line,
};

/// A pipeline that gives no rest, with this key of the upstream.
fn rig(key: &str) -> Rig {
    Setup { crm: &[key, "breaker: {enabled: false}"], ..Setup::PLAIN }.rig()
}

#[tokio::test(start_paused = true)]
pub(crate) async fn an_upstream_is_asked_where_it_is_written() {
    let rig = Setup::PLAIN.rig();
    rig.lookup().heard().await;
    let moved = rig.reload(&[("https://crm.test/v2", "https://other.test")]);
    moved.lookup().heard().await;
    let seen = rig.upstream().seen();
    let places: Vec<_> = seen.iter().map(|seen| (&*seen.host, &*seen.path)).collect();
    assert_eq!(places, [("crm.test", "/v2/users/1"), ("other.test", "/users/1")]);
}

#[tokio::test(start_paused = true)]
pub(crate) async fn an_attempt_may_take_as_long_as_is_written() {
    for (key, given_up) in [("", 2000), ("timeouts: {connect: 100ms, attempt: 300ms}", 300)] {
        let crm = ["retry: {attempts: 1}", key];
        let rig = Setup { crm: &crm, ..Setup::PLAIN }.rig();
        rig.upstream().always(Line::hangs());
        let heard = rig.lookup().heard().await;
        assert_eq!((heard.outcome(), heard.at), (Outcome::UpstreamTimeout, given_up), "{key}");
    }
}

#[tokio::test(start_paused = true)]
pub(crate) async fn waits_grow_up_to_what_is_written() {
    // Half of each ceiling is waited.
    for (backoff, total) in [("", 25 + 50 + 100 + 200), ("max: 100ms", 25 + 50 + 50 + 50)] {
        let rig = rig(&format!("retry: {{attempts: 5, backoff: {{{backoff}}}}}"));
        rig.upstream().always(Line::status(503));
        assert_eq!(rig.lookup().heard().await.at, total, "{backoff}");
    }
}

#[tokio::test(start_paused = true)]
pub(crate) async fn as_large_a_share_is_repeated_as_is_written() {
    for (ratio, repeats) in [("", 2), (", ratio: 0.5", 5), (", ratio: 0", 0)] {
        let rig = rig(&format!("retry: {{attempts: 2, budget: {{per_second: 0{ratio}}}}}"));
        rig.upstream().always(Line::status(503));
        rig.lookup().times(10).await;
        assert_eq!(rig.upstream().count(), 10 + repeats, "{ratio}");
    }
}

#[tokio::test(start_paused = true)]
pub(crate) async fn repeats_are_saved_up_as_long_as_is_written() {
    for (window, repeats) in [("", 10), (", window: 20s", 20)] {
        let rig =
            rig(&format!("retry: {{attempts: 2, budget: {{ratio: 0, per_second: 1{window}}}}}"));
        rig.upstream().always(Line::status(503));
        rig.lookup().times(20).await;
        assert_eq!(rig.upstream().count(), 20 + repeats, "{window}");
    }
}
