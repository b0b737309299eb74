//! What is measured, by its name. The names of criterion and of the recorded instruction counts are these.

use std::fmt;

/// What becomes of the calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Answered out of the cache.
    Hit,
    /// Asked for by nobody before: one fetch each.
    Miss,
    /// By a token that the authority has refused.
    RefusedToken,
    /// With a body that breaks the contract.
    RefusedBody,
    /// Answered by what is past its time, while the upstream is down.
    Stale,
    /// One leads, the others wait for its fetch.
    Coalesced,
}

impl Kind {
    const ALL: [Self; 6] = [
        Self::Hit,
        Self::Miss,
        Self::RefusedToken,
        Self::RefusedBody,
        Self::Stale,
        Self::Coalesced,
    ];

    /// How many calls are made at once.
    pub(crate) fn at_once(self) -> u64 {
        if self == Self::Coalesced { 8 } else { 1 }
    }
}

/// How much is told of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    /// Neither metrics nor lines nor traces.
    Off,
    /// Metrics, a log line a call, traces of a tenth of the calls and of those that failed or got an old answer.
    Default,
    /// The same with every call traced.
    Full,
}

impl Told {
    /// In the order in which they are measured: a process cannot stop writing its log.
    pub(crate) const ALL: [Self; 3] = [Self::Off, Self::Default, Self::Full];
}

/// Where the calls go in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// The stages alone.
    Pipeline,
    /// All that stands behind a connection: what the listener calls.
    Routes,
}

/// One thing that is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Scenario {
    pub(crate) way: Way,
    pub(crate) kind: Kind,
    pub(crate) told: Told,
}

impl Scenario {
    /// All of which so much is told. The stages alone write no line and send no span.
    pub(crate) fn told(told: Told) -> impl Iterator<Item = Self> {
        let ways: &[Way] = match told {
            Told::Off => &[Way::Pipeline, Way::Routes],
            Told::Default | Told::Full => &[Way::Routes],
        };
        ways.iter().flat_map(move |way| Kind::ALL.map(|kind| Self { way: *way, kind, told }))
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::Hit => "hit",
            Kind::Miss => "miss",
            Kind::RefusedToken => "refused-token",
            Kind::RefusedBody => "refused-body",
            Kind::Stale => "stale",
            Kind::Coalesced => "coalesced",
        };
        match (self.way, self.told) {
            (Way::Pipeline, _) => write!(f, "pipeline/{kind}"),
            (Way::Routes, Told::Off) => write!(f, "routes/{kind}/off"),
            (Way::Routes, Told::Default) => write!(f, "routes/{kind}/default"),
            (Way::Routes, Told::Full) => write!(f, "routes/{kind}/full"),
        }
    }
}
