//! Calls at a constant rate, whether or not earlier ones have been answered. A generator that waited
//! for answers would slow down with the service and hide that it is slow; here a call's latency
//! counts from the instant at which the schedule had it.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use holdline::{
    background::Background,
    time::{self, Instant},
};
use tokio_util::sync::CancellationToken;

use crate::{
    tally::{Kind, Sample, Tally},
    wire::{self, Line},
};

/// How long a caller listens: longer than any action here may take.
const PATIENCE: Duration = Duration::from_secs(8);

/// The key by which the callers prove themselves.
pub(crate) const KEY: &str = "a-key-that-only-this-test-knows-of";
/// The header that carries it.
pub(crate) const KEY_HEADER: &str = "X-Api-Key";

/// Whom a call is about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ask {
    /// The action.
    pub(crate) action: &'static str,
    /// The customer.
    pub(crate) customer: u64,
}

/// Customers from 1 to this one, by chance.
pub(crate) fn anyone(
    action: &'static str,
    customers: u64,
) -> impl Fn(u64, &mut fastrand::Rng) -> Ask {
    move |_, dice| Ask { action, customer: dice.u64(1..=customers) }
}

/// Each call is about the next customer.
pub(crate) fn in_turn(action: &'static str) -> impl Fn(u64, &mut fastrand::Rng) -> Ask {
    move |place, _| Ask { action, customer: place + 1 }
}

/// A crowd of callers with kept connections. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Callers {
    to: SocketAddr,
    seed: u64,
    idle: Arc<Mutex<Vec<Line>>>,
    /// Every so many-th call comes on a connection of its own; absent: none does.
    pub(crate) apart: Option<u64>,
    /// Cancelled, no more calls are made: the balancer has taken the service out.
    pub(crate) out_of_rotation: CancellationToken,
}

impl Callers {
    /// Of the service at `to`.
    pub(crate) fn new(to: SocketAddr, seed: u64) -> Self {
        let out_of_rotation = CancellationToken::new();
        Self { to, seed, idle: Arc::default(), apart: None, out_of_rotation }
    }

    /// Calls `rate` times a second for so long, and waits for the last answer.
    pub(crate) async fn call(
        &self,
        rate: f64,
        lasts: Duration,
        ask: impl Fn(u64, &mut fastrand::Rng) -> Ask,
    ) -> Tally {
        let calls = (rate * lasts.as_secs_f64()) as u64;
        let samples = Arc::new(Mutex::new(Vec::with_capacity(calls as usize)));
        let mut dice = fastrand::Rng::with_seed(self.seed);
        let tasks = Background::new();
        let start = time::now();
        for place in 0..calls {
            let due = start + Duration::from_secs_f64(place as f64 / rate);
            // The timer wakes once a millisecond; what is due by then goes out together.
            if due > time::now() {
                tokio::time::sleep_until(due).await;
            }
            if self.out_of_rotation.is_cancelled() {
                break;
            }
            let (callers, ask, samples) = (self.clone(), ask(place, &mut dice), samples.clone());
            let apart = self.apart.is_some_and(|each| place % each == 0);
            tasks.finish(async move {
                let sample = callers.one(due, ask, apart).await;
                samples.lock().expect("no panic holds it").push(sample);
            });
        }
        // Each ends when its caller's patience does; a machine out of breath may need longer.
        tasks.stop(PATIENCE * 10).await;
        let samples = std::mem::take(&mut *samples.lock().expect("no panic holds it"));
        Tally::new(samples)
    }

    async fn one(&self, due: Instant, ask: Ask, apart: bool) -> Sample {
        let Ask { action, customer } = ask;
        let path = format!("/data-action/{action}");
        let body = format!(r#"{{"data":{{"customer_id":{customer}}}}}"#);
        let request = wire::post(&path, &format!("{KEY_HEADER}: {KEY}\r\n"), &body);
        let sent = time::now();
        let exchange =
            tokio::time::timeout(PATIENCE, self.exchange(request.as_bytes(), apart)).await;
        let kind = exchange.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        Sample { action, due, sent, done: time::now(), kind: kind.unwrap_or(Kind::Lost) }
    }

    async fn exchange(&self, request: &[u8], apart: bool) -> io::Result<Kind> {
        let idle = || self.idle.lock().expect("no panic holds it").pop();
        let mut line = match if apart { None } else { idle() } {
            Some(line) => line,
            None => Line::open(self.to).await?,
        };
        let reply = line.exchange(request).await?;
        if !apart && !reply.closes() {
            self.idle.lock().expect("no panic holds it").push(line);
        }
        Ok(Kind::of(&reply))
    }
}
