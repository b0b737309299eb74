//! What a reload that changes our credentials leaves behind.

use holdline::telemetry::outcome::Source;

use crate::support::{
    issuer::Issuer,
    papers::Papers,
    rig::{Rig, Setup},
};

const OAUTH2: &str = "type: oauth2, token_url: 'https://login.test/t', client_id: '${I:-a}', \
                      client_secret: '${S:-a}', scope: read";

#[tokio::test(start_paused = true)]
async fn what_was_kept_for_another_who_asked_is_gone_and_a_new_password_changes_nothing() {
    for (auth, from, to, found) in [
        ("type: basic, user: '${U:-ada}', password: '${P:-a}'", "P:-a", "P:-b", true),
        ("type: basic, user: '${U:-ada}', password: '${P:-a}'", "U:-ada", "U:-bob", false),
        ("type: bearer, token: '${T:-a}'", "T:-a", "T:-b", false),
        ("type: header, name: x-key, value: '${V:-a}'", "V:-a", "V:-b", false),
        (OAUTH2, "S:-a", "S:-b", true),
        (OAUTH2, "I:-a", "I:-b", false),
        (OAUTH2, "scope: read", "scope: write", false),
    ] {
        let with_auth = format!("auth: {{{auth}}}");
        let rig =
            Setup { crm: &[&with_auth], cache: &["ttl: 60s", "customer: id"], ..Setup::PLAIN }
                .rig();
        assert!(rig.lookup().heard().await.result.is_ok());
        let after = rig.reload(&[(from, to)]);
        assert_eq!(after.pipeline.answers().entries, u64::from(found), "{auth}: {to}");
        let source = if found { Source::CacheFresh } else { Source::Upstream };
        assert_eq!(after.lookup().heard().await.source(), source, "{auth}: {to}");
    }
}

#[tokio::test(start_paused = true)]
async fn no_end_is_told_of_a_certificate_or_a_token_that_is_gone() {
    let papers = Papers::new();
    let tls = format!("tls: {{{}}}", papers.identity("ours", &Issuer::new().issue(&["ours"])));
    let auth = format!("auth: {{{OAUTH2}}}");
    let rig = Setup { crm: &[&tls, &auth], ..Setup::PLAIN }.rig();
    assert!(rig.lookup().heard().await.result.is_ok());
    let ends = |rig: &Rig| {
        [
            r#"tls_certificate_expiry_timestamp_seconds{certificate="upstreams.crm.tls"}"#,
            r#"upstream_credential_expiry_timestamp_seconds{upstream="crm"}"#,
        ]
        .map(|series| {
            let text = rig.scrape();
            let value = text.split_once(series).and_then(|(_, rest)| rest.lines().next());
            value.is_some_and(|value| value.trim().parse::<f64>().unwrap() > 0.0)
        })
    };
    assert_eq!(ends(&rig), [true, true]);
    assert_eq!(ends(&rig.reload(&[(&*tls, "pool: {idle: 3}")])), [false, true]);
    let other = rig.reload(&[("scope: read", "scope: write")]);
    assert!(!ends(&other)[1], "none is issued to it yet");
    assert!(other.lookup().heard().await.result.is_ok());
    assert!(ends(&other)[1]);
    let without = other.reload(&[(&*auth.replace("read", "write"), "auth: {type: none}")]);
    assert!(!ends(&without)[1]);
}
