//! Writes the dashboards, the rules and the page of metrics: `make dashboards`.
#![expect(clippy::print_stdout, reason = "who runs it wants to see what was written")]

mod files;

fn main() -> std::io::Result<()> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboards");
    for (name, text) in files::all() {
        std::fs::write(folder.join(&name), text)?;
        println!("dashboards/{name}");
    }
    Ok(())
}
