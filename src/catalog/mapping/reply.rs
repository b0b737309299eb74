//! Reading a reply: JSON in which no object has a key twice, with its numbers to the digit where
//! they are asked for.

use std::{borrow::Cow, cell::Cell, collections::HashSet, fmt};

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value, value::RawValue};
use serde_json_path::{JsonPath, PathElement};

use super::{
    MappingError,
    plain::{PlainPath, Wanted},
};

/// Values in a reply. In memory a value takes up to thirty times its text: `[0,0,0,...]`.
const MAX_VALUES: u32 = 100_000;

/// Members of an object up to which each name is compared with all before it.
const FEW: usize = 32;

/// A reply and what it says, as far as that is wanted.
#[derive(Debug)]
pub(super) struct Document<'r> {
    text: &'r str,
    root: Value,
}

impl<'r> Document<'r> {
    /// Reads a reply whose root is an object, or an array where those are taken. All of it is
    /// checked, and what is `wanted` is built. serde_json bounds the depth (128).
    pub(super) fn read(
        bytes: &'r [u8],
        wanted: &Wanted,
        takes_arrays: bool,
    ) -> Result<Self, MappingError> {
        let text = str::from_utf8(bytes).map_err(|_| MappingError::NotJson)?;
        let (twice, left) = (Cell::new(false), Cell::new(MAX_VALUES));
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let root = Strict { wanted: Some(wanted), twice: &twice, left: &left }
            .deserialize(&mut deserializer)
            .and_then(|root| deserializer.end().map(|()| root));
        match root {
            Ok(root @ Value::Object(_)) => Ok(Self { text, root }),
            Ok(root @ Value::Array(_)) if takes_arrays => Ok(Self { text, root }),
            Ok(_) => Err(MappingError::NotAnObject),
            Err(_) if twice.get() => Err(MappingError::DuplicateKey),
            Err(_) if left.get() == 0 => Err(MappingError::TooManyValues),
            Err(_) => Err(MappingError::NotJson),
        }
    }

    /// The first match, unless it is null. `plain` is the same path, where it is a plain one.
    pub(super) fn first(&self, path: &JsonPath, plain: Option<&PlainPath>) -> Option<&Value> {
        let found = match plain {
            Some(plain) => plain.find(&self.root),
            None => path.query(&self.root).first(),
        };
        found.filter(|value| !value.is_null())
    }

    /// The first match as it was written. Reads the reply once more for each step of the way, which
    /// only floats, arrays and objects are worth.
    pub(super) fn text_of(&self, path: &JsonPath) -> Option<&'r str> {
        let matches = path.query_located(&self.root);
        let mut here: &RawValue = serde_json::from_str(self.text).ok()?;
        for step in matches.first()?.location().iter() {
            let mut deserializer = serde_json::Deserializer::from_str(here.get());
            here = Step(step).deserialize(&mut deserializer).ok()??;
        }
        Some(here.get())
    }
}

/// Appends JSON without the white space between its tokens.
pub(super) fn write_compact(json: &str, out: &mut Vec<u8>) {
    let (mut within_string, mut escaped) = (false, false);
    for byte in json.bytes() {
        if within_string || !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
            out.push(byte);
        }
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = within_string,
            b'"' => within_string = !within_string,
            _ => {}
        }
    }
}

/// Reads a value, refuses a key that comes twice (serde_json itself would keep the last), and builds
/// what is wanted of it. The rest is left out, or null where something wanted stands behind it.
#[derive(Clone, Copy)]
struct Strict<'t> {
    /// `None`: nothing.
    wanted: Option<&'t Wanted>,
    /// Set where that was the reason.
    twice: &'t Cell<bool>,
    /// Values that may still come.
    left: &'t Cell<u32>,
}

impl<'t> Strict<'t> {
    /// The value, where the whole of it is wanted.
    fn whole(self, value: impl Into<Value>) -> Value {
        if matches!(self.wanted, Some(Wanted::All)) { value.into() } else { Value::Null }
    }

    /// The same for a part of it.
    fn part(self, part: impl FnOnce(&'t Wanted) -> Option<&'t Wanted>) -> Self {
        Self { wanted: self.wanted.and_then(part), ..self }
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        let left = self.left.get().checked_sub(1);
        self.left.set(left.ok_or_else(|| D::Error::custom("too many values"))?);
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(self.whole(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(self.whole(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(self.whole(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(self.whole(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(self.whole(value))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(self.whole(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut elements = Vec::new();
        for at in 0.. {
            let part = self.part(|wanted| wanted.element(at));
            let Some(element) = seq.next_element_seed(part)? else { break };
            if self.wanted.is_some_and(|wanted| wanted.reaches(at)) {
                elements.push(element);
            }
        }
        Ok(elements.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        let mut names = Names::default();
        while let Some(Name(name)) = map.next_key()? {
            let part = self.part(|wanted| wanted.member(&name));
            let value = map.next_value_seed(part)?;
            if part.wanted.is_some() {
                members.insert(name.to_string(), value);
            }
            if !names.insert(name) {
                self.twice.set(true);
                return Err(A::Error::custom("a key comes twice"));
            }
        }
        Ok(members.into())
    }
}

/// The name of a member, which is copied only where it has escapes.
#[derive(Deserialize)]
struct Name<'r>(#[serde(borrow)] Cow<'r, str>);

/// The names in an object.
#[derive(Default)]
struct Names<'r> {
    few: Vec<Cow<'r, str>>,
    /// All of them, as soon as there are many.
    many: HashSet<Cow<'r, str>>,
}

impl<'r> Names<'r> {
    /// Notes a name. Returns whether it is new.
    fn insert(&mut self, name: Cow<'r, str>) -> bool {
        if self.many.is_empty() && self.few.len() < FEW {
            let is_new = !self.few.contains(&name);
            self.few.push(name);
            return is_new;
        }
        self.many.extend(self.few.drain(..));
        self.many.insert(name)
    }
}

/// One step into a JSON text: a member's or an element's own text.
struct Step<'s, 'p>(&'s PathElement<'p>);

impl<'de> DeserializeSeed<'de> for Step<'_, '_> {
    type Value = Option<&'de RawValue>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Step<'_, '_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or an array")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(key) = map.next_key::<String>()? {
            if found.is_none() && self.0.as_name() == Some(&key) {
                found = Some(map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        for index in 0.. {
            if self.0.as_index() == Some(index) {
                found = seq.next_element()?;
            } else if seq.next_element::<IgnoredAny>()?.is_none() {
                break;
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_json_object_is_told_apart() {
        let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(200), "]".repeat(200));
        for (reply, wanted, reason) in [
            ("", MappingError::NotJson, "not_json"),
            ("<html>", MappingError::NotJson, "not_json"),
            ("{", MappingError::NotJson, "not_json"),
            ("{} {}", MappingError::NotJson, "not_json"),
            ("{'a':1}", MappingError::NotJson, "not_json"),
            ("\u{feff}{}", MappingError::NotJson, "not_json"),
            (r#"{"a":"\ud800"}"#, MappingError::NotJson, "not_json"),
            (r#"{"a":NaN}"#, MappingError::NotJson, "not_json"),
            (&deep, MappingError::NotJson, "not_json"),
            (r#"{"a":1,"a":1}"#, MappingError::DuplicateKey, "not_json"),
            (r#"{"a":1,"\u0061":2}"#, MappingError::DuplicateKey, "not_json"),
            (r#"{"x":[{"y":{"a":1,"b":2,"a":null}}]}"#, MappingError::DuplicateKey, "not_json"),
            ("[]", MappingError::NotAnObject, "wrong_type"),
            ("[{\"name\":\"x\"}]", MappingError::NotAnObject, "wrong_type"),
            ("null", MappingError::NotAnObject, "wrong_type"),
            ("\"x\"", MappingError::NotAnObject, "wrong_type"),
            ("1", MappingError::NotAnObject, "wrong_type"),
        ] {
            let error = Document::read(reply.as_bytes(), &Wanted::All, false).unwrap_err();
            assert_eq!((&error, error.reason()), (&wanted, reason), "{reply}");
        }
        assert_eq!(
            Document::read(b"{\"a\":\"\xff\"}", &Wanted::All, false).unwrap_err(),
            MappingError::NotJson
        );
    }

    #[test]
    fn a_reply_of_countless_values_is_refused() {
        let zeros = |n: usize| format!(r#"{{"a":[{}0]}}"#, "0,".repeat(n - 1));
        assert!(Document::read(zeros(99_998).as_bytes(), &Wanted::All, false).is_ok());
        let error = Document::read(zeros(100_001).as_bytes(), &Wanted::All, false).unwrap_err();
        assert_eq!((&error, error.reason()), (&MappingError::TooManyValues, "too_large"));
    }

    #[test]
    fn the_same_key_in_different_objects_is_no_duplicate() {
        assert!(
            Document::read(
                b" \r\n\t{\"a\":{\"b\":1},\"c\":[{\"b\":1},{\"b\":1}]}\n",
                &Wanted::All,
                false
            )
            .is_ok()
        );
    }

    #[test]
    fn numbers_are_found_as_they_were_written() {
        let reply = br#"{"a~/\u0062":{"":[0,{"x":1.50,"y":[1e2]}]},"x":2.0}"#;
        let document = Document::read(reply, &Wanted::All, false).unwrap();
        for (path, wanted) in [
            ("$['a~/b'][''][1].x", Some("1.50")),
            ("$..y[0]", Some("1e2")),
            ("$.x", Some("2.0")),
            ("$.z", None),
        ] {
            let path = JsonPath::parse(path).unwrap();
            assert_eq!(document.text_of(&path), wanted, "{path}");
        }
    }
}
