//! What changes something is done at most once: an upstream that has read the whole request may have
//! done what it asks for, whatever it says or does not say afterwards.

use std::{collections::HashMap, time::Duration};

use proptest::prelude::*;

use super::{any_error, any_line, for_all};
use crate::support::{
    rig::{Rig, Setup},
    scripted::{Line, Seen},
};

/// When a change begins, how long its caller waits for the answer, and when they hang up.
type Changes = Vec<(u64, u64, Option<u64>)>;

fn changes() -> impl Strategy<Value = Changes> {
    prop::collection::vec((0..3_000_u64, 200..6_000_u64, prop::option::of(0..5_000_u64)), 1..5)
}

/// Whatever a system may do to a request, before it has read it and after.
fn lines() -> impl Strategy<Value = Vec<Line>> {
    let error = (any_error(), any::<bool>()).prop_map(|(error, read)| {
        let line = Line::fails(error);
        if read { line } else { line.unread() }
    });
    prop::collection::vec(prop_oneof![any_line(3_000), error], 1..20)
}

/// Asks for changes 0, 1, 2 and so on. Returns the requests that came for each.
async fn ask_for(rig: &Rig, changes: Changes, lines: Vec<Line>) -> HashMap<String, Vec<Seen>> {
    rig.upstream().only(lines);
    let mut tasks = tokio::task::JoinSet::new();
    for (id, (at, within, hangs_up)) in (0..).zip(changes) {
        let ask = rig.ask("update").id(id).within(within);
        tasks.spawn(async move {
            tokio::time::sleep(Duration::from_millis(at)).await;
            let patience = Duration::from_millis(hangs_up.unwrap_or(60_000));
            let _ = tokio::time::timeout(patience, ask.heard()).await;
        });
    }
    tasks.join_all().await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    let mut requests = HashMap::<_, Vec<_>>::new();
    for seen in rig.upstream().seen() {
        requests.entry(seen.body.clone()).or_default().push(seen);
    }
    requests
}

/// Everything is repeated that may be, as often as it may be.
const RETRY: &str = "attempts: 10, on: [connect, reset, timeout, 408, 500, 502, 503, 504], \
                     backoff: {first: 10ms}, budget: {per_second: 1000}";
const UPDATE: &[&str] = &["method: POST", "path: /users", "body: {id: '{id}'}"];

#[test]
fn no_change_is_read_twice() {
    let retry = format!("retry: {{{RETRY}}}");
    let crm = [&*retry, "breaker: {enabled: false}", "concurrency: {limit: 2, wait: 500ms}"];
    let setup = Setup { crm: &crm, update: UPDATE, ..Setup::PLAIN };
    for_all(&setup, &(changes(), lines()), &async |rig, (changes, lines)| {
        for (body, requests) in ask_for(rig, changes, lines).await {
            let read = requests.iter().filter(|seen| seen.read).count();
            prop_assert!(read <= 1, "{body} was read {read} times: {requests:?}");
        }
        Ok(())
    });
}

#[test]
fn a_change_that_is_read_twice_carries_one_key_and_no_other_change_has_it() {
    let retry = format!("retry: {{{RETRY}, idempotency_key: Idempotency-Key}}");
    let crm = [&*retry, "breaker: {enabled: false}", "concurrency: {limit: 2, wait: 500ms}"];
    let setup = Setup { crm: &crm, update: UPDATE, ..Setup::PLAIN };
    for_all(&setup, &(changes(), lines()), &async |rig, (changes, lines)| {
        let mut keys = Vec::new();
        for (body, requests) in ask_for(rig, changes, lines).await {
            let key = requests[0].header("idempotency-key");
            prop_assert_eq!(key.len(), 32);
            let same = requests.iter().all(|seen| seen.header("idempotency-key") == key);
            prop_assert!(same, "{} carries several: {:?}", body, requests);
            prop_assert!(!keys.contains(&key.to_owned()));
            keys.push(key.to_owned());
        }
        Ok(())
    });
}
