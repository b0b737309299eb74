//! What a rule must know of an expression: which series it names, in which functions and over which
//! time, and which labels it speaks of. Whether it is PromQL at all is promtool's affair.

/// A place where series are named.
#[derive(Debug, PartialEq)]
pub(super) struct Selector {
    /// The metric.
    pub(super) name: String,
    /// Label, operator, value.
    pub(super) matchers: Vec<(String, String, String)>,
    /// What stands in brackets behind it.
    pub(super) range: Option<String>,
    /// The functions and aggregations around it, the innermost last.
    pub(super) within: Vec<String>,
}

/// What is found in an expression.
#[derive(Debug, Default)]
pub(super) struct Named {
    /// Series.
    pub(super) selectors: Vec<Selector>,
    /// Labels that are grouped or matched by, each with the word before: `by`, `on`.
    pub(super) labels: Vec<(String, String)>,
    /// Words that are neither: metrics without a selector.
    pub(super) bare: Vec<String>,
}

/// Words that are followed by labels in parentheses.
const BEFORE_LABELS: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];
/// Words between operands.
const BETWEEN: [&str; 6] = ["or", "and", "unless", "offset", "bool", "atan2"];

/// Reads an expression, which promtool has found to be one.
pub(super) fn read(expression: &str) -> Named {
    let mut named = Named::default();
    let mut within: Vec<String> = Vec::new();
    let mut rest = expression;
    while let Some(first) = rest.chars().next() {
        if is_word(first) && !first.is_ascii_digit() {
            let (word, behind) = word(rest);
            rest = behind.trim_start();
            if let Some(behind) = rest.strip_prefix('{') {
                let (matchers, behind) = matchers(behind);
                let (range, behind) = range(behind);
                let (name, within) = (word.to_owned(), within.clone());
                named.selectors.push(Selector { name, matchers, range, within });
                rest = behind;
            } else if BEFORE_LABELS.contains(&word) {
                let inner = rest.strip_prefix('(').and_then(|inner| inner.split_once(')'));
                let (inner, behind) = inner.unwrap_or(("", rest));
                let labels = inner.split(',').map(str::trim).filter(|label| !label.is_empty());
                named.labels.extend(labels.map(|label| (word.to_owned(), label.to_owned())));
                rest = behind;
                // The aggregation's name stands before its labels.
                if let Some(behind) = rest.trim_start().strip_prefix('(').filter(|_| word == "by") {
                    within.push("by".to_owned());
                    rest = behind;
                }
            } else if let Some(behind) = rest.strip_prefix('(') {
                within.push(word.to_owned());
                rest = behind;
            } else if !BETWEEN.contains(&word) && !rest.starts_with("by") {
                named.bare.push(word.to_owned());
            }
            continue;
        }
        rest = match first {
            '"' => string(&rest[1..]).1,
            '[' => rest.split_once(']').map_or("", |(_, behind)| behind),
            // numbers, durations and variables
            '$' | '0'..='9' => rest[1..].trim_start_matches(|c: char| is_word(c) || c == '.'),
            '(' => {
                within.push(String::new());
                &rest[1..]
            }
            ')' => {
                within.pop();
                &rest[1..]
            }
            other => &rest[other.len_utf8()..],
        };
    }
    named
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == ':'
}

fn word(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c| !is_word(c)).unwrap_or(text.len()))
}

/// A string whose first quote has been read.
fn string(text: &str) -> (String, &str) {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            '"' if !escaped => return (text[..at].to_owned(), &text[at + 1..]),
            _ => escaped = c == '\\' && !escaped,
        }
    }
    (text.to_owned(), "")
}

/// Matchers whose first brace has been read.
fn matchers(mut text: &str) -> (Vec<(String, String, String)>, &str) {
    let mut found = Vec::new();
    loop {
        text = text.trim_start_matches([',', ' ']);
        if let Some(behind) = text.strip_prefix('}') {
            return (found, behind);
        }
        let (label, behind) = word(text);
        let Some((operator, value)) = behind.split_once('"') else { return (found, "") };
        let (value, behind) = string(value);
        found.push((label.to_owned(), operator.trim().to_owned(), value));
        text = behind;
    }
}

fn range(text: &str) -> (Option<String>, &str) {
    let inner = text.strip_prefix('[').and_then(|inner| inner.split_once(']'));
    inner.map_or((None, text), |(range, behind)| (Some(range.to_owned()), behind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_found_with_what_is_around_them() {
        let named =
            read(r#"sum by (class, le) (rate(a_total{x=~"a{b|\"}",y!=""}[5m])) / up{} > 1e-9"#);
        let [rated, up] = &named.selectors[..] else { panic!("{named:?}") };
        assert_eq!((&*rated.name, rated.range.as_deref()), ("a_total", Some("5m")));
        assert_eq!(rated.within, ["by", "rate"]);
        assert_eq!(rated.matchers[1], ("y".to_owned(), "!=".to_owned(), String::new()));
        assert_eq!((&*up.name, up.within.len()), ("up", 0));
        let labels: Vec<&str> = named.labels.iter().map(|(_, label)| &**label).collect();
        assert_eq!(labels, ["class", "le"]);
        assert!(named.bare.is_empty(), "{named:?}");
    }

    #[test]
    fn a_metric_without_a_selector_is_bare() {
        let named = read("topk(3, max(up) + vector($slots) * 1e3 offset 5m or time() - x)");
        assert_eq!(named.bare, ["up", "x"]);
        assert!(named.selectors.is_empty());
    }
}
