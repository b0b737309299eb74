//! The way to an upstream: whom it must be signed by, who we are to it, and the proxy between.

use std::net::SocketAddr;

use holdline::demo::crm::{CrmSettings, FakeCrm};

use crate::support::{
    form::{Form, outputs_of},
    front::Front,
    issuer::{Issued, Issuer},
    papers::Papers,
    proxy::{Setup, TestProxy},
};

const UNREACHABLE: &str = "Could not connect to external API";

async fn crm() -> FakeCrm {
    let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
    FakeCrm::start(anywhere, CrmSettings::default()).await.expect("a free port")
}

/// The service, whose upstream is at `url` along this way.
async fn service(url: &str, way: [&str; 2]) -> TestProxy {
    let setup = Setup::new().upstream(&format!("base_url: \"{url}\""));
    way.into_iter()
        .filter(|line| !line.is_empty())
        .fold(setup, |setup, line| setup.upstream(line))
        .start()
        .await
}

/// A certificate that nobody but itself has signed.
fn alone(names: &[&str]) -> Issued {
    let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    let made = rcgen::generate_simple_self_signed(names).expect("it can be made");
    Issued { chain: made.cert.pem(), key: made.signing_key.serialize_pem() }
}

fn url(front: &Front) -> String {
    format!("https://{}", front.address)
}

async fn is_answered(proxy: &TestProxy, crm: &FakeCrm) {
    let expected = outputs_of(&crm.customer(1).expect("the CRM has that customer"));
    Form::TUTORIAL.answered(&proxy.call(1).await, &expected);
}

/// The call fails in the handshake, before a byte of it has reached anybody.
async fn is_refused(proxy: &TestProxy, crm: &FakeCrm, front: &Front) {
    proxy.call(1).await.failed(502, "upstream_unreachable", UNREACHABLE);
    let tls = ["upstream=\"crm\"", "error_type=\"tls\""];
    assert_eq!(proxy.metric("http_client_request_duration_seconds_count", tls).await, 1.0);
    assert_eq!((front.connections(), front.bytes(), crm.site.counts().requests), (1, 0, 0));
}

#[tokio::test]
pub(crate) async fn an_upstream_signed_by_a_root_of_its_own_is_trusted() {
    let (issuer, papers, crm) = (Issuer::new(), Papers::new(), crm().await);
    let ca = papers.issuer("ca", &issuer);
    for name in ["127.0.0.1", "localhost"] {
        let front = Front::tls(crm.site.address(), &issuer.issue(&[name]), None).await;
        let url = format!("https://{name}:{}", front.address.port());
        let proxy = service(&url, [&format!("tls: {{ca: {ca}}}"), ""]).await;
        is_answered(&proxy, &crm).await;
        proxy.stop().await;
        front.stop().await;
    }
    crm.site.stop().await;
}

#[tokio::test]
async fn an_upstream_that_cannot_prove_itself_is_never_sent_anything() {
    let (ours, other, papers, crm) = (Issuer::new(), Issuer::new(), Papers::new(), crm().await);
    let ca = format!("tls: {{ca: {}}}", papers.issuer("ca", &ours));
    let host = &["127.0.0.1"];
    for (what, issued, tls) in [
        ("signed by the machine's roots, where ours is wanted", other.issue(host), &*ca),
        ("signed by ours, where the machine's are wanted", ours.issue(host), ""),
        ("another host", ours.issue(&["crm.example", "127.0.0.2"]), &ca),
        ("expired", ours.issue_for(host, 2000..=2020), &ca),
        ("not valid yet", ours.issue_for(host, 2090..=2099), &ca),
        ("signed by itself", alone(host), &ca),
    ] {
        println!("{what}");
        let front = Front::tls(crm.site.address(), &issued, None).await;
        let proxy = service(&url(&front), [tls, ""]).await;
        is_refused(&proxy, &crm, &front).await;
        proxy.stop().await;
        front.stop().await;
    }
    crm.site.stop().await;
}

#[tokio::test]
async fn an_upstream_that_speaks_no_tls_is_sent_nothing() {
    let crm = crm().await;
    let papers = Papers::new();
    let ca = format!("tls: {{ca: {}}}", papers.issuer("ca", &Issuer::new()));
    let proxy = service(&crm.site.url().replace("http:", "https:"), [&ca, ""]).await;
    proxy.call(1).await.failed(502, "upstream_unreachable", UNREACHABLE);
    let tls = ["upstream=\"crm\"", "error_type=\"tls\""];
    assert_eq!(proxy.metric("http_client_request_duration_seconds_count", tls).await, 1.0);
    assert_eq!(crm.site.counts().requests, 0);
    proxy.stop().await;
    crm.site.stop().await;
}

#[tokio::test]
pub(crate) async fn an_upstream_that_asks_who_we_are_is_shown_our_certificate() {
    let (theirs, ours, papers, crm) = (Issuer::new(), Issuer::new(), Papers::new(), crm().await);
    let ca = papers.issuer("ca", &theirs);
    let known = papers.identity("known", &ours.issue(&["holdline.example"]));
    let stranger = papers.identity("stranger", &Issuer::new().issue(&["holdline.example"]));
    let issued = theirs.issue(&["127.0.0.1"]);

    let front = Front::tls(crm.site.address(), &issued, Some(&ours)).await;
    let proxy = service(&url(&front), [&format!("tls: {{ca: {ca}, {known}}}"), ""]).await;
    is_answered(&proxy, &crm).await;
    let expiry = ["certificate=\"upstreams.crm.tls\""];
    let told = proxy.metric("holdline_tls_certificate_expiry_timestamp_seconds", expiry).await;
    assert_eq!(told, 4_070_908_800.0, "the first day of 2099");
    proxy.stop().await;
    front.stop().await;
    crm.site.reset_record();

    for shown in ["", &stranger] {
        let front = Front::tls(crm.site.address(), &issued, Some(&ours)).await;
        let proxy = service(&url(&front), [&format!("tls: {{ca: {ca}, {shown}}}"), ""]).await;
        is_refused(&proxy, &crm, &front).await;
        proxy.stop().await;
        front.stop().await;
    }
    crm.site.stop().await;
}

#[tokio::test]
pub(crate) async fn a_proxy_carries_what_is_for_the_upstream() {
    let (issuer, papers, crm) = (Issuer::new(), Papers::new(), crm().await);
    let ca = format!("tls: {{ca: {}}}", papers.issuer("ca", &issuer));
    let front = Front::tls(crm.site.address(), &issuer.issue(&["crm.example"]), None).await;

    // The name has no address here: the proxy alone knows where that is.
    let egress = Front::egress(front.address).await;
    let line = format!("proxy: http://{}", egress.address);
    let proxy = service("https://crm.example:8443", [&ca, &line]).await;
    is_answered(&proxy, &crm).await;
    assert_eq!(egress.asked_for(), ["CONNECT crm.example:8443 HTTP/1.1"]);
    proxy.stop().await;
    egress.stop().await;

    let egress = Front::egress(crm.site.address()).await;
    let line = format!("proxy: http://{}", egress.address);
    let proxy = service("http://crm.internal", [&line, ""]).await;
    is_answered(&proxy, &crm).await;
    assert_eq!(egress.asked_for(), ["GET http://crm.internal/users/1 HTTP/1.1"]);
    proxy.stop().await;
    egress.stop().await;
    front.stop().await;
    crm.site.stop().await;
}

#[tokio::test]
async fn a_proxy_that_opens_no_tunnel_or_is_not_there_is_no_connection() {
    let papers = Papers::new();
    let ca = format!("tls: {{ca: {}}}", papers.issuer("ca", &Issuer::new()));
    let crm = crm().await;
    let line = format!("proxy: http://{}", crm.site.address());
    let proxy = service("https://crm.example", [&ca, &line]).await;
    // The CRM is no proxy, and says so.
    proxy.call(1).await.failed(502, "upstream_unreachable", UNREACHABLE);
    assert_eq!(crm.site.seen().last().expect("it was asked").request.method, "CONNECT");
    crm.site.stop().await;
    proxy.call(1).await.failed(502, "upstream_unreachable", UNREACHABLE);
    let connect = ["upstream=\"crm\"", "error_type=\"connect\""];
    assert_eq!(proxy.metric("http_client_request_duration_seconds_count", connect).await, 2.0);
    proxy.stop().await;
}
