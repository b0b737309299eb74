//! Times that stand in the wrong order, each refused or warned of with what to write instead.

use super::{GOOD, accepted, good_but, problems};

/// The warnings about the good file with these replacements.
fn warnings(replaced: &[(&str, &str)]) -> Vec<String> {
    let yaml = replaced.iter().fold(GOOD.to_owned(), |yaml, (from, to)| {
        assert_eq!(yaml.matches(from).count(), 1, "{from:?} is not there once");
        yaml.replacen(from, to, 1)
    });
    super::warnings(&yaml)
}

#[test]
fn a_ladder_that_is_upside_down_is_refused_where_it_is_written_or_implied() {
    for (from, to, told) in [
        (
            "    timeout: 5s\n    genesys_timeout: 10s",
            "    genesys_timeout: 4s",
            "37:22 actions.customer-lookup.genesys_timeout: 5s is not below genesys_timeout, 4s: Genesys would hang up before the answer; write a shorter timeout",
        ),
        (
            "    timeout: 5s\n",
            "    timeout: 2s\n",
            "37:14 actions.customer-lookup.timeout: 2s is too short: less a margin for the answer it leaves 1s 800ms, and one attempt at crm may take 2s; write a longer timeout, or a shorter upstreams.crm.timeouts.attempt",
        ),
        (
            "{connect: 1s, attempt: 2s}",
            "{attempt: 4750ms}",
            "37:14 actions.customer-lookup.timeout: 5s is too short: less a margin for the answer it leaves 4s 750ms, and one attempt at crm may take 4s 750ms; write a longer timeout, or a shorter upstreams.crm.timeouts.attempt",
        ),
        (
            "{connect: 1s, attempt: 2s}",
            "{attempt: 900ms}",
            "28:25 upstreams.crm.timeouts.attempt: connecting may take 1s, the whole attempt only 900ms; write a connect that is not above attempt",
        ),
    ] {
        assert_eq!(problems(from, to), [told]);
    }
    // A rung may be as long as what is left for it.
    accepted(&good_but("{connect: 1s, attempt: 2s}", "{connect: 2s, attempt: 2s}"));
    accepted(&good_but("{connect: 1s, attempt: 2s}", "{attempt: 4749ms}"));
}

#[test]
fn an_attempt_that_is_cut_short_once_it_stood_in_line_is_warned_of() {
    let attempt = |to| ("{connect: 1s, attempt: 2s}", to);
    let told = |time| {
        format!(
            "37:14 actions.customer-lookup.timeout: an attempt at crm that stood in line (concurrency.wait) is cut short, and tells its breaker nothing: 5s leaves 4s 750ms, and it may take {time}; write a longer timeout, or a shorter upstreams.crm.timeouts.attempt"
        )
    };
    assert_eq!(warnings(&[attempt("{attempt: 4651ms}")]), [told("4s 651ms")]);
    assert_eq!(warnings(&[attempt("{attempt: 4650ms}")]), [""; 0], "it just fits");
    // With a quota it may stand in line twice; and never for more than a tenth of what is left.
    let hedge = "    hedge: {enabled: false}\n";
    let quota = (hedge, "    quota: {rate: 10/s, burst: 5}\n");
    assert_eq!(warnings(&[attempt("{attempt: 4551ms}"), quota]), [told("4s 551ms")]);
    assert_eq!(warnings(&[attempt("{attempt: 4550ms}"), quota]), [""; 0]);
    let patient = ("wait: 100ms", "wait: 1m");
    assert_eq!(warnings(&[attempt("{attempt: 4275ms}"), patient]), [""; 0]);
}

#[test]
fn hedges_that_are_never_sent_are_warned_of() {
    let on = ("hedge: {enabled: false}", "hedge: {enabled: true}");
    let once = ("attempts: 3, on: [connect, 503]", "attempts: 1");
    let told = "32:22 upstreams.crm.hedge.enabled: no hedge is ever sent: hedges count among retry.attempts, which is 1; write `retry.attempts: 2` or more, or remove it";
    assert_eq!(warnings(&[on, once]), [told]);
    assert_eq!(warnings(&[on]), [""; 0]);
    assert_eq!(warnings(&[once]), [""; 0]);
}

#[test]
fn repeats_that_have_no_time_are_warned_of() {
    let long = ("{connect: 1s, attempt: 2s}", "{attempt: 2400ms}");
    let on_timeout = ("on: [connect, 503]", "on: [connect, timeout]");
    let told = "37:14 actions.customer-lookup.timeout: of 3 attempts at crm not even two fit: 5s leaves 4s 750ms, and each may take 2s 400ms; write a shorter upstreams.crm.timeouts.attempt, a longer timeout, or remove `timeout` from upstreams.crm.retry.on";
    assert_eq!(warnings(&[long, on_timeout]), [told]);
    // What fails at once is repeated all the same, and what is never repeated needs no room.
    assert_eq!(warnings(&[long]), [""; 0]);
    let once = ("attempts: 3, on: [connect, 503]", "attempts: 1, on: [timeout]");
    assert_eq!(warnings(&[long, once]), [""; 0]);
    let half = ("{connect: 1s, attempt: 2s}", "{attempt: 2375ms}");
    assert_eq!(warnings(&[half, on_timeout]), [""; 0], "they just fit");
}

#[test]
fn an_authority_that_may_take_the_whole_call_is_warned_of() {
    let slow = ("    region: eu-west-1\n", "    region: eu-west-1\n    timeout: 4750ms\n");
    let told = "38:14 actions.customer-lookup.timeout: 5s leaves 4s 750ms, and the token authority may take 4s 750ms of it: nothing is left for the upstream; write a longer timeout, or a shorter callers.genesys.timeout";
    assert_eq!(warnings(&[slow]), [told]);
    let quick = ("    region: eu-west-1\n", "    region: eu-west-1\n    timeout: 4749ms\n");
    assert_eq!(warnings(&[quick]), [""; 0]);
    let keys = ("caller: [genesys, portal]", "caller: portal");
    let unnamed = "12:3 callers.genesys: is named by no action; name it in one, or remove it";
    assert_eq!(warnings(&[slow, keys]), [unnamed], "it is not asked");
}
