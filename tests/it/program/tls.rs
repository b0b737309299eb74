//! The program over TLS on both sides, on a machine that trusts nobody and names proxies.

use std::time::Duration;

use holdline::{
    catalog::upstream::{Pool, Way},
    client::{Client, Transport},
    demo::crm::{CrmSettings, FakeCrm},
    tls::Roots,
};
use serde_json::{Value, json};

use crate::support::{
    front::Front,
    issuer::Issuer,
    otlp::{Collector, Protocol, text},
    papers::Papers,
    program::Program,
    service::{Outside, Service, TOKEN_HEADER, Wish},
};

/// Nobody is trusted, and whoever followed these variables would reach nobody.
const MACHINE: [(&str, &str); 5] = [
    ("SSL_CERT_FILE", "/nowhere/ca.pem"),
    ("SSL_CERT_DIR", "/nowhere"),
    ("HTTP_PROXY", "http://127.0.0.1:1"),
    ("HTTPS_PROXY", "http://127.0.0.1:1"),
    ("ALL_PROXY", "http://127.0.0.1:1"),
];

#[tokio::test]
async fn a_root_of_its_own_needs_none_of_the_machine_and_no_proxy_of_the_environment() {
    let (issuer, papers) = (Issuer::new(), Papers::new());
    let crm = FakeCrm::start("127.0.0.1:0".parse().unwrap(), CrmSettings::default()).await.unwrap();
    let issued = issuer.issue(&["127.0.0.1"]);
    let front = Front::tls(crm.site.address(), &issued, None).await;
    let ca = papers.issuer("ca", &issuer);
    let yaml = |tls: &str, upstream: &str| {
        format!(
            r#"
server: {{listen: "127.0.0.1:0", drain: {{delay: 0s}}, {tls}}}
probes: {{listen: "127.0.0.1:0"}}
admin: {{listen: "127.0.0.1:0"}}
callers: {{portal: {{type: api_key, keys: {{ivr: the-key}}}}}}
upstreams: {{crm: {{base_url: "https://{}", {upstream}}}}}
actions:
  card:
    caller: portal
    input: {{id: {{type: integer, required: true}}}}
    request: {{upstream: crm, path: "/users/{{id}}"}}
    output: {{name: {{type: string, from: $.name}}}}
"#,
            front.address
        )
    };
    let trusted = format!("tls: {{ca: {ca}}}");
    let service = Service::start(&yaml("", &trusted), &MACHINE).await;
    let call = service.client.post(service.url("card")).header("x-api-key", "the-key");
    let answer = call.json(&json!({"data": {"id": 1}})).send().await.unwrap();
    assert_eq!(answer.json::<Value>().await.unwrap()["data"]["name"], "Leanne Graham");
    let ended = service.terminated().await;
    assert_eq!(ended.code, Some(0));
    assert!(ended.out.contains(r#""tls":false"#), "{}", ended.out);

    let server = format!("tls: {{{}}}", papers.identity("server", &issued));
    let service = Service::start(&yaml(&server, &trusted), &MACHINE).await;
    service.client.post(service.url("card")).send().await.unwrap_err();
    let ended = service.terminated().await;
    assert_eq!(ended.code, Some(0));
    assert!(ended.out.contains(r#""tls":true"#), "{}", ended.out);

    let file = papers.put("holdline.yaml", &yaml("", ""));
    let ended = Program::run(&["serve", "-c", &file], &MACHINE).await;
    assert_ne!(ended.code, Some(0));
    assert!(ended.err.contains("the machine needs CA certificates"), "{}", ended.err);
    front.stop().await;
    crm.site.stop().await;
}

#[tokio::test]
async fn a_call_over_tls_says_so_in_its_trace() {
    let (issuer, papers) = (Issuer::new(), Papers::new());
    let identity = papers.identity("server", &issuer.issue(&["127.0.0.1"]));
    let (outside, collector) = (Outside::start().await, Collector::start(Protocol::Http).await);
    let server = format!("drain: {{delay: 0s}}, tls: {{{identity}}}");
    let telemetry = collector.telemetry(Protocol::Http, 1.0);
    let wish = Wish { server: &server, telemetry: &telemetry, ..Wish::default() };
    let service = Service::start(&outside.yaml(&wish), &[]).await;
    let roots = Some(Roots::of_pem(issuer.pem.as_bytes()).unwrap());
    let (way, patience) = (Way { roots, identity: None, proxy: None }, Duration::from_secs(10));
    let pool = Pool { idle: 1, idle_timeout: patience };
    let client = Client::along(&way, patience, pool, &Transport::Network).unwrap();
    let url = service.url("customer-lookup").replace("http://", "https://");
    let call = client.network().post(url).header(TOKEN_HEADER, "good");
    let answer = call.json(&json!({"data": {"customer_id": 1}})).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    service.terminated().await;
    let root = collector.roots().pop().expect("it left a trace");
    assert_eq!(text(&root, "url.scheme").as_deref(), Some("https"));
    assert_eq!(text(&root, "network.protocol.version").as_deref(), Some("1.1"));
}

#[tokio::test]
async fn documents_say_https_and_ask_for_the_certificate_that_the_listener_asks_for() {
    let (issuer, papers) = (Issuer::new(), Papers::new());
    let identity = papers.identity("server", &issuer.issue(&["127.0.0.1"]));
    let ca = papers.issuer("clients", &issuer);
    let yaml = |tls: &str| {
        format!(
            r#"
version: 1
server: {{listen: "0.0.0.0:8443", {tls}}}
callers: {{desk: {{type: issued, clients: {{ivr: "a-long-enough-secret"}}, key: "0123456789abcdef0123456789abcdef"}}}}
upstreams: {{crm: {{base_url: "https://crm.example.com"}}}}
actions:
  card:
    caller: desk
    request: {{upstream: crm, path: /card}}
    output: {{name: {{type: string, from: $.name}}}}
  hours:
    caller: none
    request: {{upstream: crm, path: /hours}}
    output: {{name: {{type: string, from: $.name}}}}
"#
        )
    };
    let folder = papers.put("terraform", "");
    std::fs::remove_file(&folder).unwrap();
    for (tls, origin, asks) in [
        (String::new(), "http://localhost:8443", false),
        (format!("tls: {{{identity}}}"), "https://localhost:8443", false),
        (format!("tls: {{{identity}, client_ca: {ca}}}"), "https://localhost:8443", true),
    ] {
        let file = papers.put("holdline.yaml", &yaml(&tls));
        let ended = Program::run(&["export", "openapi", "-c", &file], &[]).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let document: Value = serde_json::from_str(&ended.out).unwrap();
        assert_eq!(document["servers"][0]["url"], origin);
        let schemes = &document["components"]["securitySchemes"];
        let token_url = schemes["desk"]["flows"]["clientCredentials"]["tokenUrl"].as_str().unwrap();
        assert!(token_url.starts_with(origin), "{token_url}");
        let kind = schemes["client.certificate"]["type"].as_str();
        assert_eq!(kind, asks.then_some("mutualTLS"));
        let proofs = |action: &str| {
            document["paths"][format!("/data-action/{action}")]["post"]["security"].clone()
        };
        let (card, hours) = match asks {
            true => (
                json!([{"desk": [], "client.certificate": []}]),
                json!([{"client.certificate": []}]),
            ),
            false => (json!([{"desk": []}]), json!([])),
        };
        assert_eq!((proofs("card"), proofs("hours")), (card, hours));

        let ended = Program::run(&["export", "terraform", "-c", &file, "-o", &folder], &[]).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let text = std::fs::read_to_string(format!("{folder}/holdline.tf")).unwrap();
        let told = text.matches(r#""clientCertificateAuthority" = "Genesys Cloud""#).count();
        assert_eq!(told, if asks { 2 } else { 0 }, "{text}");
    }
}
