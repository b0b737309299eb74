//! The pods that serve: image, threads, files, and what makes them go.

use serde_json::{Value, json};

use super::driver::{Chart, Rendered, list};

const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

#[test]
fn a_digest_goes_over_a_tag_and_the_tag_is_by_itself_the_version() {
    let Some(chart) = Chart::ours() else { return };
    let version = env!("CARGO_PKG_VERSION");
    for (image, expected) in [
        (json!({}), format!("ghcr.io/holdline/holdline:{version}")),
        (json!({"tag": "9.9.9"}), "ghcr.io/holdline/holdline:9.9.9".to_owned()),
        (json!({"tag": "9.9.9", "digest": DIGEST}), format!("ghcr.io/holdline/holdline@{DIGEST}")),
        (json!({"repository": "registry:5000/x"}), format!("registry:5000/x:{version}")),
    ] {
        let rendered = chart.with(json!({"image": image}));
        for pod in rendered.pods() {
            assert_eq!(pod["spec"]["containers"][0]["image"], expected);
        }
    }
}

#[test]
fn threads_are_as_many_as_the_request_of_cpu_unless_a_number_is_set() {
    let Some(chart) = Chart::ours() else { return };
    let by_itself = chart.with(json!({}));
    let source = &by_itself.env("TOKIO_WORKER_THREADS").unwrap()["valueFrom"]["resourceFieldRef"];
    assert_eq!(source["resource"], "requests.cpu");
    let set = chart.with(json!({"runtime": {"workerThreads": 3}}));
    assert_eq!(set.env("TOKIO_WORKER_THREADS").unwrap()["value"], "3");
    let own = json!({"extraEnv": [{"name": "TOKIO_WORKER_THREADS", "value": "5"}]});
    let own = chart.with(own);
    assert_eq!(own.env("TOKIO_WORKER_THREADS").unwrap()["value"], "5");
    assert_eq!(super::checks::faults(&own), Vec::<String>::new());
}

fn annotations(rendered: &Rendered) -> &Value {
    &rendered.the("Deployment")["spec"]["template"]["metadata"]["annotations"]
}

#[test]
fn a_changed_configuration_rolls_the_pods_only_when_asked_to() {
    let Some(chart) = Chart::ours() else { return };
    let of = |reload: &str, level: &str| {
        let config = format!("version: 1\ntelemetry: {{log: {{level: {level}}}}}\n");
        annotations(&chart.with(json!({"configReload": reload, "config": config}))).clone()
    };
    assert_eq!(of("hot", "info"), of("hot", "warn"));
    assert!(of("hot", "info")["checksum/config"].is_null());
    assert_eq!(of("restart", "info"), of("restart", "info"));
    assert_ne!(of("restart", "info")["checksum/config"], of("restart", "warn")["checksum/config"]);
    assert!(of("restart", "info")["checksum/config"].is_string());
}

#[test]
fn a_new_version_of_the_chart_alone_changes_no_selector() {
    let Some(chart) = Chart::ours() else { return };
    let version = concat!("\nversion: ", env!("CARGO_PKG_VERSION"));
    let newer = chart.edited("Chart.yaml", version, "\nversion: 99.0.0");
    let of = |chart: &Chart| chart.with(json!({})).the("Deployment")["spec"]["selector"].clone();
    assert_eq!(of(&chart), of(&newer));
}

/// The mount and the volume of that mount path.
fn mounted(rendered: &Rendered, path: &str) -> (Value, Value) {
    let mounts = list(&rendered.program()["volumeMounts"]);
    let mount = mounts.iter().find(|it| it["mountPath"] == path).unwrap().clone();
    let volumes = list(&rendered.pod()["volumes"]);
    (mount.clone(), volumes.iter().find(|it| it["name"] == mount["name"]).unwrap().clone())
}

#[test]
fn secrets_are_files_that_only_the_program_reads() {
    let Some(chart) = Chart::ours() else { return };
    for (secrets, name) in [
        (json!({"existingSecret": "mine"}), "mine"),
        (json!({"values": {"admin-token": "x"}}), super::driver::FULLNAME),
    ] {
        let rendered = chart.with(json!({"secrets": secrets}));
        let (mount, volume) = mounted(&rendered, "/etc/holdline/secrets");
        assert_eq!(mount["readOnly"], true);
        assert_eq!(volume["secret"]["secretName"], name);
        assert_eq!(volume["secret"]["defaultMode"], 0o440);
    }
    let text = "a: b\n  'c\u{fc}\n";
    let rendered = chart.with(json!({"secrets": {"values": {"admin-token": text}}}));
    let secret = rendered.the("Secret");
    let written = secret["stringData"]["admin-token"].as_str().map(str::to_owned);
    let coded = || secret["data"]["admin-token"].as_str().unwrap().to_owned();
    let decoded = |coded: String| {
        use base64::{Engine as _, engine::general_purpose::STANDARD};
        String::from_utf8(STANDARD.decode(coded).unwrap()).unwrap()
    };
    assert_eq!(written.unwrap_or_else(|| decoded(coded())), text);
}

#[test]
fn certificates_of_ones_own_are_added_to_those_of_the_image() {
    let Some(chart) = Chart::ours() else { return };
    let rendered =
        chart.with(json!({"caBundle": {"existingConfigMap": "roots", "key": "all.pem"}}));
    let volumes = list(&rendered.pod()["volumes"]);
    assert!(volumes.iter().any(|it| it.to_string().contains("roots")), "{volumes:?}");
    let folder = rendered.env("SSL_CERT_DIR").expect("it says where they are")["value"].clone();
    mounted(&rendered, folder.as_str().unwrap().split(':').next_back().unwrap());
    assert!(chart.with(json!({})).env("SSL_CERT_DIR").is_none());
}

#[test]
fn additions_of_a_user_are_in_the_pods_as_they_are_written() {
    let Some(chart) = Chart::ours() else { return };
    let (volume, mount) =
        (json!({"name": "x", "emptyDir": {}}), json!({"name": "x", "mountPath": "/x"}));
    let beside = json!({"name": "beside", "image": "beside:1"});
    let rendered = chart.with(json!({
        "extraEnv": [{"name": "GENESYS_REGION", "value": "eu-west-1"}],
        "extraEnvFrom": [{"secretRef": {"name": "more"}}],
        "extraArgs": ["--more"], "extraVolumes": [volume], "extraVolumeMounts": [mount],
        "extraContainers": [beside], "initContainers": [beside],
        "commonLabels": {"team": "voice"}, "commonAnnotations": {"owner": "ops"},
        "podLabels": {"tier": "edge"}, "podAnnotations": {"note": "n"},
        "nodeSelector": {"disk": "fast"}, "tolerations": [{"key": "edge", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {}}, "priorityClassName": "high",
        "imagePullSecrets": [{"name": "registry"}], "lifecycle": {},
        "topologySpreadConstraints": [{"maxSkew": 2, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}],
    }));
    let (pod, program) = (rendered.pod(), rendered.program());
    assert_eq!(rendered.env("GENESYS_REGION").unwrap()["value"], "eu-west-1");
    assert_eq!(program["envFrom"][0]["secretRef"]["name"], "more");
    assert_eq!(list(&program["args"]).last().unwrap(), "--more");
    assert!(
        list(&pod["volumes"]).contains(&volume) && list(&program["volumeMounts"]).contains(&mount)
    );
    assert!(
        list(&pod["containers"]).contains(&beside)
            && list(&pod["initContainers"]).contains(&beside)
    );
    assert_eq!(pod["nodeSelector"]["disk"], "fast");
    assert_eq!(pod["tolerations"][0]["key"], "edge");
    assert_eq!(pod["affinity"], json!({"nodeAffinity": {}}));
    assert_eq!(pod["priorityClassName"], "high");
    assert_eq!(pod["imagePullSecrets"][0]["name"], "registry");
    assert_eq!(pod["topologySpreadConstraints"][0]["maxSkew"], 2);
    let made = &rendered.the("Deployment")["spec"]["template"]["metadata"];
    assert_eq!(
        (&made["labels"]["tier"], &made["labels"]["team"]),
        (&json!("edge"), &json!("voice"))
    );
    assert_eq!(made["annotations"]["note"], "n");
    for (template, object) in &rendered.objects {
        assert_eq!(object["metadata"]["labels"]["team"], "voice", "{template}");
        assert_eq!(object["metadata"]["annotations"]["owner"], "ops", "{template}");
    }
}

#[test]
fn the_token_of_a_test_is_there_once_and_is_the_test_s_own() {
    let Some(chart) = Chart::ours() else { return };
    let token = |value: &str| json!({"name": "HOLDLINE_TOKEN", "value": value});
    let action = json!({"name": "a", "tokenSecret": {"name": "mine"}});
    let rendered = chart.with(json!({"extraEnv": [token("another")], "tests": {"action": action}}));
    let test = rendered.named("Pod", "shop-holdline-test-action");
    let env = list(&test["spec"]["containers"][0]["env"]);
    let tokens: Vec<_> = env.iter().filter(|it| it["name"] == "HOLDLINE_TOKEN").collect();
    assert_eq!(tokens.len(), 1, "{env:?}");
    assert_eq!(tokens[0]["valueFrom"]["secretKeyRef"]["name"], "mine");
}

#[test]
fn nothing_that_is_made_of_a_secret_stands_outside_of_it() {
    let Some(chart) = Chart::ours() else { return };
    let of = |reload: &str, secret: &str| {
        let values = json!({"configReload": reload, "secrets": {"values": {"key": secret}}});
        chart.with(values).the("Deployment").clone()
    };
    for reload in ["hot", "restart"] {
        assert_eq!(of(reload, "one"), of(reload, "another"));
    }
}

#[test]
fn a_rollout_takes_no_pod_away_before_another_is_ready() {
    let Some(chart) = Chart::ours() else { return };
    let rendered = chart.with(json!({}));
    let spec = &rendered.the("Deployment")["spec"];
    assert_eq!(spec["strategy"]["rollingUpdate"]["maxUnavailable"], 0);
    assert_eq!(spec["minReadySeconds"], 5);
    let at_once = chart.with(json!({"strategy": {"type": "Recreate"}}));
    assert_eq!(at_once.the("Deployment")["spec"]["strategy"], json!({"type": "Recreate"}));
}
