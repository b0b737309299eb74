//! Stages: the closed list of what a call goes through, and the one function that runs a stage so
//! that it leaves its duration and its decision. Stages themselves contain no timing code.

use std::future::Future;

use crate::{
    telemetry::trail::{Fact, Trail},
    time::{self, Instant},
};

/// A step of the pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the pipeline's stages")]
pub enum Stage {
    Authenticate,
    Validate,
    RateLimit,
    Cache,
    Flight,
    Upstream,
    Attempt,
    MapOutput,
}

impl Stage {
    /// All, in the order in which a call meets them.
    pub const ALL: [Self; 8] = [
        Self::Authenticate,
        Self::Validate,
        Self::RateLimit,
        Self::Cache,
        Self::Flight,
        Self::Upstream,
        Self::Attempt,
        Self::MapOutput,
    ];

    /// Its name in labels, spans and log lines.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Authenticate => "authenticate",
            Self::Validate => "validate",
            Self::RateLimit => "rate_limit",
            Self::Cache => "cache",
            Self::Flight => "flight",
            Self::Upstream => "upstream",
            Self::Attempt => "attempt",
            Self::MapOutput => "map_output",
        }
    }

    /// In how many others it lies: an attempt in the upstream's, that in a flight.
    pub fn depth(self) -> usize {
        match self {
            Self::Authenticate | Self::Validate | Self::RateLimit | Self::Cache => 0,
            Self::Flight => 1,
            Self::Upstream | Self::MapOutput => 2,
            Self::Attempt => 3,
        }
    }
}

/// A stage's result that can say in one word of a closed vocabulary what was decided.
pub trait Decided {
    /// The word.
    fn decision(&self) -> &'static str;

    /// Whether it is a failure of ours or the upstream's, which marks the span as an error. What the
    /// caller did wrong is not.
    fn is_failure(&self) -> bool {
        false
    }

    /// What is to be told of it beyond the word. No value of a caller.
    fn facts(&self) -> Vec<Fact> {
        Vec::new()
    }
}

impl<T: Decided, E: Decided> Decided for Result<T, E> {
    fn decision(&self) -> &'static str {
        match self {
            Ok(done) => done.decision(),
            Err(refused) => refused.decision(),
        }
    }

    fn is_failure(&self) -> bool {
        match self {
            Ok(done) => done.is_failure(),
            Err(refused) => refused.is_failure(),
        }
    }

    fn facts(&self) -> Vec<Fact> {
        match self {
            Ok(done) => done.facts(),
            Err(refused) => refused.facts(),
        }
    }
}

/// Runs one stage of a call.
pub async fn stage<T: Decided>(
    trail: &Trail,
    stage: Stage,
    work: impl Future<Output = T> + Send,
) -> T {
    let under_way = UnderWay { trail, stage, began: time::now(), ended: false };
    let result = work.await;
    under_way.end(&result);
    result
}

/// A stage that is under way. Dropped with its caller, it leaves that it was left: where callers
/// tire of waiting is what one wants to know.
struct UnderWay<'a> {
    trail: &'a Trail,
    stage: Stage,
    began: Instant,
    ended: bool,
}

impl UnderWay<'_> {
    fn end(mut self, result: &impl Decided) {
        self.ended = true;
        self.trail.note(self.stage, self.began, result);
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.trail.step(self.stage, self.began, "left");
        }
    }
}

/// The same for a stage that never waits, right after the one before it: where that ended, this began.
pub fn instant_stage<T: Decided>(trail: &Trail, stage: Stage, work: impl FnOnce() -> T) -> T {
    let result = work();
    trail.note_next(stage, &result);
    result
}

#[cfg(test)]
mod tests {
    use std::{future, time::Duration};

    use super::*;
    use crate::{
        chance::Chance,
        telemetry::{metrics::Registry, steps::Steps, trail::Tracer},
    };

    #[derive(Debug)]
    struct Word(&'static str);

    impl Decided for Word {
        fn decision(&self) -> &'static str {
            self.0
        }
    }

    fn trail() -> Trail {
        let tracer = Tracer::new(&Registry::new(), None, false, "/{action}", Chance::Random);
        tracer.begin(time::now(), None, "POST")
    }

    #[tokio::test(start_paused = true)]
    async fn a_stage_leaves_what_it_decided_and_how_long_it_took() {
        let trail = trail();
        let work = async {
            tokio::time::sleep(Duration::from_millis(30)).await;
            Word("answered")
        };
        stage(&trail, Stage::Upstream, work).await;
        assert_eq!(trail.decision(Stage::Upstream), Some("answered"));
        assert_eq!(
            Steps::of(&trail.steps()).by_stage().took(Stage::Upstream),
            Some(Duration::from_millis(30))
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_stage_whose_caller_hangs_up_leaves_that_it_was_left() {
        let trail = trail();
        let work = stage(&trail, Stage::Upstream, future::pending::<Word>());
        assert!(tokio::time::timeout(Duration::from_secs(2), work).await.is_err());
        assert_eq!(trail.decision(Stage::Upstream), Some("left"));
        assert_eq!(
            Steps::of(&trail.steps()).by_stage().took(Stage::Upstream),
            Some(Duration::from_secs(2))
        );
    }
}
