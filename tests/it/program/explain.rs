//! `explain`: what it says of an action is the configuration, in words that fit a terminal.

use std::fs;

use crate::support::program::{Ended, Program};

/// All of it for the built-in action, as a newcomer reads it.
const BUILTIN: &str = r#"customer-lookup: Fetches customer details from the external API

In short: a call is answered within 4.75 s, whatever happens, and costs crm at
most 3 attempts. While crm is down, an answer of up to 6 min 6 s ago may stand
in.

THE CALL
  Who may call    Who shows a token in X-Genesys-Auth-Token that
                  api.mypurecloud.com finds active (`genesys`). Its word holds
                  for 1 h, a refusal for 10 s; asking takes at most 2 s of the
                  call's time.
  Limits          per_caller: 1000 calls/s for each caller, 2000 at once.
  Under way       At most 1000 calls of all actions; more are shed with 503.
  Time            4.75 s: the timeout of 5 s, less 250 ms for the way of the
                  answer. A caller's X-Deadline-Ms can only shorten it.
  Envelope        {"data": {...}} around inputs and outputs.

THE UPSTREAM crm (https://jsonplaceholder.typicode.com)
  Credential      None: it is asked as anybody may ask.
  One attempt     At most 2 s, of which 1 s to connect.
  Repeats         Up to 3 attempts in all: again after no connection, a broken
                  connection, a time-out, 408, 502, 503, 504 or 429 with a
                  Retry-After.
  Pauses          A random part of 50 ms, then of 100 ms.
  Budget          All calls to crm together: 20 % of their number and 1 a
                  second, counted over 10 s. At 200 calls/s at most 41 repeats a
                  second.
  Hedging         Off: no second attempt beside one that is late.
  At once         20 attempts at first, then between 4 and 200: as many as it
                  takes without slowing down. One waits at most 100 ms for its
                  turn.
  Quota           None: every attempt may be sent.
  Breaker         Opens after 7 failures in a row, 5 failures to connect in a
                  row, or when 50 % of at least 20 attempts within 10 s have
                  failed. Rests 2 s, then twice as long each time, up to 60 s (±
                  50 %). Closes after 3 good probes, and lets all through 10 s
                  after that.

WHEN crm IS BROKEN (no answer is kept, the breaker has not opened yet)
  it                    attempts   answered within   slots at 10 calls/s
  refuses connections   3          450 ms            4.5 of 50
  answers 503 at once   3          450 ms            4.5 of 50
  cannot be reached     3          3.45 s            34.5 of 50
  never answers         3          4.75 s            47.5 of 50
  rests (breaker open)  0          at once           0
  These are       Attempts: how many fit with the longest and with the shortest
                  pauses. Times: the longest, waits for a turn included.
  Left out        A Retry-After that is waited for, and the check of a token
                  that is not yet known. They too are part of the 4.75 s that a
                  call takes at most.
  Slots           Genesys Cloud runs 50 data actions at once for an
                  organisation. While crm hangs, 10.5 calls/s hold them all.
  Noticed         At 10 calls/s the breaker is open at the latest 400 ms after
                  connections are refused, 600 ms after the first 503, 4.6 s
                  after crm falls silent. From then on no call waits.
  Load on it      At most 3 attempts for one call; over all calls at most 1.2
                  for each and 1 a second.

KEPT ANSWERS
  One for         each customer_id of an organisation. What is kept of one
                  customer_id can be purged.
  Fresh           For 60 s (± 10 %).
  Then            For 30 s after that: answered at once, one fetch behind.
  While it fails  For 5 min after it was fresh: answered when a fetch fails or
                  takes longer than 300 ms. At 10 calls/s that is at most 3
                  Genesys slots.
  Oldest          6 min 6 s.
  A 404           Not remembered: each call asks again.
  A failure       Told for a second to all who ask for the same; crm is not
                  asked for them.

WHEN THERE IS NO ANSWER
  Fallback        None is declared.
  Failures        By an HTTP status and a problem document. A voice flow sees
                  its Failure path and nothing else; `failures: outcome` lets it
                  tell failures apart.
"#;

const FILE: &str = r#"version: 1
server: {max_in_flight: 200, max_in_flight_per_org: 50}
callers:
  portal: {type: api_key, keys: {ivr: planted-key}}
limits: {slow: {key: [org, input.id], rate: 5/m, burst: 1, enforce: false}}
upstreams:
  desk:
    base_url: https://desk.example.com/v2
    timeouts: {attempt: 1500ms}
    retry: {attempts: 6, backoff: {first: 300ms, max: 2s}}
    concurrency: {limit: 7}
    quota: {rate: 100/s, burst: 10}
    hedge: {enabled: true}
  bare:
    base_url: https://bare.example.com
    retry: {attempts: 1}
    breaker: {enabled: false}
  tight:
    base_url: https://tight.example.com
    timeouts: {attempt: 4700ms}
    retry: {attempts: 1}
    hedge: {enabled: true}
actions:
  late:
    caller: none
    input: {id: {type: integer, required: true}}
    request: {upstream: tight, path: '/tickets/{id}'}
    output: {name: {type: string, from: $.name}}
    cache: {ttl: 60s}
  find:
    caller: portal
    limits: [slow]
    failures: outcome
    envelope: flat
    input: {id: {type: integer, required: true}}
    request: {upstream: desk, path: '/tickets/{id}'}
    output: {name: {type: string, from: $.name, default: ""}}
    fallback: {name: planted-fallback}
  open-ticket:
    caller: none
    input: {id: {type: integer, required: true}}
    request: {upstream: desk, method: POST, path: /tickets}
    output: {name: {type: string, from: $.name}}
  ping:
    caller: none
    input: {}
    request: {upstream: bare, path: /ping}
    output: {name: {type: string, from: $.name}}
"#;

async fn explained(action: &str) -> Ended {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("holdline.yaml");
    fs::write(&file, FILE).unwrap();
    Program::run(&["explain", action, "-c", file.to_str().unwrap()], &[]).await
}

/// What stands beside `label`, on one line.
fn row(text: &str, label: &str) -> String {
    let begins = text.find(&format!("\n  {label} ")).unwrap_or_else(|| panic!("{label}: {text}"));
    let mut lines = text[begins + 1..].lines();
    let first = lines.next().unwrap()[2 + label.len()..].trim().to_owned();
    let more = lines.take_while(|line| line.starts_with(&" ".repeat(18)));
    more.fold(first, |row, line| format!("{row} {}", line.trim()))
}

#[tokio::test]
async fn the_built_in_action_is_explained_as_a_whole() {
    let ended = Program::run(&["explain", "customer-lookup"], &[]).await;
    assert_eq!((ended.code, &*ended.err), (Some(0), ""));
    assert_eq!(ended.out, BUILTIN, "{}", ended.out);
}

#[tokio::test]
async fn every_policy_that_is_written_is_said_within_80_columns() {
    let ended = explained("find").await;
    assert_eq!((ended.code, &*ended.err), (Some(0), ""));
    for (label, said) in [
        ("Who may call", "Who shows the key of `portal` in X-Api-Key."),
        (
            "Limits",
            "slow: 5 calls a minute for each id of an organisation, 1 at once (only counted).",
        ),
        (
            "Under way",
            "At most 200 calls of all actions, 50 of one organisation; more are shed with 503.",
        ),
        ("Pauses", "A random part of 300 ms, then of 600 ms, then of 1.2 s, doubling up to 2 s."),
        (
            "Hedging",
            "A second attempt beside one that is later than 95 % of the recent ones; at most 2 % \
             of all, out of the budget of repeats. It is one of the 6 attempts of a call.",
        ),
        ("At once", "At most 7 attempts. One waits at most 100 ms for its turn."),
        ("Quota", "100 attempts/s, 10 at once; what is beyond is not sent."),
        ("answers 503 at once", "5 to 6 4.63 s 46.3 of 50"),
        ("never answers", "3 to 6 4.75 s 47.5 of 50"),
        (
            "These are",
            "Attempts: how many fit with the longest and with the shortest pauses, hedges among \
             them. Times: the longest, waits for quota and turn included.",
        ),
        ("None", "Every call asks desk."),
        ("Fallback", "What is declared, in place of a failure of desk."),
    ] {
        let row = row(&ended.out, label);
        assert_eq!(row.split_whitespace().collect::<Vec<_>>().join(" "), said, "{label}");
    }
    for line in ended.out.lines() {
        assert!(line.chars().count() <= 80 && line.trim_end() == line, "{line}");
    }
    let words = ended.out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("costs desk at most 6 attempts."), "{words}");
    assert!(row(&ended.out, "Load on it").starts_with("At most 6 attempts for one call;"));
    assert!(!ended.out.contains("planted"), "{}", ended.out);
}

#[tokio::test]
async fn nothing_is_promised_that_may_not_come() {
    let text = explained("late").await.out;
    assert!(!text.contains("may stand in"), "no old answer is kept: {text}");
    assert_eq!(row(&text, "Oldest"), "66 s.");
    let noticed = row(&text, "Noticed");
    assert!(noticed.contains("600 ms after the first 503. From then on"), "{noticed}");
    assert!(noticed.ends_with("is cut short, which says nothing about tight."), "{noticed}");
    assert_eq!(row(&text, "Hedging"), "Never: it would be a second attempt.");
}

#[tokio::test]
async fn an_action_that_changes_something_is_tried_once_where_it_may_have_been_sent() {
    let text = explained("open-ticket").await.out;
    assert!(row(&text, "Repeats").ends_with("so only what provably was not sent is repeated."));
    assert_eq!(row(&text, "Who may call"), "Anybody: no proof is asked for.");
    for (trouble, attempts) in [("refuses connections", "5 to 6"), ("never answers", "1")] {
        assert!(row(&text, trouble).starts_with(attempts), "{trouble}: {text}");
    }
    assert_eq!(row(&text, "Hedging"), "Never: it changes something.");
}

#[tokio::test]
async fn what_is_switched_off_is_said_too() {
    let text = explained("ping").await.out;
    assert_eq!(row(&text, "Repeats"), "Never: one attempt a call.");
    assert_eq!(row(&text, "Breaker"), "Off: it is asked however often it fails.");
    let noticed = "Never: the breaker is off, and every call pays the whole time.";
    assert_eq!(row(&text, "Noticed"), noticed);
    assert!(!text.contains("Pauses") && !text.contains("breaker open"), "{text}");
    let load = "At most 1 attempt for one call; over all calls at most one for each.";
    assert_eq!(row(&text, "Load on it"), load);
}

#[tokio::test]
async fn it_says_by_what_the_upstream_knows_us_and_names_no_secret() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("holdline.yaml");
    for (keys, said) in [
        ("headers: {Authorization: '${S}'}", "Whatever its `headers` hold: one of them is secret."),
        ("auth: {type: bearer, token: '${S}'}", "A token in Authorization, always the same."),
        (
            "auth: {type: basic, user: us, password: '${S}'}",
            "A user and a password in Authorization (Basic).",
        ),
        ("auth: {type: header, name: X-Key, value: '${S}'}", "A secret in the header x-key."),
        (
            "auth: {type: oauth2, token_url: 'https://login.example:444/t', client_id: '${S}', \
             client_secret: '${S}', scope: a b}",
            "A token that login.example:444 issues to us (OAuth 2, client credentials, scope `a b`): \
             asked for with the first call, renewed when four fifths of its time are over. One \
             that is answered with 401 is dropped, and the attempt is made once more with another.",
        ),
    ] {
        let yaml = format!(
            "upstreams: {{desk: {{base_url: 'https://desk.example:8443', {keys}}}}}\n\
             actions: {{find: {{caller: none, request: {{upstream: desk, path: /}}, \
             output: {{a: {{type: string, from: $.a}}}}}}}}\n"
        );
        fs::write(&file, yaml).expect("the folder can be written to");
        let path = file.to_str().expect("a path in ASCII");
        let ended = Program::run(&["explain", "find", "-c", path], &[("S", "planted")]).await;
        assert_eq!((ended.code, &*ended.err), (Some(0), ""));
        assert!(ended.out.contains("THE UPSTREAM desk (https://desk.example:8443)"), "{ended:?}");
        let row = row(&ended.out, "Credential");
        assert_eq!(row.split_whitespace().collect::<Vec<_>>().join(" "), said);
        assert!(!ended.out.contains("planted"), "{}", ended.out);
        let again = ended.out.contains("At most 3 attempts for one call, one more behind a 401;");
        assert_eq!(again, keys.contains("oauth2"), "{}", ended.out);
    }
}

#[tokio::test]
async fn an_unknown_action_ends_with_the_known_ones_nearest_first() {
    let ended = explained("opn-ticket").await;
    assert_eq!((ended.code, &*ended.out), (Some(1), ""));
    let told = "holdline: there is no action of that name; there are: `open-ticket`, `late`, `ping`, `find`";
    assert_eq!(ended.err.trim_end(), told);
    let wrong = Program::run(&["explain", "x"], &[("GENESYS_REGION", "mars-1")]).await;
    assert_eq!((wrong.code, &*wrong.out), (Some(1), ""), "{wrong:?}");
    assert!(wrong.err.contains("`${GENESYS_REGION:-us-east-1}` is no region"), "{wrong:?}");
    assert_eq!(Program::run(&["explain"], &[]).await.code, Some(2), "which action?");
}
