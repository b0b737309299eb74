//! Every file that is generated. All names of metrics in them come from the one table: a panel or a
//! rule cannot name one that does not exist.

#[path = "capacity.rs"]
mod capacity;
#[path = "dashboard.rs"]
pub(crate) mod dashboard;
#[path = "details.rs"]
mod details;
#[path = "fetching.rs"]
mod fetching;
#[path = "kinds.rs"]
mod kinds;
#[path = "life.rs"]
mod life;
#[path = "overview.rs"]
mod overview;
#[path = "panel.rs"]
mod panel;
#[path = "parts.rs"]
mod parts;
#[path = "path.rs"]
mod path;
#[path = "query.rs"]
pub(crate) mod query;
#[path = "reference.rs"]
mod reference;
#[path = "rules/mod.rs"]
mod rules;
#[path = "series.rs"]
pub(crate) mod series;
#[path = "table.rs"]
mod table;
#[path = "theme.rs"]
pub(crate) mod theme;
#[path = "upstreams.rs"]
mod upstreams;
#[path = "words.rs"]
pub(crate) mod words;

/// Each file's name below `dashboards/`, and its text.
pub(crate) fn all() -> Vec<(String, String)> {
    vec![
        ("METRICS.md".to_owned(), reference::page()),
        overview::file(),
        path::file(),
        upstreams::file(),
        capacity::file(),
        ("rules/holdline.yaml".to_owned(), rules::text()),
    ]
}
