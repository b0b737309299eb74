//! Reports on whole files: several faults at once, and what is no configuration at all.

use super::{GOOD, parse, refused};

#[test]
fn outcome_mode_demands_a_value_for_every_output_under_names_of_its_own() {
    let yaml = GOOD
        .replace("    timeout: 5s\n", "    timeout: 5s\n    failures: outcome\n")
        .replace(", default: Unknown", "")
        .replace("premium: {", "stale: {");
    let told: Vec<_> = refused(&yaml).problems().iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "f:48:7 actions.customer-lookup.output.name: has no default, and `failures: outcome` \
             answers with every output; add a default",
            "f:49:7 actions.customer-lookup.output.stale: `stale` is what `failures: outcome` adds \
             to the answer; write another name",
        ]
    );
}

#[test]
fn every_fault_of_a_file_is_told_at_once_in_its_order() {
    let yaml = "\
server:
  listen: here
  drain: {delay: 5, timeout: ever}
admin: {listen: 0.0.0.0:9901, tokn: x}
callers:
  genesys: {type: introspection, region: mars, timeout: 0s}
limits:
  fast: {key: caller, rate: fast}
upstreams:
  crm: {base_url: 'ftp://crm', retry: {on: [429]}, proxy: x}
actions:
  look up:
    caller: genesys
  lookup:
    caller: [genesis]
    limits: [fast, slow]
    request: {upstream: crn, path: '/a'}
    output: {}
";
    let report = refused(yaml);
    let told: Vec<_> =
        report.problems().iter().map(|problem| (problem.line, &*problem.path)).collect();
    let expected = [
        (2, "server.listen"),
        (3, "server.drain.delay"),
        (3, "server.drain.timeout"),
        (4, "admin.tokn"),
        (6, "callers.genesys.region"),
        (6, "callers.genesys.timeout"),
        (8, "limits.fast.burst"),
        (8, "limits.fast.rate"),
        (10, "upstreams.crm.base_url"),
        (10, "upstreams.crm.retry.on[0]"),
        (10, "upstreams.crm.proxy"),
        (12, "actions.\"look up\""),
        (12, "actions.\"look up\".request"),
        (12, "actions.\"look up\".output"),
        (15, "actions.lookup.caller[0]"),
        (16, "actions.lookup.limits[1]"),
        (17, "actions.lookup.request.upstream"),
        (18, "actions.lookup.output"),
    ];
    assert_eq!(told, expected, "{report}");
    assert!(report.to_string().ends_with("\n18 problems"), "{report}");
}

#[test]
fn a_file_that_is_no_configuration_is_one_sentence() {
    for (text, expected) in [
        ("", "f: is empty; write at least one action"),
        ("just words", "f:1:1: must be a mapping; write its keys below it, indented"),
        (
            "- a\n- b\n",
            "f:1:1: must be a mapping, not a list; write its keys below it, without `-`",
        ),
        ("version: 1\n", "f:1:1 actions: is missing; write at least one action"),
        ("actions:\n", "f:1:1 actions: is missing; write at least one action"),
        ("actions: {}\n", "f:1:1 actions: has no action; write at least one action"),
    ] {
        let told: Vec<_> = refused(text).problems().iter().map(ToString::to_string).collect();
        assert_eq!(told, [expected]);
    }
}

#[test]
fn a_fault_of_the_catalogs_own_constructors_has_its_place() {
    for (from, to, line, path) in [
        ("/users/{customer_id}", "/users/{customer_id", 45, "actions.customer-lookup.request.path"),
        ("/users/{customer_id}", "/users/{customer}", 45, "actions.customer-lookup.request.path"),
        ("default: Unknown", "default: 5", 47, "actions.customer-lookup.output.name"),
        ("minimum: 1", "minimum: x", 40, "actions.customer-lookup.input.customer_id"),
        (
            "lang: {type: string}",
            "lang: {type: string, minimum: 1}",
            41,
            "actions.customer-lookup.input.lang",
        ),
        ("genesys_timeout: 10s", "fallback: {nme: x}", 38, "actions.customer-lookup.fallback"),
        (
            "genesys_timeout: 10s",
            "fallback: {name: 1, premium: true}",
            38,
            "actions.customer-lookup.fallback",
        ),
    ] {
        let report = refused(&super::good_but(from, to));
        let told: Vec<_> = report.problems().iter().map(|p| (p.line, &*p.path)).collect();
        assert_eq!(told, [(line, path)], "{to}: {report}");
    }
}

#[test]
fn a_key_without_what_is_sent_is_refused_and_a_fallback_takes_the_order_of_the_outputs() {
    assert_eq!(
        super::problems("key: [customer_id]\n      customer: customer_id\n", "key: [lang]\n"),
        [
            "51:12 actions.customer-lookup.cache.key: lacks `customer_id`, which the request is made \
             of: two customers would share an entry; add `customer_id`"
        ]
    );
    let good = super::good_but("genesys_timeout: 10s", "fallback: {premium: true, name: x}");
    let loaded = parse("f", &good, &super::no_env).unwrap();
    let fallback = loaded.catalog.actions["customer-lookup"].fallback.as_ref();
    assert_eq!(fallback.unwrap().flat(), br#"{"name":"x","premium":true}"#);
}

#[test]
fn whatever_may_be_answered_without_a_reply_must_keep_the_output_contract() {
    let output = |output: &str| {
        super::good_but("name: {type: string, from: $.name, default: Unknown}", output)
    };
    let fallback = |output: &str, fallback: &str| {
        let from = "name: {type: string, from: $.name, default: Unknown}";
        super::good_but(from, output)
            .replace("genesys_timeout: 10s", &format!("fallback: {fallback}"))
    };
    let keyed = "name: {type: string, from: $.name, default: Unknown, maxLength: 9}";
    let bare = "name: {type: string, from: $.name}";
    for (yaml, path, what) in [
        (
            output("name: {type: string, from: $.name, default: Unknown, maxLength: 3}"),
            "output.name",
            "default must have at most 3 characters",
        ),
        (
            output("name: {type: string, from: $.name, default: \"\", minLength: 1}"),
            "output.name",
            "default must have at least 1 character",
        ),
        (
            output("name: {type: integer, value: 0, minimum: 1}"),
            "output.name",
            "value must be at least 1",
        ),
        (
            output("name: {type: string, from: $.name, default: 5}"),
            "output.name",
            "default must be a string",
        ),
        (
            fallback(keyed, "{name: a long name indeed}"),
            "fallback",
            "name must have at most 9 characters",
        ),
        (fallback(keyed, "{name: 7}"), "fallback", "name must be a string"),
        (fallback(keyed, "{nmae: x}"), "fallback", "nmae is not an output"),
        (fallback(bare, "{premium: true}"), "fallback", "name is required: it has no default"),
    ] {
        for failures in ["status", "outcome"] {
            let told = refused(&yaml.replace(
                "    timeout: 5s\n",
                &format!("    timeout: 5s\n    failures: {failures}\n"),
            ));
            let path = format!("actions.customer-lookup.{path}");
            let found = told.problems().iter().any(|p| p.path == path && p.what == what);
            assert!(found, "{told}");
        }
    }
}
