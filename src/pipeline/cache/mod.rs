//! The cache: a known answer, or one fetch for all who wait.
//!
//! ```text
//! look up ── fresh ──────────────────────────────────────────► answer
//!    │ ────── past ttl, within stale_while_revalidate ───────► answer stale, refresh behind
//!    ▼
//!  join the flight, or lead it: a task of its own, which goes on when its caller hangs up
//!    │ ────── it failed within the last second ──────────────► the same failure, nothing is sent
//!    │ ────── lands ─────────────────────────────────────────► answer, kept
//!    │ ────── fails, or takes too long, spare entry at hand ─► answer stale
//!    ▼
//!  failure
//! ```
//!
//! Answers are kept mapped, validated and serialised, so a hit runs none of that, and what could not
//! be mapped is never kept. What the fetch is and how it fails is its own affair: the cache only asks
//! a failure whether an old answer may stand in for it.

mod entry;
pub mod key;
mod memo;
mod memory;
mod purge;
mod shelf;
mod succession;
mod upkeep;

use std::{collections::BTreeMap, fmt, future::Future, sync::Arc, time::Duration};

use bytes::Bytes;

use crate::{
    background::Background,
    catalog::{Catalog, action::Action, name::Name, policy::CachePolicy},
    chance::Chance,
    fingerprint::FingerprintKey,
    mechanism::flight::Boarding,
    pipeline::{authenticate::Caller, call::Terms, validate::ValidInput},
    telemetry::{
        meters::{CacheMeters, Staleness},
        metrics::Registry,
        outcome::Source,
        stage::{Decided, Stage},
        trail::Trail,
    },
    time::{self, Deadline},
};

use entry::{Entry, Standing};
use key::CacheKey;
use memory::Memory;
use purge::{Customer, Purges};
use shelf::{After, Mark, Shelf};

pub use purge::Manner;
pub use upkeep::{Inventory, OfAction};

/// How much the cache may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Bytes in all, keys and overhead counted.
    pub memory: u64,
    /// Bytes of one answer; a larger one is not kept.
    pub max_entry: usize,
}

/// What a failed fetch means for what is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// There is no such record: an old answer is wrong from now on, and that may be remembered.
    NotFound,
    /// There was one, and it is gone: an old answer is wrong from now on.
    Gone,
    /// The upstream refused: an old answer would hide it.
    Refused,
    /// The upstream, or the way to it, is broken: an old answer may stand in.
    Broken,
}

/// How a fetch fails, as far as the cache wants to know.
pub trait FetchFailure: Decided + Clone + Send + Sync + 'static {
    /// What it means for what is kept.
    fn meaning(&self) -> Meaning;

    /// Whether the upstream itself brought it about, so that whoever asks for the same a moment
    /// later would be told the same. Nothing that we refused, that our credentials or a short
    /// deadline brought about, and no wish to wait.
    fn is_upstreams_own(&self) -> bool;

    /// The same, told so much later: a wait that it names has shrunk.
    #[must_use]
    fn told_after(self, age: Duration) -> Self;
}

/// An answer, and who gave it.
#[derive(Clone, PartialEq, Eq)]
pub struct Kept {
    /// The flat object, serialised; `None`: it is known that there is no such record.
    pub answer: Option<Bytes>,
    /// Who answered.
    pub source: Source,
    /// How old it is.
    pub age: Duration,
    /// How long it stays fresh.
    pub ttl: Duration,
    /// For how long it has been past its time; zero where it is not.
    pub overdue: Duration,
    /// Whether it came in time to be given in place of an old one that was at hand.
    pub refreshed: bool,
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept")
            .field("source", &self.source)
            .field("age", &self.age)
            .finish_non_exhaustive()
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoAnswer<E> {
    /// The fetch failed; whose fetch it was.
    Fetch(E, Source),
    /// The call's time was up before the fetch ended; it goes on, and fills the cache.
    OutOfTime,
    /// As many calls wait for the same fetch as may.
    Crowded,
    /// The fetch ended without a word: a bug.
    Lost,
}

impl Decided for Kept {
    fn decision(&self) -> &'static str {
        match (self.source, &self.answer) {
            (Source::CacheFresh, Some(_)) => "hit",
            (Source::CacheFresh, None) => "negative_hit",
            (Source::CacheStale, _) => "stale",
            (Source::Upstream | Source::Coalesced, _) if self.refreshed => "refreshed",
            (Source::Coalesced, _) => "coalesced",
            (Source::Upstream | Source::Fallback | Source::None, _) => "miss",
        }
    }
}

impl<E: FetchFailure> Decided for NoAnswer<E> {
    fn decision(&self) -> &'static str {
        match self {
            // How it failed is the flight's to tell: here it would read as the cache's fault.
            Self::Fetch(..) => "failed",
            Self::OutOfTime => "deadline_exceeded",
            Self::Crowded => "overloaded",
            Self::Lost => "lost",
        }
    }

    fn is_failure(&self) -> bool {
        self.may_be_stood_in_for()
    }
}

impl<E: FetchFailure> NoAnswer<E> {
    /// Whether an old answer may stand in for it.
    fn may_be_stood_in_for(&self) -> bool {
        match self {
            Self::Fetch(failure, _) => failure.meaning() == Meaning::Broken,
            Self::OutOfTime | Self::Crowded | Self::Lost => true,
        }
    }
}

/// What is asked of the cache.
#[derive(Debug)]
pub struct Asked<'a> {
    /// For which action.
    pub action: &'a Action,
    /// How its answers are kept.
    pub policy: &'a CachePolicy,
    /// Which calls may share the answer.
    pub key: CacheKey,
    /// The inputs, for whose data it is.
    pub input: &'a ValidInput,
    /// When nobody listens any more.
    pub deadline: Deadline,
    /// What the call's stages decide.
    pub trail: &'a Trail,
}

/// The answers of all actions, and the fetches under way for them.
#[derive(Debug)]
pub struct AnswerCache<E> {
    memory: Arc<Memory>,
    shelves: BTreeMap<Name, Arc<Shelf<E>>>,
    /// For whatever must not be kept itself: who asks for what, whose data it is, as whom we ask.
    fingerprints: FingerprintKey,
    stores: Arc<CacheMeters>,
    purges: Arc<Purges>,
    background: Background,
    chance: Chance,
}

impl<E: FetchFailure> AnswerCache<E> {
    /// An empty cache for those actions that have a policy.
    pub fn new(
        catalog: &Catalog,
        room: Room,
        registry: &Registry,
        background: Background,
        chance: Chance,
    ) -> Arc<Self> {
        let stores = Arc::new(CacheMeters::new(registry, "response"));
        let fingerprints = FingerprintKey::random();
        Arc::new(Self {
            shelves: succession::shelves(catalog, &BTreeMap::new(), &fingerprints, registry),
            memory: Arc::new(Memory::new(room, Arc::clone(&stores))),
            fingerprints,
            stores,
            purges: Arc::default(),
            background,
            chance,
        })
    }

    /// Which calls may be given the same answer as this one.
    pub fn key(
        &self,
        action: &Action,
        policy: &CachePolicy,
        caller: &Caller,
        input: &ValidInput,
    ) -> CacheKey {
        CacheKey::new(&self.fingerprints, action, policy, caller, input)
    }

    /// The kept answer, or what `fetch` brings. `fetch` is given a deadline and a trail of its own:
    /// it serves others too, and goes on when this call is dropped.
    ///
    /// # Errors
    /// [`NoAnswer`], where there is none and no old one may stand in.
    pub async fn get_or_fetch<F, Fut>(
        self: &Arc<Self>,
        asked: &Asked<'_>,
        fetch: F,
    ) -> Result<Kept, NoAnswer<E>>
    where
        F: FnOnce(Terms) -> Fut + Send,
        Fut: Future<Output = Result<Bytes, E>> + Send + 'static,
    {
        let shelf = self
            .shelves
            .get(asked.action.name.as_str())
            .expect("every action with a cache policy has its shelf");
        let purges = self.purges.count();
        let known = self.memory.get(&asked.key);
        let now = time::now();
        let standing = known.as_ref().map(|entry| entry.standing(now));
        let (spare, without) = match (known, standing) {
            (Some(entry), Some(Standing::Fresh)) => {
                let word = if entry.is_absence() { "negative_hit" } else { "hit" };
                shelf.meters.lookups.count(word);
                return Ok(shelf.serve(&entry, Staleness::Fresh, now));
            }
            (Some(entry), Some(Standing::Revalidating)) => {
                shelf.meters.lookups.count("stale");
                self.refresh(shelf, asked, fetch);
                return Ok(shelf.serve(&entry, Staleness::Stale, now));
            }
            (Some(entry), Some(Standing::Spare)) => (Some(entry), "expired"),
            (Some(_), _) => (None, "expired"),
            (None, _) => (None, "miss"),
        };
        let had_spare = spare.is_some();
        // Boxed: a hit does not carry what only a miss needs.
        let board = self.board(shelf, asked, (spare, purges, without), fetch);
        let answered = Box::pin(board).await;
        if had_spare {
            let stale = answered.as_ref().is_ok_and(|kept| kept.source == Source::CacheStale);
            shelf.meters.lookups.count(if stale { "stale" } else { without });
        }
        answered
    }

    /// Joins the flight or leads it, and waits for it as long as it pays. A `spare` entry was looked
    /// up after so many `purges`; `without` is the word for a look-up that found nothing.
    async fn board<F, Fut>(
        self: &Arc<Self>,
        shelf: &Arc<Shelf<E>>,
        asked: &Asked<'_>,
        (spare, purges, without): (Option<Entry>, u64, &'static str),
        fetch: F,
    ) -> Result<Kept, NoAnswer<E>>
    where
        F: FnOnce(Terms) -> Fut + Send,
        Fut: Future<Output = Result<Bytes, E>> + Send + 'static,
    {
        // A refresh waits behind all callers and may give up: who has nothing else passes it by.
        let too_slow = |mark: &Mark| spare.is_none() && mark.leader.is_none();
        let mark = self.mark(asked, Some(asked.trail));
        let boarding = shelf.flights.join_past(&asked.key, mark, too_slow);
        // Looked for only by who would lead, and after it was found that nobody does: the flight
        // before may have landed between the look-up and the joining.
        let memo = match &boarding {
            Boarding::Lead(..) => shelf.memos.told(&asked.key, time::now()),
            Boarding::Follow(_) | Boarding::Full => None,
        };
        if spare.is_none() {
            shelf.meters.lookups.count(if memo.is_some() { "negative_hit" } else { without });
        }
        let waited = match (boarding, memo) {
            (Boarding::Lead(takeoff, _), Some(failure)) => {
                asked.trail.step(Stage::Flight, time::now(), "remembered");
                takeoff.land(Err(failure.clone()));
                Err(NoAnswer::Fetch(failure, Source::Coalesced))
            }
            (Boarding::Lead(takeoff, waiter), None) => {
                if let Some(entry) = self.fresh(asked) {
                    takeoff.land(Ok(entry.answer()));
                    return Ok(shelf.serve(&entry, Staleness::Fresh, time::now()));
                }
                shelf.meters.coalesced.count("leader");
                let trail = asked.trail.flight();
                self.take_off(shelf, asked, takeoff, (Arc::clone(&trail), After::Answering), fetch);
                shelf::lead(asked, spare.as_ref(), waiter, &trail).await
            }
            (Boarding::Follow(waiter), _) => {
                shelf.meters.coalesced.count("follower");
                shelf::follow(asked, spare.as_ref(), waiter).await
            }
            (Boarding::Full, _) => {
                asked.trail.step(Stage::Flight, time::now(), "full");
                shelf.meters.coalesced.count("abandoned");
                Err(NoAnswer::Crowded)
            }
        };
        match (waited, spare) {
            (Err(no_answer), Some(entry))
                if no_answer.may_be_stood_in_for() && !self.was_removed(&entry, purges) =>
            {
                Ok(shelf.serve(&entry, Staleness::Stale, time::now()))
            }
            (waited, _) => waited,
        }
    }

    /// Fetches behind an answer that is about to be served stale, unless somebody does.
    fn refresh<F, Fut>(self: &Arc<Self>, shelf: &Arc<Shelf<E>>, asked: &Asked<'_>, fetch: F)
    where
        F: FnOnce(Terms) -> Fut + Send,
        Fut: Future<Output = Result<Bytes, E>> + Send + 'static,
    {
        // One that has just failed is not repeated by each stale hit.
        if shelf.memos.rests(&asked.key, time::now()) {
            return shelf.meters.refreshes.count("skipped");
        }
        match shelf.flights.join_with(&asked.key, self.mark(asked, None)) {
            Boarding::Lead(takeoff, _) => {
                if let Some(entry) = self.fresh(asked) {
                    takeoff.land(Ok(entry.answer()));
                    shelf.meters.refreshes.count("skipped");
                    return;
                }
                let trail = asked.trail.refresh(asked.action.name.shared());
                self.take_off(shelf, asked, takeoff, (trail, After::Refreshing), fetch);
            }
            Boarding::Follow(_) | Boarding::Full => shelf.meters.refreshes.count("skipped"),
        }
    }

    /// Whether a purge after the first `purges` has removed that entry, which this call still holds.
    fn was_removed(&self, entry: &Entry, purges: u64) -> bool {
        self.purges.void(purges, &entry.lot().action, entry.customer()) == Some(Manner::Hard)
    }

    /// What is kept for this call by now, if it is fresh.
    fn fresh(&self, asked: &Asked<'_>) -> Option<Entry> {
        self.memory.get(&asked.key).filter(|entry| entry.standing(time::now()) == Standing::Fresh)
    }

    fn mark(&self, asked: &Asked<'_>, leader: Option<&Trail>) -> Mark {
        Mark {
            leader: leader.map(|trail| trail.context().clone()),
            customer: self.customer(asked.policy, asked.input),
        }
    }

    /// Whose data the answer to these inputs is.
    fn customer(&self, policy: &CachePolicy, input: &ValidInput) -> Option<Customer> {
        let value = input.inputs().get(policy.customer.as_deref()?)?;
        Some(value.with_text(|text| self.customer_of(text)))
    }

    /// The customer of that name.
    fn customer_of(&self, name: &str) -> Customer {
        Customer::new(self.fingerprints.of(name.as_bytes()))
    }
}
