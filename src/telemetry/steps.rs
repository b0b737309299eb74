//! What the steps of a trail come to: the questions that metrics, the log line, debug headers and
//! `/explain` ask of them. Whoever asks more than one reads the steps once.

use std::{cmp::Reverse, time::Duration};

use crate::telemetry::{stage::Stage, trail::Step};

/// Steps in the order in which they ended.
#[derive(Debug, Clone, Copy)]
pub struct Steps<'a>(&'a [Step]);

impl<'a> Steps<'a> {
    /// Of these.
    pub fn of(steps: &'a [Step]) -> Self {
        Self(steps)
    }

    /// The decision of the last step of that stage.
    pub fn decision(self, stage: Stage) -> Option<&'static str> {
        self.0.iter().rev().find(|step| step.stage == stage).map(|step| step.decision)
    }

    /// The stages, in one look.
    pub fn by_stage(self) -> ByStage {
        let mut stages = [None; 8];
        for step in self.0 {
            let of = &mut stages[step.stage as usize];
            let before = of.map_or(Duration::ZERO, |(_, took)| took);
            *of = Some((step.decision, before + step.took));
        }
        ByStage(stages)
    }

    /// How many attempts were made.
    pub fn attempts(self) -> usize {
        self.0.iter().filter(|step| step.stage == Stage::Attempt).count()
    }

    /// The word of the attempt that decided: the last one that was not given up.
    pub fn last_attempt(self) -> Option<&'static str> {
        let mut attempts = self.0.iter().rev().filter(|step| step.stage == Stage::Attempt);
        attempts.find(|step| step.decision != "canceled").map(|step| step.decision)
    }

    /// In the order in which they began; of two at once the longer one first, which holds the other.
    pub fn as_begun(self) -> Vec<Step> {
        let mut steps = self.0.to_vec();
        steps.sort_by_key(|step| (step.began, Reverse(step.took), step.stage.depth()));
        steps
    }
}

/// Of each stage the last decision, and how long it took in all.
#[derive(Debug, Clone)]
pub struct ByStage([Option<(&'static str, Duration)>; 8]);

impl ByStage {
    /// What is known of that stage; `None` where the call did not meet it.
    pub fn of(&self, stage: Stage) -> Option<(&'static str, Duration)> {
        self.0[stage as usize]
    }

    /// The last decision of that stage.
    pub fn decision(&self, stage: Stage) -> Option<&'static str> {
        self.of(stage).map(|(decision, _)| decision)
    }

    /// How long that stage took in all.
    pub fn took(&self, stage: Stage) -> Option<Duration> {
        self.of(stage).map(|(_, took)| took)
    }

    /// How long was waited for somebody else: the token authority, a flight, an upstream.
    pub fn waited(&self) -> Duration {
        let authority = match self.of(Stage::Authenticate) {
            Some(("remote" | "coalesced" | "stale" | "rejected" | "unavailable", took)) => took,
            _ => Duration::ZERO,
        };
        let fetch = self.took(Stage::Flight).or_else(|| self.took(Stage::Upstream));
        authority + fetch.unwrap_or_default()
    }
}
