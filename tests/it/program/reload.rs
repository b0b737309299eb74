//! What makes the running program read its configuration anew, and what it tells.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    time::Duration,
};

use holdline::{
    catalog::upstream::{Pool, Way},
    client::{Client, Transport},
    tls::Roots,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{
    eventually,
    issuer::Issuer,
    papers::Papers,
    service::{CACHED, FILE, Outside, Service, Wish},
};

const UNKNOWN: &str = "default: Unknown User";

/// The lines of the log so far in which `key` stands, as what stands there.
fn told(service: &Service, key: &str) -> Vec<String> {
    let text = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap_or_default();
        line[key].as_str().map(str::to_owned)
    };
    service.program.out().lines().filter_map(text).collect()
}

/// Waits for the line with `key` after as many as there were before, or for several.
async fn next_told<const N: usize>(service: &Service, key: &str, before: usize) -> [String; N] {
    eventually(format_args!("{N} lines with {key} in {:?}", service.program), async || {
        told(service, key).get(before..before + N)?.to_vec().try_into().ok()
    })
    .await
}

/// Waits for a reload to end so, as often as it must have by now.
async fn until_reloads(service: &Service, result: &str, times: f64) {
    let series = format!("holdline_config_reloads_total{{result=\"{result}\"}}");
    eventually(format_args!("{series} in {:?}", service.program), async || {
        (service.metric(&series).await? >= times).then_some(())
    })
    .await;
    assert_eq!(service.metric(&series).await, Some(times), "{:?}", service.program);
}

/// What customer 1 is called.
async fn name(service: &Service) -> String {
    let answer = service.call("customer-lookup", 1).send().await.unwrap();
    let answer: Value = answer.json().await.unwrap();
    answer["data"]["full_name"].as_str().unwrap_or_default().to_owned()
}

/// The action, with this for the full name.
fn yaml(outside: &Outside, full_name: &str) -> String {
    outside.yaml(&Wish::default()).replace("from: $.name", &format!("from: {full_name}"))
}

#[tokio::test]
async fn an_edited_file_changes_what_is_answered_without_a_restart() {
    let outside = Outside::start().await;
    let service = Service::start(&yaml(&outside, "$.name"), &[]).await;
    let before = name(&service).await;
    assert!(!before.contains('@'), "{before}");
    service.write(&yaml(&outside, "$.email"));
    eventually("an answer by the new file", async || {
        name(&service).await.contains('@').then_some(())
    })
    .await;
    assert_eq!(
        next_told(&service, "change", 0).await,
        ["actions.customer-lookup.output.full_name.from: $.name -> $.email"]
    );
    until_reloads(&service, "applied", 1.0).await;
    let [_] = next_told(&service, "cause", 0).await;
    assert_eq!(told(&service, "cause"), ["file"]);
    let (status, text) = service.get(service.admin, "/config").await;
    assert_eq!(status, 200);
    let shown: Value = serde_json::from_str(&text).unwrap();
    let shown = &shown["written"]["actions.customer-lookup.output.full_name.from"];
    assert_eq!(shown, "$.email");
    service.terminated().await;
}

/// Files below `..data` as kubelet lays them out: a folder for each version, symlinks for the rest.
struct Volume {
    folder: TempDir,
}

impl Volume {
    fn of(yaml: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let volume = Self { folder };
        volume.lay("..1", yaml);
        symlink("..1", volume.path("..data")).unwrap();
        symlink(Path::new("..data").join(FILE), volume.path(FILE)).unwrap();
        volume
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn lay(&self, version: &str, yaml: &str) {
        fs::create_dir(self.path(version)).unwrap();
        fs::write(self.path(version).join(FILE), yaml).unwrap();
    }
}

#[tokio::test]
async fn the_swapped_symlink_of_a_config_map_is_seen() {
    let outside = Outside::start().await;
    let volume = Volume::of(&yaml(&outside, "$.name"));
    volume.lay("..2", &yaml(&outside, "$.email"));
    let folder = volume.folder.path().to_owned();
    let service = Service::serve(volume.folder, &[]).await;
    assert!(!name(&service).await.contains('@'));
    symlink("..2", folder.join("..data_tmp")).unwrap();
    fs::rename(folder.join("..data_tmp"), folder.join("..data")).unwrap();
    fs::remove_dir_all(folder.join("..1")).unwrap();
    eventually("an answer by the new version", async || {
        name(&service).await.contains('@').then_some(())
    })
    .await;
    until_reloads(&service, "applied", 1.0).await;
    until_reloads(&service, "refused", 0.0).await;
    service.terminated().await;
}

#[tokio::test]
async fn sighup_reads_at_once_and_says_so_where_nothing_changed() {
    let outside = Outside::start().await;
    let service = Service::start(&yaml(&outside, "$.name"), &[]).await;
    service.program.signal("HUP");
    until_reloads(&service, "unchanged", 1.0).await;
    let [_] = next_told(&service, "cause", 0).await;
    assert_eq!(told(&service, "cause"), ["signal"]);
    service.write(&yaml(&outside, "$.email"));
    service.program.signal("HUP");
    until_reloads(&service, "applied", 1.0).await;
    assert!(name(&service).await.contains('@'));
    service.program.signal("HUP");
    until_reloads(&service, "unchanged", 2.0).await;
    assert_eq!(service.terminated().await.code, Some(0));
}

#[tokio::test]
async fn a_broken_file_changes_nothing_is_told_once_and_can_be_mended() {
    let outside = Outside::start().await;
    let good = yaml(&outside, "$.name");
    let service = Service::start(&good, &[]).await;
    let before = name(&service).await;
    let successful = "holdline_config_last_reload_successful";
    assert_eq!(service.metric(successful).await, Some(1.0));

    service.write(&good.replace("required: true", "requird: true").replace("GET", "GETT"));
    let problems: [_; 2] = next_told(&service, "problem", 0).await;
    let places: Vec<_> = problems.iter().map(|line| line.split(' ').nth(1).unwrap()).collect();
    let action = "actions.customer-lookup";
    assert_eq!(
        places,
        [format!("{action}.input.customer_id.requird:"), format!("{action}.request.method:")]
    );
    assert!(problems[0].contains(&format!("{FILE}:16:")), "{problems:?}");
    assert_eq!(service.metric(successful).await, Some(0.0));
    assert_eq!(name(&service).await, before);

    service.write("version: [");
    let [problem] = next_told(&service, "problem", 2).await;
    assert!(problem.contains("is not YAML"), "{problem}");
    until_reloads(&service, "refused", 2.0).await;

    service.write(&good.replace(UNKNOWN, "default: Somebody"));
    until_reloads(&service, "applied", 1.0).await;
    assert_eq!(service.metric(successful).await, Some(1.0));
    let [_] = next_told(&service, "change", 0).await;
    assert_eq!(
        told(&service, "change"),
        ["actions.customer-lookup.output.full_name.default: Unknown User -> Somebody"],
        "compared with what was in force, not with what was refused"
    );
    service.terminated().await;
}

#[tokio::test]
async fn a_rotated_secret_counts_at_once_is_never_told_and_leaves_the_cache_alone() {
    const OLD: &str = "old-key-7d1c0a52";
    const NEW: &str = "new-key-e94b63f8";
    let outside = Outside::start().await;
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key");
    fs::write(&key, OLD).unwrap();
    let callers = format!(
        "callers:\n  portal: {{type: api_key, keys: {{ivr: '${{file:{}}}'}}}}\n",
        key.display()
    );
    let action = format!("    caller: portal\n{CACHED}");
    let yaml = outside
        .yaml(&Wish { action: CACHED, ..Wish::default() })
        .replace("callers:\n", &callers)
        .replace("    caller: genesys\n", "")
        .replace(CACHED, &action);
    fs::write(folder.path().join(FILE), yaml).unwrap();
    let service = Service::serve(folder, &[]).await;
    let status = async |key: &str| {
        let body = json!({"data": {"customer_id": 1}});
        let call = service.client.post(service.url("customer-lookup")).json(&body);
        call.header("X-Api-Key", key).send().await.unwrap().status().as_u16()
    };
    assert_eq!((status(OLD).await, status(NEW).await), (200, 403));
    assert_eq!(outside.crm.site.counts().requests, 1);

    fs::write(&key, NEW).unwrap();
    eventually("the new key", async || (status(NEW).await == 200).then_some(())).await;
    assert_eq!(status(OLD).await, 403);
    assert_eq!(outside.crm.site.counts().requests, 1, "answered from the cache");
    assert_eq!(
        next_told(&service, "change", 0).await,
        ["callers.portal.keys.ivr: changed (secret)"]
    );
    let (_, config) = service.get(service.admin, "/config").await;
    assert!(config.contains(r#""callers.portal.keys.ivr":"(secret)""#), "{config}");

    // Gone, it is refused with its path; back again, that is mended.
    fs::remove_file(&key).unwrap();
    let [problem] = next_told(&service, "problem", 0).await;
    assert!(problem.contains("cannot be read (entity not found)"), "{problem}");
    assert_eq!(status(NEW).await, 200);
    fs::write(&key, NEW).unwrap();
    until_reloads(&service, "unchanged", 1.0).await;

    let ended = service.terminated().await;
    for text in [&ended.out, &ended.err, &config] {
        assert!(!text.contains(OLD) && !text.contains(NEW), "{text}");
    }
}

/// What an operator is told over TLS by a service whose certificate that authority has issued; none
/// where another has.
async fn called_over_tls(service: &Service, authority: &Issuer) -> Option<u16> {
    let roots = Roots::of_pem(authority.pem.as_bytes()).unwrap();
    let way = Way { roots: Some(roots), ..Way::default() };
    let pool = Pool { idle: 0, idle_timeout: Duration::from_secs(1) };
    let client = Client::along(&way, Duration::from_secs(2), pool, &Transport::Network).unwrap();
    let url = service.url("customer-lookup").replace("http:", "https:");
    Some(client.network().get(url).send().await.ok()?.status().as_u16())
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_to_who_connects_next() {
    let (before, after, papers) = (Issuer::new(), Issuer::new(), Papers::new());
    let members = papers.identity("server", &before.issue(&["127.0.0.1"]));
    let server = format!("drain: {{delay: 0s, timeout: 5s}}, tls: {{{members}}}");
    let wish = Wish { server: &server, ..Wish::default() };
    let service = Service::start(&Outside::start().await.yaml(&wish), &[]).await;
    assert_eq!(called_over_tls(&service, &before).await, Some(405));
    assert_eq!(called_over_tls(&service, &after).await, None);
    papers.identity("server", &after.issue(&["127.0.0.1"]));
    eventually("the new certificate", async || called_over_tls(&service, &after).await).await;
    assert_eq!(called_over_tls(&service, &before).await, None);
    let told: [_; 2] = next_told(&service, "change", 0).await;
    assert_eq!(
        told,
        ["certificate", "key"].map(|key| { format!("server.tls.{key}: the file has changed") })
    );
    service.terminated().await;
}

#[tokio::test]
async fn what_takes_a_restart_is_refused_with_all_that_stands_beside_it() {
    let outside = Outside::start().await;
    let good = yaml(&outside, "$.name");
    let service = Service::start(&good, &[]).await;
    let other = r#"server: {listen: "127.0.0.2:0""#;
    let listen = r#"server: {listen: "127.0.0.1:0""#;
    service.write(&yaml(&outside, "$.email").replace(listen, other));
    let problems: [_; 1] = next_told(&service, "problem", 0).await;
    assert_eq!(problems, ["server.listen: takes a restart"]);
    until_reloads(&service, "refused", 1.0).await;
    assert!(!name(&service).await.contains('@'));
    service.write(&yaml(&outside, "$.email"));
    until_reloads(&service, "applied", 1.0).await;
    assert!(name(&service).await.contains('@'));
    service.terminated().await;
}
