//! Where an output comes from, and what cannot be asked of one that holds others.

use std::collections::BTreeSet;

use holdline::config;
use serde_json::json;

use super::{tested_by, yaml};
use crate::support::{
    rig::{Rig, Setup},
    scripted::Line,
};

#[tokio::test(start_paused = true)]
pub(crate) async fn where_an_output_comes_from_is_written() {
    let reply = json!({"a": "here", "b": "there", "c": [1], "d": [2]});
    for (keys, expected) in [
        ("type: string, from: $.a", r#"{"x":"here"}"#),
        ("type: string, from: $.b", r#"{"x":"there"}"#),
        ("type: string, from: $.z, default: none", r#"{"x":"none"}"#),
        ("type: string, from: $.z, default: no", r#"{"x":"no"}"#),
        ("type: string, value: always", r#"{"x":"always"}"#),
        ("type: string, value: ever", r#"{"x":"ever"}"#),
        ("type: array, from: $.c", r#"{"x":[1]}"#),
        ("type: array, from: $.d", r#"{"x":[2]}"#),
        ("type: array, from: $.z, default: []", r#"{"x":[]}"#),
        ("type: array, from: $.z, default: [3]", r#"{"x":[3]}"#),
        ("type: array, value: []", r#"{"x":[]}"#),
        ("type: array, value: [4]", r#"{"x":[4]}"#),
    ] {
        let rig = Rig::of(&yaml(Err(keys)), Setup::PLAIN.room, Setup::PLAIN.chance);
        rig.upstream().always(Line::json(&reply));
        assert_eq!(rig.lookup().heard().await.body(), expected, "{keys}");
    }
}

#[test]
pub(crate) fn what_is_for_one_value_is_refused_of_what_holds_others() {
    let keywords = [
        ("minimum", "minimum: 1"),
        ("maximum", "maximum: 1"),
        ("exclusiveMinimum", "exclusiveMinimum: 1"),
        ("exclusiveMaximum", "exclusiveMaximum: 1"),
        ("multipleOf", "multipleOf: 2"),
        ("minLength", "minLength: 1"),
        ("maxLength", "maxLength: 1"),
        ("pattern", "pattern: '^x'"),
        ("format", "format: email"),
    ];
    let keys: BTreeSet<_> = keywords.iter().map(|(key, _)| *key).collect();
    assert_eq!(keys, tested_by("what_is_for_one_value_is_refused_of_what_holds_others"));
    for (keyword, written) in keywords {
        for form in ["array", "object"] {
            let read = |keys: &str| {
                let yaml = yaml(Err(&format!("type: {form}, from: $.x{keys}")));
                config::parse("test", &yaml, &|_| None).map_err(|report| report.to_string())
            };
            read("").expect("nothing else is wrong with it");
            let report = read(&format!(", {written}")).expect_err(keyword);
            assert!(report.contains(&format!("{keyword} is for ")), "{report}");
        }
    }
}
