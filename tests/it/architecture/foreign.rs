//! Each foreign crate that shapes the code around it has one home.

use super::{Violation, source::Source};

/// A crate (or all whose names begin so, with `*`) and the modules that may name it.
const HOMES: [(&str, &[&str]); 28] = [
    ("axum", &["server", "demo"]),
    ("tower", &["server", "demo", "client"]),
    ("hyper", &["server", "demo", "client"]),
    ("hyper_util", &["server", "demo"]),
    ("reqwest", &["client", "pipeline/upstream", "pipeline/authenticate", "cli"]),
    ("reqwest_middleware", &["pipeline/upstream"]),
    ("reqwest_retry", &["pipeline/upstream"]),
    ("retry_policies", &["pipeline/upstream"]),
    ("rustls", &["tls", "client", "server/listener"]),
    ("tokio_rustls", &["server/listener"]),
    ("arc_swap", &["server", "pipeline/authenticate"]),
    ("moka", &["pipeline/cache", "pipeline/authenticate"]),
    ("triomphe", &["pipeline/cache"]),
    ("tikv_jemallocator", &["main"]),
    ("governor", &["pipeline/rate_limit"]),
    ("jsonwebtoken", &["pipeline/authenticate"]),
    ("metrics", &["telemetry"]),
    ("metrics_exporter_prometheus", &["telemetry"]),
    ("metrics_process", &["telemetry"]),
    ("opentelemetry*", &["telemetry"]),
    ("tracing_opentelemetry", &["telemetry"]),
    ("clap", &["cli", "main"]),
    ("saphyr_parser", &["config"]),
    ("strsim", &["config"]),
    ("humantime", &["config", "cli", "demo", "telemetry", "server/admin"]),
    ("jsonschema", &["catalog", "config"]),
    ("serde_json_path", &["catalog", "config", "pipeline/authenticate"]),
    ("anyhow", &["cli", "main", "pipeline/upstream"]),
];

/// The homes of a crate that has some.
fn homes(name: &str) -> Option<&'static [&'static str]> {
    let is = |pattern: &str| match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => name == pattern,
    };
    HOMES.iter().find(|(pattern, _)| is(pattern)).map(|(_, homes)| *homes)
}

/// Reports a foreign crate away from home.
pub(super) fn check(source: &Source<'_>, found: &mut Vec<Violation>) {
    let Some(module) = source.module() else {
        return;
    };
    let paths = source.paths();
    // `metrics` may also be a module of ours: one that this file declares, or imports by its path.
    let code = source.code();
    let declared = |name: &str| code.windows(2).any(|w| w[0].text == "mod" && w[1].text == name);
    let imported = |name: &str| {
        paths.iter().any(|other| other.binds == Some(name) && other.segments[0] != name)
    };
    for named in &paths {
        let name = named.segments[0];
        let Some(homes) = homes(name) else { continue };
        let at_home = |home: &&str| {
            let home: Vec<_> = home.split('/').collect();
            module.starts_with(&home)
        };
        let ours = !named.global && (declared(name) || imported(name));
        if ours || homes.iter().any(at_home) {
            continue;
        }
        found.push(Violation {
            rule: "foreign",
            path: source.path.into(),
            line: named.line,
            what: format!("`{name}` away from home; it lives in: {}", homes.join(", ")),
            mend: "ask its home for a function or type of ours instead".into(),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::super::expect_found;
    use super::*;

    #[test]
    fn a_foreign_crate_away_from_home_is_reported() {
        for (pattern, _) in HOMES {
            let name = pattern.trim_end_matches('*');
            let text = format!("//! Planted.\n\nuse {name}::Thing;\n");
            expect_found("src/mechanism/breaker.rs", &text, &["foreign:3"]);
            expect_found("src/lib.rs", &text, &["foreign:3"]);
        }
    }

    #[test]
    fn a_foreign_crate_at_home_is_not() {
        for (pattern, homes) in HOMES {
            let name = pattern.trim_end_matches('*');
            for home in homes {
                let text = format!("//! Planted.\n\nuse {name}::Thing;\n");
                expect_found(&format!("src/{home}.rs"), &text, &[]);
                if *home != "main" {
                    expect_found(&format!("src/{home}/mod.rs"), &text, &[]);
                    expect_found(&format!("src/{home}/part.rs"), &text, &[]);
                }
            }
        }
    }

    #[test]
    fn it_is_seen_however_it_is_named() {
        for line in [
            "use ::metrics::counter;",
            "use {axum::Router, std::fmt};",
            "pub(crate) fn f(x: axum::Router) {}",
            "fn f() { metrics::counter!(\"a\").increment(1); }",
            "#[derive(clap::Parser)] struct A;",
            "use opentelemetry_sdk::trace::Tracer;",
            "use anyhow;",
        ] {
            let text = format!("//! Planted.\n{line}\n");
            expect_found("src/pipeline/validate.rs", &text, &["foreign:2"]);
        }
    }

    #[test]
    fn a_module_of_ours_with_the_name_of_a_crate_is_ours() {
        for line in [
            "use crate::telemetry::metrics; fn f() { metrics::record(); }",
            "use crate::telemetry::{metrics, stage}; fn f() { metrics::record(); }",
            "mod metrics; fn f() { metrics::record(); }",
        ] {
            let text = format!("//! Planted.\n{line}\n");
            expect_found("src/pipeline/validate.rs", &text, &[]);
        }
        let text = "//! Planted.\nmod metrics;\nfn f() { ::metrics::counter!(\"a\"); }\n";
        expect_found("src/pipeline/validate.rs", text, &["foreign:3"]);
    }

    #[test]
    fn tests_may_use_any_crate() {
        let text = "//! Planted.\n#[cfg(test)]\nmod tests { use axum::Router; }\n";
        expect_found("src/client.rs", text, &[]);
        expect_found("tests/it/support/mod.rs", "//! Planted.\nuse axum::Router;\n", &[]);
    }
}
