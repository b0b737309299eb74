//! The integration tests.

mod support;

mod architecture;
mod capacity;
mod contract;
mod corpora;
mod dashboards;
mod examples;
mod export;
mod keys;
mod load;
mod operations;
mod path;
mod peer;
mod program;
mod series;
