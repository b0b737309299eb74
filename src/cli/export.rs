//! `export`: writes documents made out of the configuration, to standard output or into a folder.

use std::{fs, path::Path};

use anyhow::{Context, anyhow};
use clap::ValueEnum;

use crate::{cli::load, config, export::Document};

/// What can be written.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Kind {
    /// The actions as OpenAPI 3.1
    Openapi,
    /// One importable data action (`*.custom.json`) for each action
    Genesys,
    /// The Genesys side as CX as Code
    Terraform,
    /// The JSON Schema of the configuration file, for editors
    Schema,
}

/// Writes it.
pub(super) fn run(kind: Kind, file: Option<&Path>, folder: Option<&Path>) -> anyhow::Result<()> {
    let documents = documents(kind, file)?;
    let Some(folder) = folder else {
        let [only] = &documents[..] else {
            let what = "these are several files: write -o DIR, into which they go";
            return Err(anyhow!("{what}"));
        };
        print!("{}", only.text);
        return Ok(());
    };
    fs::create_dir_all(folder).with_context(|| format!("could not make {}", folder.display()))?;
    for Document { name, text } in &documents {
        let path = folder.join(name);
        fs::write(&path, text).with_context(|| format!("could not write {}", path.display()))?;
        println!("{}", path.display());
    }
    Ok(())
}

fn schema() -> Document {
    let text = serde_json::to_string_pretty(&config::schema::schema());
    let text = text.expect("JSON can be written") + "\n";
    Document { name: "holdline.schema.json".to_owned(), text }
}

fn documents(kind: Kind, file: Option<&Path>) -> anyhow::Result<Vec<Document>> {
    match kind {
        // It is that of every configuration, so none is read.
        Kind::Schema => Ok(vec![schema()]),
        Kind::Openapi | Kind::Genesys | Kind::Terraform => {
            load::load(file).map_err(|report| anyhow!("the configuration is wrong\n{report}"))?;
            Err(anyhow!("not supported in this version"))
        }
    }
}
