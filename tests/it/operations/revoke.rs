//! `POST /tokens/revoke`: what an operator may ask for, what it does, what is told and what never.

use serde_json::{Value, json};

use crate::support::{
    client::{TOKEN, TOKEN_HEADER},
    form::Form,
    proxy::{Setup, TestProxy},
};

const OAUTH: &str = "oauth: {type: issued, clients: {ivr: secret-of-the-ivr, web: secret-of-the-web}, \
                     key: 0123456789abcdef0123456789abcdef}";

async fn both() -> TestProxy {
    Setup::new().caller(OAUTH).action("caller: [genesys, oauth]").start().await
}

async fn revoked(proxy: &TestProxy, wish: Value) -> Value {
    let (status, text) = proxy.operate("/tokens/revoke", &wish).await;
    assert_eq!(status, 200, "{text}");
    serde_json::from_str(&text).expect("JSON")
}

async fn fetched(proxy: &TestProxy, client: &str) -> String {
    let form = format!(
        "grant_type=client_credentials&client_id={client}&client_secret=secret-of-the-{client}"
    );
    let request = proxy.client.network().post(proxy.public_url("/oauth/token")).body(form);
    let (status, text) = proxy.fetch(request).await;
    assert_eq!(status, 200, "{text}");
    let told: Value = serde_json::from_str(&text).expect("JSON");
    told["access_token"].as_str().expect("a token").to_owned()
}

async fn status(proxy: &TestProxy, token: &str) -> u16 {
    let ask = proxy.ask(Form::TUTORIAL, 1).without(TOKEN_HEADER);
    ask.header("authorization", &format!("Bearer {token}")).send().await.status
}

#[tokio::test]
async fn a_revoked_verdict_is_asked_for_again_at_the_next_call() {
    let proxy = both().await;
    proxy.works().await;
    proxy.works().await;
    assert_eq!(proxy.genesys.site.counts().requests, 1);
    for (wish, scope) in [
        (json!({"token": TOKEN}), "token"),
        (json!({"caller": "genesys"}), "caller"),
        (json!({"all": true}), "all"),
    ] {
        let asked = proxy.genesys.site.counts().requests;
        let told = revoked(&proxy, wish).await;
        assert_eq!((&told["scope"], &told["forgotten"]), (&json!(scope), &json!(1)), "{told}");
        proxy.works().await;
        assert_eq!(proxy.genesys.site.counts().requests, asked + 1);
    }
    proxy.genesys.revoke(TOKEN);
    proxy.works().await;
    revoked(&proxy, json!({"token": TOKEN})).await;
    assert_eq!(proxy.call(1).await.status, 403, "the authority does not know it any more");
    let done = ["action=\"revoke\"", "result=\"done\""];
    assert_eq!(proxy.metric("holdline_admin_actions_total", done).await, 4.0);
    proxy.stop().await;
}

#[tokio::test]
async fn tokens_that_were_issued_here_are_refused_and_new_ones_hold() {
    let proxy = both().await;
    let (ivr, web) = (fetched(&proxy, "ivr").await, fetched(&proxy, "web").await);
    assert_eq!((status(&proxy, &ivr).await, status(&proxy, &web).await), (200, 200));
    let told = revoked(&proxy, json!({"client": "ivr"})).await;
    assert_eq!(told, json!({"scope": "client", "forgotten": 0, "clients": 1}));
    assert_eq!((status(&proxy, &ivr).await, status(&proxy, &web).await), (401, 200));
    let ivr = fetched(&proxy, "ivr").await;
    assert_eq!(status(&proxy, &ivr).await, 200, "what is issued at the very next moment holds");
    let told = revoked(&proxy, json!({"token": ivr})).await;
    assert_eq!(told, json!({"scope": "token", "forgotten": 0, "clients": 1}));
    assert_eq!((status(&proxy, &ivr).await, status(&proxy, &web).await), (401, 200));
    let ivr = fetched(&proxy, "ivr").await;
    for (wish, clients) in [
        (json!({"caller": "genesys", "client": "ivr"}), 0),
        (json!({"caller": "genesys"}), 0),
        (json!({"client": "nobody"}), 0),
        (json!({"caller": "oauth", "client": "web"}), 1),
    ] {
        assert_eq!(revoked(&proxy, wish).await["clients"], clients);
        assert_eq!(status(&proxy, &ivr).await, 200);
    }
    assert_eq!(status(&proxy, &web).await, 401);
    for wish in [json!({"caller": "oauth"}), json!({"all": true})] {
        let ivr = fetched(&proxy, "ivr").await;
        assert_eq!(revoked(&proxy, wish).await["clients"], 2);
        assert_eq!(status(&proxy, &ivr).await, 401);
    }
    let counted = ["result=\"revoked\"", "source=\"local\""];
    assert_eq!(proxy.metric("holdline_token_validations_total", counted).await, 5.0);
    proxy.stop().await;
}

#[tokio::test]
async fn a_wish_that_says_nothing_or_too_much_revokes_nothing_and_echoes_nothing() {
    let proxy = both().await;
    proxy.works().await;
    let wishes = [
        json!({}),
        json!({"all": false}),
        json!({"token": ""}),
        json!({"client": ""}),
        json!({"token": "planted-4711", "all": true}),
        json!({"token": "planted-4711", "client": "planted-4711"}),
        json!({"token": "planted-4711", "caller": "genesys"}),
        json!({"client": "planted-4711", "all": true}),
        json!({"caller": "genesys", "all": true}),
        json!({"token": null, "all": true}),
        json!({"client": null, "caller": "genesys"}),
        json!({"caller": null}),
        json!({"caller": "planted-4711"}),
        json!({"token": ["planted-4711"]}),
        json!({"tokn": "planted-4711"}),
        json!(["planted-4711"]),
        json!("planted-4711"),
    ];
    let count = wishes.len() as f64;
    for wish in wishes {
        let (status, text) = proxy.operate("/tokens/revoke", &wish).await;
        assert_eq!(status, 400, "{wish}: {text}");
        assert!(!text.contains("planted-4711"), "{text}");
    }
    let (_, text) = proxy.operate("/tokens/revoke", &json!({"caller": "nobody"})).await;
    assert!(text.contains("There is no caller of that name; there are: genesys, oauth"), "{text}");
    let refused = ["action=\"revoke\"", "result=\"refused\""];
    assert_eq!(proxy.metric("holdline_admin_actions_total", refused).await, count + 1.0);
    proxy.works().await;
    assert_eq!(proxy.genesys.site.counts().requests, 1, "nothing was forgotten");
    proxy.stop().await;
}
