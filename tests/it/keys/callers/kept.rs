//! How long a verdict about a token holds, and how many there may be.

use holdline::telemetry::stage::Stage;
use serde_json::json;

use super::{ALL, ASKING, rig, token};
use crate::support::{
    jwt_issuer::{SECOND, claims},
    rig::Rig,
    scripted::Line,
};

/// How the caller of a lookup with that token is found out.
async fn decision(rig: &Rig, token: &str) -> &'static str {
    rig.lookup().bearer(token).heard().await.decision(Stage::Authenticate)
}

/// Lets the authority refuse every token.
fn refuse(rig: &Rig, kind: &str) {
    match kind {
        "jwt" => {}
        "rfc7662" => {
            rig.authority().always(Line::json(&json!({"active": false})));
        }
        _ => {
            rig.authority().always(Line::status(401));
        }
    }
}

/// A token that is not good, once [`refuse`] has been called.
fn bad(kind: &str, client: &str) -> String {
    match kind {
        // Another key has signed it.
        "jwt" => SECOND.signed(
            &json!({"alg": "RS256", "kid": "first"}),
            &claims(json!({"client_id": client})),
        ),
        _ => client.to_owned(),
    }
}

#[tokio::test(start_paused = true)]
pub(crate) async fn a_token_stays_proven_as_long_as_is_written() {
    for kind in ALL {
        for (keys, known) in [("", true), ("cache: {ttl: 5s}", false)] {
            let (rig, token) = (rig(kind, keys), token(kind, "ivr"));
            decision(&rig, &token).await;
            rig.until(4_999).await;
            assert_eq!(decision(&rig, &token).await, "cache", "{kind}");
            rig.until(5_000).await;
            assert_eq!(decision(&rig, &token).await == "cache", known, "{kind} {keys}");
        }
    }
}

#[tokio::test(start_paused = true)]
pub(crate) async fn a_token_stays_refused_as_long_as_is_written() {
    for kind in ALL {
        for (keys, known) in [("", 2), ("cache: {refused_ttl: 2s}", 1)] {
            let rig = rig(kind, keys);
            refuse(&rig, kind);
            let bad = bad(kind, "ivr");
            for at in [0, 1_999, 2_000] {
                rig.until(at).await;
                assert!(rig.lookup().bearer(&bad).heard().await.result.is_err(), "{kind}");
            }
            let counts = rig.counts("holdline_token_validations_total");
            assert_eq!(counts["result=invalid,source=cache"], known, "{kind} {keys}: {counts:?}");
        }
    }
}

/// How many verdicts are remembered.
fn remembered(rig: &Rig) -> f64 {
    rig.pipeline.sweep();
    rig.metric(r#"holdline_cache_entries{cache="token"}"#)
}

#[tokio::test(start_paused = true)]
pub(crate) async fn as_many_proven_tokens_are_remembered_as_is_written() {
    for kind in ALL {
        for (keys, most) in [("", 10.0), ("cache: {capacity: 3}", 3.0)] {
            let rig = rig(kind, keys);
            for client in ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"] {
                assert!(rig.lookup().bearer(&token(kind, client)).heard().await.result.is_ok());
            }
            assert_eq!(remembered(&rig), most, "{kind} {keys}");
        }
    }
}

#[tokio::test(start_paused = true)]
pub(crate) async fn as_many_refused_tokens_are_remembered_as_is_written() {
    for kind in ALL {
        for (keys, most) in [("", 10.0), ("cache: {refused_capacity: 3}", 3.0)] {
            let rig = rig(kind, keys);
            refuse(&rig, kind);
            for client in ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"] {
                assert!(rig.lookup().bearer(&bad(kind, client)).heard().await.result.is_err());
            }
            assert_eq!(remembered(&rig), most, "{kind} {keys}");
        }
    }
}

#[tokio::test(start_paused = true)]
pub(crate) async fn an_old_verdict_outlives_an_outage_as_long_as_is_written() {
    for kind in ASKING {
        for (keys, at, expected) in [
            ("cache: {ttl: 60s}", 60_000, "unavailable"),
            ("cache: {ttl: 60s, stale_on_outage: 5m}", 60_000, "stale"),
            ("cache: {ttl: 60s, stale_on_outage: 5m}", 360_000, "unavailable"),
        ] {
            let rig = rig(kind, keys);
            decision(&rig, "a").await;
            rig.authority().always(Line::status(503));
            rig.until(at).await;
            assert_eq!(decision(&rig, "a").await, expected, "{kind} {keys} {at}");
        }
    }
}
