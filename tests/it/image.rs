//! The image without an image: its Dockerfile, and what `make image` would say of a wrong one.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use serde_json::{Value, json};

use crate::support::program::from_pypi;

#[path = "../image/form.rs"]
mod form;

use form::{Binary, Crates, Entry, MOST};

fn text(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    fs::read_to_string(path).expect("it is a file of this repository")
}

/// The only word behind this one in a line of a file that begins so.
fn behind<'a>(text: &'a str, begin: &str) -> &'a str {
    let line = text.lines().find_map(|line| line.strip_prefix(begin));
    line.expect("there is such a line").trim_matches('"')
}

/// What a good image says of itself.
fn config() -> Value {
    let labels = ["title", "description", "licenses", "version", "revision", "created", "source"];
    let label = |name: &&str| (format!("org.opencontainers.image.{name}"), "1.2.3");
    let labels: BTreeMap<_, _> = labels.iter().map(label).collect();
    json!({
        "User": "65532:65532",
        "Entrypoint": ["/holdline"],
        "Cmd": ["serve"],
        "StopSignal": "SIGTERM",
        "ExposedPorts": {"8080/tcp": {}, "9090/tcp": {}},
        "Healthcheck": {"Test": ["CMD", "/holdline", "probe", "--ready"]},
        "Env": ["SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt"],
        "Labels": labels,
    })
}

/// What is in a good image.
fn entries() -> Vec<Entry> {
    let entry = |path: &str, mode, bytes| Entry { path: path.to_owned(), mode, owner: 0, bytes };
    vec![
        entry("/etc", 0o755, 0),
        entry("/etc/ssl", 0o755, 0),
        entry("/etc/ssl/certs", 0o755, 0),
        entry("/etc/ssl/certs/ca-certificates.crt", 0o644, 200_000),
        entry("/holdline", 0o555, 23_000_000),
    ]
}

/// The texts of those that do not hold.
fn broken(claims: Vec<form::Claim>) -> Vec<String> {
    claims.into_iter().filter(|claim| !claim.holds).map(|claim| claim.to_string()).collect()
}

fn crates(names: &[&str]) -> Crates {
    names.iter().map(|name| ((*name).to_owned(), "1.0.0".to_owned())).collect()
}

#[test]
fn hadolint_has_nothing_to_say_about_the_dockerfile() {
    let Some(hadolint) = from_pypi("hadolint") else { return };
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/Dockerfile");
    let ended = Command::new(hadolint).arg("--no-color").arg(file).output().expect("it runs");
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stdout));
}

#[test]
fn the_dockerfile_takes_the_compiler_and_the_version_of_the_repository() {
    let (dockerfile, manifest) = (text("deploy/Dockerfile"), text("Cargo.toml"));
    let toolchain = text("rust-toolchain.toml");
    let wanted = format!("rust:{}-slim-bookworm", behind(&toolchain, "channel = "));
    // A digest may follow.
    assert!(behind(&dockerfile, "ARG RUST=").starts_with(&wanted), "wanted {wanted}");
    assert_eq!(behind(&dockerfile, "ARG VERSION="), env!("CARGO_PKG_VERSION"));
    let description = behind(&manifest, "description = ");
    assert!(dockerfile.contains(&format!("image.description=\"{description}\"")), "{description}");
}

#[test]
fn a_good_image_is_good() {
    assert_eq!(broken(form::account(&config(), "1.2.3", true)), [""; 0]);
    assert_eq!(broken(form::content(&entries())), [""; 0]);
}

#[test]
fn an_image_that_runs_as_root_is_refused() {
    for user in ["", "root", "0", "65532"] {
        let mut config = config();
        config["User"] = user.into();
        let said = broken(form::account(&config, "1.2.3", true));
        assert_eq!(said.len(), 1, "{user}: {said:?}");
        assert!(said[0].starts_with("BROKEN  User is"), "{said:?}");
    }
}

#[test]
fn an_image_without_one_of_its_words_is_refused() {
    let whole = config();
    for name in whole.as_object().expect("it is one").keys() {
        let mut config = config();
        config[name] = Value::Null;
        assert_eq!(broken(form::account(&config, "1.2.3", true)).len(), 1, "{name}");
    }
    let mut unlabelled = whole;
    unlabelled["Labels"]["org.opencontainers.image.source"] = "".into();
    let said = broken(form::account(&unlabelled, "1.2.3", true));
    assert!(said[0].ends_with(r#"missing: ["source"]"#), "{said:?}");
    assert_eq!(broken(form::account(&config(), "1.2.4", true)).len(), 1);
    let mut untraced = config();
    untraced["Labels"]["org.opencontainers.image.revision"] = json!("unknown");
    assert_eq!(broken(form::account(&untraced, "1.2.3", true)).len(), 1);
    assert_eq!(broken(form::account(&untraced, "1.2.3", false)), [""; 0]);
}

#[test]
fn an_image_over_its_size_is_refused() {
    let mut entries = entries();
    entries[4].bytes = MOST - 200_000;
    assert_eq!(broken(form::content(&entries)), [""; 0]);
    entries[4].bytes += 1;
    assert_eq!(broken(form::content(&entries)).len(), 1);
}

#[test]
fn an_image_with_a_shell_or_a_loose_file_is_refused() {
    let mut shell = entries();
    shell.push(Entry { path: "/bin/sh".to_owned(), mode: 0o755, owner: 0, bytes: 1 });
    let said = broken(form::content(&shell));
    assert!(said.len() == 1 && said[0].contains("no shell"), "{said:?}");
    for (mode, owner) in [(0o757, 0), (0o775, 0), (0o555, 65532)] {
        let mut loose = entries();
        (loose[4].mode, loose[4].owner) = (mode, owner);
        let said = broken(form::content(&loose));
        assert!(said.len() == 1 && said[0].contains("only root"), "{said:?}");
    }
}

#[test]
fn a_binary_that_wants_a_loader_is_known() {
    // The tests' own program is built for this machine alone.
    let file = fs::read(env!("CARGO_BIN_EXE_holdline")).expect("it is built");
    let binary = Binary::read(&file).expect("it is one of 64 bits");
    assert!(binary.interpreter && binary.symbols);
    assert_eq!(binary.dependencies, None);
    assert_eq!(Binary::read(&file[..100]), None);
    assert_eq!(Binary::read(b"#!/bin/sh\n"), None);
}

#[test]
fn a_bill_that_leaves_out_a_crate_is_refused() {
    let names: Vec<String> = (0..101).map(|number| format!("crate-{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let package = |name: &&str| format!("name = \"{name}\"\nversion = \"1.0.0\"\n");
    let lock: String = names.iter().map(package).collect();
    let all = crates(&names);
    assert!(form::bills(&all, &all, &lock).holds);
    let said = form::bills(&all, &crates(&names[1..]), &lock);
    assert!(!said.holds && said.text.contains(r#"not in the bill: [("crate-0""#), "{said}");
    assert!(!form::bills(&all, &all, &lock.replace("1.0.0", "1.0.1")).holds);
    assert!(!form::bills(&Crates::new(), &all, &lock).holds);
}

#[test]
fn what_only_helped_to_build_is_not_linked() {
    let list = json!({"packages": [
        {"name": "a", "version": "1.0.0"},
        {"name": "b", "version": "1.0.0", "kind": "build"},
        {"name": "holdline", "version": "1.0.0", "root": true},
    ]});
    assert_eq!(form::linked(&list), crates(&["a"]));
    let bill =
        json!({"components": [{"name": "a", "version": "1.0.0", "purl": "pkg:cargo/a@1.0.0"}]});
    assert_eq!(form::billed(&bill), crates(&["a"]));
}
