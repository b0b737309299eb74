//! A call's time: fixed once, shortened by its caller, kept by every stage.

use std::time::Duration;

use holdline::{
    telemetry::{
        outcome::{Outcome, Source},
        stage::Stage,
    },
    time,
};

use crate::support::{rig::Setup, scripted::Line};

#[tokio::test(start_paused = true)]
async fn a_caller_can_shorten_it_and_a_part_is_kept_back_for_the_way_of_the_answer() {
    let rig = Setup::PLAIN.rig();
    let began = time::now();
    for (asked, deadline) in [
        (60_000, 4_750),
        (5_000, 4_750),
        (4_999, 4_749),
        (2_500, 2_250),
        (2_000, 1_800),
        (1_000, 900),
        (10, 9),
        (0, 0),
    ] {
        let found = rig.lookup().within(asked).deadline(began).instant() - began;
        assert_eq!(found, Duration::from_millis(deadline), "{asked}");
    }
    assert_eq!(rig.lookup().deadline(began).instant() - began, Duration::from_millis(4_750));

    let crm = ["timeouts: {attempt: 1s}"];
    let short = Setup { crm: &crm, lookup: &["timeout: 2s"], ..Setup::PLAIN }.rig();
    assert_eq!(short.lookup().deadline(began).instant() - began, Duration::from_millis(1_800));
    let long = Setup { lookup: &["timeout: 30s"], ..Setup::PLAIN }.rig();
    assert_eq!(long.lookup().deadline(began).instant() - began, Duration::from_millis(29_750));
}

#[tokio::test(start_paused = true)]
async fn the_time_that_the_authority_takes_is_the_calls_own() {
    let rig = Setup { caller: "genesys", ..Setup::PLAIN }.rig();
    rig.authority().next(Line::active("acme", "ivr").after(1_900));
    rig.upstream().always(Line::hangs());
    let heard = rig.lookup().heard().await;
    assert_eq!((heard.outcome(), heard.at), (Outcome::UpstreamTimeout, 4_750));
    assert_eq!(rig.upstream().instants(), [1_900, 3_925]);
}

#[tokio::test(start_paused = true)]
async fn every_stage_that_waits_leaves_in_time() {
    for cache in [&[][..], &["ttl: 60s"][..]] {
        let rig = Setup { caller: "genesys", cache, ..Setup::PLAIN }.rig();
        rig.authority().next(Line::hangs());
        let heard = rig.lookup().token("new").within(1_000).heard().await;
        assert_eq!((heard.outcome(), heard.at), (Outcome::AuthUnavailable, 900));
        rig.until(2_000).await;
        rig.upstream().always(Line::hangs());
        let heard = rig.lookup().within(1_000).heard().await;
        assert_eq!(
            (heard.failure().detail().as_ref(), heard.at),
            ("External API timed out", 2_900)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_change_too_is_answered_in_time_and_ended_with_it() {
    let rig = Setup::PLAIN.rig();
    rig.upstream().always(Line::hangs());
    let heard = rig.ask("update").within(1_000).heard().await;
    assert_eq!((heard.outcome(), heard.at), (Outcome::DeadlineExceeded, 900));
    assert_eq!(heard.decision(Stage::Attempt), "canceled");
    rig.settle().await;
    assert_eq!((rig.upstream().in_flight(), rig.tasks()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_time_is_over_is_still_given_what_is_at_hand() {
    let rig = Setup { caller: "genesys", cache: &["ttl: 60s"], ..Setup::PLAIN }.rig();
    rig.lookup().heard().await;
    assert_eq!(rig.lookup().within(0).heard().await.source(), Source::CacheFresh);

    rig.authority().always(Line::active("acme", "ivr").after(10));
    let heard = rig.lookup().token("new").within(0).heard().await;
    assert_eq!((heard.outcome(), heard.at), (Outcome::AuthUnavailable, 0));
    rig.upstream().always(Line::hangs());
    let heard = rig.lookup().id(2).within(0).heard().await;
    assert_eq!((heard.outcome(), heard.at), (Outcome::DeadlineExceeded, 0));
}
