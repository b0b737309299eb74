//! From YAML to a [`Catalog`] and [`Settings`]: read whole, checked whole, every problem told at
//! once with its place.
//!
//! A file goes through four steps. `tree` reads YAML so that everything knows its line; `expand`
//! puts in variables and secrets; the parts below read it in the order of the file, actions last
//! because they name the others; what is left over in any mapping is an unknown key.

pub mod nearest;
pub mod problem;

mod expand;
mod node;
mod tree;

mod asked;
mod spelling;

mod section;
mod values;

mod hosts;
mod json;

mod actions;
mod cached;
mod callers;
mod contracts;
mod ladder;
mod limits;
mod links;
mod request;
mod revision;
pub mod schema;
mod server;
mod upstreams;

mod builtin;

use std::{fs::File, io::Read as _, path::Path};

use crate::{
    catalog::Catalog,
    config::{
        actions::Parts,
        expand::Env,
        links::Part,
        node::{Node, Place},
        problem::{Findings, Problem, Report},
        section::{NOT_SUPPORTED, Section, Value},
        tree::MAX_BYTES,
    },
    settings::Settings,
};

/// A configuration without a fault.
#[derive(Debug)]
pub struct Loaded {
    /// What may be called, by whom, and how.
    pub catalog: Catalog,
    /// How this process runs.
    pub settings: Settings,
    /// What is accepted, but better changed.
    pub warnings: Vec<Problem>,
}

/// Reads the file at `path`, with variables out of `env`.
///
/// # Errors
/// Everything that is wrong with it.
pub fn load(path: &Path, env: &dyn Fn(&str) -> Option<String>) -> Result<Loaded, Report> {
    let name = path.display().to_string();
    match text_of(path) {
        Ok(text) => parse(&name, &text, env),
        Err((place, what, instead)) => {
            let findings = Findings::of(&name);
            findings.refuse(place, "", what, instead);
            findings.conclude::<Loaded>(None).map(|(loaded, _)| loaded)
        }
    }
}

/// Reads `text` and calls it `name` in reports, with variables out of `env`.
///
/// # Errors
/// Everything that is wrong with it.
pub fn parse(
    name: &str,
    text: &str,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Loaded, Report> {
    let findings = Findings::of(name);
    let read = read(text, env, &findings);
    let ((catalog, settings), warnings) = findings.conclude(read)?;
    Ok(Loaded { catalog, settings, warnings })
}

/// The configuration that is used where none is given: the tutorial's own action, steered by
/// `GENESYS_REGION`, `GENESYS_ORG_ID`, `GENESYS_API_BASE` and `EXTERNAL_API_BASE`.
///
/// # Errors
/// What is wrong with these variables.
pub fn builtin(env: &dyn Fn(&str) -> Option<String>) -> Result<Loaded, Report> {
    parse(BUILTIN, builtin::TEXT, env)
}

/// What the configuration is called in reports that is used where none is given.
pub const BUILTIN: &str = "built-in";

/// The text of a file of at most [`MAX_BYTES`].
fn text_of(path: &Path) -> Result<String, (Place, String, &'static str)> {
    let unreadable = |error: std::io::Error| {
        (Place::FILE, format!("cannot be read ({})", error.kind()), "mend the path or the file")
    };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    // One byte more than allowed, so that what is too large is seen without being read.
    file.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() > MAX_BYTES {
        return Err((Place::FILE, "is larger than 1 MiB".to_owned(), "write a smaller file"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let before = String::from_utf8_lossy(&error.as_bytes()[..good]).into_owned();
        let column = before.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
        let place = Place { line: before.matches('\n').count() + 1, column };
        (place, "is not text in UTF-8".to_owned(), "save the file as UTF-8")
    })
}

fn read(text: &str, env: Env<'_>, findings: &Findings) -> Option<(Catalog, Settings)> {
    let mut root = tree::read(text, findings)?;
    expand::tree(&mut root, "", env, findings);
    let top = Value::root(&root, findings).section();
    refuse_other_version(&top);
    top.unsupported(&["shared"]);
    let catalog = catalog(&top);
    let settings = settings(&top, env);
    top.finish()?;
    let (catalog, mut settings) = (catalog?, settings?);
    settings.revision = revision(&root, &catalog);
    Some((catalog, settings))
}

/// Every fault is told in [`Findings`]; what is wrong is merely left out here.
fn catalog(top: &Section<'_>) -> Option<Catalog> {
    let callers = Part::read(&top.section("callers"), "caller", callers::scheme);
    let limits = Part::read(&top.section("limits"), "limit", limits::limit);
    let upstreams = Part::read(&top.section("upstreams"), "upstream", upstreams::upstream);
    let parts = Parts { callers: &callers, limits: &limits, upstreams: &upstreams };
    let written = top.written("actions", "write at least one action")?;
    let section = written.section();
    if section.is_empty() {
        section.refuse("has no action", "write at least one action");
        return None;
    }
    let actions =
        Part::read(&section, "action", |name, section| actions::action(name, section, parts));
    // Beside a wrong name this would be said of the one that was meant.
    if top.is_good_so_far() {
        callers.warn_of_unnamed();
        limits.warn_of_unnamed();
        upstreams.warn_of_unnamed();
    }
    Some(Catalog {
        actions: actions.into_built(),
        callers: callers.into_built(),
        limits: limits.into_built(),
        upstreams: upstreams.into_built(),
    })
}

fn settings(top: &Section<'_>, env: Env<'_>) -> Option<Settings> {
    let server = server::server(&top.section("server"));
    let probes = server::probes(&top.section("probes"));
    let admin = server::admin(&top.section("admin"));
    server::refuse_same_port(&server::listeners(top));
    let telemetry = server::telemetry(&top.section("telemetry"), env);
    let cache = server::cache(&top.section("cache"));
    Some(Settings {
        server: server?,
        probes: probes?,
        admin: admin?,
        telemetry: telemetry?,
        cache: cache?,
        revision: String::new(),
    })
}

fn refuse_other_version(top: &Section<'_>) {
    top.read("version", (), |value| {
        if value.plain("must be 1", "write 1")? != "1" {
            value.refuse(format!("another version than 1 {NOT_SUPPORTED}"), "write 1");
        }
        Some(())
    });
}

fn revision(root: &Node, catalog: &Catalog) -> String {
    revision::of_file(root, catalog.actions.values().map(|action| action.revision))
}

#[cfg(test)]
mod tests;
