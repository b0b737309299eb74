//! Tokens that are issued here, in time: how long they hold, who is cut off, how often a secret may be
//! guessed.

use std::time::Duration;

use holdline::{
    pipeline::authenticate::{Denied, Revoke, Unproven, basic::Shown},
    telemetry::outcome::Outcome,
};
use secrecy::ExposeSecret as _;

use super::unproven;
use crate::support::{
    ask::Heard,
    rig::{Rig, Setup},
};

const CALLER: &str = "{type: issued, ttl: 1h, clients: {ivr: secret-of-the-ivr, web: secret-of-the-web}, \
                      key: 0123456789abcdef0123456789abcdef}";

/// A pipeline whose lookup takes tokens of this scheme.
fn rig_of(caller: &str) -> Rig {
    let setup = Setup { caller: "oauth", ..Setup::PLAIN };
    let yaml = setup.yaml().replace("callers:\n", &format!("callers:\n  oauth: {caller}\n"));
    Rig::of(&yaml, setup.room, setup.chance)
}

fn grant(rig: &Rig, client: &str, secret: &str) -> Result<String, Denied> {
    let issuer = rig.pipeline.schemes().issuer("/oauth/token").expect("tokens are issued");
    let shown = Shown { client: client.to_owned(), secret: secret.to_owned() };
    issuer.grant(&[shown]).map(|grant| grant.token.expose_secret().to_owned())
}

fn token(rig: &Rig) -> String {
    grant(rig, "ivr", "secret-of-the-ivr").expect("the secret is right")
}

async fn heard(rig: &Rig, token: &str) -> Heard {
    rig.lookup().bare().header("authorization", &format!("Bearer {token}")).heard().await
}

/// Why the token is void; empty where it holds.
async fn void(rig: &Rig, token: &str) -> &'static str {
    let heard = heard(rig, token).await;
    if heard.result.is_ok() {
        return "";
    }
    assert_eq!(heard.outcome(), Outcome::Unauthenticated);
    assert_eq!(heard.decisions(), ["authenticate: refused"]);
    match unproven(&heard) {
        Unproven::Void { result } => result,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_holds_for_its_time_to_live_and_not_a_millisecond_longer() {
    let rig = rig_of(CALLER);
    rig.until(500).await;
    let token = token(&rig);
    assert_eq!(void(&rig, &token).await, "");
    rig.until(3_600_499).await;
    assert_eq!(void(&rig, &token).await, "");
    rig.until(3_600_500).await;
    assert_eq!(void(&rig, &token).await, "expired");
    let expired = r#"holdline_token_validations_total{result="expired",source="local"}"#;
    assert_eq!(rig.metric(expired), 1.0);
}

#[tokio::test(start_paused = true)]
pub(crate) async fn another_replica_takes_the_token_and_one_with_another_key_or_name_does_not() {
    let rig = rig_of(CALLER);
    let token = token(&rig);
    assert_eq!(void(&rig_of(CALLER), &token).await, "");
    let rotated = CALLER.replace("0123456789abcdef", "fedcba9876543210");
    assert_eq!(void(&rig_of(&rotated), &token).await, "invalid");
    let setup = Setup { caller: "other", ..Setup::PLAIN };
    let yaml = setup.yaml().replace("callers:\n", &format!("callers:\n  other: {CALLER}\n"));
    assert_eq!(void(&Rig::of(&yaml, setup.room, setup.chance), &token).await, "invalid");
}

#[tokio::test(start_paused = true)]
pub(crate) async fn a_client_that_is_no_longer_configured_is_refused_at_once() {
    let token = token(&rig_of(CALLER));
    let without = rig_of(&CALLER.replace("ivr: secret-of-the-ivr, ", ""));
    assert_eq!(void(&without, &token).await, "invalid");
}

#[tokio::test(start_paused = true)]
async fn another_secret_ends_the_tokens_of_its_client_everywhere_and_of_no_other() {
    let rig = rig_of(CALLER);
    let (ivr, web) = (token(&rig), grant(&rig, "web", "secret-of-the-web").expect("right"));
    let replica = rig_of(&CALLER.replace("ivr: secret-of-the-ivr", "ivr: another-one-of-ivr"));
    let reloaded = rig.reload(&[("ivr: secret-of-the-ivr", "ivr: another-one-of-ivr")]);
    for rig in [replica, reloaded] {
        assert_eq!((void(&rig, &ivr).await, void(&rig, &web).await), ("invalid", ""));
        let next = grant(&rig, "ivr", "another-one-of-ivr").expect("right");
        assert_eq!(void(&rig, &next).await, "");
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_cut_off_while_not_configured_is_so_when_configured_again() {
    let out = ("ivr: secret-of-the-ivr, ", "");
    let back = ("{web: ", "{ivr: secret-of-the-ivr, web: ");
    for client in [Some("ivr"), None] {
        let rig = rig_of(CALLER);
        let token = token(&rig);
        let without = rig.reload(&[out]);
        without.pipeline.revoke(Revoke::Of { caller: None, client });
        let again = without.reload(&[back]);
        assert_eq!(void(&again, &token).await, "revoked", "{client:?}");
        let next = grant(&again, "ivr", "secret-of-the-ivr").expect("right");
        assert_eq!(void(&again, &next).await, "");
    }
}

#[tokio::test(start_paused = true)]
async fn made_up_names_that_are_cut_off_do_not_add_up() {
    let rig = rig_of(CALLER);
    let token = token(&rig);
    let cut = |client: &str| {
        rig.pipeline.revoke(Revoke::Of { caller: None, client: Some(client) }).clients
    };
    for number in 0..200 {
        assert_eq!(cut(&format!("{number}{}", "x".repeat(256))), 0);
    }
    assert_eq!(void(&rig, &token).await, "");
    assert_eq!(cut("ivr"), 1);
    assert_eq!(void(&rig, &token).await, "revoked");
}

#[tokio::test(start_paused = true)]
async fn a_shorter_time_to_live_holds_for_tokens_issued_before_a_longer_one_does_not() {
    let token = token(&rig_of(CALLER));
    for (ttl, holds) in [("10m", 600_000), ("2h", 3_600_000)] {
        let rig = rig_of(&CALLER.replace("1h", ttl));
        rig.until(holds - 1).await;
        assert_eq!(void(&rig, &token).await, "", "{ttl}");
        rig.until(holds).await;
        assert_eq!(void(&rig, &token).await, "expired", "{ttl}");
    }
}

#[tokio::test(start_paused = true)]
async fn no_bit_of_a_token_can_be_changed() {
    let rig = rig_of(CALLER);
    let token = token(&rig);
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for at in 4..token.len() {
        let place = LETTERS.iter().position(|c| *c == token.as_bytes()[at]).expect("a letter");
        let mut changed = token.clone().into_bytes();
        changed[at] = LETTERS[place ^ 1];
        let changed = String::from_utf8(changed).expect("letters");
        assert!(matches!(void(&rig, &changed).await, "invalid" | "malformed"), "{at}");
    }
    for cut in 0..token.len() {
        assert_ne!(void(&rig, &token[..cut.max(1)]).await, "", "{cut}");
    }
    for more in ["A", "=", "==", "."] {
        assert_ne!(void(&rig, &format!("{token}{more}")).await, "", "{more}");
    }
    assert_eq!(void(&rig, &format!("hl1.{}", "A".repeat(5000))).await, "malformed");
}

#[tokio::test(start_paused = true)]
async fn who_is_cut_off_gets_in_again_with_a_token_of_the_same_moment() {
    let rig = rig_of(CALLER);
    let (ivr, web) = (token(&rig), grant(&rig, "web", "secret-of-the-web").expect("right"));
    let revoked = rig.pipeline.revoke(Revoke::Of { caller: None, client: Some("ivr") });
    assert_eq!((revoked.clients, revoked.forgotten), (1, 0));
    assert_eq!((void(&rig, &ivr).await, void(&rig, &web).await), ("revoked", ""));
    let next = token(&rig);
    assert_eq!(void(&rig, &next).await, "");
    rig.pipeline.revoke(Revoke::Token(&next));
    assert_eq!(void(&rig, &next).await, "revoked", "and is cut off again in the same moment");
    let next = token(&rig);
    assert_eq!(void(&rig, &next).await, "");
    // It ends as many milliseconds later as its client was cut off before it.
    rig.until(3_600_001).await;
    assert_eq!(void(&rig, &next).await, "");
    rig.until(3_600_002).await;
    assert_eq!(void(&rig, &next).await, "expired");
}

#[tokio::test(start_paused = true)]
async fn a_long_secret_that_is_right_is_not_held_up_by_wrong_ones() {
    for (secret, granted) in [("fifteen-letters", false), ("sixteen--letters", true)] {
        let rig = rig_of(&CALLER.replace("secret-of-the-ivr", secret));
        while grant(&rig, "ivr", "wrong-secret") == Err(Denied::Wrong) {}
        for _ in 0..100 {
            assert_eq!(grant(&rig, "ivr", secret).is_ok(), granted, "{secret}");
        }
        let wrong = grant(&rig, "ivr", "a-wrong-secret-that-is-long");
        assert!(matches!(wrong, Err(Denied::Throttled { .. })), "{wrong:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn wrong_secrets_are_looked_at_fifty_times_and_then_ten_times_a_second() {
    let rig = rig_of(&CALLER.replace("secret-of-the-ivr", "ivr-secret"));
    let wrong = |client| grant(&rig, client, "wrong-secret").expect_err("it is wrong");
    for _ in 0..50 {
        assert_eq!(wrong("ivr"), Denied::Wrong);
    }
    let retry_after = Duration::from_millis(100);
    assert_eq!(wrong("ivr"), Denied::Throttled { retry_after });
    // Not even the right one is, where it is short, or it would be found by trying.
    let right = || grant(&rig, "ivr", "ivr-secret");
    assert_eq!(right(), Err(Denied::Throttled { retry_after }));
    assert!(grant(&rig, "web", "secret-of-the-web").is_ok(), "each client has a line of its own");
    rig.until(100).await;
    for _ in 0..200 {
        assert!(right().is_ok(), "the right one costs nothing");
    }
    assert_eq!(wrong("ivr"), Denied::Wrong);
    assert!(right().is_err());
    for _ in 0..50 {
        assert_eq!(wrong("nobody"), Denied::Wrong);
    }
    assert_eq!(wrong("somebody"), Denied::Throttled { retry_after }, "they share one line");
}

#[tokio::test(start_paused = true)]
async fn beside_others_on_the_same_header_a_token_of_ours_decides_what_is_told() {
    let setup =
        Setup { genesys: &["header: Authorization"], caller: "[genesys, oauth]", ..Setup::PLAIN };
    let yaml = setup.yaml().replace("callers:\n", &format!("callers:\n  oauth: {CALLER}\n"));
    let rig = Rig::of(&yaml, setup.room, setup.chance);
    rig.authority().always(crate::support::scripted::Line::status(401));
    let token = token(&rig);
    assert_eq!(heard(&rig, &token).await.outcome(), Outcome::Ok);
    assert_eq!(heard(&rig, "not-ours").await.outcome(), Outcome::Forbidden);
    rig.until(3_600_000).await;
    let expired = heard(&rig, &token).await;
    assert_eq!(expired.outcome(), Outcome::Unauthenticated, "another can be fetched");
}

#[tokio::test(start_paused = true)]
async fn a_token_of_ours_waits_for_no_authority_and_none_sees_it() {
    let setup = Setup {
        genesys: &["header: Authorization"],
        caller: "[genesys, portal, oauth]",
        ..Setup::PLAIN
    };
    let yaml = setup.yaml().replace("callers:\n", &format!("callers:\n  oauth: {CALLER}\n"));
    let rig = Rig::of(&yaml, setup.room, setup.chance);
    rig.authority().always(crate::support::scripted::Line::hangs());
    let token = token(&rig);
    let good = heard(&rig, &token).await;
    assert_eq!((good.outcome(), good.at), (Outcome::Ok, 0));
    let key = rig.lookup().bearer("opaque").header("x-api-key", "web-key").heard().await;
    assert_eq!((key.outcome(), key.at), (Outcome::Ok, 0), "nor does a key");
    rig.pipeline.revoke(Revoke::Token(&token));
    assert_eq!(void(&rig, &token).await, "revoked");
    let torn = heard(&rig, "hl1.torn").await;
    assert_eq!(torn.outcome(), Outcome::Forbidden);
    assert_eq!(rig.authority().count(), 0);
}
