//! `call` and `dry-run`: one call with its trail, here and to a running service, and what would be
//! sent.

use std::{fs, path::PathBuf};

use holdline::demo::fault::{Fault, Standing};
use serde_json::{Value, json};

use crate::support::{
    program::{Ended, Program},
    service::{Outside, Service, TOKEN, Wish},
};

/// Runs the program with the tutorial's action against the fakes.
async fn with_fakes(outside: &Outside, args: &[&str]) -> Ended {
    let (crm, genesys) = (outside.crm.site.url(), outside.genesys.site.url());
    Program::run(args, &[("EXTERNAL_API_BASE", &crm), ("GENESYS_API_BASE", &genesys)]).await
}

fn outputs(ended: &Ended) -> Value {
    serde_json::from_str(&ended.out).unwrap_or_else(|error| panic!("{error}: {ended:?}"))
}

/// The words of the line that begins with `stage`.
fn step<'a>(ended: &'a Ended, stage: &str) -> Vec<&'a str> {
    let lines = ended.err.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    lines.into_iter().find(|words| words.first() == Some(&stage)).unwrap_or_default()
}

#[tokio::test]
async fn a_call_in_this_process_is_answered_and_each_stage_is_shown() {
    let outside = Outside::start().await;
    let call = ["call", "customer-lookup", "customer_id=1", "--token", TOKEN];
    let ended = with_fakes(&outside, &call).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(outputs(&ended)["data"]["full_name"], "Leanne Graham");
    assert!(ended.err.starts_with("200 OK after "), "{ended:?}");
    for (stage, decision) in [
        ("authenticate", "remote"),
        ("validate", "valid"),
        ("rate_limit", "allowed"),
        ("cache", "miss"),
        ("flight", "landed"),
        ("upstream", "answered"),
        ("attempt", "200"),
        ("map_output", "mapped"),
    ] {
        assert_eq!(step(&ended, stage).get(1), Some(&decision), "{stage}: {ended:?}");
    }
    assert!(!format!("{ended:?}").contains(TOKEN), "{ended:?}");
}

#[tokio::test]
async fn a_call_that_fails_is_told_and_its_repeats_are_seen() {
    let outside = Outside::start().await;
    outside
        .crm
        .site
        .set(Standing::every(Fault::Status { code: 503, retry_after: None }))
        .await
        .expect("it stands");
    let call = ["call", "customer-lookup", "customer_id=1", "--token", TOKEN];
    let ended = with_fakes(&outside, &call).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_eq!(outputs(&ended)["detail"], "External API failed: 503");
    let attempts = ended.err.lines().filter(|line| line.trim().starts_with("attempt"));
    assert!(attempts.count() > 1, "{ended:?}");
}

#[tokio::test]
async fn what_cannot_be_called_is_said_without_a_call() {
    let outside = Outside::start().await;
    for (args, told) in [
        (&["call", "customer-lokup"][..], "there are: `customer-lookup`"),
        (&["call", "customer-lookup", "customer_id"], "write key=value, or key:=JSON"),
        (&["call", "customer-lookup", "customer_id:=x"], "what follows `customer_id:=` is no JSON"),
        (&["call", "customer-lookup", "a=1", "a=2"], "a is given twice"),
        (&["dry-run", "customer-lookup"], "customer_id is required"),
        (&["dry-run", "customer-lookup", "customer_id=x"], "customer_id must be an integer"),
    ] {
        let ended = with_fakes(&outside, args).await;
        assert_eq!((ended.code, &*ended.out), (Some(1), ""), "{args:?}: {ended:?}");
        assert!(ended.err.contains(told), "{args:?}: {ended:?}");
    }
    assert_eq!(outside.crm.site.counts().requests, 0);
}

#[tokio::test]
pub(crate) async fn a_running_service_is_called_and_tells_of_its_stages_where_it_may() {
    let outside = Outside::start().await;
    for (action, told) in [
        ("    debug_headers: true", "attempt    200"),
        ("    timeout: 5s", "no trail: the action's debug_headers are off"),
    ] {
        let yaml = outside.yaml(&Wish { action, ..Wish::default() });
        let service = Service::start(&yaml, &[]).await;
        let url = service.url("");
        let call = ["call", "customer-lookup", "customer_id=2", "--url", &url, "--token", TOKEN];
        let ended = Program::run(&call, &[]).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let wanted = outside.crm.customer(2).expect("it is known")["name"].clone();
        assert_eq!(outputs(&ended)["data"]["full_name"], wanted);
        assert!(ended.err.contains(told), "{ended:?}");
        service.terminated().await;
    }
}

/// A file with that text, in a folder that lives as long as the test.
fn written(folder: &tempfile::TempDir, name: &str, text: &str) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, text).expect("it can be written");
    path
}

const ORDERS: &str = r#"version: 1
callers:
  portal: {type: api_key, header: X-Api-Key, keys: {ivr: "${IVR_KEY}"}}
upstreams:
  shop: {base_url: "${SHOP}", headers: {Authorization: "Bearer ${SHOP_TOKEN}", X-Tenant: blue}}
actions:
  new-order:
    caller: portal
    envelope: flat
    input:
      sku: {type: string, required: true}
      amount: {type: integer, required: true}
      gift: {type: boolean}
      note: {type: string}
    request:
      upstream: shop
      method: POST
      path: /orders{?note}
      headers: {X-Sku: "{sku}"}
      body: {item: {sku: "{sku}", amount: "{amount}", gift: "{gift}"}, text: "for {sku}"}
    output:
      id: {type: string, from: $.id}
      lines: {type: array, from: $.lines, default: []}
"#;

#[tokio::test]
async fn a_dry_run_shows_the_request_and_the_answer_and_sends_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = written(&folder, "holdline.yaml", ORDERS);
    let reply = written(&folder, "reply.json", r#"{"id": "A-1", "lines": [{"n": 1.0}]}"#);
    let input = json!({"sku": "007", "amount": 3, "gift": true, "note": "a b&c"});
    let input = written(&folder, "input.json", &input.to_string());
    let env = [("SHOP", "https://shop.example/v2"), ("SHOP_TOKEN", "s3cret"), ("IVR_KEY", "k3y")];
    let text = |path: &PathBuf| path.to_str().expect("UTF-8").to_owned();
    let (file, reply, input) = (text(&file), text(&reply), text(&input));
    let by_file = ["dry-run", "new-order", "-c", &file, "--input", &input, "--reply", &reply];
    let by_pairs = [
        "dry-run",
        "new-order",
        "sku=007",
        "amount=3",
        "gift=true",
        "note=a b&c",
        "-c",
        &file,
        "--reply",
        &reply,
    ];
    for args in [&by_file[..], &by_pairs] {
        let ended = Program::run(args, &env).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert_eq!(
            ended.out,
            r#"POST https://shop.example/v2/orders?note=a%20b%26c
accept: application/json
authorization: (secret)
x-tenant: blue
x-sku: 007
content-type: application/json

{
  "item": {
    "sku": "007",
    "amount": 3,
    "gift": true
  },
  "text": "for 007"
}

Not cached: every call asks.

{
  "id": "A-1",
  "lines": [
    {
      "n": 1.0
    }
  ]
}
"#
        );
    }
}

#[tokio::test]
async fn a_call_without_a_token_uses_a_key_of_the_configuration() {
    let outside = Outside::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    let yaml = ORDERS.replace("method: POST", "method: GET").replace("/orders{?note}", "/users/1");
    let yaml = yaml.lines().filter(|line| !line.contains("body:")).collect::<Vec<_>>().join("\n");
    let yaml = yaml.replace("id: {type: string, from: $.id}", "id: {type: string, from: $.name}");
    let file = written(&folder, "holdline.yaml", &yaml);
    let file = file.to_str().expect("UTF-8");
    let crm = outside.crm.site.url();
    let env = [("SHOP", &*crm), ("SHOP_TOKEN", "s3cret"), ("IVR_KEY", "k3y")];
    let ended = Program::run(&["call", "new-order", "sku=x", "amount=1", "-c", file], &env).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(outputs(&ended)["id"], "Leanne Graham");
    assert!(ended.err.starts_with("as ivr (portal)\n200 OK after "), "{ended:?}");
    assert!(!format!("{ended:?}").contains("k3y"), "{ended:?}");
}

#[tokio::test]
async fn users_and_clients_of_the_configuration_are_known_to_it_too() {
    let outside = Outside::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    let caller = |scheme: &str| {
        format!(
            "version: 1
callers: {{desk: {scheme}}}
upstreams: {{crm: {{base_url: {}}}}}
actions:
  look:
    caller: desk
    request: {{upstream: crm, path: /users/1}}
    output: {{name: {{type: string, from: $.name}}}}
",
            outside.crm.site.url()
        )
    };
    for scheme in [
        "{type: basic, users: {ivr: \"${SECRET}\"}}",
        "{type: issued, clients: {ivr: \"${SECRET}\"}, key: \"${SIGNING}\"}",
    ] {
        let file = written(&folder, "holdline.yaml", &caller(scheme));
        let file = file.to_str().expect("UTF-8");
        let env =
            [("SECRET", "a-long-enough-secret"), ("SIGNING", "0123456789abcdef0123456789abcdef")];
        let ended = Program::run(&["call", "look", "-c", file], &env).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(ended.err.starts_with("as ivr (desk)\n200 OK"), "{ended:?}");
        assert!(!format!("{ended:?}").contains("a-long-enough"), "{ended:?}");
    }
}

/// An action of its own header and envelope, which tells failures by outcome.
fn told(crm: &str, output: &str) -> String {
    format!(
        r#"version: 1
server: {{listen: "127.0.0.1:0", base_path: /own, drain: {{delay: 0s}}}}
probes: {{listen: "127.0.0.1:0"}}
admin: {{listen: "127.0.0.1:0"}}
callers: {{portal: {{type: api_key, header: X-Portal, keys: {{ivr: planted-key}}}}}}
upstreams: {{crm: {{base_url: "{crm}", retry: {{attempts: 1}}}}}}
actions:
  look:
    caller: portal
    envelope: flat
    failures: outcome
    debug_headers: true
    input: {{id: {{type: integer, required: true}}}}
    request: {{upstream: crm, path: "/users/{{id}}"}}
    output: {{name: {output}}}
"#
    )
}

const NAME: &str = "{type: string, from: $.name, default: nobody}";
const NO_NUMBER: &str = "{type: integer, from: $.name, default: 0}";

#[tokio::test]
async fn an_outcome_that_is_no_answer_fails_and_is_explained() {
    let outside = Outside::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    let crm = outside.crm.site.url();
    for (output, code, outcome) in [(NAME, 0, "ok"), (NO_NUMBER, 1, "mapping_error")] {
        let file = written(&folder, "holdline.yaml", &told(&crm, output));
        let file = file.to_str().expect("UTF-8");
        let ended = Program::run(&["call", "look", "id=1", "-c", file], &[]).await;
        assert_eq!(ended.code, Some(code), "{ended:?}");
        assert_eq!(outputs(&ended)["outcome"], outcome);
        let why = "mapping_error: External API reply has a value of the wrong type for output name";
        assert_eq!(ended.err.contains(why), code == 1, "{ended:?}");
    }
}

#[tokio::test]
async fn a_running_service_is_called_as_the_configuration_says() {
    let outside = Outside::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    let crm = outside.crm.site.url();
    for (output, code, outcome) in [(NAME, 0, "ok"), (NO_NUMBER, 1, "mapping_error")] {
        let yaml = told(&crm, output);
        let file = written(&folder, "holdline.yaml", &yaml);
        let file = file.to_str().expect("UTF-8");
        let service = Service::start(&yaml, &[]).await;
        // The file knows what stands before the action's name, too.
        let url = format!("http://{}", service.calls);
        let ended = Program::run(&["call", "look", "id=1", "-c", file, "--url", &url], &[]).await;
        assert_eq!(ended.code, Some(code), "{ended:?}");
        assert_eq!(outputs(&ended)["outcome"], outcome);
        let steps = ended.err.lines().filter_map(|line| line.strip_prefix("  "));
        let stages: Vec<_> = steps.filter_map(|line| line.split_whitespace().next()).collect();
        let wanted =
            ["authenticate", "validate", "rate_limit", "upstream", "attempt", "map_output"];
        assert_eq!(stages, wanted, "{ended:?}");
        assert!(!format!("{ended:?}").contains("planted-key"), "{ended:?}");
        service.terminated().await;
    }
    for wrong in ["127.0.0.1:8080", "localhost:8080"] {
        let ended = Program::run(&["call", "look", "--url", wrong], &[]).await;
        let told = "write it like http://127.0.0.1:8080/data-action";
        assert!(ended.code == Some(2) && ended.err.contains(told), "{ended:?}");
    }
}

#[tokio::test]
async fn a_dry_run_shows_how_we_prove_ourselves_and_keeps_it_secret() {
    let folder = tempfile::tempdir().expect("a folder");
    for (auth, shown) in [
        ("{type: bearer, token: '${S}'}", "authorization: (secret)"),
        ("{type: header, name: X-Key, value: '${S}'}", "x-key: (secret)"),
        (
            "{type: oauth2, token_url: 'https://login.example:444/t', client_id: '${S}', \
             client_secret: '${S}'}",
            "authorization: (a token that login.example:444 issues)",
        ),
    ] {
        let yaml = told("https://crm.example", NAME);
        let yaml = yaml.replace("retry: {attempts: 1}", &format!("auth: {auth}"));
        let file = written(&folder, "holdline.yaml", &yaml);
        let file = file.to_str().expect("UTF-8");
        let args = ["dry-run", "look", "id=1", "-c", file];
        let ended = Program::run(&args, &[("S", "planted-secret")]).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(ended.out.lines().any(|line| line == shown), "{ended:?}");
        assert!(!format!("{ended:?}").contains("planted-secret"), "{ended:?}");
    }
}

#[tokio::test]
async fn a_dry_run_answers_a_reply_as_the_service_would() {
    let folder = tempfile::tempdir().expect("a folder");
    let by_outcome = told("https://crm.example", NAME);
    let by_status = by_outcome.replace("failures: outcome", "failures: status");
    let fallback = by_outcome.replace("    input:", "    fallback: {name: somebody}\n    input:");
    let (good, bad) = (r#"{"name": "A"}"#, r#"{"name": 1, "#);
    for (yaml, reply, code, wanted) in [
        (&by_outcome, good, 0, json!({"name": "A", "outcome": "ok", "status_code": 200})),
        (&by_outcome, bad, 1, json!({"outcome": "mapping_error", "status_code": 502})),
        (&fallback, bad, 0, json!({"name": "somebody", "outcome": "fallback"})),
        (&by_status, good, 0, json!({"name": "A"})),
        (&by_status, bad, 1, json!({"status": 502, "code": "mapping_error"})),
    ] {
        let file = written(&folder, "holdline.yaml", yaml);
        let reply = written(&folder, "reply.json", reply);
        let (file, reply) = (file.to_str().expect("UTF-8"), reply.to_str().expect("UTF-8"));
        let args = ["dry-run", "look", "id=1", "-c", file, "--reply", reply];
        let ended = Program::run(&args, &[]).await;
        assert_eq!(ended.code, Some(code), "{ended:?}");
        let at = ended.out.find("\n{").expect("an answer");
        let answer: Value = serde_json::from_str(&ended.out[at..]).expect("JSON");
        for (name, value) in wanted.as_object().expect("an object") {
            assert_eq!(&answer[name], value, "{name}: {ended:?}");
        }
        assert_eq!(answer.get("age_seconds").is_some(), yaml != &by_status, "{ended:?}");
        let is_told = ended.err.contains("External API reply is not JSON: answered with ");
        assert_eq!(is_told, wanted.get("name") != Some(&json!("A")), "{ended:?}");
    }
}
