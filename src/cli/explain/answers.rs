//! What an action answers when it does not ask its upstream, or asks in vain.

use crate::{
    catalog::{
        action::Failures,
        policy::{CachePolicy, SharedBy, TTL_JITTER},
        worst_case,
    },
    cli::explain::{
        View,
        page::Page,
        upstream::CALLS,
        words::{list, percent, span, tenths},
    },
};

/// The cache.
pub(super) fn kept(view: &View<'_>, page: &mut Page) {
    page.heading("KEPT ANSWERS");
    let name = &view.upstream.name;
    let Some(cache) = &view.action.cache else {
        return page.row("None", &format!("Every call asks {name}."));
    };
    page.row("One for", &whose(cache));
    page.row("Fresh", &format!("For {} (± {}).", span(cache.ttl), percent(TTL_JITTER)));
    let (behind, spare) = (cache.stale_while_revalidate, cache.stale_if_error);
    if !behind.is_zero() {
        let text = format!("For {} after that: answered at once, one fetch behind.", span(behind));
        page.row("Then", &text);
    }
    if spare > behind {
        let late = cache.stale_after.min(view.fetch.patience);
        page.row(
            "While it fails",
            &format!(
                "For {} after it was fresh: answered when a fetch fails or takes longer than {}. \
                 At {CALLS} calls/s that is at most {} Genesys slots.",
                span(spare),
                span(late),
                tenths(worst_case::held(CALLS, late)),
            ),
        );
    }
    page.row("Oldest", &format!("{}.", span(worst_case::oldest(cache))));
    let not_found = match cache.not_found {
        time if time.is_zero() => "Not remembered: each call asks again.".to_owned(),
        time => format!("Remembered for {}.", span(time)),
    };
    page.row("A 404", &not_found);
    page.row(
        "A failure",
        &format!("Told for a second to all who ask for the same; {name} is not asked for them."),
    );
}

/// What calls must have in common to be given the same entry.
fn whose(cache: &CachePolicy) -> String {
    let key = match &*cache.key {
        [] => "all calls".to_owned(),
        key => format!("each {}", list(key, "and")),
    };
    let whom = match cache.shared_by {
        SharedBy::Org => " of an organisation",
        SharedBy::Caller => " of a caller",
        SharedBy::All => ", whoever asks",
    };
    let purge = cache.customer.as_ref().map_or_else(String::new, |customer| {
        format!(" What is kept of one {customer} can be purged.")
    });
    format!("{key}{whom}.{purge}")
}

/// The last resorts.
pub(super) fn none(view: &View<'_>, page: &mut Page) {
    page.heading("WHEN THERE IS NO ANSWER");
    let (action, name) = (view.action, &view.upstream.name);
    page.row(
        "Fallback",
        &match action.fallback {
            None => "None is declared.".to_owned(),
            Some(_) => format!("What is declared, in place of a failure of {name}."),
        },
    );
    let told = match action.failures {
        Failures::Status => {
            "By an HTTP status and a problem document. A voice flow sees its Failure path and \
             nothing else; `failures: outcome` lets it tell failures apart."
        }
        Failures::Outcome => {
            "By a 200 with every output, and `outcome`, `status_code`, `stale` and `age_seconds` \
             beside them, which a flow can read. Only a caller that is not known and a call that \
             is shed keep their status."
        }
    };
    page.row("Failures", told);
}
