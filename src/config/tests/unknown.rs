//! A key that nobody knows is refused wherever it stands: one is planted into each mapping in turn.

use super::refused;

/// Every mapping with keys of our own, once; `@` is where a key may be planted.
const FILE: &str = r#"@version: 1
server: {@max_body: 256KiB, drain: {@delay: 5s}}
probes: {@listen: 0.0.0.0:9090}
admin: {@listen: 127.0.0.1:9901}
telemetry: {@metrics: true, log: {@level: info}, traces: {@sample_ratio: 0.1}}
callers:
  genesys: {@type: introspection, region: eu-west-1, claims: {@org: $.o}, cache: {@ttl: 1h}}
  portal: {@type: api_key, keys: {ivr: a-key}}
  desk: {@type: basic, users: {ivr: a-password}}
  oauth: {@type: issued, clients: {ivr: a-long-enough-secret}, key: 0123456789abcdef0123456789abcdef}
limits:
  per_caller: {@key: caller, rate: 1000/s, burst: 2000}
upstreams:
  crm:
    @base_url: https://crm.example.com
    auth: {@type: none}
    timeouts: {@connect: 1s}
    retry: {@attempts: 3, backoff: {@first: 50ms}, budget: {@ratio: 0.2}}
    breaker: {@run: 7, open: {@first: 2s}}
    concurrency: {@limit: 50}
    hedge: {@enabled: false}
    pool: {@idle: 64}
actions:
  lookup:
    @caller: [genesys, portal]
    input: {id: {@type: integer, required: true}}
    request: {@upstream: crm, path: "/users/{id}"}
    output: {name: {@type: string, from: $.name, default: x}}
    cache: {@ttl: 60s}
cache: {@memory: 64MiB}
"#;

#[test]
fn an_unknown_key_is_refused_in_every_mapping() {
    let places: Vec<usize> = FILE.match_indices('@').map(|(at, _)| at).collect();
    assert!(places.len() > 25);
    for at in places {
        let block = FILE[..at].ends_with(['\n', ' ']) || at == 0;
        let indent = FILE[..at].len() - FILE[..at].trim_end_matches(' ').len();
        let planted = if block {
            format!("nonsense: 1\n{}", " ".repeat(indent))
        } else {
            "nonsense: 1, ".to_owned()
        };
        let file = format!("{}{planted}{}", &FILE[..at], &FILE[at + 1..]).replace('@', "");
        let report = refused(&file);
        let told: Vec<String> = report.problems().iter().map(ToString::to_string).collect();
        assert!(
            told.len() == 1 && told[0].contains("nonsense: is not a key here"),
            "{told:?}\n{file}"
        );
    }
}
