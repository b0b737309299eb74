//! The chart in `deploy/helm/holdline`: rendered by Helm's own engine, held against Kubernetes' schemas
//! and against what must hold of everything that it renders.
#![expect(clippy::unwrap_used, reason = "where this fails, the test has failed")]

mod checks;
mod driver;
mod faults;
mod follows;
mod monitoring;
mod network;
mod notes;
mod nulls;
mod pods;
mod program;
mod refused;
mod restarts;
mod restricted;
mod shapes;
mod toggles;
mod written;
