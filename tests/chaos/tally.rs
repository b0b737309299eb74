//! What became of the calls, and the questions that a scenario asks of that.

use std::time::Duration;

use holdline::time::Instant;

use crate::wire::Reply;

/// How a call ended for its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// 200, out of an entry in its time or from the upstream.
    Fresh,
    /// 200, out of an entry past its time.
    Stale,
    /// 503 with `Retry-After`.
    Refused,
    /// Any other status.
    Failed,
    /// No whole response came.
    Lost,
}

impl Kind {
    /// What this response is.
    pub(crate) fn of(reply: &Reply) -> Self {
        match reply.status() {
            200 if reply
                .header("cache-status")
                .is_some_and(|value| value.contains("detail=stale")) =>
            {
                Self::Stale
            }
            200 => Self::Fresh,
            503 if reply.header("retry-after").is_some() => Self::Refused,
            _ => Self::Failed,
        }
    }

    /// Whether the caller has what was asked for.
    pub(crate) fn is_answered(self) -> bool {
        matches!(self, Self::Fresh | Self::Stale)
    }
}

/// One call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    /// The action that was called.
    pub(crate) action: &'static str,
    /// When the schedule had it.
    pub(crate) due: Instant,
    /// When it was sent: later where this process was late.
    pub(crate) sent: Instant,
    /// When its end was known.
    pub(crate) done: Instant,
    /// How it ended.
    pub(crate) kind: Kind,
}

impl Sample {
    /// From when it was due: what a caller waits, whoever was late.
    fn latency(&self) -> Duration {
        self.done.saturating_duration_since(self.due)
    }

    /// From when it was sent: what the service held it.
    fn held(&self) -> Duration {
        self.done.saturating_duration_since(self.sent)
    }
}

/// Calls in the order in which they were due.
#[derive(Debug, Clone)]
pub(crate) struct Tally(Vec<Sample>);

impl Tally {
    /// Of these calls, which may come in any order.
    pub(crate) fn new(mut samples: Vec<Sample>) -> Self {
        samples.sort_by_key(|sample| sample.due);
        Self(samples)
    }

    /// Those for which this holds.
    pub(crate) fn only(&self, wanted: impl Fn(&Sample) -> bool) -> Self {
        Self(self.0.iter().filter(|sample| wanted(sample)).copied().collect())
    }

    /// Those that were due from then on.
    pub(crate) fn from(&self, at: Instant) -> Self {
        self.only(|sample| sample.due >= at)
    }

    /// Those of one action.
    pub(crate) fn of(&self, action: &str) -> Self {
        self.only(|sample| sample.action == action)
    }

    /// How many.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// When the last was due.
    pub(crate) fn last_due(&self) -> Option<Instant> {
        self.0.last().map(|sample| sample.due)
    }

    /// How many ended so.
    pub(crate) fn count(&self, kind: Kind) -> usize {
        self.0.iter().filter(|sample| sample.kind == kind).count()
    }

    /// How many were answered.
    pub(crate) fn answered(&self) -> usize {
        self.0.iter().filter(|sample| sample.kind.is_answered()).count()
    }

    /// The share that was answered, 0 to 1; 1 of none.
    pub(crate) fn share(&self) -> f64 {
        self.answered() as f64 / self.len().max(1) as f64
    }

    /// What this part of them, 0 to 1, did not exceed; from when they were due.
    pub(crate) fn latency(&self, part: f64) -> Duration {
        quantile(self.0.iter().map(Sample::latency), part)
    }

    /// How late this part of them, 0 to 1, was sent at the most: what this process, and not the
    /// service, has to answer for.
    pub(crate) fn lateness(&self, part: f64) -> Duration {
        let late = |sample: &Sample| sample.sent.saturating_duration_since(sample.due);
        quantile(self.0.iter().map(late), part)
    }

    /// The longest that the service held one, lost ones included.
    pub(crate) fn longest(&self) -> Duration {
        self.0.iter().map(Sample::held).max().unwrap_or_default()
    }

    /// The first that was done from then on and ended so.
    pub(crate) fn first(&self, from: Instant, kind: Kind) -> Option<Duration> {
        let ends = self.0.iter().filter(|sample| sample.kind == kind && sample.due >= from);
        ends.map(|sample| sample.done.saturating_duration_since(from)).min()
    }

    /// How long after `from` it took until no half second was left in which less than 99 % had an
    /// end for which `good` holds; none where the last one is such.
    pub(crate) fn settled(&self, from: Instant, good: impl Fn(Kind) -> bool) -> Option<Duration> {
        const SLOT: Duration = Duration::from_millis(500);
        let after = self.from(from);
        let last = after.0.last()?.due;
        let slots = last.saturating_duration_since(from).as_millis() / SLOT.as_millis();
        let mut settled = None;
        // The last slot may hold few; it counts all the same.
        for slot in (0..=u32::try_from(slots).unwrap_or(u32::MAX)).rev() {
            let begin = from + SLOT * slot;
            let inside = after.only(|sample| sample.due >= begin && sample.due < begin + SLOT);
            let well = inside.0.iter().filter(|sample| good(sample.kind)).count();
            if (well as f64) < inside.len() as f64 * 0.99 {
                break;
            }
            settled = Some(SLOT * slot);
        }
        settled
    }
}

fn quantile(times: impl Iterator<Item = Duration>, part: f64) -> Duration {
    let mut all: Vec<_> = times.collect();
    all.sort_unstable();
    let place = (all.len() as f64 * part).ceil() as usize;
    all.get(place.saturating_sub(1)).copied().unwrap_or_default()
}
