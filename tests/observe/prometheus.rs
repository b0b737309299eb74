//! A real Prometheus beside the service: it scrapes, evaluates the rules and answers queries.

use std::{
    fs::{self, File},
    io,
    net::{SocketAddr, TcpListener},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use holdline::{
    catalog::upstream::Pool,
    client::{Client, Transport},
    time,
};
use serde_json::Value;
use tempfile::TempDir;
use url::Url;

/// How long it may take to start, and to scrape for the first time.
const START: Duration = Duration::from_secs(30);

/// A process that scrapes. Dropped, it is killed.
#[derive(Debug)]
pub(crate) struct Prometheus {
    child: Child,
    folder: TempDir,
    client: reqwest::Client,
    /// Where it answers.
    pub(crate) address: SocketAddr,
    /// How often it scrapes, and evaluates the rules where they do not say otherwise.
    pub(crate) interval: Duration,
}

/// From when to when a graph is drawn, in seconds since 1970, and how far its points are apart.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    /// The first point.
    pub(crate) start: f64,
    /// The last point.
    pub(crate) end: f64,
    /// From point to point.
    pub(crate) step: f64,
}

impl Prometheus {
    /// Starts one that scrapes these replicas and reads every file of rules in `rules`, and waits
    /// until it answers.
    ///
    /// # Errors
    /// It does not start: then with what it wrote.
    pub(crate) async fn start(
        replicas: &[SocketAddr],
        rules: &Path,
        interval: Duration,
    ) -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        let path = |name: &str| folder.path().join(name);
        fs::write(path("prometheus.yml"), configuration(replicas, rules, interval))?;
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let mut command = Command::new("prometheus");
        command.arg(format!("--config.file={}", path("prometheus.yml").display()));
        command.arg(format!("--storage.tsdb.path={}", path("tsdb").display()));
        command.arg(format!("--web.listen-address={address}")).arg("--log.level=warn");
        let log = File::create(path("log"))?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let pool = Pool { idle: 16, idle_timeout: Duration::from_secs(4) };
        let client = Client::new(Duration::from_secs(2), pool, &Transport::Network)
            .map_err(io::Error::other)?;
        let client = client.network().clone();
        let mut started = Self { child: command.spawn()?, folder, client, address, interval };
        started.ready(replicas.len()).await?;
        Ok(started)
    }

    /// Waits until every replica has been scraped.
    async fn ready(&mut self, replicas: usize) -> io::Result<()> {
        let (last, up) =
            (time::now() + START + self.interval * 2, format!("sum(up) == {replicas}"));
        while time::now() < last && self.child.try_wait()?.is_none() {
            if self.now(&up).await.is_ok_and(|found| has_points(&found)) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let said = fs::read_to_string(self.folder.path().join("log"))?;
        Err(io::Error::other(format!("Prometheus did not scrape in time:\n{said}")))
    }

    /// The result of a query at this instant.
    ///
    /// # Errors
    /// It is no query, or Prometheus does not answer.
    pub(crate) async fn now(&self, query: &str) -> io::Result<Value> {
        self.ask("query", &[("query", query)]).await
    }

    /// The result of a query at an instant, in seconds since 1970.
    ///
    /// # Errors
    /// As above.
    pub(crate) async fn at(&self, query: &str, instant: f64) -> io::Result<Value> {
        self.ask("query", &[("query", query), ("time", &instant.to_string())]).await
    }

    /// The result of a query over a span of time.
    ///
    /// # Errors
    /// As above.
    pub(crate) async fn over(&self, query: &str, span: Span) -> io::Result<Value> {
        let Span { start, end, step } = span;
        let (start, end, step) = (start.to_string(), end.to_string(), step.to_string());
        let asked = [("query", query), ("start", &start), ("end", &end), ("step", &step)];
        self.ask("query_range", &asked).await
    }

    /// The values that a label has; `of` is a selector, absent: of all series.
    ///
    /// # Errors
    /// As above.
    pub(crate) async fn values(&self, label: &str, of: Option<&str>) -> io::Result<Vec<String>> {
        let of: Vec<_> = of.map(|selector| ("match[]", selector)).into_iter().collect();
        let found = self.ask(&format!("label/{label}/values"), &of).await?;
        let texts = found.as_array().into_iter().flatten().filter_map(Value::as_str);
        Ok(texts.map(str::to_owned).collect())
    }

    /// All groups of rules, with how their evaluation went.
    ///
    /// # Errors
    /// It does not answer.
    pub(crate) async fn rules(&self) -> io::Result<Value> {
        self.ask("rules", &[]).await
    }

    async fn ask(&self, path: &str, parameters: &[(&str, &str)]) -> io::Result<Value> {
        let url = format!("http://{}/api/v1/{path}", self.address);
        let url = Url::parse_with_params(&url, parameters).map_err(io::Error::other)?;
        let sent = self.client.get(url).timeout(START).send();
        let answer = sent.await.map_err(io::Error::other)?.json::<Value>();
        let mut answer = answer.await.map_err(io::Error::other)?;
        match answer["status"].as_str() {
            Some("success") => Ok(answer["data"].take()),
            _ => Err(io::Error::other(answer["error"].to_string())),
        }
    }
}

/// As a stack has it: labels that say where a replica runs, rules in files.
fn configuration(replicas: &[SocketAddr], rules: &Path, interval: Duration) -> String {
    let interval = format!("{}ms", interval.as_millis());
    let targets: String = replicas
        .iter()
        .enumerate()
        .map(|(place, address)| {
            format!(
                "      - {{targets: ['{address}'], labels: \
                 {{cluster: here, namespace: calls, pod: holdline-{place}}}}}\n"
            )
        })
        .collect();
    format!(
        "global: {{scrape_interval: {interval}, scrape_timeout: {interval}, evaluation_interval: {interval}}}
rule_files: ['{}/*.yaml']
scrape_configs:
  - job_name: holdline
    static_configs:
{targets}",
        rules.display()
    )
}

/// Whether a result has a point that is a number: what is `NaN` everywhere shows nothing.
pub(crate) fn has_points(result: &Value) -> bool {
    count(result) > 0
}

/// How many series of a result have a point that is a number.
pub(crate) fn count(result: &Value) -> usize {
    let is_number = |point: &Value| point[1].as_str().is_some_and(|text| text != "NaN");
    let shows = |series: &&Value| match &series["values"] {
        Value::Array(points) => points.iter().any(is_number),
        _ => is_number(&series["value"]),
    };
    match (&result["resultType"], &result["result"]) {
        (Value::String(kind), point) if kind == "scalar" => usize::from(is_number(point)),
        (_, series) => series.as_array().into_iter().flatten().filter(shows).count(),
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // It may have ended, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
