//! `make chaos`: the real program over real sockets, under load, while the systems around it fail in
//! every way that has a name here. Prints a table and what was claimed; exits with 1 where a claim
//! does not hold.
//!
//! ```text
//! service  the program under test      peer    the upstream that fails on demand
//! wire     one connection of a caller  load    callers at a constant rate
//! tally    what became of calls        scrape  what the service says of itself
//! bed      all of these together       report  rows and claims
//! otlp     the collector of its traces    collector  one in every trouble
//! balancer a real HAProxy in front of it
//! ```
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it is a program for a terminal")]

#[path = "../it/support/peer/mod.rs"]
mod peer;

#[path = "../it/support/otlp.rs"]
#[expect(dead_code, reason = "other tests ask more of it")]
mod otlp;

mod balancer;
mod bed;
mod collector;
mod installed;
mod load;
mod report;
mod scenarios;
mod scrape;
mod service;
mod tally;
mod wire;

use std::{io, panic::AssertUnwindSafe, process::ExitCode, time::Duration};

use clap::Parser;
use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream};
use holdline::time;

use report::Report;

/// Scenarios that run at once, where they do not ask to be alone.
const LANES: usize = 4;

/// Runs failure scenarios against the program.
#[derive(Debug, Parser)]
struct Arguments {
    /// Shorter phases: minutes in all
    #[arg(long)]
    short: bool,
    /// What the dice begin with; as printed, to repeat a run
    #[arg(long)]
    seed: Option<u64>,
    /// Only scenarios whose name begins so; may be given more than once
    #[arg(long)]
    only: Vec<String>,
    /// Names the scenarios and what each is about
    #[arg(long)]
    list: bool,
}

/// In what form a scenario is to run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Form {
    short: bool,
    /// What dice begin with.
    pub(crate) seed: u64,
}

impl Form {
    /// How long a phase is: so many seconds in the short form, so many in the whole one.
    pub(crate) fn seconds(self, short: u64, whole: u64) -> Duration {
        Duration::from_secs(self.either([short, whole]))
    }

    /// The first in the short form, the second in the whole one.
    pub(crate) fn either<T>(self, [short, whole]: [T; 2]) -> T {
        if self.short { short } else { whole }
    }
}

/// What a scenario comes to.
pub(crate) type Outcome = BoxFuture<'static, io::Result<Report>>;

/// One scenario.
pub(crate) struct Scenario {
    name: &'static str,
    about: &'static str,
    /// Whether it wants the machine for itself.
    alone: bool,
    run: Box<dyn Fn(Form) -> Outcome>,
}

impl Scenario {
    /// One that runs beside others.
    pub(crate) fn new(
        name: &'static str,
        about: &'static str,
        run: impl Fn(Form) -> Outcome + 'static,
    ) -> Self {
        Self { name, about, alone: false, run: Box::new(run) }
    }

    /// The same, with the machine for itself.
    pub(crate) fn alone(self) -> Self {
        Self { alone: true, ..self }
    }

    /// Runs it and prints what it tells; what does not hold comes back.
    async fn told(&self, form: Form) -> Vec<String> {
        let told = AssertUnwindSafe((self.run)(form)).catch_unwind().await;
        let report = match told {
            Ok(Ok(report)) => report,
            Ok(Err(error)) => self.broken_off(&error.to_string()),
            Err(_) => self.broken_off("a panic of this test; see above"),
        };
        print!("{report}");
        report.broken().map(|text| format!("{}: {text}", self.name)).collect()
    }

    fn broken_off(&self, why: &str) -> Report {
        let mut report = Report::default();
        report.claim(false, format!("{} broke off: {why}", self.name));
        report
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let wanted = |scenario: &Scenario| {
        let only = &arguments.only;
        only.is_empty() || only.iter().any(|start| scenario.name.starts_with(start.as_str()))
    };
    let scenarios: Vec<_> = scenarios::all().into_iter().filter(wanted).collect();
    if arguments.list {
        for Scenario { name, about, .. } in &scenarios {
            println!("{name:22} {about}");
        }
        return ExitCode::SUCCESS;
    }
    if balancer::program().is_none() {
        eprintln!("SKIPPED: `rollout`: there is no HAProxy; tests/prerequisites.sh gets it");
    }
    if scenarios.is_empty() {
        eprintln!("no scenario of that name; --list names them");
        return ExitCode::FAILURE;
    }

    let form =
        Form { short: arguments.short, seed: arguments.seed.unwrap_or_else(|| fastrand::u64(..)) };
    let began = time::now();
    println!("seed {}\n{}", form.seed, report::HEAD);
    let (alone, beside): (Vec<_>, Vec<_>) = scenarios.iter().partition(|scenario| scenario.alone);
    let beside = stream::iter(beside).map(|scenario| scenario.told(form)).buffer_unordered(LANES);
    let mut broken = beside.collect::<Vec<_>>().await.concat();
    for scenario in alone {
        broken.extend(scenario.told(form).await);
    }

    println!("{} scenarios, {} s", scenarios.len(), began.elapsed().as_secs());
    for text in &broken {
        eprintln!("BROKEN {text}");
    }
    if broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
