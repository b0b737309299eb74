//! The table of faults, continued: what is wrong with a caller, a limit, an upstream, an action.

use super::{
    faults::{Fault, check},
    problems,
};

#[test]
fn callers_and_limits_at_fault() {
    const REGIONS: &str = "14:13 callers.genesys.region: `eu-west-3` is no region of Genesys Cloud; write one of `eu-west-1`, `eu-west-2`, ";
    let told = problems("region: eu-west-1", "region: eu-west-3");
    assert_eq!(told.len(), 1);
    assert!(told[0].starts_with(REGIONS), "{told:?}");
    check(CALLERS_AND_LIMITS);
}

pub(super) const CALLERS_AND_LIMITS: &[Fault] = &[
    (
        "clients: [11111111-1111-1111-1111-111111111111]",
        "clients: [\"${NOT_SET:-}\"]",
        &[
            "15:14 callers.genesys.clients: names no client; name one, or remove the key: any may call then",
        ],
    ),
    (
        "region: eu-west-1",
        "url: https://a.example\n    api_base: https://b.example\n    path: /x",
        &[
            "15:5 callers.genesys.api_base: stands beside url, which is the whole address; remove one of them",
            "16:5 callers.genesys.path: stands beside url, which is the whole address; remove one of them",
        ],
    ),
    (
        "region: eu-west-1",
        "path: introspect",
        &[
            "14:11 callers.genesys.path: must be a path that begins with / and has no query; write it like /api/v2/oauth2/introspect",
        ],
    ),
    (
        "    keys: {ivr: a-key, web: another-key}\n",
        "",
        &[
            "18:3 callers.portal.keys: is missing; write one key for each caller, such as ivr: \"${file:/path}\"",
        ],
    ),
    (
        "{ivr: a-key, web: another-key}",
        "{}",
        &[
            "20:5 callers.portal.keys: has no key; write one key for each caller, such as ivr: \"${file:/path}\"",
        ],
    ),
    (
        "    type: api_key\n",
        "",
        &[
            "18:3 callers.portal.type: is missing; write introspection, rfc7662, tokens_me, api_key, basic or issued",
        ],
    ),
    (
        "  portal:\n",
        "  none:\n",
        &[
            "18:3 callers.none: is the word for no caller at all; write another name",
            "35:23 actions.customer-lookup.caller[1]: there is no caller `portal`; write one of `genesys`, `none`",
        ],
    ),
    (
        "listen: 127.0.0.1:9901",
        "listen: 0.0.0.0:9901",
        &["6:1 admin.token: is missing; write ${file:/path}, or listen on 127.0.0.1"],
    ),
    (
        "key: caller",
        "key: callr",
        &["22:21 limits.per_caller.key: `callr` is no key of a limit; write `caller`"],
    ),
    (
        "key: caller",
        "key: [all, org]",
        &[
            "22:21 limits.per_caller.key: has `all` beside other keys; write `all` alone, or leave it out",
        ],
    ),
    (
        "key: caller",
        "key: [org, org]",
        &["22:21 limits.per_caller.key: names a key twice; write it once"],
    ),
    (
        "key: caller",
        "key: []",
        &["22:21 limits.per_caller.key: is an empty list; write `all` to count all calls together"],
    ),
    (
        ", burst: 2000",
        "",
        &["22:3 limits.per_caller.burst: is missing; write how many may pass at once, such as 100"],
    ),
];

#[test]
fn upstreams_at_fault() {
    check(UPSTREAMS);
}

pub(super) const UPSTREAMS: &[Fault] = &[
    (
        "{connect: 1s, attempt: 2s}",
        "{connect: 3s, attempt: 2s}",
        &[
            "28:25 upstreams.crm.timeouts.connect: connecting may take 3s, the whole attempt only 2s; write a connect that is not above attempt",
        ],
    ),
    (
        "{connect: 1s, attempt: 2s}",
        "{attempt: 6s}",
        &[
            "37:14 actions.customer-lookup.timeout: 5s is too short: less a margin for the answer it leaves 4s 750ms, and one attempt at crm may take 6s; write a longer timeout, or a shorter upstreams.crm.timeouts.attempt",
        ],
    ),
    (
        "[connect, 503]",
        "[connect, 429, 501]",
        &[
            "29:40 upstreams.crm.retry.on[1]: 429 is repeated by its Retry-After only; remove it",
            "29:45 upstreams.crm.retry.on[2]: `501` is no cause to repeat; write `500`",
        ],
    ),
    (
        "attempts: 3",
        "attempts: 0",
        &[
            "29:23 upstreams.crm.retry.attempts: must be a whole number from 1 to 10; write at least 1",
        ],
    ),
    (
        "attempts: 3",
        "backoff: {first: 2s}",
        &[
            "29:30 upstreams.crm.retry.backoff.first: first is above max; write a first that is not above max",
        ],
    ),
    (
        "    base_url: https://crm.example.com/v2\n",
        "",
        &["25:3 upstreams.crm.base_url: is missing; write it like https://crm.example.com"],
    ),
];

#[test]
fn actions_at_fault() {
    check(ACTIONS);
}

pub(super) const ACTIONS: &[Fault] = &[
    (
        "[genesys, portal]",
        "gensys",
        &["35:13 actions.customer-lookup.caller: there is no caller `gensys`; write `genesys`"],
    ),
    (
        "[genesys, portal]",
        "[genesys, none]",
        &[
            "35:23 actions.customer-lookup.caller[1]: stands in a list, where it would let anybody in; write `caller: none`, or remove it",
        ],
    ),
    (
        "[genesys, portal]",
        "[]",
        &[
            "35:13 actions.customer-lookup.caller: is an empty list; write the name of a caller, a list of names, or `none` for anybody",
        ],
    ),
    (
        "    caller: [genesys, portal]\n",
        "",
        &[
            "34:3 actions.customer-lookup.caller: is missing; write the name of a caller, a list of names, or `none` for anybody",
        ],
    ),
    (
        "[per_caller, per_customer]",
        "[per_caler, per_customer, per_customer]",
        &[
            "36:14 actions.customer-lookup.limits[0]: there is no limit `per_caler`; write `per_caller`",
            "36:39 actions.customer-lookup.limits[2]: is written twice; keep one",
        ],
    ),
    (
        "input.customer_id]",
        "input.account]",
        &[
            "36:26 actions.customer-lookup.limits[1]: counts by the input `account`, which this action has not; add the input, or remove the limit",
        ],
    ),
    (
        "genesys_timeout: 10s",
        "genesys_timeout: 5s",
        &[
            "37:14 actions.customer-lookup.timeout: 5s is not below genesys_timeout, 5s: Genesys would hang up before the answer; write a shorter timeout",
        ],
    ),
    (
        "upstream: crm",
        "upstream: crn",
        &[
            "43:17 actions.customer-lookup.request.upstream: there is no upstream `crn`; write `crm`",
        ],
    ),
    (
        "method: GET",
        "method: POST",
        &[
            "49:5 actions.customer-lookup.cache: keeps answers of an action that is not safe; remove it, or write `safe: true` if asking twice changes nothing",
        ],
    ),
    (
        "      ttl: 60s\n",
        "",
        &[
            "49:5 actions.customer-lookup.cache.ttl: is missing; write how long an answer is fresh, such as 60s",
        ],
    ),
    (
        "key: [customer_id]",
        "key: [customer_id, langs]",
        &["51:26 actions.customer-lookup.cache.key[1]: there is no input `langs`; write `lang`"],
    ),
    (
        "customer: customer_id",
        "customer: lang",
        &[
            "51:12 actions.customer-lookup.cache.key: lacks `lang`, the customer: two of them would share an entry; add `lang`",
        ],
    ),
    (
        "lang: {type: string}",
        "orgId: {type: string}",
        &[
            "41:7 actions.customer-lookup.input.orgId: is a name that Genesys keeps for itself; write another name",
        ],
    ),
    (
        "lang: {type: string}",
        "1st: {type: string}",
        &[
            "41:7 actions.customer-lookup.input.1st: must be a letter followed by at most 63 letters, digits, - or _; write another name",
        ],
    ),
    (
        "lang: {type: string}",
        "lang: {type: text}",
        &[
            "41:20 actions.customer-lookup.input.lang.type: `text` is none of its words; write one of `string`, `integer`, `number`, `boolean`",
        ],
    ),
    (
        "from: $.name, default: Unknown",
        "from: $.name, value: x",
        &["47:7 actions.customer-lookup.output.name: has both from and value; keep one of them"],
    ),
    (
        "from: $.name, default: Unknown",
        "default: Unknown",
        &[
            "47:7 actions.customer-lookup.output.name.from: is missing; write a JSONPath such as $.name, or value in place of default",
        ],
    ),
    (
        "value: false",
        "value: 007",
        &[
            "48:39 actions.customer-lookup.output.premium.value: looks like a number, but is none of JSON within 64 bits; write it in quotes if it is a text, or as JSON writes numbers",
        ],
    ),
];
