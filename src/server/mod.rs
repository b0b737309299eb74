//! The listeners and what is said on them: the only module that knows axum and status codes.
//!
//! [`public`] is the data plane, [`in_force`] what it serves, `respond` its table of statuses,
//! `ending` how a call ends there, `debug_headers` what people are told beside an answer,
//! `tokens` the endpoint at which tokens are fetched, [`rehearsal`] a call without a socket;
//! [`admin`] is for kubelets, scrapers and operators, on a runtime of its own ([`operations`]);
//! [`listener`] accepts, limits and drains
//! connections for all of them.

pub mod lifecycle;

pub(crate) mod framing;
pub mod wire;

pub mod listener;

mod debug_headers;
mod ending;
pub mod in_force;
mod problem;
pub mod public;
pub mod rehearsal;
mod respond;
mod tokens;

pub mod admin;
pub mod operations;
