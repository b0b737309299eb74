//! How many instructions a call costs, as valgrind's callgrind counts them, held against the recorded
//! figures. They hardly depend on what the machine does meanwhile, so a regression is seen in the change that
//! makes it.
//!
//! The program runs itself under valgrind. What is counted is [`measured`] alone, in the thread that makes the
//! calls; [`landed`] ends a scenario. The clock stands still, and the dice are loaded as far as they are ours.
//! valgrind shows programs a processor without AVX-512 and without instructions for SHA, so the counts are the same on
//! x86-64 machines of one kind with the same libc, and SHA-256 weighs more than it does.
#![expect(clippy::print_stdout, reason = "the table is for a person to read")]

mod record;
#[path = "../scenarios/mod.rs"]
mod scenarios;

use std::{
    env, fs,
    hint::black_box,
    io,
    path::{Path, PathBuf},
    process::Command,
};

use clap::Parser;

use record::{Record, Verdict};
use scenarios::{
    BATCH, World,
    kinds::{Scenario, Told},
    telemetry,
};

/// The recorded figures.
const RECORDED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/instructions/recorded.txt");
/// Batches of calls that are counted.
const BATCHES: u64 = 8;

/// Counts the instructions of a call, and compares them with the recorded ones.
#[derive(Debug, Clone, Parser)]
struct Arguments {
    /// Records what was counted
    #[arg(long)]
    write: bool,
    /// Counts so often, and tells how far the runs differ
    #[arg(long, default_value_t = 1)]
    runs: usize,
    /// Makes the calls: so it is run under valgrind
    #[arg(long, hide = true)]
    calls: bool,
    /// What `cargo bench` adds
    #[arg(long, hide = true)]
    bench: bool,
}

/// What is counted.
#[inline(never)]
fn measured(world: &World, batch: scenarios::Batch) {
    world.make(black_box(batch));
}

/// Here callgrind writes down what it has counted.
#[inline(never)]
fn landed(scenario: Scenario) {
    black_box(scenario);
}

/// Makes the calls of all scenarios.
fn make_calls() -> io::Result<()> {
    for told in Told::ALL {
        let telemetry = telemetry(told);
        for scenario in Scenario::told(told) {
            fastrand::seed(7);
            let world = World::new(scenario, telemetry.as_ref(), true);
            for _ in 0..BATCHES {
                let batch = world.batch(BATCH);
                measured(&world, batch);
                world.rest();
            }
            landed(scenario);
        }
        let (spans, lines) = telemetry.map_or((0, 0), |telemetry| telemetry.dropped());
        if spans + lines > 0 {
            let lost = format!("{spans} spans and {lines} lines were dropped, and cost too little");
            return Err(io::Error::other(lost));
        }
    }
    Ok(())
}

/// Where callgrind writes.
fn folder() -> io::Result<PathBuf> {
    let ours = env::current_exe()?;
    let target = ours.ancestors().nth(3).ok_or(io::ErrorKind::NotFound)?;
    let folder = target.join("instructions");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// Runs all scenarios under valgrind; gives the instructions of a call of each.
fn counted() -> io::Result<Record> {
    let folder = folder()?;
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--quiet", "--fair-sched=yes"]);
    valgrind.arg(format!("--callgrind-out-file={}", folder.join("counts").display()));
    // The name of a function may end in its hash.
    for (option, name) in [("toggle-collect", "measured"), ("dump-before", "landed")] {
        valgrind.arg(format!("--{option}=instructions::{name}"));
        valgrind.arg(format!("--{option}=instructions::{name}::h????????????????"));
    }
    let ended = valgrind.arg(env::current_exe()?).arg("--calls").status().map_err(|error| {
        io::Error::other(format!("valgrind cannot be run ({error}): install the package valgrind"))
    })?;
    if !ended.success() {
        return Err(io::Error::other(format!("the program under valgrind: {ended}")));
    }
    let mut figures = Vec::new();
    for (nth, scenario) in Told::ALL.into_iter().flat_map(Scenario::told).enumerate() {
        let total = total(&folder.join(format!("counts.{}", nth + 1)))?;
        figures.push((scenario.to_string(), total / (BATCH * BATCHES)));
    }
    Ok(Record { of: of()?, figures })
}

/// The sum that a file of callgrind's ends with.
fn total(path: &Path) -> io::Result<u64> {
    let text = fs::read_to_string(path)?;
    let total = text.lines().find_map(|line| line.strip_prefix("totals: "));
    let total = total.and_then(|total| total.trim().parse().ok()).filter(|total| *total > 0);
    total.ok_or_else(|| io::Error::other(format!("{}: nothing was counted", path.display())))
}

/// Of what the figures are.
fn of() -> io::Result<Vec<String>> {
    let version = |program: &str| {
        let said = Command::new(program).arg("--version").output()?;
        io::Result::Ok(String::from_utf8_lossy(&said.stdout).trim().to_owned())
    };
    let profile = env::current_exe()?;
    let profile = profile.ancestors().nth(2).and_then(Path::file_name);
    Ok(vec![
        format!("compiler: {}", version("rustc")?),
        format!("profile: {}", profile.unwrap_or_default().to_string_lossy()),
        format!("machine: {}-{}", env::consts::ARCH, env::consts::OS),
        format!("valgrind: {}", version("valgrind")?),
    ])
}

/// Says of what the record is where that is something else; counts of another machine mean nothing.
fn comparable(recorded: &Record, now: &Record) -> io::Result<()> {
    if recorded.of.len() != now.of.len() {
        return Err(io::Error::other("the record does not say of what it is: record anew"));
    }
    for (was, is) in recorded.of.iter().zip(&now.of).filter(|(was, is)| was != is) {
        println!("recorded of {was}; this is {is}");
        if was.starts_with("machine") || was.starts_with("profile") {
            return Err(io::Error::other("figures of these two cannot be compared"));
        }
    }
    Ok(())
}

/// Prints how far runs of the same differ.
fn tell_spread(runs: &[Record]) {
    println!("{:30}{:>10}{:>10}{:>9}", "scenario", "least", "most", "apart");
    for (at, (name, _)) in runs[0].figures.iter().enumerate() {
        let counts = || runs.iter().map(|run| run.figures[at].1);
        let (least, most) = (counts().min().unwrap_or(0), counts().max().unwrap_or(0));
        let apart = (most as f64 / least as f64 - 1.0) * 100.0;
        println!("{name:30}{least:>10}{most:>10}{apart:>7.2} %");
    }
}

fn main() -> io::Result<()> {
    let arguments = Arguments::parse();
    if arguments.calls {
        return make_calls();
    }
    let runs = (0..arguments.runs.max(1)).map(|_| counted()).collect::<io::Result<Vec<_>>>()?;
    if runs.len() > 1 {
        tell_spread(&runs);
    }
    let now = &runs[0];
    if arguments.write {
        fs::write(RECORDED, now.written())?;
        print!("{}", now.written());
        return Ok(());
    }
    let recorded = Record::read(&fs::read_to_string(RECORDED)?).map_err(io::Error::other)?;
    comparable(&recorded, now)?;
    let rows = record::compared(&recorded, now);
    print!("{}", record::table(&rows));
    if rows.iter().any(|row| row.verdict == Verdict::Worse) {
        return Err(io::Error::other(
            "a call costs more than it did. Where that is what it must cost: make instructions ARGS=--write",
        ));
    }
    if rows.iter().any(|row| row.verdict != Verdict::Alike) {
        return Err(io::Error::other("record anew: make instructions ARGS=--write"));
    }
    Ok(())
}
