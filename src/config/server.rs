//! `server`, `probes`, `admin`, `telemetry`, `cache`: how this process runs.

use std::{net::SocketAddr, time::Duration};

use url::Url;

use crate::{
    config::{
        expand::Env,
        secrets::{self, secret},
        section::{Section, Value},
        tls,
        values::{
            address, base_url, bytes, choice, count, duration, flag, plain_path, ratio, size, span,
        },
    },
    settings::{
        AdminSettings, CacheSettings, Drain, Keep, LogFormat, LogLevel, ServerSettings,
        TelemetrySettings, TraceProtocol, TraceSettings,
    },
};

/// Where the actions are if nothing is written.
pub(super) const BASE_PATH: &str = "/data-action";

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// Where they listen where nothing is written.
const SERVER: ([u8; 4], u16) = ([0, 0, 0, 0], 8080);
const PROBES: ([u8; 4], u16) = ([0, 0, 0, 0], 9090);
const ADMIN: ([u8; 4], u16) = ([127, 0, 0, 1], 9901);

/// `server`.
pub(super) fn server(section: &Section<'_>) -> Option<ServerSettings> {
    const MOST: u64 = 1_000_000;
    let seconds = Duration::from_secs;
    let listen = section.read("listen", SERVER.into(), address);
    let base_path = section.read("base_path", BASE_PATH.to_owned(), base_path);
    let max_body = section.read("max_body", 256 * KIB, bytes);
    let max_headers = section.read("max_headers", 64, |value| count(value, 1, 4096));
    let max_header_bytes = section.read("max_header_bytes", 16 * KIB, header_bytes);
    let max_connections = section.read("max_connections", 4096, |value| count(value, 1, MOST));
    let max_in_flight = section.read("max_in_flight", 1000, |value| count(value, 1, MOST));
    let per_org = section.read("max_in_flight_per_org", 0, |value| count(value, 0, MOST));
    let max_bytes_in_flight = section.read("max_bytes_in_flight", 256 * MIB, bytes);
    if let (Some(one), Some(all)) = (max_body, max_bytes_in_flight)
        && one > all
    {
        let at = section.value("max_bytes_in_flight").or_else(|| section.value("max_body"));
        let what = "one body of max_body does not fit into max_bytes_in_flight";
        at.iter().for_each(|at| at.refuse(what, "write a larger max_bytes_in_flight"));
    }
    let tls = section.optional("tls", |value| tls::server(&value.section()));
    let handshake_timeout = section.read("handshake_timeout", seconds(3), span);
    if let (Some(None), Some(at)) = (&tls, section.value("handshake_timeout")) {
        at.warn("means nothing without tls", "remove it, or write tls");
    }
    let header_timeout = section.read("header_timeout", seconds(5), span);
    let body_timeout = section.read("body_timeout", seconds(5), span);
    let write_timeout = section.read("write_timeout", seconds(10), span);
    let idle_timeout = section.read("idle_timeout", seconds(75), span);
    let drain = drain(&section.section("drain"));
    let trust_trace_context = section.read("trust_trace_context", false, flag);
    section.finish()?;
    Some(ServerSettings {
        listen: listen?,
        base_path: base_path?,
        max_body: max_body?,
        max_headers: max_headers?,
        max_header_bytes: max_header_bytes?,
        max_connections: max_connections?,
        max_in_flight: max_in_flight?,
        max_in_flight_per_org: per_org?,
        max_bytes_in_flight: max_bytes_in_flight?,
        tls: tls?,
        handshake_timeout: handshake_timeout?,
        header_timeout: header_timeout?,
        body_timeout: body_timeout?,
        write_timeout: write_timeout?,
        idle_timeout: idle_timeout?,
        drain: drain?,
        trust_trace_context: trust_trace_context?,
    })
}

fn base_path(value: &Value<'_>) -> Option<String> {
    plain_path(value, "write it like /data-action")
}

/// hyper reads heads into a buffer that cannot be smaller than 8 KiB.
fn header_bytes(value: &Value<'_>) -> Option<usize> {
    let bytes = bytes(value)?;
    if !(8 * KIB..=64 * KIB).contains(&bytes) {
        value.refuse("must be from 8KiB to 64KiB", "write a size between them");
        return None;
    }
    Some(bytes)
}

fn drain(section: &Section<'_>) -> Option<Drain> {
    let delay = section.read("delay", Duration::from_secs(5), duration);
    let timeout = section.read("timeout", Duration::from_secs(30), duration);
    section.finish()?;
    Some(Drain { delay: delay?, timeout: timeout? })
}

/// `probes`.
pub(super) fn probes(section: &Section<'_>) -> Option<SocketAddr> {
    let listen = section.read("listen", PROBES.into(), address);
    section.finish()?;
    listen
}

/// `admin`.
pub(super) fn admin(section: &Section<'_>) -> Option<AdminSettings> {
    let listen = section.read("listen", ADMIN.into(), address);
    let token = section.optional("token", |value| secret(value, secrets::KEY));
    if let (Some(listen), Some(None)) = (listen, &token)
        && !listen.ip().is_loopback()
    {
        section.missing("token", "write ${file:/path}, or listen on 127.0.0.1");
    }
    section.finish()?;
    Some(AdminSettings { listen: listen?, token: token? })
}

/// Where the listeners of `server`, `probes` and `admin` are, however wrong the rest of them is.
pub(super) fn listeners<'n>(top: &Section<'n>) -> [(Option<SocketAddr>, Option<Value<'n>>); 3] {
    [("server", SERVER), ("probes", PROBES), ("admin", ADMIN)].map(|(key, default)| {
        let section = top.section(key);
        (section.read("listen", default.into(), address), section.value("listen"))
    })
}

/// Refuses a listener that takes the port of one before it.
pub(super) fn refuse_same_port(listeners: &[(Option<SocketAddr>, Option<Value<'_>>)]) {
    for (index, (address, written)) in listeners.iter().enumerate() {
        let Some(address) = address.filter(|address| address.port() > 0) else {
            continue;
        };
        let before = listeners[..index].iter().enumerate();
        let taken = before.filter_map(|(at, (other, _))| other.map(|other| (at, other)));
        let same = taken.filter(|(_, other)| {
            let wide = other.ip().is_unspecified() || address.ip().is_unspecified();
            other.port() == address.port() && (wide || other.ip() == address.ip())
        });
        for (at, _) in same {
            // Two defaults never meet, so one of the two is written.
            if let Some(value) = written.as_ref().or(listeners[at].1.as_ref()) {
                let what = format!("port {} is that of another listener", address.port());
                value.refuse(what, "write another port");
            }
        }
    }
}

/// `telemetry`.
pub(super) fn telemetry(section: &Section<'_>, env: Env<'_>) -> Option<TelemetrySettings> {
    const FORMATS: [(&str, LogFormat); 2] = [("json", LogFormat::Json), ("text", LogFormat::Text)];
    const LEVELS: [(&str, LogLevel); 6] = [
        ("off", LogLevel::Off),
        ("error", LogLevel::Error),
        ("warn", LogLevel::Warn),
        ("info", LogLevel::Info),
        ("debug", LogLevel::Debug),
        ("trace", LogLevel::Trace),
    ];
    let log = section.section("log");
    let log_format = log.read("format", LogFormat::Json, |value| choice(value, &FORMATS));
    let log_level = log.read("level", LogLevel::Info, |value| choice(value, &LEVELS));
    let log = log.finish();
    let metrics = section.read("metrics", true, flag);
    let traces = traces(&section.section("traces"), env);
    section.finish().and(log)?;
    Some(TelemetrySettings {
        log_format: log_format?,
        log_level: log_level?,
        metrics: metrics?,
        traces: traces?,
    })
}

fn traces(section: &Section<'_>, env: Env<'_>) -> Option<Option<TraceSettings>> {
    const PROTOCOLS: [(&str, TraceProtocol); 2] =
        [("http/protobuf", TraceProtocol::HttpProtobuf), ("grpc", TraceProtocol::Grpc)];
    let endpoint = match section.optional("endpoint", collector) {
        Some(None) => endpoint_of_environment(section, env),
        written => written,
    };
    let http = TraceProtocol::HttpProtobuf;
    let protocol = section.read("protocol", http, |value| choice(value, &PROTOCOLS));
    let sample_ratio = section.read("sample_ratio", 0.1, |value| ratio(value, 0.0, 1.0));
    let keep = keep(&section.section("keep"));
    section.finish()?;
    let (protocol, sample_ratio, keep) = (protocol?, sample_ratio?, keep?);
    Some(endpoint?.map(|endpoint| TraceSettings { endpoint, protocol, sample_ratio, keep }))
}

/// Which traces are kept whatever the sampler says.
fn keep(section: &Section<'_>) -> Option<Keep> {
    let failures = section.read("failures", true, flag);
    let slower_than = section.read("slower_than", Duration::from_secs(1), span);
    section.finish()?;
    Some(Keep { failures: failures?, slower_than: slower_than? })
}

fn collector(value: &Value<'_>) -> Option<Url> {
    let url = base_url(value)?;
    if names_signal(&url) {
        value.refuse("names the path of the signal", "remove /v1/traces, which is added");
        return None;
    }
    Some(url)
}

fn names_signal(url: &Url) -> bool {
    url.path().trim_end_matches('/').ends_with("/v1/traces")
}

/// OpenTelemetry's own variable, where the file names no collector.
fn endpoint_of_environment(section: &Section<'_>, env: Env<'_>) -> Option<Option<Url>> {
    const NAME: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
    let Some(text) = env(NAME).filter(|text| !text.is_empty()) else {
        return Some(None);
    };
    let url = Url::parse(&text).ok().filter(|url| {
        let plain = url.username().is_empty() && url.password().is_none();
        url.has_host() && plain && matches!(url.scheme(), "http" | "https") && !names_signal(url)
    });
    if url.is_none() {
        let what = format!("the environment variable {NAME} is no address of a collector");
        section.refuse(what, "set it like http://collector:4318, or unset it");
    }
    url.map(Some)
}

/// `cache`.
pub(super) fn cache(section: &Section<'_>) -> Option<CacheSettings> {
    let memory = section.read("memory", 64 << 20, size);
    let max_entry = section.read("max_entry", 256 * KIB, bytes);
    if let (Some(memory), Some(max_entry)) = (memory, max_entry)
        && max_entry as u64 > memory
    {
        let at = section.value("max_entry").or_else(|| section.value("memory"));
        at.iter()
            .for_each(|at| at.refuse("max_entry is above memory", "write a smaller max_entry"));
    }
    section.finish()?;
    Some(CacheSettings { memory: memory?, max_entry: max_entry? })
}
