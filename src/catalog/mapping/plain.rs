//! Plain paths, of names and positions alone, as in `$.address.lines[0]`: each leads to one place at
//! most. So a reply is read for them without building what lies beside.

use serde_json::Value;
use serde_json_path::JsonPath;

/// A position beyond this is looked up as any other path is.
const LAST_POSITION: usize = 100;

/// A path of names and positions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PlainPath(Vec<Step>);

/// A step of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// To the member of that name.
    Name(Box<str>),
    /// To the element at that position.
    Position(usize),
}

impl PlainPath {
    /// The same path, if it is a plain one.
    pub(super) fn of(path: &JsonPath) -> Option<Self> {
        let text = path.to_string();
        let mut rest = text.strip_prefix('$')?;
        let mut steps = Vec::new();
        while !rest.is_empty() {
            let (step, after) = step(rest)?;
            steps.push(step);
            rest = after;
        }
        let plain = Self(steps);
        plain.leads_where(path).then_some(plain)
    }

    /// Whether the other path leads through the same steps: what a path prints is not escaped, so a
    /// name with brackets in it looks like two.
    fn leads_where(&self, path: &JsonPath) -> bool {
        let around = |inner, step: &Step| match step {
            Step::Name(name) => Value::Object([(name.to_string(), inner)].into_iter().collect()),
            Step::Position(at) => {
                let mut elements = vec![Value::Null; *at];
                elements.push(inner);
                Value::Array(elements)
            }
        };
        let document = self.0.iter().rev().fold(Value::Bool(true), around);
        let found = path.query_located(&document);
        found.first().is_some_and(|found| {
            found.node() == &Value::Bool(true) && found.location().len() == self.0.len()
        })
    }

    /// What it leads to.
    pub(super) fn find<'v>(&self, root: &'v Value) -> Option<&'v Value> {
        self.0.iter().try_fold(root, |here, step| match step {
            Step::Name(name) => here.as_object()?.get(&**name),
            Step::Position(at) => here.as_array()?.get(*at),
        })
    }
}

/// The first step of such a text, and what follows it.
fn step(text: &str) -> Option<(Step, &str)> {
    if let Some(inside) = text.strip_prefix("['") {
        let (name, after) = inside.split_once("']")?;
        return (!name.contains(['\'', '\\'])).then(|| (Step::Name(name.into()), after));
    }
    if let Some(inside) = text.strip_prefix('[') {
        let (digits, after) = inside.split_once(']')?;
        let at = digits.parse().ok().filter(|at| *at <= LAST_POSITION)?;
        return Some((Step::Position(at), after));
    }
    let name = text.strip_prefix('.')?;
    let (name, after) = name.split_at(name.find(['.', '[']).unwrap_or(name.len()));
    (!name.is_empty() && name != "*").then(|| (Step::Name(name.into()), after))
}

/// Which parts of a reply are wanted.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// The whole of it.
    All,
    /// Of these members or elements those parts, and nothing else.
    Parts(Vec<(Step, Wanted)>),
}

impl Wanted {
    /// What those paths lead to; everything, where one of them is not plain.
    pub(super) fn by<'p>(paths: impl IntoIterator<Item = Option<&'p PlainPath>>) -> Self {
        let mut wanted = Self::Parts(Vec::new());
        for path in paths {
            wanted.add(path.map_or(&[], |path| &path.0[..]));
        }
        wanted
    }

    fn add(&mut self, steps: &[Step]) {
        let Self::Parts(parts) = self else { return };
        let [first, rest @ ..] = steps else {
            *self = Self::All;
            return;
        };
        let known = parts.iter().position(|(step, _)| step == first);
        let at = known.unwrap_or_else(|| {
            parts.push((first.clone(), Self::Parts(Vec::new())));
            parts.len() - 1
        });
        parts[at].1.add(rest);
    }

    /// What is wanted of the member of that name.
    pub(super) fn member(&self, name: &str) -> Option<&Self> {
        self.part(|step| matches!(step, Step::Name(known) if **known == *name))
    }

    /// What is wanted of the element at that position.
    pub(super) fn element(&self, at: usize) -> Option<&Self> {
        self.part(|step| matches!(step, Step::Position(known) if *known == at))
    }

    fn part(&self, is: impl Fn(&Step) -> bool) -> Option<&Self> {
        match self {
            Self::All => Some(self),
            Self::Parts(parts) => parts.iter().find(|(step, _)| is(step)).map(|(_, part)| part),
        }
    }

    /// Whether an element at that position, or one behind it, is wanted.
    pub(super) fn reaches(&self, at: usize) -> bool {
        match self {
            Self::All => true,
            Self::Parts(parts) => {
                parts.iter().any(|(step, _)| matches!(step, Step::Position(last) if *last >= at))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::catalog::mapping::reply::Document;

    #[test]
    fn names_and_positions_are_plain_and_nothing_else_is() {
        let plain = |path: &str| PlainPath::of(&JsonPath::parse(path).unwrap());
        let name = |name: &str| Step::Name(name.into());
        for (path, steps) in [
            ("$", vec![]),
            ("$.name", vec![name("name")]),
            ("$['a b'].c[\"d.e\"]", vec![name("a b"), name("c"), name("d.e")]),
            ("$.a[0].b[100]", vec![name("a"), Step::Position(0), name("b"), Step::Position(100)]),
            ("$['']", vec![name("")]),
            ("$['0']", vec![name("0")]),
        ] {
            assert_eq!(plain(path), Some(PlainPath(steps)), "{path}");
        }
        for path in [
            "$.*",
            "$..a",
            "$[*]",
            "$[-1]",
            "$[0,1]",
            "$[1:2]",
            "$[?@.a]",
            "$['a','b']",
            "$[101]",
            // Printed, these look like other paths.
            r#"$["a']['b"]"#,
            r#"$["a'].b['c"]"#,
            r"$['it\'s']",
            r"$['\\']",
        ] {
            assert_eq!(plain(path), None, "{path}");
        }
    }

    #[test]
    fn of_a_path_that_is_not_plain_everything_is_wanted() {
        let plain = |path: &str| PlainPath::of(&JsonPath::parse(path).unwrap());
        let wanted = |paths: &[&str]| {
            let paths: Vec<_> = paths.iter().map(|path| plain(path)).collect();
            Wanted::by(paths.iter().map(Option::as_ref))
        };
        assert_eq!(wanted(&["$.a", "$..b"]), Wanted::All);
        assert_eq!(wanted(&["$.a", "$"]), Wanted::All);
        assert_eq!(wanted(&["$.a.b", "$.a"]), wanted(&["$.a"]));
        assert_eq!(wanted(&[]), Wanted::Parts(Vec::new()));
    }

    /// Documents with names that meet those of the paths, that come twice, and with some depth.
    fn documents() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            Just("null".to_owned()),
            Just("true".to_owned()),
            any::<i64>().prop_map(|n| n.to_string()),
            Just("1.50".to_owned()),
            Just("1e999".to_owned()),
            Just("12345678901234567890123".to_owned()),
            "[a-c\\\\\"]{0,3}".prop_map(|text| format!("\"{text}\"")),
        ];
        let name = || prop_oneof![4 => "[abc]", 1 => Just("\\u0061".to_owned()), 1 => "[a-z]{2}"];
        leaf.prop_recursive(5, 60, 5, move |inner| {
            let member =
                (name(), inner.clone()).prop_map(|(name, value)| format!("\"{name}\": {value}"));
            let members = proptest::collection::vec(member, 0..5);
            let elements = proptest::collection::vec(inner, 0..4);
            prop_oneof![
                members.prop_map(|members| format!("{{{}}}", members.join(","))),
                elements.prop_map(|elements| format!("[{}]", elements.join(" ,"))),
            ]
        })
    }

    fn paths() -> impl Strategy<Value = JsonPath> {
        let step = prop_oneof![
            8 => "\\.[abc]",
            3 => "\\[[0-2]\\]",
            2 => "\\['[abc]'\\]",
            1 => Just(".*".to_owned()),
            1 => Just("..a".to_owned()),
            1 => Just("[-1]".to_owned()),
        ];
        let steps = proptest::collection::vec(step, 0..4);
        steps.prop_map(|steps| JsonPath::parse(&format!("${}", steps.concat())).unwrap())
    }

    proptest! {
        #[test]
        fn what_is_wanted_of_a_reply_is_the_same_without_the_rest(
            (text, paths, takes_arrays) in
                (documents(), proptest::collection::vec(paths(), 0..4), any::<bool>())
        ) {
            let plain: Vec<_> = paths.iter().map(PlainPath::of).collect();
            let wanted = Wanted::by(plain.iter().map(Option::as_ref));
            let whole = Document::read(text.as_bytes(), &Wanted::All, takes_arrays);
            let part = Document::read(text.as_bytes(), &wanted, takes_arrays);
            match (whole, part) {
                (Ok(whole), Ok(part)) => {
                    for (path, plain) in paths.iter().zip(&plain) {
                        prop_assert_eq!(part.first(path, plain.as_ref()), whole.first(path, None));
                        prop_assert_eq!(part.text_of(path), whole.text_of(path));
                    }
                }
                (whole, part) => prop_assert_eq!(whole.map(drop), part.map(drop)),
            }
        }
    }
}
