//! The listeners that are not for calls: probes and metrics for machines, and the operator's.

mod breakers;
mod drain;
mod explain;
mod index;
mod log_level;
mod reload;
mod revoke;

use holdline::{
    demo::{
        fault::{Fault, Standing},
        genesys::Claims,
    },
    settings::Settings,
};
use serde_json::{Value, json};

use crate::support::{beside, client::TOKEN, form::Form, proxy::Setup};

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
async fn a_soft_purge_leaves_what_may_stand_in_for_a_failure() {
    let proxy = Setup::new()
        .action("cache: {ttl: 60s, customer: customer_id, stale_if_error: 5m}")
        .start()
        .await;
    let form = Form::OUTCOME;
    proxy.ask(form, 1).send().await;
    for marked in [1, 0] {
        let wish = json!({"customer": 1, "soft": true});
        let (status, text) = proxy.operate("/cache/purge", &wish).await;
        let expected = format!(r#"{{"scope":"customer","soft":true,"marked":{marked}}}"#);
        assert_eq!((status, text), (200, expected));
    }
    proxy.crm_stands(Standing::every(Fault::status(503))).await;
    assert!(form.kept(&proxy.ask(form, 1).send().await, &proxy.outputs(1)), "it is stale");
    let purges = "holdline_cache_purges_total";
    let soft = [r#"scope="customer""#, r#"manner="soft""#];
    assert_eq!(proxy.metric(purges, soft).await, 8.0, "two, each of four actions");
    let (_, text) = proxy.operate("/cache/purge", &json!({"all": true, "soft": false})).await;
    assert_eq!(text, r#"{"scope":"all","removed":1}"#);
    proxy.stop().await;
}

#[tokio::test]
async fn caches_tells_how_full_they_are_and_nothing_about_anybody() {
    let proxy = cached().start().await;
    proxy.works().await;
    proxy.works().await;
    proxy.call(2).await;
    proxy.ask(Form::TUTORIAL, 1).token("planted-token").send().await;
    let (status, text) = proxy.fetch(proxy.client.network().get(proxy.admin_url("/caches"))).await;
    assert_eq!(status, 200);
    let told: Value = serde_json::from_str(&text).expect("JSON");
    let answers = &told["answers"];
    assert_eq!((&answers["entries"], &answers["capacity_bytes"]), (&json!(2), &json!(64 << 20)));
    let lookup = &answers["actions"]["lookup"];
    assert_eq!((&lookup["entries"], &lookup["bytes"]), (&json!(2), &answers["bytes"]));
    assert_eq!((&lookup["lookups"]["hit"], &lookup["lookups"]["miss"]), (&json!(1), &json!(2)));
    for now in ["flights", "waiters", "memos"] {
        assert_eq!(lookup[now], 0, "{now}");
    }
    assert_eq!(answers["actions"]["lookup-flat"]["entries"], 0);
    let verdicts = &told["verdicts"]["genesys"];
    assert_eq!(verdicts["good"], json!({"entries": 1, "capacity": 100_000}));
    assert_eq!(verdicts["refused"], json!({"entries": 1, "capacity": 10_000}));
    for planted in ["good-token", "planted-token", "Leanne", "Sincere@april.biz"] {
        assert!(!text.contains(planted), "{planted}");
    }
    let post = proxy.client.network().post(proxy.admin_url("/caches"));
    assert_eq!(proxy.fetch(post).await.0, 405);
    proxy.stop().await;
}

#[tokio::test]
async fn a_purge_that_says_nothing_or_too_much_removes_nothing_and_is_told_what_to_write() {
    let proxy = cached().start().await;
    proxy.ask(Form::OUTCOME, 1).send().await;
    for wish in [
        json!({}),
        json!({"customer": "1", "all": true}),
        json!({"soft": true}),
        json!({"all": true, "soft": "planted-4711"}),
        json!({"customr": "planted-4711"}),
        json!({"customer": ["planted-4711"]}),
        json!({"customer": null, "action": "lookup"}),
        json!({"customer": null, "all": true}),
        json!({"action": null, "customer": 1}),
        json!({"action": null, "all": true}),
        json!({"customer": null}),
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
    let refused = [r#"action="purge""#, r#"result="refused""#];
    assert_eq!(proxy.metric("holdline_admin_actions_total", refused).await, 14.0);
    proxy.stop().await;
}

#[tokio::test]
async fn a_purge_by_customer_where_nothing_is_kept_by_customer_is_told_what_to_configure() {
    let proxy = Setup::new().action("cache: {ttl: 60s}").start().await;
    let wish = json!({"customer": 1, "action": "lookup"});
    let (status, text) = proxy.operate("/cache/purge", &wish).await;
    assert_eq!(status, 400, "{text}");
    assert!(text.contains("lookup keeps no answers by customer"), "{text}");
    assert!(text.contains("configure actions.lookup.cache.customer"), "{text}");
    let (status, text) = proxy.operate("/cache/purge", &json!({"customer": 1})).await;
    assert_eq!(status, 400, "{text}");
    assert!(text.contains("No action keeps answers by customer; `cache.customer`"), "{text}");
    proxy.stop().await;
}

#[tokio::test]
async fn a_body_that_is_too_large_changes_nothing_and_is_counted() {
    let proxy = cached().start().await;
    let wish = json!({"all": true, "planted": "x".repeat(17 << 10)});
    let (status, text) = proxy.operate("/cache/purge", &wish).await;
    assert_eq!(status, 413, "{text}");
    assert!(text.contains("The body is too large"), "{text}");
    let refused = [r#"action="purge""#, r#"result="refused""#];
    assert_eq!(proxy.metric("holdline_admin_actions_total", refused).await, 1.0);
    proxy.stop().await;
}

#[tokio::test]
async fn a_web_page_in_the_operators_browser_presses_nothing() {
    let proxy = cached().start().await;
    proxy.ask(Form::OUTCOME, 1).send().await;
    let post = proxy.client.network().post(proxy.admin_url("/cache/purge"));
    let from_a_page = post.header("origin", "https://evil.example").body(r#"{"all": true}"#);
    assert_eq!(proxy.fetch(from_a_page).await.0, 403);
    let refused = [r#"action="page""#, r#"result="refused""#];
    assert_eq!(proxy.metric("holdline_admin_actions_total", refused).await, 1.0);
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
    let refused = [r#"action="token""#, r#"result="refused""#];
    assert_eq!(proxy.metric("holdline_admin_actions_total", refused).await, 6.0);
    proxy.stop().await;
}

#[tokio::test]
async fn limits_tell_how_much_is_used_and_never_by_whom() {
    let tight = "tight: {key: [org, input.customer_id], rate: 3/m, burst: 1}";
    let setup = Setup::new().limit(tight).limit("loose: {key: all, rate: 50/s, burst: 100}");
    let setup = setup.action("limits: [loose, tight]").server("max_in_flight_per_org: 7");
    let proxy = setup.start().await;
    let acme = Claims { organization: Some("acme-4711".to_owned()), ..Claims::default() };
    proxy.genesys.know(TOKEN, acme);
    proxy.works().await;
    assert_eq!(proxy.call(1).await.status, 429);
    proxy.crm_stands(Standing::every(Fault::Hang)).await;
    let text = beside(proxy.call(2), async {
        proxy.crm.site.until(|seen| seen.in_flight == 1).await;
        let get = proxy.client.network().get(proxy.admin_url("/limits"));
        let (status, text) = proxy.fetch(get).await;
        assert_eq!(status, 200);
        text
    })
    .await;
    let told: Value = serde_json::from_str(&text).expect("JSON");
    let expected = json!([
        {"name": "loose", "key": ["all"], "rate_per_second": 50.0, "burst": 100, "enforce": true,
         "tracked_keys": 1, "allowed": 3, "limited": 0, "shadow_limited": 0},
        {"name": "tight", "key": ["org", "input.customer_id"], "rate_per_second": 0.05, "burst": 1,
         "enforce": true, "tracked_keys": 2, "allowed": 2, "limited": 1, "shadow_limited": 0},
    ]);
    assert_eq!(told["limits"], expected);
    let in_flight = &told["in_flight"];
    assert_eq!((&in_flight["calls"], &in_flight["max_calls"]), (&json!(1), &json!(1000)));
    assert!(in_flight["bytes"].as_u64().is_some_and(|bytes| bytes > 0), "{in_flight}");
    assert_eq!(in_flight["max_bytes"], 256 << 20);
    let per_org = json!({"organisations": 1, "calls_of_the_largest": 1, "max_calls_of_one": 7});
    assert_eq!(in_flight["per_org"], per_org);
    assert!(!text.contains("acme-4711"), "{text}");
    proxy.stop().await;
}

#[tokio::test]
async fn the_actions_in_force_are_told_to_machines_and_on_a_page_that_loads_nothing() {
    let proxy = cached().start().await;
    let get =
        async |path: &str| proxy.client.network().get(proxy.admin_url(path)).send().await.unwrap();
    let document: Value = get("/openapi.json").await.json().await.unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    assert!(document["paths"]["/data-action/lookup"]["post"].is_object(), "{document}");
    let page = get("/docs").await;
    assert_eq!(page.headers()["content-type"], "text/html; charset=utf-8");
    let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    let page = page.text().await.unwrap();
    assert!(page.contains("/data-action/lookup"), "{page}");
    proxy.stop().await;
}
