//! The data plane: `POST {base_path}/{action}`, from an HTTP request to a call and back. Beside it
//! are the paths at which tokens are fetched.
//!
//! What is wrong with a request is told in this order: shed or draining, unknown action, method,
//! size, content type; then what the pipeline finds.

use std::{
    borrow::Cow,
    future::poll_fn,
    panic::AssertUnwindSafe,
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
    time::Duration,
};

use axum::{
    body::{Body, HttpBody as _},
    extract::{Request, State},
    handler::Handler as _,
    http::{
        HeaderMap, HeaderName, Method, Response, Version,
        header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE},
        request::Parts,
    },
};
use bytes::{Bytes, BytesMut};
use futures_util::FutureExt;
use http_body_util::BodyExt;

use crate::{
    catalog::action::Action,
    chance::{self, digits, text},
    pipeline::{authenticate::Issuer, call::Call, failure::Failure},
    server::{
        ending::{Ending, Timed, length},
        in_force::{InForce, Offer, Served},
        lifecycle::{Guard, InFlight, Lifecycle, Phase},
        listener::App,
        respond::Refusal,
        tokens,
    },
    settings::ServerSettings,
    telemetry::{
        attempts,
        meters::UNKNOWN_ACTION,
        outcome::{Outcome, Source},
        propagation::TraceContext,
        report::Ended,
        routes::RouteMeters,
        trail::{Tracer, Trail},
    },
    time::{self, Deadline},
};

/// The header by which a caller says how long it waits, in milliseconds.
const DEADLINE: HeaderName = HeaderName::from_static("x-deadline-ms");

/// Everything between the listener and the pipeline.
#[derive(Debug)]
pub struct DataPlane {
    /// What all paths of actions begin with.
    root: String,
    in_force: InForce,
    lifecycle: Lifecycle,
    in_flight: InFlight,
    tracer: Tracer,
}

impl DataPlane {
    /// The data plane in front of what is in force.
    pub fn new(in_force: InForce, lifecycle: Lifecycle, tracer: Tracer) -> Arc<Self> {
        let settings = &in_force.now().settings;
        let in_flight = InFlight::new(settings.max_in_flight, settings.max_bytes_in_flight);
        let root = root(settings);
        Arc::new(Self { root, in_force, lifecycle, in_flight, tracer })
    }

    /// What answers its requests: one handler and no router, which would take longer to find the one
    /// route than the cache to find an answer.
    pub fn routes(self: &Arc<Self>) -> impl App + Sync + use<> {
        serve.with_state(Arc::clone(self))
    }

    /// The action that a path names, as it is written there; nothing where it is no path of actions.
    fn named<'a>(&self, path: &'a str) -> Option<&'a str> {
        let name = path.strip_prefix(&*self.root)?;
        (!name.is_empty() && !name.contains('/')).then_some(name)
    }

    /// What is in force now.
    pub(super) fn in_force(&self) -> Arc<Served> {
        self.in_force.now()
    }

    /// Calls under way.
    pub fn in_flight(&self) -> usize {
        self.in_flight.count()
    }

    /// Changes how much may be under way, as `settings` say.
    pub fn resize(&self, settings: &ServerSettings) {
        self.in_flight.resize(settings.max_in_flight, settings.max_bytes_in_flight);
    }

    /// What is under way and what may be: calls, and bytes of their bodies.
    pub fn caps(&self) -> &InFlight {
        &self.in_flight
    }
}

/// What all paths of actions begin with.
fn root(settings: &ServerSettings) -> String {
    format!("{}/", settings.base_path.trim_end_matches('/'))
}

/// The template of the data plane's path.
pub fn route(settings: &ServerSettings) -> String {
    root(settings) + "{action}"
}

/// A name out of a path; nothing where it is no text.
fn decoded(name: &str) -> Option<Cow<'_, str>> {
    if !name.contains('%') {
        return Some(name.into());
    }
    percent_encoding::percent_decode_str(name).decode_utf8().ok()
}

async fn serve(State(plane): State<Arc<DataPlane>>, request: Request) -> Response<Body> {
    let served = plane.in_force.now();
    let path = request.uri().path();
    let (route, offer) = match plane.named(path) {
        Some(name) => (served.route(), decoded(name).and_then(|name| served.offer(&name))),
        None => match served.pipeline.schemes().issuer(path) {
            Some(issuer) => return plane.issue(&served, issuer, request).await,
            None => (served.other_route(path), None),
        },
    };
    let trail = plane.begin(&request);
    plane.respond(&served, route, offer, request, &trail).await
}

impl DataPlane {
    /// Begins the trail of a request, first of all: what is shed is counted too.
    pub(super) fn begin(&self, request: &Request) -> Arc<Trail> {
        let caller = TraceContext::read(request.headers());
        let method = attempts::method_label(request.method());
        Arc::new(self.tracer.begin(time::now(), caller.as_ref(), method))
    }

    /// Answers a request whose trail has begun.
    pub(super) async fn respond(
        &self,
        served: &Served,
        route: &RouteMeters,
        offer: Option<&Offer>,
        request: Request,
        trail: &Arc<Trail>,
    ) -> Response<Body> {
        let request_id: [u8; 32] = digits(chance::id128());
        let (Parts { method, headers, version, .. }, body) = request.into_parts();
        let mut ending = Ending {
            trail,
            timed: Timed::of(route, trail.method(), trail.began()),
            meters: offer.map_or(served.unknown(), |offer| &offer.meters),
            bodies: served.bodies(),
            detail: None,
            unread: !body.is_end_stream(),
            ended: Ended {
                upstream: offer.map(|offer| offer.action.upstream.as_str()),
                detail: None,
                request_id: text(&request_id),
                action: offer.map_or(UNKNOWN_ACTION, |offer| offer.action.name.as_str()),
                // What stays if the caller hangs up and this is dropped half-way.
                outcome: Outcome::Canceled,
                source: Source::None,
                status: 0,
                age: Duration::ZERO,
                deadline: None,
                // The listener speaks no other.
                http_version: if version == Version::HTTP_10 { "1.0" } else { "1.1" },
                bytes_in: 0,
                bytes_out: 0,
            },
        };
        if self.lifecycle.phase() >= Phase::Stopped {
            return ending.refuse(Refusal::Draining);
        }
        // Full already: not worth reading a body for.
        if self.in_flight.is_full() {
            return ending.refuse(Refusal::Shed);
        }
        let read = match offer {
            Some(offer) => {
                let settings = &served.settings;
                let read = self.read((&method, &headers), body, settings, settings.max_body).await;
                read.map(|read| (&offer.action, read))
            }
            None => Err(Refusal::UnknownAction),
        };
        // A place is taken once the body is there, so that slow senders hold none; how much they
        // may hold is bounded by bytes.
        let Some(_place) = self.in_flight.enter() else {
            return ending.refuse(Refusal::Shed);
        };
        let (action, (body, _held)) = match read {
            Ok(_) if !is_json(&headers) => return ending.refuse(Refusal::ContentType),
            Ok(read) => read,
            Err(refusal) => return ending.refuse(refusal),
        };
        ending.bodies.read(body.len());
        ending.ended.bytes_in = body.len();
        let call = call(action, headers, body, Arc::clone(trail));
        let allowed = call.deadline.instant().saturating_duration_since(trail.began());
        ending.ended.deadline = Some(allowed);
        // Boxed, as it is by far the largest part of a call: what is put around it moves a pointer.
        let run = Box::pin(served.pipeline.run(&call));
        let ran = trail.within(AssertUnwindSafe(run).catch_unwind()).await;
        ending.finish(action, &ran.unwrap_or(Err(Failure::Bug)))
    }

    /// Answers a request for a token. It is no call, but the caps of calls hold for it.
    async fn issue(&self, served: &Served, issuer: &Issuer, request: Request) -> Response<Body> {
        let mut timed = Timed::of(
            served.other_route(issuer.path()),
            attempts::method_label(request.method()),
            time::now(),
        );
        let (Parts { method, headers, .. }, body) = request.into_parts();
        let unread = !body.is_end_stream();
        let max = served.settings.max_body.min(tokens::MAX_BODY);
        let read = if self.lifecycle.phase() >= Phase::Stopped {
            Err(Refusal::Draining)
        } else if self.in_flight.is_full() {
            Err(Refusal::Shed)
        } else {
            self.read((&method, &headers), body, &served.settings, max).await
        };
        let place = self.in_flight.enter();
        let read = read.and_then(|whole| place.as_ref().map(|_| whole).ok_or(Refusal::Shed));
        if let Ok((body, _held)) = &read {
            served.bodies().read(body.len());
        }
        let read = read.as_ref().map(|(body, _held)| (&headers, &**body));
        let response = tokens::answer(issuer, read.map_err(|refusal| *refusal), unread);
        served.bodies().sent(length(&response));
        timed.status = response.status().as_u16();
        response
    }

    /// Reads the body of a POST, of at most `max` bytes, whole and in time. It holds as many bytes of the
    /// budget as the guard lives.
    async fn read(
        &self,
        (method, headers): (&Method, &HeaderMap),
        body: Body,
        settings: &ServerSettings,
        max: usize,
    ) -> Result<(Bytes, Guard<'_>), Refusal> {
        if method != Method::POST {
            return Err(Refusal::Method);
        }
        let announced = headers.get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse().ok());
        if announced.is_some_and(|length: usize| length > max) {
            return Err(Refusal::TooLarge { max });
        }
        let mut whole = pin!(self.collect(body, max));
        // Mostly it has come with the head, and nobody has to be waited for.
        let read = match poll_fn(|cx| Poll::Ready(whole.as_mut().poll(cx))).await {
            Poll::Ready(read) => read,
            Poll::Pending => Box::pin(self.in_time(whole, settings.body_timeout)).await,
        }?;
        if is_encoded(headers) {
            return Err(Refusal::ContentEncoding);
        }
        Ok(read)
    }

    /// Waits for a body as long as it may take, and as anybody is heard.
    async fn in_time<T>(
        &self,
        whole: Pin<&mut (impl Future<Output = Result<T, Refusal>> + Send)>,
        limit: Duration,
    ) -> Result<T, Refusal> {
        tokio::select! {
            biased;
            read = tokio::time::timeout(limit, whole) => read.unwrap_or(Err(Refusal::TooSlow)),
            () = self.lifecycle.heard_out() => Err(Refusal::Draining),
        }
    }

    /// Reads a body to its end. It holds as many bytes as have come: a sender that only promises
    /// takes nothing from the others.
    async fn collect(&self, mut body: Body, max: usize) -> Result<(Bytes, Guard<'_>), Refusal> {
        let mut held = self.in_flight.reserve(0).ok_or(Refusal::Shed)?;
        // One that comes in one piece is taken as it lies.
        let mut piece = Bytes::new();
        let mut joined = BytesMut::new();
        while !body.is_end_stream()
            && let Some(frame) = body.frame().await
        {
            // Trailers are let pass and forgotten.
            let Ok(chunk) = frame.map_err(|_| Refusal::Broken)?.into_data() else { continue };
            if piece.len() + joined.len() + chunk.len() > max {
                return Err(Refusal::TooLarge { max });
            }
            if !held.grow(chunk.len()) {
                return Err(Refusal::Shed);
            }
            if piece.is_empty() && joined.is_empty() {
                piece = chunk;
            } else {
                joined.extend_from_slice(&std::mem::take(&mut piece));
                joined.extend_from_slice(&chunk);
            }
        }
        Ok((if joined.is_empty() { piece } else { joined.freeze() }, held))
    }
}

fn call(action: &Arc<Action>, headers: HeaderMap, body: Bytes, trail: Arc<Trail>) -> Call {
    let asked = headers.get(&DEADLINE).map(|value| {
        let digits = value.to_str().ok()?.trim();
        let whole = !digits.is_empty() && digits.bytes().all(|c| c.is_ascii_digit());
        // More than fits is more than any action takes.
        whole.then(|| digits.parse().unwrap_or(u64::MAX))
    });
    let wait = asked.flatten().map(Duration::from_millis);
    Call {
        deadline: Deadline::after(trail.began(), action.patience(wait)),
        deadline_unreadable: asked == Some(None),
        action: Arc::clone(action),
        headers,
        body,
        trail,
    }
}

/// Whether a body is JSON as far as its headers tell. No content type at all is let pass: the body
/// is parsed anyway.
fn is_json(headers: &HeaderMap) -> bool {
    let Some(content_type) = headers.get(CONTENT_TYPE) else { return true };
    if content_type == "application/json" {
        return true;
    }
    let text = content_type.to_str().unwrap_or_default();
    let essence = text.split(';').next().unwrap_or_default().trim();
    let (kind, form) = essence.split_once('/').unwrap_or_default();
    let suffix = form.rsplit('+').next().unwrap_or_default();
    kind.eq_ignore_ascii_case("application") && suffix.eq_ignore_ascii_case("json")
}

/// Whether a body is compressed or otherwise encoded.
fn is_encoded(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(CONTENT_ENCODING).iter();
    codings.any(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"))
}
