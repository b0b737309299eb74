//! What a deployment is sized by: processor time, memory, series, spans, log and attempts of the real program,
//! with its telemetry at its defaults and a tenth of the calls traced.
//!
//! It prints the table of `deploy/CAPACITY.md` and the sums that are made of it; with `--write` it puts both into
//! that page, and where a part alone is measured, the other figures stay as they stand there. Rounds of what is compared lie side by side, so that what the machine does meanwhile hits all
//! alike. What callers, upstream and collector use is not counted.
#![expect(clippy::print_stdout, reason = "the table is for a person to read")]

#[path = "../../tests/chaos/scrape.rs"]
#[expect(dead_code, reason = "counters are read, no histograms")]
mod scrape;
#[path = "../../tests/chaos/service.rs"]
#[expect(dead_code, reason = "it is started and watched, and goes with its drop")]
mod service;
#[path = "../../tests/chaos/wire.rs"]
#[expect(dead_code, reason = "every connection is kept")]
mod wire;

mod bed;
mod cost;
mod figures;
mod memory;
mod shown;
mod sink;
mod sums;

use std::{fs, io, num::NonZero};

use clap::{Parser, ValueEnum};

use bed::Outside;
use figures::Figures;

/// The page.
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/CAPACITY.md");

/// Measures what a deployment is sized by.
#[derive(Debug, Clone, Parser)]
struct Arguments {
    /// Calls a second of each kind
    #[arg(long, default_value_t = 1_000)]
    rate: u64,
    /// How often each is measured
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// A part alone; its rows are printed, or with --write put among the others
    #[arg(long, value_enum)]
    only: Vec<Part>,
    /// Puts what was measured into the page
    #[arg(long)]
    write: bool,
    /// Measures nothing: reckons with what the page says
    #[arg(long)]
    reckon: bool,
    /// What `cargo bench` adds
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    Processor,
    Memory,
    Prometheus,
    Traces,
    Attempts,
}

fn machine() -> String {
    let described = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = described.lines().find_map(|line| line.strip_prefix("model name\t: "));
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    format!("{}, {cores} cores", model.unwrap_or("unknown processor"))
}

/// `page` with what stands between the marks of that name replaced.
fn replaced(page: &str, name: &str, text: &str) -> Option<String> {
    let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- end of {name} -->"));
    let (before, rest) = page.split_once(&begin)?;
    let (_, after) = rest.split_once(&end)?;
    Some(format!("{before}{begin}{text}{end}{after}"))
}

/// Measures what is wanted.
async fn measured(arguments: &Arguments) -> io::Result<Figures> {
    let Arguments { rate, rounds, ref only, .. } = *arguments;
    let outside = Outside::start().await?;
    let kept = arguments.write && !only.is_empty();
    let mut figures =
        if kept { Figures::of(&fs::read_to_string(PAGE)?) } else { Figures::default() };
    println!("{}; {rate} calls/s of each kind; {rounds} rounds\n", machine());
    let wanted = |part| only.is_empty() || only.contains(&part);
    if wanted(Part::Processor) {
        cost::measure(&outside, &mut figures, rate, rounds).await?;
    }
    let fewer = rounds.div_ceil(2);
    if wanted(Part::Memory) {
        memory::measure(&outside, &mut figures, fewer).await?;
    }
    if wanted(Part::Prometheus) {
        shown::series(&outside, &mut figures, fewer).await?;
    }
    if wanted(Part::Traces) {
        shown::traces(&outside, &mut figures, fewer).await?;
    }
    if wanted(Part::Attempts) {
        shown::attempts(&outside, &mut figures, (rate / 4, fewer)).await?;
    }
    Ok(figures)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let arguments = Arguments::parse();
    let figures = if arguments.reckon {
        Figures::of(&fs::read_to_string(PAGE)?)
    } else {
        measured(&arguments).await?
    };
    let table = figures.table();
    println!("{table}");
    // What is reckoned with is what the table shows, to the digit.
    let figures = Figures::of(&table);
    if !figures.is_whole() {
        return Ok(());
    }
    let (small, large) = (sums::contact_centre(&figures), sums::internet(&figures));
    println!("{small}\n{large}");
    if arguments.write {
        let mut page = fs::read_to_string(PAGE)?;
        for (name, text) in [
            ("figures", table),
            ("contact centre", format!("```text\n{small}```\n")),
            ("internet", format!("```text\n{large}```\n")),
        ] {
            page = replaced(&page, name, &text).ok_or_else(|| io::Error::other("no marks"))?;
        }
        fs::write(PAGE, page)?;
    }
    Ok(())
}
