//! Wishes for another log level that change nothing. What the others change is looked at in the program
//! itself, whose log it is.

use serde_json::{Value, json};

use crate::support::proxy::Setup;

#[tokio::test]
async fn a_wish_that_says_nothing_or_too_much_is_told_what_to_write() {
    let proxy = Setup::new().start().await;
    let usage = r#"Write {\"level\": \"debug\"}"#;
    for (wish, told) in [
        (json!({}), usage),
        (json!("debug"), usage),
        (json!({"level": "planted-4711"}), usage),
        (json!({"level": "off"}), usage),
        (json!({"level": "debug", "ttl": "planted-4711"}), usage),
        (json!({"level": "debug", "for": "planted-4711"}), "`for` is a duration from 1s to 24h"),
        (json!({"level": "debug", "for": "25h"}), "`for` is a duration from 1s to 24h"),
        (json!({"level": "auto", "for": "10m"}), "`auto` ends what is forced at once"),
        (json!({"level": "debug", "reason": "two\nlines"}), "`reason` is one line"),
    ] {
        let (status, text) = proxy.operate("/log-level", &wish).await;
        assert_eq!(status, 400, "{wish}: {text}");
        assert!(text.contains(told) && !text.contains("planted-4711"), "{wish}: {text}");
    }
    let refused = [r#"action="log_level""#, r#"result="refused""#];
    assert_eq!(proxy.metric("holdline_admin_actions_total", refused).await, 9.0);
    let get = proxy.client.network().get(proxy.admin_url("/log-level"));
    assert_eq!(proxy.fetch(get).await.0, 405);
    proxy.stop().await;
}

#[tokio::test]
async fn where_somebody_else_keeps_the_log_its_level_is_theirs() {
    let proxy = Setup::new().start().await;
    let (status, text) = proxy.operate("/log-level", &json!({"level": "debug"})).await;
    assert_eq!(status, 409, "{text}");
    let (_, text) = proxy.fetch(proxy.client.network().get(proxy.admin_url("/info"))).await;
    let info: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(info["log"], Value::Null);
    proxy.stop().await;
}
