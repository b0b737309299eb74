//! `dry-run`: the request that would be sent, which calls would share its answer, and what would be
//! made of a reply. Nothing is sent.

use std::{fs, path::Path, process::ExitCode};

use anyhow::{Context, anyhow};
use http::HeaderValue;
use serde_json::{Value, value::RawValue};

use crate::{
    catalog::{
        action::Action,
        contract::{Inputs, Problem},
        credential::Credential,
        policy::{CachePolicy, SharedBy},
        upstream::Upstream,
    },
    cli::{DryRunArgs, call, explain, inputs, load, out},
    server::rehearsal::{self, Foreseen},
};

/// Shows it; 1 where the inputs would be refused, or the reply would not be answered with outputs.
pub(super) fn run(args: &DryRunArgs) -> anyhow::Result<ExitCode> {
    let loaded = load::valid(args.config.config.as_deref())?;
    let catalog = &loaded.catalog;
    let action = load::action(catalog, &args.action)?;
    let given = match &args.input {
        Some(file) => inputs::file(file, action)?,
        None => inputs::pairs(&args.inputs, Some(action))?,
    };
    let inputs = accept(action, given)?;
    out::line(request(action, &catalog.upstreams[action.upstream.as_str()], &inputs)?)?;
    out::line(format_args!("\n{}", key(action, &inputs)))?;
    match &args.reply {
        Some(reply) => answer(action, reply),
        None => Ok(ExitCode::SUCCESS),
    }
}

fn accept(action: &Action, given: serde_json::Map<String, Value>) -> anyhow::Result<Inputs> {
    let raw: Vec<(String, Box<RawValue>)> = given
        .into_iter()
        .map(|(name, value)| Ok((name, RawValue::from_string(value.to_string())?)))
        .collect::<serde_json::Result<_>>()?;
    let named: Vec<_> = raw.iter().map(|(name, raw)| (name.clone(), &**raw)).collect();
    let refused = |problems: Vec<Problem>| {
        let told = problems.iter().map(|problem| format!("\n  {} {}", problem.field, problem.what));
        anyhow!("the inputs would be refused with 400:{}", told.collect::<String>())
    };
    let unknown: Vec<_> = named
        .iter()
        .filter(|(name, _)| !action.input.fields().iter().any(|field| *field.name == **name))
        .collect();
    for (name, _) in unknown {
        eprintln!("warning: {name} is no input of {}, and is left out", action.name);
    }
    let inputs = action.input.accept(&named).map_err(refused)?;
    match action.request.refuse(&inputs) {
        problems if problems.is_empty() => Ok(inputs),
        problems => Err(refused(problems)),
    }
}

/// The request as it would go out, but for what is a secret.
fn request(action: &Action, upstream: &Upstream, inputs: &Inputs) -> anyhow::Result<String> {
    let rendered = action
        .request
        .render(&upstream.base_url, inputs)
        .map_err(|problem| anyhow!("{} {}", problem.field, problem.what))?;
    let mut text = format!("{} {}\naccept: application/json", rendered.method, rendered.url);
    for (name, value) in &upstream.headers {
        let secret = value.is_sensitive();
        text.push_str(&format!("\n{name}: {}", if secret { "(secret)" } else { shown(value) }));
    }
    match &upstream.credential {
        Credential::OAuth2(ours) => {
            let host = explain::host(&ours.token_url);
            text.push_str(&format!("\nauthorization: (a token that {host} issues)"));
        }
        other => {
            let header = other.header().map(|name| format!("\n{name}: (secret)"));
            text.push_str(&header.unwrap_or_default());
        }
    }
    // These are the inputs' own, which whoever runs this has written.
    for (name, value) in &rendered.headers {
        text.push_str(&format!("\n{name}: {}", shown(value)));
    }
    if let Some(name) = &upstream.retry.idempotency_key {
        text.push_str(&format!("\n{name}: (another for each call)"));
    }
    if let Some(body) = &rendered.body {
        text.push_str(&format!("\n\n{}", pretty(body)));
    }
    Ok(text)
}

fn shown(value: &HeaderValue) -> &str {
    value.to_str().unwrap_or("(not text)")
}

/// Which calls would be given the same answer.
fn key(action: &Action, inputs: &Inputs) -> String {
    let Some(CachePolicy { key, shared_by, .. }) = &action.cache else {
        return "Not cached: every call asks.".to_owned();
    };
    let who = match shared_by {
        SharedBy::All => "all callers",
        SharedBy::Org => "the callers of one organisation",
        SharedBy::Caller => "the calls of one caller",
    };
    let mut text = format!("Shared by {who}, for the same");
    for name in key {
        let value = inputs.get(name).map_or_else(|| "(left out)".to_owned(), |value| value.text());
        text.push_str(&format!("\n  {name}: {value}"));
    }
    text
}

/// Shows what would be answered if the upstream said what is in `file`.
fn answer(action: &Action, file: &Path) -> anyhow::Result<ExitCode> {
    let reply = fs::read(file).with_context(|| format!("could not read {}", file.display()))?;
    let Foreseen { status, outcome, body } = rehearsal::foresee(action, &reply);
    let outcome = outcome.as_str();
    out::line(format_args!("\n{}", pretty(&body)))?;
    if let Err(error) = action.output.apply(&reply) {
        eprintln!("{error}: answered with {status}, {outcome}");
    }
    Ok(if call::is_answer(outcome) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn pretty(json: &[u8]) -> String {
    serde_json::from_slice::<Value>(json).map(|value| format!("{value:#}")).unwrap_or_default()
}
