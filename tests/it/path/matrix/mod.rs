//! Every pair of what may happen to a call and where it may be at that moment: what breaks in such
//! a service breaks where two of its features meet.
//!
//! A row is a file and has one test in each column. The states are made in [`given`], what happens
//! is in [`when`], and what several tests ask afterwards in [`then`]. `provider_down` is the token
//! authority's outage; `reload` puts another configuration in force; `drain` is what the pipeline sees of a stop, its part over sockets is tested
//! with the program. The script brings whole replies, so a slow body is a reply whose end is late.

mod given;
mod then;
mod when;

mod bad_json;
mod cancel;
mod drain;
mod provider_down;
mod purge;
mod reload;
mod server_error;
mod slow_body;
mod timeout;
mod too_many_requests;

/// What may happen.
const EVENTS: [&str; 10] = [
    "cancel",
    "timeout",
    "too_many_requests",
    "server_error",
    "slow_body",
    "bad_json",
    "provider_down",
    "drain",
    "purge",
    "reload",
];

/// Where a call may be.
const STATES: [&str; 7] =
    ["fresh", "stale", "leader", "waiter", "probe", "retry_wait", "permit_wait"];

/// One cell of the table: row, column, the test's name.
type Cell = (&'static str, &'static str, &'static str);

/// Makes the table and sees to it that each test that it names exists.
macro_rules! matrix {
    ($($event:ident { $($state:ident: $test:ident,)* })*) => {
        $($(const _: fn() = $event::$test;)*)*

        /// All cells.
        const CELLS: &[Cell] =
            &[$($((stringify!($event), stringify!($state), stringify!($test)),)*)*];

        /// The text of each row's file.
        const ROWS: &[(&str, &str)] =
            &[$((stringify!($event), include_str!(concat!(stringify!($event), ".rs"))),)*];
    };
}

matrix! {
    cancel {
        fresh: a_hit_is_over_before_its_caller_can_hang_up,
        stale: who_hangs_up_beside_a_spare_answer_takes_no_fetch_with_it,
        leader: a_leader_who_hangs_up_leaves_the_flight_to_its_followers,
        waiter: a_waiter_who_hangs_up_gives_its_place_to_another,
        probe: a_probe_whose_caller_hangs_up_frees_its_place_at_once,
        retry_wait: a_caller_who_hangs_up_between_attempts_is_asked_for_no_more,
        permit_wait: one_who_leaves_the_line_sends_nothing_and_lets_the_next_move_up,
    }
    timeout {
        fresh: a_silent_upstream_is_not_noticed,
        stale: a_refresh_that_times_out_keeps_the_old_answer,
        leader: a_flight_ends_with_its_time_and_keeps_nothing,
        waiter: a_waiter_whose_time_is_up_leaves_and_the_flight_goes_on,
        probe: a_probe_that_times_out_doubles_the_rest,
        retry_wait: a_call_that_waited_between_attempts_ends_with_its_deadline,
        permit_wait: one_whose_turn_does_not_come_is_refused_within_its_wait,
    }
    too_many_requests {
        fresh: an_upstream_that_wants_to_wait_is_not_noticed,
        stale: a_refresh_that_is_told_to_wait_keeps_the_old_answer_and_waits,
        leader: a_flight_waits_as_told_for_all_who_ask,
        waiter: a_waiter_is_told_what_the_flight_was_told,
        probe: a_probe_that_is_told_to_wait_opens_the_breaker_again,
        retry_wait: what_the_upstream_asks_comes_on_top_of_the_backoff,
        permit_wait: who_is_in_line_when_it_asks_to_wait_is_told_at_once,
    }
    server_error {
        fresh: a_failing_upstream_is_not_noticed,
        stale: a_spare_answer_stands_in_for_a_failing_upstream,
        leader: a_failure_is_told_and_forgotten_after_a_second,
        waiter: a_failure_is_shared_and_not_multiplied,
        probe: a_probe_that_fails_doubles_the_rest,
        retry_wait: a_call_is_repeated_as_often_as_it_may_and_no_more,
        permit_wait: whoever_fails_gives_its_permit_on,
    }
    slow_body {
        fresh: a_slow_upstream_is_not_noticed,
        stale: a_slow_refresh_makes_nobody_wait,
        leader: a_slow_reply_is_waited_for_and_kept,
        waiter: who_comes_late_waits_for_the_rest_only,
        probe: a_slow_probe_keeps_its_place_and_counts,
        retry_wait: a_repeat_has_all_the_time_of_an_attempt,
        permit_wait: a_slow_reply_keeps_its_permit_and_one_in_line_gives_up,
    }
    bad_json {
        fresh: what_cannot_be_read_is_not_noticed,
        stale: a_refresh_that_cannot_be_read_keeps_the_old_answer,
        leader: what_cannot_be_read_is_told_and_never_kept,
        waiter: what_cannot_be_read_is_asked_for_once_for_all,
        probe: a_probe_that_cannot_be_read_was_answered_all_the_same,
        retry_wait: what_cannot_be_read_is_not_asked_for_again,
        permit_wait: what_cannot_be_read_gives_its_permit_on,
    }
    provider_down {
        fresh: a_known_token_is_answered_and_an_unknown_one_is_not_refused,
        stale: a_refresh_asks_nobody_who_it_is_for,
        leader: a_leader_is_not_identified_twice,
        waiter: who_cannot_be_identified_joins_no_flight,
        probe: who_cannot_be_identified_takes_no_probes_place,
        retry_wait: a_repeat_is_not_identified_again,
        permit_wait: one_in_line_is_not_identified_again,
    }
    drain {
        fresh: a_hit_is_answered_until_the_last_moment,
        stale: a_refresh_is_finished_before_the_stop_is_over,
        leader: a_flight_and_its_leader_are_finished,
        waiter: what_outlasts_the_stop_is_counted_and_not_waited_for,
        probe: a_probe_is_finished_and_counts,
        retry_wait: a_call_between_attempts_is_repeated_and_answered,
        permit_wait: one_in_line_still_gets_its_turn,
    }
    purge {
        fresh: a_purged_answer_is_gone_at_once,
        stale: a_purged_answer_is_not_served_stale_nor_brought_back_by_its_refresh,
        leader: a_leader_is_answered_and_who_asks_after_joins_nothing,
        waiter: a_waiter_is_answered_and_nothing_is_kept,
        probe: a_probe_counts_and_its_answer_is_not_kept,
        retry_wait: what_a_repeat_brings_is_told_and_not_kept,
        permit_wait: what_was_in_line_is_told_and_not_kept,
    }
    reload {
        fresh: a_hit_outlives_a_reload_that_leaves_its_action_as_it_is,
        stale: a_refresh_is_kept_for_those_who_ask_after_the_reload,
        leader: a_leader_ends_on_what_it_began_with_and_nothing_old_is_kept,
        waiter: who_asks_after_a_reload_waits_for_the_same_flight,
        probe: a_probe_from_before_counts_after,
        retry_wait: a_repeat_goes_to_where_its_call_began,
        permit_wait: one_in_line_still_gets_its_turn_and_those_after_stand_behind_it,
    }
}

#[test]
fn the_table_has_every_cell_once() {
    let pairs = EVENTS.iter().flat_map(|event| STATES.iter().map(move |state| (*event, *state)));
    let cells: Vec<_> = CELLS.iter().map(|(event, state, _)| (*event, *state)).collect();
    assert_eq!(cells, pairs.collect::<Vec<_>>());
}

#[test]
fn every_test_of_a_row_stands_in_the_table() {
    for (event, text) in ROWS {
        let named: Vec<_> = CELLS.iter().filter(|(row, ..)| row == event).collect();
        assert_eq!(text.matches("#[tokio::test").count(), named.len(), "{event}.rs");
        for (.., test) in named {
            assert!(text.contains(&format!("async fn {test}()")), "{test} in {event}.rs");
        }
    }
}
