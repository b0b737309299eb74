//! What whoever lands on the operator's listener finds there.

use serde_json::Value;

use crate::support::proxy::Setup;

#[tokio::test]
async fn the_root_lists_what_there_is_and_each_of_it_is_there() {
    let proxy = Setup::new().start().await;
    let get = || proxy.client.network().get(proxy.admin_url("/"));
    let (status, text) = proxy.fetch(get().header("accept", "*/*")).await;
    assert_eq!(status, 200);
    let told: Value = serde_json::from_str(&text).expect("JSON");
    for listed in told["paths"].as_array().expect("a list") {
        let path = listed["path"].as_str().expect("a text");
        if !path.starts_with('/') {
            continue;
        }
        let filled = path.replace("{upstream}", "crm").replace("{id}", &"0".repeat(32));
        let url = proxy.admin_url(&filled);
        // With the other method each says that it is there, and does nothing.
        let other = match listed["method"].as_str() {
            Some("GET") => proxy.client.network().post(url),
            _ => proxy.client.network().get(url),
        };
        assert_eq!(proxy.fetch(other).await.0, 405, "{path}");
    }
    proxy.stop().await;
}

#[tokio::test]
async fn a_browser_gets_a_page_that_loads_nothing() {
    let proxy = Setup::new().start().await;
    let accept = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    let get = proxy.client.network().get(proxy.admin_url("/")).header("accept", accept);
    let page = get.send().await.expect("the listener answers");
    assert_eq!(page.headers()["content-type"], "text/html; charset=utf-8");
    let policy = page.headers()["content-security-policy"].to_str().expect("text").to_owned();
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    let page = page.text().await.expect("it is whole");
    assert!(
        page.contains("<a href=\"/upstreams\">") && page.contains("/breakers/{upstream}"),
        "{page}"
    );
    proxy.stop().await;
}
