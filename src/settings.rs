//! How this process runs: its listeners, what it tells about itself, how it stops. Checked numbers,
//! nothing about any action.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use secrecy::SecretString;
use url::Url;

use crate::tls::ServerTls;

/// Everything that is not in the catalog.
#[derive(Debug)]
pub struct Settings {
    /// The data plane.
    pub server: ServerSettings,
    /// Where probes and `/metrics` are answered.
    pub probes: SocketAddr,
    /// The operator's listener.
    pub admin: AdminSettings,
    /// Logs, metrics, traces.
    pub telemetry: TelemetrySettings,
    /// Memory for cached answers.
    pub cache: CacheSettings,
    /// The fingerprint of the whole configuration in hexadecimal, for `/info` and `config_info`.
    pub revision: String,
    /// Each value that is written, with its path, in the order of the file: for `/config`. No secret
    /// is among them, only the word for one.
    pub written: Arc<[(String, String)]>,
}

/// The data plane's listener and its limits against slow and greedy clients.
#[derive(Debug, Clone)]
pub struct ServerSettings {
    /// Where it listens.
    pub listen: SocketAddr,
    /// What stands before the action's name in the path, such as `/data-action`.
    pub base_path: String,
    /// Bytes of a request body.
    pub max_body: usize,
    /// Header lines of a request.
    pub max_headers: usize,
    /// Bytes of a request head.
    pub max_header_bytes: usize,
    /// Connections at once; more wait in the kernel's queue.
    pub max_connections: usize,
    /// Calls at once; more are shed.
    pub max_in_flight: usize,
    /// Calls at once of one organisation; more are shed. 0: as many as there are.
    pub max_in_flight_per_org: usize,
    /// Bytes of bodies held at once; more are shed.
    pub max_bytes_in_flight: usize,
    /// Its TLS. `None`: it speaks HTTP in clear text.
    pub tls: Option<ServerTls>,
    /// From accept to the end of the TLS handshake.
    pub handshake_timeout: Duration,
    /// From the first byte of a request to the end of its head.
    pub header_timeout: Duration,
    /// From the end of the head to the end of the body.
    pub body_timeout: Duration,
    /// How long a client may take nothing of an answer.
    pub write_timeout: Duration,
    /// How long a connection may stay without a request.
    pub idle_timeout: Duration,
    /// How it stops.
    pub drain: Drain,
    /// Whether a caller's `traceparent` is continued; otherwise a new root links to it.
    pub trust_trace_context: bool,
}

impl ServerSettings {
    /// Host and port at which it is reached from this machine, such as `localhost:8080`.
    pub fn reached_at(&self) -> String {
        if self.listen.ip().is_unspecified() {
            format!("localhost:{}", self.listen.port())
        } else {
            self.listen.to_string()
        }
    }

    /// Its address from this machine with the scheme that it speaks, such as `http://localhost:8080`.
    pub fn origin(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.reached_at())
    }

    /// Whether who connects must show a certificate.
    pub fn asks_for_certificates(&self) -> bool {
        self.tls.as_ref().is_some_and(ServerTls::asks_for_certificates)
    }
}

/// How the data plane stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drain {
    /// How long it keeps accepting after readiness went off: balancers need time to notice.
    pub delay: Duration,
    /// How long calls under way may take after that.
    pub timeout: Duration,
}

/// The operator's listener.
#[derive(Debug)]
pub struct AdminSettings {
    /// Where it listens.
    pub listen: SocketAddr,
    /// The bearer token it asks for. Required unless it listens on loopback.
    pub token: Option<SecretString>,
}

/// Logs, metrics, traces.
#[derive(Debug, Clone)]
pub struct TelemetrySettings {
    /// The form of log lines.
    pub log_format: LogFormat,
    /// The lowest level logged.
    pub log_level: LogLevel,
    /// Whether metrics are kept.
    pub metrics: bool,
    /// Where traces go. `None`: nowhere.
    pub traces: Option<TraceSettings>,
}

/// The form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For a person at a terminal.
    Text,
}

/// The lowest level logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum LogLevel {
    Off,
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl LogLevel {
    /// The word that is written for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// Where traces go, and how many.
#[derive(Debug, Clone)]
pub struct TraceSettings {
    /// The collector's address, without the signal's path.
    pub endpoint: Url,
    /// How it is spoken to.
    pub protocol: TraceProtocol,
    /// The share of calls whose spans are recorded, `0.0..=1.0`.
    pub sample_ratio: f64,
    /// What is kept of the others.
    pub keep: Keep,
}

/// Which calls leave their trace although they were not picked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// Those that fail, or are answered by less than they asked for.
    pub failures: bool,
    /// Those that take longer.
    pub slower_than: Duration,
}

/// How the collector is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TraceProtocol {
    /// OTLP over HTTP, protobuf bodies.
    HttpProtobuf,
    /// OTLP over gRPC.
    Grpc,
}

/// Memory for cached answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheSettings {
    /// Bytes in all, keys and overhead counted.
    pub memory: u64,
    /// Bytes of one answer; a larger one is not kept.
    pub max_entry: usize,
}
