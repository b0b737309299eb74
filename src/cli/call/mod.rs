//! `call`: one call, and what each stage did with it. Without `--url` it goes through a pipeline of
//! this process, made of the configuration; with it, to a running service.

mod local;
mod remote;
mod waterfall;

use std::{process::ExitCode, time::Duration};

use anyhow::Context;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use crate::cli::{CallArgs, out, serve};

use waterfall::{Bar, draw, millis};

/// What came back.
struct Called {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
    took: Duration,
    bars: Vec<Bar>,
}

/// Calls; 1 where the answer is no 200.
pub(super) fn run(args: &CallArgs) -> anyhow::Result<ExitCode> {
    let runtime = serve::runtime()?;
    let called = runtime.block_on(async {
        match &args.url {
            Some(url) => remote::call(args, url).await,
            None => local::call(args).await,
        }
    })?;
    runtime.shutdown_background();
    show(&called)?;
    Ok(if called.status == 200 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The answer goes to standard output, for other programs; all about it to standard error.
fn show(called: &Called) -> anyhow::Result<()> {
    let reason = http::StatusCode::from_u16(called.status).ok();
    let reason = reason.and_then(|status| status.canonical_reason()).unwrap_or_default();
    eprintln!("{} {reason} after {}", called.status, millis(called.took));
    for name in ["x-request-id", "retry-after", "ratelimit", "cache-status"] {
        if let Some(value) = called.headers.get(name).and_then(|value| value.to_str().ok()) {
            eprintln!("{name}: {value}");
        }
    }
    match serde_json::from_slice::<Value>(&called.body) {
        Ok(json) => out::line(format_args!("{json:#}"))?,
        Err(_) => out::line(String::from_utf8_lossy(&called.body))?,
    }
    if called.bars.is_empty() {
        eprintln!("no trail: the action's debug_headers are off");
    } else {
        eprint!("{}", draw(&called.bars, called.took));
    }
    Ok(())
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
