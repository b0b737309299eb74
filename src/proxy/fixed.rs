//! What cannot change while the process runs: sockets that are bound, connections that were promised
//! something, what is set up once.
//!
//! Every setting is named here, so that none is added without saying whether a reload can change it.

use crate::settings::{
    AdminSettings, CacheSettings, ServerSettings, Settings, TelemetrySettings, TraceSettings,
};

/// The keys of what differs between the settings in force and the `next` and takes a restart.
pub(super) fn changed(now: &Settings, next: &Settings) -> Vec<&'static str> {
    let Settings { server, probes, admin, telemetry, cache, revision: _, written: _ } = now;
    let AdminSettings { listen: admin_listen, token: _ } = admin;
    let CacheSettings { memory, max_entry } = *cache;
    let mut changed = of_server(server, &next.server);
    changed.extend(differing([
        ("probes.listen", *probes != next.probes),
        ("admin.listen", *admin_listen != next.admin.listen),
    ]));
    changed.extend(of_telemetry(telemetry, &next.telemetry));
    changed.extend(differing([
        ("cache.memory", memory != next.cache.memory),
        ("cache.max_entry", max_entry != next.cache.max_entry),
    ]));
    changed
}

fn of_server(now: &ServerSettings, next: &ServerSettings) -> Vec<&'static str> {
    let ServerSettings {
        listen,
        tls,
        base_path,
        max_body: _,
        max_headers,
        max_header_bytes,
        max_connections,
        max_in_flight: _,
        max_in_flight_per_org: _,
        max_bytes_in_flight: _,
        header_timeout,
        body_timeout: _,
        write_timeout,
        handshake_timeout: _,
        idle_timeout,
        drain: _,
        trust_trace_context,
    } = now;
    let keys = [
        ("server.listen", *listen != next.listen),
        // Another certificate is put in force at once.
        ("server.tls", tls.is_some() != next.tls.is_some()),
        ("server.base_path", *base_path != next.base_path),
        ("server.max_headers", *max_headers != next.max_headers),
        ("server.max_header_bytes", *max_header_bytes != next.max_header_bytes),
        ("server.max_connections", *max_connections != next.max_connections),
        ("server.header_timeout", *header_timeout != next.header_timeout),
        ("server.write_timeout", *write_timeout != next.write_timeout),
        ("server.idle_timeout", *idle_timeout != next.idle_timeout),
        ("server.trust_trace_context", *trust_trace_context != next.trust_trace_context),
    ];
    differing(keys).collect()
}

fn of_telemetry(now: &TelemetrySettings, next: &TelemetrySettings) -> Vec<&'static str> {
    let TelemetrySettings { log_format, log_level: _, metrics, traces } = now;
    let keys = [
        ("telemetry.log.format", *log_format != next.log_format),
        ("telemetry.metrics", *metrics != next.metrics),
    ];
    differing(keys).chain(of_traces(traces.as_ref(), next.traces.as_ref())).collect()
}

fn of_traces(now: Option<&TraceSettings>, next: Option<&TraceSettings>) -> Vec<&'static str> {
    match (now, next) {
        (None, None) => Vec::new(),
        (Some(_), None) | (None, Some(_)) => vec!["telemetry.traces.endpoint"],
        (Some(TraceSettings { endpoint, protocol, sample_ratio, keep }), Some(next)) => {
            differing([
                ("telemetry.traces.endpoint", *endpoint != next.endpoint),
                ("telemetry.traces.protocol", *protocol != next.protocol),
                ("telemetry.traces.sample_ratio", *sample_ratio != next.sample_ratio),
                ("telemetry.traces.keep", *keep != next.keep),
            ])
            .collect()
        }
    }
}

fn differing<const N: usize>(
    keys: [(&'static str, bool); N],
) -> impl Iterator<Item = &'static str> {
    keys.into_iter().filter_map(|(key, differs)| differs.then_some(key))
}
