//! The tests of URI templates (RFC 6570), through a configuration. Ours are narrower on purpose: an
//! expression that would let a value leave its place is refused, and inputs are single values.

use std::collections::BTreeMap;

use holdline::config;
use serde_json::{Value, json, value::RawValue};
use url::Url;

use super::document;

/// Why a template of the suite is not ours.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Exception {
    /// It is no path: `base_url` says what comes before the first slash.
    NotAPath,
    /// An operator other than `?` and `&`: a value could leave its place.
    Operator,
    /// `*` and `:3`: inputs are single values and sent whole.
    Modifier,
    /// `{x,y}`: two values would run together.
    Several,
    /// A literal that no address has: spaces, quotes, fragments.
    Literal,
    /// A name that no input of Genesys has.
    Name,
    /// A list or an object: inputs are scalars.
    Structure,
    /// A value is missing, empty or a dot in the path: another resource would be asked.
    LeftOut,
    /// `{a-b}`: no name of RFC 6570, but one that inputs of Genesys have.
    Hyphen,
}

/// The expressions in a template.
fn expressions(template: &str) -> Vec<&str> {
    template.split('{').skip(1).map(|rest| rest.split('}').next().unwrap_or_default()).collect()
}

fn names(template: &str) -> Vec<&str> {
    let inside = expressions(template).into_iter();
    inside.flat_map(|one| one.trim_start_matches(['?', '&']).split(',')).collect()
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}

/// Why `template` is not ours as far as can be seen without its values.
fn by_form(template: &str) -> Option<Exception> {
    let expressions = expressions(template);
    let any = |holds: &dyn Fn(&str) -> bool| expressions.iter().any(|one| holds(one));
    let outside: String = template.split('{').flat_map(|part| part.rsplit('}').next()).collect();
    if any(&|one| one.starts_with(['+', '#', '.', '/', ';'])) {
        Some(Exception::Operator)
    } else if any(&|one| one.contains('*') || one.contains(':')) {
        Some(Exception::Modifier)
    } else if any(&|one| !one.starts_with(['?', '&']) && one.contains(',')) {
        Some(Exception::Several)
    } else if names(template).iter().any(|name| !is_name(name)) {
        Some(Exception::Name)
    } else if outside.contains([' ', '"', '#', '<', '>', '\\', '^', '`', '|']) {
        Some(Exception::Literal)
    } else {
        None
    }
}

fn configuration(template: &str) -> String {
    let mut inputs: Vec<&str> = names(template).into_iter().filter(|name| is_name(name)).collect();
    inputs.sort_unstable();
    inputs.dedup();
    let inputs: Vec<_> = inputs.iter().map(|name| format!("{name}: {{type: string}}")).collect();
    format!(
        "version: 1
upstreams: {{up: {{base_url: https://up.example}}}}
actions:
  a:
    caller: none
    input: {{{}}}
    request: {{upstream: up, path: {}}}
    output: {{v: {{type: string, from: $.v}}}}
",
        inputs.join(", "),
        json!(template)
    )
}

/// What `template` becomes, without its origin; or why there is no such thing.
fn expand(template: &str, variables: &Value) -> Result<String, String> {
    let loaded = config::parse("f", &configuration(template), &|_| None);
    let loaded = loaded.map_err(|report| report.to_string())?;
    let action = &loaded.catalog.actions["a"];
    let given: Vec<(String, Box<RawValue>)> = names(template)
        .into_iter()
        .filter_map(|name| {
            let text = match &variables[name] {
                Value::Null => return None,
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            let raw = RawValue::from_string(json!(text).to_string()).expect("it is JSON");
            Some((name.to_owned(), raw))
        })
        .collect();
    let given: Vec<_> = given.iter().map(|(name, raw)| (name.clone(), &**raw)).collect();
    let inputs = action.input.accept(&given).map_err(|problems| format!("{problems:?}"))?;
    let base = Url::parse("https://up.example").expect("an address");
    let rendered = action.request.render(&base, &inputs).map_err(|problem| problem.what)?;
    Ok(rendered.url.as_str().trim_start_matches("https://up.example").to_owned())
}

/// Holds one case against the suite.
fn check(template: &str, variables: &Value, wanted: &Value) -> Option<Exception> {
    // A path begins with a slash, which stands for itself.
    let (template, slash) = match template.strip_prefix('/') {
        Some(_) => (template.to_owned(), ""),
        None => (format!("/{template}"), "/"),
    };
    let expanded = expand(&template, variables);
    if let Some(exception) = by_form(&template) {
        assert!(expanded.is_err(), "{template} is taken for {expanded:?}: {exception:?}");
        return Some(exception);
    }
    if names(&template)
        .iter()
        .any(|name| variables[*name].is_array() || variables[*name].is_object())
    {
        return Some(Exception::Structure);
    }
    match expanded {
        Ok(expanded) => {
            let options = wanted.as_array().cloned().unwrap_or_else(|| vec![wanted.clone()]);
            let wanted: Vec<_> = options
                .iter()
                .map(|option| format!("{slash}{}", option.as_str().expect("a text")))
                .collect();
            assert!(wanted.contains(&expanded), "{template}: {expanded}, not {wanted:?}");
            None
        }
        Err(why)
            if why.contains("begin with") || why.contains("{?..}") || why.contains("{&..}") =>
        {
            Some(Exception::NotAPath)
        }
        Err(why) if why.contains("the path") => Some(Exception::LeftOut),
        Err(why) => panic!("{template}: {why}"),
    }
}

fn run(file: &str) -> (usize, BTreeMap<Exception, usize>) {
    let suite = document(&format!("uritemplate/{file}.json"));
    let (mut held, mut exceptions) = (0, BTreeMap::new());
    for group in suite.as_object().expect("groups").values() {
        for case in group["testcases"].as_array().expect("cases") {
            let template = case[0].as_str().expect("a template");
            if case[1] == Value::Bool(false) {
                let template = format!("/{}", template.trim_start_matches('/'));
                let expanded = expand(&template, &group["variables"]);
                let hyphen =
                    names(&template).iter().any(|name| is_name(name) && name.contains('-'));
                assert!(expanded.is_err() || hyphen, "{template}: {expanded:?}");
                match expanded {
                    Ok(_) => *exceptions.entry(Exception::Hyphen).or_default() += 1,
                    Err(_) => held += 1,
                }
                continue;
            }
            match check(template, &group["variables"], &case[1]) {
                Some(exception) => *exceptions.entry(exception).or_default() += 1,
                None => held += 1,
            }
        }
    }
    (held, exceptions)
}

#[test]
fn what_the_suite_refuses_is_refused() {
    assert_eq!(run("negative-tests"), (34, BTreeMap::from([(Exception::Hyphen, 2)])));
}

#[test]
fn what_is_ours_expands_as_the_suite_says() {
    use Exception::{LeftOut, Modifier, Name, NotAPath, Operator, Several, Structure};
    for (file, held, exceptions) in [
        (
            "spec-examples",
            6,
            vec![(NotAPath, 1), (Operator, 39), (Modifier, 10), (Several, 2), (Structure, 6)],
        ),
        (
            "spec-examples-by-section",
            11,
            vec![
                (NotAPath, 4),
                (Operator, 74),
                (Modifier, 13),
                (Several, 5),
                (Structure, 9),
                (LeftOut, 1),
            ],
        ),
        ("extended-tests", 11, vec![(Operator, 19), (Modifier, 14), (Name, 4), (Structure, 5)]),
    ] {
        assert_eq!(run(file), (held, BTreeMap::from_iter(exceptions)), "{file}");
    }
}
