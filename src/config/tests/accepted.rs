//! What a file without a fault becomes.

use std::{io::Write as _, time::Duration};

use crate::{
    catalog::{
        action::{Envelope, Failures},
        caller::{Introspection, Proof},
        limit::LimitKey,
        policy::{ConcurrencyLimit, ConcurrencyPolicy, RetryOn, SharedBy},
    },
    config::{Loaded, builtin, load, parse},
    settings::{LogFormat, TraceProtocol},
};

use super::{GOOD, accepted, good_but, no_env, warnings};

fn introspection(loaded: &Loaded) -> &Introspection {
    match &loaded.catalog.callers["genesys"].proof {
        Proof::Introspection(introspection) => introspection,
        Proof::Jwt(_) | Proof::ApiKey(_) | Proof::Basic(_) | Proof::Issued(_) => {
            panic!("not the proof that is written")
        }
    }
}

#[test]
fn every_part_reaches_the_catalog_and_the_settings() {
    let Loaded { catalog, settings, warnings, .. } = accepted(GOOD);
    let warnings: Vec<_> = warnings.iter().map(ToString::to_string).collect();
    let clear = "is a secret in the clear; write ${file:/path} or ${NAME}";
    assert_eq!(
        warnings,
        [
            format!("f:20:17 callers.portal.keys.ivr: {clear}"),
            format!("f:20:29 callers.portal.keys.web: {clear}"),
            "f:41:7 actions.customer-lookup.input.lang: is used nowhere: neither in the request nor by \
             a limit; write {lang} in the request, or remove it"
                .to_owned(),
        ]
    );
    assert_eq!(settings.server.listen.port(), 8080);
    assert_eq!(settings.probes.port(), 9090);
    assert_eq!(settings.server.max_header_bytes, 16 * 1024);
    assert_eq!(settings.telemetry.log_format, LogFormat::Json);
    let traces = settings.telemetry.traces.unwrap();
    assert_eq!(traces.endpoint.as_str(), "http://collector:4318/");
    assert_eq!(traces.protocol, TraceProtocol::HttpProtobuf);
    assert_eq!(settings.cache.memory, 64 << 20);
    let limit = &catalog.limits["per_customer"];
    assert_eq!(limit.key, [LimitKey::Org, LimitKey::Input("customer_id".to_owned())]);
    assert_eq!(
        (limit.period, limit.burst.get(), limit.enforce),
        (Duration::from_millis(200), 10, false)
    );
    let crm = &catalog.upstreams["crm"];
    assert_eq!(crm.retry.on, [RetryOn::Connect, RetryOn::Status(503)]);
    assert_eq!(crm.breaker.lease, Duration::from_millis(3200));
    assert_eq!(crm.headers[0].0, "x-tenant");
    let action = &catalog.actions["customer-lookup"];
    assert_eq!(
        action.callers.iter().map(|name| name.as_str()).collect::<Vec<_>>(),
        ["genesys", "portal"]
    );
    assert_eq!(
        (action.envelope, action.failures, action.safe),
        (Envelope::Data, Failures::Status, true)
    );
    assert_eq!(action.upstream.as_str(), "crm");
    let cache = action.cache.as_ref().unwrap();
    assert_eq!(
        (cache.ttl, &*cache.key, cache.shared_by),
        (Duration::from_secs(60), &["customer_id".to_owned()][..], SharedBy::Org)
    );
    assert_eq!(cache.customer.as_deref(), Some("customer_id"));
}

#[test]
fn the_built_in_configuration_is_the_tutorial() {
    let loaded = builtin(&no_env).unwrap();
    assert_eq!(loaded.warnings, []);
    let authority = introspection(&loaded);
    assert_eq!(authority.url.as_str(), "https://api.mypurecloud.com/api/v2/oauth2/introspect");
    assert_eq!(authority.admission.org, None);
    assert_eq!(loaded.catalog.callers["genesys"].header_text, "X-Genesys-Auth-Token");
    assert_eq!(
        loaded.catalog.upstreams["crm"].base_url.as_str(),
        "https://jsonplaceholder.typicode.com/"
    );
    let action = loaded.catalog.action("customer-lookup").unwrap();
    assert_eq!(action.timeout, Duration::from_secs(5));
    let outputs: Vec<_> = action.output.outputs().iter().map(|output| &*output.name).collect();
    assert_eq!(outputs, ["full_name", "email", "phone", "is_premium_member"]);
    let cache = action.cache.as_ref().unwrap();
    assert_eq!(cache.stale_while_revalidate, Duration::from_secs(30));
    assert_eq!(cache.stale_if_error, Duration::from_secs(300));
    assert_eq!(cache.stale_after, Duration::from_millis(300));
}

#[test]
fn the_tutorials_variables_steer_the_built_in_configuration() {
    let env = |name: &str| match name {
        "GENESYS_REGION" => Some("eu-west-1".to_owned()),
        "GENESYS_ORG_ID" => Some("acme".to_owned()),
        "EXTERNAL_API_BASE" => Some("http://127.0.0.1:7001/api".to_owned()),
        _ => None,
    };
    let loaded = builtin(&env).unwrap();
    let authority = introspection(&loaded);
    assert_eq!(authority.url.as_str(), "https://api.mypurecloud.ie/api/v2/oauth2/introspect");
    assert_eq!(authority.admission.org.as_deref(), Some("acme"));
    assert_eq!(loaded.catalog.upstreams["crm"].base_url.as_str(), "http://127.0.0.1:7001/api");
    assert_eq!(loaded.warnings, []);

    let base =
        |name: &str| (name == "GENESYS_API_BASE").then(|| "http://127.0.0.1:7002/".to_owned());
    let loaded = builtin(&base).unwrap();
    assert_eq!(
        introspection(&loaded).url.as_str(),
        "http://127.0.0.1:7002/api/v2/oauth2/introspect"
    );

    let wrong = |name: &str| (name == "GENESYS_REGION").then(|| "eu-west-9".to_owned());
    let report = builtin(&wrong).unwrap_err().to_string();
    assert!(report.starts_with("built-in:11:13 callers.genesys.region: `${GENESYS_REGION:-us-east-1}` is no region of Genesys Cloud (from the environment variable GENESYS_REGION); write one of `us-east-1`, `us-east-2`, "), "{report}");
    assert_eq!(report.matches('`').count(), 2 * 19);
}

#[test]
fn what_is_not_written_takes_the_default_of_the_contract() {
    let loaded = accepted(&good_but("    concurrency: {limit: 50, wait: 100ms}\n", ""));
    let limit = ConcurrencyLimit::Adaptive { start: 20, min: 4, max: 200 };
    let expected = ConcurrencyPolicy { limit, wait: Duration::from_millis(100) };
    assert_eq!(loaded.catalog.upstreams["crm"].concurrency, expected);
    let yaml = good_but("      key: [customer_id]\n", "");
    let key = accepted(&yaml).catalog.actions["customer-lookup"].cache.clone().unwrap().key;
    assert_eq!(key, ["customer_id", "lang"]);
    let yaml = good_but("    caller: [genesys, portal]", "    caller: none");
    assert_eq!(accepted(&yaml).catalog.actions["customer-lookup"].callers, []);
    for (written, safe) in [("GET", true), ("POST", false), ("DELETE", false)] {
        let cached =
            "    cache:\n      ttl: 60s\n      key: [customer_id]\n      customer: customer_id\n";
        let yaml = good_but(cached, "").replace("method: GET", &format!("method: {written}"));
        assert_eq!(accepted(&yaml).catalog.actions["customer-lookup"].safe, safe, "{written}");
    }
}

#[test]
fn the_whole_address_comes_before_api_base_and_api_base_before_the_region() {
    let yaml = good_but(
        "    region: eu-west-1\n",
        "    region: eu-west-1\n    api_base: https://a.example/x\n",
    );
    assert_eq!(
        introspection(&accepted(&yaml)).url.as_str(),
        "https://a.example/x/api/v2/oauth2/introspect"
    );
    let yaml = good_but(
        "    region: eu-west-1\n",
        "    region: eu-west-1\n    url: https://b.example/i?x=1\n",
    );
    assert_eq!(introspection(&accepted(&yaml)).url.as_str(), "https://b.example/i?x=1");
}

#[test]
fn opentelemetrys_variable_stands_in_for_a_missing_endpoint() {
    let env =
        |name: &str| (name == "OTEL_EXPORTER_OTLP_ENDPOINT").then(|| "http://otel:4318".to_owned());
    let bare = good_but("  traces: {endpoint: http://collector:4318, sample_ratio: 0.1}\n", "");
    let traces = parse("f", &bare, &env).unwrap().settings.telemetry.traces.unwrap();
    assert_eq!(traces.endpoint.as_str(), "http://otel:4318/");
    let written = parse("f", GOOD, &env).unwrap().settings.telemetry.traces.unwrap();
    assert_eq!(written.endpoint.as_str(), "http://collector:4318/");
    assert!(accepted(&bare).settings.telemetry.traces.is_none());
    let report = parse("f", &bare, &|_| Some("nonsense".to_owned())).unwrap_err();
    assert_eq!(
        report.problems()[0].to_string(),
        "f:8:1 telemetry.traces: the environment variable OTEL_EXPORTER_OTLP_ENDPOINT is no \
         address of a collector; set it like http://collector:4318, or unset it"
    );
}

#[test]
fn plain_http_to_a_public_host_is_a_warning() {
    let yaml = good_but("https://crm.example.com/v2", "http://crm.example.com/v2");
    assert_eq!(
        warnings(&yaml),
        ["26:15 upstreams.crm.base_url: is plain http to a public host: everybody on the way \
          can read it; write https://"]
    );
}

#[test]
fn an_anchor_may_be_used_again() {
    let yaml = good_but(
        "    timeouts: {connect: 1s, attempt: 2s}\n",
        "    timeouts: &t {connect: 1s, attempt: 3s}\n",
    )
    .replace(
        "actions:\n",
        "  other:\n    base_url: https://other.example\n    timeouts: *t\nactions:\n",
    );
    assert_eq!(accepted(&yaml).catalog.upstreams["other"].timeouts.attempt, Duration::from_secs(3));
}

#[test]
fn a_file_is_loaded_under_its_own_name() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(GOOD.as_bytes()).unwrap();
    assert!(load(file.path(), &no_env).is_ok());
    let name = file.path().display().to_string();
    file.write_all(b"colour: red\n\xff\n").unwrap();
    let report = load(file.path(), &no_env).unwrap_err();
    let lines = GOOD.lines().count();
    assert_eq!(
        report.problems()[0].to_string(),
        format!("{name}:{}:1: is not text in UTF-8; save the file as UTF-8", lines + 2)
    );
    let missing = load("/nowhere/holdline.yaml".as_ref(), &no_env).unwrap_err();
    assert_eq!(
        missing.to_string(),
        "/nowhere/holdline.yaml: cannot be read (entity not found); mend the path or the file\n1 problem"
    );
}

#[test]
fn a_revision_changes_with_what_shapes_answers_and_with_nothing_else() {
    let revision = |yaml: &str| accepted(yaml).catalog.actions["customer-lookup"].revision;
    let first = revision(GOOD);
    let same = [
        ("version: 1\n", "# a comment\nversion: 1\n"),
        ("    timeout: 5s\n", "    timeout: 6s\n"),
        (
            "{type: integer, required: true, minimum: 1}",
            "{minimum: 1, type: integer, required: true, description: x}",
        ),
        (
            "      customer_id: {type: integer, required: true, minimum: 1}\n      lang: {type: string}\n",
            "      lang: {type: string}\n      customer_id: {type: integer, required: true, minimum: 1}\n",
        ),
        ("      ttl: 60s\n", "      ttl: 61s\n"),
        ("attempts: 3,", "attempts: 2,"),
    ];
    for (from, to) in same {
        assert_eq!(revision(&good_but(from, to)), first, "{to}");
    }
    let other = [
        ("minimum: 1", "minimum: 2"),
        ("/users/{customer_id}", "/people/{customer_id}"),
        ("default: Unknown", "default: Nobody"),
        ("https://crm.example.com/v2", "https://crm.example.com/v3"),
        ("X-Tenant: acme", "X-Tenant: other"),
        ("key: [customer_id]\n", "key: [customer_id, lang]\n"),
        (
            "      name: {type: string, from: $.name, default: Unknown}\n      premium: {type: boolean, value: false}\n",
            "      premium: {type: boolean, value: false}\n      name: {type: string, from: $.name, default: Unknown}\n",
        ),
    ];
    for (from, to) in other {
        assert_ne!(revision(&good_but(from, to)), first, "{to}");
    }
}

#[test]
fn the_revision_of_the_file_is_hexadecimal_and_leaves_comments_out() {
    let revision = |yaml: &str| accepted(yaml).settings.revision;
    let first = revision(GOOD);
    assert!(first.len() == 64 && first.bytes().all(|c| c.is_ascii_hexdigit()), "{first}");
    assert_eq!(revision(&good_but("version: 1\n", "# x\nversion: 1\n\n")), first);
    assert_ne!(revision(&good_but("    timeout: 5s\n", "    timeout: 6s\n")), first);
}

#[test]
fn an_old_answer_that_would_come_with_the_end_of_the_call_is_warned_of() {
    let told = |cache: &str| -> Vec<String> {
        let yaml = good_but("ttl: 60s", &format!("ttl: 60s\n      {cache}"));
        warnings(&yaml)
    };
    assert_eq!(
        told("stale_if_error: 5m\n      stale_after: 4750ms"),
        [
            "52:20 actions.customer-lookup.cache.stale_after: an old answer that is at hand is given \
          after 4s 750ms, and a call may take no longer than 4s 750ms: it would come at the very \
          end; write a stale_after below 4s 750ms"
        ]
    );
    assert!(told("stale_if_error: 5m\n      stale_after: 4749ms").is_empty());
    assert!(told("stale_after: 10s").is_empty(), "nothing is at hand");
}
