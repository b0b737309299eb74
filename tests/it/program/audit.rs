//! What an operator changes stands in the log.

use serde_json::{Value, json};

use crate::support::service::{Outside, Service, Wish};

#[tokio::test]
async fn a_forced_breaker_is_logged_with_what_which_until_when_and_why() {
    let service = Service::start(&Outside::start().await.yaml(&Wish::default()), &[]).await;
    let reason = "ticket 4711, \"vendor\"";
    let breaker = format!("http://{}/breakers/crm", service.admin);
    for wish in [json!({"state": "open", "for": "1h", "reason": reason}), json!({"state": "auto"})]
    {
        let response = service.client.post(&breaker).json(&wish).send().await.unwrap();
        assert_eq!(response.status(), 200);
    }
    let audited = |state: &'static str| {
        move |line: &str| {
            let line: Value = serde_json::from_str(line).unwrap_or_default();
            line["target"] == "holdline::audit" && line["state"] == state
        }
    };
    let line = service.program.line(audited("open")).await;
    let line: Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&line["upstream"], &line["reason"]), (&json!("crm"), &json!(reason)));
    let until = line["until"].as_str().unwrap();
    assert!(until.ends_with('Z'), "{until}");
    let line = service.program.line(audited("auto")).await;
    let line: Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&line["until"], &line["reason"]), (&Value::Null, &Value::Null));
    service.terminated().await;
}
