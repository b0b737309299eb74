//! A value that is taken away with `null`: lists and maps are empty then, anything else is refused in
//! words. No template stumbles.

use serde_json::{Value, json};

use super::{
    driver::Chart,
    written::{files::key::Key, keys},
};

/// All keys but those of a list's elements.
fn all() -> Vec<(String, Option<Value>)> {
    let each = keys();
    let each = each.iter().flat_map(Key::all).filter(|key| !key.path.contains("[]"));
    each.map(|key| (key.path.clone(), key.default.clone())).collect()
}

#[test]
fn every_key_can_be_null_or_is_refused_in_words() {
    let Some(chart) = Chart::ours() else { return };
    for (path, _) in all() {
        let null = path.rsplit('.').fold(Value::Null, |below, key| json!({key: below}));
        // What is off renders nothing of its keys.
        for file in ["", "ci/everything-values.yaml"] {
            match chart.quickly(file, null.clone()) {
                Ok(rendered) => assert_eq!(rendered.wrong, Vec::<String>::new(), "{path}"),
                Err(refused) => {
                    let told = ["missing property", "This cannot work"];
                    assert!(told.iter().any(|it| refused.contains(it)), "{path}: {refused}");
                }
            }
        }
    }
}

#[test]
fn what_has_to_be_there_is_refused_by_name() {
    let Some(chart) = Chart::ours() else { return };
    for (path, default) in all() {
        let empty = [json!([]), json!({}), Value::Null];
        if default.is_some_and(|it| it.is_object() || empty.contains(&it)) {
            continue;
        }
        let (above, name) = path.rsplit_once('.').unwrap_or(("", &path));
        if above == "networkPolicy.egress.https" && name == "except" {
            continue;
        }
        let null = path.rsplit('.').fold(Value::Null, |below, key| json!({key: below}));
        let refused = chart.quickly("", null).expect_err(&path);
        assert!(refused.contains(&format!("missing property '{name}'")), "{path}: {refused}");
    }
}
