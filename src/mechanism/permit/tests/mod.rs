//! Permits and their two lines: who gets one, when, and that none is ever lost.

mod gradient;
mod uneven;
mod upstream;
mod walk;

use std::{
    pin::Pin,
    task::{Context, Poll, Waker},
};

use tokio::time::advance;

use super::*;

const WAIT: Duration = Duration::from_millis(100);
const LONG: Duration = Duration::from_secs(60);

use Urgency::{Interactive, Refresh};

type Acquiring<'a> = Pin<Box<dyn Future<Output = Result<Permit, Saturated>> + 'a>>;

fn permits(limit: u32) -> Permits {
    Permits::new(ConcurrencyPolicy { limit: ConcurrencyLimit::Fixed(limit), wait: WAIT })
}

fn poll(acquiring: &mut Acquiring<'_>) -> Poll<Result<Permit, Saturated>> {
    acquiring.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

/// One that has come, and got nothing at once.
fn in_line(permits: &Permits, urgency: Urgency) -> Acquiring<'_> {
    let mut acquiring: Acquiring<'_> = Box::pin(permits.acquire(urgency, LONG));
    assert!(poll(&mut acquiring).is_pending());
    acquiring
}

/// Changes the limit while permits are out.
fn allow(permits: &Permits, limit: usize) {
    let mut counter = permits.shared.lock();
    counter.limit = Limit::Fixed(limit);
    let turns = counter.serve(now());
    drop(counter);
    call(turns);
}

fn is_send_and_static<T: Send + 'static>(_: &T) {}

#[tokio::test(start_paused = true)]
async fn no_more_than_the_limit_are_out() {
    let permits = permits(2);
    let first = permits.acquire(Interactive, LONG).await.unwrap();
    let _second = permits.acquire(Interactive, LONG).await.unwrap();
    is_send_and_static(&first);
    assert_eq!((permits.in_use(), permits.limit()), (2, 2));
    assert_eq!(permits.acquire(Interactive, LONG).await.unwrap_err(), Saturated { waited: WAIT });
    drop(first);
    assert_eq!(permits.in_use(), 1);
    assert_eq!(permits.acquire(Interactive, LONG).await.unwrap().waited(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_longer_than_its_own_time() {
    let permits = permits(1);
    let _out = permits.acquire(Interactive, LONG).await.unwrap();
    for urgency in [Interactive, Refresh] {
        for most in [Duration::ZERO, Duration::from_millis(7)] {
            let came = now();
            assert_eq!(permits.acquire(urgency, most).await.unwrap_err().waited, most);
            assert_eq!(now() - came, most);
        }
    }
    assert_eq!((permits.waiting(Interactive), permits.waiting(Refresh)), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn the_policy_bounds_the_wait_of_callers_and_not_of_refreshes() {
    let permits = permits(1);
    let _out = permits.acquire(Interactive, LONG).await.unwrap();
    assert_eq!(permits.acquire(Interactive, LONG).await.unwrap_err().waited, WAIT);
    assert_eq!(permits.acquire(Refresh, LONG).await.unwrap_err().waited, LONG);
}

#[tokio::test(start_paused = true)]
async fn the_line_is_served_in_order_and_says_how_long_it_waited() {
    let permits = permits(1);
    let out = permits.acquire(Interactive, LONG).await.unwrap();
    let first = in_line(&permits, Interactive);
    let mut second = in_line(&permits, Interactive);
    assert_eq!(permits.waiting(Interactive), 2);
    advance(Duration::from_millis(30)).await;
    drop(out);
    assert!(
        permits.acquire(Interactive, Duration::ZERO).await.is_err(),
        "a newcomer does not push in"
    );
    assert!(poll(&mut second).is_pending());
    let first = first.await.unwrap();
    assert_eq!(first.waited(), Duration::from_millis(30));
    drop(first);
    assert_eq!(second.await.unwrap().waited(), Duration::from_millis(30));
}

#[tokio::test(start_paused = true)]
async fn one_who_leaves_the_line_with_its_permit_in_hand_gives_it_back() {
    let permits = permits(1);
    let out = permits.acquire(Interactive, LONG).await.unwrap();
    let waiting = in_line(&permits, Interactive);
    drop(out);
    assert_eq!(permits.in_use(), 1, "it is meant for the one in line");
    drop(waiting);
    assert_eq!(permits.in_use(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_permit_whose_receiver_has_left_goes_to_the_next_in_line() {
    let permits = permits(1);
    let out = permits.acquire(Interactive, LONG).await.unwrap();
    let first = in_line(&permits, Interactive);
    let mut second = in_line(&permits, Interactive);
    drop(out);
    assert!(poll(&mut second).is_pending());
    drop(first);
    assert!(poll(&mut second).is_ready());
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_comes_as_time_runs_out_is_taken() {
    let permits = permits(1);
    let out = permits.acquire(Interactive, LONG).await.unwrap();
    let waiting = in_line(&permits, Interactive);
    advance(WAIT).await;
    drop(out);
    assert_eq!(waiting.await.unwrap().waited(), WAIT);
}

#[tokio::test(start_paused = true)]
async fn a_refresh_is_served_when_no_caller_waits() {
    let permits = permits(1);
    let out = permits.acquire(Interactive, LONG).await.unwrap();
    let mut refresh = in_line(&permits, Refresh);
    let mut caller = in_line(&permits, Interactive);
    drop(out);
    assert!(poll(&mut refresh).is_pending(), "though it came first");
    let Poll::Ready(Ok(out)) = poll(&mut caller) else { panic!("it is its turn") };
    drop(out);
    assert!(poll(&mut refresh).is_ready());
}

#[tokio::test(start_paused = true)]
async fn beside_callers_refreshes_hold_a_fifth_of_the_permits_and_at_least_one() {
    for (limit, share) in [(1, 1), (4, 1), (9, 1), (10, 2), (50, 10)] {
        let permits = permits(limit);
        let mut callers = Vec::new();
        for _ in share..limit {
            callers.push(permits.acquire(Interactive, Duration::ZERO).await.unwrap());
        }
        let mut refreshes = Vec::new();
        for _ in 0..share {
            refreshes.push(permits.acquire(Refresh, Duration::ZERO).await.unwrap());
        }
        let mut next = in_line(&permits, Refresh);
        drop(callers.pop());
        assert!(poll(&mut next).is_pending() || callers.is_empty(), "the rest is for callers");
        drop(refreshes.pop());
        assert!(poll(&mut next).is_ready());
    }
}

#[tokio::test(start_paused = true)]
async fn where_callers_hold_little_refreshes_leave_half_of_the_permits_free() {
    for (limit, callers, share) in
        [(1, 0, 1), (4, 0, 2), (9, 0, 5), (10, 2, 3), (50, 0, 25), (50, 20, 10)]
    {
        let permits = permits(limit);
        let mut out = Vec::new();
        for _ in 0..callers {
            out.push(permits.acquire(Interactive, Duration::ZERO).await.unwrap());
        }
        while let Ok(permit) = permits.acquire(Refresh, Duration::ZERO).await {
            out.push(permit);
        }
        assert_eq!(out.len() - callers, share, "{limit} {callers}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_falls_takes_nothing_away_and_gives_nothing_until_enough_came_back() {
    let permits = permits(3);
    let mut out = Vec::new();
    for _ in 0..3 {
        out.push(permits.acquire(Interactive, LONG).await.unwrap());
    }
    let mut waiting = in_line(&permits, Interactive);
    allow(&permits, 1);
    assert_eq!((permits.in_use(), permits.limit()), (3, 1));
    out.truncate(1);
    assert!(poll(&mut waiting).is_pending());
    out.clear();
    assert!(poll(&mut waiting).is_ready());
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_rises_serves_the_line_at_once() {
    let permits = permits(1);
    let _out = permits.acquire(Interactive, LONG).await.unwrap();
    let mut line: Vec<_> = (0..3).map(|_| in_line(&permits, Interactive)).collect();
    allow(&permits, 3);
    let turns: Vec<_> = line.iter_mut().map(poll).collect();
    assert_eq!(turns.iter().map(Poll::is_ready).collect::<Vec<_>>(), [true, true, false]);
}

#[tokio::test(start_paused = true)]
async fn what_attempts_tell_moves_an_adaptive_limit_and_what_they_do_not_tell_does_not() {
    let limit = ConcurrencyLimit::Adaptive { start: 20, min: 4, max: 200 };
    let permits = Permits::new(ConcurrencyPolicy { limit, wait: WAIT });
    for load in [None, Some(Load::Overloaded), Some(Load::Answered)] {
        let before = permits.limit();
        for _ in 0..20 {
            let mut out = Vec::new();
            for _ in 0..permits.limit() {
                out.push(permits.acquire(Interactive, LONG).await.unwrap());
            }
            advance(Duration::from_millis(50)).await;
            for permit in out {
                match load {
                    Some(load) => permit.settle(now(), load),
                    None => drop(permit),
                }
            }
            assert_eq!(permits.in_use(), 0);
        }
        match load {
            None => assert_eq!(permits.limit(), before),
            Some(Load::Overloaded) => assert!(permits.limit() < before),
            Some(Load::Answered) => assert!(permits.limit() > before),
        }
    }
}
