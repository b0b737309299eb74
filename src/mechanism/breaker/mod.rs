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
//! after a lease. So no history leaves a breaker shut for ever.

mod machine;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError},
    time::Duration,
};

use crate::{
    catalog::policy::BreakerPolicy,
    chance::Chance,
    mechanism::breaker::machine::{Machine, Ticket},
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

/// What a breaker does with attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Lets them pass and counts.
    Closed,
    /// Refuses them.
    Open,
    /// Lets one at a time pass, to see.
    HalfOpen,
}

impl State {
    /// Its name: `closed`, `open`, `half_open`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

/// The attempt may not be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the breaker lets nothing through for {retry_after:?}")]
pub struct Refused {
    /// When asking again makes sense, from now on.
    pub retry_after: Duration,
}

/// What a breaker shows of itself.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Snapshot {
    /// What the next attempt meets.
    pub state: State,
    /// Failures in the window. While it is not closed nothing new is counted: what opened it
    /// fades.
    pub failures: u64,
    /// Failures and successes in the window.
    pub attempts: u64,
    /// Failures by attempts; zero when there are none.
    pub failure_ratio: f64,
    /// While it is open: until when.
    pub open_until: Option<Instant>,
    /// How much longer, after it closed, only a part of the attempts passes.
    pub ramp_left: Duration,
}

/// Told of every change: from, to.
type OnChange = Box<dyn Fn(State, State) + Send + Sync>;

/// One breaker. It stands before all attempts to one upstream.
pub struct Breaker {
    enabled: bool,
    on_change: OnChange,
    machine: Mutex<Machine>,
    /// Held by the one who tells the listener, so that it hears the changes in their order.
    telling: Mutex<()>,
}

impl Breaker {
    /// A closed breaker. `on_change` hears one change after the other, in their order; it may call
    /// the breaker.
    pub fn new(policy: BreakerPolicy, chance: Chance, on_change: OnChange) -> Arc<Self> {
        Arc::new(Self {
            enabled: policy.enabled,
            on_change,
            machine: Mutex::new(Machine::new(policy, chance)),
            telling: Mutex::default(),
        })
    }

    /// Asks for leave to make one attempt, at `now`.
    pub fn admit(self: &Arc<Self>, now: Instant) -> Result<Pass, Refused> {
        if !self.enabled {
            return Ok(Pass { breaker: Arc::clone(self), ticket: None, probe: false });
        }
        let (admitted, changed) = {
            let mut machine = self.lock();
            (machine.admit(now), machine.changed())
        };
        let pass = admitted.map(|Ticket { number, probe }| Pass {
            breaker: Arc::clone(self),
            ticket: Some(number),
            probe,
        });
        if changed {
            self.tell();
        }
        pass
    }

    /// What an attempt at `now` would meet.
    pub fn state(&self, now: Instant) -> State {
        self.lock().phase_at(now).state()
    }

    /// The state and the counts behind it.
    pub fn snapshot(&self, now: Instant) -> Snapshot {
        let mut machine = self.lock();
        let phase = machine.phase_at(now);
        let counts = machine.counts(now);
        Snapshot {
            state: phase.state(),
            failures: counts.failures,
            attempts: counts.attempts,
            failure_ratio: counts.failure_ratio(),
            open_until: phase.open_until(),
            ramp_left: machine.ramp_left(now),
        }
    }

    fn settle(&self, ticket: u64, now: Instant, verdict: Verdict) {
        let changed = {
            let mut machine = self.lock();
            machine.settle(ticket, now, verdict);
            machine.changed()
        };
        if changed {
            self.tell();
        }
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
            if let Some((from, to)) = change {
                (self.on_change)(from, to);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Machine> {
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
}

impl Pass {
    /// Whether much depends on this attempt: it is the one that tries whether the upstream is back.
    pub fn is_probe(&self) -> bool {
        self.probe
    }

    /// Says at `now` what became of the attempt. Ignored if the breaker changed since it was
    /// admitted, or if it was a probe whose lease is over.
    pub fn settle(mut self, now: Instant, verdict: Verdict) {
        if let Some(ticket) = self.ticket.take() {
            self.breaker.settle(ticket, now, verdict);
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.breaker.settle(ticket, now(), Verdict::None);
        }
    }
}

#[cfg(test)]
mod tests;
