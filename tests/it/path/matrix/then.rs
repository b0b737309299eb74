//! What several tests of the matrix ask afterwards.

use futures_util::FutureExt;
use holdline::{
    mechanism::breaker::State,
    telemetry::outcome::{Outcome, Source},
};

use super::given::named;
use crate::support::{ask::Heard, rig::Rig};

/// No permit, no flight, no task and no request is left.
pub(super) async fn nothing_is_left(rig: &Rig) {
    rig.settle().await;
    assert_eq!((rig.condition().in_flight, rig.upstream().in_flight()), (0, 0), "permits");
    assert_eq!((rig.pipeline.flights(), rig.tasks()), (0, 0), "flights and tasks");
    assert_eq!(rig.authority().in_flight(), 0, "questions");
}

/// A call is answered out of the cache, at once, and nobody outside is asked.
pub(super) async fn a_hit_asks_nobody(rig: &Rig) {
    let before = (rig.upstream().count(), rig.authority().count());
    let heard = rig.lookup().heard().now_or_never().expect("a hit waits for nothing");
    is_from(&heard, Source::CacheFresh, "Ada");
    assert_eq!((rig.upstream().count(), rig.authority().count()), before);
    nothing_is_left(rig).await;
}

/// A call is answered with the old answer, at once.
pub(super) async fn ada_is_served_stale(rig: &Rig) {
    let asked_at = rig.now();
    let heard = rig.lookup().heard().await;
    is_from(&heard, Source::CacheStale, "Ada");
    assert_eq!(heard.at, asked_at);
}

/// That answer, from there.
#[track_caller]
pub(super) fn is_from(heard: &Heard, source: Source, name: &str) {
    assert_eq!((heard.source(), heard.body()), (source, &*format!(r#"{{"name":"{name}"}}"#)));
}

/// What is known by now is nothing: a call asks the well upstream, and then it is known.
pub(super) async fn nothing_was_kept(rig: &Rig) {
    rig.upstream().only([]).always(named("Zoe"));
    is_from(&rig.lookup().heard().await, Source::Upstream, "Zoe");
    is_from(&rig.lookup().heard().await, Source::CacheFresh, "Zoe");
}

/// The breaker refuses for so many milliseconds, and nothing is sent.
pub(super) async fn the_breaker_rests_for(rig: &Rig, ms: u128) {
    let before = rig.upstream().count();
    assert_eq!(rig.condition().breaker.state, State::Open);
    let heard = rig.lookup().heard().await;
    assert_eq!(heard.outcome(), Outcome::BreakerOpen);
    assert_eq!(heard.failure().retry_after().expect("it says when").as_millis(), ms);
    assert_eq!(rig.upstream().count(), before);
}

/// The breaker takes two more good probes and closes: the one before them counted as good.
pub(super) async fn two_more_probes_close_the_breaker(rig: &Rig) {
    assert_eq!(rig.condition().breaker.state, State::HalfOpen);
    rig.upstream().only([]).always(named("Ada"));
    for state in [State::HalfOpen, State::Closed] {
        // Each about a customer of its own, so that nothing known answers instead.
        let id = 100 + i64::try_from(rig.upstream().count()).expect("a few");
        assert!(rig.lookup().id(id).heard().await.result.is_ok());
        assert_eq!(rig.condition().breaker.state, state);
    }
}
