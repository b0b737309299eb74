//! One request and its answer, between hyper and the application: what no application may see is
//! refused here, and the connection learns when the answer is done.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use axum::{
    body::{Body, Bytes},
    response::Response,
};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Version, header, uri::Authority};
use hyper::{
    body::{Frame, Incoming, SizeHint},
    upgrade::OnUpgrade,
};

use crate::{
    chance,
    server::{
        lifecycle::{Lifecycle, Phase},
        listener::App,
        problem::problem,
        wire::{HeadFraming, Serving, Turn},
    },
    telemetry::outcome::Outcome,
};

/// Answers one request of a connection.
pub(super) async fn answer<A: App>(
    mut request: Request<Incoming>,
    mut app: A,
    turn: &Turn,
    lifecycle: &Lifecycle,
) -> Result<Response<AnswerBody>, Infallible> {
    let (framing, serving) = turn.head_complete();
    let mut response = match refusal(&request, framing) {
        Some(refusal) => refusal.answer(),
        None => {
            without_upgrade(&mut request);
            app.call(request.map(Body::new)).await?
        }
    };
    // Asked again, because it may have begun while the application was at work.
    if lifecycle.phase() >= Phase::Draining {
        close_after(response.headers_mut());
    }
    Ok(response.map(|body| AnswerBody { body, _serving: serving }))
}

/// Why a request does not reach the application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    Framing,
    Host,
    Tunnel,
}

fn refusal(request: &Request<Incoming>, framing: HeadFraming) -> Option<Refusal> {
    if framing == HeadFraming::Ambiguous {
        Some(Refusal::Framing)
    } else if request.method() == Method::CONNECT {
        Some(Refusal::Tunnel)
    } else if !host_is_acceptable(request.version(), request.headers()) {
        Some(Refusal::Host)
    } else {
        None
    }
}

/// RFC 9112, 3.2: one valid `Host`; only HTTP/1.0 may leave it out.
fn host_is_acceptable(version: Version, headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) => {
            is_plain(host.as_bytes())
                || Authority::try_from(host.as_bytes())
                    .is_ok_and(|host| !host.as_str().contains('@'))
        }
        (None, _) => version < Version::HTTP_11,
        (Some(_), Some(_)) => false,
    }
}

/// Whether it is a name or an IPv4 address with or without a port, as nearly all are: seen without taking
/// it apart.
fn is_plain(host: &[u8]) -> bool {
    let name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    let end = host.iter().position(|byte| !name(byte)).unwrap_or(host.len());
    match host.split_at(end) {
        ([], _) => false,
        (_, []) => true,
        (_, [b':', port @ ..]) => {
            (1..=5).contains(&port.len()) && port.iter().all(u8::is_ascii_digit)
        }
        (_, _) => false,
    }
}

/// An upgrade is a wish that a server may ignore; without these nothing behind can honour it.
fn without_upgrade(request: &mut Request<Incoming>) {
    if request.headers_mut().remove(header::UPGRADE).is_some() {
        request.extensions_mut().remove::<OnUpgrade>();
    }
}

fn close_after(headers: &mut HeaderMap) {
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
}

impl Refusal {
    fn status(self) -> StatusCode {
        match self {
            Self::Framing | Self::Host => StatusCode::BAD_REQUEST,
            Self::Tunnel => StatusCode::NOT_IMPLEMENTED,
        }
    }

    fn detail(self) -> &'static str {
        match self {
            Self::Framing => "The length of the request is ambiguous",
            Self::Host => "The request must have exactly one valid Host header",
            Self::Tunnel => "CONNECT is not supported",
        }
    }

    /// A problem document, after which the connection is closed: what follows on it cannot be
    /// trusted.
    fn answer(self) -> Response {
        let request_id = chance::hex128();
        let mut response = problem(self.status(), Outcome::BadRequest, self.detail(), &request_id);
        close_after(response.headers_mut());
        response
    }
}

/// The body of an answer; sent or dropped, it says that the answer is done.
#[derive(Debug)]
pub(super) struct AnswerBody {
    body: Body,
    _serving: Serving,
}

impl hyper::body::Body for AnswerBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.get_mut().body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::proptest;

    use super::*;

    proptest! {
        #[test]
        fn what_is_plain_is_an_authority(host in "[a-zA-Z0-9._:@-]{0,12}") {
            if is_plain(host.as_bytes()) {
                assert!(Authority::try_from(&*host).is_ok_and(|host| !host.as_str().contains('@')));
            }
        }
    }

    fn acceptable(version: Version, hosts: &[&'static str]) -> bool {
        let mut headers = HeaderMap::new();
        for host in hosts {
            headers.append(header::HOST, HeaderValue::from_static(host));
        }
        host_is_acceptable(version, &headers)
    }

    #[test]
    fn there_must_be_one_valid_host() {
        for host in ["a", "a.example:8080", "127.0.0.1:80", "[::1]:8080", "my_pod"] {
            assert!(acceptable(Version::HTTP_11, &[host]), "{host}");
        }
        for host in ["", "a/b", "a b", "me@a", "a,b c", "http://a"] {
            assert!(!acceptable(Version::HTTP_11, &[host]), "{host:?}");
        }
        assert!(!acceptable(Version::HTTP_11, &["a", "a"]));
        assert!(!acceptable(Version::HTTP_10, &["a", "b"]));
        assert!(!acceptable(Version::HTTP_11, &[]));
        assert!(acceptable(Version::HTTP_10, &[]));
    }
}
