//! A client of the data plane that holds every response against what all of them must keep.

use std::time::Duration;

use bytes::Bytes;
use holdline::{
    catalog::upstream::Pool,
    client::{Client as Connections, Transport},
};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::Value;

use super::in_time;

/// The closed list of codes and outcomes.
const CODES: [&str; 22] = [
    "ok",
    "not_found",
    "stale",
    "fallback",
    "bad_request",
    "unauthenticated",
    "forbidden",
    "unknown_action",
    "payload_too_large",
    "rate_limited",
    "canceled",
    "upstream_error",
    "upstream_rejected",
    "upstream_timeout",
    "upstream_unreachable",
    "breaker_open",
    "deadline_exceeded",
    "mapping_error",
    "auth_unavailable",
    "overloaded",
    "draining",
    "internal_error",
];

/// Every header that may be sent; any other is a leak.
const HEADERS: [&str; 13] = [
    "allow",
    "cache-control",
    "cache-status",
    "connection",
    "content-length",
    "content-type",
    "date",
    "ratelimit",
    "ratelimit-policy",
    "retry-after",
    "server-timing",
    "www-authenticate",
    "x-request-id",
];

/// A token that the fake authority knows.
pub(crate) const TOKEN: &str = "good-token";
/// The tutorial's header for it.
pub(crate) const TOKEN_HEADER: &str = "X-Genesys-Auth-Token";

/// A response of the data plane; it has kept what every one must.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    /// Takes a response in, and holds it against what all must keep.
    #[track_caller]
    pub(crate) fn checked(status: u16, headers: HeaderMap, body: Bytes) -> Self {
        let answer = Self { status, headers, body };
        for name in answer.headers.keys() {
            assert!(HEADERS.contains(&name.as_str()), "leaks {name}: {answer:?}");
            let once = answer.headers.get_all(name).iter().count() == 1;
            assert!(once, "{name} more than once: {answer:?}");
        }
        let id = answer.request_id();
        let hex = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
        assert!(id.len() == 32 && id.bytes().all(hex), "X-Request-Id: {answer:?}");
        if status == 200 {
            answer.check_success();
        } else {
            answer.check_problem();
        }
        if matches!(status, 429 | 503) {
            answer.retry_after();
        }
        answer
    }

    #[track_caller]
    fn check_success(&self) {
        assert_eq!(self.header("content-type"), Some("application/json"), "{self:?}");
        let body = self.json();
        assert!(body.is_object(), "{self:?}");
        let told = if body["outcome"].is_null() { &body["data"] } else { &body };
        if told["outcome"].is_null() {
            return;
        }
        assert!(CODES.contains(&told["outcome"].as_str().unwrap_or_default()), "{self:?}");
        assert!(told["status_code"].is_u64(), "{self:?}");
        assert!(told["stale"].is_boolean(), "{self:?}");
        assert!(told["age_seconds"].is_u64(), "{self:?}");
    }

    #[track_caller]
    fn check_problem(&self) {
        let Self { status, .. } = self;
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let problem = self.json();
        let keys: Vec<_> = problem.as_object().expect("a problem is an object").keys().collect();
        assert_eq!(keys, ["type", "title", "status", "detail", "code", "request_id"], "{self:?}");
        assert_eq!(problem["type"], "about:blank", "{self:?}");
        assert_eq!(problem["status"], *status, "{self:?}");
        assert_eq!(problem["request_id"], self.request_id(), "{self:?}");
        let text = |key: &str| problem[key].as_str().unwrap_or_default().to_owned();
        assert!(!text("title").is_empty() && !text("detail").is_empty(), "{self:?}");
        assert!(CODES.contains(&text("code").as_str()), "{self:?}");
    }

    /// The value of a header, if it is there.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("headers of ours are ASCII"))
    }

    /// The identifier that a log line would have.
    pub(crate) fn request_id(&self) -> &str {
        self.header("x-request-id").unwrap_or_default()
    }

    /// The seconds to wait: at least one.
    #[track_caller]
    pub(crate) fn retry_after(&self) -> u64 {
        let text = self.header("retry-after").unwrap_or_else(|| panic!("no Retry-After: {self:?}"));
        let seconds = text.parse().unwrap_or(0);
        assert!(seconds >= 1, "Retry-After: {self:?}");
        seconds
    }

    /// The body, which is JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// The sentence of a failure.
    pub(crate) fn detail(&self) -> String {
        self.json()["detail"].as_str().unwrap_or_default().to_owned()
    }

    /// Asserts a failure of exactly this status, code and sentence.
    #[track_caller]
    pub(crate) fn failed(&self, status: u16, code: &str, detail: &str) {
        let problem = self.json();
        let said = (self.status, problem["code"].as_str(), problem["detail"].as_str());
        assert_eq!(said, (status, Some(code), Some(detail)), "{self:?}");
    }

    /// Asserts that `text` stands nowhere in it. The request's id is not looked at: it is random, and holds
    /// any few digits sooner or later.
    #[track_caller]
    pub(crate) fn never_says(&self, text: &str) {
        let id = self.headers.get("x-request-id").and_then(|id| id.to_str().ok());
        let without_id = |bytes: &[u8]| {
            let all = String::from_utf8_lossy(bytes);
            match id {
                Some(id) => all.replace(id, ""),
                None => all.into_owned(),
            }
        };
        let body = without_id(&self.body);
        assert!(!body.contains(text), "{text:?} in {self:?}");
        for value in self.headers.values() {
            let value = without_id(value.as_bytes());
            assert!(!value.contains(text), "{text:?} in {self:?}");
        }
    }
}

/// A request that is about to be made.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    connections: Connections,
    url: String,
    method: Method,
    headers: HeaderMap,
    body: Content,
}

#[derive(Debug, Clone)]
enum Content {
    /// With its length.
    Whole(Bytes),
    /// In chunks of these.
    Chunks(Vec<Bytes>),
}

impl Ask {
    /// With another method.
    pub(crate) fn method(mut self, method: Method) -> Self {
        self.method = method;
        self
    }

    /// With this token, in the tutorial's header.
    pub(crate) fn token(self, token: &str) -> Self {
        self.without(TOKEN_HEADER).header(TOKEN_HEADER, token)
    }

    /// With one more header.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        let name = HeaderName::try_from(name).expect("a header's name");
        self.headers.append(name, HeaderValue::try_from(value).expect("a header's value"));
        self
    }

    /// Without that header.
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.remove(name);
        self
    }

    /// With this body.
    pub(crate) fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = Content::Whole(body.into());
        self
    }

    /// With this body, in chunks that say no length in advance.
    pub(crate) fn chunks<const N: usize>(mut self, chunks: [&str; N]) -> Self {
        let owned = |chunk: &str| Bytes::copy_from_slice(chunk.as_bytes());
        self.body = Content::Chunks(chunks.into_iter().map(owned).collect());
        self
    }

    /// Makes the request and takes the response in.
    pub(crate) async fn send(self) -> Answer {
        let network = self.connections.network();
        let request = network.request(self.method, &self.url).headers(self.headers);
        let request = match self.body {
            Content::Whole(body) => request.body(body),
            Content::Chunks(chunks) => {
                let chunks = chunks.into_iter().map(Ok::<_, std::io::Error>);
                let stream = futures_util::stream::iter(chunks);
                request.body(reqwest::Body::wrap_stream(stream))
            }
        };
        let answered = in_time("an answer", async {
            let response = request.send().await.expect("the service answers");
            let (status, headers) = (response.status().as_u16(), response.headers().clone());
            (status, headers, response.bytes().await.expect("the answer is whole"))
        });
        let (status, headers, body) = answered.await;
        Answer::checked(status, headers, body)
    }
}

/// A caller, with connections of its own.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    connections: Connections,
    url: String,
}

impl Client {
    /// One that calls the actions below `url`.
    pub(crate) fn new(url: String) -> Self {
        let pool = Pool { idle: 64, idle_timeout: Duration::from_secs(60) };
        let connections = Connections::new(Duration::from_secs(10), pool, &Transport::Network);
        Self::over(connections.expect("a client can be built"), url)
    }

    /// The same over connections of the test's own.
    pub(crate) fn over(connections: Connections, url: String) -> Self {
        Self { connections, url }
    }

    /// The HTTP client underneath, for the other listeners.
    pub(crate) fn network(&self) -> &reqwest::Client {
        self.connections.network()
    }

    /// A request to that action with a good token and this JSON.
    pub(crate) fn ask(&self, action: &str, body: &Value) -> Ask {
        let ask = Ask {
            connections: self.connections.clone(),
            url: format!("{}/{action}", self.url),
            method: Method::POST,
            headers: HeaderMap::new(),
            body: Content::Whole(body.to_string().into()),
        };
        ask.token(TOKEN).header("content-type", "application/json")
    }
}
