//! The CRM: tokens on both sides, and a search by POST that is cached like a read.
#![expect(clippy::unwrap_used, reason = "where this fails, the test has failed")]

use holdline::demo::{
    crm::FakeCrm,
    fault::{Fault, Standing},
};
use serde_json::{Value, json};

use super::{Copied, asked, last, says, secret, upstream};
use crate::support::{
    organisation::Organisation,
    service::Service,
    token_endpoint::{Issuer, Known},
};

pub(super) const TEXT: &str = include_str!("../../../deploy/examples/crm.yaml");
const KNOWN: Known = Known {
    id: "what-stands-in-crm-client-id-9f2c7a4e51b8d036",
    secret: "what-stands-in-crm-client-secret-9f2c7a4e51b8d036",
    scope: "",
};
const ADA: &str = "+4930123456";

/// The example at work.
struct Running {
    crm: FakeCrm,
    login: Issuer,
    service: Service,
    organisation: Organisation,
}

impl Running {
    async fn start() -> Self {
        let (crm, login) = (upstream().await, Issuer::start(KNOWN, "crm").await);
        let (url, login_url) = (crm.site.url(), login.url.clone());
        let env = [("CRM_URL", &*url), ("CRM_TOKEN_URL", &*login_url)];
        let service = Copied::of(TEXT).serve(&env).await;
        let origin = format!("http://{}", service.calls);
        let token_url = format!("{origin}/oauth/token");
        let credentials = [
            ("clientId", "genesys"),
            ("clientSecret", &*secret("genesys-client-secret")),
            ("loginUrl", &*token_url),
        ];
        let file = service.path(crate::support::service::FILE);
        let mut organisation = Organisation::of(&file, &env, &origin, &credentials).await;
        let mut fields = organisation.fields.clone();
        fields.sort();
        assert_eq!(fields, ["clientId", "clientSecret", "loginUrl"]);
        assert_eq!(organisation.authenticate().await, 200);
        Self { crm, login, service, organisation }
    }

    async fn find(&self, phone: &str) -> Value {
        self.organisation.outputs("find-contact", json!({"phone": phone})).await
    }

    async fn operate(&self, path: &str, body: Value) {
        let url = format!("http://{}{path}", self.service.admin);
        let answer = self.service.client.post(url).json(&body).send().await.unwrap();
        assert_eq!(answer.status(), 200);
    }
}

fn ada() -> Value {
    json!({"searchRecords": [{
        "attributes": {"type": "Contact", "url": "/services/data/v62.0/sobjects/Contact/003"},
        "Id": "003xx000004TmiQAAS", "FirstName": "Ada", "LastName": "L\u{f6}v \"A\"", "Email": null,
    }]})
}

fn found(stale: bool) -> Value {
    json!({
        "contact_id": "003xx000004TmiQAAS", "first_name": "Ada", "last_name": "L\u{f6}v \"A\"",
        "email": "", "outcome": if stale { "stale" } else { "ok" }, "status_code": 200,
        "stale": stale, "age_seconds": 0,
    })
}

fn nobody(outcome: &str, status: u16) -> Value {
    json!({
        "contact_id": "", "first_name": "", "last_name": "", "email": "",
        "outcome": outcome, "status_code": status, "stale": false, "age_seconds": 0,
    })
}

#[tokio::test]
async fn it_is_in_order() {
    let copied = Copied::of(TEXT);
    copied.is_checked(2, &[]).await;
    copied.is_told(&["contact", "find-contact"], &[]).await;
}

#[tokio::test]
async fn a_contact_is_found_by_post_with_a_token_that_is_fetched_once() {
    let running = Running::start().await;
    says(&running.crm, &ada()).await;
    assert_eq!(running.find(ADA).await, found(false));
    let body = json!({
        "q": ADA, "in": "PHONE", "overallLimit": 1, "sobjects": [{"name": "Contact"}],
        "fields": ["Id", "FirstName", "LastName", "Email"],
    });
    let seen = last(&running.crm);
    let target = "/services/data/v62.0/parameterizedSearch/";
    assert_eq!(asked(&seen), ("POST", target, Some(body)));
    assert_eq!(seen.request.header("authorization"), Some("Bearer crm-1"));

    assert_eq!(running.find(ADA).await, found(false));
    assert_eq!(running.crm.site.counts().requests, 1, "the second is answered from the cache");
    says(&running.crm, &json!({"searchRecords": []})).await;
    assert_eq!(running.find("+4930654321").await, nobody("ok", 200));
    assert_eq!(running.login.said(), ["crm-1"]);

    // A token that the CRM does not take any more is fetched anew, once.
    running.crm.site.script([Fault::status(401)]);
    assert_eq!(running.find("+4930111111").await, nobody("ok", 200));
    assert_eq!(running.login.said(), ["crm-1", "crm-2"]);
    assert_eq!(last(&running.crm).request.header("authorization"), Some("Bearer crm-2"));
}

#[tokio::test]
async fn a_contact_is_read_and_one_that_is_not_there_is_remembered_for_a_while() {
    let running = Running::start().await;
    let read =
        async |id: &str| running.organisation.outputs("contact", json!({"contact_id": id})).await;
    says(&running.crm, &json!({"Name": "Ada L.", "DoNotCall": true})).await;
    let ada = read("003xx000004TmiQAAS").await;
    assert_eq!((&ada["full_name"], &ada["do_not_call"]), (&"Ada L.".into(), &true.into()));
    let target = "/services/data/v62.0/sobjects/Contact/003xx000004TmiQAAS?fields=Name,DoNotCall";
    assert_eq!(asked(&last(&running.crm)), ("GET", target, None));

    running.crm.site.set(Standing::every(Fault::status(404))).await.unwrap();
    for _ in 0..2 {
        let nobody = read("003xx000004Tmi9").await;
        assert_eq!(
            (&nobody["outcome"], &nobody["status_code"]),
            (&"not_found".into(), &404.into())
        );
    }
    assert_eq!(running.crm.site.counts().requests, 2);
    let wrong = read("../Account/001").await;
    assert_eq!(wrong["outcome"], "bad_request");
    assert_eq!(running.crm.site.counts().requests, 2);
}

#[tokio::test]
async fn while_the_crm_is_down_who_was_found_before_is_found_and_others_are_told_why_not() {
    let running = Running::start().await;
    says(&running.crm, &ada()).await;
    running.find(ADA).await;
    running.crm.site.set(Standing::Down).await.unwrap();
    running.operate("/cache/purge", json!({"all": true, "soft": true})).await;
    assert_eq!(running.find("+4930654321").await, nobody("upstream_unreachable", 502));
    let mut answer = running.find(ADA).await;
    answer["age_seconds"] = 0.into();
    assert_eq!(answer, found(true));
    assert_eq!(running.find("030 123456").await, nobody("bad_request", 400));
}

#[tokio::test]
async fn who_redials_again_and_again_is_limited_and_others_are_not() {
    let running = Running::start().await;
    says(&running.crm, &ada()).await;
    let mut outcomes = Vec::new();
    for _ in 0..20 {
        outcomes.push(running.find(ADA).await["outcome"].clone());
    }
    assert!(outcomes[..5].iter().all(|outcome| outcome == "ok"), "{outcomes:?}");
    assert!(outcomes.contains(&"rate_limited".into()), "{outcomes:?}");
    assert_eq!(running.find("+4930654321").await["outcome"], "ok");
}

#[tokio::test]
async fn only_a_token_that_was_fetched_here_lets_in_and_one_that_is_revoked_is_fetched_anew() {
    let mut running = Running::start().await;
    says(&running.crm, &ada()).await;
    let url = running.service.url("find-contact");
    let bare = running.service.client.post(url).json(&json!({"phone": ADA}));
    assert_eq!(bare.send().await.unwrap().status(), 401);
    running.operate("/tokens/revoke", json!({"client": "genesys"})).await;
    let refused = running.organisation.call("find-contact", json!({"phone": ADA})).await;
    assert_eq!(refused.status, 401);
    // A token is void by the second in which it was issued.
    let again = async || {
        assert_eq!(running.organisation.authenticate().await, 200);
        let answer = running.organisation.call("find-contact", json!({"phone": ADA})).await;
        (answer.status == 200).then_some(answer.json())
    };
    let answer = crate::support::eventually("a token that holds", again).await;
    assert_eq!(answer, found(false));
}
