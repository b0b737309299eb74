//! `actions.*.request`: how the upstream is asked.

use http::{HeaderName, Method};

use crate::{
    catalog::{
        name::Name,
        template::{BadTemplate, BodyTemplate, HeaderTemplate, RequestTemplate, UrlTemplate},
        upstream::Upstream,
    },
    config::{
        json::json,
        links::{Part, refuse_unknown_inputs},
        node::{Content, Scalar},
        secrets,
        section::{Section, Value},
        upstreams::holds_credentials,
        values::{choice, header_name},
    },
};

pub(super) const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];
const TEMPLATE: &str = "write {name} for each input, and nothing else in braces";

/// What `request` says.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) upstream: Option<Name>,
    pub(super) template: Option<RequestTemplate>,
    /// The inputs that are sent, sorted: all of them where there is a template.
    pub(super) sent: Vec<String>,
}

fn method(section: &Section<'_>) -> Option<Method> {
    section.read("method", Method::GET, |value| {
        let words = METHODS.map(|word| (word, word));
        choice(value, &words)?.parse().ok()
    })
}

/// `request`. `inputs` is `None` where they could not be read: then no name in a template is judged.
pub(super) fn request(
    section: &Section<'_>,
    inputs: Option<&[&str]>,
    upstreams: &Part<'_, Upstream>,
) -> Option<Request> {
    let upstream = section
        .required("upstream", "write the name of an upstream", |value| upstreams.named(value));
    let method = method(section);
    let mut sent = Vec::new();
    let path = section.required("path", "write it like /users/{customer_id}", |value| {
        let text = value.plain("must be a path", "write it like /users/{customer_id}")?;
        let parsed = UrlTemplate::parse(text);
        let template = parsed.map_err(|why| refuse_template(value, &why, TEMPLATE)).ok()?;
        warn_of_secrets(value, text);
        note(&mut sent, value, template.names(), inputs)?;
        Some(match value.content() {
            Content::Scalar(Scalar { written: Some(written), .. }) => template.written_as(written),
            _ => template,
        })
    });
    let upstreams_own = upstream.as_ref().and_then(|name| upstreams.get(name.as_str()));
    let credential = upstreams_own.and_then(|upstream| upstream.credential.header());
    let headers =
        section.read("headers", Vec::new(), |value| headers(value, inputs, credential, &mut sent));
    let body = section.optional("body", |value| {
        if method == Some(Method::GET) {
            value.refuse_key("is a body, and a GET has none", "write `method: POST`, or remove it");
        }
        body(value, inputs, &mut sent)
    });
    section.finish()?;
    sent.sort_unstable();
    sent.dedup();
    let parts = method.zip(path).zip(headers.zip(body));
    let template = parts.map(|((method, url), (headers, body))| RequestTemplate {
        method,
        url,
        headers,
        body,
    });
    Some(Request { upstream, template, sent })
}

/// Warns of a secret in the query that stands in the file itself.
fn warn_of_secrets(value: &Value<'_>, path: &str) {
    let query = path.split_once('?').map_or("", |(_, query)| query);
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let mut clear = pairs.filter(|(name, held)| {
        secrets::is_name_of_one(name) && !held.is_empty() && !held.contains('{')
    });
    if clear.next().is_some() && !value.is_from_outside() {
        value.warn("is a secret in the clear", "write ${NAME} in its place");
    }
}

/// `body`, each of its texts for itself, so that each fault has its place.
fn body(
    value: &Value<'_>,
    inputs: Option<&[&str]>,
    sent: &mut Vec<String>,
) -> Option<BodyTemplate> {
    let json = json(value);
    let mut good = json.is_some();
    value.each_scalar(&mut |scalar| {
        let Content::Scalar(written) = scalar.content() else { return };
        match BodyTemplate::parse(written.text.clone().into()) {
            Ok(template) => good &= note(sent, scalar, template.names(), inputs).is_some(),
            Err(why) => {
                refuse_template(scalar, &why, TEMPLATE);
                good = false;
            }
        }
    });
    let parsed = BodyTemplate::parse(json.filter(|_| good)?);
    parsed.map_err(|why| refuse_template(value, &why, TEMPLATE)).ok()
}

/// The reason may say itself what to write instead.
fn refuse_template(value: &Value<'_>, why: &BadTemplate, instead: &str) {
    let why = why.to_string();
    // The reason may quote the text, and what a variable holds is not shown.
    if value.holds_outside() {
        let what = "is no template as it should be, with a variable put in";
        value.refuse(what, instead);
        return;
    }
    match why.split_once(": write ").or_else(|| why.split_once("; write ")) {
        Some((what, instead)) => value.refuse(what, format!("write {instead}")),
        None => value.refuse(why, instead),
    }
}

/// Notes the inputs that a template sends, and refuses those that do not exist.
fn note(
    sent: &mut Vec<String>,
    value: &Value<'_>,
    names: Vec<&str>,
    inputs: Option<&[&str]>,
) -> Option<()> {
    let known = |name: &&&str| inputs.is_none_or(|inputs| inputs.contains(*name));
    sent.extend(names.iter().filter(known).map(|name| (*name).to_owned()));
    inputs.map_or(Some(()), |inputs| refuse_unknown_inputs(value, names, inputs))
}

fn headers(
    value: &Value<'_>,
    inputs: Option<&[&str]>,
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
    const INSTEAD: &str = "write visible ASCII, with {name} for an input";
    let refuse = |why: BadTemplate| refuse_template(value, &why, INSTEAD);
    HeaderTemplate::parse(&scalar.text).map_err(refuse).ok()
}
