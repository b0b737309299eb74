//! Imports point down: who may name whom among the modules of the crate.

use super::{Violation, source::Source};

/// Bottom modules: they import nothing of ours, and everybody but the catalog may import them.
const BOTTOM: [&str; 5] = ["time", "chance", "fingerprint", "background", "tls"];

/// Each other module and what it may import, bottom modules aside.
const MAY_IMPORT: [(&str, &[&str]); 13] = [
    ("catalog", &["fingerprint", "tls"]),
    ("settings", &[]),
    ("mechanism", &["catalog"]),
    ("client", &["catalog", "settings"]),
    ("redis", &["settings", "mechanism"]),
    ("telemetry", &["catalog", "settings"]),
    ("pipeline", &["catalog", "mechanism", "client", "telemetry", "redis"]),
    ("export", &["catalog"]),
    ("server", &["pipeline", "catalog", "export", "telemetry", "settings"]),
    ("proxy", &["server", "pipeline", "telemetry", "client", "redis", "catalog", "settings"]),
    ("config", &["catalog", "settings"]),
    ("demo", &[]),
    (
        "cli",
        &[
            "catalog",
            "settings",
            "mechanism",
            "client",
            "redis",
            "telemetry",
            "pipeline",
            "export",
            "server",
            "proxy",
            "config",
            "demo",
        ],
    ),
];

/// What `module` may import. `None` for a module that is not in the table.
fn may_import(module: &str) -> Option<Vec<&'static str>> {
    if BOTTOM.contains(&module) {
        return Some(Vec::new());
    }
    if module == "main" {
        return Some(vec!["cli"]);
    }
    let (_, row) = MAY_IMPORT.iter().find(|(name, _)| *name == module)?;
    let ground = if module == "catalog" { &[][..] } else { &BOTTOM[..] };
    Some([ground, row].concat())
}

/// Whether the table knows that module.
fn is_known(module: &str) -> bool {
    may_import(module).is_some()
}

/// Reports imports that the table does not allow, and modules that it does not know.
pub(super) fn check(source: &Source<'_>, found: &mut Vec<Violation>) {
    let Some(module) = source.module() else {
        return;
    };
    // lib.rs only declares the modules.
    let Some(importer) = module.first() else {
        return;
    };
    let Some(allowed) = may_import(importer) else {
        found.push(Violation {
            rule: "imports",
            path: source.path.into(),
            line: 1,
            what: format!("`{importer}` is not in the table of modules"),
            mend:
                "put it into the module it belongs to, or give it a row in ARCHITECTURE.md and in \
                   tests/it/architecture/imports.rs"
                    .into(),
        });
        return;
    };
    for named in source.paths() {
        let Some(path) = source.resolve(&named) else {
            continue;
        };
        let target = path.first().copied().unwrap_or("*");
        if target == *importer || allowed.contains(&target) {
            continue;
        }
        let (what, mend) = if is_known(target) {
            let may = if allowed.is_empty() { "nothing".into() } else { allowed.join(", ") };
            let what = format!("`{importer}` imports `{target}`; it may import: {may}");
            (what, "hand the value in from above, or move what both need further down")
        } else {
            let what = format!("`{importer}` names `{target}` at the root of the crate");
            (what, "name the module in which the thing stands; the root only declares modules")
        };
        found.push(Violation {
            rule: "imports",
            path: source.path.into(),
            line: named.line,
            what,
            mend: mend.into(),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::super::expect_found;
    use super::*;

    fn import(module: &str, target: &str, expected: &[&str]) {
        let text = format!("//! Planted.\n\nuse crate::{target}::Thing;\n");
        expect_found(&format!("src/{module}.rs"), &text, expected);
    }

    #[test]
    fn an_import_that_points_up_is_reported() {
        for (module, target) in [
            ("time", "settings"),
            ("time", "chance"),
            ("background", "time"),
            ("catalog", "time"),
            ("catalog", "settings"),
            ("settings", "catalog"),
            ("mechanism", "telemetry"),
            ("client", "telemetry"),
            ("redis", "catalog"),
            ("telemetry", "pipeline"),
            ("telemetry", "mechanism"),
            ("export", "pipeline"),
            ("server", "redis"),
            ("server", "config"),
            ("proxy", "config"),
            ("proxy", "cli"),
            ("config", "server"),
            ("demo", "catalog"),
        ] {
            import(module, target, &["imports:3"]);
        }
        let text = "//! Planted.\nuse crate::settings::Settings;\n";
        expect_found("src/pipeline/call.rs", text, &["imports:2"]);
    }

    #[test]
    fn an_import_that_points_down_is_none_of_our_business() {
        for (module, target) in [
            ("catalog", "fingerprint"),
            ("settings", "time"),
            ("mechanism", "catalog"),
            ("client", "settings"),
            ("redis", "mechanism"),
            ("telemetry", "catalog"),
            ("export", "catalog"),
            ("server", "export"),
            ("proxy", "server"),
            ("config", "fingerprint"),
            ("demo", "background"),
            ("cli", "config"),
            ("cli", "proxy"),
        ] {
            import(module, target, &[]);
        }
    }

    #[test]
    fn only_cli_imports_config() {
        let modules = MAY_IMPORT.iter().map(|(name, _)| *name).chain(BOTTOM).chain(["main"]);
        for module in modules {
            let may = may_import(module).expect("every module of the table has a row");
            assert_eq!(may.contains(&"config"), module == "cli", "{module}");
        }
    }

    #[test]
    fn the_table_has_no_cycle() {
        let mut settled: Vec<&str> = Vec::new();
        let mut waiting: Vec<&str> =
            MAY_IMPORT.iter().map(|(name, _)| *name).chain(BOTTOM).collect();
        while !waiting.is_empty() {
            let stands = |module: &&str| {
                may_import(module).is_some_and(|row| row.iter().all(|to| settled.contains(to)))
            };
            let (next, rest): (Vec<_>, Vec<_>) = waiting.iter().copied().partition(stands);
            assert!(!next.is_empty(), "these import each other: {rest:?}");
            settled.extend(next);
            waiting = rest;
        }
    }

    #[test]
    fn an_import_is_seen_however_it_is_written() {
        for line in [
            "use crate::{time::now, server::Server};",
            "pub(crate) use super::super::server as s;",
            "fn f(x: crate::server::Server) {}",
            "fn f() { let _ = crate::server::bind(); }",
            "#[crate::server::route] fn f() {}",
            "mod inner { use super::super::super::server::Server; }",
            "use holdline::server::Server;",
            "macro_rules! m { () => { $crate::server::bind() }; }",
        ] {
            let text = format!("//! Planted.\n{line}\n");
            expect_found("src/telemetry/stage.rs", &text, &["imports:2"]);
        }
    }

    #[test]
    fn the_root_of_the_crate_is_no_way_round() {
        for line in ["use crate as root;", "use crate::*;", "use crate::Proxy;", "use super::*;"] {
            let text = format!("//! Planted.\n{line}\n");
            expect_found("src/telemetry.rs", &text, &["imports:2"]);
        }
    }

    #[test]
    fn tests_comments_and_strings_may_name_anything() {
        let text = "//! See crate::server.\n/// [`crate::server::Server`]\nconst A: &str = \"crate::server::X\";
pub(crate) fn f() {}
#[cfg(test)]\nmod tests {\n    use super::*;\n    use crate::server::Server;\n}\n";
        expect_found("src/telemetry/stage.rs", text, &[]);
        let text = "//! Planted.\nuse crate::server::Server;\n";
        expect_found("src/telemetry/stage/tests.rs", text, &[]);
    }

    #[test]
    fn a_module_without_a_row_is_reported() {
        expect_found("src/plugins/mod.rs", "//! Planted.\n", &["imports:1"]);
    }

    #[test]
    fn the_program_only_calls_the_command_line() {
        let text = "//! Planted.\nuse holdline::cli;\nfn main() { holdline::proxy::start(); }\n";
        expect_found("src/main.rs", text, &["imports:3"]);
    }
}
