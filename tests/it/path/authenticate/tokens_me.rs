//! What real Genesys Cloud says of a token: whose it is, and not until when.

use std::time::Duration;

use holdline::telemetry::stage::Stage;
use serde_json::{Value, json};

use super::{caller, pair, refused, unavailable};
use crate::support::{
    rig::{Rig, Setup},
    scripted::Line,
};

/// The pipeline whose caller `real` has these further keys.
fn rig(keys: &str) -> Rig {
    let real = format!("real: {{type: tokens_me, api_base: 'https://authority.test', {keys}}}");
    let rig = Setup { caller: "real", callers: &[&real], ..Setup::PLAIN }.rig();
    rig.authority().always(me("acme", "ivr"));
    rig
}

fn me(org: &str, client: &str) -> Line {
    Line::json(&json!({
        "organization": {"id": org, "name": "A customer"},
        "homeOrganization": {"id": "home", "name": "A customer"},
        "authorizedScope": [],
        "OAuthClient": {"id": client, "name": "Data actions", "organization": {"id": "other"}},
    }))
}

#[tokio::test(start_paused = true)]
pub(crate) async fn the_token_asks_for_itself_and_does_not_keep_itself_from_idling() {
    let rig = rig("org: acme");
    assert_eq!(caller(&rig, "abc").await, pair("acme", "ivr"));
    let seen = &rig.authority().seen()[0];
    assert_eq!((&*seen.method, &*seen.path), ("GET", "/api/v2/tokens/me?preserveIdleTTL=true"));
    assert_eq!(seen.header("authorization"), "Bearer abc");
    assert_eq!((seen.header("content-type"), &*seen.body), ("", ""));
}

#[tokio::test(start_paused = true)]
pub(crate) async fn it_may_be_asked_elsewhere_and_for_another_header() {
    let at = |place: &str| format!("real: {{type: tokens_me, org: acme, {place}}}");
    for (place, path) in [
        ("api_base: 'https://authority.test/gate/', path: /me", "/gate/me?preserveIdleTTL=true"),
        ("url: 'https://authority.test/who?a=b'", "/who?a=b&preserveIdleTTL=true"),
        ("url: 'https://authority.test/me?preserveIdleTTL=false'", "/me?preserveIdleTTL=false"),
    ] {
        let keys = format!("{place}, header: X-Genesys-Auth-Token");
        let rig = Setup { caller: "real", callers: &[&at(&keys)], ..Setup::PLAIN }.rig();
        rig.authority().always(me("acme", "ivr"));
        assert!(rig.lookup().heard().await.result.is_ok(), "{place}");
        assert_eq!(rig.authority().seen()[0].path, path);
    }
}

#[tokio::test(start_paused = true)]
async fn a_bad_token_is_refused_in_the_tutorials_words() {
    let rig = rig("org: acme");
    for status in [401, 403] {
        rig.authority().next(Line::status(status));
        let token = status.to_string();
        let heard = rig.lookup().bearer(&token).heard().await;
        assert_eq!(refused(&heard), "invalid");
        assert_eq!(heard.failure().detail(), "Invalid Genesys Cloud Auth Token");
        assert_eq!(heard.decision(Stage::Authenticate), "rejected");
        let again = rig.lookup().bearer(&token).heard().await;
        assert_eq!(again.decision(Stage::Authenticate), "refused");
    }
}

#[tokio::test(start_paused = true)]
pub(crate) async fn the_good_token_of_another_organisation_or_client_is_refused() {
    let both = rig("org: acme, clients: [ivr]");
    let listed = rig("clients: [ivr]");
    for (org, client, of_both, of_listed) in [
        ("acme", "ivr", true, true),
        ("globex", "ivr", false, true),
        ("acme", "bot", false, false),
        ("acme", "", false, false),
    ] {
        for (rig, good) in [(&both, of_both), (&listed, of_listed)] {
            rig.authority().next(me(org, client));
            let heard = rig.lookup().bearer(&format!("{org}-{client}")).heard().await;
            assert_eq!(heard.result.is_ok(), good, "{org} {client}");
            if !good {
                assert_eq!(refused(&heard), "forbidden");
            }
        }
    }
    let elsewhere = rig("org: home, claims: {org: $.homeOrganization.id, client: $.nobody}");
    assert_eq!(caller(&elsewhere, "a").await, pair("home", "real"));
}

#[tokio::test(start_paused = true)]
async fn what_is_not_whose_the_token_is_is_no_verdict() {
    let rig = rig("org: acme");
    let odd: [Value; 5] = [
        json!({}),
        json!([]),
        json!({"active": true}),
        json!({"organization": {"id": 7}}),
        json!({"organization": "acme", "OAuthClient": {"id": "ivr"}}),
    ];
    for answer in odd {
        rig.authority().next(Line::json(&answer));
        let heard = rig.lookup().bearer("a").heard().await;
        assert_eq!(unavailable(&heard), Duration::from_secs(2), "{answer}");
    }
    rig.authority().next(Line::status(200).body("<html>Sign in</html>"));
    unavailable(&rig.lookup().bearer("a").heard().await);
    assert!(rig.lookup().bearer("a").heard().await.result.is_ok(), "nothing of it is remembered");
}

#[tokio::test(start_paused = true)]
async fn a_token_that_asked_too_often_waits_and_no_other_waits_with_it() {
    let rig = rig("org: acme");
    rig.authority().next(Line::status(429).header("retry-after", "12"));
    assert_eq!(unavailable(&rig.lookup().bearer("a").heard().await), Duration::from_secs(12));
    assert!(rig.lookup().bearer("b").heard().await.result.is_ok());
    rig.until(11_000).await;
    assert_eq!(unavailable(&rig.lookup().bearer("a").heard().await), Duration::from_secs(1));
    assert_eq!(rig.authority().count(), 2, "it is not asked about before its time");
    rig.until(12_000).await;
    assert!(rig.lookup().bearer("a").heard().await.result.is_ok());

    // Its own clock must not switch a token off for long.
    rig.authority().next(Line::status(429).header("retry-after", "86400"));
    assert_eq!(unavailable(&rig.lookup().bearer("c").heard().await), Duration::from_secs(60));
    rig.authority().next(Line::status(429));
    assert_eq!(unavailable(&rig.lookup().bearer("d").heard().await), Duration::from_secs(2));
    assert!(rig.lookup().bearer("d").heard().await.result.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_good_verdict_is_old_after_five_minutes_as_nothing_says_when_the_token_ends() {
    let usual = rig("org: acme");
    let longer = rig("org: acme, cache: {ttl: 10m}");
    let decision = async |rig: &Rig| {
        rig.lookup().bearer("a").heard().await.decision(Stage::Authenticate).to_owned()
    };
    for rig in [&usual, &longer] {
        assert_eq!(decision(rig).await, "remote");
    }
    usual.until(299_999).await;
    assert_eq!(decision(&usual).await, "cache");
    usual.until(300_000).await;
    assert_eq!(
        (decision(&usual).await, decision(&longer).await),
        ("remote".into(), "cache".into())
    );
}

#[tokio::test(start_paused = true)]
async fn an_old_verdict_serves_a_token_that_may_not_ask_where_an_outage_may_be_outlived() {
    let rig = rig("org: acme, cache: {ttl: 1m, stale_on_outage: 5m}");
    rig.lookup().bearer("a").heard().await;
    rig.until(60_000).await;
    rig.authority().next(Line::status(429).header("retry-after", "30"));
    for _ in 0..3 {
        let heard = rig.lookup().bearer("a").heard().await;
        assert_eq!(heard.decision(Stage::Authenticate), "stale");
    }
    assert_eq!(rig.authority().count(), 2);
}
