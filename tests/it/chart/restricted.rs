//! The Pod Security Standard `restricted`, with all of `baseline` that it contains, as its page has it:
//! <https://kubernetes.io/docs/concepts/security/pod-security-standards/>.

use serde_json::Value;

use super::driver::list;

/// The volumes a pod may have.
const VOLUMES: [&str; 8] = [
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
];
/// The sysctls a pod may set.
const SYSCTLS: [&str; 9] = [
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.ping_group_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_rmem",
];

/// What a pod does that it may not.
pub(super) fn faults(pod: &Value) -> Vec<String> {
    let spec = &pod["spec"];
    let mut faults = Vec::new();
    for key in ["hostNetwork", "hostPID", "hostIPC"] {
        faults.extend((spec[key] == true).then(|| format!("{key} is true")));
    }
    for volume in list(&spec["volumes"]) {
        let kinds = volume.as_object().into_iter().flatten().map(|(key, _)| key.as_str());
        let wrong = kinds.filter(|kind| *kind != "name" && !VOLUMES.contains(kind));
        faults.extend(wrong.map(|kind| format!("a volume is a {kind}")));
    }
    for sysctl in list(&spec["securityContext"]["sysctls"]) {
        let name = sysctl["name"].as_str().unwrap_or_default();
        faults.extend((!SYSCTLS.contains(&name)).then(|| format!("it sets {name}")));
    }
    settings(&spec["securityContext"], "the pod", &mut faults);
    for key in ["initContainers", "containers", "ephemeralContainers"] {
        for container in list(&spec[key]) {
            of_container(container, &spec["securityContext"], &mut faults);
        }
    }
    faults
}

/// What may stand neither at a pod nor at a container.
fn settings(context: &Value, whose: &str, faults: &mut Vec<String>) {
    let mut fault = |is: bool, what: &str| faults.extend(is.then(|| format!("{whose}: {what}")));
    fault(context["runAsUser"] == 0, "runAsUser is 0");
    fault(context["runAsNonRoot"] == false, "runAsNonRoot is false");
    fault(context["seccompProfile"]["type"] == "Unconfined", "seccomp is unconfined");
    fault(context["appArmorProfile"]["type"] == "Unconfined", "AppArmor is unconfined");
    fault(context["windowsOptions"]["hostProcess"] == true, "hostProcess is true");
    let selinux = &context["seLinuxOptions"];
    fault(
        !selinux["user"].is_null() || !selinux["role"].is_null(),
        "seLinuxOptions has user or role",
    );
    let allowed = ["container_t", "container_init_t", "container_kvm_t", "container_engine_t"];
    let kind = selinux["type"].as_str().unwrap_or(allowed[0]);
    fault(!allowed.contains(&kind), "seLinuxOptions has a type of its own");
}

fn of_container(container: &Value, pods: &Value, faults: &mut Vec<String>) {
    let name = container["name"].as_str().unwrap_or_default();
    let context = &container["securityContext"];
    settings(context, name, faults);
    let mut fault = |is: bool, what: &str| faults.extend(is.then(|| format!("{name}: {what}")));
    let either =
        |key: &str| if context[key].is_null() { pods[key].clone() } else { context[key].clone() };
    fault(either("runAsNonRoot") != true, "runAsNonRoot is not true");
    let seccomp = either("seccompProfile");
    fault(
        seccomp["type"] != "RuntimeDefault" && seccomp["type"] != "Localhost",
        "seccomp is not set",
    );
    fault(context["privileged"] == true, "privileged is true");
    fault(context["allowPrivilegeEscalation"] != false, "allowPrivilegeEscalation is not false");
    let capabilities = &context["capabilities"];
    fault(!list(&capabilities["drop"]).contains(&Value::from("ALL")), "it does not drop ALL");
    let added = list(&capabilities["add"]).iter().all(|it| it == "NET_BIND_SERVICE");
    fault(!added, "it adds capabilities");
    let mount = context["procMount"].as_str().unwrap_or("Default");
    fault(mount != "Default", "procMount is not Default");
    let on_host = |port: &Value| port["hostPort"].as_u64().is_some_and(|number| number > 0);
    fault(list(&container["ports"]).iter().any(on_host), "it has a hostPort");
    for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
        for how in ["httpGet", "tcpSocket"] {
            fault(!container[probe][how]["host"].is_null(), "a probe names a host");
        }
    }
    for hook in ["postStart", "preStop"] {
        for how in ["httpGet", "tcpSocket"] {
            fault(!container["lifecycle"][hook][how]["host"].is_null(), "a hook names a host");
        }
    }
}
