//! What a flight does, one sentence at a time, and a walk of random steps beside a plain record.

use std::{
    pin::pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use futures_util::{FutureExt, future::join_all};
use proptest::prelude::*;

use super::*;
use crate::background::Background;

type Lookups<M = ()> = Flights<&'static str, u32, M>;

fn lead<K: Eq + Hash, V, M>(boarding: Boarding<K, V, M>) -> (Takeoff<K, V, M>, Waiter<V, M>) {
    match boarding {
        Boarding::Lead(takeoff, waiter) => (takeoff, waiter),
        other => panic!("expected to lead: {other:?}"),
    }
}

fn follow<K: Eq + Hash, V, M>(boarding: Boarding<K, V, M>) -> Waiter<V, M> {
    match boarding {
        Boarding::Follow(waiter) => waiter,
        other => panic!("expected to follow: {other:?}"),
    }
}

#[tokio::test]
async fn of_a_thousand_one_leads_and_all_get_what_lands() {
    let flights = Lookups::new(5000);
    let (takeoff, leader) = lead(flights.join(&"a"));
    let mut waiters: Vec<_> = (1..1000).map(|_| follow(flights.join(&"a"))).collect();
    waiters.push(leader);
    assert_eq!(flights.len(), 1);

    let background = Background::new();
    background.finish(async move { takeoff.land(7) });
    let landed = join_all(waiters.iter_mut().map(Waiter::landed)).await;
    assert_eq!(landed, vec![Some(7); 1000]);
    assert!(flights.is_empty());
}

#[test]
fn threads_that_ask_at_once_get_one_leader() {
    let flights = Flights::<u32, u32>::new(5000);
    let start = std::sync::Barrier::new(8);
    let boardings: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    start.wait();
                    (0..200).map(|_| flights.join(&1)).collect::<Vec<_>>()
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let leads = boardings.iter().filter(|one| matches!(one, Boarding::Lead(..))).count();
    let follows = boardings.iter().filter(|one| matches!(one, Boarding::Follow(..))).count();
    assert_eq!((leads, follows), (1, 1599));
    drop(boardings);
    assert!(flights.is_empty());
}

#[test]
fn keys_do_not_wait_for_each_other() {
    let flights = Lookups::new(10);
    let (a, mut at_a) = lead(flights.join(&"a"));
    let (_b, mut at_b) = lead(flights.join(&"b"));
    assert_eq!(flights.len(), 2);
    a.land(1);
    assert_eq!(at_a.landed().now_or_never(), Some(Some(1)));
    assert_eq!(at_b.landed().now_or_never(), None);
    assert_eq!(flights.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_flight_lands_though_its_leader_has_gone() {
    let flights = Lookups::new(10);
    let (takeoff, leader) = lead(flights.join(&"a"));
    let mut follower = follow(flights.join(&"a"));
    let background = Background::new();
    background.finish(async move {
        tokio::time::sleep(Duration::from_secs(1)).await;
        takeoff.land(7);
    });
    drop(leader);
    assert_eq!(follower.landed().await, Some(7));
    assert_eq!(background.stop(Duration::from_secs(1)).await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_flight_that_is_cancelled_wakes_all_and_the_next_leads() {
    let flights = Lookups::new(10);
    let (takeoff, mut leader) = lead(flights.join(&"a"));
    let mut follower = follow(flights.join(&"a"));
    let background = Background::new();
    background.until_stopped(async move {
        let _aboard = takeoff;
        std::future::pending::<()>().await;
    });
    let (at_leader, at_follower, _) =
        tokio::join!(leader.landed(), follower.landed(), background.stop(Duration::from_secs(1)));
    assert_eq!((at_leader, at_follower), (None, None));
    assert_eq!(leader.landed().await, None, "and it stays so");

    let (takeoff, mut waiter) = lead(flights.join(&"a"));
    takeoff.land(8);
    assert_eq!(waiter.landed().await, Some(8));
    assert_eq!(follower.landed().await, None, "of its own flight, not of a later one");
}

#[test]
fn a_flight_that_panics_wakes_all_and_the_next_leads() {
    let flights = Lookups::new(10);
    let (takeoff, mut waiter) = lead(flights.join(&"a"));
    let flown = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
        let _aboard = takeoff;
        panic!("a bug in the fetch");
    }));
    assert!(flown.is_err());
    assert_eq!(waiter.landed().now_or_never(), Some(None));
    lead(flights.join(&"a")).0.land(1);
}

#[test]
fn an_old_takeoff_leaves_the_slot_of_a_new_flight_alone() {
    let flights = Lookups::new(10);
    let (old, mut at_old) = lead(flights.join(&"a"));
    flights.shared.lock().clear();
    let (new, mut at_new) = lead(flights.join(&"a"));
    old.land(1);
    assert_eq!(flights.len(), 1);
    assert_eq!(at_old.landed().now_or_never(), Some(Some(1)));
    assert_eq!(at_new.landed().now_or_never(), None);
    let mut follower = follow(flights.join(&"a"));
    new.land(2);
    assert_eq!(follower.landed().now_or_never(), Some(Some(2)));
    assert!(flights.is_empty());
}

#[test]
fn one_who_is_woken_and_asks_again_leads() {
    let flights = Lookups::new(10);
    let (takeoff, mut waiter) = lead(flights.join(&"a"));
    takeoff.land(1);
    assert_eq!(waiter.landed().now_or_never(), Some(Some(1)));
    assert_eq!(waiter.landed().now_or_never(), Some(Some(1)), "it may ask again");
    lead(flights.join(&"a")).0.land(2);
}

#[test]
fn a_full_flight_takes_nobody_until_one_leaves() {
    let flights = Lookups::new(2);
    let (_takeoff, leader) = lead(flights.join(&"a"));
    let first = follow(flights.join(&"a"));
    let _second = follow(flights.join(&"a"));
    assert!(matches!(flights.join(&"a"), Boarding::Full));
    drop(leader);
    assert!(matches!(flights.join(&"a"), Boarding::Full), "the leader had no place among them");
    drop(first);
    let _third = follow(flights.join(&"a"));
    assert!(matches!(flights.join(&"a"), Boarding::Full));
    lead(flights.join(&"b")).0.land(1);
}

#[test]
fn giving_up_waiting_for_a_while_loses_nothing() {
    let flights = Lookups::new(10);
    let (takeoff, mut waiter) = lead(flights.join(&"a"));
    for _ in 0..3 {
        let mut context = Context::from_waker(Waker::noop());
        assert_eq!(pin!(waiter.landed()).poll(&mut context), Poll::Pending);
    }
    takeoff.land(1);
    assert_eq!(waiter.landed().now_or_never(), Some(Some(1)));
}

#[test]
fn followers_read_the_mark_of_their_leader() {
    let flights = Lookups::<String>::new(10);
    let (takeoff, leader) = lead(flights.join_with(&"a", "first".to_owned()));
    let follower = follow(flights.join_with(&"a", "second".to_owned()));
    assert_eq!((leader.mark().as_str(), follower.mark().as_str()), ("first", "first"));
    takeoff.land(1);
    let (_takeoff, waiter) = lead(flights.join_with(&"a", "third".to_owned()));
    assert_eq!(waiter.mark(), "third");
}

#[test]
fn nothing_of_a_customer_is_shown() {
    let flights = Flights::<&str, &str, &str>::new(10);
    let (takeoff, waiter) = lead(flights.join_with(&"secret", "secret"));
    let shown = format!("{flights:?} {takeoff:?} {waiter:?}");
    takeoff.land("secret");
    assert!(!format!("{shown} {waiter:?}").contains("secret"));
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Join(u8),
    Land(prop::sample::Index),
    Crash(prop::sample::Index),
    Leave(prop::sample::Index),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0u8..3).prop_map(Step::Join),
        1 => any::<prop::sample::Index>().prop_map(Step::Land),
        1 => any::<prop::sample::Index>().prop_map(Step::Crash),
        2 => any::<prop::sample::Index>().prop_map(Step::Leave),
    ]
}

/// One who waits, as the model sees it: for which flight, counted or not.
struct Waiting {
    flight: u32,
    counted: bool,
    waiter: Waiter<u32, u32>,
}

const MAX_WAITERS: usize = 2;

/// Three keys' flights, and a plain record of what should be.
struct Airport {
    flights: Flights<u8, u32, u32>,
    taken_off: u32,
    in_the_air: Vec<(u8, u32, Takeoff<u8, u32, u32>)>,
    waiting: Vec<Waiting>,
    ended: HashMap<u32, Option<u32>>,
}

impl Airport {
    fn new() -> Self {
        Self {
            flights: Flights::new(MAX_WAITERS),
            taken_off: 0,
            in_the_air: Vec::new(),
            waiting: Vec::new(),
            ended: HashMap::new(),
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Join(key) => self.join(key),
            Step::Land(which) if !self.in_the_air.is_empty() => {
                let at = which.index(self.in_the_air.len());
                let (_, flight, takeoff) = self.in_the_air.remove(at);
                takeoff.land(flight * 10);
                self.ended.insert(flight, Some(flight * 10));
            }
            Step::Crash(which) if !self.in_the_air.is_empty() => {
                let at = which.index(self.in_the_air.len());
                let (_, flight, takeoff) = self.in_the_air.remove(at);
                drop(takeoff);
                self.ended.insert(flight, None);
            }
            Step::Leave(which) if !self.waiting.is_empty() => {
                self.waiting.remove(which.index(self.waiting.len()));
            }
            Step::Land(_) | Step::Crash(_) | Step::Leave(_) => {}
        }
        self.check();
    }

    fn join(&mut self, key: u8) {
        let flown = self.in_the_air.iter().find(|(of, ..)| *of == key).map(|(_, id, _)| *id);
        let places =
            |flight| self.waiting.iter().filter(|one| one.counted && one.flight == flight).count();
        let mark = self.taken_off + 1;
        match (self.flights.join_with(&key, mark), flown) {
            (Boarding::Lead(takeoff, waiter), None) => {
                self.taken_off = mark;
                self.in_the_air.push((key, mark, takeoff));
                self.waiting.push(Waiting { flight: mark, counted: false, waiter });
            }
            (Boarding::Follow(waiter), Some(flight)) => {
                assert!(places(flight) < MAX_WAITERS);
                self.waiting.push(Waiting { flight, counted: true, waiter });
            }
            (Boarding::Full, Some(flight)) => assert_eq!(places(flight), MAX_WAITERS),
            (other, flown) => panic!("{other:?} with {flown:?} in the air"),
        }
    }

    fn check(&mut self) {
        assert_eq!(self.flights.len(), self.in_the_air.len());
        for one in &mut self.waiting {
            assert_eq!(*one.waiter.mark(), one.flight);
            assert_eq!(one.waiter.landed().now_or_never(), self.ended.get(&one.flight).copied());
        }
    }
}

proptest! {
    #[test]
    fn each_key_has_one_flight_and_each_waiter_the_end_of_its_own(
        steps in prop::collection::vec(step(), 1..80),
    ) {
        let mut airport = Airport::new();
        steps.into_iter().for_each(|step| airport.step(step));
    }
}
