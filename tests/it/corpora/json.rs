//! JSONTestSuite as request bodies, as inputs and as replies: what is JSON is taken or refused by its
//! contract, what is none is refused, and nothing ever panics or passes wrong.

use std::{
    collections::BTreeMap,
    fs,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use bytes::Bytes;
use holdline::client::{Script, WireError};
use serde_json::{Value, json, value::RawValue};

use super::corpus;
use crate::support::proxy::{Setup, TestProxy};

/// An upstream that answers with what it was given last, and keeps what it was sent.
#[derive(Default)]
struct Outside {
    reply: Mutex<Bytes>,
    sent: Mutex<Bytes>,
}

#[async_trait]
impl Script for Outside {
    async fn exchange(
        &self,
        request: reqwest::Request,
    ) -> Result<http::Response<Bytes>, WireError> {
        let body = request.body().and_then(reqwest::Body::as_bytes).unwrap_or_default();
        *self.sent.lock().expect("nobody panics") = Bytes::copy_from_slice(body);
        Ok(http::Response::new(self.reply.lock().expect("nobody panics").clone()))
    }
}

async fn start(outside: &Arc<Outside>) -> TestProxy {
    let input = |form| format!("input: {{v: {{type: {form}, required: true}}}}");
    let echo = "request: {upstream: crm, method: POST, path: /, body: {v: \"{v}\"}}";
    let nothing = "output: {ok: {type: boolean, value: true}}";
    let list = "request: {upstream: crm, path: /}";
    let open = "caller: none";
    Setup::new()
        .extra("string", [open, &input("string"), echo, nothing])
        .extra("number", [open, &input("number"), echo, nothing])
        .extra("boolean", [open, &input("boolean"), echo, nothing])
        .extra("list", [open, "input: {}", list, "output: {v: {type: array, from: $}}"])
        .script(Arc::clone(outside) as Arc<dyn Script>)
        .start()
        .await
}

/// Every case: its name, whose first letter says what it is, and its bytes.
fn cases() -> Vec<(String, Vec<u8>)> {
    let folder = corpus("json/test_parsing");
    let mut cases: Vec<_> = fs::read_dir(folder)
        .expect("it is in the repository")
        .map(|entry| {
            let entry = entry.expect("it can be listed");
            let name = entry.file_name().into_string().expect("a name in ASCII");
            (name, fs::read(entry.path()).expect("it can be read"))
        })
        .collect();
    cases.sort();
    assert_eq!(cases.len(), 318);
    cases
}

/// How many answers of each status there were, by the first letter of the case.
type Tally = BTreeMap<(char, u16), usize>;

fn note(tally: &mut Tally, name: &str, status: u16) {
    *tally.entry((name.chars().next().expect("a name"), status)).or_default() += 1;
}

#[tokio::test]
async fn as_a_whole_body_none_is_more_than_a_bad_request() {
    let outside = Arc::new(Outside::default());
    let proxy = start(&outside).await;
    for (name, bytes) in cases() {
        let answer = proxy.client.ask("string", &Value::Null).body(bytes).send().await;
        assert_eq!(answer.status, 400, "{name}: {answer:?}");
    }
    proxy.stop().await;
}

#[tokio::test]
async fn as_an_input_what_is_json_arrives_unchanged_and_what_is_none_is_refused() {
    let outside = Arc::new(Outside::default());
    let proxy = start(&outside).await;
    *outside.reply.lock().expect("nobody panics") = Bytes::from_static(b"{}");
    let mut tally = Tally::new();
    for (name, bytes) in cases() {
        // Most cases are a list of one value, which is what an input can be.
        let list: Option<Vec<Box<RawValue>>> = serde_json::from_slice(&bytes).ok();
        let inner = list.as_deref().and_then(|list| <&[_; 1]>::try_from(list).ok());
        let value = inner.map_or(bytes.clone(), |[one]| one.get().as_bytes().to_vec());
        let parsed: Option<Value> = serde_json::from_slice(&value).ok();
        let action = match &parsed {
            Some(Value::Number(_)) => "number",
            Some(Value::Bool(_)) => "boolean",
            _ => "string",
        };
        let body = [&b"{\"data\":{\"v\":"[..], &value, b"}}"].concat();
        let answer = proxy.client.ask(action, &Value::Null).body(body).send().await;
        note(&mut tally, &name, answer.status);
        if answer.status == 200 {
            let sent = outside.sent.lock().expect("nobody panics").clone();
            let sent: Value = serde_json::from_slice(&sent).expect("we send JSON");
            let parsed = parsed.expect("what is answered was JSON");
            // `0e+1` and `0` are one number.
            let same = sent["v"] == parsed
                || (parsed.is_number() && sent["v"].as_f64() == parsed.as_f64());
            assert!(same, "{name}: {sent}");
        }
    }
    assert!(tally.keys().all(|(_, status)| matches!(status, 200 | 400)), "{tally:?}");
    assert!(!tally.contains_key(&('n', 200)), "{tally:?}");
    let wanted =
        [(('i', 200), 1), (('i', 400), 34), (('n', 400), 188), (('y', 200), 76), (('y', 400), 19)];
    assert_eq!(tally, Tally::from(wanted));
    proxy.stop().await;
}

#[tokio::test]
async fn as_a_reply_what_is_json_is_mapped_and_what_is_none_is_a_bad_gateway() {
    let outside = Arc::new(Outside::default());
    let proxy = start(&outside).await;
    let mut tally = Tally::new();
    for (name, bytes) in cases() {
        *outside.reply.lock().expect("nobody panics") = bytes.clone().into();
        let answer = proxy.client.ask("list", &json!({"data": {}})).send().await;
        note(&mut tally, &name, answer.status);
        match serde_json::from_slice::<Value>(&bytes) {
            Ok(list @ Value::Array(_)) => {
                assert_eq!(answer.status, 200, "{name}: {answer:?}");
                assert_eq!(answer.json()["data"]["v"], list, "{name}");
            }
            // Another root than the output's, or no JSON.
            Ok(_) | Err(_) => assert_eq!(answer.status, 502, "{name}: {answer:?}"),
        }
    }
    assert!(!tally.contains_key(&('n', 200)), "{tally:?}");
    let wanted =
        [(('i', 200), 5), (('i', 502), 30), (('n', 502), 188), (('y', 200), 75), (('y', 502), 20)];
    assert_eq!(tally, Tally::from(wanted));
    proxy.stop().await;
}
