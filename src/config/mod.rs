//! From YAML to a [`Catalog`] and [`Settings`]: read whole, checked whole, every problem told at
//! once with its place.
//!
//! A file goes through four steps. `tree` reads YAML so that everything knows its line; `expand`
//! puts in variables and secrets; the parts below read it in the order of the file, actions last
//! because they name the others; what is left over in any mapping is an unknown key.

pub mod nearest;
pub mod outline;
mod outside;
pub mod problem;
pub mod sources;

mod expand;
mod keyed;
mod node;
mod tree;

mod asked;
mod spelling;

mod secrets;
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
mod tls;
mod upstreams;

mod builtin;

use std::{
    fs::{self, File},
    io::Read as _,
    path::Path,
    sync::Arc,
};

use crate::{
    catalog::Catalog,
    config::{
        actions::Parts,
        expand::Env,
        links::Part,
        node::{Content, Node, Place},
        outline::Outline,
        problem::{Findings, Problem, Report},
        section::{NOT_SUPPORTED, Section, Value},
        sources::Sources,
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
    /// What is written, value by value.
    pub outline: Arc<Outline>,
    /// The files that it was made of.
    pub sources: Sources,
}

/// Reads the file at `path`, with variables out of `env`.
///
/// # Errors
/// Everything that is wrong with it.
pub fn load(path: &Path, env: &dyn Fn(&str) -> Option<String>) -> Result<Loaded, Report> {
    let findings = Findings::of(&path.display().to_string());
    let text = text_of(path, &findings).map_err(|(place, what, instead)| {
        findings.refuse(place, "", what, instead);
    });
    let read = text.ok().and_then(|text| read(&text, env, &findings));
    conclude(read, findings)
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
    conclude(read, findings)
}

fn conclude(read: Option<Read>, findings: Findings) -> Result<Loaded, Report> {
    let ((catalog, settings, outline), warnings, sources) = findings.conclude(read)?;
    Ok(Loaded { catalog, settings, warnings, outline, sources })
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
fn text_of(path: &Path, findings: &Findings) -> Result<String, (Place, String, &'static str)> {
    let unreadable = |why: String| (Place::FILE, why, "mend the path or the file");
    let mut bytes = Vec::new();
    if fs::metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
        // A pipe, such as a shell makes: read once, and never again.
        let file = File::open(path).map(|file| file.take(MAX_BYTES as u64 + 1));
        let read = file.and_then(|mut file| file.read_to_end(&mut bytes));
        read.map_err(|error| unreadable(format!("cannot be read ({})", error.kind())))?;
    } else {
        // One byte more than allowed, so that what is too large is told as such.
        bytes = findings.read_file(path, MAX_BYTES as u64 + 1).map_err(unreadable)?;
    }
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

/// What a file says, and how it says it.
type Read = (Catalog, Settings, Arc<Outline>);

fn read(text: &str, env: Env<'_>, findings: &Findings) -> Option<Read> {
    let mut root = tree::read(text, findings)?;
    expand::tree(&mut root, "", env, findings);
    let top = Value::root(&root, findings).section();
    refuse_other_version(&top);
    top.unsupported(&["shared"]);
    let catalog = catalog(&top);
    let settings = settings(&top, env);
    top.finish()?;
    let (catalog, mut settings) = (catalog?, settings?);
    let outline = Arc::new(Outline::of(&root, &findings.sources()));
    settings.revision = revision(&root, &catalog);
    settings.written = outline.lines().into();
    Some((catalog, settings, outline))
}

/// Every fault is told in [`Findings`]; what is wrong is merely left out here.
fn catalog(top: &Section<'_>) -> Option<Catalog> {
    let callers = Part::read(&top.section("callers"), "caller", callers::scheme);
    callers::refuse_taken_paths(&callers, base_path(top));
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

/// Where the actions are, as it is written: what is wrong with it is told by others.
fn base_path<'n>(top: &Section<'n>) -> &'n str {
    let written = top.section("server").value("base_path");
    match written.as_ref().map(Value::content) {
        Some(Content::Scalar(scalar)) => &scalar.text,
        Some(Content::List(_) | Content::Map(_) | Content::Broken) | None => server::BASE_PATH,
    }
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
        written: Arc::default(),
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
