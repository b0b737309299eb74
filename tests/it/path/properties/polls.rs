//! A call is dropped at each of its awaits, one after the other: nothing is left behind wherever it
//! stood.
//!
//! Hanging up at random instants finds the long waits. Here the future itself is counted: after its
//! nth poll it is dropped where it stands, or when it has just been woken, with what it waited for
//! already in its hands.

use std::{future::Future, pin::pin, task::Poll, time::Duration};

use holdline::mechanism::breaker::State;
use serde_json::json;

use super::TOKENS;
use crate::support::{
    ask::{Ask, Underway},
    rig::{Rig, Setup},
    scripted::Line,
};

/// After how many polls a future is dropped.
#[derive(Debug, Clone, Copy)]
pub(super) struct Polls {
    /// The number.
    pub(super) polls: u32,
    /// Whether only when it has been woken once more.
    pub(super) woken: bool,
}

impl Polls {
    /// What `future` brings, unless it takes more polls than these.
    pub(super) async fn of<T>(self, future: impl Future<Output = T>) -> Option<T> {
        let mut future = pin!(future);
        let mut left = self.polls;
        std::future::poll_fn(|cx| {
            if left == 0 {
                return Poll::Ready(None);
            }
            left -= 1;
            match future.as_mut().poll(cx) {
                Poll::Ready(done) => Poll::Ready(Some(done)),
                Poll::Pending if left == 0 && !self.woken => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }
}

const KEPT: &[&str] =
    &["ttl: 60s", "not_found: 1m", "stale_while_revalidate: 30s", "stale_if_error: 5m"];
const CRM: &[&str] = &[
    "concurrency: {limit: 1, wait: 400ms}",
    "breaker: {run: 2, connect_run: 2, ramp: 0s}",
    "retry: {backoff: {first: 100ms}}",
];
const GUARDED: Setup<'_> = Setup { caller: "genesys", crm: CRM, ..Setup::PLAIN };
const CACHED: Setup<'_> = Setup { cache: KEPT, ..GUARDED };

fn ada() -> Line {
    Line::json(&json!({"name": "Ada"}))
}

/// Drops the call that `given` brings about after one poll, after two, and so on until it is through,
/// each time on a pipeline of its own. Returns how many polls it took.
async fn wherever_it_is_dropped(
    setup: &Setup<'_>,
    given: impl AsyncFn(&Rig) -> (Ask, Vec<Underway>),
) -> u32 {
    let mut longest = 0;
    for woken in [false, true] {
        let mut polls = 0;
        loop {
            let rig = setup.rig();
            let (ask, others) = given(&rig).await;
            let through = Polls { polls, woken }.of(ask.heard()).await.is_some();
            let when = format!("after {polls} polls, woken: {woken}");
            if setup.cache.is_empty() && others.is_empty() {
                nothing_of_it_goes_on(&rig, &when).await;
            }
            for other in others {
                assert!(other.heard().await.result.is_ok(), "{when}: who was beside it");
            }
            nothing_is_left(&rig, &when).await;
            if through {
                break;
            }
            polls += 1;
            assert!(polls < 100, "it comes to no end");
        }
        longest = longest.max(polls);
    }
    longest
}

/// What is its caller's alone ends with it, at once: the only permit is free, and so is the place of
/// a probe.
async fn nothing_of_it_goes_on(rig: &Rig, when: &str) {
    assert_eq!((rig.condition().in_flight, rig.upstream().in_flight()), (0, 0), "{when}");
    let state = rig.condition().breaker.state;
    rig.upstream().only([]).always(ada());
    let next = rig.lookup().id(60).heard().await;
    assert_eq!(next.result.is_ok(), state != State::Open, "{when}: {next:#?}");
}

/// No permit, flight, task or question is left, and the next two calls pass, one by one.
async fn nothing_is_left(rig: &Rig, when: &str) {
    // What goes on without its caller has its time.
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!((rig.condition().in_flight, rig.upstream().in_flight()), (0, 0), "{when}: permits");
    assert_eq!((rig.pipeline.flights(), rig.tasks()), (0, 0), "{when}: flights and tasks");
    let questions = (rig.authority().in_flight(), rig.issuer().in_flight());
    assert_eq!(questions, (0, 0), "{when}: questions");
    rig.upstream().only([]).always(ada());
    rig.authority().only([]).always(Line::active("acme", "ivr"));
    let began = rig.now();
    for id in 100..104 {
        let heard = rig.lookup().id(id).token("other").heard().await;
        assert!(heard.result.is_ok() && heard.at == began, "{when}: {heard:#?}");
    }
    assert_eq!(rig.condition().breaker.state, State::Closed, "{when}: the breaker");
}

/// A call whose caller is known already, so that what comes first is not the authority.
async fn known(rig: &Rig) -> Ask {
    assert!(rig.lookup().id(50).heard().await.result.is_ok());
    rig.lookup()
}

#[tokio::test(start_paused = true)]
async fn one_that_needs_to_wait_for_nothing() {
    let given = async |rig: &Rig| {
        assert!(rig.lookup().heard().await.result.is_ok());
        (rig.lookup(), Vec::new())
    };
    assert_eq!(wherever_it_is_dropped(&CACHED, given).await, 1, "a hit is one poll");
    let limited = Setup {
        lookup: &["limits: [one]"],
        limits: &["one: {key: [org, input.id], rate: 1/m, burst: 1}"],
        ..CACHED
    };
    assert_eq!(wherever_it_is_dropped(&limited, given).await, 1, "a refusal too");
    let remembered = async |rig: &Rig| {
        let ask = known(rig).await;
        rig.upstream().next(Line::status(404));
        assert!(ask.clone().heard().await.result.is_err());
        (ask, Vec::new())
    };
    assert_eq!(wherever_it_is_dropped(&CACHED, remembered).await, 1);
}

#[tokio::test(start_paused = true)]
async fn one_that_is_identified_first() {
    for setup in [&CACHED, &GUARDED] {
        let leads = async |rig: &Rig| {
            rig.authority().next(Line::active("acme", "ivr").after(50));
            rig.upstream().next(ada().after(50));
            (rig.lookup(), Vec::new())
        };
        assert!(wherever_it_is_dropped(setup, leads).await >= 3);
        let joins = async |rig: &Rig| {
            rig.authority().next(Line::active("acme", "ivr").after(50));
            let first = rig.lookup().id(2).set_off().await;
            (rig.lookup(), vec![first])
        };
        assert!(wherever_it_is_dropped(setup, joins).await >= 2);
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_leads_a_flight_or_follows_one() {
    let leads = async |rig: &Rig| {
        let ask = known(rig).await;
        rig.upstream().next(ada().after(50));
        (ask, Vec::new())
    };
    assert!(wherever_it_is_dropped(&CACHED, leads).await >= 2);
    let follows = async |rig: &Rig| {
        let ask = known(rig).await;
        rig.upstream().next(ada().after(50));
        let leader = ask.clone().set_off().await;
        (ask, vec![leader])
    };
    assert!(wherever_it_is_dropped(&CACHED, follows).await >= 2);
    let is_followed = async |rig: &Rig| {
        let ask = known(rig).await;
        rig.upstream().next(ada().after(50));
        let follower = ask.clone().set_off_in(10);
        (ask, vec![follower])
    };
    assert!(wherever_it_is_dropped(&CACHED, is_followed).await >= 2);
}

#[tokio::test(start_paused = true)]
async fn one_that_has_an_old_answer_at_hand() {
    for (at, polls) in [(61_000, 1), (95_000, 2)] {
        let given = async |rig: &Rig| {
            assert!(rig.lookup().heard().await.result.is_ok());
            rig.until(at).await;
            rig.upstream().next(ada().after(1_000));
            (rig.lookup(), Vec::new())
        };
        assert!(wherever_it_is_dropped(&CACHED, given).await >= polls);
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_needs_a_token_of_ours() {
    let crm = [CRM, &[TOKENS]].concat();
    for cache in [KEPT, &[]] {
        let setup = Setup { crm: &crm, cache, ..Setup::PLAIN };
        let asks = async |rig: &Rig| {
            rig.issuer().next(Line::token(1, 3600).after(50));
            rig.upstream().next(ada().after(50));
            (rig.lookup(), Vec::new())
        };
        assert!(wherever_it_is_dropped(&setup, asks).await >= 2);
        let waits_with_others = async |rig: &Rig| {
            rig.issuer().next(Line::token(1, 3600).after(50));
            let first = rig.lookup().id(2).set_off().await;
            (rig.lookup(), vec![first])
        };
        assert!(wherever_it_is_dropped(&setup, waits_with_others).await >= 2);
        let is_not_taken = async |rig: &Rig| {
            let ask = known(rig).await;
            rig.issuer().next(Line::token(2, 3600).after(50));
            rig.upstream().next(Line::status(401).after(20)).next(ada().after(20));
            (ask, Vec::new())
        };
        assert!(wherever_it_is_dropped(&setup, is_not_taken).await >= 2);
        let gets_none = async |rig: &Rig| {
            rig.issuer().next(Line::status(500).after(50));
            (rig.lookup(), Vec::new())
        };
        assert!(wherever_it_is_dropped(&setup, gets_none).await >= 2);
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_waits_between_two_attempts() {
    for setup in [&CACHED, &GUARDED] {
        let given = async |rig: &Rig| {
            let ask = known(rig).await;
            rig.upstream().next(Line::status(503).after(20)).next(ada().after(20));
            (ask, Vec::new())
        };
        assert!(wherever_it_is_dropped(setup, given).await >= 2);
    }
    let given = async |rig: &Rig| {
        let ask = known(rig).await;
        rig.upstream().next(Line::status(503).after(20)).next(ada().after(20));
        (ask, Vec::new())
    };
    assert!(wherever_it_is_dropped(&GUARDED, given).await >= 4, "attempt, wait, attempt");
}

#[tokio::test(start_paused = true)]
async fn one_that_stands_in_line() {
    for setup in [&CACHED, &GUARDED] {
        let given = async |rig: &Rig| {
            let ask = known(rig).await;
            rig.upstream().always(ada().after(50));
            let holder = ask.clone().id(2).set_off().await;
            let before = ask.clone().id(3).set_off().await;
            (ask, vec![holder, before])
        };
        assert!(wherever_it_is_dropped(setup, given).await >= 2);
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_others_stand_behind() {
    let given = async |rig: &Rig| {
        let ask = known(rig).await;
        rig.upstream().always(ada().after(50));
        let holder = ask.clone().id(2).set_off().await;
        let behind = ask.clone().id(3).set_off_in(10);
        (ask, vec![holder, behind])
    };
    assert!(wherever_it_is_dropped(&GUARDED, given).await >= 2);
}

#[tokio::test(start_paused = true)]
async fn one_that_probes() {
    for setup in [&CACHED, &GUARDED] {
        let given = async |rig: &Rig| {
            let ask = known(rig).await;
            rig.upstream().next(Line::status(503)).next(Line::status(503));
            assert!(ask.clone().heard().await.result.is_err());
            assert_eq!(rig.condition().breaker.state, State::Open);
            rig.until(2_500).await;
            assert_eq!(rig.condition().breaker.state, State::HalfOpen);
            rig.upstream().next(ada().after(50));
            (ask, Vec::new())
        };
        assert!(wherever_it_is_dropped(setup, given).await >= 2);
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_changes_something() {
    // It is finished without its caller, and so the question beside it waits for its turn.
    let given = async |rig: &Rig| {
        let ask = known(rig).await;
        rig.upstream().next(ada().after(50));
        (rig.ask("update"), vec![ask.set_off_in(10)])
    };
    assert!(wherever_it_is_dropped(&GUARDED, given).await >= 2);
}

#[tokio::test(start_paused = true)]
async fn one_that_gets_no_answer() {
    for line in [Line::hangs(), Line::status(503).after(20), Line::status(200).body("<html>")] {
        for setup in [&CACHED, &GUARDED] {
            let given = async |rig: &Rig| {
                let ask = known(rig).await;
                rig.upstream().always(line.clone());
                (ask, Vec::new())
            };
            wherever_it_is_dropped(setup, given).await;
        }
    }
}
