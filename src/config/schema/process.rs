//! The schema of `server`, `probes`, `admin`, `telemetry` and `cache`.

use serde_json::{Value as Json, json};

use super::keys::Keys;
use crate::config::form::Form;

const MOST: u64 = 1_000_000;

/// `server`.
pub(super) fn server() -> Json {
    let count = Form::Count(1, MOST);
    let path = json!({"type": "string", "pattern": crate::config::form::or_expansion("^(/[A-Za-z0-9_.~-]+)+$")});
    let drain = Keys::new()
        .usually(
            "delay",
            Form::Duration,
            "5s",
            "How long it still accepts, so that balancers notice.",
        )
        .usually("timeout", Form::Duration, "30s", "How long calls under way may take after that.")
        .end("How it stops.");
    let tls = Keys::new()
        .need("certificate", Form::Text, "The file of the certificate chain, PEM.")
        .need("key", Form::Text, "The file of its private key, PEM.")
        .may(
            "client_ca",
            Form::Text,
            "The file of the authorities whose client certificates are wanted, PEM.",
        )
        .end("TLS on this listener; without it, plain HTTP/1.1 behind an ingress.");
    Keys::new()
        .usually("listen", Form::Address, "0.0.0.0:8080", "Where calls are taken.")
        .inside("tls", tls)
        .usually(
            "base_path",
            &path,
            "/data-action",
            "What stands before the action's name in the path.",
        )
        .usually("max_body", Form::Size, "256KiB", "Bytes of one request body.")
        .usually("max_headers", Form::Count(1, 4096), 64, "Header lines of one request.")
        .usually(
            "max_header_bytes",
            Form::Size,
            "16KiB",
            "Bytes of one request head, from 8KiB to 64KiB.",
        )
        .usually("max_connections", count.clone(), 4096, "Connections at once.")
        .usually("max_in_flight", count, 1000, "Calls at once; more are shed with 503.")
        .usually(
            "max_in_flight_per_org",
            Form::Count(0, MOST),
            0,
            "Calls of one organisation at once; 0 is no cap.",
        )
        .usually(
            "max_bytes_in_flight",
            Form::Size,
            "256MiB",
            "Bytes of all request bodies at once.",
        )
        .usually("header_timeout", Form::Span, "5s", "How long a request head may take.")
        .usually("body_timeout", Form::Span, "5s", "How long a request body may take.")
        .usually("write_timeout", Form::Span, "10s", "How long writing an answer may take.")
        .usually("handshake_timeout", Form::Span, "3s", "How long a TLS handshake may take.")
        .usually(
            "idle_timeout",
            Form::Span,
            "75s",
            "How long a connection may wait for its next request: longer than the load balancer's.",
        )
        .inside("drain", drain)
        .usually(
            "trust_trace_context",
            Form::Flag,
            false,
            "Whether the caller's trace is continued; false links to it.",
        )
        .end("The listener for calls, and its limits.")
}

/// `probes`.
pub(super) fn probes() -> Json {
    Keys::new()
        .usually(
            "listen",
            Form::Address,
            "0.0.0.0:9090",
            "Where /livez, /readyz, /startupz and /metrics are answered.",
        )
        .end("The listener for probes and scrapes, without a token.")
}

/// `admin`.
pub(super) fn admin() -> Json {
    Keys::new()
        .usually("listen", Form::Address, "127.0.0.1:9901", "Where the operator is answered.")
        .may("token", Form::Secret, "What the operator must show; required unless on loopback.")
        .end("The listener for the operator.")
}

/// `telemetry`.
pub(super) fn telemetry() -> Json {
    let formats = Form::choice(["json", "text"]);
    let levels = Form::choice(["off", "error", "warn", "info", "debug", "trace"]);
    let log = Keys::new()
        .usually("format", formats, "json", "How log lines are written.")
        .usually("level", levels, "info", "What is worth a line.")
        .end("The log on standard output.");
    let keep = Keys::new()
        .usually("failures", Form::Flag, true, "Whether calls that failed are kept whole.")
        .usually("slower_than", Form::Span, "1s", "Calls that took longer are kept whole.")
        .end("What is exported even where the sampling did not pick it.");
    let traces = Keys::new()
        .may("endpoint", Form::Url, "Where an OTLP collector listens; without it, no traces.")
        .usually(
            "protocol",
            Form::choice(["http/protobuf", "grpc"]),
            "http/protobuf",
            "How it is spoken to.",
        )
        .usually("sample_ratio", Form::Ratio(0.0, 1.0), 0.1, "The share of calls that are traced.")
        .inside("keep", keep)
        .end("The export of traces.");
    Keys::new()
        .inside("log", log)
        .usually("metrics", Form::Flag, true, "Whether /metrics is answered.")
        .inside("traces", traces)
        .end("What it tells about itself.")
}

/// `cache`.
pub(super) fn cache() -> Json {
    Keys::new()
        .usually(
            "memory",
            Form::Size,
            "64MiB",
            "Bytes of all kept answers; at most a quarter of the container's memory.",
        )
        .usually("max_entry", Form::Size, "256KiB", "Bytes of one kept answer.")
        .end("The memory for kept answers.")
}
