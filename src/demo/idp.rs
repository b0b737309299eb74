//! A fake identity provider: `POST /introspect` as RFC 7662 has it, for one client that may ask, and
//! `GET /jwks`, the public keys by which its signed tokens are checked.

use std::{
    collections::HashMap,
    fmt, io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures_util::future::{self, BoxFuture};
use serde_json::{Value, json};
use url::form_urlencoded;

use crate::chance::Chance;

use super::{
    fault::Latency,
    site::{Role, Site},
    wire::{Request, Response},
};

/// Where it is asked about a token.
const INTROSPECT: &str = "/introspect";
/// Where its keys are.
const JWKS: &str = "/jwks";

/// A running identity provider.
#[derive(Debug, Clone)]
pub struct FakeIdp {
    /// Its place on the network: faults, counters, what it has seen.
    pub site: Site,
    state: Arc<Shared>,
}

#[derive(Default)]
struct Shared(Mutex<State>);

#[derive(Default)]
struct State {
    /// Who may ask, and its secret.
    client: (String, String),
    tokens: HashMap<String, Value>,
    keys: Value,
}

impl FakeIdp {
    /// Starts one at `address` that only this client may ask; port 0 picks a free one.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub async fn start(address: SocketAddr, client: &str, secret: &str) -> io::Result<Self> {
        let state = Arc::new(Shared::default());
        state.lock().client = (client.to_owned(), secret.to_owned());
        let role = Idp(Arc::clone(&state));
        let site = Site::start(address, role, Latency::NONE, Chance::Random).await?;
        Ok(Self { site, state })
    }

    /// Where it is asked about a token.
    pub fn introspect_url(&self) -> String {
        format!("{}{INTROSPECT}", self.site.url())
    }

    /// Where its keys are.
    pub fn jwks_url(&self) -> String {
        format!("{}{JWKS}", self.site.url())
    }

    /// Makes a token active, with these claims.
    pub fn know(&self, token: &str, claims: Value) {
        self.state.lock().tokens.insert(token.to_owned(), claims);
    }

    /// Makes a token inactive.
    pub fn revoke(&self, token: &str) {
        self.state.lock().tokens.remove(token);
    }

    /// Gives the client that may ask another secret.
    pub fn change_secret(&self, secret: &str) {
        secret.clone_into(&mut self.state.lock().client.1);
    }

    /// Puts that set of keys in place of the one before.
    pub fn publish(&self, keys: Value) {
        self.state.lock().keys = keys;
    }

    /// How many introspections were asked for.
    pub fn introspections(&self) -> u64 {
        self.site.requests_for(INTROSPECT)
    }

    /// How often its keys were fetched.
    pub fn fetches(&self) -> u64 {
        self.site.requests_for(JWKS)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("nothing under this lock panics")
    }
}

/// Shows how many tokens there are, and no secret.
impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Idp").field("tokens", &self.lock().tokens.len()).finish_non_exhaustive()
    }
}

struct Idp(Arc<Shared>);

impl Role for Idp {
    fn answer<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Response> {
        Box::pin(future::ready(self.response(request)))
    }
}

impl Idp {
    fn response(&self, request: &Request) -> Response {
        match (request.path(), &*request.method) {
            (JWKS, "GET") => Response::json(200, &self.0.lock().keys),
            (INTROSPECT, "POST") => self.introspect(request),
            (JWKS | INTROSPECT, _) => refusal(405, "invalid_request"),
            _ => refusal(404, "not_found"),
        }
    }

    fn introspect(&self, request: &Request) -> Response {
        let state = self.0.lock();
        if client(request).as_ref() != Some(&state.client) {
            return refusal(401, "invalid_client").with("WWW-Authenticate", "Basic realm=\"idp\"");
        }
        let form = request.header("content-type") == Some("application/x-www-form-urlencoded");
        let mut pairs = form_urlencoded::parse(&request.body);
        let Some((_, token)) = pairs.find(|(key, _)| form && key == "token") else {
            return refusal(400, "invalid_request");
        };
        // Of a token that is no good nothing is said but that (RFC 7662, 2.2).
        let Some(claims) = state.tokens.get(&*token) else {
            return Response::json(200, &json!({"active": false}));
        };
        let mut answer = json!({"active": true, "token_type": "Bearer"});
        for (claim, value) in claims.as_object().into_iter().flatten() {
            answer[claim] = value.clone();
        }
        Response::json(200, &answer)
    }
}

/// The client that asks and its secret, each decoded from its form (RFC 6749, 2.3.1).
fn client(request: &Request) -> Option<(String, String)> {
    let (_, encoded) = request.header("authorization")?.split_once("Basic ")?;
    let pair = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    let (id, secret) = pair.split_once(':')?;
    let decoded = |part: &str| {
        let (text, _) = form_urlencoded::parse(part.as_bytes()).next()?;
        Some(text.into_owned())
    };
    Some((decoded(id)?, decoded(secret)?))
}

fn refusal(status: u16, error: &str) -> Response {
    Response::json(status, &json!({ "error": error }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(idp: &Idp, pair: &str, body: &str) -> (u16, Value) {
        let request = Request {
            method: "POST".into(),
            target: INTROSPECT.into(),
            headers: vec![
                ("authorization".into(), format!("Basic {}", STANDARD.encode(pair))),
                ("content-type".into(), "application/x-www-form-urlencoded".into()),
            ],
            body: body.to_owned().into(),
            ..Request::default()
        };
        let response = idp.response(&request);
        (response.status, serde_json::from_slice(&response.body).expect("JSON"))
    }

    #[test]
    fn only_its_client_is_told_about_a_token() {
        let idp = Idp(Arc::default());
        idp.0.lock().client = ("hold line".into(), "a:b".into());
        idp.0.lock().tokens.insert("x+y".into(), json!({"client_id": "ivr"}));
        let good = json!({"active": true, "token_type": "Bearer", "client_id": "ivr"});
        assert_eq!(ask(&idp, "hold+line:a%3Ab", "token=x%2By"), (200, good));
        let bad = ask(&idp, "hold+line:a%3Ab", "token=x+y");
        assert_eq!(bad, (200, json!({"active": false})));
        assert_eq!(ask(&idp, "hold+line:a%3Ab", "tokens=x").0, 400);
        assert_eq!(ask(&idp, "hold+line:other", "token=x%2By").0, 401);
    }
}
