//! What a call leaves, kept like a book: what was there before is taken off what is there after, and the
//! difference is compared with what was expected, to the last series.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    future::Future,
};

use holdline::telemetry::outcome::Outcome;

use super::Scene;

/// Series, and by how much they grow.
type Entries = BTreeMap<String, f64>;

/// What calls have left.
pub(super) struct Book {
    pub(super) scene: Scene,
    outcomes: RefCell<BTreeSet<String>>,
    wrong: RefCell<Vec<String>>,
}

impl Book {
    pub(super) fn of(scene: Scene) -> Self {
        Self { scene, outcomes: RefCell::default(), wrong: RefCell::default() }
    }

    /// Carries out `what`, which must leave what `expected` says, line by line:
    ///
    /// - `call ACTION OUTCOME SOURCE STATUS SECONDS`: the end of a call by POST
    /// - `read`: a body was read whole
    /// - `known`: the same, and its token was known already
    /// - `stages NAME[=SECONDS]...`
    /// - `attempt UPSTREAM STATUS-OR-ERROR SECONDS`: after a wait for its turn
    /// - `fetch UPSTREAM RESULT RETRIED`
    /// - `lookup ACTION RESULT`
    /// - `token RESULT SOURCE`
    /// - or a series as it is, without `holdline_` and quotes, and its value
    #[track_caller]
    pub(super) fn moves<'a, T>(
        &'a self,
        what: impl Future<Output = T> + 'a,
        expected: &'a str,
    ) -> impl Future<Output = T> + 'a {
        let at = std::panic::Location::caller();
        async move {
            let before = self.scene.counted();
            let result = what.await;
            self.scene.rig.settle().await;
            let mut moved = Entries::new();
            for (series, value) in self.scene.counted() {
                let grown = value - before.get(&series).copied().unwrap_or_default();
                add(&mut moved, series, grown);
            }
            let mut wanted = Entries::new();
            for line in expected.lines().map(str::trim).filter(|line| !line.is_empty()) {
                self.expand(line, &mut wanted);
            }
            let (moved, wanted) = (lines(&moved), lines(&wanted));
            let surplus: Vec<_> = moved.difference(&wanted).collect();
            let missing: Vec<_> = wanted.difference(&moved).collect();
            if !surplus.is_empty() || !missing.is_empty() {
                let wrong = format!("{at}\nnot expected: {surplus:#?}\nmissing: {missing:#?}");
                self.wrong.borrow_mut().push(wrong);
            }
            result
        }
    }

    /// The outcomes that were met, once all was as expected.
    pub(super) fn closed(self) -> BTreeSet<String> {
        let wrong = self.wrong.into_inner();
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        self.outcomes.into_inner()
    }

    fn expand(&self, line: &str, to: &mut Entries) {
        let words: Vec<_> = line.split_whitespace().collect();
        match *words.as_slice() {
            ["call", action, outcome, source, status, seconds] => {
                self.outcomes.borrow_mut().insert(outcome.to_owned());
                call(to, (action, outcome, source), status, seconds.parse().expect("a number"));
            }
            ["read"] => add(to, "request_body_bytes_count".to_owned(), 1.0),
            ["known"] => {
                self.expand("read", to);
                self.expand("token valid cache", to);
            }
            ["stages", ref stages @ ..] => {
                for stage in stages {
                    let (stage, seconds) = stage.split_once('=').unwrap_or((stage, "0"));
                    let labels = format!("{{stage={stage}}}");
                    timed(
                        to,
                        "stage_duration_seconds",
                        &labels,
                        seconds.parse().expect("a number"),
                    );
                }
            }
            ["attempt", upstream, how, seconds] => {
                let is_status = how.as_bytes()[0].is_ascii_digit();
                let (status, error) = match how.as_bytes()[0] {
                    b'4' | b'5' => (how, how),
                    _ if is_status => (how, ""),
                    _ => ("", how),
                };
                let labels = format!(
                    "{{upstream={upstream},http_request_method=GET,\
                     http_response_status_code={status},error_type={error},\
                     server_address={upstream}.test,server_port=443}}"
                );
                let seconds = seconds.parse().expect("a number");
                timed(to, "http_client_request_duration_seconds", &labels, seconds);
                timed(to, "upstream_queue_wait_seconds", &format!("{{upstream={upstream}}}"), 0.0);
            }
            ["fetch", upstream, result, retried] => {
                let labels = format!("{{upstream={upstream},result={result},retried={retried}}}");
                add(to, format!("upstream_calls_total{labels}"), 1.0);
            }
            ["lookup", action, result] => {
                let labels = format!("{{cache=response,action={action},result={result}}}");
                add(to, format!("cache_lookups_total{labels}"), 1.0);
            }
            ["token", result, source] => {
                let labels = format!("{{result={result},source={source}}}");
                add(to, format!("token_validations_total{labels}"), 1.0);
            }
            [series, value] => add(to, series.to_owned(), value.parse().expect("a number")),
            _ => panic!("what is {line}?"),
        }
    }
}

fn call(
    to: &mut Entries,
    (action, outcome, source): (&str, &str, &str),
    status: &str,
    seconds: f64,
) {
    let known = Outcome::ALL.into_iter().find(|known| known.as_str() == outcome);
    let class = known.expect("an outcome").class().as_str();
    let labels = format!("{{action={action},class={class},outcome={outcome},source={source}}}");
    add(to, format!("requests_total{labels}"), 1.0);
    let labels = format!("{{action={action},source={source}}}");
    timed(to, "request_duration_seconds", &labels, seconds);
    add(to, format!("slot_seconds_total{{action={action}}}"), seconds);
    let (status, error) = match status {
        "-" => ("", "canceled"),
        status if status.starts_with('5') => (status, status),
        status => (status, ""),
    };
    if error != "canceled" {
        timed(to, "overhead_duration_seconds", "", 0.0);
        add(to, "response_body_bytes_count".to_owned(), 1.0);
    }
    let labels = format!(
        "{{http_request_method=POST,http_route=/data-action/{{action}},\
         http_response_status_code={status},error_type={error}}}"
    );
    timed(to, "http_server_request_duration_seconds", &labels, seconds);
}

/// One sample of a histogram.
fn timed(to: &mut Entries, metric: &str, labels: &str, seconds: f64) {
    add(to, format!("{metric}_count{labels}"), 1.0);
    add(to, format!("{metric}_sum{labels}"), seconds);
}

fn add(to: &mut Entries, series: String, value: f64) {
    // How long the documents are that tell of problems is a matter of their own.
    if !series.contains("_bytes_sum") {
        *to.entry(series).or_default() += value;
    }
}

/// What is not zero, to the microsecond.
fn lines(entries: &Entries) -> BTreeSet<String> {
    let rounded = entries.iter().map(|(series, value)| (series, (value * 1e6).round() / 1e6));
    let moved = rounded.filter(|(_, value)| *value != 0.0);
    moved.map(|(series, value)| format!("{series} {value}")).collect()
}
