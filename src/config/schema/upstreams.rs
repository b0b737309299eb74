//! The schema of `upstreams`.

use serde_json::{Value as Json, json};

use super::keys::{Keys, by_type, headers, list};
use crate::config::spelling::{EXPANSION, Spelling, or_expansion};

/// `upstream`, and one for each type of its `auth`.
pub(super) fn definitions() -> impl Iterator<Item = (String, Json)> {
    let typed = |word: &str| {
        Keys::new().need("type", &json!({"const": word}), "How Holdline proves itself.")
    };
    let types = [
        ("none", typed("none").end("No credential.")),
        (
            "bearer",
            typed("bearer")
                .need("token", Spelling::Secret, "The token.")
                .end("A fixed token in Authorization."),
        ),
        (
            "basic",
            typed("basic")
                .need("user", Spelling::Text, "The user.")
                .need("password", Spelling::Secret, "The password.")
                .end("A user and a password in Authorization."),
        ),
        (
            "header",
            typed("header")
                .need("name", Spelling::Header, "The name of the header.")
                .need("value", Spelling::Secret, "Its value.")
                .end("A secret in a header."),
        ),
        (
            "oauth2",
            typed("oauth2")
                .need("token_url", Spelling::Url, "Where tokens are asked for.")
                .need("client_id", Spelling::Text, "As which client.")
                .need("client_secret", Spelling::Secret, "The secret that proves it.")
                .may("scope", Spelling::Text, "What the token is asked for.")
                .end("A token by OAuth 2 client credentials, fetched and refreshed by Holdline."),
        ),
    ];
    let about = "The credential that the upstream wants.";
    by_type("auth", about, &types).into_iter().chain([("upstream".to_owned(), upstream())])
}

fn upstream() -> Json {
    let timeouts = Keys::new()
        .usually("connect", Spelling::Span, "1s", "How long connecting may take.")
        .usually("attempt", Spelling::Span, "2s", "How long one attempt may take as a whole.")
        .end("How long it may take.");
    let pool = Keys::new()
        .usually("idle", Spelling::Count(0, 10_000), 64, "Connections that are kept open.")
        .usually(
            "idle_timeout",
            Spelling::Span,
            "4s",
            "How long one is kept: shorter than the upstream does.",
        )
        .end("Connections that are used again.");
    let hedge = Keys::new()
        .usually(
            "enabled",
            Spelling::Flag,
            false,
            "Whether a late attempt gets a second one beside it.",
        )
        .usually(
            "after",
            &json!({"type": "string", "pattern": "^p[5-9][0-9]$|\\$\\{"}),
            "p95",
            "Late is slower than this part of the recent ones.",
        )
        .usually("budget", Spelling::Ratio(0.001, 1.0), 0.02, "Second attempts for each fetch.")
        .end("A second attempt beside a late one, of safe actions only.");
    let quota = Keys::new()
        .need("rate", Spelling::Rate, "Attempts per second or minute.")
        .need("burst", Spelling::Count(1, 10_000_000), "Attempts that may be sent at once.")
        .end("What the vendor allows; every attempt counts.");
    let tls = Keys::new()
        .may("ca", Spelling::Text, "The file of the authorities that are trusted, PEM.")
        .may("certificate", Spelling::Text, "The file of Holdline's own certificate chain, PEM.")
        .may("key", Spelling::Text, "The file of its private key, PEM.")
        .end("TLS that is not the usual one.");
    let proxy = or_expansion("^http://[^\\s\\\\/?#@]+/?$");
    let proxy = json!({"type": "string", "pattern": proxy});
    let auth = json!({"$ref": "#/$defs/auth", "default": {"type": "none"}});
    Keys::new()
        .need("base_url", Spelling::Url, "The address to which paths are added.")
        .inside("auth", auth)
        .inside("headers", headers("Headers on every attempt."))
        .inside("timeouts", timeouts)
        .inside("retry", retry())
        .inside("breaker", breaker())
        .inside("concurrency", concurrency())
        .inside("quota", quota)
        .inside("hedge", hedge)
        .inside("pool", pool)
        .usually("max_reply", Spelling::Size, "2MiB", "Bytes of one reply, after decompression.")
        .usually("propagate_trace", Spelling::Flag, false, "Whether traceparent is sent.")
        .inside("tls", tls)
        .may("proxy", &proxy, "The HTTP proxy through which it is reached.")
        .end("One system behind, and how it is treated.")
}

fn rising(first: &str, max: &str, description: &str) -> Json {
    Keys::new()
        .usually("first", Spelling::Span, first, "The first of them.")
        .usually("max", Spelling::Span, max, "The longest of them.")
        .end(description)
}

fn retry() -> Json {
    let causes = json!({
        "anyOf": [
            {"enum": ["connect", "reset", "timeout", 408, 500, 502, 503, 504]},
            {"type": "string", "pattern": EXPANSION},
        ],
    });
    let usual = json!(["connect", "reset", "timeout", 408, 502, 503, 504]);
    let budget = Keys::new()
        .usually("ratio", Spelling::Ratio(0.0, 1.0), 0.2, "Repeats for each fetch.")
        .usually("per_second", Spelling::Ratio(0.0, 1000.0), 1, "Repeats each second besides.")
        .usually("window", Spelling::Span, "10s", "How long what is not used may be saved.")
        .end("How many repeats there may be.");
    Keys::new()
        .usually("attempts", Spelling::Count(1, 10), 3, "Attempts for one reply; 1 never repeats.")
        .usually("on", &list(&causes), usual, "What is repeated.")
        .inside(
            "backoff",
            rising("50ms", "1s", "The waits between attempts, doubling, with full jitter."),
        )
        .inside("budget", budget)
        .may(
            "idempotency_key",
            Spelling::Header,
            "The header by which the upstream tells repeats apart.",
        )
        .end("When an attempt is repeated.")
}

fn breaker() -> Json {
    let runs = || Spelling::Count(1, 1_000_000);
    let slow = Keys::new()
        .need("after", Spelling::Span, "What is slow.")
        .usually(
            "ratio",
            Spelling::Ratio(0.01, 1.0),
            0.8,
            "The share of slow attempts that opens it.",
        )
        .end("When slowness counts as failing; without it, never.");
    Keys::new()
        .usually("enabled", Spelling::Flag, true, "Whether it does anything.")
        .usually(
            "failure_ratio",
            Spelling::Ratio(0.01, 1.0),
            0.5,
            "The share of failures that opens it.",
        )
        .usually("min_attempts", runs(), 20, "Attempts before that share counts.")
        .usually("window", Spelling::Span, "10s", "How far it looks back.")
        .usually("run", runs(), 7, "Failures in a row that open it.")
        .usually("connect_run", runs(), 5, "Failures to connect in a row that open it.")
        .inside(
            "open",
            rising("2s", "60s", "How long it stays open, doubling, give or take a half."),
        )
        .usually("close_after", runs(), 3, "Good probes, one at a time, that close it.")
        .usually(
            "ramp",
            Spelling::Duration,
            "10s",
            "How long only a part passes after it has closed.",
        )
        .inside("slow", slow)
        .end("When the upstream is left alone.")
}

fn concurrency() -> Json {
    let limit = json!({
        "anyOf": [
            {"const": "adaptive"},
            {"type": "integer", "minimum": 1, "maximum": 100_000},
            {"type": "string", "pattern": EXPANSION},
        ],
    });
    let attempts = || Spelling::Count(1, 100_000);
    Keys::new()
        .usually("limit", &limit, "adaptive", "Attempts at once: found by measuring, or a number.")
        .usually("start", attempts(), 20, "Where an adaptive limit begins.")
        .usually("min", attempts(), 4, "Its least.")
        .usually("max", attempts(), 200, "Its most.")
        .usually("wait", Spelling::Duration, "100ms", "How long a caller waits for its turn.")
        .end("How many attempts there may be at once.")
}
