//! The path of a call in virtual time: every stage through the whole pipeline, to the instant.
//!
//! The folder mirrors `src/pipeline/`. The world outside is a script and the clock moves only when
//! everything waits, so a test says exactly when something happens and a run takes no time.

pub(crate) mod authenticate;
pub(crate) mod validate;

pub(crate) mod rate_limit;

pub(crate) mod cache;

pub(crate) mod upstream;

mod map_output;

mod day;
mod deadline;
mod matrix;
mod properties;
mod reload;
