//! Calls over TLS, and the end of a service that has such connections open.

use std::time::Duration;

use holdline::{
    catalog::upstream::{Pool, Way},
    client::{Client as Connections, Transport},
    tls::{Identity, Roots},
};
use serde_json::json;

use crate::support::{
    client::Client,
    form::Form,
    issuer::{Issued, Issuer},
    papers::Papers,
    proxy::{Setup, TestProxy},
};

/// A caller that trusts `issuer` and shows `issued`.
pub(crate) fn caller(proxy: &TestProxy, issuer: &Issuer, issued: Option<&Issued>) -> Client {
    let identity = issued.map(|issued| {
        Identity::of_pem(issued.chain.as_bytes(), issued.key.as_bytes()).expect("they are whole")
    });
    let roots = Roots::of_pem(issuer.pem.as_bytes()).expect("it is whole");
    let way = Way { roots: Some(roots), identity, proxy: None };
    let pool = Pool { idle: 64, idle_timeout: Duration::from_secs(60) };
    let connections = Connections::along(&way, Duration::from_secs(10), pool, &Transport::Network);
    let connections = connections.expect("a client can be built");
    Client::over(connections, format!("https://{}/data-action", proxy.calls()))
}

#[tokio::test]
pub(crate) async fn a_service_with_a_certificate_is_called_over_tls_alone() {
    let (issuer, papers) = (Issuer::new(), Papers::new());
    let identity = papers.identity("server", &issuer.issue(&["127.0.0.1"]));
    let proxy = Setup::new().server(&format!("tls: {{{identity}}}")).start().await;
    let caller = caller(&proxy, &issuer, None);
    for form in Form::ALL {
        let ask = caller.ask(form.action(), &form.wrap(json!({"customer_id": 1})));
        form.answered(&ask.send().await, &proxy.outputs(1));
    }
    let mut plain = proxy.wire().await;
    plain.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(!plain.is_closed().await, "an alert, no answer");
    let refused = ["result=\"error\""];
    assert_eq!(proxy.metric("holdline_tls_handshakes_total", refused).await, 1.0);
    // Probes and operators are spoken to in clear text as before.
    assert_eq!(proxy.probe("/readyz").await.0, 200);
    // Its connection is open, at rest.
    proxy.stop().await;
}

#[tokio::test]
async fn a_certificate_of_the_client_is_proof_beside_the_token_and_never_instead() {
    let (ours, theirs, papers) = (Issuer::new(), Issuer::new(), Papers::new());
    let identity = papers.identity("server", &ours.issue(&["127.0.0.1"]));
    let ca = papers.issuer("clients", &theirs);
    let proxy = Setup::new().server(&format!("tls: {{{identity}, client_ca: {ca}}}")).start().await;
    let region = theirs.issue(&["dataactions.prod.us-east-1.mypurecloud.com"]);
    let caller = caller(&proxy, &ours, Some(&region));
    let (form, inputs) = (Form::TUTORIAL, json!({"customer_id": 1}));
    let ask = || caller.ask(form.action(), &form.wrap(inputs.clone()));
    form.answered(&ask().send().await, &proxy.outputs(1));
    assert_eq!(ask().token("another").send().await.status, 403);
    proxy.stop().await;
}

#[tokio::test]
async fn the_time_of_a_handshake_is_the_configurations() {
    let (issuer, papers) = (Issuer::new(), Papers::new());
    let identity = papers.identity("server", &issuer.issue(&["127.0.0.1"]));
    let proxy = Setup::new()
        .server(&format!("tls: {{{identity}}}"))
        .server("handshake_timeout: 50ms")
        .server("header_timeout: 1h")
        .start()
        .await;
    assert!(proxy.wire().await.is_closed().await);
    let stalled = ["result=\"timeout\""];
    assert_eq!(proxy.metric("holdline_tls_handshakes_total", stalled).await, 1.0);
    proxy.stop().await;
}
