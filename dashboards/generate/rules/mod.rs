//! The rules for Prometheus: what is computed beforehand, and when somebody is told.

mod answers;
mod callers;
pub(crate) mod objectives;
mod presence;
mod process;
mod promise;
mod promql;
mod recorded;
mod upstreams;
mod yaml;

/// Where runbooks are, unless the variable `RUNBOOKS` says so: in this repository.
const RUNBOOKS: &str = "deploy/runbooks";

/// A list of rules that Prometheus evaluates one after the other.
struct Group {
    name: &'static str,
    /// What belongs to it.
    about: &'static str,
    /// How often it is evaluated; `None`: as often as Prometheus does by itself.
    interval: Option<&'static str>,
    rules: Vec<Rule>,
}

enum Rule {
    Record(Record),
    Alert(Alert),
}

/// A series that is computed beforehand.
struct Record {
    name: String,
    /// Why it is as it is, where that cannot be seen.
    why: &'static str,
    expr: String,
}

/// When somebody is told, and what.
struct Alert {
    name: &'static str,
    /// Why its numbers are as they are.
    why: &'static str,
    expr: String,
    /// For how long it must hold; `None`: at once.
    lasts: Option<&'static str>,
    /// For how long it stays after it has ended.
    stays: Option<&'static str>,
    severity: Severity,
    /// Labels beside the severity.
    labels: Vec<(&'static str, &'static str)>,
    summary: String,
    description: String,
    board: Board,
}

impl Alert {
    /// A warning that is sent when its condition has held for `lasts`. It has no words yet.
    fn warning(name: &'static str, expr: String, lasts: &'static str, board: Board) -> Self {
        Self {
            name,
            why: "",
            expr,
            lasts: Some(lasts),
            stays: None,
            severity: Severity::Warning,
            labels: vec![],
            summary: String::new(),
            description: String::new(),
            board,
        }
    }
}

#[derive(Clone, Copy)]
enum Severity {
    /// Callers are harmed, or soon will be: somebody gets up.
    Critical,
    /// Somebody looks at it today.
    Warning,
    /// Somebody should know.
    Info,
}

/// The dashboard on which an alert is seen best, with its variables set.
#[derive(Clone, Copy)]
enum Board {
    Overview,
    /// The overview, as it opens by itself where an alert may have no job.
    OverviewOrAll,
    /// The stages of one action, or of all.
    Path(&'static [&'static str]),
    Upstreams,
    /// The processes: all, or one instance.
    Capacity(&'static [&'static str]),
}

impl Board {
    /// Its path in Grafana. An alert without a namespace sets that variable to nothing, which
    /// finds series without one.
    fn link(self) -> String {
        let (uid, more): (_, &[&str]) = match self {
            Self::OverviewOrAll => {
                let set = "?var-namespace={{ $labels.namespace }}&var-job={{ . }}";
                return format!("/d/holdline-overview{{{{ with $labels.job }}}}{set}{{{{ end }}}}");
            }
            Self::Overview => ("holdline-overview", &[]),
            Self::Path(more) => ("holdline-path", more),
            Self::Upstreams => ("holdline-upstreams", &["upstream"]),
            Self::Capacity(more) => ("holdline-capacity", more),
        };
        let all = ["namespace", "job"].iter().chain(more);
        let set: Vec<String> =
            all.map(|label| format!("var-{label}={{{{ $labels.{label} }}}}")).collect();
        format!("/d/{uid}?{}", set.join("&"))
    }
}

impl Severity {
    fn as_str(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Warning => "warning",
            Self::Info => "info",
        }
    }
}

/// The file of all rules.
pub(crate) fn text() -> String {
    let runbooks = std::env::var("RUNBOOKS").unwrap_or_else(|_| RUNBOOKS.to_owned());
    let groups = [
        recorded::group(),
        promise::group(),
        presence::group(),
        callers::group(),
        upstreams::group(),
        answers::group(),
        process::group(),
    ];
    yaml::write(&groups, runbooks.trim_end_matches('/'))
}
