//! The contract of the data plane over real sockets, row by row: status, code and sentence, in both
//! envelopes and both ways to tell a failure.

mod answered;
mod authorities;
pub(crate) mod basic;
mod callers;
mod credentials;
mod inputs;
pub(crate) mod issued;
mod keys;
mod tiers;
pub(crate) mod tls;

pub(crate) mod refused;
mod unavailable;

pub(crate) mod form;
mod malformed;

mod limited;
pub(crate) mod shed;

mod replies;
pub(crate) mod upstream;
pub(crate) mod way;
mod wrong_bytes;

mod bug;
mod order;
