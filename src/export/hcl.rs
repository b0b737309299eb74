//! HCL as Terraform formats it: blocks, attributes with their equals signs in one column, and texts in
//! which nothing is taken for a template.

use std::fmt::Write;

use serde_json::Value;

/// The right side of an attribute.
#[derive(Debug, Clone)]
pub(super) enum Expression {
    /// A text, taken to the letter.
    Text(String),
    /// HCL as it stands, on one line.
    Hcl(String),
    /// Members, in order.
    Object(Vec<(String, Expression)>),
    /// JSON, as an expression, in `jsonencode`.
    Json(Value),
}

/// A block: `kind "label" "label" { … }`.
#[derive(Debug, Clone)]
pub(super) struct Block {
    /// What stands before the brace.
    head: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone)]
enum Part {
    Attribute(String, Expression),
    Block(Block),
}

impl Block {
    /// An empty one.
    pub(super) fn new(kind: &str, labels: &[&str]) -> Self {
        let labels = labels.iter().map(|label| format!(" {}", text(label)));
        Self { head: format!("{kind}{}", labels.collect::<String>()), parts: Vec::new() }
    }

    /// With an attribute more.
    pub(super) fn with(mut self, name: &str, value: Expression) -> Self {
        self.parts.push(Part::Attribute(name.to_owned(), value));
        self
    }

    /// With a block more.
    pub(super) fn and(mut self, block: Self) -> Self {
        self.parts.push(Part::Block(block));
        self
    }

    /// Its text, with a newline at the end.
    pub(super) fn text(&self) -> String {
        let mut out = String::new();
        self.write(0, &mut out);
        out
    }

    fn write(&self, depth: usize, out: &mut String) {
        let indent = "  ".repeat(depth);
        if self.parts.is_empty() {
            let _ = writeln!(out, "{indent}{} {{}}", self.head);
            return;
        }
        let _ = writeln!(out, "{indent}{} {{", self.head);
        let mut run: Vec<(String, String)> = Vec::new();
        for part in &self.parts {
            match part {
                Part::Attribute(name, value) => run.push((name.clone(), value.text(depth + 1))),
                Part::Block(block) => {
                    aligned(&std::mem::take(&mut run), depth + 1, out);
                    block.write(depth + 1, out);
                }
            }
        }
        aligned(&run, depth + 1, out);
        let _ = writeln!(out, "{indent}}}");
    }
}

impl Expression {
    /// A text.
    pub(super) fn of(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// The expression where the lines after its first are indented by `depth`.
    fn text(&self, depth: usize) -> String {
        match self {
            Self::Text(plain) => text(plain),
            Self::Hcl(hcl) => hcl.clone(),
            Self::Object(members) => object(members.iter().map(|(k, v)| (k, v.clone())), depth),
            Self::Json(json) => format!("jsonencode({})", literal(json, depth)),
        }
    }
}

fn object<'a>(members: impl Iterator<Item = (&'a String, Expression)>, depth: usize) -> String {
    let rows = members.map(|(key, value)| (text(key), value.text(depth + 1)));
    braced(&rows.collect::<Vec<_>>(), depth)
}

/// JSON as HCL.
fn literal(json: &Value, depth: usize) -> String {
    match json {
        Value::String(plain) => text(plain),
        Value::Null | Value::Bool(_) | Value::Number(_) => json.to_string(),
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(|item| literal(item, depth)).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(members) => {
            let rows = members.iter().map(|(key, value)| (text(key), literal(value, depth + 1)));
            braced(&rows.collect::<Vec<_>>(), depth)
        }
    }
}

fn braced(rows: &[(String, String)], depth: usize) -> String {
    if rows.is_empty() {
        return "{}".to_owned();
    }
    let mut out = "{\n".to_owned();
    aligned(rows, depth + 1, &mut out);
    out + &"  ".repeat(depth) + "}"
}

/// Rows of `name = value`. Those on neighbouring lines have their equals signs in one column; a value
/// of more lines than one stands apart.
fn aligned(rows: &[(String, String)], depth: usize, out: &mut String) {
    let indent = "  ".repeat(depth);
    for run in rows.chunk_by(|(_, a), (_, b)| !a.contains('\n') && !b.contains('\n')) {
        let width = run.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
        for (name, value) in run {
            let _ = writeln!(out, "{indent}{name:width$} = {value}");
        }
    }
}

/// A quoted text in which neither `${` nor `%{` begins a template.
pub(super) fn text(plain: &str) -> String {
    let mut out = "\"".to_owned();
    let mut before = ' ';
    let mut rest = plain.chars().peekable();
    while let Some(letter) = rest.next() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '$' | '%' if rest.peek() == Some(&'{') => {
                // Three of them in a row would be read in another way.
                if before == letter {
                    let _ = write!(out, "\\u{:04x}", u32::from(letter));
                } else {
                    out.extend([letter, letter]);
                }
            }
            control if control.is_control() => {
                let _ = write!(out, "\\u{:04x}", u32::from(control));
            }
            other => out.push(other),
        }
        before = letter;
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read_back(plain: &str) -> String {
        let body = hcl::parse(&format!("a = {}\n", text(plain))).expect(plain);
        let context = hcl::eval::Context::new();
        let body = hcl::eval::Evaluate::evaluate(&body, &context).expect(plain);
        let value: Value = hcl::from_body(body).unwrap();
        value["a"].as_str().unwrap().to_owned()
    }

    #[test]
    fn a_text_is_read_back_to_the_letter() {
        for plain in [
            "",
            "plain",
            "${input.rawRequest}",
            "a ${b} %{if c} $d %e {f}",
            "$${a} %%{b} $$${c}",
            "a\"b\\c\nd\te\r",
            "\u{1}\u{7f}\u{e9}",
            "Basic $encoding.base64(\"${credentials.clientId}:${credentials.clientSecret}\")",
        ] {
            assert_eq!(read_back(plain), plain);
        }
    }

    #[test]
    fn neighbours_stand_in_a_column_and_long_values_apart() {
        let block = Block::new("resource", &["kind", "a-b"])
            .with("name", Expression::of("x"))
            .with("category", Expression::Hcl("var.y".to_owned()))
            .with("schema", Expression::Json(json!({"a": [1, true], "$b": {}})))
            .with("after", Expression::Object(vec![]))
            .and(Block::new("inner", &[]).with(
                "headers",
                Expression::Object(vec![("X-Key".to_owned(), Expression::of("${z}"))]),
            ));
        let wanted = r#"resource "kind" "a-b" {
  name     = "x"
  category = var.y
  schema = jsonencode({
    "a"  = [1, true]
    "$b" = {}
  })
  after = {}
  inner {
    headers = {
      "X-Key" = "$${z}"
    }
  }
}
"#;
        assert_eq!(block.text(), wanted);
    }
}
