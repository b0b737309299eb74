//! Whatever comes, leaves, waits and goes back in whatever order: no permit is lost, none is out too
//! many, and nobody waits for one that is free.

use proptest::{prelude::*, sample::Index};

use super::*;

const CASES: u32 = 10_000;

#[derive(Debug, Clone)]
enum Step {
    Come(Urgency, u64),
    Poll(Index),
    Leave(Index),
    GiveBack(Index, Option<Load>),
    Pass(u64),
    Allow(usize),
}

fn step(adaptive: bool) -> impl Strategy<Value = Step> {
    let urgency = prop_oneof![3 => Just(Interactive), 1 => Just(Refresh)];
    let load = prop_oneof![
        1 => Just(None),
        4 => Just(Some(Load::Answered)),
        1 => Just(Some(Load::Overloaded)),
    ];
    prop_oneof![
        4 => (urgency, 0u64..200).prop_map(|(urgency, most)| Step::Come(urgency, most)),
        4 => any::<Index>().prop_map(Step::Poll),
        1 => any::<Index>().prop_map(Step::Leave),
        3 => (any::<Index>(), load).prop_map(|(which, load)| Step::GiveBack(which, load)),
        1 => (0u64..if adaptive { 1500 } else { 80 }).prop_map(Step::Pass),
        u32::from(!adaptive) => (1usize..8).prop_map(Step::Allow),
    ]
}

/// Those who came to `permits`, and the permits that are out.
struct World<'a> {
    permits: &'a Permits,
    line: Vec<Acquiring<'a>>,
    out: Vec<Permit>,
}

impl World<'_> {
    async fn take(&mut self, step: Step) {
        match step {
            Step::Come(urgency, most) => {
                let most = Duration::from_millis(most);
                self.line.push(Box::pin(self.permits.acquire(urgency, most)));
            }
            Step::Poll(which) if !self.line.is_empty() => self.poll(which.index(self.line.len())),
            Step::Leave(which) if !self.line.is_empty() => {
                drop(self.line.remove(which.index(self.line.len())));
            }
            Step::GiveBack(which, load) if !self.out.is_empty() => {
                let permit = self.out.remove(which.index(self.out.len()));
                if let Some(load) = load {
                    permit.settle(now(), load);
                }
            }
            Step::Pass(milliseconds) => advance(Duration::from_millis(milliseconds)).await,
            Step::Allow(limit) => allow(self.permits, limit),
            Step::Poll(_) | Step::Leave(_) | Step::GiveBack(..) => {}
        }
    }

    fn poll(&mut self, at: usize) {
        if let Poll::Ready(turn) = poll(&mut self.line[at]) {
            drop(self.line.remove(at));
            self.out.extend(turn.ok());
        }
    }

    /// What holds between any two steps.
    fn check(&self, most: usize) {
        let counter = self.permits.shared.lock();
        let (in_use, limit) = (counter.in_use(), counter.limit.now());
        assert!(self.out.len() <= in_use, "each that is out is counted");
        assert!(in_use <= limit.max(most), "{in_use} of {limit}, or of {most} before it fell");
        for urgency in [Interactive, Refresh] {
            let waiting = counter.line(urgency).waiting.len();
            assert!(waiting == 0 || !counter.is_free(urgency), "{urgency:?} waits for a free one");
        }
    }

    /// Everybody who is served or tired goes; then all is as at the start.
    async fn end(mut self) {
        for _ in 0..=self.line.len() {
            self.out.clear();
            for at in (0..self.line.len()).rev() {
                self.poll(at);
            }
            tokio::task::yield_now().await;
        }
        assert_eq!(self.line.len(), 0, "a permit is for everybody, if all come back");
        self.out.clear();
        assert_eq!(self.permits.in_use(), 0);
        assert_eq!(self.permits.waiting(Interactive) + self.permits.waiting(Refresh), 0);
    }
}

async fn walk(permits: Permits, steps: Vec<Step>) {
    let mut world = World { permits: &permits, line: Vec::new(), out: Vec::new() };
    for step in steps {
        let before = permits.in_use();
        world.take(step).await;
        world.check(before);
        // Polling by hand must not use up the task's turn.
        tokio::task::yield_now().await;
    }
    world.end().await;
}

fn run(permits: Permits, steps: Vec<Step>) {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap()
        .block_on(walk(permits, steps));
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: CASES,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn leaving_at_any_point_leaks_nothing_while_the_limit_changes(
        limit in 1u32..8,
        steps in prop::collection::vec(step(false), 1..60),
    ) {
        run(permits(limit), steps);
    }

    #[test]
    fn leaving_at_any_point_leaks_nothing_while_the_limit_is_measured(
        (min, start, max) in (1u32..4, 0u32..4, 0u32..4),
        steps in prop::collection::vec(step(true), 1..60),
    ) {
        let (start, max) = (min + start, min + start + max);
        let limit = ConcurrencyLimit::Adaptive { start, min, max };
        run(Permits::new(ConcurrencyPolicy { limit, wait: WAIT }), steps);
    }
}
