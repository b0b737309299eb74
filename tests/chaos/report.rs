//! What a scenario tells: rows of one table, and claims that hold or do not.

use std::{fmt, time::Duration};

use crate::tally::{Kind, Tally};

/// One line of the table.
#[derive(Debug, Clone, Default)]
pub(crate) struct Row {
    /// What it is about.
    pub(crate) label: String,
    /// How many calls.
    pub(crate) calls: usize,
    /// How many ended fresh, stale, failed, refused, lost.
    pub(crate) ends: [usize; 5],
    /// Half of them took no longer, from when they were due.
    pub(crate) p50: Duration,
    /// 99 % of them took no longer.
    pub(crate) p99: Duration,
    /// The longest that the service held one.
    pub(crate) longest: Duration,
    /// The bucket that 99 % of all calls did not exceed, in seconds; as the service measures.
    pub(crate) server_p99: Option<f64>,
    /// Attempts at the upstream for each call.
    pub(crate) attempts: Option<f64>,
    /// How long after the trouble all was well.
    pub(crate) recovery: Option<Duration>,
    /// MiB before, at the most, and after.
    pub(crate) memory: [f64; 3],
    /// Cores in use: by the service, and by this process (callers and upstream, of all lanes).
    pub(crate) cores: [f64; 2],
}

impl Row {
    /// What these calls say of themselves.
    pub(crate) fn of(label: &str, tally: &Tally) -> Self {
        let ends = [Kind::Fresh, Kind::Stale, Kind::Failed, Kind::Refused, Kind::Lost];
        Self {
            label: label.to_owned(),
            calls: tally.len(),
            ends: ends.map(|kind| tally.count(kind)),
            p50: tally.latency(0.5),
            p99: tally.latency(0.99),
            longest: tally.longest(),
            ..Self::default()
        }
    }

    /// How much memory grew at the most, in MiB.
    pub(crate) fn growth(&self) -> f64 {
        self.memory[1] - self.memory[0]
    }
}

/// The names of the columns.
pub(crate) const HEAD: &str = "scenario                  calls   fresh   stale  failed refused lost  \
    p50 ms  p99 ms  srv p99  att/call  longest  recovery  cores      MiB before>most>after";

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { label, calls, ends, .. } = self;
        let [fresh, stale, failed, refused, lost] = ends;
        write!(f, "{label:22} {calls:8} {fresh:7} {stale:7} {failed:7} {refused:7} {lost:4}")?;
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        write!(f, "  {:6.1}  {:6.1}", ms(self.p50), ms(self.p99))?;
        let server = self.server_p99.map_or("-".into(), |bound| format!("≤{}ms", bound * 1e3));
        let recovery =
            self.recovery.map_or("-".into(), |time| format!("{:.1}s", time.as_secs_f64()));
        let [before, most, after] = self.memory;
        let attempts = self.attempts.map_or("-".into(), |attempts| format!("{attempts:.3}"));
        let longest = format!("{:.2}s", self.longest.as_secs_f64());
        write!(f, "  {server:>7}  {attempts:>8}  {longest:>7}  {recovery:>8}")?;
        let [service, here] = self.cores;
        write!(f, "  {service:.2}+{here:.2}  {before:.0}>{most:.0}>{after:.0}")
    }
}

/// Something that must hold.
#[derive(Debug, Clone)]
struct Claim {
    holds: bool,
    text: String,
}

/// All that a scenario tells.
#[derive(Debug, Clone, Default)]
pub(crate) struct Report {
    rows: Vec<Row>,
    claims: Vec<Claim>,
}

impl Report {
    /// One more row.
    pub(crate) fn row(&mut self, row: Row) {
        self.rows.push(row);
    }

    /// One more claim: what was measured and what was wanted.
    pub(crate) fn claim(&mut self, holds: bool, text: impl Into<String>) {
        self.claims.push(Claim { holds, text: text.into() });
    }

    /// What does not hold.
    pub(crate) fn broken(&self) -> impl Iterator<Item = &str> {
        self.claims.iter().filter(|claim| !claim.holds).map(|claim| claim.text.as_str())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for row in &self.rows {
            writeln!(f, "{row}")?;
        }
        for Claim { holds, text } in &self.claims {
            writeln!(f, "    {}  {text}", if *holds { "holds " } else { "BROKEN" })?;
        }
        Ok(())
    }
}

/// A span of time for a claim.
pub(crate) fn shown(time: Option<Duration>) -> String {
    time.map_or("never".into(), |time| format!("{:.2} s", time.as_secs_f64()))
}
