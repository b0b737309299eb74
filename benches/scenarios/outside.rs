//! What stands outside: a script in the place of the token authority and the upstream, and a collector
//! on a thread of its own.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use holdline::{
    client::{self, Script, WireError},
    settings::{Settings, TraceSettings},
    telemetry::{Telemetry, log},
};
use http::Response;
use tokio::runtime::Builder;

use super::{kinds::Told, sink::Sink};

/// The token that the authority knows.
pub(crate) const GOOD: &str = "a-token-of-the-usual-forty-three-characters";
/// One that it does not know.
pub(crate) const BAD: &str = "a-token-that-the-authority-does-not-know-of";

/// A whole record of the tutorial's API, of which four values are used.
const RECORD: &str = r#"{"id":1,"name":"Leanne Graham","username":"Bret","email":"Sincere@april.biz",
"address":{"street":"Kulas Light","suite":"Apt. 556","city":"Gwenborough","zipcode":"92998-3874",
"geo":{"lat":"-37.3159","lng":"81.1496"}},"phone":"1-770-736-8031 x56442","website":"hildegard.org",
"company":{"name":"Romaguera-Crona","catchPhrase":"Multi-layered client-server neural-net",
"bs":"harness real-time e-markets"}}"#;

/// The token authority and the upstream.
#[derive(Debug, Default)]
pub(crate) struct Outside {
    is_down: AtomicBool,
}

impl Outside {
    /// From now on the upstream takes no connections.
    pub(crate) fn go_down(&self) {
        self.is_down.store(true, Relaxed);
    }
}

#[async_trait]
impl Script for Outside {
    async fn exchange(&self, request: reqwest::Request) -> Result<Response<Bytes>, WireError> {
        let body = request.body().and_then(|body| body.as_bytes()).unwrap_or_default();
        let answer = if !request.url().path().ends_with("/introspect") {
            if self.is_down.load(Relaxed) {
                return Err(WireError::Connect);
            }
            RECORD
        } else if body.windows(GOOD.len()).any(|part| part == GOOD.as_bytes()) {
            r#"{"active": true, "organization": {"id": "org"}, "client_id": "flow"}"#
        } else {
            r#"{"active": false}"#
        };
        Ok(Response::new(Bytes::from_static(answer.as_bytes())))
    }
}

/// The log and the traces of a process that is told so much of: lines go nowhere, spans to a collector
/// of our own. Off: there is neither.
pub(crate) fn telemetry(told: Told, settings: &Settings) -> Option<Arc<Telemetry>> {
    let sample_ratio = match told {
        Told::Off => return None,
        Told::Default => 0.1,
        Told::Full => 1.0,
    };
    client::install_tls();
    let endpoint = collector().parse().expect("an address makes a URL");
    // Of those that were not picked none is slow enough, whatever the machine does meanwhile.
    let keep = holdline::settings::Keep { failures: true, slower_than: Duration::from_secs(60) };
    let protocol = holdline::settings::TraceProtocol::HttpProtobuf;
    let mut settings = settings.telemetry.clone();
    settings.traces = Some(TraceSettings { endpoint, protocol, sample_ratio, keep });
    let runtime = Builder::new_current_thread().build().expect("a runtime can be made");
    let telemetry = Telemetry::start(&settings, log::Sink::to(io::sink()), runtime.handle());
    Some(telemetry.expect("these settings make an exporter"))
}

/// Starts a collector that lives as long as the process; gives its address.
fn collector() -> String {
    let (told, address) = std::sync::mpsc::channel();
    thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime can be made").block_on(async {
            let sink = Sink::start().await.expect("loopback has a port");
            told.send(sink.endpoint()).expect("the address is waited for");
            std::future::pending::<()>().await;
        });
    });
    address.recv().expect("the collector starts")
}
