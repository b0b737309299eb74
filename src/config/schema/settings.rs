//! The schema of `server`, `probes`, `admin`, `telemetry` and `cache`.

use serde_json::{Value as Json, json};

use super::keys::Keys;
use crate::config::spelling::Spelling;

const MOST: u64 = 1_000_000;

/// `server`.
pub(super) fn server() -> Json {
    let count = Spelling::Count(1, MOST);
    let path = json!({"type": "string", "pattern": crate::config::spelling::or_expansion("^(/[A-Za-z0-9_.~-]+)+$")});
    Keys::new()
        .usually("listen", Spelling::Address, "0.0.0.0:8080", "Where calls are taken.")
        .inside("tls", tls())
        .usually(
            "base_path",
            &path,
            "/data-action",
            "What stands before the action's name in the path.",
        )
        .usually("max_body", Spelling::Size, "256KiB", "Bytes of one request body.")
        .usually("max_headers", Spelling::Count(1, 4096), 64, "Header lines of one request.")
        .usually(
            "max_header_bytes",
            Spelling::Size,
            "16KiB",
            "Bytes of one request head, from 8KiB to 64KiB.",
        )
        .usually("max_connections", count.clone(), 4096, "Connections at once.")
        .usually("max_in_flight", count, 1000, "Calls at once; more are shed with 503.")
        .usually(
            "max_in_flight_per_org",
            Spelling::Count(0, MOST),
            0,
            "Calls of one organisation at once; 0 is no cap.",
        )
        .usually(
            "max_bytes_in_flight",
            Spelling::Size,
            "256MiB",
            "Bytes of all request bodies at once.",
        )
        .usually("header_timeout", Spelling::Span, "5s", "How long a request head may take.")
        .usually("body_timeout", Spelling::Span, "5s", "How long a request body may take.")
        .usually("write_timeout", Spelling::Span, "10s", "How long writing an answer may take.")
        .usually("handshake_timeout", Spelling::Span, "3s", "How long a TLS handshake may take.")
        .usually(
            "idle_timeout",
            Spelling::Span,
            "75s",
            "How long a connection may wait for its next request: longer than the load balancer's.",
        )
        .inside("drain", drain())
        .usually(
            "trust_trace_context",
            Spelling::Flag,
            false,
            "Whether the caller's trace is continued; false links to it.",
        )
        .end("The listener for calls, and its limits.")
}

fn drain() -> Json {
    Keys::new()
        .usually(
            "delay",
            Spelling::Duration,
            "5s",
            "How long it still accepts, so that balancers notice.",
        )
        .usually(
            "timeout",
            Spelling::Duration,
            "30s",
            "How long calls under way may take after that.",
        )
        .end("How it stops.")
}

fn tls() -> Json {
    Keys::new()
        .need("certificate", Spelling::Text, "The file of the certificate chain, PEM.")
        .need("key", Spelling::Text, "The file of its private key, PEM.")
        .may(
            "client_ca",
            Spelling::Text,
            "The file of the authorities whose client certificates are wanted, PEM.",
        )
        .end("TLS on this listener; without it, plain HTTP/1.1 behind an ingress.")
}

/// `probes`.
pub(super) fn probes() -> Json {
    Keys::new()
        .usually(
            "listen",
            Spelling::Address,
            "0.0.0.0:9090",
            "Where /livez, /readyz, /startupz and /metrics are answered.",
        )
        .end("The listener for probes and scrapes, without a token.")
}

/// `admin`.
pub(super) fn admin() -> Json {
    Keys::new()
        .usually("listen", Spelling::Address, "127.0.0.1:9901", "Where the operator is answered.")
        .may("token", Spelling::Secret, "What the operator must show; required unless on loopback.")
        .end("The listener for the operator.")
}

/// `telemetry`.
pub(super) fn telemetry() -> Json {
    let formats = Spelling::choice(["json", "text"]);
    let levels = Spelling::choice(["off", "error", "warn", "info", "debug", "trace"]);
    let log = Keys::new()
        .usually("format", formats, "json", "How log lines are written.")
        .usually("level", levels, "info", "What is worth a line.")
        .end("The log on standard output.");
    let keep = Keys::new()
        .usually(
            "failures",
            Spelling::Flag,
            true,
            "Whether calls that fail are traced whatever happens.",
        )
        .usually(
            "slower_than",
            Spelling::Span,
            "1s",
            "Calls that take longer are traced whatever happens.",
        )
        .end("Which calls are traced although they were not picked.");
    let traces = Keys::new()
        .may("endpoint", Spelling::Url, "Where an OTLP collector listens; without it, no traces.")
        .usually(
            "protocol",
            Spelling::choice(["http/protobuf", "grpc"]),
            "http/protobuf",
            "How it is spoken to.",
        )
        .usually(
            "sample_ratio",
            Spelling::Ratio(0.0, 1.0),
            0.1,
            "The share of calls that are traced.",
        )
        .inside("keep", keep)
        .end("The export of traces.");
    Keys::new()
        .inside("log", log)
        .usually("metrics", Spelling::Flag, true, "Whether /metrics is answered.")
        .inside("traces", traces)
        .end("What it tells about itself.")
}

/// `cache`.
pub(super) fn cache() -> Json {
    Keys::new()
        .usually(
            "memory",
            Spelling::Size,
            "64MiB",
            "Bytes of all kept answers; at most a quarter of the container's memory.",
        )
        .usually("max_entry", Spelling::Size, "256KiB", "Bytes of one kept answer.")
        .end("The memory for kept answers.")
}
