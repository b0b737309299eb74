//! Ports: what one object names of another's exists, and leads to the program.

use serde_json::Value;

use super::driver::{Rendered, list};

/// Ports that lead nowhere.
pub(super) fn ports(rendered: &Rendered) -> Vec<String> {
    let mut faults = probes(rendered);
    for service in rendered.all("Service") {
        for port in list(&service["spec"]["ports"]) {
            faults.extend(leads(rendered, "Service", &port["targetPort"]));
        }
    }
    for ingress in rendered.all("Ingress") {
        for rule in list(&ingress["spec"]["rules"]) {
            for path in list(&rule["http"]["paths"]) {
                let service = &path["backend"]["service"];
                faults.extend(is_of_service(
                    rendered,
                    "Ingress",
                    &service["name"],
                    &service["port"],
                ));
            }
        }
    }
    for route in rendered.all("HTTPRoute") {
        for rule in list(&route["spec"]["rules"]) {
            for backend in list(&rule["backendRefs"]) {
                let port = serde_json::json!({"number": backend["port"]});
                faults.extend(is_of_service(rendered, "HTTPRoute", &backend["name"], &port));
            }
        }
    }
    for policy in rendered.all("NetworkPolicy") {
        for rule in list(&policy["spec"]["ingress"]) {
            for port in list(&rule["ports"]) {
                faults.extend(leads(rendered, "NetworkPolicy", &port["port"]));
            }
        }
    }
    for monitor in rendered.all("PodMonitor") {
        for endpoint in list(&monitor["spec"]["podMetricsEndpoints"]) {
            faults.extend(leads(rendered, "PodMonitor", &endpoint["port"]));
        }
    }
    for monitor in rendered.all("ServiceMonitor") {
        faults.extend(scraped(rendered, monitor));
    }
    faults
}

/// A port of the program, by name or number.
fn leads(rendered: &Rendered, from: &str, port: &Value) -> Option<String> {
    let known = match port.as_str() {
        Some(name) => rendered.port(name).is_some(),
        None => list(&rendered.program()["ports"]).iter().any(|it| it["containerPort"] == *port),
    };
    (!known).then(|| format!("{from} leads to port {port}, which nothing has"))
}

fn probes(rendered: &Rendered) -> Vec<String> {
    let expected =
        [("startupProbe", "/startupz"), ("livenessProbe", "/livez"), ("readinessProbe", "/readyz")];
    let mut faults = Vec::new();
    for (probe, path) in expected {
        let asked = &rendered.program()[probe]["httpGet"];
        if asked["path"] != path || asked["port"] != "probes" {
            faults.push(format!("{probe} asks {asked}"));
        }
        faults.extend(leads(rendered, probe, &asked["port"]));
    }
    faults
}

/// A port of a Service of ours, by name or number.
fn is_of_service(rendered: &Rendered, from: &str, name: &Value, port: &Value) -> Option<String> {
    let services = rendered.all("Service");
    let found = services.iter().filter(|it| it["metadata"]["name"] == *name).any(|service| {
        list(&service["spec"]["ports"]).iter().any(|it| {
            port["number"] == it["port"] || (!port["name"].is_null() && port["name"] == it["name"])
        })
    });
    (!found).then(|| format!("{from} leads to {name} {port}, which is no Service's"))
}

/// A ServiceMonitor finds exactly one Service, which has its port: with two each pod counts twice.
fn scraped(rendered: &Rendered, monitor: &Value) -> Vec<String> {
    let wanted = monitor["spec"]["selector"]["matchLabels"].as_object().unwrap();
    let services = rendered.all("Service");
    let found: Vec<_> = services
        .iter()
        .filter(|it| wanted.iter().all(|(key, value)| it["metadata"]["labels"][key] == *value))
        .collect();
    if found.len() != 1 {
        return vec![format!("ServiceMonitor finds {} Services", found.len())];
    }
    let ports = list(&found[0]["spec"]["ports"]);
    let endpoints = list(&monitor["spec"]["endpoints"]);
    let unknown =
        endpoints.iter().filter(|it| !ports.iter().any(|port| port["name"] == it["port"]));
    unknown
        .map(|it| format!("ServiceMonitor scrapes {}, which the Service has not", it["port"]))
        .collect()
}
