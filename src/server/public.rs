//! The data plane: `POST {base_path}/{action}`, from an HTTP request to a call and back. Beside it
//! are the paths at which tokens are fetched.
//!
//! What is wrong with a request is told in this order: shed or draining, unknown action, method,
//! size, content type; then what the pipeline finds.

use std::{borrow::Cow, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, HttpBody as _},
    extract::{Path, Request, State},
    http::{
        HeaderMap, HeaderValue, Method, Response,
        header::{CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE},
    },
    routing::any,
};
use bytes::{Bytes, BytesMut};
use futures_util::FutureExt;
use http_body_util::BodyExt;

use crate::{
    catalog::action::Action,
    chance,
    pipeline::{
        authenticate::Issuer,
        call::{Answer, Call},
        failure::Failure,
    },
    server::{
        in_force::{InForce, Served},
        lifecycle::{Guard, InFlight, Lifecycle, Phase},
        respond::{self, Refusal},
        tokens,
    },
    settings::ServerSettings,
    telemetry::{
        attempts,
        meters::{CallMeters, UNKNOWN_ACTION},
        outcome::{Outcome, Source},
        propagation::TraceContext,
        report::{self, Ended},
        routes::{BodyMeters, RouteMeters},
        trail::{Tracer, Trail},
    },
    time::{self, Deadline, Instant},
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
    let trail = plane.begin(action.as_deref(), &request);
    plane.respond(&served, served.route(), action, request, &trail).await
}

/// What is no action's path: that of tokens, or nobody's.
async fn serve_other(State(plane): State<Arc<DataPlane>>, request: Request) -> Response<Body> {
    let served = plane.in_force.now();
    if let Some(issuer) = served.pipeline.schemes().issuer(request.uri().path()) {
        return plane.issue(&served, issuer, request).await;
    }
    let trail = plane.begin(None, &request);
    let nowhere = served.other_route(request.uri().path());
    plane.respond(&served, nowhere, None, request, &trail).await
}

impl DataPlane {
    /// Begins the trail of a request, first of all: what is shed is counted too.
    pub(super) fn begin(&self, action: Option<&Action>, request: &Request) -> Arc<Trail> {
        let caller = TraceContext::read(request.headers());
        let method = attempts::method_label(request.method());
        Arc::new(self.tracer.begin(time::now(), caller.as_ref(), (method, label(action))))
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
                bytes_in: 0,
                bytes_out: 0,
            },
        };
        if self.lifecycle.phase() >= Phase::Closing {
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
        let ran = AssertUnwindSafe(served.pipeline.run(&call)).catch_unwind().await;
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
        let read = if self.lifecycle.phase() >= Phase::Closing {
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
        let (body, held) = reading.await.unwrap_or(Err(Refusal::TooSlow))?;
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

/// How many bytes the body has that is sent. Our own are there already.
fn length(response: &Response<Body>) -> usize {
    response.body().size_hint().exact().unwrap_or_default() as usize
}

/// A request on its way to its end. However it goes out of scope, it is counted once.
struct Timed<'a> {
    route: &'a RouteMeters,
    method: &'static str,
    began: Instant,
    /// What it is answered with; 0: not yet.
    status: u16,
}

impl Drop for Timed<'_> {
    fn drop(&mut self) {
        let took = time::now().saturating_duration_since(self.began);
        self.route.ended(self.method, self.status, took);
    }
}

/// A call on its way to its end. However it goes out of scope, its end is counted and logged once.
struct Ending<'a> {
    trail: &'a Trail,
    timed: Timed<'a>,
    detail: Option<Cow<'static, str>>,
    /// Whether the request has a body that may be left where it is.
    unread: bool,
    meters: &'a CallMeters,
    bodies: &'a BodyMeters,
    ended: Ended<'a>,
}

impl Ending<'_> {
    fn refuse(mut self, refusal: Refusal) -> Response<Body> {
        let mut response = respond::refusal(refusal, self.ended.request_id);
        if self.unread && matches!(refusal, Refusal::UnknownAction | Refusal::Method) {
            // hyper closes a connection on which a body was left; the client must know.
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        self.ended.outcome = refusal.outcome();
        self.detail = Some(refusal.detail());
        self.sent(response)
    }

    fn finish(mut self, action: &Action, result: &Result<Answer, Failure>) -> Response<Body> {
        let mut response = match result {
            Ok(answer) => {
                self.ended.outcome = answer.outcome();
                self.ended.source = answer.source;
                self.ended.age = answer.age;
                respond::answer(action, answer, self.ended.request_id)
            }
            Err(failure) => {
                self.ended.outcome = failure.outcome();
                self.ended.source = failure.source();
                self.detail = Some(failure.detail());
                respond::failure(action, failure, self.ended.request_id)
            }
        };
        if action.debug_headers {
            respond::add_debug_headers(&mut response, self.trail, result);
        }
        self.sent(response)
    }

    fn sent(mut self, response: Response<Body>) -> Response<Body> {
        self.timed.status = response.status().as_u16();
        self.ended.status = self.timed.status;
        self.ended.bytes_out = length(&response);
        self.bodies.sent(self.ended.bytes_out);
        response
    }
}

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        let ended = Ended { detail: self.detail.as_deref(), ..self.ended };
        report::ended(self.trail, self.meters, &ended);
    }
}
