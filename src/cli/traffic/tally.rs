//! What became of the calls so far, in one line.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use crate::time::{self, Instant};

use super::rate::Rate;

/// What percentiles look back on.
const WINDOW: Duration = Duration::from_secs(1);

/// Latencies kept for percentiles; more within the window push out the oldest.
const MAX_LATENCIES: usize = 100_000;

/// What came of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Answered { status: u16, source: Option<Source> },
    Unanswered,
}

/// Where an answer came from, as `Cache-Status` (RFC 9211) says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Source {
    Hit,
    Stale,
    Joined,
    Fetched,
}

impl Source {
    pub(super) fn of(cache_status: &str) -> Self {
        let says = |wanted: &str| cache_status.split(';').any(|part| part.trim() == wanted);
        let begins = |wanted: &str| cache_status.split(';').any(|p| p.trim().starts_with(wanted));
        if begins("ttl=-") || begins("detail=stale") {
            Self::Stale
        } else if says("hit") {
            Self::Hit
        } else if says("collapsed") {
            Self::Joined
        } else {
            Self::Fetched
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Stale => "stale",
            Self::Joined => "joined",
            Self::Fetched => "fetched",
        }
    }
}

/// Counts, shared by the calls and the status line.
#[derive(Debug, Default)]
pub(super) struct Tally(Mutex<Counts>);

#[derive(Debug)]
struct Counts {
    statuses: BTreeMap<u16, u64>,
    sources: BTreeMap<Source, u64>,
    unanswered: u64,
    skipped: u64,
    waiting: u64,
    latencies: VecDeque<(Instant, Duration)>,
}

impl Default for Counts {
    fn default() -> Self {
        Self {
            // Shown from the start, so that the line does not grow when the first one comes.
            statuses: [200, 404, 503].map(|status| (status, 0)).into(),
            sources: BTreeMap::new(),
            unanswered: 0,
            skipped: 0,
            waiting: 0,
            latencies: VecDeque::new(),
        }
    }
}

impl Counts {
    fn forget_old(&mut self, now: Instant) {
        let old = |(at, _): &(Instant, Duration)| now.saturating_duration_since(*at) >= WINDOW;
        while self.latencies.front().is_some_and(old) {
            self.latencies.pop_front();
        }
    }
}

impl Tally {
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().expect("nothing under this lock panics")
    }

    pub(super) fn sent(&self) {
        self.counts().waiting += 1;
    }

    pub(super) fn skipped(&self) {
        self.counts().skipped += 1;
    }

    pub(super) fn finished(&self, outcome: Outcome, took: Duration) {
        let mut counts = self.counts();
        counts.waiting -= 1;
        match outcome {
            Outcome::Unanswered => {
                counts.unanswered += 1;
                return;
            }
            Outcome::Answered { status, source } => {
                *counts.statuses.entry(status).or_default() += 1;
                if let Some(source) = source {
                    *counts.sources.entry(source).or_default() += 1;
                }
            }
        }
        let now = time::now();
        counts.forget_old(now);
        if counts.latencies.len() == MAX_LATENCIES {
            counts.latencies.pop_front();
        }
        counts.latencies.push_back((now, took));
    }

    pub(super) fn line(&self, rate: Rate) -> String {
        let mut counts = self.counts();
        counts.forget_old(time::now());
        let mut fields = vec![rate.to_string()];
        fields.extend(counts.statuses.iter().map(|(s, count)| format!("{s} {}", grouped(*count))));
        let mut latencies: Vec<_> = counts.latencies.iter().map(|(_, took)| *took).collect();
        for (name, share) in [("p50", 0.5), ("p99", 0.99)] {
            let shown = percentile(&mut latencies, share).map_or("-".to_owned(), millis);
            fields.push(format!("{name} {shown}"));
        }
        let named = counts.sources.iter().map(|(source, count)| (source.name(), *count));
        fields.extend(named.map(|(name, count)| format!("{name} {}", grouped(count))));
        // These are part of the line only when something is not as it should be.
        for (name, count) in [("no answer", counts.unanswered), ("not sent", counts.skipped)] {
            if count > 0 {
                fields.push(format!("{name} {}", grouped(count)));
            }
        }
        fields.push(format!("waiting {}", grouped(counts.waiting)));
        fields.join("  ")
    }
}

/// The smallest value that at least `share` of the values do not exceed.
fn percentile(values: &mut [Duration], share: f64) -> Option<Duration> {
    let place = ((values.len() as f64 * share).ceil() as usize).checked_sub(1)?;
    Some(*values.select_nth_unstable(place).1)
}

/// `1.2 ms`, `87 ms`: two digits say enough.
fn millis(duration: Duration) -> String {
    let millis = duration.as_secs_f64() * 1e3;
    if millis < 9.95 { format!("{millis:.1} ms") } else { format!("{millis:.0} ms") }
}

/// `1,234,567`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_status_line_counts_by_status_and_by_source() {
        let tally = Tally::default();
        let outcome =
            |status, cache: &str| Outcome::Answered { status, source: Some(Source::of(cache)) };
        for (outcome, count, millis) in [
            (outcome(200, "holdline; hit; ttl=30"), 1_234, 1),
            (outcome(200, "holdline; hit; ttl=-3"), 2, 1),
            (outcome(404, "holdline; fwd=uri-miss"), 3, 50),
            (Outcome::Unanswered, 1, 9_000),
        ] {
            for _ in 0..count {
                tally.sent();
                tally.finished(outcome, Duration::from_millis(millis));
            }
        }
        assert_eq!(
            tally.line("200/s".parse().unwrap()),
            "200/s  200 1,236  404 3  503 0  p50 1.0 ms  p99 1.0 ms  \
             hit 1,234  stale 2  fetched 3  no answer 1  waiting 0"
        );
    }
}
