//! A call to a running service. Its trail is what `Server-Timing` tells of it. A configuration, where
//! one is named, says how the action is called.

use std::{path::Path, str::FromStr, time::Duration};

use anyhow::Context;
use http::{HeaderMap, HeaderName};
use secrecy::SecretString;
use serde_json::{Map, Value};
use url::Url;

use crate::{
    background::Background,
    catalog::{
        action::{Envelope, Failures},
        upstream::Pool,
    },
    cli::{
        CallArgs,
        call::{
            Called, headers,
            local::{GRACE, plane},
            outcome, proof,
            waterfall::Bar,
        },
        inputs, load,
    },
    client::{Client, Transport},
    time,
};

/// How long an answer may take: longer than any action.
const PATIENCE: Duration = Duration::from_secs(60);
/// Bytes of an answer.
const MAX_ANSWER: usize = 16 << 20;

/// What stands before the action's name in the path where nothing else is said.
const BASE_PATH: &str = "/data-action";

/// Where a running service takes calls.
#[derive(Debug, Clone)]
pub(in crate::cli) struct Service(Url);

impl FromStr for Service {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const INSTEAD: &str = "write it like http://127.0.0.1:8080/data-action";
        let url = Url::parse(text).map_err(|_| INSTEAD)?;
        let plain = matches!(url.scheme(), "http" | "https")
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none();
        if plain { Ok(Self(url)) } else { Err(INSTEAD) }
    }
}

impl Service {
    /// The address of an action, below `base_path` where none is written.
    fn action(&self, base_path: &str, action: &str) -> Url {
        let Self(mut url) = self.clone();
        let base = if url.path() == "/" { base_path } else { url.path() };
        let path = format!("{}/{action}", base.trim_end_matches('/'));
        url.set_path(&path);
        url
    }
}

/// How the action is called.
struct Manner {
    base_path: String,
    envelope: Envelope,
    /// Whether the action tells failures by outcome; `None` where that is not known.
    tells_outcome: Option<bool>,
    proof: Option<(HeaderName, SecretString)>,
    inputs: Map<String, Value>,
}

/// As the arguments alone say.
fn as_asked(args: &CallArgs) -> anyhow::Result<Manner> {
    let usual = HeaderName::from_static("x-genesys-auth-token");
    let header = args.header.clone().unwrap_or(usual);
    Ok(Manner {
        base_path: BASE_PATH.to_owned(),
        envelope: if args.flat { Envelope::Flat } else { Envelope::Data },
        tells_outcome: None,
        proof: args.token.clone().map(|token| (header, token)),
        inputs: inputs::pairs(&args.inputs, None)?,
    })
}

/// As the configuration in `file` says, but for what the arguments say.
async fn as_configured(args: &CallArgs, file: &Path) -> anyhow::Result<Manner> {
    let loaded = load::valid(Some(file))?;
    let action = load::action(&loaded.catalog, &args.action)?.clone();
    let inputs = inputs::pairs(&args.inputs, Some(&action))?;
    let base_path = loaded.settings.server.base_path.clone();
    // It is asked for a token as the service would be; it is sent nothing else.
    let background = Background::new();
    let (pipeline, _) = plane(loaded, &background)?;
    let given = args.token.as_ref().map(|token| (args.header.as_ref(), token));
    let proof = proof::of(&pipeline, &action, given);
    background.stop(GRACE).await;
    let envelope = if args.flat { Envelope::Flat } else { action.envelope };
    let tells_outcome = Some(action.failures == Failures::Outcome);
    Ok(Manner { base_path, envelope, tells_outcome, proof, inputs })
}

/// Calls.
pub(super) async fn call(args: &CallArgs, service: &Service) -> anyhow::Result<Called> {
    let Manner { base_path, envelope, tells_outcome, proof, inputs } =
        match load::named(args.config.config.as_deref()) {
            Some(file) => as_configured(args, file).await?,
            None => as_asked(args)?,
        };
    let target = service.action(&base_path, &args.action);
    let body = inputs::body(envelope, inputs);
    let pool = Pool { idle: 1, idle_timeout: PATIENCE };
    let client = Client::new(Duration::from_secs(5), pool, &Transport::Network)?;
    let mut request = reqwest::Request::new(reqwest::Method::POST, target);
    *request.headers_mut() = headers(proof.as_ref().map(|(name, secret)| (name, secret)))?;
    *request.body_mut() = Some(body.to_string().into());
    let began = time::now();
    let exchanged = tokio::time::timeout(PATIENCE, client.exchange(request, MAX_ANSWER)).await;
    let response = exchanged.context("no answer within a minute")?.context("no answer")?;
    let took = time::now().saturating_duration_since(began);
    let (head, body) = response.into_parts();
    let bars = bars(&head.headers);
    let outcome = outcome(&body, envelope).filter(|_| tells_outcome != Some(false));
    Ok(Called {
        status: head.status.as_u16(),
        headers: head.headers,
        body: body.into(),
        outcome,
        why: None,
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
    fn an_address_without_a_path_is_that_of_the_service() {
        for (written, wanted) in [
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080/data-action/card"),
            ("http://127.0.0.1:8080/", "http://127.0.0.1:8080/data-action/card"),
            ("https://a.example/b/c/", "https://a.example/b/c/card"),
        ] {
            let service: Service = written.parse().expect(written);
            assert_eq!(service.action(BASE_PATH, "card").as_str(), wanted);
        }
        for wrong in ["127.0.0.1:8080", "localhost:8080", "ftp://a", "http://a?b", "http://a#b", ""]
        {
            let told = wrong.parse::<Service>().expect_err(wrong);
            assert_eq!(told, "write it like http://127.0.0.1:8080/data-action");
        }
    }

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
