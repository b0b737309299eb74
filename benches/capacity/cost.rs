//! Processor time, log bytes and attempts of each kind of call.

use std::{io, time::Duration};

use holdline::time;

use crate::{
    bed::{Kind, Outside, evenly},
    figures::Figures,
    scrape::Scrape,
    service::Service,
};

/// How long each is called before it is the next one's turn.
const TURN: Duration = Duration::from_millis(500);
/// Turns that make one value: several, since processor time is told in hundredths of a second.
const TURNS: usize = 8;

/// What has come of a kind so far.
struct Side {
    kind: Option<Kind>,
    service: Service,
    calls: u64,
    /// Seconds of processor time, calls, bytes of log and attempts by the end of each block.
    marks: Vec<[f64; 4]>,
}

impl Side {
    async fn mark(&mut self) -> io::Result<()> {
        let scrape = Scrape::of(self.service.probes).await?;
        let attempts = scrape.sum("http_client_request_duration_seconds_count", &[]);
        let log = self.service.log().len() as f64;
        self.marks.push([self.service.worked(), self.calls as f64, log, attempts]);
        Ok(())
    }

    /// What grew by how much, block by block.
    fn grown(&self, of: usize) -> impl Iterator<Item = f64> {
        self.marks.windows(2).map(move |two| two[1][of] - two[0][of])
    }
}

/// Measures them. One service for each kind runs over the same minutes, and one that nobody calls: what
/// that takes is taken off the others.
pub(crate) async fn measure(
    outside: &Outside,
    figures: &mut Figures,
    rate: u64,
    blocks: usize,
) -> io::Result<()> {
    let mut sides = Vec::new();
    for kind in Kind::MEASURED.map(Some).into_iter().chain([None]) {
        let service = outside.warm("").await?;
        sides.push(Side { kind, service, calls: 0, marks: Vec::new() });
    }
    let (start, mut ends) = (time::now(), Vec::new());
    for turn in 0..=blocks * TURNS {
        if turn % TURNS == 0 {
            for side in &mut sides {
                side.mark().await?;
            }
            ends.push(start.elapsed().as_secs_f64());
        }
        for side in &mut sides {
            if let Some(kind) = side.kind {
                side.calls += evenly(side.service.calls, kind, (rate, TURN), side.calls).await?;
            }
        }
    }
    let Some((idle, called)) = sides.split_last() else { return Ok(()) };
    let lasted: Vec<_> = ends.windows(2).map(|two| two[1] - two[0]).collect();
    let alone: Vec<_> = idle.grown(0).collect();
    let by_second = alone.iter().zip(&lasted).map(|(worked, lasted)| worked * 1e3 / lasted);
    figures.add("processor: idle replica", by_second.collect());
    for side in called {
        let name = side.kind.map_or("", Kind::name);
        let calls: Vec<_> = side.grown(1).collect();
        let each = |of| side.grown(of).zip(&calls).map(|(all, calls)| all / calls);
        let worked = side.grown(0).zip(&alone).zip(&calls);
        let worked = worked.map(|((worked, alone), calls)| (worked - alone) * 1e6 / calls);
        figures.add(&format!("processor: {name}"), worked.collect());
        figures.add(&format!("log: {name}"), each(2).collect());
        if side.kind == Some(Kind::Miss) {
            figures.add("attempts: miss, all well", each(3).collect());
        }
    }
    Ok(())
}
