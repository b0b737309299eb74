//! Two calls share an answer exactly where they should.

use holdline::{
    catalog::policy::SharedBy,
    pipeline::{cache::key, validate},
};
use proptest::prelude::*;
use serde_json::json;

use super::for_all;
use crate::support::{
    ask::Ask,
    rig::{Rig, Setup},
    scripted::Line,
};

/// Who calls, and what about.
#[derive(Debug, Clone, PartialEq)]
struct About {
    org: String,
    client: String,
    id: i64,
    lang: Option<String>,
}

/// Few enough values that two often agree in some of them, with bits of each other in them.
fn about() -> impl Strategy<Value = About> {
    let word = || prop_oneof![3 => "[ab1]{1,2}", 1 => "(org|caller|all|id|lang)", 1 => "\\PC{1,4}"];
    let id = prop_oneof![3 => 0..3_i64, 1 => any::<i64>()];
    let lang = prop::option::of(prop_oneof![2 => "[ab1]{1,2}", 1 => "[a-z, =&\u{e4}]{1,4}"]);
    (word(), word(), id, lang).prop_map(|(org, client, id, lang)| About { org, client, id, lang })
}

fn ask(rig: &Rig, about: &About, token: &str) -> Ask {
    rig.authority().next(Line::active(&about.org, &about.client));
    let input = match &about.lang {
        Some(lang) => json!({"id": about.id, "lang": lang}),
        None => json!({"id": about.id}),
    };
    rig.lookup().token(token).input(&input)
}

/// What makes the key of such a call, where its entries are shared so.
async fn bytes(rig: &Rig, about: &About, shared_by: SharedBy, token: &str) -> Vec<u8> {
    let call = ask(rig, about, token).call();
    let caller = rig.pipeline.schemes().identify(&call).await.expect("a good token").caller;
    assert_eq!((caller.org(), caller.client()), (&*about.org, &*about.client));
    let mut policy = call.action.cache.clone().expect("it is cached");
    policy.shared_by = shared_by;
    let input = validate::check(&call).expect("good inputs");
    key::fields(&call.action, &policy, &caller, &input).bytes().to_vec()
}

#[test]
fn two_calls_have_one_key_exactly_where_they_may_share_an_answer() {
    let setup = Setup { caller: "genesys", cache: &["ttl: 60s"], ..Setup::PLAIN };
    for_all(&setup, &(about(), about()), &async |rig, (one, two)| {
        let inputs = (one.id, &one.lang) == (two.id, &two.lang);
        let org = inputs && one.org == two.org;
        let caller = org && one.client == two.client;
        for (shared_by, same) in
            [(SharedBy::All, inputs), (SharedBy::Org, org), (SharedBy::Caller, caller)]
        {
            let token = format!("{shared_by:?}");
            let first = bytes(rig, &one, shared_by, &format!("one{token}")).await;
            let second = bytes(rig, &two, shared_by, &format!("two{token}")).await;
            prop_assert_eq!(first == second, same, "{:?}", shared_by);
        }
        Ok(())
    });
}

#[test]
fn two_calls_of_one_organisation_meet_in_the_cache_exactly_where_their_inputs_agree() {
    let setup = Setup { caller: "genesys", cache: &["ttl: 60s"], ..Setup::PLAIN };
    for_all(&setup, &(about(), about()), &async |rig, (one, two)| {
        let before = rig.upstream().count();
        prop_assert!(ask(rig, &one, "one").heard().await.result.is_ok());
        prop_assert!(ask(rig, &two, "two").heard().await.result.is_ok());
        let same = (&one.org, one.id, &one.lang) == (&two.org, two.id, &two.lang);
        prop_assert_eq!(rig.upstream().count() - before, if same { 1 } else { 2 });
        Ok(())
    });
}
