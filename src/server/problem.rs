//! Problem documents (RFC 9457): the one form of everything that is refused or failed, on every
//! listener.

use axum::{
    body::Body,
    http::{
        HeaderName, HeaderValue, Response, StatusCode,
        header::{CACHE_CONTROL, CONTENT_TYPE},
    },
};
use bytes::Bytes;
use serde_json::{Value, json};

use crate::telemetry::outcome::Outcome;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A problem: status, stable code, one sentence, and the request that it is about.
pub(super) fn problem(
    status: StatusCode,
    code: Outcome,
    detail: &str,
    request_id: &str,
) -> Response<Body> {
    problem_with(status, code, detail, request_id, json!({}))
}

/// The same, with `members` of its own beside those that all have.
pub(super) fn problem_with(
    status: StatusCode,
    code: Outcome,
    detail: &str,
    request_id: &str,
    members: Value,
) -> Response<Body> {
    let mut document = json!({
        "type": "about:blank",
        "title": status.canonical_reason().unwrap_or("Error"),
        "status": status.as_u16(),
        "detail": detail,
        "code": code.as_str(),
        "request_id": request_id,
    });
    if let (Some(document), Value::Object(members)) = (document.as_object_mut(), members) {
        document.extend(members);
    }
    let body = document.to_string().into_bytes().into();
    json_response(status, "application/problem+json", body, request_id)
}

/// A JSON response that nothing between here and the caller may keep.
pub(super) fn json_response(
    status: StatusCode,
    content_type: &'static str,
    body: Bytes,
    request_id: &str,
) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert(REQUEST_ID, id);
    }
    response
}
