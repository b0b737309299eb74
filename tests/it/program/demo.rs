//! `demo`: every line that it prints can be run as it stands, and does what is said above it.

use std::process::Command;

use serde_json::{Value, json};

use crate::support::{
    eventually,
    program::{Program, there_is},
    service::client,
};

const ANYWHERE: [&str; 8] = [
    "--listen",
    "127.0.0.1:0",
    "--probes",
    "127.0.0.1:0",
    "--admin",
    "127.0.0.1:0",
    "--faults",
    "127.0.0.1:0",
];

/// A running demo on free ports, and the lines that it printed.
async fn demo(args: &[&str]) -> (Program, Vec<String>) {
    let program = Program::start(&[&["demo"], &ANYWHERE[..], args].concat(), &[]);
    program.line(|line| line == "Ctrl-C ends it.").await;
    let lines = program.out().lines().map(str::to_owned).collect();
    (program, lines)
}

/// The commands among the lines, in order.
pub(super) fn commands(lines: &[String]) -> Vec<&str> {
    lines.iter().filter_map(|line| line.strip_prefix("  ")).collect()
}

/// The part of the first command that holds `part` which is its address, up to the path.
fn address<'a>(lines: &'a [String], part: &str) -> &'a str {
    let command = commands(lines).into_iter().find(|command| command.contains(part)).unwrap();
    let from = command.find("http://").unwrap();
    let length = command[from..].find(part).unwrap();
    &command[from..from + length]
}

pub(super) async fn sh(command: &str) -> String {
    let mut shell = Command::new("sh");
    shell.args(["-c", command]);
    let ended = Program::spawn(shell, &[]).ended().await;
    assert_eq!(ended.code, Some(0), "{command}: {ended:?}");
    ended.out
}

pub(super) fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[tokio::test]
async fn every_printed_line_runs_as_it_stands_and_does_what_is_said_above_it() {
    if !there_is("curl") {
        return;
    }
    let (program, lines) = demo(&[]).await;
    let commands = commands(&lines);
    let [look_up, down, again, other, ok, info, explain, metrics, purge] = commands[..] else {
        panic!("nine lines to try: {commands:?}")
    };
    assert!(commands.iter().all(|command| !command.contains(":0/")), "{commands:?}");

    let customer = parsed(&sh(look_up).await);
    assert_eq!(customer["data"]["full_name"], "Leanne Graham");
    assert_eq!(parsed(&sh(look_up).await), customer);
    assert_eq!(parsed(&sh(down).await)["crm"]["standing"], "down");
    assert_eq!(again, look_up);
    assert_eq!(parsed(&sh(again).await), customer, "out of the cache");
    let refused = parsed(&sh(other).await);
    assert_eq!(
        (&refused["status"], &refused["code"]),
        (&json!(502), &json!("upstream_unreachable"))
    );
    assert_eq!(parsed(&sh(ok).await)["crm"]["standing"], "ok");
    // Within a second of the failure it is still told.
    let answered = eventually("it is mended", async || {
        parsed(&sh(other).await)["data"]["full_name"].as_str().map(str::to_owned)
    });
    assert_ne!(answered.await, "");
    let info = parsed(&sh(info).await);
    assert_eq!(
        (&info["phase"], &info["upstreams"][0]["breaker"]),
        (&json!("ready"), &json!("closed"))
    );
    let explained = parsed(&sh(explain).await);
    let last = explained["calls"].as_array().and_then(|calls| calls.last()).unwrap();
    assert_eq!(last["request_id"], refused["request_id"], "the first that failed");
    let counted = r#"holdline_requests_total{action="customer-lookup",class="success",outcome="ok",source="cache_fresh"} 2"#;
    let metrics = sh(metrics).await;
    assert!(metrics.lines().any(|line| line == counted), "{metrics}");
    assert_eq!(parsed(&sh(purge).await), json!({"scope": "customer", "removed": 1}));

    let ended = program.terminated().await;
    let err: Vec<&str> = ended.err.lines().collect();
    assert_eq!((ended.code, err.len()), (Some(0), 1), "{ended:?}");
    assert!(err[0].contains("holdline::audit: cache purged"), "what an operator did: {err:?}");
}

#[tokio::test]
async fn a_line_a_call_is_written_beside_the_printed_ones_where_it_is_asked_for() {
    let (program, lines) = demo(&["--log"]).await;
    let url = format!("{}/data-action/customer-lookup", address(&lines, "/data-action"));
    let called = client().post(url).body("{}").send().await.unwrap();
    assert_eq!(called.status(), 401);
    program.signal("INT");
    let ended = program.ended().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.err.contains("call ended"), "{ended:?}");
    assert!(
        ended.err.contains("outcome=\"unauthenticated\"")
            || ended.err.contains("outcome=unauthenticated"),
        "{ended:?}"
    );
}

#[tokio::test]
async fn traffic_calls_at_its_rate_and_writes_status_lines() {
    let (program, lines) = demo(&["--traffic", "50/s"]).await;
    let control = format!("{}/faults", address(&lines, "/faults"));
    let client = client();
    eventually("thirty requests at the CRM", async || {
        let shown: Value = client.get(&control).send().await.ok()?.json().await.ok()?;
        (shown["crm"]["requests"].as_u64()? >= 30).then_some(())
    })
    .await;
    let ended = program.terminated().await;
    assert_eq!((ended.code, &*ended.err), (Some(0), ""), "{ended:?}");
    let status = ended.out.lines().last().unwrap();
    assert!(status.starts_with("50/s  200 "), "{status}");
    for field in ["  404 ", "  503 0", "  p50 ", "  p99 ", "  waiting "] {
        assert!(status.contains(field), "{field}: {status}");
    }
    let answered: u64 = status.split("  ").nth(1).unwrap()[4..].replace(',', "").parse().unwrap();
    assert!(answered >= 30, "{status}");
    assert!(!status.contains("no answer"), "{status}");
}

#[tokio::test]
async fn a_demo_may_begin_with_a_fault() {
    let (program, lines) = demo(&["--fault", "crm=down"]).await;
    let control = format!("{}/faults", address(&lines, "/faults"));
    let shown: Value = client().get(control).send().await.unwrap().json().await.unwrap();
    assert_eq!(shown["crm"]["standing"], "down");
    let url = format!("{}/data-action/customer-lookup", address(&lines, "/data-action"));
    let call = client().post(url).header("X-Genesys-Auth-Token", "demo-token");
    let call = call.json(&json!({"data": {"customer_id": 1}})).send().await.unwrap();
    assert_eq!(call.status(), 502);
    let problem: Value = call.json().await.unwrap();
    assert_eq!(problem["detail"], "Could not connect to external API");
    assert_eq!(program.terminated().await.code, Some(0));
}
