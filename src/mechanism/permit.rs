//! Concurrency permits: a fixed number of attempts under way at once, the others wait in line for a
//! short while.

use std::{fmt, sync::Arc, time::Duration};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use crate::{
    catalog::policy::{ConcurrencyLimit, ConcurrencyPolicy},
    time::now,
};

/// Who waits for an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    /// A caller on the line.
    Interactive,
    /// Nobody: it refreshes what was served stale.
    Refresh,
}

/// The permits of one upstream. Clones share them.
#[derive(Debug, Clone)]
pub struct Permits {
    policy: ConcurrencyPolicy,
    semaphore: Arc<Semaphore>,
}

/// The right to have one attempt under way; given back when dropped.
#[must_use = "dropping it gives it back"]
pub struct Permit {
    _owned: OwnedSemaphorePermit,
    waited: Duration,
}

/// Every permit is taken, and stayed so for as long as one could wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no permit became free within {waited:?}")]
pub struct Saturated {
    /// How long it waited.
    pub waited: Duration,
}

impl Permits {
    /// As many permits as the policy says, all free.
    pub fn new(policy: ConcurrencyPolicy) -> Self {
        let limit = limit(policy);
        Self { policy, semaphore: Arc::new(Semaphore::new(limit)) }
    }

    /// Waits for a permit, at most `wait_at_most` and at most as long as the policy says. First
    /// come, first served. Dropping the future leaves the line.
    pub async fn acquire(
        &self,
        _urgency: Urgency,
        wait_at_most: Duration,
    ) -> Result<Permit, Saturated> {
        // A free permit is never meant for somebody in line: it goes to them before it is free.
        if let Ok(owned) = Arc::clone(&self.semaphore).try_acquire_owned() {
            return Ok(Permit { _owned: owned, waited: Duration::ZERO });
        }
        let came = now();
        let wait = self.policy.wait.min(wait_at_most);
        let turn = timeout(wait, Arc::clone(&self.semaphore).acquire_owned()).await;
        let waited = now().saturating_duration_since(came);
        match turn {
            Ok(owned) => {
                let owned = owned.expect("nobody closes the semaphore");
                Ok(Permit { _owned: owned, waited })
            }
            Err(_elapsed) => Err(Saturated { waited }),
        }
    }

    /// How many are taken.
    pub fn in_use(&self) -> usize {
        self.limit().saturating_sub(self.semaphore.available_permits())
    }

    /// How many there are.
    pub fn limit(&self) -> usize {
        limit(self.policy)
    }
}

fn limit(policy: ConcurrencyPolicy) -> usize {
    match policy.limit {
        ConcurrencyLimit::Fixed(limit) | ConcurrencyLimit::Adaptive { max: limit, .. } => {
            limit as usize
        }
    }
}

impl Permit {
    /// How long it was waited for.
    pub fn waited(&self) -> Duration {
        self.waited
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("waited", &self.waited).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        pin::Pin,
        task::{Context, Poll, Waker},
    };

    use proptest::prelude::*;
    use tokio::time::advance;

    use super::*;

    const WAIT: Duration = Duration::from_millis(100);
    const LONG: Duration = Duration::from_secs(60);

    type Acquiring<'a> = Pin<Box<dyn Future<Output = Result<Permit, Saturated>> + 'a>>;

    fn permits(limit: u32) -> Permits {
        Permits::new(ConcurrencyPolicy { limit: ConcurrencyLimit::Fixed(limit), wait: WAIT })
    }

    fn poll(acquiring: &mut Acquiring<'_>) -> Poll<Result<Permit, Saturated>> {
        acquiring.as_mut().poll(&mut Context::from_waker(Waker::noop()))
    }

    fn is_send_and_static<T: Send + 'static>(_: &T) {}

    #[tokio::test(start_paused = true)]
    async fn no_more_than_the_limit_are_out() {
        let permits = permits(2);
        let first = permits.acquire(Urgency::Interactive, LONG).await.unwrap();
        let _second = permits.acquire(Urgency::Interactive, LONG).await.unwrap();
        is_send_and_static(&first);
        assert_eq!((permits.in_use(), permits.limit()), (2, 2));
        assert_eq!(
            permits.acquire(Urgency::Interactive, LONG).await.unwrap_err(),
            Saturated { waited: WAIT }
        );
        drop(first);
        assert_eq!(permits.in_use(), 1);
        assert_eq!(
            permits.acquire(Urgency::Interactive, LONG).await.unwrap().waited(),
            Duration::ZERO
        );
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_longer_than_its_own_time() {
        let permits = permits(1);
        let _out = permits.acquire(Urgency::Interactive, LONG).await.unwrap();
        for most in [Duration::ZERO, Duration::from_millis(7)] {
            let came = now();
            assert_eq!(permits.acquire(Urgency::Interactive, most).await.unwrap_err().waited, most);
            assert_eq!(now() - came, most);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_line_is_served_in_order_and_says_how_long_it_waited() {
        let permits = permits(1);
        let out = permits.acquire(Urgency::Interactive, LONG).await.unwrap();
        let mut first: Acquiring<'_> = Box::pin(permits.acquire(Urgency::Interactive, LONG));
        let mut second: Acquiring<'_> = Box::pin(permits.acquire(Urgency::Interactive, LONG));
        assert!(poll(&mut first).is_pending());
        assert!(poll(&mut second).is_pending());
        advance(Duration::from_millis(30)).await;
        drop(out);
        assert!(
            permits.acquire(Urgency::Interactive, Duration::ZERO).await.is_err(),
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
        let out = permits.acquire(Urgency::Interactive, LONG).await.unwrap();
        let mut waiting: Acquiring<'_> = Box::pin(permits.acquire(Urgency::Interactive, LONG));
        assert!(poll(&mut waiting).is_pending());
        drop(out);
        assert_eq!(permits.in_use(), 1, "it is meant for the one in line");
        drop(waiting);
        assert_eq!(permits.in_use(), 0);
    }

    #[derive(Debug, Clone)]
    enum Step {
        Come,
        Poll(prop::sample::Index),
        Leave(prop::sample::Index),
        GiveBack(prop::sample::Index),
        Pass(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => Just(Step::Come),
            3 => any::<prop::sample::Index>().prop_map(Step::Poll),
            1 => any::<prop::sample::Index>().prop_map(Step::Leave),
            2 => any::<prop::sample::Index>().prop_map(Step::GiveBack),
            1 => (0u64..80).prop_map(Step::Pass),
        ]
    }

    async fn walk(limit: u32, steps: Vec<Step>) {
        let permits = permits(limit);
        let mut line: Vec<Acquiring<'_>> = Vec::new();
        let mut out = Vec::new();
        for step in steps {
            match step {
                Step::Come => line.push(Box::pin(permits.acquire(Urgency::Interactive, LONG))),
                Step::Poll(which) if !line.is_empty() => {
                    let at = which.index(line.len());
                    if let Poll::Ready(turn) = poll(&mut line[at]) {
                        drop(line.remove(at));
                        out.extend(turn.ok());
                    }
                }
                Step::Leave(which) if !line.is_empty() => {
                    drop(line.remove(which.index(line.len())));
                }
                Step::GiveBack(which) if !out.is_empty() => {
                    drop(out.remove(which.index(out.len())));
                }
                Step::Pass(milliseconds) => advance(Duration::from_millis(milliseconds)).await,
                Step::Poll(_) | Step::Leave(_) | Step::GiveBack(_) => {}
            }
            // Polling by hand must not use up the task's turn.
            tokio::task::yield_now().await;
            assert!(out.len() <= permits.in_use() && permits.in_use() <= permits.limit());
        }
        drop(line);
        assert_eq!(permits.in_use(), out.len());
        drop(out);
        assert_eq!(permits.in_use(), 0);
    }

    proptest! {
        #[test]
        fn leaving_at_any_point_leaks_nothing(
            limit in 1u32..4,
            steps in prop::collection::vec(step(), 1..120),
        ) {
            tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .start_paused(true)
                .build()
                .unwrap()
                .block_on(walk(limit, steps));
        }
    }
}
