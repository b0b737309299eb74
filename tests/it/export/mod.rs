//! Documents made out of a configuration: as they are, to the letter, and as others read them.

mod genesys;
mod golden;
mod openapi;
pub(crate) mod terraform;

use holdline::{
    config::{self, Loaded},
    export::Site,
};

/// Actions that differ in all that documents tell of them. `CRM` and `AUTHORITY` say where to ask.
pub(crate) const RICH: &str = include_str!("rich.yaml");
/// The key that [`RICH`] knows.
pub(crate) const RICH_KEY: &str = "a-key-of-the-flows";
/// The password that it knows.
pub(crate) const RICH_PASSWORD: &str = "a-password-of-the-desk";
/// The secret by which tokens are fetched from it.
pub(crate) const RICH_SECRET: &str = "a-secret-of-the-client-that-is-long";

/// A customer's card, as in README.md.
const CARD: &str = r#"
version: 1
callers:
  flows: {type: api_key, header: X-Flow-Key, keys: {ivr: "not-to-be-shown"}}
limits:
  per_customer: {key: [org, input.customer_id], rate: 5/s, burst: 10}
upstreams:
  crm: {base_url: https://crm.example.com}
actions:
  customer-card:
    description: What an agent should know before the first word
    caller: flows
    limits: [per_customer]
    timeout: 4s
    genesys_timeout: 6s
    envelope: flat
    failures: outcome
    input: {customer_id: {type: integer, required: true, minimum: 1}}
    request: {upstream: crm, path: "/users/{customer_id}"}
    output:
      full_name: {type: string, from: $.name, default: ""}
      city: {type: string, from: $.address.city, default: ""}
    cache: {ttl: 60s, customer: customer_id, stale_while_revalidate: 30s, stale_if_error: 1h}
"#;

/// The configuration of that name.
fn loaded(name: &str) -> Loaded {
    let env = |variable: &str| (variable == "CRM").then(|| "https://crm.example.com".to_owned());
    let loaded = match name {
        "built_in" => config::builtin(&env),
        "card" => config::parse(name, CARD, &env),
        "rich" => config::parse(name, RICH, &env),
        other => panic!("there is no configuration {other}"),
    };
    loaded.unwrap_or_else(|report| panic!("{report}"))
}

/// All of them.
const ALL: [&str; 3] = ["built_in", "card", "rich"];

/// Where the actions of a configuration are.
fn site(loaded: &Loaded) -> Site<'_> {
    let base_path = &loaded.settings.server.base_path;
    Site { origin: "https://holdline.test", base_path, asks_for_certificates: false }
}
