//! Floors for the product: what axum and hyper cost when they do nothing else.
//!
//!   bare hyper   parse the body, answer a prebuilt JSON
//!   bare axum    the same behind an axum router
//!   bare fetch   axum; every request fetches the user from BACKEND and maps it
//!
//! Environment: PORT, BACKEND (127.0.0.1:19000), RT=ct (current thread) or mt1
//! (multi-thread scheduler with one worker).

use std::convert::Infallible;
use std::future::Future;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::serve::ListenerExt;
use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Full};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde::{Deserialize, Serialize};

const PATH: &str = "/data-action/customer-lookup";
const JSON: (header::HeaderName, &str) = (header::CONTENT_TYPE, "application/json");
const PREBUILT: &str = r#"{"data":{"full_name":"Clementine Schulist","email":"Clementine.Schulist.42@example.com","phone":"1-770-00042-0042 x56442","is_premium_member":false}}"#;

#[derive(Deserialize)]
struct Lookup {
    data: LookupData,
}

#[derive(Deserialize)]
struct LookupData {
    customer_id: u64,
}

#[derive(Deserialize)]
struct User<'a> {
    name: &'a str,
    email: &'a str,
    phone: &'a str,
}

#[derive(Serialize)]
struct Output<'a> {
    data: OutputData<'a>,
}

#[derive(Serialize)]
struct OutputData<'a> {
    full_name: &'a str,
    email: &'a str,
    phone: &'a str,
    is_premium_member: bool,
}

async fn prebuilt(body: Bytes) -> Response {
    match serde_json::from_slice::<Lookup>(&body) {
        Ok(l) if l.data.customer_id > 0 => ([JSON], PREBUILT).into_response(),
        _ => StatusCode::BAD_REQUEST.into_response(),
    }
}

#[derive(Clone)]
struct Upstream {
    client: Client<HttpConnector, Empty<Bytes>>,
    base: String,
}

impl Upstream {
    async fn user(&self, id: u64) -> Option<Bytes> {
        let uri = format!("http://{}/users/{id}", self.base).parse().ok()?;
        let answer = self.client.get(uri).await.ok()?;
        if answer.status() != StatusCode::OK {
            return None;
        }
        Some(answer.into_body().collect().await.ok()?.to_bytes())
    }
}

async fn fetch(State(up): State<Upstream>, body: Bytes) -> Response {
    let Ok(l) = serde_json::from_slice::<Lookup>(&body) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let Some(raw) = up.user(l.data.customer_id).await else {
        return StatusCode::BAD_GATEWAY.into_response();
    };
    let Ok(user) = serde_json::from_slice::<User>(&raw) else {
        return StatusCode::BAD_GATEWAY.into_response();
    };
    let out = Output {
        data: OutputData {
            full_name: user.name,
            email: user.email,
            phone: user.phone,
            is_premium_member: false,
        },
    };
    match serde_json::to_vec(&out) {
        Ok(bytes) => ([JSON], bytes).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn hyper_answer(
    req: hyper::Request<hyper::body::Incoming>,
) -> Result<hyper::Response<Full<Bytes>>, Infallible> {
    let body = req.into_body().collect().await.map(|b| b.to_bytes());
    let ok = body
        .is_ok_and(|b| serde_json::from_slice::<Lookup>(&b).is_ok_and(|l| l.data.customer_id > 0));
    let mut r = hyper::Response::new(Full::new(Bytes::from_static(PREBUILT.as_bytes())));
    if ok {
        r.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(JSON.1));
    } else {
        *r.status_mut() = StatusCode::BAD_REQUEST;
    }
    Ok(r)
}

async fn listen() -> std::io::Result<tokio::net::TcpListener> {
    let port = std::env::var("PORT").ok().and_then(|p| p.parse().ok()).unwrap_or(19030);
    let socket = tokio::net::TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(([127, 0, 0, 1], port).into())?;
    socket.listen(4096)
}

async fn serve_hyper() -> std::io::Result<()> {
    let listener = listen().await?;
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let _ = stream.set_nodelay(true);
        tokio::spawn(async move {
            let service = hyper::service::service_fn(hyper_answer);
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn serve_axum(app: Router) -> std::io::Result<()> {
    let listener = listen().await?.tap_io(|s| {
        let _ = s.set_nodelay(true);
    });
    axum::serve(listener, app).await
}

fn run(main: impl Future<Output = std::io::Result<()>> + Send + 'static) -> std::io::Result<()> {
    let mut builder = match std::env::var("RT").as_deref() {
        Ok("mt1") => {
            let mut b = tokio::runtime::Builder::new_multi_thread();
            b.worker_threads(1);
            b
        }
        _ => tokio::runtime::Builder::new_current_thread(),
    };
    let rt = builder.enable_all().build()?;
    // spawned, so that with mt1 the accept loop runs on the worker, not here
    rt.block_on(async { tokio::spawn(main).await.unwrap_or(Ok(())) })
}

fn main() -> std::io::Result<()> {
    match std::env::args().nth(1).as_deref() {
        Some("hyper") => run(serve_hyper()),
        Some("axum") => run(serve_axum(Router::new().route(PATH, post(prebuilt)))),
        Some("fetch") => run(async {
            let mut connector = HttpConnector::new();
            connector.set_nodelay(true);
            let upstream = Upstream {
                client: Client::builder(TokioExecutor::new())
                    .pool_max_idle_per_host(1024)
                    .build(connector),
                base: std::env::var("BACKEND").unwrap_or_else(|_| "127.0.0.1:19000".into()),
            };
            serve_axum(Router::new().route(PATH, post(fetch)).with_state(upstream)).await
        }),
        _ => {
            eprintln!("usage: bare hyper|axum|fetch");
            std::process::exit(2)
        }
    }
}
