//! The log level in an operator's hand: what is written meanwhile, and what comes after.

use serde_json::{Value, json};

use crate::support::{
    eventually,
    service::{Outside, Service, Wish},
};

/// What is told of the level after that wish.
async fn forced(service: &Service, wish: Value) -> Value {
    let url = format!("http://{}/log-level", service.admin);
    let response = service.client.post(url).json(&wish).send().await.unwrap();
    assert_eq!(response.status(), 200, "{wish}");
    response.json().await.unwrap()
}

/// What `/info` tells of it.
async fn shown(service: &Service) -> Value {
    let (_, text) = service.get(service.admin, "/info").await;
    let info: Value = serde_json::from_str(&text).unwrap();
    info["log"].clone()
}

/// The request id of a call that is answered.
async fn called(service: &Service) -> String {
    let answer = service.call("customer-lookup", 1).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    answer.headers()["x-request-id"].to_str().unwrap().to_owned()
}

/// Waits for the line of that call.
async fn written(service: &Service, request_id: &str) {
    service.program.line(|line| line.contains("call ended") && line.contains(request_id)).await;
}

#[tokio::test]
async fn a_forced_level_holds_until_it_is_given_back_and_each_change_is_in_the_audit() {
    let service = Service::start(&Outside::start().await.yaml(&Wish::default()), &[]).await;
    let resting = json!({"level": "info", "configured": "info", "forced": null});
    assert_eq!(shown(&service).await, resting);
    let reason = "too much is written, ticket 4711";
    let told = forced(&service, json!({"level": "warn", "reason": reason})).await;
    assert_eq!((&told["level"], &told["configured"]), (&json!("warn"), &json!("info")));
    assert_eq!(told["forced"]["reason"], reason);
    let left = shown(&service).await["forced"]["seconds_left"].as_f64().unwrap();
    assert!((580.0..=600.0).contains(&left), "ten minutes where nothing is said: {left}");
    let quiet = called(&service).await;
    assert_eq!(forced(&service, json!({"level": "auto", "reason": "done"})).await, resting);
    written(&service, &called(&service).await).await;

    let ended = service.terminated().await;
    assert!(!ended.out.contains(&quiet), "no healthy call is a warning: {ended:?}");
    let audited = ended.out.lines().filter_map(|line| {
        let line: Value = serde_json::from_str(line).unwrap();
        (line["message"] == "log level set").then_some(line)
    });
    let audited: Vec<_> = audited
        .map(|line| (line["log_level"].clone(), line["reason"].clone(), line["until"].is_string()))
        .collect();
    let expected = [(json!("warn"), json!(reason), true), (json!("auto"), json!("done"), false)];
    assert_eq!(audited, expected);
}

#[tokio::test]
async fn it_falls_back_by_itself_and_a_call_that_fails_is_a_warning() {
    let outside = Outside::start().await;
    let service = Service::start(&outside.yaml(&Wish::default()), &[]).await;
    forced(&service, json!({"level": "warn", "for": "1s"})).await;
    outside.crm.site.set(holdline::demo::fault::Standing::Down).await.unwrap();
    assert_eq!(service.status("customer-lookup", 2).await, 502);
    let line = service.program.line(|line| line.contains("call ended")).await;
    let line: Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&line["level"], &line["class"]), (&json!("WARN"), &json!("failure")));
    assert_eq!(line["not_repeated"], "limit_reached", "{line}");
    let audited = service.program.line(|line| line.contains("log level fell back")).await;
    let audited: Value = serde_json::from_str(&audited).unwrap();
    assert_eq!(audited["target"], "holdline::audit");
    assert_eq!(shown(&service).await["level"], "info");
    service.terminated().await;
}

#[tokio::test]
async fn a_reload_meanwhile_changes_what_it_falls_back_to() {
    let outside = Outside::start().await;
    let service = Service::start(&outside.yaml(&Wish::default()), &[]).await;
    forced(&service, json!({"level": "debug", "for": "1h"})).await;
    service.write(&outside.yaml(&Wish { telemetry: "log: {level: warn}", ..Wish::default() }));
    let told = eventually("the level of the new file", async || {
        let told = shown(&service).await;
        (told["configured"] == "warn").then_some(told)
    })
    .await;
    assert_eq!(told["level"], "debug");
    written(&service, &called(&service).await).await;
    let told = forced(&service, json!({"level": "auto"})).await;
    assert_eq!(told, json!({"level": "warn", "configured": "warn", "forced": null}));
    let quiet = called(&service).await;
    let ended = service.terminated().await;
    assert!(!ended.out.contains(&quiet), "{ended:?}");
}
