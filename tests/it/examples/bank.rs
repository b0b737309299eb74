//! The bank: certificates on both sides, tokens of one organisation, and a log without customers.
#![expect(clippy::unwrap_used, reason = "where this fails, the test has failed")]

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    time::Duration,
};

use holdline::{
    catalog::upstream::{Pool, Way},
    client::{Client as Connections, Transport},
    demo::{
        crm::FakeCrm,
        fault::{Fault, Standing},
        genesys::{Claims, FakeGenesys, GenesysSettings},
    },
    tls::{Identity, Roots},
};
use serde_json::{Value, json};

use super::{Copied, asked, last, says, upstream};
use crate::support::{
    eventually,
    front::Front,
    issuer::{Issued, Issuer},
    organisation::Organisation,
    program::Program,
    service::client,
    token_endpoint::{self, Known},
};

pub(super) const TEXT: &str = include_str!("../../../deploy/examples/bank.yaml");
const CARD: &str = "3f2b8c1d-0a4e-4b6f-9c7d-5e8f1a2b3c4d";
const KNOWN: Known = Known { id: "client-of-the-bank", secret: "s3cret", scope: "" };
/// What the file itself asks of its surroundings.
const ASKED: [(&str, &str); 2] =
    [("GENESYS_ORG_ID", "org-of-the-bank"), ("GENESYS_CLIENT_ID", "client-of-the-bank")];

/// The example at work, with issuers of its own for each side.
struct Running {
    core: FakeCrm,
    front: Front,
    genesys: FakeGenesys,
    program: Program,
    calls: SocketAddr,
    public: Issuer,
    region: Issued,
    organisation: Organisation,
    copied: Copied,
}

impl Running {
    async fn start() -> Self {
        let (public, regions, bank, ours) =
            (Issuer::new(), Issuer::new(), Issuer::new(), Issuer::new());
        let copied = Copied::of(TEXT);
        let put = |name: &str, text: &str| copied.put(&format!("tls/{name}.pem"), text);
        let (server, us) = (public.issue(&["127.0.0.1"]), ours.issue(&["holdline.bank.internal"]));
        put("server", &server.chain);
        put("server-key", &server.key);
        put("genesys-ca", &regions.pem);
        put("bank-ca", &bank.pem);
        put("client", &us.chain);
        put("client-key", &us.key);
        let core = upstream().await;
        let front = Front::tls(core.site.address(), &bank.issue(&["127.0.0.1"]), Some(&ours)).await;
        let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let genesys = FakeGenesys::start(anywhere, GenesysSettings::default()).await.unwrap();
        let (url, authority) = (format!("https://{}", front.address), genesys.site.url());
        let mut env = ASKED.to_vec();
        env.extend([("BANK_URL", &*url), ("GENESYS_API_BASE", &*authority)]);
        let (program, calls) = serve(&copied, &env).await;

        let login = token_endpoint::Issuer::start(KNOWN, "token").await;
        let region = regions.issue(&["dataactions.prod-euc1.eu-central-1.mypurecloud.com"]);
        let credentials =
            [("clientId", KNOWN.id), ("clientSecret", KNOWN.secret), ("loginUrl", &*login.url)];
        let origin = format!("https://{calls}");
        let organisation = Organisation::of(&copied.file(), &env, &origin, &credentials).await;
        let mut organisation = organisation.over(client());
        assert_eq!(organisation.authenticate().await, 200);
        let organisation = organisation.over(connections(&public, Some(&region)));
        Self { core, front, genesys, program, calls, public, region, organisation, copied }
    }

    /// Lets the token that the organisation has fetched be one of these.
    fn token_is_of(&self, organization: &str, client: &str) {
        let of = |id: &str| Some(id.to_owned());
        let claims =
            Claims { organization: of(organization), client: of(client), ..Claims::default() };
        self.genesys.know("token-1", claims);
    }
}

/// Starts the program on free ports. Its log does not tell where it listens.
async fn serve(copied: &Copied, env: &[(&str, &str)]) -> (Program, SocketAddr) {
    let file = copied.file();
    loop {
        let listeners = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let [calls, probes, admin] = listeners.map(|listener| listener.local_addr().unwrap());
        let text = copied.text.replace("0.0.0.0:8443", &calls.to_string());
        let rest = format!("\nprobes: {{listen: \"{probes}\"}}\nadmin: {{listen: \"{admin}\"}}\n");
        fs::write(&file, text + &rest).unwrap();
        let program = Program::start(&["serve", "-c", file.to_str().unwrap()], env);
        let client = client();
        let ready = eventually("it is ready, or has lost a port", async || {
            let answer = client.get(format!("http://{probes}/readyz")).send().await;
            let ready = answer.is_ok_and(|answer| answer.status() == 200);
            let lost = program.err().contains("could not listen");
            (ready || lost).then_some(ready)
        });
        if ready.await {
            return (program, calls);
        }
    }
}

/// Connections that trust `issuer` and show `issued`.
fn connections(issuer: &Issuer, issued: Option<&Issued>) -> reqwest::Client {
    let identity = issued.map(|issued| {
        Identity::of_pem(issued.chain.as_bytes(), issued.key.as_bytes()).expect("they are whole")
    });
    let roots = Some(Roots::of_pem(issuer.pem.as_bytes()).expect("it is whole"));
    let pool = Pool { idle: 64, idle_timeout: Duration::from_secs(60) };
    let way = Way { roots, identity, proxy: None };
    let made = Connections::along(&way, Duration::from_secs(10), pool, &Transport::Network);
    made.expect("a client can be built").network().clone()
}

fn status(outcome: &str, code: u16) -> Value {
    json!({
        "usable": false, "reason": "unknown", "outcome": outcome, "status_code": code,
        "stale": false, "age_seconds": 0,
    })
}

#[tokio::test]
async fn it_is_in_order() {
    let copied = Copied::of(TEXT);
    copied.is_checked(2, &ASKED).await;
    copied.is_told(&["block-card", "card-status"], &ASKED).await;
}

#[tokio::test]
async fn a_certificate_and_a_token_are_wanted_and_neither_does_for_the_other() {
    let running = Running::start().await;
    says(&running.core, &json!({"usable": true, "reason": "none"})).await;
    running.token_is_of("org-of-the-bank", "client-of-the-bank");
    let url = format!("https://{}/data-action/card-status", running.calls);
    for (what, shown) in [
        ("no certificate", None),
        ("one of somebody else", Some(Issuer::new().issue(&["dataactions.example.com"]))),
    ] {
        let client = connections(&running.public, shown.as_ref());
        let ask = client.post(&url).bearer_auth("token-1").json(&json!({"card_id": CARD}));
        assert!(ask.send().await.is_err(), "{what}");
    }
    assert_eq!(running.genesys.site.counts().requests, 0);
    let client = connections(&running.public, Some(&running.region));
    let bare = client.post(&url).json(&json!({"card_id": CARD})).send().await.unwrap();
    assert_eq!(bare.status(), 401);

    let good = running.organisation.outputs("card-status", json!({"card_id": CARD})).await;
    assert_eq!((&good["usable"], &good["reason"]), (&true.into(), &"none".into()));
    let seen = last(&running.core);
    assert_eq!(asked(&seen), ("GET", &*format!("/cards/{CARD}/status"), None));
    assert_eq!(seen.request.header("traceparent"), None);
    assert_eq!(seen.request.header("authorization"), None, "its token is not passed on");
    assert!(running.front.connections() > 0, "over TLS, with the certificate of ours");
}

#[tokio::test]
async fn the_token_of_another_organisation_or_client_is_refused() {
    for (organization, client) in
        [("org-of-others", "client-of-the-bank"), ("org-of-the-bank", "another-client")]
    {
        let running = Running::start().await;
        running.token_is_of(organization, client);
        let answer = running.organisation.call("card-status", json!({"card_id": CARD})).await;
        assert_eq!(answer.status, 403, "{answer:?}");
        assert_eq!(running.front.connections(), 0);
    }
}

#[tokio::test]
async fn a_card_is_blocked_though_the_connection_breaks() {
    let running = Running::start().await;
    running.token_is_of("org-of-the-bank", "client-of-the-bank");
    says(&running.core, &json!({"blocked": true})).await;
    running.core.site.script([Fault::Reset]);
    let inputs = json!({"card_id": CARD, "stolen": true});
    let answer = running.organisation.outputs("block-card", inputs).await;
    assert_eq!((&answer["blocked"], &answer["outcome"]), (&true.into(), &"ok".into()));
    let seen = running.core.site.seen();
    let body = Some(json!({"reason": "by phone", "stolen": true}));
    let expected = ("PUT", &*format!("/cards/{CARD}/block"), body);
    assert_eq!(seen.iter().map(asked).collect::<Vec<_>>(), [expected.clone(), expected]);
}

#[tokio::test]
async fn what_goes_wrong_is_told_to_the_flow_and_the_log_names_nobody() {
    let running = Running::start().await;
    running.token_is_of("org-of-the-bank", "client-of-the-bank");
    let ask = async |card: &str| {
        running.organisation.outputs("card-status", json!({"card_id": card})).await
    };
    says(&running.core, &json!({"usable": true, "reason": "none"})).await;
    assert_eq!(ask(CARD).await["outcome"], "ok");

    // Another card each: a failure is told for a second.
    for (number, fault, outcome, code) in [
        (1, Fault::status(404), "not_found", 404),
        (2, Fault::Body(json!({"usable": true, "reason": CARD}).to_string()), "mapping_error", 502),
        (3, Fault::Reset, "upstream_unreachable", 502),
    ] {
        running.core.site.set(Standing::every(fault)).await.unwrap();
        assert_eq!(
            ask(&CARD.replace("3f2b", &format!("{number:04}"))).await,
            status(outcome, code)
        );
    }
    assert_eq!(ask("4111 1111 1111 1111").await, status("bad_request", 400));

    // What a line is written for: the breaker, and who changes what.
    for number in 4..8 {
        ask(&CARD.replace("3f2b", &format!("{number:04}"))).await;
    }
    running.program.line(|line| line.contains("breaker changed")).await;
    let file = running.copied.file();
    let text = fs::read_to_string(&file).unwrap().replace("burst: 5", "burst: 6");
    fs::write(&file, text).unwrap();
    running.program.signal("HUP");
    running.program.line(|line| line.contains("limits.per_card.burst: 5 -> 6")).await;
    let log = running.program.out() + &running.program.err();
    for fine in ["success", "degraded", "rejected"] {
        assert!(!log.contains(&format!("\"class\":\"{fine}\"")), "no line for such a call: {log}");
    }
    assert!(log.contains("\"class\":\"failure\""), "{log}");
    // Of the card eight digits: four of them are in an id of a call now and then.
    let card = ["4111 1111", "41111111"];
    for personal in ["5e8f1a2b3c4d", "token-1", "s3cret", "client-of-the-bank"].iter().chain(&card)
    {
        assert!(!log.contains(personal), "{personal} in {log}");
    }
}
