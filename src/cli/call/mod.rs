//! `call`: one call, and what each stage did with it. Without `--url` it goes through a pipeline of
//! this process, made of the configuration; with it, to a running service.

mod local;
mod proof;
mod remote;
mod waterfall;

use std::{process::ExitCode, time::Duration};

use anyhow::Context;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use crate::{
    catalog::action::Envelope,
    cli::{CallArgs, out, serve},
};

pub(super) use remote::Service;

use waterfall::{Bar, draw, millis};

/// What came back.
struct Called {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
    /// The word that tells how it ended, where the body has one.
    outcome: Option<String>,
    /// Why it failed, where the body does not tell and it is known.
    why: Option<String>,
    took: Duration,
    bars: Vec<Bar>,
}

impl Called {
    /// Whether the caller got outputs: those of now, of a while ago, or declared ones.
    fn is_answered(&self) -> bool {
        self.status == 200 && self.outcome.as_deref().is_none_or(is_answer)
    }
}

/// Whether an outcome says that there are outputs.
pub(super) fn is_answer(outcome: &str) -> bool {
    matches!(outcome, "ok" | "stale" | "fallback")
}

/// Calls; 1 where there is no answer.
pub(super) fn run(args: &CallArgs) -> anyhow::Result<ExitCode> {
    let runtime = serve::runtime()?;
    let called = runtime.block_on(async {
        match &args.url {
            Some(url) => remote::call(args, url).await,
            None => local::call(args).await,
        }
    })?;
    runtime.shutdown_background();
    show(&called, args.url.is_some())?;
    Ok(if called.is_answered() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The answer goes to standard output, for other programs; all about it to standard error.
fn show(called: &Called, is_remote: bool) -> anyhow::Result<()> {
    let reason = http::StatusCode::from_u16(called.status).ok();
    let reason = reason.and_then(|status| status.canonical_reason()).unwrap_or_default();
    eprintln!("{} {reason} after {}", called.status, millis(called.took));
    if let (Some(outcome), Some(why)) = (&called.outcome, &called.why) {
        eprintln!("{outcome}: {why}");
    }
    for name in ["x-request-id", "retry-after", "ratelimit", "cache-status"] {
        if let Some(value) = called.headers.get(name).and_then(|value| value.to_str().ok()) {
            eprintln!("{name}: {value}");
        }
    }
    match serde_json::from_slice::<Value>(&called.body) {
        Ok(json) => out::line(format_args!("{json:#}"))?,
        Err(_) => out::line(String::from_utf8_lossy(&called.body))?,
    }
    if called.bars.is_empty() && is_remote {
        eprintln!("no trail: the action's debug_headers are off");
    } else {
        eprint!("{}", draw(&called.bars, called.took));
    }
    Ok(())
}

/// The outcome in a body that has one beside all that stands with it.
fn outcome(body: &[u8], envelope: Envelope) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let flat = match envelope {
        Envelope::Data => body.get("data")?,
        Envelope::Flat => &body,
    };
    let is_told = ["status_code", "stale", "age_seconds"].iter().all(|key| flat.get(key).is_some());
    flat.get("outcome").filter(|_| is_told)?.as_str().map(str::to_owned)
}

/// The headers of a call with that proof.
fn headers(proof: Option<(&HeaderName, &SecretString)>) -> anyhow::Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some((name, secret)) = proof {
        let secret = secret.expose_secret();
        // In this header a word says what kind of proof follows.
        let bare = *name == header::AUTHORIZATION && !secret.contains(' ');
        let value = if bare { format!("Bearer {secret}") } else { secret.to_owned() };
        let mut value = HeaderValue::try_from(value).context("the token is no text of one line")?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}
