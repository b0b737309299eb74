//! One response on its way out, as the fault of the hour will have it.
//!
//! A fault either disguises the response, which is then delivered correctly, or spoils its delivery.

use std::{io, time::Duration};

use serde_json::{Value, json};
use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::{
    fault::Fault,
    gzip,
    record::InFlight,
    wire::{self, JSON, Request, Response},
};

/// Lists inside one another: far more than a parser on the stack survives without a limit.
const DEPTH: usize = 100_000;

/// What becomes of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// It serves the next request.
    Keep,
    /// It is closed in order.
    Close,
    /// It is reset.
    Reset,
}

/// The response that the fault puts in the place of the proper one.
pub(super) fn disguise(fault: &Fault, proper: Response) -> Response {
    match fault {
        Fault::Status { code, retry_after } => {
            let response = Response::json(*code, &json!({"error": "scripted fault"}));
            match retry_after {
                Some(seconds) => response.with("Retry-After", seconds.to_string()),
                None => response,
            }
        }
        Fault::Html => {
            let page = "<!doctype html><title>Sign in</title><p>Your session has ended.</p>";
            Response::text(200, "text/html; charset=utf-8", page)
        }
        Fault::Empty => Response::text(200, JSON, ""),
        Fault::GzipBomb => Response::text(200, JSON, gzip::bomb()).with("Content-Encoding", "gzip"),
        Fault::Deep => {
            let body = format!("{{\"name\":{}{}}}", "[".repeat(DEPTH), "]".repeat(DEPTH));
            Response::text(200, JSON, body)
        }
        Fault::Redirect(to) => Response::json(302, &json!({})).with("Location", to.clone()),
        Fault::WrongTypes => respell(proper, |fields| {
            let wrong = fields.iter().map(|(key, value)| (key.clone(), other_type(value)));
            Value::Object(wrong.collect()).to_string()
        }),
        Fault::DuplicateKeys => respell(proper, |fields| {
            let once = Value::Object(fields.clone()).to_string();
            let nulls = fields.keys().map(|key| (key.clone(), Value::Null)).collect();
            let again = Value::Object(nulls).to_string();
            // `{"a":1}` and `{"a":null}` become `{"a":1,"a":null}`.
            format!("{},{}", &once[..once.len() - 1], &again[1..])
        }),
        Fault::Body(text) => Response::text(200, JSON, text.clone()),
        Fault::Ok
        | Fault::Latency(_)
        | Fault::Hang
        | Fault::Close
        | Fault::Reset
        | Fault::ResetMidBody
        | Fault::Truncate
        | Fault::Drip(_)
        | Fault::Garbage
        | Fault::Endless => proper,
    }
}

/// The same response with another body made of its fields; left alone if it has none.
fn respell(
    proper: Response,
    spell: impl FnOnce(&serde_json::Map<String, Value>) -> String,
) -> Response {
    match serde_json::from_slice(&proper.body) {
        Ok(Value::Object(fields)) if !fields.is_empty() => {
            Response { body: spell(&fields).into(), ..proper }
        }
        _ => proper,
    }
}

fn other_type(value: &Value) -> Value {
    match value {
        Value::String(text) => json!(text.len()),
        Value::Number(number) => json!(number.to_string()),
        Value::Bool(truth) => json!(truth.to_string()),
        Value::Array(_) => json!({}),
        Value::Object(_) => json!([]),
        Value::Null => json!(false),
    }
}

/// Sends `response` as `fault` will have it. `in_flight` ends just before the last byte leaves, so
/// that a client that has its answer is never still counted.
///
/// # Errors
/// The client has left.
pub(super) async fn deliver(
    to: &mut (impl AsyncWrite + Unpin),
    request: &Request,
    response: &Response,
    fault: &Fault,
    in_flight: InFlight<'_>,
) -> io::Result<Next> {
    match fault {
        Fault::Hang => std::future::pending().await,
        Fault::Close => Ok(Next::Close),
        Fault::Reset => Ok(Next::Reset),
        Fault::ResetMidBody => {
            drop(in_flight);
            write_half(to, response).await?;
            Ok(Next::Reset)
        }
        Fault::Truncate => {
            drop(in_flight);
            write_half(to, response).await?;
            Ok(Next::Close)
        }
        Fault::Drip(interval) => drip(to, request, response, *interval, in_flight).await,
        Fault::Garbage => {
            drop(in_flight);
            to.write_all(b"220 mail.example.com ESMTP ready\r\n").await?;
            Ok(Next::Close)
        }
        Fault::Endless => endless(to, response).await,
        Fault::Latency(_)
        | Fault::Ok
        | Fault::Status { .. }
        | Fault::Html
        | Fault::Empty
        | Fault::GzipBomb
        | Fault::Deep
        | Fault::Redirect(_)
        | Fault::WrongTypes
        | Fault::DuplicateKeys
        | Fault::Body(_) => {
            drop(in_flight);
            wire::write_response(to, request, response).await?;
            Ok(if request.keep_alive { Next::Keep } else { Next::Close })
        }
    }
}

/// The whole head, which announces the whole body, and the first half of the body.
async fn write_half(to: &mut (impl AsyncWrite + Unpin), response: &Response) -> io::Result<()> {
    let framing = format!("Content-Length: {}", response.body.len());
    let mut bytes = wire::head(response, &framing, true).into_bytes();
    bytes.extend_from_slice(&response.body[..response.body.len() / 2]);
    to.write_all(&bytes).await?;
    to.flush().await
}

async fn drip(
    to: &mut (impl AsyncWrite + Unpin),
    request: &Request,
    response: &Response,
    interval: Duration,
    in_flight: InFlight<'_>,
) -> io::Result<Next> {
    let framing = format!("Content-Length: {}", response.body.len());
    to.write_all(wire::head(response, &framing, request.keep_alive).as_bytes()).await?;
    let mut in_flight = Some(in_flight);
    for (place, byte) in response.body.iter().enumerate() {
        tokio::time::sleep(interval).await;
        if place + 1 == response.body.len() {
            in_flight.take();
        }
        to.write_all(&[*byte]).await?;
        to.flush().await?;
    }
    Ok(if request.keep_alive { Next::Keep } else { Next::Close })
}

/// Chunks of one long string until the client leaves.
async fn endless(to: &mut (impl AsyncWrite + Unpin), response: &Response) -> io::Result<Next> {
    const PIECE: usize = 16 * 1024;

    let head = wire::head(response, "Transfer-Encoding: chunked", true);
    to.write_all(head.as_bytes()).await?;
    to.write_all(b"9\r\n{\"name\":\"\r\n").await?;
    let chunk = format!("{PIECE:x}\r\n{}\r\n", "a".repeat(PIECE));
    loop {
        to.write_all(chunk.as_bytes()).await?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(fault: &Fault, proper: &Value) -> String {
        let response = disguise(fault, Response::json(200, proper));
        String::from_utf8(response.body.to_vec()).unwrap()
    }

    #[test]
    fn wrong_types_keep_every_key_and_no_type() {
        let proper =
            json!({"id": 1, "name": "Ada", "ok": true, "list": [], "more": {}, "no": null});
        assert_eq!(
            body(&Fault::WrongTypes, &proper),
            r#"{"id":"1","name":3,"ok":"true","list":{},"more":[],"no":false}"#
        );
    }

    #[test]
    fn duplicate_keys_come_a_second_time_with_null() {
        let proper = json!({"id": 1, "name": "Ada"});
        let expected = r#"{"id":1,"name":"Ada","id":null,"name":null}"#;
        assert_eq!(body(&Fault::DuplicateKeys, &proper), expected);
        assert_eq!(body(&Fault::DuplicateKeys, &json!({})), "{}");
    }
}
