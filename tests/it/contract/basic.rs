//! Callers who prove themselves by HTTP Basic: what is read, what is refused, and what they are
//! beside others on the same header.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::support::{
    client::{Ask, TOKEN, TOKEN_HEADER},
    form::Form,
    proxy::{Setup, TestProxy},
};

const DESK: &str = "desk: {type: basic, users: {ivr: \"pass:word\", web: other-password, \"käthe\": \"blaue Straße\"}}";
const INVALID: &str = "Invalid user or password";
const MISSING: &str = "Missing Authorization header";

fn basic(text: impl AsRef<[u8]>) -> String {
    format!("Basic {}", STANDARD.encode(text))
}

fn bare(proxy: &TestProxy, form: Form) -> Ask {
    proxy.ask(form, 1).without(TOKEN_HEADER)
}

#[tokio::test]
pub(crate) async fn a_user_with_the_right_password_is_let_in_and_no_authority_is_asked() {
    let proxy = Setup::new().caller(DESK).action("caller: desk").start().await;
    for form in Form::ALL {
        for user in ["ivr:pass:word", "web:other-password", "käthe:blaue Straße"] {
            let answer = bare(&proxy, form).header("authorization", &basic(user)).send().await;
            form.answered(&answer, &proxy.outputs(1));
        }
        let encoded = STANDARD.encode("ivr:pass:word");
        for value in [format!("bAsIc {encoded}"), format!("BASIC   {encoded} ")] {
            let answer = bare(&proxy, form).header("authorization", &value).send().await;
            form.answered(&answer, &proxy.outputs(1));
        }
    }
    assert_eq!(proxy.genesys.site.counts().connections, 0);
    proxy.stop().await;
}

#[tokio::test]
pub(crate) async fn a_wrong_user_or_password_is_refused_and_never_echoed() {
    let proxy = Setup::new().caller(DESK).action("caller: desk").start().await;
    for form in Form::ALL {
        for user in [
            "ivr:pass",
            "ivr:pass:word ",
            "ivr:PASS:WORD",
            "ivr:other-password",
            "web:pass:word",
            "nobody-4711:pass:word",
            "ivr:",
            "ivr",
            ":pass:word",
            ":",
        ] {
            let refused = bare(&proxy, form).header("authorization", &basic(user)).send().await;
            refused.failed(403, "forbidden", INVALID);
            refused.never_says("4711");
            assert_eq!(refused.header("www-authenticate"), None);
        }
        let latin_1 = basic(b"k\xe4the:blaue Stra\xdfe");
        for value in [&*latin_1, "Basic ivr:pass:word", "Basic =", "Basic aXZy aXZy"] {
            let refused = bare(&proxy, form).header("authorization", value).send().await;
            refused.failed(403, "forbidden", INVALID);
        }
    }
    let malformed = ["result=\"malformed\"", "source=\"local\""];
    let counted = proxy.metric("holdline_token_validations_total", malformed).await;
    assert_eq!(counted, 5.0 * Form::ALL.len() as f64);
    proxy.stop().await;
}

#[tokio::test]
async fn what_is_not_basic_was_not_shown_and_is_asked_for() {
    let proxy = Setup::new().caller(DESK).action("caller: desk").start().await;
    let good = basic("ivr:pass:word");
    for form in Form::ALL {
        let asks = [
            bare(&proxy, form),
            bare(&proxy, form).header("authorization", "Bearer aXZyOnBhc3M6d29yZA=="),
            bare(&proxy, form).header("authorization", "Basic"),
            bare(&proxy, form).header("authorization", "Basic "),
            bare(&proxy, form).header("authorization", ""),
            bare(&proxy, form).header("authorization", &good).header("authorization", &good),
        ];
        for ask in asks {
            let missing = ask.send().await;
            missing.failed(401, "unauthenticated", MISSING);
            let challenge = missing.header("www-authenticate");
            assert_eq!(challenge, Some(r#"Basic realm="holdline", charset="UTF-8""#));
        }
    }
    proxy.stop().await;
}

#[tokio::test]
pub(crate) async fn another_header_carries_it_with_the_same_word() {
    let elsewhere = "desk: {type: basic, header: X-Desk, users: {ivr: \"pass:word\"}}";
    let proxy = Setup::new().caller(elsewhere).action("caller: desk").start().await;
    let form = Form::TUTORIAL;
    let there = bare(&proxy, form).header("x-desk", &basic("ivr:pass:word")).send().await;
    form.answered(&there, &proxy.outputs(1));
    let usual = bare(&proxy, form).header("authorization", &basic("ivr:pass:word")).send().await;
    usual.failed(401, "unauthenticated", "Missing X-Desk header");
    proxy.stop().await;
}

#[tokio::test]
async fn beside_a_token_on_the_same_header_each_reads_its_own_word() {
    for callers in ["caller: [desk, genesys]", "caller: [genesys, desk]"] {
        let setup = Setup::new().caller(DESK).genesys("header: Authorization").action(callers);
        let proxy = setup.start().await;
        for form in Form::ALL {
            let ask = |value: &str| bare(&proxy, form).header("authorization", value).send();
            let bearer = format!("Bearer {TOKEN}");
            for good in [&*basic("ivr:pass:word"), &bearer] {
                form.answered(&ask(good).await, &proxy.outputs(1));
            }
            ask(&basic("ivr:wrong")).await.failed(403, "forbidden", INVALID);
            let detail = "Invalid Genesys Cloud Auth Token";
            ask("Bearer bad-token").await.failed(403, "forbidden", detail);
            ask("Digest x").await.failed(401, "unauthenticated", MISSING);
        }
        // Nothing that was behind the other word was ever shown to the authority.
        assert_eq!(proxy.genesys.site.counts().requests, 2);
        proxy.stop().await;
    }
}

#[tokio::test]
async fn each_user_is_a_caller_of_its_own_in_the_organisation_of_the_scheme() {
    let limit = "one: {key: caller, rate: 1/m, burst: 1}";
    let setup = Setup::new().caller(DESK).limit(limit).action("caller: desk");
    let proxy = setup.action("limits: [one]").start().await;
    let ask =
        |user: &str| bare(&proxy, Form::TUTORIAL).header("authorization", &basic(user)).send();
    assert_eq!(ask("ivr:pass:word").await.status, 200);
    assert_eq!(ask("ivr:pass:word").await.status, 429);
    assert_eq!(ask("web:other-password").await.status, 200);
    proxy.stop().await;
}
