//! Whole requests, and inputs for the tests of the parts.

use serde_json::{json, value::RawValue};

use super::*;
use crate::catalog::{
    contract::{Contract, Field},
    scalar::Kind,
};

fn accept(fields: &[(&str, Kind)], given: &[(&str, String)]) -> Inputs {
    let fields = fields.iter().map(|(name, kind)| Field {
        name: (*name).into(),
        kind: *kind,
        required: false,
        description: String::new(),
        keywords: serde_json::Map::new(),
    });
    let raws: Vec<_> = given
        .iter()
        .map(|(name, json)| ((*name).to_owned(), RawValue::from_string(json.clone()).unwrap()))
        .collect();
    let given: Vec<_> = raws.iter().map(|(name, raw)| (name.clone(), &**raw)).collect();
    Contract::new(fields.collect()).unwrap().accept(&given).unwrap()
}

/// Inputs that are strings.
pub(super) fn inputs(given: &[(&str, &str)]) -> Inputs {
    let fields: Vec<_> = given.iter().map(|(name, _)| (*name, Kind::String)).collect();
    let given: Vec<_> =
        given.iter().map(|(name, value)| (*name, json!(value).to_string())).collect();
    accept(&fields, &given)
}

/// One input of each type, and one, `none`, that was left out.
pub(super) fn typed() -> Inputs {
    accept(
        &[
            ("id", Kind::Integer),
            ("rate", Kind::Number),
            ("vip", Kind::Boolean),
            ("name", Kind::String),
            ("none", Kind::String),
        ],
        &[
            ("id", "9007199254740993".to_owned()),
            ("rate", "2.50".to_owned()),
            ("vip", "true".to_owned()),
            ("name", json!("A \"quoted\" \\ \n name").to_string()),
        ],
    )
}

fn template(
    url: &str,
    headers: &[(&str, &str)],
    body: Option<serde_json::Value>,
) -> RequestTemplate {
    RequestTemplate {
        method: Method::POST,
        url: UrlTemplate::parse(url).unwrap(),
        headers: headers
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), HeaderTemplate::parse(value).unwrap()))
            .collect(),
        body: body.map(|body| BodyTemplate::parse(body).unwrap()),
    }
}

fn upstream() -> Url {
    Url::parse("https://crm.example/api").unwrap()
}

#[test]
fn the_parts_come_together() {
    let template = template(
        "/users/{id}{?rate,none}",
        &[("x-vip", "{vip}"), ("x-none", "{none}")],
        Some(json!({"id": "{id}", "none": "{none}"})),
    );
    let rendered = template.render(&upstream(), &typed()).unwrap();
    assert_eq!(rendered.method, Method::POST);
    assert_eq!(rendered.url.as_str(), "https://crm.example/api/users/9007199254740993?rate=2.5");
    assert_eq!(rendered.headers["x-vip"], "true");
    assert_eq!(rendered.headers[CONTENT_TYPE], "application/json");
    assert_eq!(rendered.headers.len(), 2);
    assert_eq!(rendered.body.unwrap(), r#"{"id":9007199254740993}"#);
}

#[test]
fn debug_shows_neither_keys_nor_values() {
    let template =
        template("/{id}", &[("x-key", "S3CRET")], Some(json!({"key": "S3CRET", "n": "{name}"})));
    let rendered = template.render(&upstream(), &typed()).unwrap();
    let shown = format!("{template:?} {rendered:?}");
    for hidden in ["S3CRET", "9007199254740993", "quoted"] {
        assert!(!shown.contains(hidden), "{shown}");
    }
}

#[test]
fn a_content_type_of_the_template_stands_and_no_body_has_none() {
    let typed_body =
        template("/", &[("content-type", "application/vnd.x+json")], Some(json!({"a": 1})));
    let rendered = typed_body.render(&upstream(), &typed()).unwrap();
    assert_eq!(rendered.headers[CONTENT_TYPE], "application/vnd.x+json");
    for body in [None, Some(json!("{none}"))] {
        let rendered = template("/", &[], body).render(&upstream(), &typed()).unwrap();
        assert!(rendered.headers.is_empty());
        assert!(rendered.body.is_none());
    }
}

#[test]
fn every_problem_is_named_once_and_render_stops_at_the_first() {
    let template =
        template("/{a}/{a}/{b}{?a}", &[("x-c", "{c}"), ("x-d", "{c}"), ("x-b", "{b}")], None);
    let inputs = inputs(&[("a", ".."), ("b", "\t"), ("c", "\u{e9}")]);
    let problems: Vec<_> = template
        .refuse(&inputs)
        .iter()
        .map(|problem| format!("{} {}", problem.field, problem.what))
        .collect();
    assert_eq!(
        problems,
        [
            "a must not be . or .. in the path",
            "b must not have control characters",
            "c must be visible ASCII without a space at its ends",
            "b must be visible ASCII without a space at its ends",
        ]
    );
    let first = template.render(&upstream(), &inputs).unwrap_err();
    assert_eq!((&*first.field, &*first.what), ("a", "must not be . or .. in the path"));
}

#[test]
fn what_is_not_refused_can_be_rendered() {
    let template = template("/x-{a}{?b}", &[("x-b", "{b}")], Some(json!({"a": "{a}"})));
    for (a, b) in [("", ""), ("a/b", "c d"), ("%2e%2e", "?#&="), ("\u{1f600}", "~")] {
        let inputs = inputs(&[("a", a), ("b", b)]);
        assert_eq!(template.refuse(&inputs), []);
        assert!(template.render(&upstream(), &inputs).is_ok(), "{a} {b}");
    }
}
