//! `export`: writes documents made out of the configuration, to standard output or into a folder.

use std::{fs, path::Path};

use anyhow::{Context, anyhow};
use clap::ValueEnum;
use url::Url;

use crate::{
    cli::{load, out},
    config::{self, Loaded},
    export::{Document, Site, genesys, openapi, terraform},
    settings::Settings,
};

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

/// What stands for the address where nobody has said it.
const SOMEWHERE: &str = "https://holdline.example.com";

/// Writes it. `origin` is where callers reach the service.
pub(super) fn run(
    kind: Kind,
    file: Option<&Path>,
    folder: Option<&Path>,
    origin: Option<&Origin>,
) -> anyhow::Result<()> {
    let documents = documents(kind, file, origin)?;
    let Some(folder) = folder else {
        let [only] = &documents[..] else {
            let what = "these are several files: write -o DIR, into which they go";
            return Err(anyhow!("{what}"));
        };
        return out::whole(&only.text);
    };
    fs::create_dir_all(folder).with_context(|| format!("could not make {}", folder.display()))?;
    for Document { name, text } in &documents {
        let path = folder.join(name);
        fs::write(&path, text).with_context(|| format!("could not write {}", path.display()))?;
        out::line(path.display())?;
    }
    Ok(())
}

fn documents(
    kind: Kind,
    file: Option<&Path>,
    origin: Option<&Origin>,
) -> anyhow::Result<Vec<Document>> {
    match kind {
        // It is that of every configuration, so none is read.
        Kind::Schema => Ok(vec![schema()]),
        Kind::Openapi => {
            let Loaded { catalog, settings, .. } = load::valid(file)?;
            let here = settings.server.origin();
            let site = site(&settings, origin, &here);
            Ok(vec![openapi::file(&catalog, site)])
        }
        Kind::Genesys => {
            let Loaded { catalog, settings, .. } = load::valid(file)?;
            if origin.is_none() {
                eprintln!(
                    "These actions call {SOMEWHERE}: write --url with the address at which Genesys \
                     Cloud reaches Holdline"
                );
            }
            genesys::files(&catalog, site(&settings, origin, SOMEWHERE)).map_err(cannot_be)
        }
        Kind::Terraform => {
            let Loaded { catalog, settings, .. } = load::valid(file)?;
            let site = site(&settings, origin, SOMEWHERE);
            terraform::files(&catalog, site, origin.is_some()).map_err(cannot_be)
        }
    }
}

/// Where the actions are: at `origin`, or at `otherwise` where nobody has said it.
fn site<'a>(settings: &'a Settings, origin: Option<&'a Origin>, otherwise: &'a str) -> Site<'a> {
    let origin = origin.map_or(otherwise, Origin::as_str);
    let asks_for_certificates = settings.server.asks_for_certificates();
    Site { origin, base_path: &settings.server.base_path, asks_for_certificates }
}

fn schema() -> Document {
    let text = serde_json::to_string_pretty(&config::schema::schema());
    let text = text.expect("JSON can be written") + "\n";
    Document { name: "holdline.schema.json".to_owned(), text }
}

fn cannot_be(wrong: Vec<String>) -> anyhow::Error {
    anyhow!("Genesys Cloud cannot have these\n{}", wrong.join("\n"))
}

/// Scheme, host and port at which callers reach the service, without a slash at its end.
#[derive(Debug, Clone)]
pub(super) struct Origin(String);

impl Origin {
    /// As it is written in front of a path.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for Origin {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const INSTEAD: &str = "must be like https://holdline.example.com, without a path";
        let url = Url::parse(text).map_err(|_| INSTEAD)?;
        let plain = matches!(url.scheme(), "http" | "https")
            && url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none();
        if plain { Ok(Self(url.origin().ascii_serialization())) } else { Err(INSTEAD) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_scheme_host_and_port_alone() {
        for (text, wanted) in [
            ("https://a.example", "https://a.example"),
            ("https://a.example/", "https://a.example"),
            ("http://A.example:8080", "http://a.example:8080"),
            ("https://a.example:443", "https://a.example"),
        ] {
            assert_eq!(text.parse::<Origin>().unwrap().0, wanted);
        }
        for text in [
            "",
            "a.example",
            "https://a/b",
            "https://a?b",
            "https://a#b",
            "ftp://a",
            "https://u:p@a",
        ] {
            assert!(text.parse::<Origin>().is_err(), "{text}");
        }
    }
}
