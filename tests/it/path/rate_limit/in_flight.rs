//! The cap for each organisation: it turns away what is too much before it costs anything.

use std::time::Duration;

use holdline::{
    pipeline::{failure::Failure, rate_limit::in_flight::OrgUse},
    telemetry::outcome::{Outcome, Source},
};

use crate::support::{
    rig::{Rig, Setup},
    scripted::Line,
};

/// At most two calls of one organisation. Tokens that begin with `a` are of acme, others of globex.
fn capped(cache: &[&str]) -> Rig {
    let setup = Setup {
        server: &["max_in_flight_per_org: 2"],
        limits: &["counted: {key: org, rate: 100/s, burst: 100}"],
        caller: "[genesys, portal]",
        lookup: &["limits: [counted]", "fallback: {name: nobody}"],
        crm: &["retry: {attempts: 1}"],
        cache,
        ..Setup::PLAIN
    };
    let rig = setup.rig();
    rig.authority().rule(|seen| {
        let org = if seen.bearer().starts_with('a') { "acme" } else { "globex" };
        Line::active(org, seen.bearer())
    });
    rig
}

#[tokio::test(start_paused = true)]
pub(crate) async fn the_call_after_the_last_of_its_organisation_is_shed_before_it_costs_anything() {
    let rig = capped(&["ttl: 60s"]);
    rig.upstream().always(Line::hangs());
    let _first = rig.lookup().token("a1").id(1).set_off().await;
    let second = rig.lookup().token("a2").id(2).set_off().await;

    // Not even what it says is looked at, and nothing stands in.
    let shed = rig.lookup().token("a1").body("no JSON").heard().await;
    assert_eq!(*shed.failure(), Failure::OrgFull);
    assert_eq!((shed.outcome(), shed.failure().source()), (Outcome::Overloaded, Source::None));
    assert_eq!(shed.failure().retry_after(), Some(Duration::from_secs(1)));
    let told = "As many calls of this organisation as may be are under way";
    assert_eq!(shed.failure().detail(), told);
    assert_eq!(shed.decisions(), ["authenticate: cache", "rate_limit: org_full"]);
    let counts = rig.counts("holdline_ratelimit_decisions_total");
    assert_eq!(counts["limit=counted,decision=allowed"], 2);
    assert_eq!(rig.counts("holdline_cache_lookups_total").values().sum::<u64>(), 2);
    assert_eq!(rig.upstream().count(), 2);
    let used = rig.pipeline.orgs_in_flight();
    assert_eq!(used, Some(OrgUse { most: 2, orgs: 1, largest: 2 }));

    let _theirs = rig.lookup().token("b1").id(3).set_off().await;
    assert_eq!(rig.upstream().count(), 3, "another organisation has places of its own");
    second.hang_up().await;
    rig.upstream().always(Line::json(&serde_json::json!({"name": "Ada"})));
    assert_eq!(rig.lookup().token("a1").id(4).heard().await.body(), r#"{"name":"Ada"}"#);
}

#[tokio::test(start_paused = true)]
async fn a_call_gives_its_place_back_however_it_ends() {
    let rig = capped(&[]);
    let free = || assert_eq!(rig.pipeline.orgs_in_flight().expect("a cap").orgs, 0);
    assert!(rig.lookup().heard().await.result.is_ok());
    free();
    rig.upstream().next(Line::status(503));
    assert_eq!(rig.lookup().heard().await.outcome(), Outcome::Fallback);
    free();
    rig.upstream().next(Line::hangs());
    assert_eq!(rig.lookup().heard().await.outcome(), Outcome::Fallback, "out of time");
    free();
    assert_eq!(rig.lookup().body("no JSON").heard().await.outcome(), Outcome::BadRequest);
    free();
    rig.upstream().next(Line::hangs());
    rig.lookup().set_off().await.hang_up().await;
    free();
}

#[tokio::test(start_paused = true)]
async fn callers_of_one_scheme_of_keys_are_one_organisation_and_so_are_those_without_a_name() {
    let rig = capped(&[]);
    rig.upstream().always(Line::hangs());
    let key = |key| rig.lookup().bare().header("x-api-key", key);
    let _web = key("web-key").set_off().await;
    let _app = key("app-key").set_off().await;
    assert_eq!(*key("web-key").heard().await.failure(), Failure::OrgFull);

    let change = || rig.ask("update").bare();
    let _first = change().set_off().await;
    let _second = change().set_off().await;
    assert_eq!(*change().heard().await.failure(), Failure::OrgFull);
    let used = rig.pipeline.orgs_in_flight();
    assert_eq!(used, Some(OrgUse { most: 2, orgs: 2, largest: 2 }));
}

#[tokio::test(start_paused = true)]
async fn by_default_an_organisation_has_as_many_places_as_there_are() {
    let rig = Setup { caller: "genesys", ..Setup::PLAIN }.rig();
    let heard = rig.lookup().times(200).await;
    assert!(heard.iter().all(|heard| heard.result.is_ok()));
    assert_eq!(rig.pipeline.orgs_in_flight(), None);
}
