//! The keys of `callers` and `limits`.
//!
//! What types have in common is read by the same code, and is shown for each of them all the same.

pub(crate) mod asked;
pub(crate) mod kept;

use holdline::telemetry::stage::Stage;
use serde_json::json;

use super::keys;
use crate::support::{
    jwt_issuer::{FIRST, ISSUER, set},
    rig::{Rig, Setup},
    scripted::Line,
};

keys! {
    "callers.*(introspection).type"
        => path::authenticate::introspection::the_question_carries_the_token_as_bearer_and_in_the_body,
    "callers.*(introspection).header"
        => contract::refused::a_missing_token_is_called_by_the_header_that_is_configured,
    "callers.*(introspection).region" | "callers.*(introspection).api_base"
    | "callers.*(introspection).path" | "callers.*(introspection).url"
    | "callers.*(tokens_me).region" | "callers.*(tokens_me).api_base"
    | "callers.*(tokens_me).path" | "callers.*(tokens_me).url"
    | "callers.*(rfc7662).url" | "callers.*(jwt).jwks"
        => keys::callers::asked::an_authority_is_asked_where_it_is_written,
    "callers.*(introspection).org"
        => path::authenticate::introspection::another_organisation_than_the_configured_one_is_refused,
    "callers.*(introspection).clients"
        => path::authenticate::introspection::a_client_that_is_not_listed_is_refused_and_so_is_one_that_is_not_named,
    "callers.*(introspection).claims.org" | "callers.*(introspection).claims.client"
    | "callers.*(introspection).claims.expires"
        => path::authenticate::introspection::the_caller_is_the_one_that_the_claims_name,
    "callers.*(introspection).timeout" | "callers.*(rfc7662).timeout"
    | "callers.*(tokens_me).timeout" | "callers.*(jwt).timeout"
        => keys::callers::asked::an_authority_may_take_as_long_as_is_written,
    "callers.*(introspection).max_concurrent" | "callers.*(rfc7662).max_concurrent"
    | "callers.*(tokens_me).max_concurrent"
        => keys::callers::asked::an_authority_is_asked_as_much_at_once_as_is_written,
    "callers.*(introspection).cache.ttl" | "callers.*(rfc7662).cache.ttl"
    | "callers.*(tokens_me).cache.ttl" | "callers.*(jwt).cache.ttl"
        => keys::callers::kept::a_token_stays_proven_as_long_as_is_written,
    "callers.*(introspection).cache.refused_ttl" | "callers.*(rfc7662).cache.refused_ttl"
    | "callers.*(tokens_me).cache.refused_ttl" | "callers.*(jwt).cache.refused_ttl"
        => keys::callers::kept::a_token_stays_refused_as_long_as_is_written,
    "callers.*(introspection).cache.capacity" | "callers.*(rfc7662).cache.capacity"
    | "callers.*(tokens_me).cache.capacity" | "callers.*(jwt).cache.capacity"
        => keys::callers::kept::as_many_proven_tokens_are_remembered_as_is_written,
    "callers.*(introspection).cache.refused_capacity" | "callers.*(rfc7662).cache.refused_capacity"
    | "callers.*(tokens_me).cache.refused_capacity" | "callers.*(jwt).cache.refused_capacity"
        => keys::callers::kept::as_many_refused_tokens_are_remembered_as_is_written,
    "callers.*(introspection).cache.stale_on_outage" | "callers.*(rfc7662).cache.stale_on_outage"
    | "callers.*(tokens_me).cache.stale_on_outage"
        => keys::callers::kept::an_old_verdict_outlives_an_outage_as_long_as_is_written,

    "callers.*(rfc7662).type" | "callers.*(rfc7662).client_id" | "callers.*(rfc7662).client_secret"
        => path::authenticate::rfc7662::the_question_is_a_form_and_says_who_asks,
    "callers.*(rfc7662).header"
        => path::authenticate::rfc7662::the_token_stands_in_authorization_unless_another_header_is_named,
    "callers.*(rfc7662).org" | "callers.*(rfc7662).clients"
        => path::authenticate::rfc7662::only_the_named_organisation_and_clients_may_call,
    "callers.*(rfc7662).claims.org" | "callers.*(rfc7662).claims.client"
    | "callers.*(rfc7662).claims.expires"
        => path::authenticate::rfc7662::all_callers_are_of_one_organisation_unless_a_claim_is_known_to_name_it,

    "callers.*(tokens_me).type"
        => path::authenticate::tokens_me::the_token_asks_for_itself_and_does_not_keep_itself_from_idling,
    "callers.*(tokens_me).header"
        => path::authenticate::tokens_me::it_may_be_asked_elsewhere_and_for_another_header,
    "callers.*(tokens_me).org" | "callers.*(tokens_me).clients"
    | "callers.*(tokens_me).claims.org" | "callers.*(tokens_me).claims.client"
        => path::authenticate::tokens_me::the_good_token_of_another_organisation_or_client_is_refused,

    "callers.*(jwt).type"
        => path::authenticate::jwt::a_good_token_is_taken_at_its_word_and_checked_once,
    "callers.*(jwt).header" => path::authenticate::jwt::the_token_stands_in_the_header_that_is_named,
    "callers.*(jwt).issuer" | "callers.*(jwt).audience"
        => path::authenticate::jwt::who_must_have_signed_it_and_for_whom_is_what_is_written,
    "callers.*(jwt).algorithms"
        => path::authenticate::jwt::every_algorithm_that_is_listed_is_understood_and_no_other,
    "callers.*(jwt).claims.org" | "callers.*(jwt).claims.client"
    | "callers.*(jwt).org" | "callers.*(jwt).clients"
        => path::authenticate::jwt::claims_say_who_calls_and_only_who_is_named_may,

    "callers.*(api_key).type" | "callers.*(api_key).keys"
        => path::authenticate::a_key_is_judged_here_and_its_caller_belongs_to_the_entry,
    "callers.*(api_key).header" => keys::callers::a_key_stands_in_the_header_that_is_written,
    "callers.*(basic).type"
        => contract::basic::a_user_with_the_right_password_is_let_in_and_no_authority_is_asked,
    "callers.*(basic).header" => contract::basic::another_header_carries_it_with_the_same_word,
    "callers.*(basic).users" => contract::basic::a_wrong_user_or_password_is_refused_and_never_echoed,
    "callers.*(issued).type"
        => contract::issued::what_genesys_sends_is_answered_with_a_token_that_lets_its_calls_in,
    "callers.*(issued).header" | "callers.*(issued).path" | "callers.*(issued).ttl"
        => contract::issued::path_lifetime_and_header_are_as_configured,
    "callers.*(issued).clients"
        => path::authenticate::issued::a_client_that_is_no_longer_configured_is_refused_at_once,
    "callers.*(issued).key"
        => path::authenticate::issued::another_replica_takes_the_token_and_one_with_another_key_or_name_does_not,

    "limits.*.key" => path::rate_limit::calls_are_counted_together_by_what_the_key_says,
    "limits.*.rate" => path::rate_limit::the_wait_that_is_promised_is_the_one_that_is_needed,
    "limits.*.burst"
        => path::rate_limit::a_burst_passes_and_then_one_call_a_period_to_the_millisecond,
    "limits.*.enforce" => path::rate_limit::a_limit_that_does_not_enforce_only_tells,
}

/// Types that ask an authority about each token.
const ASKING: [&str; 3] = ["introspection", "rfc7662", "tokens_me"];
/// Those, and the one that asks for keys.
const ALL: [&str; 4] = ["introspection", "rfc7662", "tokens_me", "jwt"];

/// The pipeline whose caller is of that type, with these further keys, its token in `Authorization`.
fn rig(kind: &str, keys: &str) -> Rig {
    let usual = match kind {
        "introspection" => "url: https://authority.test/a, header: Authorization".to_owned(),
        "rfc7662" => "url: https://authority.test/a, client_id: us, client_secret: s".to_owned(),
        "tokens_me" => "url: https://authority.test/a, org: acme".to_owned(),
        "jwt" => format!("jwks: https://authority.test/a, issuer: '{ISSUER}', audience: holdline"),
        other => panic!("{other} is no type"),
    };
    let caller = format!("idp: {{type: {kind}, {usual}, {keys}}}");
    let rig = Setup { caller: "idp", callers: &[&caller], ..Setup::PLAIN }.rig();
    rig.authority().always(good(kind));
    rig
}

/// What such an authority says where all is well.
fn good(kind: &str) -> Line {
    match kind {
        "jwt" => Line::json(&set(&[&FIRST])),
        _ => Line::json(&json!({"active": true, "organization": {"id": "acme"}})),
    }
}

/// A token of that caller.
fn token(kind: &str, client: &str) -> String {
    if kind == "jwt" { FIRST.good(client) } else { client.to_owned() }
}

#[tokio::test(start_paused = true)]
pub(crate) async fn a_key_stands_in_the_header_that_is_written() {
    for (key, header, other) in
        [("", "x-api-key", "x-flow-key"), (", header: X-Flow-Key", "x-flow-key", "x-api-key")]
    {
        let caller = format!("flows: {{type: api_key, keys: {{ivr: a-key}}{key}}}");
        let rig = Setup { caller: "flows", callers: &[&caller], ..Setup::PLAIN }.rig();
        let there = rig.lookup().bare().header(header, "a-key").heard().await;
        assert_eq!(there.decision(Stage::Authenticate), "local");
        let elsewhere = rig.lookup().bare().header(other, "a-key").heard().await;
        assert_eq!(elsewhere.decision(Stage::Authenticate), "missing");
    }
}
