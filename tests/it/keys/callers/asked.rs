//! Where an authority is asked, how long it may take, how much it is asked at once.

use super::{ALL, ASKING, good, rig, token};
use crate::support::{rig::Setup, scripted::Line};

#[tokio::test(start_paused = true)]
pub(crate) async fn an_authority_is_asked_where_it_is_written() {
    const INTROSPECT: &str = "/api/v2/oauth2/introspect";
    const ME: &str = "/api/v2/tokens/me?preserveIdleTTL=true";
    let rfc7662 = "rfc7662, client_id: us, client_secret: s";
    let jwt = "jwt, issuer: us, audience: holdline";
    for (keys, host, path) in [
        ("introspection", "api.mypurecloud.com", INTROSPECT),
        ("introspection, region: eu-west-1", "api.mypurecloud.ie", INTROSPECT),
        ("introspection, api_base: 'https://gate.test'", "gate.test", INTROSPECT),
        ("introspection, path: /other", "api.mypurecloud.com", "/other"),
        ("introspection, url: 'https://other.test/who'", "other.test", "/who"),
        ("tokens_me, org: acme", "api.mypurecloud.com", ME),
        ("tokens_me, org: acme, region: eu-west-1", "api.mypurecloud.ie", ME),
        ("tokens_me, org: acme, api_base: 'https://gate.test'", "gate.test", ME),
        (
            "tokens_me, org: acme, path: /other",
            "api.mypurecloud.com",
            "/other?preserveIdleTTL=true",
        ),
        (
            "tokens_me, org: acme, url: 'https://other.test/who'",
            "other.test",
            "/who?preserveIdleTTL=true",
        ),
        (&format!("{rfc7662}, url: 'https://a.test/introspect'"), "a.test", "/introspect"),
        (&format!("{rfc7662}, url: 'https://b.test/who'"), "b.test", "/who"),
        (&format!("{jwt}, jwks: 'https://a.test/jwks'"), "a.test", "/jwks"),
        (&format!("{jwt}, jwks: 'https://b.test/keys'"), "b.test", "/keys"),
    ] {
        let caller = format!("idp: {{type: {keys}}}");
        let rig = Setup { caller: "idp", callers: &[&caller], ..Setup::PLAIN }.rig();
        // The first type wants its token in another header, which is there.
        rig.lookup()
            .header("authorization", &format!("Bearer {}", token("jwt", "ivr")))
            .heard()
            .await;
        // Every host but two is the upstream of the script.
        let seen = rig.upstream().seen();
        assert_eq!((&*seen[0].host, &*seen[0].path), (host, path), "{keys}");
    }
}

#[tokio::test(start_paused = true)]
pub(crate) async fn an_authority_may_take_as_long_as_is_written() {
    for kind in ALL {
        for (keys, given_up) in [("", 2000), ("timeout: 700ms", 700)] {
            let rig = rig(kind, keys);
            rig.authority().always(Line::hangs());
            let heard = rig.lookup().bearer(&token(kind, "ivr")).heard().await;
            assert_eq!((heard.result.is_ok(), heard.at), (false, given_up), "{kind} {keys}");
        }
    }
}

#[tokio::test(start_paused = true)]
pub(crate) async fn an_authority_is_asked_as_much_at_once_as_is_written() {
    for kind in ASKING {
        for (keys, at_once) in [("", 3), ("max_concurrent: 2", 2)] {
            let rig = rig(kind, keys);
            rig.authority().always(good(kind).after(50));
            let ask = |token: &str| rig.lookup().bearer(token).heard();
            tokio::join!(ask("a"), ask("b"), ask("c"));
            assert_eq!(rig.authority().most_in_flight(), at_once, "{kind} {keys}");
        }
    }
}
