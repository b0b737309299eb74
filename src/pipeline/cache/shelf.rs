//! One action's part of the cache: its flights, what becomes of them when they land, and how long a
//! call waits for one.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;

use crate::{
    catalog::{action::Action, name::Name, policy::CachePolicy},
    fingerprint::Fingerprint,
    mechanism::{
        flight::{Flights, Takeoff, Waiter},
        permit::Urgency,
    },
    pipeline::{
        cache::{
            AnswerCache, Asked, FetchFailure, Kept, Meaning, NoAnswer,
            entry::{Entry, JITTER, Lot},
            key::CacheKey,
            memo::Memos,
            purge::{Customer, Manner},
        },
        call::Terms,
    },
    telemetry::{
        meters::{ActionCacheMeters, Staleness},
        outcome::Source,
        propagation::TraceContext,
        stage::{Decided, Stage},
        trail::Trail,
    },
    time::{self, Deadline, Instant},
};

/// What a flight brings: the flat object, that there is no such record, or why neither.
pub(super) type Landed<E> = Result<Option<Bytes>, E>;

/// What a leader tells of its flight from the start.
#[derive(Debug)]
pub(super) struct Mark {
    /// The trace of the call that leads it; none where nobody waits for it.
    pub(super) leader: Option<TraceContext>,
    /// Whose data it fetches.
    pub(super) customer: Option<Customer>,
}

/// One action's part of the cache.
#[derive(Debug)]
pub(super) struct Shelf<E> {
    pub(super) flights: Flights<CacheKey, Landed<E>, Mark>,
    pub(super) memos: Memos<CacheKey, E>,
    pub(super) meters: Arc<ActionCacheMeters>,
    /// What its answers are made of, and how they are kept.
    revision: Fingerprint,
    /// As whom we ask for them.
    asker: Fingerprint,
    policy: CachePolicy,
    /// What its entries have in common: those with an answer, and those without.
    answers: Arc<Lot>,
    absences: Arc<Lot>,
    /// Whether nothing is kept on it any more.
    retired: AtomicBool,
}

/// Whether somebody waits for the fetch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    Answering,
    Refreshing,
}

/// Where a flight puts what it brings.
struct Slot {
    key: CacheKey,
    policy: CachePolicy,
    action: Name,
    customer: Option<Customer>,
    /// When it took off.
    began: Instant,
    /// How many purges there had been then.
    purges: u64,
}

impl<E: FetchFailure> Shelf<E> {
    pub(super) fn new(
        action: &Action,
        policy: &CachePolicy,
        asker: Fingerprint,
        meters: Arc<ActionCacheMeters>,
    ) -> Self {
        Self {
            flights: Flights::new(policy.max_waiters),
            memos: Memos::default(),
            meters,
            revision: action.revision,
            asker,
            policy: policy.clone(),
            answers: Lot::of_answers(action.name.shared(), policy),
            absences: Lot::of_absences(action.name.shared(), policy),
            retired: AtomicBool::new(false),
        }
    }

    /// Whether it is as good as a new one for `action`.
    pub(super) fn is_for(&self, action: &Action, policy: &CachePolicy, asker: Fingerprint) -> bool {
        !self.is_retired()
            && (self.revision, self.asker) == (action.revision, asker)
            && self.policy == *policy
    }

    /// Whether what `other` has kept is found here, and by its customers too.
    pub(super) fn has_the_entries_of(&self, other: &Self) -> bool {
        let alike = (self.revision, self.asker) == (other.revision, other.asker);
        let (one, other) = (&self.policy, &other.policy);
        alike
            && (&one.key, one.shared_by, &one.customer)
                == (&other.key, other.shared_by, &other.customer)
    }

    fn is_retired(&self) -> bool {
        self.retired.load(Ordering::SeqCst)
    }

    /// Keeps nothing from now on.
    pub(super) fn retire(&self) {
        self.retired.store(true, Ordering::SeqCst);
    }

    /// An answer out of the cache.
    pub(super) fn serve(&self, entry: &Entry, staleness: Staleness, now: Instant) -> Kept {
        let age = entry.age(now);
        self.meters.served(staleness, age);
        let source = match staleness {
            Staleness::Fresh => Source::CacheFresh,
            Staleness::Stale => Source::CacheStale,
        };
        let (ttl, overdue) = (entry.ttl_left(now), entry.overdue(now));
        Kept { answer: entry.answer(), source, age, ttl, overdue, refreshed: false }
    }
}

impl<E: FetchFailure> AnswerCache<E> {
    /// Starts the task that fetches, keeps what comes and tells those who wait.
    pub(super) fn take_off<F, Fut>(
        self: &Arc<Self>,
        shelf: &Arc<Shelf<E>>,
        asked: &Asked<'_>,
        takeoff: Takeoff<CacheKey, Landed<E>, Mark>,
        (trail, after): (Arc<Trail>, After),
        fetch: F,
    ) where
        F: FnOnce(Terms) -> Fut + Send,
        Fut: Future<Output = Result<Bytes, E>> + Send + 'static,
    {
        let began = time::now();
        let deadline = Deadline::after(began, asked.action.patience(None));
        let slot = Slot {
            key: asked.key,
            policy: asked.policy.clone(),
            action: asked.action.name.clone(),
            customer: takeoff.mark().customer,
            began,
            purges: self.purges.count(),
        };
        let (cache, shelf) = (Arc::clone(self), Arc::clone(shelf));
        let urgency = match after {
            After::Answering => Urgency::Interactive,
            After::Refreshing => Urgency::Refresh,
        };
        let named = Arc::clone(&trail);
        let fetched = fetch(Terms { deadline, urgency, trail: Arc::clone(&trail) });
        let flight = async move {
            let result = fetched.await;
            if cache.keep(&shelf, &slot, after, &result) {
                trail.meet(|met| met.stored = true);
            }
            if after == After::Refreshing {
                shelf.meters.refreshes.count(if result.is_ok() { "success" } else { "failure" });
            }
            trail.note(Stage::Flight, began, &Landing(&result));
            if after == After::Refreshing {
                trail.refreshed();
            }
            takeoff.land(result.map(Some));
        };
        self.background.finish(named.within(flight));
    }

    /// Keeps what a flight brought, unless a purge came in between: nothing that began before a
    /// purge changes what is kept after it. Nor does what another configuration began, whose action
    /// answers something else by now. Returns whether it is kept.
    fn keep(&self, shelf: &Shelf<E>, slot: &Slot, after: After, result: &Result<Bytes, E>) -> bool {
        if self.void(shelf, slot).is_some() {
            if result.is_ok() {
                self.stores.stores.count("uncacheable");
            }
            return false;
        }
        let (customer, now) = (slot.customer, time::now());
        // One that took off later and passed this one by may have landed before it.
        if self.memory.get(&slot.key).is_some_and(|entry| entry.stored() > slot.began) {
            return false;
        }
        let stored = match result {
            Ok(answer) => {
                let stretch = self.chance.around_one(JITTER);
                let entry = Entry::found(answer, &shelf.answers, stretch, now, customer);
                self.memory.put(slot.key, entry)
            }
            Err(failure) => match failure.meaning() {
                Meaning::NotFound if !slot.policy.not_found.is_zero() => {
                    self.memory.put(slot.key, Entry::not_found(&shelf.absences, now, customer))
                }
                Meaning::NotFound | Meaning::Gone => {
                    self.memory.remove(&slot.key);
                    false
                }
                // Of the others only those make a memo that are told, or that a refresh met.
                Meaning::Refused | Meaning::Broken => {
                    if failure.is_upstreams_own() || after == After::Refreshing {
                        shelf.memos.note(slot.key, failure.clone(), slot.customer, now);
                    }
                    false
                }
            },
        };
        // A purge that came just now has not seen what was kept, or has: it must not stay either way.
        let Some(manner) = self.void(shelf, slot) else { return stored };
        shelf.memos.forget(&slot.key);
        match manner {
            Manner::Hard => {
                self.memory.remove(&slot.key);
                false
            }
            Manner::Soft => {
                if let Some(entry) = self.memory.get(&slot.key) {
                    entry.mark(time::now());
                }
                stored
            }
        }
    }

    /// How a purge has made void what a flight brings, if one has. On a shelf of the past all is void.
    fn void(&self, shelf: &Shelf<E>, slot: &Slot) -> Option<Manner> {
        if shelf.is_retired() {
            return Some(Manner::Hard);
        }
        self.purges.void(slot.purges, slot.action.as_str(), slot.customer)
    }
}

/// How a flight ended, in its own word.
struct Landing<'a, E>(&'a Result<Bytes, E>);

impl<E: FetchFailure> Decided for Landing<'_, E> {
    fn decision(&self) -> &'static str {
        self.0.as_ref().map_or_else(Decided::decision, |_| "landed")
    }

    fn is_failure(&self) -> bool {
        self.0.as_ref().is_err_and(Decided::is_failure)
    }
}

/// Waits for the flight that this call leads; its steps become the call's own, as far as they went.
pub(super) async fn lead<E: FetchFailure>(
    asked: &Asked<'_>,
    spare: Option<&Entry>,
    mut waiter: Waiter<Landed<E>, Mark>,
    flight: &Trail,
) -> Result<Kept, NoAnswer<E>> {
    let call = asked.trail;
    let mut leading = Leading { call, flight, began: time::now(), landed: false };
    let landed = tokio::time::timeout_at(give_up_at(asked, spare), waiter.landed()).await;
    leading.landed = landed.is_ok();
    drop(leading);
    kept(asked, spare, landed.ok(), Source::Upstream)
}

/// A call that waits for the flight that it leads. Dropped with its caller, it has met all the same
/// what the flight had met until then.
struct Leading<'a> {
    call: &'a Trail,
    flight: &'a Trail,
    began: Instant,
    landed: bool,
}

impl Drop for Leading<'_> {
    fn drop(&mut self) {
        self.call.absorb(self.flight);
        // It may have landed just after this call gave up on it.
        if !self.landed && self.call.decision(Stage::Flight).is_none() {
            self.call.leave(self.began);
        }
    }
}

/// Waits for a flight that another call leads.
pub(super) async fn follow<E: FetchFailure>(
    asked: &Asked<'_>,
    spare: Option<&Entry>,
    mut waiter: Waiter<Landed<E>, Mark>,
) -> Result<Kept, NoAnswer<E>> {
    if let Some(leader) = &waiter.mark().leader {
        asked.trail.follow(leader);
    }
    let mut following = Following { call: asked.trail, began: time::now(), landed: false };
    let landed = tokio::time::timeout_at(give_up_at(asked, spare), waiter.landed()).await;
    following.landed = landed.is_ok();
    drop(following);
    kept(asked, spare, landed.ok(), Source::Coalesced)
}

/// A call that waits for a flight that another one leads. Dropped with its caller, it has left it.
struct Following<'a> {
    call: &'a Trail,
    began: Instant,
    landed: bool,
}

impl Drop for Following<'_> {
    fn drop(&mut self) {
        let word = if self.landed { "joined" } else { "left" };
        self.call.step(Stage::Flight, self.began, word);
    }
}

/// Until when a call waits: its deadline; where an old answer is at hand, only as long as the policy
/// wants to be patient, and no longer than the old answer is worth something.
fn give_up_at(asked: &Asked<'_>, spare: Option<&Entry>) -> Instant {
    let deadline = asked.deadline.instant();
    match spare {
        Some(entry) => {
            let patient = time::now() + asked.policy.stale_after;
            deadline.min(patient).min(entry.usable_until())
        }
        None => deadline,
    }
}

/// What a landing means to a call. `None`: it did not wait for it; `Some(None)`: it never came.
fn kept<E>(
    asked: &Asked<'_>,
    spare: Option<&Entry>,
    landed: Option<Option<Landed<E>>>,
    source: Source,
) -> Result<Kept, NoAnswer<E>> {
    match landed {
        Some(Some(Ok(answer))) => {
            let (age, ttl) = (Duration::ZERO, asked.policy.ttl);
            let (overdue, refreshed) = (Duration::ZERO, spare.is_some());
            Ok(Kept { answer, source, age, ttl, overdue, refreshed })
        }
        Some(Some(Err(failure))) => Err(NoAnswer::Fetch(failure, source)),
        Some(None) => Err(NoAnswer::Lost),
        None => Err(NoAnswer::OutOfTime),
    }
}
