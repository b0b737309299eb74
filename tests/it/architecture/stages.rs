//! Inside the pipeline imports point back along the path of a call, and no mechanism knows another.

use super::{Violation, source::Source};

/// The stages in the order in which a call meets them.
const STAGES: [&str; 6] =
    ["authenticate", "validate", "rate_limit", "cache", "upstream", "map_output"];

/// Files of the pipeline that stand above the stages and may name them all.
const ABOVE: [&str; 3] = ["failure", "operate", "succession"];

/// What mechanisms stand on: no policy itself, and it names none.
const GROUND: [&str; 1] = ["window"];

/// Reports a stage that names what comes after it, and a mechanism that names another.
pub(super) fn check(source: &Source<'_>, found: &mut Vec<Violation>) {
    let module = source.module().unwrap_or_default();
    match module.as_slice() {
        ["pipeline", part, ..] if !ABOVE.contains(part) => stage(source, part, found),
        ["mechanism", part, ..] => mechanism(source, part, found),
        _ => {}
    }
}

fn stage(source: &Source<'_>, part: &str, found: &mut Vec<Violation>) {
    let place = STAGES.iter().position(|stage| *stage == part);
    if place.is_none() && part != "call" {
        found.push(Violation {
            rule: "stages",
            path: source.path.into(),
            line: 1,
            what: format!("`pipeline::{part}` is not in the order of the stages"),
            mend:
                "put it into the stage it belongs to, or give it a place in ARCHITECTURE.md and in \
                   tests/it/architecture/stages.rs"
                    .into(),
        });
        return;
    }
    for named in source.paths() {
        let Some(path) = source.resolve(&named) else {
            continue;
        };
        if path.first() != Some(&"pipeline") {
            continue;
        }
        let target = path.get(1).copied().unwrap_or("*");
        let other = STAGES.iter().position(|stage| *stage == target);
        if target == part {
            continue;
        }
        let (what, mend) = match (place, other) {
            (Some(_), None) if target == "call" => continue,
            (Some(here), Some(there)) if there < here => continue,
            (Some(_), Some(_)) => (
                format!("`{part}` names `{target}`, a later stage"),
                "let the later stage take what this one hands on, or take it in as a closure",
            ),
            (Some(_), None) => (
                format!("`{part}` names `pipeline::{target}`, which stands above the stages"),
                "return an error type of the stage's own; failure.rs and mod.rs know the stages",
            ),
            (None, _) => (
                format!("`call` names `pipeline::{target}`"),
                "a call is what all stages share: keep it free of them",
            ),
        };
        let (path, line, mend) = (source.path.into(), named.line, mend.into());
        found.push(Violation { rule: "stages", path, line, what, mend });
    }
}

fn mechanism(source: &Source<'_>, part: &str, found: &mut Vec<Violation>) {
    for named in source.paths() {
        let Some(path) = source.resolve(&named) else {
            continue;
        };
        let target = path.get(1).copied().unwrap_or("*");
        let elsewhere = path.first() != Some(&"mechanism");
        if elsewhere || target == part || GROUND.contains(&target) {
            continue;
        }
        found.push(Violation {
            rule: "stages",
            path: source.path.into(),
            line: named.line,
            what: format!("the mechanism `{part}` names `mechanism::{target}`"),
            mend: "let the one who uses both put them together".into(),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::super::expect_found;
    use super::*;

    #[test]
    fn a_stage_may_name_earlier_stages_and_never_later_ones() {
        for (here, stage) in STAGES.iter().enumerate() {
            for (there, other) in STAGES.iter().enumerate() {
                let expected: &[_] = if there > here { &["stages:2"] } else { &[] };
                let text = format!("//! Planted.\nuse crate::pipeline::{other}::Thing;\n");
                expect_found(&format!("src/pipeline/{stage}.rs"), &text, expected);
                expect_found(&format!("src/pipeline/{stage}/mod.rs"), &text, expected);
                expect_found(&format!("src/pipeline/{stage}/part.rs"), &text, expected);
            }
        }
    }

    #[test]
    fn a_later_stage_is_seen_however_it_is_named() {
        for line in [
            "use super::super::upstream::Reply;",
            "use super::super::{call::Call, upstream::Reply};",
            "fn f(x: &crate::pipeline::upstream::Reply) {}",
        ] {
            let text = format!("//! Planted.\n{line}\n");
            expect_found("src/pipeline/cache/entry.rs", &text, &["stages:2"]);
        }
    }

    #[test]
    fn a_stage_names_nothing_that_stands_above_it() {
        for name in ["failure::Failure", "operate::Purge", "Pipeline", "*"] {
            let text = format!("//! Planted.\nuse super::{name};\n");
            expect_found("src/pipeline/validate.rs", &text, &["stages:2"]);
        }
        for line in ["use crate::pipeline;", "use super as pipeline;"] {
            let text = format!("//! Planted.\n{line}\n");
            expect_found("src/pipeline/validate.rs", &text, &["stages:2"]);
        }
        let text = "//! Planted.\nuse crate::pipeline::call::Call;\nuse super::call::Answer;\n";
        expect_found("src/pipeline/validate.rs", text, &[]);
    }

    #[test]
    fn the_call_names_no_stage() {
        for name in ["authenticate::Caller", "map_output::Mapped", "failure::Failure"] {
            let text = format!("//! Planted.\nuse super::{name};\n");
            expect_found("src/pipeline/call.rs", &text, &["stages:2"]);
        }
    }

    #[test]
    fn what_stands_above_the_stages_names_them_all() {
        for file in ["mod", "failure", "operate"] {
            for stage in STAGES {
                let text = format!("//! Planted.\nuse crate::pipeline::{stage}::Thing;\n");
                expect_found(&format!("src/pipeline/{file}.rs"), &text, &[]);
            }
        }
    }

    #[test]
    fn a_stage_without_a_place_in_the_order_is_reported() {
        expect_found("src/pipeline/enrich.rs", "//! Planted.\n", &["stages:1"]);
    }

    #[test]
    fn no_mechanism_knows_another() {
        let text = "//! Planted.\nuse super::budget::Budget;\nuse super::breaker::State;\n";
        expect_found("src/mechanism/breaker.rs", text, &["stages:2"]);
        let text = "//! Planted.\nuse crate::mechanism::{budget::Budget, breaker::State};\n";
        expect_found("src/mechanism/breaker/machine.rs", text, &["stages:2"]);
        expect_found("src/mechanism/window.rs", text, &["stages:2", "stages:2"]);
        let text = "//! Planted.\nuse crate::mechanism::window::Window;\n";
        expect_found("src/mechanism/budget.rs", text, &[]);
    }
}
