//! Meters: the series of the metric table, resolved once at start and typed by who counts with them.
//! A call touches atomics only; it looks up no name and builds no label, but
//! for a series that appears with its first use, once.

use std::{
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use metrics::{Counter, Gauge, Histogram};

use crate::{
    telemetry::{
        metrics::{self as table, Registry},
        outcome::{Outcome, Source},
        registry::Seconds,
    },
    time::Wall,
};

/// The label of calls to actions that do not exist: a name out of a path is never echoed.
pub const UNKNOWN_ACTION: &str = "_unknown";

/// A set of counters, one for each word of a closed list.
pub struct Words {
    words: &'static [&'static str],
    counters: Vec<Counter>,
}

impl fmt::Debug for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Words").field(&self.words).finish()
    }
}

impl Words {
    /// One counter for each of `words`, made by `counter`.
    pub fn new(words: &'static [&'static str], counter: impl Fn(&'static str) -> Counter) -> Self {
        Self { words, counters: words.iter().map(|word| counter(word)).collect() }
    }

    /// Counts one of `word`. A word that is not of the list is a bug, which debug builds say.
    pub fn count(&self, word: &str) {
        self.add(word, 1);
    }

    /// Counts `n` of `word`.
    pub fn add(&self, word: &str, n: u64) {
        if let Some(at) = self.place(word) {
            self.counters[at].increment(n);
        }
    }

    fn place(&self, word: &str) -> Option<usize> {
        let at = self.words.iter().position(|known| *known == word);
        debug_assert!(at.is_some(), "{word} is not one of {:?}", self.words);
        at
    }
}

/// A set of counters that people can be told of too: a series can only be counted up, never read.
#[derive(Debug)]
pub struct ReadableWords {
    words: Words,
    counts: Vec<AtomicU64>,
}

impl ReadableWords {
    /// One counter for each of `words`, made by `counter`.
    pub fn new(words: &'static [&'static str], counter: impl Fn(&'static str) -> Counter) -> Self {
        let counts = words.iter().map(|_| AtomicU64::default()).collect();
        Self { words: Words::new(words, counter), counts }
    }

    /// Counts one of `word`. A word that is not of the list is a bug, which debug builds say.
    pub fn count(&self, word: &str) {
        if let Some(at) = self.words.place(word) {
            self.words.counters[at].increment(1);
            self.counts[at].fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many of `word` since the start.
    pub fn of(&self, word: &str) -> u64 {
        self.words.place(word).map_or(0, |at| self.counts[at].load(Ordering::Relaxed))
    }

    /// Every word, and how many of it since the start.
    pub fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = self.counts.iter().map(|count| count.load(Ordering::Relaxed));
        self.words.words.iter().copied().zip(counts)
    }
}

/// What calls to one action leave. How long they took appears with the first of its kind: an empty
/// histogram is seventeen series that say nothing.
pub struct CallMeters {
    registry: Arc<Registry>,
    action: String,
    means: Means,
    requests: Vec<(Outcome, Source, OnceLock<Counter>)>,
    durations: [Arc<OnceLock<Histogram>>; 6],
    slots: Seconds,
    overhead: Histogram,
}

/// What an action can be answered from, beside a fetch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Means {
    /// Answers are kept, and fetches shared.
    pub cache: bool,
    /// There is a last resort.
    pub fallback: bool,
}

impl Means {
    /// Whether calls can be answered from there.
    fn include(self, source: Source) -> bool {
        match source {
            Source::CacheFresh | Source::CacheStale | Source::Coalesced => self.cache,
            Source::Fallback => self.fallback,
            Source::Upstream | Source::None => true,
        }
    }
}

impl fmt::Debug for CallMeters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CallMeters(..)")
    }
}

impl CallMeters {
    /// The series of one action with those means, or of [`UNKNOWN_ACTION`].
    pub fn new(registry: &Arc<Registry>, action: &str, means: Means) -> Self {
        let all = Outcome::ALL.into_iter().flat_map(|outcome| {
            outcome.sources().iter().map(move |source| (outcome, *source, OnceLock::new()))
        });
        let meters = Self {
            registry: Arc::clone(registry),
            action: action.to_owned(),
            means,
            requests: all.collect(),
            durations: Default::default(),
            slots: registry.seconds(&table::SLOT_SECONDS, &[action]),
            overhead: registry.histogram(&table::OVERHEAD, &[]),
        };
        for (outcome, source, series) in &meters.requests {
            if meters.is_reachable(*outcome, *source) {
                series.get_or_init(|| meters.requests_of(*outcome, *source));
            }
        }
        meters
    }

    /// The series of the same action with those means from now on. What was shown of it and can still
    /// happen stays: that of a call that began before, too.
    pub fn succeed(&self, means: Means) -> Self {
        let mut next = Self::new(&self.registry, &self.action, means);
        for (_, source, _) in self.requests.iter().filter(|(_, source, _)| means.include(*source)) {
            let at = *source as usize;
            next.durations[at] = Arc::clone(&self.durations[at]);
        }
        next
    }

    /// What else than a fetch its action can be answered from.
    pub fn means(&self) -> Means {
        self.means
    }

    fn is_reachable(&self, outcome: Outcome, source: Source) -> bool {
        let is_unknown = self.action == UNKNOWN_ACTION;
        self.means.include(source)
            && match outcome {
                Outcome::UnknownAction => is_unknown,
                // told before the action is looked at, or whatever it is
                Outcome::Overloaded | Outcome::Draining | Outcome::Canceled => true,
                _ => !is_unknown,
            }
    }

    fn requests_of(&self, outcome: Outcome, source: Source) -> Counter {
        let (class, outcome) = (outcome.class().as_str(), outcome.as_str());
        let labels = [&*self.action, class, outcome, source.as_str()];
        self.registry.counter(&table::REQUESTS, &labels)
    }

    /// Counts a call that ended; `waited` is the part of `took` spent waiting for others.
    pub fn ended(&self, outcome: Outcome, source: Source, took: Duration, waited: Duration) {
        let series = self.requests.iter().find(|(o, s, _)| (*o, *s) == (outcome, source));
        debug_assert!(self.is_reachable(outcome, source), "{outcome:?} from {source:?}");
        match series {
            Some((.., series)) => {
                series.get_or_init(|| self.requests_of(outcome, source)).increment(1);
            }
            None => debug_assert!(false, "no series for {outcome:?} from {source:?}"),
        }
        let labels = [&*self.action, source.as_str()];
        let duration = self.durations[source as usize]
            .get_or_init(|| self.registry.histogram(&table::REQUEST_DURATION, &labels));
        duration.record(took.as_secs_f64());
        self.slots.add(took);
        // A caller that hangs up takes along what was being waited for.
        if outcome != Outcome::Canceled {
            self.overhead.record(took.saturating_sub(waited).as_secs_f64());
        }
    }
}

/// One cache, told apart by name: `response` or `token`.
#[derive(Debug)]
pub struct CacheMeters {
    /// Answers offered.
    pub stores: Words,
    /// Entries that left.
    pub evictions: Words,
}

impl CacheMeters {
    /// What becomes of answers that are offered.
    pub const STORES: &[&str] = &["stored", "too_large", "uncacheable"];

    /// The series of the cache named `cache`.
    pub fn new(registry: &Registry, cache: &str) -> Self {
        Self {
            stores: Words::new(Self::STORES, |result| {
                registry.counter(&table::CACHE_STORES, &[cache, result])
            }),
            evictions: Words::new(
                &["size", "expired", "purged", "replaced", "outdated"],
                |cause| registry.counter(&table::CACHE_EVICTIONS, &[cache, cause]),
            ),
        }
    }
}

/// What the cache does for one action.
pub struct ActionCacheMeters {
    /// Look-ups.
    pub lookups: ReadableWords,
    /// Refreshes.
    pub refreshes: Words,
    /// Shared fetches.
    pub coalesced: Words,
    hit_age: Histogram,
    stale_age: Histogram,
}

impl fmt::Debug for ActionCacheMeters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ActionCacheMeters(..)")
    }
}

impl ActionCacheMeters {
    /// What look-ups come to.
    pub const RESULTS: &[&str] = &["hit", "stale", "negative_hit", "miss", "expired"];

    /// The series of one action.
    pub fn new(registry: &Registry, action: &str) -> Self {
        Self {
            lookups: ReadableWords::new(Self::RESULTS, |result| {
                registry.counter(&table::CACHE_LOOKUPS, &["response", action, result])
            }),
            refreshes: Words::new(&["success", "failure", "skipped"], |result| {
                registry.counter(&table::CACHE_REFRESHES, &[action, result])
            }),
            coalesced: Words::new(&["leader", "follower", "abandoned"], |role| {
                registry.counter(&table::COALESCED, &[action, role])
            }),
            hit_age: registry.histogram(&table::CACHE_AGE, &["hit"]),
            stale_age: registry.histogram(&table::CACHE_AGE, &["stale"]),
        }
    }

    /// Counts an answer out of the cache.
    pub fn served(&self, stale: Staleness, age: Duration) {
        let ages = match stale {
            Staleness::Fresh => &self.hit_age,
            Staleness::Stale => &self.stale_age,
        };
        ages.record(age.as_secs_f64());
    }
}

/// Whether an answer out of the cache was within its time to live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Staleness {
    Fresh,
    Stale,
}

/// When something last happened; 0 until it does.
pub struct Moment(Gauge);

impl fmt::Debug for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Moment(..)")
    }
}

impl Moment {
    /// When the authority behind the scheme `caller` last gave a verdict.
    pub fn of_authority(registry: &Registry, caller: &str) -> Self {
        Self(registry.gauge(&table::TOKEN_AUTHORITY_SUCCESS, &[caller]))
    }

    /// When the breaker of that upstream last opened.
    pub fn of_breaker(registry: &Registry, upstream: &str) -> Self {
        Self(registry.gauge(&table::BREAKER_OPENED, &[upstream]))
    }

    /// It happens now.
    pub fn set(&self, wall: Wall) {
        self.0.set(wall.since_epoch().as_secs_f64());
    }
}

/// One rate limit.
pub fn limit_meters(registry: &Registry, limit: &str) -> ReadableWords {
    ReadableWords::new(&["allowed", "limited", "shadow_limited"], |decision| {
        registry.counter(&table::LIMIT_DECISIONS, &[limit, decision])
    })
}

/// Replies of one action that did not fit.
pub fn mapping_meters(registry: &Registry, action: &str) -> Words {
    Words::new(&["not_json", "missing_field", "wrong_type", "too_large"], |reason| {
        registry.counter(&table::MAPPING_FAILURES, &[action, "response", reason])
    })
}

/// Purges, by scope and manner.
#[derive(Debug)]
pub struct PurgeMeters {
    manners: Vec<(&'static str, Words, Words)>,
}

impl PurgeMeters {
    const SCOPES: &[&str] = &["customer", "action", "all"];
    const MANNERS: [&str; 2] = ["hard", "soft"];

    /// The series.
    pub fn new(registry: &Registry) -> Arc<Self> {
        let manners = Self::MANNERS.into_iter().map(|manner| {
            let words = |metric| {
                Words::new(Self::SCOPES, |scope| registry.counter(metric, &[scope, manner]))
            };
            (manner, words(&table::CACHE_PURGES), words(&table::CACHE_PURGED))
        });
        Arc::new(Self { manners: manners.collect() })
    }

    /// Counts a purge that removed or marked so many entries.
    pub fn purged(&self, scope: &str, manner: &str, count: u64) {
        match self.manners.iter().find(|(known, ..)| *known == manner) {
            Some((_, purges, entries)) => {
                purges.count(scope);
                entries.add(scope, count);
            }
            None => debug_assert!(false, "{manner} is no manner of a purge"),
        }
    }
}
