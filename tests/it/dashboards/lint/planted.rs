//! Each rule of the linter finds what is planted for it, and nothing else is found.

use serde_json::{Value, json};

use super::{generated, lint};

/// What the linter says of the request path after such a change.
fn after(change: impl Fn(&mut Value)) -> Vec<String> {
    let mut boards = generated();
    change(boards.get_mut("path.json").expect("it is generated"));
    lint(&boards)
}

/// That one finding, and no other.
fn expect_found(wanted: &str, change: impl Fn(&mut Value)) {
    let found = after(change);
    assert!(!found.is_empty(), "nothing was found: {wanted}");
    for finding in &found {
        assert!(finding.contains(wanted), "{wanted:?} was wanted: {found:#?}");
    }
}

/// The first panel with series over time.
fn panel(board: &mut Value) -> &mut Value {
    &mut board["panels"][1]
}

fn expression(text: &'static str) -> impl Fn(&mut Value) {
    move |board| {
        let chosen = r#"job=~"$job",namespace=~"$namespace",instance=~"$instance""#;
        let target = &mut panel(board)["targets"][0];
        target["expr"] = text.replace("CHOSEN", chosen).into();
        target["legendFormat"] = "calls".into();
        let colours = json!([]);
        panel(board)["fieldConfig"]["overrides"] = colours;
    }
}

#[test]
fn identity() {
    expect_found("its id is another's affair", |board| board["id"] = json!(7));
    expect_found("it is editable", |board| board["editable"] = json!(true));
    expect_found("schema version", |board| board["schemaVersion"] = json!(42));
    expect_found("lacks the tag", |board| board["tags"] = json!([]));
    expect_found("what it is for", |board| board["description"] = json!("stages"));
    expect_found("cross-hair", |board| board["graphTooltip"] = json!(0));
    expect_found("refresh", |board| board["refresh"] = json!(""));
    expect_found("an hour ago", |board| board["time"]["from"] = json!("now-2d"));
    expect_found("no title", |board| board["title"] = json!(""));
    expect_found("ConfigMap", |board| board["weekStart"] = json!("x".repeat(1 << 20)));
    let found = after(|board| board["uid"] = json!("Path"));
    assert!(found.iter().any(|finding| finding.contains("its uid is no uid")), "{found:?}");
    assert!(
        found.iter().any(|finding| finding.contains("no dashboard holdline-path")),
        "{found:?}"
    );
}

#[test]
fn variables() {
    let at = |name: &'static str| {
        move |board: &Value| {
            let all = board["templating"]["list"].as_array().expect("there are some");
            all.iter().position(|variable| variable["name"] == name).expect("it is there")
        }
    };
    let set = |name: &'static str, key: &'static str, value: Value| {
        move |board: &mut Value| {
            let at = at(name)(board);
            board["templating"]["list"][at][key] = value.clone();
        }
    };
    expect_found("just one data source", set("datasource", "type", json!("custom")));
    expect_found("All does not stand for .*", set("namespace", "allValue", json!(".+")));
    expect_found("read anew", set("action", "refresh", json!(1)));
    expect_found("not several", set("job", "multi", json!(false)));
    expect_found("what is chosen", set("job", "description", json!("")));
    expect_found("the chosen one", set("job", "datasource", json!({"uid": "prometheus"})));
    let found = after(set("action", "name", json!("verb")));
    assert!(found.iter().any(|finding| finding.contains("no variable action")), "{found:?}");
}

#[test]
fn links_and_marks() {
    expect_found("list of its sisters", |board| board["links"][0]["keepTime"] = json!(false));
    expect_found("link to the runbooks", |board| board["links"][1]["url"] = json!("/runbooks"));
    let lead = |url: &'static str| {
        move |board: &mut Value| panel(board)["links"] = json!([{"title": "x", "url": url}])
    };
    const KEPT: &str = "${__url_time_range}&${datasource:queryparam}&${job:queryparam}";
    expect_found("no dashboard holdline-paths", lead("/d/holdline-paths?x"));
    expect_found("hand on", lead("/d/holdline-capacity"));
    let foreign = format!("/d/holdline-capacity?{KEPT}&var-upstream=crm");
    let foreign: &'static str = foreign.leak();
    expect_found("holdline-capacity has no variable upstream", lead(foreign));
    let mark = |key: &'static str, value: Value| {
        move |board: &mut Value| board["annotations"]["list"][0][key] = value.clone()
    };
    expect_found("no such mark", mark("name", json!("Rollouts")));
    expect_found("another colour elsewhere", mark("iconColor", json!("pink")));
    expect_found("the chosen one", mark("datasource", json!({"uid": "prometheus"})));
    let half = r#"holdline_build_info{job=~"$job",namespace=~"$namespace"}"#;
    expect_found("not chosen by $instance", mark("expr", json!(half)));
}

#[test]
fn places() {
    expect_found("another panel has its id", |board| board["panels"][2]["id"] = json!(1));
    let place = |key: &'static str, value: u64| {
        move |board: &mut Value| panel(board)["gridPos"][key] = json!(value)
    };
    let found = after(place("x", 4));
    assert!(found.iter().any(|finding| finding.contains("lies over another")), "{found:?}");
    expect_found("there are gaps", place("h", 7));
    let found = after(place("w", 30));
    assert!(found.iter().any(|finding| finding.contains("wider than")), "{found:?}");
    let found = after(|board| board["panels"][0]["gridPos"]["h"] = json!(2));
    assert!(found.iter().any(|finding| finding.contains("a line of its own")), "{found:?}");
}

#[test]
fn what_panels_say() {
    expect_found("another's", |board| panel(board)["title"] = json!("Latency"));
    expect_found("ask a question", |board| panel(board)["description"] = json!("Calls."));
    expect_found("ask a question", |board| panel(board)["description"] = json!("How many?"));
    expect_found("no kind of panel", |board| panel(board)["type"] = json!("piechart"));
    let default = |key: &'static str, value: Value| {
        move |board: &mut Value| panel(board)["fieldConfig"]["defaults"][key] = value.clone()
    };
    expect_found("`rps` is no unit", default("unit", json!("rps")));
    expect_found("No data", default("noValue", json!("")));
    expect_found("without thresholds", |board| {
        panel(board)["type"] = json!("stat");
        panel(board)["options"]["colorMode"] = json!("background");
    });
    expect_found("legend that is hidden", |board| {
        panel(board)["options"]["legend"]["displayMode"] = json!("hidden");
    });
}

#[test]
fn targets() {
    expect_found("asks nothing", |board| panel(board)["targets"] = json!([]));
    expect_found("the chosen one", |board| panel(board)["datasource"]["uid"] = json!("prometheus"));
    expect_found("a query's data source", |board| {
        panel(board)["targets"][0]["datasource"]["uid"] = json!("prometheus");
    });
    expect_found("the same letter", |board| {
        let target = panel(board)["targets"][0].clone();
        panel(board)["targets"].as_array_mut().expect("a list").push(target);
    });
    expect_found("a series without a name", |board| {
        panel(board)["targets"][0]["legendFormat"] = json!("");
    });
    expect_found("has a label reason", |board| {
        panel(board)["targets"][0]["legendFormat"] = json!("{{reason}}");
    });
}

#[test]
fn colours() {
    expect_found("success is orange here", |board| {
        let one = &mut panel(board)["fieldConfig"]["overrides"];
        let mut other = one[0].clone();
        other["properties"][0]["value"]["fixedColor"] = json!("orange");
        one.as_array_mut().expect("a list").push(other);
    });
    expect_found("pink is no colour", |board| {
        let one = &mut panel(board)["fieldConfig"]["overrides"];
        let mut other = one[0].clone();
        other["matcher"]["options"] = json!("calls");
        other["properties"][0]["value"]["fixedColor"] = json!("pink");
        one.as_array_mut().expect("a list").push(other);
    });
    expect_found("class lack their colours", |board| {
        panel(board)["fieldConfig"]["overrides"] = json!([]);
    });
}

#[test]
fn queries() {
    for (wanted, query) in [
        (
            "no metric holdline_calls_total",
            "sum(rate(holdline_calls_total{CHOSEN}[$__rate_interval]))",
        ),
        (
            "has no label upstream",
            r#"sum(rate(holdline_requests_total{CHOSEN,upstream="a"}[$__rate_interval]))"#,
        ),
        (
            "a label upstream",
            "sum by (upstream) (rate(holdline_requests_total{CHOSEN}[$__rate_interval]))",
        ),
        ("over 5m", "sum(rate(holdline_requests_total{CHOSEN}[5m]))"),
        ("neither in rate", "sum(holdline_requests_total{CHOSEN})"),
        (
            "the gauge holdline_draining is in rate",
            "sum(rate(holdline_draining{CHOSEN}[$__rate_interval]))",
        ),
        ("delta is misleading", "sum(delta(holdline_draining{CHOSEN}[$__rate_interval]))"),
        ("without choosing", "sum(holdline_draining)"),
        (
            "not chosen by $instance",
            r#"sum(holdline_draining{job=~"$job",namespace=~"$namespace"})"#,
        ),
        (
            "summed by le",
            "histogram_quantile(0.9, sum(rate(holdline_overhead_duration_seconds_bucket{CHOSEN}[$__rate_interval])))",
        ),
        (
            "the largest",
            "histogram_quantile(1, sum by (le) (rate(holdline_overhead_duration_seconds_bucket{CHOSEN}[$__rate_interval])))",
        ),
        (
            "no metric holdline_overhead_duration_seconds",
            "sum(rate(holdline_overhead_duration_seconds{CHOSEN}[$__rate_interval]))",
        ),
        ("where scrape_duration_seconds comes from", "max(scrape_duration_seconds{CHOSEN})"),
    ] {
        expect_found(wanted, expression(query));
    }
}
