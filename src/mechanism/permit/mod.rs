//! Concurrency permits: only so many attempts are under way at once, the others wait in line for a
//! short while. How many is a fixed number, or found by measuring (`gradient`).
//!
//! There are two lines. Who refreshes what was served stale is served when no caller waits. All
//! refreshes together hold at most a fifth of the permits, or, where callers use little, whatever
//! leaves half of them free: refreshes alone must be able to raise a limit that is measured. A permit that comes back goes to the
//! first in line before it is free, so nobody pushes in; one whose receiver has left goes on at once.

mod gradient;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::oneshot, time::timeout};

use crate::{
    catalog::policy::{ConcurrencyLimit, ConcurrencyPolicy},
    mechanism::permit::gradient::Gradient,
    time::{Instant, now},
};

/// Refreshes may hold one permit of so many, however many callers hold.
const REFRESH_SHARE: usize = 5;

/// Who waits for an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    /// A caller on the line.
    Interactive,
    /// Nobody: it refreshes what was served stale.
    Refresh,
}

/// What an attempt tells about the load of its upstream. One that tells nothing (it did not get
/// through, or was given up) drops its permit instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Load {
    /// It was answered: the time that took is one to measure with.
    Answered,
    /// It was refused as too many, or not answered in all the time that an attempt has.
    Overloaded,
}

/// The permits of one upstream. Clones share them.
#[derive(Debug, Clone)]
pub struct Permits {
    shared: Arc<Shared>,
}

/// The right to have one attempt under way. Dropped, it goes back without telling anything.
#[must_use = "dropping it gives it back"]
pub struct Permit {
    shared: Arc<Shared>,
    urgency: Urgency,
    granted: Instant,
    waited: Duration,
    told: Option<(Instant, Load)>,
}

/// Every permit is taken, and stayed so for as long as one could wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no permit became free within {waited:?}")]
pub struct Saturated {
    /// How long it waited.
    pub waited: Duration,
}

impl Permits {
    /// As many permits as the policy says at the start, all free.
    pub fn new(policy: ConcurrencyPolicy) -> Self {
        let limit = match policy.limit {
            ConcurrencyLimit::Fixed(limit) => Limit::Fixed(limit as usize),
            // Bounds that leave no room leave nothing to measure.
            ConcurrencyLimit::Adaptive { min, max, .. } if min == max => Limit::Fixed(max as usize),
            ConcurrencyLimit::Adaptive { start, min, max } => {
                Limit::Adaptive(Box::new(Gradient::new(start, min, max)))
            }
        };
        let counter = Mutex::new(Counter {
            limit,
            interactive: Line::default(),
            refresh: Line::default(),
            next_number: 0,
        });
        Self { shared: Arc::new(Shared { wait: policy.wait, counter }) }
    }

    /// Waits for a permit, at most `wait_at_most`; a caller at most as long as the policy says, too.
    /// First come, first served, callers before refreshes. Dropping the future leaves the line.
    pub async fn acquire(
        &self,
        urgency: Urgency,
        wait_at_most: Duration,
    ) -> Result<Permit, Saturated> {
        let wait = match urgency {
            Urgency::Interactive => self.shared.wait.min(wait_at_most),
            Urgency::Refresh => wait_at_most,
        };
        let came = now();
        let (place, turn) = match self.shared.come(came, urgency, wait) {
            Came::Granted => return Ok(self.permit(urgency, came, Duration::ZERO)),
            Came::Full => return Err(Saturated { waited: Duration::ZERO }),
            Came::InLine(place, turn) => (place, turn),
        };
        // Whether its turn came is known to the line alone: it may come while time runs out.
        let _ = timeout(wait, turn).await;
        let granted = now();
        let waited = granted.saturating_duration_since(came);
        if place.leave() {
            Ok(self.permit(urgency, granted, waited))
        } else {
            Err(Saturated { waited })
        }
    }

    fn permit(&self, urgency: Urgency, granted: Instant, waited: Duration) -> Permit {
        Permit { shared: Arc::clone(&self.shared), urgency, granted, waited, told: None }
    }

    /// How many are taken.
    pub fn in_use(&self) -> usize {
        self.shared.lock().in_use()
    }

    /// How many may be taken now. Fewer than are in use, if it fell: then nobody gets one until
    /// enough have come back.
    pub fn limit(&self) -> usize {
        self.shared.lock().limit.now()
    }

    /// How many are in line.
    pub fn waiting(&self, urgency: Urgency) -> usize {
        self.shared.lock().line(urgency).waiting.len()
    }
}

impl Permit {
    /// How long it was waited for.
    pub fn waited(&self) -> Duration {
        self.waited
    }

    /// Gives it back at `now`, telling what the attempt has shown.
    pub fn settle(mut self, now: Instant, load: Load) {
        self.told = Some((now, load));
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let over = self.told.map_or_else(now, |(over, _)| over);
        let told = self.told.map(|(_, load)| (self.granted, load));
        self.shared.give_back(over, self.urgency, told);
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("waited", &self.waited).finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Shared {
    /// How long a caller waits at most.
    wait: Duration,
    counter: Mutex<Counter>,
}

/// What becomes of one that comes for a permit.
enum Came<'a> {
    Granted,
    /// There is none, and it does not wait.
    Full,
    InLine(Place<'a>, oneshot::Receiver<()>),
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Counter> {
        self.counter.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn come(&self, now: Instant, urgency: Urgency, wait: Duration) -> Came<'_> {
        let mut counter = self.lock();
        counter.note(now);
        let turns = counter.serve(now);
        let came = if counter.is_free(urgency) {
            counter.grant(now, urgency);
            Came::Granted
        } else if wait.is_zero() {
            Came::Full
        } else {
            let (call, turn) = oneshot::channel();
            let number = counter.enter(urgency, call);
            Came::InLine(Place { shared: self, urgency, number, left: false }, turn)
        };
        drop(counter);
        call(turns);
        came
    }

    fn give_back(&self, now: Instant, urgency: Urgency, told: Option<(Instant, Load)>) {
        let mut counter = self.lock();
        counter.line_mut(urgency).taken -= 1;
        counter.note(now);
        if let (Limit::Adaptive(gradient), Some((granted, load))) = (&mut counter.limit, told) {
            gradient.told(granted, now, load);
        }
        let turns = counter.serve(now);
        drop(counter);
        call(turns);
    }
}

/// Wakes those whose turn it is; not under the lock, for who is woken may ask at once.
fn call(turns: Vec<oneshot::Sender<()>>) {
    for turn in turns {
        // One that has left in the meantime has passed its permit on.
        let _ = turn.send(());
    }
}

/// A place in line, or the permit that came of it: either is given up when dropped.
struct Place<'a> {
    shared: &'a Shared,
    urgency: Urgency,
    number: u64,
    left: bool,
}

impl Place<'_> {
    /// Leaves the line; whether it was granted a permit, which is now for whoever called this.
    fn leave(mut self) -> bool {
        self.left = true;
        self.is_granted()
    }

    /// Whether it is in line no longer; it is not afterwards.
    fn is_granted(&self) -> bool {
        let mut counter = self.shared.lock();
        counter.line_mut(self.urgency).waiting.remove(&self.number).is_none()
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if !self.left && self.is_granted() {
            self.shared.give_back(now(), self.urgency, None);
        }
    }
}

/// Who has a permit and who waits for one.
#[derive(Debug)]
struct Counter {
    limit: Limit,
    interactive: Line,
    refresh: Line,
    next_number: u64,
}

/// Those of one urgency.
#[derive(Debug, Default)]
struct Line {
    /// Permits they have.
    taken: usize,
    /// Who waits, in the order of coming.
    waiting: BTreeMap<u64, oneshot::Sender<()>>,
}

impl Counter {
    fn in_use(&self) -> usize {
        self.interactive.taken + self.refresh.taken
    }

    fn line(&self, urgency: Urgency) -> &Line {
        match urgency {
            Urgency::Interactive => &self.interactive,
            Urgency::Refresh => &self.refresh,
        }
    }

    fn line_mut(&mut self, urgency: Urgency) -> &mut Line {
        match urgency {
            Urgency::Interactive => &mut self.interactive,
            Urgency::Refresh => &mut self.refresh,
        }
    }

    /// Whether there is a permit for the next of that urgency.
    fn is_free(&self, urgency: Urgency) -> bool {
        let limit = self.limit.now();
        let share = match urgency {
            Urgency::Interactive => limit,
            Urgency::Refresh => {
                let idle = limit.div_ceil(2).saturating_sub(self.interactive.taken);
                (limit / REFRESH_SHARE).max(idle).max(1)
            }
        };
        self.in_use() < limit && self.line(urgency).taken < share
    }

    fn grant(&mut self, now: Instant, urgency: Urgency) {
        self.line_mut(urgency).taken += 1;
        self.note(now);
    }

    /// Tells the limit how much of it is used.
    fn note(&mut self, now: Instant) {
        if let Limit::Adaptive(gradient) = &mut self.limit {
            gradient.used(now, self.interactive.taken + self.refresh.taken);
        }
    }

    fn enter(&mut self, urgency: Urgency, call: oneshot::Sender<()>) -> u64 {
        let number = self.next_number;
        self.next_number += 1;
        self.line_mut(urgency).waiting.insert(number, call);
        number
    }

    /// Grants what is free to those who wait. They are to be called.
    fn serve(&mut self, now: Instant) -> Vec<oneshot::Sender<()>> {
        let mut turns = Vec::new();
        for urgency in [Urgency::Interactive, Urgency::Refresh] {
            while self.is_free(urgency) {
                let Some((_, turn)) = self.line_mut(urgency).waiting.pop_first() else { break };
                self.grant(now, urgency);
                turns.push(turn);
            }
        }
        turns
    }
}

/// How many permits there are.
#[derive(Debug)]
enum Limit {
    Fixed(usize),
    Adaptive(Box<Gradient>),
}

impl Limit {
    fn now(&self) -> usize {
        match self {
            Self::Fixed(limit) => *limit,
            Self::Adaptive(gradient) => gradient.limit(),
        }
    }
}

#[cfg(test)]
mod tests;
