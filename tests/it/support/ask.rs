//! Calls as a test makes them, and what they come to.

use std::{sync::Arc, time::Duration};

use holdline::{
    catalog::action::Action,
    pipeline::{
        call::{Answer, Call},
        failure::Failure,
    },
    telemetry::{
        outcome::{Outcome, Source},
        propagation::TraceContext,
        stage::Stage,
        trail::Step,
    },
    time::{self, Deadline, Instant},
};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::rig::Rig;

/// A call on its way to be made.
#[derive(Clone)]
pub(crate) struct Ask {
    rig: Rig,
    action: Arc<Action>,
    headers: HeaderMap,
    body: String,
    patience: Option<Duration>,
    trace: Option<TraceContext>,
}

impl Ask {
    /// A call without header or body.
    pub(super) fn new(rig: Rig, action: Arc<Action>) -> Self {
        let (headers, body) = (HeaderMap::new(), String::new());
        Self { rig, action, headers, body, patience: None, trace: None }
    }

    /// With that token.
    pub(crate) fn token(self, token: &str) -> Self {
        self.header("x-genesys-auth-token", token)
    }

    /// With that token alone, as a bearer shows it.
    pub(crate) fn bearer(self, token: &str) -> Self {
        self.bare().header("authorization", &format!("Bearer {token}"))
    }

    /// With no header at all.
    pub(crate) fn bare(mut self) -> Self {
        self.headers.clear();
        self
    }

    /// With that header, in place of any of the same name.
    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        let value = HeaderValue::from_bytes(value.as_bytes()).expect("a test writes good headers");
        self.headers.insert(HeaderName::from_static(name), value);
        self
    }

    /// With one more header of that name.
    pub(crate) fn and_header(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        self
    }

    /// About that customer.
    pub(crate) fn id(self, id: i64) -> Self {
        self.input(&json!({ "id": id }))
    }

    /// With those inputs.
    pub(crate) fn input(self, input: &Value) -> Self {
        self.body(&json!({ "data": input }).to_string())
    }

    /// With that body.
    pub(crate) fn body(mut self, body: &str) -> Self {
        body.clone_into(&mut self.body);
        self
    }

    /// From a caller who waits so many milliseconds.
    pub(crate) fn within(mut self, ms: u64) -> Self {
        self.patience = Some(Duration::from_millis(ms));
        self
    }

    /// As part of a trace.
    pub(crate) fn traced(mut self, context: TraceContext) -> Self {
        self.trace = Some(context);
        self
    }

    /// The call itself, begun now.
    pub(crate) fn call(&self) -> Call {
        let began = time::now();
        let deadline = self.deadline(began);
        let trail = self.rig.trail(self.trace.as_ref());
        Call {
            action: Arc::clone(&self.action),
            headers: self.headers.clone(),
            body: self.body.clone().into(),
            deadline,
            deadline_unreadable: false,
            trail: Arc::new(trail),
        }
    }

    /// The deadline that it would have if it began at `began`.
    pub(crate) fn deadline(&self, began: Instant) -> Deadline {
        Deadline::after(began, self.action.patience(self.patience))
    }

    /// Makes the call and waits for what it comes to.
    pub(crate) async fn heard(self) -> Heard {
        let call = self.call();
        let result = self.rig.pipeline.run(&call).await;
        Heard { result, steps: call.trail.steps(), at: self.rig.now() }
    }

    /// Makes the call beside what the test does next. What is returned may be awaited; dropping it
    /// hangs up.
    pub(crate) async fn set_off(self) -> Underway {
        let rig = self.rig.clone();
        let mut task = JoinSet::new();
        task.spawn(self.heard());
        rig.settle().await;
        Underway(task)
    }

    /// Makes the call in so many milliseconds, beside what the test does until then.
    pub(crate) fn set_off_in(self, ms: u64) -> Underway {
        let mut task = JoinSet::new();
        task.spawn(async move {
            tokio::time::sleep(Duration::from_millis(ms)).await;
            self.heard().await
        });
        Underway(task)
    }

    /// Makes so many such calls at once and waits for all.
    pub(crate) async fn times(self, number: usize) -> Vec<Heard> {
        let mut tasks = JoinSet::new();
        for _ in 0..number {
            tasks.spawn(self.clone().heard());
        }
        tasks.join_all().await
    }
}

/// A call under way.
pub(crate) struct Underway(JoinSet<Heard>);

impl Underway {
    /// Waits for what it comes to.
    pub(crate) async fn heard(mut self) -> Heard {
        self.0.join_next().await.expect("one call").expect("no panic")
    }

    /// Hangs up.
    pub(crate) async fn hang_up(mut self) {
        self.0.shutdown().await;
    }
}

/// What a call came to.
#[derive(Debug)]
pub(crate) struct Heard {
    /// The answer, or why there is none.
    pub(crate) result: Result<Answer, Failure>,
    /// What its stages decided.
    pub(crate) steps: Vec<Step>,
    /// When it was heard, in milliseconds from the start.
    pub(crate) at: u128,
}

impl Heard {
    /// The answer.
    #[track_caller]
    pub(crate) fn answer(&self) -> &Answer {
        match &self.result {
            Ok(answer) => answer,
            Err(failure) => panic!("{failure:?}, {:#?}", self.steps),
        }
    }

    /// The failure.
    #[track_caller]
    pub(crate) fn failure(&self) -> &Failure {
        match &self.result {
            Ok(answer) => panic!("{answer:?}, {:#?}", self.steps),
            Err(failure) => failure,
        }
    }

    /// How it ended.
    pub(crate) fn outcome(&self) -> Outcome {
        self.result.as_ref().map_or_else(Failure::outcome, Answer::outcome)
    }

    /// The answer's body.
    #[track_caller]
    pub(crate) fn body(&self) -> &str {
        std::str::from_utf8(self.answer().body.flat()).expect("answers are UTF-8")
    }

    /// Who answered.
    #[track_caller]
    pub(crate) fn source(&self) -> Source {
        self.answer().source
    }

    /// The decisions of its steps, in the order in which they ended.
    pub(crate) fn decisions(&self) -> Vec<String> {
        let steps = self.steps.iter();
        steps.map(|step| format!("{}: {}", step.stage.as_str(), step.decision)).collect()
    }

    /// The decision of the last step of that stage; empty where the call did not meet it.
    pub(crate) fn decision(&self, stage: Stage) -> &'static str {
        let step = self.steps.iter().rev().find(|step| step.stage == stage);
        step.map_or("", |step| step.decision)
    }
}
