//! A second attempt beside one that is late: when it is sent, which of the two counts, and what it
//! may never do.

use holdline::{
    chance::Chance,
    client::WireError,
    mechanism::breaker::State,
    telemetry::{
        outcome::{Outcome, Source},
        stage::Stage,
    },
};

use super::ada;
use crate::support::{
    rig::{Rig, Setup},
    scripted::Line,
};

const ON: &str = "hedge: {enabled: true}";
const ONE_TRY: &[&str] = &[ON, "retry: {attempts: 2, on: [connect]}"];

/// A pipeline whose upstream has answered so many calls, each after `took` milliseconds, one after
/// the other.
async fn told(setup: Setup<'_>, calls: usize, took: u64) -> Rig {
    let rig = setup.rig();
    rig.upstream().always(ada().after(took));
    for (id, _) in (1..).zip(0..calls) {
        assert!(rig.lookup().id(id).heard().await.result.is_ok());
    }
    assert_eq!((rig.upstream().count(), rig.now()), (calls, u128::from(took) * calls as u128));
    rig
}

/// A pipeline that hedges after 64 ms, at 6,400.
async fn warm(crm: &[&str]) -> Rig {
    told(Setup { crm, ..Setup::PLAIN }, 100, 64).await
}

fn sent(rig: &Rig, result: &str) -> u64 {
    let counts = rig.counts("holdline_upstream_hedges_total");
    counts.get(&format!("upstream=crm,result={result}")).copied().unwrap_or_default()
}

fn not_sent(rig: &Rig) -> Vec<(String, u64)> {
    let counts = rig.counts("holdline_upstream_hedges_suppressed_total");
    let word = |labels: String| labels.replace("upstream=crm,reason=", "");
    counts.into_iter().map(|(labels, count)| (word(labels), count)).collect()
}

/// Nothing is under way any more, here or there.
#[track_caller]
fn nothing_is_left(rig: &Rig) {
    assert_eq!((rig.upstream().in_flight(), rig.condition().in_flight, rig.tasks()), (0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn it_is_sent_when_nearly_all_others_would_have_been_answered() {
    let rig = warm(ONE_TRY).await;
    rig.upstream().next(Line::hangs()).next(ada().after(10));
    let heard = rig.lookup().heard().await;
    assert_eq!((heard.outcome(), heard.at), (Outcome::Ok, 6_400 + 64 + 10));
    assert_eq!(rig.upstream().instants()[100..], [6_400, 6_464]);
    let attempts = heard.steps.iter().filter(|step| step.stage == Stage::Attempt);
    let attempts: Vec<_> = attempts.map(|step| (step.decision, step.took.as_millis())).collect();
    assert_eq!(attempts, [("200", 10), ("canceled", 74)]);
    assert_eq!((sent(&rig, "won"), sent(&rig, "lost"), not_sent(&rig)), (1, 0, vec![]));
    nothing_is_left(&rig);
    assert_eq!(rig.condition().breaker.failures, 0, "the one given up is no verdict");
}

#[tokio::test(start_paused = true)]
async fn the_first_good_answer_wins_and_the_other_leg_is_given_up() {
    let rig = warm(ONE_TRY).await;
    rig.upstream().next(ada().after(80)).next(Line::hangs());
    let heard = rig.lookup().heard().await;
    assert_eq!((heard.outcome(), heard.at), (Outcome::Ok, 6_480));
    assert_eq!((rig.upstream().count(), sent(&rig, "lost")), (102, 1));
    nothing_is_left(&rig);
    // A refusal is an answer: the other leg would be told the same.
    rig.upstream().next(Line::status(404).after(80)).next(Line::hangs());
    assert_eq!(rig.lookup().heard().await.outcome(), Outcome::NotFound);
    assert_eq!(sent(&rig, "lost"), 2);
}

#[tokio::test(start_paused = true)]
async fn a_leg_that_fails_leaves_the_other_alone() {
    for (first, second, at, result) in [
        (ada().after(200), Line::status(503), 200, "lost"),
        (ada().after(200), Line::fails(WireError::Reset), 200, "lost"),
        (Line::status(503).after(80), ada().after(100), 164, "won"),
        (Line::fails(WireError::Reset).after(80), ada().after(100), 164, "won"),
    ] {
        let rig = warm(&[ON]).await;
        rig.upstream().next(first.clone()).next(second.clone());
        let heard = rig.lookup().heard().await;
        assert_eq!((heard.outcome(), heard.at), (Outcome::Ok, 6_400 + at), "{first:?} {second:?}");
        assert_eq!((rig.upstream().count(), sent(&rig, result)), (102, 1));
        nothing_is_left(&rig);
    }
}

#[tokio::test(start_paused = true)]
async fn where_both_fail_the_first_is_told_and_both_count_as_attempts() {
    let rig = warm(&[ON]).await;
    rig.upstream().always(Line::status(502)).next(Line::status(503).after(100));
    let heard = rig.lookup().heard().await;
    // Two legs, and one repeat after half the second ceiling.
    assert_eq!((heard.failure().upstream_status(), heard.at), (Some(502), 6_400 + 100 + 50));
    assert_eq!((rig.upstream().count(), sent(&rig, "lost")), (103, 1));
    let rig = warm(&[ON, "retry: {attempts: 2}"]).await;
    rig.upstream().always(Line::status(502)).next(Line::status(503).after(100));
    let heard = rig.lookup().heard().await;
    assert_eq!((heard.failure().upstream_status(), heard.at), (Some(503), 6_500));
    let suppressed = rig.counts("holdline_upstream_retries_suppressed_total");
    assert_eq!(suppressed["upstream=crm,reason=limit_reached"], 1);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_hedged_before_there_are_a_hundred_answers() {
    let rig = told(Setup { crm: ONE_TRY, ..Setup::PLAIN }, 99, 64).await;
    rig.upstream().next(ada().after(500));
    assert_eq!(rig.lookup().heard().await.at, 99 * 64 + 500);
    assert_eq!((rig.upstream().count(), not_sent(&rig)), (100, vec![]));
    rig.upstream().next(ada().after(500));
    rig.lookup().heard().await;
    assert_eq!(rig.upstream().count(), 102);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_late_within_fifty_milliseconds_or_after_its_own_time() {
    let rig = told(Setup { crm: ONE_TRY, ..Setup::PLAIN }, 100, 3).await;
    rig.upstream().next(Line::hangs());
    assert_eq!(rig.lookup().heard().await.at, 300 + 50 + 3);
    // Where an answer may take no longer than it takes others, there is no room for a hedge.
    let rig = told(
        Setup { crm: &[ON, "timeouts: {connect: 50ms, attempt: 64ms}"], ..Setup::PLAIN },
        100,
        63,
    )
    .await;
    rig.upstream().next(Line::hangs());
    rig.lookup().heard().await;
    assert_eq!((sent(&rig, "won"), not_sent(&rig)), (0, vec![]));
}

#[tokio::test(start_paused = true)]
pub(crate) async fn any_percentile_may_be_written() {
    let rig = warm(&["hedge: {enabled: true, after: p50}", "retry: {attempts: 2}"]).await;
    rig.upstream().always(ada().after(200));
    rig.lookup().times(80).await;
    // 101 of 180 answers came within 64 ms; of the tail's 95 per cent nearly none.
    let at = rig.now();
    rig.upstream().next(Line::hangs()).next(ada());
    assert_eq!(rig.lookup().heard().await.at - at, 64);
}

#[tokio::test(start_paused = true)]
async fn what_changes_something_is_never_hedged() {
    for key in ["idempotency_key: Idempotency-Key, attempts: 2", "attempts: 2"] {
        let rig = warm(&[ON, &format!("retry: {{{key}}}")]).await;
        rig.upstream().next(ada().after(1_500));
        assert_eq!(rig.ask("update").heard().await.at, 6_400 + 1_500);
        assert_eq!((rig.upstream().count(), not_sent(&rig)), (101, vec![]));
    }
}

#[tokio::test(start_paused = true)]
async fn a_refresh_is_never_hedged() {
    let cache = ["ttl: 10s", "stale_while_revalidate: 5m"];
    let rig = told(Setup { crm: ONE_TRY, cache: &cache, ..Setup::PLAIN }, 100, 64).await;
    rig.until(13_000).await;
    rig.upstream().next(ada().after(1_500));
    assert_eq!(rig.lookup().heard().await.source(), Source::CacheStale);
    rig.until(14_600).await;
    assert_eq!((rig.upstream().count(), not_sent(&rig)), (101, vec![]));
    nothing_is_left(&rig);
}

#[tokio::test(start_paused = true)]
pub(crate) async fn two_of_a_hundred_may_be_hedged() {
    let rig = warm(ONE_TRY).await;
    rig.upstream().always(ada().after(100));
    rig.lookup().times(10).await;
    assert_eq!((rig.upstream().count(), sent(&rig, "lost")), (112, 2));
    assert_eq!(not_sent(&rig), [("hedge_budget".to_owned(), 8)]);
    let wider = "hedge: {enabled: true, budget: 0.05}";
    let rig = warm(&[wider]).await;
    rig.upstream().always(ada().after(100));
    rig.lookup().times(10).await;
    assert_eq!(rig.upstream().count(), 115);
}

#[tokio::test(start_paused = true)]
async fn it_is_paid_out_of_the_budget_of_all_repeats() {
    let budget = "retry: {budget: {ratio: 0, per_second: 0.1, window: 10s}}";
    let rig = warm(&["hedge: {enabled: true, budget: 1}", budget]).await;
    rig.upstream().always(ada().after(100));
    rig.lookup().times(5).await;
    assert_eq!((rig.upstream().count(), sent(&rig, "lost")), (106, 1));
    assert_eq!(not_sent(&rig), [("retry_budget".to_owned(), 4)]);
    rig.upstream().next(Line::status(503));
    assert_eq!(rig.lookup().heard().await.outcome(), Outcome::UpstreamError, "nothing is left");
}

#[tokio::test(start_paused = true)]
async fn it_stands_in_no_line() {
    // No permit is free: neither is one waited for.
    let rig = warm(&[ON, "concurrency: {limit: 1}"]).await;
    rig.upstream().next(ada().after(100));
    assert_eq!(rig.lookup().heard().await.at, 6_500);
    assert_eq!((rig.upstream().count(), not_sent(&rig)), (101, vec![("saturated".to_owned(), 1)]));
    // No place in the quota.
    let rig = warm(&[ON, "quota: {rate: 1/s, burst: 107}"]).await;
    rig.upstream().always(ada().after(500));
    rig.lookup().times(13).await;
    assert_eq!((rig.upstream().count(), not_sent(&rig)), (113, vec![("held".to_owned(), 13)]));
    // The upstream asked to be left alone meanwhile.
    let rig = warm(ONE_TRY).await;
    let wait = Line::status(429).header("retry-after", "30");
    rig.upstream().next(ada().after(100)).next(wait.after(20));
    rig.lookup().times(2).await;
    assert_eq!((rig.upstream().count(), not_sent(&rig)), (102, vec![("held".to_owned(), 1)]));
    nothing_is_left(&rig);
}

#[tokio::test(start_paused = true)]
async fn neither_the_number_of_attempts_nor_the_deadline_is_stretched() {
    let rig = warm(&[ON, "retry: {attempts: 1}"]).await;
    rig.upstream().next(ada().after(100));
    rig.lookup().heard().await;
    assert_eq!(
        (rig.upstream().count(), not_sent(&rig)),
        (101, vec![("limit_reached".to_owned(), 1)])
    );
    // Of 214 ms 64 are gone when it would be sent.
    for (within, count, why) in [(237, 101, vec![("deadline".to_owned(), 1)]), (240, 102, vec![])] {
        let rig = warm(ONE_TRY).await;
        rig.upstream().next(ada().after(100));
        assert_eq!(rig.lookup().within(within).heard().await.outcome(), Outcome::Ok);
        assert_eq!((rig.upstream().count(), not_sent(&rig)), (count, why), "{within}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_probe_stays_alone() {
    let rig =
        warm(&[ON, "retry: {attempts: 2, on: [connect]}", "breaker: {close_after: 1, ramp: 0s}"])
            .await;
    rig.upstream().only((0..7).map(|_| Line::status(503)));
    for _ in 0..7 {
        rig.lookup().heard().await;
    }
    rig.until(8_400).await;
    assert_eq!(rig.condition().breaker.state, State::HalfOpen);
    rig.upstream().next(ada().after(500));
    assert_eq!(rig.lookup().heard().await.at, 8_900);
    assert_eq!(rig.condition().breaker.state, State::Closed);
    assert_eq!(
        (rig.upstream().count(), not_sent(&rig)),
        (108, vec![("breaker_open".to_owned(), 1)])
    );
}

#[tokio::test(start_paused = true)]
async fn nothing_is_hedged_while_only_a_part_of_the_attempts_passes() {
    let crm = [ON, "retry: {attempts: 2, on: [connect]}", "breaker: {close_after: 1}"];
    // Dice with which everything passes: the leg would have been sent.
    let chance = Chance::Loaded(0.2);
    let rig = told(Setup { crm: &crm, chance, ..Setup::PLAIN }, 100, 64).await;
    rig.upstream().only((0..7).map(|_| Line::status(503)));
    for _ in 0..7 {
        rig.lookup().heard().await;
    }
    rig.until(9_000).await;
    assert_eq!(rig.lookup().heard().await.at, 9_064);
    for at in [9_100, 18_900] {
        rig.until(at).await;
        assert_eq!(rig.condition().breaker.state, State::Closed);
        rig.upstream().next(ada().after(100));
        assert_eq!(rig.lookup().heard().await.outcome(), Outcome::Ok);
    }
    let refused = vec![("breaker_open".to_owned(), 2)];
    assert_eq!((rig.upstream().count(), not_sent(&rig)), (110, refused.clone()));
    assert_eq!(rig.condition().budget_left, 1.0, "nothing was paid");
    rig.until(19_064).await;
    rig.upstream().next(ada().after(100));
    rig.lookup().heard().await;
    assert_eq!((rig.upstream().count(), not_sent(&rig)), (112, refused));
}

#[tokio::test(start_paused = true)]
async fn both_legs_are_attempts_for_the_breaker() {
    let rig = warm(&[ON, "retry: {attempts: 2}", "breaker: {run: 2}"]).await;
    rig.upstream().next(Line::status(503).after(100)).next(Line::status(503).after(10));
    rig.lookup().heard().await;
    assert_eq!(rig.condition().breaker.state, State::Open);
}

#[tokio::test(start_paused = true)]
async fn whoever_hangs_up_takes_both_legs_along() {
    let rig = warm(ONE_TRY).await;
    rig.upstream().next(Line::hangs()).next(Line::hangs());
    let heard = rig.lookup().set_off().await;
    rig.until(6_464).await;
    assert_eq!((rig.upstream().in_flight(), rig.condition().in_flight), (2, 2));
    heard.hang_up().await;
    nothing_is_left(&rig);
    assert_eq!((sent(&rig, "canceled"), sent(&rig, "won") + sent(&rig, "lost")), (1, 0));
    // And the deadline too.
    rig.upstream().next(Line::hangs()).next(Line::hangs());
    let heard = rig.lookup().within(1000).heard().await;
    assert_eq!((heard.outcome(), heard.at), (Outcome::DeadlineExceeded, 7_364));
    nothing_is_left(&rig);
}

#[tokio::test(start_paused = true)]
async fn each_leg_is_an_attempt_of_its_own_with_the_same_key() {
    let retry = "retry: {attempts: 2, idempotency_key: Idempotency-Key}";
    let rig = warm(&[ON, retry, "propagate_trace: true", "quota: {rate: 10/s, burst: 100}"]).await;
    rig.upstream().next(ada().after(300)).next(ada().after(10));
    rig.lookup().heard().await;
    // Of 100 places 36 were owed at 6,400; 74 ms later it is one less, and two more.
    assert_eq!(rig.condition().quota_left, Some(0.62));
    let seen = rig.upstream().seen();
    let [first, second] = &seen[100..] else { panic!("two legs") };
    assert_eq!(first.header("idempotency-key"), second.header("idempotency-key"));
    assert_ne!(first.header("traceparent"), second.header("traceparent"));
    let calls = rig.counts("holdline_upstream_calls_total");
    assert_eq!(calls["upstream=crm,result=success,retried=true"], 1);
}

#[tokio::test(start_paused = true)]
async fn what_it_does_is_counted_from_the_start_where_it_is_on() {
    let rig = Setup { crm: &[ON], ..Setup::PLAIN }.rig();
    for result in ["won", "lost", "canceled"] {
        let series =
            format!(r#"holdline_upstream_hedges_total{{upstream="crm",result="{result}"}}"#);
        assert_eq!(rig.metric(&series), 0.0);
    }
}
