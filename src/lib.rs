//! Holdline keeps a phone call moving when the system behind it is slow, failing or gone.
//!
//! A Genesys Cloud flow calls a *data action*; Holdline proves who is calling, limits, answers from
//! a per-customer cache or calls an external API with deadlines, retries and a circuit breaker, maps
//! the reply and answers. The path of a call is read in `pipeline`; what stands around it is below,
//! in reading order. `ARCHITECTURE.md` is the map.

pub mod background;
pub mod chance;
pub mod fingerprint;
pub mod time;
pub mod tls;

pub mod catalog;
pub mod settings;

pub mod mechanism;
pub mod telemetry;

pub mod client;

pub mod pipeline;

pub mod export;

pub mod server;

pub mod proxy;

pub mod config;
pub mod demo;

pub mod cli;
