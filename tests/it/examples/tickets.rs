//! The ticketing system: keys on both sides, and actions that change something.

use holdline::demo::{
    crm::FakeCrm,
    fault::{Fault, Standing},
};
use serde_json::{Value, json};

use super::{Copied, asked, last, says, secret, upstream};
use crate::support::{
    organisation::Organisation,
    service::{FILE, Service},
};

pub(super) const TEXT: &str = include_str!("../../../deploy/examples/tickets.yaml");
const ADA: &str = "ada+calls@example.com";

/// The example at work.
struct Running {
    desk: FakeCrm,
    service: Service,
    organisation: Organisation,
}

impl Running {
    async fn start() -> Self {
        let desk = upstream().await;
        let url = format!("{}/api/v2", desk.site.url());
        let env = [("DESK_URL", &*url)];
        let service = Copied::of(TEXT).serve(&env).await;
        let origin = format!("http://{}", service.calls);
        let key = secret("genesys-key");
        let (file, credentials) = (service.path(FILE), [("apiKey", &*key)]);
        let organisation = Organisation::of(&file, &env, &origin, &credentials).await;
        assert_eq!(organisation.fields, ["apiKey"]);
        Self { desk, service, organisation }
    }

    async fn outputs(&self, action: &str, inputs: Value) -> Value {
        self.organisation.outputs(action, inputs).await
    }

    /// The keys by which the desk knows repeats, request by request.
    fn keys(&self) -> Vec<String> {
        let seen = self.desk.site.seen();
        let key = |name| seen.iter().filter_map(move |seen| seen.request.header(name));
        key("idempotency-key").map(str::to_owned).collect()
    }
}

#[tokio::test]
async fn it_is_in_order() {
    let copied = Copied::of(TEXT);
    copied.is_checked(4, &[]).await;
    let actions = ["close-ticket", "follow-ticket", "new-ticket", "open-tickets"];
    copied.is_told(&actions, &[]).await;
}

#[tokio::test]
async fn the_open_tickets_of_a_customer_are_listed() {
    let running = Running::start().await;
    let reply = json!({
        "count": 2, "ids": [12, 9_007_199_254_740_993_u64], "tickets": [{"subject": "No light"}],
    });
    says(&running.desk, &reply).await;
    let expected = json!({
        "count": 2, "newest_subject": "No light", "ids": [12, 9_007_199_254_740_993_u64],
    });
    let outputs = running.outputs("open-tickets", json!({"email": ADA, "limit": 3})).await;
    assert_eq!(outputs, expected);
    let seen = last(&running.desk);
    let listed = "/api/v2/tickets?sort=-created_at&status=open&email=ada%2Bcalls%40example.com";
    assert_eq!(asked(&seen), ("GET", &*format!("{listed}&limit=3"), None));
    assert_eq!(seen.request.header("x-api-key"), Some(&*secret("desk-key")));

    // An input that is left out leaves nothing behind; text that is a number is one.
    assert_eq!(running.outputs("open-tickets", json!({"email": ADA})).await, expected);
    assert_eq!(asked(&last(&running.desk)), ("GET", listed, None));
    running.outputs("open-tickets", json!({"email": ADA, "limit": "3"})).await;
    assert_eq!(running.desk.site.counts().requests, 2, "3 and \"3\" are one question");

    says(&running.desk, &json!({"count": 0, "ids": [], "tickets": []})).await;
    let none = running.outputs("open-tickets", json!({"email": "bo@example.com"})).await;
    assert_eq!(none, json!({"count": 0, "newest_subject": "", "ids": []}));
}

#[tokio::test]
async fn a_ticket_is_opened_as_it_was_said_and_once_though_the_connection_breaks() {
    let running = Running::start().await;
    says(&running.desk, &json!({"ticket": {"id": 35_436}})).await;
    let subject = "\"}, \"urgent\": true, {email} ${input.email} \\ \u{e9}\n";
    let outputs = running.outputs("new-ticket", json!({"email": ADA, "subject": subject})).await;
    assert_eq!(outputs, json!({"ticket_id": 35_436}));
    let ticket = |more: Value| {
        let mut ticket = json!({
            "requester": ADA, "subject": subject, "tags": ["genesys"],
            "note": format!("By a flow, for {ADA}"),
        });
        ticket.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        Some(json!({ "ticket": ticket }))
    };
    assert_eq!(asked(&last(&running.desk)), ("POST", "/api/v2/tickets", ticket(json!({}))));

    running.desk.site.script([Fault::Reset]);
    let inputs = json!({"email": ADA, "subject": subject, "urgent": false});
    running.outputs("new-ticket", inputs).await;
    let sent = ticket(json!({"urgent": false}));
    assert_eq!(asked(&last(&running.desk)), ("POST", "/api/v2/tickets", sent));
    let keys = running.keys();
    let [first, broken, again] = &keys[..] else { panic!("three: {keys:?}") };
    assert_eq!(broken, again, "a repeat has the key of the first");
    assert_ne!(first, broken, "another call has another");
}

#[tokio::test]
async fn a_ticket_is_closed_and_followed_by_number() {
    let running = Running::start().await;
    says(&running.desk, &json!({"ticket": {"status": "solved"}})).await;
    let closed = running.outputs("close-ticket", json!({"ticket_id": 12})).await;
    assert_eq!(closed, json!({"status": "solved"}));
    let body = Some(json!({"ticket": {"status": "solved"}}));
    assert_eq!(asked(&last(&running.desk)), ("PATCH", "/api/v2/tickets/12", body));

    says(&running.desk, &json!({})).await;
    let inputs = json!({"ticket_id": 12, "by_text": false});
    assert_eq!(running.outputs("follow-ticket", inputs).await, json!({"following": true}));
    let body = Some(json!({"text": false}));
    assert_eq!(asked(&last(&running.desk)), ("PUT", "/api/v2/tickets/12/follow", body));
    assert_eq!(running.keys().len(), 2);
}

#[tokio::test]
async fn what_goes_wrong_is_a_status_that_a_flow_can_tell_apart() {
    let running = Running::start().await;
    let call = async |action: &str, inputs: Value| running.organisation.call(action, inputs).await;
    says(&running.desk, &json!({"count": 1, "ids": [7], "tickets": [{"subject": "A"}]})).await;
    let known = running.outputs("open-tickets", json!({"email": ADA})).await;

    running.desk.site.set(Standing::every(Fault::status(404))).await.unwrap();
    let answer = call("close-ticket", json!({"ticket_id": 99})).await;
    assert_eq!((answer.status, &answer.json()["code"]), (404, &"not_found".into()));
    for inputs in [json!({"ticket_id": 0}), json!({"ticket_id": true}), json!({})] {
        assert_eq!(call("close-ticket", inputs).await.status, 400);
    }
    assert_eq!(running.desk.site.counts().requests, 2);

    running.desk.site.set(Standing::Down).await.unwrap();
    let url = format!("http://{}/cache/purge", running.service.admin);
    let purge = running.service.client.post(url).json(&json!({"all": true, "soft": true}));
    assert_eq!(purge.send().await.unwrap().status(), 200);
    let answer = call("close-ticket", json!({"ticket_id": 12})).await;
    assert_eq!((answer.status, &answer.json()["code"]), (502, &"upstream_unreachable".into()));
    assert_eq!(running.outputs("open-tickets", json!({"email": ADA})).await, known);
}

#[tokio::test]
async fn another_key_is_refused_and_a_limit_that_is_watched_refuses_nobody() {
    let running = Running::start().await;
    says(&running.desk, &json!({"ticket": {"id": 1}})).await;
    let inputs = json!({"email": ADA, "subject": "No light"});
    let ask = || running.service.client.post(running.service.url("new-ticket")).json(&inputs);
    assert_eq!(ask().send().await.unwrap().status(), 401);
    let other = ask().header("x-api-key", "another").send().await.unwrap();
    assert_eq!(other.status(), 403);
    assert_eq!(running.desk.site.counts().requests, 0);
    for _ in 0..8 {
        running.outputs("new-ticket", inputs.clone()).await;
    }
    let watched =
        "holdline_ratelimit_decisions_total{limit=\"new_tickets\",decision=\"shadow_limited\"}";
    assert!(running.service.metric(watched).await.is_some_and(|calls| calls > 0.0));
}
