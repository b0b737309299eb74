//! An instance that its operator takes out of rotation, and back.

use holdline::server::lifecycle::Phase;
use serde_json::{Value, json};

use crate::support::{eventually, form::Form, proxy::Setup};

#[tokio::test]
async fn an_operator_takes_the_instance_out_of_rotation_and_back() {
    let proxy = Setup::new().start().await;
    let told = |(status, text): (u16, String)| {
        assert_eq!(status, 200, "{text}");
        let told: Value = serde_json::from_str(&text).expect("JSON");
        (told["drained"] == true, told["drain_seconds_left"].as_f64().expect("a number"))
    };
    let wish = json!({"for": "2m", "reason": "a look at the disk"});
    let (drained, left) = told(proxy.operate("/drain", &wish).await);
    assert!(drained && (100.0..=120.0).contains(&left), "{left}");
    assert_eq!(proxy.probe("/readyz").await, (503, "draining\n".to_owned()));
    assert_eq!(proxy.probe("/livez").await.0, 200);
    assert_eq!(proxy.metric("holdline_draining", []).await, 1.0);
    assert_eq!(proxy.metric("holdline_ready", []).await, 0.0);
    let answer = proxy.call(1).await;
    Form::TUTORIAL.answered(&answer, &proxy.outputs(1));
    assert_eq!(answer.header("connection"), Some("close"), "what still comes is answered");
    let (_, text) = proxy.fetch(proxy.client.network().get(proxy.admin_url("/info"))).await;
    let info: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(info["phase"], "draining");
    assert!(info["drain_seconds_left"].as_f64().expect("a number") > 100.0);
    assert_eq!(info["drain_reason"], "a look at the disk");
    let until = info["drained_until"].as_str().expect("a time");
    assert!(until.ends_with('Z') && until.len() == "2026-01-31T12:00:00Z".len(), "{until}");

    for _ in 0..2 {
        assert_eq!(told(proxy.operate("/undrain", &json!({})).await), (false, 0.0));
        assert_eq!(proxy.probe("/readyz").await.0, 200);
    }
    let (_, text) = proxy.fetch(proxy.client.network().get(proxy.admin_url("/info"))).await;
    let info: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!((&info["drained_until"], &info["drain_reason"]), (&Value::Null, &Value::Null));
    assert_eq!(proxy.call(1).await.header("connection"), None);
    assert_eq!(proxy.metric("holdline_draining", []).await, 0.0);
    for (action, times) in [("drain", 1.0), ("undrain", 2.0)] {
        let labels = [&*format!("action=\"{action}\""), "result=\"done\""];
        assert_eq!(proxy.metric("holdline_admin_actions_total", labels).await, times);
    }
    proxy.stop().await;
}

#[tokio::test]
async fn a_drain_by_hand_ends_by_itself_and_does_not_hinder_the_end() {
    let proxy = Setup::new().start().await;
    assert_eq!(proxy.operate("/drain", &json!({"for": "1s"})).await.0, 200);
    assert_eq!(proxy.probe("/readyz").await.0, 503);
    eventually("ready again", async || (proxy.probe("/readyz").await.0 == 200).then_some(())).await;
    // No body at all is ten minutes.
    let url = proxy.admin_url("/drain");
    let (status, text) = proxy.fetch(proxy.client.network().post(url)).await;
    let told: Value = serde_json::from_str(&text).expect("JSON");
    let left = told["drain_seconds_left"].as_f64().expect("a number");
    assert!(status == 200 && (580.0..=600.0).contains(&left), "{status} {left}");
    proxy.stop().await;
}

#[tokio::test]
async fn a_drain_that_cannot_be_read_does_nothing_and_says_what_to_write() {
    let proxy = Setup::new().start().await;
    let usage = r#"Write {\"for\": \"10m\""#;
    let how_long = "`for` is a duration from 1s to 24h";
    let why = "`reason` is one line of at most 200 printable characters";
    for (wish, told) in [
        (json!({"for": "planted"}), how_long),
        (json!({"for": 600}), usage),
        (json!({"for": "0s"}), how_long),
        (json!({"for": "25h"}), how_long),
        (json!({"untill": "10m"}), usage),
        (json!({"reason": "planted\nline"}), why),
        (json!({"reason": "x".repeat(201)}), why),
        (json!("10m"), usage),
    ] {
        let (status, text) = proxy.operate("/drain", &wish).await;
        assert_eq!(status, 400, "{wish}: {text}");
        assert!(text.contains(told), "{wish}: {text}");
        assert!(!text.contains("planted"), "{text}");
    }
    assert_eq!(proxy.probe("/readyz").await.0, 200);
    let refused = ["action=\"drain\"", "result=\"refused\""];
    assert_eq!(proxy.metric("holdline_admin_actions_total", refused).await, 8.0);

    proxy.desk().lifecycle.set(Phase::Draining);
    for path in ["/drain", "/undrain"] {
        let (status, text) = proxy.operate(path, &json!({})).await;
        assert_eq!(status, 409, "{text}");
        assert!(text.contains("This instance is stopping"), "{text}");
    }
    proxy.stop().await;
}

#[tokio::test]
async fn an_undrain_that_cannot_be_read_leaves_the_instance_drained() {
    let proxy = Setup::new().start().await;
    assert_eq!(proxy.operate("/drain", &json!({})).await.0, 200);
    let usage = r#"Write {\"reason\": \"why\"}"#;
    for (wish, told) in [
        (json!({"for": "planted"}), usage),
        (json!({"reason": 4711}), usage),
        (json!({"reason": "planted\nline"}), "`reason` is one line"),
        (json!(["planted"]), usage),
    ] {
        let (status, text) = proxy.operate("/undrain", &wish).await;
        assert_eq!(status, 400, "{wish}: {text}");
        assert!(text.contains(told) && !text.contains("planted"), "{wish}: {text}");
    }
    assert_eq!(proxy.probe("/readyz").await.0, 503);
    let refused = ["action=\"undrain\"", "result=\"refused\""];
    assert_eq!(proxy.metric("holdline_admin_actions_total", refused).await, 4.0);

    assert_eq!(proxy.operate("/undrain", &json!({"reason": "done"})).await.0, 200);
    // No body at all will do as well.
    let post = proxy.client.network().post(proxy.admin_url("/undrain"));
    assert_eq!(proxy.fetch(post).await.0, 200);
    assert_eq!(proxy.probe("/readyz").await.0, 200);
    proxy.stop().await;
}
