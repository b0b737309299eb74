//! What happens while Prometheus looks: calls of every kind, and one trouble after the other.

use std::{io, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures_util::future::{join_all, select};
use holdline::demo::{
    fault::{Fault, Standing},
    genesys::BAD_TOKEN,
};

use crate::{
    load::{Ask, KEY, KEY_HEADER},
    stack::{SECRET, Stack},
    wire::{self, Line},
};

/// Calls a second, of all replicas together.
const RATE: f64 = 150.0;

/// How long a part of the troubles lasts; there are thirty. All of them take more than a minute: some
/// rules are evaluated only so often.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace(pub(crate) Duration);

impl Pace {
    async fn troubles(self, parts: u32) {
        tokio::time::sleep(self.0 * parts).await;
    }
}

/// Runs it to its end.
///
/// # Errors
/// The operator is refused, or a replica is gone.
pub(crate) async fn run(stack: &Stack, pace: Pace) -> io::Result<()> {
    let troubles = Box::pin(async {
        let told = troubles(stack, pace).await;
        for callers in &stack.callers {
            callers.out_of_rotation.cancel();
        }
        told
    });
    let endless = Duration::from_secs(3_600);
    let each = RATE / stack.callers.len() as f64;
    let calls = stack.callers.iter().map(|callers| callers.call(each, endless, anything));
    let calls = Box::pin(async { tokio::join!(join_all(calls), troubles).1 });
    match select(calls, Box::pin(odd_callers(stack))).await {
        futures_util::future::Either::Left((told, _)) => told,
        futures_util::future::Either::Right((never, _)) => never,
    }
}

/// Any action: cached ones more often, a few customers far more often than others, some unknown.
fn anything(_: u64, dice: &mut fastrand::Rng) -> Ask {
    let action = match dice.u32(0..100) {
        0..40 => "card",
        40..50 => "lookup",
        50..75 => "invoices",
        75..85 => "balance",
        85..95 => "tariff",
        _ => "note",
    };
    let customer = match dice.u32(0..100) {
        0..12 => 1,
        12..15 => dice.u64(90_000..95_000),
        _ => dice.u64(2..1_500),
    };
    Ask { action, customer }
}

/// Callers who do it wrong, or fetch a token; one after the other, for ever.
async fn odd_callers(stack: &Stack) -> io::Result<()> {
    let good = r#"{"data":{"customer_id":7}}"#;
    let key = |key: &str| format!("{KEY_HEADER}: {key}\r\n");
    let large = format!(r#"{{"data":{{"customer_id":7,"note":"{}"}}}}"#, "x".repeat(5_000));
    let call = |action: &str, more: &str, body: &str| {
        wire::post(&format!("/data-action/{action}"), more, body)
    };
    let requests = [
        call("nobody", &key(KEY), good),
        call("lookup", &key(KEY), "{"),
        call("lookup", &key(KEY), r#"{"data":{"customer_id":"x"}}"#),
        call("lookup", &key("a-wrong-key"), good),
        call("lookup", "", good),
        call("card", &key(BAD_TOKEN), good),
        call("lookup", &key(KEY), &large),
        token("ivr", SECRET),
        token("ivr", "a-wrong-secret"),
    ];
    for (place, request) in requests.iter().enumerate().cycle() {
        tokio::time::sleep(Duration::from_millis(80)).await;
        let replica = &stack.replicas[place % stack.replicas.len()];
        // Some of them are hung up on, as they deserve.
        if let Ok(mut line) = Line::open(replica.calls).await {
            let _ = line.exchange(request.as_bytes()).await;
        }
    }
    Ok(())
}

/// The request for a token.
fn token(client: &str, secret: &str) -> String {
    let form = "grant_type=client_credentials";
    format!(
        "POST /oauth/token HTTP/1.1\r\nHost: observe\r\nAuthorization: Basic {}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
        STANDARD.encode(format!("{client}:{secret}")),
        form.len()
    )
}

/// One trouble after the other.
async fn troubles(stack: &Stack, pace: Pace) -> io::Result<()> {
    let (crm, billing, authority) = (&stack.crm.site, &stack.billing.site, &stack.authority.site);
    let every = Standing::every;
    pace.troubles(4).await;
    crm.set(Standing::late(Duration::from_millis(250))).await?;
    billing.set(Standing::some(Fault::status(503), 0.3)).await?;
    pace.troubles(2).await;
    crm.set(Standing::some(Fault::Latency(Duration::from_millis(400)), 0.08)).await?;
    billing.set(Standing::Down).await?;
    pace.troubles(3).await;
    billing.set(Standing::ok()).await?;
    authority.set(Standing::Down).await?;
    pace.troubles(2).await;
    authority.set(Standing::ok()).await?;
    billing.set(Standing::some(Fault::WrongTypes, 0.3)).await?;
    pace.troubles(1).await;
    billing.set(every(Fault::Status { code: 429, retry_after: Some(1) })).await?;
    operator(stack, pace).await?;
    billing.set(Standing::late(Duration::from_millis(430))).await?;
    pace.troubles(2).await;
    billing.set(Standing::some(Fault::Reset, 0.2)).await?;
    pace.troubles(1).await;
    billing.set(Standing::some(Fault::GzipBomb, 0.2)).await?;
    pace.troubles(1).await;
    billing.set(Standing::some(Fault::Hang, 0.3)).await?;
    pace.troubles(1).await;
    // Half dead: its breaker opens again and again.
    for _ in 0..4 {
        billing.set(every(Fault::status(503))).await?;
        tokio::time::sleep(pace.0 / 3).await;
        billing.set(Standing::ok()).await?;
        tokio::time::sleep(pace.0 * 2 / 3).await;
    }
    let json = r#"{"state": "observe", "for": "30m", "reason": "the vendor is at work"}"#;
    stack.operate(0, "/breakers/crm", json, 200).await?;
    pace.troubles(2).await;
    Ok(())
}

/// All that an operator can do, and some of what is refused.
async fn operator(stack: &Stack, pace: Pace) -> io::Result<()> {
    let reason = r#""reason": "to see it""#;
    for (path, json) in [
        ("/cache/purge", r#"{"customer": 1, "soft": true}"#.to_owned()),
        ("/cache/purge", r#"{"action": "card"}"#.to_owned()),
        ("/tokens/revoke", r#"{"all": true}"#.to_owned()),
        ("/breakers/crm", format!(r#"{{"state": "observe", "for": "5m", {reason}}}"#)),
        ("/drain", format!(r#"{{"for": "1m", {reason}}}"#)),
    ] {
        stack.operate(0, path, &json, 200).await?;
    }
    stack.rewrite(0, ["ttl: 5s", "ttl: 6s"], 200).await?;
    pace.troubles(2).await;
    stack.rewrite(1, ["ttl: 5s", "ttl: soon"], 422).await?;
    stack.operate(0, "/undrain", "{}", 200).await?;
    stack.operate(0, "/breakers/crm", r#"{"state": "auto"}"#, 200).await?;
    for state in ["open", "closed", "auto"] {
        stack.operate(1, "/breakers/billing", &format!(r#"{{"state": "{state}"}}"#), 200).await?;
        pace.troubles(1).await;
    }
    stack.rewrite(1, ["ttl: 5s", "ttl: 6s"], 200).await
}
