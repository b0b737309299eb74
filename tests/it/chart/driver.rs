//! The chart as Helm renders it: helm.py answers, one Python for all tests.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{LazyLock, Mutex},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::program::from_pypi;

/// The versions of Kubernetes whose schemas all objects must satisfy: the oldest that the chart takes,
/// the newest, and one between.
const VERSIONS: [&str; 3] = ["1.27", "1.32", "1.37"];
/// What the release is called that tests render.
pub(super) const RELEASE: &str = "shop";
/// Where it goes.
pub(super) const NAMESPACE: &str = "calls";
/// What its objects are called.
pub(super) const FULLNAME: &str = "shop-holdline";

/// The Python that answers. It ends with its standard input.
struct Engine {
    _python: Child,
    asks: ChildStdin,
    answers: BufReader<ChildStdout>,
}

static ENGINE: LazyLock<Option<Mutex<Engine>>> = LazyLock::new(|| {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/chart/helm.py");
    let mut python = Command::new(from_pypi("python")?);
    python.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut python = python.spawn().unwrap();
    let asks = python.stdin.take().unwrap();
    let answers = BufReader::new(python.stdout.take().unwrap());
    Some(Mutex::new(Engine { _python: python, asks, answers }))
});

/// A chart on disk.
#[derive(Debug)]
pub(super) struct Chart {
    folder: PathBuf,
    /// Keeps a copy alive.
    _copy: Option<TempDir>,
}

/// What Helm makes of it.
#[derive(Debug)]
pub(super) struct Rendered {
    /// Every object, with the template it is from.
    pub(super) objects: Vec<(String, Value)>,
    pub(super) notes: String,
    /// What Helm and the schemas find wrong.
    pub(super) wrong: Vec<String>,
    /// The configuration in the ConfigMap, read.
    pub(super) config: Option<Value>,
}

impl Chart {
    /// The chart as it is committed; none where there is no engine on this machine, which is said.
    pub(super) fn ours() -> Option<Self> {
        ENGINE.as_ref()?;
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/helm/holdline");
        Some(Self { folder, _copy: None })
    }

    /// Where it is.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// A copy in which one file has `to` in the place of `from`, which stands there.
    pub(super) fn edited(&self, file: &str, from: &str, to: &str) -> Self {
        let copy = tempfile::tempdir().unwrap();
        let folder = copy.path().join("holdline");
        copied(&self.folder, &folder);
        let path = folder.join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{file} has no {from}");
        fs::write(path, text.replace(from, to)).unwrap();
        Self { folder, _copy: Some(copy) }
    }

    /// Renders it, with these values over its defaults.
    #[track_caller]
    pub(super) fn with(&self, values: Value) -> Rendered {
        self.try_with("", values).unwrap_or_else(|refused| panic!("{refused}"))
    }

    /// What rendering is refused with.
    #[track_caller]
    pub(super) fn refusal(&self, values: Value) -> String {
        match self.try_with("", values.clone()) {
            Err(refused) => refused,
            Ok(_) => panic!("it is rendered: {values}"),
        }
    }

    /// Renders it with a file of values, and values over these.
    pub(super) fn try_with(&self, file: &str, values: Value) -> Result<Rendered, String> {
        // Of a copy it is asked whether one fault is found.
        let ours = self._copy.is_none();
        let versions = if ours { &VERSIONS[..] } else { &[VERSIONS[0], VERSIONS[2]] };
        self.asked(file, values, json!({"versions": versions, "lint": ours}))
    }

    /// The same under other names.
    pub(super) fn released(
        &self,
        release: &str,
        namespace: &str,
        file: &str,
        values: Value,
    ) -> Result<Rendered, String> {
        self.asked(file, values, json!({"release": release, "namespace": namespace}))
    }

    /// The same, held against the newest version alone: for many at once.
    pub(super) fn quickly(&self, file: &str, values: Value) -> Result<Rendered, String> {
        self.asked(file, values, json!({"versions": [VERSIONS[2]], "lint": false}))
    }

    fn asked(&self, file: &str, values: Value, beside: Value) -> Result<Rendered, String> {
        let file = if file.is_empty() { Value::Null } else { json!(self.folder.join(file)) };
        let mut request = json!({
            "chart": self.folder, "file": file, "values": values, "versions": VERSIONS,
            "release": RELEASE, "namespace": NAMESPACE, "lint": true,
        });
        request.as_object_mut().unwrap().extend(beside.as_object().unwrap().clone());
        let answer = ask(&request);
        if let Some(refused) = answer["refused"].as_str() {
            return Err(refused.to_owned());
        }
        let wrong = ["wrong", "lint", "empty"].iter().flat_map(|list| {
            let each = answer[list].as_array().unwrap().iter();
            each.map(move |it| format!("{list}: {}", it.as_str().unwrap()))
        });
        let objects =
            answer["objects"].as_array().unwrap().iter().map(|piece| {
                (piece["template"].as_str().unwrap().to_owned(), piece["object"].clone())
            });
        Ok(Rendered {
            objects: objects.collect(),
            notes: answer["notes"].as_str().unwrap().to_owned(),
            wrong: wrong.collect(),
            config: answer.get("config").cloned(),
        })
    }

    /// The names of all files of values that it is tested with.
    pub(super) fn shapes(&self) -> Vec<String> {
        let each = fs::read_dir(self.folder.join("ci")).unwrap();
        let mut names: Vec<_> = each
            .map(|entry| format!("ci/{}", entry.unwrap().file_name().to_str().unwrap()))
            .collect();
        names.sort();
        names.push("values-ha.yaml".to_owned());
        names
    }
}

impl Rendered {
    /// All objects of a kind.
    pub(super) fn all(&self, kind: &str) -> Vec<&Value> {
        self.objects.iter().map(|(_, object)| object).filter(|it| it["kind"] == kind).collect()
    }

    /// The only object of a kind.
    #[track_caller]
    pub(super) fn the(&self, kind: &str) -> &Value {
        let all = self.all(kind);
        assert_eq!(all.len(), 1, "{kind}: {all:?}");
        all[0]
    }

    /// The object of that kind and name.
    #[track_caller]
    pub(super) fn named(&self, kind: &str, name: &str) -> &Value {
        let mut all = self.all(kind).into_iter();
        let found = all.find(|it| it["metadata"]["name"] == name);
        found.unwrap_or_else(|| panic!("no {kind} {name}"))
    }

    /// Every pod: its template or the pod itself, with `metadata` and `spec`.
    pub(super) fn pods(&self) -> Vec<&Value> {
        let deployments = self.all("Deployment");
        let mut pods: Vec<_> = deployments.iter().map(|it| &it["spec"]["template"]).collect();
        pods.extend(self.all("Pod"));
        pods
    }

    /// The specification of the pods that serve.
    pub(super) fn pod(&self) -> &Value {
        &self.the("Deployment")["spec"]["template"]["spec"]
    }

    /// The container that serves.
    pub(super) fn program(&self) -> &Value {
        let containers = self.pod()["containers"].as_array().unwrap();
        containers.iter().find(|it| it["name"] == "holdline").unwrap()
    }

    /// The value of a variable of the program.
    pub(super) fn env(&self, name: &str) -> Option<&Value> {
        list(&self.program()["env"]).iter().find(|it| it["name"] == name)
    }

    /// The number of a port of the program, from its name.
    pub(super) fn port(&self, name: &str) -> Option<u64> {
        let ports = list(&self.program()["ports"]);
        ports.iter().find(|it| it["name"] == name)?["containerPort"].as_u64()
    }

    /// Kinds and names of all objects, sorted.
    pub(super) fn names(&self) -> Vec<(String, String)> {
        let name = |it: &Value| it["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let each = self.objects.iter().map(|(_, it)| (kind(it).to_owned(), name(it)));
        let mut all: Vec<_> = each.collect();
        all.sort();
        all
    }
}

/// The elements of a list, none where there is none.
pub(super) fn list(of: &Value) -> &[Value] {
    of.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// What kind of object it is.
pub(super) fn kind(of: &Value) -> &str {
    of["kind"].as_str().unwrap_or_default()
}

fn ask(request: &Value) -> Value {
    let engine = ENGINE.as_ref().expect("there is no chart without it");
    // A test that failed meanwhile has read its answer whole, or none.
    let mut engine = engine.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    writeln!(engine.asks, "{request}").unwrap();
    let mut answer = String::new();
    engine.answers.read_line(&mut answer).unwrap();
    serde_json::from_str(&answer).expect("helm.py has answered")
}

fn copied(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copied(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}
