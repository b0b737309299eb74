//! Who may call: by key, by any scheme of a list, by nobody's leave.

use holdline::demo::{fault::Standing, genesys::Claims};

use crate::support::{
    client::TOKEN_HEADER,
    form::Form,
    proxy::{API_KEY, Setup},
};

const PORTAL: &str = "portal: {type: api_key, keys: {ivr: \"${IVR_KEY}\"}}";

#[tokio::test]
async fn a_key_that_is_known_lets_in_and_no_authority_is_asked() {
    let proxy = Setup::new().caller(PORTAL).action("caller: portal").start().await;
    for form in Form::ALL {
        let ask = || proxy.ask(form, 1).without(TOKEN_HEADER);
        let good = ask().header("x-api-key", API_KEY).send().await;
        form.answered(&good, &proxy.outputs(1));
        ask().send().await.failed(401, "unauthenticated", "Missing X-Api-Key header");
        let twice = ask().header("x-api-key", API_KEY).header("x-api-key", API_KEY);
        twice.send().await.failed(401, "unauthenticated", "Missing X-Api-Key header");
        for bad in ["wrong", "key-of-the-iv", "key-of-the-ivr-and-more", "KEY-OF-THE-IVR"] {
            let refused = ask().header("x-api-key", bad).send().await;
            refused.failed(403, "forbidden", "Invalid API key");
            refused.never_says(bad);
        }
    }
    assert_eq!(proxy.genesys.site.counts().connections, 0);
    proxy.stop().await;
}

#[tokio::test]
async fn of_several_schemes_any_one_will_do() {
    let proxy = Setup::new().caller(PORTAL).action("caller: [genesys, portal]").start().await;
    for form in Form::ALL {
        let bare = || proxy.ask(form, 1).without(TOKEN_HEADER);
        form.answered(&proxy.ask(form, 1).send().await, &proxy.outputs(1));
        let by_key = bare().header("x-api-key", API_KEY).send().await;
        form.answered(&by_key, &proxy.outputs(1));
        let key_saves = bare().token("bad-token").header("x-api-key", API_KEY).send().await;
        form.answered(&key_saves, &proxy.outputs(1));
        let token_saves = proxy.ask(form, 1).header("x-api-key", "wrong").send().await;
        form.answered(&token_saves, &proxy.outputs(1));

        let nothing = bare().send().await;
        nothing.failed(401, "unauthenticated", "Missing X-Genesys-Auth-Token header");
        let bad_token = bare().token("bad-token").send().await;
        bad_token.failed(403, "forbidden", "Invalid Genesys Cloud Auth Token");
        let bad_key = bare().header("x-api-key", "wrong").send().await;
        bad_key.failed(403, "forbidden", "Invalid API key");
    }
    proxy.stop().await;
}

#[tokio::test]
async fn an_authority_that_is_down_does_not_keep_out_a_good_key() {
    let proxy = Setup::new().caller(PORTAL).action("caller: [genesys, portal]").start().await;
    proxy.genesys_stands(Standing::Down).await;
    let form = Form::TUTORIAL;
    let both = proxy.ask(form, 1).header("x-api-key", API_KEY).send().await;
    form.answered(&both, &proxy.outputs(1));
    let neither = proxy.ask(form, 1).header("x-api-key", "wrong").send().await;
    let detail = "Token authority is unavailable, so the token could not be checked";
    neither.failed(503, "auth_unavailable", detail);
    proxy.stop().await;
}

#[tokio::test]
async fn an_action_for_anybody_asks_for_nothing() {
    let proxy = Setup::new().action("caller: none").start().await;
    for form in Form::ALL {
        let bare = proxy.ask(form, 1).without(TOKEN_HEADER).send().await;
        form.answered(&bare, &proxy.outputs(1));
        form.answered(&proxy.ask(form, 1).token("bad-token").send().await, &proxy.outputs(1));
    }
    assert_eq!(proxy.genesys.site.counts().connections, 0);
    proxy.stop().await;
}

#[tokio::test]
async fn only_the_configured_organisation_and_clients_are_let_in() {
    let proxy = Setup::new().genesys("org: acme").genesys("clients: [flow]").start().await;
    let claims = |organization: Option<&str>, client: Option<&str>| Claims {
        organization: organization.map(str::to_owned),
        client: client.map(str::to_owned),
        expires: None,
    };
    proxy.genesys.know("ours", claims(Some("acme"), Some("flow")));
    proxy.genesys.know("of-the-one-organisation", claims(None, Some("flow")));
    proxy.genesys.know("foreign", claims(Some("other"), Some("flow")));
    proxy.genesys.know("unlisted", claims(Some("acme"), Some("other")));
    proxy.genesys.know("nameless", claims(Some("acme"), None));
    for form in Form::ALL {
        for token in ["ours", "of-the-one-organisation"] {
            form.answered(&proxy.ask(form, 1).token(token).send().await, &proxy.outputs(1));
        }
        for token in ["foreign", "unlisted", "nameless"] {
            let refused = proxy.ask(form, 1).token(token).send().await;
            refused.failed(403, "forbidden", "Invalid Genesys Cloud Auth Token");
        }
    }
    proxy.stop().await;
}
