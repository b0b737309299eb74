//! Benchmarks come with what they measure.

fn main() {}
