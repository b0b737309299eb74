//! Who is calling: headers, keys, lists of schemes. The rest of the stage has files of its own.

mod any;
pub(crate) mod introspection;
pub(crate) mod issued;
pub(crate) mod jwt;
mod keys;
mod outage;
mod revoke;
pub(crate) mod rfc7662;
pub(crate) mod tokens_me;
mod verdicts;

use std::time::Duration;

use holdline::{
    pipeline::{authenticate::Unproven, failure::Failure},
    telemetry::{outcome::Outcome, stage::Stage},
};

use crate::support::{
    ask::Heard,
    rig::{Rig, Setup},
    scripted::Line,
};

/// Proved by the token authority.
const GENESYS: Setup<'_> = Setup { caller: "genesys", ..Setup::PLAIN };
/// Proved by the authority or by a key.
const EITHER: Setup<'_> = Setup { caller: "[genesys, portal]", ..Setup::PLAIN };

/// The organisation and client that the bearer of `token` is taken for.
async fn caller(rig: &Rig, token: &str) -> (String, String) {
    let call = rig.lookup().bearer(token).call();
    let caller = rig.pipeline.schemes().identify(&call).await.expect("a good token").caller;
    (caller.org().to_owned(), caller.client().to_owned())
}

fn pair(org: &str, client: &str) -> (String, String) {
    (org.to_owned(), client.to_owned())
}

/// Why the caller is not known.
#[track_caller]
fn unproven(heard: &Heard) -> &Unproven {
    match heard.failure() {
        Failure::Unproven(unproven) => unproven,
        other => panic!("{other:?}"),
    }
}

/// The word for why the proof was refused.
#[track_caller]
fn refused(heard: &Heard) -> &'static str {
    match unproven(heard) {
        Unproven::Refused { result, .. } => result,
        other => panic!("{other:?}"),
    }
}

/// After how long it may be worth asking again.
#[track_caller]
fn unavailable(heard: &Heard) -> Duration {
    match unproven(heard) {
        Unproven::Unavailable { retry_after } => *retry_after,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_without_its_one_header_is_refused_before_anybody_is_asked() {
    let rig = GENESYS.rig();
    let twice = rig.lookup().and_header("x-genesys-auth-token", "other");
    for ask in [rig.lookup().bare(), rig.lookup().token(""), rig.lookup().token("  "), twice] {
        let heard = ask.heard().await;
        assert_eq!(heard.outcome(), Outcome::Unauthenticated);
        assert_eq!(heard.failure().detail(), "Missing X-Genesys-Auth-Token header");
        assert_eq!(heard.decisions(), ["authenticate: missing"]);
    }
    assert_eq!(rig.authority().count(), 0);
    let missing = r#"holdline_token_validations_total{result="missing",source="local"}"#;
    assert_eq!(rig.metric(missing), 4.0);
}

#[tokio::test(start_paused = true)]
async fn what_is_no_token_by_its_form_is_never_asked_about() {
    let rig = GENESYS.rig();
    let long = "x".repeat(4097);
    for token in ["two words", "t\u{f6}ken", &long] {
        let heard = rig.lookup().token(token).heard().await;
        assert_eq!(refused(&heard), "malformed");
        assert_eq!(heard.failure().detail(), "Invalid Genesys Cloud Auth Token");
    }
    assert_eq!(rig.authority().count(), 0);
    assert!(rig.lookup().token(&long[1..]).heard().await.result.is_ok());
    assert_eq!(rig.authority().count(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_authorization_header_carries_its_token_behind_the_word_bearer() {
    let rig = Setup { genesys: &["header: Authorization"], ..GENESYS }.rig();
    for value in ["Bearer abc", "bearer  abc", "BEARER abc "] {
        let heard = rig.lookup().bare().header("authorization", value).heard().await;
        assert!(heard.result.is_ok(), "{value}: {heard:?}");
    }
    for value in ["abc", "Basic abc", "Bearer", "Bearer  "] {
        let heard = rig.lookup().bare().header("authorization", value).heard().await;
        assert_eq!(heard.outcome(), Outcome::Unauthenticated, "{value}");
    }
    let bearers: Vec<_> = rig.authority().seen().iter().map(|s| s.bearer().to_owned()).collect();
    assert_eq!(bearers, ["abc"]);
}

#[tokio::test(start_paused = true)]
pub(crate) async fn an_action_without_a_caller_asks_for_nothing() {
    let rig = Setup::PLAIN.rig();
    let heard = rig.lookup().bare().heard().await;
    assert_eq!(heard.body(), r#"{"name":"Ada"}"#);
    assert_eq!(heard.decision(Stage::Authenticate), "open");
    assert_eq!(rig.authority().count(), 0);
}

#[tokio::test(start_paused = true)]
pub(crate) async fn a_key_is_judged_here_and_its_caller_belongs_to_the_entry() {
    let rig = Setup { caller: "portal", ..Setup::PLAIN }.rig();
    let heard = rig.lookup().header("x-api-key", "web-key").heard().await;
    assert_eq!(heard.decision(Stage::Authenticate), "local");
    let call = rig.lookup().header("x-api-key", "app-key").call();
    let caller = rig.pipeline.schemes().identify(&call).await.unwrap().caller;
    assert_eq!((caller.org(), caller.client()), ("portal", "app"));

    let wrong = rig.lookup().header("x-api-key", "web-keys").heard().await;
    assert_eq!(refused(&wrong), "invalid");
    assert_eq!(wrong.failure().detail(), "Invalid API key");
    let missing = rig.lookup().heard().await;
    assert_eq!(missing.failure().detail(), "Missing X-Api-Key header");
    assert_eq!(rig.authority().count(), 0);
}

#[tokio::test(start_paused = true)]
async fn of_several_schemes_any_one_will_do() {
    let rig = EITHER.rig();
    let by_key = rig.lookup().bare().header("x-api-key", "web-key").heard().await;
    assert_eq!(by_key.decision(Stage::Authenticate), "local");
    assert_eq!(rig.authority().count(), 0);
    let by_token = rig.lookup().heard().await;
    assert_eq!(by_token.decision(Stage::Authenticate), "remote");

    rig.authority().always(Line::status(401));
    let both = rig.lookup().token("bad").header("x-api-key", "web-key").heard().await;
    assert_eq!(both.decision(Stage::Authenticate), "local");
}

#[tokio::test(start_paused = true)]
async fn of_several_reasons_the_one_that_the_caller_can_do_least_about_is_told() {
    let rig = EITHER.rig();
    let neither = rig.lookup().bare().heard().await;
    assert_eq!(neither.failure().detail(), "Missing X-Genesys-Auth-Token header");
    let bad_key = rig.lookup().bare().header("x-api-key", "no-key").heard().await;
    assert_eq!(bad_key.failure().detail(), "Invalid API key");

    rig.authority().always(Line::status(401));
    let both_bad = rig.lookup().token("bad").header("x-api-key", "no-key").heard().await;
    assert_eq!(both_bad.failure().detail(), "Invalid Genesys Cloud Auth Token");
    rig.authority().always(Line::status(503));
    let down = rig.lookup().token("new").header("x-api-key", "no-key").heard().await;
    assert_eq!(unavailable(&down), Duration::from_secs(2));
}
