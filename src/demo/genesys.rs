//! The fake token authority. `POST /api/v2/oauth2/introspect` is as the tutorial calls it: the token
//! stands in the `Authorization` header and once more in the body. `GET /api/v2/tokens/me` is what
//! real Genesys Cloud has: the bearer's own token, 401 for a bad one, a limit for each token.

use std::{
    collections::{HashMap, HashSet},
    fmt, io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
};

use futures_util::future::{self, BoxFuture};
use serde_json::{Value, json};

use crate::chance::Chance;

use super::{
    fault::Latency,
    site::{Role, Site},
    wire::{Request, Response},
};

/// Where the tutorial asks.
const PATH: &str = "/api/v2/oauth2/introspect";
/// Where real Genesys Cloud is asked.
const TOKENS_ME: &str = "/api/v2/tokens/me";
/// What a client's token is named by in a limit of Genesys Cloud.
const TOKEN_LIMIT: &str = "client.credentials.token.rate.per.minute";

/// The token that is bad even where any other is good.
pub const BAD_TOKEN: &str = "bad-token";

/// How the fake authority begins.
#[derive(Debug, Clone)]
pub struct GenesysSettings {
    /// What it makes of a token that it was not told about.
    pub strangers: Strangers,
    /// How long an answer takes where no rule says otherwise.
    pub latency: Latency,
    /// What decides on jitter and on shares.
    pub chance: Chance,
}

impl Default for GenesysSettings {
    fn default() -> Self {
        let strangers = Strangers::Refused;
        Self { strangers, latency: Latency::NONE, chance: Chance::Random }
    }
}

/// What becomes of a token that the authority was not told about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Strangers {
    /// It is inactive.
    Refused,
    /// It is active with these claims, unless it is [`BAD_TOKEN`], empty or revoked.
    Welcome(Claims),
}

/// What the authority says of an active token, beside that it is. It says what it was told to and
/// has no clock: a token whose `expires` has passed stays active here until it is revoked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Claims {
    /// The organisation's identifier, as `organization.id`.
    pub organization: Option<String>,
    /// The OAuth client, as `client_id`.
    pub client: Option<String>,
    /// Seconds since 1970, as `exp`.
    pub expires: Option<u64>,
}

/// A running token authority.
#[derive(Debug, Clone)]
pub struct FakeGenesys {
    /// Its place on the network: faults, counters, what it has seen.
    pub site: Site,
    tokens: Arc<Tokens>,
}

impl FakeGenesys {
    /// Starts one at `address`; port 0 picks a free one.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub async fn start(address: SocketAddr, settings: GenesysSettings) -> io::Result<Self> {
        let GenesysSettings { strangers, latency, chance } = settings;
        let tokens = Arc::new(Tokens { strangers, state: Mutex::default() });
        let site = Site::start(address, Genesys(tokens.clone()), latency, chance).await?;
        Ok(Self { site, tokens })
    }

    /// Makes a token active, with these claims; also one that was revoked.
    pub fn know(&self, token: &str, claims: Claims) {
        let mut state = self.tokens.state();
        state.revoked.remove(token);
        state.known.insert(token.to_owned(), claims);
    }

    /// Makes a token inactive.
    pub fn revoke(&self, token: &str) {
        let mut state = self.tokens.state();
        state.known.remove(token);
        state.revoked.insert(token.to_owned());
    }

    /// Lets each token ask `tokens/me` so many times more, and then answers 429 with this
    /// `Retry-After`, in seconds. `None`: as often as it likes.
    pub fn limit_each_token(&self, limit: Option<(u32, u32)>) {
        let mut state = self.tokens.state();
        state.limit = limit;
        state.asked.clear();
    }

    /// How many asked who they are.
    pub fn tokens_me(&self) -> u64 {
        self.site.requests_for(TOKENS_ME)
    }

    /// How many introspections were asked for.
    pub fn introspections(&self) -> u64 {
        self.site.requests_for(PATH)
    }
}

struct Tokens {
    strangers: Strangers,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    known: HashMap<String, Claims>,
    revoked: HashSet<String>,
    /// How often each token may ask who it is, and the wait it is told then.
    limit: Option<(u32, u32)>,
    asked: HashMap<String, u32>,
}

impl Tokens {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing under this lock panics")
    }

    /// Counts that a token asks who it is; the seconds it must wait, where that was too often.
    fn too_often(&self, token: &str) -> Option<u32> {
        let mut state = self.state();
        let (times, wait) = state.limit?;
        let asked = state.asked.entry(token.to_owned()).or_default();
        *asked += 1;
        (*asked > times).then_some(wait)
    }

    /// The claims of a token, if it is active.
    fn claims(&self, token: &str) -> Option<Claims> {
        let state = self.state();
        if let Some(claims) = state.known.get(token) {
            return Some(claims.clone());
        }
        match &self.strangers {
            Strangers::Welcome(claims) if token != BAD_TOKEN && !state.revoked.contains(token) => {
                Some(claims.clone())
            }
            Strangers::Welcome(_) | Strangers::Refused => None,
        }
    }
}

/// Shows how many tokens there are, and none of them.
impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("Tokens")
            .field("strangers", &self.strangers)
            .field("known", &state.known.len())
            .field("revoked", &state.revoked.len())
            .finish()
    }
}

struct Genesys(Arc<Tokens>);

impl Role for Genesys {
    fn answer<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Response> {
        Box::pin(future::ready(self.response(request)))
    }
}

impl Genesys {
    fn response(&self, request: &Request) -> Response {
        if request.path() == TOKENS_ME {
            return self.token_me(request);
        }
        if request.path() != PATH {
            return refusal(404, "not.found", "The requested resource was not found.");
        }
        if request.method != "POST" {
            return refusal(405, "method.not.allowed", "Only POST is answered here.");
        }
        let Some(bearer) = bearer(request) else { return no_bearer() };
        let body = request.json();
        let token = body.as_ref().and_then(|body| body.get("token")).and_then(Value::as_str);
        let json =
            request.header("content-type").is_some_and(|t| t.starts_with("application/json"));
        match token {
            _ if !json => refusal(415, "unsupported.media.type", "The body must be JSON."),
            None => refusal(400, "bad.request", "The body must be {\"token\": …}."),
            Some(token) if token != bearer => {
                refusal(400, "bad.request", "The tokens of header and body differ.")
            }
            Some(token) => Response::json(200, &verdict(self.0.claims(token))),
        }
    }
}

impl Genesys {
    /// Who the bearer is. As the real one it says neither that a token is active nor when it ends.
    fn token_me(&self, request: &Request) -> Response {
        if !matches!(&*request.method, "GET" | "HEAD") {
            return refusal(405, "method.not.allowed", "HTTP 405 Method Not Allowed");
        }
        let Some(token) = bearer(request) else { return no_bearer() };
        let Some(claims) = self.0.claims(token) else {
            return refusal(401, "bad.credentials", "Invalid login credentials.");
        };
        if let Some(wait) = self.0.too_often(token) {
            let why =
                format!("Rate limit exceeded the maximum. Retry the request in [{wait}] seconds");
            let mut body = refusal_body(429, "too.many.requests", &why);
            body["limit"] = json!({"key": TOKEN_LIMIT, "namespace": "platform.api", "value": 300});
            return Response::json(429, &body).with("Retry-After", wait.to_string());
        }
        let organization = claims.organization.unwrap_or_default();
        let client = claims.client.unwrap_or_default();
        let home = json!({"id": organization, "name": "A customer"});
        let body = json!({
            "organization": home,
            "homeOrganization": home,
            "authorizedScope": [],
            "OAuthClient": {
                "id": client,
                "name": "Data actions",
                "organization": home,
                "authorizedGrantType": "CLIENT_CREDENTIALS",
                "scope": [],
                "roleDivisions": [],
                "state": "active",
            },
        });
        Response::json(200, &body)
    }
}

/// The bearer's token, where there is one.
fn bearer(request: &Request) -> Option<&str> {
    let (scheme, token) = request.header("authorization")?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token).filter(|token| !token.is_empty())
}

fn no_bearer() -> Response {
    let why = "No authentication bearer token specified in authorization header.";
    refusal(401, "authentication.required", why)
}

fn verdict(claims: Option<Claims>) -> Value {
    let Some(claims) = claims else {
        return json!({"active": false});
    };
    let mut verdict = json!({"active": true});
    if let Some(organization) = claims.organization {
        verdict["organization"] = json!({"id": organization});
    }
    if let Some(client) = claims.client {
        verdict["client_id"] = client.into();
    }
    if let Some(expires) = claims.expires {
        verdict["exp"] = expires.into();
    }
    verdict
}

/// A refusal in the shape of Genesys Cloud's own.
fn refusal(status: u16, code: &str, message: &str) -> Response {
    Response::json(status, &refusal_body(status, code, message))
}

fn refusal_body(status: u16, code: &str, message: &str) -> Value {
    json!({"message": message, "code": code, "status": status, "details": [], "errors": []})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn genesys(strangers: Strangers) -> Genesys {
        Genesys(Arc::new(Tokens { strangers, state: Mutex::default() }))
    }

    fn ask(genesys: &Genesys, bearer: &str, body: &Value) -> (u16, Value) {
        let request = Request {
            method: "POST".into(),
            target: PATH.into(),
            headers: vec![
                ("authorization".into(), bearer.into()),
                ("content-type".into(), "application/json".into()),
            ],
            body: body.to_string().into(),
            ..Request::default()
        };
        let response = genesys.response(&request);
        (response.status, serde_json::from_slice(&response.body).unwrap())
    }

    fn introspect(genesys: &Genesys, token: &str) -> Value {
        let (status, verdict) = ask(genesys, &format!("Bearer {token}"), &json!({"token": token}));
        assert_eq!(status, 200);
        verdict
    }

    #[test]
    fn a_known_token_is_active_with_its_claims() {
        let genesys = genesys(Strangers::Refused);
        let claims = Claims {
            organization: Some("org-1".into()),
            client: Some("flow".into()),
            expires: Some(1_900_000_000),
        };
        genesys.0.state().known.insert("good".into(), claims);
        genesys.0.state().known.insert("bare".into(), Claims::default());
        let expected = json!({"active": true, "organization": {"id": "org-1"},
            "client_id": "flow", "exp": 1_900_000_000});
        assert_eq!(introspect(&genesys, "good"), expected);
        assert_eq!(introspect(&genesys, "bare"), json!({"active": true}));
        assert_eq!(introspect(&genesys, "stranger"), json!({"active": false}));
    }

    #[test]
    fn any_token_is_good_where_strangers_are_welcome_except_the_bad_and_the_revoked() {
        let genesys = genesys(Strangers::Welcome(Claims::default()));
        genesys.0.state().revoked.insert("gone".into());
        assert_eq!(introspect(&genesys, "anything"), json!({"active": true}));
        assert_eq!(introspect(&genesys, BAD_TOKEN), json!({"active": false}));
        assert_eq!(introspect(&genesys, "gone"), json!({"active": false}));
    }

    #[test]
    fn header_and_body_must_carry_the_same_token() {
        let genesys = genesys(Strangers::Welcome(Claims::default()));
        assert_eq!(ask(&genesys, "Bearer a", &json!({"token": "b"})).0, 400);
        assert_eq!(ask(&genesys, "Bearer a", &json!({})).0, 400);
        assert_eq!(ask(&genesys, "Bearer ", &json!({"token": ""})).0, 401);
        assert_eq!(ask(&genesys, "Basic a", &json!({"token": "a"})).0, 401);
    }

    fn who_am_i(genesys: &Genesys, bearer: &str) -> (Response, Value) {
        let request = Request {
            method: "GET".into(),
            target: format!("{TOKENS_ME}?preserveIdleTTL=true"),
            headers: vec![("authorization".into(), bearer.into())],
            ..Request::default()
        };
        let response = genesys.response(&request);
        let body = serde_json::from_slice(&response.body).unwrap();
        (response, body)
    }

    #[test]
    fn a_good_token_is_told_whose_it_is_and_not_until_when() {
        let genesys = genesys(Strangers::Refused);
        let claims = Claims {
            organization: Some("org-1".into()),
            client: Some("flow".into()),
            expires: Some(1_900_000_000),
        };
        genesys.0.state().known.insert("good".into(), claims);
        let (response, body) = who_am_i(&genesys, "Bearer good");
        assert_eq!(response.status, 200);
        assert_eq!(body["organization"]["id"], "org-1");
        assert_eq!(body["OAuthClient"]["id"], "flow");
        assert!(body.get("active").is_none() && body.get("exp").is_none(), "{body}");
        for bearer in ["Bearer stranger", "Bearer ", "Basic good"] {
            assert_eq!(who_am_i(&genesys, bearer).0.status, 401, "{bearer}");
        }
    }

    #[test]
    fn a_token_that_asks_too_often_is_told_when_to_come_back_and_others_are_not() {
        let genesys = genesys(Strangers::Welcome(Claims::default()));
        genesys.0.state().limit = Some((2, 7));
        for expected in [200, 200, 429, 429] {
            assert_eq!(who_am_i(&genesys, "Bearer a").0.status, expected);
        }
        let (response, body) = who_am_i(&genesys, "Bearer a");
        assert!(response.headers.contains(&("Retry-After", "7".to_owned())));
        assert_eq!((&body["status"], &body["limit"]["value"]), (&json!(429), &json!(300)));
        assert_eq!(who_am_i(&genesys, "Bearer b").0.status, 200);
    }

    #[tokio::test]
    async fn a_token_shown_for_debugging_is_not_shown() {
        let address = "127.0.0.1:0".parse().unwrap();
        let genesys = FakeGenesys::start(address, GenesysSettings::default()).await.unwrap();
        genesys.know("s3cret", Claims::default());
        assert!(!format!("{genesys:?}").contains("s3cret"));
        genesys.site.stop().await;
    }
}
