//! Writes what is written by rule in the chart: `make chart`.
#![expect(clippy::print_stdout, reason = "who runs it wants to see what was written")]

mod files;

use std::{fs, io, path::Path};

fn main() -> io::Result<()> {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let chart = project.join("deploy/helm/holdline");
    for (name, text) in files::all(project) {
        let path = chart.join(&name);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(path, text)?;
        println!("deploy/helm/holdline/{name}");
    }
    Ok(())
}
