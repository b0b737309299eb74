//! Callers who fetch a token here, as User Defined (OAuth) of Genesys Cloud does: the token endpoint,
//! and the calls that are made with its tokens.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, Method};
use reqwest::RequestBuilder;
use serde_json::Value;

use crate::support::{
    client::{Answer, TOKEN_HEADER},
    form::Form,
    in_time,
    proxy::{Setup, TestProxy},
};

const SECRET: &str = "secret/of+the=ivr";
const OAUTH: &str = "oauth: {type: issued, clients: {ivr: \"secret/of+the=ivr\", web: secret-of-the-web}, \
                     key: 0123456789abcdef0123456789abcdef}";
const VOID: &str = "Token is invalid or does not hold any more; fetch a new one";

async fn issuing() -> TestProxy {
    Setup::new().caller(OAUTH).action("caller: oauth").start().await
}

fn basic(text: &str) -> String {
    format!("Basic {}", STANDARD.encode(text))
}

/// What the token endpoint said.
struct Told {
    status: u16,
    headers: HeaderMap,
    body: Value,
}

impl Told {
    #[track_caller]
    fn of(status: u16, headers: HeaderMap, body: &[u8]) -> Self {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        assert_eq!(header("content-type"), Some("application/json"));
        assert_eq!(header("cache-control"), Some("no-store"));
        assert_eq!(header("pragma"), Some("no-cache"));
        assert_eq!(header("x-request-id").map(str::len), Some(32));
        let body: Value = serde_json::from_slice(body).expect("JSON");
        let keys: Vec<_> =
            body.as_object().expect("an object").keys().map(String::as_str).collect();
        match status {
            200 => assert_eq!(keys, ["access_token", "token_type", "expires_in"]),
            _ => assert_eq!(keys, ["error", "error_description"]),
        }
        Self { status, headers, body }
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("ASCII"))
    }

    #[track_caller]
    fn token(&self) -> &str {
        assert_eq!(
            (self.status, &self.body["token_type"]),
            (200, &"Bearer".into()),
            "{}",
            self.body
        );
        self.body["access_token"].as_str().expect("a token")
    }

    #[track_caller]
    fn denied(&self, status: u16, error: &str) {
        let said = (self.status, self.body["error"].as_str());
        assert_eq!(said, (status, Some(error)), "{}", self.body);
        assert!(!self.body.to_string().contains(SECRET) && !self.body.to_string().contains("4711"));
    }
}

async fn told(request: RequestBuilder) -> Told {
    let told = in_time("the token endpoint", async {
        let response = request.send().await.expect("it answers");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        (status, headers, response.bytes().await.expect("the answer is whole"))
    });
    let (status, headers, body) = told.await;
    Told::of(status, headers, &body)
}

/// A POST of that form.
fn post(proxy: &TestProxy, form: impl Into<String>) -> RequestBuilder {
    let request = proxy.client.network().post(proxy.public_url("/oauth/token"));
    request.header("content-type", "application/x-www-form-urlencoded").body(form.into())
}

/// The same with this client by Basic.
fn post_as(proxy: &TestProxy, client: &str, form: &str) -> RequestBuilder {
    post(proxy, form).header("authorization", basic(client))
}

async fn fetched(proxy: &TestProxy) -> String {
    let request = post_as(proxy, &format!("ivr:{SECRET}"), "grant_type=client_credentials");
    told(request).await.token().to_owned()
}

async fn called(proxy: &TestProxy, form: Form, token: &str) -> Answer {
    let ask = proxy.ask(form, 1).without(TOKEN_HEADER);
    ask.header("authorization", &format!("Bearer {token}")).send().await
}

#[tokio::test]
pub(crate) async fn what_genesys_sends_is_answered_with_a_token_that_lets_its_calls_in() {
    let proxy = issuing().await;
    // As the custom auth action of the exported Terraform renders it: the secret is not form-encoded,
    // the body comes in chunks.
    let credentials = STANDARD.encode(format!("ivr:{SECRET}"));
    let request = format!(
        "POST /oauth/token HTTP/1.1\r\n\
         Host: proxy.example.com\r\n\
         Authorization: Basic {credentials}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\n\
         Transfer-Encoding: chunked\r\n\
         \r\n\
         1d\r\ngrant_type=client_credentials\r\n0\r\n\r\n"
    );
    let mut wire = proxy.wire().await;
    wire.send(request).await;
    let (status, headers, body) = wire.response().await;
    let told = Told::of(status, headers, &body);
    assert_eq!(told.body["expires_in"], 3600);
    // Three fields and no more, as `$${rawResult}` hands them on.
    let token = told.token();
    let expected =
        format!(r#"{{"access_token":"{token}","token_type":"Bearer","expires_in":3600}}"#);
    assert_eq!(body, expected);
    let letters = |c: u8| c.is_ascii_alphanumeric() || b"-._~+/=".contains(&c);
    assert!(token.bytes().all(letters), "a token of RFC 6750: {token}");
    for form in Form::ALL {
        form.answered(&called(&proxy, form, token).await, &proxy.outputs(1));
    }
    assert_eq!(proxy.genesys.site.counts().connections, 0);
    let issued = ["caller=\"oauth\"", "result=\"issued\""];
    assert_eq!(proxy.metric("holdline_token_requests_total", issued).await, 1.0);
    proxy.stop().await;
}

#[tokio::test]
async fn a_client_shows_its_secret_by_basic_or_in_the_form_encoded_or_not() {
    let proxy = issuing().await;
    let grant = "grant_type=client_credentials";
    let in_form = "client_id=ivr&client_secret=secret%2Fof%2Bthe%3Divr";
    for request in [
        post_as(&proxy, "ivr:secret/of+the=ivr", grant),
        post_as(&proxy, "ivr:secret%2Fof%2Bthe%3Divr", grant),
        post_as(&proxy, "%69vr:secret%2Fof%2Bthe%3Divr", grant),
        post_as(&proxy, "web:secret-of-the-web", &format!("{grant}&client_id=web")),
        post_as(&proxy, "web:secret-of-the-web", &format!("{grant}&client_id=&client_secret=")),
        post_as(&proxy, "web:secret-of-the-web", &format!("{grant}\n&audience=x&audience=y\r\n"))
            .body(format!("audience=x&audience=y&{grant}\r\n")),
        post(&proxy, format!("{grant}&{in_form}")),
        post(&proxy, format!("{in_form}&{grant}")),
    ] {
        let told = told(request).await;
        assert_eq!(called(&proxy, Form::TUTORIAL, told.token()).await.status, 200);
    }
    let typed = |kind: &str| {
        let request = proxy.client.network().post(proxy.public_url("/oauth/token"));
        let request = request.header("authorization", basic(&format!("ivr:{SECRET}"))).body(grant);
        if kind.is_empty() { request } else { request.header("content-type", kind) }
    };
    for kind in ["", "Application/X-WWW-Form-Urlencoded; charset=UTF-8"] {
        told(typed(kind)).await.token();
    }
    told(typed("application/json")).await.denied(415, "invalid_request");
    proxy.stop().await;
}

#[tokio::test]
async fn a_client_that_is_not_known_is_told_so_and_how_to_show_itself() {
    let proxy = issuing().await;
    let grant = "grant_type=client_credentials";
    let requests = [
        post(&proxy, grant),
        post(&proxy, format!("{grant}&client_id=ivr")),
        post(&proxy, format!("{grant}&client_secret={SECRET}")),
        post(&proxy, format!("{grant}&client_id=ivr&client_secret=4711")),
        post(&proxy, format!("{grant}&client_id=ivr-4711&client_secret=secret-of-the-web")),
        post_as(&proxy, "ivr:4711", grant),
        post_as(&proxy, "ivr:secret-of-the-web", grant),
        post_as(&proxy, "ivr", grant),
        post_as(&proxy, "ivr:", grant),
        post(&proxy, grant).header("authorization", "Bearer 4711"),
        post(&proxy, grant).header("authorization", "Basic 4711!"),
    ];
    let count = requests.len() as f64;
    for request in requests {
        let told = told(request).await;
        told.denied(401, "invalid_client");
        let challenge = told.header("www-authenticate");
        assert_eq!(challenge, Some(r#"Basic realm="holdline", charset="UTF-8""#));
    }
    let wrong = ["caller=\"oauth\"", "result=\"invalid_client\""];
    assert_eq!(proxy.metric("holdline_token_requests_total", wrong).await, count);
    assert_eq!(proxy.metric("holdline_requests_total", []).await, 0.0, "none of them is a call");
    proxy.stop().await;
}

#[tokio::test]
async fn a_request_that_is_not_of_the_form_is_told_what_it_lacks() {
    let proxy = issuing().await;
    let ivr = format!("ivr:{SECRET}");
    let grant = "grant_type=client_credentials";
    for (form, error) in [
        ("", "invalid_request"),
        ("grant_type=", "invalid_request"),
        ("{\"grant_type\":\"client_credentials\"}", "invalid_request"),
        ("grant_type=client_credentials&grant_type=client_credentials", "invalid_request"),
        ("grant_type=client_credentials&client_id=web", "invalid_request"),
        ("grant_type=client_credentials&client_secret=x", "invalid_request"),
        ("grant_type=password", "unsupported_grant_type"),
        ("grant_type=authorization_code-4711", "unsupported_grant_type"),
        ("grant_type=client_credentials&scope=calls", "invalid_scope"),
    ] {
        told(post_as(&proxy, &ivr, form)).await.denied(400, error);
    }
    let twice = post_as(&proxy, &ivr, grant).header("authorization", basic(&ivr));
    told(twice).await.denied(400, "invalid_request");
    let encoded = post_as(&proxy, &ivr, grant).header("content-encoding", "gzip");
    told(encoded).await.denied(415, "invalid_request");
    let large = format!("{grant}&padding={}", "x".repeat(16 << 10));
    told(post_as(&proxy, &ivr, &large)).await.denied(413, "invalid_request");
    for method in [Method::GET, Method::PUT, Method::DELETE] {
        let url = proxy.public_url("/oauth/token?grant_type=client_credentials");
        let told = told(proxy.client.network().request(method, url)).await;
        told.denied(405, "invalid_request");
        assert_eq!(told.header("allow"), Some("POST"));
    }
    for path in ["/oauth/token/", "/oauth", "/oauth/Token", "/oauth/token/x"] {
        let elsewhere = proxy.client.network().post(proxy.public_url(path)).body(grant);
        assert_eq!(proxy.fetch(elsewhere).await.0, 404, "{path}");
    }
    proxy.stop().await;
}

#[tokio::test]
async fn a_token_that_does_not_hold_is_401_in_every_form_so_that_another_is_fetched() {
    let proxy = issuing().await;
    let good = fetched(&proxy).await;
    let other = Setup::new().caller(&OAUTH.replace("0123456789abcdef", "fedcba9876543210"));
    let other = other.action("caller: oauth").start().await;
    let foreign = fetched(&other).await;
    other.stop().await;
    let swapped = if good.ends_with('A') { "B" } else { "A" };
    let forged = format!("{}{swapped}", &good[..good.len() - 1]);
    for form in Form::ALL {
        for token in [&*foreign, &forged, "hl1.", "hl1.AAAA", "good-token", &good[4..]] {
            let refused = called(&proxy, form, token).await;
            refused.failed(401, "unauthenticated", VOID);
            let challenge = refused.header("www-authenticate");
            assert_eq!(challenge, Some("Bearer error=\"invalid_token\""));
            refused.never_says(token);
        }
        let bare = proxy.ask(form, 1).without(TOKEN_HEADER);
        let missing = bare.header("authorization", &basic(&format!("ivr:{SECRET}"))).send().await;
        missing.failed(401, "unauthenticated", "Missing Authorization header");
        assert_eq!(missing.header("www-authenticate"), Some("Bearer"));
    }
    assert_eq!(called(&proxy, Form::TUTORIAL, &good).await.status, 200);
    proxy.stop().await;
}

#[tokio::test]
async fn a_token_of_one_scheme_is_none_of_another_though_they_share_the_key() {
    let other = OAUTH.replace("oauth:", "other:").replace("issued,", "issued, path: /other/token,");
    let setup = Setup::new().caller(OAUTH).caller(&other).action("caller: oauth");
    let proxy = setup.extra("with-other", ["caller: other"]).start().await;
    let ours = fetched(&proxy).await;
    let ask = |token: &str| {
        let ask = proxy.client.ask("with-other", &serde_json::json!({"data": {"customer_id": 1}}));
        ask.header("authorization", &format!("Bearer {token}")).send()
    };
    ask(&ours).await.failed(401, "unauthenticated", VOID);
    let request = proxy.client.network().post(proxy.public_url("/other/token"));
    let request = request.header("authorization", basic(&format!("ivr:{SECRET}")));
    let theirs = told(request.body("grant_type=client_credentials")).await;
    assert_eq!(ask(theirs.token()).await.status, 200);
    let back = called(&proxy, Form::TUTORIAL, theirs.token()).await;
    back.failed(401, "unauthenticated", VOID);
    proxy.stop().await;
}

#[tokio::test]
pub(crate) async fn path_lifetime_and_header_are_as_configured() {
    let line = "oauth: {type: issued, path: /v2/token, ttl: 5m, header: X-Token, \
                clients: {ivr: secret-of-the-ivr}, key: 0123456789abcdef0123456789abcdef}";
    let proxy = Setup::new().caller(line).action("caller: oauth").start().await;
    let request = |path: &str| {
        let request = proxy.client.network().post(proxy.public_url(path));
        let request = request.header("authorization", basic("ivr:secret-of-the-ivr"));
        request.body("grant_type=client_credentials")
    };
    assert_eq!(proxy.fetch(request("/oauth/token")).await.0, 404);
    let told = told(request("/v2/token")).await;
    assert_eq!(told.body["expires_in"], 300);
    let form = Form::FLAT;
    let ask = proxy.ask(form, 1).without(TOKEN_HEADER).header("x-token", told.token());
    form.answered(&ask.send().await, &proxy.outputs(1));
    proxy.stop().await;
}
