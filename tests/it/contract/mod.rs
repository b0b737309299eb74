//! The contract of the data plane over real sockets, row by row: status, code and sentence, in both
//! envelopes and both ways to tell a failure.

mod answered;
mod basic;
mod callers;
mod inputs;
mod issued;
mod keys;
mod tiers;
mod tls;

mod refused;
mod unavailable;

mod form;
mod malformed;

mod limited;
mod shed;

mod replies;
mod upstream;
mod way;
mod wrong_bytes;

mod bug;
mod order;
