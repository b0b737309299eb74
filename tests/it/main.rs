//! The integration tests.

mod architecture;
