//! A call to a running service. Its trail is what `Server-Timing` tells of it.

use std::time::Duration;

use anyhow::Context;
use http::{HeaderMap, HeaderName};
use url::Url;

use crate::{
    catalog::{action::Envelope, upstream::Pool},
    cli::{
        CallArgs,
        call::{Called, headers, waterfall::Bar},
        inputs,
    },
    client::{Client, Transport},
    time,
};

/// How long an answer may take: longer than any action.
const PATIENCE: Duration = Duration::from_secs(60);
/// Bytes of an answer.
const MAX_ANSWER: usize = 16 << 20;

/// Calls.
pub(super) async fn call(args: &CallArgs, url: &Url) -> anyhow::Result<Called> {
    let whole = format!("{}/{}", url.as_str().trim_end_matches('/'), args.action);
    let target = Url::parse(&whole).context("--url and the action make no address")?;
    let envelope = if args.flat { Envelope::Flat } else { Envelope::Data };
    let body = inputs::body(envelope, inputs::pairs(&args.inputs, None)?);
    let usual = HeaderName::from_static("x-genesys-auth-token");
    let header = args.header.as_ref().unwrap_or(&usual);
    let pool = Pool { idle: 1, idle_timeout: PATIENCE };
    let client = Client::new(Duration::from_secs(5), pool, &Transport::Network)?;
    let mut request = reqwest::Request::new(reqwest::Method::POST, target);
    *request.headers_mut() = headers(args.token.as_ref().map(|token| (header, token)))?;
    *request.body_mut() = Some(body.to_string().into());
    let began = time::now();
    let exchanged = tokio::time::timeout(PATIENCE, client.exchange(request, MAX_ANSWER)).await;
    let response = exchanged.context("no answer within a minute")?.context("no answer")?;
    let took = time::now().saturating_duration_since(began);
    let (head, body) = response.into_parts();
    let bars = bars(&head.headers);
    Ok(Called {
        status: head.status.as_u16(),
        headers: head.headers,
        body: body.into(),
        took,
        bars,
    })
}

/// What `Server-Timing` tells: names, decisions and times, but not when they began.
fn bars(headers: &HeaderMap) -> Vec<Bar> {
    let text = headers.get("server-timing").and_then(|value| value.to_str().ok());
    let metrics = text.unwrap_or_default().split(',');
    metrics
        .filter_map(|metric| {
            let mut parts = metric.trim().split(';');
            let stage = parts.next()?.to_owned();
            let (mut took, mut decision) = (None, String::new());
            for part in parts {
                match part.trim().split_once('=')? {
                    ("dur", ms) => took = ms.parse::<f64>().ok(),
                    ("desc", word) => decision = word.trim_matches('"').to_owned(),
                    _ => {}
                }
            }
            let took = Duration::try_from_secs_f64(took? / 1e3).ok()?;
            Some(Bar { stage, decision, began: None, took })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn server_timing_is_read_as_far_as_it_can_be() {
        let mut headers = HeaderMap::new();
        let value = "cache;dur=12.500;desc=miss, attempt;dur=2;desc=\"200\", odd, x;dur=no";
        headers.insert("server-timing", HeaderValue::from_static(value));
        let bars: Vec<_> = bars(&headers)
            .into_iter()
            .map(|bar| (bar.stage, bar.decision, bar.took.as_micros()))
            .collect();
        let bar = |stage: &str, decision: &str, took| (stage.to_owned(), decision.to_owned(), took);
        assert_eq!(bars, [bar("cache", "miss", 12_500), bar("attempt", "200", 2_000)]);
    }
}
