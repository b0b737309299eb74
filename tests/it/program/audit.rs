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
    assert!(line["peer"].as_str().is_some_and(|peer| peer.starts_with("127.0.0.1:")), "{line}");
    service.terminated().await;
}

/// The next line of the audit with that message.
async fn audited(service: &Service, message: &'static str) -> Value {
    let line = service
        .program
        .line(|line| {
            let line: Value = serde_json::from_str(line).unwrap_or_default();
            line["target"] == "holdline::audit" && line["message"] == message
        })
        .await;
    serde_json::from_str(&line).unwrap()
}

async fn post(service: &Service, path: &str, wish: &Value) -> u16 {
    let url = format!("http://{}{path}", service.admin);
    service.client.post(url).json(wish).send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn purges_and_drains_are_logged_with_what_until_when_and_why() {
    let action = "    cache: {ttl: 60s, customer: customer_id}";
    let wish = Wish { action, ..Wish::default() };
    let service = Service::start(&Outside::start().await.yaml(&wish), &[]).await;
    let purge = json!({"customer": 987_654_321, "action": "customer-lookup"});
    assert_eq!(post(&service, "/cache/purge", &purge).await, 200);
    let line = audited(&service, "cache purged").await;
    let expected = ["customer", "customer-lookup", "hard"].map(Value::from);
    assert_eq!([&line["scope"], &line["action"], &line["manner"]], expected.each_ref());
    assert!(!line.to_string().contains("987654321"), "whose it was is not told: {line}");

    assert_eq!(post(&service, "/drain", &json!({"for": "1h", "reason": "the disk"})).await, 200);
    let line = audited(&service, "drained by hand").await;
    assert!(line["until"].as_str().is_some_and(|until| until.ends_with('Z')), "{line}");
    assert_eq!(line["reason"], "the disk");
    assert_eq!(post(&service, "/undrain", &json!({"reason": "it is full"})).await, 200);
    let line = audited(&service, "undrained by hand").await;
    assert_eq!((&line["was_drained"], &line["reason"]), (&json!(true), &json!("it is full")));
    assert!(line["peer"].as_str().is_some_and(|peer| peer.starts_with("127.0.0.1:")), "{line}");
    service.terminated().await;
}

#[tokio::test]
async fn what_is_refused_is_logged_with_why_and_never_with_its_body() {
    let service = Service::start(&Outside::start().await.yaml(&Wish::default()), &[]).await;
    assert_eq!(post(&service, "/drain", &json!({"for": "planted-4711"})).await, 400);
    let line = audited(&service, "change refused").await;
    assert_eq!((&line["change"], &line["status"]), (&json!("drain"), &json!(400)));
    assert!(line["why"].as_str().is_some_and(|why| why.starts_with("`for` is")), "{line}");
    assert!(line["peer"].is_string(), "{line}");

    let page = service.client.post(format!("http://{}/undrain", service.admin));
    let page = page.header("origin", "https://planted-4711.example").send().await.unwrap();
    assert_eq!(page.status(), 403);
    let line = audited(&service, "turned away").await;
    assert_eq!((&line["change"], &line["times"]), (&json!("page"), &json!(1)));
    let ended = service.terminated().await;
    assert!(!ended.out.contains("planted-4711"), "{}", ended.out);
}
