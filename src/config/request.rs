//! `actions.*.request`: how the upstream is asked.

use http::{HeaderName, Method};

use crate::{
    catalog::{
        contract::Field,
        name::Name,
        template::{BadTemplate, BodyTemplate, HeaderTemplate, RequestTemplate, UrlTemplate},
        upstream::Upstream,
    },
    config::{
        json::json,
        links::{Part, refuse_unknown_inputs},
        section::{Section, Value},
        upstreams::holds_credentials,
        values::{choice, header_name},
    },
};

const TEMPLATE: &str = "write {name} for each input, and nothing else in braces";

/// What `request` says.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) upstream: Name,
    pub(super) template: RequestTemplate,
    /// The inputs that are sent, sorted.
    pub(super) sent: Vec<String>,
}

fn method(section: &Section<'_>) -> Option<Method> {
    const METHODS: [(&str, &str); 5] = [
        ("GET", "GET"),
        ("POST", "POST"),
        ("PUT", "PUT"),
        ("PATCH", "PATCH"),
        ("DELETE", "DELETE"),
    ];
    section.read("method", Method::GET, |value| choice(value, &METHODS)?.parse().ok())
}

/// `request`. `inputs` is `None` where they could not be read: then no name in a template is judged.
pub(super) fn request(
    section: &Section<'_>,
    inputs: Option<&[Field]>,
    upstreams: &Part<'_, Upstream>,
) -> Option<Request> {
    let upstream = section
        .required("upstream", "write the name of an upstream", |value| upstreams.named(value));
    let method = method(section);
    let mut sent = Vec::new();
    let path = section.required("path", "write it like /users/{customer_id}", |value| {
        let text = value.plain("must be a path", "write it like /users/{customer_id}")?;
        let parsed = UrlTemplate::parse(text);
        let template = parsed.map_err(|why| value.refuse(why.to_string(), TEMPLATE)).ok()?;
        note(&mut sent, value, template.names(), inputs)?;
        Some(template)
    });
    let upstreams_own = upstream.as_ref().and_then(|name| upstreams.get(name.as_str()));
    let credential = upstreams_own.and_then(|upstream| upstream.credential.header());
    let headers =
        section.read("headers", Vec::new(), |value| headers(value, inputs, credential, &mut sent));
    let body = section.optional("body", |value| {
        let parsed = BodyTemplate::parse(json(value)?);
        let template = parsed.map_err(|why| value.refuse(why.to_string(), TEMPLATE)).ok()?;
        note(&mut sent, value, template.names(), inputs)?;
        Some(template)
    });
    section.finish()?;
    sent.sort_unstable();
    sent.dedup();
    let template = RequestTemplate { method: method?, url: path?, headers: headers?, body: body? };
    Some(Request { upstream: upstream?, template, sent })
}

/// Notes the inputs that a template sends, and refuses those that do not exist.
fn note(
    sent: &mut Vec<String>,
    value: &Value<'_>,
    names: Vec<&str>,
    inputs: Option<&[Field]>,
) -> Option<()> {
    sent.extend(names.iter().map(|name| (*name).to_owned()));
    inputs.map_or(Some(()), |inputs| refuse_unknown_inputs(value, names, inputs))
}

fn headers(
    value: &Value<'_>,
    inputs: Option<&[Field]>,
    credential: Option<&HeaderName>,
    sent: &mut Vec<String>,
) -> Option<Vec<(HeaderName, HeaderTemplate)>> {
    let section = value.section();
    let mut names: Vec<HeaderName> = Vec::new();
    let mut read = Vec::new();
    for (text, value) in section.entries() {
        let refuse = |what: &str| value.refuse_key(what, "write another name, or remove it");
        let name = header_name(text).map_err(refuse).ok();
        if name.as_ref().is_some_and(holds_credentials) {
            value.refuse_key(
                "is a credential in a template",
                "write it as the upstream's own `auth`",
            );
        } else if name.is_some() && name.as_ref() == credential {
            value.refuse_key(
                "is the header in which the upstream's `auth` sends its credential",
                "write another name, or remove it",
            );
        }
        if name.as_ref().is_some_and(|name| names.contains(name)) {
            value.refuse_key("is the same header as one above", "keep one");
        }
        names.extend(name.clone());
        let template = header_value(&value).and_then(|template| {
            note(sent, &value, template.names(), inputs)?;
            Some(template)
        });
        read.push(name.zip(template));
    }
    section.finish_open()?;
    read.into_iter().collect()
}

fn header_value(value: &Value<'_>) -> Option<HeaderTemplate> {
    const SECRET: &str = "a secret goes below the upstream's own `headers`";
    let scalar = value.scalar("must be the value of a header", "write one line of text")?;
    if scalar.secret.get() {
        value.refuse("is a secret in a template", SECRET);
        return None;
    }
    let refuse = |why: BadTemplate| {
        // The reason may quote the text, and what a variable holds may be a credential.
        let quoted = !scalar.expanded;
        let what = if quoted { why.to_string() } else { "is no value of a header".to_owned() };
        value.refuse(what, "write visible ASCII, with {name} for an input");
    };
    HeaderTemplate::parse(&scalar.text).map_err(refuse).ok()
}
