//! A service that says as much as it can, and every kind of call that is made of it with what is
//! planted.

use std::{fs, path::Path, time::Duration};

use futures_util::future::join;
use holdline::demo::{
    fault::{Fault, Standing},
    genesys::Claims,
};
use reqwest::RequestBuilder;
use serde_json::json;

use super::{
    ADMIN_TOKEN, API_KEY, CLIENT_SECRET, CREDENTIAL, CUSTOMER, MISSING, PASSWORD, PATH_KEY, PHONE,
    PLANTED_TOKEN, REFUSED_TOKEN, SIGNING_KEY, shows_nothing,
};
use crate::support::{
    otlp::{Collector, Protocol},
    service::{Outside, Service, TOKEN_HEADER, Wish},
};

/// A service that says as much as it can, and all that it says.
pub(super) struct Talkative {
    pub(super) outside: Outside,
    pub(super) collector: Collector,
    pub(super) service: Service,
}

/// The schemes whose secrets are known here.
fn own_schemes(key: &str, secret: impl Fn(&str, &str) -> String) -> String {
    let (password, client) = (secret("password", PASSWORD), secret("client", CLIENT_SECRET));
    let signing = secret("signing", SIGNING_KEY);
    format!(
        "callers:
  portal: {{type: api_key, keys: {{ivr: {key}}}}}
  desk: {{type: basic, users: {{ivr: {password}}}}}
  oauth: {{type: issued, clients: {{ivr: {client}}}, key: {signing}}}
"
    )
}

impl Talkative {
    /// `telemetry` tells which share of the calls is picked, and what is kept of the others.
    pub(super) async fn start(folder: &Path, telemetry: &str) -> Self {
        let (outside, collector) = (Outside::start().await, Collector::start(Protocol::Http).await);
        outside.genesys.know(PLANTED_TOKEN, Claims::default());
        outside.genesys.know(REFUSED_TOKEN, Claims::default());
        outside.genesys.revoke(REFUSED_TOKEN);
        let phone = format!("+{PHONE}");
        outside.crm.write(CUSTOMER, json!({"id": CUSTOMER, "name": "Ada", "phone": phone}));
        let secret = |name: &str, text: &str| {
            let file = folder.join(name);
            fs::write(&file, text).unwrap();
            format!("'${{file:{}}}'", file.display())
        };
        let telemetry =
            collector.telemetry(Protocol::Http, 1.0).replace("sample_ratio: 1", telemetry);
        let credential = secret("credential", &format!("Bearer {CREDENTIAL}"));
        let yaml = outside.yaml(&Wish {
            telemetry: &format!("log: {{level: trace}}, {telemetry}"),
            upstream: &format!(
                "headers: {{Authorization: {credential}}}, timeouts: {{connect: 400ms, attempt: 400ms}}, \
                 retry: {{attempts: 2, backoff: {{first: 1ms, max: 2ms}}}}, breaker: {{enabled: false}}"
            ),
            action: "    debug_headers: true
    cache: {ttl: 1ms, customer: customer_id, stale_if_error: 1h}",
            more: "
  by-key:
    caller: portal
    limits: [seldom]
    input: {customer_id: {type: string, required: true, maxLength: 20}}
    request: {upstream: crm, method: GET, path: '/users/{customer_id}?key=${PATH_KEY}'}
    output: {phone: {type: string, from: $.phone}}
  refreshed:
    caller: genesys
    input: {customer_id: {type: integer, required: true}}
    request: {upstream: crm, method: GET, path: '/users/{customer_id}'}
    output: {phone: {type: string, from: $.phone}}
    cache: {ttl: 1ms, customer: customer_id, stale_while_revalidate: 1h}
  by-password:
    caller: [desk, oauth]
    input: {customer_id: {type: string, required: true, maxLength: 20}}
    request: {upstream: crm, method: GET, path: '/users/{customer_id}'}
    output: {phone: {type: string, from: $.phone}}",
            ..Wish::default()
        });
        let (key, admin) = (secret("key", API_KEY), secret("admin", ADMIN_TOKEN));
        let callers = own_schemes(&key, secret);
        let limits = "limits:\n  seldom: {key: input.customer_id, rate: 1/m, burst: 2}\n";
        let yaml = yaml
            .replace("callers:\n", &callers)
            .replace("limits:\n", limits)
            .replace("admin: {", &format!("admin: {{token: {admin}, "));
        let headers = format!("authorization=Bearer {CREDENTIAL}");
        let env = [
            ("RUST_LOG", "trace"),
            ("RUST_BACKTRACE", "1"),
            ("OTEL_EXPORTER_OTLP_HEADERS", &*headers),
            ("PATH_KEY", PATH_KEY),
        ];
        let service = Service::start(&yaml, &env).await;
        Self { outside, collector, service }
    }

    /// Sends it, and holds what comes back to its status and to silence.
    async fn ends(&self, request: RequestBuilder, status: u16) {
        let sent = request.try_clone().unwrap().build().unwrap();
        let sent = format!("{sent:?} {:?}", sent.body().and_then(|body| body.as_bytes()));
        let response = request
            .header("X-Request-Id", PHONE)
            .header("X-Forwarded-For", PHONE)
            .header("User-Agent", format!("flow/{PHONE}"))
            .header("traceparent", format!("00-{PHONE}-b7ad6b7169203331-01"))
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), status, "{sent}");
        let headers = format!("{:?}", response.headers());
        shows_nothing("a header of an answer", headers.as_bytes());
        let body = response.bytes().await.unwrap();
        if status != 200 {
            shows_nothing("the body of a failure", &body);
        } else {
            let credentials = body.windows(7).any(|part| part == b"planted");
            assert!(!credentials, "{}", String::from_utf8_lossy(&body));
        }
    }

    fn lookup(&self, customer: u64) -> RequestBuilder {
        self.called("customer-lookup", PLANTED_TOKEN, &json!({"data": {"customer_id": customer}}))
    }

    fn called(&self, action: &str, token: &str, body: &serde_json::Value) -> RequestBuilder {
        let request = self.service.client.post(self.service.url(action)).json(body);
        request.header(TOKEN_HEADER, token)
    }

    fn by_key(&self, key: &str, customer: &str) -> RequestBuilder {
        let request = self.service.client.post(self.service.url("by-key")).header("X-Api-Key", key);
        request.json(&json!({"data": {"customer_id": customer}}))
    }

    async fn crm(&self, fault: Fault) {
        self.outside.crm.site.set(Standing::every(fault)).await.unwrap();
    }

    pub(super) async fn answers_and_refusals(&self) {
        let good = json!({"data": {"customer_id": CUSTOMER}});
        for _ in 0..2 {
            self.ends(self.lookup(CUSTOMER), 200).await;
        }
        self.ends(self.lookup(MISSING), 404).await;
        self.ends(self.called("customer-lookup", REFUSED_TOKEN, &good), 403).await;
        self.ends(self.called("customer-lookup", PHONE, &good), 200).await;
        self.ends(self.service.client.post(self.service.url("customer-lookup")).json(&good), 401)
            .await;
        self.ends(self.lookup(CUSTOMER).header(TOKEN_HEADER, PLANTED_TOKEN), 401).await;
        let more = json!({"data": {"customer_id": CUSTOMER, (CUSTOMER.to_string()): PHONE}});
        self.ends(self.called("customer-lookup", PLANTED_TOKEN, &more), 200).await;
        for wrong in [
            json!({"data": {"customer_id": format!("{CUSTOMER}x")}}),
            json!({"data": {"customer_id": {(PHONE): CUSTOMER}}}),
            json!({"data": {"customer_id": [PHONE, PLANTED_TOKEN]}}),
            json!({"data": {"customer_id": format!("+{PHONE}")}}),
            json!({"data": {"phone": PHONE}}),
            json!({"data": PHONE}),
            json!({"customer_id": CUSTOMER, "phone": PHONE}),
            json!([CUSTOMER, PHONE]),
        ] {
            self.ends(self.called("customer-lookup", PLANTED_TOKEN, &wrong), 400).await;
        }
        let raw = |body: String| self.lookup(1).body(body);
        self.ends(raw(format!("{{\"data\": {{\"customer_id\": {CUSTOMER}")), 400).await;
        self.ends(raw(format!("{{\"data\": {{\"customer_id\": {CUSTOMER}{CUSTOMER}}}}}")), 400)
            .await;
        self.ends(raw(format!("{{\"data\": {{\"{PHONE}\": 1, \"{PHONE}\": 2}}}}")), 400).await;
        for name in [
            CUSTOMER.to_string(),
            format!("customer-lookup/{CUSTOMER}"),
            format!("%2B{PHONE}?q={CUSTOMER}"),
        ] {
            self.ends(self.called(&name, PLANTED_TOKEN, &good), 404).await;
        }
        let get = self
            .service
            .client
            .get(format!("{}?id={CUSTOMER}", self.service.url("customer-lookup")));
        self.ends(get, 405).await;

        self.ends(self.by_key(API_KEY, &CUSTOMER.to_string()), 200).await;
        self.ends(self.by_key(PLANTED_TOKEN, &CUSTOMER.to_string()), 403).await;
        self.ends(self.by_key(API_KEY, &MISSING.to_string()), 404).await;
        self.ends(self.by_key(API_KEY, &MISSING.to_string()), 404).await;
        self.ends(self.by_key(API_KEY, &MISSING.to_string()), 429).await;
        self.ends(self.by_key(API_KEY, &format!("{PHONE}{CUSTOMER}")), 400).await;
    }

    /// By password and by a token that is issued here. Returns the token, which nobody else may see.
    pub(super) async fn own_proofs(&self) -> String {
        let good = json!({"data": {"customer_id": CUSTOMER.to_string()}});
        let by = |password: &str| {
            self.called("by-password", PLANTED_TOKEN, &good).basic_auth("ivr", Some(password))
        };
        self.ends(by(PASSWORD), 200).await;
        self.ends(by(CLIENT_SECRET), 403).await;
        let url = self.service.url("x").replace("/data-action/x", "/oauth/token");
        let fetch = |secret: &str, grant: &str| {
            let form = format!("grant_type={grant}&client_id=ivr&client_secret={secret}");
            self.service.client.post(&url).body(form)
        };
        self.ends(fetch(PASSWORD, "client_credentials"), 401).await;
        self.ends(fetch(CLIENT_SECRET, PASSWORD), 400).await;
        let told = fetch(CLIENT_SECRET, "client_credentials").send().await.unwrap();
        let told: serde_json::Value = told.json().await.unwrap();
        let token = told["access_token"].as_str().unwrap().to_owned();
        let bearer =
            |token: &str| self.called("by-password", PLANTED_TOKEN, &good).bearer_auth(token);
        self.ends(bearer(&token), 200).await;
        self.ends(bearer(PLANTED_TOKEN), 401).await;
        let revoke = |wish: serde_json::Value| {
            let url = format!("http://{}/tokens/revoke", self.service.admin);
            self.service.client.post(url).json(&wish).bearer_auth(ADMIN_TOKEN)
        };
        for (wish, status) in [
            (json!({"token": token}), 200),
            (json!({"token": PLANTED_TOKEN}), 200),
            (json!({"client": PHONE}), 200),
            (json!({"caller": PHONE}), 400),
            (json!({(PHONE): PLANTED_TOKEN}), 400),
        ] {
            let response = revoke(wish).send().await.unwrap();
            assert_eq!(response.status(), status);
            shows_nothing("an answer to an operator", &response.bytes().await.unwrap());
        }
        self.ends(bearer(&token), 401).await;
        token
    }

    pub(super) async fn failures(&self) {
        // Each about another one, for a failure is remembered for a moment.
        let missing = (0..).map(|place| MISSING * 10 + place);
        let faults = [
            (Fault::status(500), 500),
            (Fault::status(503), 503),
            (Fault::status(401), 502),
            (Fault::Body(format!("{{\"name\": {CUSTOMER}, \"phone\": {PHONE}}}")), 502),
            (Fault::Body(format!("{{\"name\": \"{PHONE}")), 502),
            (Fault::Redirect(format!("http://127.0.0.1:1/{CUSTOMER}?{PHONE}")), 502),
            (Fault::Garbage, 502),
            (Fault::Truncate, 502),
            (Fault::Hang, 504),
        ];
        for ((fault, status), customer) in faults.into_iter().zip(missing) {
            self.crm(fault).await;
            self.ends(self.lookup(customer), status).await;
        }
        // A refresh that fails behind a stale answer.
        let aging = json!({"data": {"customer_id": CUSTOMER}});
        let aging = || self.called("refreshed", PLANTED_TOKEN, &aging);
        self.crm(Fault::Ok).await;
        self.ends(aging(), 200).await;
        let seen = self.outside.crm.site.counts().requests;
        self.crm(Fault::Body(format!("{{\"phone\": {PHONE}"))).await;
        // As often as it takes until the answer is old.
        while self.outside.crm.site.counts().requests == seen {
            self.ends(aging(), 200).await;
        }
        // Known once, and now out of the cache.
        self.ends(self.lookup(CUSTOMER), 200).await;
        self.outside.crm.site.set(Standing::Down).await.unwrap();
        self.ends(self.lookup(MISSING), 502).await;
        self.outside.genesys.site.set(Standing::Down).await.unwrap();
        let unknown = format!("{PLANTED_TOKEN}-2");
        let good = json!({"data": {"customer_id": CUSTOMER}});
        self.ends(self.called("customer-lookup", &unknown, &good), 503).await;
        // A caller that hangs up on a fetch under way.
        self.outside.crm.site.set(Standing::every(Fault::Hang)).await.unwrap();
        let left = self.lookup(CUSTOMER - 1).timeout(Duration::from_millis(50)).send();
        let (left, _) =
            join(left, self.outside.crm.site.until(|counts| counts.in_flight > 0)).await;
        assert!(left.is_err());
    }

    pub(super) async fn operators(&self) {
        let url = |path: &str| format!("http://{}{path}", self.service.admin);
        let (info, purge) = (url("/info"), url("/cache/purge"));
        let client = &self.service.client;
        let by_customer = json!({"customer": CUSTOMER.to_string()});
        for (request, status) in [
            (client.get(&info).bearer_auth(ADMIN_TOKEN), 200),
            (client.get(url("/config")).bearer_auth(ADMIN_TOKEN), 200),
            (client.get(url("/explain?most=500")).bearer_auth(ADMIN_TOKEN), 200),
            (client.get(url(&format!("/explain/{CUSTOMER}"))).bearer_auth(ADMIN_TOKEN), 400),
            (client.get(url(&format!("/explain?action={PHONE}"))).bearer_auth(ADMIN_TOKEN), 400),
            (
                client
                    .post(url("/log-level"))
                    .json(&json!({"level": PHONE}))
                    .bearer_auth(ADMIN_TOKEN),
                400,
            ),
            (client.get(&info), 401),
            (client.get(&info).bearer_auth(PLANTED_TOKEN), 401),
            (client.get(url(&format!("/{CUSTOMER}"))).bearer_auth(ADMIN_TOKEN), 404),
            (client.post(&purge).json(&by_customer), 401),
            (client.post(&purge).json(&by_customer).bearer_auth(ADMIN_TOKEN), 200),
            (
                client.post(&purge).json(&json!({"customer": CUSTOMER})).bearer_auth(ADMIN_TOKEN),
                200,
            ),
            (
                client
                    .post(&purge)
                    .json(&json!({"customer": CUSTOMER, "action": PHONE}))
                    .bearer_auth(ADMIN_TOKEN),
                400,
            ),
            (client.post(&purge).json(&json!({(PHONE): CUSTOMER})).bearer_auth(ADMIN_TOKEN), 400),
        ] {
            let response = request.send().await.unwrap();
            assert_eq!(response.status(), status);
            shows_nothing("an answer to an operator", &response.bytes().await.unwrap());
        }
        shows_nothing("/metrics", self.service.metrics().await.as_bytes());
    }
}
