//! Answers removed or marked stale by an operator: at once, and not brought back by a fetch that was
//! under way.

use holdline::{
    catalog::name::Name,
    pipeline::{cache::Manner, operate::Purge},
    telemetry::outcome::{Outcome, Source},
};
use serde_json::json;

use super::{MINUTE, named, source};
use crate::support::{
    rig::{Rig, Setup},
    scripted::Line,
};

fn customer(customer: &str, action: &str) -> Purge {
    let action = Name::new(action).expect("a name");
    Purge::Customer { customer: customer.to_owned(), action }
}

/// Every purge that covers a lookup of customer 1, in both manners.
fn every_purge() -> impl Iterator<Item = (Purge, Manner)> {
    let lookup = Purge::Action(Name::new("lookup").expect("a name"));
    let purges = [customer("1", "lookup"), lookup, Purge::All];
    purges.into_iter().flat_map(|purge| [(purge.clone(), Manner::Hard), (purge, Manner::Soft)])
}

/// A pipeline that knows customer 1 in two languages, and customer 2.
async fn filled() -> Rig {
    let rig = MINUTE.rig();
    for input in [json!({"id": 1}), json!({"id": 1, "lang": "de"}), json!({"id": 2})] {
        rig.lookup().input(&input).heard().await;
    }
    assert_eq!(rig.metric(r#"holdline_cache_entries{cache="response"}"#), 3.0);
    rig
}

#[tokio::test(start_paused = true)]
pub(crate) async fn a_purge_by_customer_finds_all_that_is_kept_about_them_and_nothing_else() {
    let rig = filled().await;
    assert_eq!(rig.purge(&customer("1", "update")), 0);
    assert_eq!(rig.purge(&customer("3", "lookup")), 0);
    assert_eq!(source(&rig).await, Source::CacheFresh);
    assert_eq!(rig.purge(&customer("1", "lookup")), 2);
    assert_eq!(rig.purge(&customer("1", "lookup")), 0);
    assert_eq!(rig.lookup().id(2).heard().await.source(), Source::CacheFresh);
    assert_eq!(rig.lookup().id(1).heard().await.source(), Source::Upstream);
    assert_eq!(rig.counts("holdline_cache_purges_total")["scope=customer,manner=hard"], 4);
    assert_eq!(rig.counts("holdline_cache_purged_entries_total")["scope=customer,manner=hard"], 2);
}

#[tokio::test(start_paused = true)]
async fn a_purge_removes_an_action_or_everything() {
    let rig = filled().await;
    assert_eq!(rig.purge(&Purge::Action(Name::new("update").unwrap())), 0);
    assert_eq!(rig.purge(&Purge::Action(Name::new("lookup").unwrap())), 3);
    assert_eq!(source(&rig).await, Source::Upstream);
    let rig = filled().await;
    assert_eq!(rig.purge(&Purge::All), 3);
    assert_eq!(source(&rig).await, Source::Upstream);
    assert_eq!(rig.counts("holdline_cache_purges_total")["scope=all,manner=hard"], 1);
    assert_eq!(rig.counts("holdline_cache_purged_entries_total")["scope=all,manner=hard"], 3);
    assert_eq!(rig.counts("holdline_cache_evictions_total")["cache=response,cause=purged"], 3);
}

#[tokio::test(start_paused = true)]
async fn a_fetch_that_was_under_way_does_not_bring_back_what_was_purged() {
    for (purge, manner) in every_purge() {
        let rig = MINUTE.rig();
        rig.upstream().next(Line::hangs());
        let waits = rig.lookup().set_off().await;
        rig.purge_by(&purge, manner);
        rig.upstream().release(named("old"));
        assert_eq!(waits.heard().await.body(), r#"{"name":"old"}"#);
        assert_eq!(rig.lookup().heard().await.body(), r#"{"name":"Ada"}"#, "{purge:?}");
        assert_eq!(source(&rig).await, Source::CacheFresh);
        assert_eq!(rig.upstream().count(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn who_asks_after_a_purge_does_not_join_a_fetch_from_before_it() {
    for (purge, manner) in every_purge() {
        let rig = MINUTE.rig();
        rig.upstream().next(Line::hangs());
        let before = rig.lookup().set_off().await;
        rig.purge_by(&purge, manner);
        let after = rig.lookup().heard().await;
        assert_eq!((after.source(), after.body()), (Source::Upstream, r#"{"name":"Ada"}"#));
        rig.upstream().release(named("old"));
        assert_eq!(before.heard().await.body(), r#"{"name":"old"}"#);
        let heard = rig.lookup().heard().await;
        assert_eq!((heard.source(), heard.body()), (Source::CacheFresh, r#"{"name":"Ada"}"#));
        assert_eq!((rig.upstream().count(), rig.pipeline.flights(), rig.tasks()), (2, 0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_purge_leaves_the_fetches_of_others_alone() {
    let rig = MINUTE.rig();
    rig.upstream().next(Line::hangs());
    let leader = rig.lookup().set_off().await;
    rig.purge(&customer("2", "lookup"));
    rig.purge(&Purge::Action(Name::new("update").unwrap()));
    let follower = rig.lookup().set_off().await;
    rig.upstream().release(named("Ada"));
    assert_eq!(leader.heard().await.source(), Source::Upstream);
    assert_eq!(follower.heard().await.source(), Source::Coalesced);
    assert_eq!(source(&rig).await, Source::CacheFresh);
    assert_eq!(rig.upstream().count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_404_that_was_under_way_is_not_remembered_after_a_purge() {
    let rig = Setup { cache: &["ttl: 60s", "not_found: 1m"], ..MINUTE }.rig();
    rig.upstream().next(Line::hangs());
    let waits = rig.lookup().set_off().await;
    rig.purge(&Purge::All);
    rig.upstream().release(Line::status(404));
    assert_eq!(waits.heard().await.outcome(), Outcome::NotFound);
    assert_eq!(source(&rig).await, Source::Upstream);
}

#[tokio::test(start_paused = true)]
async fn what_was_purged_stands_in_for_no_failure() {
    let cache = ["ttl: 60s", "customer: id", "stale_while_revalidate: 1m", "stale_if_error: 5m"];
    let rig = Setup { cache: &cache, ..MINUTE }.rig();
    source(&rig).await;
    rig.until(60_000).await;
    rig.purge(&customer("1", "lookup"));
    rig.upstream().always(Line::status(503));
    assert_eq!(rig.lookup().heard().await.outcome(), Outcome::UpstreamError);
}

/// Kept for a minute, refreshed behind for half of one, a spare for five.
const STALE: Setup<'_> = Setup {
    cache: &["ttl: 60s", "customer: id", "stale_while_revalidate: 30s", "stale_if_error: 5m"],
    ..MINUTE
};

#[tokio::test(start_paused = true)]
async fn what_was_purged_is_not_given_to_those_who_wait_with_it_at_hand() {
    for (manner, outcome) in
        [(Manner::Hard, Outcome::DeadlineExceeded), (Manner::Soft, Outcome::Stale)]
    {
        let rig = Setup { cache: &["ttl: 60s", "stale_if_error: 5m"], ..MINUTE }.rig();
        rig.lookup().heard().await;
        rig.until(61_000).await;
        rig.upstream().next(Line::hangs());
        let waits = rig.lookup().set_off().await;
        rig.purge_by(&Purge::All, manner);
        let heard = waits.heard().await;
        assert_eq!((heard.outcome(), heard.at), (outcome, 61_300), "{manner:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_marked_stale_is_answered_at_once_and_refreshed_behind() {
    let rig = STALE.rig();
    source(&rig).await;
    rig.lookup().id(2).heard().await;
    rig.until(10_000).await;
    assert_eq!(rig.purge_by(&customer("1", "lookup"), Manner::Soft), 1);
    assert_eq!(rig.purge_by(&Purge::All, Manner::Soft), 1, "one was marked before");
    rig.upstream().always(named("Eve").after(50));
    let heard = rig.lookup().heard().await;
    assert_eq!((heard.outcome(), heard.at), (Outcome::Stale, 10_000));
    assert_eq!((heard.body(), heard.answer().age.as_secs()), (r#"{"name":"Ada"}"#, 10));
    rig.until(10_050).await;
    let heard = rig.lookup().heard().await;
    assert_eq!((heard.source(), heard.body()), (Source::CacheFresh, r#"{"name":"Eve"}"#));
    assert_eq!(rig.counts("holdline_cache_purges_total")["scope=customer,manner=soft"], 1);
    assert_eq!(rig.counts("holdline_cache_purged_entries_total")["scope=all,manner=soft"], 1);
    assert!(!rig.counts("holdline_cache_evictions_total").contains_key("cause=purged"));
}

#[tokio::test(start_paused = true)]
async fn what_is_marked_stale_stands_in_for_failures_as_long_from_then_as_it_would_have() {
    let rig = STALE.rig();
    source(&rig).await;
    rig.until(10_000).await;
    rig.purge_by(&Purge::All, Manner::Soft);
    rig.upstream().always(Line::status(503));
    rig.until(309_999).await;
    assert_eq!(source(&rig).await, Source::CacheStale);
    rig.until(311_000).await;
    assert_eq!(rig.lookup().heard().await.outcome(), Outcome::UpstreamError);
}

#[tokio::test(start_paused = true)]
async fn a_mark_never_makes_an_entry_live_longer() {
    let rig = STALE.rig();
    source(&rig).await;
    rig.upstream().always(Line::status(503));
    rig.until(300_000).await;
    rig.purge_by(&Purge::All, Manner::Soft);
    rig.until(359_999).await;
    assert_eq!(source(&rig).await, Source::CacheStale);
    rig.until(361_000).await;
    assert_eq!(rig.lookup().heard().await.outcome(), Outcome::UpstreamError);
}

#[tokio::test(start_paused = true)]
async fn where_nothing_may_be_stale_a_mark_is_as_good_as_a_removal() {
    let rig = Setup { cache: &["ttl: 60s", "not_found: 1m"], ..MINUTE }.rig();
    rig.upstream().next(named("Ada")).next(Line::status(404)).always(Line::status(400));
    for id in [1, 2] {
        rig.lookup().id(id).heard().await;
    }
    assert_eq!(rig.purge_by(&Purge::All, Manner::Soft), 2);
    for id in [1, 2] {
        assert_eq!(rig.lookup().id(id).heard().await.outcome(), Outcome::UpstreamRejected);
    }
    rig.pipeline.sweep();
    assert_eq!(rig.metric(r#"holdline_cache_entries{cache="response"}"#), 0.0);
}

#[tokio::test(start_paused = true)]
async fn no_purge_is_undone_by_a_fetch_from_before_it_however_that_ends_and_whenever() {
    let landings =
        [named("old"), Line::status(404), Line::status(410), Line::status(400), Line::status(503)];
    let cases = every_purge().flat_map(|purge| {
        let each = landings.clone().into_iter().map(move |landing| (purge.clone(), landing));
        each.flat_map(|case| [false, true].map(|refresh| (case.clone(), refresh)))
    });
    for (((purge, manner), landing), refresh) in cases {
        for lands_first in [true, false] {
            let case = format!("{purge:?} {manner:?} {landing:?} {refresh} {lands_first}");
            let rig = STALE.rig();
            if refresh {
                source(&rig).await;
                rig.until(60_000).await;
            }
            rig.upstream().next(Line::hangs()).always(named("new"));
            let waits = rig.lookup().set_off().await;
            rig.purge_by(&purge, manner);
            if lands_first {
                rig.upstream().release(landing.clone());
                rig.settle().await;
            }
            // What was known before may be told stale; in any case the upstream is asked anew.
            let known = refresh && manner == Manner::Soft;
            let first = rig.lookup().heard().await;
            let expected = if known { Source::CacheStale } else { Source::Upstream };
            assert_eq!(first.source(), expected, "{case}");
            rig.settle().await;
            rig.upstream().release(landing.clone());
            rig.settle().await;
            let heard = rig.lookup().heard().await;
            assert_eq!(heard.source(), Source::CacheFresh, "{case}");
            assert_eq!(heard.body(), r#"{"name":"new"}"#, "{case}");
            assert_eq!(rig.upstream().count(), 2 + usize::from(refresh), "{case}");
            waits.heard().await;
            assert_eq!((rig.pipeline.flights(), rig.tasks()), (0, 0), "{case}");
        }
    }
}
