//! The promise: how fast the budgets of failures and of slow answers are spent, by the windows and
//! factors of Google's SRE workbook, table 5-8.

use super::{
    Alert, Board, Group, Rule, Severity,
    objectives::{AVAILABILITY, BUDGET_DAYS, IN_TIME, LATENCY},
    promql::where_too,
    recorded::{ANSWERED, VALID, at_least, ratio},
};

/// Fewer of the calls that a promise is about say nothing in the long window.
const FLOOR: u32 = 100;

/// How fast, over how long, confirmed over how short, lasting how long, and how bad that is.
const BURNS: [(f64, &str, &str, &str, Severity); 4] = [
    (14.4, "1h", "5m", "2m", Severity::Critical),
    (6.0, "6h", "30m", "15m", Severity::Critical),
    (3.0, "1d", "2h", "1h", Severity::Warning),
    (1.0, "3d", "6h", "3h", Severity::Warning),
];

/// One of the two promises.
struct Promise {
    alert: &'static str,
    kind: &'static str,
    /// The calls that it is about.
    whole: &'static str,
    objective: f64,
    budget: &'static str,
    happened: String,
    board: Board,
}

pub(super) fn group() -> Group {
    let promises = [
        Promise {
            alert: "HoldlineAvailabilityBudgetBurn",
            kind: "errors",
            whole: VALID,
            objective: AVAILABILITY,
            budget: "failures",
            happened: "of valid calls failed".to_owned(),
            board: Board::Overview,
        },
        Promise {
            alert: "HoldlineLatencyBudgetBurn",
            kind: "slow",
            whole: ANSWERED,
            objective: LATENCY,
            budget: "slow answers",
            happened: format!("of answers took longer than {IN_TIME} s"),
            board: Board::Path(&[]),
        },
    ];
    let rules = promises.iter().flat_map(|promise| BURNS.map(|burn| burning(promise, burn)));
    Group {
        name: "holdline.promise",
        about: "The promise. The long window says that it matters, the short one that it goes on; a \
                few calls at night say nothing, so there must be some in the long one.",
        interval: None,
        rules: rules.map(Rule::Alert).collect(),
    }
}

fn burning(
    promise: &Promise,
    burn: (f64, &'static str, &'static str, &'static str, Severity),
) -> Alert {
    let (factor, long, short, lasts, severity) = burn;
    let Promise { alert, kind, whole, objective, budget, happened, board } = promise;
    let over = |window| format!("{} > {factor} * (1 - {objective})", ratio(kind, window));
    let expr = where_too(&over(long), "", &over(short));
    let days = BUDGET_DAYS / factor;
    let days = if days < 10.0 { format!("{days:.1}") } else { format!("{days:.0}") };
    Alert {
        name: alert,
        why: "",
        expr: where_too(&expr, "", &at_least(FLOOR, whole, long)),
        lasts: Some(lasts),
        stays: None,
        severity,
        labels: vec![("long", long), ("short", short)],
        summary: format!("{{{{ $labels.job }}}}: the budget of {budget} is spent too fast."),
        description: format!(
            "{{{{ $value | humanizePercentage }}}} {happened} in the last {long}. That spends the budget of \
             {BUDGET_DAYS} days in {days} days or less.",
        ),
        board: *board,
    }
}
