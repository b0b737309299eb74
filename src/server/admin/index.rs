//! `GET /`: what there is on this listener, for whoever lands there: as a page in a browser, as JSON for
//! programs. It changes nothing and has no script.

use std::fmt::Write;

use axum::{
    Json,
    http::{HeaderMap, header::ACCEPT},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use crate::{export::page, server::admin::docs};

/// What there is: method, path, and what it does or tells.
const PATHS: [(&str, &str, &str); 18] = [
    ("GET", "/", "This list"),
    ("GET", "/info", "What runs here, since when, how it stands, and what is forced"),
    ("GET", "/upstreams", "How each upstream stands: breaker, attempts, retry budget, latency"),
    (
        "GET",
        "/explain",
        "The last calls that did not succeed; ?action= ?outcome= ?class= ?upstream= ?most=",
    ),
    (
        "GET",
        "/explain/{id}",
        "What happened to one of the last calls, by its X-Request-Id or its trace id",
    ),
    ("GET", "/limits", "How each rate limit stands, and what is under way"),
    ("GET", "/caches", "How full the caches are, and what they are good for"),
    ("GET", "/config", "The configuration in force, without secrets"),
    ("GET", "/docs", "The actions as a page"),
    ("GET", "/openapi.json", "The actions as OpenAPI 3.1"),
    ("POST", "/breakers/{upstream}", "Forces a breaker for a while, or gives it back to its rules"),
    ("POST", "/cache/purge", "Removes answers of a customer or an action, or marks them stale"),
    ("POST", "/tokens/revoke", "Trusts tokens no more that were trusted"),
    ("POST", "/drain", "Takes this instance out of rotation for a while"),
    ("POST", "/undrain", "Puts it back"),
    ("POST", "/reload", "Reads the configuration anew and puts it in force, whole or not at all"),
    ("POST", "/log-level", "Writes more log lines for a while, or fewer"),
    ("GET", "elsewhere: /metrics, /readyz, /livez, /startupz", "On the listener of probes"),
];

/// Shows it.
pub(super) async fn show(headers: HeaderMap) -> Response {
    let accepts = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    // A browser names HTML; who takes anything, as curl does, gets what programs read.
    if accepts.into_iter().any(|accepts| accepts.contains("text/html")) {
        return docs::quiet(as_page());
    }
    let paths: Vec<Value> = PATHS
        .iter()
        .map(|(method, path, does)| json!({ "method": method, "path": path, "does": does }))
        .collect();
    Json(json!({ "paths": paths })).into_response()
}

fn as_page() -> String {
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>Holdline</title>\n<style>{}</style>\n</head>\n<body>\n<h1>Holdline {}</h1>\n<table>\n\
         <tr><th>Path</th><th>What it does</th></tr>\n",
        page::STYLE,
        env!("CARGO_PKG_VERSION")
    );
    for (method, path, does) in PATHS {
        // What is read and has no part to fill in can be followed.
        let path = match method {
            "GET" if path.starts_with('/') && !path.contains('{') => {
                format!("<a href=\"{path}\">{path}</a>")
            }
            _ => path.to_owned(),
        };
        let _ = writeln!(out, "<tr><td><code>{method} {path}</code></td><td>{does}</td></tr>");
    }
    out.push_str("</table>\n</body>\n</html>\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_is_listed_and_every_path_is_a_route() {
        let source = include_str!("mod.rs");
        let operator = source.split_once("pub fn operator_routes").unwrap().1;
        let routes: Vec<_> = operator.split(".route(\"").skip(1).collect();
        let here: Vec<_> = PATHS.iter().filter(|(_, path, _)| path.starts_with('/')).collect();
        for (method, path, _) in &here {
            let (place, does) = (format!("{path}\","), format!("{}(", method.to_lowercase()));
            let is_there = |route: &&str| route.starts_with(&place) && route.contains(&does);
            assert!(routes.iter().any(is_there), "{method} {path}");
        }
        assert_eq!(routes.len(), here.len());
    }

    #[test]
    fn the_page_asks_nobody_for_anything_and_says_nothing_that_would_be_html() {
        let page = as_page();
        for wish in ["src=", "<script", "<link", "@import", "url(", "href=\"http"] {
            assert!(!page.contains(wish), "{wish}");
        }
        for (_, path, does) in PATHS {
            assert!(![path, does].concat().contains(['<', '>', '&', '"']), "{path}: {does}");
        }
    }
}
