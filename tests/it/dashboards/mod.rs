//! What is in `dashboards/`: written by the generator, and right.

#[path = "../../../dashboards/generate/files.rs"]
mod files;
mod lint;
mod names;
mod rules;
mod runbooks;
mod words;

use std::{fs, path::Path};

#[test]
fn what_is_committed_is_what_the_generator_writes() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboards");
    for (name, text) in files::all() {
        let committed = fs::read_to_string(folder.join(&name)).unwrap_or_default();
        assert!(committed == text, "dashboards/{name} is not what is generated: make dashboards");
    }
}
