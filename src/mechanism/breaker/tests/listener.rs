//! What others see of its changes, from one thread and from many.

use std::sync::Barrier;

use super::*;

#[test]
fn the_listener_hears_every_change_once() {
    use State::{Closed, HalfOpen, Open};
    let mut bench = Bench::half_open(policy(), EVEN);
    assert_eq!(bench.heard(), [(Closed, Open)], "its time is over, but nobody has asked");
    bench.attempt(OTHER);
    bench.advance(4 * SECOND);
    bench.attempts(3, Verdict::Success);
    assert_eq!(
        bench.heard(),
        [(Closed, Open), (Open, HalfOpen), (HalfOpen, Open), (Open, HalfOpen), (HalfOpen, Closed)]
    );
}

#[test]
fn the_listener_may_ask_the_breaker_and_may_panic() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let (answers, own) = (Arc::clone(&asked), Arc::new(Mutex::new(None::<Arc<Breaker>>)));
    let breaker = Arc::clone(&own);
    let start = now();
    let on_change = Box::new(move |Change { to, .. }| {
        let breaker = breaker.lock().unwrap().clone().unwrap();
        answers.lock().unwrap().push((to, breaker.state(start), breaker.admit(start).is_ok()));
        assert_ne!(to, State::Open, "a bug in the listener");
    });
    let breaker = Breaker::new(BreakerPolicy { run: 1, ..policy() }, EVEN, on_change);
    *own.lock().unwrap() = Some(Arc::clone(&breaker));

    let pass = breaker.admit(start).unwrap();
    let told = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| pass.settle(start, OTHER)));
    assert!(told.is_err());
    assert!(breaker.admit(start + 2 * SECOND).is_ok());
    let heard = asked.lock().unwrap().clone();
    assert_eq!(heard[0], (State::Open, State::Open, false));
    assert_eq!(heard[1].0, State::HalfOpen, "it is told of the next change all the same");
    *own.lock().unwrap() = None;
}

#[test]
fn threads_that_ask_at_once_get_one_probe() {
    let bench = Bench::half_open(policy(), EVEN);
    let start = Barrier::new(8);
    let answers: Vec<_> = std::thread::scope(|scope| {
        let ask = || {
            start.wait();
            bench.admit()
        };
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(ask)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    assert_eq!(bench.heard().len(), 2);
}

#[test]
fn threads_that_change_it_at_once_are_heard_in_order() {
    let flapping = BreakerPolicy {
        run: 1,
        open_first: Duration::ZERO,
        close_after: 1,
        ramp: Duration::ZERO,
        ..policy()
    };
    let bench = Bench::new(flapping, EVEN);
    std::thread::scope(|scope| {
        for verdict in [OTHER, CONNECT, Verdict::Success, Verdict::Success] {
            let bench = &bench;
            scope.spawn(move || {
                for _ in 0..1000 {
                    if let Ok(pass) = bench.admit() {
                        pass.settle(bench.now, verdict);
                    }
                }
            });
        }
    });
    let heard = bench.heard();
    assert!(heard.windows(2).all(|two| two[0].1 == two[1].0), "each from where the last led to");
    assert!(!bench.breaker.lock().changed(), "and nothing was left untold");
}
