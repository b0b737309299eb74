//! How upstreams are shown to an operator, and breakers put under their hand.

use serde_json::{Value, json};

use crate::support::proxy::{Setup, TestProxy};

/// A service whose breaker works.
async fn start() -> TestProxy {
    Setup::new().upstream("breaker: {enabled: true}").start().await
}

/// What is shown of the upstream.
async fn shown(proxy: &TestProxy) -> Value {
    let get = proxy.client.network().get(proxy.admin_url("/upstreams"));
    let (status, text) = proxy.fetch(get).await;
    assert_eq!(status, 200);
    let told: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(told["upstreams"].as_array().map(Vec::len), Some(1));
    told["upstreams"][0].clone()
}

/// How its upstream stands once the breaker is under that force.
async fn forced(proxy: &TestProxy, wish: Value) -> Value {
    let (status, text) = proxy.operate("/breakers/crm", &wish).await;
    assert_eq!(status, 200, "{text}");
    serde_json::from_str(&text).expect("JSON")
}

/// The seconds that a force has left, to the full minute.
fn minutes_left(condition: &Value) -> f64 {
    let left = condition["breaker"]["forced"]["seconds_left"].as_f64().expect("it is forced");
    (left / 60.0).ceil()
}

async fn actions(proxy: &TestProxy, result: &str) -> f64 {
    let result = format!("result=\"{result}\"");
    proxy.metric("holdline_admin_actions_total", [r#"action="breaker""#, &result]).await
}

#[tokio::test]
async fn an_upstream_is_shown_with_all_that_it_stands_on() {
    let proxy = start().await;
    proxy.works().await;
    let mut told = shown(&proxy).await;
    let seconds = told["breaker"]["for_seconds"].take();
    assert!(seconds.as_f64().is_some_and(|seconds| seconds > 0.0), "{seconds}");
    let expected = json!({
        "name": "crm",
        "breaker": {
            "state": "closed",
            "for_seconds": null,
            "would_be": null,
            "open_seconds_left": 0.0,
            "ramp_seconds_left": 0.0,
            "failures": 0,
            "slow": 0,
            "attempts": 1,
            "failure_ratio": 0.0,
            "slow_ratio": 0.0,
            "forced": null,
        },
    });
    assert_eq!((&told["name"], &told["breaker"]), (&expected["name"], &expected["breaker"]));
    assert_eq!(told["attempts_in_flight"], 0);
    for more in ["attempts_limit", "retry_budget_left"] {
        assert!(told[more].as_f64().is_some_and(|number| number > 0.0), "{more}: {told}");
    }
    proxy.stop().await;
}

#[tokio::test]
async fn forced_open_calls_are_refused_at_once_until_it_is_given_back() {
    let proxy = start().await;
    let reason = "vendor's \"maintenance\", ticket 4711 \u{fc}";
    let told = forced(&proxy, json!({"state": "open", "for": "1h", "reason": reason})).await;
    assert_eq!(told["breaker"]["state"], "forced_open");
    assert_eq!((&told["breaker"]["forced"]["state"], minutes_left(&told)), (&json!("open"), 60.0));
    assert_eq!(told["breaker"]["forced"]["reason"], reason);
    let until = told["breaker"]["forced"]["until"].as_str().unwrap();
    assert!(until.ends_with('Z') && until.len() == "2026-01-31T12:00:00Z".len(), "{until}");
    assert_eq!(shown(&proxy).await["breaker"]["forced"]["reason"], reason);

    let answer = proxy.call(1).await;
    assert_eq!((answer.status, answer.retry_after()), (503, 60));
    assert_eq!(proxy.crm.site.counts().requests, 0);
    let state = proxy.metric("holdline_breaker_state", [r#"state="forced_open""#]).await;
    assert_eq!(state, 1.0);

    let told = forced(&proxy, json!({"state": "auto", "reason": "done"})).await;
    assert_eq!(
        (&told["breaker"]["state"], &told["breaker"]["forced"]),
        (&json!("half_open"), &Value::Null)
    );
    proxy.works().await;
    assert_eq!((actions(&proxy, "done").await, actions(&proxy, "refused").await), (2.0, 0.0));
    proxy.stop().await;
}

#[tokio::test]
async fn a_force_lasts_ten_minutes_unless_told_otherwise() {
    let proxy = start().await;
    for (state, shown) in [("observe", "observing"), ("closed", "forced_closed")] {
        let told = forced(&proxy, json!({ "state": state })).await;
        assert_eq!((told["breaker"]["state"].as_str(), minutes_left(&told)), (Some(shown), 10.0));
        let told = forced(&proxy, json!({"state": state, "for": "24h"})).await;
        assert_eq!(minutes_left(&told), 24.0 * 60.0);
        let told = forced(&proxy, json!({"state": "auto"})).await;
        assert_eq!(told["breaker"]["state"], "closed");
    }
    proxy.stop().await;
}

#[tokio::test]
async fn while_it_observes_the_state_it_would_be_in_is_shown() {
    let proxy = Setup::new().upstream("breaker: {run: 1}").start().await;
    let told = forced(&proxy, json!({"state": "observe", "for": "5m"})).await;
    assert_eq!(told["breaker"]["would_be"], "closed");
    proxy
        .crm_stands(holdline::demo::fault::Standing::every(holdline::demo::fault::Fault::status(
            500,
        )))
        .await;
    for _ in 0..3 {
        proxy.call(1).await.failed(500, "upstream_error", "External API failed: 500");
    }
    let told = shown(&proxy).await;
    let breaker = &told["breaker"];
    assert_eq!((&breaker["state"], &breaker["would_be"]), (&json!("observing"), &json!("open")));
    assert!(breaker["open_seconds_left"].as_f64().is_some_and(|left| left > 0.0), "{told}");
    assert_eq!(proxy.metric("holdline_breaker_would_refuse_total", []).await, 2.0);
    proxy.stop().await;
}

#[tokio::test]
async fn a_wish_that_says_nothing_or_too_much_changes_nothing_and_is_told_what_to_write() {
    let proxy = start().await;
    for wish in [
        json!({}),
        json!("open"),
        json!(["open", "10m", "planted-4711"]),
        json!({"state": "planted-4711"}),
        json!({"state": "open", "until": "planted-4711"}),
        json!({"state": "open", "for": "planted-4711"}),
        json!({"state": "open", "for": "10"}),
        json!({"state": "open", "for": "0s"}),
        json!({"state": "open", "for": "24h 1s"}),
        json!({"state": "open", "for": 600}),
        json!({"state": "auto", "for": "10m"}),
        json!({"state": "open", "reason": "x".repeat(201)}),
        json!({"state": "open", "reason": "two\nlines"}),
        json!({"state": "open", "reason": "turned \u{202e}round"}),
    ] {
        let (status, text) = proxy.operate("/breakers/crm", &wish).await;
        assert_eq!(status, 400, "{wish}: {text}");
        let problem: Value = serde_json::from_str(&text).expect("JSON");
        assert!(problem["detail"].as_str().is_some_and(|told| told.len() > 20), "{wish}: {text}");
        assert!(!text.contains("planted-4711"), "{text}");
    }
    let (status, text) = proxy.operate("/breakers/crn", &json!({"state": "open"})).await;
    assert_eq!(status, 404);
    assert!(text.contains("There is no upstream of that name; there are: crm"), "{text}");
    assert_eq!(shown(&proxy).await["breaker"]["state"], "closed");
    assert_eq!((actions(&proxy, "done").await, actions(&proxy, "refused").await), (0.0, 15.0));
    proxy.stop().await;
}

#[tokio::test]
async fn reading_and_changing_have_their_own_methods() {
    let proxy = start().await;
    assert_eq!(proxy.operate("/upstreams", &json!({})).await.0, 405);
    let get = proxy.client.network().get(proxy.admin_url("/breakers/crm"));
    assert_eq!(proxy.fetch(get).await.0, 405);
    proxy.stop().await;
}
