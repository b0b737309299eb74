//! The ten things that may happen to a call. That its caller hangs up is [`super::given::OnLine`]'s.

use std::time::Duration;

use holdline::{catalog::name::Name, pipeline::operate::Purge};

use super::given::named;
use crate::support::{rig::Rig, scripted::Line};

/// The upstream says this to everybody who waits for it, and to everybody who comes.
pub(super) fn the_upstream_says(rig: &Rig, line: &Line) {
    rig.upstream().only([]).always(line.clone());
    rig.upstream().release(line.clone());
}

/// The upstream is silent.
pub(super) fn it_is_silent(rig: &Rig) {
    the_upstream_says(rig, &Line::hangs());
}

/// The upstream wants to be asked again in a second.
pub(super) fn it_says_429(rig: &Rig) {
    the_upstream_says(rig, &told_to_wait());
}

/// A 429 with a `Retry-After` of a second.
pub(super) fn told_to_wait() -> Line {
    Line::status(429).header("retry-after", "1")
}

/// The upstream fails.
pub(super) fn it_says_503(rig: &Rig) {
    the_upstream_says(rig, &Line::status(503));
}

/// The upstream takes a second and a half to the last byte of its reply.
pub(super) fn it_is_slow(rig: &Rig) {
    the_upstream_says(rig, &named("Eve").after(1_500));
}

/// The upstream sends a page instead of JSON.
pub(super) fn it_sends_a_page(rig: &Rig) {
    the_upstream_says(rig, &Line::status(200).body("<html>"));
}

/// The token authority fails.
pub(super) fn the_authority_is_down(rig: &Rig) {
    rig.authority().always(Line::status(503));
}

/// The process stops, and waits so long for what is under way. Returns how much of that was cut.
pub(super) async fn it_stops(rig: &Rig, seconds: u64) -> usize {
    rig.background().stop(Duration::from_secs(seconds)).await
}

/// Another configuration is put in force, in which the action takes a little less time: nothing that
/// is known changes by that.
pub(super) fn another_is_put_in_force(rig: &Rig) -> Rig {
    rig.reload(&[("    output: {name:", "    timeout: 4900ms\n    output: {name:")])
}

/// Another configuration is put in force, in which the action answers with another name.
pub(super) fn the_action_is_changed(rig: &Rig) -> Rig {
    rig.reload(&[("from: $.name}", "from: $.alias, default: nobody}")])
}

/// An operator removes what is known about customer 1. Returns how many entries that were.
pub(super) fn customer_1_is_purged(rig: &Rig) -> u64 {
    let action = Name::new("lookup").expect("a name");
    rig.purge(&Purge::Customer { customer: "1".to_owned(), action })
}
