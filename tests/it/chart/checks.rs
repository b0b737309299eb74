//! What must hold of everything that the chart renders, whatever the values: each check says what is
//! wrong, and `faults` asks all.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{
    driver::{NAMESPACE, Rendered, kind, list},
    network, restricted,
};

/// What no object of ours goes without.
const LABELS: [&str; 5] = [
    "app.kubernetes.io/name",
    "app.kubernetes.io/instance",
    "app.kubernetes.io/version",
    "app.kubernetes.io/managed-by",
    "helm.sh/chart",
];
/// What alone may select pods: it never changes in a release.
const SELECTORS: [&str; 2] = ["app.kubernetes.io/name", "app.kubernetes.io/instance"];

/// Says what is wrong in its matter.
type Check = fn(&Rendered) -> Vec<String>;

/// All that is wrong with what was rendered, each with the name of its check.
pub(super) fn faults(rendered: &Rendered) -> Vec<String> {
    let checks: [(&str, Check); 8] = [
        ("schema", |it| it.wrong.clone()),
        ("objects", objects),
        ("selectors", selectors),
        ("restricted", is_restricted),
        ("pods", pods),
        ("references", references),
        ("grace", grace),
        ("ports", network::ports),
    ];
    let each = checks.iter().flat_map(|(name, check)| {
        check(rendered).into_iter().map(move |fault| format!("{name}: {fault}"))
    });
    each.collect()
}

/// Objects of ours, without those that a user adds.
fn ours(rendered: &Rendered) -> impl Iterator<Item = &Value> {
    let ours = |(template, _): &&(String, Value)| !template.ends_with("/extra-objects.yaml");
    rendered.objects.iter().filter(ours).map(|(_, object)| object)
}

/// What the release's objects are called.
fn fullname(rendered: &Rendered) -> &str {
    rendered.the("Deployment")["metadata"]["name"].as_str().unwrap()
}

fn objects(rendered: &Rendered) -> Vec<String> {
    let mut faults = Vec::new();
    for object in ours(rendered) {
        let metadata = &object["metadata"];
        let name = metadata["name"].as_str().unwrap_or_default();
        let said = format!("{} {name}", kind(object));
        let elsewhere = !metadata["labels"]["grafana_dashboard"].is_null();
        if metadata["namespace"] != NAMESPACE && !elsewhere {
            faults.push(format!("{said} is not in the release's namespace"));
        }
        // An account may have a name of its own.
        if !name.starts_with(fullname(rendered)) && kind(object) != "ServiceAccount" {
            faults.push(format!("{said} has not the name of the release"));
        }
        let missing = LABELS.iter().filter(|label| metadata["labels"][**label].is_null());
        faults.extend(missing.map(|label| format!("{said} has no label {label}")));
    }
    let mut names = rendered.names();
    let all = names.len();
    names.dedup();
    faults.extend((names.len() < all).then(|| format!("two of one name: {:?}", rendered.names())));
    faults
}

fn labels(of: &Value) -> BTreeMap<&str, &str> {
    let each = of.as_object().into_iter().flatten();
    each.map(|(key, value)| (key.as_str(), value.as_str().unwrap_or_default())).collect()
}

fn selects(selector: &Value, labels_of: &Value) -> bool {
    let has = labels(labels_of);
    labels(selector).iter().all(|(key, value)| has.get(key) == Some(value))
}

/// Every selector has just what never changes, selects the pods that serve, and no other.
fn selectors(rendered: &Rendered) -> Vec<String> {
    let deployment = rendered.the("Deployment");
    let pods = &deployment["spec"]["template"]["metadata"]["labels"];
    let mut all = vec![("Deployment", &deployment["spec"]["selector"]["matchLabels"])];
    all.extend(rendered.all("Service").iter().map(|it| ("Service", &it["spec"]["selector"])));
    for kind in ["PodDisruptionBudget", "PodMonitor"] {
        all.extend(
            rendered.all(kind).iter().map(|it| (kind, &it["spec"]["selector"]["matchLabels"])),
        );
    }
    let policies = rendered.all("NetworkPolicy");
    let policies = policies.iter().map(|it| &it["spec"]["podSelector"]["matchLabels"]);
    // A policy of its own may stand for the pods of tests.
    all.extend(policies.filter(|it| selects(it, pods)).map(|it| ("NetworkPolicy", it)));
    let spread = list(&deployment["spec"]["template"]["spec"]["topologySpreadConstraints"]);
    all.extend(spread.iter().map(|it| ("topologySpread", &it["labelSelector"]["matchLabels"])));
    let mut faults = Vec::new();
    for (kind, selector) in all {
        let keys: Vec<_> = labels(selector).into_keys().collect();
        if keys.iter().collect::<BTreeSet<_>>() != SELECTORS.iter().collect() {
            faults.push(format!("{kind} selects by {keys:?}"));
        }
        if !selects(selector, pods) {
            faults.push(format!("{kind} does not select the pods"));
        }
        let tests = rendered.all("Pod");
        if tests.iter().any(|test| selects(selector, &test["metadata"]["labels"])) {
            faults.push(format!("{kind} selects the pods of tests"));
        }
    }
    faults
}

fn is_restricted(rendered: &Rendered) -> Vec<String> {
    rendered.pods().into_iter().flat_map(restricted::faults).collect()
}

/// What we ask of pods beyond `restricted`. Containers that a user adds are the user's.
fn pods(rendered: &Rendered) -> Vec<String> {
    let mut faults = Vec::new();
    for pod in rendered.pods() {
        let spec = &pod["spec"];
        let mut fault = |is: bool, what: &str| faults.extend(is.then(|| what.to_owned()));
        fault(spec["automountServiceAccountToken"] != false, "a token is in the pod");
        fault(spec["enableServiceLinks"] != false, "enableServiceLinks is not false");
        let image = rendered.program()["image"].as_str();
        for container in list(&spec["containers"]).iter().filter(|it| it["image"].as_str() == image)
        {
            fault(
                container["securityContext"]["readOnlyRootFilesystem"] != true,
                "the root is writable",
            );
            fault(!container["resources"]["limits"]["cpu"].is_null(), "there is a CPU limit");
            fault(
                container["resources"]["limits"]["memory"].is_null(),
                "there is no limit of memory",
            );
            fault(
                container["resources"]["requests"]["cpu"].is_null(),
                "there is no request of CPU",
            );
            let env = list(&container["env"]);
            let names: BTreeSet<_> = env.iter().map(|it| it["name"].as_str()).collect();
            fault(names.len() < env.len(), "a variable is there twice");
            let written = env.iter().filter_map(|it| it.get("value"));
            fault(!written.into_iter().all(Value::is_string), "a variable is no text");
            let parts = list(&container["volumeMounts"]);
            fault(
                parts.iter().any(|it| !it["subPath"].is_null()),
                "a subPath never changes in a pod",
            );
        }
    }
    faults
}

/// What one object names of another is there.
fn references(rendered: &Rendered) -> Vec<String> {
    let names: BTreeSet<_> = rendered.names().into_iter().collect();
    let made: Vec<_> = rendered.all("ExternalSecret");
    let made: Vec<_> = made.iter().map(|it| &it["spec"]["target"]["name"]).collect();
    let mut faults = Vec::new();
    let mut wants = |kind: &str, name: &Value| {
        let name = name.as_str().unwrap_or_default();
        // Others are of the cluster's own.
        if !name.starts_with(fullname(rendered))
            || (kind == "Secret" && made.iter().any(|it| *it == name))
        {
            return;
        }
        if !names.contains(&(kind.to_owned(), name.to_owned())) {
            faults.push(format!("there is no {kind} {name}"));
        }
    };
    for pod in rendered.pods() {
        wants("ServiceAccount", &pod["spec"]["serviceAccountName"]);
        for volume in list(&pod["spec"]["volumes"]) {
            wants("ConfigMap", &volume["configMap"]["name"]);
            wants("Secret", &volume["secret"]["secretName"]);
            for source in list(&volume["projected"]["sources"]) {
                wants("ConfigMap", &source["configMap"]["name"]);
                wants("Secret", &source["secret"]["name"]);
            }
        }
        for container in list(&pod["spec"]["containers"]) {
            for variable in list(&container["env"]) {
                wants("Secret", &variable["valueFrom"]["secretKeyRef"]["name"]);
            }
        }
    }
    for scaler in rendered.all("HorizontalPodAutoscaler") {
        wants("Deployment", &scaler["spec"]["scaleTargetRef"]["name"]);
    }
    for pod in rendered.pods() {
        faults.extend(mounts(&pod["spec"]));
    }
    faults
}

/// Every volume is mounted, and what is mounted is there.
fn mounts(spec: &Value) -> Vec<String> {
    let volumes: BTreeSet<_> =
        list(&spec["volumes"]).iter().map(|it| it["name"].as_str()).collect();
    let containers = list(&spec["containers"]).iter().chain(list(&spec["initContainers"]));
    let mounted: BTreeSet<_> =
        containers.flat_map(|it| list(&it["volumeMounts"])).map(|it| it["name"].as_str()).collect();
    let odd = volumes.symmetric_difference(&mounted);
    odd.map(|it| format!("{it:?} is a volume or mounted, not both")).collect()
}

/// The program can leave in peace before it is killed.
fn grace(rendered: &Rendered) -> Vec<String> {
    let drain = rendered.config.as_ref().map(|config| &config["server"]["drain"]);
    let written = |key: &str, default: u64| {
        let text = drain.and_then(|drain| drain[key].as_str());
        text.map_or(default, |text| humantime::parse_duration(text).unwrap().as_secs())
    };
    let needed = written("delay", 5) + written("timeout", 30) + 10;
    let grace = rendered.pod()["terminationGracePeriodSeconds"].as_u64().unwrap_or(30);
    let short = (grace < needed).then(|| format!("{grace} s of grace, {needed} s are needed"));
    short.into_iter().collect()
}
