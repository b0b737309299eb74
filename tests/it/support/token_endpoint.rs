//! An issuer of tokens inside the test, as strict as RFC 6749 lets it be: by the client-credentials
//! grant, to one client that proves itself by Basic.
#![expect(clippy::unwrap_used, reason = "where this fails, the test has failed")]

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use holdline::background::Background;
use http::{
    HeaderMap, Method, Request, Response, StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE},
};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use url::form_urlencoded;

/// The client that it knows, and what it may ask for; empty: it asks for nothing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known {
    pub(crate) id: &'static str,
    pub(crate) secret: &'static str,
    pub(crate) scope: &'static str,
}

/// A running issuer. Dropped, it goes on until the test's runtime ends.
#[derive(Debug, Clone)]
pub(crate) struct Issuer {
    /// Where tokens are issued.
    pub(crate) url: String,
    known: Known,
    /// What was said to each question, the tokens among them.
    said: Arc<Mutex<Vec<String>>>,
    background: Background,
}

impl Issuer {
    /// Starts one that issues `{prefix}-1`, `{prefix}-2` and so on.
    pub(crate) async fn start(known: Known, prefix: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/oauth/token", listener.local_addr().unwrap());
        let issuer = Self { url, known, said: Arc::default(), background: Background::new() };
        let (of_connection, background) = (issuer.clone(), issuer.background.clone());
        issuer.background.until_stopped(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let issuer = of_connection.clone();
                let service = service_fn(move |request| {
                    let issuer = issuer.clone();
                    async move { Ok::<_, Infallible>(issuer.answer(request, prefix).await) }
                });
                background.until_stopped(async move {
                    let http = hyper::server::conn::http1::Builder::new();
                    // A client that hangs up is no failure of the test.
                    let _ = http.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        issuer
    }

    /// What it said to each question: the token, or why there was none.
    pub(crate) fn said(&self) -> Vec<String> {
        self.said.lock().unwrap().clone()
    }

    async fn answer(&self, request: Request<Incoming>, prefix: &str) -> Response<Full<Bytes>> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let mut said = self.said.lock().unwrap();
        let is_ours = head.method == Method::POST && head.uri.path() == "/oauth/token";
        let (status, word, body) = match self.judge(&head.headers, &body) {
            _ if !is_ours => (StatusCode::NOT_FOUND, "not_found".to_owned(), json!({})),
            Ok(()) => {
                let token = format!("{prefix}-{}", said.len() + 1);
                let body =
                    json!({"access_token": token, "token_type": "bearer", "expires_in": 3600});
                (StatusCode::OK, token, body)
            }
            Err((status, error)) => {
                let told = json!({"error": error, "error_description": body_text(&body)});
                (status, error.to_owned(), told)
            }
        };
        said.push(word);
        reply(status, &body)
    }

    fn judge(&self, headers: &HeaderMap, body: &[u8]) -> Result<(), (StatusCode, &'static str)> {
        if self.client(headers).as_ref().map(|(id, secret)| (&**id, &**secret))
            != Some((self.known.id, self.known.secret))
        {
            return Err((StatusCode::UNAUTHORIZED, "invalid_client"));
        }
        let form: Vec<(String, String)> = form_urlencoded::parse(body).into_owned().collect();
        let form: Vec<_> = form.iter().map(|(name, value)| (&**name, &**value)).collect();
        let is_form =
            headers.get(CONTENT_TYPE).is_some_and(|it| it == "application/x-www-form-urlencoded");
        match form[..] {
            [("grant_type", "client_credentials")] if is_form && self.known.scope.is_empty() => {
                Ok(())
            }
            [("grant_type", "client_credentials"), ("scope", scope)] if is_form => {
                let allowed = scope == self.known.scope;
                if allowed { Ok(()) } else { Err((StatusCode::BAD_REQUEST, "invalid_scope")) }
            }
            _ => Err((StatusCode::BAD_REQUEST, "invalid_request")),
        }
    }

    /// Id and secret, each decoded as a form is (2.3.1).
    fn client(&self, headers: &HeaderMap) -> Option<(String, String)> {
        let text = headers.get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Basic ")?;
        let text = String::from_utf8(STANDARD.decode(text).ok()?).ok()?;
        let (id, secret) = text.split_once(':')?;
        let decoded = |text: &str| {
            let pair = format!("a={text}");
            let decoded = form_urlencoded::parse(pair.as_bytes()).next();
            decoded.map(|(_, value)| value.into_owned())
        };
        Some((decoded(id)?, decoded(secret)?))
    }
}

/// What was sent, as careless issuers repeat it.
fn body_text(body: &[u8]) -> String {
    String::from_utf8_lossy(body).into_owned()
}

fn reply(status: StatusCode, body: &Value) -> Response<Full<Bytes>> {
    let mut reply = Response::new(Full::new(Bytes::from(body.to_string())));
    *reply.status_mut() = status;
    reply.headers_mut().insert(CONTENT_TYPE, "application/json".parse().unwrap());
    if status == StatusCode::UNAUTHORIZED {
        reply.headers_mut().insert(WWW_AUTHENTICATE, "Basic realm=\"tokens\"".parse().unwrap());
    }
    reply
}
