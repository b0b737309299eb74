//! What verdicts about callers' tokens and keys leave.

use crate::telemetry::{
    meters::Words,
    metrics::{self as table, Registry},
};

/// Verdicts about tokens.
#[derive(Debug)]
pub struct TokenMeters {
    from: Vec<(&'static str, Words)>,
}

impl TokenMeters {
    /// What a token comes to once somebody has looked into it.
    const JUDGED: &[&str] = &["valid", "expired", "early", "invalid", "forbidden", "error"];
    /// All that a token can come to, here.
    pub const RESULTS: &[&str] = &[
        "valid",
        "missing",
        "malformed",
        "expired",
        "early",
        "revoked",
        "invalid",
        "forbidden",
        "error",
    ];
    /// Where verdicts come from, and which come from there.
    const SOURCES: &[(&str, &[&str])] = &[
        ("cache", &["valid", "invalid"]),
        ("remote", Self::JUDGED),
        ("coalesced", Self::JUDGED),
        ("stale", &["valid"]),
        ("local", Self::RESULTS),
    ];

    /// The series, shared by all schemes.
    pub fn new(registry: &Registry) -> Self {
        let from = Self::SOURCES.iter().map(|(source, results)| {
            let words = Words::new(results, |result| {
                registry.counter(&table::TOKEN_VALIDATIONS, &[result, source])
            });
            (*source, words)
        });
        Self { from: from.collect() }
    }

    /// Counts a verdict.
    pub fn judged(&self, result: &str, source: &str) {
        match self.from.iter().find(|(known, _)| *known == source) {
            Some((_, words)) => words.count(result),
            None => debug_assert!(false, "{source} is no source of verdicts"),
        }
    }
}
