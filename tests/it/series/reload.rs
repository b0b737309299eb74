//! After a reload a scrape shows what it would show had the service started so: what is gone left
//! nothing, what is new is there at zero.

use std::{collections::BTreeSet, sync::Arc};

use serde_json::json;

use super::series_of;
use crate::support::{
    eventually,
    proxy::{Setup, TestProxy},
};

/// Shown from their first use on.
const LATER: [&str; 3] = [
    "holdline_request_duration_seconds",
    "http_client_request_duration_seconds",
    "http_server_request_duration_seconds",
];

fn small() -> Setup {
    Setup::new()
}

/// Whatever has series of its own.
fn large() -> Setup {
    Setup::new()
        .caller(
            "oauth: {type: issued, clients: {ivr: a-long-enough-secret}, \
             key: 0123456789abcdef0123456789abcdef}",
        )
        .limit("tight: {key: all, rate: 10/s, burst: 9}")
        .upstream("hedge: {enabled: true}")
        .upstream("quota: {rate: 100/s, burst: 9}")
        .upstream(
            "auth: {type: oauth2, token_url: \"${GENESYS_API_BASE}/t\", client_id: us, \
             client_secret: \"${IVR_KEY}\"}",
        )
        .upstream("breaker: {enabled: true}")
        .action("cache: {ttl: 60s}")
        .action("limits: [tight]")
        .extra("extra", ["fallback: {full_name: nobody}"])
}

/// The series from the start on. The hash is left out: it is of the ports
/// too.
async fn shown(proxy: &TestProxy) -> BTreeSet<String> {
    let text = proxy.metrics().await;
    let of_all = series_of(&text).into_iter().filter(|series| {
        let is_own = series.starts_with("holdline_config_info");
        !is_own && !LATER.iter().any(|name| series.starts_with(name))
    });
    of_all.collect()
}

async fn fresh(setup: Setup) -> BTreeSet<String> {
    let proxy = setup.start().await;
    let series = shown(&proxy).await;
    proxy.stop().await;
    series
}

#[tokio::test]
async fn it_shows_the_series_of_a_fresh_start() {
    let (fresh_small, fresh_large) = (fresh(small()).await, fresh(large()).await);
    assert!(fresh_small.len() + 100 < fresh_large.len());
    let proxy = small().start().await;
    proxy.works().await;
    for (setup, expected) in
        [(large(), &fresh_large), (small(), &fresh_small), (large(), &fresh_large)]
    {
        let before = Arc::downgrade(&proxy.desk().pipeline());
        proxy.write(Ok((setup, &["all: changed"])));
        assert_eq!(proxy.operate("/reload", &json!({})).await.0, 200);
        eventually("it is gone", async || (before.strong_count() == 0).then_some(())).await;
        proxy.call(1).await;
        let now = shown(&proxy).await;
        let left: Vec<_> = now.difference(expected).collect();
        let missing: Vec<_> = expected.difference(&now).collect();
        assert!(left.is_empty() && missing.is_empty(), "left: {left:#?}, missing: {missing:#?}");
    }
    proxy.stop().await;
}

#[tokio::test]
async fn how_long_calls_took_stays_when_their_action_gets_a_cache_and_goes_with_what_has_gone() {
    let cached = || small().action("cache: {ttl: 60s}");
    let proxy = cached().start().await;
    // From the upstream, and from the cache.
    proxy.works().await;
    proxy.works().await;
    let (fetched, kept) = (r#"source="upstream""#, r#"source="cache_fresh""#);
    for (setup, expected) in [
        (cached().action("fallback: {full_name: nobody}"), vec![fetched, kept]),
        (small(), vec![fetched]),
        (cached(), vec![fetched]),
    ] {
        let before = Arc::downgrade(&proxy.desk().pipeline());
        proxy.write(Ok((setup, &["all: changed"])));
        assert_eq!(proxy.operate("/reload", &json!({})).await.0, 200);
        eventually("it is gone", async || (before.strong_count() == 0).then_some(())).await;
        let series = series_of(&proxy.metrics().await);
        for source in [fetched, kept] {
            let shown = series.iter().any(|series| {
                series.starts_with("holdline_request_duration_seconds") && series.contains(source)
            });
            assert_eq!(shown, expected.contains(&source), "{source}, {expected:?}: {series:#?}");
        }
    }
    proxy.stop().await;
}
