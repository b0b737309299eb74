//! The data plane: `POST {base_path}/{action}`, from an HTTP request to a call and back. Beside it
//! are the paths at which tokens are fetched.
//!
//! What is wrong with a request is told in this order: shed or draining, unknown action, method,
//! size, content type; then what the pipeline finds.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, HttpBody as _},
    extract::{Path, Request, State},
    http::{
        HeaderMap, Method, Response, Version,
        header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE},
    },
    routing::any,
};
use bytes::{Bytes, BytesMut};
use futures_util::FutureExt;
use http_body_util::BodyExt;

use crate::{
    catalog::action::Action,
    chance,
    pipeline::{authenticate::Issuer, call::Call, failure::Failure},
    server::{
        ending::{Ending, Timed, length},
        in_force::{InForce, Served},
        lifecycle::{Guard, InFlight, Lifecycle, Phase},
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

/// Everything between the listener and the pipeline.
#[derive(Debug)]
pub struct DataPlane {
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
        Arc::new(Self { in_force, lifecycle, in_flight, tracer })
    }

    /// Its routes.
    pub fn routes(self: &Arc<Self>) -> Router {
        Router::new()
            .route(&route(&self.in_force.now().settings), any(serve))
            .fallback(serve_other)
            .with_state(Arc::clone(self))
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

/// What stands for an action in labels.
fn label(action: Option<&Action>) -> &str {
    action.map_or(UNKNOWN_ACTION, |action| action.name.as_str())
}

/// The version of HTTP that a request came by.
fn http_version(request: &Request) -> &'static str {
    // The listener speaks no other.
    if request.version() == Version::HTTP_10 { "1.0" } else { "1.1" }
}

/// The template of the data plane's path.
pub fn route(settings: &ServerSettings) -> String {
    format!("{}/{{action}}", settings.base_path.trim_end_matches('/'))
}

async fn serve(
    State(plane): State<Arc<DataPlane>>,
    action: Result<Path<String>, axum::extract::rejection::PathRejection>,
    request: Request,
) -> Response<Body> {
    let served = plane.in_force.now();
    let action = action.ok();
    let action = action.and_then(|Path(name)| served.pipeline.catalog().action(&name).cloned());
    let trail = plane.begin(&request);
    plane.respond(&served, served.route(), action, request, &trail).await
}

/// What is no action's path: that of tokens, or nobody's.
async fn serve_other(State(plane): State<Arc<DataPlane>>, request: Request) -> Response<Body> {
    let served = plane.in_force.now();
    if let Some(issuer) = served.pipeline.schemes().issuer(request.uri().path()) {
        return plane.issue(&served, issuer, request).await;
    }
    let trail = plane.begin(&request);
    let nowhere = served.other_route(request.uri().path());
    plane.respond(&served, nowhere, None, request, &trail).await
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
        action: Option<Arc<Action>>,
        request: Request,
        trail: &Arc<Trail>,
    ) -> Response<Body> {
        let request_id = chance::hex128();
        let label = label(action.as_deref());
        let mut ending = Ending {
            trail,
            timed: Timed { route, method: trail.method(), began: trail.began(), status: 0 },
            meters: served.meters(label),
            bodies: served.bodies(),
            detail: None,
            unread: !request.body().is_end_stream(),
            ended: Ended {
                upstream: action.as_ref().map(|action| action.upstream.as_str()),
                detail: None,
                request_id: &request_id,
                action: label,
                // What stays if the caller hangs up and this is dropped half-way.
                outcome: Outcome::Canceled,
                source: Source::None,
                status: 0,
                age: Duration::ZERO,
                deadline: None,
                http_version: http_version(&request),
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
        let read = match &action {
            Some(action) => self.read(request, &served.settings).await.map(|read| (action, read)),
            None => Err(Refusal::UnknownAction),
        };
        // A place is taken once the body is there, so that slow senders hold none; how much they
        // may hold is bounded by bytes.
        let Some(_place) = self.in_flight.enter() else {
            return ending.refuse(Refusal::Shed);
        };
        let (action, Whole { headers, body, held: _held }) = match read {
            Ok(read) => read,
            Err(refusal) => return ending.refuse(refusal),
        };
        ending.bodies.read(body.len());
        ending.ended.bytes_in = body.len();
        let call = call(action, headers, body, Arc::clone(trail));
        let allowed = call.deadline.instant().saturating_duration_since(trail.began());
        ending.ended.deadline = Some(allowed);
        let run = trail.within(AssertUnwindSafe(served.pipeline.run(&call)).catch_unwind());
        let ran = run.await;
        ending.finish(action, &ran.unwrap_or(Err(Failure::Bug)))
    }

    /// Answers a request for a token. It is no call, but the caps of calls hold for it.
    async fn issue(&self, served: &Served, issuer: &Issuer, request: Request) -> Response<Body> {
        let mut timed = Timed {
            route: served.other_route(issuer.path()),
            method: attempts::method_label(request.method()),
            began: time::now(),
            status: 0,
        };
        let unread = !request.body().is_end_stream();
        let max = served.settings.max_body.min(tokens::MAX_BODY);
        let read = if self.lifecycle.phase() >= Phase::Stopped {
            Err(Refusal::Draining)
        } else if self.in_flight.is_full() {
            Err(Refusal::Shed)
        } else {
            self.read_whole(request, &served.settings, max).await
        };
        let place = self.in_flight.enter();
        let read = read.and_then(|whole| place.as_ref().map(|_| whole).ok_or(Refusal::Shed));
        if let Ok(whole) = &read {
            served.bodies().read(whole.body.len());
        }
        let read = read.as_ref().map(|whole| (&whole.headers, &*whole.body));
        let response = tokens::answer(issuer, read.map_err(|refusal| *refusal), unread);
        served.bodies().sent(length(&response));
        timed.status = response.status().as_u16();
        response
    }

    /// Reads a call's request whole, within its limits of form, size and time.
    async fn read(&self, request: Request, settings: &ServerSettings) -> Result<Whole, Refusal> {
        let whole = self.read_whole(request, settings, settings.max_body).await?;
        if is_json(&whole.headers) { Ok(whole) } else { Err(Refusal::ContentType) }
    }

    /// Reads a POST of at most `max` bytes whole and in time.
    async fn read_whole(
        &self,
        request: Request,
        settings: &ServerSettings,
        max: usize,
    ) -> Result<Whole, Refusal> {
        if request.method() != Method::POST {
            return Err(Refusal::Method);
        }
        let (head, body) = request.into_parts();
        let announced =
            head.headers.get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse().ok());
        if announced.is_some_and(|length: usize| length > max) {
            return Err(Refusal::TooLarge { max });
        }
        let reading = tokio::time::timeout(settings.body_timeout, self.collect(body, max));
        let (body, held) = tokio::select! {
            biased;
            read = reading => read.unwrap_or(Err(Refusal::TooSlow)),
            () = self.lifecycle.heard_out() => Err(Refusal::Draining),
        }?;
        if is_encoded(&head.headers) {
            return Err(Refusal::ContentEncoding);
        }
        Ok(Whole { headers: head.headers, body, held })
    }

    /// Reads a body to its end. It holds as many bytes as have come: a sender that only promises
    /// takes nothing from the others.
    async fn collect(&self, mut body: Body, max: usize) -> Result<(Bytes, Guard), Refusal> {
        let mut held = self.in_flight.reserve(0).ok_or(Refusal::Shed)?;
        let mut whole = BytesMut::new();
        while let Some(frame) = body.frame().await {
            // Trailers are let pass and forgotten.
            let Ok(chunk) = frame.map_err(|_| Refusal::Broken)?.into_data() else { continue };
            if whole.len() + chunk.len() > max {
                return Err(Refusal::TooLarge { max });
            }
            if !held.grow(chunk.len()) {
                return Err(Refusal::Shed);
            }
            whole.extend_from_slice(&chunk);
        }
        Ok((whole.freeze(), held))
    }
}

/// A request read whole, and the bytes that it holds as long as its call lasts.
struct Whole {
    headers: HeaderMap,
    body: Bytes,
    held: Guard,
}

fn call(action: &Arc<Action>, headers: HeaderMap, body: Bytes, trail: Arc<Trail>) -> Call {
    let asked = headers.get("x-deadline-ms").map(|value| {
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
