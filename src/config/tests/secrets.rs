//! No secret is ever told, whatever is wrong around it.

use std::io::Write as _;

use secrecy::ExposeSecret as _;
use serde_json::Value as Json;

use crate::{catalog::caller::Proof, config::parse};

use super::{accepted, good_but, no_env, problems, warnings};

const SECRET: &str = "s3cr3t{unclosed";

fn file_of(content: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(content.as_bytes()).unwrap();
    file
}

#[test]
fn a_secret_is_never_told_wherever_it_is_put() {
    let file = file_of(SECRET);
    let written = format!("\"${{file:{}}}\"", file.path().display());
    for (from, to) in [
        ("eu-west-1", &written),
        ("https://crm.example.com/v2", &written),
        ("timeout: 5s", &format!("timeout: {written}")),
        ("max_body: 256KiB", &format!("max_body: {written}")),
        ("rate: 1000/s", &format!("rate: {written}")),
        ("burst: 2000", &format!("burst: {written}")),
        ("key: caller", &format!("key: {written}")),
        ("format: json", &format!("format: {written}")),
        ("sample_ratio: 0.1", &format!("sample_ratio: {written}")),
        ("org: $.organization.id", &format!("org: {written}")),
        ("[connect, 503]", &format!("[connect, {written}]")),
        ("/users/{customer_id}", &written),
        ("from: $.name", &format!("from: {written}")),
        ("default: Unknown", &format!("default: {written}")),
        ("minimum: 1", &format!("minimum: {written}")),
        ("upstream: crm", &format!("upstream: {written}")),
        ("customer: customer_id", &format!("customer: {written}")),
        ("method: GET", &format!("method: {written}")),
        ("method: GET", &format!("method: GET\n      headers: {{X-A: {written}}}")),
        ("method: GET", &format!("method: POST\n      body: {{a: {written}}}")),
        ("enforce: false", &format!("enforce: {written}")),
        ("version: 1", &format!("version: {written}")),
        ("listen: 0.0.0.0:8080", &format!("listen: {written}")),
        ("    limits: [per_caller, per_customer]", &format!("    limits: {written}")),
        ("    type: api_key", &format!("    type: api_key\n    header: {written}")),
        ("  drain: {delay: 5s, timeout: 30s}", &format!("  drain: {written}")),
    ] {
        let report = parse("f", &good_but(from, to), &no_env).unwrap_err();
        let text = format!("{report} {report:?}");
        assert!(!text.contains("s3cr3t"), "{to}: {text}");
    }
}

#[test]
fn secrets_reach_the_places_made_for_them_and_no_debug_text() {
    let file = file_of("s3cr3t\n");
    let written = format!("\"${{file:{}}}\"", file.path().display());
    let yaml = good_but("ivr: a-key", &format!("ivr: {written}"))
        .replace("X-Tenant: acme", &format!("Authorization: {written}"))
        .replace(
            "  listen: 127.0.0.1:9901",
            &format!("  listen: 0.0.0.0:9901\n  token: {written}"),
        );
    let loaded = accepted(&yaml);
    let Proof::ApiKey(keys) = &loaded.catalog.callers["portal"].proof else { panic!() };
    assert_eq!((&*keys[0].client, keys[0].secret.expose_secret()), ("ivr", "s3cr3t"));
    assert_eq!(loaded.settings.admin.token.as_ref().unwrap().expose_secret(), "s3cr3t");
    assert_eq!(loaded.catalog.upstreams["crm"].headers[0].1, "s3cr3t");
    assert!(!format!("{loaded:?}").contains("s3cr3t"));

    let other = file_of("0th3r");
    let rotated =
        yaml.replace(&file.path().display().to_string(), &other.path().display().to_string());
    assert_eq!(accepted(&rotated).settings.revision, loaded.settings.revision);
    let literal = accepted(&good_but("ivr: a-key", "ivr: b-key")).settings.revision;
    assert_eq!(literal, accepted(super::GOOD).settings.revision);
}

#[test]
fn secrets_at_fault_are_named_by_their_place() {
    assert_eq!(
        problems("web: another-key", "web: a-key"),
        ["20:29 callers.portal.keys.web: is the same key as that of `ivr`; write another"]
    );
    assert_eq!(
        problems("web: another-key", "web: a key"),
        [
            "20:29 callers.portal.keys.web: must be visible ASCII without spaces; write ${file:/path} or ${NAME}"
        ]
    );
    assert_eq!(
        problems("web: another-key", "web: \"${file:/nowhere/key}\""),
        [
            "20:29 callers.portal.keys.web: the file /nowhere/key cannot be read (entity not found); \
          mend the path or the file"
        ]
    );
    assert_eq!(
        warnings(&good_but("X-Tenant: acme", "Authorization: Basic YTpi")),
        ["27:30 upstreams.crm.headers.Authorization: is a secret in the clear; write \
          ${file:/path} or ${NAME}"]
    );
    assert_eq!(
        problems("https://crm.example.com/v2", "https://me:s3cr3t@crm.example.com"),
        ["26:15 upstreams.crm.base_url: has a user or password in it; write the address alone, \
          and credentials as a header"]
    );
    let env = |name: &str| (name == "KEY").then(|| "a b".to_owned());
    let report = parse("f", &good_but("web: another-key", "web: \"${KEY}\""), &env).unwrap_err();
    assert!(!report.to_string().contains("a b"), "{report}");
}

#[test]
fn what_a_variable_puts_into_a_path_is_sent_and_not_told() {
    let env = |name: &str| (name == "API_KEY").then(|| "s3cr3t".to_owned());
    let path = "/users/{customer_id}?key=${API_KEY}";
    let loaded = parse("f", &good_but("/users/{customer_id}", path), &env).unwrap();
    let mut urls = loaded.catalog.actions.values().map(|action| &action.request.url);
    let url = urls.find(|url| url.text() == path).expect("it is told as it is written");
    assert!(format!("{url:?}").contains("s3cr3t"), "it is sent");
}

/// Where the scalars of `json` are, as JSON pointers.
fn leaves(json: &Json, at: &str, found: &mut Vec<String>) {
    let escaped = |key: &str| key.replace('~', "~0").replace('/', "~1");
    match json {
        Json::Object(map) => {
            map.iter()
                .for_each(|(key, below)| leaves(below, &format!("{at}/{}", escaped(key)), found));
        }
        Json::Array(items) => {
            items
                .iter()
                .enumerate()
                .for_each(|(n, item)| leaves(item, &format!("{at}/{n}"), found));
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => found.push(at.to_owned()),
    }
}

/// It may be a secret: put in place of each value of a file with every key, in each form in which a
/// reader would make advice of it.
#[test]
fn what_a_variable_holds_is_never_told_wherever_it_is_put() {
    let mut told = 0;
    for held in
        ["zq9", "$zq9[", "/zq9/{zq9}/{", "/zq9", "990099", "990099 sec", "990099kb", "990099/min"]
    {
        let env = |name: &str| match name {
            "LEAK" => Some(held.to_owned()),
            "SECRET" => Some("a-secret-of-more-than-32-characters".to_owned()),
            "DIR" => Some("/nowhere".to_owned()),
            "KEY" => Some("another-secret-of-more-than-32-characters".to_owned()),
            _ => None,
        };
        for yaml in [super::GOOD, include_str!("../schema/tests/maximal.yaml")] {
            let whole = super::json_of(yaml);
            let mut places = Vec::new();
            leaves(&whole, "", &mut places);
            for place in places {
                let mut changed = whole.clone();
                *changed.pointer_mut(&place).unwrap() = "${LEAK}".into();
                let report = match parse("f", &changed.to_string(), &env) {
                    Ok(loaded) => format!("{:?}", loaded.warnings),
                    Err(report) => report.to_string(),
                };
                let leaks = report.contains("zq9") || report.contains("990099");
                assert!(!leaks, "{place}: {held}: {report}");
                told += usize::from(report.contains("LEAK"));
            }
        }
    }
    assert!(told > 500, "{told}");
}
