//! Verdicts that are remembered: good ones and refusals in tables of their own, so that a flood of
//! bad tokens cannot push out the good ones. Keys are keyed fingerprints; a token is never kept.
//!
//! moka bounds the tables; what a verdict is worth is decided here, on our clocks, at each look-up:
//! its time to live by the monotonic one, the authority's own expiry by the wall.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use moka::sync::Cache;

use crate::{
    catalog::caller::VerdictPolicy,
    fingerprint::{Fingerprint, Passing},
    pipeline::authenticate::Caller,
    time::{self, Instant, Wall},
};

/// A good verdict.
#[derive(Debug, Clone)]
pub(super) struct Good {
    /// Who it is.
    pub(super) caller: Arc<Caller>,
    /// When the authority says the token ends, since 1970.
    pub(super) expires: Option<Duration>,
}

#[derive(Debug, Clone)]
struct Kept {
    good: Good,
    fresh_until: Instant,
}

/// What is remembered about a token.
#[derive(Debug)]
pub(super) enum Remembered {
    /// It is good.
    Good(Arc<Caller>),
    /// It was good a while ago and has not expired: worth something only while the authority is
    /// down.
    Aged(Arc<Caller>),
    /// It was refused a moment ago.
    Refused,
    /// Nothing.
    Nothing,
}

/// For how long at most an authority is not asked about one token because that was asked about too
/// often: such limits count minutes.
const LONGEST_HELD: Duration = Duration::from_secs(60);
/// Which verdicts are to be forgotten.
#[derive(Debug, Clone, Copy)]
pub(super) enum Which<'a> {
    /// That about one token.
    Token(Fingerprint),
    /// The good ones about one client. A refusal is nobody's.
    Client(&'a str),
    /// All.
    All,
}

/// The remembered verdicts of one authority.
pub(super) struct Verdicts {
    policy: VerdictPolicy,
    wall: Wall,
    /// How often something was to be forgotten. What was asked before the last time is not kept.
    era: Mutex<u64>,
    good: Cache<Fingerprint, Kept, Passing>,
    refused: Cache<Fingerprint, Instant, Passing>,
    /// Tokens about which nothing may be asked yet: no verdicts.
    held: Cache<Fingerprint, Instant, Passing>,
}

impl fmt::Debug for Verdicts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Counts alone: moka's own would show every caller.
        f.debug_struct("Verdicts").field("good", &self.good.entry_count()).finish_non_exhaustive()
    }
}

impl Verdicts {
    /// Empty tables.
    pub(super) fn new(policy: VerdictPolicy, wall: Wall) -> Self {
        Self {
            policy,
            wall,
            era: Mutex::default(),
            good: table(policy.capacity),
            refused: table(policy.refused_capacity),
            held: table(policy.refused_capacity),
        }
    }

    /// What is remembered about the token of that fingerprint.
    pub(super) fn look_up(&self, token: &Fingerprint) -> Remembered {
        let now = time::now();
        if let Some(kept) = self.good.get(token) {
            if kept.good.expires.is_some_and(|expires| self.wall.since_epoch() >= expires) {
                self.good.invalidate(token);
                return Remembered::Nothing;
            }
            if now < kept.fresh_until {
                return Remembered::Good(kept.good.caller);
            }
            if now < kept.fresh_until + self.policy.stale_on_outage {
                return Remembered::Aged(kept.good.caller);
            }
            self.good.invalidate(token);
        }
        match self.refused.get(token) {
            Some(until) if now < until => Remembered::Refused,
            Some(_) => {
                self.refused.invalidate(token);
                Remembered::Nothing
            }
            None => Remembered::Nothing,
        }
    }

    /// What to note before a verdict is asked for.
    pub(super) fn era(&self) -> u64 {
        *self.now_is()
    }

    /// Held while a verdict is kept, so that none slips in behind those that are forgotten.
    fn now_is(&self) -> MutexGuard<'_, u64> {
        self.era.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers a good verdict that was asked for in `era`, if it still lasts.
    pub(super) fn keep(&self, token: Fingerprint, good: Good, era: u64) {
        let now_is = self.now_is();
        if *now_is != era {
            return;
        }
        let now = time::now();
        let VerdictPolicy { ttl, endless_ttl, .. } = self.policy;
        let fresh_until = now + if good.expires.is_some() { ttl } else { endless_ttl };
        self.refused.invalidate(&token);
        self.good.insert(token, Kept { good, fresh_until });
    }

    /// Remembers a refusal that was asked for in `era`, if it still lasts, and forgets what was good
    /// about the token.
    pub(super) fn refuse(&self, token: Fingerprint, era: u64) {
        let now_is = self.now_is();
        self.good.invalidate(&token);
        if *now_is == era {
            self.refused.insert(token, time::now() + self.policy.refused_ttl);
        }
    }

    /// Forgets them, and keeps none that is being asked for now. Returns how many there were.
    pub(super) fn forget(&self, which: Which<'_>) -> u64 {
        *self.now_is() += 1;
        let mut count = 0;
        let mut counted = |there: bool| count += u64::from(there);
        match which {
            Which::Token(token) => {
                counted(self.good.remove(&token).is_some());
                counted(self.refused.remove(&token).is_some());
            }
            Which::Client(client) => {
                for (token, kept) in &self.good {
                    if kept.good.caller.client() == client {
                        counted(self.good.remove(&*token).is_some());
                    }
                }
            }
            Which::All => {
                for (token, _) in &self.good {
                    counted(self.good.remove(&*token).is_some());
                }
                for (token, _) in &self.refused {
                    counted(self.refused.remove(&*token).is_some());
                }
            }
        }
        count
    }

    /// Nothing more shall be asked about the token for `wait`. For how long it is: at most a minute.
    pub(super) fn hold(&self, token: Fingerprint, wait: Duration) -> Duration {
        let wait = wait.min(LONGEST_HELD);
        self.held.insert(token, time::now() + wait);
        wait
    }

    /// For how long yet nothing may be asked about the token; `None` when it may.
    pub(super) fn held(&self, token: &Fingerprint) -> Option<Duration> {
        let left = self.held.get(token)?.saturating_duration_since(time::now());
        (!left.is_zero()).then_some(left)
    }

    /// Forgets what is of no use any more.
    pub(super) fn sweep(&self) {
        let (now, wall) = (time::now(), self.wall.since_epoch());
        for (token, kept) in &self.good {
            let expired = kept.good.expires.is_some_and(|expires| wall >= expires);
            if expired || now >= kept.fresh_until + self.policy.stale_on_outage {
                self.good.invalidate(&*token);
            }
        }
        for until_when in [&self.refused, &self.held] {
            for (token, until) in until_when {
                if now >= until {
                    until_when.invalidate(&*token);
                }
            }
            until_when.run_pending_tasks();
        }
        self.good.run_pending_tasks();
    }

    /// Good verdicts, how many may be kept, refusals, and how many of those.
    pub(super) fn fill(&self) -> [u64; 4] {
        self.good.run_pending_tasks();
        self.refused.run_pending_tasks();
        let VerdictPolicy { capacity, refused_capacity, .. } = self.policy;
        [self.good.entry_count(), capacity, self.refused.entry_count(), refused_capacity]
    }

    /// How many verdicts are kept, good and refused.
    pub(super) fn len(&self) -> u64 {
        self.good.entry_count() + self.refused.entry_count()
    }
}

/// An empty table of so many tokens.
fn table<V: Clone + Send + Sync + 'static>(capacity: u64) -> Cache<Fingerprint, V, Passing> {
    Cache::builder().max_capacity(capacity).build_with_hasher(Passing::default())
}
