//! The listeners that are not for calls: probes and metrics for machines, and the operator's.

mod breakers;

use holdline::settings::Settings;
use serde_json::{Value, json};

use crate::support::{form::Form, proxy::Setup};

fn cached() -> Setup {
    Setup::new().action("cache: {ttl: 60s, customer: customer_id}")
}

#[tokio::test]
async fn probes_answer_without_a_token_and_take_nothing_but_get() {
    let proxy = Setup::new().start().await;
    for (path, text) in [("/livez", "alive\n"), ("/readyz", "ready\n"), ("/startupz", "started\n")]
    {
        assert_eq!(proxy.probe(path).await, (200, text.to_owned()));
    }
    for path in ["/", "/info", "/upstreams", "/breakers/crm", "/cache/purge", "/data-action/lookup"]
    {
        assert_eq!(proxy.probe(path).await.0, 404, "{path}");
    }
    let url = proxy.probes_url("/readyz");
    assert_eq!(proxy.fetch(proxy.client.network().post(url)).await.0, 405);
    proxy.stop().await;
}

#[tokio::test]
async fn readiness_does_not_ask_an_upstream_or_an_authority() {
    let proxy = Setup::new().start().await;
    proxy.crm.site.stop().await;
    proxy.genesys.site.stop().await;
    assert_eq!(proxy.probe("/readyz").await.0, 200);
    assert_eq!(proxy.call(1).await.status, 503, "the authority is gone");
    assert_eq!(proxy.probe("/readyz").await.0, 200);
    proxy.stop().await;
}

#[tokio::test]
async fn info_tells_how_everything_stands_and_nothing_about_anybody() {
    let proxy = cached().start().await;
    proxy.works().await;
    let (status, text) = proxy.fetch(proxy.client.network().get(proxy.admin_url("/info"))).await;
    assert_eq!(status, 200);
    let told: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(told["phase"], "ready");
    assert_eq!(told["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(told["upstreams"][0]["name"], "crm");
    assert_eq!(told["upstreams"][0]["breaker"], "disabled");
    for planted in ["good-token", "Leanne", "Sincere@april.biz"] {
        assert!(!text.contains(planted), "{planted}");
    }
    proxy.stop().await;
}

#[tokio::test]
async fn one_customer_is_purged_however_the_number_is_written() {
    let proxy = cached().start().await;
    let form = Form::OUTCOME;
    for customer in [json!(1), json!("1"), json!(1.0)] {
        proxy.ask(form, 1).send().await;
        proxy.ask(form, 2).send().await;
        let (status, text) = proxy.operate("/cache/purge", &json!({"customer": customer})).await;
        assert_eq!((status, &*text), (200, r#"{"scope":"customer","removed":1}"#));
    }
    let (_, text) = proxy.operate("/cache/purge", &json!({"all": true})).await;
    assert_eq!(text, r#"{"scope":"all","removed":1}"#);
    proxy.stop().await;
}

#[tokio::test]
async fn a_purge_that_says_nothing_or_too_much_removes_nothing_and_is_told_what_to_write() {
    let proxy = cached().start().await;
    proxy.ask(Form::OUTCOME, 1).send().await;
    for wish in [
        json!({}),
        json!({"customer": "1", "all": true}),
        json!({"customr": "planted-4711"}),
        json!({"customer": ["planted-4711"]}),
        json!({"customer": "planted-4711"}),
        json!({"action": "planted-4711"}),
        json!("planted-4711"),
    ] {
        let (status, text) = proxy.operate("/cache/purge", &wish).await;
        assert_eq!(status, 400, "{wish}: {text}");
        assert!(!text.contains("planted-4711"), "{text}");
    }
    let fill = proxy.metric("holdline_cache_entries", [r#"cache="response""#]).await;
    assert_eq!(fill, 1.0);
    proxy.stop().await;
}

#[tokio::test]
async fn a_web_page_in_the_operators_browser_presses_nothing() {
    let proxy = cached().start().await;
    proxy.ask(Form::OUTCOME, 1).send().await;
    let post = proxy.client.network().post(proxy.admin_url("/cache/purge"));
    let from_a_page = post.header("origin", "https://evil.example").body(r#"{"all": true}"#);
    assert_eq!(proxy.fetch(from_a_page).await.0, 403);
    let fill = proxy.metric("holdline_cache_entries", [r#"cache="response""#]).await;
    assert_eq!(fill, 1.0);
    proxy.stop().await;
}

#[tokio::test]
async fn where_a_token_is_configured_nothing_is_told_or_done_without_it() {
    fn token(settings: &mut Settings) {
        settings.admin.token = Some("operators-token".to_owned().into());
    }
    let proxy = cached().settings(token).start().await;
    let get = || proxy.client.network().get(proxy.admin_url("/info"));
    assert_eq!(proxy.fetch(get()).await.0, 401);
    for wrong in ["operators-token", "Bearer wrong", "Bearer ", "Basic operators-token"] {
        assert_eq!(proxy.fetch(get().header("authorization", wrong)).await.0, 401, "{wrong}");
    }
    let right = get().header("authorization", "Bearer operators-token");
    assert_eq!(proxy.fetch(right).await.0, 200);
    assert_eq!(proxy.operate("/cache/purge", &json!({"all": true})).await.0, 401);
    proxy.stop().await;
}
