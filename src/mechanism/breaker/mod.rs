//! The breaker gives an upstream that fails a rest, and tries with one attempt at a time whether it
//! is back.
//!
//! ```text
//!            too many failures                open time is over
//!   CLOSED ───────────────────▶ OPEN ───────────────────────────▶ HALF-OPEN
//!     ▲                           ▲                                 │   │
//!     │                           └──── a probe fails: twice as ────┘   │
//!     │                                 long as the last time           │
//!     └──── enough probes succeed; a growing part passes at first ──────┘
//! ```
//!
//! Nothing here runs by itself: an open breaker becomes half-open when somebody asks after its time.
//! A [`Pass`] that is dropped, whatever the reason, gives its place back; one that is kept loses it
//! after a lease. An operator's [`Force`] ends by itself. So no history leaves a breaker shut for
//! ever.

mod machine;
mod state;
mod steered;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError},
    time::Duration,
};

pub use state::{Change, Force, Forced, Refused, Snapshot, State};

use crate::{
    catalog::policy::BreakerPolicy,
    chance::Chance,
    mechanism::breaker::{machine::Settled, steered::Steered},
    time::{Instant, now},
};

/// What an attempt says about its upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is well.
    Success,
    /// It is not.
    Failure(FailureKind),
    /// Nothing either way: cancelled, cut short by the caller's deadline, the caller's own mistake.
    None,
}

/// How an upstream failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// No connection could be made: near-certain evidence, a shorter run is enough.
    Connect,
    /// Anything else.
    Other,
}

/// Told of every change.
type OnChange = Box<dyn Fn(Change) + Send + Sync>;

/// One breaker. It stands before all attempts to one upstream.
pub struct Breaker {
    on_change: OnChange,
    machine: Mutex<Steered>,
    /// Held by the one who tells the listener, so that it hears the changes in their order.
    telling: Mutex<()>,
}

impl Breaker {
    /// A closed breaker. `on_change` hears one change after the other, in their order; it may call
    /// the breaker.
    pub fn new(policy: BreakerPolicy, chance: Chance, on_change: OnChange) -> Arc<Self> {
        Arc::new(Self {
            on_change,
            machine: Mutex::new(Steered::new(policy, chance)),
            telling: Mutex::default(),
        })
    }

    /// Asks for leave to make one attempt, at `now`.
    pub fn admit(self: &Arc<Self>, now: Instant) -> Result<Pass, Refused> {
        self.change(|machine| {
            let leave = machine.admit(now)?;
            Ok(Pass {
                breaker: Arc::clone(self),
                probe: leave.ticket.as_ref().is_some_and(|ticket| ticket.probe),
                ticket: leave.ticket.map(|ticket| ticket.number),
                would_be_refused: leave.would_be_refused,
                took: Duration::ZERO,
            })
        })
    }

    /// Puts a force into effect at `now`, in place of any other. One that is over already only
    /// lifts the other.
    pub fn force(&self, now: Instant, forced: Forced) {
        self.change(|machine| machine.force(now, forced));
    }

    /// Lifts the force at `now`, if there is one.
    pub fn release(&self, now: Instant) {
        self.change(|machine| machine.release(now));
    }

    /// How long a probe may keep its place from now on, without a word. The one that is out keeps its
    /// own.
    pub fn lease(&self, lease: Duration) {
        self.lock().lease(lease);
    }

    /// What an attempt at `now` would meet.
    pub fn state(&self, now: Instant) -> State {
        self.lock().state_at(now)
    }

    /// The state and the counts behind it. A force that is over is lifted by looking.
    pub fn snapshot(&self, now: Instant) -> Snapshot {
        self.change(|machine| machine.snapshot(now))
    }

    /// Carries out `work` on the machine and tells what it has changed.
    fn change<T>(&self, work: impl FnOnce(&mut Steered) -> T) -> T {
        let (done, changed) = {
            let mut machine = self.lock();
            (work(&mut machine), machine.changed())
        };
        if changed {
            self.tell();
        }
        done
    }

    /// Tells the listener what it has not heard yet. If somebody else is at it, they go on with
    /// what we leave: after each change they look again.
    fn tell(&self) {
        while self.lock().changed() {
            let _turn = match self.telling.try_lock() {
                Ok(turn) => turn,
                Err(TryLockError::Poisoned(turn)) => turn.into_inner(),
                Err(TryLockError::WouldBlock) => return,
            };
            let change = self.lock().next_change();
            if let Some(change) = change {
                (self.on_change)(change);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Steered> {
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Breaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Breaker").field("machine", &self.machine).finish_non_exhaustive()
    }
}

/// Leave to make one attempt. Dropped without a verdict it says nothing, and its place is free.
#[derive(Debug)]
#[must_use = "dropping it says nothing about the upstream"]
pub struct Pass {
    breaker: Arc<Breaker>,
    /// Absent: nothing is counted, or it has been.
    ticket: Option<u64>,
    probe: bool,
    would_be_refused: bool,
    took: Duration,
}

impl Pass {
    /// Whether much depends on this attempt: it is the one that tries whether the upstream is back.
    pub fn is_probe(&self) -> bool {
        self.probe
    }

    /// Whether only observing let it through. What becomes of it counts for nothing.
    pub fn would_be_refused(&self) -> bool {
        self.would_be_refused
    }

    /// Notes how long the exchange with the upstream alone took: no wait of ours. By itself it is
    /// no time at all, which is never slow.
    pub fn took(mut self, time: Duration) -> Self {
        self.took = time;
        self
    }

    /// Says at `now` what became of the attempt. Ignored if the breaker changed since it was
    /// admitted, or if it was a probe whose lease is over.
    pub fn settle(mut self, now: Instant, verdict: Verdict) {
        self.tell(now, verdict);
    }

    fn tell(&mut self, now: Instant, verdict: Verdict) {
        if let Some(ticket) = self.ticket.take() {
            let settled = Settled { verdict, took: self.took };
            self.breaker.change(|machine| machine.settle(ticket, now, settled));
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if self.ticket.is_some() {
            self.tell(now(), Verdict::None);
        }
    }
}

#[cfg(test)]
mod tests;
