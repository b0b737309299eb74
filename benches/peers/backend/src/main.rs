//! What stands behind every peer: users, the token authority, a collector of traces, and the data action's own
//! answer, for proxies that only pass calls on.
//!
//!   GET  /users/{id}                      a user, the same for the same id
//!   POST /api/v2/oauth2/introspect        active unless the token starts with "bad"
//!                                         (?status=1: one that is not is a 401)
//!   POST /data-action/customer-lookup     the mapped answer, without any checks
//!   POST /v1/traces                       taken, and thrown away
//!
//! It listens on 127.0.0.1, at PORT.

use std::convert::Infallible;
use std::fmt::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Deserialize;

const FIRST: [&str; 8] =
    ["Leanne", "Ervin", "Clementine", "Patricia", "Chelsey", "Dennis", "Kurtis", "Glenna"];
const LAST: [&str; 8] =
    ["Graham", "Howell", "Bauch", "Lebsack", "Dietrich", "Schulist", "Weissnat", "Reichert"];

#[derive(Deserialize)]
struct Lookup {
    data: LookupData,
}

#[derive(Deserialize)]
struct LookupData {
    customer_id: u64,
}

#[derive(Deserialize)]
struct Introspection<'a> {
    token: &'a str,
}

fn name(id: u64) -> (&'static str, &'static str) {
    (FIRST[(id % 8) as usize], LAST[(id / 8 % 8) as usize])
}

fn user(id: u64) -> String {
    let (first, last) = name(id);
    let mut s = String::with_capacity(640);
    let _ = write!(
        s,
        "{{\"id\":{id},\"name\":\"{first} {last}\",\"username\":\"{last}{id}\",\
         \"email\":\"{first}.{last}.{id}@example.com\",\
         \"address\":{{\"street\":\"{last} Light Road\",\"suite\":\"Apartment {suite}\",\
         \"city\":\"South {first}\",\"zipcode\":\"{zip:05}-{suite:04}\",\
         \"geo\":{{\"lat\":\"-37.3159\",\"lng\":\"81.1496\"}}}},\
         \"phone\":\"1-770-{zip:05}-{suite:04} x56442\",\"website\":\"{last}{id}.example.org\",\
         \"company\":{{\"name\":\"{last}-Crona and Sons\",\
         \"catchPhrase\":\"Multi-layered client-server neural-net\",\
         \"bs\":\"harness real-time e-markets and synergize scalable supply-chains\"}}}}",
        suite = id % 1000,
        zip = id % 90_000,
    );
    s
}

fn mapped(id: u64) -> String {
    let (first, last) = name(id);
    format!(
        "{{\"data\":{{\"full_name\":\"{first} {last}\",\"email\":\"{first}.{last}.{id}@example.com\",\
         \"phone\":\"1-770-{:05}-{:04} x56442\",\"is_premium_member\":false}}}}",
        id % 90_000,
        id % 1000,
    )
}

fn answer(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut r = Response::new(Full::new(body.into()));
    *r.status_mut() = status;
    r.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    r
}

async fn answered(req: Request<Incoming>) -> Response<Full<Bytes>> {
    let path = req.uri().path();
    if req.method() == Method::GET {
        if let Some(id) = path.strip_prefix("/users/").and_then(|s| s.parse().ok()) {
            // some proxies turn POST into GET and still send the body
            let _ = req.into_body().collect().await;
            return answer(StatusCode::OK, user(id));
        }
    } else if req.method() == Method::POST {
        match path {
            "/api/v2/oauth2/introspect" => return introspected(req).await,
            "/data-action/customer-lookup" => {
                let Ok(body) = req.into_body().collect().await else {
                    return answer(StatusCode::BAD_REQUEST, "{}");
                };
                return match serde_json::from_slice::<Lookup>(&body.to_bytes()) {
                    Ok(l) => answer(StatusCode::OK, mapped(l.data.customer_id)),
                    Err(_) => answer(StatusCode::BAD_REQUEST, "{}"),
                };
            }
            "/v1/traces" => {
                let _ = req.into_body().collect().await;
                return answer(StatusCode::OK, "");
            }
            _ => {}
        }
    }
    answer(StatusCode::NOT_FOUND, "{}")
}

async fn introspected(req: Request<Incoming>) -> Response<Full<Bytes>> {
    let strict = req.uri().query() == Some("status=1");
    let bearer = req
        .headers()
        .get(AUTHORIZATION)
        .and_then(|h| h.to_str().ok()?.strip_prefix("Bearer "))
        .map(str::to_owned);
    let Ok(body) = req.into_body().collect().await else {
        return answer(StatusCode::BAD_REQUEST, "{}");
    };
    let body = body.to_bytes();
    let Ok(asked) = serde_json::from_slice::<Introspection>(&body) else {
        return answer(StatusCode::BAD_REQUEST, "{}");
    };
    let active = bearer.as_deref() == Some(asked.token) && !asked.token.starts_with("bad");
    if !active && strict {
        return answer(StatusCode::UNAUTHORIZED, "{\"active\":false}");
    }
    if !active {
        return answer(StatusCode::OK, "{\"active\":false}");
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    answer(StatusCode::OK, format!("{{\"active\":true,\"exp\":{}}}", now + 3600))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let socket = tokio::net::TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    let port = std::env::var("PORT").ok().and_then(|v| v.parse().ok()).unwrap_or(19000);
    socket.bind(([127, 0, 0, 1], port).into())?;
    let listener = socket.listen(4096)?;
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let _ = stream.set_nodelay(true);
        tokio::spawn(async move {
            let service = service_fn(|req| async { Ok::<_, Infallible>(answered(req).await) });
            let _ = hyper::server::conn::http1::Builder::new()
                .pipeline_flush(true)
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}
