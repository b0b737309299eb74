//! The configurations of `deploy/examples`: checked, explained and exported as they stand there, then
//! called as Genesys Cloud calls them.
#![expect(clippy::unwrap_used, reason = "where this fails, the test has failed")]

mod bank;
mod crm;
mod pages;
mod tickets;

use std::{
    fs,
    path::{Path, PathBuf},
};

use holdline::demo::{
    crm::{CrmSettings, FakeCrm},
    fault::{Fault, Standing},
    record::Seen,
};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{
    issuer::Issuer,
    program::Program,
    service::{FILE, Service},
};

/// Where an example looks for its secrets and certificates.
const HOUSE: &str = "/etc/holdline";
/// Where all listeners of an example go that names none.
const LISTENERS: &str = "\nserver: {listen: \"127.0.0.1:0\"}\n\
    probes: {listen: \"127.0.0.1:0\"}\nadmin: {listen: \"127.0.0.1:0\"}\n";

/// A configuration as it stands in a page or an example, with a folder in the place of [`HOUSE`] that
/// holds every file that it names.
#[derive(Debug)]
pub(crate) struct Copied {
    folder: TempDir,
    text: String,
    /// Contents of secret files.
    secrets: Vec<String>,
}

impl Copied {
    /// A copy. Secrets are as [`secret`] has them; certificates are all of one issuer.
    pub(crate) fn of(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let house = folder.path().join("house");
        let (issuer, mut secrets) = (Issuer::new(), Vec::new());
        let issued = issuer.issue(&["127.0.0.1"]);
        for (at, _) in text.match_indices(HOUSE) {
            let rest = &text[at + HOUSE.len() + 1..];
            let name = rest.split(|c: char| !(c.is_ascii_alphanumeric() || "-./".contains(c)));
            let name = Path::new(name.into_iter().next().unwrap());
            let stem = name.file_stem().unwrap().to_str().unwrap();
            let pem = name.extension().is_some();
            let content = match stem {
                _ if !pem => secret(stem),
                _ if stem.ends_with("-ca") => issuer.pem.clone(),
                _ if stem.ends_with("-key") || name.ends_with("tls.key") => issued.key.clone(),
                _ => issued.chain.clone(),
            };
            secrets.extend((!pem).then(|| content.clone()));
            let file = house.join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, format!("{content}\n")).unwrap();
        }
        let text = text.replace(HOUSE, house.to_str().unwrap());
        fs::write(folder.path().join(FILE), &text).unwrap();
        Self { folder, text, secrets }
    }

    /// The configuration's file.
    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join(FILE)
    }

    /// Writes another file in the place of one below [`HOUSE`].
    fn put(&self, name: &str, content: &str) {
        let file = self.folder.path().join("house").join(name);
        assert!(file.is_file(), "the example names no {name}");
        fs::write(file, content).unwrap();
    }

    /// Checks strictly that the program finds nothing to say about it.
    async fn is_checked(&self, actions: usize, env: &[(&str, &str)]) {
        let file = self.file();
        let file = file.to_str().unwrap();
        let ended = Program::run(&["check", "--strict", "-c", file], env).await;
        assert_eq!((ended.code, &*ended.err), (Some(0), ""), "{}", self.text);
        let s = if actions == 1 { "" } else { "s" };
        assert_eq!(ended.out, format!("{file}: {actions} action{s}, 0 warnings\n"));
    }

    /// Checks that each of these actions, which are all, is explained, and that all is exported
    /// without a secret.
    async fn is_told(&self, actions: &[&str], env: &[(&str, &str)]) {
        let file = self.file();
        let file = file.to_str().unwrap();
        for action in actions {
            let ended = Program::run(&["explain", action, "-c", file], env).await;
            assert_eq!((ended.code, &*ended.err), (Some(0), ""), "{action}");
            assert!(ended.out.starts_with(&format!("{action}: ")), "{}", ended.out);
            self.tells_no_secret(&ended.out);
        }
        let out = tempfile::tempdir().unwrap();
        for (kind, expected) in [
            ("openapi", vec!["openapi.json".to_owned()]),
            ("genesys", actions.iter().map(|name| format!("{name}.custom.json")).collect()),
            ("terraform", vec!["holdline.tf".to_owned(), "variables.tf".to_owned()]),
        ] {
            let to = out.path().join(kind);
            let url = "https://holdline.example.com";
            let to_text = to.to_str().unwrap();
            let args = ["export", kind, "-c", file, "--url", url, "-o", to_text];
            let ended = Program::run(&args, env).await;
            assert_eq!((ended.code, &*ended.err), (Some(0), ""), "{kind}");
            let mut names = Vec::new();
            for entry in fs::read_dir(&to).unwrap() {
                let path = entry.unwrap().path();
                self.tells_no_secret(&fs::read_to_string(&path).unwrap());
                names.push(path.file_name().unwrap().to_str().unwrap().to_owned());
            }
            names.sort();
            assert_eq!(names, expected, "{kind}");
        }
    }

    #[track_caller]
    fn tells_no_secret(&self, text: &str) {
        for secret in &self.secrets {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }

    /// Runs it. The example must leave its listeners and its log as they are by themselves.
    async fn serve(self, env: &[(&str, &str)]) -> Service {
        fs::write(self.file(), self.text + LISTENERS).unwrap();
        Service::serve(self.folder, env).await
    }
}

/// What stands in the secret file of that name: long enough for any.
fn secret(name: &str) -> String {
    format!("what-stands-in-{name}-9f2c7a4e51b8d036")
}

/// A system behind an example. What it says is what a test sets.
async fn upstream() -> FakeCrm {
    FakeCrm::start("127.0.0.1:0".parse().unwrap(), CrmSettings::default()).await.unwrap()
}

/// Lets it say this from now on.
async fn says(upstream: &FakeCrm, body: &Value) {
    upstream.site.set(Standing::every(Fault::Body(body.to_string()))).await.unwrap();
}

/// The last request that it saw.
fn last(upstream: &FakeCrm) -> Seen {
    upstream.site.seen().pop().expect("it was asked")
}

/// Method, target and body of a request.
fn asked(seen: &Seen) -> (&str, &str, Option<Value>) {
    (&seen.request.method, &seen.request.target, seen.request.json())
}
