//! The program as people and machines meet it: started as a process, spoken to over sockets, ended
//! by signals.
#![expect(clippy::unwrap_used, reason = "where this fails, the test has failed")]

mod audit;
pub(crate) mod call;
mod check;
pub(crate) mod cli;
mod credentials;
mod demo;

pub(crate) mod drain;
mod explain;
mod fakes;

mod log_level;
mod metrics;
mod openapi;
mod outcomes;
mod reload;
mod secrets;
mod tls;
pub(crate) mod traces;
mod traces_alike;
pub(crate) mod traces_kept;
mod traces_lost;
mod traces_work;
