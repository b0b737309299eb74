//! The configuration is the one source: ports, probes, services, network policy and tests follow it.

use serde_json::{Value, json};

use super::{
    checks,
    driver::{Chart, Rendered, list},
};

const ELSEWHERE: &str = "\
# listeners elsewhere
version: 1
server: {listen: \"${LISTEN:-0.0.0.0:8181}\", drain: {delay: 1s, timeout: 9s}, base_path: /actions}
probes: {listen: '[::]:9191'}
admin: {listen: 0.0.0.0:9902, token: \"${file:/etc/holdline/secrets/admin-token}\"}
";

fn elsewhere() -> Value {
    json!({"server": {"listen": "${LISTEN:-0.0.0.0:8181}", "drain": {"delay": "1s", "timeout": "9s"},
        "base_path": "/actions"},
        "probes": {"listen": "[::]:9191"},
        "admin": {"listen": "0.0.0.0:9902", "token": "${file:/etc/holdline/secrets/admin-token}"}})
}

/// The number that a port of a Service leads to.
fn target(rendered: &Rendered, service: &str, name: &str) -> u64 {
    let service = rendered.named("Service", service);
    let port = list(&service["spec"]["ports"]).iter().find(|it| it["name"] == name).unwrap();
    let target = &port["targetPort"];
    target.as_u64().or_else(|| rendered.port(target.as_str()?)).unwrap()
}

#[test]
fn by_themselves_ports_are_those_of_the_program_and_admin_is_in_the_pod_alone() {
    let Some(chart) = Chart::ours() else { return };
    let rendered = chart.with(json!({}));
    let ports = ["http", "probes", "admin"].map(|name| rendered.port(name));
    assert_eq!(ports, [Some(8080), Some(9090), None]);
    assert_eq!(target(&rendered, "shop-holdline", "http"), 8080);
    assert_eq!(rendered.named("Service", "shop-holdline")["spec"]["ports"][0]["port"], 80);
    assert_eq!(target(&rendered, "shop-holdline-headless", "probes"), 9090);
    let headless = rendered.named("Service", "shop-holdline-headless");
    assert_eq!(headless["spec"]["clusterIP"], "None");
}

#[test]
fn other_listeners_are_followed_everywhere_from_text_from_a_map_and_beside_a_file_made_elsewhere() {
    let Some(chart) = Chart::ours() else { return };
    let secrets = json!({"existingSecret": "mine"});
    for values in [
        json!({"secrets": secrets, "config": ELSEWHERE, "terminationGracePeriodSeconds": 20}),
        json!({"secrets": secrets, "config": elsewhere(), "terminationGracePeriodSeconds": 20}),
        json!({"secrets": secrets, "config": elsewhere(), "terminationGracePeriodSeconds": 20,
            "existingConfigMap": "mine"}),
    ] {
        let rendered = chart.with(values.clone());
        let faults = checks::faults(&rendered);
        // What is made elsewhere cannot be read here.
        let expected = if values["existingConfigMap"].is_null() { 0 } else { 1 };
        assert_eq!(faults.iter().filter(|it| it.starts_with("grace")).count(), expected);
        assert_eq!(faults.len(), expected, "{faults:?}");
        let ports = ["http", "probes", "admin"].map(|name| rendered.port(name));
        assert_eq!(ports, [Some(8181), Some(9191), Some(9902)]);
        assert_eq!(target(&rendered, "shop-holdline", "http"), 8181);
        assert_eq!(target(&rendered, "shop-holdline-headless", "probes"), 9191);
        let tests = json!(rendered.all("Pod")).to_string();
        assert!(tests.contains("9191") && !tests.contains("9090"), "{tests}");
    }
}

#[test]
fn ways_in_lead_to_the_path_of_the_configuration() {
    let Some(chart) = Chart::ours() else { return };
    let rendered = chart.with(json!({
        "config": ELSEWHERE, "secrets": {"existingSecret": "mine"},
        "ingress": {"enabled": true, "hosts": [{"host": "actions.example.com"}]},
        "httpRoute": {"enabled": true, "parentRefs": [{"name": "public"}]},
    }));
    let path = &rendered.the("Ingress")["spec"]["rules"][0]["http"]["paths"][0];
    assert_eq!((&path["path"], &path["pathType"]), (&json!("/actions"), &json!("Prefix")));
    let matches = &rendered.the("HTTPRoute")["spec"]["rules"][0]["matches"][0]["path"];
    assert_eq!(*matches, json!({"type": "PathPrefix", "value": "/actions"}));
}

/// The ports that a network policy lets in, as numbers, with whom: none stands for anybody.
fn let_in(rendered: &Rendered) -> Vec<(u64, Option<Value>)> {
    let pods = &rendered.the("Deployment")["spec"]["template"]["metadata"]["labels"];
    let policies = rendered.all("NetworkPolicy");
    let selects = |it: &&&Value| {
        let wanted = it["spec"]["podSelector"]["matchLabels"].as_object().unwrap();
        wanted.iter().all(|(key, value)| pods[key] == *value)
    };
    let mut found = Vec::new();
    for policy in policies.iter().filter(selects) {
        for rule in list(&policy["spec"]["ingress"]) {
            for port in list(&rule["ports"]) {
                let named = port["port"].as_str().and_then(|name| rendered.port(name));
                found.push((named.or(port["port"].as_u64()).unwrap(), rule.get("from").cloned()));
            }
        }
    }
    found
}

#[test]
fn the_network_policy_lets_in_calls_and_scrapes_and_nobody_to_admin() {
    let Some(chart) = Chart::ours() else { return };
    let rendered = chart.with(json!({"config": ELSEWHERE, "secrets": {"existingSecret": "mine"}}));
    assert_eq!(let_in(&rendered), [(8181, None), (9191, None)]);
    let from = |name: &str| json!([{"namespaceSelector": {"matchLabels": {"name": name}}}]);
    let rendered = chart.with(json!({"networkPolicy": {
        "ingressFrom": from("edge"), "metricsFrom": from("monitoring"),
    }}));
    let found = let_in(&rendered);
    // Beside whom they name, our own tests.
    for ((port, with), (expected, name)) in found.iter().zip([(8080, "edge"), (9090, "monitoring")])
    {
        let with = list(with.as_ref().unwrap());
        assert_eq!((*port, &with[0]), (expected, &from(name)[0]));
        assert_eq!(with.len(), 2);
        assert!(with[1].to_string().contains("holdline-test"), "{with:?}");
    }
    assert_eq!(found.len(), 2);
}

#[test]
fn the_network_policy_lets_out_only_what_is_asked_for() {
    let Some(chart) = Chart::ours() else { return };
    let of = |egress: Value| {
        let rendered = chart.with(json!({"networkPolicy": egress}));
        json!(rendered.named("NetworkPolicy", "shop-holdline")["spec"]["egress"]).to_string()
    };
    let by_itself = of(json!({}));
    assert!(by_itself.contains("53") && by_itself.contains("443"), "{by_itself}");
    assert!(by_itself.contains("169.254.0.0/16") && !by_itself.contains("4318"), "{by_itself}");
    let none = of(json!({"egress": {"dns": false, "https": {"enabled": false}}}));
    assert!(!none.contains("53") && !none.contains("443"), "{none}");
    let dns = json!([{"ipBlock": {"cidr": "169.254.20.10/32"}}]);
    let named = of(json!({"egress": {"dnsTo": dns, "https": {"enabled": false}}}));
    assert!(named.contains("169.254.20.10/32"), "{named}");
    let collector = json!([{"namespaceSelector": {}}]);
    let more = json!([{"to": [{"ipBlock": {"cidr": "10.9.8.0/24"}}]}]);
    let more = of(json!({"egress": {"otlp": {"to": collector}}, "extraEgress": more}));
    assert!(more.contains("4318") && more.contains("10.9.8.0/24"), "{more}");
}

#[test]
fn private_networks_are_shut_in_both_families_and_each_list_is_taken_as_it_is() {
    let Some(chart) = Chart::ours() else { return };
    let of = |https: Value| {
        let rendered = chart.with(json!({"networkPolicy": {"egress": {"https": https}}}));
        let policy = rendered.named("NetworkPolicy", "shop-holdline").clone();
        let rules = list(&policy["spec"]["egress"]);
        let to = &rules.iter().find(|it| it["ports"][0]["port"] == 443).unwrap()["to"];
        ["0.0.0.0/0", "::/0"].map(|family| {
            let block = list(to).iter().find(|it| it["ipBlock"]["cidr"] == family).unwrap();
            list(&block["ipBlock"]["except"]).to_vec()
        })
    };
    let [four, six] = of(json!({}));
    assert!(four.contains(&json!("10.0.0.0/8")) && four.contains(&json!("169.254.0.0/16")));
    assert_eq!(six, ["fc00::/7", "fe80::/10", "64:ff9b::/96"]);
    let one = json!(["10.0.0.0/8", "2001:db8::/32"]);
    assert_eq!(
        of(json!({"except": one})),
        [vec![json!("10.0.0.0/8")], vec![json!("2001:db8::/32")]]
    );
    assert_eq!(of(json!({"except": ["10.0.0.0/8"]}))[1], Vec::<Value>::new());
}
