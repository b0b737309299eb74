//! Rules about panels: what they say, where they stand, and that the same thing has the same colour.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    super::files::theme,
    Findings, list,
    queries::{self, Place},
    text,
};

/// Units of Grafana that are used, so that a misspelt one is seen.
const UNITS: [&str; 12] = [
    "short",
    "percentunit",
    "s",
    "reqps",
    "ops",
    "cps",
    "bytes",
    "Bps",
    "dtdurations",
    "dateTimeFromNow",
    "none",
    "dateTimeAsIso",
];
/// Kinds of panels that say something at a glance.
const KINDS: [&str; 7] =
    ["timeseries", "stat", "table", "heatmap", "state-timeline", "text", "row"];

/// Looks at all panels.
pub(super) fn check(board: &Value, found: &mut Findings) {
    let panels = list(board, "panels");
    check_places(panels, found);
    let (mut ids, mut titles) = (BTreeSet::new(), BTreeSet::new());
    for panel in panels {
        let title = text(panel, "title");
        if !ids.insert(panel["id"].as_u64()) {
            found.add(title, "another panel has its id".into());
        }
        if title.is_empty() || !titles.insert(title) {
            found.add(title, "it has no title, or another's".into());
        }
        let kind = text(panel, "type");
        if !KINDS.contains(&kind) {
            found.add(title, format!("{kind} is no kind of panel for this"));
        }
        if kind != "row" {
            check_said(panel, title, found);
        }
        if kind != "row" && kind != "text" {
            check_field(panel, title, found);
            check_targets(panel, title, found);
            check_colours(panel, title, found);
        }
    }
}

/// They stand in lines that are full, one below the other.
fn check_places(panels: &[Value], found: &mut Findings) {
    let mut taken = BTreeSet::new();
    for panel in panels {
        let (title, at) = (text(panel, "title"), &panel["gridPos"]);
        let number = |key: &str| at[key].as_u64().unwrap_or(1_000);
        let (x, y, w, h) = (number("x"), number("y"), number("w"), number("h"));
        if x + w > 24 {
            found.add(title, "it is wider than the dashboard".into());
            continue;
        }
        if text(panel, "type") == "row" && (w, h, x) != (24, 1, 0) {
            found.add(title, "the head of a row is a line of its own".into());
        }
        let cells = (x..x + w).flat_map(|x| (y..y + h).map(move |y| (y, x)));
        let before = taken.len();
        taken.extend(cells);
        if (taken.len() - before) as u64 != w * h {
            found.add(title, "it lies over another panel".into());
        }
    }
    let bottom = taken.last().map_or(0, |(y, _)| y + 1);
    if taken.len() as u64 != bottom * 24 {
        found.add("dashboard", "there are gaps between its panels".into());
    }
}

fn check_said(panel: &Value, title: &str, found: &mut Findings) {
    let description = text(panel, "description");
    if !description.ends_with('.') || !description.contains('?') {
        found.add(title, "its description does not ask a question and answer it".into());
    }
}

fn check_field(panel: &Value, title: &str, found: &mut Findings) {
    let defaults = &panel["fieldConfig"]["defaults"];
    let overridden =
        list(&panel["fieldConfig"], "overrides").iter().flat_map(|one| list(one, "properties"));
    let units = overridden.filter(|property| text(property, "id") == "unit");
    let units = units.map(|property| text(property, "value")).chain([text(defaults, "unit")]);
    for unit in units.filter(|unit| !UNITS.contains(unit)) {
        found.add(title, format!("`{unit}` is no unit"));
    }
    if text(defaults, "noValue").is_empty() {
        found.add(title, "it would say `No data`".into());
    }
    let steps = list(&defaults["thresholds"], "steps").len();
    let coloured = text(&panel["options"], "colorMode") == "background";
    if text(panel, "type") == "stat" && (steps == 0 || (coloured && steps < 2)) {
        found.add(title, "a number without thresholds".into());
    }
    if text(&panel["options"]["legend"], "displayMode") == "hidden" {
        found.add(title, "a legend that is hidden".into());
    }
}

fn check_targets(panel: &Value, title: &str, found: &mut Findings) {
    let targets = list(panel, "targets");
    if targets.is_empty() {
        found.add(title, "it asks nothing".into());
    }
    if text(&panel["datasource"], "uid") != "${datasource}" {
        found.add(title, "its data source is not the chosen one".into());
    }
    let mut ids = BTreeSet::new();
    for target in targets {
        if !ids.insert(text(target, "refId")) {
            found.add(title, "two queries have the same letter".into());
        }
        if text(&target["datasource"], "uid") != "${datasource}" {
            found.add(title, "a query's data source is not the chosen one".into());
        }
        let legend = text(target, "legendFormat");
        if legend.is_empty() && text(target, "format") == "time_series" {
            found.add(title, "a series without a name".into());
        }
        let description = text(panel, "description");
        let place = Place { name: title, description, legend };
        queries::check(text(target, "expr"), place, found);
    }
}

/// What has a colour in the theme has that colour, and no colour is made up.
fn check_colours(panel: &Value, title: &str, found: &mut Findings) {
    for one in list(&panel["fieldConfig"], "overrides") {
        let name = text(&one["matcher"], "options");
        let fixed =
            list(one, "properties").iter().filter(|property| text(property, "id") == "color");
        for colour in fixed.map(|property| text(&property["value"], "fixedColor")) {
            if colour.is_empty() {
                continue;
            }
            let meanings: Vec<&str> = theme::ALL
                .iter()
                .flat_map(|colours| colours.iter())
                .filter(|(known, _)| *known == name)
                .map(|(_, colour)| *colour)
                .collect();
            if !meanings.is_empty() && !meanings.contains(&colour) {
                found.add(title, format!("{name} is {colour} here and {meanings:?} elsewhere"));
            }
            if !is_colour(colour) {
                found.add(title, format!("{colour} is no colour of the theme"));
            }
        }
    }
    // Words that always mean the same must not be left to chance.
    for target in list(panel, "targets") {
        let label = text(target, "legendFormat").trim_matches(['{', '}']);
        let Some((_, colours)) = theme::BY_LABEL.iter().find(|(known, _)| *known == label) else {
            continue;
        };
        let (name, colour) = colours[0];
        let painted = list(&panel["fieldConfig"], "overrides").iter().any(|one| {
            text(&one["matcher"], "options") == name
                && one.to_string().contains(&format!("\"{colour}\""))
        });
        if !painted {
            found.add(title, format!("the values of {label} lack their colours"));
        }
    }
}

/// Grafana's palette, and what the theme adds to it.
fn is_colour(colour: &str) -> bool {
    let hue = colour.rsplit('-').next().unwrap_or_default();
    let shade = colour.strip_suffix(hue).unwrap_or_default();
    let known = ["green", "yellow", "orange", "red", "blue", "purple"].contains(&hue)
        && ["", "dark-", "semi-dark-", "light-", "super-light-"].contains(&shade);
    let of_theme = || theme::ALL.iter().flat_map(|all| all.iter()).any(|(_, own)| *own == colour);
    known || colour == "text" || of_theme()
}
