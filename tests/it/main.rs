//! The integration tests.

mod support;

mod architecture;
mod capacity;
mod chart;
mod compose;
mod contract;
mod corpora;
mod dashboards;
mod examples;
mod export;
mod image;
mod instructions;
mod keys;
mod load;
mod operations;
mod path;
mod peer;
mod program;
mod release;
mod series;
