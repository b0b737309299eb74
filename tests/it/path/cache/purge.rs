//! Answers removed by an operator: at once, and not brought back by a fetch that was under way.

use holdline::{
    catalog::name::Name,
    pipeline::operate::Purge,
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
async fn a_purge_by_customer_finds_all_that_is_kept_about_them_and_nothing_else() {
    let rig = filled().await;
    assert_eq!(rig.purge(&customer("1", "update")), 0);
    assert_eq!(rig.purge(&customer("3", "lookup")), 0);
    assert_eq!(source(&rig).await, Source::CacheFresh);
    assert_eq!(rig.purge(&customer("1", "lookup")), 2);
    assert_eq!(rig.purge(&customer("1", "lookup")), 0);
    assert_eq!(rig.lookup().id(2).heard().await.source(), Source::CacheFresh);
    assert_eq!(rig.lookup().id(1).heard().await.source(), Source::Upstream);
    assert_eq!(rig.counts("holdline_cache_purges_total")["scope=customer"], 4);
    assert_eq!(rig.counts("holdline_cache_purged_entries_total")["scope=customer"], 2);
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
    assert_eq!(rig.counts("holdline_cache_purges_total")["scope=all"], 1);
    assert_eq!(rig.counts("holdline_cache_purged_entries_total")["scope=all"], 3);
    assert_eq!(rig.counts("holdline_cache_evictions_total")["cache=response,cause=purged"], 3);
}

#[tokio::test(start_paused = true)]
async fn a_fetch_that_was_under_way_does_not_bring_back_what_was_purged() {
    for purge in [customer("1", "lookup"), Purge::Action(Name::new("lookup").unwrap()), Purge::All]
    {
        let rig = MINUTE.rig();
        rig.upstream().next(Line::hangs());
        let waits = rig.lookup().set_off().await;
        rig.purge(&purge);
        rig.upstream().release(named("old"));
        assert_eq!(waits.heard().await.body(), r#"{"name":"old"}"#);
        assert_eq!(rig.lookup().heard().await.body(), r#"{"name":"Ada"}"#, "{purge:?}");
        assert_eq!(source(&rig).await, Source::CacheFresh);
        assert_eq!(rig.upstream().count(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn who_asks_after_a_purge_does_not_join_a_fetch_from_before_it() {
    let rig = MINUTE.rig();
    rig.upstream().next(Line::hangs());
    let before = rig.lookup().set_off().await;
    rig.purge(&customer("1", "lookup"));
    let after = rig.lookup().heard().await;
    assert_eq!((after.source(), after.body()), (Source::Upstream, r#"{"name":"Ada"}"#));
    rig.upstream().release(named("old"));
    assert_eq!(before.heard().await.body(), r#"{"name":"old"}"#);
    let heard = rig.lookup().heard().await;
    assert_eq!((heard.source(), heard.body()), (Source::CacheFresh, r#"{"name":"Ada"}"#));
    assert_eq!((rig.upstream().count(), rig.pipeline.flights(), rig.tasks()), (2, 0, 0));
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
