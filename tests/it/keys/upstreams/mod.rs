//! The keys of `upstreams`.

pub(crate) mod breaker;
pub(crate) mod load;
pub(crate) mod network;
pub(crate) mod repeats;

use super::keys;

keys! {
    "upstreams.*.base_url" => keys::upstreams::repeats::an_upstream_is_asked_where_it_is_written,
    "upstreams.*.auth(none).type" | "upstreams.*.auth(bearer).type" | "upstreams.*.auth(bearer).token"
    | "upstreams.*.auth(basic).type" | "upstreams.*.auth(basic).user"
    | "upstreams.*.auth(basic).password" | "upstreams.*.auth(header).type"
    | "upstreams.*.auth(header).name" | "upstreams.*.auth(header).value"
        => path::upstream::credential::what_is_written_goes_with_each_attempt_in_its_own_header,
    "upstreams.*.auth(oauth2).type" | "upstreams.*.auth(oauth2).token_url"
    | "upstreams.*.auth(oauth2).client_id" | "upstreams.*.auth(oauth2).client_secret"
    | "upstreams.*.auth(oauth2).scope"
        => path::upstream::credential::issuer::it_is_asked_for_by_a_form_and_our_client_is_named_by_basic,
    "upstreams.*.headers"
        => path::upstream::the_request_is_the_actions_own_and_carries_nothing_of_the_call,
    "upstreams.*.timeouts.connect" => keys::upstreams::network::connecting_may_take_as_long_as_is_written,
    "upstreams.*.timeouts.attempt" => keys::upstreams::repeats::an_attempt_may_take_as_long_as_is_written,

    "upstreams.*.retry.attempts"
        => path::upstream::retry::the_ceiling_doubles_up_to_its_top_and_attempts_end_at_their_number,
    "upstreams.*.retry.on" => path::upstream::retry::only_the_causes_that_are_written_are_repeated,
    "upstreams.*.retry.backoff.first" => path::upstream::retry::the_wait_is_any_part_of_the_ceiling,
    "upstreams.*.retry.backoff.max" => keys::upstreams::repeats::waits_grow_up_to_what_is_written,
    "upstreams.*.retry.budget.ratio" => keys::upstreams::repeats::as_large_a_share_is_repeated_as_is_written,
    "upstreams.*.retry.budget.per_second"
        => path::upstream::retry::a_few_repeats_a_second_are_always_allowed,
    "upstreams.*.retry.budget.window"
        => keys::upstreams::repeats::repeats_are_saved_up_as_long_as_is_written,
    "upstreams.*.retry.idempotency_key"
        => path::upstream::retry::an_idempotency_key_makes_it_repeatable_and_stays_the_same,

    "upstreams.*.breaker.enabled" => path::upstream::breaker::one_that_is_switched_off_never_opens,
    "upstreams.*.breaker.failure_ratio" => keys::upstreams::breaker::the_share_of_failures_opens_it,
    "upstreams.*.breaker.min_attempts"
        => keys::upstreams::breaker::a_share_of_too_few_attempts_says_nothing,
    "upstreams.*.breaker.window" => keys::upstreams::breaker::it_looks_back_as_far_as_is_written,
    "upstreams.*.breaker.run" => keys::upstreams::breaker::a_run_of_failures_opens_it,
    "upstreams.*.breaker.connect_run"
        => keys::upstreams::breaker::a_run_of_failures_to_connect_opens_it,
    "upstreams.*.breaker.open.first" => keys::upstreams::breaker::its_first_rest_is_as_long_as_is_written,
    "upstreams.*.breaker.open.max" => keys::upstreams::breaker::no_rest_is_longer_than_is_written,
    "upstreams.*.breaker.close_after" => keys::upstreams::breaker::as_many_good_probes_close_it,
    "upstreams.*.breaker.ramp" => keys::upstreams::breaker::after_closing_a_part_passes_as_long_as_is_written,
    "upstreams.*.breaker.slow.after" => keys::upstreams::breaker::what_is_slow_is_written,
    "upstreams.*.breaker.slow.ratio" => keys::upstreams::breaker::the_share_of_slow_attempts_opens_it,

    "upstreams.*.concurrency.limit" | "upstreams.*.concurrency.start"
        => keys::upstreams::load::as_many_attempts_are_under_way_as_are_written,
    "upstreams.*.concurrency.min" | "upstreams.*.concurrency.max"
        => keys::upstreams::load::an_adaptive_limit_stays_within_what_is_written,
    "upstreams.*.concurrency.wait" => keys::upstreams::load::a_turn_is_waited_for_as_long_as_is_written,
    "upstreams.*.quota.rate" | "upstreams.*.quota.burst"
        => keys::upstreams::load::attempts_are_sent_as_fast_as_the_vendor_allows,
    "upstreams.*.hedge.enabled" => keys::upstreams::load::a_late_attempt_has_a_second_one_where_that_is_on,
    "upstreams.*.hedge.after" => path::upstream::hedge::any_percentile_may_be_written,
    "upstreams.*.hedge.budget" => path::upstream::hedge::two_of_a_hundred_may_be_hedged,

    "upstreams.*.pool.idle" => keys::upstreams::network::as_many_connections_are_kept_as_is_written,
    "upstreams.*.pool.idle_timeout"
        => keys::upstreams::network::a_connection_is_kept_as_long_as_is_written,
    "upstreams.*.max_reply" => path::upstream::attempt::a_reply_is_read_up_to_its_cap_and_not_a_byte_further,
    "upstreams.*.propagate_trace" => path::upstream::the_trace_goes_on_only_where_it_may,
    "upstreams.*.tls.ca" => contract::way::an_upstream_signed_by_a_root_of_its_own_is_trusted,
    "upstreams.*.tls.certificate" | "upstreams.*.tls.key"
        => contract::way::an_upstream_that_asks_who_we_are_is_shown_our_certificate,
    "upstreams.*.proxy" => contract::way::a_proxy_carries_what_is_for_the_upstream,
}
