//! Rules about a whole dashboard: how it is known, its variables, its links and its marks.

use serde_json::Value;

use super::{
    Boards, Findings, list,
    queries::{self, Place},
    text, texts, variables,
};

const MEBIBYTE: usize = 1024 * 1024;

/// Looks at all but the panels.
pub(super) fn check(file: &str, board: &Value, boards: &Boards, found: &mut Findings) {
    check_identity(file, board, found);
    check_variables(board, found);
    check_links(board, boards, found);
    check_marks(board, boards, found);
}

fn check_identity(file: &str, board: &Value, found: &mut Findings) {
    let mut want = |right: bool, what: &str| {
        if !right {
            found.add("dashboard", what.to_owned());
        }
    };
    let uid = text(board, "uid");
    want(board["id"].is_null(), "its id is another's affair: null");
    want(
        (1..=40).contains(&uid.len()) && uid.chars().all(|c| c.is_ascii_lowercase() || c == '-'),
        "its uid is no uid",
    );
    want(format!("{uid}.json") == format!("holdline-{file}"), "its uid is not that of its file");
    want(board["schemaVersion"] == 39, "it is not of schema version 39");
    want(board["editable"] == false, "it is editable, and the next start would undo the edit");
    want(list(board, "tags") == ["holdline"], "it lacks the tag that its sisters find it by");
    want(text(board, "description").ends_with('.'), "it does not say what it is for");
    want(!text(board, "title").is_empty(), "it has no title");
    want(board["graphTooltip"] == 1, "the cross-hair is not shared");
    want(!text(board, "refresh").is_empty(), "it does not refresh itself");
    want(text(&board["time"], "from") == "now-1h", "it does not begin an hour ago");
    want(board.to_string().len() <= MEBIBYTE, "it is larger than a ConfigMap may be");
}

fn check_variables(board: &Value, found: &mut Findings) {
    let all = list(&board["templating"], "list");
    let of_type = |kind: &str| all.iter().filter(|variable| text(variable, "type") == kind).count();
    let sources = all.iter().filter(|variable| text(variable, "name") == "datasource");
    if of_type("datasource") != 1 || sources.count() != 1 {
        found.add("dashboard", "it has not just one data source variable, `datasource`".into());
    }
    for (name, every) in [("job", ".+"), ("instance", ".+"), ("namespace", ".*")] {
        match all.iter().find(|variable| text(variable, "name") == name) {
            Some(variable) if text(variable, "allValue") == every => {}
            Some(_) => found.add(name, format!("All does not stand for {every}")),
            None => found.add("dashboard", format!("it has no variable {name}")),
        }
    }
    for variable in all {
        let name = text(variable, "name");
        if text(variable, "description").is_empty() || text(variable, "label").is_empty() {
            found.add(name, "it does not say what is chosen".into());
        }
        if text(variable, "type") == "query" {
            let right = variable["multi"] == true && variable["includeAll"] == true;
            if !right {
                found.add(name, "not several, or not all, can be chosen".into());
            }
            if variable["refresh"] != 2 {
                found.add(name, "it is not read anew when the time changes".into());
            }
            if text(&variable["datasource"], "uid") != "${datasource}" {
                found.add(name, "its data source is not the chosen one".into());
            }
        }
    }
    let mut everything = Vec::new();
    texts(board, &mut everything);
    let mut unknown: Vec<&str> = everything
        .into_iter()
        .flat_map(variables)
        .filter(|used| !all.iter().any(|variable| text(variable, "name") == *used))
        .collect();
    unknown.sort_unstable();
    unknown.dedup();
    for name in unknown {
        found.add("dashboard", format!("there is no variable {name}"));
    }
}

fn check_links(board: &Value, boards: &Boards, found: &mut Findings) {
    let sisters = list(board, "links").iter().find(|link| text(link, "type") == "dashboards");
    let right = sisters.is_some_and(|link| {
        link["asDropdown"] == true
            && link["includeVars"] == true
            && link["keepTime"] == true
            && list(link, "tags") == ["holdline"]
    });
    if !right {
        found.add("dashboard", "no list of its sisters, with time and variables kept".into());
    }
    let runbooks = list(board, "links").iter().any(|link| text(link, "url") == "${runbooks}");
    if !runbooks {
        found.add("dashboard", "no link to the runbooks".into());
    }
    let mut everything = Vec::new();
    texts(board, &mut everything);
    for url in everything.into_iter().filter_map(|text| text.strip_prefix("/d/")) {
        let (uid, query) = url.split_once('?').unwrap_or((url, ""));
        let Some(other) = boards.values().find(|board| text(board, "uid") == uid) else {
            found.add("link", format!("there is no dashboard {uid}"));
            continue;
        };
        for set in query.split('&').filter_map(|set| set.strip_prefix("var-")) {
            let name = set.split('=').next().unwrap_or_default();
            let there = list(&other["templating"], "list");
            if !there.iter().any(|variable| text(variable, "name") == name) {
                found.add("link", format!("{uid} has no variable {name}"));
            }
        }
        for kept in ["${__url_time_range}", "${datasource:queryparam}", "${job:queryparam}"] {
            if !query.contains(kept) {
                found.add("link", format!("it does not hand on {kept}"));
            }
        }
    }
}

fn check_marks(board: &Value, boards: &Boards, found: &mut Findings) {
    let marks = list(&board["annotations"], "list");
    for name in ["Deployments", "Configurations", "Breakers", "Critical alerts", "Starts"] {
        let Some(mark) = marks.iter().find(|mark| text(mark, "name") == name) else {
            found.add(name, "there is no such mark".into());
            continue;
        };
        if text(&mark["datasource"], "uid") != "${datasource}" {
            found.add(name, "its data source is not the chosen one".into());
        }
        let place = Place { name, description: "", legend: text(mark, "textFormat") };
        queries::check(text(mark, "expr"), place, found);
        let alike = boards.values().all(|other| {
            let others = list(&other["annotations"], "list");
            let same = others.iter().find(|other| text(other, "name") == name);
            same.is_none_or(|same| same["iconColor"] == mark["iconColor"])
        });
        if !alike {
            found.add(name, "it has another colour elsewhere".into());
        }
    }
}
