//! `POST /reload`: another configuration is put in force while calls are answered, whole or not at all.

use holdline::{
    demo::fault::{Fault, Standing},
    proxy::Cause,
    settings::{LogFormat, Settings},
};
use serde_json::{Value, json};

use crate::support::{
    beside, eventually,
    form::Form,
    in_time,
    proxy::{Setup, TestProxy},
};

/// Status and answer of a reload.
async fn reload(proxy: &TestProxy) -> (u16, Value) {
    let (status, text) = proxy.operate("/reload", &json!({"reason": "a new action"})).await;
    (status, serde_json::from_str(&text).expect("JSON"))
}

/// Puts that in force.
async fn put(proxy: &TestProxy, setup: Setup, changes: &[&str]) -> Value {
    proxy.write(Ok((setup, changes)));
    let (status, told) = Box::pin(reload(proxy)).await;
    assert_eq!((status, &told["changed"]), (200, &json!(changes)), "{told}");
    told
}

async fn reloads(proxy: &TestProxy, result: &str) -> f64 {
    let result = format!("result=\"{result}\"");
    proxy.metric("holdline_config_reloads_total", [&*result]).await
}

async fn audited(proxy: &TestProxy, result: &str) -> f64 {
    let labels = [r#"action="reload""#, &*format!("result=\"{result}\"")];
    proxy.metric("holdline_admin_actions_total", labels).await
}

async fn revision(proxy: &TestProxy) -> String {
    let (_, text) = proxy.fetch(proxy.client.network().get(proxy.admin_url("/info"))).await;
    let info: Value = serde_json::from_str(&text).expect("JSON");
    info["configuration"].as_str().expect("a text").to_owned()
}

#[tokio::test]
async fn a_new_action_and_a_new_limit_are_in_force_at_once() {
    let proxy = Setup::new().start().await;
    let before = revision(&proxy).await;
    let ask = || proxy.client.ask("extra", &json!({"data": {"customer_id": 1}}));
    assert_eq!(ask().send().await.status, 404);
    let setup = Setup::new().extra("extra", ["limits: [tight]"]);
    let setup = setup.limit("tight: {key: all, rate: 1/m, burst: 1}");
    let changes = ["actions.extra: added", "limits.tight: added"];
    let told = put(&proxy, setup.clone(), &changes).await;
    let after = revision(&proxy).await;
    assert_ne!(after, before);
    assert_eq!(told, json!({"changed": changes, "revision": after}));
    assert_eq!(ask().send().await.status, 200);
    assert_eq!(ask().send().await.status, 429);
    proxy.works().await;

    let text = proxy.metrics().await;
    assert!(text.contains(&format!("holdline_config_info{{hash=\"{after}\"}} 1\n")), "{text}");
    assert!(!text.contains(&before), "the one before leaves no series behind");
    assert_eq!((reloads(&proxy, "applied").await, audited(&proxy, "done").await), (1.0, 1.0));
    assert_eq!(proxy.metric("holdline_config_last_reload_successful", []).await, 1.0);

    proxy.write(Ok((setup, &[])));
    assert_eq!(reload(&proxy).await, (200, json!({"changed": [], "revision": after})));
    assert_eq!((reloads(&proxy, "unchanged").await, reloads(&proxy, "applied").await), (1.0, 1.0));
    proxy.stop().await;
}

#[tokio::test]
async fn of_a_wrong_configuration_every_problem_is_told_and_nothing_is_put_in_force() {
    let proxy = Setup::new().start().await;
    let before = revision(&proxy).await;
    let since = "holdline_config_last_reload_success_timestamp_seconds";
    let started = proxy.metric(since, []).await;
    assert!(started > 0.0);
    let problems = ["holdline.yaml:3:1: one is wrong", "holdline.yaml:9:4: another is wrong"];
    proxy.write(Err(&problems));
    let (status, told) = reload(&proxy).await;
    let detail = "The configuration was refused, the one before stays in force";
    assert_eq!(
        (status, &told["problems"], &told["detail"]),
        (422, &json!(problems), &json!(detail))
    );
    assert_eq!((&told["code"], &told["status"]), (&json!("bad_request"), &json!(422)));
    assert_eq!(revision(&proxy).await, before);
    assert_eq!(proxy.metric("holdline_config_last_reload_successful", []).await, 0.0);
    assert_eq!(proxy.metric(since, []).await, started);
    assert_eq!((reloads(&proxy, "refused").await, audited(&proxy, "refused").await), (1.0, 1.0));
    proxy.works().await;

    put(&proxy, Setup::new().action("timeout: 4s"), &["actions: changed"]).await;
    assert_eq!(proxy.metric("holdline_config_last_reload_successful", []).await, 1.0);
    proxy.stop().await;
}

#[tokio::test]
async fn one_key_that_takes_a_restart_refuses_the_whole() {
    fn everything(settings: &mut Settings) {
        settings.server.base_path = "/elsewhere".to_owned();
        settings.server.max_connections += 1;
        settings.admin.listen.set_port(1);
        settings.telemetry.log_format = LogFormat::Text;
        settings.cache.memory += 1;
    }
    let proxy = Setup::new().start().await;
    let before = revision(&proxy).await;
    let setup = Setup::new().extra("extra", ["timeout: 4s"]).settings(everything);
    proxy.write(Ok((setup, &["actions.extra: added"])));
    let (status, told) = reload(&proxy).await;
    let keys = [
        "server.base_path",
        "server.max_connections",
        "admin.listen",
        "telemetry.log.format",
        "cache.memory",
    ];
    let problems: Vec<_> = keys.iter().map(|key| format!("{key}: takes a restart")).collect();
    assert_eq!((status, &told["problems"]), (422, &json!(problems)));
    assert_eq!(revision(&proxy).await, before);
    let answer = proxy.client.ask("extra", &json!({"data": {"customer_id": 1}})).send().await;
    assert_eq!(answer.status, 404, "nothing of it is in force");
    proxy.works().await;
    proxy.stop().await;
}

#[tokio::test]
async fn a_call_under_way_is_answered_as_it_began() {
    let proxy = Setup::new().start().await;
    proxy.crm_stands(Standing::every(Fault::Hang)).await;
    let answer = tokio::join!(proxy.call(1), async {
        proxy.crm.site.until(|seen| seen.in_flight == 1).await;
        let other = "output: {full_name: {type: string, value: nobody}}";
        put(&proxy, Setup::new().action(other), &["actions: changed"]).await;
        proxy.crm_stands(Standing::ok()).await;
        let now = proxy.call(1).await;
        Form::TUTORIAL.answered(&now, &json!({"full_name": "nobody"}));
    })
    .0;
    // The fake hangs for good, so it ends with its time, as its action says.
    assert_eq!((answer.status, answer.json()["code"].as_str()), (504, Some("upstream_timeout")));
    proxy.stop().await;
}

#[tokio::test]
async fn limits_of_the_data_plane_and_the_token_of_the_operator_change_too() {
    fn token(settings: &mut Settings) {
        settings.admin.token = Some("operators-token".to_owned().into());
    }
    let proxy = Setup::new().start().await;
    proxy.works().await;
    let small = Setup::new().server("max_body: 10B").server("max_in_flight: 7").settings(token);
    put(&proxy, small, &["server: changed", "admin.token: changed"]).await;
    assert_eq!(proxy.call(1).await.status, 413);
    assert_eq!(proxy.desk().data_plane.caps().max_count(), 7);

    assert_eq!(proxy.operate("/reload", &json!({})).await.0, 401);
    proxy.write(Ok((Setup::new(), &["server: changed", "admin.token: changed"])));
    let post = proxy.client.network().post(proxy.admin_url("/reload"));
    let (status, text) = proxy.fetch(post.header("authorization", "Bearer operators-token")).await;
    assert_eq!(status, 200, "{text}");
    assert_eq!(proxy.operate("/reload", &json!({})).await.0, 200, "no token is asked for any more");
    proxy.works().await;
    proxy.stop().await;
}

#[tokio::test]
async fn with_less_room_those_inside_stay_and_others_are_shed() {
    let proxy = Setup::new().start().await;
    proxy.crm_stands(Standing::every(Fault::Hang)).await;
    beside(proxy.call(1), async {
        proxy.until_in_flight(1).await;
        put(&proxy, Setup::new().server("max_in_flight: 1"), &["server: changed"]).await;
        assert_eq!(proxy.call(2).await.status, 503);
        put(&proxy, Setup::new(), &["server: changed"]).await;
        Box::pin(beside(proxy.call(2), proxy.until_in_flight(2))).await;
    })
    .await;
    proxy.until_in_flight(0).await;
    proxy.crm_stands(Standing::ok()).await;
    proxy.stop().await;
}

#[tokio::test]
async fn what_was_kept_is_kept_and_a_rotated_key_alone_is_a_change() {
    let cached = || Setup::new().action("cache: {ttl: 60s, customer: customer_id}");
    let key = |key: &str| format!("portal: {{type: api_key, keys: {{ivr: {key}}}}}");
    let proxy = cached().caller(&key("one-key")).start().await;
    proxy.works().await;
    let before = revision(&proxy).await;
    put(&proxy, cached().caller(&key("two-key")), &["callers.portal.keys.ivr: changed"]).await;
    assert_eq!(revision(&proxy).await, before, "a secret does not show in it");
    proxy.works().await;
    assert_eq!(proxy.crm.site.counts().requests, 1);
    assert_eq!(reloads(&proxy, "applied").await, 1.0);
    proxy.stop().await;
}

#[tokio::test]
async fn many_reloads_at_once_come_one_after_the_other() {
    let proxy = Setup::new().start().await;
    proxy.write(Ok((Setup::new().action("timeout: 4s"), &["actions: changed"])));
    let reload = || proxy.proxy().reload(Cause::Signal);
    let all = in_time("all reloads", futures_util::future::join_all((0..20).map(|_| reload())));
    assert!(all.await.iter().all(|changes| *changes == Ok(vec!["actions: changed".to_owned()])));
    assert_eq!(reloads(&proxy, "applied").await, 20.0);
    assert_eq!(audited(&proxy, "done").await, 0.0, "no operator has pressed anything");
    proxy.works().await;
    proxy.stop().await;
}

#[tokio::test]
async fn a_wish_that_cannot_be_read_reads_nothing() {
    let proxy = Setup::new().start().await;
    for wish in [json!({"planted": 1}), json!(["planted"]), json!({"reason": "planted\nline"})] {
        let (status, text) = proxy.operate("/reload", &wish).await;
        assert_eq!(status, 400, "{wish}: {text}");
        assert!(!text.contains("planted"), "{text}");
    }
    assert_eq!(proxy.fetch(proxy.client.network().get(proxy.admin_url("/reload"))).await.0, 405);
    assert_eq!((audited(&proxy, "refused").await, reloads(&proxy, "refused").await), (3.0, 0.0));
    proxy.stop().await;
}

#[tokio::test]
async fn a_bug_in_reading_leaves_all_as_it_was() {
    let proxy = Setup::new().start().await;
    // The reader of this test panics over what its parser refuses.
    proxy.write(Ok((Setup::new().action("timeout: never"), &["actions: changed"])));
    let (status, told) = reload(&proxy).await;
    assert_eq!((status, &told["problems"]), (422, &json!(["a bug ended the reload"])));
    proxy.works().await;
    put(&proxy, Setup::new().action("timeout: 4s"), &["actions: changed"]).await;
    proxy.stop().await;
}

#[tokio::test]
async fn nothing_is_left_of_what_is_no_longer_in_force() {
    let proxy = Setup::new().start().await;
    proxy.works().await;
    let before = std::sync::Arc::downgrade(&proxy.desk().in_force.now());
    put(&proxy, Setup::new().action("timeout: 4s"), &["actions: changed"]).await;
    eventually("it is gone", async || (before.strong_count() == 0).then_some(())).await;
    proxy.stop().await;
}
