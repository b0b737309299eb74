//! `make observe`: the real program under load and faults, a real Prometheus with the rules, a receiver
//! of traces. Every query of every dashboard is asked, and the dashboards are drawn by Grafana's own
//! panels; exits with 1 where a query fails or brings nothing that it should.
//!
//! ```text
//! stack       all that runs              prometheus  the process and its answers
//! timeline    calls and troubles         fill        variables of a dashboard
//! board       a dashboard that is open   verdict     its queries, asked
//! draw, draw/ dashboards as pictures     outage      five minutes without an upstream
//! ```
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it is a program for a terminal")]

#[path = "../chaos/load.rs"]
#[expect(dead_code, reason = "there is more that `make chaos` asks of it")]
mod load;
#[path = "../it/support/otlp.rs"]
#[expect(dead_code, reason = "there is more that the tests ask of it")]
mod otlp;
#[path = "../chaos/service.rs"]
#[expect(dead_code, reason = "there is more that `make chaos` asks of it")]
mod service;
#[path = "../chaos/tally.rs"]
#[expect(dead_code, reason = "there is more that `make chaos` asks of it")]
mod tally;
#[path = "../it/support/token_endpoint.rs"]
#[expect(dead_code, reason = "there is more that the tests ask of it")]
mod token_endpoint;
#[path = "../chaos/wire.rs"]
mod wire;

mod board;
mod draw;
mod fill;
mod outage;
mod prometheus;
mod stack;
mod timeline;
mod verdict;

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use clap::Parser;
use holdline::time;

use board::Board;
use draw::Easel;
use stack::Stack;
use timeline::Pace;

/// Runs the program, Prometheus and the dashboards together.
#[derive(Debug, Parser)]
struct Arguments {
    /// About two minutes in all, and only what is wrong is told
    #[arg(long)]
    short: bool,
    /// Instead: five minutes without an upstream at 200 calls/s, and until its alerts have cleared
    #[arg(long, conflicts_with = "short")]
    outage: bool,
    /// Also writes the pictures that README.md shows
    #[arg(long)]
    screenshots: bool,
    /// Goes on afterwards, with everything running, until it is interrupted
    #[arg(long)]
    stay: bool,
    /// What the dice begin with
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// What a breaker is told so that it opens and closes many times in a short while.
const HASTY: &str = ", open: {first: 500ms, max: 1s}, close_after: 1, ramp: 1s";

/// The folder of the dashboards, and of their rules.
fn dashboards() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboards")
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let began = time::now();
    let ended = match is_missing() {
        Some(code) => return code,
        None => run(&arguments).await,
    };
    println!("{} s", began.elapsed().as_secs());
    match ended {
        Ok(broken) if broken.is_empty() => ExitCode::SUCCESS,
        Ok(broken) => {
            broken.iter().for_each(|text| eprintln!("BROKEN {text}"));
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("BROKEN {error}");
            ExitCode::FAILURE
        }
    }
}

/// How to end where there is no Prometheus on this machine.
fn is_missing() -> Option<ExitCode> {
    let path = env::var_os("PATH").unwrap_or_default();
    if env::split_paths(&path).any(|folder| folder.join("prometheus").is_file()) {
        return None;
    }
    Some(skipped("a real stack", "prometheus").map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS))
}

/// Says what is left out, and fails where everything must be there.
fn skipped(what: &str, missing: &str) -> Result<(), io::Error> {
    eprintln!("SKIPPED: {what}: {missing} is not on this machine");
    if env::var("CI").as_deref() == Ok("true") {
        return Err(io::Error::other("with CI=true nothing is skipped"));
    }
    Ok(())
}

/// Runs it all; what is wrong comes back.
async fn run(arguments: &Arguments) -> io::Result<Vec<String>> {
    let mut easel = match draw::missing() {
        None => {
            let folder = dashboards().join("screenshots");
            Some(Easel::begin(arguments.screenshots.then_some(folder))?)
        }
        Some(missing) => {
            skipped("drawing the dashboards", missing)?;
            None
        }
    };
    let rules = dashboards().join("rules");
    let (interval, breaker) = match arguments.outage {
        true => (outage::INTERVAL, ""),
        false => (Duration::from_secs(1), HASTY),
    };
    let stack = Stack::start(&rules, interval, breaker, arguments.seed).await?;
    println!("Prometheus: http://{}", stack.prometheus.address);
    if let Some(easel) = &mut easel {
        easel.ready().await?;
    }
    let easel = easel.as_ref();
    let mut broken = if arguments.outage {
        outage::run(&stack, easel).await?
    } else {
        let pace = Duration::from_millis(if arguments.short { 2_300 } else { 8_000 });
        timeline::run(&stack, Pace(pace)).await?;
        judge(&stack, easel, "").await?
    };
    let (traces, spans) = (stack.collector.roots().len(), stack.collector.spans().len());
    println!("{traces} traces of {spans} spans received");
    if traces == 0 {
        broken.push("no trace was received".to_owned());
    }
    if arguments.stay {
        println!("all of it goes on; Ctrl-C ends it");
        tokio::signal::ctrl_c().await?;
    }
    stack.end().await?;
    Ok(broken)
}

/// Asks and draws every dashboard as it looks now; tells what is wrong. Pictures have `suffix` in
/// their names.
async fn judge(stack: &Stack, easel: Option<&Easel>, suffix: &str) -> io::Result<Vec<String>> {
    let prometheus = &stack.prometheus;
    let (rules, mut broken) = verdict::rules(prometheus).await?;
    let boards = Board::all(&dashboards(), prometheus, stack.span().await?).await?;
    let (mut lines, mut drawn) = (Vec::new(), 0);
    for board in boards {
        let answered = verdict::ask(board, prometheus).await;
        if let Some(easel) = easel {
            let uid = &answered.board.uid;
            for panel in easel.draw(&answered, &format!("{uid}{suffix}")).await? {
                drawn += 1;
                // What has no data was found by its queries.
                if !["ok", "empty"].contains(&panel.state.as_str()) {
                    broken.push(format!("{uid}: {}: drawn: {}", panel.title, panel.state));
                }
            }
        }
        lines.extend(answered.lines);
    }
    println!("{rules} rules, {} queries, {drawn} panels drawn", lines.len());
    let wrong = lines.iter().filter(|line| line.is_broken(&lines)).map(ToString::to_string);
    broken.extend(wrong.chain(verdict::idle_excuses(&lines)));
    let table: String = lines.iter().map(|line| format!("{line}\n")).collect();
    fs::create_dir_all(draw::folder())?;
    fs::write(draw::folder().join(format!("queries{suffix}.txt")), table)?;
    Ok(broken)
}
