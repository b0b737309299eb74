//! Body templates: a JSON document with inputs in the places of its strings.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use serde_json::Value;

use crate::catalog::{
    contract::Inputs,
    scalar::write_json_string,
    template::{
        BadTemplate,
        text::{self, Piece},
    },
};

/// A JSON body in which a string that is `{name}` alone becomes the input itself, and `{name}`
/// inside a longer string its text. Its `Debug` shows the names only: the rest may hold a key.
pub struct BodyTemplate {
    root: Node,
}

impl fmt::Debug for BodyTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BodyTemplate").field(&self.names()).finish()
    }
}

enum Node {
    /// JSON without any name in it, serialised.
    Fixed(Vec<u8>),
    /// The input itself, with its type.
    Input(Arc<str>),
    /// A string made of pieces.
    Text(Vec<Piece>),
    /// Members: the serialised key with its colon, and the value.
    Object(Vec<(Vec<u8>, Node)>),
    Array(Vec<Node>),
}

impl BodyTemplate {
    /// Takes a JSON value with `{name}` in its strings; `{{` and `}}` are literal braces.
    ///
    /// # Errors
    /// Where a brace is left open, or a name stands in a key.
    pub fn parse(json: Value) -> Result<Self, BadTemplate> {
        Ok(Self { root: Node::parse(json)? })
    }

    /// The names in it.
    pub fn names(&self) -> Vec<&str> {
        let mut names = Vec::new();
        self.root.names(&mut names);
        names
    }

    /// The body; `None` where it is one name alone whose input was left out.
    pub(super) fn render(&self, inputs: &Inputs) -> Option<Bytes> {
        let mut out = Vec::new();
        self.root.write(inputs, &mut out).then(|| out.into())
    }
}

impl Node {
    fn parse(json: Value) -> Result<Self, BadTemplate> {
        Ok(match json {
            Value::String(string) => Self::parse_string(&string)?,
            Value::Array(elements) => {
                let nodes = elements.into_iter().map(Self::parse).collect::<Result<Vec<_>, _>>()?;
                Self::Array(nodes).settled()
            }
            Value::Object(members) => {
                let mut nodes = Vec::with_capacity(members.len());
                for (key, value) in members {
                    nodes.push((parse_key(&key)?, Self::parse(value)?));
                }
                Self::Object(nodes).settled()
            }
            fixed @ (Value::Null | Value::Bool(_) | Value::Number(_)) => {
                Self::Fixed(fixed.to_string().into_bytes())
            }
        })
    }

    fn parse_string(string: &str) -> Result<Self, BadTemplate> {
        let pieces = text::split(string)?;
        Ok(match pieces.as_slice() {
            [Piece::Name(name)] => Self::Input(Arc::clone(name)),
            _ => Self::Text(pieces).settled(),
        })
    }

    /// Serialised now, where no name is in it: it is then copied, not walked, for each call.
    fn settled(self) -> Self {
        let settled = match &self {
            Self::Fixed(_) | Self::Input(_) => false,
            Self::Text(pieces) => text::names(pieces).next().is_none(),
            Self::Array(nodes) => nodes.iter().all(Self::is_fixed),
            Self::Object(members) => members.iter().all(|(_, node)| node.is_fixed()),
        };
        if !settled {
            return self;
        }
        let mut out = Vec::new();
        self.write(&Inputs::none(), &mut out);
        Self::Fixed(out)
    }

    fn is_fixed(&self) -> bool {
        matches!(self, Self::Fixed(_))
    }

    fn names<'n>(&'n self, names: &mut Vec<&'n str>) {
        match self {
            Self::Fixed(_) => {}
            Self::Input(name) => names.push(name),
            Self::Text(pieces) => names.extend(text::names(pieces)),
            Self::Array(nodes) => nodes.iter().for_each(|node| node.names(names)),
            Self::Object(members) => members.iter().for_each(|(_, node)| node.names(names)),
        }
    }

    /// Appends it. `false`, and nothing appended, where it is an input that was left out.
    fn write(&self, inputs: &Inputs, out: &mut Vec<u8>) -> bool {
        match self {
            Self::Fixed(json) => out.extend_from_slice(json),
            Self::Input(name) => match inputs.get(name) {
                Some(input) => input.write_json(out),
                None => return false,
            },
            Self::Text(pieces) => {
                let mut string = String::new();
                for piece in pieces {
                    match piece {
                        Piece::Literal(literal) => string.push_str(literal),
                        Piece::Name(name) => {
                            string.push_str(
                                &inputs.get(name).map(|input| input.as_text()).unwrap_or_default(),
                            );
                        }
                    }
                }
                write_json_string(&string, out);
            }
            Self::Array(nodes) => {
                write_list(out, b"[]", nodes, |node, out| node.write(inputs, out));
            }
            Self::Object(members) => write_list(out, b"{}", members, |(key, node), out| {
                out.extend_from_slice(key);
                node.write(inputs, out)
            }),
        }
        true
    }
}

/// Appends a bracketed list without those items that `write` leaves out.
fn write_list<T>(
    out: &mut Vec<u8>,
    brackets: &[u8; 2],
    items: &[T],
    write: impl Fn(&T, &mut Vec<u8>) -> bool,
) {
    out.push(brackets[0]);
    let mut first = true;
    for item in items {
        let before = out.len();
        if !first {
            out.push(b',');
        }
        if write(item, out) {
            first = false;
        } else {
            out.truncate(before);
        }
    }
    out.push(brackets[1]);
}

fn parse_key(key: &str) -> Result<Vec<u8>, BadTemplate> {
    let key = match text::split(key)?.as_slice() {
        [] => String::new(),
        [Piece::Literal(literal)] => literal.clone(),
        _ => {
            return Err(BadTemplate(
                "has an input's name in a key: only values take inputs".to_owned(),
            ));
        }
    };
    let mut out = Vec::new();
    write_json_string(&key, &mut out);
    out.push(b':');
    Ok(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::catalog::template::tests::{inputs, typed};

    fn render(template: Value, inputs: &Inputs) -> Option<String> {
        let body = BodyTemplate::parse(template).unwrap().render(inputs);
        body.map(|body| String::from_utf8(body.to_vec()).unwrap())
    }

    #[test]
    fn a_name_alone_keeps_its_type_and_one_in_a_text_becomes_text() {
        let inputs = typed();
        for (template, wanted) in [
            (
                json!({"id": "{id}", "t": "id {id}!"}),
                r#"{"id":9007199254740993,"t":"id 9007199254740993!"}"#,
            ),
            (json!(["{rate}", "{vip}", "{name}"]), r#"[2.5,true,"A \"quoted\" \\ \n name"]"#),
            (json!("{name}"), r#""A \"quoted\" \\ \n name""#),
            (
                json!({"z": 1, "a": [null, true, 1.5, "x", {}], "{{k}}": "{{id}}"}),
                r#"{"z":1,"a":[null,true,1.5,"x",{}],"{k}":"{id}"}"#,
            ),
            (json!({"": ""}), r#"{"":""}"#),
        ] {
            assert_eq!(render(template, &inputs).as_deref(), Some(wanted));
        }
    }

    #[test]
    fn an_input_left_out_takes_its_member_or_element_with_it() {
        let inputs = typed();
        for (template, wanted) in [
            (json!({"a": "{none}", "b": 1}), Some(r#"{"b":1}"#)),
            (json!({"b": 1, "a": "{none}"}), Some(r#"{"b":1}"#)),
            (json!({"a": "{none}", "b": "{none}"}), Some("{}")),
            (json!({"a": {"b": "{none}"}}), Some(r#"{"a":{}}"#)),
            (json!(["{none}", 1, "{none}", "{vip}", "{none}"]), Some("[1,true]")),
            (json!({"a": "x{none}y"}), Some(r#"{"a":"xy"}"#)),
            (json!("{none}"), None),
        ] {
            assert_eq!(render(template, &inputs).as_deref(), wanted);
        }
    }

    #[test]
    fn names_are_found_at_any_depth() {
        let body =
            BodyTemplate::parse(json!({"a": ["{x}", {"b": "1{y}2{z}"}], "c": "{{w}}"})).unwrap();
        assert_eq!(body.names(), ["x", "y", "z"]);
    }

    #[test]
    fn open_braces_and_names_in_keys_are_refused() {
        for template in [
            json!("{"),
            json!({"a": ["x}"]}),
            json!({"{a}": 1}),
            json!({"x{a}": 1}),
            json!({"{": 1}),
        ] {
            assert!(BodyTemplate::parse(template.clone()).is_err(), "{template}");
        }
    }

    proptest! {
        #[test]
        fn a_value_never_leaves_its_string(value in any::<String>()) {
            let body = render(json!({"a": "{a}", "b": "<{a}>", "c": 1}), &inputs(&[("a", &value)])).unwrap();
            let read: Value = serde_json::from_str(&body).unwrap();
            prop_assert_eq!(read, json!({"a": value, "b": format!("<{value}>"), "c": 1}));
        }
    }
}
