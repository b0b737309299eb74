//! The OpenAPI document as a page for people: one HTML file without any script, which needs nothing
//! from anywhere.

use std::fmt::Write;

use serde_json::{Map, Value};

/// The page's style sheet, so that whoever serves the page can allow this one and no other.
pub const STYLE: &str = include_str!("page.css");

/// Keywords that are told in a place of their own, or that say nothing to a reader.
const TOLD_ELSEWHERE: [&str; 4] = ["type", "description", "anyOf", "title"];

/// The page of that document.
pub fn of(document: &Value) -> String {
    let mut out = String::with_capacity(16 << 10);
    let title = escaped(document["info"]["title"].as_str().unwrap_or_default());
    let _ = write!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<header>\n<h1>{title}</h1>\n"
    );
    let server = document["servers"][0]["url"].as_str().unwrap_or_default();
    let _ = writeln!(
        out,
        "<p>At <code>{}</code>. The same for machines: <a href=\"openapi.json\">openapi.json</a>.</p>",
        escaped(server)
    );
    let operations: Vec<_> = members(&document["paths"]).collect();
    out.push_str("<ul>\n");
    for (_, path) in &operations {
        let name = escaped(path["post"]["operationId"].as_str().unwrap_or_default());
        let summary = escaped(path["post"]["summary"].as_str().unwrap_or_default());
        let _ = writeln!(out, "<li><a href=\"#{name}\">{name}</a> {summary}</li>");
    }
    out.push_str("</ul>\n</header>\n<main>\n");
    for (path, item) in &operations {
        section(path, &item["post"], &document["components"]["securitySchemes"], &mut out);
    }
    out.push_str("</main>\n</body>\n</html>\n");
    out
}

fn section(path: &str, operation: &Value, schemes: &Value, out: &mut String) {
    let text = |key: &str| escaped(operation[key].as_str().unwrap_or_default());
    let (name, summary, description) = (text("operationId"), text("summary"), text("description"));
    let _ = write!(
        out,
        "<section id=\"{name}\">\n<h2>{name}</h2>\n<p>{summary}. {description}</p>\n\
         <p class=\"path\"><b>POST</b> <code>{}</code></p>\n<p>{}</p>\n",
        escaped(path),
        proofs(&operation["security"], schemes)
    );
    let input = &operation["requestBody"]["content"]["application/json"]["schema"];
    fields("Inputs", input, true, out);
    let answer = &operation["responses"]["200"]["content"]["application/json"]["schema"];
    fields("Outputs", answer, false, out);
    out.push_str("<h3>Answers</h3>\n<table>\n<tr><th>Status</th><th>When</th></tr>\n");
    for (status, response) in members(&operation["responses"]) {
        let when = response["description"].as_str().unwrap_or_default();
        let _ = writeln!(out, "<tr><td>{}</td><td>{}</td></tr>", escaped(status), marked(when));
    }
    out.push_str("</table>\n</section>\n");
}

/// What proves the caller, as HTML.
fn proofs(security: &Value, schemes: &Value) -> String {
    let is_certificate = |name: &str| schemes[name]["type"] == "mutualTLS";
    let named = security.as_array().into_iter().flatten().flat_map(members).map(|(name, _)| name);
    let names: Vec<_> = named.collect();
    // With a certificate, it stands beside every other proof, and alone where there is none.
    let certificate = match names.iter().any(|name| is_certificate(name.as_str())) {
        true => " Whoever connects shows a certificate.",
        false => "",
    };
    let ways: Vec<_> = names
        .into_iter()
        .filter(|name| !is_certificate(name.as_str()))
        .map(|name| {
            let scheme = &schemes[name];
            let what = scheme["description"].as_str().unwrap_or_default();
            let header = scheme["name"].as_str().unwrap_or("Authorization");
            format!("{}: {}, in <code>{}</code>", escaped(name), escaped(what), escaped(header))
        })
        .collect();
    let told = match &ways[..] {
        [] => "Anybody may call it.".to_owned(),
        [only] => format!("Callers prove themselves by {only}."),
        several => format!("Callers prove themselves by any of: {}.", several.join("; ")),
    };
    told + certificate
}

/// A table of the members of an object, which may stand in an envelope.
fn fields(title: &str, schema: &Value, is_input: bool, out: &mut String) {
    let inner = &schema["properties"]["data"];
    let (object, envelope) = if inner["type"] == "object" {
        (inner, " <small>in <code>data</code></small>")
    } else {
        (schema, "")
    };
    let _ = writeln!(out, "<h3>{title}{envelope}</h3>");
    let rows: Vec<_> = members(&object["properties"]).collect();
    if rows.is_empty() {
        out.push_str("<p>None.</p>\n");
        return;
    }
    out.push_str("<table>\n<tr><th>Name</th><th>Type</th><th>Description</th></tr>\n");
    let required: Vec<_> =
        object["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for (name, schema) in rows {
        let optional =
            if is_input && !required.contains(&&**name) { " <small>optional</small>" } else { "" };
        let description = schema["description"].as_str().unwrap_or_default();
        let _ = writeln!(
            out,
            "<tr><td><code>{}</code>{optional}</td><td>{}</td><td>{}</td></tr>",
            escaped(name),
            kind(schema),
            marked(description)
        );
    }
    out.push_str("</table>\n");
}

/// Type and keywords, as HTML.
fn kind(schema: &Value) -> String {
    // An integer, and the text of its digits.
    let (schema, also) = match schema["anyOf"].as_array().map(Vec::as_slice) {
        Some([integer, text]) if text["type"] == "string" && schema["type"].is_null() => {
            (integer, " <small>or its digits as a string</small>")
        }
        _ => (schema, ""),
    };
    let mut out = schema["type"].as_str().map(escaped).unwrap_or_default() + also;
    for (keyword, value) in members(schema) {
        let is_end = *value == i64::MIN || *value == u64::MAX;
        if is_end || TOLD_ELSEWHERE.contains(&&**keyword) {
            continue;
        }
        let plain = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let _ =
            write!(out, "<br><small>{} <code>{}</code></small>", escaped(keyword), escaped(&plain));
    }
    out
}

fn members(object: &Value) -> impl Iterator<Item = (&String, &Value)> {
    object.as_object().into_iter().flat_map(Map::iter)
}

/// Text as HTML.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

/// Text as HTML, line by line, with what stands between backquotes as code.
fn marked(text: &str) -> String {
    let parts: Vec<_> = text.split('`').collect();
    if parts.len() % 2 == 0 {
        return escaped(text);
    }
    let mark = |(at, part): (usize, &&str)| match at % 2 {
        0 => escaped(part),
        _ => format!("<code>{}</code>", escaped(part)),
    };
    let marked: String = parts.iter().enumerate().map(mark).collect();
    marked.replace('\n', "<br>")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nothing_of_the_configuration_is_taken_for_html() {
        let document = json!({
            "info": {"title": "<b>"},
            "paths": {"/a\"b": {"post": {
                "operationId": "x",
                "summary": "<script>alert(1)</script>",
                "security": [{"<i>": []}],
                "requestBody": {"content": {"application/json": {"schema": {
                    "properties": {"a": {"type": "string", "pattern": "<img>", "description": "`<u>`"}}
                }}}},
                "responses": {"200": {"description": "a & b"}},
            }}},
        });
        let page = of(&document);
        for raw in ["<b></", "<script", "<i>", "<img", "<u>", "/a\"b", "a & b"] {
            assert!(!page.contains(raw), "{raw}");
        }
        assert!(page.contains("<code>&lt;u&gt;</code>"));
    }

    #[test]
    fn the_page_asks_nobody_for_anything() {
        let page =
            of(&json!({"info": {"title": "t"}, "servers": [{"url": "https://a"}], "paths": {}}));
        for wish in ["src=", "<script", "<link", "@import", "url(", "href=\"http"] {
            assert!(!page.contains(wish), "{wish}");
        }
    }
}
